package plugin

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// FuzzAnswer: whatever a server sends, each query gets an answer that Grafana
// can read, or an error.
func FuzzAnswer(f *testing.F) {
	var good bytes.Buffer
	mw := multipart.NewWriter(&good)
	_ = mw.SetBoundary("b")
	fields := []arrow.Field{{Name: "time", Type: nanoUTC, Nullable: true}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}}
	part, _ := mw.CreatePart(textproto.MIMEHeader{"Content-Type": {arrowType}, "Oriel-Ref-Id": {"A"}})
	writeRows(part, fields, [][]any{{int64(1), "a"}, {nil, nil}, {int64(3), "c"}})
	part, _ = mw.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/json"}, "Oriel-Ref-Id": {"A"}})
	_, _ = io.WriteString(part, "{\"row_count\":3,\"sql\":\"SELECT\"}\n")
	_ = mw.Close()
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:good.Len()/2])
	f.Add([]byte("--b\r\nContent-Type: application/json\r\nOriel-Ref-Id: A\r\n\r\n{\"error\":{\"message\":\"no\",\"line\":2}}\r\n--b--\r\n"))
	f.Add([]byte("--b--\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"multipart/mixed; boundary=b"}}, Body: io.NopCloser(bytes.NewReader(body))}
		p := &passed{arrow: map[string][]byte{}}
		s := newAsArrow(&group{formats: map[string]string{"A": formatTable}}, p, map[string]backend.DataResponse{})
		if read(resp, s) != nil {
			return
		}
		for ref, arrow := range p.arrow {
			if s.answers[ref].Error != nil {
				continue
			}
			if _, err := data.UnmarshalArrowFrame(arrow); err != nil {
				t.Errorf("%s: Grafana cannot read it: %v", ref, err)
			}
		}
	})
}
