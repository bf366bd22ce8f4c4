// Package memfs is a file system in memory that forgets: for tests of what
// packages leave on the disk after faults, crashes and power cuts.
//
// Everything has two states. What a process sees is the volatile one; what
// survives a crash is the durable one. Contents and attributes of a file become
// durable with the file's Sync, entries of a directory with the directory's. A
// file's Sync does not make its name durable.
//
// A crash may also keep what was not synced, as real file systems do: none of
// it, all of it, or any subset, see [Persist]. A rename and an exchange are each
// kept or lost as a whole, other changes one by one and in any combination.
// Contents that were not synced may come back as the old ones, as the new ones,
// cut off, or as zeros.
//
// A failed Sync loses what it should have written, for good: the next Sync
// returns nil and writes only later changes, as Linux does.
package memfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

// ErrCrashed is what every call gets between a crash and [FS.Restart], and what
// every handle from before the crash gets for ever.
var ErrCrashed = errors.New("the system has crashed")

const (
	linksMax       = 40
	blockSize      = 4096
	unlimitedBytes = math.MaxInt64 / 2
)

// Options says what the file system can do and who uses it. The zero value is a
// file system with everything but reflinks, without limits.
type Options struct {
	NoExchange  bool // cannot exchange two names
	NoNoReplace bool // cannot rename without replacing
	NoLinks     bool // no hard links
	NoXattrs    bool // no extended attributes
	NoDirSync   bool // cannot sync a directory
	NoUnnamed   bool // no files without names
	NoAllocate  bool // cannot reserve space
	Clone       bool // has reflinks

	// NameInodes gives each further link to a file an inode number of its own, and counts no
	// links, as FUSE file systems do that know files by their names. A file that is open is
	// not renamed over: those would leave it under another name.
	NameInodes bool

	// CopyUp shows a file of a lower layer as overlayfs does, see [FS.Lower].
	CopyUp bool

	FixedMode vfs.Mode // that every file has, and no other can be set; 0: modes exist

	ReadOnly   bool  // every change fails with EROFS
	NoExec     bool  // is mounted so
	FreeBytes  int64 // space for contents; 0: unlimited
	FreeInodes int64 // files and directories besides the root; 0: unlimited
	CountReads bool  // calls that change nothing count as operations too

	Umask vfs.Mode
}

// FS implements [vfs.FS]. It may be used by several goroutines.
type FS struct {
	mu       sync.Mutex
	options  Options
	user     vfs.Self
	root     *inode
	unnamed  map[*inode]bool // those that are open and have no name
	inodes   uint64          // numbers given out
	now      int64           // nanoseconds; every change is later than the one before
	epoch    int             // crashes so far
	crashed  bool
	count    int
	trace    []string
	fault    fault
	crashAt  int
	meddle   func() // runs before the operation number meddleAt
	meddleAt int
}

// fault is an error that one operation gets.
type fault struct {
	at      int // 0: none
	err     error
	applied bool // the operation took effect all the same
}

// New returns an empty file system with the root directory "/".
func New(options Options) *FS {
	m := &FS{options: options, user: root(), unnamed: map[*inode]bool{}, now: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
	m.root = m.newInode(vfs.KindDirectory, 0o755)
	m.root.saved = m.root.state.clone()
	return m
}

// Count returns how many operations were made since [New], [FS.Restart] or the
// last call of FailAt, FailLateAt or CrashAt: those that change something, and
// with CountReads all but Close.
func (m *FS) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// Trace returns the operations that Count counts, for messages of tests.
func (m *FS) Trace() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.trace...)
}

// FailAt lets the operation number from 1, counted from now, fail with err
// before it does anything.
func (m *FS) FailAt(number int, err error) { m.plan(fault{number, err, false}, 0) }

// FailLateAt lets the operation fail with err after it has taken effect.
func (m *FS) FailLateAt(number int, err error) { m.plan(fault{number, err, true}, 0) }

// CrashAt lets the system crash just after the operation number from 1, counted
// from now; with 0 it cancels what was planned.
func (m *FS) CrashAt(number int) { m.plan(fault{}, number) }

// MeddleAt calls meddle once, just before the operation number from 1, counted
// from now: for what another process does at that moment. What meddle does with
// the file system is not counted.
func (m *FS) MeddleAt(number int, meddle func()) {
	m.plan(fault{}, 0)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.meddleAt, m.meddle = number, meddle
}

func (m *FS) plan(f fault, crashAt int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count, m.trace, m.fault, m.crashAt, m.meddleAt = 0, nil, f, crashAt, 0
}

