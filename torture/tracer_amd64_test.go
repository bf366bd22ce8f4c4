//go:build linux

package torture

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	traceable = true

	syscallStop = syscall.SIGTRAP | 0x80
	ficlone     = 0x40049409
	pathSizeMax = 4096
)

// tracer follows all threads of one process and counts its calls.
type tracer struct {
	what    disturbance
	leader  int
	threads map[int]*thread
	calls   []call
	events  *json.Encoder
	goOn    *os.File
}

// thread is between an entry into and the exit from a system call, or not.
type thread struct {
	inside bool
	number int // of the call that it is in, or 0
	fake   syscall.Errno
}

// helperTrace runs and disturbs the command of its argument. It says what happened
// on descriptor 3, and reads a byte from 4 to go on after a pause.
func helperTrace(args []string) error {
	var request traceRequest
	if err := json.Unmarshal([]byte(args[0]), &request); err != nil {
		return err
	}
	events, goOn := os.NewFile(3, "events"), os.NewFile(4, "go on")
	syscall.CloseOnExec(3)
	syscall.CloseOnExec(4)
	runtime.LockOSThread() // ptrace belongs to the thread
	command := exec.Command(request.Args[0], request.Args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Preemption by signals would make calls appear twice.
	command.Env = append(os.Environ(), helperVariable+"=", "GODEBUG=asyncpreemptoff=1")
	command.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	t := &tracer{what: request.What, leader: command.Process.Pid, threads: map[int]*thread{}, events: json.NewEncoder(events), goOn: goOn}
	result, err := t.run()
	if err != nil {
		syscall.Kill(t.leader, syscall.SIGKILL)
		return err
	}
	result.Calls = t.calls
	return t.events.Encode(event{Done: result})
}

func (t *tracer) run() (*traced, error) {
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(t.leader, &status, 0, nil); err != nil {
		return nil, fmt.Errorf("wait: %w", err)
	}
	options := syscall.PTRACE_O_TRACESYSGOOD | syscall.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(t.leader, options); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t.threads[t.leader] = &thread{}
	_ = syscall.PtraceSyscall(t.leader, 0)
	for {
		pid, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait: %w", err)
		}
		switch {
		case (status.Exited() || status.Signaled()) && pid == t.leader:
			result := &traced{Code: -1}
			if status.Exited() {
				result.Code = status.ExitStatus()
			} else {
				result.Signal = status.Signal()
			}
			return result, nil
		case status.Exited() || status.Signaled():
			delete(t.threads, pid)
		case status.Stopped():
			// A thread that a SIGKILL ends is gone: its errors mean nothing.
			_ = syscall.PtraceSyscall(pid, t.stopped(pid, status))
		}
	}
}

// stopped deals with one stop and returns the signal to deliver.
func (t *tracer) stopped(pid int, status syscall.WaitStatus) int {
	known := t.threads[pid]
	if known == nil {
		known = &thread{}
		t.threads[pid] = known
		if status.StopSignal() == syscall.SIGSTOP {
			return 0 // how a new thread begins
		}
	}
	switch signal := status.StopSignal(); signal {
	case syscallStop:
		var regs syscall.PtraceRegs
		if err := syscall.PtraceGetRegs(pid, &regs); err != nil {
			return 0
		}
		known.inside = !known.inside
		if known.inside {
			t.enter(pid, known, &regs)
		} else {
			t.leave(pid, known, &regs)
		}
		return 0
	case syscall.SIGTRAP, syscall.SIGSTOP:
		return 0 // a new thread was made
	default:
		return int(signal)
	}
}

// enter counts a call that changes something, and disturbs it.
func (t *tracer) enter(pid int, thread *thread, regs *syscall.PtraceRegs) {
	thread.number, thread.fake = 0, 0
	found, ok := t.changes(pid, regs)
	if !ok {
		return
	}
	if t.what.NoExchange && found.Name == "renameat2" && regs.R8 == unix.RENAME_EXCHANGE {
		t.skip(pid, thread, regs, syscall.EINVAL)
		return
	}
	t.calls = append(t.calls, found)
	thread.number = len(t.calls)
	hit := t.what.At == thread.number || t.what.Onward && t.what.At > 0 && thread.number > t.what.At
	if !hit {
		return
	}
	if t.what.Signal != 0 {
		if t.what.Signal == syscall.SIGKILL {
			t.skip(pid, thread, regs, syscall.EINTR)
		}
		_ = syscall.Kill(t.leader, t.what.Signal)
	}
	switch {
	case t.what.Errno != 0 && t.what.Late:
		thread.fake = t.what.Errno
	case t.what.Errno != 0:
		t.skip(pid, thread, regs, t.what.Errno)
	case t.what.Half && found.Name == "write" && regs.Rdx > 1:
		regs.Rdx /= 2
		_ = syscall.PtraceSetRegs(pid, regs)
	}
}

