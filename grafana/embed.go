// Package grafana holds the dashboards of Oriel in Grafana's own JSON. Grafana loads
// them as they are, and the console renders the same files.
package grafana

import "embed"

// Dashboards holds the dashboards, one file each, in the folder dashboards.
//
//go:embed dashboards/*.json
var Dashboards embed.FS
