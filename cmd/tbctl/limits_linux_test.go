package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// TestThreadLimit runs as a user who may have only so many threads: it is said in one line
// and nothing is begun, or it works.
func TestThreadLimit(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can become a user of whom nothing else runs")
	}
	prlimit, err := exec.LookPath("prlimit")
	if err != nil {
		t.Skip("skipped: no prlimit")
	}
	program, err := exec.LookPath("tbctl")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "tbctl-limit-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(program)
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	copied := filepath.Join(dir, "tbctl")
	if err != nil {
		t.Fatal(err)
	}
	standin.Replace(t, copied, data)
	const threadsMin = 12
	for limit, code := range map[int]int{8: 1, threadsMin: 0} {
		const user = 47_113
		command := exec.CommandContext(t.Context(), prlimit, fmt.Sprintf("--nproc=%d", limit), copied, "config")
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		command.Dir = "/"
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TBCTL_CONFIG=" + os.DevNull}
		var text bytes.Buffer
		command.Stderr = &text
		_ = command.Run()
		if got := command.ProcessState.ExitCode(); got != code {
			t.Errorf("limit %d: exit code %d, want %d: %.500s", limit, got, code, text.String())
		}
		want := fmt.Sprintf("only %d processes and threads may run as user %d, 0 others do, and it takes %d: ulimit -u 64", limit, user, threadsMin)
		if code != 0 && (strings.Count(text.String(), "\n") != 1 || !strings.Contains(text.String(), want)) {
			t.Errorf("limit %d: standard error is %.500q, want %q", limit, text.String(), want)
		}
	}
}
