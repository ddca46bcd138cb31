package proxy

import (
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// company is a tenant at work.
type company struct {
	Tenant
	cfg      Company
	most     int64   // requests at once
	rate     float64 // per second
	now      atomic.Int64
	bytesIn  atomic.Int64
	bytesOut atomic.Int64
	upstream prometheus.Histogram // until Prometheus began to answer
	took     prometheus.Histogram // until the answer had been sent
	mu       sync.Mutex           // guards what follows
	tokens   float64
	filled   time.Time
	requests map[string]int64      // by endpoint
	refusals map[string]int64      // by reason
	results  map[string]int64      // of questions to Prometheus
	enforced map[remembered]string // queries and selectors as they were held to the tenant: dashboards ask the same again and again
}

func newCompany(c Company, cfg Config) *company {
	o := &company{
		Tenant: Tenant{cfg.Label, c.Name}, cfg: c, most: int64(c.MaxConcurrent), rate: c.Rate,
		requests: map[string]int64{}, refusals: map[string]int64{}, results: map[string]int64{},
		enforced: map[remembered]string{}, upstream: newHistogram(), took: newHistogram(),
	}
	if o.most == 0 {
		o.most = int64(cfg.Limits.CompanyConcurrent)
	}
	if o.rate == 0 {
		o.rate = cfg.Limits.CompanyRate
	}
	o.tokens = o.burst()
	return o
}

// burst is how many requests may come at once after a pause.
func (c *company) burst() float64 { return max(1, 2*c.rate) }

// spend takes a token, or says how long until there is one.
func (c *company) spend(now time.Time) (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.filled.IsZero() {
		c.tokens = min(c.burst(), c.tokens+now.Sub(c.filled).Seconds()*c.rate)
	}
	c.filled = now
	if c.tokens < 1 {
		return time.Duration((1 - c.tokens) / c.rate * float64(time.Second)), false
	}
	c.tokens--
	return 0, true
}

func (c *company) refused(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusals[reason]++
}

func (c *company) told(result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results[result]++
}

func (c *company) asked(endpoint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[endpoint]++
}

// client is who is at the other end of a connection.
type client struct {
	company *company // nil: nobody that we know
	serial  string   // of the certificate, hex
}

// client finds the company of a certificate, verified by us or by the gateway
// that named the company. A certificate that two companies claim is nobody's.
func (p *Proxy) client(cert *x509.Certificate, named string) client {
	var found client
	if cert != nil {
		found.serial = cert.SerialNumber.Text(16)
	}
	for _, c := range p.companies {
		if c.claims(cert, named) {
			if found.company != nil {
				return client{serial: found.serial}
			}
			found.company = c
		}
	}
	return found
}

func (c *company) claims(cert *x509.Certificate, named string) bool {
	if len(c.cfg.Allow) == 0 {
		return named != "" && named == c.Value
	}
	if cert == nil {
		return false
	}
	for _, id := range c.cfg.Allow {
		if id.Matches(cert) {
			return true
		}
	}
	return false
}

// Bounds of what is remembered of a company's queries.
const (
	maxRemembered      = 500
	maxRememberedQuery = 2048
)

// queryOnce is Tenant.enforce, which gives the same text for the same query.
func (c *company) queryOnce(query string, r rules) (string, error) {
	return c.once(remembered{text: query}, func() (string, error) { return c.enforce(query, r) })
}

// selectorOnce is Tenant.selector likewise.
func (c *company) selectorOnce(selector string, r rules) (string, error) {
	return c.once(remembered{selector, true}, func() (string, error) { return c.selector(selector, r) })
}

// remembered is what a company asked. As a selector a text may mean something else than as a query.
type remembered struct {
	text     string
	selector bool
}

func (c *company) once(what remembered, hold func() (string, error)) (string, error) {
	c.mu.Lock()
	held, ok := c.enforced[what]
	c.mu.Unlock()
	if ok {
		return held, nil
	}
	held, err := hold()
	if err != nil || len(what.text) > maxRememberedQuery {
		return held, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.enforced) >= maxRemembered {
		clear(c.enforced)
	}
	c.enforced[what] = held
	return held, nil
}
