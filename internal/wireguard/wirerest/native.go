package wirerest

import (
	"cmp"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/orielhq/oriel/internal/collector"
)

// maxDevices bounds the interfaces that are remembered.
const maxDevices = 1024

// tracker adds up the traffic of clients from reading to reading, so that the
// sums go on when a client is removed, added again, or starts from zero.
type tracker struct {
	maxClients int
	retention  time.Duration

	mu      sync.Mutex // guards devices
	devices map[string]*deviceState
}

type deviceState struct {
	clients          map[[32]byte]*client
	rx, tx           uint64 // of all clients, those of before included
	created, removed uint64
	seen             time.Time
}

type client struct {
	lastRX, lastTX uint64 // as read last
	rx, tx         uint64 // added up
	present        bool
	seen           time.Time
}

func newTracker(cfg Config) *tracker {
	return &tracker{maxClients: cfg.MaxClients, retention: cfg.ClientRetention.Std(), devices: map[string]*deviceState{}}
}

// update takes a reading in. What a client moved between the last reading and
// its removal nobody knows, and is missing.
func (t *tracker) update(devices []Device, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range devices {
		d := &devices[i]
		s, known := t.devices[d.Name]
		if !known {
			if len(t.devices) >= maxDevices {
				continue
			}
			s = &deviceState{clients: make(map[[32]byte]*client, len(d.Peers))}
			t.devices[d.Name] = s
		}
		s.update(d, known, now)
		t.forget(s, now)
	}
	for name, s := range t.devices {
		if now.Sub(s.seen) > t.retention {
			delete(t.devices, name)
		}
	}
}

func (s *deviceState) update(d *Device, known bool, now time.Time) {
	s.seen = now
	for i := range d.Peers {
		p := &d.Peers[i]
		c, ok := s.clients[p.PublicKey]
		if !ok {
			c = &client{}
			s.clients[p.PublicKey] = c
		}
		if !c.present && known {
			s.created++
		}
		rx, tx := growth(c.lastRX, p.ReceiveBytes), growth(c.lastTX, p.TransmitBytes)
		c.rx, c.tx = c.rx+rx, c.tx+tx
		s.rx, s.tx = s.rx+rx, s.tx+tx
		c.lastRX, c.lastTX, c.present, c.seen = p.ReceiveBytes, p.TransmitBytes, true, now
	}
	for _, c := range s.clients {
		if c.present && c.seen != now {
			// When it comes back it counts from zero.
			c.present, c.lastRX, c.lastTX = false, 0, 0
			s.removed++
		}
	}
}

// growth is what a counter has gained; one that fell began anew.
func growth(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// forget lets go of removed clients that are too old or too many.
func (t *tracker) forget(s *deviceState, now time.Time) {
	var gone [][32]byte
	for key, c := range s.clients {
		if c.present {
			continue
		}
		if now.Sub(c.seen) > t.retention {
			delete(s.clients, key)
			continue
		}
		gone = append(gone, key)
	}
	excess := len(s.clients) - t.maxClients
	if excess <= 0 {
		return
	}
	slices.SortFunc(gone, func(a, b [32]byte) int { return s.clients[a].seen.Compare(s.clients[b].seen) })
	for _, key := range gone[:min(excess, len(gone))] {
		delete(s.clients, key)
	}
}

// clientRow is one series pair.
type clientRow struct {
	labels collector.Labels
	rx, tx uint64
}

// collect sends the sums.
func (t *tracker) collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var rows []clientRow
	folded := 0
	for _, name := range sortedKeys(t.devices) {
		s, app := t.devices[name], application(name)
		for desc, v := range map[*prometheus.Desc]uint64{createdDesc: s.created, removedDesc: s.removed} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(v), app)
		}
		ch <- prometheus.MustNewConstMetric(trafficDesc, prometheus.CounterValue, float64(s.tx), app, "transfer")
		ch <- prometheus.MustNewConstMetric(trafficDesc, prometheus.CounterValue, float64(s.rx), app, "receive")
		more, rest := s.rows(app, t.maxClients)
		rows, folded = append(rows, more...), folded+rest
	}
	ch <- prometheus.MustNewConstMetric(foldedDesc, prometheus.GaugeValue, float64(folded))
	family := func(name, help string, value func(clientRow) uint64) {
		ch <- &collector.Family{Name: name, Help: help, Type: dto.MetricType_COUNTER, Series: func(yield func(collector.Labels, float64) bool) {
			for _, r := range rows {
				if !yield(r.labels, float64(value(r))) {
					return
				}
			}
		}}
	}
	if len(rows) > 0 {
		family("wirerest_client_receive_bytes_total", "Bytes received from a client since this program saw it first, over removals.", func(r clientRow) uint64 { return r.rx })
		family("wirerest_client_transmit_bytes_total", "Bytes sent to a client since this program saw it first, over removals.", func(r clientRow) uint64 { return r.tx })
	}
}

