package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
)

// lending starts two more replicas of the cluster from the target: that of a person in a service that runs programs for people, and that of an
// account of the system in no service.
const lending = `set -eu
mkdir -m 1777 /run/lent; cd /run/lent
echo 'CGROUP' >cgroup
for user in 45551 5; do
	/usr/local/bin/tigerbeetle format --cluster=7 --replica=$((user == 5)) --replica-count=2 $user.tigerbeetle
	chown $user $user.tigerbeetle
	setsid setpriv --reuid $user --clear-groups /usr/local/bin/tigerbeetle start --addresses=3990,3991 $user.tigerbeetle >$user.log 2>&1 </dev/null &
	pid=$!
	[ $user = 5 ] || mount --bind cgroup /proc/$pid/cgroup
	until grep -q listening $user.log; do kill -0 $pid || { cat $user.log; exit 1; }; sleep 0.01; done
done
`

// replicas waits until the replicas that a host shows are as told, and returns their process ids. What is told of one is its process id, and
// the release that it holds.
func replicas(t *testing.T, session *remote.Session, what string, are func(pids []int, armed []string) bool) (pids []int) {
	t.Helper()
	eventually(t, what, func() string {
		shown, err := session.Report(t.Context())
		if err != nil || shown.Targets[0].Status == nil {
			t.Fatalf("%+v, %v", shown, err)
		}
		pids = nil
		var armed []string
		for _, replica := range shown.Targets[0].Status.Replicas {
			release := "none"
			if replica.Armed != nil {
				release = replica.Armed.Current.String()
			}
			pids, armed = append(pids, replica.PID), append(armed, release)
		}
		if are(pids, armed) {
			return ""
		}
		return fmt.Sprintf("they are %v, and hold %v", pids, armed)
	})
	return pids
}

// put stores a binary on a host, and returns its SHA-256.
func put(t *testing.T, session *remote.Session, binary []byte) string {
	t.Helper()
	sum := sha256.Sum256(binary)
	digest := hex.EncodeToString(sum[:])
	if _, err := session.Put(t.Context(), digest, int64(len(binary)), bytes.NewReader(binary)); err != nil {
		t.Fatal(err)
	}
	return digest
}

