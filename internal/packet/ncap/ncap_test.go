package ncap

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"
)

func header() Header {
	return Header{Created: time.Unix(1751351160, 5).UTC(), Source: "/tmp/tcp.pcap", Type: TypeTCP, Version: "v0.6.11"}
}

func tcpMessage(port int64) []byte {
	var m []byte
	m = Int(m, 1, 1751351160_000000001)
	m = Int(m, 2, port)
	m = Int(m, 3, 443)
	m = Bool(m, 8, true)
	m = String(m, 24, "192.0.2.1")
	return String(m, 25, "192.0.2.2")
}

// file is a header and two records, each part a gzip member of its own.
func file(members bool) []byte {
	parts := [][]byte{header().Append(nil), protowire.AppendBytes(nil, tcpMessage(40000)), protowire.AppendBytes(nil, tcpMessage(40001))}
	var out bytes.Buffer
	for _, p := range parts {
		if !members {
			out.Write(p)
			continue
		}
		z := gzip.NewWriter(&out)
		_, _ = z.Write(p)
		_ = z.Close()
	}
	return out.Bytes()
}

// TestHeaderIsNetcaps: the bytes of a header that netcap wrote, by the specification of the format.
func TestHeaderIsNetcaps(t *testing.T) {
	b := header().Append(nil)
	for _, want := range []string{"\x08", "\x12\x0d/tmp/tcp.pcap", "\x18\x26", "\x22\x07v0.6.11"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("header %q has no %q", b, want)
		}
	}
	if int(b[0]) != len(b)-1 {
		t.Errorf("length %d; want %d", b[0], len(b)-1)
	}
}

func TestReaderReadsWhatNetcapWrites(t *testing.T) {
	known := Known()
	for _, members := range []bool{false, true} {
		r, err := NewReader(bytes.NewReader(file(members)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(header(), r.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
		var got []string
		var rec Record
		for {
			m, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if err := known[r.Header.Type].Parse(m, &rec); err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.Join(rec.Labels(nil), ","))
		}
		want := []string{"40000,443,0,false,true,false,false,false,false,false,false,false,0", "40001,443,0,false,true,false,false,false,false,false,false,false,0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	}
}

func TestCutFileGivesWhatIsWhole(t *testing.T) {
	whole := file(false)
	r, err := NewReader(bytes.NewReader(whole[:len(whole)-3]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err != nil {
		t.Errorf("first record: %v", err)
	}
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("second record: %v; want unexpected EOF", err)
	}
	if _, err := NewReader(strings.NewReader("\xd4\xc3\xb2\xa1\x02\x00\x04\x00")); !errors.Is(err, ErrNotNcap) {
		t.Errorf("a pcap: %v; want ErrNotNcap", err)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	var m []byte
	m = String(m, 2, "ftp")
	m = String(m, 4, "anna")
	m = String(m, 5, "hunter2")
	var r Record
	if err := Known()[TypeCredentials].Parse(m, &r); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(r.Labels(nil), " ") + string(r.AppendJSON(nil)); strings.Contains(text, "hunter2") || !strings.Contains(text, "anna") {
		t.Errorf("%s", text)
	}
}

func TestEveryTypeIsWellFormed(t *testing.T) {
	known := Known()
	if len(known) != 76 || known[TypeDNS].Name != "DNS" || known[TypeDNS].Metric() != "nc_dns" || len(known[TypeTCP].Labels) != 13 {
		t.Errorf("%d types", len(known))
	}
	for _, s := range known {
		seen := map[string]bool{}
		for _, l := range s.Labels {
			if seen[l] {
				t.Errorf("%s: label %s twice", s.Name, l)
			}
			seen[l] = true
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(file(false))
	f.Add(file(true))
	known := Known()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var rec Record
		for range 1000 {
			m, err := r.Next()
			if err != nil {
				return
			}
			if len(m) > maxMessage {
				t.Fatalf("message of %d bytes", len(m))
			}
			s := known[r.Header.Type]
			if s == nil || s.Parse(m, &rec) != nil {
				continue
			}
			labels := rec.Labels(nil)
			if len(labels) != len(s.Labels) {
				t.Fatalf("%s: %d labels; want %d", s.Name, len(labels), len(s.Labels))
			}
			for i, v := range labels {
				if len(v) > 3*maxLabel || strings.ToValidUTF8(v, "") != v || secret(s.Labels[i]) && v != "" {
					t.Fatalf("%s: %s=%q", s.Name, s.Labels[i], v)
				}
			}
		}
	})
}
