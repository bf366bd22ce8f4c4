package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// liveMax is how long one run of tbctl may take; it takes well under a second.
const liveMax = 5 * time.Minute

// live is a host with a target, a data file and a history, on which the real
// program works while real processes run from the target as replicas do.
type live struct {
	t      *testing.T
	dir    string
	target string
	data   string
	permit string // replicas upgrade once it exists
}

// newLive installs a binary, formats a data file with it, and starts nothing.
func newLive(t *testing.T, current string, past ...string) *live {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: it runs real processes for seconds (-short)")
	}
	needAllSeen(t)
	target, data := standin.Install(t, standin.Binary(t, current, past...))
	dir := filepath.Dir(target)
	return &live{t: t, dir: dir, target: target, data: data, permit: filepath.Join(dir, "permit")}
}

// needAllSeen skips a test where replicas may be hidden, as in a container: tbctl says so there, and
// neither waits for them nor takes a release away from them.
func needAllSeen(t *testing.T) {
	t.Helper()
	view, err := replica.Find(t.Context(), filepath.Join(t.TempDir(), "none"), replica.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, unseen := range view.Unseen {
		if unseen.Kind != replica.UnseenNoAnswer {
			t.Skipf("skipped: it needs to see every process: %s", unseen.Reason)
		}
	}
}

// binary puts a binary beside the target, for tbctl to install, and returns its path.
func (l *live) binary(current string, past ...string) string {
	l.t.Helper()
	path := filepath.Join(l.dir, "new-"+current)
	standin.Replace(l.t, path, standin.Binary(l.t, current, past...))
	return path
}

// start starts a replica from the target that upgrades with the permit.
func (l *live) start(options standin.Options) *standin.Process {
	l.t.Helper()
	if options.Upgrade == "" {
		options.Upgrade = l.permit
	}
	return standin.Start(l.t, l.target, l.data, options)
}

// allow lets the replicas upgrade up to a release, or as far as they can if it is empty.
func (l *live) allow(release string) {
	l.t.Helper()
	staged := l.permit + ".staged"
	if err := os.WriteFile(staged, []byte(release), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(staged, l.permit); err != nil {
		l.t.Fatal(err)
	}
}

// env is the environment that tbctl runs in.
func (l *live) env() []string {
	return append(os.Environ(), "HOME="+l.dir, "COLUMNS=200", "TBCTL_TARGET=", "TBCTL_STATE_DIR="+filepath.Join(l.dir, "state"),
		"TBCTL_CACHE_DIR="+filepath.Join(l.dir, "cache"), "TBCTL_CONFIG="+os.DevNull)
}

// said is what a run of tbctl came to.
type said struct {
	t    *testing.T
	line string
	code int // -1 for a signal
	out  string
	err  string
}

// tbctl runs the real program.
func (l *live) tbctl(args ...string) said {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), liveMax)
	defer cancel()
	return l.run(exec.CommandContext(ctx, "tbctl", args...))
}

func (l *live) run(command *exec.Cmd) said {
	l.t.Helper()
	var out, err bytes.Buffer
	command.Stdout, command.Stderr = &out, &err
	if command.Env == nil {
		command.Env = l.env()
	}
	failure := command.Run()
	if command.ProcessState == nil {
		l.t.Fatalf("%v: %v", command.Args, failure)
	}
	return said{t: l.t, line: strings.Join(command.Args, " "), code: command.ProcessState.ExitCode(), out: out.String(), err: err.String()}
}

// ends requires an exit code, and texts on standard error.
func (s said) ends(code int, texts ...string) said {
	s.t.Helper()
	if s.code != code {
		s.t.Fatalf("%s: exit code %d, want %d\n%s%s", s.line, s.code, code, s.out, s.err)
	}
	for _, text := range texts {
		if !strings.Contains(s.err, text) {
			s.t.Errorf("%s: standard error lacks %q:\n%s", s.line, text, s.err)
		}
	}
	return s
}

// outOfTime runs a tbctl watch that ends since its time is over, and requires texts on standard error. What was seen is in them: it gets twice
// the time, and again, where the machine is too busy for a look in less.
func (l *live) outOfTime(texts []string, args ...string) said {
	l.t.Helper()
	for timeout := 2 * time.Second; ; timeout *= 2 {
		got := l.tbctl(append(args[:len(args):len(args)], "--timeout", timeout.String())...)
		if timeout > time.Minute || !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(got.err, text) }) {
			return got.ends(1, texts...)
		}
	}
}

