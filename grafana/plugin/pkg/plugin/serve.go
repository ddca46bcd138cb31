package plugin

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/backend/httpclient"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
	"github.com/grafana/grafana-plugin-sdk-go/backend/tracing"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Serve speaks Grafana's protocol until Grafana ends it. All of it is the SDK's
// but the answers to queries: the SDK makes Go values of a server's Arrow, and
// Arrow of them again, which costs many times what reading costs. Here they
// stay Arrow.
func Serve() error {
	backend.SetupPluginEnvironment(ID)
	if err := backend.SetupTracer(ID, tracing.Opts{}); err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	m := &manager{datasource.NewInstanceManager(New)}
	server, err := dataServer(m, prometheus.DefaultRegisterer) //nolint:forbidigo // the SDK's own, of which it makes the plug-in's metrics
	if err != nil {
		return err
	}
	return backend.Manage(ID, backend.ServeOpts{
		CheckHealthHandler: m, CallResourceHandler: m,
		ExtraPlugins: goplugin.PluginSet{"data": &grpcplugin.DataGRPCPlugin{DataServer: server}},
	})
}

// dataServer is the SDK's server of queries, with answers as they came; it
// counts requests in a registry.
func dataServer(m *manager, to prometheus.Registerer) (pluginv2.DataServer, error) {
	opts, err := backend.GRPCServeOpts(backend.ServeOpts{
		CheckHealthHandler: m, QueryDataHandler: m, QueryChunkedDataHandler: m,
		HandlerMiddlewares: chain(to),
	})
	if err != nil {
		return nil, err
	}
	return &passing{opts.DataServer, &tidy{free: freeMemory}}, nil
}

// passing puts the Arrow of answers where the SDK would have written frames.
type passing struct {
	pluginv2.DataServer
	tidy *tidy
}

// passed is Arrow by the query's reference.
type passed struct {
	mu    sync.Mutex
	arrow map[string][]byte
}

type passedKey struct{}

func (p *passed) put(ref string, arrow []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrow[ref] = arrow
}

func (s *passing) QueryData(ctx context.Context, req *pluginv2.QueryDataRequest) (*pluginv2.QueryDataResponse, error) {
	if req.GetFormat() != pluginv2.DataFrameFormat_ARROW {
		return s.DataServer.QueryData(ctx, req) // newer Grafana may want JSON
	}
	p := &passed{arrow: map[string][]byte{}}
	resp, err := s.DataServer.QueryData(context.WithValue(ctx, passedKey{}, p), req)
	if err != nil {
		return nil, err
	}
	size := 0
	for ref, arrow := range p.arrow {
		size += len(arrow)
		if r := resp.Responses[ref]; r != nil && r.Error == "" {
			r.Frames = [][]byte{arrow}
		}
	}
	s.tidy.after(size)
	return resp, nil
}

// QueryChunkedData is the SDK's; the parts of an answer may come to much.
func (s *passing) QueryChunkedData(req *pluginv2.QueryChunkedDataRequest, stream grpc.ServerStreamingServer[pluginv2.QueryChunkedDataResponse]) error {
	defer s.tidy.after(largeAnswer)
	return s.DataServer.QueryChunkedData(req, stream)
}

// manager finds the data source that a call is for.
type manager struct{ instancemgmt.InstanceManager }

func (m *manager) of(ctx context.Context, p backend.PluginContext) (*Datasource, error) {
	i, err := m.Get(ctx, tenant(ctx, p))
	if err != nil {
		return nil, err
	}
	d, ok := i.(*Datasource)
	if !ok {
		return nil, status.Errorf(codes.Internal, "a data source of type %T", i)
	}
	return d, nil
}

func (m *manager) QueryData(ctx context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	d, err := m.of(ctx, req.PluginContext)
	if err != nil { // wrong settings: each panel says so
		resp := backend.NewQueryDataResponse()
		for _, q := range req.Queries {
			resp.Responses[q.RefID] = failure(backend.StatusBadRequest, err.Error())
		}
		return resp, nil
	}
	return d.QueryData(forward(ctx, req.GetHTTPHeaders()), req)
}

func (m *manager) QueryChunkedData(ctx context.Context, req *backend.QueryChunkedDataRequest, w backend.ChunkedDataWriter) error {
	d, err := m.of(ctx, req.PluginContext)
	if err != nil {
		return err
	}
	return d.QueryChunkedData(forward(ctx, req.GetHTTPHeaders()), req, w)
}

func (m *manager) CheckHealth(ctx context.Context, req *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	d, err := m.of(ctx, req.PluginContext)
	if err != nil {
		return &backend.CheckHealthResult{Status: backend.HealthStatusError, Message: err.Error()}, nil //nolint:nilerr // that is how health is told
	}
	return d.CheckHealth(ctx, req)
}

func (m *manager) CallResource(ctx context.Context, req *backend.CallResourceRequest, sender backend.CallResourceResponseSender) error {
	d, err := m.of(ctx, req.PluginContext)
	if err != nil {
		return send(sender, http.StatusBadRequest, err.Error())
	}
	return d.CallResource(ctx, req, sender)
}

// forward lets the identity of who asks go along, where the settings want that.
func forward(ctx context.Context, headers http.Header) context.Context {
	if len(headers) == 0 {
		return ctx
	}
	return httpclient.WithContextualMiddleware(ctx, httpclient.MiddlewareFunc(func(opts httpclient.Options, next http.RoundTripper) http.RoundTripper {
		if !opts.ForwardHTTPHeaders {
			return next
		}
		return httpclient.RoundTripperFunc(func(r *http.Request) (*http.Response, error) {
			for name, values := range headers {
				if r.Header.Get(name) == "" {
					r.Header[name] = values
				}
			}
			return next.RoundTrip(r)
		})
	}))
}
