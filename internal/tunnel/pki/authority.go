package pki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Lives of what is not asked for by an order. A certificate is valid from a
// little before it was made, since clocks differ.
const (
	rootLife    = 10 * 365 * day
	issuingLife = 3 * 365 * day
	listLife    = 7 * day
	backdate    = 5 * time.Minute
	keepExpired = 30 * day // how long the index remembers what has expired
)

// State of a generation: a root and an issuing authority under it.
type State string

// A generation is trusted before it signs, and is still trusted when another signs.
const (
	Next   State = "next"
	Active State = "active"
	Old    State = "old"
)

type generation struct {
	ID     int   `json:"id"`
	State  State `json:"state"`
	Number int64 `json:"crl_number"`
}

// Entry is a certificate that was signed.
type Entry struct {
	Serial     string    `json:"serial"` // hex
	Generation int       `json:"generation"`
	Profile    string    `json:"profile"`
	URI        string    `json:"uri"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	Pin        string    `json:"spki_sha256"`
	Revoked    time.Time `json:"revoked,omitzero"`
}

type index struct {
	Domain      string        `json:"trust_domain"`
	Generations []*generation `json:"generations"`
	Entries     []*Entry      `json:"certificates"`
}

// Authority is a directory with the keys, certificates and lists of an authority.
// Every change holds a lock on the directory, so that several processes may work on it.
type Authority struct {
	dir string
	now func() time.Time
	mu  sync.Mutex // one change at a time in this process; the lock file does it between processes
}

// Open returns the authority in a directory that Init made.
func Open(dir string) (*Authority, error) {
	a := &Authority{dir: dir, now: time.Now}
	if _, err := a.read(); err != nil {
		return nil, err
	}
	return a, nil
}

// At is the authority at another time: what it signs begins then. For
// demonstrations and tests of what has nearly, or quite, ended.
func (a *Authority) At(now time.Time) *Authority {
	return &Authority{dir: a.dir, now: func() time.Time { return now }}
}

// Init makes an authority for a trust domain: a root, an issuing authority under it that may
// sign no other authority and no other domain's identities, and empty revocation lists.
func Init(dir, domain, keyType string) (*Authority, error) {
	if len(domain) > 253 || !domainForm.MatchString(domain) {
		return nil, fmt.Errorf("trust domain %q: want a DNS name in lower case", domain)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
		return nil, fmt.Errorf("%s holds an authority already", dir)
	}
	a := &Authority{dir: dir, now: time.Now}
	return a, a.locked(func() error {
		x := &index{Domain: domain}
		g := &generation{ID: 1, State: Active}
		root, key, err := a.newRoot(x, g, keyType)
		if err != nil {
			return err
		}
		if err := a.newIssuing(x, g, root, key, keyType); err != nil {
			return err
		}
		x.Generations = append(x.Generations, g)
		return a.publish(x)
	})
}

// path is a file of the authority; of a generation if g is given.
func (a *Authority) path(name string, g *generation) string {
	if g == nil {
		return filepath.Join(a.dir, name)
	}
	return filepath.Join(a.dir, "generation-"+strconv.Itoa(g.ID), name)
}

func (a *Authority) read() (*index, error) {
	data, err := ReadFile(a.path("index.json", nil))
	if err != nil {
		return nil, fmt.Errorf("open authority: %w", err)
	}
	x, err := parseIndex(data)
	if err != nil {
		return nil, fmt.Errorf("open authority: %s: %w", a.path("index.json", nil), err)
	}
	return x, nil
}

func parseIndex(data []byte) (*index, error) {
	x := &index{}
	if err := json.Unmarshal(data, x); err != nil {
		return nil, err
	}
	active := 0
	for _, g := range x.Generations {
		if g == nil || g.ID <= 0 {
			return nil, errors.New("a generation has no number")
		}
		if g.State == Active {
			active++
		}
	}
	if active != 1 {
		return nil, fmt.Errorf("%d active generations; want 1", active)
	}
	for _, e := range x.Entries {
		if e == nil {
			return nil, errors.New("an entry is empty")
		}
		if n, ok := new(big.Int).SetString(e.Serial, 16); !ok || n.Sign() <= 0 || len(e.Serial) > 40 {
			return nil, fmt.Errorf("serial %q is no hex number", e.Serial)
		}
	}
	return x, nil
}

// locked runs a change while no other process makes one.
func (a *Authority) locked(change func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, err := os.OpenFile(a.path(".lock", nil), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // lets the lock go
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock authority: %w", err)
	}
	return change()
}

func (x *index) active() *generation {
	for _, g := range x.Generations {
		if g.State == Active {
			return g
		}
	}
	return nil // parseIndex has seen one
}

func serial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

// newRoot makes a root key and certificate.
func (a *Authority) newRoot(x *index, g *generation, keyType string) (*x509.Certificate, crypto.Signer, error) {
	key, err := NewKey(keyType)
	if err != nil {
		return nil, nil, err
	}
	n, err := serial()
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: n, Subject: pkix.Name{CommonName: fmt.Sprintf("%s root %d", x.Domain, g.ID)},
		NotBefore: a.now().Add(-backdate), NotAfter: a.now().Add(rootLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	root, err := a.write(g, "root", t, t, key, key)
	return root, key, err
}

// newIssuing makes the issuing authority of a generation under its root.
func (a *Authority) newIssuing(x *index, g *generation, root *x509.Certificate, rootKey crypto.Signer, keyType string) error {
	key, err := NewKey(keyType)
	if err != nil {
		return err
	}
	n, err := serial()
	if err != nil {
		return err
	}
	end := a.now().Add(issuingLife)
	if end.After(root.NotAfter) {
		end = root.NotAfter
	}
	_, err = a.write(g, "issuing", &x509.Certificate{
		SerialNumber: n, Subject: pkix.Name{CommonName: fmt.Sprintf("%s issuing %d", x.Domain, g.ID)},
		NotBefore: a.now().Add(-backdate), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		PermittedURIDomains:         []string{x.Domain},
		PermittedDNSDomainsCritical: true,
	}, root, key, rootKey)
	return err
}

// write signs an authority's certificate and writes it with its key.
func (a *Authority) write(g *generation, name string, t, parent *x509.Certificate, key, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	text, err := EncodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(a.path(name, g)), 0o700); err != nil {
		return nil, err
	}
	if err := WriteFile(a.path(name+".key", g), text); err != nil {
		return nil, err
	}
	return cert, WriteFile(a.path(name+".crt", g), EncodeCertificates(cert))
}

// pair reads a certificate and, if there, its key.
func (a *Authority) pair(g *generation, name string) (*x509.Certificate, crypto.Signer, error) {
	data, err := ReadFile(a.path(name+".crt", g))
	if err != nil {
		return nil, nil, err
	}
	certs, err := ParseCertificates(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.path(name+".crt", g), err)
	}
	data, err = ReadFile(a.path(name+".key", g))
	if errors.Is(err, os.ErrNotExist) {
		return certs[0], nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := ParseKey(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", a.path(name+".key", g), err)
	}
	return certs[0], key, nil
}

// publish writes the lists, the trust bundle and, last, the index.
func (a *Authority) publish(x *index) error {
	var bundle []*x509.Certificate
	var lists bytes.Buffer
	for _, g := range x.Generations {
		root, rootKey, err := a.pair(g, "root")
		if err != nil {
			return err
		}
		if !contains(bundle, root) {
			bundle = append(bundle, root)
		}
		issuing, key, err := a.pair(g, "issuing")
		if err != nil {
			return err
		}
		g.Number++
		if err := a.list(x, g, "issuing", issuing, key); err != nil {
			return err
		}
		if err := a.list(x, g, "root", root, rootKey); err != nil {
			return err
		}
		for _, name := range []string{"issuing.crl", "root.crl"} {
			text, err := ReadFile(a.path(name, g))
			if err != nil {
				return err
			}
			lists.Write(text)
		}
	}
	if err := WriteFile(a.path("bundle.pem", nil), EncodeCertificates(bundle...)); err != nil {
		return err
	}
	if err := WriteFile(a.path("crl.pem", nil), lists.Bytes()); err != nil {
		return err
	}
	return a.save(x)
}

func (a *Authority) save(x *index) error {
	kept := x.Entries[:0]
	for _, e := range x.Entries {
		if a.now().Before(e.NotAfter.Add(keepExpired)) {
			kept = append(kept, e)
		}
	}
	x.Entries = kept
	data, err := json.MarshalIndent(x, "", " ")
	if err != nil {
		return err
	}
	return WriteFile(a.path("index.json", nil), data)
}

// list signs a revocation list. A root whose key was moved away keeps the list it has.
func (a *Authority) list(x *index, g *generation, name string, issuer *x509.Certificate, key crypto.Signer) error {
	if key == nil {
		if _, err := os.Stat(a.path(name+".crl", g)); err != nil {
			return fmt.Errorf("%s is missing: %w", a.path(name+".key", g), err)
		}
		return nil
	}
	t := &x509.RevocationList{Number: big.NewInt(g.Number), ThisUpdate: a.now().Add(-backdate), NextUpdate: a.now().Add(listLife)}
	if name == "root" {
		t.NextUpdate = a.now().Add(365 * day) // its key may be far away
	} else {
		for _, e := range x.Entries {
			if e.Generation == g.ID && !e.Revoked.IsZero() && a.now().Before(e.NotAfter) {
				n, _ := new(big.Int).SetString(e.Serial, 16) // parseIndex has seen to it
				t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: e.Revoked})
			}
		}
	}
	der, err := x509.CreateRevocationList(rand.Reader, t, issuer, key)
	if err != nil {
		return err
	}
	return WriteFile(a.path(name+".crl", g), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

func contains(list []*x509.Certificate, c *x509.Certificate) bool {
	for _, one := range list {
		if one.Equal(c) {
			return true
		}
	}
	return false
}
