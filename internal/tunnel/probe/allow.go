package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// allowed is a group of targets that /probe may go to.
type allowed struct {
	host     string       // a name or an address as it is written
	suffix   string       // ".example.org" of *.example.org
	prefix   netip.Prefix // of addresses; they must be written as such
	from, to int
}

// parseAllow reads host:port. The host is a name, *.domain, an address or a
// CIDR in brackets if it is IPv6; the port a number, a range or *.
func parseAllow(text string) (allowed, error) {
	var a allowed
	i := strings.LastIndexByte(text, ':')
	if i < 1 {
		return a, fmt.Errorf("%q: want host:port", text)
	}
	host, port := strings.ToLower(text[:i]), text[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	switch {
	case strings.HasPrefix(host, "*.") && len(host) > 2 && !strings.Contains(host[1:], "*"):
		a.suffix = host[1:]
	case strings.Contains(host, "/"):
		prefix, err := netip.ParsePrefix(host)
		if err != nil {
			return a, fmt.Errorf("%q: not a network", text)
		}
		a.prefix = prefix.Masked()
	case hostForm.MatchString(host):
		a.host = host
	default:
		return a, fmt.Errorf("%q: the host is none", text)
	}
	first, last, isRange := strings.Cut(port, "-")
	var err error
	switch {
	case port == "*":
		a.from, a.to = 1, 65535
	case isRange:
		a.from, err = strconv.Atoi(first)
		if err == nil {
			a.to, err = strconv.Atoi(last)
		}
	default:
		a.from, err = strconv.Atoi(port)
		a.to = a.from
	}
	if err != nil || a.from < 1 || a.to > 65535 || a.from > a.to {
		return a, fmt.Errorf("%q: want a port, a range of them or *", text)
	}
	return a, nil
}

func (a allowed) has(host string, port int) bool {
	if port < a.from || port > a.to {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil && a.prefix.IsValid() {
		return a.prefix.Contains(ip.Unmap())
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return a.host != "" && host == a.host || a.suffix != "" && strings.HasSuffix(host, a.suffix) && len(host) > len(a.suffix)
}

// Why a request to /probe is refused.
var (
	errNoTarget   = errors.New("Target parameter is missing") // blackbox_exporter's words
	errNotAllowed = errors.New("the configuration does not allow the target: name it in probes.targets or probes.allow")
)

// find returns where a request's target is. It is the id or the name of one of
// the configuration's targets, or host:port; own is the configuration's target, if it is one.
func (p *Prober) find(text string) (host, port string, own *TargetConfig, err error) {
	if text == "" {
		return "", "", nil, errNoTarget
	}
	for _, t := range p.targets {
		h, pt := t.cfg.Where()
		published := net.JoinHostPort(t.cfg.Host, strconv.Itoa(t.cfg.Port))
		if text == t.cfg.ID || text == t.cfg.name() || text == published || text == net.JoinHostPort(h, pt) {
			return h, pt, &t.cfg, nil
		}
	}
	host, port, err = net.SplitHostPort(text)
	number, perr := strconv.Atoi(port)
	if err != nil || perr != nil || !hostForm.MatchString(host) {
		return "", "", nil, fmt.Errorf("target %.100q: want host:port, or the id of a target of the configuration", text)
	}
	for _, a := range p.allow {
		if a.has(host, number) {
			return host, port, nil, nil
		}
	}
	return "", "", nil, errNotAllowed
}
