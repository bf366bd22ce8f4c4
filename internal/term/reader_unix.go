//go:build unix

package term

import (
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ReaderLost reports whether a stream is a pipe, a socket or a terminal whose other end is
// gone: of a terminal's a signal tells too, but it may be ignored. Nothing is written to find
// out. A file, the null device and a closed descriptor have no other end.
func ReaderLost(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeCharDevice) == 0 {
		return false
	}
	poll := []unix.PollFd{{Fd: int32(file.Fd())}}
	if _, err := unix.Poll(poll, 0); err != nil {
		return false
	}
	return poll[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
