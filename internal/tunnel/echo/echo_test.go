package echo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

var formats = map[string]struct {
	format  Format
	options Options
}{
	"excrypt":             {Excrypt, Options{}},
	"international":       {International, Options{}},
	"international ascii": {International, Options{Header: "AB", ASCIILength: true}},
	"international nc":    {International, Options{Command: "NC"}},
	"json":                {JSONHTTP, Options{Host: "hsm.example"}},
	"json raw":            {JSONRaw, Options{}},
	"plain":               {Plain, Options{}},
}

// dial returns a connection to a fake server that ends with the test.
func dial(t *testing.T, f Fake) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, func(ctx context.Context) error { return f.Serve(ctx, l) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestDoMeetsEachMannerOfServer(t *testing.T) {
	for name, f := range formats {
		codec, err := New(f.format, f.options)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name   string
			fake   Fake
			within time.Duration
			want   string
		}{
			{"good", Fake{}, 10 * time.Second, ""},
			{"slow", Fake{Manner: Slow, Delay: 20 * time.Millisecond}, 10 * time.Second, ""},
			{"wrong", Fake{Manner: Wrong}, 10 * time.Second, "echo_mismatch"},
			{"silent", Fake{Manner: Silent}, 50 * time.Millisecond, "echo_timeout"},
			{"oversized", Fake{Manner: Oversized}, 10 * time.Second, "echo_protocol"},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				if tt.fake.Manner == Oversized && f.options.ASCIILength {
					tt.want = "echo_mismatch" // four digits bound the frame by themselves
				}
				tt.fake.Codec = codec
				conn := dial(t, tt.fake)
				ctx, cancel := context.WithTimeout(t.Context(), tt.within)
				defer cancel()
				timing, err := codec.Do(ctx, conn)
				if got := Kind(err); got != tt.want {
					t.Fatalf("Do: %v, kind %q; want %q", err, got, tt.want)
				}
				if tt.fake.Manner == Slow && timing.Processing < tt.fake.Delay {
					t.Errorf("processing = %s; want at least %s", timing.Processing, tt.fake.Delay)
				}
				if tt.want == "" {
					if _, err := codec.Do(ctx, conn); err != nil {
						t.Errorf("second echo on the same connection: %v", err)
					}
				}
			})
		}
	}
}

func TestRequestsAreAsDocumented(t *testing.T) {
	got, err := international{header: "9999"}.request("PING")
	if want := "000e3939393942323030303450494e47"; err != nil || hex.EncodeToString(got) != want {
		t.Errorf("international request = %x, %v; want %s", got, err, want)
	}
	got, err = excrypt{}.request("ping-7f3a")
	if want := "[AOECHO;AGping-7f3a;]"; err != nil || string(got) != want {
		t.Errorf("excrypt request = %q, %v; want %q", got, err, want)
	}
	got, err = international{header: "HEAD", command: "NC"}.request("x")
	if want := "0006484541444e43"; err != nil || hex.EncodeToString(got) != want {
		t.Errorf("international request = %x, %v; want %s", got, err, want)
	}
	for _, bad := range []string{"a;b", "[", "]"} {
		if _, err := (excrypt{}).request(bad); err == nil {
			t.Errorf("excrypt request of %q: no error", bad)
		}
	}
}

func TestCheckTakesBothFormsOfAnswer(t *testing.T) {
	i, nc := international{header: "9999"}, international{header: "HEAD", command: "NC"}
	for _, tt := range []struct {
		wire   wire
		answer string
		want   error
	}{
		{excrypt{}, "AOECHO;AGn;BBY;", nil},
		{excrypt{}, "AOECHO;BBY;", nil},
		{excrypt{}, "BBY;AOECHO;", nil},
		{excrypt{}, "AOECHO;", nil},
		{excrypt{}, "AOECHO;AGm;BBY;", ErrMismatch},
		{excrypt{}, "AOECHO;BBN;", ErrRefused},
		{excrypt{}, "AO ERRO ;BBno;", ErrRefused},
		{excrypt{}, "AOECHO;AGn;AGn;", ErrProtocol},
		{excrypt{}, "", ErrProtocol},
		{i, "9999B300n", nil},
		{i, "9999B300", nil},
		{i, "9999B368", nil},
		{i, "9999B315", ErrRefused},
		{i, "9999B300m", ErrMismatch},
		{i, "9998B300n", ErrMismatch},
		{i, "9999B3", ErrProtocol},
		{nc, "HEADND00" + "5D67270000000000" + "1500-0023", nil}, // payShield 10K's own
		{nc, "HEADND68", nil},
		{nc, "HEADND00", ErrMismatch},
		{nc, "HEADB300", ErrMismatch},
		{jsonRaw{}, `{"AO":"ECHO","AK":"n"}`, nil},
		{jsonRaw{}, `{"AO":"ECHO","BB":"Y"}`, nil},
		{jsonRaw{}, `{"AO":"ERRO","BB":"no"}`, ErrRefused},
		{jsonRaw{}, `{"AO":"ECHO","AK":"m"}`, ErrMismatch},
		{jsonRaw{}, `[]`, ErrProtocol},
	} {
		if err := tt.wire.check([]byte(tt.answer), "n"); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
			t.Errorf("%T check(%q) = %v; want %v", tt.wire, tt.answer, err, tt.want)
		}
	}
}

