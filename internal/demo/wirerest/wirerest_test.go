package wirerest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const token = "admin"

func newTest(t *testing.T, peers ...Peer) (*Server, string) {
	t.Helper()
	cfg := Config{Interface: "wg0", Token: token, Address: netip.MustParsePrefix("10.0.0.1/24"), ListenPort: 51820}
	if len(peers) > 0 {
		cfg.Peers = func(context.Context) ([]Peer, error) { return peers, nil }
	}
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv.URL
}

// call asks with the token and decodes the answer.
func call(t *testing.T, method, address, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	return resp.StatusCode, v
}

func free(t *testing.T, base string) float64 {
	t.Helper()
	_, v := call(t, http.MethodGet, base+"/v1/service/stats", "")
	return v["freeV4Ips"].(float64)
}

func TestWhoMayPass(t *testing.T) {
	_, base := newTest(t)
	for _, tt := range []struct {
		path, header string
		want         int
	}{
		{"/v1/peers", "", 403},
		{"/v1/peers", "Bearer admin", 200},
		{"/v1/peers", "Bearer wrong", 403},
		{"/v1/peers", "Sesame admin", 200}, // any word of six letters, as in the real one
		{"/v1/peers", "Basic admin", 403},
		{"/v1/peers?token=admin", "", 200},
		{"/actuator/prometheus", "", 403},
		{"/swagger-ui", "", 200},
		{"/v3/api-docs", "", 200},
		{"/nowhere", "Bearer admin", 404},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+tt.path, nil)
		if tt.header != "" {
			r.Header.Set("Authorization", tt.header)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s with %q: %d; want %d", tt.path, tt.header, resp.StatusCode, tt.want)
		}
		if tt.want == 403 && strings.TrimSpace(string(body)) != `{"code":403,"message":"Token is invalid or not provided"}` {
			t.Errorf("refusal = %s", body)
		}
	}
}

func TestPeersComeAndGo(t *testing.T) {
	s, base := newTest(t)
	if got := free(t, base); got != 253 {
		t.Errorf("free = %v; want 253 of an empty /24", got)
	}
	status, made := call(t, http.MethodPost, base+"/v1/peers", "")
	if status != 201 || !isKey(made["publicKey"].(string)) || !isKey(made["privateKey"].(string)) || !isKey(made["presharedKey"].(string)) {
		t.Fatalf("POST = %d, %v; want 201 and three keys", status, made)
	}
	key := made["publicKey"].(string)
	q := "?publicKey=" + url.QueryEscape(key)
	s.Grow(key, 7, 9)
	_, found := call(t, http.MethodGet, base+"/v1/peers/find"+q, "")
	want := map[string]any{
		"publicKey": key, "presharedKey": made["presharedKey"], "endpoint": nil, "allowedSubnets": []any{"10.0.0.2/32"},
		"latestHandshake": 0.0, "transferRx": 7.0, "transferTx": 9.0, "persistentKeepalive": 0.0,
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("find (-want +got):\n%s", diff)
	}
	if got := free(t, base); got != 252 {
		t.Errorf("free = %v; want 252", got)
	}
	// The sign is wrong on an update: three addresses more taken, three more free.
	if status, _ = call(t, http.MethodPatch, base+"/v1/peers"+q+"&allowedIps=10.0.0.8/30", ""); status != 200 || free(t, base) != 255 {
		t.Errorf("PATCH = %d, free %v; want 255", status, free(t, base))
	}
	if status, _ = call(t, http.MethodDelete, base+"/v1/peers"+q, ""); status != 200 {
		t.Errorf("DELETE = %d", status)
	}
	if status, _ = call(t, http.MethodDelete, base+"/v1/peers"+q, ""); status != 404 {
		t.Errorf("second DELETE = %d; want 404", status)
	}
	if status, _ = call(t, http.MethodGet, base+"/v1/peers?limit=-1", ""); status != 400 {
		t.Errorf("limit -1 = %d; want 400", status)
	}
}

func TestPages(t *testing.T) {
	_, base := newTest(t)
	for range 5 {
		call(t, http.MethodPost, base+"/v1/peers", "")
	}
	_, v := call(t, http.MethodGet, base+"/v1/peers?limit=2&page=2&sort=publicKey.asc", "")
	if v["totalPages"] != 3.0 || v["currentPage"] != 2.0 || len(v["content"].([]any)) != 1 {
		t.Errorf("page 2 of 2 each = %v", v)
	}
	if _, v = call(t, http.MethodGet, base+"/v1/peers", ""); len(v["content"].([]any)) != 5 {
		t.Errorf("without a limit: %v", v)
	}
}

func TestStartRefusesSubnetOutside(t *testing.T) {
	for _, subnet := range []string{"0.0.0.0/0", "192.168.0.0/24"} {
		_, err := New(t.Context(), Config{Interface: "wg0", Address: netip.MustParsePrefix("10.0.0.1/24"), Peers: func(context.Context) ([]Peer, error) {
			return []Peer{{PublicKey: "x", AllowedSubnets: []netip.Prefix{netip.MustParsePrefix(subnet)}}}, nil
		}})
		if err == nil {
			t.Errorf("started with a peer of %s", subnet)
		}
	}
	_, base := newTest(t, Peer{PublicKey: "x", AllowedSubnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.8/29")}})
	if got := free(t, base); got != 252 {
		t.Errorf("free = %v; want 252: a /29 counts as one address at the start", got)
	}
}

// TestMetricsAreMicrometers: the spelling is the odd one, and parsers take it.
func TestMetricsAreMicrometers(t *testing.T) {
	_, base := newTest(t, Peer{PublicKey: "x", TransferRx: 5, TransferTx: 6})
	call(t, http.MethodGet, base+"/v1/interface", "")
	resp, err := http.Get(base + "/actuator/prometheus?token=" + token)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	for _, line := range []string{
		`wirerest_peers_total{application="WireRest-wg0",} 1.0`,
		`wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="receive",} 5.0`,
		`wirerest_network_transmit_bytes_total{application="WireRest-wg0",type="transfer",} 6.0`,
		`http_server_requests_seconds_count{application="WireRest-wg0",error="none",exception="none",method="GET",outcome="SUCCESS",status="200",uri="/v1/interface",} 1.0`,
	} {
		if !strings.Contains(string(body), line+"\n") {
			t.Errorf("the page lacks %s:\n%s", line, body)
		}
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(string(body))); err != nil {
		t.Error(err)
	}
}
