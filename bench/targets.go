package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// targets are the lines of the table.
func (b *bed) targets() []target {
	list := []target{b.checksum()}
	list = append(list, b.verifies()...)
	list = append(list, target{
		name: "inspect, 250 MiB", want: "≤ 1.1", peerName: "inspect of a small file of the same kind",
		ours: b.run("inspect", b.path("large")), peer: b.run("inspect", b.path("few")),
	})
	list = append(list, b.installs()...)
	list = append(list, b.parts())
	hello := command{args: []string{b.path("hello")}}
	linked := &floor{command: command{args: []string{b.path("linked")}}, is: "one that links the modules that tbctl does"}
	return append(list, target{
		name: "start-up, --version", want: "≤ 1.4", peerName: "a Go program that prints a line",
		ours: b.run("--version"), peer: hello, floor: linked,
	}, target{
		name: "start-up, inspect of a small file", want: "-", peerName: "the same",
		ours: b.run("inspect", b.path("small")), peer: hello, floor: linked,
	}, b.upstream())
}

// run is a command line of tbctl.
func (b *bed) run(args ...string) command { return command{args: append([]string{b.tbctl}, args...)} }

func (b *bed) checksum() target {
	line := target{
		name: "checksum core, 64 MiB in memory", want: "≥ 0.95", peerName: "C intrinsics, gcc -O3", speed: true,
		ours:    command{args: []string{b.path("aegis.test"), "-test.run=^$", "-test.bench=^BenchmarkSum/^path=avx$/^size=64MiB$", "-test.benchtime=20x"}},
		peer:    command{args: []string{b.path("peer"), "64", "20"}},
		missing: missing("gcc"),
	}
	if runtime.GOARCH != "amd64" {
		line.missing = "a C loop for this processor"
		line.ours.args[2] = "-test.bench=^BenchmarkSum/.*/^size=64MiB$"
	}
	return line
}

// verifies compare with reading the file, on all processors and on one, and with hashing it.
func (b *bed) verifies() []target {
	one := func(c command) command { c.args = append([]string{"taskset", "-c", "0"}, c.args...); return c }
	read := func(name string) command {
		return command{args: []string{"sh", "-c", "exec cat " + b.path(name) + " >/dev/null"}}
	}
	var list []target
	for _, size := range []struct{ name, text string }{{"release", "36.8 MB"}, {"largest", "64 MiB"}} {
		ours, peer := b.run("verify", b.path(size.name)), read(size.name)
		list = append(list,
			target{name: "verify, " + size.text, want: "≤ 1.3", peerName: "cat >/dev/null", ours: ours, peer: peer},
			target{name: "verify, " + size.text + ", on one processor", want: "≤ 1.3", peerName: "the same", ours: one(ours), peer: one(peer), missing: missing("taskset")})
	}
	return append(list, target{
		name: "verify, 64 MiB", want: "-", peerName: "sha256sum",
		ours: b.run("verify", b.path("largest")), peer: command{args: []string{"sha256sum", b.path("largest")}}, missing: missing("sha256sum"),
	})
}

// installs compare with what people do instead, one step after the other.
func (b *bed) installs() []target {
	work := b.path("work")
	install := func(what, source string, args ...string) target { // of a zip, where nothing is
		fresh := func() error {
			if err := os.RemoveAll(work); err != nil {
				return err
			}
			return os.MkdirAll(work, 0o755)
		}
		zip := what + ".zip"
		steps := "set -e; cd " + work + "; curl -sSfLO " + b.url + "/" + zip + "; unzip -qo " + zip +
			"; sha256sum tigerbeetle >/dev/null; sync tigerbeetle; mv tigerbeetle theirs"
		ours := b.run(append([]string{"install", source, b.path("work/ours"), "--quiet", "--state-dir", b.path("state"), "--cache-dir", b.path("cache")}, args...)...)
		ours.reset = fresh
		return target{
			name: fmt.Sprintf("install, %.1f MB as a zip of %.1f MB", b.megabytes(what), b.megabytes(zip)),
			ours: ours, peer: command{args: []string{"sh", "-c", steps}, reset: fresh}, peerName: "curl + unzip + sha256sum + sync + mv",
			floor: &floor{
				command: command{args: []string{b.self, "-floor", b.url + "/" + zip, "-work", work}, reset: fresh},
				prints:  true, is: "network + the slowest stage + sync",
			},
			want: "-", wantFloor: "≤ 1.25", missing: missing("curl", "unzip", "sha256sum", "sync"),
		}
	}
	first := install("release", b.url+"/release.zip")
	first.want = "≤ 0.55"
	upgrade := install("release", benchRelease(5).String(), "--mirror", b.url+"/{tag}/{asset}")
	upgrade.name, upgrade.want = "install of a release over another", "≤ 0.55"
	over := func() error {
		return errors.Join(first.ours.reset(), copyFile(b.path("older"), filepath.Join(work, "ours")), copyFile(b.path("older"), filepath.Join(work, "theirs")))
	}
	upgrade.ours.reset, upgrade.peer.reset = over, over
	list := []target{first, upgrade}
	if b.hashInstructions() {
		for _, each := range list {
			each.name, each.want = each.name+", without SHA instructions", "≤ 0.65"
			each.ours.env, each.peer.env = withoutSHA, withoutSHA
			slower := *each.floor
			slower.env = withoutSHA
			each.floor = &slower
			list = append(list, each)
		}
	}
	return append(list, install("largest", b.url+"/largest.zip"))
}