// FuzzRead: whatever comes in, an answer that is accepted is one that a good server could have sent,
// so it is never the answer to another nonce that it carries.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"[AOECHO;AGn;BBY;]", "\x00\x0d0000B3000n", "\x00\x080000B300", "{\"AO\":\"ECHO\",\"AK\":\"n\"}", "n\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{\"AO\":\"ECHO\",\"AK\":\"n\"}", "[AOECHO;[", "[AO",
	} {
		f.Add([]byte(seed))
	}
	wires := []wire{excrypt{}, international{header: "0000"}, international{header: "AB", ascii: true}, jsonHTTP{path: "/"}, jsonRaw{}, plain{}}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, w := range wires {
			frame, err := w.read(bufio.NewReader(bytes.NewReader(in)))
			if err != nil {
				continue
			}
			if len(frame) > maxFrame && len(frame) > len(in) {
				t.Errorf("%T: frame of %d bytes from %d", w, len(frame), len(in))
			}
			const a, b = "0123456789abcdef", "fedcba9876543210"
			if bytes.Contains(frame, []byte(a)) && w.check(frame, a) == nil && w.check(frame, b) == nil {
				if plainTags := bytes.Contains(frame, []byte("AG"+a)) || bytes.Contains(frame, []byte("B300"+a)); plainTags {
					t.Errorf("%T: %q is the echo of two requests", w, frame)
				}
			}
			request, err := w.readRequest(bufio.NewReader(bytes.NewReader(in)))
			if err == nil {
				_, _ = w.answer(request, false)
			}
		}
	})
}

// FuzzDo: a client is satisfied only by an answer that carries its own nonce, or
// by one of the documented forms that carry none; and it reads no more than a frame.
func FuzzDo(f *testing.F) {
	names := slices.Sorted(maps.Keys(formats))
	for i := range names {
		for _, seed := range []string{
			"[AOECHO;AGNONCE;BBY;]", "[AOECHO;AGother;BBY;]", "\x00\x0d0000B300NONCE", "\x00\x080000B300", "0006ABB300", "{\"AO\":\"ECHO\",\"AK\":\"NONCE\"}", "NONCE\n", "other\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"AO\":\"ECHO\"}", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		} {
			f.Add(uint8(i), []byte(seed))
		}
	}
	without := regexp.MustCompile(`AO\s*ECHO|B300|B36[78]|ND00|\\u|ND6[78]|(?i:"AO"\s*:)`)
	f.Fuzz(func(t *testing.T, which uint8, in []byte) {
		name := names[int(which)%len(names)]
		codec, err := New(formats[name].format, formats[name].options)
		if err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		defer client.Close()
		done := make(chan int, 1)
		go func() {
			defer server.Close()
			request := make([]byte, 4096)
			n, _ := server.Read(request)
			nonce := regexp.MustCompile(`[0-9a-f]{32}`).Find(request[:n])
			answer := bytes.ReplaceAll(in, []byte("NONCE"), nonce)
			sent, _ := server.Write(answer)
			done <- sent
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err = codec.Do(ctx, client)
		client.Close()
		if sent := <-done; sent > maxFrame+4096 {
			t.Errorf("%s: read %d bytes", name, sent)
		}
		if err == nil && !bytes.Contains(in, []byte("NONCE")) && !without.Match(in) {
			t.Errorf("%s: satisfied by %q", name, in)
		}
	})
}
