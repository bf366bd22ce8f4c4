package replica_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/replica"
)

// Who counts is decided by the user, by whose files they are, and by where only root can have put the process.
func TestFindCounts(t *testing.T) {
	t.Parallel()
	const (
		inService = "0::/system.slice/tigerbeetle.service\n"
		noLogin   = "4294967295"
		owner     = 4711
	)
	other := filepath.Join(t.TempDir(), "tigerbeetle")
	if err := os.WriteFile(other, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name            string
		uid             int
		cgroups, login  string // "": the system does not tell
		executes        string // "": the target
		users           []uint32
		counts, replica bool
		service         string
	}{
		{name: "root", uid: 0, cgroups: "0::/user.slice/user-0.slice/session-1.scope\n", login: "0", counts: true, replica: true},
		{name: "an account of the system", uid: 999, cgroups: "0::/\n", login: noLogin, counts: true, replica: true},
		{name: "DynamicUser=", uid: 61184, cgroups: inService, login: noLogin, counts: true, replica: true},
		{name: "the target's owner", uid: owner, cgroups: "0::/user.slice/user-4711.slice/session-1.scope\n", login: "4711", counts: true, replica: true},
		{name: "an owner of its data file", uid: 1500, users: []uint32{1500}, counts: true, replica: true},

		{name: "a service whose user is like a person's", uid: 1500, cgroups: inService, login: noLogin, counts: true, replica: true, service: "tigerbeetle.service"},
		{name: "with both hierarchies", uid: 1500, cgroups: "8:pids:/\n1:name=systemd:/system.slice/tb@0.service\n0::/\n", login: noLogin + "\n", counts: true, replica: true, service: "tb@0.service"},
		{name: "in a slice, and in a part of its cgroup", uid: 1500, cgroups: "0::/system.slice/system-tb.slice/tb@0.service/main\n", login: noLogin, counts: true, replica: true, service: "tb@0.service"},
		{name: "a container of Docker's", uid: 1500, cgroups: "0::/system.slice/docker-12ab.scope\n", login: noLogin, counts: true, replica: true, service: "docker-12ab.scope"},
		{name: "the same without systemd", uid: 1500, cgroups: "0::/docker/12ab\n", login: noLogin, counts: true, replica: true, service: "12ab"},
		{name: "a pod", uid: 1500, cgroups: "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-12ab.scope\n", login: noLogin, counts: true, replica: true, service: "cri-containerd-12ab.scope"},
		{name: "root's podman", uid: 1500, cgroups: "0::/machine.slice/libpod-12ab.scope\n", login: noLogin, counts: true, replica: true, service: "libpod-12ab.scope"},

		{name: "a shell", uid: 1500, cgroups: "0::/user.slice/user-1500.slice/session-1.scope\n", login: "1500", replica: true},
		{name: "a shell without systemd", uid: 1500, cgroups: "0::/\n", login: noLogin, replica: true},
		{name: "a service of the user's own", uid: 1500, cgroups: "0::/user.slice/user-1500.slice/user@1500.service/app.slice/tb.service\n", login: noLogin, replica: true},
		{name: "a cgroup in that, named like the system's", uid: 1500, cgroups: "0::/user.slice/user-1500.slice/user@1500.service/system.slice/tb.service\n", login: noLogin, replica: true},
		{name: "what cron runs for a user", uid: 1500, cgroups: "0::/system.slice/cron.service\n", login: "1500", replica: true},
		{name: "outside of our cgroup namespace", uid: 1500, cgroups: "0::/../system.slice/tb.service\n", login: noLogin, replica: true},
		{name: "in a path that leads out of the slice", uid: 1500, cgroups: "0::/system.slice/../tb.service\n", login: noLogin, replica: true},
		{name: "in another hierarchy alone", uid: 1500, cgroups: "4:memory:/system.slice/tb.service\n0::/\n", login: noLogin, replica: true},
		{name: "without a word of a login", uid: 1500, cgroups: inService, replica: true},
		{name: "without a cgroup", uid: 1500, login: noLogin, replica: true},
		{name: "a service that executes something else", uid: 1500, cgroups: inService, login: noLogin, executes: other},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := installed(t)
			if test.uid == owner {
				if os.Geteuid() != 0 {
					t.Skip("skipped: changing the owner needs root")
				}
				if err := os.Chown(target, owner, owner); err != nil {
					t.Fatal(err)
				}
			}
			if test.executes == "" {
				test.executes = target
			}
			tr := newTree(t)
			tr.process(2, test.executes, "mnt:[1]", target, "start", "--addresses=3000", "/none")
			tr.write("2/status", fmt.Sprintf("Name:\tx\nUid:\t%d\t0\t0\t0\n", test.uid))
			if test.cgroups != "" {
				tr.write("2/cgroup", test.cgroups)
			}
			if test.login != "" {
				tr.write("2/loginuid", test.login)
			}
			got := processOf(t, look(t, target, replica.Options{Proc: tr.root, Users: test.users}), 2)
			if got.Counts() != test.counts || got.Replica != test.replica || got.Service != test.service {
				t.Errorf("counts %t, %+v", got.Counts(), got)
			}
		})
	}
}
