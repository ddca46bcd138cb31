package packet

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	gotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// talker makes the packets of one connection.
type talker struct {
	w              *worker
	client, server uint16
	seq            [2]uint32
	now            int64
	piece          int // bytes of a segment
}

func newTalker(w *worker, client, server uint16) *talker {
	t := &talker{w: w, client: client, server: server, seq: [2]uint32{1000, 5000}, now: time.Now().UnixNano(), piece: 1400}
	t.send(true, flagSYN, nil)
	t.send(false, flagSYN|flagACK, nil)
	t.send(true, flagACK, nil)
	return t
}

func (t *talker) send(client bool, flags byte, b []byte) {
	i, j := 1, 0
	if client {
		i, j = 0, 1
	}
	f := tcpFrame(client, t.seq[i], t.seq[j], flags, string(b))
	a, z := t.client, t.server
	if !client {
		a, z = z, a
	}
	binary.BigEndian.PutUint16(f[34:], a)
	binary.BigEndian.PutUint16(f[36:], z)
	t.seq[i] += uint32(len(b))
	if flags&(flagSYN|flagFIN) != 0 {
		t.seq[i]++
	}
	t.now += 1e6
	t.w.take(&frame{link: linkEthernet, data: f, wire: len(f), time: t.now})
}

func (t *talker) say(client bool, b []byte) {
	for len(b) > 0 {
		n := min(t.piece, len(b))
		t.send(client, flagACK|flagPSH, b[:n])
		b = b[n:]
	}
}

// script takes lines that begin with C: or S:.
func (t *talker) script(lines ...string) {
	for _, l := range lines {
		t.say(l[0] == 'C', []byte(l[2:]))
	}
}

func (t *talker) bye() {
	t.send(true, flagACK|flagFIN, nil)
	t.send(false, flagACK|flagFIN, nil)
	t.send(true, flagACK, nil)
}

// listen returns a worker and where its records go.
func listen() (*worker, *[]Record) {
	var records []Record
	return newWorker(Default(), "file", 64<<20, func(r Record) error { records = append(records, r); return nil }, quiet()), &records
}

func TestHTTPExchanges(t *testing.T) {
	for _, piece := range []int{1400, 7, 1} {
		w, records := listen()
		c := newTalker(w, 40000, 8080)
		c.piece = piece
		c.script(
			"C:GET /a?token=abc&x=1 HTTP/1.1\r\nHost: h\r\nUser-Agent: curl/8.5.0\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain; charset=x\r\nContent-Length: 5\r\n\r\nhelloBREW /c HTTP/1.1\r\n\r\n",
			"S:HTTP/1.1 200 OK\r\nServer: nginx/1.25\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
			"S:HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
			"S:HTTP/1.1 418 Teapot\r\n\r\nuntil the end",
		)
		c.bye()
		w.finish()
		got := ""
		for _, r := range of[*HTTP](*records) {
			got += fmt.Sprintf("%d %s %s %s %d %d %d %t|", r.Depth, r.Method, r.URI, r.RequestType, r.RequestLength, r.Status, r.ResponseLength, r.FirstByteNanos > 0)
		}
		want := "1 GET /a?token=...&x=1  0 200 5 true|2 POST /b text/plain 5 404 2 true|3 BREW /c  0 418 13 true|"
		if got != want {
			t.Errorf("in pieces of %d:\n%s\nwant\n%s", piece, got, want)
		}
		var names []string
		for _, s := range of[*Software](*records) {
			names = append(names, s.Product+" "+s.Version)
		}
		if strings.Join(names, ",") != "curl 8.5.0,nginx 1.25" {
			t.Errorf("software %q", names)
		}
		if len(of[*File](*records)) != 4 || w.budget.used != 0 {
			t.Errorf("%d files, %d bytes charged", len(of[*File](*records)), w.budget.used)
		}
		if cs := of[*Connection](*records); len(cs) != 1 || cs[0].Service != "http" || cs[0].UID != of[*HTTP](*records)[0].UID {
			t.Errorf("connections %+v; want one with the service and uid of its requests", cs)
		}
	}
}

