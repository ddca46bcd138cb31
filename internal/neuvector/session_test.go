package neuvector

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orielhq/oriel/internal/conf"
	sim "github.com/orielhq/oriel/internal/demo/neuvector"
	"github.com/orielhq/oriel/internal/proctest"
)

// during runs the collector for a time of the test's own clock.
func during(t *testing.T, c *Collector, d time.Duration, then func()) {
	t.Helper()
	end := proctest.Run(t, c.Run)
	time.Sleep(d)
	if then != nil {
		then()
	}
	end()
}

// TestNoFaultLocksTheAccount is the promise: whatever goes wrong, five wrong logins in a row are never made.
func TestNoFaultLocksTheAccount(t *testing.T) {
	faults := map[string]func(c *sim.Controller){
		"none":                  func(*sim.Controller) {},
		"login answers 500":     func(c *sim.Controller) { c.SetFault("/v1/auth", sim.Fault{Status: 500, Body: "oops"}) },
		"login answers HTML":    func(c *sim.Controller) { c.SetFault("/v1/auth", sim.Fault{Status: 200, Body: "<html>log in</html>"}) },
		"login resets":          func(c *sim.Controller) { c.SetFault("/v1/auth", sim.Fault{Reset: true}) },
		"login hangs":           func(c *sim.Controller) { c.SetFault("/v1/auth", sim.Fault{Delay: time.Hour}) },
		"login's answer breaks": func(c *sim.Controller) { c.SetFault("/v1/auth", sim.Fault{Truncate: 30}) },
		"all answers 401":       func(c *sim.Controller) { c.SetFault("/v1/system", sim.Fault{Status: 401, Body: `{"code":3}`}) },
		"all answers 408":       func(c *sim.Controller) { c.SetFault("/v1/log", sim.Fault{Status: 408}) },
		"forced reset":          func(c *sim.Controller) { c.Account(password, sim.AccountReset) },
		"password expired":      func(c *sim.Controller) { c.Account(password, sim.AccountExpired) },
		"too many sessions":     func(c *sim.Controller) { c.Account(password, sim.AccountFull) },
		"everything endless":    func(c *sim.Controller) { c.SetFault("/v1", sim.Fault{Endless: `{"a":`}) },
	}
	for name, fault := range faults {
		for _, right := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := simulate(t, sim.Config{}, exampleWorld(t))
					fault(c)
					if !right {
						c.Account("another", sim.AccountFine)
					}
					cfg := testConfig()
					cfg.Timeout = conf.Duration(5 * time.Second)
					cfg.Groups = []string{groupSummary, groupEvents, groupWorkloads}
					if name == "everything endless" {
						cfg.Groups = []string{groupSummary} // 64 MiB each time
					}
					col := connect(t, cfg, c)
					during(t, col, 3*time.Hour, func() {
						// Tokens that the controller does not know any more lead to one login, not to many.
						before := c.Calls()["/v1/auth"]
						c.Expire()
						time.Sleep(10 * time.Minute)
						if n := c.Calls()["/v1/auth"] - before; n > 12 { // logins and logouts
							t.Errorf("%d logins and logouts in ten minutes", n)
						}
					})
					if c.Locked() {
						t.Error("the account was locked")
					}
					if n := c.Calls()["/v1/auth"]; !right && n > 3 && strings.HasPrefix(name, "none") {
						t.Errorf("%d logins with a wrong password; want at most 3", n)
					}
					if n := c.Sessions(); n > 1 {
						t.Errorf("%d sessions left behind", n)
					}
				})
			})
		}
	}
}

func TestStatesOfTheCredential(t *testing.T) {
	tests := []struct {
		name, password string
		state          sim.AccountState
		want, says     string
	}{
		{"right", password, sim.AccountFine, stateOK, ""},
		{"wrong", "another", sim.AccountFine, stateRejected, "refuses the credential"},
		{"expired", password, sim.AccountExpired, stateExpired, "has expired"},
		{"reset", password, sim.AccountReset, stateReset, "new password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := simulate(t, sim.Config{}, exampleWorld(t))
				c.Account(tt.password, tt.state)
				col := connect(t, testConfig(), c)
				_ = col.Refresh(t.Context())
				if want := `oriel_neuvector_credential_state{cluster="127.0.0.1",state="` + tt.want + `"} 1`; !strings.Contains(pageOf(t, col), want) {
					t.Errorf("page lacks %s", want)
				}
				err := col.client.trouble()
				if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v; want %q in it", err, tt.says)
				}
			})
		})
	}
}

func TestBlockedAccountIsLeftAloneUntilTheHourIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		c.SetFault("/v1/auth", sim.Fault{Status: 401, Body: `{"code":47,"error":"x","message":"x"}`})
		col := connect(t, testConfig(), c)
		during(t, col, 69*time.Minute, func() {
			if n := c.Calls()["/v1/auth"]; n != 1 {
				t.Errorf("%d logins within the hour; want 1", n)
			}
			c.SetFault("/v1/auth", sim.Fault{})
			time.Sleep(5 * time.Minute)
			if want := `state="ok"} 1`; !strings.Contains(pageOf(t, col), want) {
				t.Errorf("page lacks %s", want)
			}
		})
	})
}

