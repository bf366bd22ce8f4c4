package replica_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
)

// What cannot be seen from where one stands is told, and never taken for nothing.
func TestUnseen(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: making namespaces needs root")
	}
	needAllSeen(t)
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	forMallory(t, binary, dataFile)
	p := standin.Start(t, binary, dataFile, standin.Options{})
	self := program(t)
	tests := []struct {
		name, user string
		command    string
		seen       bool // the replica
		byName     bool
		kinds      []replica.UnseenKind
	}{
		{"root", "root", `exec "$0"`, true, false, nil},
		{"a user", "mallory", `exec "$0"`, true, true, nil},
		{"hidepid=2", "mallory", `mount -t proc -o hidepid=2 proc /proc; exec "$0"`, false, true, []replica.UnseenKind{replica.UnseenHidden}},
		{"hidepid=1", "mallory", `mount -t proc -o hidepid=1 proc /proc; exec "$0"`, false, true, []replica.UnseenKind{replica.UnseenHidden}},
		{"hidepid=4", "mallory", `mount -t proc -o hidepid=4 proc /proc; exec "$0"`, false, true, []replica.UnseenKind{replica.UnseenHidden}},
		{"hidepid=2, with a group", "mallory", `mount -t proc -o hidepid=2,gid=45551 proc /proc; exec "$0"`, true, true, nil},
		{"hidepid=2, as root", "root", `mount -t proc -o hidepid=2 proc /proc; exec "$0"`, true, false, nil},
		{"a container", "root", `exec unshare -p -f --mount-proc "$0"`, false, false, []replica.UnseenKind{replica.UnseenNamespace}},
		{"another's /proc", "root", `unshare -p -f --kill-child sh -c 'mount -t proc proc /proc; exec sleep 100' >&- 2>&- & other=$!
until ! [ -e /proc/self ]; do :; done
"$0"; kill -KILL $other`, false, false, []replica.UnseenKind{replica.UnseenNamespace}},
		{"no /proc", "root", `mount -t tmpfs none /proc; exec "$0"`, false, false, []replica.UnseenKind{replica.UnseenNoProc}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			command := exec.Command("unshare", "-m", "sh", "-ec", "mount --make-rprivate /\n"+test.command, self)
			command.Env = append(os.Environ(), helperVariable+"=find "+test.user+" "+binary)
			output, err := command.Output()
			if err != nil {
				t.Skipf("skipped: not possible here: %v: %s", err, output)
			}
			var view replica.View
			if err := json.Unmarshal(output, &view); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			var kinds []replica.UnseenKind
			for _, unseen := range view.Unseen {
				if unseen.Kind == replica.UnseenForbidden { // other tests' replicas
					continue
				}
				if kinds = append(kinds, unseen.Kind); unseen.Reason == "" {
					t.Errorf("%s without a reason", unseen.Kind)
				}
			}
			seen := slices.ContainsFunc(view.Processes, func(process replica.Process) bool { return process.PID == p.PID() })
			if !slices.Equal(kinds, test.kinds) || seen != test.seen || view.ByName != test.byName {
				t.Errorf("seen %t, by name %t, unseen %+v", seen, view.ByName, view.Unseen)
			}
		})
	}
}

// Where the descriptors of a replica are listed and not followed it is not seen whether it listens: nothing is concluded
// from that, and it is said once.
func TestDescriptorsNotFollowed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it looks as root without rights at a process of root's")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	command := exec.Command(setpriv, "--bounding-set", "-all", "--inh-caps", "-all", program(t))
	command.Env = append(os.Environ(), helperVariable+"=find root "+binary)
	output, err := command.Output()
	if err != nil {
		t.Skipf("skipped: not possible here: %v: %s", err, output)
	}
	var view replica.View
	if err := json.Unmarshal(output, &view); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	got := processOf(t, view, p.PID())
	if got.State != replica.StateUnknown || !got.StartingSince.IsZero() {
		t.Errorf("state %q since %v, want unknown", got.State, got.StartingSince)
	}
	var said []string
	for _, each := range got.Unreadable {
		if each.What == "fd" {
			said = append(said, each.Reason)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], "descriptors are not shown") {
		t.Errorf("said of its descriptors: %q", said)
	}
}
