package packet

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// enhanced is a packet block of pcapng with the options that are given.
func enhanced(iface uint32, p, options []byte) []byte {
	le := binary.LittleEndian
	padded := (len(p) + 3) &^ 3
	size := uint32(32 + padded + len(options))
	b := le.AppendUint32(le.AppendUint32(nil, 6), size)
	b = le.AppendUint32(b, iface)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(le.AppendUint32(b, uint32(len(p))), uint32(len(p)))
	b = append(append(b, p...), make([]byte, padded-len(p))...)
	return le.AppendUint32(append(b, options...), size)
}

func TestDirectionOfFiles(t *testing.T) {
	le := binary.LittleEndian
	block := func(kind uint32, body ...byte) []byte {
		b := le.AppendUint32(le.AppendUint32(nil, kind), uint32(12+len(body)))
		return le.AppendUint32(append(b, body...), uint32(12+len(body)))
	}
	flags := func(v byte) []byte { return []byte{1, 0, 1, 0, 'x', 0, 0, 0, 2, 0, 4, 0, v, 0, 0, 0, 0, 0, 0, 0} } // behind a comment
	ng := block(0x0a0d0d0a, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	ng = append(ng, block(1, 1, 0, 0, 0, 0, 0, 4, 0)...)
	frames := session()
	for i, options := range [][]byte{flags(1), flags(1), flags(2), flags(0), {2, 0, 9, 0, 1, 0, 0, 0}, nil} {
		ng = append(ng, enhanced(0, frames[i], options)...)
	}
	ip := frames[0][14:]
	sll := append([]byte{0, 4, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, ip...)
	sll2 := append([]byte{8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0}, ip...)
	in := append([]byte{0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0}, ip...)
	for name, tt := range map[string]struct {
		file                 []byte
		unknown, rec, transm int // packets of TCP
	}{
		"pcapng":       {ng, 3, 2, 1},
		"cooked":       {pcap(le, 0xa1b2c3d4, 4, linkSLL, sll, in), 0, 1, 1},
		"cooked again": {pcap(le, 0xa1b2c3d4, 4, linkSLL2, sll2), 0, 0, 1},
		"pcap":         {pcap(le, 0xa1b2c3d4, 4, linkEthernet, frames...), 10, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a")
			if err := os.WriteFile(file, tt.file, 0o600); err != nil {
				t.Fatal(err)
			}
			m, w, _ := run(t, Default(), file)
			got := [...]int{int(w.dec.packets[unknownDirection][layerTCP]), int(w.dec.packets[received][layerTCP]), int(w.dec.packets[transmitted][layerTCP])}
			if want := [...]int{tt.unknown, tt.rec, tt.transm}; got != want {
				t.Errorf("packets of unknown direction, received and transmitted: %v; want %v", got, want)
			}
			if tt.transm > 0 && !strings.Contains(string(page(t, m)), `oriel_packets_layer_packets_total{direction="transmit",interface="file",layer="tcp"} 1`) {
				t.Error("nothing was transmitted on the page")
			}
		})
	}
}
