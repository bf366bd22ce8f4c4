//go:build linux

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/testbin"
)

// runMax ends a tbctl that hangs. No test needs nearly as long.
const runMax = time.Minute

// A host is a server on which tbctl is run: a directory with a target, a history
// and a cache of its own, and an environment with nothing else in it.
type host struct {
	t      *testing.T
	dir    string
	target string
	cache  string
	env    []string

	before *state // of the target, since installed
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	h.target = h.path("bin", "tigerbeetle")
	h.cache = h.path("cache")
	for _, name := range []string{"bin", "tmp", "home"} {
		if err := os.Mkdir(h.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.write("home/config.toml", nil)
	h.env = []string{
		"PATH=" + filepath.Dir(os.Getenv(programEnv)) + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"HOME=" + h.path("home"), "TMPDIR=" + h.path("tmp"), "TERM=xterm",
		"TBCTL_CONFIG=" + h.path("home", "config.toml"), "TBCTL_STATE_DIR=" + h.path("state"), "TBCTL_CACHE_DIR=" + h.cache,
	}
	return h
}

func (h *host) path(parts ...string) string {
	return filepath.Join(append([]string{h.dir}, parts...)...)
}

// set sets environment variables, given as NAME=VALUE. Later ones win.
func (h *host) set(env ...string) { h.env = append(h.env, env...) }

// write makes a file and returns its path.
func (h *host) write(name string, data []byte) string {
	h.t.Helper()
	path := h.path(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// A result is what a run of tbctl left behind.
type result struct {
	t              *testing.T
	args           []string
	code           int // -1 if a signal ended it
	stdout, stderr string
	took           time.Duration
}

// command is tbctl with the host's environment.
func (h *host) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), runMax)
	h.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Getenv(programEnv), args...)
	cmd.Env, cmd.Dir = slices.Clone(h.env), h.dir
	return cmd
}

// run runs tbctl to its end.
func (h *host) run(args ...string) *result {
	h.t.Helper()
	return h.runIn(nil, args...)
}

// runIn runs tbctl with a standard input.
func (h *host) runIn(stdin io.Reader, args ...string) *result {
	h.t.Helper()
	cmd := h.command(args...)
	cmd.Stdin = stdin
	return finish(h.t, cmd)
}

// finish runs a command and keeps what it says.
func finish(t *testing.T, cmd *exec.Cmd) *result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	started := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return &result{t: t, args: cmd.Args[1:], code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(started)}
}

// want fails the test unless the run ended with the code, and everything said is there.
func (r *result) want(code int, said ...string) *result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("tbctl %s: exit code %d, want %d\n%s", strings.Join(r.args, " "), r.code, code, r.both())
	}
	for _, text := range said {
		if !strings.Contains(r.stdout+r.stderr, text) {
			r.t.Errorf("tbctl %s: does not say %q\n%s", strings.Join(r.args, " "), text, r.both())
		}
	}
	return r
}

// failed is want for errors: message and hint stand on standard error, and nothing else does.
func (r *result) failed(code int, said ...string) *result {
	r.t.Helper()
	r.want(code, said...)
	if !strings.Contains(r.stderr, "tbctl: error: ") || !strings.Contains(r.stderr, "tbctl: hint: ") {
		r.t.Errorf("tbctl %s: no error with a hint\n%s", strings.Join(r.args, " "), r.both())
	}
	if strings.Contains(r.stdout, "error") {
		r.t.Errorf("tbctl %s: the error is on standard output\n%s", strings.Join(r.args, " "), r.both())
	}
	return r
}

// atOnce fails the test if the run tried again what could not help.
func (r *result) atOnce() {
	r.t.Helper()
	if strings.Contains(r.stderr, "trying again") {
		r.t.Errorf("tbctl %s: it tried again\n%s", strings.Join(r.args, " "), r.both())
	}
}

func (r *result) both() string { return "stdout: " + r.stdout + "\nstderr: " + r.stderr }

// A document is what --json prints. Its fields are those that the tests look at.
type document struct {
	Version  int    `json:"version"`
	Command  string `json:"command"`
	OK       bool   `json:"ok"`
	ExitCode int    `json:"exit_code"`
	Result   struct {
		Plan struct {
			Origin origin `json:"origin"`
		} `json:"plan"`
		Result  string `json:"result"`
		Fetched struct {
			Tag string `json:"tag"`
		} `json:"fetched"`
		Releases []struct {
			Tag       string `json:"tag"`
			Installed bool   `json:"installed"`
			Steps     int    `json:"steps"`
			Assets    []struct {
				Name   string `json:"name"`
				SHA256 string `json:"sha256"`
			} `json:"assets"`
		} `json:"releases"`
		Settings []struct{ Name, Value, Origin string } `json:"settings"`
	} `json:"result"`
	Error *struct {
		Kind    string         `json:"kind"`
		Message string         `json:"message"`
		Hint    string         `json:"hint"`
		Detail  map[string]any `json:"-"`
	} `json:"error"`
	Warnings []string `json:"warnings"`
}

