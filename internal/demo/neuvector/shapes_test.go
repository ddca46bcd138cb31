package neuvector

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// strict decodes with unknown fields refused.
func strict(t *testing.T, what string, b []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// shapeOf returns what an answer decodes into, by the name of its example.
func shapeOf(name string) any {
	switch name {
	case "summary":
		return &struct{ Summary Summary }{}
	case "conversations":
		return &struct {
			Conversations []Conversation
			Endpoints     []Workload
		}{}
	case "enforcers":
		return &struct{ Enforcers []Enforcer }{}
	case "controllers":
		return &struct{ Controllers []ControllerPod }{}
	case "enforcer_stats":
		return &struct {
			ID     string
			ReadAt string `json:"read_at"`
			Stats  Stats
		}{}
	case "hosts":
		return &struct{ Hosts []Host }{}
	case "admission_stats":
		return &struct{ Stats AdmissionStats }{}
	case "admission_state":
		return &struct {
			State  *AdmissionState
			K8sEnv bool `json:"k8s_env"`
		}{}
	case "workloads":
		return &struct{ Workloads []Workload }{}
	case "summarys":
		return &struct{ Summarys []Registry }{}
	case "images":
		return &struct{ Images []Image }{}
	case "platforms":
		return &struct{ Platforms []Platform }{}
	case "threats":
		return &struct{ Threats []Threat }{}
	case "incidents":
		return &struct{ Incidents []Incident }{}
	case "violations":
		return &struct{ Violations []Violation }{}
	case "login":
		return &TokenData{}
	case "federation_", "federation_master":
		return &Membership{}
	}
	return nil
}

// TestExamplesDecodeStrictly: no field of an example is unknown to our shapes, and none of them is lost.
func TestExamplesDecodeStrictly(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := shapeOf(strings.TrimSuffix(filepath.Base(file), ".json"))
		if v == nil {
			t.Errorf("%s: no shape", file)
			continue
		}
		strict(t, file, b, v)
	}
}

// keys returns all keys of a document, with their paths.
func keys(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			into[prefix+"."+k] = true
			keys(prefix+"."+k, inner, into)
		}
	case []any:
		for _, inner := range v {
			keys(prefix+"[]", inner, into)
		}
	}
}

// TestAnswersHaveTheExamplesKeys: what the simulator says has every key that the
// example has, where the example's is not left out for being empty.
func TestAnswersHaveTheExamplesKeys(t *testing.T) {
	c := newTest(t, Config{Password: "right"}, DemoSize().World(time.Now()))
	token := login(t, c, "right")
	for path, example := range map[string]string{
		"system/summary": "summary", "enforcer": "enforcers", "controller": "controllers", "enforcer/enf1/stats": "enforcer_stats", "host": "hosts",
		"debug/admission_stats": "admission_stats", "admission/stats": "admission_stats", "admission/state": "admission_state", "workload?brief=true": "workloads", "scan/registry": "summarys",
		"scan/registry/registry1/images": "images", "scan/platform": "platforms", "log/threat": "threats", "log/violation": "violations", "fed/member": "federation_", "conversation": "conversations",
	} {
		status, body := ask(t, c, "/v1/"+path, token)
		if status != 200 {
			t.Errorf("%s: status %d", path, status)
			continue
		}
		strict(t, path, body, shapeOf(example))
		want, err := os.ReadFile("testdata/" + example + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(want, &a) != nil || json.Unmarshal(body, &b) != nil {
			t.Fatal("not JSON")
		}
		wantKeys, gotKeys := map[string]bool{}, map[string]bool{}
		keys("", a, wantKeys)
		keys("", b, gotKeys)
		for k := range wantKeys {
			optional := strings.HasSuffix(k, ".fqdn") || strings.HasSuffix(k, ".validate") || strings.HasSuffix(k, ".url") || strings.Contains(k, ".span_")
			if !gotKeys[k] && !optional {
				t.Errorf("%s: the answer lacks %s", path, k)
			}
		}
	}
}
