package rollout_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// plan is the plan that brings the new release to all of a fleet's clusters.
func (f *simFleet) plan(t testing.TB) *fleet.Plan {
	t.Helper()
	inventory := fleet.Inventory{}
	var observations []fleet.Observation
	for _, name := range f.order {
		h := f.hosts[name]
		cluster := "c" + h.cluster
		if n := len(inventory.Clusters); n == 0 || inventory.Clusters[n-1].Name != cluster {
			inventory.Clusters = append(inventory.Clusters, fleet.Cluster{Name: cluster, Wave: 1})
		}
		last := &inventory.Clusters[len(inventory.Clusters)-1]
		host := fleet.Host{Name: name}
		if f.depots {
			host.Depot = name + ":3443"
		}
		last.Hosts = append(last.Hosts, host)
		shown, err := h.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		observations = append(observations, shown...)
	}
	plan, problems := fleet.Draft(inventory, observations, fleet.Artifact{
		SHA256: "sha256:" + simArtifact, Size: 1000, Platform: multiversion.PlatformX86_64Linux, Release: simNew, Releases: []multiversion.Release{simOld, simNew}, Checksum: simChecksum,
	}, fleet.DraftOptions{Author: "ana@bastion"})
	if plan == nil {
		t.Fatalf("%+v", problems)
	}
	return plan
}

const simID = "sha256:" + "5555555555555555555555555555555555555555555555555555555555555555"

// options are those of a run by a holder.
func (f *simFleet) options(plan *fleet.Plan, goal fleet.Goal, holder string) rollout.Options {
	secret := fleet.Secret(sha256.Sum256([]byte(holder)))
	return rollout.Options{
		Plan: plan, ID: simID, File: "plan.json", Goal: goal, Holder: fleet.Holder{ID: secret.ID(), Who: holder + "@bastion", Since: time.Unix(0, 0)}, Secret: secret,
		Hosts: f.host, Artifact: &rollout.Artifact{SHA256: simArtifact, Size: 1000},
	}
}

// invariants are what must hold of a fleet at any time: no swap but under a fence of ours, and the last of a cluster by promote alone.
func (f *simFleet) swapped() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := 0
	for _, h := range f.hosts {
		if h.installed == simArtifact {
			count++
		}
	}
	return count
}

func classOf(err error) fault.Class { return fault.Of(err) }

// A rollout goes from staging to its end by one verb after the other; each again does nothing.
func TestRunThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(2, 3)
		plan := f.plan(t)
		for _, step := range []struct {
			goal    fleet.Goal
			swapped int
			step    fleet.Step
		}{
			{fleet.GoalStage, 0, fleet.StepStaged}, {fleet.GoalStage, 0, fleet.StepStaged},
			{fleet.GoalArm, 4, fleet.StepArmed}, {fleet.GoalArm, 4, fleet.StepArmed},
			{fleet.GoalPromote, 6, fleet.StepDone}, {fleet.GoalPromote, 6, fleet.StepDone},
		} {
			options := f.options(plan, step.goal, "ana")
			options.Run = true // each run is another process, which has hashed and checked nothing yet
			if step.goal == fleet.GoalStage {
				options.Run = false
			}
			result, err := rollout.Run(t.Context(), options)
			if err != nil || f.swapped() != step.swapped {
				t.Fatalf("%s: %v, %d swapped, want %d: %+v", step.goal, err, f.swapped(), step.swapped, result)
			}
			for _, cluster := range result.Clusters {
				if cluster.Step != step.step {
					t.Errorf("%s: %s is %s, want %s", step.goal, cluster.Name, cluster.Step, step.step)
				}
			}
			for _, h := range f.hosts {
				_ = h.Close()
			}
		}
		for name, h := range f.hosts {
			if h.running != simNew || h.fence.Phase != fleet.PhaseDone || len(h.changes) != 1 {
				t.Errorf("%s: runs %s, phase %s, changes %q", name, h.running, h.fence.Phase, h.changes)
			}
		}
	})
}

