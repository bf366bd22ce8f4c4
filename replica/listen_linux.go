package replica

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
)

const (
	// socketsMax is how many sockets of a network namespace are looked at.
	socketsMax = 1 << 20

	// sharedMax is how many of those that listen are remembered for the other processes there.
	sharedMax = 1 << 14
)

// state finds out where a replica listens, and from that how far it is.
func (l *look) state(opened opened, err error) {
	process := &l.process
	if err == nil {
		process.Listens, err = l.listeners(opened.sockets)
	}
	switch {
	case err == nil:
		process.network = l.networkOf()
	case errors.Is(err, errGone): // it has ended, or executes something: seen at the next look
	case !errors.Is(err, fs.ErrPermission) || !process.cannotRead("fd"): // otherwise the cause has been said
		process.unreadable(UnreadableSockets, err)
	}
	process.judge(err == nil, opened.memory)
}

// networks are the tables of what listens, by network namespace. For each reader the kernel goes
// through all connections of a namespace, and most replicas of a host share one.
type networks struct {
	mu     sync.Mutex
	tables map[string]*listening // by the text of the link ns/net
}

// listening is where sockets of a network namespace listen, by their numbers, which no two sockets of
// a system have at the same time. It may lack some.
type listening struct {
	mu sync.Mutex
	at map[uint64]netip.AddrPort
}

// table returns that of a namespace, which is read later.
func (n *networks) table(namespace string) *listening {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tables == nil {
		n.tables = make(map[string]*listening)
	}
	if n.tables[namespace] == nil {
		n.tables[namespace] = &listening{}
	}
	return n.tables[namespace]
}

// listeners returns where those of the sockets listen that do, in the process's network namespace.
// That none does is never concluded from what was read for another process: it may have begun since.
func (l *look) listeners(sockets map[uint64]bool) ([]netip.AddrPort, error) {
	table := &listening{}
	if namespace, err := l.entry.link("ns/net"); err == nil {
		table = l.place.networks.table(namespace)
	}
	table.mu.Lock()
	defer table.mu.Unlock()
	if found := table.of(sockets); len(found) > 0 {
		return found, nil
	}
	table.at = make(map[uint64]netip.AddrPort)
	var found []netip.AddrPort
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		err := l.eachListener(name, func(at netip.AddrPort, inode uint64) {
			if sockets[inode] {
				found = append(found, at)
			}
			if len(table.at) < sharedMax {
				table.at[inode] = at
			}
		})
		if name == "net/tcp6" && errors.Is(err, errGone) {
			continue // a system without IPv6
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return found, nil
}

// of returns where the sockets listen.
func (t *listening) of(sockets map[uint64]bool) []netip.AddrPort {
	var found []netip.AddrPort
	for inode := range sockets {
		if at, ok := t.at[inode]; ok {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, netip.AddrPort.Compare)
	return found
}

// eachListener calls do with each socket that listens. The kernel lists these before all
// connections; it is not relied on.
func (l *look) eachListener(name string, do func(netip.AddrPort, uint64)) error {
	file, err := l.entry.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for count := 0; lines.Scan(); count++ {
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		if count > socketsMax {
			return fmt.Errorf("%w: more than %d sockets", ErrTooMany, socketsMax)
		}
		at, inode, ok, err := parseListener(lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if ok {
			do(at, inode)
		}
	}
	return lines.Err()
}

// networkOf compares the network namespace of the process with ours.
func (l *look) networkOf() network {
	theirs, err := l.entry.link("ns/net")
	ours := readlinkOrEmpty(filepath.Join(l.proc(), "self/ns/net"))
	switch {
	case err != nil || ours == "":
		return networkUnknown
	case theirs == ours:
		return networkOurs
	}
	return networkOther
}
