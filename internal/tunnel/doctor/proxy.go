package doctor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/probe"
)

// maxAnswer bounds what the proxy says.
const maxAnswer = 1 << 20

// seriesQuery counts what a company may see of its tunnels.
const seriesQuery = `count({__name__=~"vc_.*|ct_.*"})`

// proxy asks the tenant proxy whether it is there, whether it knows us, and
// whether it has anything to show us.
func (e *examination) proxy(ctx context.Context, t probe.Target) {
	status, _, err := ask(ctx, t, e.patient, "/api/v1/status/buildinfo")
	if err != nil && cut(err) {
		e.bad(StepProxy, "proxy_closed", err, cutFix(e.patient))
		return
	}
	if err != nil {
		e.bad(StepProxy, "proxy_error", err, "What stands at the tunnel's end does not speak HTTP: correct the gateway's `targets`, it should lead to the tenant proxy.")
		return
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.bad(StepProxy, "proxy_identity", fmt.Errorf("status %d", status),
			"The tenant proxy does not know whose this certificate is: name its identity and company in the proxy's configuration, and let the gateway send the PROXY protocol (`proxy_protocol: {out: true}`).")
		return
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		e.bad(StepProxy, "proxy_upstream", fmt.Errorf("status %d", status), "The tenant proxy does not reach the provider's Prometheus: start it, or correct the proxy's upstream.")
		return
	case status != http.StatusOK:
		e.bad(StepProxy, "proxy_error", fmt.Errorf("status %d", status), "This is no tenant proxy: correct the gateway's `targets`.")
		return
	}
	status, body, err := ask(ctx, t, e.patient, "/api/v1/query?query="+url.QueryEscape(seriesQuery))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		e.bad(StepProxy, "proxy_upstream", err, "The tenant proxy answers, but its queries fail: is the provider's Prometheus up, and the proxy's upstream right?")
		return
	}
	n, err := count(body)
	switch {
	case err != nil:
		e.bad(StepProxy, "proxy_error", err, "The answer is not that of a Prometheus: correct the proxy's upstream.")
	case n == "":
		e.bad(StepProxy, "proxy_empty", errors.New("no series of this company"),
			"The proxy knows us, but has no tunnel to show: the label company_name of the provider's series is spelt differently, or nothing is probed yet.")
	default:
		e.add(StepProxy, Good, "%s series to be seen", n)
	}
}

// ask sends one request through a connection of its own.
func ask(ctx context.Context, t probe.Target, p Patient, path string) (status int, body []byte, err error) {
	conn, r := probe.Dial(ctx, t)
	if r.Err != nil {
		return 0, nil, fmt.Errorf("%s: %w", r.Step, r.Err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = conn.SetDeadline(time.Time{})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(p.Host, p.Port)+path, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Close = true
	if err := req.Write(conn); err != nil {
		return 0, nil, fmt.Errorf("send request: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxAnswer)), req)
	if err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// count reads the one value of an answer to seriesQuery; "" if there is none.
func count(body []byte) (string, error) {
	var answer struct {
		Status string
		Data   struct {
			Result []struct{ Value []any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", errors.New("the answer is not JSON")
	}
	if answer.Status != "success" {
		return "", errors.New("the query failed")
	}
	if len(answer.Data.Result) == 0 || len(answer.Data.Result[0].Value) != 2 {
		return "", nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	if len(text) > 20 {
		return "", errors.New("the answer is not a count")
	}
	return text, nil
}
