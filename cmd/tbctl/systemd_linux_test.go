package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSystemdUnits has systemd read the units in contrib/systemd, and runs what the service runs: in the collector's directory there is the
// whole text afterwards, and nothing else.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	const units = "../../contrib/systemd/"
	content, err := os.ReadFile(units + "tbctl-metrics.service")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^ExecStart=/bin/sh -c '(.*)'$`).FindSubmatch(content)
	if command == nil {
		t.Fatal("the service runs no command of a shell")
	}
	dir := t.TempDir()
	run := exec.Command("/bin/sh", "-c", string(command[1]))
	run.Dir, run.Env = dir, append(os.Environ(), "TBCTL_TARGET="+filepath.Join(dir, "none"), "TBCTL_CONFIG=/dev/null", "TBCTL_STATE_DIR="+t.TempDir())
	if output, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	text, err := os.ReadFile(filepath.Join(dir, "tbctl.prom"))
	if err != nil || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Errorf("%v\n%s", err, text)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("it left %v", left)
	}
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skipf("skipped: units are read by systemd-analyze (package systemd): %v", err)
	}
	if output, err := exec.Command(program, "verify", "--man=no", units+"tbctl-metrics.service", units+"tbctl-metrics.timer").CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("systemd-analyze: %v\n%s", err, output)
	}
}
