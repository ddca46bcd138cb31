package packet

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orielhq/oriel/internal/proctest"
)

// all reads a file and returns every record.
func all(t testing.TB, cfg Config, files ...string) (*worker, []Record) {
	t.Helper()
	cfg.Files = files
	var records []Record
	m, err := New(cfg, func(r Record) error { records = append(records, r); return nil }, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := m.workers[0]
	if w.budget.used != 0 || w.dec.failed[failPanic] != 0 {
		t.Errorf("%v: %d bytes charged at the end, %d panics", files, w.budget.used, w.dec.failed[failPanic])
	}
	return w, records
}

// of picks the records of one kind.
func of[T Record](records []Record) []T {
	var list []T
	for _, r := range records {
		if v, ok := r.(T); ok {
			list = append(list, v)
		}
	}
	return list
}

var spokenIn sync.Map // file to the protocols that tshark finds in it, asked once

// spoken spares the questions to which a file has no answer.
func spoken(t *testing.T, tshark, file string) string {
	t.Helper()
	once, _ := spokenIn.LoadOrStore(file, sync.OnceValue(func() string {
		out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", file, "-Y", "tls || quic || http || ssh", "-T", "fields", "-e", "frame.protocols").Output()
		if err != nil {
			t.Logf("tshark: %v", err)
		}
		return string(out)
	}))
	return once.(func() string)()
}

// fields asks tshark for a field of the packets that pass the filter; one that
// occurs several times in a packet is several lines.
func fields(t *testing.T, tshark, file, filter string, names ...string) []string {
	t.Helper()
	protocol, _, _ := strings.Cut(names[0], ".")
	if !strings.Contains(spoken(t, tshark, file), protocol) {
		return nil
	}
	args := []string{"-n", "-r", file, "-Y", filter, "-T", "fields", "-E", "separator=/t", "-E", "aggregator=\x1f"}
	for _, name := range names {
		args = append(args, "-e", name)
	}
	out, err := exec.CommandContext(t.Context(), tshark, args...).Output()
	if err != nil {
		t.Logf("tshark: %v", err) // it also stops at a cut packet
	}
	var list []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimRight(line, "\n")
		columns := strings.Split(line, "\t")
		first := strings.Split(columns[0], "\x1f")
		for i := range first {
			row := make([]string, len(columns))
			for j, c := range columns {
				if parts := strings.Split(c, "\x1f"); i < len(parts) {
					row[j] = parts[i]
				}
			}
			list = append(list, strings.Join(row, "\t"))
		}
	}
	slices.Sort(list)
	return list
}

// truth compares, for each capture, what tshark tells with what the records do.
// known holds the files where they differ, and why we are right.
func truth(t *testing.T, known map[string]string, theirs func(t *testing.T, tshark, file string) []string, ours func(records []Record) []string) {
	tshark := proctest.External(t, "tshark")
	for _, file := range corpus(t, "*") {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, records := all(t, Default(), file)
			want, got := theirs(t, tshark, file), ours(records)
			slices.Sort(want)
			slices.Sort(got)
			diff := cmp.Diff(want, got)
			if why, ok := known[name]; ok {
				if diff == "" {
					t.Errorf("no difference, though one is known: %s", why)
				}
				return
			}
			if diff != "" {
				t.Errorf("%d, tshark has %d (-tshark +ours):\n%s", len(got), len(want), diff)
			}
		})
	}
}

// TestJA4AsNDPI: the fingerprints of the corpus' hellos as nDPI publishes them
// (tests/cfgs/default/result). One differs: nDPI has t10d290100 for a hello
// without the extension, as it takes the server's name from SMTP.
func TestJA4AsNDPI(t *testing.T) {
	for name, want := range map[string]map[string]int{
		"ndpi-reddit.pcap": {"t13d1515h2_8daaf6152771_de4a06bb82e3": 59},
		"ndpi-quic_frags_ch_in_multiple_packets.pcapng": {"q00i0307h4_55b375c5d22e_af0a630e9e67": 1},
		"ndpi-smtp-starttls.pcap":                       {"t10i290100_cdba58456bdf_e78b541c01a9": 1, "t12d150900_073e58a039a6_b44afb9f0e6a": 1},
		"ndpi-tls_cipher_lens.pcap":                     {"t10d360600_77f462745360_6072aad2e91d": 1, "t10i660000_1ade43d4e5bc_000000000000": 1},
		"ndpi-vxlan.pcap":                               {"t13d311000_e8f1e7e78f70_5ac7197df9d2": 2},
	} {
		_, records := all(t, Default(), corpus(t, name)...)
		got := map[string]int{}
		for _, r := range of[*TLS](records) {
			got[r.JA4]++
		}
		for _, r := range of[*QUIC](records) {
			got[r.JA4]++
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-nDPI +ours):\n%s", name, diff)
		}
	}
}

