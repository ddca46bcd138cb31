package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/proctest"
	"github.com/orielhq/oriel/internal/tunnel/pki"
	"github.com/orielhq/oriel/internal/tunnel/proxyproto"
	"github.com/orielhq/oriel/internal/tunnel/trust"
)

const acme = `acme "1"`

var own = "match%5B%5D=" + url.QueryEscape(`{company_name="acme \"1\""}`)

// TestOnlyWhatWasUnderstoodTravels: every endpoint, by GET and POST, with parameters that try to be another company.
func TestOnlyWhatWasUnderstoodTravels(t *testing.T) {
	w := start(t, map[string]string{"/api/v1/rules": `{"status":"success","data":{"groups":[]}}`}, nil)
	up := "query=" + url.QueryEscape(`up{company_name="acme \"1\""}`)
	upMatch := "match%5B%5D=" + url.QueryEscape(`{__name__="up",company_name="acme \"1\""}`)
	for _, tt := range []struct{ head, body, want string }{
		{"GET /api/v1/query?query=up&company_name=other&time=5&evil=1", "", "POST /prom/api/v1/query " + up + "&time=5&timeout=30"},
		{"POST /api/v1/query", "query=up&timeout=2m", "POST /prom/api/v1/query " + up + "&timeout=30"},
		{"POST /api/v1/query?timeout=1s", "query=up", "POST /prom/api/v1/query " + up + "&timeout=1"},
		{"GET /api/v1/query_range?query=up&start=0&end=60&step=15s", "", "POST /prom/api/v1/query_range end=60&" + up + "&start=0&step=15s&timeout=30"},
		{"GET /api/v1/query_exemplars?query=up&start=0&end=60", "", "POST /prom/api/v1/query_exemplars end=60&" + up + "&start=0"},
		{"POST /api/v1/series?start=0&end=1", "match[]=up", "POST /prom/api/v1/series end=1&" + upMatch + "&start=0"},
		{"GET /api/v1/labels?start=0&end=1", "", "POST /prom/api/v1/labels end=1&" + own + "&start=0"},
		{"GET /api/v1/label/job/values?start=0&end=1", "", "GET /prom/api/v1/label/job/values end=1&" + own + "&start=0"},
		{"GET /api/v1/label/U__a_2e_b/values?start=0&end=1&match[]=up", "", "GET /prom/api/v1/label/U__a_2e_b/values end=1&" + upMatch + "&start=0"},
		{"GET /federate?match[]=up", "", "GET /prom/federate " + upMatch},
		{"GET /federate", "", "GET /prom/federate " + own},
		{"GET /api/v1/rules?match[]=x&type=alert", "", "GET /prom/api/v1/rules "},
		{"GET /api/v1/format_query?query=up", "", "POST /prom/api/v1/format_query query=up"},
	} {
		code, answer := w.raw(t, acme, tt.head, tt.body)
		if got := w.prom.last(); code != 200 || !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s: %d, asked %q; want %q\n%s", tt.head, code, got, tt.want, answer)
		}
	}
}

