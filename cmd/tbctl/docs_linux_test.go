package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/standin"
)

// TestDocs runs the commands of the documents: tbctl is the real main, releases
// come from a server on this host that stands for GitHub and for a mirror, ssh
// runs a command here with another host's files, and replicas are stand-ins.
func TestDocs(t *testing.T) {
	if testing.Short() || runtime.GOARCH != "amd64" {
		t.Skip("skipped: the documents' output is that of x86_64-linux, and it takes some seconds (-short)")
	}
	t.Parallel()
	needAllSeen(t)
	world := newDocsWorld(t)
	var run, developer, notRun, skipped atomic.Int64
	t.Run("documents", func(t *testing.T) {
		for _, name := range documents(t) {
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				s := newSandbox(t, world)
				for _, block := range readBlocks(t, name) {
					switch {
					case block.developer():
						developer.Add(1)
					case block.notRun != "":
						notRun.Add(1)
						t.Logf("line %d is not run: %s", block.line, block.notRun)
					case !s.has(block.needs):
						skipped.Add(1)
						t.Logf("line %d is skipped: it needs %s", block.line, block.needs)
					default:
						run.Add(1)
						s.run(block)
					}
				}
			})
		}
	})
	t.Logf("%d blocks ran, %d are for developers and take too long, %d cannot be run, %d were skipped here",
		run.Load(), developer.Load(), notRun.Load(), skipped.Load())
}

// sandbox is the place of one document: the root directories of its hosts, and
// the programs in front of PATH.
type sandbox struct {
	t     *testing.T
	world *docsWorld
	dir   string

	replicas []*standin.Process
}

// docsPrograms stand in for what the documents call besides tbctl. In them $S is
// the sandbox, and a host's root is $S/HOST.
var docsPrograms = map[string]string{
	"ssh": `
while case "$1" in -o) true;; -*) shift; continue;; *) false;; esac; do shift 2; done
host=$1; shift
case "$*" in *serving=*) touch "$S/promote";; esac
[ -d "$S/$host" ] || { echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255; }
export HOST="$host" TBCTL_TARGET="$S/$host/usr/local/bin/tigerbeetle" TBCTL_STATE_DIR="$S/$host/var/lib/tbctl" TBCTL_CONFIG="$S/$host/etc/tbctl/config.toml" PATH="$S/$host/bin:$PATH"
cd "$S/$host/home" && exec sh -c "$*"`,
	"sudo": `exec "$@"`,
	"aws": `
case "$1 $2 $4" in
"s3 presign ") echo "$STORES/s3/${3#s3://tb/}?X-Amz-Signature=s3cret";;
"s3 cp -") cat "$S/here/srv/tigerbeetle/${3#s3://tb/}";;
esac`,
	"systemctl": `
pid="$S/${HOST:=here}/pid"
case "$1" in
stop) kill "$(cat "$pid")"; while [ -e "/proc/$(cat "$pid")/exe" ]; do sleep 0.02; done;;
start) STANDIN_UPGRADE="$S/promote" "$S/$HOST/usr/local/bin/tigerbeetle" start --addresses="$(cat "$S/$HOST/addresses")" "$S/$HOST/var/lib/tigerbeetle/0_0.tigerbeetle" >/dev/null 2>&1 </dev/null &
  echo $! > "$pid";;
esac`,
}

func newSandbox(t *testing.T, world *docsWorld) *sandbox {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") // short: output is wrapped at real paths
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &sandbox{t: t, world: world, dir: dir}
	t.Cleanup(func() {
		s.stop()
		_ = os.RemoveAll(dir)
	})
	for name, script := range docsPrograms {
		writeDoc(t, s.path("bin", name), []byte("#!/bin/sh\nset -e\n"+script+"\n"), 0o755)
	}
	s.host("here")
	return s
}

