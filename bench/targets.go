package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// targets are the lines of the table.
func (b *bed) targets() []target {
	work := b.path("work")
	installed := []string{b.tbctl, "install", b.url + "/release.zip", b.path("work/ours"), "--quiet", "--state-dir", b.path("state"), "--cache-dir", b.path("cache")}
	peer := `set -e; cd ` + work + `; curl -sSfLO ` + b.url + `/release.zip; unzip -qo release.zip; sha256sum tigerbeetle >/dev/null; sync tigerbeetle; mv tigerbeetle theirs`
	fresh := func() error { // both start with nothing there
		if err := os.RemoveAll(work); err != nil {
			return err
		}
		return os.MkdirAll(work, 0o755)
	}
	list := []target{
		{
			name: "checksum core, 64 MiB in memory", want: "≥ 0.95", peerName: "C intrinsics, gcc -O3", speed: true,
			ours:    command{args: []string{b.path("aegis.test"), "-test.run=^$", "-test.bench=^BenchmarkSum/^path=avx$/^size=64MiB$", "-test.benchtime=20x"}},
			peer:    command{args: []string{b.path("peer"), "64", "20"}},
			missing: missing("gcc"),
		},
		{
			name: "verify, 64 MiB, 5 releases", want: "≤ 0.35", peerName: "sha256sum",
			ours: command{args: []string{b.tbctl, "verify", b.path("release")}}, peer: command{args: []string{"sha256sum", b.path("release")}},
			missing: missing("sha256sum"),
		},
		{
			name: "inspect, 250 MiB against a few", want: "≤ 1.1", peerName: "tbctl inspect of a small file of the same kind",
			ours: command{args: []string{b.tbctl, "inspect", b.path("large")}}, peer: command{args: []string{b.tbctl, "inspect", b.path("few")}},
		},
		{
			name: "install, 64 MiB zip from HTTP", want: "≤ 0.7", peerName: "curl + unzip + sha256sum + sync + mv",
			ours: command{args: installed, reset: fresh}, peer: command{args: []string{"sh", "-c", peer}, reset: fresh},
			missing: missing("curl", "unzip", "sha256sum", "sync"),
		},
		{
			name: "start-up, tbctl --version", want: "≤ 2", peerName: "a Go program that prints a line",
			ours: command{args: []string{b.tbctl, "--version"}}, peer: command{args: []string{b.path("hello-" + runtime.GOOS + "-" + runtime.GOARCH)}},
		},
	}
	if runtime.GOARCH != "amd64" {
		list[0].missing = "a C loop for this processor"
		list[0].ours.args[2] = "-test.bench=^BenchmarkSum/.*/^size=64MiB$"
	}
	return append(list, b.upstream())
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
		{"verify, 64 MiB", []string{"verify", b.path("release")}},
		{"install, 64 MiB zip", []string{"install", b.url + "/release.zip", b.path("work/counted"), "--quiet", "--state-dir", b.path("state"), "--cache-dir", b.path("cache")}},
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
	calls, syncs, renames int
	read                  int64 // bytes of read and pread64 that are no sockets'
}

var traced = regexp.MustCompile(`^\d+ +(?:<\.\.\. )?(\w+)(?: resumed>)?.*= (-?\d+)`)

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
