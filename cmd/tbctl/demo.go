package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/demo"
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
	place, err := demo.New(a.ctx)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer place.Close(c.Keep)
	a.say("%s %s\n", a.out.Styles().Dim.Render("#"), fmt.Sprintf("in %s: %d multiversion binaries made of tbctl's own executable (%s), served on %s",
		place.Dir, place.Binaries, term.Bytes(place.ExecutableSize), place.URL))
	results := []demoStepDone{}
	failed := 0
	for _, step := range place.Steps() {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		code := c.step(a, place, step)
		results = append(results, demoStepDone{Command: place.Shorten(step.Args), ExitCode: code, Expected: step.Want})
		if code != step.Want {
			failed++
			a.say("%s exit code %d, expected %d\n", a.out.Styles().Bad.Render("!"), code, step.Want)
		}
	}
	a.emit(demoResult{place.Dir, c.Keep, results}, func(out *term.Stream) {
		took := time.Since(started).Round(100 * time.Millisecond)
		if failed == 0 {
			out.Printf("\n%s %d steps in %s, each as expected", out.Styles().Good.Render("done:"), len(results), took)
		} else {
			out.Printf("\n%s %d of %d steps in %s were not as expected", out.Styles().Bad.Render("failed:"), failed, len(results), took)
		}
		if c.Keep {
			out.Printf("; everything is still there:\n\n  DEMO=%s TBCTL_STATE_DIR=$DEMO/state; export DEMO TBCTL_STATE_DIR", place.Dir)
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
func (c *demoCmd) step(a *app, place *demo.Place, step demo.Step) int {
	styles := a.out.Styles()
	a.say("\n%s\n%s %s\n", a.out.WrapStyled(styles.Dim, "# "+step.Say, 0), styles.Accent.Render("$"), styles.Bold.Render(place.Shorten(step.Args)))
	var code int
	if step.Args[0] == "tbctl" {
		color := term.ColorNever
		if a.out.Colored() {
			color = term.ColorAlways
		}
		code = run(slices.Concat(step.Args[1:], place.Flags(step.Args[1]), []string{"--color", string(color)}), a.demoStreams(), place.Getenv(a.getenv))
	} else {
		command := exec.CommandContext(a.ctx, step.Args[0], step.Args[1:]...)
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
		return streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	}
	return streams{in: strings.NewReader(""), out: a.out.Unwrap(), err: a.out.Unwrap()}
}
