package packet

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	httpDesc     = desc("oriel_packets_http_requests_total", "Exchanges of HTTP/1, by method and class of the answer's status; none: no answer was seen.", "interface", "method", "status")
	httpTimeDesc = desc("oriel_packets_http_duration_seconds", "From a request's first byte to its answer's first byte.", "interface")
	httpSizeDesc = desc("oriel_packets_http_body_bytes_total", "Bytes of the bodies of HTTP/1.", "interface", "direction")
	httpBadDesc  = desc("oriel_packets_http_malformed_total", "Heads that could not be read.", "interface")
)

// httpMethods and httpStatuses are all that labels name.
var (
	httpMethods  = []string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "other"}
	httpStatuses = []string{"none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"}
)

type httpStats struct {
	exchanges [9][7]uint64
	duration  histogram
	bytes     [2]uint64
	bad       uint64
}

func (s *httpStats) count(r *HTTP) {
	m := slices.Index(httpMethods, r.Method)
	if m < 0 {
		m = len(httpMethods) - 1
	}
	s.exchanges[m][min(int(r.Status)/100, len(httpStatuses)-1)]++
	if r.FirstByteNanos > 0 {
		s.duration.observe(durationBounds[:], float64(r.FirstByteNanos)/1e9)
	}
	s.bytes[0] += uint64(r.RequestLength)
	s.bytes[1] += uint64(r.ResponseLength)
}

func (s *httpStats) add(o *httpStats) {
	for i := range o.exchanges {
		addAll(s.exchanges[i][:], o.exchanges[i][:])
	}
	s.duration.add(&o.duration)
	addAll(s.bytes[:], o.bytes[:])
	s.bad += o.bad
}

func (s *httpStats) send(out sender) {
	for i, method := range httpMethods {
		for j, status := range httpStatuses {
			if n := s.exchanges[i][j]; n > 0 || i < 2 && j > 1 && j < 6 {
				out.counter(httpDesc, n, method, status)
			}
		}
	}
	out.histogram(httpTimeDesc, &s.duration, durationBounds[:])
	out.counter(httpSizeDesc, s.bytes[0], "request")
	out.counter(httpSizeDesc, s.bytes[1], "response")
	out.counter(httpBadDesc, s.bad)
}

var (
	credentialsDesc = desc("oriel_packets_credentials_total", "Names with a secret seen in clear text, by service.", "interface", "service")
	filesDesc       = desc("oriel_packets_files_total", "Files seen.", "interface", "service")
	fileBytesDesc   = desc("oriel_packets_file_bytes_total", "Bytes of these files.", "interface", "service")
	softwareDesc    = desc("oriel_packets_software_known", "Products and versions known of hosts.", "interface")
)

// clearServices are where credentials and files are seen.
var clearServices = []string{"http", "ftp", "smtp", "pop3", "imap", "telnet"}

type clearStats struct {
	credentials [6]uint64
	files       [6]uint64
	bytes       [6]uint64
	products    int
}

func (s *clearStats) add(o *clearStats) {
	addAll(s.credentials[:], o.credentials[:])
	addAll(s.files[:], o.files[:])
	addAll(s.bytes[:], o.bytes[:])
	s.products += o.products
}

func (s *clearStats) send(out sender) {
	for i, service := range clearServices {
		out.counter(credentialsDesc, s.credentials[i], service)
	}
	for i, service := range clearServices[:5] {
		out.counter(filesDesc, s.files[i], service)
		out.counter(fileBytesDesc, s.bytes[i], service)
	}
	out.ch <- prometheus.MustNewConstMetric(softwareDesc, prometheus.GaugeValue, float64(s.products), out.iface)
}
