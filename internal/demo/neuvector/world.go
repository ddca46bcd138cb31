package neuvector

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// ringSize is how many entries of each log the controller keeps.
const ringSize = 4096

// World is the data of one cluster. A test may fill it by hand; Size.World makes one.
type World struct {
	Kubernetes     bool
	Summary        Summary
	Enforcers      []Enforcer
	Controllers    []ControllerPod
	Stats          map[string]*Stats // by id of the pod
	Hosts          []Host
	Admission      AdmissionStats
	AdmissionState *AdmissionState
	Workloads      []Workload
	Conversations  []Conversation
	Endpoints      []Workload
	Registries     []Registry
	Images         map[string][]Image // by name of the registry
	Platforms      []Platform
	Scanners       []Scanner
	ScanStatus     ScanStatus
	Threats        []Threat
	Incidents      []Incident
	Violations     []Violation
	Fed            Membership
	Score          map[string]any

	rand     *rand.Rand
	critical bool // whether scans tell critical from high (5.6)
	old      bool // whether there is no field critical at all (5.3)
	ids      int
	restless bool
	elapsed  time.Duration
}

// Size says how large a world is.
type Size struct {
	Seed                 uint64
	Version              string // of the API, see Config
	Hosts, Unreachable   int    // one enforcer each; so many of them do not answer
	Services, Workloads  int    // pods are on top: one each three containers
	Registries, Images   int    // images in all
	Threats, Incidents   int
	Violations, Scanners int
	Restless             bool // whether the last enforcer goes away for seven minutes of every twelve
}

// DemoSize is the size of the demo's cluster.
func DemoSize() Size {
	return Size{
		Seed: 1, Version: "5.6", Hosts: 4, Unreachable: 0, Services: 12, Workloads: 48, Registries: 2, Images: 60,
		Threats: 8, Incidents: 12, Violations: 20, Scanners: 2, Restless: true,
	}
}

// World makes a world of this size as of now. The same seed makes the same names and numbers.
func (s Size) World(now time.Time) *World {
	w := &World{
		Kubernetes: true, restless: s.Restless, Stats: map[string]*Stats{}, Images: map[string][]Image{},
		rand:     rand.New(rand.NewPCG(s.Seed, 7)), //nolint:gosec // the same names each time
		critical: s.Version == "" || s.Version == "5.6", old: s.Version == "5.3",
		AdmissionState: &AdmissionState{
			Enable: true, Mode: "protect", DefaultAction: "allow", AdmClientMode: "service", AdmSvcType: "ClusterIP", FailurePolicy: "ignore",
			AdmClientModeOptions: map[string]string{"service": "neuvector-svc-admission-webhook.neuvector.svc"}, CtrlStates: map[string]bool{"validate": true}, CfgType: "user_created",
		},
		Admission: AdmissionStats{Allowed: 1200, Denied: 3, Erroneous: 1, Ignored: 80},
		Fed:       Membership{LocalRestInfo: RestInfo{}},
	}
	db := stamp(now.Add(-26 * time.Hour))
	w.nodes(s, now)
	w.services(s, now, db)
	w.registries(s, now, db)
	for range s.Scanners {
		id := w.id("scanner")
		w.Scanners = append(w.Scanners, Scanner{
			ID: id, CVEDBVersion: "4.012", CVEDBCreateTime: db, JoinedTimestamp: now.Add(-72 * time.Hour).Unix(), Server: "10.42.0.9", Port: 18402,
			ScannedContainers: 40 + w.rand.IntN(40), ScannedHosts: s.Hosts, ScannedImages: s.Images / max(1, s.Scanners),
		})
	}
	w.ScanStatus = ScanStatus{Scanned: s.Workloads, Scheduled: 2, Scanning: 1, CVEDBVersion: "4.012", CVEDBCreateTime: db}
	w.Platforms = []Platform{{Platform: "Kubernetes", KubeVersion: "1.33.4", ScanBrief: w.brief(now, db, 1, 3, 8)}}
	w.Summary = Summary{
		Hosts: s.Hosts, Controllers: len(w.Controllers), Enforcers: s.Hosts, DisconnectedEnforcers: s.Unreachable, Domains: 5,
		Workloads: len(w.Workloads) + 4, RunningWorkloads: len(w.Workloads), RunningPods: len(w.Workloads) / 4, Services: s.Services, PolicyRules: 40 + s.Services,
		Scanners: s.Scanners, Platform: "Kubernetes", KubeVersion: "1.33.4", CVEDBVersion: "4.012", CVEDBCreateTime: db, ComponentVersions: []string{s.version() + ".0"},
	}
	w.Score = map[string]any{"security_scores": map[string]any{
		"security_risk_score": 38, "service_mode_score": 12, "exposure_score": 6, "vulnerability_score": 14, "admission_rule_score": 0,
		"privileged_container_score": 2, "run_as_root_score": 3, "new_service_mode_score": 1,
	}, "metrics": map[string]any{"platform": "Kubernetes"}, "ingress": []any{}, "egress": []any{}}
	for range s.Threats {
		w.addThreat(now.Add(-time.Duration(w.rand.IntN(7200)) * time.Second))
	}
	for range s.Incidents {
		w.addIncident(now.Add(-time.Duration(w.rand.IntN(7200)) * time.Second))
	}
	for range s.Violations {
		w.addViolation(now.Add(-time.Duration(w.rand.IntN(7200)) * time.Second))
	}
	return w
}

