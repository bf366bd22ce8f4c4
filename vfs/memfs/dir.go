package memfs

import (
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/vfs"
)

// dir is an open directory.
type dir struct {
	fs    *FS
	node  *inode
	path  string
	epoch int
}

// OpenDir implements [vfs.FS].
func (m *FS) OpenDir(name string) (vfs.Dir, error) {
	d := &dir{fs: m, path: name, epoch: m.currentEpoch()}
	err := m.do(operation{name: "opendir", path: name, epoch: d.epoch, run: func() (err error) {
		d.node, _, err = m.find(name)
		return err
	}})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// RealPath implements [vfs.FS].
func (m *FS) RealPath(name string) (real string, err error) {
	err = m.do(operation{name: "realpath", path: name, epoch: m.currentEpoch(), run: func() (err error) {
		_, real, err = m.find(name)
		return err
	}})
	return real, err
}

// Up implements [vfs.Dir].
func (d *dir) Up() (vfs.Dir, error) {
	above := &dir{fs: d.fs, node: d.fs.root, path: path.Dir(d.path), epoch: d.epoch}
	err := d.read("opendir", "..", func() error {
		if parent := parentOf(d.fs.root, d.node); parent != nil {
			above.node = parent
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return above, nil
}

// parentOf returns the directory below one in which another is; nil if it is in none.
func parentOf(in, node *inode) *inode {
	for _, entry := range in.entries {
		if entry == node {
			return in
		}
		if entry.kind == vfs.KindDirectory {
			if found := parentOf(entry, node); found != nil {
				return found
			}
		}
	}
	return nil
}

func (m *FS) currentEpoch() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

func (d *dir) read(op, name string, run func() error) error {
	return d.fs.do(operation{name: op, path: path.Join(d.path, name), epoch: d.epoch, run: run})
}

func (d *dir) change(op, name string, run func() error) error {
	return d.fs.do(operation{name: op, path: path.Join(d.path, name), epoch: d.epoch, changes: true, run: func() error {
		if d.node.immutable {
			return syscall.EPERM
		}
		return run()
	}})
}

// file returns what is at name, unless it is a directory.
func (d *dir) file(name string) (*inode, error) {
	node := d.node.entries[name]
	switch {
	case node == nil:
		return nil, fs.ErrNotExist
	case node.kind == vfs.KindDirectory:
		return nil, syscall.EISDIR
	}
	return node, nil
}

// movable returns an error for an entry that must not be renamed or removed.
func movable(node *inode) error {
	switch {
	case node.immutable || node.appendOnly:
		return syscall.EPERM
	case node.mountPoint:
		return syscall.EBUSY
	}
	return nil
}

func (d *dir) Lstat(name string) (info vfs.Info, err error) {
	err = d.read("lstat", name, func() error {
		switch {
		case name == ".":
			info = d.node.info()
		case d.node.entries[name] == nil:
			return fs.ErrNotExist
		default:
			info = d.shown(d.node.infoOf(name))
		}
		return nil
	})
	return info, err
}

// shown is what a file system that knows files by their names says of one.
func (d *dir) shown(info vfs.Info) vfs.Info {
	if d.fs.options.NameInodes && info.Kind == vfs.KindFile {
		info.Links = 1
	}
	return info
}

func (d *dir) Readlink(name string) (text string, err error) {
	err = d.read("readlink", name, func() error {
		node, err := d.file(name)
		if err == nil && node.kind != vfs.KindSymlink {
			err = syscall.EINVAL
		}
		if err == nil {
			text = node.text
		}
		return err
	})
	return text, err
}

func (d *dir) open(op, name string, writable bool) (vfs.File, error) {
	f := &file{fs: d.fs, path: path.Join(d.path, name), epoch: d.epoch, writable: writable}
	err := d.read(op, name, func() (err error) {
		if f.node, err = d.file(name); err != nil {
			return err
		}
		f.number = d.node.infoOf(name).Inode
		if f.node.kind == vfs.KindSymlink {
			return syscall.ELOOP
		}
		if writable && d.fs.options.ReadOnly {
			return syscall.EROFS
		}
		if writable && f.node.immutable {
			return syscall.EPERM
		}
		return d.fs.mayOpen(f.node, writable)
	})
	return opened(f, err)
}

// opened counts an open file.
func opened(f *file, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.open++
	return f, nil
}

// mayOpen checks the mode's bits for the user.
func (m *FS) mayOpen(node *inode, writable bool) error {
	self := m.user
	if self.AnyFile {
		return nil
	}
	need := vfs.Mode(0o4)
	if writable {
		need = 0o6
	}
	bits := node.mode
	switch {
	case self.UID == node.uid:
		bits >>= 6
	case self.GID == node.gid || slices.Contains(self.Groups, node.gid):
		bits >>= 3
	}
	if bits&need != need {
		return syscall.EACCES
	}
	return nil
}

func (d *dir) Open(name string) (vfs.File, error)       { return d.open("open", name, false) }
func (d *dir) OpenAppend(name string) (vfs.File, error) { return d.open("open", name, true) }

// add makes a new inode at name.
func (d *dir) add(name string, kind vfs.Kind, mode vfs.Mode) (*inode, error) {
	if d.node.entries[name] != nil {
		return nil, fs.ErrExist
	}
	if err := d.fs.roomForInode(); err != nil {
		return nil, err
	}
	node := d.fs.newInode(kind, d.fs.modeOf(mode))
	node.links = 1
	delete(d.node.numbers, name)
	d.node.set(change{name: node})
	d.touch()
	return node, nil
}

// modeOf is the mode of something new.
func (m *FS) modeOf(mode vfs.Mode) vfs.Mode {
	if m.options.FixedMode != 0 {
		return m.options.FixedMode
	}
	return mode &^ m.options.Umask
}

// touch gives the directory a new time.
func (d *dir) touch() {
	d.node.changed = d.fs.tick()
	d.node.modified = d.node.changed
}

func (d *dir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	f := &file{fs: d.fs, path: path.Join(d.path, name), epoch: d.epoch, writable: true}
	err := d.change("create", name, func() (err error) {
		f.node, err = d.add(name, vfs.KindFile, mode)
		return err
	})
	return opened(f, err)
}

// CreateUnnamed changes nothing that a crash could leave or any process sees, and so is no
// operation.
func (d *dir) CreateUnnamed(mode vfs.Mode) (vfs.File, error) {
	f := &file{fs: d.fs, path: path.Join(d.path, "unnamed"), epoch: d.epoch, writable: true, unnamed: true}
	err := d.read("create-unnamed", "", func() error {
		switch {
		case d.fs.options.NoUnnamed:
			return vfs.ErrNotSupported
		case d.fs.options.ReadOnly:
			return syscall.EROFS
		case d.node.immutable:
			return syscall.EPERM
		}
		if err := d.fs.roomForInode(); err != nil {
			return err
		}
		f.node = d.fs.newInode(vfs.KindFile, d.fs.modeOf(mode))
		d.fs.unnamed[f.node] = true
		return nil
	})
	return opened(f, err)
}

func (d *dir) Clone(source vfs.File, name string) (vfs.File, error) {
	f := &file{fs: d.fs, path: path.Join(d.path, name), epoch: d.epoch, writable: true}
	err := d.change("clone", name, func() (err error) {
		from, ok := source.(*file)
		if !ok || !d.fs.options.Clone {
			return vfs.ErrNotSupported
		}
		if f.node, err = d.add(name, vfs.KindFile, 0o600); err == nil {
			f.node.data = slices.Clone(from.node.data)
		}
		return err
	})
	return opened(f, err)
}

func (d *dir) Mkdir(name string, mode vfs.Mode) error {
	return d.change("mkdir", name, func() error {
		node, err := d.add(name, vfs.KindDirectory, mode)
		if err == nil {
			node.saved = node.state.clone()
		}
		return err
	})
}

// copyUp moves the file of a name, if it is in a lower layer, up from there, durably.
func (d *dir) copyUp(name string) {
	node := d.node.entries[name]
	if node == nil || !node.lower {
		return
	}
	up := d.fs.newInode(node.kind, node.mode)
	up.state, up.links = *node.state.clone(), 1
	up.saved = up.state.clone()
	node.links--
	d.node.entries[name], d.node.durable[name] = up, up
}

// rename is Rename for checked options.
func (d *dir) rename(from, to string) error {
	d.copyUp(from)
	node := d.node.entries[from]
	if node == nil {
		return fs.ErrNotExist
	}
	if err := movable(node); err != nil {
		return err
	}
	if there := d.node.entries[to]; there != nil {
		if there == node {
			return nil
		}
		if err := movable(there); err != nil {
			return err
		}
		if there.kind == vfs.KindDirectory {
			return syscall.EISDIR
		}
		if d.fs.options.NameInodes && there.open > 0 {
			return syscall.EBUSY
		}
		there.links--
		there.changed = d.fs.tick()
	}
	node.changed = d.fs.tick()
	d.node.set(change{from: nil, to: node})
	d.node.renumber(from, to)
	d.touch()
	return nil
}

func (d *dir) Rename(from, to string) error {
	return d.change("rename", from+" > "+to, func() error { return d.rename(from, to) })
}

func (d *dir) RenameNoReplace(from, to string) error {
	return d.change("rename-noreplace", from+" > "+to, func() error {
		switch {
		case d.fs.options.NoNoReplace:
			return vfs.ErrNotSupported
		case d.node.entries[to] != nil:
			return fs.ErrExist
		}
		return d.rename(from, to)
	})
}

func (d *dir) Exchange(a, b string) error {
	return d.change("exchange", a+" <> "+b, func() error {
		one, two := d.node.entries[a], d.node.entries[b]
		switch {
		case d.fs.options.NoExchange:
			return vfs.ErrNotSupported
		case one == nil || two == nil:
			return fs.ErrNotExist
		}
		for _, node := range []*inode{one, two} {
			if err := movable(node); err != nil {
				return err
			}
		}
		d.copyUp(a)
		d.copyUp(b)
		one, two = d.node.entries[a], d.node.entries[b]
		one.changed, two.changed = d.fs.tick(), d.fs.tick()
		d.node.set(change{a: two, b: one})
		const aside = "/"
		d.node.renumber(a, aside)
		d.node.renumber(b, a)
		d.node.renumber(aside, b)
		d.touch()
		return nil
	})
}

func (d *dir) Link(from, to string) error {
	return d.change("link", from+" > "+to, func() error {
		if d.fs.options.NoLinks {
			return syscall.EPERM
		}
		if _, err := d.file(from); err != nil {
			return err
		}
		if d.node.entries[to] != nil {
			return fs.ErrExist
		}
		d.copyUp(from)
		node := d.node.entries[from]
		node.links++
		node.changed = d.fs.tick()
		d.node.set(change{to: node})
		if d.fs.options.NameInodes {
			d.fs.inodes++
			if d.node.numbers == nil {
				d.node.numbers = map[string]uint64{}
			}
			d.node.numbers[to] = d.fs.inodes
		}
		d.touch()
		return nil
	})
}

func (d *dir) Remove(name string) error {
	return d.change("remove", name, func() error {
		node, err := d.file(name)
		if err == nil {
			err = movable(node)
		}
		if err != nil {
			return err
		}
		node.links--
		node.changed = d.fs.tick()
		d.node.set(change{name: nil})
		d.touch()
		return nil
	})
}

func (d *dir) List(prefix string, limit int) (names []string, err error) {
	err = d.read("list", prefix, func() error {
		for _, name := range slices.Sorted(maps.Keys(d.node.entries)) {
			if strings.HasPrefix(name, prefix) && len(names) < limit {
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}

func (d *dir) Chmod(mode vfs.Mode) error {
	return d.change("chmod", ".", func() error {
		if d.fs.options.FixedMode != 0 {
			return syscall.EPERM
		}
		d.node.mode = mode
		d.node.changed = d.fs.tick()
		return nil
	})
}

func (d *dir) Access() error {
	return d.read("access", ".", func() error {
		if d.fs.options.ReadOnly {
			return syscall.EROFS
		}
		if d.fs.mayOpen(d.node, true) != nil {
			return syscall.EACCES
		}
		return nil
	})
}

func (d *dir) Volume() (volume vfs.Volume, err error) {
	err = d.read("statfs", ".", func() error {
		free := int64(math.MaxInt64)
		if d.fs.options.FreeBytes > 0 {
			free = max(0, d.fs.options.FreeBytes-d.fs.used())
		}
		volume = vfs.Volume{
			FreeBytes: free, FreeInodes: d.fs.freeInodes(),
			ReadOnly: d.fs.options.ReadOnly, NoExec: d.fs.options.NoExec, Xattrs: !d.fs.options.NoXattrs,
		}
		return nil
	})
	return volume, err
}

func (d *dir) Sync() error {
	return d.fs.do(operation{
		name: "syncdir", path: d.path, epoch: d.epoch, changes: true, readOnly: true,
		run: func() error {
			if d.fs.options.NoDirSync {
				return syscall.EINVAL
			}
			d.node.commit()
			return nil
		},
		onFault: d.node.loseLog,
	})
}

func (d *dir) Close() error { return nil }
