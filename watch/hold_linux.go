package watch

import (
	"fmt"
	"os"

	"github.com/tbctl/tbctl/vfs"
)

// hold finds a directory, through no other process's files, and returns a name that leads to that very one until it is let go. Who owns
// a directory above it can make its own name lead elsewhere at any moment, also to a file system that never answers.
func hold(dir string) (name string, letGo func(), err error) {
	fd, err := vfs.HoldForeign(dir)
	if err != nil {
		return "", nil, &os.PathError{Op: "watch", Path: dir, Err: err}
	}
	held := os.NewFile(uintptr(fd), dir)
	return fmt.Sprintf("/proc/self/fd/%d", fd), func() { held.Close() }, nil
}
