package replica_test

import (
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
)

// What a member of a cluster is connected with is seen as it comes and goes, a standby's too.
func TestFindPeers(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	data := standin.Binary(t, "0.17.6", "0.17.5")
	args := []string{"--addresses=" + standin.Addresses(4)}
	var binaries []string
	var processes []*standin.Process
	for index := range 4 {
		binary, dataFile := standin.InstallMember(t, data, index, 3)
		binaries = append(binaries, binary)
		processes = append(processes, standin.Start(t, binary, dataFile, standin.Options{Upgrade: "cluster", Args: args}))
	}
	connected := func(index, count int) replica.Process {
		t.Helper()
		for until := time.Now().Add(2 * time.Minute); ; {
			found := only(t, binaries[index])
			if found.Peers != nil && found.Peers.Connected == count {
				return found
			}
			if time.Now().After(until) {
				t.Fatalf("replica %d has %+v, want %d", index, found.Peers, count)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	for index := range binaries {
		found := connected(index, 3)
		if found.Peers.Others != 3 || found.Peers.Replicas != []int{2, 2, 2, 3}[index] || found.Superblock.ReplicaIndex != index || found.Superblock.ReplicaCount != 3 || found.Superblock.Standby != (index == 3) ||
			found.Superblock.Cluster.String() != "7" {
			t.Errorf("replica %d: %+v, %+v", index, found.Peers, found.Superblock)
		}
	}
	processes[1].Kill()
	for _, index := range []int{0, 2, 3} {
		connected(index, 2)
	}
}
