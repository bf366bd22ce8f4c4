//go:build linux

package standin

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin/program"
)

const (
	hostArch = runtime.GOARCH

	// waitMax is how long a test waits for what it expects; it takes milliseconds.
	waitMax = 2 * time.Minute

	secondDefault = 20 * time.Millisecond // of a cluster's timers

	// portFirst is below the ports that the system gives away.
	portFirst = 3000
)

// ports is how many a test process has given to its stand-ins.
var ports atomic.Int32

// Options say how a stand-in behaves. The zero value polls and arms itself,
// but never upgrades.
type Options struct {
	// Upgrade says when it changes to the newest release on offer: "now", "never",
	// or the path of a file: once that exists. A release in the file is the last
	// that it upgrades to. With "cluster" the primary decides, for all that Args has
	// the addresses of.
	Upgrade string

	// Second is how long a second of the cluster's timers takes. 0 stands for 20 ms.
	Second time.Duration

	// Churn is the path of a file: while it exists this member changes the view every second.
	Churn string

	// Commits is the path of a file with a number: this member has committed up to that operation, and has made its
	// checkpoints up to there. A member that is told a lower one lags.
	Commits string

	// Die is RELEASE:STEP, where the process kills itself. The steps are
	// started (before it looks at its binary), opening (the data file, before it
	// listens), listening, armed, superblock-0 to superblock-3 (before that copy is written),
	// checkpointed, execute-current, execute-past and pong (before it answers a ping).
	Die string

	// Hold is a directory: at each step it stays for as long as there is a file RELEASE:STEP
	// in it. See [Hold].
	Hold string

	// Poll is the time between two looks at the binary. 0 stands for 20 ms.
	Poll time.Duration

	// User is whom it runs as. 0 stands for the test's own user.
	User uint32

	// Args are the words between start and the data file. Nil stands for --addresses with
	// an address of its own, see [Addresses].
	Args []string
}

// Hold makes stand-ins whose Options.Hold is the directory stay at RELEASE:STEP until
// release is called.
func Hold(tb testing.TB, dir, step string) (release func()) {
	tb.Helper()
	place := filepath.Join(dir, step)
	if err := os.WriteFile(place, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	return func() {
		tb.Helper()
		if err := os.Remove(place); err != nil {
			tb.Fatal(err)
		}
	}
}

// Addresses returns the addresses of a cluster, all on this host and nobody else's.
func Addresses(count int) string {
	last := int(ports.Add(int32(count)))
	return program.Addresses(portFirst+last-count+1, count)
}

// Process is a running stand-in. It is killed when its test ends.
type Process struct {
	tb   testing.TB
	cmd  *exec.Cmd
	mu   sync.Mutex
	log  strings.Builder
	more chan struct{} // closed and made anew with every line
	done chan struct{} // closed when the process has ended
}

// Start starts the binary at path as a replica of the data file, and returns when it listens or
// has ended.
func Start(tb testing.TB, path, dataFile string, options Options) *Process {
	tb.Helper()
	args := options.Args
	if args == nil {
		args = []string{"--addresses=" + Addresses(members(dataFile))}
	}
	p := Run(tb, path, options, append(append([]string{"start"}, args...), dataFile)...)
	p.Wait("listening")
	return p
}

// members is how many addresses the replica of a data file needs to find its own among them.
func members(dataFile string) int {
	superblock, err := datafile.ReadFile(context.Background(), dataFile)
	if err != nil {
		return 1 // the stand-in says what is wrong
	}
	return max(int(superblock.ReplicaCount), superblock.ReplicaIndex+1)
}

// Run starts the binary at path with other arguments, and waits for nothing.
func Run(tb testing.TB, path string, options Options, args ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, cmd: exec.Command(path, args...), more: make(chan struct{}), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "STANDIN_UPGRADE="+options.Upgrade, "STANDIN_DIE="+options.Die, "STANDIN_HOLD="+options.Hold)
	if options.Second == 0 {
		options.Second = secondDefault
	}
	p.cmd.Env = append(p.cmd.Env, "STANDIN_SECOND="+options.Second.String(), "STANDIN_CHURN="+options.Churn, "STANDIN_COMMITS="+options.Commits)
	if options.Poll > 0 {
		p.cmd.Env = append(p.cmd.Env, "STANDIN_POLL="+options.Poll.String())
	}
	if options.User != 0 {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: options.User, Gid: options.User}}
	}
	output, err := p.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go p.follow(output)
	tb.Cleanup(p.Kill)
	return p
}

func (p *Process) follow(output io.Reader) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	p.cmd.Wait() // its result is in ProcessState
	close(p.done)
}

// PID returns the process's id, which an upgrade does not change.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log returns what it has said so far.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// Wait waits until the log holds the text, or the process has ended, and reports whether
// the log holds it. It fails the test if neither comes.
func (p *Process) Wait(text string) bool {
	p.tb.Helper()
	deadline := time.After(waitMax)
	for {
		p.mu.Lock()
		found, more := strings.Contains(p.log.String(), text), p.more
		p.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-more:
		case <-p.done:
			return strings.Contains(p.Log(), text)
		case <-deadline:
			p.tb.Fatalf("process %d does not say %q; it said:\n%s", p.PID(), text, p.Log())
		}
	}
}

// Must waits as Wait does, and fails the test if the process ends without the text.
func (p *Process) Must(text string) {
	p.tb.Helper()
	if !p.Wait(text) {
		p.tb.Fatalf("process %d ended without %q; it said:\n%s", p.PID(), text, p.Log())
	}
}

// Exit waits for the end of the process and returns its exit code, -1 for a signal.
func (p *Process) Exit() int {
	p.tb.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(waitMax):
		p.tb.Fatalf("process %d does not end; it said:\n%s", p.PID(), p.Log())
		return 0
	}
}

// Kill kills the process and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // it may have ended
	<-p.done
}
