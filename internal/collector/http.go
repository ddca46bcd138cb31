package collector

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/common/expfmt"
)

// contentType is that of the text format; Prometheus 3 refuses a page without it.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// writeBuffer is flushed to the client as it fills: a page is never held whole.
const writeBuffer = 64 << 10

// WriteText collects and writes the page in the Prometheus text format 0.0.4.
func (s *Set) WriteText(ctx context.Context, w io.Writer) error {
	page := s.collect(ctx)
	out := bufio.NewWriterSize(w, writeBuffer)
	for _, f := range page {
		if f.plain != nil {
			if _, err := expfmt.MetricFamilyToText(out, f.plain); err != nil {
				return err
			}
		}
		headed := f.plain != nil
		for _, wide := range f.wide {
			for labels, v := range wide.Series {
				if !headed {
					if _, err := out.Write(wide.appendHeader(out.AvailableBuffer())); err != nil {
						return err
					}
					headed = true
				}
				if _, err := out.Write(appendSeries(out.AvailableBuffer(), wide.Name, labels, v)); err != nil {
					return err
				}
			}
		}
	}
	return out.Flush()
}

var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return w
}}

// ServeHTTP answers a scrape. It obeys the scraper's own time-out
// (X-Prometheus-Scrape-Timeout-Seconds) and compresses for clients that ask
// for it from another machine; on the same one that costs more than it saves.
func (s *Set) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout(r))
	defer cancel()
	w.Header().Set("Content-Type", contentType)
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || local(r.RemoteAddr) {
		s.logWrite(s.WriteText(ctx, w))
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Vary", "Accept-Encoding")
	gz := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(gz)
	gz.Reset(w)
	s.logWrite(s.WriteText(ctx, gz))
	s.logWrite(gz.Close())
}

// logWrite notes a client that went away; there is nobody left to tell.
func (s *Set) logWrite(err error) {
	if err != nil {
		s.log.Debug("write metrics", "err", err)
	}
}

// scrapeTimeout leaves a tenth of the scraper's time for writing the page.
func scrapeTimeout(r *http.Request) time.Duration {
	seconds, err := strconv.ParseFloat(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(seconds > 0) || seconds > 3600 {
		return defaultTimeout
	}
	return time.Duration(0.9 * seconds * float64(time.Second))
}

// local tells whether a client's address is on this machine; an in-memory connection's is no address at all.
func local(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	ip := net.ParseIP(host)
	return err != nil || ip == nil || ip.IsLoopback()
}
