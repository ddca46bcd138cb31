package app

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/orielhq/oriel/internal/conf"
	"github.com/orielhq/oriel/internal/packet"
)

// packetFlags are those that capture and export packets share.
type packetFlags struct {
	cfg                  packet.Config
	budget, idle, active string
	flush, rotateTime    string
	rotateSize           string
}

func (f *packetFlags) add(cmd *cobra.Command) {
	f.cfg = packet.Default()
	c := &f.cfg
	flags := cmd.Flags()
	flags.StringArrayVarP(&c.Files, "read", "r", nil, "capture (pcap, pcapng, gzip'd or zstd'd), netcap's audit records, or a directory of them; - is standard input; can be repeated")
	flags.StringArrayVarP(&c.Interfaces, "iface", "i", nil, "interface to capture from; can be repeated")
	flags.StringVarP(&c.Filter, "filter", "f", "", "tcpdump's expression of the packets to look at")
	flags.BoolVar(&c.Promiscuous, "promisc", c.Promiscuous, "take packets that are not for this machine too")
	flags.IntVar(&c.SnapLength, "snaplen", c.SnapLength, "bytes kept of a live packet")
	flags.IntVar(&c.Workers, "workers", c.Workers, "workers to an interface")
	flags.BoolVar(&c.Replay, "replay", false, "give the packets of files their original distance in time")
	flags.Float64Var(&c.ReplaySpeed, "replay-speed", 1, "replay so many times faster")
	flags.StringVar(&f.budget, "memory-budget", c.MemoryBudget.String(), "bound of connections, streams and fragments held")
	flags.StringVar(&f.idle, "idle-timeout", c.IdleTimeout.String(), "end a connection that is silent for so long")
	flags.StringVar(&f.active, "active-timeout", c.ActiveTimeout.String(), "report a connection that goes on so often")
	flags.StringSliceVar(&c.Records.Kinds, "kinds", nil, "kinds of records to write (default: all but those of single headers; all): "+strings.Join(packet.Kinds(), ","))
	flags.StringVar(&f.flush, "flush-interval", c.Records.FlushInterval.String(), "write records so often; a crash loses no more")
	flags.StringVar(&f.rotateTime, "rotate-interval", "0s", "begin new files so often (json, ncap)")
	flags.StringVar(&f.rotateSize, "rotate-size", "0", "begin a new file after so many bytes (json, ncap)")
}

// config makes the flags a configuration.
func (f *packetFlags) config() (packet.Config, error) {
	c := f.cfg
	var err error
	for _, d := range []struct {
		flag, text string
		to         *conf.Duration
	}{
		{"idle-timeout", f.idle, &c.IdleTimeout},
		{"active-timeout", f.active, &c.ActiveTimeout},
		{"flush-interval", f.flush, &c.Records.FlushInterval},
		{"rotate-interval", f.rotateTime, &c.Records.RotateInterval},
	} {
		if *d.to, err = conf.ParseDuration(d.text); err != nil {
			return c, fmt.Errorf("--%s: %w", d.flag, err)
		}
	}
	if c.MemoryBudget, err = conf.ParseByteSize(f.budget); err != nil {
		return c, fmt.Errorf("--memory-budget: %w", err)
	}
	if c.Records.RotateSize, err = conf.ParseByteSize(f.rotateSize); err != nil {
		return c, fmt.Errorf("--rotate-size: %w", err)
	}
	if len(c.Files)+len(c.Interfaces) == 0 {
		return c, errors.New("nothing to read: want --read FILE or --iface NAME")
	}
	return c, c.Validate()
}

// netcapFlags are the flags of netcap's `net export` with another name than
// ours, or without a use here. Those in ours alone mean the same.
type netcapFlags struct {
	address, dir, bpf string
	include, exclude  string
	config            string
	entropy, dumpJSON bool
	generate          bool
}

// netcapIgnored are flags that have nothing to do here: layers are always
// decoded, streams reassembled, metrics bounded.
var netcapIgnored = []string{
	"pbuf", "base", "opts", "payload", "context", "compress", "buf", "membuf-size", "csv", "fileStorage", "ignore-unknown", "log-errors",
	"flushevery", "ip4defrag", "checksum", "nooptcheck", "ignorefsmerr", "allowmissinginit", "wait-conns", "writeincomplete", "hexdump",
	"close-pending-timeout", "close-inactive-timeout", "conn-flush-interval", "conn-timeout", "flow-flush-interval", "flow-timeout",
	"dpi", "reverse-dns", "local-dns", "macDB", "ja3DB", "serviceDB", "geoDB", "interfaces", "debug", "memprof", "memprofile", "quiet", "noprompt",
}

