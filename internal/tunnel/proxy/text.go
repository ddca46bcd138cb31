package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// maxLine bounds a line of the text format: a series with all its labels.
const maxLine = 1 << 20

const textType = "text/plain; version=0.0.4; charset=utf-8"

func (p *Proxy) answerFederate(r *request, resp *http.Response, w *reply) error {
	return p.text(r, resp, w, func(*lines, []byte) {})
}

// answerMetrics writes the same series with what is known of each metric before them.
func (p *Proxy) answerMetrics(r *request, resp *http.Response, w *reply) error {
	known, err := p.known(r.ctx, r.company)
	if err != nil {
		return err
	}
	described := map[string]bool{}
	return p.text(r, resp, w, func(l *lines, metric []byte) {
		name, m, ok := known.find(string(metric))
		if !ok || described[name] {
			return
		}
		described[name] = true
		if m.Help != "" {
			_, _ = l.out.WriteString("# HELP " + name + " " + helpEscaper.Replace(m.Help) + "\n")
		}
		_, _ = l.out.WriteString("# TYPE " + name + " " + m.Type + "\n")
	})
}

var (
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	valueEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	readers      = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, pieceSize) }}
	writers      = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, pieceSize) }}
	zippers      = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}
)

// text writes the series of Prometheus' federation that are the tenant's, without
// hidden labels and, unless the configuration keeps them, without timestamps.
// describe is called before the first series of each metric.
func (p *Proxy) text(r *request, resp *http.Response, w *reply, describe func(*lines, []byte)) error {
	w.Header().Set("Content-Type", textType)
	out := writers.Get().(*bufio.Writer)
	out.Reset(w)
	defer func() {
		out.Reset(nil)
		writers.Put(out)
	}()
	end := out.Flush
	if r.gzip {
		w.Header().Set("Content-Encoding", "gzip")
		z := zippers.Get().(*gzip.Writer)
		z.Reset(w)
		out.Reset(z)
		defer zippers.Put(z)
		end = func() error { return errors.Join(out.Flush(), z.Close()) }
	}
	l := &lines{
		out: out, label: []byte(p.cfg.Label), value: []byte(valueEscaper.Replace(r.tenant.Value)),
		hide: p.cfg.Hide, timestamps: p.cfg.Timestamps, describe: describe,
	}
	in := readers.Get().(*bufio.Reader)
	in.Reset(io.LimitReader(resp.Body, int64(p.cfg.Limits.Response)+1))
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()
	var read int64
	for {
		line, err := readLine(in)
		if read += int64(len(line)); read > int64(p.cfg.Limits.Response) {
			return tooLarge(int64(p.cfg.Limits.Response))
		}
		if len(line) > 0 && line[0] != '#' && line[0] != '\n' {
			if l.sample(bytes.TrimSuffix(line, []byte("\n"))) {
				continue
			}
			p.strangers.count("foreign_series")
		}
		if errors.Is(err, io.EOF) {
			_ = end() // or the client has gone
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readLine returns a line, valid until the next call.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if line, err = in.ReadSlice('\n'); len(long)+len(line) > maxLine {
			return nil, errors.New("a line of prometheus is too long")
		}
		long = append(long, line...)
	}
	return long, err
}

// lines writes samples.
type lines struct {
	out          *bufio.Writer
	label, value []byte // of the tenant; the value as the format writes it
	hide         []string
	timestamps   bool
	describe     func(*lines, []byte)
	metric       []byte // of the last sample
	seen         map[string]bool
	labels       []pair
	plain        bool // the last line stands as it would be written
}

// pair is a label as the format writes it: the name may stand in quotes, the value is without.
type pair struct{ name, value []byte }

// sample writes a line (errors stay with the writer until Flush) if it is the tenant's; else it returns false.
func (l *lines) sample(line []byte) bool {
	metric, rest, ok := l.split(line)
	if !ok {
		return false
	}
	own := 0
	for _, p := range l.labels {
		if bytes.Equal(p.name, l.label) {
			if !bytes.Equal(p.value, l.value) {
				return false
			}
			own++
		}
	}
	if own != 1 {
		return false
	}
	value, stamp, _ := bytes.Cut(rest, []byte(" "))
	if len(l.hide) > 0 {
		l.labels = slices.DeleteFunc(l.labels, func(p pair) bool { return slices.Contains(l.hide, string(p.name)) })
		if l.twice(metric) {
			return true
		}
	}
	if !bytes.Equal(metric, l.metric) {
		l.metric = append(l.metric[:0], metric...)
		l.describe(l, metric)
	}
	if l.plain && len(l.hide) == 0 {
		_, _ = l.out.Write(line[:len(line)-len(rest)])
	} else {
		l.compose(metric)
	}
	_, _ = l.out.Write(value)
	if l.timestamps && len(stamp) > 0 {
		_ = l.out.WriteByte(' ')
		_, _ = l.out.Write(stamp)
	}
	_ = l.out.WriteByte('\n')
	return true
}

// compose writes the last line's metric and labels.
func (l *lines) compose(metric []byte) {
	quoted := len(metric) > 0 && metric[0] == '"' // a UTF-8 name stands inside of the braces
	if !quoted {
		_, _ = l.out.Write(metric)
	}
	_ = l.out.WriteByte('{')
	if quoted {
		_, _ = l.out.Write(metric)
	}
	for i, p := range l.labels {
		if i > 0 || quoted {
			_ = l.out.WriteByte(',')
		}
		_, _ = l.out.Write(p.name)
		_, _ = l.out.WriteString(`="`)
		_, _ = l.out.Write(p.value)
		_ = l.out.WriteByte('"')
	}
	_, _ = l.out.WriteString("} ")
}

// twice tells whether, without the hidden labels, this series was there before. The first one stays.
func (l *lines) twice(metric []byte) bool {
	var key strings.Builder
	key.Write(metric)
	for _, p := range l.labels {
		key.WriteByte(',')
		key.Write(p.name)
		key.WriteByte('=')
		key.Write(p.value)
	}
	if l.seen == nil || !bytes.Equal(metric, l.metric) {
		l.seen = map[string]bool{}
	}
	was := l.seen[key.String()]
	l.seen[key.String()] = true
	return was
}

// split takes a sample apart: NAME{LABELS} VALUE [TIME] or {"NAME",LABELS} VALUE [TIME].
func (l *lines) split(line []byte) (metric, rest []byte, ok bool) {
	l.labels = l.labels[:0]
	open := bytes.IndexByte(line, '{')
	if open < 0 {
		return nil, nil, false // no label, so none of the tenant
	}
	metric, line = line[:open], line[open+1:]
	l.plain = len(metric) > 0
	for {
		if len(line) > 0 && line[0] == '}' {
			rest = bytes.TrimLeft(line[1:], " ")
			l.plain = l.plain && len(line) == len(rest)+2
			return metric, rest, len(metric) > 0 && len(rest) > 0
		}
		var name []byte
		if len(line) > 0 && line[0] == '"' {
			end := quoteEnd(line[1:])
			if end < 0 {
				return nil, nil, false
			}
			name, line = line[:end+2], line[end+2:]
			if len(line) == 0 {
				return nil, nil, false
			}
			if line[0] != '=' { // no label: the metric's name
				if len(metric) > 0 {
					return nil, nil, false
				}
				metric, line = name, bytes.TrimPrefix(line, []byte(","))
				continue
			}
		} else {
			end := bytes.IndexByte(line, '=')
			if end < 0 {
				return nil, nil, false
			}
			name, line = line[:end], line[end:]
		}
		if len(line) < 2 || line[1] != '"' {
			return nil, nil, false
		}
		end := quoteEnd(line[2:])
		if end < 0 {
			return nil, nil, false
		}
		l.labels = append(l.labels, pair{name, line[2 : 2+end]})
		line = line[2+end+1:]
		switch {
		case len(line) > 1 && line[0] == ',' && line[1] != '}':
			line = line[1:]
		case len(line) > 0 && line[0] == ',':
			line, l.plain = line[1:], false
		case len(line) > 0 && line[0] != '}':
			l.plain = false
		}
	}
}

// quoteEnd finds the closing quote of a text whose opening one is gone.
func quoteEnd(b []byte) int {
	end := bytes.IndexByte(b, '"')
	if end < 0 || bytes.IndexByte(b[:end], '\\') < 0 {
		return end
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}