func TestHTTPOneWay(t *testing.T) {
	for _, client := range []bool{true, false} {
		w, records := listen()
		c := newTalker(w, 40000, 80)
		c.say(true, nil)
		if client {
			c.script("C:GET /1 HTTP/1.1\r\n\r\n", "C:GET /2 HTTP/1.1\r\n\r\n")
		} else {
			c.script("S:HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "S:HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
		}
		w.finish()
		list := of[*HTTP](*records)
		if len(list) != 2 || client && list[1].URI != "/2" || !client && list[1].Status != 500 {
			t.Errorf("client %t: %d exchanges of one side; want 2", client, len(list))
		}
	}
}

func TestHTTPGoesOnBehindAHole(t *testing.T) {
	w, records := listen()
	c := newTalker(w, 40000, 80)
	c.script("C:GET /1 HTTP/1.1\r\n\r\n", "S:HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"+strings.Repeat("x", 1000))
	c.seq[1] += 1500 // not captured
	c.script("S:"+strings.Repeat("x", 500), "C:GET /2 HTTP/1.1\r\n\r\n", "S:HTTP/1.1 204 No\r\n\r\n")
	w.finish()
	list := of[*HTTP](*records)
	if len(list) != 2 || list[0].ResponseLength != 3000 || list[1].Status != 204 || list[1].URI != "/2" {
		t.Fatalf("%d exchanges: %+v", len(list), list)
	}
	if f := of[*File](*records); len(f) != 1 || f[0].Complete || f[0].SHA256 != "" || f[0].Size != 1500 {
		t.Errorf("files %+v; want one in part", f)
	}
}

const (
	planted = "hunter2-SECRET"
	account = "alice"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// logins are dialogues in which account and planted are said.
var logins = []struct {
	name, service, method, outcome string
	port                           uint16
	script                         []string
}{
	{"http basic", "http", "basic", "", 80, []string{"C:GET / HTTP/1.1\r\nAuthorization: Basic " + b64(account+":"+planted) + "\r\n\r\n", "S:HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}},
	{"http digest", "http", "digest", "", 80, []string{"C:GET / HTTP/1.1\r\nAuthorization: Digest realm=\"a, b\", username=\"alice\", response=\"" + planted + "\"\r\n\r\n"}},
	{"http proxy", "http", "basic", "", 3128, []string{"C:GET http://bob:" + planted + "@h/?password=" + planted + "&a=b HTTP/1.1\r\nProxy-Authorization: basic " + b64(account+":"+planted) + "\r\nReferer: http://h/?access_token=" + planted + "\r\n\r\n"}},
	{"http form", "http", "form", "", 80, []string{"C:POST /in HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 40\r\n\r\nlogin=alice&password=" + planted + "&x=99", "S:HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"}},
	{"ftp", "ftp", "user", "accepted", 21, []string{"S:220 ProFTPD 1.3.8 Server\r\n", "C:USER alice\r\n", "S:331 Password\r\n", "C:PASS " + planted + "\r\n", "S:230 In\r\n"}},
	{"ftp refused", "ftp", "user", "refused", 2121, []string{"S:220-hello\r\n220 FTP ready\r\n", "C:user alice\r\n", "S:331 Password\r\n", "C:pass " + planted + "\r\n", "S:530 No\r\n"}},
	{"smtp plain", "smtp", "plain", "accepted", 587, []string{"S:220 h ESMTP Postfix\r\n", "C:EHLO c\r\n", "S:250-h\r\n250 AUTH PLAIN\r\n", "C:AUTH PLAIN " + b64("\x00alice\x00"+planted) + "\r\n", "S:235 ok\r\n"}},
	{"smtp login", "smtp", "login", "refused", 25, []string{"S:220 h\r\n", "C:EHLO c\r\n", "S:250 h\r\n", "C:AUTH LOGIN\r\n", "S:334 VXNlcm5hbWU6\r\n", "C:" + b64(account) + "\r\n", "S:334 UGFzc3dvcmQ6\r\n", "C:" + b64(planted) + "\r\n", "S:535 no\r\n"}},
	{"pop3", "pop3", "user", "accepted", 110, []string{"S:+OK ready\r\n", "C:USER alice\r\n", "S:+OK\r\n", "C:PASS " + planted + "\r\n", "S:+OK in\r\n"}},
	{"pop3 plain", "pop3", "plain", "refused", 110, []string{"S:+OK ready\r\n", "C:AUTH PLAIN\r\n", "S:+ \r\n", "C:" + b64("\x00alice\x00"+planted) + "\r\n", "S:-ERR no\r\n"}},
	{"imap", "imap", "login", "accepted", 143, []string{"S:* OK IMAP4rev1\r\n", "C:a1 LOGIN \"alice\" \"" + planted + "\"\r\n", "S:a1 OK in\r\n"}},
	{"imap literal", "imap", "login", "refused", 143, []string{"S:* OK IMAP4rev1\r\n", "C:a1 LOGIN {5}\r\n", "S:+ go\r\n", "C:alice " + planted + "\r\n", "S:a1 NO\r\n"}},
	{"imap plain", "imap", "plain", "accepted", 143, []string{"S:* OK IMAP4rev1\r\n", "C:a1 AUTHENTICATE PLAIN\r\n", "S:+ \r\n", "C:" + b64("\x00alice\x00"+planted) + "\r\n", "S:a1 OK\r\n"}},
	{"telnet", "telnet", "password", "refused", 23, []string{"S:\xff\xfd\x18\xff\xfd\x20", "C:\xff\xfb\x18", "S:\r\nlogin: ", "C:alice\r\n", "S:alice\r\nPassword: ", "C:" + planted + "\r\n", "S:\r\nLogin incorrect\r\n"}},
}

// TestCredentialsWithoutTheSecret looks for the secret in all that leaves the worker.
func TestCredentialsWithoutTheSecret(t *testing.T) {
	for _, tt := range logins {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1400, 3} {
				w, records := listen()
				c := newTalker(w, 40000, tt.port)
				c.piece = piece
				c.script(tt.script...)
				c.bye()
				w.finish()
				list := of[*Credentials](*records)
				if len(list) != 1 || list[0].Service != tt.service || list[0].Method != tt.method || list[0].User != account || list[0].Outcome != tt.outcome {
					t.Errorf("credentials %+v; want one of %s, %s, %s", list, tt.service, tt.method, tt.outcome)
				}
				for _, r := range *records {
					said := fmt.Sprintf("%+v", r)
					if strings.Contains(said, planted) || strings.Contains(said, b64(planted)[:12]) || strings.Contains(said, "hunter2") {
						t.Errorf("%s shows the secret: %s", r.Kind(), said)
					}
				}
				if w.budget.used != 0 {
					t.Errorf("%d bytes charged at the end", w.budget.used)
				}
			}
		})
	}
}

func TestFTPNamesItsFiles(t *testing.T) {
	w, records := listen()
	c := newTalker(w, 40000, 21)
	c.script("S:220 FTP\r\n", "C:PASV\r\n", "S:227 Entering (192,0,2,2,200,10)\r\n", "C:RETR /pub/report.pdf\r\n", "S:150 Here\r\n")
	d := newTalker(w, 40001, 200<<8|10)
	d.say(false, []byte("%PDF-1.7 ..."))
	d.bye()
	c.script("S:226 Done\r\n")
	c.bye()
	w.finish()
	files, commands := of[*File](*records), of[*FTP](*records)
	if len(files) != 1 || files[0].Name != "report.pdf" || files[0].Detected != "application/pdf" || files[0].Upload || len(files[0].SHA256) != 64 {
		t.Errorf("files %+v", files)
	}
	if len(commands) != 1 || commands[0].Command != "RETR" || commands[0].Code != 226 || commands[0].DataPort != 51210 || !commands[0].Passive {
		t.Errorf("commands %+v", commands)
	}
}

func TestSMTPMail(t *testing.T) {
	w, records := listen()
	c := newTalker(w, 40000, 25)
	c.script("S:220 h ESMTP Exim 4.96\r\n", "C:EHLO c\r\n", "S:250-h\r\n250 PIPELINING\r\n",
		"C:MAIL FROM:<a@x> SIZE=9\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n", "S:250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
		"C:From: A <a@x>\r\nSubject: hi\r\nX-Mailer: Mutt/2.2.9\r\n\r\nSubject: no\r\n..dot\r\n.\r\n", "S:250 queued\r\n", "C:QUIT\r\n", "S:221 bye\r\n")
	c.bye()
	w.finish()
	mails := of[*SMTP](*records)
	if len(mails) != 1 || mails[0].MailFrom != "a@x" || mails[0].Recipients != "b@y,c@y" || mails[0].Subject != "hi" || mails[0].Reply != "250 queued" {
		t.Fatalf("mails %+v", mails)
	}
	if s := of[*Software](*records); len(s) != 2 || s[0].Product != "Exim" || s[0].Version != "4.96" || s[1].Product != "Mutt" {
		t.Errorf("software %+v", s)
	}
}

// tap copies what passes one end of a pipe.
type tapConn struct {
	net.Conn
	mu  *sync.Mutex
	log *[]string
}

func (c tapConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	*c.log = append(*c.log, "S:"+string(b[:n]))
	c.mu.Unlock()
	return n, err
}

func (c tapConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	*c.log = append(*c.log, "C:"+string(b))
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// handshakeOf records a real handshake of the version.
func handshakeOf(t testing.TB, version uint16, template *x509.Certificate) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := net.Pipe()
	_ = a.SetDeadline(time.Now().Add(10 * time.Second))
	_ = b.SetDeadline(time.Now().Add(10 * time.Second))
	var log []string
	var mu sync.Mutex
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := gotls.Server(b, &gotls.Config{Certificates: []gotls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MaxVersion: version, MinVersion: version, NextProtos: []string{"h2"}, SessionTicketsDisabled: true})
		_, _ = io.ReadFull(s, make([]byte, 5))
		_, _ = io.WriteString(s, "hello")
		_ = s.Close()
	}()
	c := gotls.Client(tapConn{a, &mu, &log}, &gotls.Config{InsecureSkipVerify: true, ServerName: "www.example.org", NextProtos: []string{"h2"}, MinVersion: version})
	_, _ = io.WriteString(c, "hello")
	_, _ = io.ReadAll(c)
	<-done
	_ = a.Close()
	return log
}

