package sip

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	invite = "INVITE sip:bob:hunter2@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/UDP pc33;branch=z9\r\nf: \"Alice\" <sip:alice@atlanta.example.com>;tag=1928301774\r\n" +
		"To: Bob\r\n <sip:bob@biloxi.example.com>\r\nCall-ID: a84b4c76e66710\r\nCSeq: 314159 INVITE\r\nAuthorization: Digest response=\"secret\"\r\n" +
		"User-Agent: phone/1\r\nContent-Type: application/sdp\r\nContent-Length: 22\r\n\r\nv=0\r\nm=audio 1 RTP 0\r\n"
	ok = "SIP/2.0 200 OK\r\nCSeq: 314159 INVITE\r\nCall-ID: a84b4c76e66710\r\nServer: x\x00\xff\r\nContent-Length: 0\r\n\r\nrest"
)

func TestParse(t *testing.T) {
	m, n, err := Parse([]byte(invite), false)
	want := Message{
		Method: "INVITE", URI: "sip:bob@biloxi.example.com", From: "sip:alice@atlanta.example.com", To: "sip:bob@biloxi.example.com", CallID: "a84b4c76e66710",
		Sequence: 314159, Agent: "phone/1", Content: "application/sdp", Length: 22, Answered: true, Media: "audio",
		Headers: []string{
			"via:SIP/2.0/UDP pc33;branch=z9", `f:"Alice" <sip:alice@atlanta.example.com>;tag=1928301774`, "to:Bob <sip:bob@biloxi.example.com>", "call-id:a84b4c76e66710",
			"cseq:314159 INVITE", "authorization:Digest", "user-agent:phone/1", "content-type:application/sdp", "content-length:22",
		},
	}
	if diff := cmp.Diff(want, m); diff != "" || err != nil || n != len(invite) {
		t.Errorf("Parse = %d, %v (-want +got):\n%s", n, err, diff)
	}
	m, n, err = Parse([]byte(ok), false)
	want = Message{
		Method: "INVITE", Status: 200, Reason: "OK", CallID: "a84b4c76e66710", Sequence: 314159, Agent: "x?", Length: 0,
		Headers: []string{"cseq:314159 INVITE", "call-id:a84b4c76e66710", "server:x?", "content-length:0"},
	}
	if diff := cmp.Diff(want, m); diff != "" || err != nil || n != len(ok)-4 {
		t.Errorf("Parse = %d, %v (-want +got):\n%s", n, err, diff)
	}
	if _, n, err := Parse([]byte(invite)[:len(invite)-3], false); n != 0 || err != nil {
		t.Errorf("Parse of a part = %d, %v; want to wait", n, err)
	}
	if _, _, err := Parse([]byte("GET / HTTP/1.1\r\n\r\n"), true); !errors.Is(err, ErrNotSIP) {
		t.Errorf("Parse of HTTP = %v", err)
	}
	if Begins([]byte("OPTIONS * HTTP/1.1\r\n")) || !Begins([]byte(invite)) || !Begins([]byte(ok)) {
		t.Error("Begins takes HTTP for SIP, or not SIP for SIP")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(invite), false)
	f.Add([]byte(ok), true)
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		m, n, err := Parse(b, whole)
		if n > len(b) || (err == nil && n == 0 && whole) {
			t.Errorf("Parse = %d of %d, %v", n, len(b), err)
		}
		for _, s := range append(m.Headers, m.Method, m.URI, m.Reason, m.From, m.To, m.CallID, m.Agent, m.Contact, m.Content, m.Media) {
			if !utf8.ValidString(s) || len(s) > 8*(maxText+1) || strings.ContainsAny(s, "\x00\r\n") {
				t.Errorf("text %q", s)
			}
		}
		for _, s := range []string{m.URI, m.From, m.To, m.Contact} {
			if user, _, ok := strings.Cut(s, "@"); ok && strings.Count(user, ":") > 1 {
				t.Errorf("%q has a password", s)
			}
		}
		if len(m.Headers) > maxHeaders {
			t.Errorf("%d headers", len(m.Headers))
		}
	})
}

// TestHeadersAreShownWithoutSecrets: all headers, names in lower case, and no
// password, digest or token in them.
func TestHeadersAreShownWithoutSecrets(t *testing.T) {
	m, _, err := Parse([]byte("REGISTER sip:example.com SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9\r\n"+
		"From: \"A\" <sip:alice:hunter2@example.com>;tag=1\r\n"+
		"To: <sips:alice@example.com>, <SIP:bob:hunter2@example.com:5061>\r\n"+
		"Authorization: Digest username=\"alice\", response=\"hunter2\"\r\n"+
		"Proxy-Authorization: hunter2=\r\n"+
		"X-Api-Key: hunter2\r\n"+
		"Contact: <sip:192.0.2.1:5060>\r\n"+
		"Call-ID: 1@host:2\r\n\r\n"), true)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"via:SIP/2.0/UDP 192.0.2.1:5060;branch=z9", `from:"A" <sip:alice@example.com>;tag=1`, "to:<sips:alice@example.com>, <SIP:bob@example.com:5061>",
		"authorization:Digest", "proxy-authorization:", "x-api-key:", "contact:<sip:192.0.2.1:5060>", "call-id:1@host:2",
	}
	if !slices.Equal(m.Headers, want) {
		t.Errorf("%q; want %q", m.Headers, want)
	}
}

// TestPasswordsOfAddressesAreLeftOut: also those that break the rules, of other schemes, and without one.
func TestPasswordsOfAddressesAreLeftOut(t *testing.T) {
	for value, want := range map[string]string{
		"sip:alice@h":                          "sip:alice@h",
		"SIPS:alice:hunter2@h:5061":            "SIPS:alice@h:5061",
		"sip:alice:hun@ter2@h":                 "sip:alice@h",
		"alice:hunter2@h":                      "alice@h",
		"<http://alice:hunter2@h/x>;purpose=p": "<http://alice@h/x>;purpose=p",
		"sip:a@g, sip:b:hunter2@h":             "sip:a@g, sip@h",
		"sip:b:hun ter2@h":                     "sip:b@h",
		"SIP/2.0/UDP 192.0.2.1:5060":           "SIP/2.0/UDP 192.0.2.1:5060",
		"mailto:alice@h":                       "mailto:alice@h",
		"ſip:alice:hunter2@h":                  "ſip:alice@h",
	} {
		if got := shown("to", value); got != want {
			t.Errorf("%q is shown as %q; want %q", value, got, want)
		}
	}
	if got := address("alice:hunter2@h"); got != "alice@h" {
		t.Errorf("address = %q", got)
	}
}
