package extract_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	helperMode   = "EXTRACT_TEST_HELPER" // "exec" or "run": this process is the helper
	helperFailed = 3
	argvPath     = "/opt/tigerbeetle/tigerbeetle"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(helperMode); mode != "" {
		os.Exit(helper(mode, os.Args[1], os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

// helper runs a release of a file, as a command would.
func helper(mode, file, release string, args []string) int {
	notified := make(chan os.Signal, 1) // as a command does that cleans up when it is interrupted
	signal.Notify(notified, syscall.SIGINT, syscall.SIGTERM)
	opened, err := multiversion.Open(file)
	if err != nil {
		fmt.Println(err)
		return helperFailed
	}
	run := extract.Exec
	if mode == "run" {
		run = extract.Run
	}
	code, err := run(context.Background(), opened.Binary, testbin.Release(release), extract.Command{Path: argvPath, Args: args})
	if err != nil {
		fmt.Println(err, "/ no format:", errors.Is(err, syscall.ENOEXEC), "/ checksum:", errors.Is(err, extract.ErrChecksum), "/ threads:", runtime.GOMAXPROCS(0) > 0)
		return helperFailed
	}
	return code
}

// helperCommand is the helper, to be started.
func helperCommand(t *testing.T, mode, file, release string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, append([]string{file, release}, args...)...)
	command.Env = append(os.Environ(), helperMode+"="+mode, "GOLANG_SAYS=hello", "TMPDIR="+t.TempDir())
	return command
}

func output(t *testing.T, command *exec.Cmd) (string, int) {
	t.Helper()
	out, err := command.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func hostSpec() testbin.Spec {
	return testbin.Spec{Platform: multiversion.ThisPlatform(), Past: testbin.PastOf("0.17.6", "0.17.7v"), Seed: 5}
}

func TestRunsTheReleaseAskedFor(t *testing.T) {
	t.Parallel()
	file := testbin.BuildFile(t, hostSpec(), t.TempDir())
	for _, mode := range []string{"exec", "run"} {
		for _, release := range []string{"0.17.6", "0.17.7", "0.17.8"} {
			if got, code := output(t, helperCommand(t, mode, file, release, "version")); got != "testbin version "+release+" 5\n" || code != 0 {
				t.Errorf("%s %s: %q, exit code %d", mode, release, got, code)
			}
			if got, code := output(t, helperCommand(t, mode, file, release, "exit", "42")); got != "" || code != 42 {
				t.Errorf("%s %s: %q, exit code %d, want 42", mode, release, got, code)
			}
			if got, _ := output(t, helperCommand(t, mode, file, release, "args", "", "--file=a b")); got != argvPath+"\nargs\n\n--file=a b\n" {
				t.Errorf("%s %s: argv %q", mode, release, got)
			}
			if got, _ := output(t, helperCommand(t, mode, file, release, "env", "GOLANG_SAYS")); got != "hello\n" {
				t.Errorf("%s %s: environment %q", mode, release, got)
			}
			command := helperCommand(t, mode, file, release, "cat")
			command.Stdin = strings.NewReader("standard input")
			if got, _ := output(t, command); got != "standard input" {
				t.Errorf("%s %s: standard input came as %q", mode, release, got)
			}
		}
	}
}

func TestExecKeepsTheProcess(t *testing.T) {
	t.Parallel()
	file := testbin.BuildFile(t, hostSpec(), t.TempDir())
	for _, release := range []string{"0.17.7", "0.17.8"} {
		command := helperCommand(t, "exec", file, release, "pid")
		if got, _ := output(t, command); got != strconv.Itoa(command.Process.Pid)+"\n" {
			t.Errorf("%s: process %q, want %d", release, got, command.Process.Pid)
		}
		// The name by which upstream's replicas know that they run from memory.
		const link = "/memfd:tigerbeetle-multiversion-1768a738-ef69-4605-8b5c-c6e63580e345 (deleted)"
		if got, _ := output(t, helperCommand(t, "exec", file, release, "exe")); got != link+"\n"+argvPath+"\n" {
			t.Errorf("%s: runs %q", release, got)
		}
	}
}

// TestExecKeepsSignalsAndLimits looks from a program that changes none of them.
func TestExecKeepsSignalsAndLimits(t *testing.T) {
	t.Parallel()
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Skipf("skipped: it needs /bin/cat: %v", err)
	}
	spec := hostSpec()
	spec.Past[1].Executable = cat
	file := testbin.BuildFile(t, spec, t.TempDir())
	command := helperCommand(t, "exec", file, "0.17.7", "/proc/self/status", "/proc/self/limits")
	command.Args = append([]string{"sh", "-c", `trap "" HUP INT TSTP; ulimit -Sn 200; exec "$0" "$@"`}, command.Args...)
	command.Path = "/bin/sh"

	var block, before unix.Sigset_t
	block.Val[0] = 1 << (uint(unix.SIGUSR1) - 1)
	runtime.LockOSThread()
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	command.Stdout = &out
	err = command.Start() // it inherits this thread's mask
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
	if err == nil {
		err = command.Wait()
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	bit := func(signal syscall.Signal) uint64 { return 1 << (uint(signal) - 1) }
	want := map[string]uint64{
		"SigBlk": bit(syscall.SIGUSR1),
		"SigIgn": bit(syscall.SIGHUP) | bit(syscall.SIGINT) | bit(syscall.SIGTSTP),
		"SigCgt": 0,
	}
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if mask, ok := want[name]; ok {
			found, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			if err != nil || found&mask != mask || name == "SigCgt" && found != 0 || name == "SigBlk" && found != mask {
				t.Errorf("%s is %#x, want %#x: %v", name, found, mask, err)
			}
			delete(want, name)
		}
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok && strings.Fields(rest)[0] != "200" {
			t.Errorf("limit of open files: %s", line)
		}
	}
	if len(want) > 0 || !strings.Contains(out.String(), "Max open files") {
		t.Errorf("not seen: %v", want)
	}
}

// TestDamageIsNotRun runs [TestNothingIsRun] in a process of its own: were anything executed, the program would
// take its place, and end with success all the same, but not with what the process says at its end.
func TestDamageIsNotRun(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, "-test.run=^TestNothingIsRun$")
	command.Env = append(os.Environ(), nothingIsRun+"=1")
	if got, code := output(t, command); code != 0 || !strings.Contains(got, nothingIsRun) {
		t.Errorf("exit code %d: %s", code, got)
	}
}

// nothingIsRun is a variable that the process of [TestDamageIsNotRun] has, and what it says at its end.
const nothingIsRun = "EXTRACT_TEST_NOTHING_IS_RUN"

// TestNothingIsRun gives what must not be executed to Exec and to Run.
func TestNothingIsRun(t *testing.T) {
	if os.Getenv(nothingIsRun) == "" {
		t.Skip("skipped: TestDamageIsNotRun runs it in a process of its own")
	}
	good := testbin.Build(t, hostSpec())
	extent := testbin.Load(t, good).Images[0].PastExtent(1)
	command := extract.Command{Path: argvPath}
	for _, run := range []func(context.Context, *multiversion.Binary, multiversion.Release, extract.Command) (int, error){extract.Exec, extract.Run} {
		bad := bytes.Clone(good)
		bad[extent.Offset+80_000] ^= 1
		for _, release := range []string{"0.17.7", "0.17.8"} { // the current release is the whole file
			if _, err := run(context.Background(), testbin.Load(t, bad), testbin.Release(release), command); !errors.Is(err, extract.ErrChecksum) {
				t.Errorf("%s: %v", release, err)
			}
		}
		// A file that is replaced by another one, whole in itself, after it was parsed.
		changing := &shrinking{data: good}
		parsed, err := multiversion.Parse(changing, int64(len(good)))
		if err != nil {
			t.Fatal(err)
		}
		changing.data = testbin.Mutate(t, good, func(header []byte) { header[testbin.OffsetReserved]++ })
		if _, err := run(context.Background(), parsed, testbin.Release("0.17.8"), command); !errors.Is(err, extract.ErrChecksum) {
			t.Errorf("replaced: %v", err)
		}
		if _, err := run(context.Background(), testbin.Load(t, good), testbin.Release("0.17.5"), command); !errors.Is(err, extract.ErrNotIncluded) {
			t.Errorf("not included: %v", err)
		}
		if _, err := run(context.Background(), testbin.Load(t, good), testbin.Release("0.17.8"), extract.Command{Path: "tigerbeetle"}); !errors.Is(err, extract.ErrCommand) {
			t.Errorf("relative path: %v", err)
		}
		other := testbin.Spec{Platform: multiversion.PlatformX86_64Windows}
		if _, err := run(context.Background(), testbin.Load(t, testbin.Build(t, other)), testbin.Release("0.17.8"), command); !errors.Is(err, extract.ErrPlatform) {
			t.Errorf("other platform: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := run(ctx, testbin.Load(t, good), testbin.Release("0.17.8"), command); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	fmt.Println(nothingIsRun)
}

func TestFailedExecutionIsReported(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, hostSpec())
	extent := testbin.Load(t, data).Images[0].PastExtent(1)
	clear(data[extent.Offset:extent.End()]) // no executable, though its checksum will be right
	sum := multiversion.ChecksumOf(data[extent.Offset:extent.End()])
	data = testbin.Mutate(t, data, func(header []byte) { copy(header[testbin.OffsetPastChecksums+16:], sum[:]) })
	file := filepath.Join(t.TempDir(), "tigerbeetle")
	testbin.WriteFile(t, file, data)
	for _, mode := range []string{"exec", "run"} {
		if got, code := output(t, helperCommand(t, mode, file, "0.17.7")); code != helperFailed || !strings.Contains(got, "no format: true") {
			t.Errorf("%s: %q, exit code %d", mode, got, code)
		}
	}
	if binary.LittleEndian.Uint32(data[extent.Offset:]) != 0 {
		t.Error("the fixture is not what it should be")
	}
}

func TestRunPassesSignalsOnAndCleansUp(t *testing.T) {
	t.Parallel()
	file := testbin.BuildFile(t, hostSpec(), t.TempDir())
	command := helperCommand(t, "run", file, "0.17.7", "wait")
	temporary := t.TempDir()
	command.Env = append(command.Env, "TMPDIR="+temporary)
	pipe, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	if lines.Scan(); lines.Text() != "waiting" {
		t.Errorf("it said %q", lines.Text())
	}
	if entries, err := os.ReadDir(temporary); err != nil || len(entries) != 1 {
		t.Errorf("%d temporary entries while it runs: %v", len(entries), err)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if lines.Scan(); lines.Text() != "terminated" {
		t.Errorf("it said %q", lines.Text())
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(temporary); err != nil || len(entries) != 0 {
		t.Errorf("%d temporary entries are left: %v", len(entries), err)
	}
}

func TestRunSaysWhichSignalEndedIt(t *testing.T) {
	t.Parallel()
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skipf("skipped: it needs /bin/sh: %v", err)
	}
	spec := hostSpec()
	spec.Past[1].Executable = shell
	file := testbin.BuildFile(t, spec, t.TempDir())
	if _, code := output(t, helperCommand(t, "run", file, "0.17.7", "-c", "kill -KILL $$")); code != 128+9 {
		t.Errorf("exit code %d, want 137", code)
	}
}
