package neuvector

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Workload is a container, or a pod, as of the last reading: a row of neuvector_workloads.
type Workload struct {
	Time       time.Time `parquet:"time,timestamp(microsecond:local)"` // when it was read
	Cluster    string    `parquet:"cluster,dict"`
	ID         string    `parquet:"id"`
	Name       string    `parquet:"name"`
	Pod        string    `parquet:"pod"`
	Namespace  string    `parquet:"namespace,dict"`
	Service    string    `parquet:"service,dict"`
	Host       string    `parquet:"host,dict"`
	Image      string    `parquet:"image,dict"`
	ImageID    string    `parquet:"image_id,dict"`
	State      string    `parquet:"state,dict"`
	PolicyMode string    `parquet:"policy_mode,dict"`
	ScanStatus string    `parquet:"scan_status,dict"`
	ScannedAt  time.Time `parquet:"scanned_at,optional,timestamp(microsecond:local)"` // zero if it was not scanned
	Critical   int64     `parquet:"critical"`
	High       int64     `parquet:"high"`
	Medium     int64     `parquet:"medium"`
	IsPod      bool      `parquet:"is_pod"` // a pod has no vulnerabilities of its own, its containers have
	Privileged bool      `parquet:"privileged"`
	RunAsRoot  bool      `parquet:"run_as_root"`
	Sidecar    bool      `parquet:"sidecar"`
}

// Workloads returns the containers and pods of all clusters, as of the last reading.
func (c *Collector) Workloads() []Workload {
	var all []Workload
	for _, cl := range c.all() {
		cl.mu.Lock()
		all = append(all, cl.workloads...)
		cl.mu.Unlock()
	}
	return all
}

// workload is what we read of one.
type workload struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	Display    string `json:"display_name"`
	Pod        string `json:"pod_name"`
	Domain     string `json:"domain"`
	Service    string `json:"service"`
	Host       string `json:"host_name"`
	Image      string `json:"image"`
	ImageID    string `json:"image_id"`
	State      string `json:"state"`
	Mode       string `json:"policy_mode"`
	Parent     string `json:"share_ns_with"`
	Privileged bool   `json:"privileged"`
	Root       bool   `json:"run_as_root"`
	Sidecar    bool   `json:"service_mesh_sidecar"`
	Scan       *scan  `json:"scan_summary"`
}

// readWorkloads reads all pods and containers. Only containers count: what a
// pod says of its vulnerabilities depends on whether somebody has looked at
// the controller's dashboard.
func (cl *cluster) readWorkloads(ctx context.Context, p *page) error {
	list, err := list[workload](ctx, cl, groupWorkloads, "workload", "/workload", "workloads", url.Values{"brief": {"true"}})
	if err != nil && len(list) == 0 {
		return err // no zeros that nobody has counted
	}
	parents := map[string]bool{}
	for i := range list {
		if parent := list[i].Parent; parent != "" {
			parents[parent] = true
		}
	}
	now := time.Now()
	rows := make([]Workload, 0, len(list))
	var total tally
	worst := map[string]*worstOf{}
	for i := range list {
		w := &list[i]
		isPod := parents[w.ID]
		rows = append(rows, w.row(cl.name, now, isPod))
		if isPod {
			continue
		}
		total.count(w)
		if w.State == "exit" || w.Sidecar || w.Scan == nil || w.Service == "" {
			continue
		}
		if s := worst[w.Service]; s == nil {
			worst[w.Service] = &worstOf{service: w.Service, domain: w.Domain, scan: w.Scan}
		} else if w.Scan.worse(s.scan) {
			s.scan = w.Scan
		}
	}
	total.show(p, cl)
	cl.topServices(p, worst)
	cl.mu.Lock()
	if err == nil || cl.workloads == nil {
		cl.workloads = rows
	}
	cl.mu.Unlock()
	return err
}

func (w *workload) row(cluster string, now time.Time, isPod bool) Workload {
	r := Workload{
		Time: now, Cluster: cluster, ID: w.ID, Name: w.Display, Pod: w.Pod, Namespace: w.Domain, Service: w.Service, Host: w.Host, Image: w.Image, ImageID: w.ImageID,
		State: w.State, PolicyMode: w.Mode, IsPod: isPod, Privileged: w.Privileged, RunAsRoot: w.Root, Sidecar: w.Sidecar,
	}
	if r.Name == "" {
		r.Name = w.Name
	}
	if s := w.Scan; s != nil && !isPod {
		r.ScanStatus, r.Critical, r.High, r.Medium = s.Status, int64(s.critical()), int64(s.High), int64(s.Medium)
		r.ScannedAt = unix(s.At)
	}
	return r
}

