package replica

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
	"golang.org/x/sys/unix"
)

// place is what the target's path and that of the file beside it mean at the moment.
type place struct {
	names [2]string // target and TARGET-old, absolute
	paths [2]string // with symlinks resolved: what the kernel says in links
	files [2]inode  // zero where there is none
	infos [2]info   // what more is known of them
	kinds [2]string // of the file systems that they are in

	data map[inode]string // the data files that belong to the target

	owner       uint32       // of the file at the target
	guarded     *vfs.Guarded // who may use it; nil: not known
	mount, root string       // our mount namespace and root directory; empty if not known
	users       users
	ids         vfs.IDMap // which users exist here

	mounted [2]string // where in the target's file system they are
	device  string    // that file system
	disks   []string  // the local file systems that are mounted here

	mounts  map[string]bool // the numbers of the mounts here
	devices map[string]bool // and what is mounted

	headers []named
	held    []multiversion.Release

	networks networks
}

func (f *Finder) locate() (*place, error) {
	p := &place{
		mount: readlinkOrEmpty(filepath.Join(f.proc(), "self/ns/mnt")),
		root:  readlinkOrEmpty(filepath.Join(f.proc(), "self/root")),
		users: append(users{uint32(os.Geteuid())}, f.options.Users...),
		ids:   vfs.OS().Self().Users,
	}
	for index, name := range []string{f.target, f.target + "-old"} {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		p.names[index], p.paths[index] = absolute, resolve(absolute)
		if found, err := statHere(p.paths[index]); err == nil {
			p.files[index], p.infos[index] = found.inode, found
			if index == 0 {
				p.users, p.owner = append(p.users, found.uid), found.uid
			}
		}
	}
	if found, err := statHere(filepath.Dir(p.paths[0])); err == nil {
		p.users = append(p.users, found.uid)
	}
	p.data = make(map[inode]string)
	for _, name := range f.options.DataFiles {
		if found, err := statHere(name); err == nil && found.regular() {
			p.data[found.inode] = name
		}
	}
	p.users = slices.DeleteFunc(p.users, func(uid uint32) bool { return p.ids.Hides(int(uid)) }) // the number of many
	return p, nil
}

// resolve resolves the symlinks of a path, or of its directory if there is
// nothing at the path. It follows none of /proc to another process's files, see [pinHere].
func resolve(path string) string {
	if resolved, err := realPath(path); err == nil {
		return resolved
	}
	if directory, err := realPath(filepath.Dir(path)); err == nil {
		return filepath.Join(directory, filepath.Base(path))
	}
	return path
}

func realPath(path string) (string, error) {
	held, err := pinHere(path)
	if err != nil {
		return "", err
	}
	defer held.close()
	text, err := os.Readlink(held.again())
	if err != nil {
		return "", err
	}
	if found, err := statHere(text); err != nil || found.inode != held.inode {
		return "", fmt.Errorf("%s: %w", path, fs.ErrNotExist) // it was removed since
	}
	return text, nil
}

func readlinkOrEmpty(name string) string {
	text, err := os.Readlink(name)
	if err != nil {
		return ""
	}
	return text
}

// read reads the headers of the files, as far as they have any, and where they are mounted from.
func (p *place) read(mounts []mount) {
	p.readMounts()
	p.guarded = guarding(p.paths[0])
	for _, each := range mounts {
		if slices.Contains(localKinds[:], each.kind) {
			p.disks = append(p.disks, each.device)
		}
	}
	for index, path := range p.paths {
		p.device, p.mounted[index] = within(mounts, path)
		if p.files[index] == (inode{}) {
			continue
		}
		p.kinds[index] = kindHere(mounts, path)
		if header, err := headerHere(path); err == nil {
			p.headers = append(p.headers, named{name: path, header: header})
			p.held = append(p.held, header.Releases()...)
		}
	}
	slices.Sort(p.held)
	p.held = slices.Compact(p.held)
}

// kindHere is the kind of the file system that a path of ours leads to.
func kindHere(mounts []mount, path string) string {
	held, err := pinHere(path)
	if err != nil {
		return ""
	}
	defer held.close()
	id := mountOf(held.fd)
	for _, each := range mounts {
		if each.id == id {
			return each.kind
		}
	}
	return ""
}