// A rollout that aborts puts the previous file back and restarts the replica, by the host's own command or by the unit that
// the replica is in; only the run that has the host may, and only while it aborts.
func TestFleetRestart(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 2) // so that the one which is armed does not upgrade
	h := f.Hosts[0]
	previous, next := standin.Binary(t, "0.17.7", "0.17.6"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	f.serve(previous)
	const configured = "restart = [\"/etc/tbctl/restart\", \"tb\", \"a b\"]\n"
	h.WriteFile("/etc/tbctl/config.toml", []byte(configured), 0o644)
	ctx := t.Context()
	session := f.session(h.Name)
	digest := put(t, session, next)
	fence := fenceOf(4, 1, "a", "ana")
	fence.Artifact, fence.Cluster = "sha256:"+digest, datafile.NewID(7).Hex()
	granted, err := session.Claim(ctx, remote.ClaimRequest{Fence: fence, Secret: secretOf(fence)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Swap(ctx, remote.SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: digest, Phase: fleet.PhaseArmed}); err != nil {
		t.Fatal(err)
	}
	restart := func(fence fleet.Fence) (*host.Restarted, error) {
		return session.Restart(ctx, remote.RestartRequest{Fence: fence, Secret: secretOf(fence)})
	}
	pids := replicas(t, session, "it is armed", func(_ []int, armed []string) bool { return slices.Equal(armed, []string{"0.17.8"}) })
	refused := func(what string, fence fleet.Fence, class fault.Class, words string) {
		t.Helper()
		if _, err := restart(fence); fault.Of(err) != class || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", what, err)
		}
		replicas(t, session, what+": the replicas are the same", func(now []int, _ []string) bool { return slices.Equal(now, pids) })
	}
	refused("while it arms", fence, fault.Refused, "this run is in the phase armed")
	if err := session.Phase(ctx, remote.PhaseRequest{Fence: fence, Secret: secretOf(fence), Phase: fleet.PhaseAborting}); err != nil {
		t.Fatal(err)
	}
	late := fence
	late.Epoch, late.Holder, late.Proof = 2, fenceOf(4, 2, "a", "bob").Holder, fenceOf(4, 2, "a", "bob").Proof
	refused("by who has not claimed", late, fault.Fenced, "has not claimed")

	// The file that was there before is in nobody's store: it is beside the target.
	outcome, err := session.Swap(ctx, remote.SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: strings.TrimPrefix(granted.Previous, "sha256:"), Phase: fleet.PhaseAborting})
	if err != nil || !outcome.Changed {
		t.Fatalf("%+v, %v", outcome, err)
	}
	restarted, err := restart(fence)
	if err != nil || !slices.Equal(restarted.PIDs, pids) || !slices.Equal(restarted.Command, []string{"/etc/tbctl/restart", "tb", "a b"}) {
		t.Fatalf("%+v, %v", restarted, err)
	}
	now := replicas(t, session, "it was restarted", func(now []int, armed []string) bool {
		return !slices.Equal(now, pids) && slices.Equal(armed, []string{"0.17.7"})
	})
	if said := h.Run("cat", "/var/lib/tigerbeetle/restarts"); said != "2 tb a b\n" {
		t.Errorf("it was restarted with %q", said)
	}
	pids = now

	refused("once more, though nothing was put back", fence, fault.Refused, host.ErrNotPutBack.Error())

	// Another setting is of the next session, in which the file is put back once more.
	again := func(setting string) {
		session.Close()
		h.WriteFile("/etc/tbctl/config.toml", []byte(setting), 0o644)
		session = f.session(h.Name)
		fence.Epoch++
		if _, err := session.Claim(ctx, remote.ClaimRequest{Fence: fence, Secret: secretOf(fence), TakeOver: true}); err != nil {
			t.Fatal(err)
		}
		for _, swap := range []remote.SwapRequest{{Artifact: digest, Phase: fleet.PhaseArmed}, {Artifact: strings.TrimPrefix(granted.Previous, "sha256:"), Phase: fleet.PhaseAborting}} {
			swap.Fence, swap.Secret = fence, secretOf(fence)
			if _, err := session.Swap(ctx, swap); err != nil {
				t.Fatal(err)
			}
		}
	}
	again(`restart = ["sh", "-c", "echo first; echo no such unit >&2; exit 5"]`)
	refused("a command that fails", fence, fault.Failed, "exit status 5: it said: first no such unit")
	again("")
	refused("in no unit", fence, fault.Refused, "is not in a service of systemd: how it is restarted is not known: set restart = ")
	h.Run("sh", "-c", fmt.Sprintf("echo '0::/system.slice/tb-eu.service' >/run/cgroup; mount --bind /run/cgroup /proc/%d/cgroup", pids[0]))
	// Who may execute the target, and makes a replica of that cluster's look, says nothing about what is restarted.
	h.Run("sh", "-c", strings.ReplaceAll(lending, "CGROUP", "0::/system.slice/postfix.service"))
	lent := replicas(t, session, "two more run", func(now []int, _ []string) bool { return len(now) == 3 && slices.Contains(now, pids[0]) })
	lent = slices.DeleteFunc(lent, func(pid int) bool { return pid == pids[0] })
	h.WriteFile("/run/systemctl", []byte("#!/bin/sh\nset -eu\n[ \"$*\" = 'restart tb-eu.service' ]\nexec /etc/tbctl/restart\n"), 0o755)
	h.Run("sh", "-c", "mkdir -p /run/bin/upper /run/bin/work; mount -t overlay -o lowerdir=/usr/bin,upperdir=/run/bin/upper,workdir=/run/bin/work overlay /usr/bin; rm -f /usr/bin/systemctl; cp /run/systemctl /usr/bin/systemctl")
	again("")
	restarted, err = restart(fence)
	if err != nil || !slices.Equal(restarted.PIDs, pids) || !slices.Equal(restarted.Command, []string{"systemctl", "restart", "tb-eu.service"}) {
		t.Fatalf("%+v, %v", restarted, err)
	}
	if len(lent) != 2 || len(restarted.Skipped) != 2 {
		t.Errorf("processes %v lend themselves, and %q were left out", lent, restarted.Skipped)
	}
	records := restarts(t, h)
	if last := records[len(records)-1]; last.Restarted == nil || !slices.Equal(last.Restarted.Skipped, restarted.Skipped) {
		t.Errorf("%q were left out, and the history has %+v", restarted.Skipped, last.Restarted)
	}
	replicas(t, session, "the unit was restarted", func(now []int, _ []string) bool { return len(now) == 3 && !slices.Contains(now, pids[0]) })
	h.Run("kill", strconv.Itoa(lent[0]), strconv.Itoa(lent[1]))

	// One that nobody waits for any more is ended in order.
	h.WriteFile("/etc/tbctl/slow", []byte("#!/bin/sh\necho >/run/slow.begun\nuntil [ -e /run/slow.go ]; do sleep 0.01; done\necho >/run/slow.done\n"), 0o755)
	again(`restart = ["/etc/tbctl/slow"]`)
	gone, leave := context.WithCancel(ctx)
	left := make(chan struct{})
	go func() {
		defer close(left)
		session.Restart(gone, remote.RestartRequest{Fence: fence, Secret: secretOf(fence)})
	}()
	h.Run("sh", "-c", "until [ -e /run/slow.begun ]; do sleep 0.01; done")
	leave()
	<-left
	session.Close()
	h.Run("sh", "-c", "touch /run/slow.go; until [ -e /run/slow.done ]; do sleep 0.01; done")
	restartsRecorded(t, h, fence)

	// One whose tbctl is killed was begun, and its end is not known.
	h.Run("sh", "-c", "rm /run/slow.go /run/slow.begun")
	again(`restart = ["/etc/tbctl/slow"]`)
	go session.Restart(ctx, remote.RestartRequest{Fence: fence, Secret: secretOf(fence)})
	h.Run("sh", "-c", "until [ -e /run/slow.begun ]; do sleep 0.01; done; kill -9 $(pgrep -x tbctl); touch /run/slow.go")
	records = restarts(t, h)
	if last := records[len(records)-1]; last.Phase != install.PhaseIntent || last.Rollout == nil || last.Rollout.Plan != fence.Plan || last.Restarted == nil {
		t.Errorf("%+v", last)
	}
	if shown := h.Run("tbctl", "history", "--state-dir", "/var/lib/tbctl"); !strings.Contains(shown, "its end was not recorded") || !strings.Contains(shown, "ana@bastion") || !strings.Contains(shown, fence.Plan) {
		t.Errorf("it is shown as\n%s", shown)
	}

	// A history that cannot be written keeps nothing from being done, and the controller is told.
	h.Run("sh", "-c", "mv /var/lib/tbctl/history.jsonl /var/lib/tbctl/kept && mkdir /var/lib/tbctl/history.jsonl")
	again(`restart = ["true"]`)
	if restarted, err := restart(fence); err != nil || len(restarted.Warnings) != 1 || !strings.Contains(restarted.Warnings[0], "history.jsonl") {
		t.Errorf("without a history: %+v, %v", restarted, err)
	}
	again(`restart = ["false"]`)
	if _, err := restart(fence); err == nil || !strings.Contains(err.Error(), "history.jsonl") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("one that fails without a history: %v", err)
	}
}

