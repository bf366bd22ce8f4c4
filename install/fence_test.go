package install_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// fenceOf is the fence of a run.
func fenceOf(generation, epoch uint64, holder string) fleet.Fence {
	return fleet.Fence{
		Generation: generation, Epoch: epoch, Plan: "sha256:" + strings.Repeat(fmt.Sprint(generation), 64), Cluster: "07",
		Holder: fleet.Holder{ID: holder, Who: holder + "@bastion", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Phase:  fleet.PhaseClaimed, Artifact: "sha256:" + strings.Repeat("9", 64),
	}
}

// claim claims the target and ends the session when the test ends.
func claim(t *testing.T, m *machine, offered fleet.Fence, takeOver bool) (fleet.Fence, error) {
	t.Helper()
	granted, session, err := m.installer().Claim(t.Context(), targetName, offered, takeOver, 0)
	t.Cleanup(func() { session.Close() })
	return granted, err
}

// bringing is a fence whose plan brings a file.
func bringing(fence fleet.Fence, file []byte) fleet.Fence {
	fence.Artifact = "sha256:" + sumOf(file)
	return fence
}

func (m *machine) target(t *testing.T) fsatomic.Target {
	t.Helper()
	target, err := fsatomic.Lookup(m.FS, targetName)
	check(t, err)
	return target
}

func (m *machine) stored(t *testing.T) *fleet.Fence {
	t.Helper()
	stored, _, err := m.installer().FenceOf(m.target(t))
	check(t, err)
	return stored
}

func reasonOf(err error) fleet.Reason {
	var fenced *fleet.FencedError
	if errors.As(err, &fenced) {
		return fenced.Reason
	}
	return ""
}

// TestFenced holds that a rollout's target is changed by its run alone, or despite it, and that what
// is refused leaves everything as it was.
func TestFenced(t *testing.T) {
	t.Parallel()
	b := files(t)
	ana := fenceOf(4, 2, "ana")
	bob := fenceOf(4, 3, "bob")
	late := fenceOf(3, 9, "eve")
	for _, test := range []struct {
		name    string
		request func(*install.Request)
		want    fleet.Reason
	}{
		{"a command that no rollout sent", func(*install.Request) {}, fleet.ReasonRollout},
		{"its own run", func(r *install.Request) { r.Fence = &ana }, ""},
		{"a run that has not claimed", func(r *install.Request) { r.Fence = &bob }, fleet.ReasonNotClaimed},
		{"an older plan", func(r *install.Request) { r.Fence = &late }, fleet.ReasonGeneration},
		{"despite it", func(r *install.Request) { r.DespiteRollout = true }, ""},
	} {
		for _, back := range []bool{false, true} {
			m := newMachine(t, memfs.Options{}, b.old, b.new)
			brought := b.next
			if back {
				brought = b.old
			}
			granted, err := claim(t, m, bringing(ana, brought), false)
			check(t, err)
			if granted.Previous != "sha256:"+sumOf(b.new) {
				t.Errorf("%s: previous %s", test.name, granted.Previous)
			}
			r := request()
			test.request(&r)
			r.Phase = fleet.PhaseArmed
			r.Fit.Needs, r.Fit.Stopped = needs("0.17.8"), true
			act := func(dryRun bool) (*install.Outcome, error) {
				in := m.installer()
				switch {
				case back && dryRun:
					return in.PlanRollback(t.Context(), r)
				case back:
					return in.Rollback(t.Context(), r)
				case dryRun:
					return in.Plan(t.Context(), r, fetchOf(b.next, nil))
				}
				return in.Install(t.Context(), r, fetchOf(b.next, nil))
			}
			what := fmt.Sprintf("%s, back %v", test.name, back)
			if _, err := act(true); reasonOf(err) != test.want {
				t.Errorf("%s: plan: %v, want %q", what, err, test.want)
			}
			before := m.look(t, what)
			outcome, err := act(false)
			if reasonOf(err) != test.want || test.want == "" && err != nil {
				t.Fatalf("%s: %v, want %q", what, err, test.want)
			}
			stored := m.stored(t)
			switch {
			case test.want != "":
				if got := m.look(t, what); fmt.Sprint(got) != fmt.Sprint(before) || outcome.Changed || *stored != granted || fault.Of(err) != fault.Fenced {
					t.Errorf("%s: %+v, was %+v; class %s, fence %+v", what, got, before, fault.Of(err), stored)
				}
			case r.Fence != nil:
				if stored.Phase != fleet.PhaseArmed || stored.Base != (fleet.Base{Generation: 4, Epoch: 2}) || !outcome.Changed {
					t.Errorf("%s: fence %+v", what, stored)
				}
			default:
				state, err := m.installer().ReadState(m.target(t), nil)
				if err != nil || state.Despite == nil || state.Despite.ID != state.Last.ID || *stored != granted.Overrule() {
					t.Errorf("%s: state %+v, %v", what, state, err)
				}
			}
		}
	}
}

// TestClimb holds that who claims a target again and again, and changes nothing, gets no further than one leap; and that what root installs
// despite that, or finds installed already, lets any plan have it next.
func TestClimb(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, file := range map[string][]byte{"the file that is there": b.old, "another": b.new} {
		m := newMachine(t, memfs.Options{}, nil, b.old)
		ana := fenceOf(4, 1, "ana")
		if _, err := claim(t, m, ana, false); err != nil {
			t.Fatal(err)
		}
		check(t, m.installer().Phase(t.Context(), targetName, ana, fleet.PhaseStopped, 0))
		eve := fenceOf(4, 1, "eve")
		eve.Plan, eve.Generation = "sha256:"+strings.Repeat("e", 64), ana.Generation+fleet.GenerationLeapMax
		if _, err := claim(t, m, eve, false); err != nil {
			t.Fatal(err)
		}
		check(t, m.installer().Phase(t.Context(), targetName, eve, fleet.PhaseStopped, 0))
		eve.Generation++
		if _, err := claim(t, m, eve, true); !errors.Is(err, fleet.ErrFence) {
			t.Errorf("%s: a second leap: %v", name, err)
		}
		bob := fenceOf(4, 1, "bob")
		bob.Plan, bob.Generation = "sha256:"+strings.Repeat("b", 64), ana.Generation+1
		if _, err := claim(t, m, bob, false); reasonOf(err) != fleet.ReasonGeneration {
			t.Errorf("%s: the next plan: %v", name, err)
		}
		r := request()
		r.Fit.Stopped = true
		if _, err := m.installer().Install(t.Context(), r, fetchOf(b.old, nil)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.stored(t).Overruled {
			t.Errorf("%s: overruled by who has not said so", name)
		}
		r.DespiteRollout = true
		if _, err := m.installer().Install(t.Context(), r, fetchOf(file, nil)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		granted, err := claim(t, m, bob, false)
		if err != nil || granted.Base != (fleet.Base{Generation: 5, Epoch: 1}) || granted.Overruled {
			t.Errorf("%s: the next plan after that: %+v, %v", name, granted, err)
		}
	}
}

// TestFencedAlready holds that a command with nothing to change is no change.
func TestFencedAlready(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.new)
	_, err := claim(t, m, fenceOf(4, 2, "ana"), false)
	check(t, err)
	outcome, err := m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
	if err != nil || outcome.Result != install.ResultAlready {
		t.Errorf("%+v, %v", outcome, err)
	}
	late := request()
	late.Fence = new(fenceOf(4, 1, "ana"))
	if _, err := m.installer().Install(t.Context(), late, fetchOf(b.new, nil)); reasonOf(err) != fleet.ReasonEpoch {
		t.Errorf("a run that has lost the target: %v", err)
	}
}

// TestSwapArtifact holds that a run puts at its target what its plan brings, and while it aborts what was there before, and
// nothing else, whatever its request says that the file is.
func TestSwapArtifact(t *testing.T) {
	t.Parallel()
	b := files(t)
	for _, test := range []struct {
		name  string
		file  []byte
		phase fleet.Phase
		want  bool
	}{
		{"the plan's", b.new, fleet.PhaseArmed, true},
		{"another", b.next, fleet.PhaseArmed, false},
		{"the installed one, while another is to be armed", b.old, fleet.PhaseArmed, false},
		{"the installed one, which was there before", b.old, fleet.PhaseAborting, true},
		{"the plan's, while it aborts", b.new, fleet.PhaseAborting, false},
	} {
		m := newMachine(t, memfs.Options{}, b.older, b.old)
		granted, err := claim(t, m, bringing(fenceOf(4, 2, "ana"), b.new), false)
		check(t, err)
		r := request()
		r.Fence, r.Phase = &granted, test.phase
		var refused *fleet.ArtifactError
		if _, err := m.installer().Plan(t.Context(), r, fetchOf(test.file, nil)); (err == nil) != test.want || err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: plan: %v", test.name, err)
		}
		before := m.look(t, test.name)
		outcome, err := m.installer().Install(t.Context(), r, fetchOf(test.file, nil))
		if (err == nil) != test.want || err != nil && (!errors.As(err, &refused) || fault.Of(err) != fault.Refused || outcome.Changed) {
			t.Errorf("%s: %+v, %v", test.name, outcome, err)
		}
		if got := m.look(t, test.name); !test.want && (fmt.Sprint(got) != fmt.Sprint(before) || *m.stored(t) != granted) {
			t.Errorf("%s: %+v, was %+v; the fence is %+v", test.name, got, before, m.stored(t))
		}
	}
}

// TestAlreadyNotesThePhase holds that a swap that comes again after its answer was lost, and finds its file installed, leaves
// the same fence as one that swaps, durably; and that it is no success where that cannot be written.
func TestAlreadyNotesThePhase(t *testing.T) {
	t.Parallel()
	b := files(t)
	setUp := func() (*machine, install.Request) {
		m := newMachine(t, memfs.Options{}, b.old, b.new)
		granted, err := claim(t, m, bringing(fenceOf(4, 2, "ana"), b.new), false)
		check(t, err)
		r := request()
		r.Fence, r.Phase = &granted, fleet.PhaseArmed
		m.CrashAt(0)
		return m, r
	}
	m, r := setUp()
	if _, err := m.installer().Plan(t.Context(), r, fetchOf(b.new, nil)); err != nil || m.stored(t).Phase != fleet.PhaseClaimed {
		t.Errorf("a dry run: %v, %+v", err, m.stored(t))
	}
	m, r = setUp()
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
	if err != nil || outcome.Result != install.ResultAlready || outcome.Changed || m.stored(t).Phase != fleet.PhaseArmed {
		t.Fatalf("%+v, %v, %+v", outcome, err, m.stored(t))
	}
	count := m.Count()
	m.Restart(memfs.None())
	if got := m.stored(t); got.Phase != fleet.PhaseArmed {
		t.Errorf("after a power cut: %+v", got)
	}
	for number := range count {
		for how, disturb := range map[string]func(m *machine){
			"crash": func(m *machine) { m.CrashAt(number + 1) },
			"fails": func(m *machine) { m.FailAt(number+1, errInjected) },
		} {
			m, r := setUp()
			disturb(m)
			_, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
			if how == "crash" {
				m.Restart(memfs.None())
			}
			m.FailAt(0, nil)
			got := m.stored(t)
			if got.Epoch != r.Fence.Epoch || err == nil && got.Phase != fleet.PhaseArmed {
				t.Fatalf("%s at %d: %v, the fence is %+v", how, number+1, err, got)
			}
			if _, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil)); err != nil || m.stored(t).Phase != fleet.PhaseArmed {
				t.Fatalf("%s at %d: once more: %v, the fence is %+v", how, number+1, err, m.stored(t))
			}
		}
	}
}