// hasName reports whether a path ends as one of the target's data files does: in a container it may begin in another way.
func (p *place) hasName(path string) bool {
	for _, name := range p.data {
		if filepath.Base(path) == filepath.Base(name) {
			return true
		}
	}
	return false
}

// localKinds are the kinds of file systems that read from the machine itself, and ask no server.
var localKinds = [...]string{"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "squashfs", "tmpfs", "xfs", "zfs"}

// local reports whether a file is in a local file system that is mounted here: reading it
// waits for no server, which a stranger could have started.
func (p *place) local(file inode) bool {
	return slices.Contains(p.disks, fmt.Sprintf("%d:%d", unix.Major(file.dev), unix.Minor(file.dev)))
}

// holds reports whether the file at the target or the one beside it has a release.
func (p *place) holds(release multiversion.Release) bool { return slices.Contains(p.held, release) }

// index tells which of the files it is, or returns -1.
func (p *place) index(id inode) int {
	if id == (inode{}) {
		return -1
	}
	return slices.Index(p.files[:], id)
}

// named reports whether a path is that of the target or of the file beside it.
func (p *place) named(path string) bool {
	return path != "" && (slices.Contains(p.names[:], path) || slices.Contains(p.paths[:], path))
}

// isTarget reports whether a path is the target's own.
func (p *place) isTarget(path string) bool {
	return path != "" && (path == p.names[0] || path == p.paths[0])
}

// means reports whether a path, as the kernel says it, is the target, the file beside it,
// or one with a hidden name there: an installer that was interrupted leaves the old file
// with one.
func (p *place) means(path string) bool {
	directory, base := filepath.Split(p.paths[0])
	return slices.Contains(p.paths[:], path) || strings.HasPrefix(path, filepath.Join(directory, "."+base+"."))
}

// related reports whether a file name is one that the target, the file beside it or a
// hidden one may have where their directory is mounted elsewhere.
func (p *place) related(path string) bool {
	base := filepath.Base(path)
	for _, known := range p.paths {
		if base == filepath.Base(known) {
			return true
		}
	}
	return strings.HasPrefix(base, "."+filepath.Base(p.paths[0])+".")
}

// calls reports whether a process of which only the command line can be read calls itself by the target's path.
// A relative one leads on from its working directory, which may not be looked at either.
func (p *place) calls(command string) bool {
	return filepath.IsAbs(command) && (p.named(filepath.Clean(command)) || p.index(knownAt(command)) >= 0)
}

// resembles reports whether a process that calls itself by a relative path may be a replica of the target's: what it
// starts looks like one, or has the target's name.
func (p *place) resembles(args arguments) bool {
	if filepath.IsAbs(args.command) || args.subcommand != subcommandStart {
		return false
	}
	base := filepath.Base(args.command)
	for _, known := range slices.Concat(p.names[:], p.paths[:]) {
		if base == filepath.Base(known) {
			return true
		}
	}
	return strings.HasSuffix(args.positional, ".tigerbeetle")
}

// knownAt returns the file at a path here, if the system knows it without asking a server.
func knownAt(path string) inode {
	found, err := cachedAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		return inode{}
	}
	defer found.close()
	if !found.regular() {
		return inode{}
	}
	return found.inode
}

// readHeader reads the header of a file that may be anything by now, such as a pipe.
func readHeader(dir int, name, called string) (*multiversion.Header, error) {
	held, err := pinAt(dir, name, called)
	if err != nil {
		return nil, err
	}
	defer held.close()
	return held.header()
}

func headerHere(path string) (*multiversion.Header, error) {
	held, err := pinHere(path)
	if err != nil {
		return nil, err
	}
	defer held.close()
	return held.header()
}

func (p *pin) header() (*multiversion.Header, error) {
	file, err := p.open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return nil, err
	}
	binary, err := multiversion.Parse(file, status.Size())
	if err != nil {
		return nil, err
	}
	return &binary.HostImage().Header, nil
}
