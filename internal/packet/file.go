package packet

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// File is one file, or body, that went over the wire.
type File struct {
	Flow
	Service  string `parquet:"service,dict"` // http, ftp, smtp, pop3, imap
	Name     string `parquet:"name"`
	Upload   bool   `parquet:"upload"`        // from the side that began
	Type     string `parquet:"type,dict"`     // as the sender says
	Detected string `parquet:"detected,dict"` // as the first bytes say
	Encoding string `parquet:"encoding,dict"` // of the bytes counted and hashed
	Size     int64  `parquet:"size"`          // bytes captured
	Complete bool   `parquet:"complete"`      // all of it was captured
	SHA256   string `parquet:"sha256"`        // of complete files up to 16 MiB
}

// Kind is the table.
func (*File) Kind() string { return "file" }

const (
	maxSniff  = 512
	maxHashed = 16 << 20
)

// file gathers what is told of a file.
type file struct {
	name string
	head []byte
	sum  hash.Hash
	size int64
	lost bool // some of it is missing
	form bool // it holds what is not to be kept
}

func newFile() *file { return &file{} }

func (f *file) write(b []byte) {
	if len(b) == 0 {
		return
	}
	if n := min(maxSniff-len(f.head), len(b)); n > 0 {
		f.head = append(f.head, b[:n]...)
	}
	f.size += int64(len(b))
	if f.lost || f.size > maxHashed {
		f.sum = nil
		return
	}
	if f.sum == nil {
		f.sum = sha256.New()
	}
	_, _ = f.sum.Write(b) // a hash takes all
}

func (w *worker) emitFile(at int64, flow Flow, f *file, service, kind, encoding string, upload bool) {
	i := slices.Index(clearServices[:5], service)
	w.clear.files[i]++
	w.clear.bytes[i] += uint64(f.size)
	flow.Time = utc(at)
	r := &File{
		Flow: flow, Service: service, Name: f.name, Upload: upload, Type: kind, Encoding: encoding,
		Detected: mediaType([]byte(http.DetectContentType(f.head))), Size: f.size, Complete: !f.lost,
	}
	if f.sum != nil && !f.lost && !f.form {
		r.SHA256 = hex.EncodeToString(f.sum.Sum(nil))
	}
	w.emit(r)
}

// fileName is what Content-Disposition says, or the last part of a URI's path.
func fileName(disposition []byte, uri string) string {
	if len(disposition) > 0 && len(disposition) < maxText {
		if _, params, err := mime.ParseMediaType(string(disposition)); err == nil && params["filename"] != "" {
			return text(path.Base(strings.ReplaceAll(params["filename"], `\`, "/")))
		}
	}
	if i := strings.IndexAny(uri, "?#"); i >= 0 {
		uri = uri[:i]
	}
	name := uri[strings.LastIndexByte(uri, '/')+1:]
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	return text(name)
}

// mediaType is a content type without its parameters.
func mediaType(b []byte) string {
	s, _, _ := strings.Cut(string(b[:min(len(b), 256)]), ";")
	return text(strings.ToLower(strings.TrimSpace(s)))
}
