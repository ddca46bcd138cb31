package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this binary the programs that the scripts call: oriel itself,
// and ask, which is an HTTP client that waits for an answer.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"oriel": main,
		"ask": func() {
			if err := ask(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, "ask:", err)
				os.Exit(1)
			}
		},
	})
}

// TestScripts runs testdata/script: each command and each error that a user can meet.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("NO_COLOR", "1")
			return nil
		},
	})
}

// ask requests a path of the server whose address is in a file, until the
// answer matches, and prints "STATUS" and the body.
func ask(args []string) error {
	flags := flag.NewFlagSet("ask", flag.ContinueOnError)
	method := flags.String("X", http.MethodGet, "method")
	origin := flags.String("origin", "", "Origin header")
	until := flags.String("until", "", "regular expression that status and body must match")
	if err := flags.Parse(args); err != nil {
		return err
	}
	want, err := regexp.Compile(*until)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(5 * time.Minute) // the demo makes up a day, here with the race detector on a busy machine
	for {
		answer, err := request(flags.Arg(0), *method, flags.Arg(1), *origin)
		if err == nil && want.MatchString(answer) {
			fmt.Print(answer)
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("no answer like %q; last: %s", *until, answer), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func request(addrFile, method, path, origin string) (string, error) {
	addr, err := os.ReadFile(addrFile)
	if err != nil {
		return "", err
	}
	first, _, ok := strings.Cut(string(addr), "\n")
	if !ok {
		return "", fmt.Errorf("%s is not written yet", addrFile)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+first+path, nil)
	if err != nil {
		return "", err
	}
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d\n%s", resp.StatusCode, body), err
}
