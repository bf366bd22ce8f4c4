package standin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Freezers are the hierarchies of control groups of this system in which a process can be frozen, by the file that does it.
func Freezers() map[string]string {
	found := make(map[string]string)
	for _, name := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"} {
		file := "cgroup.freeze"
		if filepath.Base(name) == "freezer" {
			file = "freezer.state"
		} else if _, err := os.Stat(filepath.Join(name, "cgroup.controllers")); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(name, "cgroup.procs")); err == nil {
			found[name] = file
		}
	}
	return found
}

// Freeze freezes a process in a control group of its own, as docker pause does, and returns what continues it. The test skips where
// no control group can be made.
func Freeze(t *testing.T, hierarchy string, pid int) (thaw func()) {
	t.Helper()
	file, ok := Freezers()[hierarchy]
	if !ok {
		t.Skipf("%s has no control groups that freeze", hierarchy)
	}
	group := filepath.Join(hierarchy, fmt.Sprintf("tbctl-test-%d", pid))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skip(err)
	}
	put := func(name, text string) error { return os.WriteFile(name, []byte(text), 0) }
	words := map[string][2]string{"cgroup.freeze": {"1", "0"}, "freezer.state": {"FROZEN", "THAWED"}}[file]
	thaw = func() {
		if err := put(filepath.Join(group, file), words[1]); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		thaw()
		err := put(filepath.Join(hierarchy, "cgroup.procs"), fmt.Sprint(pid)) // where it has ended, it is in none
		if err := os.Remove(group); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Log(err)
		}
		if err != nil && !strings.Contains(err.Error(), "no such process") {
			t.Log(err)
		}
	})
	for _, step := range [][2]string{{"cgroup.procs", fmt.Sprint(pid)}, {file, words[0]}} {
		if err := put(filepath.Join(group, step[0]), step[1]); err != nil {
			t.Skip(err)
		}
	}
	return thaw
}
