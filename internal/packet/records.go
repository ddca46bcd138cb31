package packet

import (
	"slices"
	"time"

	"github.com/orielhq/oriel/internal/conf"
)

// Formats of record files.
const (
	FormatParquet = "parquet" // the lake's tables
	FormatJSON    = "json"    // one object a line
	FormatNcap    = "ncap"    // netcap's audit records, compressed
)

// Records says which records are written, and how.
type Records struct {
	// Kinds to write; "all" are all of them. Empty means all but those of single headers (ethernet, ipv4, tcp, ...).
	Kinds []string `yaml:"kinds"`
	// Queue is how many records may wait for the disk or the bucket.
	Queue int `yaml:"queue"`
	// FlushInterval is how much a crash may lose.
	FlushInterval conf.Duration `yaml:"flush_interval"`
	// Dir is where files of Format json or ncap are written. Without it, records go to the lake.
	Dir string `yaml:"dir"`
	// Format of the files in Dir.
	Format string `yaml:"format"`
	// RotateInterval and RotateSize begin a new file after so long or so many bytes; 0: never.
	RotateInterval conf.Duration `yaml:"rotate_interval"`
	RotateSize     conf.ByteSize `yaml:"rotate_size"`
}

const allKinds = "all"

// kinds are those that are written; nil means all but those of single headers.
func (r *Records) kinds() []string {
	if slices.Contains(r.Kinds, allKinds) {
		return Kinds()
	}
	return r.Kinds
}

// DefaultRecords is what Default has.
func DefaultRecords() Records {
	return Records{Queue: 16384, FlushInterval: conf.Duration(30 * time.Second), Format: FormatJSON}
}

// Validate names the first key that makes no sense.
func (r *Records) Validate() error {
	known := Kinds()
	for i, k := range r.Kinds {
		if k != allKinds && !slices.Contains(known, k) {
			return conf.Field("records.kinds", "[%d]: %q is none of %v", i, k, known)
		}
		if r.Format == FormatNcap && r.Dir != "" && slices.ContainsFunc(Samples(), func(s Record) bool { return s.Kind() == k && !inNcap(s) }) {
			return conf.Field("records.kinds", "[%d]: netcap has no records of kind %q", i, k)
		}
	}
	switch {
	case r.Queue < 1 || r.Queue > 1<<20:
		return conf.Field("records.queue", "%d is not between 1 and %d", r.Queue, 1<<20)
	case r.FlushInterval.Std() < 100*time.Millisecond:
		return conf.Field("records.flush_interval", "%s is less than 100ms", r.FlushInterval)
	case r.Format != FormatParquet && r.Format != FormatJSON && r.Format != FormatNcap:
		return conf.Field("records.format", "%q is not parquet, json or ncap", r.Format)
	case r.RotateInterval != 0 && r.RotateInterval.Std() < time.Second:
		return conf.Field("records.rotate_interval", "%s is less than 1s", r.RotateInterval)
	case r.RotateSize != 0 && r.RotateSize < 1<<16:
		return conf.Field("records.rotate_size", "%s is less than 64KiB", r.RotateSize)
	}
	return nil
}

// inNcap tells whether netcap has a type for a kind of records.
func inNcap(r Record) bool {
	_, ok := r.(ncapRecord)
	return ok
}

// Samples returns an empty record of every kind.
func Samples() []Record {
	list := []Record{
		&Connection{}, &DNS{}, &HTTP{}, &TLS{}, &X509{}, &QUIC{}, &SSH{}, &DHCP{}, &NTP{}, &SIP{}, &Modbus{}, &ENIP{}, &STUN{},
		&WireGuard{}, &IPsec{}, &ARP{}, &ICMP{}, &Neighbour{}, &SMTP{}, &Mailbox{Service: "pop3"}, &Mailbox{Service: "imap"}, &FTP{}, &Telnet{}, &File{}, &Software{}, &Credentials{}, &Alert{},
		&Ethernet{}, &VLAN{}, &MPLS{}, &IPv4{}, &IPv6{}, &TCP{}, &UDP{}, &SCTP{},
	}
	for _, kind := range []string{"gre", "vxlan", "geneve", "esp"} {
		list = append(list, &Tunnel{kind: kind})
	}
	return list
}

// Kinds are the names of all kinds of records.
func Kinds() []string {
	var kinds []string
	for _, r := range Samples() {
		kinds = append(kinds, r.Kind())
	}
	return kinds
}
