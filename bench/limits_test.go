package main

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == memoryFlag {
		printMemory(os.Args[2:])
		return
	}
	os.Exit(m.Run())
}

// TestLimits holds the figures that do not depend on the clock: memory, bytes
// read, system calls. The clock's are for people: go run ./bench.
func TestLimits(t *testing.T) {
	if !testbin.Full() {
		t.Skip("skipped: builds tbctl once more and runs it: set TORTURE=full")
	}
	if runtime.GOOS != "linux" {
		t.Skip("skipped: counts as Linux and strace do")
	}
	t.Chdir("..") // where the go command finds the packages
	b, err := newBed()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	for _, err := range []error{
		execute(t.Context(), "go", "build", "-ldflags=-s -w", "-o", b.tbctl, "./cmd/tbctl"), // as the tests are built: most of it is there already
		b.binary(t.Context(), fixture{"release", forHost, 0, 5}),
		b.zip("release", "stored.zip", zip.Store),
		b.zip("release", "release.zip", zip.Deflate),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(b.path("work"), 0o755); err != nil {
		t.Fatal(err)
	}
	install := []string{
		"install", b.url + "/release.zip", b.path("work/tigerbeetle"), "--quiet",
		"--state-dir", b.path("state"), "--cache-dir", b.path("cache"),
	}
	tests := []struct {
		name           string
		args           []string
		memory         int64 // MiB
		read           int64 // KiB
		calls          int
		syncs, renames int
	}{
		{"inspect", []string{"inspect", b.path("release")}, 20, 64, 700, 0, 0},
		{"inspect stored", []string{"inspect", b.path("stored.zip")}, 20, 64, 700, 0, 0},
		{"verify", []string{"verify", b.path("release")}, 24, 11 << 10, 700, 0, 0},
		{"install", install, 24, 24 << 10, 6000, 7, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			memory, err := b.memory(t.Context(), b.run(test.args...))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak memory %d KiB", memory>>10)
			if memory > test.memory<<20 {
				t.Errorf("peak memory is %d bytes, at most %d MiB are allowed", memory, test.memory)
			}
			if name := missing("strace"); name != "" {
				t.Skip("bytes and calls were not counted, missing: strace")
			}
			if err := os.RemoveAll(b.path("work/tigerbeetle")); err != nil {
				t.Fatal(err)
			}
			count, err := b.count(t.Context(), test.args)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", count)
			if count.read > test.read<<10 {
				t.Errorf("%d bytes read, at most %d KiB are allowed", count.read, test.read)
			}
			if count.calls > test.calls || count.syncs > test.syncs || count.renames != test.renames {
				t.Errorf("%d calls, %d syncs, %d renames; allowed are %d, %d and exactly %d",
					count.calls, count.syncs, count.renames, test.calls, test.syncs, test.renames)
			}
		})
	}
	b.startLimit(t)
	b.historyLimit(t)
}

// startLimit requires that what every command pays before main stays what it is: a package that is linked for one command alone is to make its
// tables when that command needs them.
func (b *bed) startLimit(t *testing.T) {
	const packagesMost, bytesMost = 132, 176 << 10
	const methodsMost = 768 // pairs of a type and an interface: with one more the runtime makes its table of them a third time
	command := exec.CommandContext(t.Context(), b.tbctl, "--version")
	command.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	command.Stderr = &trace
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	program, err := elf.Open(b.tbctl)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	methods := 0
	if table := program.Section(".itablink"); table != nil {
		methods = int(table.Size / 8)
	}
	if t.Logf("%d pairs of a type and an interface", methods); methods == 0 || methods > methodsMost {
		t.Errorf("%d pairs of a type and an interface are in the program, at most %d are allowed", methods, methodsMost)
	}
	packages, allocated := 0, 0
	for line := range strings.Lines(trace.String()) {
		var name string
		var at, clock float64
		var size, allocs int
		if _, err := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &clock, &size, &allocs); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		packages, allocated = packages+1, allocated+size
	}
	t.Logf("%d packages are initialised, which allocates %d bytes", packages, allocated)
	if packages == 0 || packages > packagesMost || allocated > bytesMost {
		t.Errorf("%d packages are initialised at the start, at most %d are allowed, which allocates %d bytes, at most %d", packages, packagesMost, allocated, bytesMost)
	}
}

// historyLimit requires that a long history takes no more memory than a short one may, in any form: the
// last installation's record, again and again, and one line that is as long as all of them.
func (b *bed) historyLimit(t *testing.T) {
	const size, most = 64 << 20, 64 << 20 // bytes
	name := b.path("state/history.jsonl")
	record, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	record = bytes.SplitAfter(record, []byte("\n"))[0]
	for _, long := range [][]byte{bytes.Repeat(record, size/len(record)), slices.Concat(bytes.Repeat([]byte("x"), size), []byte("\n"), record)} {
		if err := os.WriteFile(name, long, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"history"}, {"history", "--json"}, {"status", b.path("work/tigerbeetle"), "--json"}} {
			memory, err := b.memory(t.Context(), b.run(append(args, "--state-dir", b.path("state"))...))
			if err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			t.Logf("%q of %d bytes: peak memory %d KiB", args, len(long), memory>>10)
			if memory > most {
				t.Errorf("%q: peak memory is %d bytes", args, memory)
			}
		}
	}
}
