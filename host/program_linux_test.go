package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A program's end and last words are told, whatever it says and however it ends.
func TestRunProgram(t *testing.T) {
	t.Parallel()
	shell := func(script string) program { return program{command: []string{"sh", "-c", script}} }
	long := fmt.Sprintf("seq -w %d; echo the last", outputSizeMax/16)
	for name, test := range map[string]struct {
		program    program
		said, fail string
	}{
		"well":                   {shell("echo one; echo two >&2"), "one\ntwo", ""},
		"badly":                  {shell("echo why; exit 3"), "why", "exit status 3"},
		"killed":                 {shell("kill -9 $$"), "", "signal: killed"},
		"much":                   {shell(long), "the last", ""},
		"more than is kept":      {shell("yes | head -c 3000000; exit 1"), "y", "exit status 1"},
		"no text":                {shell(`printf '\377'`), "\ufffd", ""},
		"no such program":        {program{command: []string{"tbctl-no-such-program"}}, "", "is not in /usr/bin"},
		"not on the host's path": {program{command: []string{"../bin/sh"}}, "", "is not in /usr/bin"},
		"PATH and arguments":     {program{command: []string{"sh", "-c", `echo "$PATH $HOME $1"`, "sh", "a b"}}, "/usr/bin:/bin:/usr/sbin:/sbin / a b", ""},
	} {
		said, err := runProgram(t.Context(), test.program)
		if !strings.HasSuffix(said, test.said) || len(said) > saidSizeMax {
			t.Errorf("%s: it said %.100q", name, said)
		}
		var failed *ProgramError
		if (err == nil) != (test.fail == "") || err != nil && (!errors.As(err, &failed) || !strings.Contains(err.Error(), test.fail) || failed.Said != said) {
			t.Errorf("%s: %.300v, want %q", name, err, test.fail)
		}
	}
}

// A program that does not end is ended with its context; what it has started goes on with its descriptors.
func TestRunProgramTimeout(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines := bufio.NewScanner(held)
	go func() {
		if lines.Scan() { // the daemon of the program has begun
			cancel()
		}
	}()
	daemon := `(echo begun >"$0"; read line <"$0.go"; echo I go on; echo $? >"$0.said") &`
	if err := syscall.Mkfifo(fifo+".go", 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = runProgram(ctx, program{command: []string{"sh", "-c", daemon + " exec sleep 1000", fifo}})
	if err == nil || !strings.Contains(err.Error(), "it was ended after") {
		t.Fatalf("%v", err)
	}
	if err := syscall.Mkfifo(fifo+".said", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fifo+".go", []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if said, err := os.ReadFile(fifo + ".said"); err != nil || string(said) != "0\n" {
		t.Errorf("a daemon that was started: %q, %v", said, err)
	}
}
