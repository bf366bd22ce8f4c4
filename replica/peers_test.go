package replica

import (
	"net/netip"
	"testing"

	"github.com/tbctl/tbctl/datafile"
)

func TestPeersOf(t *testing.T) {
	t.Parallel()
	of := func(ends ...string) (all []connection) {
		for index := 0; index < len(ends); index += 2 {
			all = append(all, connection{netip.MustParseAddrPort(ends[index]), netip.MustParseAddrPort(ends[index+1])})
		}
		return all
	}
	const members = "10.0.0.1:3000,10.0.0.2:3000,10.0.0.3:3000"
	const shared = "127.0.0.1:3000,127.0.0.1:3001,[::1]:3002"
	for _, test := range []struct {
		name, addresses string
		index           int
		connections     []connection
		want            *Peers
	}{
		{"none", members, 1, nil, &Peers{Others: 2}},
		{"alone", "3000", 0, of("127.0.0.1:3000", "127.0.0.1:40000"), &Peers{Incoming: 1}},
		{"one made, one that came", members, 1, of("10.0.0.2:40000", "10.0.0.3:3000", "10.0.0.2:3000", "10.0.0.1:40000"), &Peers{2, 2, 2, 1, 1}},
		{"both ways with one of them", members, 1, of("10.0.0.2:40000", "10.0.0.3:3000", "10.0.0.2:3000", "10.0.0.3:40000"), &Peers{2, 1, 1, 1, 1}},
		{"twice with one of them", members, 1, of("10.0.0.2:3000", "10.0.0.3:40000", "10.0.0.2:3000", "10.0.0.3:40001"), &Peers{2, 1, 1, 0, 2}},
		{"clients from elsewhere", members, 1, of("10.0.0.2:3000", "10.9.9.9:40000", "10.0.0.2:3000", "10.9.9.9:40001"), &Peers{2, 0, 0, 0, 2}},
		{"to somewhere else", members, 1, of("10.0.0.2:40000", "10.0.0.3:3001", "10.0.0.2:40001", "10.9.9.9:443"), &Peers{Others: 2}},
		{"all on one host", shared, 0, of("127.0.0.1:3000", "127.0.0.1:40000", "127.0.0.1:3000", "[::1]:40001"), &Peers{2, 2, 2, 0, 2}},
		{"all on one host, and one is missing", shared, 0, of("127.0.0.1:40001", "127.0.0.1:3001"), &Peers{2, 1, 1, 1, 0}},
		{"of no address", members, 3, nil, nil},
		{"of no place in the cluster", members, -1, nil, nil},
		{"no addresses", "localhost:3000", 0, nil, nil},
	} {
		got := peersOf(test.addresses, &datafile.Superblock{ReplicaIndex: test.index, ReplicaCount: 3}, test.connections)
		if got == nil != (test.want == nil) || got != nil && *got != *test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
	}
	standby := of("10.0.0.2:40000", "10.0.0.3:3000", "10.0.0.2:3000", "10.0.0.1:40000")
	if got := peersOf(members, &datafile.Superblock{ReplicaIndex: 1, ReplicaCount: 2}, standby); got == nil || *got != (Peers{2, 2, 1, 1, 1}) {
		t.Errorf("with a standby: %+v", got)
	}
	if got := peersOf(members, nil, nil); got != nil {
		t.Errorf("without a superblock: %+v", got)
	}
}