// A run whose time is over says what it waited for, and its table which replica does not serve.
func TestRunTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		plan := f.plan(t)
		options := f.options(plan, fleet.GoalArm, "ana")
		options.Run = true
		if _, err := rollout.Run(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		stopped := f.hosts["tb1.c0"]
		stopped.state = "stopped"
		for _, h := range f.hosts {
			_ = h.Close()
		}
		options = f.options(plan, fleet.GoalPromote, "ana")
		options.Timeout = 20 * time.Second
		result, err := rollout.Run(t.Context(), options)
		if classOf(err) != fault.Failed {
			t.Fatalf("%v: %+v", err, result)
		}
		cluster := &result.Clusters[0]
		missed := func(p fleet.Problem) bool { return p.Reason == fleet.ProblemNotServing && p.Host == stopped.name }
		waited := func(p fleet.Problem) bool { return p.Reason == fleet.ProblemNotStable }
		if !slices.ContainsFunc(cluster.Misses, missed) || !slices.ContainsFunc(cluster.Waits, waited) || cluster.Problems[0].Reason != fleet.ProblemDeadline {
			t.Errorf("misses %+v, waits %+v, problems %+v", cluster.Misses, cluster.Waits, cluster.Problems)
		}
		for _, row := range cluster.Rows {
			if want := cmp.Or(f.hosts[row.Name].state, "running"); row.State != want {
				t.Errorf("%s is %q, want %q", row.Name, row.State, want)
			}
		}
		if text := err.Error(); !strings.Contains(text, "tb1.c0: replica 1 does not serve: it is stopped") {
			t.Errorf("%s", text)
		}
	})
}

// A run whose time is over ends within seconds, whatever a host is at work on or does not answer, and says what it waited for.
func TestRunTimeoutOfRequests(t *testing.T) {
	t.Parallel()
	for _, request := range []rollout.Request{rollout.RequestObserve, rollout.RequestSend, rollout.RequestClaim, rollout.RequestSwap, rollout.RequestRestart, rollout.RequestPhase} {
		t.Run(string(request), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := simClusters(1, 3)
				plan := f.plan(t)
				goal := fleet.GoalPromote
				if request == rollout.RequestRestart || request == rollout.RequestPhase {
					goal = fleet.GoalAbort
					options := f.options(plan, fleet.GoalArm, "ana")
					options.Run = true
					if _, err := rollout.Run(t.Context(), options); err != nil {
						t.Fatal(err)
					}
					for _, h := range f.hosts {
						_ = h.Close()
					}
				}
				for _, h := range f.hosts {
					h.before = func(ctx context.Context, asked rollout.Request) error {
						if asked == request {
							<-ctx.Done()
							return context.Cause(ctx)
						}
						return nil
					}
				}
				options := f.options(plan, goal, "ana")
				options.Run, options.Timeout, options.Journal = goal == fleet.GoalPromote, 40*time.Second, &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/state"}
				began := time.Now()
				result, err := rollout.Run(t.Context(), options)
				if took := time.Since(began); took < options.Timeout || took > options.Timeout+10*time.Second { // of the test's own clock
					t.Errorf("it took %v", took)
				}
				want := "it was asked for this and has not answered: " + strings.Replace(string(request), "phase", "note the phase", 1)
				if request == rollout.RequestObserve {
					want = "it cannot be looked at: no answer: it did not answer"
				}
				if classOf(err) != fault.Failed || !strings.Contains(fmt.Sprint(err, result.Clusters[0].Problems), want) {
					t.Errorf("%v: %+v, want %q", err, result.Clusters[0].Problems, want)
				}
				given := 0
				if err := options.Journal.Entries(simID, func(entry rollout.Entry) {
					if entry.Request == request && entry.Result == fault.Failed {
						given++
					}
				}); err != nil || given == 0 {
					t.Errorf("the journal has no such request: %v", err)
				}
			})
		})
	}
}

