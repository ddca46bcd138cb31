package lake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

const (
	ledgerPrefix = "_ledger/"
	// maxSegments is how many segments a ledger has before they become one.
	maxSegments = 32
	// maxLedgerBytes bounds what one segment may unpack to.
	maxLedgerBytes = 4 << 30
)

// imported is what became of one object of a source.
type imported struct {
	Key     string `json:"key"`
	ETag    string `json:"etag"`
	Seen    int64  `json:"seen,omitempty"`   // its records, good and bad
	Rows    int64  `json:"rows,omitempty"`   // written in this transaction
	Digest  uint64 `json:"digest,omitempty"` // over the records seen
	Failed  string `json:"failed,omitempty"` // why nothing was taken
	Time    int64  `json:"time,omitempty"`   // hours since 1970, as the key says
	Skipped int64  `json:"skipped,omitempty"`
}

// importCommit is the content of an import's .commit object: the manifest of one
// transaction. Which objects have been imported is the sum of these and of the
// segments that older ones were folded into.
type importCommit struct {
	Source  string     `json:"source"`
	Objects []imported `json:"objects"`
	Files   []string   `json:"files"`
}

// entry is what is kept in memory of an object.
type entry struct {
	etag   uint64
	seen   int64
	digest uint64
	failed bool
}

// ledger knows which objects of a source have been imported.
type ledger struct {
	lake    *Lake
	source  string // its id
	objects map[[16]byte]entry
	newest  int64 // latest hour that a key says
}

// sourceID is the name of a source in keys.
func sourceID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

func keyHash(key string) [16]byte {
	sum := sha256.Sum256([]byte(key))
	return [16]byte(sum[:16])
}

func etagHash(etag string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(etag) {
		h = (h ^ uint64(etag[i])) * 1099511628211
	}
	return h
}

func (g *ledger) add(o imported) {
	e := entry{etagHash(o.ETag), o.Seen, o.Digest, o.Failed != ""}
	k := keyHash(o.Key)
	if before, ok := g.objects[k]; ok && e.seen < before.seen {
		e.seen, e.digest = before.seen, before.digest // what was taken stays taken
	}
	g.objects[k] = e
	g.newest = max(g.newest, o.Time)
}

// knows tells what is known of an object, and whether this very content has been dealt with.
func (g *ledger) knows(o Object) (e entry, done bool) {
	e, ok := g.objects[keyHash(o.Key)]
	return e, ok && e.etag == etagHash(o.ETag)
}

// openLedger reads the segments and the commits of a source, and folds commits
// that are older than the grace period into a segment. The caller holds the source's lock.
func (l *Lake) openLedger(ctx context.Context, source string) (*ledger, error) {
	g := &ledger{lake: l, source: source, objects: map[[16]byte]entry{}}
	var segments []string
	for o, err := range l.store.List(ctx, ledgerPrefix+source+"/", "") {
		if err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		segments = append(segments, o.Key)
	}
	var all []imported
	merge := len(segments) >= maxSegments
	for _, key := range segments {
		if err := g.readSegment(ctx, key, func(o imported) {
			g.add(o)
			if merge {
				all = append(all, o)
			}
		}); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
	}
	old, err := g.readCommits(ctx, func(o imported) { all = append(all, o) })
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if len(old) == 0 && !merge {
		return g, nil
	}
	if err := g.writeSegment(ctx, all); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if merge {
		old = append(old, segments...)
	}
	for _, key := range old {
		if err := l.store.Delete(ctx, key); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
	}
	return g, nil
}

// readCommits adds the commits of the source; the keys of old ones it returns, and what they say goes to fold.
func (g *ledger) readCommits(ctx context.Context, fold func(imported)) (old []string, err error) {
	for o, err := range g.lake.store.List(ctx, txnPrefix, "") {
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(o.Key, txnCommit) {
			continue
		}
		var c importCommit
		if err := readJSON(ctx, g.lake.store, o.Key, maxTxnBytes, &c); err != nil {
			return nil, err
		}
		if c.Source != g.source {
			continue
		}
		aged := time.Since(o.Modified) >= g.lake.grace
		for _, object := range c.Objects {
			g.add(object)
			if aged {
				fold(object)
			}
		}
		if aged {
			old = append(old, o.Key)
		}
	}
	return old, nil
}

func (g *ledger) readSegment(ctx context.Context, key string, yield func(imported)) error {
	body, err := g.lake.store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	unzip, err := gzip.NewReader(body)
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	dec := json.NewDecoder(io.LimitReader(unzip, maxLedgerBytes))
	for {
		var o imported
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		yield(o)
	}
}

func (g *ledger) writeSegment(ctx context.Context, objects []imported) error {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	enc := json.NewEncoder(zip)
	for _, o := range objects {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	if err := zip.Close(); err != nil {
		return err
	}
	key := fmt.Sprintf("%s%s/%020d-%s.json.gz", ledgerPrefix, g.source, time.Now().UnixNano(), newID("s"))
	return g.lake.store.Put(ctx, key, bytes.NewReader(buf.Bytes()), int64(buf.Len()), true)
}

// fold moves the commits of imports that are older than the grace period into
// their ledgers, also those of sources that nobody imports from any more: every
// query lists what is left.
func (l *Lake) fold(ctx context.Context) error {
	sources := map[string]bool{}
	for o, err := range l.store.List(ctx, txnPrefix, "") {
		if err != nil {
			return fmt.Errorf("fold: %w", err)
		}
		if !strings.HasSuffix(o.Key, txnCommit) || time.Since(o.Modified) < l.grace {
			continue
		}
		var c importCommit
		if err := readJSON(ctx, l.store, o.Key, maxTxnBytes, &c); err != nil {
			if isNotFound(err) {
				continue
			}
			return fmt.Errorf("fold: %w", err)
		}
		sources[c.Source] = true
	}
	for source := range sources {
		lk, err := l.lock(ctx, "import-"+source)
		if errors.Is(err, ErrLocked) {
			continue // the import under way does it next time
		}
		if err != nil {
			return fmt.Errorf("fold: %w", err)
		}
		// A commit must not go before the mark that its files were not to be read: who died between the two left both.
		if err = l.recover(ctx, "import-"+source); err == nil {
			_, err = l.openLedger(ctx, source)
		}
		lk.release()
		if err != nil {
			return fmt.Errorf("fold: %w", err)
		}
	}
	return nil
}