// TestTakenOver holds that the swap of a run is refused when another took over after it had begun,
// even by one that asked for no lock.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	b := files(t)
	const (
		there    = "install"
		back     = "roll back"           // the previous file itself
		backCopy = "roll back by a copy" // of a previous file that another user can have open
	)
	for _, operation := range []string{there, back, backCopy} {
		m := newMachine(t, memfs.Options{}, b.old, b.new)
		if operation == back {
			m = newMachine(t, memfs.Options{}, nil, nil)
			m.install(t, b.old)
			m.install(t, b.new)
		}
		brought := b.next
		if operation != there {
			brought = b.old
		}
		ana, bob := bringing(fenceOf(4, 2, "ana"), brought), bringing(fenceOf(4, 3, "bob"), brought)
		_, err := claim(t, m, ana, false)
		check(t, err)
		if _, err := claim(t, m, bob, false); reasonOf(err) != fleet.ReasonHeld {
			t.Fatalf("%v, want %s", err, fleet.ReasonHeld)
		}
		r := request()
		r.Fence = &ana
		r.Fit.Needs, r.Fit.Stopped = needs("0.17.8"), true
		taken := false
		r.Guard = func(ctx context.Context) error {
			if _, _, err := m.installer().Claim(ctx, targetName, bob, true, 0); fault.Of(err) != fault.Busy {
				t.Errorf("a claim while a run has the lock: %v", err)
			}
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			check(t, dir.Remove("."+path.Base(targetName)+".tbctl-lock"))
			_, err = claim(t, m, bob, true)
			check(t, err)
			taken = true
			return nil
		}
		before := m.look(t, "before")
		var outcome *install.Outcome
		if operation != there {
			outcome, err = m.installer().Rollback(t.Context(), r)
		} else {
			outcome, err = m.installer().Install(t.Context(), r, fetchOf(b.next, nil))
		}
		if !taken || reasonOf(err) != fleet.ReasonEpoch || outcome.Changed {
			t.Errorf("%s: %+v, %v", operation, outcome, err)
		}
		if got := m.look(t, "after"); fmt.Sprint(got) != fmt.Sprint(before) {
			t.Errorf("%s: %+v, was %+v", operation, got, before)
		}
	}
}

