// Command gpx_oriel is the back-end of Oriel's data source for Grafana.
package main

import (
	"os"

	"github.com/grafana/grafana-plugin-sdk-go/backend/log"

	"github.com/orielhq/oriel/grafana/plugin/pkg/plugin"
)

func main() {
	if err := plugin.Serve(); err != nil {
		log.DefaultLogger.Error("end", "error", err.Error())
		os.Exit(1) //nolint:forbidigo // it is a command
	}
}
