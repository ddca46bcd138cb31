package wireguard

import (
	"net/netip"
	"strconv"

	"github.com/orielhq/oriel/internal/collector"
)

// peerLabels are the labels of one peer, for all three groups of metrics in one text:
//
//	device="wg0",interface="wg0",public_key="...",allowed_ips="...",friendly_name="..."
//	|--- oriel's ------------------------------|
//	             |--- MindFlavor's ------------------------------------------------|
//
// mdlayher's are the first and the third. Ten thousand peers are some megabytes less than with a text for each.
type peerLabels struct {
	text       string
	interfaces uint32 // where interface= begins
	keys       uint32 // where public_key= begins
}

const (
	keyLabel  = `public_key="`
	keyLength = 44 // of 32 bytes in base64
)

func (p *peerState) key() string {
	at := int(p.labels.keys) + len(keyLabel)
	return p.labels.text[at : at+keyLength]
}

// oriel returns the labels device, interface and public_key.
func (p *peerState) oriel() collector.Labels {
	return collector.Labels(p.labels.text[:int(p.labels.keys)+len(keyLabel)+keyLength+1])
}

// mindflavor returns the labels interface, public_key, allowed_ips ...
func (p *peerState) mindflavor() collector.Labels {
	return collector.Labels(p.labels.text[p.labels.interfaces:])
}

// appendMdlayher appends the labels device and public_key.
func (p *peerState) appendMdlayher(b []byte) []byte {
	b = append(b, p.labels.text[:p.labels.interfaces]...)
	return append(b, p.labels.text[p.labels.keys:int(p.labels.keys)+len(keyLabel)+keyLength+1]...)
}

func (p *peerState) mdlayher() collector.Labels { return collector.Labels(p.appendMdlayher(nil)) }

// labels makes the labels of a peer; MindFlavor's are in its order (spec: options -s and -r).
func (t *tracker) labels(device string, peer *Peer, n *name) peerLabels {
	b := append(collector.AppendLabels(t.text[:0], "device", device), ',')
	l := peerLabels{interfaces: uint32(len(b))} //nolint:gosec // a name of a few bytes
	b = append(collector.AppendLabels(b, "interface", device), ',')
	l.keys = uint32(len(b)) //nolint:gosec // as above
	b = collector.AppendLabels(b, "public_key", peer.PublicKey.String())
	if !t.cfg.SeparateAllowedIPs {
		b = append(b, `,allowed_ips="`...)
		b = append(appendAllowed(b, peer.AllowedIPs), '"')
	}
	add := func(pairs ...string) {
		if len(pairs) > 0 {
			b = collector.AppendLabels(append(b, ','), pairs...)
		}
	}
	if n.friendly != "" {
		add("friendly_name", n.friendly)
	}
	remote := t.cfg.RemoteIPAndPort && peer.Endpoint.IsValid()
	if remote {
		add("remote_ip", peer.Endpoint.Addr().WithZone("").String())
	}
	if t.cfg.SeparateAllowedIPs {
		for i, p := range peer.AllowedIPs {
			n := strconv.Itoa(i)
			add("allowed_ip_"+n, p.Addr().String(), "allowed_subnet_"+n, strconv.Itoa(p.Bits()))
		}
	}
	add(n.pairs...)
	if remote {
		add("remote_port", strconv.Itoa(int(peer.Endpoint.Port())))
	}
	t.text, l.text = b, string(b)
	return l
}

// appendAllowed appends what `wg show dump` prints.
func appendAllowed(b []byte, list []netip.Prefix) []byte {
	if len(list) == 0 {
		return append(b, "(none)"...)
	}
	for i, p := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.AppendTo(b)
	}
	return b
}
