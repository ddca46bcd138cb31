// Package probe walks connections through TLS tunnels as a client would, step
// by step (resolve, connect, tls, acceptance, echo), and tells how long each
// step took and why one failed, with a word of a closed list. It does so
// regularly for the tunnels of its configuration and makes metrics of it, and on
// request as blackbox_exporter does.
package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/echo"
	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// maxAddresses is how many of a name's addresses are tried.
const maxAddresses = 4

// The steps, in order. Four of them are also values of the label phase.
const (
	StepFiles      = "files" // our own certificate, key, CA and revocation list
	StepResolve    = "resolve"
	StepConnect    = "connect"
	StepTLS        = "tls"
	StepAcceptance = "acceptance"
	StepEcho       = "echo"
)

// The parts of an echo, which are phases too.
const (
	phaseProcessing = "processing"
	phaseTransfer   = "transfer"
)

// Phases are the values of the label phase, in order. There is no total, so
// that a sum over them means something.
func Phases() []string {
	return []string{StepResolve, StepConnect, StepTLS, phaseProcessing, phaseTransfer}
}

// Target is where a probe goes and what it says there.
type Target struct {
	Host, Port string
	// TLS is what the client trusts and shows. Its ServerName is Host when
	// empty. Nil: no TLS, as towards a guardian.
	TLS *tls.Config
	// Lists are the revocation lists that the server's certificate must not be on.
	Lists *pki.Lists
	// Echo is nil when the service behind the tunnel is not spoken to.
	Echo *echo.Codec
	// Confirm offers our own gateways to agree on the byte that says whether the connection is carried.
	Confirm bool
	// Anonymous makes a second connection, without certificate.
	Anonymous bool

	verified *verified // chains that TLS.RootCAs are known to vouch for; nil: none is remembered
}

// Result is what a probe saw. Durations are those of steps that succeeded; a
// step that did not is not in the map.
type Result struct {
	Began     time.Time
	Took      time.Duration    // all steps, those of the anonymous connection left out
	Addresses []netip.AddrPort // that the name has
	Address   netip.AddrPort   // dialled; not valid if the name was not resolved
	Phases    map[string]time.Duration
	Handshake time.Duration // also of one that failed: the time until it did
	Version   uint16        // of TLS; 0 without handshake
	Cipher    uint16
	Chain     []*x509.Certificate   // as presented, also when it is not trusted
	Verified  [][]*x509.Certificate // the chains to authorities that we trust
	Untrusted error                 // why the chain is refused by the client's own rules; nil if it is not
	Confirmed bool                  // one of our own gateways said that it carries the connection
	Anonymous *bool                 // whether the server takes clients without certificate; nil if not known
	Step      string                // the step that failed; empty on success
	Err       error                 // why, for people; never for a label
	ErrorType string                // why, of the closed list
	Discovery string                // why no address was found, of its own closed list
}

// NotAfter is when the first of the presented certificates ends, roots left
// out; the zero time without a chain.
func (r *Result) NotAfter() time.Time {
	if c := r.first(); c != nil {
		return c.NotAfter
	}
	return time.Time{}
}

