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

// parseListener parses a line of /proc/PID/net/tcp or tcp6: where a socket listens, and
// the socket's number. It is not ok for the title and for a socket that does not listen.
func parseListener(line string) (at netip.AddrPort, inode uint64, ok bool, err error) {
	const (
		indexLocal  = 1
		indexState  = 3
		indexInode  = 9
		stateListen = "0A"
	)
	var fields [indexInode + 1]string
	count := 0
	for field := range strings.FieldsSeq(line) {
		if count == indexState && field != stateListen {
			return at, 0, false, nil
		}
		if count == len(fields) {
			break
		}
		fields[count] = field
		count++
	}
	if count < len(fields) {
		return at, 0, false, fmt.Errorf("socket %.80q has %d fields, want more than %d", line, count, indexInode)
	}
	host, port, _ := strings.Cut(fields[indexLocal], ":")
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return at, 0, false, fmt.Errorf("address of socket %.80q", line)
	}
	for word := range len(raw) / 4 { // the kernel prints 32 bits at a time, in the host's order
		binary.BigEndian.PutUint32(raw[4*word:], binary.NativeEndian.Uint32(raw[4*word:]))
	}
	address, isAddress := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	if !isAddress || err != nil {
		return at, 0, false, fmt.Errorf("address of socket %.80q", line)
	}
	if inode, err = strconv.ParseUint(fields[indexInode], 10, 64); err != nil {
		return at, 0, false, fmt.Errorf("number of socket %.80q", line)
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), inode, true, nil
}
