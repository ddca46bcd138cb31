package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	// amd is how Grafana knows a module that wants its define.
	amd = regexp.MustCompile(`^("use strict";)?\s*define\(\["[^"]+"(,"[^"]+")*\],\s*function`)
	// legacy are the traces of Angular, and of trackers, that Grafana's validator looks for.
	legacy = []string{
		"PanelCtrl", "QueryCtrl", "app/plugins/sdk", "angular.isNumber(", "editor.html", "ctrl.annotation", "getLegacyAngularInjector", "System.register(",
		"app/core/", "app/plugins/", "google-analytics.com", "googletagmanager", "segment.com/analytics", "mixpanel",
	}
	closing = regexp.MustCompile(`</[a-z]+>`)
	svgTags = []string{"svg", "g", "path", "circle", "rect", "line", "polygon", "polyline", "ellipse", "title", "defs", "linearGradient", "radialGradient", "stop"}
)

// maxModule is far above what the front-end needs: a library of Grafana's would be bundled by mistake.
const maxModule = 256 << 10

// checkContent looks into one file that plugin.json, or Grafana, wants.
func checkContent(wrong *complaints, d *described, name string, data []byte) {
	switch {
	case name == "module.js":
		checkModule(wrong, data)
	case name == "module.js.map":
		checkMap(wrong, data)
	case name == "README.md":
		text := string(data)
		if closing.MatchString(text) || strings.Contains(text, "yarn") || strings.Contains(text, "nodejs") || len(text) < 500 {
			wrong.add("README.md: it has HTML or words of developers, or says little")
		}
	case name == "CHANGELOG.md" && !strings.Contains(string(data), "## "+d.Info.Version):
		wrong.add("CHANGELOG.md says nothing of %s", d.Info.Version)
	case name == "LICENSE" && !bytes.Contains(data[:min(300, len(data))], []byte("Apache License")):
		wrong.add("LICENSE is not Apache's")
	case name == d.Info.Logos.Small || name == d.Info.Logos.Large:
		if err := checkSVG(name, data); err != nil {
			wrong.add("%s: %w", name, err)
		}
	case path.Ext(name) == ".png":
		if c, err := png.DecodeConfig(bytes.NewReader(data)); err != nil || c.Width < 600 || len(data) > 2<<20 {
			wrong.add("%s: %d bytes, %d pixels wide, %w", name, len(data), c.Width, err)
		}
	case path.Ext(name) == ".json":
		var board struct {
			Title, UID string
			ID         any
			Schema     int `json:"schemaVersion"`
			Panels     []any
		}
		if err := json.Unmarshal(data, &board); err != nil || board.Title == "" || board.UID == "" || board.ID != nil || board.Schema < 36 || len(board.Panels) == 0 {
			wrong.add("%s is no dashboard to import: %w", name, err)
		}
	}
}

func checkModule(wrong *complaints, data []byte) {
	if !amd.Match(data) {
		wrong.add("module.js: Grafana would not see that it is an AMD module")
	}
	if !bytes.Contains(data, []byte("//# sourceMappingURL=module.js.map")) {
		wrong.add("module.js does not name its map")
	}
	if len(data) > maxModule {
		wrong.add("module.js has %d bytes: is a library of Grafana's in it?", len(data))
	}
	for _, trace := range legacy {
		if bytes.Contains(data, []byte(trace)) {
			wrong.add("module.js has %q in it", trace)
		}
	}
}

// checkMap: all sources are there with their text, and are ours.
func checkMap(wrong *complaints, data []byte) {
	var m struct {
		Version  int      `json:"version"`
		Sources  []string `json:"sources"`
		Contents []string `json:"sourcesContent"`
	}
	if err := json.Unmarshal(data, &m); err != nil || m.Version != 3 || len(m.Sources) == 0 || len(m.Sources) != len(m.Contents) || slices.Contains(m.Contents, "") {
		wrong.add("module.js.map: version %d, %d sources, %d texts, %w", m.Version, len(m.Sources), len(m.Contents), err)
	}
	for _, s := range m.Sources {
		if strings.Contains(s, "node_modules") || path.IsAbs(s) {
			wrong.add("module.js.map: source %q", s)
		}
	}
}

// checkSVG lets shapes and colours through, and nothing that acts or loads.
func checkSVG(name string, data []byte) error {
	if path.Ext(name) != ".svg" {
		return errors.New("want an SVG")
	}
	for d := xml.NewDecoder(bytes.NewReader(data)); ; { //nolint:gosec // it is read token by token
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(svgTags, e.Name.Local) {
			return fmt.Errorf("element %q", e.Name.Local)
		}
		for _, a := range e.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "style" || strings.Contains(a.Value, "url(") {
				return fmt.Errorf("attribute %q", a.Name.Local)
			}
		}
	}
}