// A name that the plan does not have is a problem of the run, though no cluster is shown.
func TestRunNotPlanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		options := f.options(f.plan(t), fleet.GoalStage, "ana")
		options.Clusters = []string{"ledgre"}
		result, err := rollout.Run(t.Context(), options)
		if classOf(err) != fault.Usage || len(result.Clusters) != 0 || len(result.Problems) != 1 || result.Problems[0].Reason != fleet.ProblemNotPlanned {
			t.Errorf("%v: %+v", err, result)
		}
	})
}

// The secret of a run goes to the hosts, and is in nothing that the run says or keeps: not in its errors, its journal or what it shows.
func TestRunSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(2, 3)
		options := f.options(f.plan(t), fleet.GoalPromote, "ana")
		options.Run, options.Journal = true, &rollout.Journal{FS: vfs.OS(), Dir: t.TempDir()}
		f.hosts["tb0.c1"].refuses = errors.New("no")
		var said strings.Builder
		options.Show = func(shown *report.Rollout) {
			text, err := json.Marshal(shown)
			said.WriteString(string(text) + fmt.Sprintf("%+v %v", shown, err))
		}
		_, err := rollout.Run(t.Context(), options)
		if err == nil || f.swapped() != 0 && f.swapped() != 3 {
			t.Fatalf("%v, %d swapped", err, f.swapped())
		}
		fmt.Fprintf(&said, "%+v %#v %+v", err, err, options)
		journal, err := os.ReadFile(options.Journal.Path(options.ID))
		if err != nil {
			t.Fatal(err)
		}
		said.Write(journal)
		if text := said.String(); strings.Contains(text, hex.EncodeToString(options.Secret[:])) || strings.Contains(text, fmt.Sprint(options.Secret[:4])[1:]) || !strings.Contains(text, "ana@bastion") {
			t.Error("the secret is said, or nothing is")
		}
	})
}

// Each host is shown a secret of its own, by which nothing is proved on another: the run's own goes to none.
func TestRunSecretOfHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		options := f.options(f.plan(t), fleet.GoalArm, "ana")
		options.Run = true
		if _, err := rollout.Run(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		for name, h := range f.hosts {
			if h.fence == nil || h.fence.Holder.ID != options.Holder.ID || fleet.Prove(h.fence, *h.fence, h.shown) != nil || fleet.Prove(h.fence, *h.fence, options.Secret) == nil {
				t.Errorf("%s: %+v", name, h.fence)
			}
			for other, o := range f.hosts {
				if other != name && fleet.Prove(h.fence, *h.fence, o.shown) == nil {
					t.Errorf("what %s was shown proves the run on %s", other, name)
				}
			}
		}
	})
}

// A host that is down blocks its cluster alone; the others are staged, and the same command goes on later.
func TestRunHostDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(2, 3)
		plan := f.plan(t)
		down := f.hosts["tb1.c0"]
		down.before = func(context.Context, rollout.Request) error {
			return &remote.SessionError{Host: down.name, Reason: remote.ReasonUnreachable, Err: errors.New("no route")}
		}
		result, err := rollout.Run(t.Context(), f.options(plan, fleet.GoalStage, "ana"))
		if classOf(err) != fault.Failed || !strings.Contains(err.Error(), "tb1.c0") {
			t.Errorf("%v", err)
		}
		for name, h := range f.hosts {
			if h.stored[simArtifact] != (h != down) {
				t.Errorf("%s: %v", name, h.stored)
			}
		}
		if result.Clusters[0].Step == fleet.StepStaged || result.Clusters[1].Step != fleet.StepStaged || result.Clusters[0].WayOn != "tbctl fleet stage plan.json "+result.Clusters[0].Name {
			t.Errorf("%+v", result.Clusters)
		}
		down.before = nil
		if _, err := rollout.Run(t.Context(), f.options(plan, fleet.GoalStage, "ana")); err != nil || !down.stored[simArtifact] {
			t.Errorf("%v", err)
		}
	})
}

