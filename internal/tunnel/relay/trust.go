package relay

import (
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// alpn is what our two ends agree on: after the handshake the gateway sends one
// byte that says whether it carries the connection, or why not.
const alpn = "ct/1"

// trusted is the state of the files with a tunnel's rules. It is never changed: a
// reload makes a new one, with new ticket keys, so that no session outlives
// what was trusted when it began.
type trusted struct {
	*trust.State
	rules  []Rule
	server *tls.Config
	client *tls.Config
}

// load makes the trust of the files as they are, wholly or not at all.
func (t *Tunnel) load(before *trusted, gateway bool) (*trusted, error) {
	var last *trust.State
	if before != nil {
		last = before.State
	}
	state, err := trust.Files{Cert: t.CertFile, Key: t.KeyFile, CA: t.CAFile, CRL: t.CRLFile}.Load(last)
	if err != nil {
		return nil, err
	}
	if state == last {
		return before, nil
	}
	n := &trusted{State: state, rules: t.Allow}
	minimum := uint16(tls.VersionTLS13)
	if t.MinVersion == "TLS12" {
		minimum = tls.VersionTLS12
	}
	base := tls.Config{
		MinVersion: minimum, Certificates: []tls.Certificate{n.Cert}, VerifyConnection: n.verify, CurvePreferences: t.curves(),
		DynamicRecordSizingDisabled: true, // a tunnel carries bulk, and what is written in small pieces travels in small pieces anyway
	}
	if gateway {
		base.ClientAuth, base.ClientCAs = tls.RequireAndVerifyClientCert, n.Pool
		ours := base.Clone()
		ours.NextProtos = []string{alpn}
		n.server = base.Clone()
		if t.Confirm {
			// Tickets are sealed with the outer settings' keys. Who does not offer ct/1 is a foreign client, and gets none.
			n.server.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				if slices.Contains(hello.SupportedProtos, alpn) {
					return ours, nil
				}
				return nil, nil //nolint:nilnil // crypto/tls's way to say: as it is
			}
		}
		return n, nil
	}
	n.client = base.Clone()
	n.client.RootCAs, n.client.ClientSessionCache = n.Pool, tls.NewLRUClientSessionCache(64)
	if t.Confirm {
		n.client.NextProtos = []string{alpn}
	}
	return n, nil
}

// verify holds what crypto/tls has not checked itself. It runs for resumed sessions too.
func (n *trusted) verify(s tls.ConnectionState) error {
	_, err := n.identify(s)
	return err
}

// identify returns the rule that lets the other side through; for no rules, an empty one.
func (n *trusted) identify(s tls.ConnectionState) (Rule, error) {
	if err := n.Verify(s); err != nil {
		return Rule{}, err
	}
	if len(n.rules) == 0 {
		return Rule{}, nil
	}
	leaf := s.PeerCertificates[0]
	for _, r := range n.rules {
		if r.Matches(leaf) {
			return r, nil
		}
	}
	return Rule{}, &trust.Refusal{Reason: "not_allowed", Err: fmt.Errorf("no rule allows certificate %s", leaf.SerialNumber.Text(16))}
}

// again checks an open connection against a newer trust.
func (n *trusted) again(s tls.ConnectionState) error {
	s, err := n.Chains(s)
	if err != nil {
		return err
	}
	return n.verify(s)
}

// curves are the key exchanges offered; nil are those of crypto/tls, with a post-quantum one first.
func (t *Tunnel) curves() []tls.CurveID {
	if t.PostQuantum {
		return nil
	}
	return []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
}
