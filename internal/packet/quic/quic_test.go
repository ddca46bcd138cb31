package quic

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The server's Initial packet of RFC 9001, appendix A.3, and of RFC 9369, A.3.
const (
	server1 = `cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb3
		8cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee`
	server2 = `dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf872630
		17915358230035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140`
)

func TestOpenExamplesOfRFCs(t *testing.T) {
	for name, packet := range map[string]string{"version 1": server1, "version 2": server2} {
		b := unhex(t, packet)
		before := bytes.Clone(b)
		h, err := ParseHeader(b)
		if err != nil || h.Kind != Initial || h.Size != len(b) {
			t.Errorf("%s: header %+v, %v", name, h, err)
			continue
		}
		k, err := InitialKeys(h.Version, unhex(t, "8394c8f03e515708"), false)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := k.Open(b, h)
		if err != nil || !bytes.Equal(b, before) {
			t.Errorf("%s: Open = %v", name, err)
			continue
		}
		frames, err := CryptoFrames(plain)
		if err != nil || len(frames) != 1 || frames[0].Offset != 0 || frames[0].Data[0] != 2 || len(frames[0].Data) != 90 {
			t.Errorf("%s: frames %v, %v; want a ServerHello", name, frames, err)
		}
		b[len(b)-1] ^= 1
		if _, err := k.Open(b, h); err == nil {
			t.Errorf("%s: a changed packet opens", name)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(unhex(f, server1))
	f.Add(unhex(f, server2))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		if h.Size > len(b) || h.number > h.Size || len(h.DCID) > MaxID || len(h.SCID) > MaxID {
			t.Errorf("header %+v of %d bytes", h, len(b))
		}
		if k, err := InitialKeys(h.Version, h.DCID, true); err == nil {
			if plain, err := k.Open(b, h); err == nil {
				_, _ = CryptoFrames(plain)
			}
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{6, 0, 3, 1, 2, 3, 0, 0, 1, 2, 5, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, _ := CryptoFrames(b)
		n := 0
		var s Stream
		for _, c := range frames {
			n += len(c.Data)
			s.Add(c)
		}
		if n > len(b) || s.Cap() > 2*MaxStream {
			t.Errorf("%d bytes hold %d, %d kept", len(b), n, s.Cap())
		}
	})
}

// FuzzStream: shuffled and overlapping pieces make the message.
func FuzzStream(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		message := make([]byte, 4+500)
		for i := range message {
			message[i] = byte(rnd.Uint32())
		}
		copy(message, []byte{1, 0, 1, 244})
		var pieces []Crypto
		for at := 0; at < len(message); {
			n := min(len(message)-at, 20+rnd.IntN(100))
			from := max(0, at-rnd.IntN(10))
			pieces = append(pieces, Crypto{uint64(from), message[from : at+n]})
			at += n
		}
		rnd.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		var s Stream
		for i, p := range pieces {
			if _, body := s.Message(); body != nil {
				t.Fatalf("a message after %d of %d pieces", i, len(pieces))
			}
			s.Add(p)
		}
		if kind, body := s.Message(); kind != 1 || !bytes.Equal(body, message[4:]) {
			t.Fatalf("message of kind %d, %d bytes", kind, len(body))
		}
	})
}