// restarts are the records of restarts in the history of a host.
func restarts(t *testing.T, h *testhost.Host) []install.Record {
	t.Helper()
	text := h.Run("tbctl", "history", "--json", "--state-dir", "/var/lib/tbctl")
	if _, err := mustSchemas(t).checkOutput([]byte(text)); err != nil {
		t.Error(err)
	}
	var document report.Document[report.History]
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(document.Result.Records, func(r install.Record) bool { return r.Operation != install.OperationRestart })
}

// restartsRecorded requires that the history has each restart by the run that has the host: that run, the command, the processes and what came
// of it, and so has the swap before. What was refused before it began is not in it.
func restartsRecorded(t *testing.T, h *testhost.Host, fence fleet.Fence) {
	t.Helper()
	const want = "restarted failed restarted restarted"
	var results []string
	eventually(t, "each restart is recorded", func() string { // the last one ends after who asked has gone
		results = nil
		begun := make(map[string]bool)
		for _, r := range restarts(t, h) {
			if r.Phase == install.PhaseIntent {
				begun[r.ID] = true
				continue
			}
			results = append(results, string(r.Result))
			run := r.Rollout
			if run == nil || run.Plan != fence.Plan || run.Generation != fence.Generation || run.Epoch == 0 || run.Epoch > fence.Epoch || run.Holder.Who != "ana@bastion" || r.Target != fleetTarget {
				t.Fatalf("%+v", r)
			}
			if ran := r.Result != install.ResultRefused; ran != begun[r.ID] || ran != (r.Restarted != nil && len(r.Restarted.Command) > 0 && len(r.Restarted.PIDs) > 0) {
				t.Fatalf("%+v, begun %v", r, begun[r.ID])
			}
			if r.Result == install.ResultFailed && !strings.Contains(r.Error, "exit status 5: it said: first") {
				t.Errorf("%+v", r)
			}
		}
		if len(results) > strings.Count(want, " ")+1 {
			t.Fatalf("%q are recorded, want %s", results, want)
		}
		if strings.Join(results, " ") == want {
			return ""
		}
		return fmt.Sprintf("%q are recorded, want %s", results, want)
	})
	if text := h.Run("tbctl", "history", "--state-dir", "/var/lib/tbctl"); strings.Count(text, "rollout of ana@bastion") < len(results)+2 {
		t.Errorf("not each swap and restart is shown with who asked:\n%s", text)
	}
}
