package netflow

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/flow"
)

// field is an information element of a template and its value.
type field struct {
	id    uint16
	pen   uint32
	value []byte
}

func is(id uint16, value ...any) field { return field{id, 0, pack(value...)} }

// ipfixOf is a packet with the template of one record, and the record.
func ipfixOf(fields ...field) []byte {
	head, data := pack(uint16(256), uint16(len(fields))), []byte{}
	for _, f := range fields {
		if f.pen != 0 {
			head = append(head, pack(f.id|0x8000, uint16(len(f.value)), f.pen)...)
		} else {
			head = append(head, pack(f.id, uint16(len(f.value)))...)
		}
		data = append(data, f.value...)
	}
	return ipfix(withLength(2, head), withLength(256, data))
}

// nineOf is the same of NetFlow v9, with the addresses.
func nineOf(fields ...field) []byte {
	head, data := pack(uint16(256), uint16(len(addresses)+len(fields))), []byte{}
	for _, f := range append(slices.Clone(addresses), fields...) {
		head, data = append(head, pack(f.id, uint16(len(f.value)))...), append(data, f.value...)
	}
	return v9(withLength(0, head), withLength(256, data))
}

var addresses = []field{is(8, uint32(0x0a000001)), is(12, uint32(0xc6336417)), is(4, uint8(6)), is(7, uint16(40000)), is(11, uint16(443))}

// only decodes a packet of one row.
func only(t *testing.T, packet []byte, isSFlow bool) flow.Record {
	t.Helper()
	_, rows, err := NewDecoder().Decode(packet, router, isSFlow, sent, nil)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[0]
}

// everything is an IPFIX record with all elements that the row has a column for.
func everything() []byte {
	return ipfixOf(append(slices.Clone(addresses),
		is(6, uint16(0x03)), is(1, uint64(700)), is(2, uint64(5)), field{1, reversePEN, pack(uint64(900))}, field{2, reversePEN, pack(uint64(6))},
		is(85, uint64(7000)), is(86, uint64(50)), field{85, reversePEN, pack(uint64(9000))}, field{86, reversePEN, pack(uint64(60))},
		is(225, uint32(0xcb007101)), is(226, uint32(0x0a000909)), is(227, uint16(50000)), is(228, uint16(8443)),
		is(61, uint8(1)), is(89, uint8(129)), is(10, uint32(17)), is(14, uint32(18)), is(236, []byte("customer-a\x00\x00")),
		is(5, uint8(46)), is(16, uint32(64512)), is(17, uint32(15169)), is(9, uint8(24)), is(13, uint8(16)), is(58, uint16(100)), is(15, uint32(0xc0000202)),
		is(34, uint32(10)), is(152, uint64(sent.Add(-time.Second).UnixMilli())), is(153, uint64(sent.UnixMilli())))...)
}

func TestEverythingThatARecordTells(t *testing.T) {
	want := started(flow.Record{
		Provider: flow.NetFlow, SourceFormat: "ipfix", EndTime: flow.At(sent), CaptureStartTime: flow.At(sent), Action: flow.Rejected, RejectReason: "ACL deny", Direction: flow.Outbound,
		InitiatorIP: "203.0.113.1", TargetIP: "10.0.9.9", InitiatorPort: new(int32(50000)), TargetPort: new(int32(8443)), OrigInitiatorIP: "10.0.0.1", OrigTargetIP: "198.51.100.23",
		TransportProtocol: new(int32(6)), EtherType: "IPv4", BytesFromInitiator: new(int64(7000)), PacketsFromInitiator: new(int64(50)), BytesFromTarget: new(int64(9000)), PacketsFromTarget: new(int64(60)),
		CumulativeBytesFromInitiator: new(int64(70_000)), CumulativePacketsFromInitiator: new(int64(500)), CumulativeBytesFromTarget: new(int64(90_000)), CumulativePacketsFromTarget: new(int64(600)),
		WasInitiated: new(true), WasTerminated: new(true), TCPFlags: new(int32(3)), VPCID: "customer-a", InterfaceID: "17", Bidirectional: true, Sampled: true,
		Observer: "192.0.2.1", Version: "10", StreamID: "7", RecordNo: 1,
		Extra: `{"output_interface":18,"tos":46,"src_as":64512,"dst_as":15169,"src_mask":24,"dst_mask":16,"vlan":100,"orig_initiator_port":40000,"orig_target_port":443,"next_hop":"192.0.2.2"}`,
	}, sent.Add(-time.Second))
	got := only(t, everything(), false)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !json.Valid([]byte(got.Extra)) {
		t.Errorf("extra %s is no JSON", got.Extra)
	}
}

