// Package influx is a simulated InfluxDB 2 that takes lines: its write API with
// token, organization and bucket, gzip, precision, field types and the errors of
// the real one, and hours at which it has too much to do.
package influx

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config is what the receiver is made of.
type Config struct {
	Token, Organization, Bucket string
	// MaxBody is how many unpacked bytes a request may have; 50 MB if 0, as there.
	MaxBody int64
	// BusyEvery and BusyFor say when it answers 503: for so long at the end of each such time. Never if 0.
	BusyEvery, BusyFor time.Duration
}

// RetryAfter is what a busy receiver asks for.
const RetryAfter = 5 * time.Second

const (
	maxSeries   = 1 << 17 // remembered; a demo has a few thousand
	defaultBody = 50_000_000
)

// Receiver is the server. It keeps the newest point of each series.
type Receiver struct {
	cfg      Config
	log      *slog.Logger
	began    time.Time
	listener net.Listener

	mu     sync.Mutex // guards what follows
	types  map[fieldKey]string
	points map[string]Point
	lines  uint64
}

// fieldKey is a field of a measurement, which has one type for good.
type fieldKey struct{ measurement, field string }

// Point is one line as the server understood it.
type Point struct {
	Measurement string
	Tags        map[string]string
	Fields      map[string]any // int64, uint64, float64, string or bool
	Time        time.Time
}

// New returns a receiver that does not listen yet.
func New(cfg Config, log *slog.Logger) *Receiver {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultBody
	}
	return &Receiver{cfg: cfg, log: log, began: time.Now(), types: map[fieldKey]string{}, points: map[string]Point{}}
}

// Open listens on a free port of this machine.
func (r *Receiver) Open(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("demo influx: %w", err)
	}
	r.listener = l
	return nil
}

// URL is where it listens, once it is open.
func (r *Receiver) URL() string { return "http://" + r.listener.Addr().String() }

// Run serves until ctx is done.
func (r *Receiver) Run(ctx context.Context) error {
	srv := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(r.log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(r.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("demo influx: %w", err)
	case <-ctx.Done():
		err := srv.Close()
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}
}

// Lines returns how many lines have been taken.
func (r *Receiver) Lines() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// Point returns the newest point of a series: the measurement and its tags as
// line protocol has them, sorted.
func (r *Receiver) Point(series string) (Point, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.points[series]
	return p, ok
}

// ServeHTTP answers as InfluxDB 2 does.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("X-Influxdb-Build", "OSS")
	w.Header().Set("X-Influxdb-Version", "v2.7.12")
	switch req.URL.Path {
	case "/ping":
		w.WriteHeader(http.StatusNoContent)
	case "/health":
		reply(w, http.StatusOK, map[string]any{"name": "influxdb", "message": "ready for queries and writes", "status": "pass", "checks": []string{}, "version": "v2.7.12", "commit": "ec9dcde5d6"})
	case "/api/v2/write":
		r.write(w, req)
	default:
		fail(w, http.StatusNotFound, "not found", "path not found")
	}
}

// write is POST /api/v2/write. What is wrong is told in the server's own order.
func (r *Receiver) write(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	switch {
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		fail(w, http.StatusMethodNotAllowed, "method not allowed", "allow: POST")
		return
	case !r.authorized(req.Header.Get("Authorization")):
		fail(w, http.StatusUnauthorized, "unauthorized", "unauthorized access")
		return
	case r.busy(time.Now()):
		w.Header().Set("Retry-After", strconv.Itoa(int(RetryAfter/time.Second)))
		fail(w, http.StatusServiceUnavailable, "unavailable", "server is overloaded")
		return
	case q.Get("org") != r.cfg.Organization:
		fail(w, http.StatusNotFound, "not found", fmt.Sprintf("organization name %q not found", q.Get("org")))
		return
	case q.Get("bucket") != r.cfg.Bucket:
		fail(w, http.StatusNotFound, "not found", fmt.Sprintf("bucket %q not found", q.Get("bucket")))
		return
	}
	precision, ok := precisions[q.Get("precision")]
	if !ok {
		fail(w, http.StatusBadRequest, "invalid", "invalid precision; valid precision units are ns, us, ms, and s")
		return
	}
	body, err := r.body(req)
	switch {
	case errors.Is(err, errTooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "request too large", fmt.Sprintf("unable to read data: %v", err))
		return
	case err != nil:
		fail(w, http.StatusBadRequest, "invalid", fmt.Sprintf("unable to read data: %v", err))
		return
	}
	points, err := parse(body, precision, time.Now())
	if err != nil { // not one line of the batch is taken then
		fail(w, http.StatusBadRequest, "invalid", err.Error())
		return
	}
	if conflict, dropped := r.take(points); dropped > 0 {
		fail(w, http.StatusUnprocessableEntity, "unprocessable entity", fmt.Sprintf("failure writing points to database: partial write: %s dropped=%d", conflict, dropped))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) authorized(header string) bool {
	scheme, token, _ := strings.Cut(header, " ")
	return (strings.EqualFold(scheme, "Token") || strings.EqualFold(scheme, "Bearer")) &&
		subtle.ConstantTimeCompare([]byte(token), []byte(r.cfg.Token)) == 1
}

func (r *Receiver) busy(now time.Time) bool {
	if r.cfg.BusyEvery <= 0 {
		return false
	}
	return now.Sub(r.began)%r.cfg.BusyEvery >= r.cfg.BusyEvery-r.cfg.BusyFor
}

// take stores points; one whose field has another type than before is dropped whole.
func (r *Receiver) take(points []linePoint) (conflict string, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range points {
		if clash := r.clash(p.Point); clash != "" {
			conflict, dropped = clash, dropped+1
			continue
		}
		for field, value := range p.Fields {
			if len(r.types) < maxSeries {
				r.types[fieldKey{p.Measurement, field}] = typeOf(value)
			}
		}
		old, ok := r.points[p.series]
		switch {
		case !ok && len(r.points) >= maxSeries:
			continue
		case ok && old.Time.Equal(p.Time): // another line of the same point
			for field, value := range old.Fields {
				if _, newer := p.Fields[field]; !newer {
					p.Fields[field] = value
				}
			}
		}
		if !ok || !p.Time.Before(old.Time) {
			r.points[p.series] = p.Point
		}
		r.lines++
	}
	return conflict, dropped
}

func (r *Receiver) clash(p Point) string {
	for field, value := range p.Fields {
		if was, ok := r.types[fieldKey{p.Measurement, field}]; ok && was != typeOf(value) {
			return fmt.Sprintf("field type conflict: input field %q on measurement %q is type %s, already exists as type %s", field, p.Measurement, typeOf(value), was)
		}
	}
	return ""
}

func fail(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, map[string]any{"code": code, "message": message})
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away is told nothing
}
