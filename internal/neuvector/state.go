package neuvector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
)

// maxStateFile bounds the file with the events that were seen.
const maxStateFile = 64 << 20

// stateFile is the content of Config.StateFile: ids and times by cluster and class.
type stateFile struct {
	Version  int                                    `json:"version"`
	Clusters map[string]map[string]map[string]int64 `json:"clusters"`
}

// loadState reads which events were seen before the restart.
func (c *Collector) loadState() error {
	info, err := os.Stat(c.cfg.StateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() > maxStateFile {
		return fmt.Errorf("%q is larger than %d bytes", c.cfg.StateFile, maxStateFile)
	}
	b, err := os.ReadFile(c.cfg.StateFile)
	if err != nil {
		return err
	}
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil {
		return fmt.Errorf("%q: %w", c.cfg.StateFile, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved = f.Clusters
	for _, cl := range c.clusters {
		cl.tail.load(f.Clusters[cl.name])
	}
	return nil
}

// load takes over what was seen before.
func (t *tail) load(seen map[string]map[string]int64) {
	if len(seen) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = true
	for _, class := range classes {
		maps.Copy(t.seen[class], seen[class])
	}
}

// saveState writes which events were seen, whole or not at all. What was
// seen of clusters that are not known now stays.
func (c *Collector) saveState() error {
	if c.cfg.StateFile == "" {
		return nil
	}
	c.stateMu.Lock()
	defer c.stateMu.Unlock()
	clusters, taken := c.all(), 0
	for _, cl := range clusters {
		cl.tail.mu.Lock()
		taken += cl.tail.taken
		cl.tail.mu.Unlock()
	}
	if taken == c.written {
		return nil
	}
	f := stateFile{Version: 1, Clusters: map[string]map[string]map[string]int64{}}
	c.mu.Lock()
	maps.Copy(f.Clusters, c.saved)
	c.mu.Unlock()
	for _, cl := range clusters {
		f.Clusters[cl.name] = cl.tail.snapshot()
	}
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(c.cfg.StateFile), ".oriel-neuvector-*")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), c.cfg.StateFile)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write state: %w", err)
	}
	c.written = taken
	return nil
}

// snapshot copies what was seen.
func (t *tail) snapshot() map[string]map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	copied := map[string]map[string]int64{}
	for class, ids := range t.seen {
		copied[class] = maps.Clone(ids)
	}
	return copied
}
