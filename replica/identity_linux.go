package replica

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/tbctl/tbctl/vfs"
)

// identity is what a process executes.
type identity struct {
	inode
	link    string
	err     error  // it may not be known
	started uint64 // in ticks since the boot, if it is known already
}

// path is where the executable is, as the kernel says it, and whether it was deleted there.
func (id identity) path() (string, bool) { return cutDeleted(id.link) }

// memory reports whether it is a memory file with the name that replicas give theirs.
func (id identity) memory() bool { return isMemory(id.link, id.inode) }

// identify says what a process executes. The error is errGone where there is nothing: a
// thread of the kernel, or a process that is about to end.
func (e *entry) identify() (identity, error) {
	var id identity
	var err error
	id.link, err = e.link("exe")
	switch {
	case errors.Is(err, errGone):
		return id, errGone
	case errors.Is(err, syscall.ENAMETOOLONG): // its inode still tells
	case err != nil:
		id.err = err
		return id, nil
	}
	found, err := statAt(e.fd, "exe")
	if errors.Is(gone(err), errGone) {
		return id, errGone
	}
	if err == nil { // otherwise it is in a file system that even root may not look into, and not the target
		id.inode = found.inode
	}
	return id, nil
}

func (e *entry) status() (status, error) {
	text, err := e.text("stat")
	if err != nil {
		return status{}, err
	}
	found, err := parseStatus(text)
	if err != nil {
		return status{}, fmt.Errorf("%s: %w", e.path, err)
	}
	return found, nil
}

// service returns the service or the container that the process runs in, "" if it is in none or that cannot
// be seen.
func (e *entry) service() string {
	cgroups, err := e.text("cgroup")
	if err != nil {
		return ""
	}
	login, err := e.text("loginuid")
	if err != nil {
		return ""
	}
	return parseService(cgroups, login)
}

// user is the one that started the process, or what it became: not what a program makes
// itself for a while that belongs to another. It is the owner of the process's directory; only where
// that is root, as of a process that changed its user, the list of its ids is read. Both are told in our
// user namespace, whichever the process is in: nobody becomes root by making one of his own.
func (e *entry) user(ids vfs.IDMap) uint32 {
	found, err := statAt(e.fd, "")
	if err != nil {
		return userUnknown
	}
	uid := found.uid
	if uid == 0 {
		if text, err := e.text("status"); err == nil {
			if real, ok := parseUser(text); ok {
				uid = real
			}
		}
	}
	if ids.Hides(int(uid)) {
		return userUnknown
	}
	return uid
}
