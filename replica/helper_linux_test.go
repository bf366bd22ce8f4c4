package replica_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
	"golang.org/x/sys/unix"
)

const (
	helperVariable = "REPLICA_HELPER"
	helperReady    = "ready\n"

	// mallory is a user whom nothing is believed.
	mallory = 45551
)

// TestMain lets the test program be a process to look at, too.
func TestMain(m *testing.M) {
	if what := os.Getenv(helperVariable); what != "" {
		help(what)
		return
	}
	os.Exit(m.Run())
}

// help does something odd, says that it has, and ends with its standard input.
func help(what string) {
	switch name, argument, _ := strings.Cut(what, " "); name {
	case "wait":
	case "thread": // its first thread ends
		endFirstThread()
	case "descriptors": // one memory file in thousands of descriptors
		fd := memoryFile(argument)
		for range 3000 {
			if _, err := unix.Dup(fd); err != nil {
				panic(err)
			}
		}
	case "execute": // a program in a memory file, by the same name
		path := fmt.Sprintf("/proc/self/fd/%d", memoryFile(argument))
		panic(syscall.Exec(path, os.Args, []string{helperVariable + "=wait", "GOMAXPROCS=4"}))
	case "find": // a replica, as mallory or root
		find(argument)
		return
	case "open": // a file, to read or to write
		how, path, _ := strings.Cut(argument, " ")
		if _, err := unix.Open(path, map[string]int{"read": unix.O_RDONLY, "write": unix.O_RDWR}[how], 0); err != nil {
			panic(err)
		}
	case "files": // many memory files
		for range 20 {
			memoryFile(argument)
		}
	}
	os.Stdout.WriteString(helperReady)
	io.Copy(io.Discard, os.Stdin)
}

// find prints what is seen of a target.
func find(argument string) {
	user, target, _ := strings.Cut(argument, " ")
	if user == "mallory" {
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(mallory), syscall.Setuid(mallory)); err != nil {
			panic(err)
		}
	}
	view, err := replica.Find(context.Background(), target, replica.Options{})
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(view); err != nil {
		panic(err)
	}
}

// memoryFile makes a memory file with a replica's name and the content of a file.
func memoryFile(content string) int {
	data, err := os.ReadFile(content)
	if err != nil {
		panic(err)
	}
	fd, err := unix.MemfdCreate(replica.MemfdName, unix.MFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	if _, err := unix.Write(fd, data); err != nil {
		panic(err)
	}
	return fd
}

// endFirstThread ends the thread that has the process's number, and no other.
func endFirstThread() {
	for range 100 { // one of them is on it
		go func() {
			runtime.LockOSThread()
			if unix.Gettid() == os.Getpid() {
				unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
			}
			select {}
		}()
	}
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", os.Getpid()))
		if err != nil {
			panic(err)
		}
		if strings.HasPrefix(string(text[strings.LastIndexByte(string(text), ')')+1:]), " Z") {
			return
		}
		runtime.Gosched()
	}
}

// helper starts the test program at a path, as a process to look at, and returns when
// it is ready. It ends with the test.
func helper(t *testing.T, path, what string, uid uint32, args ...string) *exec.Cmd {
	t.Helper()
	command := &exec.Cmd{Path: path, Args: args, Env: []string{helperVariable + "=" + what, "GOMAXPROCS=4"}, Dir: "/", Stderr: os.Stderr}
	if uid != 0 {
		if os.Geteuid() != 0 {
			t.Skip("skipped: changing the user needs root")
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		command.Process.Kill()
		command.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || line != helperReady {
		t.Fatalf("the helper says %q, %v", line, err)
	}
	return command
}

// program puts the test program, which is a plain executable, somewhere that everyone may execute it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(public(t), "tigerbeetle")
	testbin.WriteFile(t, path, testbin.Self(t))
	return path
}

// public returns a directory that everyone may read.
func public(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(each, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func look(t *testing.T, target string, options replica.Options) replica.View {
	t.Helper()
	view, err := replica.Find(t.Context(), target, options)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// needAllSeen skips a test of what is told where everything is seen, which a container does not show.
func needAllSeen(t *testing.T) {
	t.Helper()
	if unseen := look(t, "/none", replica.Options{}).Unseen; len(unseen) > 0 {
		t.Skipf("skipped: it needs to see every process: %s", unseen[0].Reason)
	}
}

// processOf returns the process with this id.
func processOf(t *testing.T, view replica.View, pid int) replica.Process {
	t.Helper()
	for _, process := range view.Processes {
		if process.PID == pid {
			return process
		}
	}
	t.Fatalf("process %d is not among %+v", pid, view.Processes)
	return replica.Process{}
}
