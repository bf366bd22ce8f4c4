//go:build linux

package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// stall starts an installation and returns when it has received what the line lets
// through, and keeps it in the cache. Nothing more comes.
func stall(t *testing.T, h *host, f *fault) *exec.Cmd {
	t.Helper()
	cmd := h.command("install", "0.17.8", h.target, "--idle-timeout", "1h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%d bytes are kept", f.at), func() bool { return h.cached() >= f.at })
	return cmd
}

// cached is how many bytes unfinished downloads have in the cache.
func (h *host) cached() (size int64) {
	_ = filepath.WalkDir(h.cache, func(path string, entry fs.DirEntry, err error) error {
		if info, failed := os.Stat(path); err == nil && failed == nil && info.Mode().IsRegular() {
			size += max(0, info.Size()-1<<10) // without the head
		}
		return nil
	})
	return size
}

// TestKilled kills a download without warning and runs the same command again.
func TestKilled(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	total := int64(len(y.next.zip))
	percents := []int{1, 10, 50, 90, 99}
	t.Run("at", func(t *testing.T) {
		for _, percent := range percents {
			t.Run(strconv.Itoa(percent), func(t *testing.T) {
				t.Parallel()
				f := &fault{kind: faultStall, at: total * int64(percent) / 100}
				h := y.through(t, newFaultyLine(t, y.address, f), strconv.Itoa(percent))
				cmd := stall(t, h, f)
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				after := h.look()
				if after.sha256 != h.before.sha256 || after.inode != h.before.inode {
					t.Errorf("the target was touched: %+v, was %+v", after, *h.before)
				}
				after.names = slices.DeleteFunc(after.names, func(name string) bool { return strings.HasPrefix(name, ".tigerbeetle.tbctl-") })
				if !slices.Equal(after.names, h.before.names) {
					t.Errorf("beside the target: %q", after.names)
				}
				origin := h.run("install", "0.17.8", h.target, "--json").want(0).document().Result.Plan.Origin
				h.holds(y.next)
				if origin.Resumed < f.at-slack || origin.Fetched > total-f.at+slack {
					t.Errorf("resumed %d and fetched %d bytes; %d of %d had come", origin.Resumed, origin.Fetched, f.at, total)
				}
				if left := h.cached(); left != 0 {
					t.Errorf("%d bytes are still in the cache", left)
				}
			})
		}
	})
	requests := y.requests("/p/")
	for _, percent := range percents {
		wentOn(t, to(requests, fmt.Sprintf("/p/%d/releases/download/0.17.8/%s", percent, y.asset)), total, total*int64(percent)/100)
	}
}

// TestInterrupted ends a download by signals that can be caught.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			f := &fault{kind: faultStall, at: int64(len(y.next.zip)) / 2}
			h := y.through(t, newFaultyLine(t, y.address, f), strings.ReplaceAll(signal.String(), " ", "-"))
			var stderr strings.Builder
			cmd := h.command("install", "0.17.8", h.target, "--idle-timeout", "1h")
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "half is kept", func() bool { return h.cached() >= f.at })
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "hint: ") {
				t.Errorf("exit code %d, %s", code, stderr.String())
			}
			h.untouched()
			origin := h.run("install", "0.17.8", h.target, "--json").want(0).document().Result.Plan.Origin
			h.holds(y.next)
			if origin.Resumed == 0 {
				t.Error("nothing was resumed")
			}
		})
	}
}

// TestChangedMeanwhile goes on with a download of which the server has another file by now.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	f := &fault{kind: faultStall, at: int64(len(y.next.zip)) / 2}
	h := y.through(t, newFaultyLine(t, y.address, f), "changed")
	cmd := stall(t, h, f)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	other := otherZip(t, y.next)
	y.serve("/releases/download/0.17.8/"+y.asset, other)
	origin := h.run("install", "0.17.8", h.target, "--sha256", sum(other), "--json").want(0).document().Result.Plan.Origin
	h.holds(y.next)
	if origin.Resumed != 0 || origin.SHA256 != sum(other) {
		t.Errorf("origin %+v", origin)
	}
}

// TestTwoAtOnce fetches the same release for two targets at the same time: only one of
// them can keep what comes for later, and both install.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	require(t, "nginx")
	y := newYard(t)
	f := &fault{kind: faultStall, at: int64(len(y.next.zip)) / 2}
	h := y.through(t, newFaultyLine(t, y.address, f), "two")
	first := stall(t, h, f)
	second := y.through(t, newLine(t, y.address), "two")
	second.set("TBCTL_CACHE_DIR="+h.cache, "TBCTL_GITHUB_URL="+h.variable("TBCTL_GITHUB_URL"))
	second.run("install", "0.17.8", second.target).want(0)
	second.holds(y.next)
	h.run("install", "0.17.8", h.target).failed(5, "--wait")
	_ = first.Process.Kill()
	_ = first.Wait()
	h.run("install", "0.17.8", h.target).want(0)
	h.holds(y.next)
}

// variable is a variable of the host's environment.
func (h *host) variable(name string) string {
	value := ""
	for _, entry := range h.env {
		if found, ok := strings.CutPrefix(entry, name+"="); ok {
			value = found
		}
	}
	return value
}
