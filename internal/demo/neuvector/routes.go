package neuvector

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// gzipFrom is the size from which the controller compresses.
const gzipFrom = 1200

// routes are the paths of the API, below /v1.
func (c *Controller) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if trimmed := strings.TrimRight(r.URL.Path, "/"); trimmed != r.URL.Path && trimmed != "" {
			http.Redirect(w, r, trimmed, http.StatusMovedPermanently) //nolint:gosec // a simulator, as the real one does
			return
		}
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			if _, pattern := mux.Handler(&http.Request{Method: method, URL: r.URL}); pattern != "/" {
				fail(w, http.StatusMethodNotAllowed, 2, "Method not allowed")
				return
			}
		}
		fail(w, http.StatusNotFound, 1, "URL not found")
	})
	mux.HandleFunc("POST /v1/auth", c.auth.login)
	mux.HandleFunc("PATCH /v1/auth", c.auth.keepAlive)
	mux.HandleFunc("DELETE /v1/auth", c.auth.logout)
	get := func(path string, make func(w *World, q url.Values) any) {
		mux.HandleFunc("GET /v1/"+path, func(w http.ResponseWriter, r *http.Request) {
			c.mu.Lock()
			body, refused := c.body(r, func() any { return make(c.world, r.URL.Query()) })
			c.mu.Unlock()
			if refused != nil {
				fail(w, refused.status, refused.code, refused.text)
				return
			}
			write(w, r, body)
		})
	}
	get("eula", func(*World, url.Values) any {
		return map[string]any{"eula": map[string]bool{"accepted": true}, "bootstrap_password_command": ""}
	})
	get("selfapikey", func(*World, url.Values) any {
		name, _, _ := strings.Cut(c.cfg.APIKey, ":")
		return map[string]any{"apikey": map[string]any{
			"apikey_name": name, "apikey_secret": "", "description": "", "role": "reader", "role_domains": nil,
			"expiration_type": "oneyear", "expiration_hours": 0, "expiration_timestamp": time.Now().Add(300 * 24 * time.Hour).Unix(),
			"created_timestamp": 0, "created_by_entity": "admin",
		}, "global_permissions": []Permission{}}
	})
	c.infrastructure(get)
	c.scans(get)
	c.logs(get)
	mux.HandleFunc("GET /v1/scan/registry/{name}/images", c.images)
	mux.HandleFunc("GET /v1/enforcer/{id}/stats", c.stats(func(w *World) []string {
		return connected(w.Enforcers, func(e Enforcer) (string, bool) { return e.ID, e.ConnectionState == "connected" })
	}, true))
	mux.HandleFunc("GET /v1/controller/{id}/stats", c.stats(func(w *World) []string {
		return connected(w.Controllers, func(p ControllerPod) (string, bool) { return p.ID, p.ConnectionState == "connected" })
	}, false))
	mux.HandleFunc("GET /v1/fed/cluster/{id}/", c.forward)
	return mux
}

// body makes an answer, or takes the one made before. The caller holds the lock.
func (c *Controller) body(r *http.Request, make func() any) ([]byte, *failure) {
	const maxBodies = 512
	key := r.URL.Path + "?" + r.URL.RawQuery
	if body, ok := c.bodies[key]; ok {
		return body, nil
	}
	v := make()
	if f, ok := v.(failure); ok {
		return nil, &f
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, &failure{http.StatusInternalServerError, 55, "Server error"}
	}
	if len(c.bodies) < maxBodies {
		c.bodies[key] = body
	}
	return body, nil
}

type getFunc = func(path string, make func(w *World, q url.Values) any)

// infrastructure has the paths about the cluster itself.
func (c *Controller) infrastructure(get getFunc) {
	limited := c.cfg.Role != "reader" // such a role sees empty lists, not an error
	get("system/summary", func(w *World, _ url.Values) any {
		s := w.Summary
		if limited {
			s.Hosts, s.Controllers, s.Enforcers, s.DisconnectedEnforcers, s.Domains, s.Scanners = 0, 0, 0, 0, 0, 0
		}
		return map[string]any{"summary": s}
	})
	get("enforcer", func(w *World, q url.Values) any {
		list := w.Enforcers
		if limited {
			list = []Enforcer{}
		}
		return map[string]any{"enforcers": page(list, q)}
	})
	get("controller", func(w *World, q url.Values) any {
		list := w.Controllers
		if limited {
			list = []ControllerPod{}
		}
		return map[string]any{"controllers": page(list, q)}
	})
	get("host", func(w *World, q url.Values) any { return map[string]any{"hosts": page(w.Hosts, q)} })
	get("workload", func(w *World, q url.Values) any { return map[string]any{"workloads": page(w.Workloads, q)} })
	get("conversation", func(w *World, _ url.Values) any {
		return map[string]any{"conversations": w.Conversations, "endpoints": w.Endpoints}
	})
	for _, path := range []string{"admission/stats", "debug/admission_stats"} {
		get(path, func(w *World, _ url.Values) any {
			if !w.Kubernetes {
				return failure{http.StatusPreconditionFailed, 30, "Admission control is not supported on non-Kubernetes environment"}
			}
			return map[string]any{"stats": w.Admission}
		})
	}
	get("admission/state", func(w *World, _ url.Values) any {
		return map[string]any{"state": w.AdmissionState, "k8s_env": w.Kubernetes}
	})
	get("fed/member", func(w *World, _ url.Values) any { return w.Fed })
}

