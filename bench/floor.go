package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/orielhq/oriel/internal/packet/ncap"
)

// floorArg makes this program the least that a Go program can do: decode
// Ethernet, IP, TCP and UDP in place, keep a table of flows, and write three
// records of each packet through gzip.
const floorArg = "floor"

type flowKey struct {
	src, dst         [16]byte
	srcPort, dstPort uint16
	proto            uint8
}

func floor(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	in, err := pcapgo.NewReader(bufio.NewReaderSize(f, 256<<10))
	if err != nil {
		return err
	}
	var eth layers.Ethernet
	var vlan layers.Dot1Q
	var ip4 layers.IPv4
	var ip6 layers.IPv6
	var tcp layers.TCP
	var udp layers.UDP
	var payload gopacket.Payload
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &eth, &vlan, &ip4, &ip6, &tcp, &udp, &payload)
	parser.IgnoreUnsupported = true
	flows := map[flowKey]*[2]uint64{}
	out, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	var found []gopacket.LayerType
	var msg, block []byte
	records, packets := 0, 0
	for {
		data, ci, err := in.ZeroCopyReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		packets++
		_ = parser.DecodeLayers(data, &found) // what is decoded before an error counts
		var k flowKey
		at := ci.Timestamp.UnixNano()
		for _, l := range found {
			msg = ncap.Int(msg[:0], 1, at)
			switch l {
			case layers.LayerTypeEthernet:
				msg = ncap.String(ncap.String(msg, 2, eth.SrcMAC.String()), 3, eth.DstMAC.String())
			case layers.LayerTypeIPv4:
				copy(k.src[:], ip4.SrcIP)
				copy(k.dst[:], ip4.DstIP)
				k.proto = uint8(ip4.Protocol)
				msg = ncap.String(ncap.String(ncap.Int(msg, 5, int64(ip4.Length)), 12, ip4.SrcIP.String()), 13, ip4.DstIP.String())
			case layers.LayerTypeIPv6:
				copy(k.src[:], ip6.SrcIP)
				copy(k.dst[:], ip6.DstIP)
				k.proto = uint8(ip6.NextHeader)
				msg = ncap.String(ncap.String(ncap.Int(msg, 5, int64(ip6.Length)), 8, ip6.SrcIP.String()), 9, ip6.DstIP.String())
			case layers.LayerTypeTCP:
				k.srcPort, k.dstPort = uint16(tcp.SrcPort), uint16(tcp.DstPort)
				msg = ncap.Int(ncap.Int(ncap.Int(ncap.Int(msg, 2, int64(tcp.SrcPort)), 3, int64(tcp.DstPort)), 4, int64(tcp.Seq)), 5, int64(tcp.Ack))
			case layers.LayerTypeUDP:
				k.srcPort, k.dstPort = uint16(udp.SrcPort), uint16(udp.DstPort)
				msg = ncap.Int(ncap.Int(ncap.Int(msg, 2, int64(udp.SrcPort)), 3, int64(udp.DstPort)), 4, int64(udp.Length))
			default:
				continue
			}
			block = protowire.AppendBytes(block, msg)
			records++
		}
		n := flows[k]
		if n == nil {
			n = &[2]uint64{}
			flows[k] = n
		}
		n[0]++
		n[1] += uint64(ci.Length) //nolint:gosec // of a packet
		if len(block) > 1<<20 {
			if _, err := out.Write(block); err != nil {
				return err
			}
			block = block[:0]
		}
	}
	for k, n := range flows {
		block = append(append(block, k.src[:]...), k.dst[:]...)
		block = binary.BigEndian.AppendUint64(block, n[1])
	}
	if _, err := out.Write(block); err != nil {
		return err
	}
	fmt.Printf("%d packets, %d flows, %d records\n", packets, len(flows), records)
	return out.Close()
}
