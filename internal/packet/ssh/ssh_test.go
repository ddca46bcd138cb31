package ssh

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// kexInit writes the message, as a packet.
func kexInit(lists ...string) []byte {
	body := append([]byte{MsgKexInit}, make([]byte, 16)...)
	for _, l := range lists {
		body = binary.BigEndian.AppendUint32(body, uint32(len(l)))
		body = append(body, l...)
	}
	body = append(body, 0, 0, 0, 0, 0)
	padding := 8 - (5+len(body))%8 + 4
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)+padding))
	return append(append(append(b, byte(padding)), body...), make([]byte, padding)...)
}

func TestKexInit(t *testing.T) {
	b := kexInit("k1,k2", "h", "c1", "c2,c3", "m1", "m2", "none", "zlib", "", "")
	payload, n, err := Packet(append(b, 1, 2, 3))
	if err != nil || n != len(b) {
		t.Fatalf("Packet = %d, %v; want %d", n, err, len(b))
	}
	k, err := ParseKexInit(payload)
	if err != nil || k.Kex != "k1,k2" || k.CompressClient != "zlib" {
		t.Fatalf("%+v, %v", k, err)
	}
	if k.HASSH() != hash("k1,k2;c1;m1;none") || k.HASSHServer() != hash("k1,k2;c2,c3;m2;zlib") {
		t.Errorf("HASSH %s, %s", k.HASSH(), k.HASSHServer())
	}
	for i := range len(b) {
		if _, n, err := Packet(b[:i]); n != 0 || err != nil {
			t.Errorf("the first %d bytes are a packet", i)
		}
	}
}

func TestAgree(t *testing.T) {
	if got := Agree("a,b,c", "c,b"); got != "b" {
		t.Errorf("Agree = %q; want b", got)
	}
	if got := Agree("a", "ab,ba"); got != "" {
		t.Errorf("Agree = %q; want none", got)
	}
}

func TestIdent(t *testing.T) {
	if i, ok := ParseIdent([]byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")); !ok || i != (Ident{"2.0", "OpenSSH_9.2p1", "Debian-2"}) {
		t.Errorf("%+v, %t", i, ok)
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(kexInit("k1,k2", "h", "c1", "c2", "m1", "m2", "none", "zlib", "", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, n, err := Packet(b)
		if n > len(b) || len(payload) > n || err != nil && n != 0 {
			t.Fatalf("payload of %d in %d of %d", len(payload), n, len(b))
		}
		k, err := ParseKexInit(b)
		if err != nil {
			return
		}
		again, _, _ := Packet(kexInit(k.Kex, k.HostKey, k.CipherToServer, k.CipherToClient, k.MACToServer, k.MACToClient, k.CompressToServer, k.CompressClient))
		l, err := ParseKexInit(again)
		if len(b) < MaxPacket-100 && (err != nil || *l != *k) {
			t.Errorf("written again: %v", err)
		}
		if a := Agree(k.Kex, k.HostKey); !strings.Contains(k.Kex, a) || !bytes.Contains(b, []byte(a)) {
			t.Errorf("agreed on %q", a)
		}
	})
}
