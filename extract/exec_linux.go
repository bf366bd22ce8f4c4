package extract

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/multiversion"
)

// memfdName is the name that upstream's replicas give the file in memory that
// they run from. It shows in /proc/PID/exe, where others look for it.
const memfdName = runName

// Exec replaces the calling process with a release of the binary: its bytes
// are copied into an anonymous file in memory, verified there, and executed with the
// process id, open standard streams, signal mask and resource limits of the caller. For the
// current release the whole binary is copied, for a past one its executable.
//
// SIGHUP and SIGINT stay ignored if they were when the process started, as under
// nohup. Other signals are at their defaults then: Go's runtime has
// taken them over and does not tell how it found them.
//
// It returns only on error, and then the process goes on, but with every
// [signal.Notify] undone and the soft limit of open files as at its start if the error is that of
// the execution itself. Errors match [ErrPlatform], [ErrCommand], [ErrNotIncluded], [ErrChecksum] or are the system's. The
// context covers the copying. Elsewhere than on Linux Exec is [Run].
func Exec(ctx context.Context, binary *multiversion.Binary, release multiversion.Release, command Command) (exitCode int, err error) {
	chosen, err := chooseProgram(binary, release, &command)
	if err != nil {
		return 0, err
	}
	file, err := newMemfd()
	if err != nil {
		return 0, fmt.Errorf("execute release %s: %w", release, err)
	}
	defer file.Close()
	if err := chosen.copyTo(ctx, file); err != nil {
		return 0, fmt.Errorf("copy release %s into memory: %w", release, err)
	}
	if err := chosen.verify(ctx, file); err != nil {
		return 0, fmt.Errorf("verify release %s in memory: %w", release, err)
	}
	err = replaceProcess(file, command.argv(), os.Environ())
	return 0, fmt.Errorf("execute release %s: %w", release, err)
}

// newMemfd makes the file in memory. Where the system lets only files be
// executed that were made for it (sysctl vm.memfd_noexec), MFD_EXEC says so; before
// Linux 6.3 it is unknown.
func newMemfd() (*os.File, error) {
	fd, err := unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(memfdName, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), memfdName), nil
}

// replaceProcess executes the file and returns only on error.
//
// [syscall.Exec] cannot be used: it takes a path. It does two things beside the system
// call that are needed here too. It gives the soft limit of open files, which
// Go raises at start-up, its first value back; calling it with a path that cannot be
// does just that. And it keeps the runtime from making a thread meanwhile, for which the
// kernel answers EAGAIN and the runtime dies. With one processor, and that one
// held by a system call that the scheduler does not see, nothing can make one.
func replaceProcess(file *os.File, argv, env []string) error {
	argvPointers, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return fmt.Errorf("%w: an argument holds a NUL", ErrCommand)
	}
	envPointers, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return fmt.Errorf("%w: the environment holds a NUL", ErrCommand)
	}
	var empty [1]byte
	fd := file.Fd()

	signal.Reset()
	if err := syscall.Exec("", nil, nil); !errors.Is(err, syscall.ENOENT) {
		return os.NewSyscallError("execve", err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT, fd, uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argvPointers[0])), uintptr(unsafe.Pointer(&envPointers[0])), unix.AT_EMPTY_PATH, 0)
	runtime.KeepAlive(file)
	return os.NewSyscallError("execveat", errno)
}
