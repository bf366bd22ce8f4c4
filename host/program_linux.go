package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// outputSizeMax is the most bytes of what a program says that are kept. What it writes after that fails, and nothing else
// becomes of it: a daemon that it starts may go on with its descriptors.
const outputSizeMax = 1 << 20

// program is a program of this host, with a time limit by its context.
type program struct {
	command []string
	file    *os.File // that is executed in place of the first word
	as      *syscall.Credential
}

// runProgram runs a program, and returns the end of what it said. It reads nothing, and is ended when the context ends; what it has
// started goes on, since a replica may be among it. The error is a [*ProgramError].
func runProgram(ctx context.Context, p program) (said string, err error) {
	failed := func(err error) error { return &ProgramError{Command: p.command, Said: said, Err: err} }
	name := "/proc/self/fd/3"
	if p.file == nil {
		if name, err = findProgram(p.command[0]); err != nil {
			return "", failed(err)
		}
	}
	output, err := newOutput()
	if err != nil {
		return "", failed(err)
	}
	defer output.Close()
	command := exec.CommandContext(ctx, name, p.command[1:]...)
	command.Args[0] = p.command[0]
	command.Dir, command.Env = "/", []string{"PATH=" + strings.Join(programDirs, ":"), "HOME=/", "LANG=C.UTF-8"}
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.as}
	if p.file != nil {
		command.ExtraFiles = []*os.File{p.file}
	}
	began := time.Now()
	if err := command.Start(); err != nil {
		return "", &ProgramError{Command: p.command, NotRun: true, Err: err}
	}
	err = command.Wait()
	if ctx.Err() != nil {
		err = fmt.Errorf("it was ended after %v", time.Since(began).Round(time.Millisecond))
	}
	said, readErr := written(output)
	if err = errors.Join(err, readErr); err != nil {
		return said, failed(err)
	}
	return said, nil
}

// newOutput makes a file in memory that takes so many bytes and no more.
func newOutput() (*os.File, error) {
	fd, err := unix.MemfdCreate("tbctl-output", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "output")
	err = file.Truncate(outputSizeMax)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// written is the end of what was written into an output.
func written(output *os.File) (string, error) {
	size, err := output.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", err
	}
	size = min(size, outputSizeMax)
	text := make([]byte, min(size, saidSizeMax))
	if _, err := output.ReadAt(text, size-int64(len(text))); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return lastWords(text), nil
}

// runCandidate lets the release of a file judge it, from memory and as a user without rights; argv[0] is the target's path, as of a
// replica. The error is a [*ProgramError].
func runCandidate(ctx context.Context, candidate Candidate, target string, user uint32) (string, error) {
	command := []string{target, "multiversion", "/proc/self/fd/3"}
	failed := func(err error) error { return &ProgramError{Command: command, NotRun: true, Err: err} }
	fd, err := unix.MemfdCreate("tbctl-check", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("tbctl-check", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return "", failed(os.NewSyscallError("memfd_create", err))
	}
	file := os.NewFile(uintptr(fd), "tbctl-check")
	defer file.Close()
	if _, err := io.Copy(file, io.NewSectionReader(candidate.File, 0, candidate.Size)); err != nil {
		return "", failed(err)
	}
	run := program{command: command, file: file}
	if os.Geteuid() == 0 {
		run.as = &syscall.Credential{Uid: user, Gid: nobody} // and in no other group
	}
	return runProgram(ctx, run)
}
