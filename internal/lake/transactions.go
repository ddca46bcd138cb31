package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
)

// A transaction makes several files appear, or several disappear in favour of
// others, at one moment. Its identifier is the writer's part in the names of the
// files it writes.
//
//	_txn/<id>.open     written first: its files are not to be read yet
//	_txn/<id>.commit   from now on they are (an import)
//	_txn/<id>.replace  from now on they are, and the files it names no more (a compaction)
//
// A reader lists transactions before and after the files and begins again if
// they differ; so a commit stays for the lake's grace period, long after the
// transaction ended. A file whose identifier has no object here is visible.
const (
	txnPrefix  = "_txn/"
	txnOpen    = ".open"
	txnCommit  = ".commit"
	txnReplace = ".replace"
)

// maxTxnBytes bounds what is read of one transaction's object.
const maxTxnBytes = 64 << 20

type transactions struct {
	store Store

	mu       sync.Mutex                     // guards replaced
	replaced map[string]map[string]struct{} // by key of the .replace object, which never changes
}

func newTransactions(store Store) *transactions {
	return &transactions{store: store, replaced: map[string]map[string]struct{}{}}
}

// txnState is what the transactions say about files.
type txnState struct {
	keys     map[string]struct{}
	open     map[string]struct{} // identifiers not committed
	replaced []map[string]struct{}
}

func (s *txnState) equal(o *txnState) bool { return maps.Equal(s.keys, o.keys) }

// hides tells whether a file is not to be read.
func (s *txnState) hides(key string) bool {
	_, writer, _ := parseKey(key)
	if _, open := s.open[writer]; open {
		return true
	}
	for _, r := range s.replaced {
		if _, ok := r[key]; ok {
			return true
		}
	}
	return false
}

// replacement is the content of a .replace object.
type replacement struct {
	Removes []string `json:"removes"`
}

// read lists the transactions.
func (t *transactions) read(ctx context.Context) (*txnState, error) {
	s := &txnState{keys: map[string]struct{}{}, open: map[string]struct{}{}}
	for o, err := range t.store.List(ctx, txnPrefix, "") {
		if err != nil {
			return nil, err
		}
		s.keys[o.Key] = struct{}{}
	}
	for key := range s.keys {
		id, isOpen := strings.CutSuffix(strings.TrimPrefix(key, txnPrefix), txnOpen)
		_, committed := s.keys[txnPrefix+id+txnCommit]
		_, replaced := s.keys[txnPrefix+id+txnReplace]
		if isOpen && !committed && !replaced {
			s.open[id] = struct{}{}
		}
		if strings.HasSuffix(key, txnReplace) {
			removes, err := t.removes(ctx, key)
			if err != nil {
				if isNotFound(err) {
					continue // ended since; the next listing differs
				}
				return nil, err
			}
			s.replaced = append(s.replaced, removes)
		}
	}
	t.forget(s.keys)
	return s, nil
}

// removes reads which files a compaction has replaced.
func (t *transactions) removes(ctx context.Context, key string) (map[string]struct{}, error) {
	t.mu.Lock()
	known, ok := t.replaced[key]
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	var r replacement
	if err := readJSON(ctx, t.store, key, maxTxnBytes, &r); err != nil {
		return nil, err
	}
	known = make(map[string]struct{}, len(r.Removes))
	for _, k := range r.Removes {
		known[k] = struct{}{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replaced[key] = known
	return known, nil
}

// forget drops what is remembered of objects that are gone.
func (t *transactions) forget(keys map[string]struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key := range t.replaced {
		if _, ok := keys[key]; !ok {
			delete(t.replaced, key)
		}
	}
}

// readJSON reads a small object.
func readJSON(ctx context.Context, s Store, key string, limit int64, v any) error {
	body, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(io.LimitReader(body, limit))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", key, err)
	}
	return nil
}
