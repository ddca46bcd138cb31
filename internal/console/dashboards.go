package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
)

const (
	maxDashboards    = 1000
	maxDashboardSize = 8 << 20
)

// Entry is a dashboard in the list.
type Entry struct {
	UID         string   `json:"uid"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags"`
	Yours       bool     `json:"yours"`           // of the user's folder
	File        string   `json:"file"`            // its name without folders
	Error       string   `json:"error,omitempty"` // why it cannot be shown

	text []byte
}

// dashboards reads all files anew: a file dropped into the folder is there at once.
func (c *Console) dashboards() ([]Entry, error) {
	shipped, err := fs.Sub(c.needs.Shipped, "dashboards")
	if err != nil {
		return nil, err
	}
	list, err := entries(shipped, false)
	if err != nil {
		return nil, fmt.Errorf("read dashboards: %w", err)
	}
	if folder := *c.folder.Load(); folder != "" {
		root, err := os.OpenRoot(folder) // no link leads out of it
		if err != nil {
			return nil, fmt.Errorf("read dashboards: %w", err)
		}
		defer func() { _ = root.Close() }()
		own, err := entries(root.FS(), true)
		if err != nil {
			return nil, fmt.Errorf("read dashboards: %w", err)
		}
		list = slices.DeleteFunc(list, func(e Entry) bool {
			return slices.ContainsFunc(own, func(o Entry) bool { return o.UID == e.UID && o.Error == "" })
		})
		list = append(list, own...)
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) })
	return list, nil
}

// entries reads the dashboards of a folder. One that cannot be read costs itself only.
func entries(files fs.FS, yours bool) ([]Entry, error) {
	found, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, err
	}
	var list []Entry
	for _, f := range found {
		if f.IsDir() || path.Ext(f.Name()) != ".json" || len(list) == maxDashboards {
			continue
		}
		e, err := entry(files, f.Name())
		if err != nil {
			e = Entry{UID: "file-" + f.Name(), Title: f.Name(), Tags: []string{}, Error: err.Error()}
		}
		e.File, e.Yours = f.Name(), yours
		list = append(list, e)
	}
	return list, nil
}

func entry(files fs.FS, name string) (Entry, error) {
	f, err := files.Open(name)
	if err != nil {
		return Entry{}, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxDashboardSize+1))
	switch {
	case err != nil:
		return Entry{}, err
	case len(text) > maxDashboardSize:
		return Entry{}, fmt.Errorf("larger than %d bytes", maxDashboardSize)
	}
	var d struct {
		UID, Title, Description string
		Tags                    []string
		Panels                  []json.RawMessage
		Dashboard               json.RawMessage // as Grafana's API wraps it
		Spec                    json.RawMessage
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return Entry{}, err
	}
	if d.Panels == nil && d.Dashboard != nil {
		text = d.Dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			return Entry{}, err
		}
	}
	if d.Panels == nil {
		if d.Spec != nil {
			return Entry{}, errors.New("a dashboard of Grafana's v2 schema: export it as classic JSON")
		}
		return Entry{}, errors.New("no dashboard: it has no panels")
	}
	e := Entry{UID: d.UID, Title: d.Title, Description: d.Description, Tags: d.Tags, text: text}
	if e.UID == "" {
		e.UID = strings.TrimSuffix(name, ".json")
	}
	if e.Title == "" {
		e.Title = name
	}
	if e.Tags == nil {
		e.Tags = []string{}
	}
	return e, nil
}

func (c *Console) serveDashboards(w http.ResponseWriter, _ *http.Request) {
	list, err := c.dashboards()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"dashboards": list})
}

func (c *Console) serveDashboard(w http.ResponseWriter, r *http.Request) {
	list, err := c.dashboards()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	uid := r.PathValue("uid")
	i := slices.IndexFunc(list, func(e Entry) bool { return e.UID == uid && e.Error == "" })
	if i < 0 {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no dashboard %q", uid))
		return
	}
	answer(w, http.StatusOK, json.RawMessage(list[i].text))
}