// TestPhase holds that a run notes its phase and gives the target back, once.
func TestPhase(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	ana := fenceOf(4, 2, "ana")
	if err := m.installer().Phase(t.Context(), targetName, ana, fleet.PhaseDone, 0); reasonOf(err) != fleet.ReasonNotClaimed {
		t.Errorf("%v", err)
	}
	_, err := claim(t, m, ana, false)
	check(t, err)
	if err := m.installer().Phase(t.Context(), targetName, ana, "promoted", 0); !errors.Is(err, fleet.ErrFence) {
		t.Errorf("%v", err)
	}
	check(t, m.installer().Phase(t.Context(), targetName, ana, fleet.PhaseArmed, 0))
	check(t, m.installer().Phase(t.Context(), targetName, ana, fleet.PhaseStopped, 0))
	if err := m.installer().Phase(t.Context(), targetName, ana, fleet.PhaseArmed, 0); reasonOf(err) != fleet.ReasonEpoch {
		t.Errorf("%v", err)
	}
	_, err = m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
	check(t, err)
	if stored := m.stored(t); stored.Phase != fleet.PhaseStopped || stored.Epoch != 2 {
		t.Errorf("%+v", stored)
	}
}

// TestClaimFaults fails and crashes at every operation of a claim and of giving back: the stored fence
// is the one before or the one after, and the next claim succeeds.
func TestClaimFaults(t *testing.T) {
	t.Parallel()
	b := files(t)
	first, second := fenceOf(4, 2, "ana"), fenceOf(4, 3, "bob")
	acts := map[string]func(m *machine) error{
		"claim": func(m *machine) error {
			_, session, err := m.installer().Claim(t.Context(), targetName, second, true, 0)
			session.Close()
			return err
		},
		"give back": func(m *machine) error {
			return m.installer().Phase(t.Context(), targetName, first, fleet.PhaseStopped, 0)
		},
	}
	tried := 0
	for name, act := range acts {
		setUp := func() *machine {
			m := newMachine(t, memfs.Options{}, nil, b.old)
			_, err := claim(t, m, first, false)
			check(t, err)
			m.CrashAt(0)
			return m
		}
		m := setUp()
		check(t, act(m))
		after, operations := *m.stored(t), m.Count()
		for number := range operations {
			for how, disturb := range map[string]func(m *machine){
				"crash, nothing kept":    func(m *machine) { m.CrashAt(number + 1) },
				"crash, everything kept": func(m *machine) { m.CrashAt(number + 1) },
				"fails":                  func(m *machine) { m.FailAt(number+1, errInjected) },
				"fails late":             func(m *machine) { m.FailLateAt(number+1, errInjected) },
			} {
				m := setUp()
				before := *m.stored(t)
				m.CrashAt(0)
				disturb(m)
				err := act(m)
				switch how {
				case "crash, nothing kept":
					m.Restart(memfs.None())
				case "crash, everything kept":
					m.Restart(memfs.All())
				}
				tried++
				got := *m.stored(t)
				if got != before && got != after || err == nil && got != after {
					t.Fatalf("%s, %s at %d: %+v, %v", name, how, number+1, got, err)
				}
				if _, err := claim(t, m, fenceOf(4, 9, "eve"), true); err != nil {
					t.Fatalf("%s, %s at %d: the next claim: %v", name, how, number+1, err)
				}
			}
		}
	}
	t.Logf("%d disturbed claims", tried)
}