// netcapSwitches are those of its flags that need no value.
var netcapSwitches = []string{
	"payload", "context", "compress", "buf", "csv", "ignore-unknown", "log-errors", "ip4defrag", "checksum", "nooptcheck", "ignorefsmerr",
	"allowmissinginit", "wait-conns", "writeincomplete", "hexdump", "dpi", "reverse-dns", "local-dns", "macDB", "ja3DB", "serviceDB", "geoDB",
	"interfaces", "debug", "memprof", "quiet", "noprompt",
}

// netcapOurs are netcap's flags that are ours too.
var netcapOurs = []string{"address", "read", "dir", "iface", "replay", "dumpJson", "workers", "include", "exclude", "bpf", "entropy", "promisc", "snaplen", "out", "config", "gen-config"}

func (f *netcapFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.address, "address", "", "address to listen on (netcap)")
	flags.StringVar(&f.dir, "dir", "", "directory to read, as --read (netcap)")
	flags.StringVar(&f.bpf, "bpf", "", "as --filter (netcap)")
	flags.StringVar(&f.include, "include", "", "netcap's names of the records to write, with commas (netcap)")
	flags.StringVar(&f.exclude, "exclude", "", "netcap's names of the records not to write, with commas (netcap)")
	flags.BoolVar(&f.entropy, "entropy", false, "measure the entropy of what headers carry (netcap)")
	flags.BoolVar(&f.dumpJSON, "dumpJson", false, "print each audit record that is read, as JSON (netcap)")
	flags.StringVar(&f.config, "config", "", "file with a flag and its value on each line (netcap)")
	flags.BoolVar(&f.generate, "gen-config", false, "print such a file and end (netcap)")
	for _, name := range netcapIgnored {
		if slices.Contains(netcapSwitches, name) {
			flags.Bool(name, false, "accepted and not needed (netcap)")
		} else {
			flags.String(name, "", "accepted and not needed (netcap)")
		}
		_ = flags.MarkHidden(name) // fails of an unknown name only
	}
}

// environment takes netcap's file and variables (NC_READ, ...) where a flag is not given.
func (f *netcapFlags) environment(cmd *cobra.Command) error {
	set := map[string]string{}
	if f.config == "" {
		f.config = os.Getenv("NC_CONFIG")
	}
	if f.config != "" {
		b, err := os.ReadFile(f.config)
		if err != nil {
			return fmt.Errorf("--config: %w", err)
		}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimSpace(line)
			if name, value, _ := strings.Cut(line, " "); name != "" && !strings.HasPrefix(name, "#") {
				set[name] = strings.TrimSpace(value)
			}
		}
	}
	for _, name := range slices.Concat(netcapOurs, netcapIgnored) {
		if v, ok := os.LookupEnv("NC_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); ok {
			set[name] = v
		}
	}
	for name, value := range set {
		flag := cmd.Flags().Lookup(name)
		switch {
		case flag == nil:
			return fmt.Errorf("%q is no flag of this command", name)
		case flag.Changed || value == "" || name == "config":
			continue
		}
		if err := cmd.Flags().Set(name, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// kinds are the kinds of records that netcap's names of decoders mean.
func netcapKinds(names string) ([]string, error) {
	other := map[string]string{
		"tlsclienthello": "tls", "tlsserverhello": "tls", "dot1q": "vlan", "ipsecesp": "esp", "dhcpv4": "dhcp", "dhcpv6": "dhcp", "icmpv4": "icmp", "icmpv6": "icmp",
		"mail": "smtp", "cip": "enip", "tlscertificate": "x509", "quicclienthello": "quic", "linklayerdiscoveryinfo": "neighbour", "ciscodiscoveryinfo": "neighbour",
		"icmpv6neighborsolicitation": "icmp", "icmpv6neighboradvertisement": "icmp",
	}
	var kinds []string
	for name := range strings.SplitSeq(names, ",") {
		kind := strings.ToLower(strings.TrimSpace(name))
		if kind == "" {
			continue
		}
		if k, ok := other[kind]; ok {
			kind = k
		}
		if !slices.Contains(packet.Kinds(), kind) {
			return nil, fmt.Errorf("%q is none of the records: %s", name, strings.Join(packet.Kinds(), ","))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// translatePackets makes netcap's flags ours: they have one dash.
func translatePackets(args []string) []string {
	known := map[string]bool{}
	for _, name := range slices.Concat(netcapOurs, netcapIgnored) {
		known[name] = true
	}
	out := slices.Clone(args)
	for i, arg := range out {
		name, _, _ := strings.Cut(arg, "=")
		if len(name) > 2 && name[0] == '-' && name[1] != '-' && known[name[1:]] {
			out[i] = "-" + arg
		}
	}
	return out
}