// A host that hangs holds up no other, and the run ends all the same.
func TestRunHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(3, 3)
		plan := f.plan(t)
		hung := f.hosts["tb2.c1"]
		hung.before = func(ctx context.Context, _ rollout.Request) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		lost := false
		f.hosts["tb1.c2"].before = func(context.Context, rollout.Request) error {
			if lost {
				return nil
			}
			lost = true
			return &remote.RequestError{Host: "tb1.c2", Err: errors.New("stream error")}
		}
		began := time.Now()
		staged := make(map[string]time.Duration)
		options := f.options(plan, fleet.GoalStage, "ana")
		options.Journal = &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/state"}
		options.Show = func(shown *report.Rollout) {
			for _, cluster := range shown.Clusters {
				if _, known := staged[cluster.Name]; !known && cluster.Step == fleet.StepStaged {
					staged[cluster.Name] = time.Since(began)
				}
			}
		}
		_, err := rollout.Run(t.Context(), options)
		if classOf(err) != fault.Failed || !strings.Contains(err.Error(), "did not answer") || len(staged) != 2 {
			t.Errorf("%v, staged %v", err, staged)
		}
		for name, took := range staged {
			if took > 15*time.Second { // of the machine's own clock
				t.Errorf("%s waited %v for a host of another cluster", name, took)
			}
		}
		reasons := map[string]string{}
		if err := options.Journal.Entries(options.ID, func(entry rollout.Entry) {
			if entry.Result != fault.None {
				reasons[entry.Host] += entry.Reason + " "
			}
		}); err != nil || len(reasons) != 2 || reasons["tb2.c1"] != string(remote.ReasonSilent)+" " || reasons["tb1.c2"] != string(remote.ReasonLost)+" " {
			t.Errorf("the journal says %q, %v", reasons, err)
		}
	})
}

// Whatever the answer that is lost, and whatever request it belongs to, the same command comes to the same end, and every
// host is swapped once.
func TestRunLostAnswers(t *testing.T) {
	t.Parallel()
	for _, request := range []rollout.Request{rollout.RequestSend, rollout.RequestCheck, rollout.RequestClaim, rollout.RequestPhase, rollout.RequestSwap} {
		t.Run(string(request), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := simClusters(1, 6)
				plan := f.plan(t)
				for _, h := range f.hosts {
					lost := false
					h.after = func(r rollout.Request) error {
						if r == request && !lost {
							lost = true
							return errLost
						}
						return nil
					}
				}
				options := f.options(plan, fleet.GoalPromote, "ana")
				options.Run = true
				result, err := rollout.Run(t.Context(), options)
				if err != nil {
					t.Fatalf("%v: %+v", err, result)
				}
				for name, h := range f.hosts {
					swaps := slices.DeleteFunc(slices.Clone(h.changes), func(change string) bool { return change != "swap 8" })
					if h.running != simNew || len(swaps) != 1 {
						t.Errorf("%s: runs %s after %q", name, h.running, h.changes)
					}
				}
			})
		})
	}
}

// A controller that is killed after any of its requests is followed by one that comes to the same end; the one that was killed, and is
// woken, changes nothing.
func TestRunKilled(t *testing.T) {
	t.Parallel()
	for after := range 30 {
		synctest.Test(t, func(t *testing.T) {
			f := simClusters(1, 3)
			plan := f.plan(t)
			ctx, kill := context.WithCancelCause(t.Context())
			defer kill(nil)
			killed := errors.New("killed")
			var count atomic.Int64
			for _, h := range f.hosts {
				h.after = func(r rollout.Request) error {
					if r != rollout.RequestObserve {
						if count.Add(1) == int64(after)+1 {
							kill(killed)
						}
					}
					return nil
				}
			}
			first := f.options(plan, fleet.GoalPromote, "ana")
			first.Run = true
			if _, err := rollout.Run(ctx, first); err != nil && !errors.Is(err, killed) {
				t.Fatalf("after %d: %v", after, err)
			}
			for _, h := range f.hosts {
				_ = h.Close() // its sessions end with it
				h.after = nil
			}
			second := f.options(plan, fleet.GoalPromote, "bob")
			second.Run = true
			result, err := rollout.Run(t.Context(), second)
			if err != nil {
				t.Fatalf("after %d: %v: %+v", after, err, result)
			}
			for name, h := range f.hosts {
				if h.running != simNew || len(h.changes) != 1 {
					t.Errorf("after %d: %s runs %s after %q", after, name, h.running, h.changes)
				}
			}
		})
	}
}