// TestNothingElseTravels: what is refused never reaches Prometheus.
func TestNothingElseTravels(t *testing.T) {
	w := start(t, nil, func(c *Config) { c.Limits.Body, c.Hide = 1000, []string{"instance"} })
	for _, tt := range []struct {
		head, body string
		want       int
	}{
		{"GET /api/v1/query?query=up{company_name=\"other\"}", "", 422},
		{"GET /api/v1/query?query=up{instance=\"x\"}", "", 422},
		{"GET /api/v1/query?query=label_replace(up,\"x\",\"$1\",\"instance\",\"(.*)\")", "", 422},
		{"GET /api/v1/query?query=sum%20by%20(instance)%20(up)", "", 422},
		{"GET /api/v1/query?query=info(up)", "", 400},
		{"GET /api/v1/query?query=up[99d]", "", 400},
		{"GET /api/v1/query", "", 400},
		{"POST /api/v1/query?query=up", "query=down", 400},
		{"POST /api/v1/query", "query=" + strings.Repeat("a", 1000), 413},
		{"GET /api/v1/query?query=up&timeout=NaN", "", 400},
		{"GET /api/v1/query_range?query=up&start=0&end=99999999&step=1h", "", 422},
		{"GET /api/v1/query_range?query=up&start=0&end=86400&step=1", "", 422},
		{"GET /api/v1/query_range?query=up&start=1e300&end=2e300&step=1", "", 400},
		{"GET /api/v1/series", "", 400},
		{"GET /api/v1/series?match[]={", "", 400},
		{"GET /api/v1/series?" + strings.Repeat("match[]=up&", 51), "", 400},
		{"GET /federate?match[]={company_name=~\"o.*\"}", "", 422},
		{"GET /api/v1/label/instance/values", "", 422},
		{"DELETE /api/v1/series?match[]=up", "", 405},
		{"POST /federate", "match[]=up", 405},
		{"POST /api/v1/read", "x", 404}, // labels are hidden
		{"GET /", "", 404},
		{"GET /api/v1/targets", "", 404},
		{"GET /api/v1/status/config", "", 404},
		{"GET /api/v1/status/flags", "", 404},
		{"GET /api/v1/status/tsdb", "", 404},
		{"POST /api/v1/admin/tsdb/delete_series?match[]=up", "", 404},
		{"POST /api/v1/write", "x", 404},
		{"GET /api/v1/query/", "", 404},
		{"GET /api/v1/label/a-b/values", "", 404},
		{"GET /api/v1/label/values", "", 404},
		{"POST /-/quit", "", 400},
		{"GET /prom/api/v1/query?query=up", "", 404},
		{"GET /graph", "", 404},
		{"GET /api/v1/label/..%2fquery/values", "", 400},
		{"GET /api/v1/label/..%252f..%252fadmin/values", "", 400},
		{"GET /api/v1/../v1/rules", "", 400},
		{"GET //api/v1/rules", "", 400},
		{"GET /api/v1//rules", "", 400},
		{"GET /api/v1/./rules", "", 400},
		{"GET /api/v1/%72ules", "", 400},
		{"GET /api/v1/rules%00", "", 400},
		{"GET /api/v1/rules%3f", "", 400},
		{"GET /api/v1/rules;a=b", "", 400},
		{`GET /api/v1/label/..\..\rules/values`, "", 400},
		{"GET /api/v1/label/%2e%2e/values", "", 400},
		{"GET /federate/../federate", "", 400},
		{"GET /api/v1/label/%c0%ae%c0%ae/values", "", 400},
		{"GET /api/v1/rules%23", "", 400},
		{"GET /api/v1/label/job%0d%0ax/values", "", 400},
		{"GET http://elsewhere/api/v1/targets", "", 404},
	} {
		code, answer := w.raw(t, acme, tt.head, tt.body)
		if code != tt.want {
			t.Errorf("%s: %d; want %d\n%s", tt.head, code, tt.want, answer)
		}
		if got := w.prom.last(); len(got) > 0 {
			t.Errorf("%s: %q reached Prometheus", tt.head, got)
		}
		if code != 0 && !strings.Contains(answer, `"status":"error"`) {
			t.Errorf("%s: no error that a JSON client understands: %s", tt.head, answer)
		}
	}
	if text := w.log.String(); strings.Contains(text, "label_replace") {
		t.Error("a query is in the log")
	}
}

