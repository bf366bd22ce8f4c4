// Package demo is the demonstration of tbctl: it makes releases out of the program itself, starts
// stand-ins for replicas with them, and runs the command lines that a person would type, all in a
// temporary directory.
//
// Nothing but the program's own executable is needed. A release is a copy of it into which a number is
// stamped, and with such a number it is a stand-in for a replica instead of tbctl ([Replica]). Stand-ins
// need Linux; elsewhere the demonstration goes without.
//
// Every process that was started has ended before [Run] returns, and none outlives the demonstration when it is killed:
// the kernel ends the replicas and the commands with the process that started them, and what answers for a host ends with the
// command that speaks to it.
package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/internal/term"
)

// Options say what is shown, and where.
type Options struct {
	Fleet bool         // clusters on many hosts, instead of one host
	Keep  bool         // leave the directory
	Out   *term.Stream // nil shows nothing
}

// Result is the result of the demonstration.
type Result struct {
	Directory string `json:"directory"`
	Kept      bool   `json:"kept"` // otherwise the directory is gone
	Steps     []Done `json:"steps"`

	Planned int           `json:"-"` // steps; after one that did not end as expected there is none
	Took    time.Duration `json:"-"`
}

// Done is one step as it went.
type Done struct {
	Command  string `json:"command"`
	ExitCode int    `json:"exit_code"` // -1: it was killed
	Expected int    `json:"expected"`
}

// step is one command line, the exit code that it must have, and what it has to do with the reader.
type step struct {
	say  string // what it does
	line string // as it is typed in the directory; no word of it has a blank
	want int
	why  string // why that matters

	before func() error // nil: nothing is done before it
	kill   func() bool  // once this is so, the process is killed
}

// The exit codes that the steps have.
const (
	killed   = -1
	done     = 0
	failed   = 1
	rejected = 3
	refused  = 4
)

// place is the temporary directory, and what runs in it.
type place struct {
	dir    string
	server *http.Server // of the releases
	mirror string       // its address, as a mirror is named

	ctx     context.Context // ends the replicas
	cancel  context.CancelFunc
	running sync.WaitGroup
	ports   int    // how many were given to replicas
	hidden  string // why replicas are left out; empty: they are not

	// Every process that a step has started holds the writing end, so that the reading end ends when all of them have.
	alive, leash *os.File
}

// Run shows it. On an error the result has the steps so far.
func Run(ctx context.Context, options Options) (*Result, error) {
	started := time.Now()
	p, err := newPlace(ctx)
	if err != nil {
		return nil, err
	}
	result := &Result{Directory: p.dir, Kept: options.Keep, Steps: []Done{}}
	err = p.show(ctx, options, result)
	result.Took = time.Since(started)
	return result, errors.Join(err, p.close(options.Keep))
}

func (p *place) show(ctx context.Context, options Options, result *Result) error {
	prepare := p.oneHost
	if options.Fleet {
		prepare = p.manyHosts
	}
	steps, err := prepare(ctx)
	if err != nil {
		return err
	}
	result.Planned = len(steps)
	out := options.Out
	if out != nil {
		out.Println(out.Hang("# "+p.about(options.Fleet), 2))
	}
	for index, step := range steps {
		if out != nil {
			out.Printf("\n%s\n%s %s\n", out.Hang(fmt.Sprintf("# %d. %s", index+1, step.say), 2),
				out.Styles().Accent.Render("$"), out.Styles().Bold.Render(step.line))
		}
		if step.before != nil {
			if err := step.before(); err != nil {
				return err
			}
		}
		code, err := p.run(ctx, step, out)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.line, err)
		}
		result.Steps = append(result.Steps, Done{Command: step.line, ExitCode: code, Expected: step.want})
		if code != step.want {
			return fmt.Errorf("%s: exit code %d, expected %d", step.line, code, step.want)
		}
		if out != nil {
			ended := fmt.Sprintf("exit code %d", code)
			if code == killed {
				ended = "killed"
			}
			out.Println(out.Hang(fmt.Sprintf("# %s. %s", ended, step.why), 2))
		}
	}
	return nil
}

// about says what is here.
func (p *place) about(fleet bool) string {
	what := "this host"
	if fleet {
		what = "five hosts of three clusters, all on this machine: in ssh's place is a script that runs tbctl host here"
	}
	text := fmt.Sprintf("Everything is in %s: %s. The releases and replicas are stand-ins made of tbctl's own executable, which treat binary and data file as TigerBeetle does.", p.dir, what)
	if p.hidden != "" {
		text += " Replicas are left out: " + p.hidden + "."
	}
	return text
}

