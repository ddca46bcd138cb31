package lake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// intent is the content of an .open object: who may roll the transaction back.
type intent struct {
	Table string    `json:"table"`
	Lock  string    `json:"lock"` // whoever holds this lock owns the transaction
	Began time.Time `json:"began"`
}

// txn is a transaction under way.
type txn struct {
	lake *Lake
	id   string
	lock *lock
}

// begin opens a transaction. Files whose writer is its id are not visible until it is committed.
func (l *Lake) begin(ctx context.Context, table, lockName string, lk *lock) (*txn, error) {
	t := &txn{lake: l, id: newID("t"), lock: lk}
	return t, l.putJSON(ctx, txnPrefix+t.id+txnOpen, intent{table, lockName, time.Now().UTC()})
}

// commit makes the files visible, and those hidden that content names if kind is txnReplace.
func (t *txn) commit(ctx context.Context, kind string, content any) error {
	if !t.lock.held() {
		return fmt.Errorf("commit: the lock was lost: %w", ErrLocked)
	}
	if err := t.lake.putJSON(ctx, txnPrefix+t.id+kind, content); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := t.lake.store.Delete(ctx, txnPrefix+t.id+txnOpen); err != nil {
		t.lake.log.Warn("committed transaction stays open", "id", t.id, "err", err) // recover will end it
	}
	return nil
}

// rollback takes all back that the transaction wrote.
func (t *txn) rollback(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := t.lake.store.Delete(ctx, key); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
	}
	return t.lake.store.Delete(ctx, txnPrefix+t.id+txnOpen)
}

// putJSON writes an object that must not exist yet.
func (l *Lake) putJSON(ctx context.Context, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.store.Put(ctx, key, bytes.NewReader(data), int64(len(data)), true)
}

// recover rolls back what crashed holders of the lock left open. The caller holds it.
func (l *Lake) recover(ctx context.Context, lockName string) error {
	s, err := l.transactions.read(ctx)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	for key := range s.keys {
		id, isOpen := strings.CutSuffix(strings.TrimPrefix(key, txnPrefix), txnOpen)
		if !isOpen {
			continue
		}
		var in intent
		err := readJSON(ctx, l.store, key, maxTxnBytes, &in)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		if in.Lock != lockName {
			continue
		}
		var keys []string
		if _, left := s.open[id]; left {
			for f, err := range l.walk(ctx, in.Table, time.Time{}, time.Time{}) {
				if err != nil {
					return fmt.Errorf("recover: %w", err)
				}
				if _, writer, _ := parseKey(f.Key); writer == id {
					keys = append(keys, f.Key)
				}
			}
			l.log.Info("rolling back what was left half done", "transaction", id, "files", len(keys))
		}
		if err := (&txn{lake: l, id: id}).rollback(ctx, keys); err != nil {
			return err
		}
	}
	return nil
}

// sweep ends the replacements that are older than the grace period: nobody can
// be reading any more what they replaced. The caller holds the table's lock.
func (l *Lake) sweep(ctx context.Context, table string) error {
	var old []string
	for o, err := range l.store.List(ctx, txnPrefix, "") {
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		if strings.HasSuffix(o.Key, txnReplace) && time.Since(o.Modified) >= l.grace {
			old = append(old, o.Key)
		}
	}
	for _, key := range old {
		removes, err := l.transactions.removes(ctx, key)
		if err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		ours := true
		for file := range removes {
			p, _, ok := parseKey(file)
			ours = ours && ok && p.table == table
		}
		if !ours {
			continue
		}
		for file := range removes {
			if err := l.store.Delete(ctx, file); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
		if err := l.store.Delete(ctx, key); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}
