package proxy

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"google.golang.org/protobuf/encoding/protowire"
)

// FuzzSelector: either an error, or what would be sent carries the tenant.
func FuzzSelector(f *testing.F) {
	for _, seed := range []string{``, `up`, `{__name__=~".+"}`, `{"quoted.name", x="1"}`, `up{company_name=~".*"}`, `up{company_name="o"}`, "{a=`b`}"} {
		f.Add(seed, `acme "1"\`)
	}
	f.Fuzz(func(t *testing.T, selector, value string) {
		tenant := Tenant{"company_name", value}
		got, err := tenant.Selector(selector)
		if err != nil {
			return
		}
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(got)
		if err != nil || !tenant.in(matchers) {
			t.Errorf("%q became %q: %v", selector, got, err)
		}
	})
}

// readRequest is a remote read request with a query for each list of matchers.
func readRequest(start, end uint64, queries ...[]*labels.Matcher) (out []byte) {
	for _, matchers := range queries {
		q := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), start)
		q = protowire.AppendVarint(protowire.AppendTag(q, 2, protowire.VarintType), end)
		for _, m := range matchers {
			one := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(m.Type))
			one = protowire.AppendString(protowire.AppendTag(one, 2, protowire.BytesType), m.Name)
			one = protowire.AppendString(protowire.AppendTag(one, 3, protowire.BytesType), m.Value)
			q = protowire.AppendBytes(protowire.AppendTag(q, 3, protowire.BytesType), one)
		}
		out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), q)
	}
	return protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.VarintType), 1)
}

// readQueries reads the matchers of every query back.
func readQueries(t *testing.T, data []byte) (queries [][]*labels.Matcher) {
	err := fields(data, func(num protowire.Number, _ protowire.Type, query []byte, _ uint64) error {
		if num != 1 {
			return nil
		}
		var matchers []*labels.Matcher
		err := fields(query, func(num protowire.Number, _ protowire.Type, value []byte, _ uint64) error {
			if num != 3 {
				return nil
			}
			m, err := readMatcher(value)
			matchers = append(matchers, m)
			return err
		})
		queries = append(queries, matchers)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return queries
}

func TestRead(t *testing.T) {
	tenant := Tenant{"company_name", acme}
	up := labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")
	got, err := tenant.Read(readRequest(0, 10, []*labels.Matcher{up}, nil), 10)
	if err != nil {
		t.Fatal(err)
	}
	for i, q := range readQueries(t, got) {
		if !tenant.in(q) || (i == 0) != slices.ContainsFunc(q, func(m *labels.Matcher) bool { return m.String() == up.String() }) {
			t.Errorf("query %d: %v", i, q)
		}
	}
	other := labels.MustNewMatcher(labels.MatchNotEqual, "company_name", acme)
	if _, err := tenant.Read(readRequest(0, 10, []*labels.Matcher{up}, []*labels.Matcher{other}), 10); !errors.Is(err, ErrContradiction) {
		t.Errorf("another tenant's series: %v", err)
	}
	if _, err := tenant.Read(readRequest(0, 11, []*labels.Matcher{up}), 10); err == nil {
		t.Error("a range that is too long")
	}
	if _, err := tenant.Read(readRequest(0, ^uint64(0)>>1, []*labels.Matcher{up}), 10); err == nil {
		t.Error("a range that is much too long")
	}
	if _, err := tenant.Read(nil, 10); err == nil {
		t.Error("no query")
	}
}

// FuzzRead: either an error, or every query of what would be sent carries the tenant.
func FuzzRead(f *testing.F) {
	up := labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")
	own := labels.MustNewMatcher(labels.MatchRegexp, "company_name", ".*")
	f.Add(readRequest(0, 10, []*labels.Matcher{up}, nil), acme)
	f.Add(readRequest(0, 10, []*labels.Matcher{own}), `\`)
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		tenant := Tenant{"company_name", value}
		got, err := tenant.Read(data, 0)
		if err != nil {
			return
		}
		queries := readQueries(t, got)
		for _, q := range queries {
			if !tenant.in(q) {
				t.Errorf("a query has no tenant: %v", q)
			}
		}
		if len(queries) == 0 {
			t.Error("no query is sent")
		}
	})
}

// FuzzRoute: a path that is found is one of the table's, as it stands there.
func FuzzRoute(f *testing.F) {
	for _, seed := range []string{"/api/v1/query", "/api/v1/label/job/values", "/api/v1/label/..%2f/values", "/federate/", "//metrics", "/api/v1/label/../values", "/x;y", "/%61"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		e, label, code := route(u)
		if (e == nil) != (code != 0) {
			t.Errorf("route(%q) = %v, %d", path, e, code)
		}
		plain, _, _ := strings.Cut(path, "?")
		plain = strings.TrimPrefix(plain, u.Scheme+"://"+u.Host)
		switch {
		case e == nil:
		case e == labelValues:
			if plain != "/api/v1/label/"+label+"/values" || !labelForm.MatchString(label) {
				t.Errorf("route(%q) is label %q", path, label)
			}
		case endpoints[plain] != e:
			t.Errorf("route(%q) is %s", path, e.name)
		}
	})
}

// FuzzText: what is written of a page is the tenant's alone, as Prometheus' own parser reads it.
func FuzzText(f *testing.F) {
	for line := range strings.Lines(federated) {
		f.Add(strings.TrimSpace(line))
	}
	tenant := Tenant{"company_name", acme}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n\r") {
			return
		}
		got, ok := writeLine(tenant, line)
		if !ok {
			return
		}
		sets, err := readPage(got)
		if err != nil {
			return // Prometheus wrote nonsense; the customer's parser will say so
		}
		for _, set := range sets {
			if set.Get(tenant.Label) != tenant.Value {
				t.Errorf("%q became %q, which is %s", line, got, set)
			}
		}
	})
}
