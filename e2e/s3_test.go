package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// The S3 server is versitygw over a directory, which checks signatures as
// Amazon's does. `make e2e` installs it; by hand that is
//
//	go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

const (
	s3Access = "oriel-e2e"
	s3Secret = "hunter2-hunter2-hunter2"
)

// bucketServer is a running versitygw.
type bucketServer struct{ url string }

func newBucketServer(t *testing.T, buckets ...string) *bucketServer {
	t.Helper()
	program := proctest.External(t, "versitygw")
	addr := freeAddress(t)
	dir := t.TempDir()
	for _, d := range []string{"data", "side"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	spawn(t, program, "--port", addr, "--access", s3Access, "--secret", s3Secret, "--region", "us-east-1", "--quiet",
		"posix", "--sidecar", filepath.Join(dir, "side"), filepath.Join(dir, "data"))
	s := &bucketServer{"http://" + addr}
	proctest.Eventually(t, 30*time.Second, func() (bool, string) {
		code, body := get(t, s.url+"/")
		return code == http.StatusForbidden, fmt.Sprint(code, body)
	})
	for _, b := range buckets {
		s.put(t, b, "", nil)
	}
	return s
}

// put sends one signed request (AWS signature version 4): an object, or a bucket if key is empty.
func (s *bucketServer) put(t *testing.T, bucket, key string, body []byte) {
	t.Helper()
	target := s.url + "/" + bucket
	if key != "" {
		target += "/" + uriEncode(key)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	scope := now.Format("20060102") + "/us-east-1/s3/aws4_request"
	canonical := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), "", "host:" + r.URL.Host, "x-amz-content-sha256:UNSIGNED-PAYLOAD", "x-amz-date:" + r.Header.Get("X-Amz-Date"), "",
		"host;x-amz-content-sha256;x-amz-date", "UNSIGNED-PAYLOAD",
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	key4 := []byte("AWS4" + s3Secret)
	for part := range strings.SplitSeq(scope, "/") {
		key4 = mac(key4, part)
	}
	signature := hex.EncodeToString(mac(key4, "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s3Access+"/"+scope+", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="+signature)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT %s: %s: %s", target, resp.Status, answer)
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// uriEncode is the signature's own: all but letters, digits, -._~ and slashes.
func uriEncode(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if strings.IndexByte("-._~/", c) >= 0 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// upload puts all files below a directory into a bucket.
func (s *bucketServer) upload(t *testing.T, dir, bucket string) (objects int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		key, err := filepath.Rel(dir, file)
		if err == nil {
			s.put(t, bucket, filepath.ToSlash(key), body)
			objects++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// faulty is a proxy before the server. It keeps the Host, which is signed.
func (s *bucketServer) faulty(t *testing.T, fault func(w http.ResponseWriter, r *http.Request) (handled bool)) string {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
	}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// s3Env is what gives a command the keys of the bucket.
func s3Env(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", s3Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3Secret)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>made up</Message></Error>`, code)
}

// TestImportFromABucketInTrouble: whatever the bucket does, the import says
// what it was, takes what it can get whole, and brings the rest at the next call.
func TestImportFromABucketInTrouble(t *testing.T) {
	s := newBucketServer(t, "logs")
	in := t.TempDir()
	command(t, oriel, "flows", "generate", "ibm", in, "--rows", "2000", "--duration", "20m", "--start", "2026-08-20")
	objects := s.upload(t, in, "logs")
	isObject := func(r *http.Request) bool { return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".gz") }
	var throttled sync.Map // requests
	for _, tt := range []struct {
		name  string
		fault func(n int64, w http.ResponseWriter, r *http.Request) bool
		want  string // in what is printed
		whole bool   // all rows come all the same
	}{
		{"denied", func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, http.StatusForbidden, "AccessDenied")
			return true
		}, "made up", false},
		{"some objects denied", func(n int64, w http.ResponseWriter, r *http.Request) bool {
			if !isObject(r) || n%9 != 0 {
				return false
			}
			refuse(w, http.StatusForbidden, "AccessDenied")
			return true
		}, "made up", false},
		{"throttled", func(_ int64, w http.ResponseWriter, r *http.Request) bool {
			if _, again := throttled.LoadOrStore(r.Method+r.URL.String(), true); again { // each is asked for twice
				return false
			}
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		}, "", true},
		{"objects lost midway", func(n int64, w http.ResponseWriter, r *http.Request) bool {
			if !isObject(r) || n%7 != 0 {
				return false
			}
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return true
		}, "no such object", false},
		{"connections cut in an object", func(n int64, w http.ResponseWriter, r *http.Request) bool {
			if !isObject(r) || n%5 != 0 {
				return false
			}
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte("\x1f\x8b\x08\x00"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "tries them again", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s3Env(t)
			var count atomic.Int64
			var healed atomic.Bool
			proxy := s.faulty(t, func(w http.ResponseWriter, r *http.Request) bool {
				return !healed.Load() && tt.fault(count.Add(1), w, r)
			})
			lake := filepath.Join(t.TempDir(), "lake")
			args := []string{"flows", "import", "s3://logs", "--s3.endpoint", proxy, "--s3.region", "us-east-1", "--lake.dir", lake}
			out, err := program(t, args...)
			if (err == nil) != tt.whole || !strings.Contains(out, tt.want) || strings.Contains(out, s3Secret) {
				t.Errorf("%v, and printed:\n%s\nwant %q", err, out, tt.want)
			}
			healed.Store(true)
			again, err := program(t, args...)
			if err != nil {
				t.Errorf("%v, and printed:\n%s", err, again)
			}
			if n := rowsIn(t, lake); n != "2000" {
				t.Errorf("%s rows of %d objects; want 2000. Printed:\n%s\n%s", n, objects, out, again)
			}
		})
	}
	t.Run("another's key", func(t *testing.T) {
		s3Env(t)
		t.Setenv("AWS_SECRET_ACCESS_KEY", "not-"+s3Secret)
		out, err := program(t, "flows", "import", "s3://logs", "--s3.endpoint", s.url, "--s3.region", "us-east-1", "--lake.dir", t.TempDir())
		if err == nil || !strings.Contains(out, "signature") || strings.Contains(out, s3Secret) {
			t.Errorf("%v, and printed:\n%s", err, out)
		}
	})
	t.Run("no such bucket", func(t *testing.T) {
		s3Env(t)
		out, err := program(t, "flows", "import", "s3://none", "--s3.endpoint", s.url, "--s3.region", "us-east-1", "--lake.dir", t.TempDir())
		if err == nil || !strings.Contains(out, "no such bucket") {
			t.Errorf("%v, and printed:\n%s", err, out)
		}
	})
}
