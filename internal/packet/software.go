package packet

import (
	"strings"
)

// Software is a product that a host said it runs, once per host and version.
type Software struct {
	Flow
	Host    string `parquet:"host"`
	Product string `parquet:"product,dict"`
	Version string `parquet:"version"`
	Service string `parquet:"service,dict"` // where it was said
	Banner  string `parquet:"banner"`
}

// Kind is the table.
func (*Software) Kind() string { return "software" }

const maxProducts = 8192

type hostProduct struct{ host, banner string }

// software reports what a host's banner says, once.
func (w *worker) software(at int64, host, banner, service string, c *conn) {
	if banner == "" {
		return
	}
	k := hostProduct{host, banner}
	if _, ok := w.products[k]; ok {
		return
	}
	if w.products == nil || len(w.products) >= maxProducts {
		w.products = map[hostProduct]struct{}{}
	}
	k.host = strings.Clone(host) // it may be a piece of something larger
	w.products[k] = struct{}{}
	w.clear.products = len(w.products)
	product, version := parseBanner(banner)
	if product == "" {
		return
	}
	w.emit(&Software{Flow: c.flow(at), Host: host, Product: product, Version: version, Service: service, Banner: banner})
}

// browsers hide behind each other's names: the first that is in a user agent is the one.
var browsers = []string{"Edg/", "EdgA/", "EdgiOS/", "OPR/", "SamsungBrowser/", "Vivaldi/", "YaBrowser/", "FxiOS/", "Firefox/", "CriOS/", "HeadlessChrome/", "Chrome/", "MSIE "}

// parseBanner returns the product and version of a user agent or a server's name.
func parseBanner(s string) (product, version string) {
	if strings.HasPrefix(s, "Mozilla/") || strings.HasPrefix(s, "Opera/") {
		for _, b := range browsers {
			if _, after, ok := strings.Cut(s, b); ok {
				return strings.TrimRight(b, "/ "), upTo(after, " ;)")
			}
		}
		if _, after, ok := strings.Cut(s, "Version/"); ok && strings.Contains(s, "Safari/") {
			return "Safari", upTo(after, " ;)")
		}
	}
	first := upTo(s, " ;(")
	product, version, _ = strings.Cut(first, "/")
	if version == "" { // OpenSSH_9.2p1
		if p, v, ok := strings.Cut(first, "_"); ok && v != "" && digit(v[0]) {
			return p, v
		}
		// Microsoft Office Outlook 12.0
		words := strings.Fields(upTo(s, "(;"))
		for i := 1; i < min(len(words), 5); i++ {
			if digit(words[i][0]) {
				return strings.Join(words[:i], " "), words[i]
			}
		}
	}
	return product, version
}

func digit(c byte) bool { return c-'0' < 10 }

// servers are the names by which greetings of mail and file servers tell what they are.
var servers = []string{
	"Postfix", "Exim", "Sendmail", "Microsoft ESMTP MAIL Service", "gsmtp", "OpenSMTPD", "Dovecot", "Cyrus", "Courier", "ProFTPD", "vsFTPd", "Pure-FTPd",
	"FileZilla Server", "Microsoft FTP Service", "Haraka", "SubEthaSMTP", "IMAP4Rev1 Server",
}

// greeting returns the server that a greeting names, with the version behind it.
func greeting(s string) string {
	for _, name := range servers {
		_, after, ok := strings.Cut(s, name)
		if !ok {
			continue
		}
		if words := strings.Fields(after); len(words) > 0 && digit(words[0][0]) {
			return name + "/" + strings.Trim(words[0], "(),")
		}
		return name
	}
	return ""
}

func upTo(s, stop string) string {
	if i := strings.IndexAny(s, stop); i >= 0 {
		return s[:i]
	}
	return s
}
