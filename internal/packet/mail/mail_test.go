package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type leaf struct {
	Part
	Data  string
	Whole bool
}

type leaves []leaf

func (l *leaves) Begin(p Part)   { *l = append(*l, leaf{Part: p}) }
func (l *leaves) Data(b []byte)  { (*l)[len(*l)-1].Data += string(b) }
func (l *leaves) End(whole bool) { (*l)[len(*l)-1].Whole = whole }

func read(mail string) (l leaves) {
	r := Reader{To: &l}
	for line := range strings.SplitSeq(strings.TrimSuffix(mail, "\r\n"), "\r\n") {
		r.Line([]byte(line), false, false)
	}
	r.Close(true)
	return l
}

func TestTreeOfParts(t *testing.T) {
	got := read("From: a\r\nContent-Type: multipart/mixed;\r\n boundary=\"out er\"\r\n\r\npreamble\r\n--out er\r\n" +
		"Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nplain\r\ntext\r\n\r\n--in\r\nContent-Type: text/html\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=3Cb=3E soft=\r\n line =C3=A4\r\n--in--\r\nepilogue\r\n" +
		"--out er  \r\nContent-Type: application/pdf; name=\"=?UTF-8?B?w6QucGRm?=\"\r\nContent-Disposition: attachment;\r\n filename*=UTF-8''C%3A%5Cdir%5C%C3%A4.pdf\r\n" +
		"Content-Transfer-Encoding: BASE64\r\n\r\nSGVs\r\nbG8g\r\nd29ybGQ=\r\n--out er\r\nContent-Type: image/png\r\n\r\n\r\n--out er--\r\n")
	want := leaves{
		{Part{Type: "text/plain"}, "plain\r\ntext\r\n", true},
		{Part{Type: "text/html", Encoding: "quoted-printable"}, "<b> soft line ä", true},
		{Part{Type: "application/pdf", Name: "ä.pdf", Attached: true, Encoding: "base64"}, "Hello world", true},
		{Part{Type: "image/png"}, "", true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	for i, file := range []bool{false, false, true, true} {
		if got[i].File() != file {
			t.Errorf("part %d is a file: %v", i, got[i].File())
		}
	}
}

func TestOddMails(t *testing.T) {
	for name, tt := range map[string]struct {
		mail string
		want leaves
	}{
		"no header":           {"\r\nbody\r\n", leaves{{Part{Type: "text/plain"}, "body", true}}},
		"no body":             {"Subject: x", leaves{{Part{Type: "text/plain"}, "", true}}},
		"never ends":          {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ncut", leaves{{Part{Type: "text/plain"}, "cut", false}}},
		"no boundary":         {"Content-Type: multipart/mixed\r\n\r\n--b\r\n", leaves{{Part{Type: "multipart/mixed"}, "--b", true}}},
		"one character":       {"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8\r\nA\r\nB\r\n", leaves{{Part{Type: "text/plain", Encoding: "base64"}, "Hello\x00", false}}},
		"not base64":          {"Content-Transfer-Encoding: base64\r\n\r\nSGV!sbG8=\r\n", leaves{{Part{Type: "text/plain", Encoding: "base64"}, "Hello", false}}},
		"outer boundary ends": {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--a--\r\n", leaves{{Part{Type: "text/plain"}, "x", true}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, read(tt.mail)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingBytesAreTold(t *testing.T) {
	var l leaves
	r := Reader{To: &l}
	r.Line(nil, false, false)
	r.Line([]byte("half a"), true, false)
	r.Close(true)
	if len(l) != 1 || l[0].Whole {
		t.Errorf("%+v; want a part that is not whole", l)
	}
}

// FuzzReader: whatever comes is bounded, and what Go's own packages write and read is read alike.
func FuzzReader(f *testing.F) {
	f.Add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n--b--\r\n", []byte("x"), "a.bin")
	f.Add("\r\n\r\n", []byte("line\r\n--b\r\n=3D=\r\n"), "ä \"b\".txt")
	f.Fuzz(func(t *testing.T, raw string, content []byte, name string) {
		total := 0
		for _, l := range read(raw) {
			total += len(l.Data)
			if len(l.Name) > maxName || strings.ContainsAny(l.Name, "/\r\n") && l.Name != "/" {
				t.Fatalf("name %q", l.Name)
			}
		}
		if total > 2*len(raw)+2 {
			t.Fatalf("%d bytes of a mail of %d", total, len(raw))
		}
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for _, encoding := range []string{"base64", "quoted-printable"} {
			h := textproto.MIMEHeader{"Content-Transfer-Encoding": {encoding}, "Content-Type": {"application/octet-stream"}}
			h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
			p, err := w.CreatePart(h)
			if err != nil {
				t.Fatal(err)
			}
			if encoding == "base64" {
				text := base64.StdEncoding.EncodeToString(content)
				for len(text) > 0 {
					n := min(len(text), 76)
					_, _ = io.WriteString(p, text[:n]+"\r\n")
					text = text[n:]
				}
				continue
			}
			q := quotedprintable.NewWriter(p)
			q.Binary = true
			_, _ = q.Write(content)
			_ = q.Close()
		}
		_ = w.Close()
		text := "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=" + w.Boundary() + "\r\n\r\n" + b.String()
		got := read(text)
		if len(got) != 2 || got[0].Data != string(content) || got[1].Data != string(content) || !got[0].Whole || !got[1].Whole {
			t.Fatalf("%q became %+v of\n%s", content, got, text)
		}
		if _, err := mail.ReadMessage(strings.NewReader(text)); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("Go does not read it: %v", err)
		}
	})
}
