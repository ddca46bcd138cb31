package packet

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/proctest"
)

// letter is a mail with a file of n bytes, whose hash it returns.
func letter(n int) (mail, hash string) {
	file := make([]byte, n)
	for i := range file {
		file[i] = byte(i * i)
	}
	var b strings.Builder
	b.WriteString("From: a@x\r\nSubject: report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"==b\"\r\n\r\n--==b\r\nContent-Type: text/plain\r\n\r\nSee there.\r\n" +
		".hidden\r\n--==b\r\nContent-Type: application/zip; name=r.zip\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"r.zip\"\r\n\r\n")
	text := base64.StdEncoding.EncodeToString(file)
	for len(text) > 0 {
		k := min(76, len(text))
		b.WriteString(text[:k] + "\r\n")
		text = text[k:]
	}
	b.WriteString("--==b--\r\n")
	sum := sha256.Sum256(file)
	return b.String(), hex.EncodeToString(sum[:])
}

func stuffed(mail string) string { return strings.ReplaceAll("\r\n"+mail, "\r\n.", "\r\n..")[2:] }

func TestFilesInMails(t *testing.T) {
	mail, hash := letter(3000)
	half := len(mail) / 2
	for name, tt := range map[string]struct {
		port   uint16
		script []string
		upload bool
	}{
		"smtp": {25, []string{"S:220 h ESMTP\r\n", "C:EHLO c\r\n", "S:250 ok\r\n", "C:MAIL FROM:<a@x>\r\n", "S:250 ok\r\n", "C:DATA\r\n", "S:354 go\r\n", "C:" + stuffed(mail) + ".\r\n", "S:250 ok\r\n"}, true},
		"smtp in chunks": {25, []string{
			"S:220 h ESMTP\r\n", "C:EHLO c\r\n", "S:250 CHUNKING\r\n", "C:MAIL FROM:<a@x>\r\n", "S:250 ok\r\n",
			"C:BDAT " + strconv.Itoa(half) + "\r\n" + mail[:half], "S:250 ok\r\n", "C:BDAT " + strconv.Itoa(len(mail)-half) + " LAST\r\n" + mail[half:], "S:250 ok\r\n",
		}, true},
		"pop3":        {110, []string{"S:+OK POP3\r\n", "C:USER a\r\n", "S:+OK\r\n", "C:RETR 1\r\n", "S:+OK 9 octets\r\n" + stuffed(mail) + ".\r\n", "C:QUIT\r\n"}, false},
		"imap":        {143, []string{"S:* OK IMAP\r\n", "C:a FETCH 1 BODY[]\r\n", fmt.Sprintf("S:* 1 FETCH (FLAGS () BODY[] {%d}\r\n%s)\r\na OK done\r\n", len(mail), mail)}, false},
		"imap append": {143, []string{"S:* OK IMAP\r\n", fmt.Sprintf("C:a APPEND Sent {%d}\r\n", len(mail)), "S:+ go\r\n", "C:" + mail + "\r\nb NOOP\r\n", "S:a OK\r\n"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, records := listen()
			c := newTalker(w, 40000, tt.port)
			for _, s := range tt.script { // in segments of all sizes
				for rest, n := s[2:], 1; rest != ""; n = n*3%1400 + 1 {
					n = min(n, len(rest))
					c.script(s[:2] + rest[:n])
					rest = rest[n:]
				}
			}
			c.bye()
			w.finish()
			files := of[*File](*records)
			if len(files) != 2 {
				t.Fatalf("%d files; want the attachment and the mail: %+v", len(files), files)
			}
			if f := files[0]; f.Name != "r.zip" || f.Type != "application/zip" || f.Size != 3000 || f.SHA256 != hash || !f.Complete || f.Upload != tt.upload {
				t.Errorf("attachment %+v; want hash %s", f, hash)
			}
			sum := sha256.Sum256([]byte(mail))
			if f := files[1]; f.Type != "message/rfc822" || f.Size != int64(len(mail)) && name != "imap append" || f.SHA256 != hex.EncodeToString(sum[:]) && tt.port != 143 {
				t.Errorf("mail %+v; want %d bytes", f, len(mail))
			}
			for _, m := range of[*SMTP](*records) {
				if m.Attachments != 1 || m.Subject != "report" {
					t.Errorf("mail %+v", m)
				}
			}
		})
	}
}