// TestHeldStateIsNotForOldPrograms holds that a state is of a version that an earlier tbctl refuses while
// a rollout holds the target, and only then.
func TestHeldStateIsNotForOldPrograms(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	ana := fenceOf(4, 2, "ana")
	_, err := claim(t, m, ana, false)
	check(t, err)
	version := func() string {
		data, _ := m.read(t, targetDir+"/.tigerbeetle.tbctl-state")
		return string(data[:len(`{"version":1`)])
	}
	if got := version(); got != `{"version":2` {
		t.Errorf("%s", got)
	}
	check(t, m.installer().Phase(t.Context(), targetName, ana, fleet.PhaseStopped, 0))
	if got := version(); got != `{"version":1` {
		t.Errorf("%s", got)
	}
}

// TestSwapPhaseIsChecked holds that a swap with a phase that is none is refused before anything is changed: the state
// could not be read with it.
func TestSwapPhaseIsChecked(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, change := range map[string]func(*install.Request){
		"a phase that is none": func(r *install.Request) { r.Phase = "\x1b[2Jpromoted" },
		"a fence that is none": func(r *install.Request) { r.Fence.Holder.ID = "" },
	} {
		m := newMachine(t, memfs.Options{}, nil, b.old)
		ana := bringing(fenceOf(4, 2, "ana"), b.new)
		_, err := claim(t, m, ana, false)
		check(t, err)
		r := request()
		r.Fence = &ana
		change(&r)
		outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
		if !errors.Is(err, fleet.ErrFence) || fault.Of(err) != fault.Usage || outcome.Changed {
			t.Errorf("%s: %+v, %v", name, outcome, err)
		}
		if stored := m.stored(t); stored == nil || stored.Phase != fleet.PhaseClaimed {
			t.Errorf("%s: stored is %+v", name, stored)
		}
	}
}

