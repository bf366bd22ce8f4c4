package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A rollout whose reader is gone changes nothing more, whether it works or waits, and says so; what only looks ends too.
func TestFleetUnheard(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	if _, code := f.carry("stage", file); code != 0 {
		t.Fatalf("stage: exit code %d", code)
	}
	unheard := func(said string, reads int, args ...string) {
		t.Helper()
		e := pipeEnds(t)
		defer e.write.Close()
		if reads == 0 {
			e.lose(t)
		}
		command := exec.CommandContext(t.Context(), f.program, append(append([]string{"fleet"}, args...), "--fleet", f.inventory, "--state-dir", filepath.Join(filepath.Dir(f.inventory), "state"))...)
		var errs bytes.Buffer
		command.Env, command.Stdout, command.Stderr = quick(), e.write, &errs
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if reads > 0 {
			if _, err := e.read.Read(make([]byte, reads)); err != nil {
				t.Fatal(err)
			}
			e.lose(t)
		}
		_ = command.Wait() // the exit code says it
		if code := command.ProcessState.ExitCode(); code != 130 || !strings.Contains(errs.String(), said) {
			t.Errorf("fleet %s: exit code %d, want 130 and %q: %s", args[0], code, said, &errs)
		}
	}
	const gone = "standard output: its reader is gone"
	before := f.shows("one replica runs on each host", nil)
	for _, args := range [][]string{{"arm", file}, {"run", file, "--until", "armed"}, {"abort", file}, {"stop", file}} {
		unheard(gone, 0, append(args, "--quiet")...)
	}
	after := f.shows("one replica runs on each host", nil)
	for index := range after {
		was, is := before[index].Report.Targets[0].Status, after[index].Report.Targets[0].Status
		if is.Fence != nil || was.Installed.SHA256 != is.Installed.SHA256 {
			t.Errorf("%s was changed: %+v", after[index].Name, is)
		}
	}
	unheard("", 1, "status", "--follow", "--interval", "1h")
	if _, code := f.carry("arm", file); code != 0 {
		t.Fatalf("arm: exit code %d", code)
	}
	unheard(gone, 1, "promote", file, "ledger", "--yes", "--stable", "10m")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	command := exec.CommandContext(t.Context(), f.program, "fleet", "promote", file, "ledger", "--yes", "--stable", "100ms", "--fleet", f.inventory, "--state-dir", filepath.Join(filepath.Dir(f.inventory), "state"))
	var errs bytes.Buffer
	command.Env, command.Stdout, command.Stderr = quick(), full, &errs
	_ = command.Run() // the exit code says it
	if code := command.ProcessState.ExitCode(); code != 1 || !strings.Contains(errs.String(), "standard output: what it does cannot be written: ") || !strings.Contains(errs.String(), "then the same command again") {
		t.Errorf("on a full disk: exit code %d: %s", code, &errs)
	}
	if _, installed := f.runs(); count(installed, "0.17.7") != 1 {
		t.Errorf("installed are %v, of which one is held back", installed)
	}
}
