package neuvector

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// Classes of events.
const (
	classThreat    = "threat"
	classIncident  = "incident"
	classViolation = "violation"
)

var classes = []string{classThreat, classIncident, classViolation}

// Event is a security event: a row of neuvector_events.
type Event struct {
	Time            time.Time `parquet:"time,timestamp(microsecond:local)"` // when the enforcer reported it, in whole seconds
	Cluster         string    `parquet:"cluster,dict"`
	Class           string    `parquet:"class,dict"` // threat, incident or violation
	ID              string    `parquet:"id"`
	Name            string    `parquet:"name,dict"`
	Severity        string    `parquet:"severity,dict"` // of a threat; the level of the others
	Action          string    `parquet:"action,dict"`
	Host            string    `parquet:"host,dict"`
	Enforcer        string    `parquet:"enforcer,dict"`
	ClientID        string    `parquet:"client_id,dict"`
	ClientName      string    `parquet:"client_name,dict"`
	ClientNamespace string    `parquet:"client_namespace,dict"`
	ClientService   string    `parquet:"client_service,dict"`
	ClientImage     string    `parquet:"client_image,dict"`
	ClientIP        string    `parquet:"client_ip,dict"`
	ServerID        string    `parquet:"server_id,dict"`
	ServerName      string    `parquet:"server_name,dict"`
	ServerNamespace string    `parquet:"server_namespace,dict"`
	ServerService   string    `parquet:"server_service,dict"`
	ServerIP        string    `parquet:"server_ip,dict"`
	ServerPort      int32     `parquet:"server_port"`
	Protocol        int32     `parquet:"protocol"` // IANA number
	Application     string    `parquet:"application,dict"`
	FQDN            string    `parquet:"fqdn,dict"`
	ProcessName     string    `parquet:"process_name,dict"`
	ProcessPath     string    `parquet:"process_path,dict"`
	CommandLine     string    `parquet:"command_line"`
	FilePath        string    `parquet:"file_path"`
	FileNames       string    `parquet:"file_names"` // with commas between
	Message         string    `parquet:"message"`
	Count           int64     `parquet:"count"`

	clusterName string // as the event itself says
}

// rawEvent has the fields of all three classes.
type rawEvent struct {
	Name        string  `json:"name"`
	Level       string  `json:"level"`
	Reported    float64 `json:"reported_timestamp"`
	ReportedAt  string  `json:"reported_at"`
	ClusterName string  `json:"cluster_name"`
	Host        string  `json:"host_name"`
	Enforcer    string  `json:"enforcer_name"`
	ID          string  `json:"id"`
	Severity    string  `json:"severity"`
	Action      string  `json:"action"`
	PolicyAct   string  `json:"policy_action"`
	Message     string  `json:"message"`
	Count       float64 `json:"count"`
	Sessions    float64 `json:"sessions"`
	ClientIP    string  `json:"client_ip"`
	ServerIP    string  `json:"server_ip"`
	ServerPort  float64 `json:"server_port"`
	IPProto     float64 `json:"ip_proto"`
	Application texts   `json:"application"`
	Apps        texts   `json:"applications"`
	FQDN        string  `json:"fqdn"`
	ProcName    string  `json:"proc_name"`
	ProcPath    string  `json:"proc_path"`
	ProcCmd     string  `json:"proc_cmd"`
	FilePath    string  `json:"file_path"`
	FileName    texts   `json:"file_name"`

	CWID  string `json:"client_workload_id"`
	CWN   string `json:"client_workload_name"`
	CWD   string `json:"client_workload_domain"`
	CWS   string `json:"client_workload_service"`
	CWI   string `json:"client_workload_image"`
	SWID  string `json:"server_workload_id"`
	SWN   string `json:"server_workload_name"`
	SWD   string `json:"server_workload_domain"`
	SWS   string `json:"server_workload_service"`
	WID   string `json:"workload_id"`
	WN    string `json:"workload_name"`
	WD    string `json:"workload_domain"`
	WS    string `json:"workload_service"`
	WI    string `json:"workload_image"`
	RWID  string `json:"remote_workload_id"`
	RWN   string `json:"remote_workload_name"`
	RWD   string `json:"remote_workload_domain"`
	RWS   string `json:"remote_workload_service"`
	CID   string `json:"client_id"`
	CN    string `json:"client_name"`
	CD    string `json:"client_domain"`
	CS    string `json:"client_service"`
	CI    string `json:"client_image"`
	SID   string `json:"server_id"`
	SN    string `json:"server_name"`
	SD    string `json:"server_domain"`
	SServ string `json:"server_service"`
}