// What a run has counted is kept while it goes on: one that is killed has counted too, and one that ends has counted each once.
func TestRunCountsSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		options := f.options(f.plan(t), fleet.GoalPromote, "ana")
		options.Run = true
		options.Journal = &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/state"}
		var during rollout.Counters
		f.hosts["tb2.c0"].after = func(request rollout.Request) error {
			var err error
			if request == rollout.RequestSwap { // which is the last one
				during, err = options.Journal.Lifetime()
			}
			return err
		}
		if _, err := rollout.Run(t.Context(), options); err != nil {
			t.Fatal(err)
		}
		total, err := options.Journal.Lifetime()
		if err != nil || total.Runs != 1 || total.Requests[rollout.RequestSwap] != 3 || total.Requests[rollout.RequestSend] != 3 {
			t.Errorf("at its end: %+v, %v", total, err)
		}
		if during.Runs != 1 || during.Requests[rollout.RequestSwap] != 2 || during.Requests[rollout.RequestSend] != 3 || during.Looks == 0 || during.Looks >= total.Looks {
			t.Errorf("at the last swap: %+v", during)
		}
	})
}

// A run that another one took over from changes nothing more, and ends as one that is fenced.
func TestRunFenced(t *testing.T) {
	t.Parallel()
	for _, linger := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := simClusters(1, 3)
			plan := f.plan(t)
			ana := f.options(plan, fleet.GoalPromote, "ana")
			ana.Run, ana.Linger = true, linger
			var bobs error
			began := false
			ana.Show = func(shown *report.Rollout) {
				if shown.Clusters[0].Step != fleet.StepArmed || began {
					return
				}
				began = true
				bob := f.options(plan, fleet.GoalPromote, "bob")
				bob.Run, bob.Rules.TakeOver = true, true
				_, bobs = rollout.Run(t.Context(), bob) // while the other one is stopped, and then woken
			}
			result, err := rollout.Run(t.Context(), ana)
			if bobs != nil || classOf(err) != fault.Fenced || !strings.Contains(err.Error(), "bob@bastion") {
				t.Errorf("bob: %v, ana: %v", bobs, err)
			}
			if linger && result.Clusters[0].Upgraded != 3 {
				t.Errorf("%+v", result.Clusters[0])
			}
			for name, h := range f.hosts {
				if h.running != simNew || h.fence.Holder.Who != "bob@bastion" || len(h.changes) != 1 {
					t.Errorf("%s: runs %s, %+v, %q", name, h.running, h.fence, h.changes)
				}
			}
		})
	}
}

// What a run that has just ended leaves open for a moment is waited for, and a run that lives is not.
func TestRunEnding(t *testing.T) {
	t.Parallel()
	for _, ends := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := simClusters(1, 3)
			plan := f.plan(t)
			arm := f.options(plan, fleet.GoalArm, "ana")
			arm.Run = true
			if _, err := rollout.Run(t.Context(), arm); err != nil {
				t.Fatal(err)
			}
			if ends {
				time.AfterFunc(3*time.Second, func() {
					for _, h := range f.hosts {
						_ = h.Close()
					}
				})
			}
			_, err := rollout.Run(t.Context(), f.options(plan, fleet.GoalAbort, "bob"))
			if ends && (err != nil || f.swapped() != 0) {
				t.Errorf("%v, %d swapped", err, f.swapped())
			}
			if !ends && (classOf(err) != fault.Fenced || f.swapped() != 2) {
				t.Errorf("%v, %d swapped", err, f.swapped())
			}
		})
	}
}

