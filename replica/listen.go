package replica

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// network says whether what a process listens on is known, and is in our network namespace.
type network int

const (
	networkUnknown network = iota // its sockets could not be read
	networkOurs
	networkOther
)

// socketInode returns the number of the socket that a link in /proc/PID/fd names.
func socketInode(link string) (uint64, bool) {
	text, isSocket := strings.CutPrefix(link, "socket:[")
	text, closed := strings.CutSuffix(text, "]")
	if !isSocket || !closed {
		return 0, false
	}
	inode, err := strconv.ParseUint(text, 10, 64)
	return inode, err == nil
}

// socket is one that listens, or that is connected.
type socket struct {
	connection
	listens bool
	inode   uint64
}

// parseSocket parses a line of /proc/PID/net/tcp or tcp6. It is not ok for the title and for a socket that neither
// listens nor is connected.
func parseSocket(line string) (found socket, ok bool, err error) {
	const (
		indexLocal       = 1
		indexRemote      = 2
		indexState       = 3
		indexInode       = 9
		stateEstablished = "01"
		stateListen      = "0A"
	)
	var fields [indexInode + 1]string
	count := 0
	for field := range strings.FieldsSeq(line) {
		if count == indexState && field != stateListen && field != stateEstablished {
			return socket{}, false, nil
		}
		if count == len(fields) {
			break
		}
		fields[count] = field
		count++
	}
	if count < len(fields) {
		return socket{}, false, fmt.Errorf("socket %.80q has %d fields, want more than %d", line, count, indexInode)
	}
	found.listens = fields[indexState] == stateListen
	var local, remote bool
	if found.local, local = parseEnd(fields[indexLocal]); local {
		found.remote, remote = parseEnd(fields[indexRemote])
	}
	if !local || !remote {
		return socket{}, false, fmt.Errorf("address of socket %.80q", line)
	}
	if found.inode, err = strconv.ParseUint(fields[indexInode], 10, 64); err != nil {
		return socket{}, false, fmt.Errorf("number of socket %.80q", line)
	}
	return found, true, nil
}

// parseEnd parses an address with its port as these lines have them.
func parseEnd(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range len(raw) / 4 { // the kernel prints 32 bits at a time, in the host's order
		binary.BigEndian.PutUint32(raw[4*word:], binary.NativeEndian.Uint32(raw[4*word:]))
	}
	address, isAddress := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), isAddress && err == nil
}
