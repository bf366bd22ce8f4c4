package main

import (
	"context"
	"os"
	"runtime"
	"testing"
)

// TestLimits holds the figures that do not depend on the clock: memory, bytes
// read, system calls. The clock's are for people: go run ./bench.
func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped in short mode: makes files of 64 and 250 MiB")
	}
	if runtime.GOOS != "linux" {
		t.Skip("skipped: counts as Linux and strace do")
	}
	t.Chdir("..") // where the go command finds the packages
	b, err := newBed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
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
		{"inspect 250 MiB", []string{"inspect", b.path("large")}, 20, 64, 700, 0, 0},
		{"inspect stored", []string{"inspect", b.path("stored.zip")}, 20, 64, 700, 0, 0},
		{"verify 64 MiB", []string{"verify", b.path("release")}, 48, 80 << 10, 3000, 0, 0},
		{"verify 250 MiB", []string{"verify", b.path("large")}, 48, 260 << 10, 6000, 0, 0},
		{"install", install, 48, 200 << 10, 14000, 6, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			measured, err := once(context.WithoutCancel(t.Context()), command{args: append([]string{b.tbctl}, test.args...)}, false)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak memory %d KiB", measured.memory>>10)
			if measured.memory > test.memory<<20 {
				t.Errorf("peak memory is %d bytes, at most %d MiB are allowed", measured.memory, test.memory)
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
}
