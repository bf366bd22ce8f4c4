package memfs

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/vfs"
)

const xattrCapability = "security.capability"

// file is an open file.
type file struct {
	fs       *FS
	node     *inode
	path     string
	epoch    int
	writable bool
	unnamed  bool
	closed   bool
	number   uint64 // the inode number of the name that it was opened by; 0: its first
}

func (f *file) read(op string, run func() error) error {
	return f.fs.do(operation{name: op, path: f.path, epoch: f.epoch, run: run})
}

func (f *file) change(op string, run func() error) error {
	return f.fs.do(operation{name: op, path: f.path, epoch: f.epoch, changes: !f.unnamed, run: run})
}

func (f *file) Write(data []byte) (count int, err error) {
	err = f.change("write", func() error {
		if !f.writable {
			return syscall.EBADF
		}
		for _, chunk := range slices.Collect(slices.Chunk(data, blockSize)) { // a full disk takes a part
			grow := int64(len(f.node.data)+len(chunk)) - max(int64(len(f.node.data)), f.node.reserved)
			if err := f.fs.room(grow); err != nil {
				return err
			}
			f.node.data = append(f.node.data, chunk...)
			count += len(chunk)
		}
		delete(f.node.xattrs, xattrCapability) // as the kernel does
		f.touch(true)
		return nil
	})
	return count, err
}

// touch gives new times.
func (f *file) touch(contents bool) {
	f.node.changed = f.fs.tick()
	if contents {
		f.node.modified = f.node.changed
	}
}

func (f *file) ReadAt(data []byte, offset int64) (count int, err error) {
	err = f.read("read", func() error {
		count, err = bytes.NewReader(f.node.data).ReadAt(data, offset)
		if err == io.EOF {
			return nil
		}
		return err
	})
	if err == nil && count < len(data) {
		err = io.EOF
	}
	return count, err
}

func (f *file) Truncate(size int64) error {
	return f.change("truncate", func() error {
		if !f.writable {
			return syscall.EINVAL
		}
		if err := f.fs.room(size - int64(len(f.node.data))); err != nil {
			return err
		}
		if size < int64(len(f.node.data)) {
			f.node.data = f.node.data[:size:size]
		} else {
			f.node.data = append(f.node.data, make([]byte, size-int64(len(f.node.data)))...)
		}
		f.node.reserved = 0
		f.touch(true)
		return nil
	})
}

func (f *file) Allocate(size int64) error {
	return f.change("allocate", func() error {
		if f.fs.options.NoAllocate {
			return vfs.ErrNotSupported
		}
		if err := f.fs.room(size - max(int64(len(f.node.data)), f.node.reserved)); err != nil {
			return err
		}
		f.node.reserved = max(f.node.reserved, size)
		return nil
	})
}

func (f *file) Chown(uid, gid int) error {
	return f.change("chown", func() error {
		if !f.fs.user.Chown && uid != -1 && uid != f.node.uid {
			return syscall.EPERM
		}
		if uid != -1 && !f.fs.user.Users.Has(uid) || gid != -1 && !f.fs.user.UserGroups.Has(gid) {
			return syscall.EINVAL
		}
		if uid != -1 {
			f.node.uid = uid
		}
		if gid != -1 {
			f.node.gid = gid
		}
		f.node.mode &^= 0o6000 // as the kernel does
		delete(f.node.xattrs, xattrCapability)
		f.touch(false)
		return nil
	})
}

func (f *file) Chmod(mode vfs.Mode) error {
	return f.change("chmod", func() error {
		if f.fs.options.FixedMode != 0 {
			return syscall.EPERM
		}
		f.node.mode = mode
		f.touch(false)
		return nil
	})
}

func (f *file) Xattrs() (names []string, err error) {
	err = f.read("listxattr", func() error {
		if f.fs.options.NoXattrs {
			return vfs.ErrNotSupported
		}
		names = slices.Sorted(maps.Keys(f.node.xattrs))
		return nil
	})
	return names, err
}

