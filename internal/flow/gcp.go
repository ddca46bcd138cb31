package flow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/goccy/go-json"
)

// number is a whole number that GCP writes as a string or as itself.
type number struct {
	n   int64
	set bool
}

// UnmarshalJSON reads "5342", 5342 and null.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	text := bytes.Trim(b, `"`)
	v, ok := parseInt(text)
	if !ok || v < 0 {
		return fmt.Errorf("%q is not a whole number", excerpt(text))
	}
	n.n, n.set = v, true
	return nil
}

type gcpInstance struct {
	ProjectID string `json:"project_id"`
	Region    string `json:"region"`
	VMName    string `json:"vm_name"`
	Zone      string `json:"zone"`
}

type gcpVPC struct {
	ProjectID  string `json:"project_id"`
	Name       string `json:"vpc_name"`
	Subnetwork string `json:"subnetwork_name"`
}

// gcpEntry is a LogEntry of VPC flow logs or of firewall rules logging.
type gcpEntry struct {
	LogName   string `json:"logName"`
	Timestamp string `json:"timestamp"`
	Payload   *struct {
		Connection *struct {
			SrcIP    string `json:"src_ip"`
			SrcPort  number `json:"src_port"`
			DestIP   string `json:"dest_ip"`
			DestPort number `json:"dest_port"`
			Protocol number `json:"protocol"`
			NatSrc   string `json:"nat_src_ip"`
			NatDest  string `json:"nat_dest_ip"`
		} `json:"connection"`
		Reporter     string       `json:"reporter"`
		StartTime    string       `json:"start_time"`
		EndTime      string       `json:"end_time"`
		BytesSent    number       `json:"bytes_sent"`
		PacketsSent  number       `json:"packets_sent"`
		SrcInstance  *gcpInstance `json:"src_instance"`
		DestInstance *gcpInstance `json:"dest_instance"`
		SrcVPC       *gcpVPC      `json:"src_vpc"`
		DestVPC      *gcpVPC      `json:"dest_vpc"`
		RTT          number       `json:"rtt_msec"`
		// Firewall rules logging:
		Disposition string       `json:"disposition"`
		Instance    *gcpInstance `json:"instance"`
		VPC         *gcpVPC      `json:"vpc"`
		Rule        *struct {
			Reference string `json:"reference"`
			Direction string `json:"direction"`
		} `json:"rule_details"`
	} `json:"jsonPayload"`
}

// gcp reads one LogEntry a line. Entries of other logs are skipped.
func (d *decoder) gcp(r io.Reader) error {
	lines := newLines(r)
	for {
		line, offset, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if line != nil && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		row := d.next()
		if line == nil {
			d.drop(offset, fmt.Errorf("line longer than %d bytes", maxLine))
			continue
		}
		var e gcpEntry
		if err := json.Unmarshal(line, &e); err != nil {
			d.drop(offset, shortError(err))
			continue
		}
		kind := gcpKind(e.LogName)
		if kind == "" && e.LogName != "" {
			d.unnext()
			d.result.Skipped++
			continue
		}
		if err := d.gcpRow(row, &e, kind); err != nil {
			d.drop(offset, err)
			continue
		}
		if err := d.keep(); err != nil {
			return err
		}
	}
}

// shortError keeps the first line of a parser's error, and not the whole input that some quote.
func shortError(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "?")
	}
	return errors.New(text)
}

