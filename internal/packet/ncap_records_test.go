package packet

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/packet/enip"
	"github.com/orielhq/oriel/internal/packet/ncap"
	"github.com/orielhq/oriel/internal/packet/ntp"
	"github.com/orielhq/oriel/internal/packet/tls"
)

// TestAuditRecordsHaveTheirFields: each record in netcap's terms, read back by the names of its fields.
func TestAuditRecordsHaveTheirFields(t *testing.T) {
	at := time.Unix(1700000000, 0).UTC()
	f := Flow{Time: at, UID: "C1", CommunityID: "1:x", OrigAddr: "192.0.2.1", OrigPort: 40000, RespAddr: "192.0.2.2", RespPort: 25}
	client := &tls.ClientHello{
		Version: 0x0303, Length: 200, SessionID: 32, ExtensionLen: 90, Ciphers: []uint16{0x1301, 0xc02f}, Extensions: []uint16{0, 5, 10},
		Groups: []uint16{29, 23}, PointFormats: []uint8{0}, Signatures: []uint16{0x0403}, Versions: []uint16{0x0304}, Compression: []uint8{0},
	}
	known := ncap.Known()
	server := &tls.ServerHello{Legacy: 0x0303, Version: 0x0304, Cipher: 0x1301, Extensions: []uint16{43, 51}, Group: 29}
	for _, tt := range []struct {
		name string
		rec  Record
		want string // type, then name=value
	}{
		{
			"smtp", &SMTP{Flow: f, MessageID: "<1@x>", StartTLS: true, commands: []string{"EHLO", "MAIL"}},
			"SMTP Timestamp=1700000000000000000 IsEncrypted=true SrcIP=192.0.2.1 DstPort=25 MailIDs=(<1@x>) Commands=(EHLO-MAIL)",
		},
		{
			"mail", &SMTP{Flow: f, Size: 9, MailFrom: "a@x", From: "A", Subject: "s", Recipients: "b@y", Attachments: 1},
			"Mail ReturnPath=a@x From=A Subject=s HasAttachments=true EnvelopeTo=b@y ClientIP=192.0.2.1 Origin=SMTP",
		},
		{
			"pop3", &Mailbox{Flow: f, Service: "pop3", User: "anna", commands: []string{"USER", "PASS"}},
			"POP3 ClientIP=192.0.2.1 ServerIP=192.0.2.2 User=anna Pass= Commands=(USER-PASS)",
		},
		{
			"imap", &Mailbox{Flow: f, Service: "imap", User: "anna", StartTLS: true, commands: []string{"LOGIN", "FETCH"}},
			"IMAP SrcPort=40000 Username=anna Command=FETCH STARTTLSSuccess=true CommunityID=1:x",
		},
		{
			"ftp", &FTP{Flow: f, Command: "RETR", Argument: "/pub/a.txt", Code: 226, User: "anna", DataAddr: "192.0.2.2", DataPort: 2021, Passive: true},
			"FTP Command=RETR Argument=/pub/a.txt ResponseCode=226 Filename=a.txt DataConnectionMode=PASSIVE DataPort=2021 Username=anna IsControl=true",
		},
		{
			"enip", &ENIP{Flow: f, Session: 7, command: 0x6f, length: 40, context: 1},
			"ENIP Command=111 Length=40 SessionHandle=7 SenderContext=AQAAAAAAAAA=",
		},
		{
			"cip", &ENIP{Flow: f, Class: 2, Instance: 1, CIPStatus: 5, cip: &enip.CIP{Service: 0x0e}},
			"CIP Response=false ServiceID=14 ClassID=2 InstanceID=1 Status=5 SrcIP=192.0.2.1",
		},
		{
			"stun", &STUN{Flow: f, Method: "binding", Result: "success", MappedAddr: "192.0.2.9:5", method: 1},
			"STUN MessageType=257 MessageClass=SuccessResponse Method=binding MappedAddress=192.0.2.9:5 IsRFC5389=true",
		},
		{"mpls", &MPLS{Time: at, Label: 16, Class: 3, Bottom: true, TTL: 64}, "MPLS Label=16 TrafficClass=3 StackBottom=true TTL=64"},
		{
			"lldp", &Neighbour{Flow: f, Protocol: "lldp", Name: "sw1", PortText: "Gi0/1", Description: "IOS", Capabilities: 0x14},
			"LinkLayerDiscoveryInfo PortDescription=Gi0/1 SysName=sw1 SysDescription=IOS",
		},
		{
			"cdp", &Neighbour{Flow: f, Protocol: "cdp", Chassis: "sw1", Port: "Gi0/1", Platform: "C2950", VLAN: 3, Address: "192.0.2.3"},
			"CiscoDiscoveryInfo DeviceID=sw1 Addresses=(192.0.2.3) PortID=Gi0/1 Platform=C2950 NativeVLAN=3",
		},
		{"solicitation", &ICMP{Flow: f, Version: 6, Type: 135, Target: "fe80::1"}, "ICMPv6NeighborSolicitation TargetAddress=fe80::1 SrcIP=192.0.2.1"},
		{
			"client's hello", &TLS{Flow: f, ServerName: "x.org", ClientALPN: "h2,http/1.1", JA3: "abc", hellos: hellos{client, server}},
			"TLSClientHello Type=22 HandshakeLen=200 HandshakeVersion=771 SessionIDLen=32 CipherSuiteLen=4 ExtensionLen=90 SNI=x.org OSCP=true CipherSuites=(4865-49199) SignatureAlgs=(1027) SupportedGroups=(29-23) SupportedPoints=(0) ALPNs=(h2-http/1.1) Ja3=abc Extensions=(0-5-10)",
		},
		{
			"server's hello", &TLS{Flow: f, JA3S: "def", hellos: hellos{client, server}},
			"TLSServerHello Version=771 CipherSuite=4865 SupportedVersion=772 SelectedGroup=29 Extensions=(43-51) SrcIP=192.0.2.2 SrcPort=25 Ja3S=def",
		},
		{
			"quic", &QUIC{Flow: f, Version: "1", ServerID: "0102", ServerName: "x.org", ClientALPN: "h3", JA4: "q13", hellos: hellos{client: client}},
			"QUICClientHello QUICVersion=1 IsIETFQUIC=true DCID=AQI= SNI=x.org ALPNs=(h3) SupportedVersion=772 Ja4=q13",
		},
		{
			"x509", &X509{Flow: f, Subject: "CN=x.org,O=X", Issuer: "O=Y,CN=ca", Names: "x.org,y.org", NotAfter: at.Add(48 * time.Hour), KeyType: "RSA", KeyBits: 2048, SHA256: "ff"},
			"TLSCertificate SrcIP=192.0.2.2 DstPort=40000 SubjectCommonName=x.org SubjectAltNames=(x.org-y.org) IssuerCommonName=ca IsExpired=false DaysUntilExpiration=2 PublicKeySize=2048 SHA256Fingerprint=ff",
		},
		{"sip", &SIP{Flow: f, Method: "REGISTER", Status: 401, Reason: "Unauthorized", headers: []string{"to:<sip:a@b>", "cseq:1"}}, "SIP Version=2 Method=6 Headers=(to:<sip:a@b>-cseq:1) IsResponse=true ResponseCode=401 ResponseStatus=Unauthorized"},
		{"dhcpv6", &DHCP{Flow: f, Version: 6, Type: "REBIND", Hops: 1}, "DHCPv6 MsgType=6 HopCount=1"},
		{"ntp", &NTP{Flow: f, Version: 4, last: ntp.Packet{
			Mode: ntp.ModeSymmetricPassive, Poll: -6, RootDelay: 5e8, RootDispersion: 15259, ReferenceID: 0x47505300, Reference: 1 << 63, Origin: 1<<64 - 1, Receive: 3, Transmit: 4,
		}}, "NTP Mode=2 Poll=-6 RootDelay=32768 RootDispersion=1 ReferenceID=1196446464 ReferenceTimestamp=9223372036854775808 OriginTimestamp=18446744073709551615 ReceiveTimestamp=3 TransmitTimestamp=4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, want, _ := strings.Cut(tt.want, " ")
			var got []string
			for _, m := range messages(known, tt.rec) {
				if m.Schema.Name != name {
					continue
				}
				for pair := range strings.SplitSeq(want, " ") {
					field, _, _ := strings.Cut(pair, "=")
					got = append(got, field+"="+m.Value(field))
				}
			}
			if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

// messages are a record's messages, read back.
func messages(known ncap.Schemas, rec Record) (list []*ncap.Record) {
	add := func(t ncap.Type, msg []byte) {
		var r ncap.Record
		if s := known[t]; s != nil && s.Parse(msg, &r) == nil {
			list = append(list, &r)
		}
	}
	if r, ok := rec.(ncapRecord); ok {
		add(r.ncap(nil))
	}
	if r, ok := rec.(ncapPair); ok {
		add(r.ncapToo(nil))
	}
	return list
}

// TestCorpusGoesRound: all captures together as audit records; each type's file
// has as many as there were records of it, and each can be read.
func TestCorpusGoesRound(t *testing.T) {
	cfg := Default()
	cfg.Records.Format, cfg.Records.Kinds = FormatNcap, []string{allKinds}
	want := map[string]int{}
	known := ncap.Known()
	cfg.Records.Dir = filepath.Join(t.TempDir(), "out")
	cfg.Files = corpus(t, "*")
	m, err := NewRecording(cfg, countingOutput{NewFileOutput(cfg.Records, "test"), known, want}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	read, _, _ := run(t, Default(), cfg.Records.Dir)
	got := map[string]int{}
	for typ, n := range read.workers[0].netcap.records {
		got[known[typ].Name] = int(n)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit records (-written +read):\n%s", diff)
	}
	for _, name := range []string{
		"SMTP", "Mail", "POP3", "IMAP", "FTP", "ENIP", "MPLS", "LinkLayerDiscoveryInfo", "CiscoDiscoveryInfo",
		"TLSClientHello", "TLSServerHello", "TLSCertificate", "QUICClientHello", "ICMPv6NeighborSolicitation",
	} {
		if want[name] == 0 {
			t.Errorf("no %s in the corpus", name)
		}
	}
}

// countingOutput counts the messages of what it hands on.
type countingOutput struct {
	Output
	known ncap.Schemas
	n     map[string]int
}

func (o countingOutput) Write(ctx context.Context, batch []Record) (int, error) {
	for _, rec := range batch {
		for _, m := range messages(o.known, rec) {
			o.n[m.Schema.Name]++
		}
	}
	return o.Output.Write(ctx, batch)
}

// TestKindsWithoutAuditRecords: what netcap has no type for is named in the documentation, and nothing else.
func TestKindsWithoutAuditRecords(t *testing.T) {
	var without []string
	for _, r := range Samples() {
		if !inNcap(r) {
			without = append(without, r.Kind())
		}
	}
	slices.Sort(without)
	if diff := cmp.Diff([]string{"ipsec", "telnet", "wireguard"}, without); diff != "" {
		t.Errorf("kinds that netcap has not (-documented +found):\n%s", diff)
	}
}
