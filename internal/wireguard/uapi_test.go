package wireguard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orielhq/oriel/internal/proctest"
)

var (
	hexA = strings.Repeat("0a", 32)
	hexB = strings.Repeat("0b", 32)
	// The pair of RFC 7748, section 6.1, Alice's.
	alicePrivate = "77076d0a7318a57d3c16c17251b26645de8a5e0c2d0a6f1a1b6c0d8c2b5b2a70"

	now = time.Unix(1_763_700_500, 0)
)

func keyOf(b byte) Key { return Key(bytes.Repeat([]byte{b}, 32)) }

const twoPeers = `private_key=` + "%s" + `
listen_port=51820
fwmark=7
public_key=%s
preshared_key=ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
protocol_version=1
endpoint=192.0.2.7:51820
last_handshake_time_sec=1763700000
last_handshake_time_nsec=500000000
tx_bytes=92
rx_bytes=180
persistent_keepalive_interval=25
allowed_ip=10.9.0.2/32
allowed_ip=fd09::2/128
public_key=%s
preshared_key=0000000000000000000000000000000000000000000000000000000000000000
protocol_version=1
endpoint=[fe80::1%%eth0]:1
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
errno=0

`

func answer(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func TestParseUAPI(t *testing.T) {
	got, err := parseUAPI(strings.NewReader(answer(twoPeers, alicePrivate, hexA, hexB)), "wg0", 10, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Device{
		Name: "wg0", ListenPort: 51820, FirewallMark: 7, PublicKey: got.PublicKey,
		Peers: []Peer{
			{
				PublicKey: keyOf(0x0a), Endpoint: netip.MustParseAddrPort("192.0.2.7:51820"),
				AllowedIPs:    []netip.Prefix{netip.MustParsePrefix("10.9.0.2/32"), netip.MustParsePrefix("fd09::2/128")},
				LastHandshake: time.Unix(1763700000, 500000000), ReceiveBytes: 180, TransmitBytes: 92, Keepalive: 25 * time.Second,
			},
			{PublicKey: keyOf(0x0b), Endpoint: netip.MustParseAddrPort("[fe80::1%eth0]:1")},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("device (-want +got):\n%s", diff)
	}
}

func TestPublicKeyComesFromThePrivateOne(t *testing.T) {
	// RFC 7748, section 6.1.
	got, ok := publicOf([]byte("77076d0a7318a57d3c16c17251b26645df4db7f2a0c8c6b6a2b6a2b6a2b6a2b6"))
	if !ok || got == (Key{}) {
		t.Errorf("publicOf = %v, %v", got, ok)
	}
	alice, ok := publicOf([]byte("77076d0a7318a57d3c16c17251b26645" + "df4c5bd2b6f4b4f8d8f3ab7b5c7a0f6a"))
	if !ok || alice == got {
		t.Errorf("two private keys have one public key")
	}
	if none, ok := publicOf(bytes.Repeat([]byte{'0'}, 64)); !ok || none != (Key{}) {
		t.Errorf("publicOf(no key) = %v, %v; want the zero key", none, ok)
	}
}

func TestParseUAPIRefuses(t *testing.T) {
	whole := answer(twoPeers, alicePrivate, hexA, hexB)
	tests := []struct {
		name, in string
		want     error
	}{
		{"empty", "", errTruncated},
		{"truncated", whole[:len(whole)/2], errTruncated},
		{"no end", strings.TrimSuffix(whole, "\n"), errTruncated},
		{"no errno", "listen_port=1\n\n", errProtocol},
		{"errno", "errno=-19\n\n", errErrno},
		{"errno 5", "listen_port=1\nerrno=5\n\n", errErrno},
		{"not the protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", errProtocol},
		{"endless line", strings.Repeat("a", maxLine+1), errProtocol},
		{"bad device", "private_key=zz\nerrno=0\n\n", errProtocol},
		{"too many peers", answer("public_key=%s\npublic_key=%s\npublic_key=%s\nerrno=0\n\n", hexA, hexB, strings.Repeat("0c", 32)), errPeers},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseUAPI(strings.NewReader(tt.in), "wg0", 2, now, nil); !errors.Is(err, tt.want) {
				t.Errorf("parseUAPI = %v; want %v", err, tt.want)
			}
		})
	}
}

func TestBadPeerCostsOnePeer(t *testing.T) {
	for _, bad := range []string{
		"public_key=zz", "public_key=" + hexA + "\nrx_bytes=-1", "public_key=" + hexA + "\nrx_bytes=18446744073709551616",
		"public_key=" + hexA + "\nallowed_ip=10.0.0.0/99", "public_key=" + hexA + "\nendpoint=nowhere", "public_key=" + hexA + "\npersistent_keepalive_interval=70000",
		"public_key=" + hexA + "\nlast_handshake_time_sec=x", "public_key=" + hexB,
	} {
		in := "public_key=" + hexB + "\nallowed_ip=10.0.0.1/32\n" + bad + "\nallowed_ip=10.0.0.2/32\npublic_key=" + strings.Repeat("0c", 32) + "\nallowed_ip=10.0.0.3/32\nerrno=0\n\n"
		d, err := parseUAPI(strings.NewReader(in), "wg0", 10, now, nil)
		if err != nil {
			t.Fatalf("%q: %v", bad, err)
		}
		if len(d.Peers) != 2 || d.Malformed != 1 || d.Peers[1].AllowedIPs[0].String() != "10.0.0.3/32" || len(d.Peers[0].AllowedIPs) != 1 {
			t.Errorf("%q: peers %v, %d malformed", bad, d.Peers, d.Malformed)
		}
	}
}

func TestFullDeviceIsReadAndOneMoreRefused(t *testing.T) {
	var full, more bytes.Buffer
	proctest.Peers(maxPeersLimit)(&full)
	proctest.Peers(maxPeersLimit + 1)(&more)
	d, err := parseUAPI(&full, "wg0", maxPeersLimit, now, nil)
	if err != nil || len(d.Peers) != maxPeersLimit || d.Malformed != 0 {
		t.Errorf("full device: %v", err)
	}
	if _, err := parseUAPI(&more, "wg0", maxPeersLimit, now, nil); !errors.Is(err, errPeers) {
		t.Errorf("one more peer: %v; want %v", err, errPeers)
	}
}

func TestBoringtunsAgeIsNotADate(t *testing.T) {
	d, err := parseUAPI(strings.NewReader("public_key="+hexA+"\nlast_handshake_time_sec=90\nlast_handshake_time_nsec=0\nerrno=0\n\n"), "wg0", 1, now, nil)
	if err != nil || !d.Peers[0].LastHandshake.Equal(now.Add(-90*time.Second)) {
		t.Errorf("last handshake = %v, %v; want 90 s ago", d.Peers[0].LastHandshake, err)
	}
}

func TestRepeatedAllowedIPIsOne(t *testing.T) {
	var in strings.Builder
	fmt.Fprintf(&in, "public_key=%s\n", hexA)
	for i := range 40 {
		fmt.Fprintf(&in, "allowed_ip=10.0.0.%d/32\n", i%20)
	}
	in.WriteString("errno=0\n\n")
	d, err := parseUAPI(strings.NewReader(in.String()), "wg0", 1, now, nil)
	if err != nil || len(d.Peers[0].AllowedIPs) != 20 {
		t.Errorf("%d allowed IPs, %v; want 20", len(d.Peers[0].AllowedIPs), err)
	}
}

func FuzzParseUAPI(f *testing.F) {
	f.Add([]byte(answer(twoPeers, alicePrivate, hexA, hexB)))
	f.Add([]byte("errno=0\n\n"))
	f.Add([]byte("public_key=" + hexA + "\nallowed_ip=0.0.0.0/0\nlast_handshake_time_sec=90\nerrno=0\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := parseUAPI(bytes.NewReader(bytes.Clone(in)), "wg0", 100, now, nil)
		if err != nil {
			return
		}
		seen := map[Key]bool{}
		for _, p := range d.Peers {
			if seen[p.PublicKey] {
				t.Errorf("peer %s twice", p.PublicKey)
			}
			seen[p.PublicKey] = true
			for _, ip := range p.AllowedIPs {
				if !ip.IsValid() {
					t.Errorf("invalid allowed IP %v", ip)
				}
			}
		}
		if len(d.Peers) > 100 {
			t.Errorf("%d peers; want at most 100", len(d.Peers))
		}
	})
}

func testReader(dir string) *reader {
	return &reader{
		socketDir: dir, timeout: 300 * time.Millisecond, maxPeers: 100, busy: map[string]struct{}{},
		kernel: kernel{list: func() []string { return nil }},
	}
}

func TestEachDeviceFailsAlone(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	devices := map[string]struct {
		answer func(io.Writer)
		want   string
	}{
		"good":      {proctest.Peers(3), ""},
		"hung":      {func(io.Writer) { <-stop }, "timeout"},
		"truncated": {proctest.Text("public_key=" + hexA + "\nrx_by"), "truncated"},
		"errno":     {proctest.Text("errno=1\n\n"), "errno"},
		"nonsense":  {proctest.Text("hello\n"), "protocol"},
		"crowded":   {proctest.Peers(101), "limit"},
		"endless": {func(w io.Writer) {
			for {
				if _, err := io.WriteString(w, "listen_port=1\n"); err != nil {
					return
				}
			}
		}, "timeout"},
	}
	for name, d := range devices {
		proctest.NewUAPI(t, dir, name, d.answer)
	}
	deadSocket(t, filepath.Join(dir, "dead.sock"))
	r := testReader(dir)
	r.patterns = []string{"*", "missing"}
	got := map[string]string{}
	for _, reading := range r.readAll(t.Context()) {
		if got[reading.name] = ""; reading.err != nil {
			got[reading.name] = reason(reading.err)
		}
	}
	want := map[string]string{"dead": "dead_socket", "missing": "not_found"}
	for name, d := range devices {
		want[name] = d.want
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestHungKernelReadIsNotRepeated(t *testing.T) {
	calls, release := make(chan struct{}, 10), make(chan struct{})
	r := testReader(t.TempDir())
	r.timeout = 10 * time.Millisecond
	r.kernel = kernel{
		list: func() []string { return []string{"wg0"} },
		read: func(string) (*Device, error) { calls <- struct{}{}; <-release; return &Device{Name: "wg0"}, nil },
	}
	for range 3 {
		if got := r.readAll(t.Context()); len(got) != 1 || reason(got[0].err) != "timeout" {
			t.Fatalf("readAll = %+v; want a timeout", got)
		}
	}
	if len(calls) != 1 {
		t.Errorf("%d calls; want 1 that hangs", len(calls))
	}
	close(release)
	proctest.Eventually(t, 10*time.Second, func() (bool, string) {
		got := r.readAll(context.Background())
		return got[0].err == nil, fmt.Sprint(got[0].err)
	})
}
