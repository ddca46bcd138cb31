package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/orielhq/oriel/internal/packet"
)

func captureCommand() *cobra.Command {
	var f packetFlags
	var logs logFlags
	cmd := &cobra.Command{
		Use:   "capture [FILE|DIRECTORY]...",
		Short: "Write records of captures and of live traffic: connections, requests, handshakes",
		Long: "Read captures or live traffic and write a record of each connection, DNS exchange, HTTP request, TLS handshake ...\n" +
			"into a directory: as Parquet in the layout of the lake, which `oriel sql --lake DIR` asks; as JSON lines; or as\n" +
			"netcap's audit records. Live capture goes on until Ctrl-C.",
		RunE: func(cmd *cobra.Command, args []string) error {
			f.cfg.Files = append(f.cfg.Files, args...)
			c, err := f.config()
			if err == nil && c.Records.Dir == "" {
				err = errors.New("want --out DIR")
			}
			if err != nil {
				return &usageError{err}
			}
			return capture(cmd, c, logs)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&f.cfg.Records.Dir, "out", "o", "", "directory of the records")
	cmd.Flags().StringVar(&f.cfg.Records.Format, "format", packet.FormatParquet, "of the records: parquet, json or ncap")
	logs.add(cmd)
	return cmd
}

func capture(cmd *cobra.Command, c packet.Config, logs logFlags) error {
	log, err := logs.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	m, err := newPackets(c, nil, log)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := m.Open(ctx); err != nil {
		return err
	}
	packetHeap(c)
	percent := 20
	if c.Records.Format == packet.FormatParquet { // rows and row groups come on top of the connections
		percent = 15
	}
	heapFloor(int64(c.MemoryBudget)*3/4, percent)
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	var screen io.Writer
	if file, ok := cmd.ErrOrStderr().(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		screen = file
	}
	err = watchCapture(ctx, m, start, done, screen)
	p := m.Progress()
	_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d packets (%s) made %d records in %s, %d records lost, %d errors, %d dropped by the kernel\n",
		p.Packets, bytesText(int64(p.Bytes)), p.Records, time.Since(start).Round(time.Millisecond), p.Lost, p.Errors, p.KernelDrops) //nolint:gosec // bytes of packets
	if err == nil && p.Packets == 0 && p.Errors > 0 && len(c.Interfaces) == 0 {
		return errors.New("nothing could be read")
	}
	if err == nil && p.Lost > 0 {
		return fmt.Errorf("%d records could not be written", p.Lost)
	}
	return err
}

// watchCapture shows the progress on a terminal until the capture ends.
func watchCapture(ctx context.Context, m *packet.Monitor, start time.Time, done <-chan error, screen io.Writer) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	wide := 0
	for {
		select {
		case err := <-done:
			if wide > 0 {
				_, _ = fmt.Fprintf(screen, "\r%-*s\r", wide, "")
			}
			return err
		case <-tick.C:
		}
		if screen == nil || ctx.Err() != nil {
			continue
		}
		line := captureLine(m.Progress(), time.Since(start))
		_, _ = fmt.Fprintf(screen, "\r%-*s", wide, line)
		wide = max(wide, len(line))
	}
}

func captureLine(p packet.Progress, took time.Duration) string {
	rate := float64(p.Packets) / took.Seconds()
	line := fmt.Sprintf("%d packets, %.0f/s, %d records", p.Packets, rate, p.Records)
	if p.FileBytesInTotal > 0 {
		line += fmt.Sprintf(", %s of %s", bytesText(p.FileBytes), bytesText(p.FileBytesInTotal))
		if p.FileBytes > 0 && p.FileBytesInTotal > p.FileBytes {
			left := time.Duration(float64(took) * float64(p.FileBytesInTotal-p.FileBytes) / float64(p.FileBytes))
			line += ", " + left.Round(time.Second).String() + " left"
		}
	}
	if p.Lost > 0 {
		line += fmt.Sprintf(", %d records lost", p.Lost)
	}
	return line
}
