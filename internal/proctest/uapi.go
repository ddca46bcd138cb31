package proctest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// UAPI is a fake userspace WireGuard device: a socket that answers each
// connection with Answer, whatever that does.
type UAPI struct {
	answer atomic.Pointer[func(io.Writer)]
	reads  atomic.Int64
}

// NewUAPI listens on dir/name.sock until the test ends.
func NewUAPI(t testing.TB, dir, name string, answer func(io.Writer)) *UAPI {
	t.Helper()
	u := &UAPI{}
	u.Set(answer)
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "unix", filepath.Join(dir, name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go u.serve(c)
		}
	}()
	return u
}

// Set changes what the device answers from now on.
func (u *UAPI) Set(answer func(io.Writer)) { u.answer.Store(&answer) }

// Reads returns how often the device has been asked.
func (u *UAPI) Reads() int64 { return u.reads.Load() }

func (u *UAPI) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\n" {
			break
		}
	}
	u.reads.Add(1)
	(*u.answer.Load())(c)
}

// Text answers with a fixed text and closes.
func Text(s string) func(io.Writer) { return func(w io.Writer) { _, _ = io.WriteString(w, s) } }

// Peers answers as wireguard-go does for a device with n peers of two allowed IPs each.
func Peers(n int) func(io.Writer) {
	return func(w io.Writer) {
		b := bufio.NewWriterSize(w, 64<<10)
		_, _ = fmt.Fprintf(b, "private_key=%064x\nlisten_port=51820\n", 1<<20|0x40)
		for i := range n {
			key := PeerKey(i)
			_, _ = fmt.Fprintf(b, "public_key=%s\npreshared_key=%064x\nprotocol_version=1\nendpoint=192.0.%d.%d:51820\n"+
				"last_handshake_time_sec=%d\nlast_handshake_time_nsec=5\ntx_bytes=%d\nrx_bytes=%d\npersistent_keepalive_interval=25\n"+
				"allowed_ip=10.%d.%d.%d/32\nallowed_ip=fd00::%x/128\n", hex.EncodeToString(key[:]), 0, i>>8&255, i&255,
				1_763_700_000+i, 1000*i+92, 2000*i+180, i>>16&255, i>>8&255, i&255, i)
		}
		_, _ = io.WriteString(b, "errno=0\n\n")
		_ = b.Flush()
	}
}

// PeerKey is the public key of peer i of Peers: any 32 bytes are a key.
func PeerKey(i int) (key [32]byte) {
	binary.BigEndian.PutUint64(key[:], uint64(i)+1)
	return key
}

// PeerKeyText is PeerKey as `wg` prints it.
func PeerKeyText(i int) string {
	key := PeerKey(i)
	return base64.StdEncoding.EncodeToString(key[:])
}
