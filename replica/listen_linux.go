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

	// sharedMax is how many of those that listen, and of those that are connected, are remembered for the other
	// processes there.
	sharedMax = 1 << 14
)

// state finds out where a replica listens and with whom it is connected, and from the former how far it is.
func (l *look) state(opened opened, err error) {
	process := &l.process
	var connections []connection
	if err == nil {
		process.Listens, connections, err = l.ends(opened.sockets)
	}
	switch {
	case err == nil:
		process.network = l.networkOf()
		process.Peers = peersOf(process.Addresses, process.Superblock, connections)
	case errors.Is(err, errGone): // it has ended, or executes something: seen at the next look
	case !errors.Is(err, fs.ErrPermission) || !process.cannotRead("fd"): // otherwise the cause has been said
		process.unreadable(UnreadableSockets, err)
	}
	process.judge(err == nil, opened.memory)
}

// networks are the tables of the sockets that listen or are connected, by network namespace. For each reader the kernel
// goes through all connections of a namespace, and most replicas of a host share one.
type networks struct {
	mu     sync.Mutex
	tables map[string]*sockets // by the text of the link ns/net
}

// sockets are those of a network namespace, by their numbers, which no two sockets of
// a system have at the same time. More is said of a table that lacks some.
type sockets struct {
	mu        sync.Mutex
	at        map[uint64]netip.AddrPort
	connected map[uint64]connection
	more      bool // some that are connected are not in it
}

// table returns that of a namespace, which is read later.
func (n *networks) table(namespace string) *sockets {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tables == nil {
		n.tables = make(map[string]*sockets)
	}
	if n.tables[namespace] == nil {
		n.tables[namespace] = &sockets{}
	}
	return n.tables[namespace]
}

// ends returns where those of the process's sockets listen that do, and those that are connected, in its network namespace.
// That none listens is never concluded from what was read for another process: it may have begun since.
func (l *look) ends(own map[uint64]bool) (listens []netip.AddrPort, connected []connection, err error) {
	table := &sockets{}
	if namespace, err := l.entry.link("ns/net"); err == nil {
		table = l.place.networks.table(namespace)
	}
	table.mu.Lock()
	defer table.mu.Unlock()
	for inode := range own {
		if at, ok := table.at[inode]; ok {
			listens = append(listens, at)
		}
		if each, ok := table.connected[inode]; ok {
			connected = append(connected, each)
		}
	}
	if len(listens) == 0 || table.more {
		if listens, connected, err = l.readSockets(own, table); err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(listens, netip.AddrPort.Compare)
	return listens, connected, nil
}

// readSockets reads the table of the process's network namespace again, and returns what is said of its own sockets.
func (l *look) readSockets(own map[uint64]bool, table *sockets) (listens []netip.AddrPort, connected []connection, err error) {
	table.at, table.connected, table.more = make(map[uint64]netip.AddrPort), make(map[uint64]connection), false
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		err := l.eachSocket(name, func(found socket) {
			switch {
			case found.listens:
				if own[found.inode] {
					listens = append(listens, found.local)
				}
				if len(table.at) < sharedMax {
					table.at[found.inode] = found.local
				}
			default:
				if own[found.inode] {
					connected = append(connected, found.connection)
				}
				if table.more = table.more || len(table.connected) == sharedMax; !table.more {
					table.connected[found.inode] = found.connection
				}
			}
		})
		if name == "net/tcp6" && errors.Is(err, errGone) {
			continue // a system without IPv6
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return listens, connected, nil
}

// eachSocket calls do with each socket that listens or is connected.
func (l *look) eachSocket(name string, do func(socket)) error {
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
		found, ok, err := parseSocket(lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if ok {
			do(found)
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