type origin struct {
	Source  string `json:"source"`
	SHA256  string `json:"sha256"`
	Fetched int64  `json:"fetched"`
	Resumed int64  `json:"resumed"`
	Trusted bool   `json:"trusted"`
	Trust   []struct{ Kind, Status, Detail string }
}

// held lists the evidence that held.
func (o origin) held() string {
	var kinds []string
	for _, trust := range o.Trust {
		if trust.Status == "held" {
			kinds = append(kinds, trust.Kind)
		}
	}
	return strings.Join(kinds, " ")
}

// document decodes standard output, which must be one document and nothing else, with
// the exit code that the process had.
func (r *result) document() document {
	r.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(r.stdout))
	var doc document
	if err := decoder.Decode(&doc); err != nil {
		r.t.Fatalf("tbctl %s: standard output is no JSON: %v\n%s", strings.Join(r.args, " "), err, r.both())
	}
	if _, err := decoder.Token(); err != io.EOF {
		r.t.Errorf("tbctl %s: more than one document\n%s", strings.Join(r.args, " "), r.both())
	}
	if doc.ExitCode != r.code || doc.OK != (r.code == 0) || (doc.Error == nil) != doc.OK || doc.Version != 1 {
		r.t.Errorf("tbctl %s: exit code %d, but the document says otherwise\n%s", strings.Join(r.args, " "), r.code, r.both())
	}
	return doc
}

// A state is what must not change when a run fails.
type state struct {
	sha256 string
	inode  uint64
	ctime  time.Time
	mode   fs.FileMode
	names  []string // in the target's directory, without the lock
}

// install puts a binary at the target, as somebody did it by hand.
func (h *host) install(data []byte) *host {
	h.t.Helper()
	testbin.WriteFile(h.t, h.target, data)
	before := h.look()
	h.before = &before
	return h
}

func (h *host) look() state {
	h.t.Helper()
	data, err := os.ReadFile(h.target)
	if errors.Is(err, fs.ErrNotExist) {
		return state{names: h.names()}
	}
	if err != nil {
		h.t.Fatal(err)
	}
	info, err := os.Lstat(h.target)
	if err != nil {
		h.t.Fatal(err)
	}
	system := info.Sys().(*syscall.Stat_t)
	return state{sha256: sum(data), inode: system.Ino, ctime: time.Unix(system.Ctim.Unix()), mode: info.Mode(), names: h.names()}
}

// names lists the target's directory without the lock and the state, which stay.
func (h *host) names() []string {
	h.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(h.target))
	if err != nil {
		h.t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		if name := entry.Name(); name != ".tigerbeetle.tbctl-lock" && name != ".tigerbeetle.tbctl-state" {
			names = append(names, entry.Name())
		}
	}
	return names
}

// untouched fails the test unless the target is the same file as before, and nothing
// was left beside it.
func (h *host) untouched() {
	h.t.Helper()
	before := state{names: []string{}}
	if h.before != nil {
		before = *h.before
	}
	after := h.look()
	if before.sha256 != after.sha256 || before.inode != after.inode || !before.ctime.Equal(after.ctime) || before.mode != after.mode {
		h.t.Errorf("the target was touched: %+v, was %+v", after, before)
	}
	if !slices.Equal(before.names, after.names) {
		h.t.Errorf("beside the target: %q, was %q", after.names, before.names)
	}
}

// holds fails the test unless the target is that binary, whole, alone, and runs.
func (h *host) holds(b *binary) {
	h.t.Helper()
	after := h.look()
	if after.sha256 != b.sha256 || after.mode != 0o755 {
		h.t.Fatalf("the target has sha256 %s and mode %v, want %s", after.sha256, after.mode, b.sha256)
	}
	names := []string{"tigerbeetle"}
	if h.before != nil {
		names = append(names, "tigerbeetle-old")
	}
	if !slices.Equal(after.names, names) {
		h.t.Errorf("in the target's directory: %q, want %q", after.names, names)
	}
	output, err := exec.Command(h.target, "version").Output()
	if err != nil || !strings.HasPrefix(string(output), b.says) {
		h.t.Errorf("the installed program says %q (%v), want %q", output, err, b.says)
	}
}

func sum(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

// eventually waits until a condition holds that another process brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// kept reads what tbctl keeps: history, cache, locks.
func (h *host) kept() [][]byte {
	h.t.Helper()
	var kept [][]byte
	for _, dir := range []string{"state", "cache", "bin"} {
		err := filepath.WalkDir(h.path(dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return nil
			}
			data, err := os.ReadFile(path)
			kept = append(kept, data)
			return err
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return kept
}
