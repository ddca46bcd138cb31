package lake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/orielhq/oriel/internal/flow"
)

// FlowTable is the table that flow logs are imported into.
const FlowTable = "flows"

const (
	// A transaction takes this many objects or bytes, whichever comes first.
	batchObjects = 1000
	batchBytes   = 256 << 20
	// heldRows is how many rows of one object are in memory before they go to
	// the writer: a smaller object that turns out to be damaged costs nothing.
	heldRows = 8192
	// maxTransient is how many objects of a run may be unreadable before it ends.
	maxTransient = 20
	// maxReported bounds the bad objects and records that a run describes.
	maxReported = 100
)

// Source is where flow logs come from.
type Source struct {
	Name   string // what the ledger knows it by: the same objects under another name are imported again
	Store  Store
	Prefix string
	Format string // one of flow's formats, or empty to find it out from each object
	// Lookback is how many days before the newest known one are listed again for
	// late objects; 0 lists everything.
	Lookback int
	// Oldest is the start before which rows are left out, as retention would
	// remove them at once. The zero time takes all.
	Oldest time.Time
}

// Summary of an import.
type Summary struct {
	Objects, ObjectsKnown, ObjectsFailed int64
	Bytes                                int64 // of the objects, as they are stored
	Rows                                 int64 // in the lake now
	BadRecords, Skipped, Expired         int64
	Listed                               int64
	Problems                             []error // the first bad objects and records
}

func (s *Summary) problem(errs ...error) {
	for _, err := range errs {
		if len(s.Problems) < maxReported {
			s.Problems = append(s.Problems, err)
		}
	}
}

// importer is one run over one source.
type importer struct {
	lake   *Lake
	source Source
	ledger *ledger
	lock   *lock
	report func(Summary)

	mu        sync.Mutex // guards what follows while a batch is decoded
	writer    *Writer[flow.Record]
	sum       Summary
	transient int
}

// Import brings what is new in a source into the table flows, exactly once:
// after a crash at any point, or in two processes at once, no row is lost or
// doubled. An object that grew gives the rows that are new in it. A damaged
// object gives none and is not tried again until it changes. report, which may
// be nil, is called now and then with what has been done so far.
//
// The error tells what kept the run from its end, or that objects could not be read.
func (l *Lake) Import(ctx context.Context, source Source, report func(Summary)) (sum Summary, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("import %s: %w", source.Name, err)
		}
	}()
	id := sourceID(source.Name)
	lockName := "import-" + id
	lk, err := l.lock(ctx, lockName)
	if err != nil {
		return sum, err
	}
	defer lk.release()
	if err := l.recover(ctx, lockName); err != nil {
		return sum, err
	}
	ledger, err := l.openLedger(ctx, id)
	if err != nil {
		return sum, err
	}
	im := &importer{lake: l, source: source, ledger: ledger, lock: lk, report: report}
	err = im.run(ctx, lockName)
	return im.sum, err
}

func (im *importer) run(ctx context.Context, lockName string) error {
	var since time.Time
	if im.source.Lookback > 0 && im.ledger.newest > 0 {
		since = time.Unix(im.ledger.newest*3600, 0).UTC().AddDate(0, 0, -im.source.Lookback)
	}
	var batch []Object
	var bytes int64
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := im.batch(ctx, lockName, batch)
		batch, bytes = nil, 0
		return err
	}
	for o, err := range discover(ctx, im.source.Store, im.source.Prefix, since) {
		if err != nil {
			return errors.Join(err, flush())
		}
		im.sum.Listed++
		if foreign(o) {
			continue
		}
		if _, done := im.ledger.knows(o); done {
			im.sum.ObjectsKnown++
			continue
		}
		batch = append(batch, o)
		bytes += o.Size
		if len(batch) >= batchObjects || bytes >= batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if im.transient > 0 {
		return fmt.Errorf("%d objects could not be read; the next import tries them again", im.transient)
	}
	return nil
}

// foreign tells whether an object cannot be a flow log by its name: markers of
// directories, and what AWS and people put beside the logs.
func foreign(o Object) bool {
	base := path.Base(o.Key)
	return strings.HasSuffix(o.Key, "/") || strings.HasPrefix(base, ".") || base == "AWSLogs" || strings.HasSuffix(base, "CHECK_FILE")
}