// TestClaimAgain holds that the same run may claim again while its session is open, also in another process, and that
// its claim is alive for as long as one of both sessions is.
func TestClaimAgain(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	ana, bob := fenceOf(4, fleet.EpochLeapMax, "ana"), fenceOf(4, fleet.EpochLeapMax+1, "bob")
	ana.Generation, bob.Generation = fleet.GenerationLeapMax, fleet.GenerationLeapMax
	first, one, err := m.installer().Claim(t.Context(), targetName, ana, false, 0)
	check(t, err)
	again, two, err := m.installer().Claim(t.Context(), targetName, ana, false, 0)
	if err != nil || again != first {
		t.Fatalf("%+v, %v, want %+v", again, err, first)
	}
	check(t, one.Close())
	if _, alive, err := m.installer().FenceOf(m.target(t)); err != nil || !alive {
		t.Errorf("after the first session: %v, %v", alive, err)
	}
	if _, err := claim(t, m, bob, false); reasonOf(err) != fleet.ReasonHeld {
		t.Errorf("%v, want %s", err, fleet.ReasonHeld)
	}
	check(t, two.Close())
	if _, err := claim(t, m, bob, false); err != nil {
		t.Error(err)
	}
}

// TestSwapDisplaces holds that a run displaces the file that was there when the host was claimed, and that its request names, and no
// other: an abort would put that back with what the installed file may do.
func TestSwapDisplaces(t *testing.T) {
	t.Parallel()
	b := files(t)
	for _, test := range []struct {
		name  string
		there []byte // at the swap
		named string
		want  bool
	}{
		{"the one that was there", nil, "", true},
		{"the one that was there, which is named", nil, sumOf(b.old), true},
		{"the one that was there, where another is named", nil, sumOf(b.older), false},
		{"one that came after the claim", b.older, "", false},
		{"one that came after the claim, which is named", b.older, sumOf(b.older), false},
	} {
		m := newMachine(t, memfs.Options{}, nil, b.old)
		granted, err := claim(t, m, bringing(fenceOf(4, 2, "ana"), b.new), false)
		check(t, err)
		if test.there != nil {
			m.unlink(t, targetName)
			m.put(t, targetName, test.there)
		}
		r := request()
		r.Fence, r.Phase, r.Displaces = &granted, fleet.PhaseArmed, test.named
		before := m.look(t, test.name)
		for _, act := range []func(context.Context, install.Request, install.Fetch) (*install.Outcome, error){m.installer().Plan, m.installer().Install} {
			_, err := act(t.Context(), r, fetchOf(b.new, nil))
			if (err == nil) != test.want || err != nil && (!errors.Is(err, fsatomic.ErrChanged) || fault.Of(err) != fault.Busy) {
				t.Errorf("%s: %v", test.name, err)
			}
		}
		if got := m.look(t, test.name); !test.want && (fmt.Sprint(got) != fmt.Sprint(before) || *m.stored(t) != granted) {
			t.Errorf("%s: %+v, was %+v; the fence is %+v", test.name, got, before, m.stored(t))
		}
	}
}