func TestUnknownClientsAreRefused(t *testing.T) {
	w := start(t, nil, nil)
	for _, company := range []string{"", "nobody", "acme"} {
		if code, answer := w.raw(t, company, "GET /api/v1/query?query=up&company_name=other", ""); code != 403 {
			t.Errorf("company %q: %d %s", company, code, answer)
		}
	}
	c, err := net.Dial("tcp", w.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n") // no header
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if answer, _ := io.ReadAll(c); strings.Contains(string(answer), " 200 ") {
		t.Errorf("answered %q", answer)
	}
	if got := w.prom.last(); len(got) > 0 {
		t.Errorf("%q reached Prometheus", got)
	}
	if w.trusts(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) || !w.trusts(&net.UnixAddr{}) {
		t.Error("who may send a header is not held")
	}
	if n := w.strangers.all(); n["unknown_client"] != 3 || n["proxy_header"] != 1 {
		t.Errorf("counted %v", n)
	}
}

func get(t *testing.T, c *http.Client, target string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var from io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

const federated = `# TYPE vc_ct_enabled_status untyped
vc_ct_enabled_status{company_name="acme \"1\"",instance="10.0.0.1:9",note="a}b,company_name=\"other\""} 1 1700000000000
vc_ct_enabled_status{company_name="acme \"1\"",instance="10.0.0.2:9",note="a}b,company_name=\"other\""} 0 1700000000000
vc_ct_enabled_status{company_name="other",instance="10.0.0.2:9"} 1 1700000000000
vc_ct_enabled_status{instance="10.0.0.2:9",note="company_name=\"acme \\\"1\\\"\""} 1 1700000000000
# TYPE ct_x untyped
ct_x_bucket{company_name="acme \"1\"",le="+Inf"} 3 1700000000000
ct_x_sum{company_name="acme \"1\""} NaN 1700000000000
{"ct.y",company_name="acme \"1\"","a.b"="c"} +Inf 1700000000000
up 1 1700000000000
`

const metadataPage = `{"status":"success","data":{"ct_x":[{"type":"histogram","help":"X.","unit":""}],"secret_metric":[{"type":"gauge","help":"not theirs","unit":""}]}}`

func TestFederateAndMetrics(t *testing.T) {
	pages := map[string]string{
		"/federate": federated, "/api/v1/metadata": metadataPage,
		"/api/v1/label/__name__/values": `{"status":"success","data":["ct_x_bucket","ct_x_sum","vc_ct_enabled_status","unheard_of"]}`,
	}
	w := start(t, pages, nil)
	client := w.as(proxyproto.Header{Company: acme})
	want := `vc_ct_enabled_status{company_name="acme \"1\"",instance="10.0.0.1:9",note="a}b,company_name=\"other\""} 1
vc_ct_enabled_status{company_name="acme \"1\"",instance="10.0.0.2:9",note="a}b,company_name=\"other\""} 0
ct_x_bucket{company_name="acme \"1\"",le="+Inf"} 3
ct_x_sum{company_name="acme \"1\""} NaN
{"ct.y",company_name="acme \"1\"","a.b"="c"} +Inf
`
	for _, gz := range []string{"", "gzip"} {
		resp, page := get(t, client, "/federate", "Accept-Encoding", gz)
		if diff := cmp.Diff(want, page); diff != "" || resp.Header.Get("Content-Encoding") != gz {
			t.Errorf("/federate, gzip %q (-want +got):\n%s", gz, diff)
		}
	}
	lines := strings.SplitAfter(want, "\n")
	metrics := "# HELP vc_ct_enabled_status With a \\\\ and\\na line.\n# TYPE vc_ct_enabled_status gauge\n" + lines[0] + lines[1] +
		"# HELP ct_x X.\n# TYPE ct_x histogram\n" + lines[2] + lines[3] + lines[4]
	if _, page := get(t, client, "/metrics"); page != metrics {
		t.Errorf("/metrics (-want +got):\n%s", cmp.Diff(metrics, page))
	}
	if _, page := get(t, client, "/api/v1/metadata"); !strings.Contains(page, `"ct_x":[{"help":"X.","type":"histogram"`) || strings.Contains(page, "secret") || strings.Contains(page, "unheard") {
		t.Errorf("/api/v1/metadata = %s", page)
	}
	if _, page := get(t, client, "/api/v1/metadata?metric=ct_x&limit=5"); strings.Contains(page, "vc_ct") || !strings.Contains(page, "ct_x") {
		t.Errorf("/api/v1/metadata?metric= = %s", page)
	}
	if n := w.strangers.all()["foreign_series"]; n != 3*3 {
		t.Errorf("%d foreign series counted; want 9", n)
	}
	hidden := start(t, pages, func(c *Config) { c.Hide, c.Timestamps = []string{"instance"}, true })
	_, page := get(t, hidden.as(proxyproto.Header{Company: acme}), "/federate")
	first, _, _ := strings.Cut(page, "\n")
	if strings.Contains(page, "10.0.0") || strings.Count(page, "vc_ct_enabled_status") != 1 || !strings.HasSuffix(first, " 1 1700000000000") {
		t.Errorf("without instance, with times:\n%s", page)
	}
}

func TestAnswersAreFiltered(t *testing.T) {
	mine := `"labels":{"company_name":"acme \"1\"","instance":"10.0.0.1"}`
	pages := map[string]string{
		"/api/v1/rules": `{"status":"success","data":{"groups":[
			{"name":"a","file":"/etc/inner.yml","rules":[
				{"name":"Mine","type":"alerting",` + mine + `,"alerts":[{` + mine + `,"state":"firing","value":"1e+00"},{"labels":{"company_name":"other"},"state":"firing"}]},
				{"name":"Rec","type":"recording","lastError":"duplicate series {company_name=\"other\"}",` + mine + `},
				{"name":"Theirs","type":"alerting","labels":{"company_name":"other"},"alerts":[]},
				{"name":"Unlabelled","type":"recording"}]},
			{"name":"theirs","file":"x","rules":[{"name":"T2","type":"recording","labels":{"company_name":"other"}}]}]}}`,
		"/api/v1/alerts": `{"status":"success","data":{"alerts":[{` + mine + `,"state":"firing"},{"labels":{"company_name":"other"},"state":"firing"},{"state":"odd"}]}}`,
		"/api/v1/query":  `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","instance":"10.0.0.1"},"value":[1,"1"]}]}}`,
		"/api/v1/series": `{"status":"success","data":[{"__name__":"up","instance":"10.0.0.1","job":"j"}]}`,
		"/api/v1/labels": `{"status":"success","data":["__name__","instance","job"]}`,
	}
	w := start(t, pages, func(c *Config) { c.Hide = []string{"instance"} })
	client := w.as(proxyproto.Header{Company: acme})
	for target, want := range map[string]string{
		"/api/v1/rules":             `{"data":{"groups":[{"file":"","name":"a","rules":[{"alerts":[{"labels":{"company_name":"acme \"1\""},"state":"firing","value":"1e+00"}],"labels":{"company_name":"acme \"1\""},"name":"Mine","type":"alerting"},{"labels":{"company_name":"acme \"1\""},"lastError":"the rule could not be evaluated","name":"Rec","type":"recording"}]}]},"status":"success"}`,
		"/api/v1/rules?type=record": `{"data":{"groups":[{"file":"","name":"a","rules":[{"labels":{"company_name":"acme \"1\""},"lastError":"the rule could not be evaluated","name":"Rec","type":"recording"}]}]},"status":"success"}`,
		"/api/v1/alerts":            `{"data":{"alerts":[{"labels":{"company_name":"acme \"1\""},"state":"firing"}]},"status":"success"}`,
		"/api/v1/query?query=up":    `{"data":{"result":[{"metric":{"__name__":"up"},"value":[1,"1"]}],"resultType":"vector"},"status":"success"}`,
		"/api/v1/series?match[]=up": `{"data":[{"__name__":"up","job":"j"}],"status":"success"}`,
		"/api/v1/labels":            `{"data":["__name__","job"],"status":"success"}`,
		"/api/v1/status/buildinfo":  `{"data":{"branch":"","buildDate":"","buildUser":"","goVersion":"","revision":"","version":"2.42.0"},"status":"success"}`,
	} {
		if _, page := get(t, client, target, "Accept-Encoding", "gzip"); strings.TrimSpace(page) != want {
			t.Errorf("%s (-want +got):\n%s", target, cmp.Diff(want, strings.TrimSpace(page)))
		}
	}
	// What Prometheus says of an error may quote a series.
	w.prom.mu.Lock()
	w.prom.code = 422
	w.prom.pages["/api/v1/query"] = `{"status":"error","errorType":"execution","error":"found duplicate series {instance=\"10.0.0.1\"}","warnings":["{instance=\"10.0.0.1\"}","slow"]}`
	w.prom.mu.Unlock()
	resp, page := get(t, client, "/api/v1/query?query=up")
	if code := resp.StatusCode; code != 422 || strings.Contains(page, "10.0.0.1") || !strings.Contains(page, `"execution"`) || !strings.Contains(page, `"slow"`) {
		t.Errorf("%d %s", code, page)
	}
}

func TestLimits(t *testing.T) {
	w := start(t, map[string]string{"/api/v1/alerts": strings.Repeat(" ", 300_000), "/api/v1/series": strings.Repeat("x", 300_000)}, func(c *Config) {
		c.Limits.CompanyConcurrent, c.Limits.Response = 2, 100_000
		c.Companies[1].Rate = 1
	})
	if code, answer := w.raw(t, acme, "GET /api/v1/alerts", ""); code != 422 || !strings.Contains(answer, "larger than 100000") {
		t.Errorf("too large an answer: %d %s", code, answer)
	}
	// One that turns out too large on the way is cut off, and the client sees that it is not whole.
	if resp, err := w.as(proxyproto.Header{Company: acme}).Get("http://x/api/v1/series?match[]=up"); err != nil {
		t.Error(err)
	} else if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes, whole", n)
	}
	w.prom.mu.Lock()
	w.prom.hold = make(chan struct{})
	w.prom.mu.Unlock()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { w.raw(t, acme, "GET /api/v1/labels", "") })
	}
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		n := w.companies[0].now.Load()
		return n == 2, fmt.Sprint(n)
	})
	if code, answer := w.raw(t, acme, "GET /api/v1/labels", ""); code != 429 || !strings.Contains(answer, "Retry-After: 2") {
		t.Errorf("the third at once: %d %s", code, answer)
	}
	w.prom.mu.Lock()
	close(w.prom.hold)
	w.prom.hold = nil
	w.prom.mu.Unlock()
	wg.Wait()
	codes := map[int]int{}
	for range 5 {
		code, _ := w.raw(t, "other", "GET /api/v1/labels", "")
		codes[code]++
	}
	if codes[200] < 2 || codes[429] < 2 {
		t.Errorf("5 requests at 1 per second: %v", codes)
	}
}