// unix is the time of whole seconds, zero for none.
func unix(seconds float64) time.Time {
	if !(seconds > 0 && seconds < 1e11) {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// tally counts containers.
type tally struct {
	states, scans    map[string]int
	modes            map[string]string // of services
	privileged, root int
	vulns            scan
	critical         float64
	toldCritical     bool
}

var (
	workloadStateNames = []string{"exit", "unmanaged", "discover", "monitor", "protect", "quarantined"}
	scanStatusNames    = []string{"idle", "scheduled", "scanning", "finished", "failed", "unsupported"}
	modeNames          = []string{"discover", "monitor", "protect"}
)

func (t *tally) count(w *workload) {
	if t.states == nil {
		t.states, t.scans, t.modes = map[string]int{}, map[string]int{}, map[string]string{}
	}
	t.states[oneOf(w.State, workloadStateNames...)]++
	if w.State == "exit" {
		return
	}
	if w.Service != "" {
		t.modes[w.Service] = oneOf(w.Mode, modeNames...)
	}
	if w.Privileged {
		t.privileged++
	}
	if w.Root {
		t.root++
	}
	status := "idle"
	if w.Scan != nil {
		if w.Scan.Status != "" {
			status = w.Scan.Status
		}
		t.vulns.High += w.Scan.High
		t.vulns.Medium += w.Scan.Medium
		t.critical += w.Scan.critical()
		t.toldCritical = t.toldCritical || w.Scan.Critical != nil
	}
	t.scans[oneOf(status, scanStatusNames...)]++
}

func (t *tally) show(p *page, cl *cluster) {
	for _, s := range workloadStateNames {
		p.set(&workloadStates, float64(t.states[s]), "cluster", cl.name, "state", s)
	}
	for _, s := range scanStatusNames {
		p.set(&containerScans, float64(t.scans[s]), "cluster", cl.name, "status", s)
	}
	modes := map[string]int{}
	for _, m := range t.modes {
		modes[m]++
	}
	for _, m := range modeNames {
		p.set(&serviceModes, float64(modes[m]), "cluster", cl.name, "mode", m)
	}
	p.set(&privileged, float64(t.privileged), "cluster", cl.name)
	p.set(&asRoot, float64(t.root), "cluster", cl.name)
	if t.toldCritical {
		t.vulns.Critical = &t.critical
	}
	cl.vulns(p, &containerVulns, &t.vulns)
}

// worstOf is a service with its worst container: replicas have the same
// vulnerabilities, so a sum would count each as often as there are replicas.
type worstOf struct {
	service, domain string
	scan            *scan
}

func (cl *cluster) topServices(p *page, worst map[string]*worstOf) {
	list := make([]*worstOf, 0, len(worst))
	for _, s := range worst {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *worstOf) int {
		if a.scan.worse(b.scan) {
			return -1
		} else if b.scan.worse(a.scan) {
			return 1
		}
		return strings.Compare(a.service, b.service)
	})
	top := list[:min(len(list), cl.c.cfg.TopServices)]
	p.set(&folded, float64(len(list)-len(top)), "cluster", cl.name, "of", "service")
	for _, s := range top {
		cl.vulns(p, &serviceVulns, s.scan, "namespace", name(s.domain), "service", name(s.service))
		if s.scan.critical() != 0 || s.scan.High != 0 || s.scan.Medium != 0 {
			cl.official(p, &nvContainerCritical, &nvContainerHigh, &nvContainerMedium, s.scan, "service", name(s.service))
		}
	}
}

// flow is a pair of ends of traffic.
type flow struct{ from, to, port string }

// conversations reads who talks to whom. Each entry of a conversation counts
// once, by its port, or by its application where it has no port: the official
// exporter counts a conversation's total for each of its ports, and leaves out
// conversations without any.
func (cl *cluster) conversations(ctx context.Context, p *page) error {
	byPort, byPair, ends, err := cl.readConversations(ctx)
	if err != nil {
		return err
	}
	shown := cl.top(p, "conversation", byPort)
	for f, bytes := range shown {
		p.set(&nvConversation, bytes, "from", name(f.from), "port", name(f.port), "target", cl.target, "to", name(f.to))
	}
	pairs := map[flow]float64{}
	for f, bytes := range byPair {
		pairs[flow{from: ends.name(f.from), to: ends.name(f.to)}] += bytes
	}
	for f, bytes := range cl.top(p, "service_pair", pairs) {
		p.set(&conversation, bytes, "cluster", cl.name, "from", name(f.from), "to", name(f.to))
	}
	return nil
}

// top keeps the largest and puts the rest together as "other".
func (cl *cluster) top(p *page, of string, all map[flow]float64) map[flow]float64 {
	n := cl.c.cfg.TopConversations
	p.set(&folded, float64(max(0, len(all)-n)), "cluster", cl.name, "of", of)
	if len(all) <= n {
		return all
	}
	keys := make([]flow, 0, len(all))
	for f := range all {
		keys = append(keys, f)
	}
	slices.SortFunc(keys, func(a, b flow) int {
		return cmp.Or(cmp.Compare(all[b], all[a]), strings.Compare(a.from, b.from), strings.Compare(a.to, b.to), strings.Compare(a.port, b.port))
	})
	kept := map[flow]float64{}
	for i, f := range keys {
		if i < n {
			kept[f] += all[f]
		} else {
			kept[flow{"other", "other", "other"}] += all[f]
		}
	}
	return kept
}
