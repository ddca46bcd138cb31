package packet

import (
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/orielhq/oriel/internal/packet/ncap"
)

// netcapSeries are netcap's counters of records with all their labels, at most
// limit series of each; what comes after is counted in one with the labels "other".
type netcapSeries struct {
	limit    int
	entropy  bool
	schemas  ncap.Schemas
	families map[ncap.Type]*netcapFamily
	records  map[ncap.Type]uint64 // audit records read
	sizes    map[string]*netcapHistogram
	headers  [layers]netcapHeader // shortcuts into families and sizes
	key      []byte
	labels   []string
	msg      []byte      // that of the record at hand
	taken    ncap.Record // msg taken apart
}

type netcapFamily struct {
	schema *ncap.Schema
	series map[string]*netcapCounter
	other  uint64
}

type netcapCounter struct {
	labels []string
	n      uint64
}

// netcapHeader is what is counted of one kind of header.
type netcapHeader struct {
	family        *netcapFamily
	size, entropy *netcapHistogram
}

// header returns what is counted of a layer, under netcap's name for it.
func (s *netcapSeries) header(l layer, t ncap.Type) *netcapHeader {
	h := &s.headers[l]
	if h.family == nil {
		h.family = s.family(t)
		if l != layerVLAN {
			h.size, h.entropy = s.histogram(layerNames[l]+"_size", packetBounds), s.histogram(layerNames[l]+"_entropy", entropyBounds)
		}
	}
	return h
}

// netcapHistogram is one of the nc_..._size and nc_..._entropy.
type netcapHistogram struct {
	bounds []float64
	counts []uint64 // one more than bounds
	sum    float64
}

// Buckets that fit: bytes of a packet, of a connection, bits of entropy in a byte, packets, nanoseconds.
var (
	packetBounds  = []float64{0, 64, 128, 256, 512, 1024, 1500, 4096, 9000, 65535}
	entropyBounds = []float64{1, 2, 3, 4, 5, 6, 7, 7.5, 8}
	streamBounds  = []float64{100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}
	countBounds   = []float64{1, 2, 5, 10, 30, 100, 1e3, 1e4, 1e5}
	nanosBounds   = []float64{1e6, 1e7, 1e8, 1e9, 1e10, 6e10, 6e11, 36e11}
)

func newNetcapSeries(limit int, entropy bool) *netcapSeries {
	return &netcapSeries{
		limit: limit, entropy: entropy, schemas: ncap.Known(), families: map[ncap.Type]*netcapFamily{},
		records: map[ncap.Type]uint64{}, sizes: map[string]*netcapHistogram{},
	}
}

// audit returns the worker's counters of audit records, which are there when such are read.
func (w *worker) audit() *netcapSeries {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.netcap == nil {
		w.netcap = newNetcapSeries(0, false)
	}
	return w.netcap
}

func (s *netcapSeries) family(t ncap.Type) *netcapFamily {
	f := s.families[t]
	if f == nil {
		f = &netcapFamily{schema: s.schemas[t], series: map[string]*netcapCounter{}}
		s.families[t] = f
	}
	return f
}

// count adds one to the series of a key; labels gives its labels when it is new.
func (s *netcapSeries) count(f *netcapFamily, key []byte, labels func() []string) {
	c := f.series[string(key)]
	if c == nil {
		if len(f.series) >= s.limit {
			f.other++
			return
		}
		c = &netcapCounter{labels: labels()}
		f.series[string(key)] = c
	}
	c.n++
}

// record counts an audit record, and what netcap's histograms have of it.
func (s *netcapSeries) record(r *ncap.Record) {
	t := r.Schema.Type
	s.records[t]++
	switch t {
	case ncap.TypeEthernet, ncap.TypeIPv4, ncap.TypeIPv6, ncap.TypeTCP, ncap.TypeUDP:
		name := strings.ToLower(r.Schema.Name)
		s.observeText(name+"_size", packetBounds, r.Value("PayloadSize"))
		s.observeText(name+"_entropy", entropyBounds, r.Value("PayloadEntropy"))
	case ncap.TypeConnection:
		s.observeText("connection_size", streamBounds, r.Value("TotalSize"))
		s.observeText("connection_payload_size", streamBounds, r.Value("AppPayloadSize"))
		s.observeText("connection_numpackets", countBounds, r.Value("NumPackets"))
		s.observeText("connection_duration", nanosBounds, r.Value("Duration"))
	}
	if len(r.Schema.Labels) == 0 {
		return
	}
	s.labels = r.Labels(s.labels[:0])
	s.key = s.key[:0]
	for _, l := range s.labels {
		s.key = append(append(s.key, l...), 0xff) // no label has this byte: they are UTF-8
	}
	s.count(s.family(t), s.key, func() []string { return append([]string(nil), s.labels...) })
}

