package host

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/replica"
)

// Only a replica of the cluster, of a user who can write its data file or root, says which unit is restarted. Others are left
// out, and keep nobody from restarting the service.
func TestChoose(t *testing.T) {
	t.Parallel()
	const own = "ssh.service"
	cluster := datafile.NewID(7).Hex()
	of := func(pid int, unit string, change func(*replica.Process)) replica.Process {
		p := replica.Process{PID: pid, UID: 998, Replica: true, Origin: replica.OriginTarget, Unit: unit, Holds: true, Superblock: &datafile.Superblock{Cluster: datafile.NewID(7)}}
		if change != nil {
			change(&p)
		}
		return p
	}
	replicas := []replica.Process{of(1, "tb.service", nil), of(2, "tb.service", nil), of(3, "tb-2.service", func(p *replica.Process) { p.UID, p.Holds = 0, false })}
	others := []struct {
		process replica.Process
		why     string // "": it is no replica that counts, and nothing is said
	}{
		{of(11, "postfix.service", func(p *replica.Process) { p.UID, p.Stranger, p.Service = 45551, true, "postfix.service" }), "process 11 of user 45551 is of a user who is not known"},
		{of(12, "", nil), "process 12 is not in a service"},
		{of(13, "games.service", func(p *replica.Process) { p.Holds = false }), "process 13 is of a user who neither owns"},
		{of(14, "games.service", func(p *replica.Process) { p.Superblock = &datafile.Superblock{Cluster: datafile.NewID(8)} }), "process 14 is a replica of another cluster"},
		{of(15, "games.service", func(p *replica.Process) { p.Superblock = nil }), "process 15 has a data file that cannot be read"},
		{of(16, "games.service", func(p *replica.Process) { p.Origin = replica.OriginUnknown }), "process 16 may not be looked into"},
		{of(17, own, nil), "process 17 is in the unit that this session is in, ssh.service"},
		{of(18, "user.service", func(p *replica.Process) { p.Stranger = true }), ""},
		{of(19, "version.service", func(p *replica.Process) { p.Replica = false }), ""},
	}
	for _, other := range others {
		got := choose(append(slices.Clone(replicas), other.process), cluster, own)
		command, err := got.command()
		if err != nil || !slices.Equal(command, []string{"systemctl", "restart", "tb.service", "tb-2.service"}) || !slices.Equal(got.pids, []int{1, 2, 3}) {
			t.Errorf("beside process %d: %q, %v, %v", other.process.PID, command, got.pids, err)
		}
		if said := strings.Join(got.skipped, "; "); !strings.HasPrefix(said, other.why) || (said == "") != (other.why == "") {
			t.Errorf("beside process %d it says %q, want %q", other.process.PID, said, other.why)
		}
		alone := choose([]replica.Process{other.process}, cluster, own)
		if command, err := alone.command(); !errors.Is(err, ErrNoRestart) || !strings.HasPrefix(err.Error(), other.why) {
			t.Errorf("process %d alone: %q, %v", other.process.PID, command, err)
		}
	}
}

// The words of the setting are those of a program that the host can start, whatever PATH says.
func TestCheckRestart(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{
		"systemctl restart tb": true, "/etc/tbctl/restart": true, "restart.sh": true,
		"./restart": false, "bin/restart": false, "systemctl restart a\x00": false,
	} {
		if err := CheckRestart(strings.Fields(words)); (err == nil) != want {
			t.Errorf("%q: %v", words, err)
		}
	}
}
