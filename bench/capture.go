package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// captured is one packet of a capture.
type captured struct {
	data []byte
	wire uint32
}

// corpus reads the Ethernet captures of a directory, but for those that are damaged on purpose.
func corpus(dir string) ([]captured, error) {
	names, err := filepath.Glob(filepath.Join(dir, "pcap", "*.pcap"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no captures in %s (ORIEL_CORPUS)", dir)
	}
	slices.Sort(names)
	var all []captured
	for _, name := range names {
		switch filepath.Base(name) {
		case "ndpi-bfd.pcap", "ndpi-tls_cipher_lens.pcap", "ndpi-fuzz-2006-09-29-28586.pcap":
			continue
		}
		packets, err := readCapture(name)
		if err != nil {
			return nil, err
		}
		all = append(all, packets...)
	}
	return all, nil
}

// readCapture reads a pcap of Ethernet; of another kind it returns nothing.
func readCapture(name string) ([]captured, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReader(f)
	var h [24]byte
	if _, err := io.ReadFull(in, h[:]); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if m := order.Uint32(h[:]); m != 0xa1b2c3d4 && m != 0xa1b23c4d {
		order = binary.BigEndian
		if m := order.Uint32(h[:]); m != 0xa1b2c3d4 && m != 0xa1b23c4d {
			return nil, nil
		}
	}
	if order.Uint32(h[20:])&0xffff != 1 {
		return nil, nil
	}
	var list []captured
	for {
		var p [16]byte
		if _, err := io.ReadFull(in, p[:]); err != nil {
			return list, nil // also of a file that is cut
		}
		b := make([]byte, order.Uint32(p[8:]))
		if _, err := io.ReadFull(in, b); err != nil {
			return list, nil
		}
		list = append(list, captured{b, order.Uint32(p[12:])})
	}
}

// multiply writes packets so many times over, 50 microseconds apart, each time
// with other outer addresses, so that each brings new flows.
func multiply(name string, packets []captured, times int) (count int, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 1<<20)
	order := binary.LittleEndian
	h := order.AppendUint32(nil, 0xa1b2c3d4)
	h = append(h, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0)
	_, _ = out.Write(h) // an error stays and comes with Flush
	var b []byte
	for i := range times {
		for _, p := range packets {
			b = append(b[:0], p.data...)
			shift(b, uint16(i)) //nolint:gosec // at most some hundreds
			at := int64(count) * 50
			head := order.AppendUint32(h[:0], uint32(1_700_000_000+at/1e6)) //nolint:gosec // till 2106
			head = order.AppendUint32(head, uint32(at%1e6))                 //nolint:gosec // less than a million
			head = order.AppendUint32(head, uint32(len(b)))                 //nolint:gosec // of a packet
			_, _ = out.Write(order.AppendUint32(head, p.wire))
			_, _ = out.Write(b)
			count++
		}
	}
	return count, out.Flush()
}

// shift changes the addresses of the outermost IP header, those of one network alike.
func shift(b []byte, by uint16) {
	if len(b) < 34 {
		return
	}
	at := 12
	for len(b) >= at+8 && binary.BigEndian.Uint16(b[at:]) == 0x8100 {
		at += 4
	}
	kind, ip := binary.BigEndian.Uint16(b[at:]), b[at+2:]
	switch {
	case kind == 0x0800 && len(ip) >= 20:
		for _, a := range [][]byte{ip[12:16], ip[16:20]} {
			if a[0] < 224 { // multicast stays
				a[1] ^= byte(by)
				a[2] ^= byte(by >> 8)
			}
		}
	case kind == 0x86dd && len(ip) >= 40:
		for _, a := range [][]byte{ip[8:24], ip[24:40]} {
			if a[0] != 0xff {
				a[4] ^= byte(by)
				a[5] ^= byte(by >> 8)
			}
		}
	}
}