// Crashed reports whether the system has crashed and was not restarted.
func (m *FS) Crashed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.crashed
}

// operation is one call.
type operation struct {
	name     string
	path     string
	changes  bool
	epoch    int
	run      func() error
	onFault  func() // what a fault does besides
	uncount  bool
	readOnly bool // allowed on a read-only file system although it changes a state
}

// do runs an operation with its fault, under the file system's mutex.
func (m *FS) do(op operation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crashed || op.epoch != m.epoch {
		return &fs.PathError{Op: op.name, Path: op.path, Err: ErrCrashed}
	}
	run := func() error {
		if op.changes && m.options.ReadOnly && !op.readOnly {
			return &fs.PathError{Op: op.name, Path: op.path, Err: syscall.EROFS}
		}
		if err := op.run(); err != nil {
			return &fs.PathError{Op: op.name, Path: op.path, Err: err}
		}
		return nil
	}
	if op.uncount || (!op.changes && !m.options.CountReads) {
		return run()
	}
	m.count++
	if m.count == m.meddleAt {
		count, meddle := m.count, m.meddle
		m.mu.Unlock()
		meddle()
		m.mu.Lock()
		m.count = count
	}
	m.trace = append(m.trace, fmt.Sprintf("%d %s %s", m.count, op.name, op.path))
	if m.count == m.fault.at {
		if m.fault.applied {
			_ = run()
		} else if op.onFault != nil {
			op.onFault()
		}
		return &fs.PathError{Op: op.name, Path: op.path, Err: m.fault.err}
	}
	err := run()
	if m.count == m.crashAt {
		m.crashed = true
		return &fs.PathError{Op: op.name, Path: op.path, Err: ErrCrashed}
	}
	return err
}

// tick returns a time later than all before.
func (m *FS) tick() time.Time {
	m.now++
	return time.Unix(0, m.now).UTC()
}

func root() vfs.Self {
	return vfs.Self{Chown: true, AnyFile: true, SetFCaps: true, Security: true}
}

// Self implements [vfs.FS].
func (m *FS) Self() vfs.Self {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.user
}

// SetUser changes who uses the file system; at first it is root.
func (m *FS) SetUser(user vfs.Self) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.user = user
}

// SetFree changes the limit of contents, in bytes.
func (m *FS) SetFree(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.options.FreeBytes = m.used() + bytes
}

// SetReadOnly mounts the file system again.
func (m *FS) SetReadOnly(readOnly bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.options.ReadOnly = readOnly
}

// Lower makes every file that is there, if CopyUp is set, one of a lower layer: it gets another
// number, device and time of change, and is no hard link any more, when its name is first changed.
func (m *FS) Lower() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.walk(func(node *inode) { node.lower = m.options.CopyUp && node.kind == vfs.KindFile })
}

// Symlink makes a symbolic link, durably. It does not count as an operation.
func (m *FS) Symlink(text, name string) error {
	return m.make(name, vfs.KindSymlink, 0o777, text)
}

// Make makes an entry of any kind, durably. It does not count as an operation.
func (m *FS) Make(name string, kind vfs.Kind, mode vfs.Mode) error {
	return m.make(name, kind, mode, "")
}

func (m *FS) make(name string, kind vfs.Kind, mode vfs.Mode, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, base, err := m.parent(name)
	if err != nil {
		return err
	}
	if parent.entries[base] != nil {
		return fs.ErrExist
	}
	node := m.newInode(kind, mode)
	node.text = text
	node.links = 1
	node.saved = node.state.clone()
	parent.set(change{base: node})
	parent.commit()
	return nil
}

// Alter changes the info of what is at name, such as its flags, owner or
// link count, durably. It does not count as an operation. Kind, size and inode stay.
func (m *FS) Alter(name string, alter func(info *vfs.Info)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, base, err := m.parent(name)
	if err != nil {
		return err
	}
	node := parent.entries[base]
	if base == "" {
		node = m.root
	}
	if node == nil {
		return fs.ErrNotExist
	}
	info := node.info()
	alter(&info)
	node.mode, node.uid, node.gid = info.Mode, info.UID, info.GID
	node.immutable, node.appendOnly, node.mountPoint = info.Immutable, info.AppendOnly, info.MountPoint
	node.modified, node.changed = info.Modified, m.tick()
	if node.saved != nil {
		node.saved = node.state.clone()
	}
	return nil
}

var _ vfs.FS = (*FS)(nil)
