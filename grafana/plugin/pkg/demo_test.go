//go:build demo

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// dashboard is Grafana's JSON, as far as its queries need it.
type dashboard struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name       string          `json:"name"`
			Type       string          `json:"type"`
			Datasource json.RawMessage `json:"datasource"`
			Query      json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	Title   string           `json:"title"`
	Panels  []panel          `json:"panels"`
	Targets []map[string]any `json:"targets"`
}

// TestBundledPanelsAgainstTheDemo asks a running server (ORIEL_URL) for every
// SQL panel of every dashboard, as Grafana would: hidden queries go along with
// those that read them. e2e starts it with `oriel demo`.
func TestBundledPanelsAgainstTheDemo(t *testing.T) {
	url := os.Getenv("ORIEL_URL")
	if url == "" {
		t.Fatal("ORIEL_URL is not set: make e2e sets it")
	}
	files, err := filepath.Glob("../../dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	g := startPlugin(t)
	asked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		variables := map[string]any{}
		for _, v := range d.Templating.List {
			var q struct {
				Query  string `json:"query"`
				RawSQL string `json:"rawSql"`
			}
			if v.Type != "query" || !strings.Contains(string(v.Datasource), "oriel-sql-datasource") || json.Unmarshal(v.Query, &q) != nil {
				continue
			}
			frame, err := one(t, g, url, map[string]any{"rawSql": q.Query + q.RawSQL, "variables": variables})
			if err != nil || frame.Rows() == 0 {
				t.Errorf("%s: variable %s has no values: %v", file, v.Name, err)
				continue
			}
			value, _ := frame.Fields[len(frame.Fields)-1].ConcreteAt(0)
			variables[v.Name] = value
		}
		var walk func(list []panel)
		walk = func(list []panel) {
			for _, p := range list {
				walk(p.Panels)
				prev := map[string]any{}
				for _, target := range p.Targets {
					if sql, ok := target["rawSql"].(string); ok {
						prev[target["refId"].(string)] = sql
					}
				}
				for _, target := range p.Targets {
					sql, ok := target["rawSql"].(string)
					if !ok || target["hide"] == true {
						continue
					}
					target["variables"] = variables
					carried := map[string]any{}
					for ref, text := range prev {
						if strings.Contains(sql, "$__source_prev("+ref+")") {
							carried[ref] = text
						}
					}
					target["prev"] = carried
					asked++
					if rows, why := soon(t, g, url, target); rows == 0 {
						t.Errorf("%s: panel %q: no rows: %s", filepath.Base(file), p.Title, why)
					}
				}
			}
		}
		walk(d.Panels)
	}
	if asked < 15 {
		t.Errorf("only %d queries were asked", asked)
	}
}

// soon asks until there are rows: a demo that has just begun has yet to see some things.
func soon(t *testing.T, g *grafana, url string, query map[string]any) (rows int, why string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(time.Second) {
		frame, err := one(t, g, url, query)
		switch {
		case err != nil:
			why = err.Error()
		case frame.Rows() > 0:
			return frame.Rows(), ""
		default:
			why = "an empty answer"
		}
		if time.Now().After(end) {
			return 0, why
		}
	}
}

// one asks one query alone, as an alert rule would.
func one(t *testing.T, g *grafana, url string, query map[string]any) (*data.Frame, error) {
	t.Helper()
	text, err := json.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	answer := ask(t, g, url, map[string]string{"B": string(text)}, now.Add(-6*time.Hour), now)["B"]
	if answer.GetError() != "" {
		return nil, fmt.Errorf("%v: %s", query["rawSql"], answer.GetError())
	}
	frames, err := data.UnmarshalArrowFrames(answer.GetFrames())
	if err != nil || len(frames) != 1 {
		return nil, fmt.Errorf("%v: %d frames, %w", query["rawSql"], len(frames), err)
	}
	return frames[0], nil
}