// skip makes the kernel do nothing and the call return errno.
func (t *tracer) skip(pid int, thread *thread, regs *syscall.PtraceRegs, errno syscall.Errno) {
	regs.Orig_rax = ^uint64(0)
	_ = syscall.PtraceSetRegs(pid, regs)
	thread.fake = errno
}

func (t *tracer) leave(pid int, thread *thread, regs *syscall.PtraceRegs) {
	if thread.fake != 0 {
		regs.Rax = uint64(-int64(thread.fake))
		_ = syscall.PtraceSetRegs(pid, regs)
	}
	if thread.number == 0 {
		return
	}
	done := &t.calls[thread.number-1]
	done.Result = int64(regs.Rax)
	if t.what.At == thread.number && t.what.SignalAfter != 0 {
		_ = syscall.Kill(t.leader, t.what.SignalAfter)
	}
	if t.what.Pause {
		_ = t.events.Encode(event{Paused: done})
		var answer [1]byte
		_, _ = t.goOn.Read(answer[:])
	}
	thread.number = 0
}

// The calls that change something, by what their first argument is, or their second.
var (
	byDescriptor = map[uint64]string{
		unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "write", unix.SYS_WRITEV: "write", unix.SYS_FALLOCATE: "fallocate",
		unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_FCHOWN: "fchown", unix.SYS_FCHMOD: "fchmod", unix.SYS_FSETXATTR: "fsetxattr",
		unix.SYS_FREMOVEXATTR: "fremovexattr", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fsync", unix.SYS_FLOCK: "flock",
		unix.SYS_IOCTL: "clone",
	}
	byName = map[uint64]string{
		unix.SYS_RENAME: "rename", unix.SYS_UNLINK: "unlink", unix.SYS_MKDIR: "mkdir", unix.SYS_CHMOD: "chmod", unix.SYS_CHOWN: "chown",
	}
	byNameAt = map[uint64]string{
		unix.SYS_OPENAT: "openat", unix.SYS_FCHOWNAT: "fchownat", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_RENAMEAT: "renameat",
		unix.SYS_RENAMEAT2: "renameat2", unix.SYS_LINKAT: "linkat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_MKDIRAT: "mkdirat",
	}
	inKernel = map[uint64]string{unix.SYS_COPY_FILE_RANGE: "copy_file_range", unix.SYS_SENDFILE: "sendfile", unix.SYS_SPLICE: "splice"}
)

// changes reports whether a call changes something, and names it.
func (t *tracer) changes(pid int, regs *syscall.PtraceRegs) (call, bool) {
	number := regs.Orig_rax
	if name, ok := byDescriptor[number]; ok {
		object, ok := objectOf(pid, regs.Rdi)
		return call{Name: name, Object: object}, ok && (number != unix.SYS_IOCTL || regs.Rsi == ficlone)
	}
	if name, ok := byName[number]; ok {
		return call{Name: name, Object: pattern(readString(pid, regs.Rdi))}, true
	}
	if name, ok := byNameAt[number]; ok && (number != unix.SYS_OPENAT || regs.Rdx&unix.O_CREAT != 0) {
		return call{Name: name, Object: pattern(readString(pid, regs.Rsi))}, true
	}
	name, ok := inKernel[number]
	return call{Name: name, Object: "a file"}, ok
}

// objectOf names what a descriptor is of. The runtime's own pipes and events are
// nothing that matters.
func objectOf(pid int, descriptor uint64) (string, bool) {
	object, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, descriptor))
	switch {
	case err != nil || strings.HasPrefix(object, "anon_inode:") || object == "/dev/null":
		return "", false
	case descriptor == 1:
		return "stdout", true
	case descriptor == 2:
		return "stderr", true
	}
	return pattern(object[strings.LastIndex(object, "/")+1:]), strings.HasPrefix(object, "/")
}

// readString reads a text from the memory of a stopped process.
func readString(pid int, address uint64) string {
	var text []byte
	for len(text) < pathSizeMax {
		var piece [8]byte
		if _, err := syscall.PtracePeekData(pid, uintptr(address)+uintptr(len(text)), piece[:]); err != nil {
			break
		}
		for _, char := range piece {
			if char == 0 {
				return string(text)
			}
			text = append(text, char)
		}
	}
	return string(text)
}

var random = regexp.MustCompile(`(-stage|-temp|-ready|-prev)-[0-9a-f-]+`)

// pattern takes what is random out of a name.
func pattern(name string) string { return random.ReplaceAllString(name, "$1-*") }