func (c *Controller) scans(get getFunc) {
	get("scan/registry", func(w *World, _ url.Values) any { return map[string]any{"summarys": w.Registries} })
	get("scan/platform", func(w *World, _ url.Values) any { return map[string]any{"platforms": w.Platforms} })
	get("scan/scanner", func(w *World, _ url.Values) any {
		if c.cfg.Role != "reader" {
			return map[string]any{"scanners": []Scanner{}}
		}
		return map[string]any{"scanners": w.Scanners}
	})
	get("scan/status", func(w *World, _ url.Values) any { return map[string]any{"status": w.ScanStatus} })
	get("system/score/metrics", func(w *World, _ url.Values) any { return w.Score })
}

func (c *Controller) logs(get getFunc) {
	threats := func(w *World, q url.Values) []Threat {
		return entries(w.Threats, q, func(t Threat) int64 { return t.ReportedTimestamp })
	}
	incidents := func(w *World, q url.Values) []Incident {
		return entries(w.Incidents, q, func(i Incident) int64 { return i.ReportedTimestamp })
	}
	violations := func(w *World, q url.Values) []Violation {
		return entries(w.Violations, q, func(v Violation) int64 { return v.ReportedTimestamp })
	}
	get("log/threat", func(w *World, q url.Values) any { return map[string]any{"threats": threats(w, q)} })
	get("log/incident", func(w *World, q url.Values) any { return map[string]any{"incidents": incidents(w, q)} })
	get("log/violation", func(w *World, q url.Values) any { return map[string]any{"violations": violations(w, q)} })
	get("log/security", func(w *World, q url.Values) any {
		return map[string]any{"incidents": incidents(w, q), "threats": threats(w, q), "violations": violations(w, q)}
	})
}

func (c *Controller) images(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	body, refused := c.body(r, func() any {
		list, ok := c.world.Images[r.PathValue("name")]
		if !ok {
			return failure{http.StatusNotFound, 7, "Object not found"}
		}
		return map[string]any{"images": page(list, r.URL.Query())}
	})
	c.mu.Unlock()
	if refused != nil {
		fail(w, refused.status, refused.code, refused.text)
		return
	}
	write(w, r, body)
}

// stats answers for a pod. An enforcer that is away is an RPC that fails, a controller is not found.
func (c *Controller) stats(reachable func(*World) []string, rpc bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		c.mu.Lock()
		s, ok := c.world.Stats[id]
		up := slices.Contains(reachable(c.world), id)
		body, err := json.Marshal(map[string]any{"id": id, "read_at": stamp(time.Now()), "stats": s}) // while the figures stand still
		c.mu.Unlock()
		switch {
		case !up && rpc:
			fail(w, http.StatusInternalServerError, 24, "Fail to make the RPC call")
		case !up || !ok:
			fail(w, http.StatusNotFound, 7, "Object not found")
		case err != nil:
			fail(w, http.StatusInternalServerError, 55, "Server error")
		default:
			write(w, r, body)
		}
	}
}

// forward is how the primary of a federation answers for a managed cluster.
func (c *Controller) forward(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	c.mu.Lock()
	joint := c.joints[id]
	status := ""
	for _, j := range c.world.Fed.JointClusters {
		if j.ID == id {
			status = j.Status
		}
	}
	c.mu.Unlock()
	if joint == nil {
		fail(w, http.StatusBadRequest, 37, "Authentication failed on remote cluster")
		return
	}
	if status == "disconnected" {
		fail(w, http.StatusInternalServerError, 38, "Request to remote cluster failed")
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/v1/fed/cluster/"+id)
	if strings.HasPrefix(path, "/v1/fed/") && path != "/v1/fed/member" {
		fail(w, http.StatusForbidden, 25, "Object access denied")
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = path
	joint.mu.Lock()
	joint.calls[path]++
	joint.mu.Unlock()
	joint.mux.ServeHTTP(w, inner)
}

func connected[T any](list []T, state func(T) (string, bool)) []string {
	var ids []string
	for _, v := range list {
		if id, up := state(v); up {
			ids = append(ids, id)
		}
	}
	return ids
}

// page obeys start and limit.
func page[T any](list []T, q url.Values) []T {
	start, _ := strconv.Atoi(q.Get("start"))
	limit, _ := strconv.Atoi(q.Get("limit"))
	if start <= 0 && limit <= 0 {
		return list
	}
	start = min(max(start, 0), len(list))
	list = list[start:]
	if limit > 0 && limit < len(list) {
		list = list[:limit]
	}
	return list
}

// entries filters a log by time, newest first, before it is paged.
func entries[T any](list []T, q url.Values, at func(T) int64) []T {
	from := int64(0)
	if since, err := strconv.ParseInt(q.Get("f_since"), 10, 64); err == nil {
		from = since
	}
	if op, value, ok := strings.Cut(q.Get("f_reported_timestamp"), ","); ok && op == "gte" {
		if since, err := strconv.ParseInt(value, 10, 64); err == nil {
			from = since
		}
	}
	kept := []T{}
	for _, v := range list {
		if at(v) >= from {
			kept = append(kept, v)
		}
	}
	sort.SliceStable(kept, func(i, j int) bool { return at(kept[i]) > at(kept[j]) })
	return page(kept, q)
}

// failure is an answer that is an error.
type failure struct {
	status, code int
	text         string
}

func fail(w http.ResponseWriter, status, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, _ := json.Marshal(map[string]any{"code": code, "error": text, "message": text}) // texts and a number
	_, _ = w.Write(body)
}

func answer(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, 55, "Server error")
		return
	}
	write(w, r, body)
}

// write compresses as the controller does: only for a token gzip without a space before it.
func write(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	if len(body) <= gzipFrom || !slices.Contains(strings.Split(r.Header.Get("Accept-Encoding"), ","), "gzip") {
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	gz, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is valid
	_, _ = gz.Write(body)
	_ = gz.Close()
}

// stamp is how the controller writes a time.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
