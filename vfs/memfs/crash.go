package memfs

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/tbctl/tbctl/vfs"
)

// Persist says which of the changes that were not synced survive a crash.
type Persist struct {
	all    bool
	random bool
	seed   uint64
}

// None lets only what was synced survive.
func None() Persist { return Persist{} }

// All lets everything survive, as when only the process was killed.
func All() Persist { return Persist{all: true} }

// Random keeps a subset that depends on seed only.
func Random(seed uint64) Persist { return Persist{random: true, seed: seed} }

// chooser decides about one crash.
type chooser struct {
	persist Persist
	random  *rand.Rand
	done    map[*inode]bool
}

func (c *chooser) keep() bool {
	if c.persist.random {
		return c.random.IntN(2) == 0
	}
	return c.persist.all
}

// Restart lets the system crash, unless it has already, and start again: handles
// are dead, locks are free, no fault is planned, and of what was not synced there
// is what persist says.
func (m *FS) Restart(persist Persist) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.crashed, m.count, m.trace, m.fault, m.crashAt = false, 0, nil, fault{}, 0
	clear(m.unnamed)
	c := &chooser{persist, rand.New(rand.NewPCG(persist.seed, 1)), map[*inode]bool{}}
	m.reboot(c, m.root)
	m.walk(func(node *inode) {
		if node.kind != vfs.KindDirectory {
			node.links = 0
		}
	})
	m.walk(func(node *inode) {
		for _, child := range node.entries {
			if child.kind != vfs.KindDirectory {
				child.links++
			}
		}
	})
}

// Kill ends all processes, but not the system: handles are dead and locks free,
// and what was not synced is still seen and may still be lost.
func (m *FS) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.crashed, m.count, m.trace, m.fault, m.crashAt = false, 0, nil, fault{}, 0
	clear(m.unnamed)
	m.walk(func(node *inode) { node.locked, node.marks, node.open = nil, nil, 0 })
}

// Renumber gives every file another inode number, as a file system does that is mounted again, or a directory that is
// restored. Names that have numbers of their own keep none.
func (m *FS) Renumber(number func(uint64) uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.walk(func(node *inode) {
		if node.kind == vfs.KindFile {
			node.number = number(node.number)
			m.inodes = max(m.inodes, node.number)
		}
		node.numbers = nil
	})
}

// reboot leaves of an inode, and of those below it, what survives.
func (m *FS) reboot(c *chooser, node *inode) {
	if c.done[node] {
		return
	}
	c.done[node] = true
	node.locked, node.marks, node.lost, node.reserved, node.open = nil, nil, nil, 0, 0
	node.state = *c.survivor(node)
	node.saved = node.state.clone()
	if node.kind != vfs.KindDirectory {
		return
	}
	for _, r := range node.log {
		if r.synced || c.keep() {
			apply(node.durable, r.change)
		}
	}
	node.log = nil
	node.entries = map[string]*inode{}
	apply(node.entries, node.durable)
	for _, name := range slices.Sorted(maps.Keys(node.entries)) {
		m.reboot(c, node.entries[name])
	}
}

// survivor returns contents and attributes after the crash.
func (c *chooser) survivor(node *inode) *state {
	saved := node.saved
	if saved == nil { // never synced: an empty file as it was made
		saved = &state{mode: node.mode, uid: node.uid, gid: node.gid, modified: node.modified}
	}
	if !c.persist.random {
		if c.persist.all {
			return node.state.clone()
		}
		return saved.clone()
	}
	if saved.equal(&node.state) {
		return node.state.clone()
	}
	result := saved.clone()
	if c.keep() {
		result.mode, result.uid, result.gid = node.mode, node.uid, node.gid
	}
	if c.keep() {
		result.xattrs = node.state.clone().xattrs
	}
	result.data = c.contents(saved.data, node.data)
	return result
}

// contents returns what data that was not synced may come back as. What both
// begin with, such as the file before something was appended, is safe.
func (c *chooser) contents(saved, seen []byte) []byte {
	same := 0
	for same < min(len(saved), len(seen)) && saved[same] == seen[same] {
		same++
	}
	tail := seen[same:]
	switch c.random.IntN(5) {
	case 0:
		return bytes.Clone(saved)
	case 1: // the size is there, the data is not
		tail = make([]byte, len(tail))
	case 2: // cut off
		tail = tail[:c.random.IntN(len(tail)+1)]
	case 3:
		tail = nil
	}
	return append(bytes.Clone(seen[:same]), tail...)
}