// What was armed is taken back, also after the controller was killed.
func TestRunAbort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 6)
		plan := f.plan(t)
		arm := f.options(plan, fleet.GoalArm, "ana")
		arm.Run = true
		if _, err := rollout.Run(t.Context(), arm); err != nil || f.swapped() != 5 {
			t.Fatalf("%v, %d swapped", err, f.swapped())
		}
		for _, h := range f.hosts {
			_ = h.Close()
		}
		f.hosts[f.order[1]].warnings = []string{"not restarted: process 7 is not in a service of systemd"}
		abort, told := f.options(plan, fleet.GoalAbort, "bob"), 0
		var before *report.Rollout
		abort.Show = func(now *report.Rollout) {
			for _, change := range now.Changes(before, time.Time{}) {
				if change.What == "warning" && change.Host == f.order[1] && strings.Contains(change.Message, "process 7") {
					told++
				}
			}
			before = now
		}
		result, err := rollout.Run(t.Context(), abort)
		if warnings := result.Clusters[0].Rows[1].Warnings; told != 1 || len(warnings) != 1 || len(result.Clusters[0].Rows[0].Warnings) != 0 {
			t.Errorf("what a host warned of was told %d times, and at last it is %q", told, warnings)
		}
		if err != nil || f.swapped() != 0 || result.Clusters[0].Step != fleet.StepAborted {
			t.Fatalf("%v, %d swapped: %+v", err, f.swapped(), result.Clusters[0])
		}
		for name, h := range f.hosts {
			if h.armed != simBefore || h.running != simOld || h.fence.Phase.Holds() {
				t.Errorf("%s: %+v", name, h.fence)
			}
		}
	})
}

// A host that refuses the artifact is told with its words, and nothing is changed anywhere.
func TestRunRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		plan := f.plan(t)
		f.hosts["tb1.c0"].refuses = fault.New(fault.Refused, "it does not fit")
		journal := &rollout.Journal{FS: memfs.New(memfs.Options{}), Dir: "/state"}
		options := f.options(plan, fleet.GoalPromote, "ana")
		options.Run, options.Journal = true, journal
		_, err := rollout.Run(t.Context(), options)
		if classOf(err) != fault.Refused || !strings.Contains(err.Error(), "it does not fit") || f.swapped() != 0 {
			t.Errorf("%v", err)
		}
		var refused []rollout.Entry
		if err := journal.Entries(options.ID, func(entry rollout.Entry) {
			if entry.Result == fault.Refused {
				refused = append(refused, entry)
			}
		}); err != nil || len(refused) == 0 {
			t.Fatalf("%v: %+v", err, refused)
		}
		if e := refused[0]; e.Host != "tb1.c0" || e.Request != rollout.RequestCheck || !slices.Contains(e.Causes, "it does not fit") || e.Rollout != simID || e.Generation != 1 {
			t.Errorf("%+v", e)
		}
		total, err := journal.Lifetime()
		if err != nil || total.Runs != 1 || total.Failed[rollout.RequestCheck] == 0 || total.BytesSent != 3000 || journal.Err() != nil {
			t.Errorf("%+v, %v, %v", total, err, journal.Err())
		}
	})
}

