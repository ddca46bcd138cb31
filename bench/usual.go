package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.zx2c4.com/wireguard/wgctrl"
)

// usualArg makes this program the exporter to compare with.
const usualArg = "usual-exporter"

// usual is an exporter as one writes it with the usual libraries, and as
// mdlayher/wireguard_exporter is written: wgctrl reads, client_golang renders.
func usual(addr string) error {
	reg := prometheus.NewRegistry()
	reg.MustRegister(usualCollector{})
	srv := &http.Server{Addr: addr, Handler: promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), ReadHeaderTimeout: time.Second}
	return srv.ListenAndServe()
}

type usualCollector struct{}

var (
	perPeer   = []string{"device", "public_key"}
	deviceD   = prometheus.NewDesc("wireguard_device_info", "Metadata about a device.", perPeer, nil)
	infoD     = prometheus.NewDesc("wireguard_peer_info", "Metadata about a peer.", []string{"device", "public_key", "endpoint", "name"}, nil)
	allowedD  = prometheus.NewDesc("wireguard_peer_allowed_ips_info", "Allowed IPs.", []string{"device", "public_key", "allowed_ips", "family"}, nil)
	receiveD  = prometheus.NewDesc("wireguard_peer_receive_bytes_total", "Bytes received.", perPeer, nil)
	transmitD = prometheus.NewDesc("wireguard_peer_transmit_bytes_total", "Bytes transmitted.", perPeer, nil)
	lastD     = prometheus.NewDesc("wireguard_peer_last_handshake_seconds", "Last handshake.", perPeer, nil)
)

// Describe sends nothing: unchecked.
func (usualCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads all devices.
func (usualCollector) Collect(ch chan<- prometheus.Metric) {
	client, err := wgctrl.New()
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	devices, err := client.Devices()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(deviceD, err)
		return
	}
	for _, d := range devices {
		ch <- prometheus.MustNewConstMetric(deviceD, prometheus.GaugeValue, 1, d.Name, d.PublicKey.String())
		for _, p := range d.Peers {
			key, endpoint := p.PublicKey.String(), ""
			if p.Endpoint != nil {
				endpoint = p.Endpoint.String()
			}
			ch <- prometheus.MustNewConstMetric(infoD, prometheus.GaugeValue, 1, d.Name, key, endpoint, "")
			for _, ip := range p.AllowedIPs {
				family := "IPv6"
				if ip.IP.To4() != nil {
					family = "IPv4"
				}
				ch <- prometheus.MustNewConstMetric(allowedD, prometheus.GaugeValue, 1, d.Name, key, ip.String(), family)
			}
			ch <- prometheus.MustNewConstMetric(receiveD, prometheus.CounterValue, float64(p.ReceiveBytes), d.Name, key)
			ch <- prometheus.MustNewConstMetric(transmitD, prometheus.CounterValue, float64(p.TransmitBytes), d.Name, key)
			last := 0.0
			if !p.LastHandshakeTime.IsZero() {
				last = float64(p.LastHandshakeTime.Unix())
			}
			ch <- prometheus.MustNewConstMetric(lastD, prometheus.GaugeValue, last, d.Name, key)
		}
	}
}