// TestCertificates: without a gateway, the tenant is in the client's own certificate, and a revoked one is cut.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	ca, err := pki.Init(filepath.Join(dir, "ca"), "oriel.test", "")
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	issue := func(name string, o pki.Order) {
		chain, key, err := ca.Issue("", o)
		if err != nil {
			t.Fatal(err)
		}
		_ = pki.WriteFile(file(name+".key"), key)
		_ = pki.WriteFile(file(name+".crt"), pki.EncodeCertificates(chain...))
	}
	issue("s", pki.Order{Profile: "tunnel-server", Name: "s1", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	issue("acme", pki.Order{Profile: "guardian", Name: "g1", Company: "acme"})
	issue("stranger", pki.Order{Profile: "guardian", Name: "g1", Company: "stranger"})
	w := start(t, nil, func(c *Config) {
		c.ProxyProtocol, c.Reload = false, conf.Duration(100*time.Millisecond)
		c.CertFile, c.KeyFile, c.CAFile, c.CRLFile = file("s.crt"), file("s.key"), file("ca/bundle.pem"), file("ca/crl.pem")
		c.Companies = []Company{{Name: acme, Allow: []trust.Identity{{URI: "spiffe://oriel.test/company/acme/*"}}}}
	})
	roots := x509.NewCertPool()
	pem, _ := pki.ReadFile(file("ca/bundle.pem"))
	roots.AppendCertsFromPEM(pem)
	as := func(name string) (*http.Client, *tls.Config) {
		settings := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
		if name != "" {
			pair, err := tls.LoadX509KeyPair(file(name+".crt"), file(name+".key"))
			if err != nil {
				t.Fatal(err)
			}
			settings.Certificates = []tls.Certificate{pair}
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}, settings
	}
	target := "https://" + w.Addr() + "/api/v1/query?query=up"
	mine, settings := as("acme")
	resp, err := mine.Get(target)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	if got := w.prom.last(); len(got) != 1 || !strings.Contains(got[0], url.QueryEscape(`up{company_name="acme \"1\""}`)) {
		t.Errorf("asked %q", got)
	}
	stranger, _ := as("stranger")
	if resp, err := stranger.Get(target); err != nil || resp.StatusCode != 403 {
		t.Errorf("a certificate of no company: %v %v", resp, err)
	}
	nobody, _ := as("")
	if resp, err := nobody.Get(target); err == nil {
		t.Errorf("no certificate: %v", resp)
	}
	open, err := tls.Dial("tcp", w.Addr(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	_, _ = io.WriteString(open, "GET /api/v1/labels HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = open.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := open.Read(make([]byte, 4096)); n == 0 {
		t.Fatal(err)
	}
	if _, err := ca.Revoke("spiffe://oriel.test/company/acme/guardian/g1"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, open); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("an open connection of a revoked certificate goes on")
	}
	if resp, err := mine.Get(target); err == nil && resp.StatusCode == 200 {
		t.Error("a revoked certificate is served")
	}
}

func TestGatewaysCertificate(t *testing.T) {
	w := start(t, nil, func(c *Config) {
		c.Companies = []Company{{Name: "acme", Allow: []trust.Identity{{O: "acme"}}}, {Name: "b", Allow: []trust.Identity{{O: "both*"}}}, {Name: "c", Allow: []trust.Identity{{O: "both*"}}}}
	})
	ca, err := pki.Init(filepath.Join(t.TempDir(), "ca"), "oriel.test", "")
	if err != nil {
		t.Fatal(err)
	}
	for company, want := range map[string]int{"acme": 200, "other": 403, "both": 403} {
		chain, _, err := ca.Issue("", pki.Order{Profile: "guardian", Name: "g1", Company: company})
		if err != nil {
			t.Fatal(err)
		}
		// The name that the gateway says is not enough where the certificate is asked for.
		h := proxyproto.Header{From: netip.MustParseAddrPort("192.0.2.1:1"), To: netip.MustParseAddrPort("192.0.2.1:2"), Version: "TLS 1.3", Cert: chain[0].Raw, Company: "acme"}
		if resp, page := get(t, w.as(h), "/api/v1/labels"); resp.StatusCode != want {
			t.Errorf("%s: %d %s; want %d", company, resp.StatusCode, page, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"proxy_protocol":        func(c *Config) { c.CertFile = "x" },
		"cert_file":             func(c *Config) { c.ProxyProtocol, c.CertFile = false, "x" },
		"trusted_proxies":       func(c *Config) { c.Listen = ":9598" },
		"trusted_proxies[0]":    func(c *Config) { c.TrustedProxy = []string{"x"} },
		"upstream":              func(c *Config) { c.Upstream = "http://u:p@x:1" },
		"label":                 func(c *Config) { c.Label = "__name__" },
		"hide":                  func(c *Config) { c.Hide = []string{"company_name"} },
		"metrics[0]":            func(c *Config) { c.Metrics = []string{"{"} },
		"companies":             func(c *Config) { c.Companies = nil },
		"companies[1].name":     func(c *Config) { c.Companies[1].Name = c.Companies[0].Name },
		"companies[0].allow[0]": func(c *Config) { c.Companies[0].Allow = []trust.Identity{{}} },
		"limits":                func(c *Config) { c.Limits.Points = 0 },
	} {
		c := config("http://x:1")
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("%v; want an error of %s", err, want)
		}
	}
	if err := config("http://x:1").Validate(); err != nil {
		t.Error(err)
	}
}
