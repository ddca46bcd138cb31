package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/orielhq/oriel/internal/lake"
	"github.com/orielhq/oriel/internal/packet"
)

// packetTable writes the records of one kind to the lake's table of its name.
type packetTable interface {
	write(ctx context.Context, r packet.Record) (lost int, err error)
	compress(ctx context.Context) error
	flush(ctx context.Context) error
	buffered() int   // rows in memory
	compressed() int // bytes in memory, of rows that are in row groups
	held() int       // rows that are not safe yet
}

// rows is the table of one type of record.
type rows[T any, P interface {
	*T
	packet.Record
}] struct {
	writer *lake.Writer[T]
	unsafe int
}

// What is held of the records of a kind: rows until they are compressed, and
// bytes until they are written. A dozen kinds come at once, and the memory is for
// the packets: of all kinds together no more is held either. Compaction makes
// larger row groups and files of them.
const (
	packetRows     = 2048
	packetFile     = 1 << 20
	packetAllRows  = 4096
	packetAllFiles = 3 << 20
)

func newRows[T any, P interface {
	*T
	packet.Record
}](l *lake.Lake, kind string) packetTable {
	w := lake.NewWriter(l, kind, func(r *T) time.Time { return P(r).When() })
	w.Hold(packetRows, packetFile)
	return &rows[T, P]{writer: w}
}

func (t *rows[T, P]) write(ctx context.Context, r packet.Record) (lost int, err error) {
	row, ok := r.(P)
	if !ok {
		return 1, fmt.Errorf("table %s: a record of type %T", r.Kind(), r)
	}
	err = t.writer.Add(ctx, row)
	if errors.Is(err, lake.ErrBacklog) {
		return 1, err
	}
	t.unsafe++
	return 0, err
}

func (t *rows[T, P]) compress(ctx context.Context) error { return t.writer.Compress(ctx) }

func (t *rows[T, P]) flush(ctx context.Context) error {
	if t.unsafe == 0 {
		return nil
	}
	err := t.writer.Flush(ctx)
	if err == nil {
		t.unsafe = 0
	}
	return err
}

func (t *rows[T, P]) buffered() int   { return t.writer.Buffered() }
func (t *rows[T, P]) compressed() int { return t.writer.Compressed() }
func (t *rows[T, P]) held() int       { return t.unsafe }

// packetTables makes the table of each kind of record.
func packetTables(l *lake.Lake) (map[string]packetTable, error) {
	tables := map[string]packetTable{}
	for _, sample := range packet.Samples() {
		kind := sample.Kind()
		switch sample.(type) {
		case *packet.Connection:
			tables[kind] = newRows[packet.Connection](l, kind)
		case *packet.DNS:
			tables[kind] = newRows[packet.DNS](l, kind)
		case *packet.HTTP:
			tables[kind] = newRows[packet.HTTP](l, kind)
		case *packet.TLS:
			tables[kind] = newRows[packet.TLS](l, kind)
		case *packet.X509:
			tables[kind] = newRows[packet.X509](l, kind)
		case *packet.QUIC:
			tables[kind] = newRows[packet.QUIC](l, kind)
		case *packet.SSH:
			tables[kind] = newRows[packet.SSH](l, kind)
		case *packet.DHCP:
			tables[kind] = newRows[packet.DHCP](l, kind)
		case *packet.NTP:
			tables[kind] = newRows[packet.NTP](l, kind)
		case *packet.SIP:
			tables[kind] = newRows[packet.SIP](l, kind)
		case *packet.Modbus:
			tables[kind] = newRows[packet.Modbus](l, kind)
		case *packet.ENIP:
			tables[kind] = newRows[packet.ENIP](l, kind)
		case *packet.STUN:
			tables[kind] = newRows[packet.STUN](l, kind)
		case *packet.WireGuard:
			tables[kind] = newRows[packet.WireGuard](l, kind)
		case *packet.IPsec:
			tables[kind] = newRows[packet.IPsec](l, kind)
		case *packet.ARP:
			tables[kind] = newRows[packet.ARP](l, kind)
		case *packet.ICMP:
			tables[kind] = newRows[packet.ICMP](l, kind)
		case *packet.Neighbour:
			tables[kind] = newRows[packet.Neighbour](l, kind)
		case *packet.SMTP:
			tables[kind] = newRows[packet.SMTP](l, kind)
		case *packet.Mailbox:
			tables[kind] = newRows[packet.Mailbox](l, kind)
		case *packet.FTP:
			tables[kind] = newRows[packet.FTP](l, kind)
		case *packet.Telnet:
			tables[kind] = newRows[packet.Telnet](l, kind)
		case *packet.File:
			tables[kind] = newRows[packet.File](l, kind)
		case *packet.Software:
			tables[kind] = newRows[packet.Software](l, kind)
		case *packet.Credentials:
			tables[kind] = newRows[packet.Credentials](l, kind)
		case *packet.Alert:
			tables[kind] = newRows[packet.Alert](l, kind)
		case *packet.Ethernet:
			tables[kind] = newRows[packet.Ethernet](l, kind)
		case *packet.VLAN:
			tables[kind] = newRows[packet.VLAN](l, kind)
		case *packet.MPLS:
			tables[kind] = newRows[packet.MPLS](l, kind)
		case *packet.IPv4:
			tables[kind] = newRows[packet.IPv4](l, kind)
		case *packet.IPv6:
			tables[kind] = newRows[packet.IPv6](l, kind)
		case *packet.TCP:
			tables[kind] = newRows[packet.TCP](l, kind)
		case *packet.UDP:
			tables[kind] = newRows[packet.UDP](l, kind)
		case *packet.SCTP:
			tables[kind] = newRows[packet.SCTP](l, kind)
		case *packet.Tunnel:
			tables[kind] = newRows[packet.Tunnel](l, kind)
		default:
			return nil, fmt.Errorf("records of kind %s have no table", kind)
		}
	}
	return tables, nil
}