// run runs a command line, and returns its exit code.
func (p *place) run(ctx context.Context, step step, out *term.Stream) (int, error) {
	words := strings.Fields(step.line)
	if words[0] == "tbctl" && out != nil && out.Colored() {
		words = append(words, "--color", string(term.ColorAlways))
	}
	command := p.command(ctx, words...)
	if out != nil {
		command.Stdout, command.Stderr = out.Unwrap(), out.Unwrap()
	}
	release := lash(command)
	defer release()
	if err := command.Start(); err != nil {
		return 0, err
	}
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	if step.kill != nil {
		watching.Go(func() {
			if until(watched, step.kill) == nil {
				_ = command.Process.Kill() // it may have ended
			}
		})
	}
	err := command.Wait()
	stop()
	watching.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		err = nil
	}
	return command.ProcessState.ExitCode(), err
}

// command is a command of this directory, which knows none of the operator's own settings. A signal asks it to end.
func (p *place) command(ctx context.Context, words ...string) *exec.Cmd {
	name := words[0]
	if name == "tbctl" || strings.Contains(name, "/") {
		name = p.path(name)
	}
	command := exec.CommandContext(ctx, name, words[1:]...)
	command.Args[0] = words[0]
	command.Dir = p.dir
	command.Env = p.env()
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = endMax
	command.ExtraFiles = []*os.File{p.leash}
	return command
}

func (p *place) env() []string {
	var kept []string
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "TBCTL_") {
			kept = append(kept, line)
		}
	}
	path := cmp.Or(os.Getenv("PATH"), "/usr/bin:/bin") // none where a service or a job starts it so
	return append(kept, "PATH="+p.dir+string(os.PathListSeparator)+path, "TBCTL_CONFIG="+os.DevNull, "TBCTL_MIRROR="+p.mirror,
		"TBCTL_STATE_DIR="+p.path("state"), "TBCTL_CACHE_DIR="+p.path("cache"), "TBCTL_FLEET="+p.path("fleet.toml"))
}

// unseen is why tbctl cannot see all replicas that there may be here, and is empty where it can.
func (p *place) unseen(ctx context.Context, target string) (string, error) {
	output, err := p.command(ctx, "tbctl", "status", target, "--json").Output()
	if err != nil {
		return "", fmt.Errorf("look for replicas: %w", err)
	}
	var document struct {
		Result struct {
			Unseen []struct {
				Reason string `json:"reason"`
			} `json:"replicas_unseen"`
		} `json:"result"`
	}
	if err := json.Unmarshal(output, &document); err != nil {
		return "", fmt.Errorf("look for replicas: %w", err)
	}
	if len(document.Result.Unseen) == 0 {
		return "", nil
	}
	return document.Result.Unseen[0].Reason, nil
}

// Times after which waiting is given up, and between two looks.
const (
	endMax   = 15 * time.Second
	startMax = time.Minute
	pause    = 20 * time.Millisecond
)

// until waits until something is so.
func until(ctx context.Context, so func() bool) error {
	for !so() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return nil
}

// newPlace makes the directory, with this program as tbctl in it.
func newPlace(ctx context.Context) (*place, error) {
	dir, err := os.MkdirTemp("", "tbctl-demo-")
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir}
	p.ctx, p.cancel = context.WithCancel(ctx)
	fail := func(err error) (*place, error) { return nil, errors.Join(err, p.close(false)) }
	if p.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return fail(err)
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	if err := os.Symlink(self, p.path("tbctl")); err != nil {
		return fail(err)
	}
	if p.alive, p.leash, err = os.Pipe(); err != nil {
		return fail(err)
	}
	if err := p.serve(); err != nil {
		return fail(err)
	}
	return p, nil
}

// close ends all processes, and removes the directory unless it is to be kept.
func (p *place) close(keep bool) error {
	p.cancel()
	p.running.Wait()
	var errs []error
	if p.leash != nil {
		_ = p.leash.Close()
		_ = p.alive.SetReadDeadline(time.Now().Add(endMax))
		if _, err := p.alive.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			errs = append(errs, fmt.Errorf("wait for the end of what was started: %w", err))
		}
		_ = p.alive.Close()
	}
	if p.server != nil {
		_ = p.server.Close()
	}
	if !keep {
		errs = append(errs, os.RemoveAll(p.dir))
	}
	return errors.Join(errs...)
}

func (p *place) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}
