package tunnels

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// asked are what a customer's dashboards ask the tenant proxy, in turn. START and
// END stand for times.
var asked = []string{
	"/api/v1/labels",
	"/api/v1/query?query=" + url.QueryEscape(`min by (tunnel_id) (vc_tls_cert_expiry)`),
	"/api/v1/query_range?step=15&start=START&end=END&query=" + url.QueryEscape(`avg by (phase) (vc_echo_duration_seconds)`),
	"/api/v1/query_range?step=15&start=START&end=END&query=" + url.QueryEscape(`ct_instance_service_latency_ms`),
	"/api/v1/series?match[]=" + url.QueryEscape(`{__name__=~"ct_instance_.*"}`),
	"/api/v1/label/tunnel_id/values",
	"/api/v1/metadata",
	"/metrics",
	"/api/v1/alerts",
}

// careless are what somebody at globex asks now and then, and does not get:
// another company's tunnels, a year by the second, and the provider's targets.
var careless = []string{
	"/api/v1/query?query=" + url.QueryEscape(`vc_ct_connected_clients{company_name="acme"}`),
	"/api/v1/query_range?step=1&start=START&end=END&query=" + url.QueryEscape(`vc_probe_success`),
	"/api/v1/targets",
}

const (
	pause  = 3 * time.Second
	errand = 10 // every so many turns, somebody is careless
	window = 15 * time.Minute
)

// customer asks through its guardian, again and again, whether or not anybody answers.
func (l *Lab) customer(ctx context.Context, company string) {
	client := &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", l.ports[company])
		}},
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for turn := 1; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		what, back := asked[turn%len(asked)], window
		if company == "globex" && turn%errand == 0 {
			what, back = careless[turn/errand%len(careless)], 365*day
		}
		l.ask(ctx, client, what, time.Now(), back)
	}
}

// ask is one request. That the tunnels are not up yet, or not any more, is no error here: metrics show it.
func (l *Lab) ask(ctx context.Context, client *http.Client, what string, now time.Time, back time.Duration) {
	what = strings.NewReplacer("START", strconv.FormatInt(now.Add(-back).Unix(), 10), "END", strconv.FormatInt(now.Unix(), 10)).Replace(what)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+what, nil)
	if err != nil {
		l.log.Error("customer", "err", fmt.Errorf("ask %q: %w", what, err))
		return
	}
	resp, err := client.Do(r)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}
