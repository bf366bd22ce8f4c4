package demo_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/demo"
)

// program builds tbctl as it is released.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: it builds tbctl and runs clusters of stand-ins (-short)")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("skipped: building tbctl needs the go command: %v", err)
	}
	name := filepath.Join(t.TempDir(), "tbctl")
	if output, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", name, "github.com/tbctl/tbctl/cmd/tbctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return name
}

// show is tbctl demo with a directory of its own for temporary files, which all processes that it starts have in their
// environment. Settings of the operator are not for its steps.
func show(t *testing.T, name string, args ...string) (command *exec.Cmd, temporary string) {
	t.Helper()
	temporary = t.TempDir()
	command = exec.Command(name, append([]string{"demo"}, args...)...)
	command.Env = []string{"TMPDIR=" + temporary, "HOME=" + temporary, "PATH=/usr/bin:/bin", "TBCTL_TARGET=/nowhere", "TBCTL_MIRROR=/nowhere"}
	return command, temporary
}

// processes are those that have the directory in their environment.
func processes(t *testing.T, temporary string) []string {
	t.Helper()
	var found []string
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d processes, %v", len(names), err)
	}
	for _, name := range names {
		if environment, _ := os.ReadFile(name); bytes.Contains(environment, []byte("TMPDIR="+temporary+"\x00")) {
			found = append(found, filepath.Dir(name))
		}
	}
	return found
}

// nothing requires that no process and no file is left.
func nothing(t *testing.T, temporary string) {
	t.Helper()
	if left := processes(t, temporary); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// skipUnseen skips where tbctl cannot be sure to see all replicas, as in a container.
func skipUnseen(t *testing.T, said string) {
	t.Helper()
	if strings.Contains(said, "Replicas are left out") || strings.Contains(said, "cannot be seen from here") {
		t.Skipf("skipped: it needs to see all processes of this host: %s", said)
	}
}

// The product on one host, with replicas: each step is shown, and nothing is left.
func TestOneHost(t *testing.T) {
	t.Parallel()
	command, temporary := show(t, program(t))
	output, err := command.CombinedOutput()
	skipUnseen(t, string(output))
	for _, want := range []string{
		"$ tbctl install 1.3.0 tb0/tigerbeetle --wait-armed 30s\n", "RUNNING  ARMED", "upgrades to 1.3.0 when every replica of the cluster offers it",
		"met: serving=1.3.0", "a cluster does not go back", "done: 7 steps in ",
	} {
		if err != nil || !strings.Contains(string(output), want) {
			t.Fatalf("%v, no %q in\n%s", err, want, output)
		}
	}
	nothing(t, temporary)
}

// Three clusters: not planned while a host is down, planned, armed by a controller that is killed and by the next one, one promoted, two
// aborted, planned again and promoted.
func TestFleet(t *testing.T) {
	t.Parallel()
	command, temporary := show(t, program(t), "--fleet", "--json")
	output, err := command.CombinedOutput()
	skipUnseen(t, string(output))
	var document struct{ Result demo.Result }
	if jsonErr := json.Unmarshal(output, &document); err != nil || jsonErr != nil {
		t.Fatalf("%v, %v:\n%s", err, jsonErr, output)
	}
	codes := []int{0, 1, 0, -1, 0, 0, 0, 0, 0, 0}
	if len(document.Result.Steps) != len(codes) {
		t.Fatalf("%+v", document.Result)
	}
	for index, step := range document.Result.Steps {
		if step.ExitCode != codes[index] || step.Expected != codes[index] {
			t.Errorf("%+v", step)
		}
	}
	nothing(t, temporary)
}

// A signal in the middle leaves nothing, and after a kill no process goes on.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	name := program(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			command, temporary := show(t, name, "--fleet")
			output, err := command.StdoutPipe()
			if err == nil {
				err = command.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			said := new(strings.Builder)
			for piece := make([]byte, 4096); !strings.Contains(said.String(), "waits: the artifact is on its way"); {
				count, err := output.Read(piece)
				said.Write(piece[:count])
				if err != nil {
					_ = command.Wait()
					skipUnseen(t, said.String())
					t.Fatalf("%v after\n%s", err, said)
				}
			}
			if running := processes(t, temporary); len(running) < 7 { // itself, the controller, five replicas
				t.Errorf("only %v run", running)
			}
			if err := command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, output)
			_ = command.Wait()
			if signal == syscall.SIGINT {
				if code := command.ProcessState.ExitCode(); code != 130 {
					t.Errorf("exit code %d", code)
				}
				nothing(t, temporary)
				return
			}
			for limit := time.Now().Add(time.Minute); len(processes(t, temporary)) > 0; {
				if time.Now().After(limit) {
					t.Fatalf("processes are left: %v", processes(t, temporary))
				}
			}
		})
	}
}
