package replica

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errUnanswered says why a path of a process is not followed: its user may have mounted there what never answers, and
// a system call that waits for that cannot be ended, not even by SIGKILL.
var errUnanswered = errors.New("it leads through a file system that only the process's mount namespace has, and that may not answer")

// inside holds the file at a path as the process means it: from its root or its working
// directory, absolute symlinks included. It is never followed through another process's files in /proc, and of what
// users other than root have mounted only what the system knows already is found.
func (l *look) inside(path string) (*pin, error) {
	base, flags := "root", uint64(unix.RESOLVE_IN_ROOT)
	if !filepath.IsAbs(path) {
		base, flags = "cwd", 0
	}
	directory, err := unix.Openat(l.entry.fd, base, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(l.entry.path, base), Err: err}
	}
	defer unix.Close(directory)
	flags |= unix.RESOLVE_NO_MAGICLINKS
	switch {
	case l.process.Stranger:
		return cachedAt(directory, path, flags)
	case !l.trusted() && !l.place.ours(directory) && hasResolve(resolveCached):
		found, err := cachedAt(directory, path, flags)
		if errors.Is(err, unix.EAGAIN) {
			found, err = l.walk(directory, path)
		}
		return found, err
	}
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: flags}
	fd, err := unix.Openat2(directory, path, &how)
	if (err == unix.ENOSYS || err == unix.EPERM) && !hasResolve(0) { // an old kernel, or a filter of system calls
		fd, err = unix.Openat(directory, strings.TrimLeft(path, "/"), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return newPin(fd, path)
}

// trusted reports whether the process's user can keep us waiting anyway: root, and this process's own.
func (l *look) trusted() bool { return l.process.UID == 0 || l.process.UID == uint32(os.Geteuid()) }

// linksMax is how many symbolic links the kernel follows.
const linksMax = 40

// walk holds the file at a path as [unix.Openat2] does, element by element: of a file system that asks no server the
// system may have to read the way, of any other it must know it already.
func (l *look) walk(root int, path string) (*pin, error) {
	failed := func(err error) error {
		if errors.Is(err, unix.EAGAIN) {
			err = errUnanswered
		}
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	way := []int{root} // the first is not ours to close
	pop := func(left int) {
		for _, fd := range way[left:] {
			_ = unix.Close(fd)
		}
		way = way[:left]
	}
	defer func() { pop(1) }()
	rest, links := strings.Split(path, "/"), 0
	for len(rest) > 0 {
		element := rest[0]
		rest = rest[1:]
		switch {
		case element == "" || element == ".":
			continue
		case element == ".." && len(way) > 1:
			pop(len(way) - 1)
			continue
		case element == ".." && filepath.IsAbs(path):
			continue
		case element == "..": // above the working directory
			return nil, failed(errUnanswered)
		}
		at := way[len(way)-1]
		answers := l.answers(at)
		how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
		if !answers {
			how.Resolve |= resolveCached
		}
		fd, err := unix.Openat2(at, element, &how)
		if err != nil {
			return nil, failed(err)
		}
		way = append(way, fd)
		found, err := statAt(fd, "")
		if err != nil {
			return nil, failed(err)
		}
		if found.mode&unix.S_IFMT != unix.S_IFLNK {
			continue
		}
		if links++; links > linksMax {
			return nil, failed(unix.ELOOP)
		}
		if !answers || !l.answers(fd) {
			return nil, failed(errUnanswered)
		}
		buffer := make([]byte, linkMax)
		count, err := unix.Readlinkat(fd, "", buffer)
		if err != nil {
			return nil, failed(err)
		}
		text := string(buffer[:count])
		pop(len(way) - 1)
		if filepath.IsAbs(text) {
			if !filepath.IsAbs(path) { // from the root, which is not where this began
				return nil, failed(errUnanswered)
			}
			pop(1)
		}
		rest = append(strings.Split(text, "/"), rest...)
	}
	fd, err := unix.FcntlInt(uintptr(way[len(way)-1]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, failed(err)
	}
	return newPin(fd, path)
}

// mayRead reports whether a file may be read for the process: from where reading waits for nobody that its user
// could have started. Of a stranger's those are local file systems that are mounted here, and the one
// that the target is in.
func (l *look) mayRead(file *pin) bool {
	switch {
	case l.process.Stranger:
		return l.place.local(file.inode) || file.dev == l.place.files[0].dev
	case l.trusted(), file.dev == l.place.files[0].dev, l.place.ours(file.fd):
		return true
	}
	return l.answers(file.fd)
}

// answers reports whether a file of the process is in a file system that is local, or that is mounted here, too, and
// is no user's: that of a container's image is mounted by its engine.
func (l *look) answers(fd int) bool {
	mounted := l.mountedAs(fd)
	return slices.Contains(localKinds[:], mounted.kind) || !strings.HasPrefix(mounted.kind, "fuse") && l.place.devices[mounted.device]
}

// mountedAs is the mount of the process that a file is held in, zero if that is not known.
func (l *look) mountedAs(fd int) mount {
	if l.theirs == nil {
		text, _ := l.entry.part("mountinfo", mountsMax)
		l.theirs = parseMounts(text)
	}
	id := mountOf(fd)
	for _, each := range l.theirs {
		if each.id == id {
			return each
		}
	}
	return mount{}
}

// ours reports whether a file is held in a mount of our own mount namespace, in which only root mounts. What it leads
// to by names is in it, too.
func (p *place) ours(fd int) bool { return p.mounts[mountOf(fd)] }

// mountOf is the number of the mount that a file is held in, "" if the system does not tell.
func mountOf(fd int) string {
	text := readFile(filepath.Join(procDefault, "self/fdinfo", strconv.Itoa(fd)), textMax)
	for line := range strings.Lines(text) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}

// readMounts notes which mounts are ours.
func (p *place) readMounts() {
	p.mounts, p.devices = map[string]bool{}, map[string]bool{}
	for _, each := range parseMounts(readFile(filepath.Join(procDefault, "self/mountinfo"), mountsMax)) {
		p.mounts[each.id], p.devices[each.device] = true, true
	}
}

// unanswered notes that a path is not followed: the process may be a replica of the target's.
func (l *look) unanswered(err error) {
	if errors.Is(err, errUnanswered) {
		l.hidden = err
	}
}
