package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/demo/flows"
)

// newS3 returns a bucket of a server of its own. handler, if any, sees requests first.
func newS3(t *testing.T, prefix string, handler func(next http.Handler) http.Handler) (*S3, S3Config) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	server := gofakes3.New(backend).Server()
	if handler != nil {
		server = handler(server)
	}
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	c := S3Config{URL: "s3://bucket/" + prefix, Endpoint: srv.URL, Region: "us-east-1", AccessKey: "key", SecretKey: "hunter2"}
	s, err := NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func stores(t *testing.T) map[string]Store {
	s, _ := newS3(t, "", nil)
	p, _ := newS3(t, "some/where/", nil)
	return map[string]Store{"dir": NewDir(t.TempDir()), "s3": s, "s3 with prefix": p}
}

func put(t *testing.T, s Store, key, text string) {
	t.Helper()
	if err := s.Put(context.Background(), key, strings.NewReader(text), int64(len(text)), false); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s Store, key string) string {
	t.Helper()
	body, err := s.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestStores holds both stores to one contract.
func TestStores(t *testing.T) {
	ctx := context.Background()
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Get(ctx, "a/none"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Get of nothing: %v", err)
			}
			if _, err := s.Stat(ctx, "a/none"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Stat of nothing: %v", err)
			}
			if err := s.Delete(ctx, "a/none"); err != nil {
				t.Errorf("Delete of nothing: %v", err)
			}
			for _, key := range []string{"a/b", "a.b", "a/c/d", "a/b=1/é", "b/crn%3Av1", "z"} {
				put(t, s, key, "text of "+key)
			}
			for _, tt := range []struct {
				prefix, after string
				want          []string
			}{
				{"", "", []string{"a.b", "a/b", "a/b=1/é", "a/c/d", "b/crn%3Av1", "z"}},
				{"a/", "", []string{"a/b", "a/b=1/é", "a/c/d"}},
				{"a/", "a/b", []string{"a/b=1/é", "a/c/d"}},
				{"", "a/b=2", []string{"a/c/d", "b/crn%3Av1", "z"}},
				{"a", "a/c/d", nil},
				{"q", "", nil},
			} {
				var got []string
				for o, err := range s.List(ctx, tt.prefix, tt.after) {
					if err != nil {
						t.Fatal(err)
					}
					if o.Size != int64(len("text of "+o.Key)) || o.ETag == "" || time.Since(o.Modified).Abs() > time.Hour {
						t.Errorf("listed %+v", o)
					}
					got = append(got, o.Key)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("List(%q, %q) (-want +got):\n%s", tt.prefix, tt.after, diff)
				}
			}
			for range s.List(ctx, "", "") {
				break // must not hang or leak
			}
			body, err := s.GetRange(ctx, "a/b", 5, 2)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(body); err != nil || string(b) != "of" {
				t.Errorf("GetRange = %q, %v", b, err)
			}
			_ = body.Close()
			before, err := s.Stat(ctx, "z")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Put(ctx, "z", strings.NewReader("x"), 1, true); !errors.Is(err, ErrExists) || get(t, s, "z") != "text of z" {
				t.Errorf("Put if absent: %v, and it is %q", err, get(t, s, "z"))
			}
			put(t, s, "z", "another")
			if after, err := s.Stat(ctx, "z"); err != nil || after.ETag == before.ETag || get(t, s, "z") != "another" {
				t.Errorf("the ETag stays %s: %v", after.ETag, err)
			}
			if err := s.Put(ctx, "y", strings.NewReader("short"), 10, false); err == nil {
				t.Error("Put of fewer bytes than said: no error")
			}
			if _, err := s.Stat(ctx, "y"); !errors.Is(err, ErrNotFound) {
				t.Errorf("a Put that failed left something: %v", err)
			}
			if err := s.Delete(ctx, "z"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Stat(ctx, "z"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Stat of what was deleted: %v", err)
			}
			canceled, cancel := context.WithCancel(ctx)
			cancel()
			failed := false
			for _, err := range s.List(canceled, "", "") {
				failed = failed || err != nil
			}
			if !failed {
				t.Error("List after the context is done: no error")
			}
		})
	}
}

func TestKeysStayInTheDirectory(t *testing.T) {
	root := t.TempDir()
	d := NewDir(root)
	for _, key := range []string{"../x", "a/../../x", "/etc/passwd", "..", ""} {
		if p := d.Path(key); p != root && !strings.HasPrefix(p, root+"/") {
			t.Errorf("Path(%q) = %q", key, p)
		}
	}
}

