package plugin

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
	"github.com/grafana/grafana-plugin-sdk-go/backend/tracing"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// chain is what the SDK lays around the other calls (its serve.go,
// defaultHandlerMiddlewares), in its order. Two of the SDK's own cannot be had:
// headers and tenants, which manager sees to (forward, tenant). Its recording of
// HTTP traffic for Grafana's support is not here.
func chain(to prometheus.Registerer) []backend.HandlerMiddleware {
	return []backend.HandlerMiddleware{
		backend.HandlerMiddlewareFunc(newAttributes),
		backend.NewTracingMiddleware(tracing.DefaultTracer()),
		backend.NewMetricsMiddleware(beside{to}, "grafana", false),
		backend.NewLoggerMiddleware(backend.Logger, nil),
		backend.NewAlertForwarderMiddleware(),
		backend.NewErrorSourceMiddleware(),
	}
}

// beside registers a metric that is there already: the SDK's chain counts the
// calls to its endpoints in grafana_plugin_request_total, and this one to its own.
type beside struct{ prometheus.Registerer }

func (b beside) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		b.Registerer.MustRegister(undescribed{c})
	}
}

// undescribed does not say before what it collects, so that it may be a part of a family.
type undescribed struct{ prometheus.Collector }

func (undescribed) Describe(chan<- *prometheus.Desc) {}

// attributes puts into each line of the log whose request it is of.
type attributes struct{ backend.BaseHandler }

func newAttributes(next backend.Handler) backend.Handler {
	return &attributes{backend.NewBaseHandler(next)}
}

func (a *attributes) of(ctx context.Context, p backend.PluginContext) context.Context {
	list := []any{"pluginId", p.PluginID, "pluginVersion", p.PluginVersion, "endpoint", string(backend.EndpointFromContext(ctx))}
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		list = append(list, "traceId", id.String())
	}
	if s := p.DataSourceInstanceSettings; s != nil {
		list = append(list, "dsName", s.Name, "dsUid", s.UID)
	}
	if p.User != nil {
		list = append(list, "uname", p.User.Name)
	}
	return log.WithContextualAttributes(ctx, append(list, log.ContextualAttributesFromIncomingContext(ctx)...))
}

func (a *attributes) QueryData(ctx context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	return a.BaseHandler.QueryData(a.of(ctx, req.PluginContext), req)
}

func (a *attributes) QueryChunkedData(ctx context.Context, req *backend.QueryChunkedDataRequest, w backend.ChunkedDataWriter) error {
	return a.BaseHandler.QueryChunkedData(a.of(ctx, req.PluginContext), req, w)
}

// tenant keeps the data sources of one tenant of a hosted Grafana apart from
// those of others, as the SDK does for its own calls.
func tenant(ctx context.Context, p backend.PluginContext) backend.PluginContext {
	md, _ := metadata.FromIncomingContext(ctx)
	if id := md.Get("tenantID"); len(id) > 0 && id[0] != "" {
		p.Namespace = id[0] + "/" + p.Namespace // a part of the key that they are kept by
	}
	return p
}

// calm runs something in a goroutine of its own: gRPC catches the panics of its
// goroutines only, and one panic would end the answers to everybody.
func calm(ctx context.Context, do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			backend.Logger.FromContext(ctx).Error("panic", "error", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = backend.PluginError(fmt.Errorf("the plug-in stumbled over the answer: %.200v", r))
		}
	}()
	return do()
}
