package replica

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// socketsMax is how many sockets of a network namespace are looked at.
const socketsMax = 1 << 20

// unreadableSockets is what the sockets of a process are called in [Unreadable].
const unreadableSockets = "sockets"

// state finds out where a replica listens, and from that how far it is.
func (f *Finder) state(process *Process) {
	opened, err := f.opened(process.PID)
	if err == nil {
		process.Listens, err = f.listeners(process.PID, opened.sockets)
	}
	switch {
	case err == nil:
		process.network = f.networkOf(process.PID)
	case errors.Is(err, errGone): // it has ended, or executes something: seen at the next look
	case !errors.Is(err, fs.ErrPermission) || !process.cannotRead("fd"): // otherwise the cause has been said
		process.unreadable(unreadableSockets, err)
	}
	process.judge(err == nil, opened.memory)
}

// opened is what the descriptors of a process tell of its state.
type opened struct {
	sockets map[uint64]bool
	memory  time.Time // when the memory file of the next binary was written last
}

func (f *Finder) opened(pid int) (opened, error) {
	found := opened{sockets: make(map[uint64]bool)}
	directory, err := os.Open(f.path(pid, "fd"))
	if err != nil {
		return found, gone(err)
	}
	defer directory.Close()
	looked := 0
	for {
		names, err := directory.Readdirnames(namesChunk)
		for _, name := range names {
			path := filepath.Join(f.path(pid, "fd"), name)
			link := readlinkOrEmpty(path)
			if inode, ok := socketInode(link); ok {
				found.sockets[inode] = true
			} else if strings.HasPrefix(link, memfdLink) {
				if info, err := os.Stat(path); err == nil {
					found.memory = info.ModTime().UTC()
				}
			}
		}
		if looked += len(names); looked > descriptorsMax {
			return found, fmt.Errorf("%w: more than %d", ErrTooMany, descriptorsMax)
		}
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return found, gone(err)
		}
	}
}

// listeners returns where those of the sockets listen that do, in the process's network namespace.
func (f *Finder) listeners(pid int, sockets map[uint64]bool) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		err := f.eachListener(pid, name, func(at netip.AddrPort, inode uint64) {
			if sockets[inode] {
				found = append(found, at)
			}
		})
		if name == "net/tcp6" && errors.Is(err, fs.ErrNotExist) {
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
func (f *Finder) eachListener(pid int, name string, do func(netip.AddrPort, uint64)) error {
	file, err := os.Open(f.path(pid, name))
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for count := 0; lines.Scan(); count++ {
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

// networkOf compares the network namespace of a process with ours.
func (f *Finder) networkOf(pid int) network {
	theirs, ours := readlinkOrEmpty(f.path(pid, "ns/net")), readlinkOrEmpty(filepath.Join(f.options.Proc, "self/ns/net"))
	switch {
	case theirs == "" || ours == "":
		return networkUnknown
	case theirs == ours:
		return networkOurs
	}
	return networkOther
}
