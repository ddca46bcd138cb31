package probe

import (
	"crypto/tls"
	"strings"
	"time"
)

// Row is a tunnel as it is now: a row of the table tunnels. Times are UTC,
// durations in seconds; what is not known is null.
type Row struct {
	Time         time.Time `parquet:"time,timestamp(microsecond:local)"` // of the reading
	TunnelID     string    `parquet:"tunnel_id"`
	Tunnel       string    `parquet:"tunnel"`
	Company      string    `parquet:"company"`
	Region       string    `parquet:"region"`
	Host         string    `parquet:"host"`
	Port         int32     `parquet:"port"`
	API          string    `parquet:"api_type"`
	Transport    string    `parquet:"transport"`
	GuardianHost string    `parquet:"guardian_host"`
	Target       string    `parquet:"target,optional"` // the address dialled last
	Enabled      bool      `parquet:"enabled"`
	// State is disabled, waiting (not probed yet), up, down (no connection) or failing (a later step).
	State       string     `parquet:"state"`
	Up          *bool      `parquet:"up,optional"`
	Step        string     `parquet:"failed_step,optional"`
	Error       string     `parquet:"error,optional"` // of the closed list
	Connections *int32     `parquet:"connections,optional"`
	Limit       *int32     `parquet:"connections_limit,optional"`
	Anonymous   *bool      `parquet:"anonymous_allowed,optional"`
	Resolve     *float64   `parquet:"resolve_seconds,optional"`
	Connect     *float64   `parquet:"connect_seconds,optional"`
	TLS         *float64   `parquet:"tls_seconds,optional"`
	Processing  *float64   `parquet:"processing_seconds,optional"`
	Transfer    *float64   `parquet:"transfer_seconds,optional"`
	Version     string     `parquet:"tls_version,optional"`
	Cipher      string     `parquet:"tls_cipher,optional"`
	Subject     string     `parquet:"certificate_subject,optional"`
	Issuer      string     `parquet:"certificate_issuer,optional"`
	NotAfter    *time.Time `parquet:"not_after,optional,timestamp(microsecond:local)"`
	Validity    *int32     `parquet:"certificate_validity,optional"` // the seed's class, 1 to 6
	LastProbe   *time.Time `parquet:"last_probe,optional,timestamp(microsecond:local)"`
	LastSuccess *time.Time `parquet:"last_success,optional,timestamp(microsecond:local)"`
	Probes      int64      `parquet:"probes"`
	Failures    int64      `parquet:"failures"`
}

// Tunnels returns all tunnels as they are now, in the configuration's order.
func (p *Prober) Tunnels() []Row {
	views := p.views(time.Now())
	rows := make([]Row, 0, len(views))
	for i := range views {
		rows = append(rows, views[i].row())
	}
	return rows
}

func (v *view) row() Row {
	c := v.cfg
	_, api := apiType(c.API)
	r := Row{
		Time: v.now.UTC(), TunnelID: c.ID, Tunnel: c.name(), Company: c.Company, Region: c.Region, Host: c.Host, Port: int32(c.Port), //nolint:gosec // 1 to 65535
		API: api, Transport: c.Transport, GuardianHost: c.GuardianHost, Enabled: c.Enabled, State: "waiting", Probes: v.probes.Load(),
	}
	for i := range v.errors {
		r.Failures += v.errors[i].Load()
	}
	if limit, ok := v.limit(); ok {
		n := int32(limit)
		r.Limit = &n
	}
	if v.state != nil {
		n := int32(v.state.Connections) //nolint:gosec // far below
		r.Connections = &n
	}
	if v.seen != nil {
		v.fill(&r)
	}
	if !c.Enabled {
		r.State = "disabled"
	}
	return r
}

// fill adds what the last probe saw.
func (v *view) fill(r *Row) {
	s := v.seen
	up := s.Err == nil
	r.Up, r.Step, r.Error, r.Anonymous = &up, s.Step, s.ErrorType, s.anonymous
	switch {
	case up:
		r.State = "up"
	case v.connected():
		r.State = "failing"
	default:
		r.State = "down"
	}
	if s.Address.IsValid() {
		r.Target = s.Address.String()
	}
	for phase, to := range map[string]**float64{
		StepResolve: &r.Resolve, StepConnect: &r.Connect, StepTLS: &r.TLS, phaseProcessing: &r.Processing, phaseTransfer: &r.Transfer,
	} {
		if took, ok := s.Phases[phase]; ok {
			seconds := took.Seconds()
			*to = &seconds
		}
	}
	if s.Version != 0 {
		r.Version, r.Cipher = strings.TrimPrefix(tls.VersionName(s.Version), "TLS "), tls.CipherSuiteName(s.Cipher)
	}
	if left, ok := v.left(); ok {
		class := int32(validity(left)) //nolint:gosec // 1 to 6
		r.Validity, r.NotAfter = &class, utc(s.NotAfter())
		r.Subject, r.Issuer = short(s.Chain[0].Subject.String()), short(s.Chain[0].Issuer.String())
	}
	r.LastProbe, r.LastSuccess = utc(s.at), utc(s.lastGood)
}

func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