func (s Size) version() string {
	if s.Version == "" {
		return "5.6"
	}
	return s.Version
}

func (w *World) id(kind string) string {
	w.ids++
	return fmt.Sprintf("%s-%08x-%d", kind, w.rand.Uint32(), w.ids)
}

// brief is a finished scan as the world's version tells it: before 5.6 what is critical counts as high.
func (w *World) brief(at time.Time, db string, critical, high, medium int) ScanBrief {
	b := ScanBrief{
		Status: "finished", High: high, Medium: medium, Result: "succeeded", ScannedTimestamp: at.Unix(), ScannedAt: stamp(at),
		BaseOS: "debian:12", ScannerVersion: "4.012", CVEDBCreateTime: db, Critical: &critical,
	}
	switch {
	case w.old:
		b.Critical, b.High = nil, critical+high
	case !w.critical:
		b.Critical, b.High = new(int), critical+high
	}
	return b
}

func (w *World) nodes(s Size, now time.Time) {
	old := stamp(now.Add(-20 * 24 * time.Hour))
	for i := range s.Hosts {
		name := fmt.Sprintf("node%d", i+1)
		scan := w.brief(now.Add(-time.Hour), stamp(now.Add(-26*time.Hour)), w.rand.IntN(2), w.rand.IntN(4), w.rand.IntN(9))
		w.Hosts = append(w.Hosts, Host{
			Name: name, ID: name + ":H", Runtime: "containerd", RuntimeVersion: "1.7.27", RuntimeAPIVersion: "v1", Platform: "Kubernetes", OS: "SUSE Linux Enterprise Server 15 SP6",
			Kernel: "6.4.0", CPUs: 8, Memory: 32 << 30, CgroupVersion: 2, Containers: 40, Pods: 20, State: "connected", CapKubeBench: true,
			PolicyMode: "Discover", ProfileMode: "Discover", ScanSummary: &scan, Labels: map[string]string{}, Annotations: map[string]string{},
			Interfaces: map[string][]HostIP{"eth0": {{IP: fmt.Sprintf("192.168.1.%d", 10+i%200), IPPrefix: 24}}},
		})
		e := Enforcer{
			ID: fmt.Sprintf("enf%d", i+1), Name: fmt.Sprintf("k8s_neuvector-enforcer-pod_%d", i+1), DisplayName: fmt.Sprintf("neuvector-enforcer-pod-%d", i+1),
			HostName: name, HostID: name + ":H", Version: s.version() + ".0", Domain: "neuvector", NetworkMode: "default", CreatedAt: old, StartedAt: old, JoinedAt: old,
			ClusterIP: fmt.Sprintf("10.0.1.%d", i%250), ConnectionState: "connected", NVProtect: true,
		}
		if i >= s.Hosts-s.Unreachable {
			e.ConnectionState, e.DisconnectedAt = "disconnected", stamp(now.Add(-time.Hour))
		}
		w.Enforcers = append(w.Enforcers, e)
		w.Stats[e.ID] = w.metry(5_000_000_000)
	}
	for i := range 3 {
		host := w.Hosts[i%len(w.Hosts)]
		p := ControllerPod{
			ID: fmt.Sprintf("ctl%d", i+1), Name: fmt.Sprintf("k8s_neuvector-controller-pod_%d", i+1), DisplayName: fmt.Sprintf("neuvector-controller-pod-%d", i+1),
			HostName: host.Name, HostID: host.ID, Version: s.version() + ".0", Domain: "neuvector", CreatedAt: old, StartedAt: old, JoinedAt: old, Labels: map[string]string{},
			ClusterIP: fmt.Sprintf("10.0.0.%d", i+1), Leader: i == 0, ConnectionState: "connected", OrchConnStatus: "connected",
		}
		w.Controllers = append(w.Controllers, p)
		w.Stats[p.ID] = w.metry(0)
	}
}

func (w *World) metry(bytes uint64) *Stats {
	m := Metry{CPU: 0.01 + 0.03*w.rand.Float64(), Memory: 128<<20 + w.rand.Uint64N(64<<20)}
	s := &Stats{Interval: 5, Span1: m, Span12: m, Span60: m}
	if bytes > 0 {
		s.Total = Metry{ByteIn: bytes, ByteOut: bytes * 6 / 5, PacketIn: bytes / 900, PacketOut: bytes / 800, SessionIn: 1200, SessionOut: 800, CurSessionIn: 12, CurSessionOut: 8}
	}
	return s
}

var (
	serviceNames = []string{"web", "api", "db", "cart", "login", "search", "mail", "queue", "billing", "images", "audit", "edge"}
	domainNames  = []string{"shop", "core", "payments", "staging"}
)