// parts is an installation over the release before, from a server that sends parts of the bare executable over a line of 100
// Mbit/s, against one where nothing is.
func (b *bed) parts() target {
	work := b.path("work")
	fresh := func() error { return errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o755)) }
	whole := b.run("install", b.url+"/"+lineName+"/release", b.path("work/ours"), "--quiet", "--state-dir", b.path("state"), "--cache-dir", b.path("cache"), "--sha256", b.sum("release"))
	whole.reset = fresh
	over := whole
	over.reset = func() error { return errors.Join(fresh(), copyFile(b.path("older"), filepath.Join(work, "ours"))) }
	return target{
		name: "install over the release before, from a server that sends parts, 100 Mbit/s", want: "≤ 0.35",
		ours: over, peer: whole, peerName: "the same where nothing is",
	}
}

// sum is the SHA-256 of a fixture, "" if it is not there.
func (b *bed) sum(name string) string {
	data, err := os.ReadFile(b.path(name))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// megabytes is the size of a fixture, NaN if it is not there.
func (b *bed) megabytes(name string) float64 {
	info, err := os.Stat(b.path(name))
	if err != nil {
		return math.NaN()
	}
	return float64(info.Size()) / 1e6
}

// withoutSHA makes Go, and OpenSSL where a sha256sum uses it, do without the processor's
// instructions for SHA-256.
var withoutSHA = map[string][]string{
	"amd64": {"GODEBUG=cpu.sha=off", "OPENSSL_ia32cap=:~0x20000000"},
	"arm64": {"GODEBUG=cpu.sha2=off", "OPENSSL_armcap=~0x10"},
}[runtime.GOARCH]

// hashInstructions reports whether it matters.
func (b *bed) hashInstructions() bool { return b.hashes[0] > 1.3*b.hashes[1] }

// measureHashes measures SHA-256 here, and without the instructions for it.
func (b *bed) measureHashes(ctx context.Context) error {
	for index, env := range [][]string{nil, withoutSHA} {
		_, output, err := runCommand(ctx, command{args: []string{b.self, "-hash"}, env: env})
		if err == nil {
			b.hashes[index], err = strconv.ParseFloat(strings.TrimSpace(output), 64)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// upstream compares with the command that TigerBeetle has itself. It only
// reads files that hold its own release, so it is given its own.
func (b *bed) upstream() target {
	return target{
		name: "verify of tigerbeetle itself", want: "-", peerName: "tigerbeetle multiversion",
		ours:    command{args: []string{"sh", "-c", "exec " + b.tbctl + " verify \"$(command -v tigerbeetle || echo " + b.path("small") + ")\""}},
		peer:    command{args: []string{"sh", "-c", "exec tigerbeetle multiversion \"$(command -v tigerbeetle)\""}},
		missing: missingUpstream(),
	}
}

// missingUpstream returns what is missing unless a tigerbeetle that says so is installed.
func missingUpstream() string {
	const program = "tigerbeetle"
	if missing(program) == "" {
		version, err := exec.Command(program, "version").Output()
		if err == nil && strings.HasPrefix(string(version), "TigerBeetle") {
			return ""
		}
	}
	return program
}

// systemCalls counts what the clock does not: calls and bytes read.
func (b *bed) systemCalls(ctx context.Context) error {
	if name := missing("strace"); name != "" {
		fmt.Println("system calls: not counted, missing:", name)
		return nil
	}
	if err := os.MkdirAll(b.path("work"), 0o755); err != nil {
		return err
	}
	for _, line := range []struct {
		name string
		args []string
	}{
		{"inspect, 250 MiB", []string{"inspect", b.path("large")}},
		{"inspect, 64 MiB stored in a zip", []string{"inspect", b.path("stored.zip")}},
		{"verify, 64 MiB", []string{"verify", b.path("largest")}},
		{"install, 64 MiB zip", []string{"install", b.url + "/largest.zip", b.path("work/counted"), "--quiet", "--state-dir", b.path("state"), "--cache-dir", b.path("cache")}},
	} {
		count, err := b.count(ctx, line.args)
		if err != nil {
			return err
		}
		fmt.Printf("%-36s %6d system calls, %10d bytes read from files, %d syncs, %d renames\n", line.name, count.calls, count.read, count.syncs, count.renames)
	}
	return nil
}

// counted is what strace saw.
type counted struct {
	calls, syncs, renames int   // calls but those of scheduling
	read                  int64 // bytes of read and pread64 that are no sockets'
}

var traced = regexp.MustCompile(`^\d+ +(?:<\.\.\. )?(\w+)(?: resumed>)?.*= (-?\d+)`)

// scheduling are the calls of Go's scheduler and its collector: how many there are follows what
// else the machine does.
var scheduling = regexp.MustCompile(`^(futex|.*nanosleep|sched_yield|epoll_p?wait|madvise|tgkill|getpid|gettid|rt_sig.*|sigaltstack|clone3?|set_robust_list|rseq|exit)$`)

func (b *bed) count(ctx context.Context, args []string) (counted, error) {
	trace := b.path("trace")
	if err := execute(ctx, append([]string{"strace", "-f", "-y", "-o", trace, b.tbctl}, args...)...); err != nil {
		return counted{}, err
	}
	return readTrace(trace)
}

func readTrace(name string) (counted, error) {
	file, err := os.Open(name)
	if err != nil {
		return counted{}, err
	}
	defer file.Close()
	var result counted
	lines := bufio.NewScanner(file)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		match := traced.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		if scheduling.MatchString(match[1]) {
			continue
		}
		result.calls++
		value, _ := strconv.ParseInt(match[2], 10, 64)
		switch call := match[1]; {
		case (call == "read" || call == "pread64") && value > 0 && !strings.Contains(lines.Text(), "<socket:"):
			result.read += value
		case call == "fsync" || call == "fdatasync":
			result.syncs++
		case strings.HasPrefix(call, "renameat"):
			result.renames++
		}
	}
	return result, lines.Err()
}