// retried is why a server's second hello, and the client's, are no second handshake.
const retried = "a HelloRetryRequest: tshark counts two hellos each way, it is one handshake"

func TestTLSAsTshark(t *testing.T) {
	truth(t, map[string]string{
		"ndpi-reddit.pcap":          retried,
		"ndpi-tls_cipher_lens.pcap": "hellos whose lengths disagree: tshark reads what is left of them, a client's library and we refuse them",
	},
		func(t *testing.T, tshark, file string) []string {
			return fields(t, tshark, file, "tls.handshake.type==1 && tcp && !quic", "tls.handshake.ja3", "tls.handshake.extensions_server_name")
		},
		func(records []Record) []string {
			var list []string
			for _, r := range of[*TLS](records) {
				if r.JA3 != "" {
					list = append(list, r.JA3+"\t"+r.ServerName)
				}
			}
			return list
		})
}

func TestTLSAnswersAsTshark(t *testing.T) {
	truth(t, map[string]string{"ndpi-reddit.pcap": retried},
		func(t *testing.T, tshark, file string) []string {
			return fields(t, tshark, file, "tls.handshake.type==2 && tcp && !quic", "tls.handshake.ja3s")
		},
		func(records []Record) []string {
			var list []string
			for _, r := range of[*TLS](records) {
				if r.JA3S != "" {
					list = append(list, r.JA3S)
				}
			}
			return list
		})
}

func TestHTTPAsTshark(t *testing.T) {
	truth(t, map[string]string{
		"zeek-mixed-vlan-mpls.pcap":       "tshark counts a request of HTTP/0.9, which has no version",
		"zeek-communityid-tcp.pcap":       "the capture cuts the request within its first line",
		"ndpi-fuzz-2006-09-29-28586.pcap": "three requests have lost a part of their head: their first line and host are there, tshark leaves them out",
	},
		func(t *testing.T, tshark, file string) []string {
			return fields(t, tshark, file, "http.request && tcp", "http.request.method", "http.request.uri", "http.host")
		},
		func(records []Record) []string {
			var list []string
			for _, r := range of[*HTTP](records) {
				if r.Method != "" {
					list = append(list, r.Method+"\t"+r.URI+"\t"+r.Host)
				}
			}
			return list
		})
}

func TestHTTPAnswersAsTshark(t *testing.T) {
	truth(t, map[string]string{
		"ndpi-fuzz-2006-09-29-28586.pcap": "100 Continue is not the answer; two more answers have lost a part of their head or of their type's name",
		"zeek-http-bro.org.pcap":          "31 answers are in the payload (tcp.payload[0:5]==48:54:54:50:2f), tshark dissects 30 of them",
	},
		func(t *testing.T, tshark, file string) []string {
			list := fields(t, tshark, file, "http.response && tcp", "http.response.code", "http.content_type")
			for i, row := range list {
				status, kind, _ := strings.Cut(row, "\t")
				list[i] = status + "\t" + mediaType([]byte(kind))
			}
			return list
		},
		func(records []Record) []string {
			var list []string
			for _, r := range of[*HTTP](records) {
				if r.Status != 0 {
					list = append(list, strconv.Itoa(int(r.Status))+"\t"+r.ResponseType)
				}
			}
			return list
		})
}

func TestQUICAsTshark(t *testing.T) {
	truth(t, nil,
		func(t *testing.T, tshark, file string) []string {
			return fields(t, tshark, file, "quic && tls.handshake.type==1", "tls.handshake.ja3", "tls.handshake.extensions_server_name")
		},
		func(records []Record) []string {
			var list []string
			for _, r := range of[*QUIC](records) {
				if r.JA3 != "" {
					list = append(list, r.JA3+"\t"+r.ServerName)
				}
			}
			return list
		})
}

func TestSSHAsTshark(t *testing.T) {
	truth(t, nil,
		func(t *testing.T, tshark, file string) []string {
			return append(fields(t, tshark, file, "ssh.kex.hassh", "ssh.kex.hassh"), fields(t, tshark, file, "ssh.kex.hasshserver", "ssh.kex.hasshserver")...)
		},
		func(records []Record) []string {
			var list []string
			for _, r := range of[*SSH](records) {
				for _, h := range []string{r.HASSH, r.HASSHServer} {
					if h != "" {
						list = append(list, h)
					}
				}
			}
			return list
		})
}
