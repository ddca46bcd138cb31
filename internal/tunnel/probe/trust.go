package probe

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/pki"
)

// checkFiles is how often files are looked at for changes.
const checkFiles = 5 * time.Second

// files are those that a probe needs. Targets with the same files share what is made of them.
type files struct {
	ca, cert, key, crl string
	serverName         string
	skipVerify         bool
}

func (s Service) files() files {
	return files{s.TLS.CAFile, s.TLS.CertFile, s.TLS.KeyFile, s.CRLFile, s.TLS.ServerName, s.TLS.InsecureSkipVerify}
}

// trust is what is made of the files once: reading and parsing them for every
// probe costs more than the probe. But for what it remembers it is never changed.
type trust struct {
	config *tls.Config
	lists  *pki.Lists
	leaf   *x509.Certificate // our own certificate; nil without

	verified verified // by these authorities
}

// trusts holds what was made of each set of files, and looks for changes.
// A set that cannot be read any more stays in force as it was.
type trusts struct {
	mu   sync.Mutex // guards held
	held map[files]*held
}

type held struct {
	mu    sync.Mutex // guards what follows
	now   *trust
	err   error // of the last look
	stamp string
	sum   [32]byte
	seen  time.Time
}

// get returns the trust in force, and what is wrong with the files as they are now.
func (h *trusts) get(f files) (*trust, error) {
	h.mu.Lock()
	one := h.held[f]
	if one == nil {
		if h.held == nil {
			h.held = map[files]*held{}
		}
		one = &held{}
		h.held[f] = one
	}
	h.mu.Unlock()
	one.mu.Lock()
	defer one.mu.Unlock()
	if time.Since(one.seen) < checkFiles && !one.seen.IsZero() {
		return one.now, one.err
	}
	one.seen = time.Now()
	stamp := f.stamp()
	if stamp == one.stamp && one.err == nil && one.now != nil {
		return one.now, nil
	}
	n, sum, err := f.load()
	one.err = err
	if err == nil && (one.now == nil || sum != one.sum) {
		if one.now != nil && n.lists.Older(one.now.lists) {
			one.err = fmt.Errorf("%s: an older list than the one in force", f.crl)
			return one.now, one.err
		}
		one.now, one.sum = n, sum
	}
	one.stamp = stamp
	return one.now, one.err
}

// stamp changes with the files, most of the time: names are replaced, and then the inode is another one.
func (f files) stamp() string {
	var s []byte
	for _, name := range []string{f.ca, f.cert, f.key, f.crl} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			s = fmt.Appendf(s, "%d %d;", info.ModTime().UnixNano(), info.Size())
		} else {
			s = append(s, "none;"...)
		}
	}
	return string(s)
}

// load reads the files and makes a client's settings of them, wholly or not at all.
func (f files) load() (*trust, [32]byte, error) {
	h := sha256.New()
	var texts [4][]byte
	for i, name := range []string{f.ca, f.cert, f.key, f.crl} {
		if name == "" {
			continue
		}
		text, err := pki.ReadFile(name)
		if err != nil {
			return nil, [32]byte{}, err
		}
		one := sha256.Sum256(text)
		h.Write(one[:])
		texts[i] = text
	}
	t := &trust{config: &tls.Config{ServerName: f.serverName, MinVersion: tls.VersionTLS10, InsecureSkipVerify: f.skipVerify}} //nolint:gosec // old versions are taken to be reported
	if f.ca != "" {
		roots, err := pki.ParseCertificates(texts[0])
		if err != nil {
			return nil, [32]byte{}, fmt.Errorf("%s: %w", f.ca, err)
		}
		t.config.RootCAs = x509.NewCertPool()
		for _, c := range roots {
			t.config.RootCAs.AddCert(c)
		}
	}
	if f.cert != "" {
		pair, err := tls.X509KeyPair(texts[1], texts[2])
		if err != nil {
			return nil, [32]byte{}, fmt.Errorf("%s: %w", f.cert, err)
		}
		// It is shown whatever authorities the server names: why it is refused is what we want to know.
		t.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		t.leaf = pair.Leaf
	}
	if f.crl != "" {
		lists, err := pki.ParseLists(texts[3])
		if err != nil {
			return nil, [32]byte{}, fmt.Errorf("%s: %w", f.crl, err)
		}
		t.lists = lists
	}
	return t, [32]byte(h.Sum(nil)), nil
}