// prints requires texts on standard output.
func (s said) prints(texts ...string) said {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.out, text) {
			s.t.Errorf("%s: standard output lacks %q:\n%s", s.line, text, s.out)
		}
	}
	return s
}

// liveDocument is the document of tbctl status --json, and what others share with it.
type liveDocument struct {
	OK       bool `json:"ok"`
	ExitCode int  `json:"exit_code"`
	Error    *struct {
		Kind, Message, Hint string
	} `json:"error"`
	Warnings []string `json:"warnings"`
	Result   struct {
		Installed *struct {
			Release multiversion.Release `json:"release"`
		} `json:"installed"`
		Replicas []liveReplica `json:"replicas"`
	} `json:"result"`
}

type liveReplica struct {
	PID     int    `json:"pid"`
	Origin  string `json:"origin"`
	Polls   bool   `json:"polls"`
	Outlook string `json:"outlook"`
	Running struct {
		Release multiversion.Release `json:"release"`
		Certain bool                 `json:"certain"`
	} `json:"running"`
	Armed *struct {
		Current multiversion.Release   `json:"current"`
		Offered []multiversion.Release `json:"offered"`
	} `json:"armed"`
	Superblock *datafile.Superblock `json:"superblock"`
}

// decode requires that standard output is one JSON document.
func (s said) decode(into any) {
	s.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(s.out))
	if err := decoder.Decode(into); err != nil {
		s.t.Fatalf("%s: %v in\n%s", s.line, err, s.out)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		s.t.Errorf("%s: more than one document in\n%s", s.line, s.out)
	}
}

// stands is how one replica is expected to be in tbctl status.
type stands struct {
	installed, running, armed, offers, durable string
	outlook                                    string // a part of it
}

// status requires that tbctl status tells of exactly one replica and that, in
// text and in JSON.
func (l *live) status(p *standin.Process, want stands) {
	l.t.Helper()
	l.statusJSON(p, want)
	newest := want.offers[strings.LastIndex(want.offers, " ")+1:]
	row := strings.Join([]string{"replica", want.running, want.armed, newest, want.durable, l.data}, " ")
	text := l.tbctl("status", l.target).ends(0)
	text.out = strings.Join(strings.Fields(text.out), " ")
	text.prints("installed "+want.installed+",", row, want.outlook)
}

// statusJSON is status without the text.
func (l *live) statusJSON(p *standin.Process, want stands) {
	l.t.Helper()
	var document liveDocument
	l.tbctl("status", l.target, "--json").ends(0).decode(&document)
	if document.Result.Installed == nil || document.Result.Installed.Release.String() != want.installed {
		l.t.Errorf("installed %+v, want %s", document.Result.Installed, want.installed)
	}
	if len(document.Result.Replicas) != 1 {
		l.t.Fatalf("replicas %+v, want one", document.Result.Replicas)
	}
	found := document.Result.Replicas[0]
	if found.PID != p.PID() || !found.Running.Certain || found.Armed == nil || found.Superblock == nil {
		l.t.Fatalf("replica %+v, want process %d, certain, armed and with a superblock", found, p.PID())
	}
	got := stands{
		installed: want.installed, running: found.Running.Release.String(), armed: found.Armed.Current.String(),
		offers: render.Releases(found.Armed.Offered), durable: found.Superblock.Release.String(), outlook: want.outlook,
	}
	if got != want || !strings.Contains(found.Outlook, want.outlook) {
		l.t.Errorf("replica %+v with the outlook %q, want %+v", got, found.Outlook, want)
	}
}

// durable is the release in the data file.
func (l *live) durable() string {
	l.t.Helper()
	superblock, err := datafile.ReadFile(l.t.Context(), l.data)
	if err != nil {
		l.t.Fatal(err)
	}
	return superblock.Release.String()
}

// runs waits until the replicas run a release and hold the target's binary, which
// they read a moment later.
func (l *live) runs(release string) {
	l.t.Helper()
	l.until("running=" + release)
	l.until("offered=" + release)
}

// until waits with tbctl itself until the replicas are so.
func (l *live) until(condition string) said {
	l.t.Helper()
	return l.tbctl("watch", l.target, "--until", condition, "--timeout", "2m", "--interval", "50ms").ends(0).prints("met: " + condition)
}