func (s *sandbox) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// host makes the directories of one host.
func (s *sandbox) host(name string) {
	for _, dir := range []string{
		"bin", "home", "tmp", "etc/tbctl", "srv", "media/usb", "opt/tigerbeetle", "usr/local/bin", "var/lib/tbctl", "var/lib/tigerbeetle",
	} {
		if err := os.MkdirAll(s.path(name, dir), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	config := s.path(name, "etc/tbctl/config.toml")
	if _, err := os.Stat(config); err != nil {
		var content []byte
		if name != "here" { // what the other end of ssh may touch is for the host's configuration to say
			content = fmt.Appendf(nil, "target = %q\n", s.path(name, "usr/local/bin/tigerbeetle"))
		}
		writeDoc(s.t, config, content, 0o644)
	}
	mirror := s.path(name, "srv/tigerbeetle")
	if err := os.Symlink(filepath.Join(s.world.dir, "mirror"), mirror); err != nil && !errors.Is(err, fs.ErrExist) {
		s.t.Fatal(err)
	}
	key, err := os.ReadFile(s.world.key)
	if err != nil {
		s.t.Fatal(err)
	}
	writeDoc(s.t, s.path(name, "etc/tbctl/release.pub"), key, 0o644)
}

// stop ends what runs in the sandbox.
func (s *sandbox) stop() {
	for _, replica := range s.replicas {
		replica.Kill()
	}
	s.replicas = nil
	pids, _ := filepath.Glob(s.path("*", "pid"))
	for _, name := range pids {
		if text, err := os.ReadFile(name); err == nil {
			if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		_ = os.Remove(name)
	}
}

// has reports whether the host of the test has what a block needs.
func (s *sandbox) has(needs string) bool {
	if one, others, several := strings.Cut(needs, ", "); several {
		return s.has(one) && s.has(others)
	}
	switch needs {
	case "":
		return true
	case "root":
		return os.Geteuid() == 0
	case "namespaces": // of mounts and processes
		return os.Geteuid() == 0 && exec.Command("unshare", "--mount", "--pid", "--fork", "--mount-proc", "true").Run() == nil
	case "setcap":
		if os.Geteuid() != 0 {
			return false
		}
	}
	_, err := exec.LookPath(needs)
	return err == nil
}

// paths are the directories that the documents name; in the sandbox they are
// those of its host.
var paths = regexp.MustCompile(`(^|[\s"'=(])(/(?:usr/local/bin|opt/tigerbeetle|srv|media|var/lib|etc/tbctl)\b)`)

// translate makes the documents' paths and addresses the sandbox's.
func (s *sandbox) translate(script string) string {
	for place, name := range docsStores {
		script = strings.ReplaceAll(script, place, s.world.url+name)
	}
	script = strings.ReplaceAll(script, "machine nexus.internal", "machine 127.0.0.1")
	script = strings.ReplaceAll(script, docsMirror, s.world.url+"/mirror")
	script = strings.ReplaceAll(script, docsGitHub, s.world.url+"/github")
	return paths.ReplaceAllString(script, "${1}"+s.path("here")+"${2}")
}

// restore makes the sandbox's paths and addresses the documents'.
func (s *sandbox) restore(output string) string {
	output = strings.ReplaceAll(output, s.world.url+"/github", docsGitHub)
	output = strings.ReplaceAll(output, s.world.url+"/mirror", docsMirror)
	output = strings.ReplaceAll(output, ", "+render.Owner(os.Geteuid(), os.Getegid()), ", root:root")
	output = strings.ReplaceAll(output, s.path("here"), "")
	return strings.ReplaceAll(output, s.dir, "")
}

func (s *sandbox) env() []string {
	env := []string{
		"S=" + s.dir, "HOST=here", "HOME=" + s.path("here/home"), "PATH=" + s.path("bin") + ":" + os.Getenv("PATH"),
		"TBCTL_TARGET=" + s.path("here/usr/local/bin/tigerbeetle"), "TBCTL_STATE_DIR=" + s.path("here/var/lib/tbctl"),
		"TBCTL_CACHE_DIR=" + s.path("cache"), "TBCTL_CONFIG=" + s.path("here/etc/tbctl/config.toml"),
		"STORES=" + s.world.url, "TBCTL_GITHUB_URL=" + s.world.url + "/github", "TBCTL_API_URL=" + s.world.url + "/api", "COLUMNS=160",
	}
	return append(env, "TESTING_PACE=300ms")
}

// run prepares a block, runs it, and compares.
func (s *sandbox) run(block docBlock) {
	s.t.Helper()
	s.prepare(block)
	code, output := s.shell(block.script)
	s.t.Logf("line %d: exit code %d\n%s%s", block.line, code, block.script, output)
	if code != block.exit {
		s.t.Errorf("line %d: exit code %d, want %d:\n%s\n%s", block.line, code, block.exit, block.script, output)
		return
	}
	if block.hasOutput && !outputPattern(block.output).MatchString(squeeze(output)) {
		s.t.Errorf("line %d: %s\nprints\n\n%s\nbut the document says\n\n%s", block.line, block.script, output, block.output)
	}
}

// shell runs a script and returns its exit code and all that it printed.
func (s *sandbox) shell(script string) (int, string) {
	command := exec.Command("sh", "-e", "-c", s.translate(script))
	command.Dir = s.path("here/home")
	command.Env = s.env()
	output, err := command.CombinedOutput()
	if command.ProcessState == nil {
		s.t.Fatalf("sh: %v", err)
	}
	return command.ProcessState.ExitCode(), s.restore(string(output))
}

// must runs a script that has to succeed.
func (s *sandbox) must(script string) {
	s.t.Helper()
	if code, output := s.shell(script); code != 0 {
		s.t.Fatalf("%s: exit code %d\n%s", script, code, output)
	}
}

var spaces = regexp.MustCompile(`[ \t]+`)

// squeeze makes runs of spaces one: widths of columns follow paths, which are
// others in the sandbox.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(spaces.ReplaceAllString(line, " ")))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"
}

// outputPattern matches the output that a document shows.
func outputPattern(text string) *regexp.Regexp {
	pattern := regexp.QuoteMeta(squeeze(text))
	pattern = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(pattern, "(?:.*\n)*?")
	return regexp.MustCompile("^" + strings.ReplaceAll(pattern, "…", ".*") + "$")
}

// prepare does what a block's directives say.
func (s *sandbox) prepare(block docBlock) {
	s.t.Helper()
	if block.fresh || block.installed != "" {
		s.stop()
		hosts, _ := filepath.Glob(s.path("tb*"))
		here, _ := filepath.Glob(s.path("here/[^h]*")) // all but home
		for _, name := range append(append(hosts, here...), s.path("promote")) {
			if err := os.RemoveAll(name); err != nil {
				s.t.Fatal(err)
			}
		}
		s.host("here")
	}
	if block.installed != "" {
		s.install("here", block.installed)
	}
	if block.replica {
		s.start("here")
	}
	if block.setup != "" {
		s.setup(block.setup)
	}
}

// install puts a release at a host's target, as one that was always there.
func (s *sandbox) install(host, release string) {
	s.t.Helper()
	target := s.path(host, "usr/local/bin/tigerbeetle")
	writeDoc(s.t, target, s.world.binary[release], 0o755)
}

// start formats a data file and starts a replica from a host's target.
func (s *sandbox) start(host string) {
	s.t.Helper()
	data := s.path(host, "var/lib/tigerbeetle/0_0.tigerbeetle")
	if code, output := s.shell("HOST=" + host + " $S/" + host + "/usr/local/bin/tigerbeetle format --cluster=7 --replica=0 --replica-count=1 " + data); code != 0 {
		s.t.Fatalf("format: %s", output)
	}
	addresses := standin.Addresses(1)
	writeDoc(s.t, s.path(host, "addresses"), []byte(addresses), 0o644)
	replica := standin.Start(s.t, s.path(host, "usr/local/bin/tigerbeetle"), data, standin.Options{Upgrade: s.path("promote"), Args: []string{"--addresses=" + addresses}})
	writeDoc(s.t, s.path(host, "pid"), fmt.Append(nil, replica.PID()), 0o644)
	s.replicas = append(s.replicas, replica)
}

// cluster makes hosts with a replica each of one cluster, whose replicas decide together when they upgrade.
func (s *sandbox) cluster(id, first, count int) {
	s.t.Helper()
	addresses := standin.Addresses(count)
	for index := range count {
		host := fmt.Sprintf("tb%d", first+index)
		s.host(host)
		s.install(host, "0.17.7")
		s.member(host, id, index, count, addresses)
	}
}

// member does as start does, for a replica of a cluster.
func (s *sandbox) member(host string, cluster, index, count int, addresses string) {
	s.t.Helper()
	target, data := s.path(host, "usr/local/bin/tigerbeetle"), s.path(host, "var/lib/tigerbeetle/0_0.tigerbeetle")
	if output, err := exec.Command(target, "format", fmt.Sprintf("--cluster=%d", cluster), fmt.Sprintf("--replica=%d", index), fmt.Sprintf("--replica-count=%d", count), data).CombinedOutput(); err != nil {
		s.t.Fatalf("format: %v\n%s", err, output)
	}
	s.replicas = append(s.replicas, standin.Start(s.t, target, data, standin.Options{Upgrade: "cluster", Args: []string{"--addresses=" + addresses}}))
}

// docsStaging starts an installation that does not end, and waits until it stages: its standard
// input, which it holds open itself, has the beginning of a release and no end.
const docsStaging = `rm -f $S/open; mkfifo $S/open
	tbctl install - <>$S/open >$S/staging 2>&1 & tbctl=$!
	cat $S/part >$S/open
	until ls -A $S/here/usr/local/bin | grep -q tbctl-stage; do kill -0 $tbctl || { cat $S/staging; exit 1; }; sleep 0.02; done`

const docsPart = 60_000 // bytes: a pipe takes them all at once

// setup prepares what a document tells about.
func (s *sandbox) setup(name string) {
	s.t.Helper()
	target := s.path("here/usr/local/bin/tigerbeetle")
	home := func(name string, data []byte, mode os.FileMode) { writeDoc(s.t, s.path("here/home", name), data, mode) }
	next := s.world.binary["0.17.8"]
	switch name {
	case "cluster": // six hosts with a replica each
		for index := range 6 {
			host := fmt.Sprintf("tb%d", index)
			s.host(host)
			s.install(host, "0.17.7")
			s.start(host)
		}
	case "fleet": // three hosts with a replica of one cluster each
		s.cluster(7, 0, 3)
	case "clusters": // the same, and three of another
		s.cluster(7, 0, 3)
		s.cluster(8, 3, 3)
	case "container": // a replica in one, with the directory of the target mounted
		s.contained(`mount --bind "$S/here/usr/local/bin" /mnt; exec /mnt/tigerbeetle`)
	case "container-file": // with the file alone
		s.contained(`mount -t tmpfs none /mnt; touch /mnt/tb; mount --bind "$S/here/usr/local/bin/tigerbeetle" /mnt/tb; exec /mnt/tb`)
	case "plain": // an executable without multiversion sections, such as 0.15.3
		writeDoc(s.t, target, standin.Executable(s.t, 0x000f0300), 0o755)
	case "config":
		writeDoc(s.t, s.path("here/etc/tbctl/config.toml"),
			fmt.Appendf(nil, "mirror = %q\nrequire = %q\n", s.world.url+"/mirror/{tag}/{asset}", "digest"), 0o644)
	case "stores":
		writeDoc(s.t, s.path("here/etc/tbctl/token"), []byte("t0ken\n"), 0o600)
	case "archive":
		home(docsAsset, zipOf(s.t, next), 0o644)
	case "cut":
		archive := zipOf(s.t, next)
		home(docsAsset, archive[:len(archive)*2/3], 0o644)
	case "damaged":
		data := bytes.Clone(next)
		data[len(data)/2] ^= 1
		home("tigerbeetle", data, 0o755)
	case "crashed": // after the swap, and before its outcome was recorded
		s.must("tbctl install 0.17.8 --quiet >/dev/null; sed -i '$d' /var/lib/tbctl/history.jsonl")
		s.crash(target)
	case "killed": // in the middle of staging
		writeDoc(s.t, s.path("part"), next[:docsPart], 0o644)
		s.must(docsStaging + `; kill -9 $tbctl`)
	case "busy": // another tbctl waits for its standard input
		writeDoc(s.t, s.path("part"), next[:docsPart], 0o644)
		s.must(docsStaging + `; echo $tbctl > $S/here/pid`)
	default:
		s.t.Fatalf("unknown setup %q", name)
	}
}

// contained starts a replica in a mount and PID namespace of its own. The script mounts its binary and begins to execute it.
func (s *sandbox) contained(script string) {
	s.t.Helper()
	data := "$S/here/var/lib/tigerbeetle/0_0.tigerbeetle"
	s.must("$S/here/usr/local/bin/tigerbeetle format --cluster=7 --replica=0 --replica-count=1 " + data)
	writeDoc(s.t, s.path("contained"), fmt.Appendf(nil, "set -e\nmount --make-rprivate /\n%s start --addresses=%s %s\n", script, standin.Addresses(1), data), 0o644)
	s.must(`unshare --mount --pid --fork --kill-child sh $S/contained >$S/log 2>&1 </dev/null & echo $! >$S/here/pid
until grep -q listening $S/log; do [ -e /proc/$! ] || { cat $S/log; exit 1; }; sleep 0.02; done`)
}

// crash makes the state beside the target what it was before the outcome was recorded.
func (s *sandbox) crash(target string) {
	name := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".tbctl-state")
	var state install.State
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	record := *state.Last
	record.Phase, record.Result = install.PhaseIntent, ""
	state.Next = &install.Next{Operation: record, Files: state.Files}
	state.Last, state.Files = nil, install.Files{}
	if text, err = json.Marshal(state); err != nil {
		s.t.Fatal(err)
	}
	writeDoc(s.t, name, text, 0o644)
}
