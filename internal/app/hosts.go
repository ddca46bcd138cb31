package app

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// ownHosts refuses requests for names that are not this server's, as long as
// nobody has to authenticate: a page of another site whose name is made to
// point at this machine (DNS rebinding) would otherwise count as our own.
func ownHosts(flags serveFlags, h http.Handler) http.Handler {
	if flags.web.WebConfigFile != "" || flags.web.Insecure {
		return h
	}
	external := ""
	if u, err := url.Parse(flags.externalURL); err == nil {
		external = strings.ToLower(u.Hostname())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		_, err := netip.ParseAddr(host)
		if err == nil || host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || host == external {
			h.ServeHTTP(w, r)
			return
		}
		http.Error(w, "This server does not know the host name of this request: name it with --web.external-url.", http.StatusMisdirectedRequest)
	})
}
