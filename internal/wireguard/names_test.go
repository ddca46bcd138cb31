package wireguard

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNames(t *testing.T) {
	k := func(b byte) string { return keyOf(b).String() }
	in := fmt.Sprintf(`[Interface]
Address = 10.9.0.1/24, fd09::1/64
# friendly_name = not a peer
[Peer]
# friendly_name = below
PublicKey = %s # a comment
AllowedIPs = 10.9.0.2/32

# Name = above
[Peer]
PublicKey=%s

[WireGuardPeer]
  #friendly_json={"team":"sales","floor":3,"admin":true}
  PublicKey = %s
[Peer]
# friendly_name = "C:\new" \ "quoted"
PublicKey = %s
[Peer]
# friendly_name = broken key
PublicKey = nonsense
[Peer]
# friendly_json = {"a": null}
PublicKey = %s
# friendly_name = after, and json was bad
[Peer]
# friendly_name = no key at all

# friendly_name = too far above

[Peer]
PublicKey = %s
`, k(1), k(2), k(3), k(4), k(5), k(6))
	got, err := parseNames(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	want := map[Key]name{
		keyOf(1): {friendly: "below"},
		keyOf(2): {friendly: "above"},
		keyOf(3): {pairs: []string{"admin", "true", "floor", "3", "team", "sales"}},
		keyOf(4): {friendly: `"C:\new" \ "quoted"`},
		keyOf(5): {friendly: "after, and json was bad"},
	}
	if diff := cmp.Diff(want, got.names, cmp.AllowUnexported(name{})); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if got.bad != 3 {
		t.Errorf("%d bad blocks; want 3", got.bad)
	}
	if len(got.addresses) != 2 || got.addresses[0] != netip.MustParsePrefix("10.9.0.1/24") {
		t.Errorf("addresses = %v", got.addresses)
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add("[Peer]\n# friendly_name = a\n# friendly_json = {\"b\": 1}\nPublicKey = " + keyOf(1).String() + "\n")
	f.Add("# Name = x\n[Peer]\n")
	f.Fuzz(func(t *testing.T, in string) {
		file, err := parseNames(strings.NewReader(in))
		if err != nil {
			return
		}
		for _, n := range file.names {
			if len(n.pairs) > 2*maxNamePairs || len([]rune(n.friendly)) > maxNameRunes {
				t.Errorf("unbounded name %+v", n)
			}
		}
	})
}

func TestNamesAreReadAgainWhenTheFileChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wg0.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := nameSource{files: []string{file}, explicit: map[Key]name{keyOf(2): {friendly: "explicit"}}}
	check := func(when, want string, changed bool) {
		t.Helper()
		if got := s.refresh(); got != changed {
			t.Errorf("%s: refresh = %v; want %v", when, got, changed)
		}
		if got := s.of(keyOf(1)).friendly; got != want {
			t.Errorf("%s: name = %q; want %q", when, got, want)
		}
	}
	check("missing", "", true)
	write("[Peer]\n# friendly_name = one\nPublicKey = " + keyOf(1).String() + "\n")
	check("written", "one", true)
	check("unchanged", "one", false)
	write("[Peer]\n# friendly_name = another\nPublicKey = " + keyOf(1).String() + "\n[Peer]\n# friendly_name = file\nPublicKey = " + keyOf(2).String() + "\n")
	check("changed", "another", true)
	if got := s.of(keyOf(2)).friendly; got != "explicit" {
		t.Errorf("name = %q; want the explicit one", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	check("removed", "another", true)
	if s.cached[0].err == nil {
		t.Error("no error of a file that is gone")
	}
}

func TestParsePeerFile(t *testing.T) {
	good := "[[peer]]\npublic_key = \"" + keyOf(1).String() + "\"\nname = \"foo\"\n"
	tests := []struct{ name, in, want string }{
		{"good", good, ""},
		{"unknown key", good + "color = 1\n", "unknown key"},
		{"bad key", "[[peer]]\npublic_key = \"x\"\nname = \"foo\"\n", "peer 1"},
		{"no name", "[[peer]]\npublic_key = \"" + keyOf(1).String() + "\"\n", "empty name"},
		{"not TOML", "[[peer\n", "toml"},
	}
	for _, tt := range tests {
		names, err := ParsePeerFile(strings.NewReader(tt.in))
		if tt.want == "" {
			if err != nil || names[keyOf(1).String()] != "foo" {
				t.Errorf("%s: %v, %v", tt.name, names, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v; want %q", tt.name, err, tt.want)
		}
	}
}

func TestIPv4Pool(t *testing.T) {
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, s := range texts {
			list = append(list, netip.MustParsePrefix(s))
		}
		return list
	}
	tests := []struct {
		name        string
		own         []string
		allowed     []string
		total, used uint64
	}{
		{"no peers: network, broadcast, own", []string{"10.0.0.1/24"}, nil, 256, 3},
		{"one address each", []string{"10.0.0.1/24"}, []string{"10.0.0.2/32", "10.0.0.3/32"}, 256, 5},
		{"a /29 is eight", []string{"10.0.0.1/24"}, []string{"10.0.0.8/29"}, 256, 11},
		{"overlaps count once", []string{"10.0.0.1/24"}, []string{"10.0.0.8/29", "10.0.0.9/32", "10.0.0.8/30", "10.0.0.1/32"}, 256, 11},
		{"outside does not count", []string{"10.0.0.1/24"}, []string{"192.168.0.0/16", "10.0.1.5/32", "fd00::1/128"}, 256, 3},
		{"a default route is not a full pool", []string{"10.0.0.1/24"}, []string{"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "10.0.0.0/24"}, 256, 3},
		{"half of it", []string{"10.0.0.1/24"}, []string{"10.0.0.128/25"}, 256, 130},
		{"a /31 reserves nothing", []string{"10.0.0.0/31"}, []string{"10.0.0.1/32"}, 2, 2},
		{"a /32", []string{"10.0.0.1/32"}, []string{"10.0.0.1/32"}, 1, 1},
		{"two networks", []string{"10.0.0.1/24", "10.1.0.1/24"}, []string{"10.1.0.9/32"}, 512, 7},
		{"nested networks count once", []string{"10.0.0.1/24", "10.0.0.2/16"}, []string{"10.0.3.1/32"}, 65536, 5},
		{"IPv6 only", []string{"fd00::1/64"}, []string{"fd00::2/128"}, 0, 0},
		{"the end of the space", []string{"255.255.255.254/24"}, []string{"255.255.255.255/32"}, 256, 3},
		{"all of it", []string{"0.0.0.1/0"}, nil, 1 << 32, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ipv4Pool(prefixes(tt.own...), []Peer{{AllowedIPs: prefixes(tt.allowed...)}})
			if got != (pool{tt.total, tt.used}) {
				t.Errorf("ipv4Pool = %+v; want total %d, used %d", got, tt.total, tt.used)
			}
		})
	}
}