// TestAbortEntitled holds that what a run of a rollout puts back gets rights by a record alone, never since the run, or the fence,
// names it: who owns the directory says what was there when the host was claimed.
func TestAbortEntitled(t *testing.T) {
	t.Parallel()
	b := files(t)
	for _, test := range []struct {
		name string
		evil bool
		back string
		want error
	}{
		{"what root displaced", false, sumOf(b.old), nil},
		{"what root displaced, where another is to be put back", false, sumOf(b.older), install.ErrOtherOld},
		{"another's, which was there at the claim", true, sumOf(b.next), install.ErrOtherOld},
		{"another's, and nothing is recorded of the one before", true, sumOf(b.next), install.ErrUnvouched},
	} {
		m := serviceMachine(t, memfs.Options{}) // root has installed new over old
		if test.evil {
			m.unlink(t, oldName)
			m.plant(t, oldName, b.next)
		}
		fence := fenceOf(4, 2, "ana")
		fence.Artifact, fence.Previous, fence.Phase = "sha256:"+sumOf(b.new), "sha256:"+test.back, fleet.PhaseAborting
		m.forge(t, func(s *install.State) {
			s.Version, s.Fence = 2, &fence
			if test.want == install.ErrUnvouched {
				s.Previous = nil
			}
		})
		before, _ := m.read(t, targetName)
		r := backTo("0.17.7")
		r.Fence, r.Phase, r.Back = &fence, fleet.PhaseAborting, test.back
		outcome, err := m.installer().Rollback(t.Context(), r)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if data, _ := m.read(t, targetName); test.want != nil && string(data) != string(before) || test.want == nil && !outcome.Changed {
			t.Errorf("%s: the target is %s", test.name, b.name(data))
		}
	}
}