// verifiedUntil is how long the server can be trusted: the chain that lasts longest counts.
func (r *Result) verifiedUntil() (last time.Time) {
	for _, chain := range r.Verified {
		end := chain[0].NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// first is the certificate of the chain that ends first.
func (r *Result) first() (first *x509.Certificate) {
	for _, c := range r.Chain {
		root := c.IsCA && bytes.Equal(c.RawIssuer, c.RawSubject) && len(r.Chain) > 1
		if !root && (first == nil || c.NotAfter.Before(first.NotAfter)) {
			first = c
		}
	}
	return first
}

func (r *Result) fail(step string, err error) *Result {
	r.Step, r.Err, r.ErrorType = step, err, errorType(step, err)
	if step == StepResolve {
		r.Discovery = discoveryCode(err)
	}
	r.Took = time.Since(r.Began)
	return r
}

// Probe walks the steps until one fails or ctx is done.
func Probe(ctx context.Context, t Target) *Result {
	conn, r := Dial(ctx, t)
	if r.Err != nil {
		return r
	}
	defer func() { _ = conn.Close() }()
	if r.echo(ctx, t, conn); r.Err != nil {
		return r
	}
	r.Took = time.Since(r.Began)
	if t.Anonymous && t.TLS != nil {
		_ = conn.Close() // there may be room for one only
		r.Anonymous = anonymous(ctx, r.Address, t)
	}
	return r
}

// Dial walks the steps up to the acceptance of our certificate and returns the
// connection, which is nil if one of them failed. Where there is an echo to
// come, and no gateway of ours to ask, that echo tells of the acceptance.
func Dial(ctx context.Context, t Target) (net.Conn, *Result) {
	r := &Result{Began: time.Now(), Phases: make(map[string]time.Duration, 5)}
	if err := r.resolve(ctx, t); err != nil {
		return nil, r.fail(StepResolve, err)
	}
	start := time.Now()
	conn, err := r.connect(ctx)
	if err != nil {
		return nil, r.fail(StepConnect, err)
	}
	r.Phases[StepConnect] = time.Since(start)
	if t.TLS == nil {
		return conn, r
	}
	c := tls.Client(conn, r.clientConfig(t))
	if r.handshake(ctx, c); r.Err != nil && t.Confirm && noProtocol(r.Err) {
		_ = conn.Close() // not ours, and strict about it: without the offer it may take us
		t.Confirm = false
		return Dial(ctx, t)
	}
	if r.Err == nil {
		if err := r.accepted(ctx, t, c); err != nil {
			r.fail(StepAcceptance, err)
		}
	}
	if r.Err != nil {
		_ = conn.Close()
		return nil, r
	}
	return c, r
}

func (r *Result) handshake(ctx context.Context, c *tls.Conn) {
	start := time.Now()
	err := shake(ctx, c)
	r.Handshake = time.Since(start)
	if err != nil {
		r.fail(StepTLS, err)
		return
	}
	r.Phases[StepTLS] = r.Handshake
	if r.Untrusted != nil {
		// No word is sent to a server that is not the one meant.
		r.fail(StepTLS, r.Untrusted)
	}
}

func (r *Result) resolve(ctx context.Context, t Target) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.Host)
	if err == nil && len(addresses) == 0 {
		err = errNoAddress
	}
	if err != nil {
		return err
	}
	r.Phases[StepResolve] = time.Since(r.Began)
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", t.Port)
	if err != nil {
		return err
	}
	for _, a := range addresses[:min(len(addresses), maxAddresses)] {
		r.Addresses = append(r.Addresses, netip.AddrPortFrom(a.Unmap(), uint16(port))) //nolint:gosec // LookupPort gives 0 to 65535
	}
	return nil
}

// connect tries the addresses in turn, each with its share of the time left, so
// that one that swallows packets does not hide the others.
func (r *Result) connect(ctx context.Context) (conn net.Conn, err error) {
	for i, a := range r.Addresses {
		r.Address = a
		if conn, err = dialShare(ctx, a, len(r.Addresses)-i); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

func dialShare(ctx context.Context, to netip.AddrPort, shares int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
		defer cancel()
	}
	return dial(ctx, to)
}

func dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", to.String())
}

// echo speaks to the service and notes how long its answer took.
func (r *Result) echo(ctx context.Context, t Target, conn net.Conn) {
	if t.Echo == nil {
		return
	}
	timing, err := t.Echo.Do(ctx, conn)
	if timing.Processing > 0 {
		r.Phases[phaseProcessing] = timing.Processing
	}
	if err != nil {
		if late := lateAlert(conn, err); late != nil {
			r.fail(StepAcceptance, late)
			return
		}
		r.fail(StepEcho, err)
		return
	}
	r.Phases[phaseTransfer] = timing.Transfer
}

// gatewayError is what one of our own gateways says instead of carrying a connection.
type gatewayError struct{ word string }

func (e *gatewayError) Error() string {
	switch e.word {
	case "limit":
		return "the gateway has as many connections as it may"
	case "target":
		return "the gateway does not reach what stands behind it"
	case "drain":
		return "the gateway is stopping"
	}
	return fmt.Sprintf("the gateway does not carry the connection (%s)", e.word)
}
