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
}

// runProgram runs a program, and returns the end of what it said. It reads nothing, and is ended when the context ends; what it has
// started goes on, since a replica may be among it. The error is a [*ProgramError].
func runProgram(ctx context.Context, p program) (said string, err error) {
	failed := func(err error) error { return &ProgramError{Command: p.command, Said: said, Err: err} }
	name, err := findProgram(p.command[0])
	if err != nil {
		return "", failed(err)
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
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
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