func TestTLSHandshakes(t *testing.T) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"*.example.org"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(72 * time.Hour),
	}
	old := *template
	old.NotAfter, old.DNSNames = time.Now().Add(-24*time.Hour), []string{"other"}
	for _, tt := range []struct {
		name, want   string
		version      uint16
		template     *x509.Certificate
		certificates int
	}{
		{"1.3", "TLS 1.3 aead www.example.org ALPN  weak  true", gotls.VersionTLS13, template, 0},
		{"1.2", "TLS 1.2 aead www.example.org ALPN h2 weak self_signed true", gotls.VersionTLS12, template, 1},
		{"1.0", "TLS 1.0 cbc www.example.org ALPN h2 weak version,expired,self_signed,name true", gotls.VersionTLS10, &old, 1},
	} {
		script := handshakeOf(t, tt.version, tt.template)
		for _, piece := range []int{1400, 1} {
			w, records := listen()
			c := newTalker(w, 40000, 9999)
			c.piece = piece
			c.script(script...)
			c.bye()
			w.finish()
			list := of[*TLS](*records)
			if len(list) != 1 {
				t.Fatalf("%s: %d handshakes", tt.name, len(list))
			}
			r := list[0]
			got := fmt.Sprintf("%s %s %s ALPN %s weak %s %t", r.Version, r.CipherClass, r.ServerName, r.ALPN, r.Weak, r.Established)
			if got != tt.want || len(of[*X509](*records)) != tt.certificates || r.HandshakeNanos <= 0 || w.budget.used != 0 {
				t.Errorf("%s in pieces of %d: %s, %d certificates, %d ns, %d charged; want %s", tt.name, piece, got, len(of[*X509](*records)), r.HandshakeNanos, w.budget.used, tt.want)
			}
		}
	}
}