// batch imports objects in one transaction. An object that turned out to be
// damaged when rows of it had been written already makes it begin again without that object.
func (im *importer) batch(ctx context.Context, lockName string, objects []Object) error {
	failed := map[string]error{}
	for {
		t, err := im.lake.begin(ctx, FlowTable, lockName, im.lock)
		if err != nil {
			return err
		}
		done, again, err := im.attempt(ctx, t, objects, failed)
		if err == nil && again == nil {
			return im.commit(ctx, t, done)
		}
		// What was written must go, also when ctx is done.
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		rerr := t.rollback(back, im.writer.put)
		cancel()
		if err := errors.Join(err, rerr); err != nil {
			return err
		}
		maps.Copy(failed, again)
	}
}

// attempt decodes the objects into a transaction. again are the objects for which it has to be made anew.
func (im *importer) attempt(ctx context.Context, t *txn, objects []Object, failed map[string]error) (done []outcome, again map[string]error, err error) {
	im.writer = newWriter(im.lake, FlowTable, t.id, func(r *flow.Record) time.Time { return r.StartTime.Std() })
	again = map[string]error{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(4, 2*runtime.GOMAXPROCS(0)))
	var shown Summary
	for _, o := range objects {
		g.Go(func() error {
			out := outcome{object: o, err: failed[o.Key]}
			if out.err == nil {
				out = im.decode(gctx, o)
			}
			im.mu.Lock()
			defer im.mu.Unlock()
			if out.fatal != nil {
				return out.fatal
			}
			if out.err != nil && out.spilled {
				again[o.Key] = out.err
				return nil
			}
			done = append(done, out)
			shown.Objects++
			shown.Bytes += o.Size
			shown.Rows += out.rows
			if im.report != nil {
				im.report(im.sum.plus(shown))
			}
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	if len(again) > 0 {
		return nil, again, nil
	}
	return done, nil, im.writer.Flush(ctx)
}

// plus is for showing: the sums with what is not committed yet.
func (s Summary) plus(o Summary) Summary {
	s.Objects += o.Objects
	s.Bytes += o.Bytes
	s.Rows += o.Rows
	return s
}

// commit makes the transaction visible and remembers its objects.
func (im *importer) commit(ctx context.Context, t *txn, done []outcome) error {
	c := importCommit{Source: im.ledger.source, Files: im.writer.put}
	sum := im.sum
	for _, out := range done {
		sum.Bytes += out.object.Size
		if out.transient {
			im.transient++
			sum.problem(out.err)
			continue
		}
		o := imported{Key: out.object.Key, ETag: out.object.ETag, Seen: out.result.Seen, Rows: out.rows, Digest: out.digest, Skipped: out.result.Skipped}
		if day, _, ok := keyDate(o.Key); ok {
			o.Time = day.Unix() / 3600
		}
		sum.Objects++
		if out.err != nil {
			o = imported{Key: o.Key, ETag: o.ETag, Failed: out.err.Error(), Time: o.Time}
			sum.ObjectsFailed++
			sum.problem(out.err)
		} else {
			sum.problem(out.result.Errors...)
			sum.BadRecords += out.result.Bad
			sum.Skipped += out.result.Skipped
			sum.Expired += out.expired
			sum.Rows += out.rows
		}
		c.Objects = append(c.Objects, o)
	}
	if err := t.commit(ctx, txnCommit, c); err != nil {
		return err
	}
	for _, o := range c.Objects {
		im.ledger.add(o)
	}
	im.sum = sum
	if im.report != nil {
		im.report(im.sum)
	}
	if im.transient > maxTransient {
		return fmt.Errorf("%d objects could not be read, giving up", im.transient)
	}
	return nil
}

// outcome is what became of one object.
type outcome struct {
	object    Object
	result    flow.Result
	rows      int64 // new
	expired   int64
	digest    uint64
	spilled   bool  // rows of it are in the writer
	err       error // the object gives nothing
	transient bool  // err is of the store: try again another time
	fatal     error // err is of the lake: end the run
}

var errChanged = errors.New("the object was imported before and has been changed, not extended")

// readers are used again: there are more objects than megabytes.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// decode reads one object and writes its new rows.
func (im *importer) decode(ctx context.Context, o Object) (out outcome) {
	out.object = o
	known, _ := im.ledger.knows(o)
	body, err := im.source.Store.Get(ctx, o.Key)
	if err != nil {
		out.err, out.transient = err, true
		return out
	}
	source := &watched{r: body}
	defer func() { _ = body.Close() }()
	buffered := readers.Get().(*bufio.Reader)
	buffered.Reset(source)
	defer func() {
		buffered.Reset(nil)
		readers.Put(buffered)
	}()
	digest := newDigest()
	var held []*flow.Batch
	rows := 0
	defer func() {
		for _, b := range held {
			b.Free()
		}
	}()
	take := func(b *flow.Batch) error {
		held = append(held, b) // freed with the others, or by the writer
		fresh := b.Rows[:0]
		for i := range b.Rows {
			r := &b.Rows[i]
			no := int64(r.RecordNo)
			if known.seen > 0 && no > known.seen && !digest.checked && digest.check(known.digest) != nil {
				return errChanged
			}
			digest.add(r)
			if no <= known.seen {
				continue // taken when the object was shorter
			}
			if !im.source.Oldest.IsZero() && r.StartTime < flow.At(im.source.Oldest) {
				out.expired++
				continue
			}
			if len(fresh) != i {
				b.Rows[len(fresh)] = *r
			}
			fresh = b.Rows[:len(fresh)+1]
		}
		b.Rows = fresh
		out.rows += int64(len(fresh))
		if rows += len(fresh); rows < heldRows {
			return ctx.Err()
		}
		out.spilled = true
		give := held
		held, rows = nil, 0
		return im.write(ctx, give)
	}
	out.result, err = flow.Decode(flow.Object{Key: o.Key, Body: buffered, Size: o.Size, Format: im.source.Format}, take)
	if err == nil && known.seen > 0 && !digest.checked && (out.result.Seen < known.seen || digest.check(known.digest) != nil) {
		err = errChanged
	}
	out.digest = digest.sum
	switch fatal := (*writeError)(nil); {
	case err == nil:
		give := held
		held = nil
		if err := im.write(ctx, give); err != nil {
			out.fatal = err
		}
	case errors.As(err, &fatal):
		out.fatal = fatal.error
	case ctx.Err() != nil:
		out.fatal = ctx.Err()
	case errors.Is(err, errChanged):
		out.err = fmt.Errorf("%q: %w", o.Key, err)
	case source.err != nil || source.n < o.Size && source.eof:
		// The store broke off, the object may be whole.
		out.err, out.transient = fmt.Errorf("read %q: %w", o.Key, errors.Join(source.err, err)), true
	default:
		out.err = err
	}
	return out
}

// writeError is an error of the lake, as against one of the object.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

func (im *importer) write(ctx context.Context, batches []*flow.Batch) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, b := range batches {
		if err := im.writer.own(ctx, b.Rows, b.Free); err != nil {
			return &writeError{err}
		}
	}
	return nil
}

// watched tells how reading itself went, apart from what the decoder thinks of the content.
type watched struct {
	r   io.Reader
	n   int64
	eof bool
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.n += int64(n)
	if errors.Is(err, io.EOF) {
		w.eof = true
	} else if err != nil {
		w.err = err
	}
	return n, err
}

// digest is over the records of an object in their order: whether an object
// that has another ETag begins with what was imported of it.
type digest struct {
	sum     uint64
	checked bool
}

func newDigest() *digest { return &digest{sum: 14695981039346656037} }

func (d *digest) add(r *flow.Record) {
	mix := func(n uint64) { d.sum = (d.sum ^ n) * 1099511628211; d.sum ^= d.sum >> 29 }
	mix(uint64(r.RecordNo))  //nolint:gosec // bits are all that matters
	mix(uint64(r.StartTime)) //nolint:gosec // bits
	if r.InitiatorPort != nil && r.TargetPort != nil {
		mix(uint64(*r.InitiatorPort)<<16 | uint64(*r.TargetPort)) //nolint:gosec // bits
	}
	if r.BytesFromInitiator != nil {
		mix(uint64(*r.BytesFromInitiator)) //nolint:gosec // bits
	}
	mix(etagHash(r.InitiatorIP))
	mix(etagHash(r.TargetIP))
}

func (d *digest) check(want uint64) error {
	d.checked = true
	if d.sum != want {
		return errChanged
	}
	return nil
}