// lakeOutput writes records to the lake, a table for each kind.
type lakeOutput struct{ tables map[string]packetTable }

func newLakeOutput(l *lake.Lake) (*lakeOutput, error) {
	tables, err := packetTables(l)
	return &lakeOutput{tables}, err
}

// Write takes a batch over; what a full disk does not take yet is held, up to the lake's bound.
func (o *lakeOutput) Write(ctx context.Context, batch []packet.Record) (lost int, err error) {
	for _, r := range batch {
		t := o.tables[r.Kind()]
		if t == nil {
			lost++
			continue
		}
		n, e := t.write(ctx, r)
		if lost += n; e != nil {
			err = e // of many, the last will do
		}
	}
	if e := o.shrink(ctx); e != nil {
		err = e
	}
	return lost, err
}

// shrink sees that all tables together hold no more than they may: the one that
// holds most compresses its rows, or sends its file.
func (o *lakeOutput) shrink(ctx context.Context) error {
	for {
		rows, bytes := 0, 0
		var mostRows, mostBytes packetTable
		for _, t := range o.tables {
			rows, bytes = rows+t.buffered(), bytes+t.compressed()
			if mostRows == nil || t.buffered() > mostRows.buffered() {
				mostRows = t
			}
			if mostBytes == nil || t.compressed() > mostBytes.compressed() {
				mostBytes = t
			}
		}
		var err error
		switch {
		case rows > packetAllRows:
			err = mostRows.compress(ctx)
		case bytes > packetAllFiles:
			err = mostBytes.flush(ctx)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Flush makes what has been written safe.
func (o *lakeOutput) Flush(ctx context.Context) (lost int, err error) {
	for _, t := range o.tables {
		err = errors.Join(err, t.flush(ctx))
	}
	return 0, err
}

// Close flushes; what the store does not take now is lost.
func (o *lakeOutput) Close(ctx context.Context) (lost int, err error) {
	lost, err = o.Flush(ctx)
	for _, t := range o.tables {
		lost += t.held()
	}
	return lost, err
}

// packetOutput is where a configuration wants its records: files, or the lake. nil: nowhere.
func packetOutput(cfg packet.Config, where *lake.Config, log *slog.Logger) (packet.Output, error) {
	r := cfg.Records
	switch {
	case r.Dir != "" && r.Format != packet.FormatParquet:
		return packet.NewFileOutput(r, packetSource(cfg)), nil
	case r.Dir != "":
		l, err := (&lake.Config{Dir: r.Dir}).Open(log)
		if err != nil {
			return nil, err
		}
		return newLakeOutput(l)
	case where != nil:
		l, err := where.Open(log)
		if err != nil {
			return nil, err
		}
		return newLakeOutput(l)
	}
	return nil, nil //nolint:nilnil // nobody wants the records
}

// packetHeap is for commands that do nothing but read packets: what they hold is
// bounded by the budget, so the garbage is to be small beside it. The limit is for
// floods alone: near it the collector works more than the decoder.
func packetHeap(cfg packet.Config) {
	debug.SetMemoryLimit(int64(cfg.MemoryBudget)*3/2 + 16<<20)
	smallHeap()
}

// packetSource names what is read, for the headers of audit records.
func packetSource(cfg packet.Config) string {
	if len(cfg.Interfaces) > 0 {
		return cfg.Interfaces[0]
	}
	if len(cfg.Files) > 0 {
		return cfg.Files[0]
	}
	return ""
}

// newPackets makes the monitor of a configuration. where is the lake, if there is one.
func newPackets(cfg packet.Config, where *lake.Config, log *slog.Logger) (*packet.Monitor, error) {
	out, err := packetOutput(cfg, where, log)
	if err != nil {
		return nil, err
	}
	if out == nil {
		return packet.New(cfg, nil, log)
	}
	return packet.NewRecording(cfg, out, log)
}

// packetLake is the lake that the section flows describes, if there is one.
func (c *Config) packetLake() *lake.Config {
	if c.Flows == nil {
		return nil
	}
	where := c.lakeConfig()
	return &where
}