func (f *file) Xattr(name string) (value []byte, err error) {
	err = f.read("getxattr "+name, func() error {
		if f.fs.options.NoXattrs {
			return vfs.ErrNotSupported
		}
		found := false
		if value, found = f.node.xattrs[name]; !found {
			return vfs.ErrNoXattr
		}
		value = bytes.Clone(value)
		return nil
	})
	return value, err
}

func (f *file) SetXattr(name string, value []byte) error {
	return f.change("setxattr "+name, func() error {
		self := f.fs.user
		switch {
		case f.fs.options.NoXattrs:
			return vfs.ErrNotSupported
		case name == xattrCapability && !self.SetFCaps, strings.HasPrefix(name, "security.") && name != xattrCapability && !self.Security:
			return syscall.EPERM
		}
		xattrs := maps.Clone(f.node.xattrs)
		if xattrs == nil {
			xattrs = map[string][]byte{}
		}
		xattrs[name] = bytes.Clone(value)
		f.node.xattrs = xattrs
		f.touch(false)
		return nil
	})
}

func (f *file) RemoveXattr(name string) error {
	return f.change("removexattr "+name, func() error {
		if _, found := f.node.xattrs[name]; !found {
			return vfs.ErrNoXattr
		}
		delete(f.node.xattrs, name)
		f.touch(false)
		return nil
	})
}

func (f *file) Stat() (info vfs.Info, err error) {
	err = f.read("fstat", func() error {
		info = f.node.info()
		if f.fs.options.NameInodes {
			info.Links = 1
			if f.number != 0 {
				info.Inode = f.number
			}
		}
		return nil
	})
	return info, err
}

func (f *file) TryLock() error {
	err := f.fs.do(operation{name: "lock", path: f.path, epoch: f.epoch, uncount: true, run: func() error {
		if f.node.locked != nil && f.node.locked != f {
			return vfs.ErrLocked
		}
		f.node.locked = f
		return nil
	}})
	return err
}

func (f *file) Unlock() error {
	return f.fs.do(operation{name: "unlock", path: f.path, epoch: f.epoch, uncount: true, run: func() error {
		if f.node.locked == f {
			f.node.locked = nil
		}
		return nil
	}})
}

func (f *file) Mark(offset int64) error {
	return f.fs.do(operation{name: "mark", path: f.path, epoch: f.epoch, uncount: true, run: func() error {
		if f.node.marks == nil {
			f.node.marks = make(map[mark]bool)
		}
		f.node.marks[mark{f, offset}] = true
		return nil
	}})
}

func (f *file) Marked(offset int64) (bool, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	for mark := range f.node.marks {
		if mark.offset == offset && mark.by != f {
			return true, nil
		}
	}
	return false, nil
}

func (f *file) WriteBack(int64, int64) {}

func (f *file) DropCache() {}

func (f *file) Sync() error {
	return f.fs.do(operation{
		name: "sync", path: f.path, epoch: f.epoch, changes: true, readOnly: true,
		run: func() error {
			f.node.save()
			return nil
		},
		onFault: func() { f.node.lost = f.node.state.clone() },
	})
}

// save makes contents and attributes durable, unless a failed Sync lost them.
func (n *inode) save() {
	if n.lost != nil && n.lost.equal(&n.state) {
		return // the system believes that it has written this
	}
	n.saved, n.lost = n.state.clone(), nil
}

func (s *state) equal(other *state) bool {
	return bytes.Equal(s.data, other.data) && s.mode == other.mode && s.uid == other.uid && s.gid == other.gid &&
		maps.EqualFunc(s.xattrs, other.xattrs, bytes.Equal)
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.node.locked == f {
		f.node.locked = nil
	}
	maps.DeleteFunc(f.node.marks, func(mark mark, _ bool) bool { return mark.by == f })
	if !f.closed {
		f.closed = true
		if f.node.open--; f.node.open <= 0 {
			delete(f.fs.unnamed, f.node)
		}
	}
	return nil
}