func (w *World) services(s Size, now time.Time, db string) {
	for i := range s.Workloads {
		n := i % s.Services
		service, domain := serviceNames[n%len(serviceNames)], domainNames[n%len(domainNames)]
		if n >= len(serviceNames) {
			service = fmt.Sprintf("%s%d", service, n/len(serviceNames))
		}
		host := w.Hosts[i%len(w.Hosts)]
		// What an image has, all its replicas have: the numbers follow from the service alone.
		scan := w.brief(now.Add(-time.Hour), db, n%4, (n*5)%23, (n*11)%61)
		mode := []string{"Discover", "Monitor", "Protect"}[n%3]
		base := Workload{
			ImageID: fmt.Sprintf("sha256:%064x", n+1), Image: fmt.Sprintf("registry.example/%s/%s:1.%d", domain, service, n), HostName: host.Name, HostID: host.ID,
			Domain: domain, Service: service + "." + domain, ServiceGroup: "nv." + service + "." + domain, CapSniff: true, HasDatapath: true, CapQuarantine: true,
			CapChangeMode: true, PolicyMode: mode, ProfileMode: mode, State: map[string]string{"Discover": "discover", "Monitor": "monitor", "Protect": "protect"}[mode],
			BaselineProfile: "zero-drift", Children: []Workload{},
		}
		pod := fmt.Sprintf("%s-%d", service, i)
		parent, container := base, base
		parent.ID, parent.Name, parent.DisplayName, parent.PodName = fmt.Sprintf("p%06d", i), "k8s_POD_"+pod, pod, pod
		parent.ScanSummary = &ScanBrief{}
		if !w.old {
			parent.ScanSummary.Critical = new(int)
		}
		container.ID, container.Name, container.DisplayName, container.PodName = fmt.Sprintf("w%06d", i), "k8s_"+pod, pod, pod
		container.ShareNSWith, container.ScanSummary, container.RunAsRoot, container.Privileged = parent.ID, &scan, n%5 == 0, n%11 == 0
		if i%3 == 0 {
			w.Workloads = append(w.Workloads, parent)
		} else {
			container.ShareNSWith = "" // outside Kubernetes a container stands alone
		}
		w.Workloads = append(w.Workloads, container)
		w.Endpoints = append(w.Endpoints, container)
		w.Endpoints[len(w.Endpoints)-1].Kind = "container"
	}
	for i := range min(len(w.Endpoints)-1, 400) {
		w.addConversation(w.Endpoints[i].ID, w.Endpoints[i+1].ID, now)
	}
	if len(w.Endpoints) > 0 {
		w.addConversation(w.Endpoints[0].ID, "external", now)
	}
}

func (w *World) addConversation(from, to string, now time.Time) {
	entry := func(port, app string, bytes uint64) Entry {
		return Entry{Port: port, Application: app, Bytes: bytes, Sessions: 1, PolicyAction: "allow", ClientIP: "10.42.0.5", ServerIP: "10.42.0.6", LastSeenAt: now.Unix()}
	}
	c := Conversation{
		From: from, To: to, PolicyAction: "allow", Protocols: []string{"tcp"}, Applications: []string{"HTTP"}, EventType: []string{},
		Entries: []Entry{entry("", "HTTP", 10000+w.rand.Uint64N(90000))},
	}
	if w.rand.IntN(2) == 0 {
		c.Ports = []string{"tcp/8080"}
		c.Entries = append(c.Entries, entry("tcp/8080", "", 1000+w.rand.Uint64N(9000)))
	}
	for _, e := range c.Entries {
		c.Bytes += e.Bytes
		c.Sessions += e.Sessions
	}
	w.Conversations = append(w.Conversations, c)
}

func (w *World) registries(s Size, now time.Time, db string) {
	for r := range s.Registries {
		name := fmt.Sprintf("registry%d", r+1)
		for i := r; i < s.Images; i += s.Registries {
			scan := w.brief(now.Add(-2*time.Hour), db, w.rand.IntN(6), w.rand.IntN(40), w.rand.IntN(120))
			w.Images[name] = append(w.Images[name], Image{
				Repository: fmt.Sprintf("team%d/%s", i%7, serviceNames[i%len(serviceNames)]), Tag: fmt.Sprintf("1.%d", i), ImageID: fmt.Sprintf("sha256:%064x", i+1),
				Digest: fmt.Sprintf("sha256:d%063x", i+1), Size: 50 << 20, RunAsRoot: i%3 == 0, CreatedAt: stamp(now.Add(-90 * 24 * time.Hour)), ScanBrief: scan,
			})
		}
		w.Registries = append(w.Registries, Registry{
			Name: name, RegistryType: "Docker Registry", Registry: "https://" + name + ".example/", Filters: []string{"*"}, RescanAfterDBUpdate: true,
			Schedule: Schedule{Schedule: "auto"}, CfgType: "user_created", Status: "idle", Scanned: len(w.Images[name]), Failed: r, CVEDBVersion: "4.012", CVEDBCreateTime: db,
		})
	}
}