// parseEvent reads one entry of a log. What it lacks stays empty; an entry
// without an id gets one of its own content, so that it is known again.
func parseEvent(cluster, class string, raw json.RawMessage, bad func(string)) (Event, bool) {
	var r rawEvent
	if !item(raw, &r, bad) {
		return Event{}, false
	}
	at := unix(r.Reported)
	if at.IsZero() {
		var ok bool
		if at, ok = parseTime(r.ReportedAt); !ok {
			bad(badField)
			return Event{}, false // an event of no time cannot be placed
		}
	}
	e := Event{
		Time: at.UTC(), Cluster: cluster, Class: class, ID: bounded(r.ID), Name: bounded(r.Name), Severity: bounded(cmp.Or(r.Severity, r.Level)),
		Action: bounded(cmp.Or(r.Action, r.PolicyAct)), Host: bounded(r.Host), Enforcer: bounded(r.Enforcer), ClientIP: bounded(r.ClientIP), ServerIP: bounded(r.ServerIP),
		ServerPort: small(r.ServerPort, 65535), Protocol: small(r.IPProto, 255), Application: bounded(cmp.Or(r.Application.String(), r.Apps.String())),
		FQDN: bounded(r.FQDN), ProcessName: bounded(r.ProcName), ProcessPath: bounded(r.ProcPath), CommandLine: bounded(r.ProcCmd), FilePath: bounded(r.FilePath),
		FileNames: bounded(r.FileName.String()), Message: bounded(r.Message), Count: int64(small(cmp.Or(r.Count, r.Sessions), 1<<31-1)), clusterName: bounded(r.ClusterName),
		ClientID: bounded(cmp.Or(r.CWID, r.WID, r.CID)), ClientName: bounded(cmp.Or(r.CWN, r.WN, r.CN)), ClientNamespace: bounded(cmp.Or(r.CWD, r.WD, r.CD)),
		ClientService: bounded(cmp.Or(r.CWS, r.WS, r.CS)), ClientImage: bounded(cmp.Or(r.CWI, r.WI, r.CI)), ServerID: bounded(cmp.Or(r.SWID, r.RWID, r.SID)),
		ServerName: bounded(cmp.Or(r.SWN, r.RWN, r.SN)), ServerNamespace: bounded(cmp.Or(r.SWD, r.RWD, r.SD)), ServerService: bounded(cmp.Or(r.SWS, r.RWS, r.SServ)),
	}
	if class == classViolation && e.Name == "" {
		e.Name = "Network Violation" // the official exporter's word: they have no name
	}
	if e.ID == "" {
		h := fnv.New128a()
		_, _ = h.Write(raw)
		e.ID = "content-" + strconv.FormatUint(uint64(len(raw)), 36) + "-" + hexOf(h.Sum(nil))
	}
	return e, true
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

// maxText is how long a text of an event may be, in bytes.
const maxText = 4096

func bounded(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func small(v float64, limit int32) int32 {
	if !(v >= 0 && v <= float64(limit)) {
		return 0
	}
	return int32(v)
}

// labels are those of the official exporter's nv_log_events, which differ by class.
func (e *Event) labels(target string, command bool) []string {
	l := []string{"fromname", name(e.ClientName), "fromns", name(e.ClientNamespace), "id", name(e.ID), "log", e.Class, "name", name(e.Name)}
	switch e.Class {
	case classThreat:
		l = append(l, "toname", name(e.ServerName), "tons", name(e.ServerNamespace))
	case classViolation:
		l = append(l, "fromid", name(e.ClientID), "toname", name(e.ServerName), "tons", name(e.ServerNamespace))
	default:
		clusterName, cmd := "", ""
		if e.ClientName != "" {
			clusterName = e.clusterName
		}
		if command {
			cmd = name(e.CommandLine)
		}
		l = append(l, "cluster", name(clusterName), "filename", name(e.FileNames), "filepath", name(e.FilePath), "fromid", name(e.ClientID),
			"proccmd", cmd, "procname", name(e.ProcessName), "procpath", name(e.ProcessPath), "toname", " ", "tons", " ")
	}
	return append(l, "target", target)
}
