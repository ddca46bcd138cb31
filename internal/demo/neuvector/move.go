package neuvector

import (
	"fmt"
	"time"
)

// Step lets the given time pass: traffic is inspected, pods are admitted,
// something suspicious happens, an enforcer goes away and comes back. at is its end.
func (w *World) Step(at time.Time, passed time.Duration) {
	if w.rand == nil {
		return // filled by hand
	}
	if w.elapsed += passed; w.restless && len(w.Enforcers) > 1 {
		phase := w.elapsed % (12 * time.Minute)
		w.Disconnect(len(w.Enforcers)-1, phase > time.Minute && phase < 8*time.Minute, at)
	}
	seconds := passed.Seconds()
	for i := range w.Enforcers {
		e := &w.Enforcers[i]
		if e.ConnectionState != "connected" {
			continue
		}
		s := w.Stats[e.ID]
		in := uint64(seconds * (200_000 + 400_000*w.rand.Float64()))
		s.Total.ByteIn += in
		s.Total.ByteOut += in * 6 / 5
		s.Total.PacketIn += in / 900
		s.Total.PacketOut += in / 800
		s.Total.SessionIn += w.rand.Uint32N(9)
		s.Total.SessionOut += w.rand.Uint32N(5)
		s.Total.CurSessionIn, s.Total.CurSessionOut = w.rand.Uint32N(40), w.rand.Uint32N(20)
		s.Span1 = Metry{CPU: 0.01 + 0.05*w.rand.Float64(), Memory: 128<<20 + w.rand.Uint64N(64<<20), ByteIn: in, ByteOut: in * 6 / 5}
	}
	for i := range w.Controllers {
		w.Stats[w.Controllers[i].ID].Span1 = Metry{CPU: 0.02 + 0.04*w.rand.Float64(), Memory: 400<<20 + w.rand.Uint64N(64<<20)}
	}
	w.Admission.Allowed += w.rand.Uint64N(4)
	w.Admission.Ignored += w.rand.Uint64N(2)
	if w.rand.IntN(8) == 0 {
		w.Admission.Denied++
	}
	for i := range w.Conversations {
		c := &w.Conversations[i]
		more := w.rand.Uint64N(5000)
		c.Entries[0].Bytes += more
		c.Bytes += more
		c.Entries[0].LastSeenAt = at.Unix()
	}
	switch w.rand.IntN(8) {
	case 0:
		w.addThreat(at)
	case 1, 2:
		w.addIncident(at)
	case 3, 4, 5:
		w.addViolation(at)
	}
}

// Disconnect takes an enforcer away, or brings it back.
func (w *World) Disconnect(i int, away bool, at time.Time) {
	e := &w.Enforcers[i]
	if away == (e.ConnectionState == "disconnected") {
		return
	}
	if away {
		e.ConnectionState, e.DisconnectedAt = "disconnected", stamp(at)
		w.Summary.DisconnectedEnforcers++
		return
	}
	e.ConnectionState, e.DisconnectedAt = "connected", ""
	w.Summary.DisconnectedEnforcers--
}

func (w *World) common(at time.Time, name, level string) LogCommon {
	e := w.Enforcers[w.rand.IntN(len(w.Enforcers))]
	return LogCommon{
		Name: name, Level: level, ReportedTimestamp: at.Unix(), ReportedAt: stamp(at), ClusterName: "cluster.local", HostID: e.HostID, HostName: e.HostName,
		EnforcerID: e.ID, EnforcerName: e.DisplayName,
	}
}

func (w *World) pod() Workload { return w.Endpoints[w.rand.IntN(len(w.Endpoints))] }

// keep is a ring: what is oldest goes.
func keep[T any](list []T, v T) []T {
	if len(list) >= ringSize {
		list = list[1:]
	}
	return append(list, v)
}

func (w *World) addThreat(at time.Time) {
	kinds := []struct {
		name, severity, level string
		id                    uint
	}{{"DNS.Tunneling", "High", "Error", 2008}, {"SQL.Injection", "Critical", "Critical", 2022}, {"SSL.Heartbleed", "Critical", "Critical", 2002}, {"ICMP.Tunneling", "Medium", "Warning", 2010}}
	k := kinds[w.rand.IntN(len(kinds))]
	from, to := w.pod(), w.pod()
	w.Threats = keep(w.Threats, Threat{
		LogCommon: w.common(at, k.name, k.level), ID: w.id("t"), ThreatID: k.id, Severity: k.severity, Action: []string{"alert", "deny"}[w.rand.IntN(2)], Count: 1, EtherType: 2048,
		ClientWorkloadID: from.ID, ClientWorkloadName: from.DisplayName, ClientWorkloadDomain: from.Domain, ClientWorkloadImage: from.Image, ClientWorkloadService: from.Service,
		ServerWorkloadID: to.ID, ServerWorkloadName: to.DisplayName, ServerWorkloadDomain: to.Domain, ServerWorkloadImage: to.Image, ServerWorkloadService: to.Service,
		ClientPort: 40000 + uint(w.rand.IntN(20000)), ServerPort: 53, ServerConnPort: 53, IPProto: 17, ClientIP: "10.42.0.5", ServerIP: "10.42.0.6",
		Application: "DNS", Target: "server", Monitor: true, Message: k.name,
	})
}

func (w *World) addIncident(at time.Time) {
	from := w.pod()
	i := Incident{
		LogCommon: w.common(at, "Container.Suspicious.Process", "Warning"), ID: w.id("i"), Action: "Alert", Message: "Risky application: nc",
		WorkloadID: from.ID, WorkloadName: from.DisplayName, WorkloadDomain: from.Domain, WorkloadImage: from.Image, WorkloadService: from.Service,
		ProcName: "nc", ProcPath: "/usr/bin/nc", ProcCmd: fmt.Sprintf("nc -l %q", "8080"),
	}
	switch w.rand.IntN(4) {
	case 0: // on a host: no workload at all
		i.Name = "Host.Suspicious.Process"
		i.WorkloadID, i.WorkloadName, i.WorkloadDomain, i.WorkloadImage, i.WorkloadService = "", "", "", "", ""
		i.ProcName, i.ProcPath, i.ProcCmd = "", "", ""
	case 1: // file_name is a list
		i.Name, i.Message = "Container.FileAccess.Violation", "File changed"
		i.ProcName, i.ProcPath, i.ProcCmd, i.FilePath, i.FileName = "", "", "", "/etc/passwd", []string{"/etc/passwd", "/etc/shadow"}
	}
	w.Incidents = keep(w.Incidents, i)
}

func (w *World) addViolation(at time.Time) {
	from := w.pod()
	w.Violations = keep(w.Violations, Violation{
		LogCommon: w.common(at, "", "Warning"), ID: w.id("v"), ClientID: from.ID, ClientName: from.DisplayName, ClientDomain: from.Domain, ClientImage: from.Image,
		ClientService: from.Service, ServerID: "external", ServerName: "external", ServerPort: 443, IPProto: 6, Applications: []string{"SSL"}, Servers: []string{""},
		Sessions: 1 + uint(w.rand.IntN(3)), PolicyAction: []string{"violate", "violate", "deny"}[w.rand.IntN(3)], ClientIP: "10.42.0.5", ServerIP: "203.0.113.4", FQDN: "updates.example",
	})
}