func (s *netcapSeries) observeText(name string, bounds []float64, text string) {
	if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		s.observe(name, bounds, v)
	}
}

func (s *netcapSeries) histogram(name string, bounds []float64) *netcapHistogram {
	h := s.sizes[name]
	if h == nil {
		h = &netcapHistogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
		s.sizes[name] = h
	}
	return h
}

func (s *netcapSeries) observe(name string, bounds []float64, v float64) {
	s.histogram(name, bounds).observe(v)
}

func (h *netcapHistogram) observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i]++
	h.sum += v
}

// message counts a record of ours as netcap would count its own.
func (s *netcapSeries) message(rec Record) {
	n, ok := rec.(ncapRecord)
	if c, is := rec.(*Connection); !ok || is && !c.Ended {
		return // one that goes on is counted when it ends
	}
	s.own(n.ncap(s.msg[:0]))
	if p, ok := rec.(ncapPair); ok {
		s.own(p.ncapToo(s.msg[:0]))
	}
}

// own counts a message that was made here.
func (s *netcapSeries) own(t ncap.Type, msg []byte) {
	s.msg = msg
	if schema := s.schemas[t]; schema != nil && schema.Parse(msg, &s.taken) == nil {
		before := s.records[t]
		s.record(&s.taken)
		s.records[t] = before // it was not read
	}
}

// packet counts the headers of a packet. A key is the bytes that the labels are made of.
func (s *netcapSeries) packet(marks []mark) {
	for _, m := range marks {
		b := m.data
		switch {
		case m.layer == layerEthernet && len(b) >= 14:
			h := s.header(m.layer, ncap.TypeEthernet)
			s.sized(h, m.size-14, b[14:])
			s.count(h.family, b[:14], func() []string {
				return []string{macText(b[6:]), macText(b), decimal(be16(b[12:]))}
			})
		case m.layer == layerVLAN && len(b) >= 4:
			h := s.header(m.layer, ncap.TypeDot1Q)
			s.count(h.family, b[:4], func() []string {
				return []string{decimal(b[0] >> 5), strconv.FormatBool(b[0]&0x10 != 0), decimal(be16(b) & 0xfff), decimal(be16(b[2:]))}
			})
		case m.layer == layerIPv4 && len(b) >= 20:
			h := s.header(m.layer, ncap.TypeIPv4)
			head := int(b[0]&15) * 4
			s.sized(h, m.size-head, b[min(head, len(b)):min(max(m.size, head), len(b))])
			s.key = append(append(append(s.key[:0], b[0], b[1]), b[6:10]...), b[12:20]...)
			s.count(h.family, s.key, func() []string {
				at := be16(b[6:])
				return []string{"4", decimal(b[0] & 15), decimal(b[1]), decimal(at >> 13), decimal(at & 0x1fff), decimal(b[8]), decimal(b[9]), addrText(b[12:16]), addrText(b[16:20])}
			})
		case m.layer == layerIPv6 && len(b) >= 40:
			h := s.header(m.layer, ncap.TypeIPv6)
			s.sized(h, m.size-40, b[40:min(max(m.size, 40), len(b))])
			s.key = append(append(s.key[:0], b[:4]...), b[6:40]...)
			s.count(h.family, s.key, func() []string {
				return []string{"6", decimal(uint8(be16(b) >> 4)), decimal(be32(b) & 0xfffff), decimal(b[6]), decimal(b[7]), addrText(b[8:24]), addrText(b[24:40])}
			})
		case m.layer == layerTCP && len(b) >= 20:
			h := s.header(m.layer, ncap.TypeTCP)
			head := int(b[12]>>4) * 4
			s.sized(h, m.size-head, b[min(head, len(b)):min(max(m.size, head), len(b))])
			s.key = append(append(append(s.key[:0], b[:4]...), b[12:14]...), b[18:20]...)
			s.count(h.family, s.key, func() []string { return tcpLabels(b) })
		case m.layer == layerUDP && len(b) >= 8:
			h := s.header(m.layer, ncap.TypeUDP)
			s.sized(h, m.size-8, b[8:min(max(m.size, 8), len(b))])
			s.count(h.family, b[:4], func() []string { return []string{decimal(be16(b)), decimal(be16(b[2:]))} })
		}
	}
}

func tcpLabels(b []byte) []string {
	l := []string{decimal(be16(b)), decimal(be16(b[2:])), decimal(b[12] >> 4)}
	for _, bit := range [...]byte{flagFIN, flagSYN, 4, flagPSH, flagACK, flagURG, 0x40, 0x80} {
		l = append(l, strconv.FormatBool(b[13]&bit != 0))
	}
	return append(l, strconv.FormatBool(b[12]&1 != 0), decimal(be16(b[18:])))
}

