package e2e

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/orielhq/oriel/internal/proctest"
)

// TestGrafanaPlugin asks the demo for every bundled SQL panel through the
// plug-in's executable, in the protocol that Grafana speaks with it.
func TestGrafanaPlugin(t *testing.T) {
	t.Parallel()
	base, _ := serve(t, "demo")
	proctest.Eventually(t, time.Minute, func() (bool, string) {
		out, err := exec.Command(oriel, "sql", "--url", base, "-o", "csv", "SELECT count(DISTINCT provider) AS n FROM flows").CombinedOutput()
		return err == nil && string(out) == "n\n4\n", string(out)
	})
	for _, name := range []string{"TestBundledPanels", "TestAnswersThroughGrafanasProtocol", "TestCancelThroughGrafanasProtocol", "TestChunksThroughGrafanasProtocol", "TestMemoryAfterAMillionRows", "TestFrontEndInChromium"} {
		t.Run(name, func(t *testing.T) {
			if name == "TestFrontEndInChromium" {
				proctest.External(t, "node")
				proctest.External(t, "chromium")
				if _, err := os.Stat("../grafana/plugin/node_modules"); err != nil {
					proctest.Without(t, "the front-end's libraries are not installed: make test-plugin")
				}
			}
			test := exec.Command("go", "test", "-tags", "demo", "-count=1", "-run", name, "./pkg")
			test.Dir, test.Env = "../grafana/plugin", append(os.Environ(), "ORIEL_URL="+base)
			if out, err := test.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, tail(string(out)))
			}
		})
	}
}