// A host that has the new file, and could not sync it, stops its cluster with the host's words and what to type there; the same command
// again, by who has looked, goes on.
func TestRunUnsure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		options := f.options(f.plan(t), fleet.GoalArm, "ana")
		options.Run = true
		unsure := f.hosts["tb1.c0"]
		unsure.after = func(request rollout.Request) error {
			if request != rollout.RequestSwap {
				return nil
			}
			return &remote.AnswerError{Host: unsure.name, Answer: remote.ErrorAnswer{
				Class: fault.Unknown, Message: "swap: " + simTarget + ": the new file is in place, but may be gone after a power cut", Hint: "find out what is on the disk: tbctl status " + simTarget,
			}}
		}
		result, err := rollout.Run(t.Context(), options)
		failed, ok := errors.AsType[*rollout.Error](err)
		if classOf(err) != fault.Unknown || !ok || len(failed.Problems) != 1 || f.swapped() == 3 {
			t.Fatalf("%v, %d swapped", err, f.swapped())
		}
		if strings.Count(err.Error(), "swap") != 1 || strings.Count(err.Error(), "tb1.c0") != 1 {
			t.Errorf("said twice: %v", err)
		}
		problem := failed.Problems[0]
		if problem.Host != "tb1.c0" || problem.Class() != fault.Unknown || problem.Hint != "on tb1.c0: find out what is on the disk: tbctl status "+simTarget || !strings.Contains(problem.Message, "may be gone after a power cut") {
			t.Errorf("%+v", problem)
		}
		if len(result.Clusters[0].Problems) != 1 || unsure.installed != simArtifact {
			t.Errorf("%+v", result.Clusters[0])
		}
		unsure.after = nil
		again := f.options(options.Plan, fleet.GoalArm, "bob")
		again.Run, f.hosts["tb0.c0"].holder, unsure.holder, f.hosts["tb2.c0"].holder = true, "", "", ""
		if _, err := rollout.Run(t.Context(), again); err != nil || f.swapped() != 2 {
			t.Errorf("%v, %d swapped", err, f.swapped())
		}
	})
}

// BenchmarkRun is a rollout to a hundred clusters of six hosts, from the plan to its end, and the most memory that it holds.
func BenchmarkRun(b *testing.B) {
	var most uint64
	for b.Loop() {
		f := simClusters(100, 6)
		options := f.options(f.plan(b), fleet.GoalPromote, "ana")
		options.Run, options.Interval, options.Rules.Stable = true, time.Millisecond, time.Millisecond
		looks := 0
		options.Show = func(*report.Rollout) {
			if looks++; looks%20 == 0 {
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				most = max(most, memory.HeapInuse+memory.StackInuse)
			}
		}
		if _, err := rollout.Run(b.Context(), options); err != nil || f.swapped() != 600 {
			b.Fatalf("%v, %d swapped", err, f.swapped())
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-most")
}

// A run that may change nothing any more ends before its next change, and what it has done stays.
func TestRunGuarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 6)
		options, gone := f.options(f.plan(t), fleet.GoalArm, "ana"), errors.New("nobody hears it")
		options.Run = true
		options.Guard = func(context.Context) error {
			if f.swapped() > 1 {
				return gone
			}
			return nil
		}
		if result, err := rollout.Run(t.Context(), options); !errors.Is(err, gone) || f.swapped() != 2 || result == nil {
			t.Errorf("%v, %d swapped, want 2: %+v", err, f.swapped(), result)
		}
	})
}

// The advisories of a plan come to each host that is claimed; one that does not keep them goes on, and the row says so.
func TestRunAdvises(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 3)
		plan := f.plan(t)
		plan.Advisories = &fleet.PlannedAdvisories{List: []byte("the list")}
		for _, h := range f.hosts {
			h.stored[simArtifact] = true
		}
		f.hosts[f.order[1]].keepsNone = true
		result, err := rollout.Run(t.Context(), f.options(plan, fleet.GoalArm, "ana"))
		if err != nil {
			t.Fatal(err)
		}
		for index, name := range f.order {
			if got := string(f.hosts[name].advised); got != "the list" {
				t.Errorf("%s got %q", name, got)
			}
			row := result.Clusters[0].Rows[index]
			if said := slices.ContainsFunc(row.Warnings, func(text string) bool {
				return strings.Contains(text, "it does not warn by the advisories of the plan: nothing is kept")
			}); said != (index == 1) {
				t.Errorf("%s: %q", row.Name, row.Warnings)
			}
		}
	})
}