// sized observes what a header carries: n bytes, of which b were captured.
func (s *netcapSeries) sized(h *netcapHeader, n int, b []byte) {
	h.size.observe(float64(max(n, 0)))
	measured := 0.0 // as netcap has it when it does not measure: dashboards take the count for the packets
	if s.entropy {
		measured = entropy(b)
	}
	h.entropy.observe(measured)
}

// entropy is Shannon's, in bits for a byte.
func entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var counts [256]int
	for _, c := range b {
		counts[c]++
	}
	sum := 0.0
	for _, n := range counts {
		if n > 0 {
			sum += float64(n) * math.Log2(float64(n))
		}
	}
	return max(math.Log2(float64(len(b)))-sum/float64(len(b)), 0)
}

func decimal[T uint8 | uint16 | uint32](n T) string { return strconv.FormatUint(uint64(n), 10) }

// add adds the counters of another worker.
func (s *netcapSeries) add(o *netcapSeries) {
	for t, f := range o.families {
		mine := s.family(t)
		mine.other += f.other
		for key, c := range f.series {
			m := mine.series[key]
			if m == nil {
				if len(mine.series) >= max(s.limit, o.limit) {
					mine.other += c.n
					continue
				}
				m = &netcapCounter{labels: c.labels}
				mine.series[key] = m
			}
			m.n += c.n
		}
	}
	for t, n := range o.records {
		s.records[t] += n
	}
	for name, h := range o.sizes {
		m := s.sizes[name]
		if m == nil {
			m = &netcapHistogram{bounds: h.bounds, counts: make([]uint64, len(h.counts))}
			s.sizes[name] = m
		}
		for i, n := range h.counts {
			m.counts[i] += n
		}
		m.sum += h.sum
	}
}

var auditDesc = desc("oriel_packets_audit_records_total", "Audit records of netcap read, by their type.", "type")

// send sends the counters.
func (s *netcapSeries) send(ch chan<- prometheus.Metric) {
	for _, f := range s.families {
		d := desc(f.schema.Metric(), "NC_"+f.schema.Name+" audit records", f.schema.Labels...)
		for _, c := range f.series {
			if m, err := prometheus.NewConstMetric(d, prometheus.CounterValue, float64(c.n), c.labels...); err == nil {
				ch <- m
			}
		}
		if f.other > 0 {
			labels := make([]string, len(f.schema.Labels))
			for i := range labels {
				labels[i] = "other"
			}
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(f.other), labels...)
		}
		ch <- prometheus.MustNewConstMetric(foldedDesc, prometheus.CounterValue, float64(f.other), f.schema.Metric())
	}
	for t, n := range s.records {
		ch <- prometheus.MustNewConstMetric(auditDesc, prometheus.CounterValue, float64(n), s.schemas[t].Name)
	}
	for name, h := range s.sizes {
		buckets, n := map[float64]uint64{}, uint64(0)
		for i, bound := range h.bounds {
			n += h.counts[i]
			buckets[bound] = n
		}
		d := desc("nc_"+name, "Distribution of the "+strings.ReplaceAll(name, "_", " ")+".")
		if strings.HasPrefix(name, "connection_") { // netcap's labels; empty ones are none
			d = desc("nc_"+name, "Distribution of the "+strings.ReplaceAll(name, "_", " ")+".", "SrcMAC", "DstMAC")
			ch <- prometheus.MustNewConstHistogram(d, n+h.counts[len(h.bounds)], h.sum, buckets, "", "")
			continue
		}
		ch <- prometheus.MustNewConstHistogram(d, n+h.counts[len(h.bounds)], h.sum, buckets)
	}
}

// netcapProtocols are the messages by netcap's names of what is spoken in them.
func (t *talk) netcapProtocols() map[string]uint64 {
	all := func(lists ...[]uint64) (n uint64) {
		for _, list := range lists {
			for _, c := range list {
				n += c
			}
		}
		return n
	}
	n := map[string]uint64{
		"NTP": all(t.ntpPackets[:]), "DHCPv4": all(t.dhcp[0][:]), "DHCPv6": all(t.dhcp[1][:]), "SIP": all(t.sipRequests[:], t.sipStatus[:]),
		"ENIP": all(t.enip[:2]), "STUN": all(t.stun[:]),
	}
	for i := range transports {
		n["DNS"] += all(t.dnsQueries[i][:], t.dnsResponses[i][:])
	}
	return n
}