// TestEveryColumnThatTheProtocolsCarry: what no row here fills is what no router tells.
func TestEveryColumnThatTheProtocolsCarry(t *testing.T) {
	unknown := []string{ // to routers: matters of clouds and their objects
		"AccountID", "CaptureEndTime", "CollectorID", "ConnectionStartTime", "Encryption", "EndpointType", "InstanceID", "LogStatus", "NumberOfFlows", "ObjectKey", "RecordType", "Region", "SubnetID", "Zone",
	}
	filled := map[string]bool{}
	rows := []flow.Record{only(t, everything(), false), only(t, v5(), false), only(t, v9(v9Template, v9Data), false), only(t, sflowPacket(), true), only(t, switched(1<<30|258), true)}
	for _, r := range rows {
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				filled[v.Type().Field(i).Name] = true
			}
		}
	}
	var empty []string
	for f := range reflect.TypeFor[flow.Record]().Fields() {
		if !filled[f.Name] {
			empty = append(empty, f.Name)
		}
	}
	slices.Sort(empty)
	if diff := cmp.Diff(unknown, empty); diff != "" {
		t.Errorf("columns that nothing fills (-known +found):\n%s", diff)
	}
}

// TestFieldsInTheirVariants: what comes in several ways, and what is half told.
func TestFieldsInTheirVariants(t *testing.T) {
	with := func(more ...field) []byte { return ipfixOf(append(slices.Clone(addresses), more...)...) }
	text := func(p *int64) string {
		if p == nil {
			return "-"
		}
		b, _ := json.Marshal(*p)
		return string(b)
	}
	flag := func(p *bool) string { b, _ := json.Marshal(p); return string(b) }
	span := func(r flow.Record) string {
		return r.StartTime.Std().Format("05.000000") + " " + r.EndTime.Std().Format("05.000000")
	}
	counters := func(r flow.Record) string {
		return text(r.BytesFromInitiator) + " " + text(r.PacketsFromInitiator) + " " + text(r.BytesFromTarget) + " " + text(r.PacketsFromTarget)
	}
	verdict := func(r flow.Record) string {
		return r.Action + "|" + r.RejectReason + "|" + flag(r.WasInitiated) + "|" + flag(r.WasTerminated)
	}
	for _, tt := range []struct {
		name   string
		packet []byte
		show   func(flow.Record) string
		want   string
	}{
		{"initiator and responder, a firewall's", with(is(231, uint64(1)), is(298, uint64(2)), is(232, uint64(3)), is(299, uint64(4))), counters, "1 2 3 4"},
		{"only counters of what left", with(is(23, uint32(8)), is(24, uint32(9))), counters, "8 9 - -"},
		{"both: what came in counts", with(is(23, uint32(8)), is(1, uint32(7))), counters, "7 - - -"},
		{"no counters", with(), counters, "- - - -"},
		{"seconds", with(is(150, uint32(sent.Unix()-9)), is(151, uint32(sent.Unix()-8))), span, "21.000000 22.000000"},
		{"milliseconds", with(is(152, uint64(sent.UnixMilli()-1500)), is(153, uint64(sent.UnixMilli()-500))), span, "28.500000 29.500000"},
		{"NTP", with(is(154, uint64(sent.Unix()+2_208_988_800)<<32|1<<31), is(155, uint64(sent.Unix()+2_208_988_801)<<32)), span, "30.500000 31.000000"},
		{"before the packet was sent", with(is(158, uint32(2_000_000)), is(159, uint32(1_000_000))), span, "28.000000 29.000000"},
		{"since the boot", with(is(160, uint64(sent.Add(-time.Minute).UnixMilli())), is(22, uint32(40_000)), is(21, uint32(50_000))), span, "10.000000 20.000000"},
		{"start and duration", with(is(152, uint64(sent.UnixMilli()-2000)), is(161, uint32(1500))), span, "28.000000 29.500000"},
		{"an event's time", with(is(323, uint64(sent.UnixMilli()-250))), span, "29.750000 29.750000"},
		{"no time: when it was sent", with(), span, "30.000000 30.000000"},
		{"end before start", with(is(150, uint32(sent.Unix())), is(151, uint32(sent.Unix()-8))), span, "30.000000 30.000000"},
		{"absurd time: when it came", with(is(150, uint32(0)), is(152, uint64(1<<62))), span, "30.000000 30.000000"},
		{"forwarded", with(is(89, uint8(64))), verdict, "accepted||null|null"},
		{"consumed", with(is(89, uint8(192))), verdict, "accepted||null|null"},
		{"policed, 4 bytes", with(is(89, uint32(138))), verdict, "rejected|policer|null|null"},
		{"unknown status", with(is(89, uint8(0))), verdict, "||null|null"},
		{"firewall: created", with(is(233, uint8(1))), verdict, "accepted||true|null"},
		{"firewall: deleted", with(is(233, uint8(2))), verdict, "accepted||null|true"},
		{"firewall: denied", with(is(233, uint8(3))), verdict, "rejected||null|null"},
		{"firewall: alert", with(is(233, uint8(4))), verdict, "||null|null"},
		{"it ended", with(is(136, uint8(3))), verdict, "||null|true"},
		{"it goes on, whatever its flags", with(is(6, uint8(1)), is(136, uint8(2))), verdict, "||false|false"},
		{"VRF by number", with(is(234, uint32(5))), func(r flow.Record) string { return r.VPCID }, "5"},
		{"VRF name damaged", with(is(236, []byte("a\xffb"))), func(r flow.Record) string { return r.VPCID }, "a\uFFFDb"},
		{"NAT that changed nothing", with(is(225, uint32(0x0a000001)), is(227, uint16(40000))), func(r flow.Record) string { return r.InitiatorIP + "|" + r.OrigInitiatorIP + r.Extra }, "10.0.0.1|"},
		{"rule", nineOf(is(ingressACL, uint32(0xdeadbeef), uint32(1), uint32(2))), func(r flow.Record) string { return r.RuleID }, "deadbeef-00000001-00000002"},
		{"empty rule", nineOf(is(ingressACL, make([]byte, 12))), func(r flow.Record) string { return r.RuleID }, ""},
		{"rule of another length", nineOf(is(ingressACL, make([]byte, 3))), func(r flow.Record) string { return r.RuleID }, ""},
		{"ICMP", with(is(32, uint16(3<<8|1))), func(r flow.Record) string { return r.Extra }, `{"icmp_type":3}`},
		{"number of 9 bytes", with(is(1, make([]byte, 9))), counters, "- - - -"},
		{"address of 5 bytes", with(is(225, make([]byte, 5))), func(r flow.Record) string { return r.InitiatorIP + r.OrigInitiatorIP }, "10.0.0.1"},
		{"a call with the flags of all its packets", with(is(6, uint8(0x1b))), func(r flow.Record) string { return r.InitiatorIP + " " + text(new(int64(*r.InitiatorPort))) }, "10.0.0.1 40000"},
		{"an answer with those of its own", with(is(6, uint8(0x1b)), is(7, uint16(443)), is(11, uint16(40000))), func(r flow.Record) string { return r.InitiatorIP + " " + text(new(int64(*r.TargetPort))) }, "198.51.100.23 443"},
		{"an answer", with(is(6, uint8(0x12)), is(1, uint32(7)), is(85, uint32(70))), func(r flow.Record) string {
			return r.InitiatorIP + " " + counters(r) + " " + text(r.CumulativeBytesFromInitiator) + " " + text(r.CumulativeBytesFromTarget)
		}, "198.51.100.23 - - 7 - - 70"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.show(only(t, tt.packet, false)); got != tt.want {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
}

// switched is an sFlow packet in its long form, with all that switches add, and where the packet went.
func switched(output uint32) []byte {
	record := func(kind uint32, body []byte) []byte { return append(pack(kind, uint32(len(body))), body...) }
	ip := record(3, pack(uint32(600), uint32(17), uint32(0x0a000001), uint32(0xc6336417), uint32(40000), uint32(53), uint32(0), uint32(0)))
	vlans := record(1001, pack(uint32(100), uint32(0), uint32(200), uint32(0)))
	route := record(1002, pack(uint32(1), uint32(0xc0000202), uint32(24), uint32(16)))
	rule := record(1037, append(pack(uint32(42), uint32(8)), append([]byte("deny-all"), pack(uint32(1))...)...))
	body := append(pack(uint32(9), uint32(0), uint32(3), uint32(100), uint32(100), uint32(0), uint32(0), uint32(3), output>>30, output&0x3fffffff, uint32(4)), slices.Concat(ip, vlans, route, rule)...)
	return append(pack(uint32(5), uint32(1), uint32(0xc0000209), uint32(2), uint32(1), uint32(60_000), uint32(1), uint32(3), uint32(len(body))), body...)
}

func TestWhatASwitchTells(t *testing.T) {
	for output, want := range map[uint32]string{
		4:             `accepted|||{"output_interface":4,"src_mask":24,"dst_mask":16,"vlan":100,"next_hop":"192.0.2.2"}`,
		2 << 30:       `accepted|||{"src_mask":24,"dst_mask":16,"vlan":100,"next_hop":"192.0.2.2"}`,
		0x3fffffff:    `|||{"src_mask":24,"dst_mask":16,"vlan":100,"next_hop":"192.0.2.2"}`,
		1<<30 | 258:   `rejected|ACL||{"src_mask":24,"dst_mask":16,"vlan":100,"next_hop":"192.0.2.2"}`,
		1<<30 | 99999: `rejected|sflow reason 99999||{"src_mask":24,"dst_mask":16,"vlan":100,"next_hop":"192.0.2.2"}`,
	} {
		r := only(t, switched(output), true)
		if got := strings.Join([]string{r.Action, r.RejectReason, "", r.Extra}, "|"); got != want {
			t.Errorf("output %#x: %s; want %s", output, got, want)
		}
		if r.RuleID != "42" || r.RuleName != "deny-all" || r.Direction != flow.Inbound || r.StreamID != "2" || r.InterfaceID != "3" || *r.BytesFromInitiator != 60_000 || r.Observer != "192.0.2.9" {
			t.Errorf("output %#x: %+v", output, r)
		}
	}
}

// TestDamagedPacketsOfEveryProtocol: cut anywhere, or of an unknown version, a
// packet is an error or fewer rows, and never a row of what is not there.
func TestDamagedPacketsOfEveryProtocol(t *testing.T) {
	for name, packet := range map[string][]byte{"netflow_v5": v5(), "netflow_v9": v9(v9Template, v9Data), "ipfix": everything(), "sflow_v5": switched(4)} {
		sflow := name == "sflow_v5"
		t.Run(name+"/truncated", func(t *testing.T) {
			for n := range packet {
				_, rows, err := NewDecoder().Decode(packet[:n], router, sflow, sent, nil)
				if err == nil && len(rows) > 0 {
					t.Errorf("cut at %d of %d: %d rows, no error", n, len(packet), len(rows))
				}
			}
		})
		t.Run(name+"/unknown version", func(t *testing.T) {
			bad := slices.Clone(packet)
			bad[1], bad[3] = 99, 99
			if _, rows, err := NewDecoder().Decode(bad, router, sflow, sent, nil); err == nil || len(rows) > 0 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		})
		t.Run(name+"/empty", func(t *testing.T) {
			if _, rows, err := NewDecoder().Decode(nil, router, sflow, sent, nil); err == nil || len(rows) > 0 {
				t.Errorf("%d rows, %v", len(rows), err)
			}
		})
		t.Run(name+"/corrupt", func(t *testing.T) {
			for i := range packet {
				bad := slices.Clone(packet)
				bad[i] ^= 0xff
				_, rows, _ := NewDecoder().Decode(bad, netip.Addr{}, sflow, sent, nil)
				for _, r := range rows {
					if r.StartTime == 0 || r.InitiatorIP == "" && r.TargetIP == "" || r.Extra != "" && !json.Valid([]byte(r.Extra)) {
						t.Errorf("byte %d turned: row %+v", i, r)
					}
				}
			}
		})
	}
}

// TestOneBadRecordCostsOneRecord: a v5 record with an absurd clock does not take those behind it along.
func TestOneBadRecordCostsOneRecord(t *testing.T) {
	good := v5()
	two := slices.Concat(good, good[24:], good[24:])
	two[3] = 3
	copy(two[8:], pack(uint32(100_000), uint32(0))) // 1970, and a boot before it
	_, rows, err := NewDecoder().Decode(two, router, false, sent, nil)
	if err == nil || len(rows) != 0 {
		t.Errorf("a clock in 1970: %d rows, %v", len(rows), err)
	}
	two = slices.Concat(good, good[24:], good[24:])
	two[3] = 3
	copy(two[8:], pack(uint32(946_684_800+20), uint32(0))) // 20 s into 2000, booted 40 s before it
	copy(two[24+48+24:], pack(uint32(1), uint32(2)))       // the second record is of 1999
	if _, rows, err = NewDecoder().Decode(two, router, false, sent, nil); err == nil || len(rows) != 2 || rows[1].RecordNo != 3 {
		t.Errorf("a record before 2000: %d rows, %v", len(rows), err)
	}
}

// TestCountsThatAreLies: a packet of some bytes that claims records by the
// billion is refused before anybody makes room for them.
func TestCountsThatAreLies(t *testing.T) {
	long, short := switched(4), sflowPacket()
	for name, packet := range map[string][]byte{"expanded sample": slices.Clone(long), "sample": slices.Clone(short)} {
		at := 28 + 8 + 28
		if name == "expanded sample" {
			at = 28 + 8 + 40
		}
		copy(packet[at:], pack(uint32(0xfffffff0)))
		if _, rows, err := NewDecoder().Decode(packet, router, true, sent, nil); err == nil || len(rows) > 0 || !strings.Contains(err.Error(), "records in") {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
}

// TestOneBadSampleCostsOneSample: nor does one that only its vendor knows cost any.
func TestOneBadSampleCostsOneSample(t *testing.T) {
	one := switched(4)
	head, good := one[:28], one[28:]
	foreign := append(pack(uint32(4413<<12|1), uint32(8)), make([]byte, 8)...)
	lie := slices.Clone(good)
	copy(lie[8+40:], pack(uint32(1<<31)))
	short := append(pack(uint32(1), uint32(4)), make([]byte, 4)...)
	for name, tt := range map[string]struct {
		bad   []byte
		isBad bool
	}{"a vendor's own": {foreign, false}, "a lie": {lie, true}, "too short": {short, true}} {
		b := slices.Concat(head, good, tt.bad, good)
		copy(b[24:], pack(uint32(3)))
		_, rows, err := NewDecoder().Decode(b, router, true, sent, nil)
		if len(rows) != 2 || (err != nil) != tt.isBad || tt.isBad && !strings.HasPrefix(err.Error(), "sflow: sample 2: ") {
			t.Errorf("%s: %d rows, %v", name, len(rows), err)
		}
	}
}
