// Package doctor walks a tunnel from one end to the other, as a client would, and
// tells the first thing that is wrong with it and what mends it.
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// StepProxy comes after the steps of a probe: the tenant proxy at the tunnel's end.
const StepProxy = "proxy"

// steps are all steps, in order.
var steps = []string{probe.StepFiles, probe.StepResolve, probe.StepConnect, probe.StepTLS, probe.StepAcceptance, probe.StepEcho, StepProxy}

// State is how a step ended.
type State string

// The states.
const (
	Good    State = "ok"
	Bad     State = "FAILED"
	Skipped State = "-" // it has no meaning here
	Unknown State = "?" // not reached
)

// Finding is what one step came to.
type Finding struct {
	Step   string
	State  State
	Type   string // of a bad one: a word of the probe's closed list, or one of the proxy's
	Detail string
	Fix    string // of a bad one
}

// Patient is the tunnel to be examined.
type Patient struct {
	Host, Port string
	probe.Service
	// Proxy tells that a tenant proxy stands at the tunnel's end.
	Proxy bool
}

// Examine walks the steps until one is bad or ctx is done. There is a finding for each step.
func Examine(ctx context.Context, p Patient) []Finding {
	e := &examination{patient: p}
	e.run(ctx)
	for _, step := range steps[len(e.findings):] {
		e.add(step, Unknown, "not reached")
	}
	return e.findings
}

// First returns the bad finding, if there is one.
func First(findings []Finding) (Finding, bool) {
	for _, f := range findings {
		if f.State == Bad {
			return f, true
		}
	}
	return Finding{}, false
}

type examination struct {
	patient  Patient
	findings []Finding
}

func (e *examination) add(step string, state State, format string, args ...any) {
	e.findings = append(e.findings, Finding{Step: step, State: state, Detail: fmt.Sprintf(format, args...)})
}

func (e *examination) bad(step, kind string, err error, fix string) {
	e.findings = append(e.findings, Finding{Step: step, State: Bad, Type: kind, Detail: oneLine(err), Fix: fix})
}

func (e *examination) run(ctx context.Context) {
	p := e.patient
	target, leaf, err := p.Target(p.Host, p.Port)
	if err != nil {
		e.bad(probe.StepFiles, "files", err, filesFix(err))
		return
	}
	if !e.files(target, leaf) {
		return
	}
	if p.Proxy {
		target.Echo = nil // it is HTTP that is spoken there
	}
	r := probe.Probe(ctx, target)
	if !e.walked(target, r, leaf) {
		return
	}
	if !p.Proxy {
		e.add(StepProxy, Skipped, "not asked for")
		return
	}
	e.proxy(ctx, target)
}

// files looks at what we show and trust before anybody else does.
func (e *examination) files(t probe.Target, leaf *x509.Certificate) bool {
	now := time.Now()
	switch {
	case t.TLS == nil:
		e.add(probe.StepFiles, Skipped, "no TLS, so no certificate")
		return true
	case leaf == nil:
		e.add(probe.StepFiles, Good, "no client certificate; trust: %s", trustText(e.patient))
		return true
	case now.After(leaf.NotAfter):
		e.bad(probe.StepFiles, "client_cert_expired", fmt.Errorf("our certificate %q ended %s, %s ago", e.patient.TLS.CertFile,
			stamp(leaf.NotAfter), rough(now.Sub(leaf.NotAfter))), "Renew it: `oriel pki renew`, or ask its authority for a new one.")
		return false
	case now.Before(leaf.NotBefore):
		e.bad(probe.StepFiles, "client_cert_not_yet_valid", fmt.Errorf("our certificate %q holds from %s on", e.patient.TLS.CertFile, stamp(leaf.NotBefore)),
			"Is this machine's clock right? Otherwise wait, or take another certificate.")
		return false
	case !forClients(leaf):
		e.bad(probe.StepFiles, "client_cert_usage", fmt.Errorf("our certificate %q is not made for clients", e.patient.TLS.CertFile),
			"It is a server's. Issue one with the profile guardian or prober.")
		return false
	}
	if next := t.Lists.NextUpdate(); !next.IsZero() && now.After(next) {
		e.add(probe.StepFiles, Good, "our certificate ends %s; NOTE: the revocation list is out of date since %s", stamp(leaf.NotAfter), stamp(next))
		return true
	}
	e.add(probe.StepFiles, Good, "our certificate ends %s, in %s; trust: %s", stamp(leaf.NotAfter), rough(leaf.NotAfter.Sub(now)), trustText(e.patient))
	return true
}

func trustText(p Patient) string {
	switch {
	case p.TLS.InsecureSkipVerify:
		return "anybody"
	case p.TLS.CAFile == "":
		return "the system's authorities"
	}
	return p.TLS.CAFile
}

func forClients(c *x509.Certificate) bool {
	for _, u := range c.ExtKeyUsage {
		if u == x509.ExtKeyUsageClientAuth || u == x509.ExtKeyUsageAny {
			return true
		}
	}
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0
}

// walked makes findings of a probe's result.
func (e *examination) walked(t probe.Target, r *probe.Result, leaf *x509.Certificate) bool {
	for _, step := range steps[1 : len(steps)-1] {
		if step == r.Step {
			e.bad(step, r.ErrorType, r.Err, fix(e.patient, r, leaf))
			return false
		}
		took := r.Phases[step]
		switch {
		case t.TLS == nil && (step == probe.StepTLS || step == probe.StepAcceptance):
			e.add(step, Skipped, "transport tcp")
		case step == probe.StepResolve:
			e.add(step, Good, "%s", resolved(e.patient.Host, r, took))
		case step == probe.StepConnect:
			e.add(step, Good, "%s (%s)", r.Address, fine(took))
		case step == probe.StepTLS:
			e.add(step, Good, "%s %s, certificate ends %s, in %s (%s)", tls.VersionName(r.Version), tls.CipherSuiteName(r.Cipher),
				stamp(r.NotAfter()), rough(time.Until(r.NotAfter())), fine(took))
		case step == probe.StepAcceptance:
			e.add(step, Good, "%s", acceptance(t, r))
		case t.Echo == nil:
			e.add(step, Skipped, "nothing is said to the service")
		default:
			e.add(step, Good, "the answer came after %s", fine(r.Phases["processing"]+r.Phases["transfer"]))
		}
	}
	return true
}

func acceptance(t probe.Target, r *probe.Result) string {
	switch {
	case r.Confirmed:
		return "the gateway said that it carries the connection"
	case t.Echo != nil && r.Err != nil:
		return "not refused"
	case t.Echo != nil:
		return "the service answered"
	}
	return "no refusal within 200 ms"
}

func resolved(host string, r *probe.Result, took time.Duration) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String() + " is an address"
	}
	var list []string
	for _, a := range r.Addresses {
		list = append(list, a.Addr().String())
	}
	return fmt.Sprintf("%s is %s (%s)", host, strings.Join(list, ", "), fine(took))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func fine(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

// rough is a length of time in its largest unit.
func rough(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + rough(-d)
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return d.Round(time.Second).String()
}

// oneLine makes an error fit for a line of a table.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	return text[:min(len(text), 300)]
}

func (p Patient) String() string { return net.JoinHostPort(p.Host, p.Port) }