func TestLakeInABucket(t *testing.T) {
	ctx := context.Background()
	store, _ := newS3(t, "lake", nil)
	source, _ := newS3(t, "", nil)
	written, err := flows.Write(traffic(1500), "ibm", func(key string) (io.WriteCloser, error) { return &upload{t: t, s: source, key: key}, nil })
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(store, Options{CacheDir: t.TempDir(), CacheBytes: 100 << 20, Grace: time.Hour}, discard)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := l.Import(ctx, Source{Name: "s3", Store: source}, nil)
	if err != nil || sum.Rows != written.Records {
		t.Fatalf("%d rows, %v, %v; want %d", sum.Rows, sum.Problems, err, written.Records)
	}
	unique(t, all(t, l), written.Records, true)
	if c, err := l.Compact(ctx, FlowTable, t0.AddDate(1, 0, 0), nil); err != nil {
		t.Errorf("Compact = %+v, %v", c, err)
	}
	unique(t, all(t, l), written.Records, true)
	if tables, err := l.Tables(ctx); err != nil || len(tables) != 1 || len(tables[0].Columns) < 40 {
		t.Errorf("Tables = %v, %v", tables, err)
	}
	for o, err := range store.List(ctx, lockPrefix, "") {
		t.Errorf("lock %s is left, %v", o.Key, err)
	}
}

// upload collects an object and puts it.
type upload struct {
	t   *testing.T
	s   Store
	key string
	b   strings.Builder
}

func (u *upload) Write(p []byte) (int, error) { return u.b.Write(p) }

func (u *upload) Close() error {
	return u.s.Put(context.Background(), u.key, strings.NewReader(u.b.String()), int64(u.b.Len()), false)
}

func TestSecondImporterIsLockedOut(t *testing.T) {
	ctx := context.Background()
	store, _ := newS3(t, "", nil)
	for name, l := range map[string]*Lake{
		"dir": newLake(t),
		"s3":  {store: store, log: discard, transactions: newTransactions(store)},
	} {
		first, err := l.lock(ctx, "import-x")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.lock(ctx, "import-x"); !errors.Is(err, ErrLocked) {
			t.Errorf("%s: second lock: %v", name, err)
		}
		if _, err := l.lock(ctx, "import-y"); err != nil {
			t.Errorf("%s: another lock: %v", name, err)
		}
		first.release()
		again, err := l.lock(ctx, "import-x")
		if err != nil {
			t.Fatalf("%s: after release: %v", name, err)
		}
		again.release()
	}
}

func TestBucketThatDeniesThrottlesAndHidesNothing(t *testing.T) {
	ctx := context.Background()
	var status atomic.Int64
	s, c := newS3(t, "", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n := status.Load(); n != 0 {
				w.WriteHeader(int(n))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	put(t, s, "a", "b")
	status.Store(http.StatusForbidden)
	_, err := s.Get(ctx, "a")
	if err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Get where it is forbidden: %v", err)
	}
	for _, lerr := range s.List(ctx, "", "") {
		if lerr == nil {
			t.Error("List where it is forbidden: no error")
		}
		err = errors.Join(err, lerr)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %v", err, c, s), "hunter2") {
		t.Error("the secret is shown")
	}
}

func TestIAMTokens(t *testing.T) {
	ctx := context.Background()
	var issued atomic.Int64
	iam := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("apikey") != "hunter2" || r.FormValue("grant_type") != "urn:ibm:params:oauth:grant-type:apikey" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "bad key %s", r.FormValue("apikey"))
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":3600}`, issued.Add(1))
	}))
	t.Cleanup(iam.Close)
	var mu sync.Mutex
	seen := map[string]int{}
	revoked := ""
	_, c := newS3(t, "", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			auth := r.Header.Get("Authorization")
			mu.Lock()
			seen[auth]++
			denied := auth == revoked
			mu.Unlock()
			if denied || !strings.HasPrefix(auth, "Bearer token-") {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	c.AccessKey, c.SecretKey, c.IAMAPIKey, c.IAMURL = "", "", "hunter2", iam.URL
	s, err := NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", "b")
	if got := get(t, s, "a"); got != "b" || issued.Load() != 1 || seen["Bearer token-1"] < 2 {
		t.Errorf("got %q, %d tokens issued, %v", got, issued.Load(), seen)
	}
	mu.Lock()
	revoked = "Bearer token-1"
	mu.Unlock()
	_, _ = s.Get(ctx, "a") // finds out that the token is no good any more
	if got := get(t, s, "a"); got != "b" || issued.Load() != 2 {
		t.Errorf("after the token was revoked: %q, %d tokens", got, issued.Load())
	}
	c.IAMAPIKey = "hunter3"
	wrong, err := NewS3(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Get(ctx, "a"); err == nil || strings.Contains(err.Error(), "hunter3") || !strings.Contains(err.Error(), "400") {
		t.Errorf("wrong key: %v; want the status, without the key", err)
	}
}

func TestS3ConfigErrors(t *testing.T) {
	for want, c := range map[string]S3Config{
		"url: ":        {URL: "http://x"},
		"url: \"s3:":   {URL: "s3://B"},
		"endpoint: ":   {URL: "s3://bucket", Endpoint: "https://u:p@h/"},
		"secret_key: ": {URL: "s3://bucket", AccessKey: "a"},
		"access_key: ": {URL: "s3://bucket", SecretKey: "a"},
		"url: more":    {URL: "s3://bucket", AccessKey: "a", SecretKey: "b", IAMAPIKey: "c"},
		"iam_url: ":    {URL: "s3://bucket", IAMAPIKey: "c", IAMURL: "x"},
		"tls: ":        {URL: "s3://bucket", TLS: conf.TLS{MinVersion: "x"}},
	} {
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Validate(%+v) = %v; want %q", c, err, want)
		}
	}
}
