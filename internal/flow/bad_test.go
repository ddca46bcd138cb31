package flow

import (
	"strings"
	"testing"
)

// TestBadObjectsOfEveryVendor: damaged, cut off and empty objects of each vendor
// are errors that name the object, whatever of it can be read.
func TestBadObjectsOfEveryVendor(t *testing.T) {
	vendors := map[string]string{
		"ibm": ibmHead + `"flow_logs":[` + strings.Repeat(ibmFlowText+",", 300) + ibmFlowText + "]}",
		"aws": awsDefault + "\n" + strings.Repeat(awsLine+"\n", 300),
		"gcp": strings.Repeat(gcpFlow+"\n", 300), "gcp firewall": strings.Repeat(gcpDeny+"\n", 300),
		"azure": azureV4, "nsg": nsgV2,
	}
	for vendor, text := range vendors {
		packed := pack(text)
		middle := len(packed) / 2
		for name, bad := range map[string]string{
			"truncated":          packed[:middle],
			"no end":             packed[:len(packed)-1],
			"corrupt":            packed[:middle] + "\xff\x00\xff\x00\xff\x00\xff\x00" + packed[middle+8:],
			"empty":              pack(""),
			"not at all":         "",
			"half a gzip header": packed[:5],
		} {
			t.Run(vendor+"/"+name, func(t *testing.T) {
				rows, res, err := decode("some/key", bad)
				if err == nil || !strings.HasPrefix(err.Error(), `"some/key": `) {
					t.Errorf("Decode = %d rows, %+v, %v; want an error that names the object", len(rows), res, err)
				}
			})
		}
		t.Run(vendor+"/whole", func(t *testing.T) {
			if rows, res, err := decode("some/key", packed); err != nil || len(rows) == 0 || res.Bad != 0 {
				t.Errorf("Decode = %d rows, %+v, %v", len(rows), res, err)
			}
		})
	}
}
