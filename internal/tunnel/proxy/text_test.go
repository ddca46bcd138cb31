package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// writeLine passes one sample.
func writeLine(t Tenant, line string) (string, bool) {
	var out bytes.Buffer
	l := &lines{
		out: bufio.NewWriter(&out), label: []byte(t.Label), value: []byte(valueEscaper.Replace(t.Value)),
		describe: func(*lines, []byte) {},
	}
	ok := l.sample([]byte(line))
	_ = l.out.Flush()
	return out.String(), ok
}

// readPage reads a page as Prometheus does.
func readPage(page string) (sets []labels.Labels, err error) {
	p, err := textparse.New([]byte(strings.TrimSuffix(page, "\n")+"\n"), "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return nil, err
	}
	for {
		e, err := p.Next()
		if errors.Is(err, io.EOF) {
			return sets, nil
		}
		if err != nil {
			return nil, err
		}
		if e == textparse.EntrySeries {
			var set labels.Labels
			p.Labels(&set)
			sets = append(sets, set)
		}
	}
}
