package neuvector

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// Fault is what goes wrong with the calls of a path. The zero Fault heals it.
type Fault struct {
	Status   int           // answer with this status and Body
	Body     string        // the body of Status
	Delay    time.Duration // answer this much later
	Truncate int           // hang up after this many bytes of the true answer
	Reset    bool          // hang up without an answer
	Endless  string        // answer with this text, again and again until the client goes
	After    int           // let this many calls through first
	Query    string        // only calls whose query contains this
}

// SetFault makes calls of all paths that begin with path, like "/v1/scan/registry", go wrong.
func (c *Controller) SetFault(path string, f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f == (Fault{}) {
		delete(c.faults, path)
		return
	}
	c.faults[path] = &f
}

// fault returns a copy of what is wrong with a path; the longest name wins. The caller holds the lock.
func (c *Controller) fault(path string) *Fault {
	var found *Fault
	longest := -1
	for prefix, f := range c.faults {
		if strings.HasPrefix(path, prefix) && len(prefix) > longest {
			found, longest = f, len(prefix)
		}
	}
	if found == nil {
		return nil
	}
	if found.After > 0 {
		found.After--
		return nil
	}
	f := *found
	return &f
}

// apply does what is wrong; done says that nothing is left to answer.
func (f *Fault) apply(w http.ResponseWriter, r *http.Request) (_ http.ResponseWriter, done bool) {
	if f.Query != "" && !strings.Contains(r.URL.RawQuery, f.Query) {
		return w, false
	}
	if f.Delay > 0 && !sleep(r.Context(), f.Delay) {
		return w, true
	}
	switch {
	case f.Reset:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if strings.HasPrefix(f.Body, "<") {
			w.Header().Set("Content-Type", "text/html")
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
		return w, true
	case f.Endless != "":
		chunk := strings.Repeat(f.Endless, 1+4096/len(f.Endless))
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, chunk); err != nil {
				break
			}
		}
		return w, true
	case f.Truncate > 0:
		r.Header.Del("Accept-Encoding")
		return &truncated{ResponseWriter: w, left: f.Truncate}, false
	}
	return w, false
}

// truncated lets only the first bytes of an answer through.
type truncated struct {
	http.ResponseWriter
	left int
	cut  bool
}

func (t *truncated) Write(b []byte) (int, error) {
	n := len(b)
	if n > t.left {
		b, t.cut = b[:t.left], true
	}
	t.left -= len(b)
	if _, err := t.ResponseWriter.Write(b); err != nil {
		return 0, err
	}
	return n, nil
}

// hangUp ends the connection in the middle of the answer.
func (t *truncated) hangUp() {
	if t.cut {
		panic(http.ErrAbortHandler)
	}
}

// sleep waits and tells whether the client is still there.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