// TestHeld holds that a plan holds a target while its run does: not after that has given it back, and not after root went through it.
func TestHeld(t *testing.T) {
	t.Parallel()
	b := files(t)
	fence := bringing(fenceOf(4, 2, "ana"), b.next)
	for name, end := range map[string]func(in *install.Installer) error{
		"given back": func(in *install.Installer) error {
			return in.Phase(t.Context(), targetName, fence, fleet.PhaseStopped, 0)
		},
		"gone through by root": func(in *install.Installer) error {
			r := request()
			r.DespiteRollout = true
			_, err := in.Install(t.Context(), r, fetchOf(b.new, nil))
			return err
		},
	} {
		m := newMachine(t, memfs.Options{}, b.old, b.new)
		held := func(plan string) bool { return m.installer().Held(plan, []string{"/nowhere/tigerbeetle", targetName}) }
		before := held(fence.Plan)
		_, err := claim(t, m, fence, false)
		check(t, err)
		if before || !held(fence.Plan) || held(fenceOf(5, 1, "").Plan) {
			t.Errorf("%s: before the claim %v, with it %v, and another plan %v", name, before, held(fence.Plan), held(fenceOf(5, 1, "").Plan))
		}
		check(t, end(m.installer()))
		if held(fence.Plan) {
			t.Errorf("%s: the plan still holds it", name)
		}
	}
}

// TestRefusedInVain holds that a run that asks again and again for what is refused leaves one record, with its run, until something is changed: what the
// history is there for is not pushed out by it.
func TestRefusedInVain(t *testing.T) {
	t.Parallel()
	b := files(t)
	fence := bringing(fenceOf(4, 2, "ana"), b.next)
	m := newMachine(t, memfs.Options{}, b.old, b.new)
	_, err := claim(t, m, fence, false)
	check(t, err)
	before := len(strings.Fields(m.phases(t)))
	swap := func(file []byte) error {
		r := request()
		r.Fence, r.Phase = &fence, fleet.PhaseArmed
		r.Fit.Needs, r.Fit.Stopped = needs("0.17.8"), true
		_, err := m.installer().Install(t.Context(), r, fetchOf(file, nil))
		return err
	}
	records := func() []install.Record {
		history, err := m.journal().Read("")
		check(t, err)
		return history.Records[before:]
	}
	refuse := func() {
		for range 5 {
			if err := swap(b.old); fault.Of(err) != fault.Refused {
				t.Fatalf("%v", err)
			}
			place := m.target(t)
			check(t, m.installer().Refuse(t.Context(), install.OperationInstall, install.Request{Target: targetName, At: &place, Fence: &fence}, fault.New(fault.Refused, "it lacks what runs")))
		}
	}
	refuse()
	if got := records(); len(got) != 1 || got[0].Result != install.ResultRefused || got[0].Rollout == nil || got[0].Rollout.Plan != fence.Plan {
		t.Errorf("%+v", got)
	}
	check(t, swap(b.next))
	refuse()
	if got := records(); len(got) != 3 || got[1].Result != install.ResultInstalled {
		t.Errorf("%s", m.phases(t))
	}
	r := request()
	r.Fit.Needs = needs("9.9.9")
	r.DespiteRollout = true
	for range 2 { // what is refused to root is told each time
		if _, err := m.installer().Install(t.Context(), r, fetchOf(b.old, nil)); err == nil {
			t.Fatal("it was installed")
		}
	}
	if got := records(); len(got) != 5 {
		t.Errorf("%s", m.phases(t))
	}
}
