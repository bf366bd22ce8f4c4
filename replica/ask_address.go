package replica

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	// portDefault is the port of an address that names none.
	portDefault = 3001

	// addressMax is the length of the longest address, [IPv6]:PORT.
	addressMax = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
)

// ErrAddresses is matched by the errors of a value of --addresses that is none.
var ErrAddresses = errors.New("not a list of addresses")

// Members is how many members the process' command line says that its cluster has, standbys included; 0: it does not say.
func (p *Process) Members() int {
	members, err := parseAddresses(p.Addresses)
	if err != nil {
		return 0
	}
	return len(members)
}

// parseAddresses parses the value of --addresses: the addresses of all replicas and
// standbys in order, separated by commas, each PORT, IPv4, IPv4:PORT, [IPv6] or [IPv6]:PORT.
// A port alone is one of 127.0.0.1. Names are no addresses. The error matches ErrAddresses.
func parseAddresses(text string) ([]netip.AddrPort, error) {
	words := strings.SplitN(text, ",", datafile.MembersMax+1)
	if len(words) > datafile.MembersMax {
		return nil, fmt.Errorf("%w: more than %d", ErrAddresses, datafile.MembersMax)
	}
	addresses := make([]netip.AddrPort, 0, len(words))
	for _, word := range words {
		address, err := parseAddress(word)
		if err != nil {
			return nil, fmt.Errorf("%w: %.60q: %w", ErrAddresses, word, err)
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

func parseAddress(word string) (netip.AddrPort, error) {
	host, port := word, strconv.Itoa(portDefault)
	switch split := strings.LastIndexAny(word, ":.]"); {
	case len(word) > addressMax:
		return netip.AddrPort{}, errors.New("too long")
	case split < 0:
		host, port = "127.0.0.1", word
	case word[split] == ':':
		host, port = word[:split], word[split+1:]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || port[0] == '+' {
		return netip.AddrPort{}, errors.New("no port")
	}
	inside, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		if inside, bracketed = strings.CutSuffix(inside, "]"); !bracketed {
			return netip.AddrPort{}, errors.New("no closing bracket")
		}
	}
	address, err := netip.ParseAddr(inside)
	switch {
	case err != nil:
		return netip.AddrPort{}, errors.New("no IP address")
	case address.Zone() != "":
		return netip.AddrPort{}, errors.New("an address with a zone")
	case address.Is6() != bracketed:
		return netip.AddrPort{}, errors.New("an IPv6 address, and no other, stands in brackets")
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), nil
}

// CannotAskError says why a replica cannot be asked, now and later: whether it serves
// cannot be seen from here.
type CannotAskError struct {
	PID    int
	Reason string
	Err    error // nil: the reason says all
}

// Error says who and why.
func (e *CannotAskError) Error() string {
	text := fmt.Sprintf("process %d cannot be asked: %s", e.PID, e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *CannotAskError) Unwrap() error { return e.Err }

// Ask asks the replica whether it serves, at its own address on this host and as a client
// of the release that it runs. The error is a [*CannotAskError] before anything was sent, or
// that of [Ask]. ErrStranger stands for the answer of another replica, too.
func (p *Process) Ask(ctx context.Context) (Pong, error) {
	address, err := p.address(net.InterfaceAddrs)
	if err != nil {
		return Pong{}, err
	}
	pong, err := Ask(ctx, address, p.Superblock.Cluster, p.client())
	if err == nil && pong.Replica != p.Superblock.ReplicaIndex {
		return Pong{}, fmt.Errorf("ask %s: %w: replica %d answers, want %d", address, ErrStranger, pong.Replica, p.Superblock.ReplicaIndex)
	}
	return pong, err
}

// client is the release to ask with: never newer than what runs. A data file is ahead of
// the process for the moment before the process executes its release.
func (p *Process) client() multiversion.Release {
	if p.Running.Certain {
		return min(p.Running.Release, p.Superblock.Release)
	}
	return p.Superblock.Release
}

// address is where the replica can be asked: what its command line says of it, if that is
// this host's and the process listens there. Nobody else's port is asked. The error is a
// [*CannotAskError].
func (p *Process) address(interfaces func() ([]net.Addr, error)) (netip.AddrPort, error) {
	cannot := func(err error, format string, args ...any) (netip.AddrPort, error) {
		return netip.AddrPort{}, &CannotAskError{PID: p.PID, Reason: fmt.Sprintf(format, args...), Err: err}
	}
	switch {
	case !p.Replica:
		return cannot(nil, "it is no replica")
	case p.Superblock == nil:
		return cannot(nil, "its data file could not be read, and so its place in the cluster is not known")
	case p.Superblock.ReplicaIndex < 0:
		return cannot(nil, "its data file does not say which replica of the cluster it is")
	case p.Superblock.Standby:
		return cannot(nil, "it is a standby, which does not answer clients")
	case p.client() < releaseAnswers:
		return cannot(nil, "release %s may not answer: %s and later do", p.client(), releaseAnswers)
	case p.network == networkOther:
		return cannot(nil, "it is in another network namespace")
	case p.network == networkUnknown:
		return cannot(nil, "its sockets cannot be seen")
	}
	addresses, err := parseAddresses(p.Addresses)
	switch {
	case err != nil:
		return cannot(err, "its --addresses")
	case p.Superblock.ReplicaIndex >= len(addresses):
		return cannot(nil, "it is replica %d, and --addresses names %d", p.Superblock.ReplicaIndex, len(addresses))
	}
	address := addresses[p.Superblock.ReplicaIndex]
	if !slices.ContainsFunc(p.Listens, func(listens netip.AddrPort) bool {
		return listens.Port() == address.Port() && (listens.Addr() == address.Addr() || listens.Addr().IsUnspecified())
	}) {
		return cannot(nil, "it does not listen on %s", address)
	}
	ours, err := ownAddress(address.Addr(), interfaces)
	switch {
	case err != nil:
		return cannot(err, "this host's addresses")
	case !ours.IsValid():
		return cannot(nil, "%s is no address of this host", address.Addr())
	}
	return netip.AddrPortFrom(ours, address.Port()), nil
}

// ownAddress returns the address if it is of this host, the loopback for the unspecified
// one, and otherwise an invalid one.
func ownAddress(address netip.Addr, interfaces func() ([]net.Addr, error)) (netip.Addr, error) {
	switch {
	case address.IsLoopback():
		return address, nil
	case address == netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	case address == netip.IPv6Unspecified():
		return netip.IPv6Loopback(), nil
	}
	own, err := interfaces()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, found := range own {
		if prefix, err := netip.ParsePrefix(found.String()); err == nil && prefix.Addr().Unmap() == address {
			return address, nil
		}
	}
	return netip.Addr{}, nil
}
