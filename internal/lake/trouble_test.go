package lake

import (
	"context"
	"errors"
	"hash/crc32"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestImportFromABucketInTrouble: what the bucket does not give is not imported
// by half, what it gives is, and the next import brings the rest, exactly once.
func TestImportFromABucketInTrouble(t *testing.T) {
	var throttled sync.Map // number of answers by path
	var refused atomic.Int64
	for _, tt := range []struct {
		name string
		// answer serves a request for an object itself, or leaves it to the bucket.
		answer func(w http.ResponseWriter, r *http.Request) bool
		whole  bool // the first import brings all
	}{
		{"throttles", func(w http.ResponseWriter, r *http.Request) bool {
			if crc32.ChecksumIEEE([]byte(r.URL.Path))%3 != 0 {
				return false
			}
			if tries, _ := throttled.LoadOrStore(r.URL.Path, new(atomic.Int64)); tries.(*atomic.Int64).Add(1) < 3 { // minio-go comes again
				refused.Add(1)
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write([]byte(`<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`))
				return true
			}
			return false
		}, true},
		{"loses an object midway", func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, lostSuffix) {
				w.Header().Set("Content-Type", "application/xml")
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`<Error><Code>NoSuchKey</Code></Error>`))
				return true
			}
			return false
		}, false},
		{"breaks off an object", func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, lostSuffix) {
				w.Header().Set("Content-Length", "100000")
				w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
				w.Header().Set("Etag", `"x"`)
				_, _ = w.Write([]byte("\x1f\x8b\x08"))
				return true
			}
			return false
		}, false},
		{stalls, func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, lostSuffix) {
				w.Header().Set("Content-Length", "100000")
				w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
				w.Header().Set("Etag", `"x"`)
				_, _ = w.Write([]byte("\x1f\x8b\x08"))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				return true
			}
			return false
		}, false},
		{"denies an object", func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, lostSuffix) {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return false
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.Background()
			in := t.TempDir()
			written := generate(t, in, "ibm", traffic(600))
			var trouble atomic.Bool
			s, _ := newS3(t, "", func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if trouble.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".gz") && tt.answer(w, r) {
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			dir := NewDir(in)
			for o, err := range dir.List(ctx, "", "") {
				if err != nil {
					t.Fatal(err)
				}
				put(t, s, o.Key, get(t, dir, o.Key))
			}
			l := newLake(t)
			trouble.Store(true)
			if tt.name == stalls {
				s.stall = 500 * time.Millisecond
			}
			sum, err := l.Import(ctx, Source{Name: "bucket", Store: s}, nil)
			if tt.whole != (err == nil) || tt.whole != (sum.Rows == written.Records) || sum.Rows == 0 {
				t.Errorf("first import: %+v, %v; written were %d", sum, err, written.Records)
			}
			if tt.name == stalls && (len(sum.Problems) == 0 || !errors.Is(sum.Problems[0], errStalled)) {
				t.Errorf("problems: %v; want that the server stopped", sum.Problems)
			}
			s.stall = idle
			trouble.Store(false)
			if sum, err := l.Import(ctx, Source{Name: "bucket", Store: s}, nil); err != nil {
				t.Errorf("second import: %+v, %v", sum, err)
			}
			unique(t, all(t, l), written.Records, true)
		})
	}
	if refused.Load() < 2 {
		t.Error("the bucket has not throttled")
	}
}

const stalls = "stalls in the middle of an object"

// lostSuffix ends the key of an object that traffic always makes.
const lostSuffix = "00000000.gz"

// TestBucketThatNeverAnswers: an import ends with its context and leaves nothing.
func TestBucketThatNeverAnswers(t *testing.T) {
	reached := make(chan struct{}, 100)
	s, _ := newS3(t, "", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".gz") {
				reached <- struct{}{}
				<-r.Context().Done()
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	put(t, s, "ibm/00000000.gz", "x")
	l := newLake(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-reached
		cancel()
	}()
	if sum, err := l.Import(ctx, Source{Name: "bucket", Store: s}, nil); err == nil || sum.Rows != 0 {
		t.Errorf("Import = %+v, %v; want an error", sum, err)
	}
	if files, err := l.Files(t.Context(), FlowTable, time.Time{}, time.Time{}); err != nil || len(files.List) != 0 {
		t.Errorf("%+v, %v; want no files", files, err)
	}
}