// rows returns a row for each client; those beyond the limit share one, "other".
func (s *deviceState) rows(app string, limit int) (rows []clientRow, folded int) {
	keys := make([][32]byte, 0, len(s.clients))
	for key := range s.clients {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	var other clientRow
	for i, key := range keys {
		c := s.clients[key]
		if i >= limit {
			other.rx, other.tx = other.rx+c.rx, other.tx+c.tx
			folded++
			continue
		}
		labels := collector.FormatLabels("application", app, "public_key", base64.StdEncoding.EncodeToString(key[:]))
		rows = append(rows, clientRow{labels, c.rx, c.tx})
	}
	if folded > 0 {
		other.labels = collector.FormatLabels("application", app, "public_key", "other")
		rows = append(rows, other)
	}
	return rows, folded
}

// total returns the sums of a device.
func (t *tracker) total(device string) (rx, tx uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.devices[device]
	if !ok {
		return 0, 0, false
	}
	return s.rx, s.tx, true
}

// WireRest's own names and help texts (MetricsToActuatorExporter), all gauges there.
var (
	peersDesc   = prometheus.NewDesc("wirerest_peers_total", "Total peers in wg interface", []string{"application"}, nil)
	networkDesc = prometheus.NewDesc("wirerest_network_transmit_bytes_total", "Total transferred bytes", []string{"application", "type"}, nil)
	ipv4Desc    = prometheus.NewDesc("wirerest_iface_ipv4_total", "Number of IPs in current wg interface", []string{"application"}, nil)
	freeDesc    = prometheus.NewDesc("wirerest_iface_ipv4_free", "The number of IP addresses that new clients can use", []string{"application"}, nil)
)

var (
	createdDesc = prometheus.NewDesc("wirerest_peers_created_total", "Peers that appeared on the interface since this program started.", []string{"application"}, nil)
	removedDesc = prometheus.NewDesc("wirerest_peers_removed_total", "Peers that disappeared from the interface since this program started.", []string{"application"}, nil)
	trafficDesc = prometheus.NewDesc("wirerest_traffic_bytes_total", "Bytes of all clients, those removed included: type transfer to them, receive from them.", []string{"application", "type"}, nil)
	foldedDesc  = prometheus.NewDesc("wirerest_clients_folded", "Clients that share the series of the public key \"other\".", nil, nil)
)

// collectNative sends WireRest's figures as this machine sees them. The bytes
// never fall: the sums of WireRest do when a peer is removed, which its
// dashboard then shows as traffic.
func (c *Collector) collectNative(devices []Device, native map[string]bool, ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(v), labels...)
	}
	for i := range devices {
		d := &devices[i]
		app := application(d.Name)
		native[app] = true
		send(peersDesc, uint64(len(d.Peers)), app)
		rx, tx, ok := c.tracker.total(d.Name)
		if !ok || c.cfg.Clients != ClientsInterface {
			rx, tx = 0, 0
			for j := range d.Peers {
				rx, tx = rx+d.Peers[j].ReceiveBytes, tx+d.Peers[j].TransmitBytes
			}
		}
		send(networkDesc, tx, app, "transfer")
		send(networkDesc, rx, app, "receive")
		if d.PoolTotal > 0 {
			send(ipv4Desc, d.PoolTotal, app)
			send(freeDesc, d.PoolTotal-min(d.PoolUsed, d.PoolTotal), app)
		}
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
