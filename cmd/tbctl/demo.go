package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/term"
)

type demoCmd struct {
	Keep bool `help:"Keep the temporary directory to look around in."`
}

// Help is the long help text.
func (c *demoCmd) Help() string {
	return `Makes a few real multiversion binaries out of tbctl's own executable, serves them
from an HTTP server on this host, and does the main job with them in a temporary
directory: inspect, install, upgrade, refuse a truncated download and a binary
that does not fit, roll back. Nothing outside the directory is touched, nothing is
fetched from elsewhere, and it needs no root.

Example:

  tbctl demo
` + exitHelp()
}

// demoStep is one command line of the demonstration, and the exit code that it
// must have.
type demoStep struct {
	say  string
	args []string
	want exitCode
}

// demoResult is the result of the command.
type demoResult struct {
	Directory string         `json:"directory"`
	Kept      bool           `json:"kept"` // otherwise the directory is gone
	Steps     []demoStepDone `json:"steps"`
}

// demoStepDone is one step as it went.
type demoStepDone struct {
	Command  string `json:"command"`
	ExitCode int    `json:"exit_code"`
	Expected int    `json:"expected"`
}

// Run shows the main job.
func (c *demoCmd) Run(a *app) error {
	started := time.Now()
	if err := hideSettings(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	a.note("making three multiversion binaries out of tbctl's own executable, in a temporary directory")
	place, err := newDemoPlace(a.ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer place.close(c.Keep)
	a.say("%s %s\n", a.out.Styles().Dim.Render("#"), fmt.Sprintf("in %s: %d multiversion binaries made of tbctl's own executable (%s), served on %s",
		place.dir, len(place.releases), term.Bytes(place.executableSize), place.url))
	results := []demoStepDone{}
	failed := 0
	for _, step := range place.steps() {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		code := c.step(a, place, step)
		results = append(results, demoStepDone{Command: place.shorten(step.args), ExitCode: code, Expected: int(step.want)})
		if code != int(step.want) {
			failed++
			a.say("%s exit code %d, expected %d\n", a.out.Styles().Bad.Render("!"), code, step.want)
		}
	}
	a.emit(demoResult{place.dir, c.Keep, results}, func(out *term.Stream) {
		took := time.Since(started).Round(100 * time.Millisecond)
		if failed == 0 {
			out.Printf("\n%s %d steps in %s, each as expected", out.Styles().Good.Render("done:"), len(results), took)
		} else {
			out.Printf("\n%s %d of %d steps in %s were not as expected", out.Styles().Bad.Render("failed:"), failed, len(results), took)
		}
		if c.Keep {
			out.Printf("; everything is still there:\n\n  DEMO=%s TBCTL_STATE_DIR=$DEMO/state; export DEMO TBCTL_STATE_DIR", place.dir)
		}
		out.Printf("\n")
	})
	if failed > 0 {
		return fmt.Errorf("demo: %d of %d steps did not end as expected", failed, len(results))
	}
	return nil
}

// hideSettings keeps the operator's own settings from the steps.
func hideSettings() error {
	for _, name := range config.Variables() {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	return nil
}

// say prints a piece of a result as it comes, for a person.
func (a *app) say(format string, args ...any) {
	if !a.global.JSON {
		a.out.Printf(format, args...)
	}
}

// step runs one command line: tbctl's in this process through the real main,
// and the installed binary as a process of its own.
func (c *demoCmd) step(a *app, place *demoPlace, step demoStep) int {
	styles := a.out.Styles()
	a.say("\n%s\n%s %s\n", a.out.WrapStyled(styles.Dim, "# "+step.say, 0), styles.Accent.Render("$"), styles.Bold.Render(place.shorten(step.args)))
	var code int
	if step.args[0] == "tbctl" {
		code = run(append(step.args[1:len(step.args):len(step.args)], place.flags(a, step.args[1])...), a.demoStreams(), place.getenv(a.getenv))
	} else {
		command := exec.CommandContext(a.ctx, step.args[0], step.args[1:]...)
		command.Stdout, command.Stderr = a.demoStreams().out, a.demoStreams().err
		_ = command.Run()
		code = command.ProcessState.ExitCode()
	}
	a.say("%s\n", styles.Dim.Render(fmt.Sprintf("exit code %d", code)))
	return code
}

// demoStreams are the streams of a step: this command's, or nowhere with --json.
func (a *app) demoStreams() streams {
	if a.global.JSON {
		return streams{in: strings.NewReader(""), out: discard{}, err: discard{}}
	}
	return streams{in: strings.NewReader(""), out: a.out.Unwrap(), err: a.out.Unwrap()}
}

type discard struct{}

func (discard) Write(data []byte) (int, error) { return len(data), nil }

// steps are the demonstration.
func (p *demoPlace) steps() []demoStep {
	asset := func(release string) string { return p.url + "/" + release + "/" + p.asset }
	steps := []demoStep{
		{"What is in a release? This reads only its headers.", []string{"tbctl", "inspect", p.path("1.3.0", p.asset), "--running", "1.1.0"}, exitDone},
		{"Is it whole? Every byte is checked.", []string{"tbctl", "verify", p.path("1.3.0", p.asset)}, exitDone},
	}
	if runtime.GOOS == "windows" {
		return steps
	}
	return append(steps, []demoStep{
		{"Install a release from a server.", []string{"tbctl", "install", asset("1.2.0"), p.target}, exitDone},
		{"It is an executable like any other.", []string{p.target, "version"}, exitDone},
		{"What would the upgrade do? Nothing changes yet.", []string{"tbctl", "install", asset("1.3.0"), p.target, "--dry-run"}, exitDone},
		{"Upgrade: one atomic step, and the old binary is kept.", []string{"tbctl", "install", asset("1.3.0"), p.target, "--sha256", p.digest("1.3.0")}, exitDone},
		{"Again: the same bytes are there, so nothing is touched.", []string{"tbctl", "install", asset("1.3.0"), p.target}, exitDone},
		{"A download that was cut short is refused, and the installed binary is left alone.", []string{"tbctl", "install", asset("truncated"), p.target}, exitRejected},
		{"So is a good binary that has no release in common with the installed one.", []string{"tbctl", "install", asset("9.0.0"), p.target}, exitRefused},
		{"Is the installed binary whole? The answer alone.", []string{"tbctl", "verify", p.target, "--quiet"}, exitDone},
		{"Back to the previous one. No replica runs from it here.", []string{"tbctl", "rollback", p.target, "--stopped", "--running", "1.2.0"}, exitDone},
		{"What happened on this host?", []string{"tbctl", "history", p.target}, exitDone},
	}...)
}

// shorten shows a command line with the temporary directory as $DEMO.
func (p *demoPlace) shorten(args []string) string {
	return strings.ReplaceAll(strings.Join(args, " "), p.dir, "$DEMO")
}

func (p *demoPlace) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

// flags keep the steps inside the directory.
func (p *demoPlace) flags(a *app, command string) []string {
	flags := []string{"--state-dir", p.path("state"), "--color", string(demoColor(a))}
	if command == "install" {
		flags = append(flags, "--cache-dir", p.path("cache"))
	}
	return flags
}

func demoColor(a *app) term.Color {
	if a.out.Colored() {
		return term.ColorAlways
	}
	return term.ColorNever
}

// getenv hides the operator's own configuration from the steps.
func (p *demoPlace) getenv(getenv func(string) string) func(string) string {
	return func(name string) string {
		switch name {
		case "TBCTL_CONFIG":
			return os.DevNull
		case "XDG_CACHE_HOME", "XDG_STATE_HOME":
			return p.path("cache")
		}
		return getenv(name)
	}
}

// serve starts the server on a free port of the loopback address.
func (p *demoPlace) serve() error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.server = &http.Server{Handler: http.FileServerFS(os.DirFS(p.dir)), ReadHeaderTimeout: 10 * time.Second}
	p.url = "http://" + listener.Addr().String()
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return nil
}