// gcpKind is vpc_flows or firewall.
func gcpKind(logName string) string {
	_, name, ok := strings.Cut(logName, "/logs/")
	if !ok {
		return ""
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	switch name {
	case "compute.googleapis.com/vpc_flows", "networkmanagement.googleapis.com/vpc_flows":
		return "vpc_flows"
	case "compute.googleapis.com/firewall":
		return "firewall"
	}
	return ""
}

func (d *decoder) gcpRow(r *Record, e *gcpEntry, kind string) (err error) {
	p := e.Payload
	if p == nil || p.Connection == nil {
		return errors.New("no jsonPayload.connection")
	}
	r.Provider, r.SourceFormat, r.Sampled = GCP, "vpc_flows", true
	c := p.Connection
	for _, a := range []struct {
		name, value string
		to          *string
	}{
		{"src_ip", c.SrcIP, &r.InitiatorIP},
		{"dest_ip", c.DestIP, &r.TargetIP},
		{"nat_src_ip", c.NatSrc, &r.OrigInitiatorIP},
		{"nat_dest_ip", c.NatDest, &r.OrigTargetIP},
	} {
		if a.value == "" {
			continue
		}
		if *a.to, err = d.strings.ip([]byte(a.value)); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	for _, n := range []struct {
		name  string
		value number
		limit int64
		to    **int32
	}{
		{"src_port", c.SrcPort, 65535, &r.InitiatorPort},
		{"dest_port", c.DestPort, 65535, &r.TargetPort},
		{"protocol", c.Protocol, 255, &r.TransportProtocol},
	} {
		if !n.value.set {
			continue
		}
		if err := small(n.value.n, n.limit); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		*n.to = d.batch.int32(int32(n.value.n)) //nolint:gosec // checked
	}
	r.EtherType = "IPv4"
	if strings.Contains(r.InitiatorIP, ":") {
		r.EtherType = "IPv6"
	}
	if p.BytesSent.set {
		r.BytesFromInitiator = d.batch.int64(p.BytesSent.n)
	}
	if p.PacketsSent.set {
		r.PacketsFromInitiator = d.batch.int64(p.PacketsSent.n)
	}
	if p.RTT.set {
		r.Extra = `{"rtt_msec":` + itoa(p.RTT.n) + "}"
	}
	instance, vpc := p.SrcInstance, p.SrcVPC
	switch p.Reporter {
	case "SRC", "SRC_GATEWAY":
		r.Direction = Outbound
	case "DEST", "DEST_GATEWAY":
		r.Direction, instance, vpc = Inbound, p.DestInstance, p.DestVPC
	}
	if kind == "firewall" {
		r.SourceFormat, r.Sampled = "gcp_firewall", false
		instance, vpc = p.Instance, p.VPC
		if err := gcpFirewall(r, p.Disposition); err != nil {
			return err
		}
		if p.Rule != nil {
			r.RuleName = d.text(p.Rule.Reference)
			switch p.Rule.Direction {
			case "INGRESS":
				r.Direction = Inbound
			case "EGRESS":
				r.Direction = Outbound
			}
		}
	}
	r.Observer = d.text(p.Reporter)
	if instance != nil {
		r.AccountID, r.Region, r.Zone, r.InstanceID = d.text(instance.ProjectID), d.text(instance.Region), d.text(instance.Zone), d.text(instance.VMName)
		r.Observer = d.text(strings.TrimPrefix(p.Reporter+"/"+instance.VMName, "/"))
	}
	if vpc != nil {
		r.VPCID, r.SubnetID = d.text(vpc.Name), d.text(vpc.Subnetwork)
		if r.AccountID == "" {
			r.AccountID = d.text(vpc.ProjectID)
		}
	}
	return d.gcpTimes(r, e)
}

func gcpFirewall(r *Record, disposition string) error {
	switch disposition {
	case "ALLOWED":
		r.Action = Accepted
	case "DENIED":
		r.Action = Rejected
	default:
		return fmt.Errorf("disposition: %q is neither ALLOWED nor DENIED", excerpt(disposition))
	}
	return nil
}

func (d *decoder) text(s string) string { return d.strings.text([]byte(s)) }

func (d *decoder) gcpTimes(r *Record, e *gcpEntry) (err error) {
	if e.Timestamp != "" {
		if r.CaptureStartTime, err = parseTime([]byte(e.Timestamp)); err != nil {
			return fmt.Errorf("timestamp: %w", err)
		}
	}
	start := r.CaptureStartTime // all that a firewall's entry has
	if e.Payload.StartTime != "" {
		if start, err = parseTime([]byte(e.Payload.StartTime)); err != nil {
			return fmt.Errorf("start_time: %w", err)
		}
	}
	if start == 0 {
		return errors.New("no start_time")
	}
	if err := plausible(start); err != nil {
		return err
	}
	r.SetStart(start)
	if e.Payload.EndTime != "" {
		if r.EndTime, err = parseTime([]byte(e.Payload.EndTime)); err != nil {
			return fmt.Errorf("end_time: %w", err)
		}
	}
	return nil
}