// TestPartsOfMailsByIMAP: a part that is fetched alone is a file, with the name and
// the encoding that the mail's structure told; in one piece or in several.
func TestPartsOfMailsByIMAP(t *testing.T) {
	file := make([]byte, 3000)
	for i := range file {
		file[i] = byte(i * i)
	}
	sum := sha256.Sum256(file)
	var lines strings.Builder
	for text := base64.StdEncoding.EncodeToString(file); len(text) > 0; text = text[min(76, len(text)):] {
		lines.WriteString(text[:min(76, len(text))] + "\r\n")
	}
	sent := lines.String()
	structure := fmt.Sprintf("S:* 4 FETCH (UID 9 BODYSTRUCTURE ((\"text\" \"plain\" NIL NIL NIL \"7bit\" 4 1)(\"application\" \"zip\" (\"name\" \"r.zip\") NIL NIL \"base64\" %d NIL (\"attachment\" (\"filename\" \"r.zip\"))) \"mixed\"))\r\na OK\r\n", len(sent))
	part := func(message, section, from, data string) string {
		return fmt.Sprintf("S:* %s FETCH (UID 9 BODY[%s]%s {%d}\r\n%s)\r\nb OK done\r\n", message, section, from, len(data), data)
	}
	hash := hex.EncodeToString(sum[:])
	raw := sha256.Sum256([]byte(sent))
	for name, tt := range map[string]struct {
		script []string
		want   []File // name, type, size, hash and completeness
	}{
		"whole":   {[]string{structure, part("4", "2", "", sent)}, []File{{Name: "r.zip", Type: "application/zip", Size: 3000, SHA256: hash, Complete: true}}},
		"text":    {[]string{structure, part("4", "1", "", "text")}, nil},
		"headers": {[]string{structure, part("4", "2.MIME", "", "Content-Type: x/y\r\n\r\n"), part("4", "HEADER", "", "a: b\r\n\r\n")}, nil},
		"pieces": {
			[]string{structure, part("4", "2", "<0>", sent[:1000]), part("4", "2", "<1000>", sent[1000:2501]), part("4", "2", "<2501>", sent[2501:])},
			[]File{{Name: "r.zip", Type: "application/zip", Size: 3000, SHA256: hash, Complete: true}},
		},
		"piece":          {[]string{structure, part("4", "2", "<0>", sent[:1000])}, []File{{Name: "r.zip", Type: "application/zip", Size: 732}}},
		"later piece":    {[]string{structure, part("4", "2", "<76>", sent[76:])}, []File{{Name: "r.zip", Type: "application/zip", Size: 2943}}},
		"not described":  {[]string{part("5", "2", "", sent)}, []File{{Size: int64(len(sent)), SHA256: hex.EncodeToString(raw[:]), Complete: true}}},
		"of two in turn": {[]string{structure, part("4", "2", "<0>", sent[:1000]), part("7", "2", "", sent)}, []File{{Name: "r.zip", Type: "application/zip", Size: 732}, {Size: int64(len(sent)), SHA256: hex.EncodeToString(raw[:]), Complete: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			w, records := listen()
			c := newTalker(w, 40000, 143)
			for _, s := range append([]string{"S:* OK IMAP\r\n"}, tt.script...) {
				for rest, n := s[2:], 1; rest != ""; n = n*3%1400 + 1 {
					n = min(n, len(rest))
					c.script(s[:2] + rest[:n])
					rest = rest[n:]
				}
			}
			c.bye()
			w.finish()
			var got []File
			for _, f := range of[*File](*records) {
				got = append(got, File{Name: f.Name, Type: f.Type, Size: f.Size, SHA256: f.SHA256, Complete: f.Complete})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if boxes := of[*Mailbox](*records); len(boxes) != 1 {
				t.Errorf("%d mailboxes", len(boxes))
			}
		})
	}
}

// TestAttachmentWithHoleIsNotWhole: a segment that is missing is told, and nothing is hashed.
func TestAttachmentWithHoleIsNotWhole(t *testing.T) {
	mail, _ := letter(9000)
	w, records := listen()
	c := newTalker(w, 40000, 25)
	c.script("S:220 h ESMTP\r\n", "C:EHLO c\r\n", "S:250 ok\r\n", "C:MAIL FROM:<a@x>\r\n", "S:250 ok\r\n", "C:DATA\r\n", "S:354 go\r\n", "C:"+mail[:2000])
	c.seq[0] += 1000 // never captured
	c.script("C:"+mail[3000:]+".\r\n", "S:250 ok\r\n", "C:QUIT\r\n", "S:221 bye\r\n")
	c.bye()
	w.finish()
	for _, f := range of[*File](*records) {
		if f.Complete || f.SHA256 != "" {
			t.Errorf("%+v is whole", f)
		}
	}
}

// TestAttachmentsAsTshark: the parts of the corpus' mails have the types and
// names that tshark sees.
func TestAttachmentsAsTshark(t *testing.T) {
	tshark := proctest.External(t, "tshark")
	for _, name := range []string{"zeek-smtp.pcap", "ndpi-pop3.pcap"} {
		t.Run(name, func(t *testing.T) {
			file := corpus(t, name)[0]
			out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", file, "-Y", "mime_multipart", "-T", "fields", "-E", "aggregator=\n", "-e", "mime_multipart.header.content-disposition").Output()
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Count(string(out), "filename")
			got := 0
			_, records := watchAll(t, Default(), file)
			for _, r := range records["file"] {
				f := r.(*File)
				t.Logf("%s: %s %q %s %d whole %v", filepath.Base(file), f.Service, f.Name, f.Type, f.Size, f.Complete)
				if f.Type != "message/rfc822" && f.Name != "" && f.Service != "http" {
					got++
				}
			}
			if got != want {
				t.Errorf("%d files; tshark has %d:\n%s", got, want, out)
			}
		})
	}
}

// TestStructuresBehindOddBytes: bytes that are no text, and letters that are longer in capitals, move nothing.
func TestStructuresBehindOddBytes(t *testing.T) {
	for _, odd := range []string{"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "ŉŉŉŉŉŉŉŉŉŉŉŉ"} {
		var p imapParts
		p.fetched([]byte("* 7 FETCH (X \"" + odd + `" bodystructure ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 12 1))`))
		if len(p.known) != 1 || p.known[0].message != "7" || len(p.known[0].parts) != 1 {
			t.Errorf("behind %q: %+v", odd, p.known)
		}
	}
}