func TestCorrectedPasswordFileIsTakenWithoutRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{}, exampleWorld(t))
		cfg := testConfig()
		cfg.Password, cfg.PasswordFile = "", file
		col := connect(t, cfg, c)
		during(t, col, 2*time.Hour, func() {
			if n := c.Calls()["/v1/auth"]; n != maxRefusals {
				t.Errorf("%d logins; want %d", n, maxRefusals)
			}
			write(password)
			time.Sleep(2 * time.Minute)
			if want := `state="ok"} 1`; !strings.Contains(pageOf(t, col), want) {
				t.Errorf("page lacks %s", want)
			}
		})
		if n := c.Sessions(); n != 0 {
			t.Errorf("%d sessions after the end; want 0", n)
		}
	})
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	for _, version := range []string{"5.3", "5.6"} {
		synctest.Test(t, func(t *testing.T) {
			c := simulate(t, sim.Config{Version: version}, exampleWorld(t))
			cfg := testConfig()
			cfg.Groups = []string{groupSummary}
			cfg.Intervals = map[string]conf.Duration{groupSummary: conf.Duration(20 * time.Minute)} // longer than the idle time-out
			col := connect(t, cfg, c)
			during(t, col, 25*time.Hour, nil)
			var unauthorized int
			for r, n := range col.client.count {
				if r.code == "401" || r.code == "408" {
					unauthorized += n
				}
			}
			if unauthorized != 0 || col.session().logins[stateOK] != 5 {
				t.Errorf("%s: %d requests were refused, %d logins; want none and 5", version, unauthorized, col.session().logins[stateOK])
			}
		})
	}
}

func (c *Collector) session() *session { return c.client.session }

// counting notes how many requests are under way at most.
type counting struct {
	http.Handler
	now, most atomic.Int32
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for {
		most := c.most.Load()
		if n <= most || c.most.CompareAndSwap(most, n) {
			break
		}
	}
	c.Handler.ServeHTTP(w, r)
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	for _, tt := range []struct {
		key  conf.Secret
		want int32
	}{{"", 16}, {"name:secret", 1}} {
		synctest.Test(t, func(t *testing.T) {
			c := &counting{Handler: simulate(t, sim.Config{APIKey: "name:secret", Latency: 20 * time.Millisecond}, sim.DemoSize().World(time.Now()))}
			cfg := testConfig()
			if tt.key != "" {
				cfg.Password, cfg.APIKey = "", tt.key
			}
			col := newCollector(cfg, wire{c}, quiet)
			if err := col.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := c.most.Load(); got > tt.want || got <= tt.want/2 {
				t.Errorf("%d requests at once; want %d at most, and more than half", got, tt.want)
			}
		})
	}
}

func TestWrongAPIKeyIsNotTriedByEveryGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := simulate(t, sim.Config{APIKey: "name:secret"}, exampleWorld(t))
		cfg := testConfig()
		cfg.Password, cfg.APIKey = "", "name:wrong"
		col := connect(t, cfg, c)
		during(t, col, 59*time.Second, nil)
		total := 0
		for _, n := range c.Calls() {
			total += n
		}
		if total > 2 {
			t.Errorf("%d requests with a key that is refused; want one, or two that were under way", total)
		}
	})
}

// TestCredentialIsNeverShown: not in logs, errors or metrics, also if the controller sends it back.
func TestCredentialIsNeverShown(t *testing.T) {
	echo := `{"code":3,"error":"` + password + `","message":"wrong: ` + password + `"}`
	for _, f := range []sim.Fault{
		{},
		{Status: 401, Body: echo},
		{Status: 500, Body: echo},
		{Status: 200, Body: "<p>" + password},
		{Status: 200, Body: `{"` + password + `":"` + password + `"}`},
		{Status: 400, Body: password},
		{Reset: true},
		{Truncate: 10},
	} {
		for _, path := range []string{"/v1/auth", "/v1/host", "/v1"} {
			synctest.Test(t, func(t *testing.T) {
				c := simulate(t, sim.Config{}, exampleWorld(t))
				c.SetFault(path, f)
				var log bytes.Buffer
				cfg := testConfig()
				col := newCollector(cfg, wire{c}, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
				during(t, col, time.Minute, nil)
				err := col.Refresh(t.Context())
				text := log.String() + pageOf(t, col)
				if err != nil {
					text += err.Error()
				}
				if strings.Contains(text, password) {
					t.Errorf("%s, %+v: the password is in\n%s", path, f, text)
				}
			})
		}
	}
	if _, err := New(Config{Address: "x", Username: "u", Password: password, APIKey: password}, quiet); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("New: %v", err)
	}
}
