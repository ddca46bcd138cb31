package grafana

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type dashboard struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Tags          []string `json:"tags"`
	SchemaVersion int      `json:"schemaVersion"`
	Panels        []panel  `json:"panels"`
	Templating    struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     grid   `json:"gridPos"`
	Datasource  source `json:"datasource"`
	Targets     []struct {
		RefID      string `json:"refId"`
		Expr       string `json:"expr"`
		Legend     string `json:"legendFormat"`
		RawSQL     string `json:"rawSql"`
		Format     string `json:"format"`
		Time       string `json:"timeColumn"`
		Metric     string `json:"metricColumn"`
		Hide       bool   `json:"hide"`
		Datasource source `json:"datasource"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Transformations []struct {
		ID string `json:"id"`
	} `json:"transformations"`
	Panels []panel `json:"panels"`
}

type grid struct{ X, Y, W, H int }

type source struct{ Type, UID string }

type variable struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Datasource source `json:"datasource"`
	Definition string `json:"definition"` // what Grafana's editor shows of the query
	Query      any    `json:"query"`
}

// What the console can render; Grafana knows more.
var (
	panelTypes = []string{"timeseries", "stat", "gauge", "bargauge", "table", "state-timeline", "row", "text", "piechart", "barchart", "heatmap", "logs"}
	transforms = []string{"merge", "organize", "labelsToFields", "joinByField", "seriesToRows", "filterFieldsByName"}
)

var (
	builtin = map[string]string{"__rate_interval": "1m", "__interval": "15s", "__range": "1h"}
	varRef  = regexp.MustCompile(`\$\{([a-zA-Z_]\w*)(?::\w+)?\}|\$([a-zA-Z_]\w*)|\[\[([a-zA-Z_]\w*)(?::\w+)?\]\]`)
	inCurly = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
	ofQuery = regexp.MustCompile(`^(?:label_values\((.+), (\w+)\)|query_result\((.+)\))$`)
)

// forEach runs f on each dashboard, as a subtest of its file's name.
func forEach(t *testing.T, f func(t *testing.T, raw []byte, d dashboard)) {
	t.Helper()
	files, err := fs.Glob(Dashboards, "dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	for _, file := range files {
		raw, err := Dashboards.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(raw, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(file, func(t *testing.T) { f(t, raw, d) })
	}
}

// substitute puts value for each variable, as Grafana does before it sends a query. A
// variable that the dashboard does not declare is an error.
func (d dashboard) substitute(t *testing.T, expr, value string) string {
	t.Helper()
	return varRef.ReplaceAllStringFunc(expr, func(ref string) string {
		m := varRef.FindStringSubmatch(ref)
		name := m[1] + m[2] + m[3]
		if v, ok := builtin[name]; ok {
			return v
		}
		if !slices.ContainsFunc(d.Templating.List, func(v variable) bool { return v.Name == name }) {
			t.Errorf("%q: there is no variable %q", expr, name)
		}
		return value
	})
}

func (d dashboard) allPanels() []panel {
	var all []panel
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

func TestDashboardsAreWellFormed(t *testing.T) {
	uids, titles := map[string]bool{}, map[string]bool{}
	forEach(t, func(t *testing.T, raw []byte, d dashboard) {
		var top map[string]any
		if err := json.Unmarshal(raw, &top); err != nil {
			t.Fatal(err)
		}
		if _, ok := top["id"]; ok {
			t.Error("there is an id: it belongs to one Grafana")
		}
		var norm bytes.Buffer
		if err := json.Indent(&norm, raw, "", "  "); err != nil || !bytes.Equal(bytes.TrimSpace(norm.Bytes()), bytes.TrimSpace(raw)) {
			t.Errorf("the file is not indented by two spaces: %v", err)
		}
		if !strings.HasPrefix(d.UID, "oriel-") || uids[d.UID] || d.Title == "" || titles[d.Title] {
			t.Errorf("uid %q, title %q; want both unique, and the uid to begin with oriel-", d.UID, d.Title)
		}
		uids[d.UID], titles[d.Title] = true, true
		if !slices.Contains(d.Tags, "oriel") {
			t.Errorf("tags %q; want oriel among them", d.Tags)
		}
		if d.SchemaVersion != 41 && d.SchemaVersion != 42 {
			t.Errorf("schemaVersion = %d; want Grafana 12's 41 or 42", d.SchemaVersion)
		}
		if !slices.ContainsFunc(d.Templating.List, func(v variable) bool { return v.Type == "datasource" && v.Name == "datasource" }) {
			t.Error("there is no variable datasource of type datasource")
		}
	})
}

func TestPanelsAreComplete(t *testing.T) {
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		ids := map[int]bool{}
		for _, p := range d.allPanels() {
			if p.ID <= 0 || ids[p.ID] {
				t.Errorf("panel %q: id %d is not unique", p.Title, p.ID)
			}
			ids[p.ID] = true
			if p.Title == "" {
				t.Errorf("panel %d has no title", p.ID)
			}
			if !slices.Contains(panelTypes, p.Type) {
				t.Errorf("panel %q: the console has no type %q", p.Title, p.Type)
			}
			for _, tr := range p.Transformations {
				if !slices.Contains(transforms, tr.ID) {
					t.Errorf("panel %q: the console has no transformation %q", p.Title, tr.ID)
				}
			}
			if p.Type == "row" {
				continue
			}
			if p.Description == "" {
				t.Errorf("panel %q has no description", p.Title)
			}
			if p.Type == "text" {
				continue
			}
			if p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("panel %q has no unit", p.Title)
			}
			if len(p.Targets) == 0 {
				t.Errorf("panel %q has no targets", p.Title)
			}
			want, refs := source{"prometheus", "${datasource}"}, map[string]bool{}
			if p.Datasource.Type == sqlSource {
				want.Type = sqlSource
			}
			for _, tg := range p.Targets {
				if tg.RefID == "" || refs[tg.RefID] {
					t.Errorf("panel %q: refId %q is not unique", p.Title, tg.RefID)
				}
				refs[tg.RefID] = true
				if p.Datasource != want || tg.Datasource != want {
					t.Errorf("panel %q: data sources %v, %v; want %v", p.Title, p.Datasource, tg.Datasource, want)
				}
			}
		}
	})
}

func TestPanelsDoNotOverlap(t *testing.T) {
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		for i, p := range d.Panels {
			a := p.GridPos
			if a.X < 0 || a.Y < 0 || a.W < 1 || a.H < 1 || a.X+a.W > 24 {
				t.Errorf("panel %q: %+v is outside the 24 columns", p.Title, a)
			}
			for _, q := range d.Panels[:i] {
				b := q.GridPos
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("panels %q and %q overlap: %+v, %+v", q.Title, p.Title, b, a)
				}
			}
		}
	})
}

func TestTargetsUseKnownNames(t *testing.T) {
	c := known(t)
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		for _, p := range d.allPanels() {
			for _, tg := range p.Targets {
				if p.Datasource.Type == sqlSource {
					continue // TestSQLTargets
				}
				expr := d.substitute(t, tg.Expr, "x")
				made, err := c.check(expr)
				if err != nil {
					t.Errorf("panel %q, %s: %v\n%s", p.Title, tg.RefID, err, expr)
				}
				for _, j := range joinsWithoutInstance(expr) {
					t.Errorf("panel %q, %s: a join leaves out instance: %s", p.Title, tg.RefID, j)
				}
				for _, m := range inCurly.FindAllStringSubmatch(tg.Legend, -1) {
					if !c.labels[m[1]] && !slices.Contains(made, m[1]) {
						t.Errorf("panel %q, %s: legend %q names the unknown label %q", p.Title, tg.RefID, tg.Legend, m[1])
					}
				}
			}
		}
	})
}

func TestVariablesUseKnownNames(t *testing.T) {
	c := known(t)
	forEach(t, func(t *testing.T, _ []byte, d dashboard) {
		for _, v := range d.Templating.List {
			if v.Type != "query" || v.Datasource.Type == sqlSource {
				continue
			}
			q, _ := v.Query.(map[string]any)
			text, _ := q["query"].(string)
			if want := (source{"prometheus", "${datasource}"}); v.Datasource != want || v.Definition != text {
				t.Errorf("variable %s: data source %v, definition %q; want %v, %q", v.Name, v.Datasource, v.Definition, want, text)
			}
			m := ofQuery.FindStringSubmatch(d.substitute(t, text, "x"))
			if m == nil {
				t.Errorf("variable %s: %q is neither label_values(metric, label) nor query_result(expr)", v.Name, text)
				continue
			}
			if _, err := c.check(m[1] + m[3]); err != nil {
				t.Errorf("variable %s: %v", v.Name, err)
			}
			if m[2] != "" && !c.labels[m[2]] {
				t.Errorf("variable %s: label %q is in no golden file", v.Name, m[2])
			}
		}
	})
}

// TestDashboardsInTheWild: the expressions of dashboards and alerts that people have for
// other exporters go on working, as our names are theirs.
func TestDashboardsInTheWild(t *testing.T) {
	c := known(t)
	for _, expr := range append(wild(t)["own"], []string{
		// MindFlavor's with -r.
		`count by (interface, public_key, allowed_ips, friendly_name, remote_ip, remote_port) (wireguard_latest_handshake_seconds)`,
		// It has no data beside a second device: mdlayher's README is wrong there.
		`irate(wireguard_peer_receive_bytes_total[5m]) * on (public_key, device) group_left(name) wireguard_peer_info * on (instance) group_left(device) wireguard_device_info`,
		// The dashboard of NeuVector's own exporter, and that of its Helm chart.
		`nv_summary_hosts`, `nv_summary_controllers`, `nv_summary_enforcers`, `nv_summary_pods`, `nv_summary_disconnectedEnforcers`,
		`sum(rate(nv_conversation_bytes[1m]))*4`, `nv_admission_allowed`, `nv_admission_denied`, `nv_summary_cvedbVersion`, `nv_summary_cvedbTime`,
		`nv_enforcer_cpu`, `nv_enforcer_memory`, `nv_log_events`,
		`sum(nv_container_vulnerabilityHigh) by (service)`, `sum(nv_container_vulnerabilityMedium) by (service)`,
		`sum(nv_image_vulnerabilityHigh) by (name)`, `sum(nv_image_vulnerabilityMedium) by (name)`,
		// The names of VirtuCrypt's "Advanced metrics with Prometheus and Grafana".
		`vc_ct_connected_clients{company_name="Acme"} / vc_ct_max_connections > 0.8`, `vc_tls_cert_expiry{port_header="none",guardian_host!=""} < 30`,
		`sum by (error_type) (increase(vc_connection_error_counter[5m]))`, `avg by (phase) (vc_echo_duration_seconds{api_type="Excrypt"})`,
		`vc_tls_handshake_duration{error_type!="",discovery_error_code="",outgoing_port="1102"}`, `vc_ct_run_status{status="active"} == 1`,
		`vc_probe_success == 0 or vc_probe_duration_seconds > 1`, `vc_ct_enabled_status unless vc_ct_anonymous_status`, `vc_tls_version_info < 1.2`,
		`max by (company_name, region) (ct_instance_certificate_validity) >= 4`, `sum by (host, tunnel_name) (ct_instance_clients_connected_total)`,
		`ct_instance_service_latency_ms > 100 and ct_instance_port_status == 1 and ct_instance_service_enabled == 1`, `ct_instance_accepting_connections + ct_instance_api_type`,
		`max(nv_controller_cpu) by (display)`, `max(nv_controller_memory) by (display)`, `max(nv_enforcer_cpu) by (display)`, `max(nv_enforcer_memory) by (display)`,
	}...) {
		if _, err := c.check(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}
