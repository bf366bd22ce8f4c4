package replica

import (
	"net/netip"

	"github.com/tbctl/tbctl/datafile"
)

// Peers are a replica's connections with the other members of its cluster, as its command line names them, standbys
// included. Two members keep one: which of them makes it depends on the release.
type Peers struct {
	Others    int `json:"others"`    // members besides it
	Connected int `json:"connected"` // of them, those with which a connection is established

	// Replicas are those of the connected that are no standbys.
	Replicas int `json:"replicas"`

	// Outgoing are those of the connected to whose own address the connection was made. That of any other
	// came from its address, which a client on the same host has, too.
	Outgoing int `json:"outgoing"`

	// Incoming is how many connections are established at its own address, those of clients included, and of members
	// that come from an address which the command line does not name.
	Incoming int `json:"incoming"`
}

// connection is an established one.
type connection struct{ local, remote netip.AddrPort }

// peersOf counts the connections of a member of a cluster; nil: its place there is not known.
func peersOf(addresses string, superblock *datafile.Superblock, connections []connection) *Peers {
	if superblock == nil || superblock.ReplicaIndex < 0 {
		return nil
	}
	members, err := parseAddresses(addresses)
	if err != nil || superblock.ReplicaIndex >= len(members) {
		return nil
	}
	own := members[superblock.ReplicaIndex]
	made, came := make(map[netip.AddrPort]bool), make(map[netip.Addr]int)
	result := &Peers{Others: len(members) - 1}
	for _, each := range connections {
		if each.local.Port() == own.Port() {
			result.Incoming++
			came[hostOf(each.remote.Addr())]++
		} else {
			made[each.remote] = true
		}
	}
	for index, member := range members {
		from := hostOf(member.Addr())
		switch {
		case index == superblock.ReplicaIndex:
			continue
		case made[member]:
			result.Outgoing++
		case came[from] > 0:
			came[from]--
		default:
			continue
		}
		result.Connected++
		if index < int(superblock.ReplicaCount) {
			result.Replicas++
		}
	}
	return result
}

// hostOf is where a connection comes from: within a host it may have any of its loopback addresses.
func hostOf(address netip.Addr) netip.Addr {
	if address.IsLoopback() {
		return netip.IPv6Loopback()
	}
	return address
}
