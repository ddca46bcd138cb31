package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// all: the folder is in git empty but for .gitkeep, so that the program builds without Node.
//
//go:embed all:dist
var built embed.FS

func dist() fs.FS {
	sub, err := fs.Sub(built, "dist")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return sub
}

// policy lets pages load what comes from this server and nothing else. Styles
// may be inline: Mantine and CodeMirror write <style> elements of their own text.
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pages serves the built files, and index.html for every page of the console.
type pages struct {
	files fs.FS

	mu     sync.Mutex // guards zipped
	zipped map[string][]byte
}

func newPages(files fs.FS) *pages { return &pages{files: files, zipped: map[string][]byte{}} }

func (p *pages) built() bool {
	_, err := fs.Stat(p.files, "index.html")
	return err == nil
}

const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Oriel</title></head>
<body><h1>Oriel</h1>
<p>This program was built without its pages. They need Node 20 or newer: run <code>make build</code> and start the program again.</p>
<p>Everything else is there: <a href="/metrics">/metrics</a>, <a href="/api/v1/targets">/api/v1/targets</a>, <a href="/api/v1/rules">/api/v1/rules</a>,
<a href="/alertmanager/api/v2/alerts">/alertmanager/api/v2/alerts</a>.</p>
</body></html>
`

// ServeHTTP serves a file, or index.html to a browser that asks for a page.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the method must be GET", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	data, err := fs.ReadFile(p.files, name)
	page := err != nil || name == "index.html" || name == ".gitkeep"
	if page {
		if name != "" && !strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.NotFound(w, r)
			return
		}
		name = "index.html"
		if data, err = fs.ReadFile(p.files, name); err != nil {
			data = []byte(notBuilt)
		}
	}
	head := w.Header()
	head.Set("Content-Type", contentType(name))
	head.Set("Vary", "Accept-Encoding")
	switch {
	case strings.HasPrefix(name, "assets/"): // their names have a hash of their content
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		head.Set("Cache-Control", "no-cache")
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(data) > 1024 {
		data = p.zip(name, data)
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) //nolint:gosec // a file that was built into the program; the client may have gone
}

// zip compresses a file once.
func (p *pages) zip(name string, data []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if z, ok := p.zipped[name]; ok {
		return z
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
	_, _ = w.Write(data)                                  // a buffer takes all
	_ = w.Close()
	p.zipped[name] = b.Bytes()
	return b.Bytes()
}

// contentType does not ask the machine's own tables, which can be wrong.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