func TestTLSBehindAProxy(t *testing.T) {
	w, records := listen()
	c := newTalker(w, 40000, 3128)
	c.script("C:CONNECT www.example.org:443 HTTP/1.1\r\n\r\n", "S:HTTP/1.1 200 Go\r\n\r\n")
	c.script(handshakeOf(t, gotls.VersionTLS13, &x509.Certificate{SerialNumber: big.NewInt(1)})...)
	c.bye()
	w.finish()
	if h, l := of[*HTTP](*records), of[*TLS](*records); len(h) != 1 || h[0].Method != "CONNECT" || len(l) != 1 || l[0].ServerName != "www.example.org" || w.budget.used != 0 {
		t.Errorf("%d exchanges, handshakes %+v, %d bytes charged", len(h), l, w.budget.used)
	}
}

func TestExpiringCertificateIsOnThePage(t *testing.T) {
	w, _ := listen()
	c := newTalker(w, 40000, 443)
	until := time.Now().Add(72 * time.Hour)
	c.script(handshakeOf(t, gotls.VersionTLS12, &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: until})...)
	var sum serviceStats
	sum.add(&w.serviceStats)
	if sum.tls.soonest/1e9 != until.Unix() || sum.tls.expires.count != 1 || sum.tls.expires.buckets[2] != 1 {
		t.Errorf("soonest %d, want %d; %+v", sum.tls.soonest/1e9, until.Unix(), sum.tls.expires)
	}
}

