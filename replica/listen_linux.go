package replica

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
)

// socketsMax is how many sockets of a network namespace are looked at.
const socketsMax = 1 << 20

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

// listeners returns where those of the sockets listen that do, in the process's network namespace.
func (l *look) listeners(sockets map[uint64]bool) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		err := l.eachListener(name, func(at netip.AddrPort, inode uint64) {
			if sockets[inode] {
				found = append(found, at)
			}
		})
		if name == "net/tcp6" && errors.Is(err, errGone) {
			continue // a system without IPv6
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
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
