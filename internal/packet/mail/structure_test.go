package mail

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// structures are of RFC 3501's section 7.4.2 and of what Dovecot and Gmail send.
var structures = []string{
	`("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2279 48)`,
	`(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4554 73) "MIXED")`,
	`((("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 99 3 NIL NIL NIL NIL)("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 300 9 NIL NIL NIL NIL) "alternative" ("boundary" "x") NIL NIL NIL)` +
		`("application" "pdf" ("name" "=?utf-8?q?r=C3=A9sum=C3=A9.pdf?=") NIL NIL "base64" 5000 NIL ("attachment" ("filename" "a \"b\".pdf" "size" "3700")) NIL NIL)` +
		`("image" "png" NIL "<i@x>" NIL "base64" 80 NIL ("inline" NIL) NIL NIL) "mixed" ("boundary" "y") NIL NIL NIL) UID 7)`,
	`("message" "rfc822" NIL NIL NIL "7bit" 900 ("date" "s" (("A" NIL "a" "x")) NIL NIL NIL NIL NIL NIL "<1@x>") ("text" "plain" NIL NIL NIL "7bit" 10 1) 30 NIL ("attachment" ("filename" "f.eml")))`,
}

func TestStructure(t *testing.T) {
	plain := Part{Type: "text/plain"}
	for i, want := range [][]Described{
		{{"1", plain, 2279}},
		{{"1", plain, 1152}, {"2", Part{Type: "text/plain", Name: "cc.diff", Encoding: "base64"}, 4554}},
		{
			{"1.1", Part{Type: "text/plain", Encoding: "quoted-printable"}, 99},
			{"1.2", Part{Type: "text/html", Encoding: "quoted-printable"}, 300},
			{"2", Part{Type: "application/pdf", Name: `a "b".pdf`, Attached: true, Encoding: "base64"}, 5000},
			{"3", Part{Type: "image/png", Encoding: "base64"}, 80},
		},
		{{"1", Part{Type: "message/rfc822", Name: "f.eml", Attached: true}, 900}},
	} {
		if diff := cmp.Diff(want, Structure([]byte(structures[i]))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", structures[i], diff)
		}
	}
	if got := Structure([]byte(strings.Repeat("(", 1<<16))); len(got) > 0 {
		t.Errorf("%d parts of parentheses", len(got))
	}
}

// FuzzStructure: parts have numbers that rise, and names without folders.
func FuzzStructure(f *testing.F) {
	for _, s := range structures {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		seen := map[string]bool{}
		for _, d := range Structure(b) {
			if seen[d.Section] || d.Section == "" || strings.Trim(d.Section, "0123456789.") != "" {
				t.Errorf("section %q", d.Section)
			}
			seen[d.Section] = true
			if strings.ContainsAny(d.Name, "/\r\n") || !utf8.ValidString(d.Name) {
				t.Errorf("name %q", d.Name)
			}
		}
	})
}