// FuzzDialogue says anything to every analyzer: nothing panics, all memory is
// given back, and each text in a record is bounded.
func FuzzDialogue(f *testing.F) {
	for _, tt := range logins {
		f.Add([]byte(strings.Join(tt.script, "\x00")), tt.port, 7)
	}
	f.Add([]byte(strings.Join(handshakeOf(f, gotls.VersionTLS12, &x509.Certificate{SerialNumber: big.NewInt(1)}), "\x00")), uint16(443), 100)
	f.Add([]byte("S:SSH-2.0-OpenSSH_9.2p1\r\n\x00C:SSH-2.0-x\r\n\x00S:\x00\x00\x00\x0c\x0a\x14"), uint16(22), 50)
	f.Fuzz(func(t *testing.T, dialogue []byte, port uint16, piece int) {
		if len(dialogue) > 1<<16 {
			return
		}
		w, records := listen()
		c := newTalker(w, 40000, port)
		c.piece = max(piece&0xff, 1)
		for i, turn := range bytes.Split(dialogue, []byte{0}) {
			if len(turn) < 2 {
				continue
			}
			c.say(turn[0] == 'C', turn[2:])
			if i%7 == 6 {
				c.seq[i&1] += uint32(len(turn)) // a hole
			}
		}
		w.finish()
		if w.budget.used != 0 || w.dec.failed[failPanic] != 0 {
			t.Fatalf("%d bytes charged at the end, %d panics", w.budget.used, w.dec.failed[failPanic])
		}
		for _, r := range *records {
			if said := fmt.Sprintf("%+v", r); len(said) > 20*3*maxText || r.When().IsZero() {
				t.Errorf("%s of %d bytes at %s", r.Kind(), len(said), r.When())
			}
		}
	})
}
