//go:build linux

package program

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"golang.org/x/sys/unix"
)

// member is who the replica is in its cluster.
type member struct {
	cluster    datafile.ID
	index      int
	count      int // of replicas, without standbys
	view       uint32
	checkpoint uint64
	standby    bool
}

// listen listens where the list of addresses has this replica, and answers pings from then
// on. Stand-ins that are told the same address share it: tests that ask nobody need none of
// their own. It is done with system calls: package net would be compiled once more for it, without
// cgo, and be in every release of every fixture. And with package syscall's, since those of unix would add their
// twenty kinds of addresses to what tbctl, which carries the stand-in for its demonstration, sets up at each start.
func (r *replica) listen(list string) error {
	address, err := own(list, r.member.index)
	if err != nil {
		return err
	}
	socket, err := listening(address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("AddressInUse: %s", address)
	}
	if err != nil {
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	go func() {
		for {
			connection, _, err := syscall.Accept4(socket, syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK)
			if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECONNABORTED) {
				continue
			}
			if err != nil {
				r.log.Printf("accept: %v", err)
				return
			}
			vanish(connection)
			go r.serve(os.NewFile(uintptr(connection), "connection"))
		}
	}()
	return nil
}

// listening makes a socket that listens at an address.
func listening(address netip.AddrPort) (int, error) {
	family, place := sockaddr(address)
	socket, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	for _, option := range []int{syscall.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, option, 1); err != nil {
			return 0, err
		}
	}
	if err := syscall.Bind(socket, place); err != nil {
		return 0, err
	}
	return socket, syscall.Listen(socket, syscall.SOMAXCONN)
}

// dial connects with a replica at an address.
func dial(address netip.AddrPort) (*os.File, error) {
	family, place := sockaddr(address)
	socket, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	vanish(socket)
	if err = syscall.Connect(socket, place); err == nil {
		err = syscall.SetNonblock(socket, true) // so that reading ends when it is closed
	}
	if err != nil {
		syscall.Close(socket)
		return nil, err
	}
	return os.NewFile(uintptr(socket), "connection"), nil
}

// vanish has a connection end when its other end does not acknowledge what was sent.
func vanish(socket int) {
	limit := max(vanishedMax*second(), silenceLeast)
	_ = syscall.SetsockoptInt(socket, syscall.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds())) // without, it ends later
}

func sockaddr(address netip.AddrPort) (family int, place syscall.Sockaddr) {
	if address.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
}

// own is the address of a replica in a list, the last one for one that is not in it, and any
// port where there is no list.
func own(list string, index int) (netip.AddrPort, error) {
	words := strings.Split(list, ",")
	word := words[max(0, min(index, len(words)-1))]
	if word == "" {
		word = "0"
	}
	if port, err := strconv.ParseUint(word, 10, 16); err == nil {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)), nil
	}
	address, err := netip.ParseAddrPort(word)
	if err != nil {
		return address, fmt.Errorf("--addresses: %w", err)
	}
	return address, nil
}

// serve answers the pings on one connection. The offsets are written down here once more, so
// that the stand-in does not read with the code that it is there to judge.
func (r *replica) serve(connection *os.File) {
	defer connection.Close()
	for {
		ping := make([]byte, 256)
		if _, err := io.ReadFull(connection, ping); err != nil {
			return
		}
		if ping[114] == commandOffer {
			r.peer(connection, ping)
			return
		}
		wrong := r.wrongWith(ping)
		if wrong != "" {
			r.log.Printf("message from an unknown peer: %s", wrong)
			return
		}
		r.step("pong")
		if r.member.standby {
			continue
		}
		if _, err := connection.Write(r.answer(ping)); err != nil {
			return
		}
	}
}

// view is the view that this replica is in; others than the main goroutine ask for it so.
func (r *replica) view() uint32 {
	r.memberLock.Lock()
	defer r.memberLock.Unlock()
	return r.member.view
}

// wrongWith says why the connection is closed, or "" for a ping.
func (r *replica) wrongWith(ping []byte) string {
	sum, empty := multiversion.ChecksumOf(ping[16:]), multiversion.ChecksumOf(nil)
	zero := func(from, to int) bool {
		return !slices.ContainsFunc(ping[from:to], func(b byte) bool { return b != 0 })
	}
	switch {
	case !slices.Equal(ping[:16], sum[:]):
		return "invalid header checksum"
	case !slices.Equal(ping[32:48], empty[:]):
		return "invalid body checksum"
	case !slices.Equal(ping[80:96], r.member.cluster[:]):
		return "invalid cluster"
	case binary.LittleEndian.Uint32(ping[96:]) != 256:
		return "invalid size"
	case ping[114] != 3:
		return fmt.Sprintf("command %d", ping[114])
	case binary.LittleEndian.Uint32(ping[108:]) == 0:
		return "release == 0"
	case zero(128, 144):
		return "client == 0"
	case !zero(16, 32) || !zero(48, 80) || !zero(100, 108) || !zero(112, 114) || !zero(115, 128) || !zero(160, 256):
		return "reserved != 0"
	case r.release < multiversion.NewRelease(0, 17, 0) && !zero(144, 160):
		return "reserved != 0"
	}
	return ""
}

// answer is a pong, or an eviction for a client that is newer than this replica or older
// than its releases' clients may be.
func (r *replica) answer(ping []byte) []byte {
	const pong, eviction, tooLow, tooHigh = 4, 18, 2, 3
	empty := multiversion.ChecksumOf(nil)
	said := make([]byte, 256)
	copy(said[32:], empty[:])
	copy(said[80:], r.member.cluster[:])
	binary.LittleEndian.PutUint32(said[96:], 256)
	binary.LittleEndian.PutUint32(said[104:], r.view())
	binary.LittleEndian.PutUint32(said[108:], uint32(r.release))
	said[115] = byte(r.member.index)

	client := multiversion.Release(binary.LittleEndian.Uint32(ping[108:]))
	switch {
	case client > r.release:
		r.log.Printf("warning: on_ping_client: ignoring unsupported client, too new (client %s, replica %s)", client, r.release)
		said[114], said[255] = eviction, tooHigh
		copy(said[128:144], ping[128:144])
	case client < r.clients:
		r.log.Printf("warning: on_ping_client: ignoring unsupported client, too old (client %s, client minimum %s)", client, r.clients)
		said[114], said[255] = eviction, tooLow
		copy(said[128:144], ping[128:144])
	default:
		said[114] = pong
		copy(said[128:136], ping[144:152])
	}
	sum := multiversion.ChecksumOf(said[16:])
	copy(said, sum[:])
	return said
}
