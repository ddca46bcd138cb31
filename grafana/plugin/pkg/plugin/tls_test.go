package plugin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem, _ = a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue makes a certificate of a template, signed by a, or by itself as long as a is empty.
func (a *authority) issue(t *testing.T, template *x509.Certificate) (cert *x509.Certificate, key *ecdsa.PrivateKey, certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// serve is a server that wants a password, with a certificate of a template.
func (a *authority) serve(t *testing.T, template *x509.Certificate, clients *x509.CertPool) string {
	t.Helper()
	_, _, cert, key := a.issue(t, template)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	next := newFakeServer(t, nil).Config.Handler
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "grafana" || password != "hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		srv.TLS.ClientAuth, srv.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestTLSAndPasswords: what the settings can say of certificates and passwords,
// and what a person reads who got one wrong.
func TestTLSAndPasswords(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	here := func() *x509.Certificate {
		return &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"oriel.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	}
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	plain, mutual := a.serve(t, here(), nil), a.serve(t, here(), clients)
	expired := here()
	expired.NotBefore, expired.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	client := &x509.Certificate{Subject: pkix.Name{CommonName: "grafana"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	_, _, cert, key := a.issue(t, client)
	_, _, wrongCert, wrongKey := other.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "grafana"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	const ca, mtls = `{"tlsAuthWithCACert":true}`, `{"tlsAuthWithCACert":true,"tlsAuth":true}`
	for _, tt := range []struct {
		name, url, json string
		secrets         map[string]string
		want            string // of the health; a good one if empty
	}{
		{"good", plain, ca, map[string]string{"tlsCACert": a.pem}, ""},
		{"not verified", plain, `{"tlsSkipVerify":true}`, nil, ""},
		{"unknown CA", plain, "{}", nil, "signed by somebody unknown"},
		{"another CA", plain, ca, map[string]string{"tlsCACert": other.pem}, "signed by somebody unknown"},
		{"no CA in it", plain, ca, map[string]string{"tlsCACert": "x"}, "settings"},
		{"wrong password", plain, ca, map[string]string{"tlsCACert": a.pem, "basicAuthPassword": "hunter3"}, "refuses the credentials"},
		{"another name", a.serve(t, &x509.Certificate{DNSNames: []string{"oriel.example"}}, nil), ca, map[string]string{"tlsCACert": a.pem}, "of another name"},
		{"the name it has", a.serve(t, &x509.Certificate{DNSNames: []string{"oriel.example"}}, nil), `{"tlsAuthWithCACert":true,"serverName":"oriel.example"}`, map[string]string{"tlsCACert": a.pem}, ""},
		{"expired", a.serve(t, expired, nil), ca, map[string]string{"tlsCACert": a.pem}, "not valid"},
		{"client's certificate", mutual, mtls, map[string]string{"tlsCACert": a.pem, "tlsClientCert": cert, "tlsClientKey": key}, ""},
		{"no client's certificate", mutual, ca, map[string]string{"tlsCACert": a.pem}, "does it want a client certificate"},
		{"client's certificate of another CA", mutual, mtls, map[string]string{"tlsCACert": a.pem, "tlsClientCert": wrongCert, "tlsClientKey": wrongKey}, "does it want a client certificate"},
		{"key of another certificate", mutual, mtls, map[string]string{"tlsCACert": a.pem, "tlsClientCert": cert, "tlsClientKey": wrongKey}, "settings"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			secrets := map[string]string{"basicAuthPassword": "hunter2"}
			maps.Copy(secrets, tt.secrets)
			s := backend.DataSourceInstanceSettings{URL: tt.url, UID: "u", BasicAuthEnabled: true, BasicAuthUser: "grafana", JSONData: []byte(tt.json), DecryptedSecureJSONData: secrets}
			instance, err := New(t.Context(), s)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				d, _ := instance.(*Datasource)
				t.Cleanup(d.Dispose)
				h, herr := d.CheckHealth(t.Context(), &backend.CheckHealthRequest{})
				if herr != nil {
					t.Fatal(herr)
				}
				if got = h.Message; (h.Status == backend.HealthStatusOk) != (tt.want == "") {
					t.Errorf("health %+v", h)
				}
				answer := ask(t, d, dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
				if (answer.Error == nil) != (tt.want == "") || answer.Error != nil && !strings.Contains(answer.Error.Error(), tt.want) {
					t.Errorf("answer %+v; want %q", answer, tt.want)
				}
			}
			if !strings.Contains(got, tt.want) || strings.Contains(got, "hunter") || strings.Contains(got, "PRIVATE") {
				t.Errorf("it says %q; want %q", got, tt.want)
			}
		})
	}
}

// TestAnOlderServer does not know a key of the request: that is what the person reads.
func TestAnOlderServer(t *testing.T) {
	url := junk(t, 400, "application/json", []byte(`{"error":{"message":"json: unknown field \"filters\""}}`))
	got := ask(t, newDatasource(t, url, "", nil), dataQuery("A", `{"rawSql":"SELECT 1"}`))["A"]
	if got.Error == nil || !strings.Contains(got.Error.Error(), "older than the plug-in") {
		t.Errorf("answer %+v", got)
	}
}

// TestTheServerGoesAwayAmidTheRows: the panel says so, and its neighbour of another range goes on.
func TestTheServerGoesAwayAmidTheRows(t *testing.T) {
	good := newFakeServer(t, nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"ref_id":"B"`) {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			good.Config.Handler.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "multipart/mixed; boundary=b")
		_, _ = io.WriteString(w, "--b\r\nContent-Type: "+arrowType+"\r\nOriel-Ref-Id: A\r\n\r\n\xff\xff\xff\xff\x10\x00")
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(srv.Close)
	b := dataQuery("B", `{"rawSql":"SELECT 1"}`)
	b.TimeRange.From = b.TimeRange.From.Add(-time.Hour)
	got := ask(t, newDatasource(t, srv.URL, "", nil), dataQuery("A", `{"rawSql":"SELECT 1"}`), b)
	if a := got["A"]; a.Error == nil || a.ErrorSource != backend.ErrorSourceDownstream {
		t.Errorf("A: %+v", a)
	}
	if got["B"].Error != nil || len(got["B"].Frames) != 1 {
		t.Errorf("B: %+v", got["B"])
	}
}
