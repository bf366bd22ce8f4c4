package memfs

import (
	"bytes"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/vfs"
)

// state is what a file's Sync makes durable.
type state struct {
	data     []byte
	mode     vfs.Mode
	uid, gid int
	xattrs   map[string][]byte
	modified time.Time
}

func (s state) clone() *state {
	s.data = bytes.Clone(s.data)
	s.xattrs = maps.Clone(s.xattrs) // values are never changed in place
	return &s
}

// mark is one byte that a handle has marked.
type mark struct {
	by     *file
	offset int64
}

// inode is a file, a directory, or something else.
type inode struct {
	state
	number  uint64
	kind    vfs.Kind
	links   int
	changed time.Time
	text    string // of a symbolic link

	immutable, appendOnly, mountPoint bool

	lower bool // it is in a lower layer, see [FS.Lower]

	reserved int64  // bytes allocated beyond the contents
	saved    *state // as of the last Sync; nil: never synced
	lost     *state // as of a failed Sync: a later one does not write it
	locked   *file
	marks    map[mark]bool
	open     int // handles

	// Directories only.
	entries map[string]*inode // as seen
	durable map[string]*inode // as of the last Sync
	log     []*record         // changes since, in order
	numbers map[string]uint64 // of the names that have inode numbers of their own
}

// change sets names of a directory; nil removes one.
type change map[string]*inode

// record is a change that is not in durable yet.
type record struct {
	change change
	lost   bool // a failed Sync should have written it
	synced bool // a later Sync has written it, but an earlier lost one is still open
}

func (m *FS) newInode(kind vfs.Kind, mode vfs.Mode) *inode {
	m.inodes++
	now := m.tick()
	self := m.user
	node := &inode{number: m.inodes, kind: kind, changed: now}
	node.state = state{mode: mode, uid: self.UID, gid: self.GID, modified: now}
	if kind == vfs.KindDirectory {
		node.links = 1
		node.entries, node.durable = map[string]*inode{}, map[string]*inode{}
	}
	return node
}

func (n *inode) info() vfs.Info {
	return vfs.Info{
		Kind: n.kind, Size: int64(len(n.data)), Mode: n.mode, UID: n.uid, GID: n.gid,
		Links: uint64(n.links), Device: n.device(), Inode: n.number, Modified: n.modified, Changed: n.changed,
		Immutable: n.immutable, AppendOnly: n.appendOnly, MountPoint: n.mountPoint,
	}
}

// device is another one for each layer.
func (n *inode) device() uint64 {
	if n.lower {
		return 2
	}
	return 1
}

// infoOf is info as the name shows it.
func (n *inode) infoOf(name string) vfs.Info {
	info := n.entries[name].info()
	if number, own := n.numbers[name]; own {
		info.Inode = number
	}
	return info
}

// renumber moves the number of a name along with it.
func (n *inode) renumber(from, to string) {
	number, own := n.numbers[from]
	delete(n.numbers, from)
	delete(n.numbers, to)
	if own {
		n.numbers[to] = number
	}
}

// set makes one change of a directory's entries, seen at once and durable later.
func (n *inode) set(c change) {
	apply(n.entries, c)
	n.log = append(n.log, &record{change: c})
}

func apply(entries map[string]*inode, c change) {
	for name, node := range c {
		if node == nil {
			delete(entries, name)
		} else {
			entries[name] = node
		}
	}
}

// commit makes a directory's changes durable, but for those that a failed Sync
// lost.
func (n *inode) commit() {
	open := false // a lost one was met: what follows cannot be folded in yet
	rest := n.log[:0]
	for _, r := range n.log {
		r.synced = r.synced || !r.lost
		open = open || r.lost
		if open {
			rest = append(rest, r)
		} else {
			apply(n.durable, r.change)
		}
	}
	n.log = rest
}

// loseLog is what a failed Sync of a directory does.
func (n *inode) loseLog() {
	for _, r := range n.log {
		if !r.synced {
			r.lost = true
		}
	}
}

// used returns the bytes of all contents that can be reached or are open without a name.
func (m *FS) used() int64 {
	total := int64(0)
	add := func(node *inode) { total += max(int64(len(node.data)), node.reserved) }
	m.walk(add)
	for node := range m.unnamed {
		add(node)
	}
	return total
}

// walk calls visit once for every inode that has a name.
func (m *FS) walk(visit func(*inode)) {
	seen := map[*inode]bool{}
	var enter func(*inode)
	enter = func(node *inode) {
		if seen[node] {
			return
		}
		seen[node] = true
		visit(node)
		for _, child := range node.entries {
			enter(child)
		}
	}
	enter(m.root)
}

// room returns an error when contents cannot grow by so many bytes.
func (m *FS) room(bytes int64) error {
	if m.options.FreeBytes > 0 && bytes > 0 && m.used()+bytes > m.options.FreeBytes {
		return syscall.ENOSPC
	}
	return nil
}

// roomForInode returns an error when no more files can be made.
func (m *FS) roomForInode() error {
	if m.options.FreeInodes == 0 {
		return nil
	}
	if m.freeInodes() <= 0 {
		return syscall.ENOSPC
	}
	return nil
}

func (m *FS) freeInodes() int64 {
	if m.options.FreeInodes == 0 {
		return -1
	}
	count := int64(-1) // without the root
	m.walk(func(*inode) { count++ })
	count += int64(len(m.unnamed))
	return max(0, m.options.FreeInodes-count)
}

// parent returns the directory of a path and the last element.
func (m *FS) parent(name string) (*inode, string, error) {
	dir, base := path.Split(path.Clean("/" + filepath.ToSlash(name)))
	node, _, err := m.find(dir)
	return node, base, err
}

// find follows a path with its symbolic links to a directory, and returns its
// real path.
func (m *FS) find(name string) (*inode, string, error) {
	elements := strings.Split(filepath.ToSlash(name), "/")
	nodes, names := []*inode{m.root}, []string{}
	links := 0
	for len(elements) > 0 {
		element := elements[0]
		elements = elements[1:]
		switch element {
		case "", ".":
			continue
		case "..":
			if len(names) > 0 {
				nodes, names = nodes[:len(nodes)-1], names[:len(names)-1]
			}
			continue
		}
		node := nodes[len(nodes)-1].entries[element]
		switch {
		case node == nil:
			return nil, "", fs.ErrNotExist
		case node.kind == vfs.KindSymlink:
			if in := nodes[len(nodes)-1]; in.mode&0o1002 == 0o1002 && node.uid != m.user.UID && node.uid != in.uid {
				return nil, "", vfs.ErrLinkOwner
			}
			if links++; links > linksMax {
				return nil, "", syscall.ELOOP
			}
			if path.IsAbs(node.text) {
				nodes, names = nodes[:1], nil
			}
			elements = append(strings.Split(node.text, "/"), elements...)
		case node.kind == vfs.KindDirectory:
			nodes, names = append(nodes, node), append(names, element)
		default:
			return nil, "", syscall.ENOTDIR
		}
	}
	return nodes[len(nodes)-1], "/" + strings.Join(names, "/"), nil
}
