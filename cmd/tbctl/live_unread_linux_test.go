package main

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A watch whose output nobody reads any more ends, also while there is nothing to print.
func TestLiveUnread(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	alone := l.binary("0.17.7", "0.17.5", "0.17.6")
	for _, args := range [][]string{{"watch", alone}, {"watch", alone, "--json"}, {"watch", alone, "--until", "running"}} {
		t.Run(strings.Join(append([]string{"watch"}, args[2:]...), " "), func(t *testing.T) {
			t.Parallel()
			command := exec.Command("tbctl", args...)
			command.Dir, command.Env = l.dir, l.env()
			output, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			defer command.Process.Kill()
			if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || !strings.Contains(line, "0.17.7") {
				t.Errorf("it says %q, %v", line, err)
			}
			output.Close()
			ended := make(chan error, 1)
			go func() { ended <- command.Wait() }()
			select {
			case <-ended:
			case <-time.After(time.Minute):
				t.Fatal("it does not end")
			}
			if code := command.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
