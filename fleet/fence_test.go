package fleet

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// fence returns a well-formed fence of a run.
func fence(generation, epoch uint64, plan, holder string) Fence {
	return Fence{
		Generation: generation, Epoch: epoch, Plan: "sha256:" + strings.Repeat(plan, 64), Cluster: "07",
		Holder:   Holder{ID: holder, Who: holder + "@bastion", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Phase:    PhaseClaimed,
		Artifact: "sha256:" + strings.Repeat("9", 64),
	}
}

func (f Fence) in(phase Phase) Fence {
	f.Phase = phase
	return f
}

// reason returns why an error refuses, "" if it is nil.
func reason(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var fenced *FencedError
	if !errors.As(err, &fenced) {
		t.Fatalf("%v is a %T, want a *FencedError", err, err)
	}
	if fenced.Error() == "" {
		t.Error("a refusal without words")
	}
	return fenced.Reason
}

func TestClaim(t *testing.T) {
	t.Parallel()
	ana := fence(4, 2, "a", "ana")
	for _, test := range []struct {
		name            string
		stored          *Fence
		offered         Fence
		alive, takeOver bool
		want            Reason
	}{
		{"nothing stored", nil, ana, false, false, ""},
		{"a higher generation", &ana, fence(5, 1, "b", "bob"), false, false, ""},
		{"a higher generation while the holder is alive", &ana, fence(5, 1, "b", "bob"), true, false, ReasonHeld},
		{"a higher generation while the holder is alive, on purpose", &ana, fence(5, 1, "b", "bob"), true, true, ""},
		{"a lower generation", &ana, fence(3, 9, "b", "bob"), false, false, ReasonGeneration},
		{"a lower generation that takes over", &ana, fence(3, 9, "b", "bob"), false, true, ReasonGeneration},
		{"another plan", &ana, fence(4, 9, "b", "bob"), false, false, ReasonPlanDiffers},
		{"another plan that takes over", &ana, fence(4, 9, "b", "bob"), false, true, ReasonPlanDiffers},
		{"an edited plan of the holder", &ana, fence(4, 2, "b", "ana"), true, false, ReasonPlanDiffers},
		{"the same run again", &ana, ana, true, false, ""},
		{"the same run again, its session gone", &ana, ana, false, false, ""},
		{"a later run, the holder gone", &ana, fence(4, 3, "a", "bob"), false, false, ""},
		{"a later run, the holder alive", &ana, fence(4, 3, "a", "bob"), true, false, ReasonHeld},
		{"a later run that takes over", &ana, fence(4, 3, "a", "bob"), true, true, ""},
		{"a lower epoch", &ana, fence(4, 1, "a", "ana"), false, true, ReasonEpoch},
		{"the same epoch, another holder", &ana, fence(4, 2, "a", "bob"), false, false, ReasonEpoch},
		{"the same epoch, another holder that takes over", &ana, fence(4, 2, "a", "bob"), true, true, ReasonEpoch},
		{"given back, the same run again", new(ana.in(PhaseStopped)), ana, false, false, ReasonEpoch},
		{"done, the same run again", new(ana.in(PhaseDone)), ana, true, false, ReasonEpoch},
		{"given back, a later run while the session is alive", new(ana.in(PhaseStopped)), fence(4, 3, "a", "bob"), true, false, ""},
		{"given back, a lower epoch", new(ana.in(PhaseAborted)), fence(4, 1, "a", "bob"), false, true, ReasonEpoch},
		{"given back, a lower generation", new(ana.in(PhaseDone)), fence(3, 9, "b", "bob"), false, true, ReasonGeneration},
	} {
		granted, err := Claim(test.stored, test.offered, test.alive, test.takeOver)
		if got := reason(t, err); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		want := test.offered
		want.Base = granted.Base
		if err == nil && granted != want {
			t.Errorf("%s: stored %v, want %v", test.name, granted, want)
		}
	}
}

// TestClaimKeeps holds what stays of a host when another run of the same plan takes it.
func TestClaimKeeps(t *testing.T) {
	t.Parallel()
	ana := fence(4, 2, "a", "ana").in(PhaseArmed)
	ana.Previous = "sha256:" + strings.Repeat("8", 64)
	for _, test := range []struct {
		name     string
		stored   Fence
		offered  Fence
		phase    Phase
		previous string
	}{
		{"the same run", ana, fence(4, 2, "a", "ana"), PhaseArmed, ana.Previous},
		{"a later run", ana, fence(4, 3, "a", "bob").in(PhaseDone), PhaseArmed, ana.Previous},
		{"a later run after it was given back", ana.in(PhaseStopped), fence(4, 3, "a", "bob"), PhaseClaimed, ana.Previous},
		{"a newer plan", ana, fence(5, 1, "b", "bob").in(PhaseArmed), PhaseClaimed, ""},
	} {
		granted, err := Claim(&test.stored, test.offered, false, false)
		if err != nil || granted.Phase != test.phase || granted.Previous != test.previous {
			t.Errorf("%s: %v, %v", test.name, granted, err)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	ana := fence(4, 2, "a", "ana")
	for _, test := range []struct {
		name    string
		stored  *Fence
		request Fence
		want    Reason
	}{
		{"its own", &ana, ana, ""},
		{"its own, in a later phase", new(ana.in(PhaseArmed)), ana, ""},
		{"never claimed", nil, ana, ReasonNotClaimed},
		{"a lower generation", &ana, fence(3, 2, "a", "ana"), ReasonGeneration},
		{"a higher generation, not claimed here", &ana, fence(5, 2, "a", "ana"), ReasonNotClaimed},
		{"an edited plan", &ana, fence(4, 2, "b", "ana"), ReasonPlanDiffers},
		{"a lower epoch", &ana, fence(4, 1, "a", "ana"), ReasonEpoch},
		{"a higher epoch, not claimed here", &ana, fence(4, 3, "a", "ana"), ReasonNotClaimed},
		{"another holder", &ana, fence(4, 2, "a", "bob"), ReasonEpoch},
		{"given back", new(ana.in(PhaseDone)), ana, ReasonEpoch},
	} {
		if got := reason(t, Match(test.stored, test.request)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAllows(t *testing.T) {
	t.Parallel()
	const next, previous, other = "9", "8", "7"
	digest := func(of string) string { return "sha256:" + strings.Repeat(of, 64) }
	stored := fence(4, 2, "a", "ana").in(PhaseArmed)
	stored.Previous = digest(previous)
	first := stored
	first.Previous = ""
	for _, test := range []struct {
		name     string
		stored   Fence
		artifact string
		phase    Phase
		want     string
	}{
		{"the plan's file", stored, digest(next), PhaseArmed, ""},
		{"the plan's file, in the phase that is stored", stored, digest(next), "", ""},
		{"another file", stored, digest(other), PhaseArmed, "no other is installed by it"},
		{"the previous file", stored, digest(previous), PhaseArmed, "no other is installed by it"},
		{"the previous file while aborting", stored, digest(previous), PhaseAborting, ""},
		{"the previous file, in the phase that is stored", stored.in(PhaseAborting), digest(previous), "", ""},
		{"the previous file, and then it is given back", stored.in(PhaseAborting), digest(previous), PhaseAborted, ""},
		{"the plan's file while aborting", stored, digest(next), PhaseAborting, "another is not put back"},
		{"another file while aborting", stored.in(PhaseAborting), digest(other), "", "another is not put back"},
		{"forward again after an abort that was begun", stored.in(PhaseAborting), digest(next), PhaseArmed, ""},
		{"a file where none was", first, digest(previous), PhaseAborting, "nothing was at the target"},
		{"no file where none was", first, "", PhaseAborting, "nothing was at the target"},
		{"no file", stored, "", PhaseArmed, "no other is installed by it"},
		{"the digits alone", stored, strings.Repeat(next, 64), PhaseArmed, "no other is installed by it"},
	} {
		err := test.stored.Allows(test.artifact, test.phase)
		var refused *ArtifactError
		switch {
		case test.want == "" && err != nil, test.want != "" && (!errors.As(err, &refused) || fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestFree(t *testing.T) {
	t.Parallel()
	if err := Free(nil); err != nil {
		t.Error(err)
	}
	for phase, want := range map[Phase]Reason{
		PhaseClaimed: ReasonRollout, PhaseArmed: ReasonRollout, PhaseAborting: ReasonRollout,
		PhaseDone: "", PhaseAborted: "", PhaseStopped: "",
	} {
		if got := reason(t, Free(new(fence(1, 1, "a", "ana").in(phase)))); got != want {
			t.Errorf("%s: %q, want %q", phase, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	whole := fence(4, 2, "a", "ana")
	for _, whole.Previous = range []string{"", "sha256:" + strings.Repeat("8", 64)} {
		if err := whole.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for _, phase := range []Phase{PhaseClaimed, PhaseArmed, PhaseAborting, PhaseDone, PhaseAborted, PhaseStopped} {
		if err := whole.in(phase).Check(); err != nil {
			t.Errorf("%s: %v", phase, err)
		}
	}
	for name, spoil := range map[string]func(*Fence){
		"generation 0":      func(f *Fence) { f.Generation = 0 },
		"generation":        func(f *Fence) { f.Generation = GenerationMax + 1 },
		"epoch 0":           func(f *Fence) { f.Epoch = 0 },
		"epoch":             func(f *Fence) { f.Epoch = 1 << 63 },
		"plan":              func(f *Fence) { f.Plan = "plan.json" },
		"plan, upper case":  func(f *Fence) { f.Plan = "sha256:" + strings.Repeat("A", 64) },
		"artifact":          func(f *Fence) { f.Artifact = "" },
		"previous":          func(f *Fence) { f.Previous = "sha256:00" },
		"cluster":           func(f *Fence) { f.Cluster = "" },
		"cluster's size":    func(f *Fence) { f.Cluster = strings.Repeat("0", idSizeMax+1) },
		"holder's id":       func(f *Fence) { f.Holder.ID = "a b" },
		"holder":            func(f *Fence) { f.Holder.Who = "" },
		"holder, not UTF-8": func(f *Fence) { f.Holder.Who = "\xff" },
		"holder's size":     func(f *Fence) { f.Holder.Who = strings.Repeat("a", whoSizeMax+1) },
		"phase":             func(f *Fence) { f.Phase = "promoted" },
	} {
		spoilt := fence(4, 2, "a", "ana")
		spoil(&spoilt)
		if err := spoilt.Check(); !errors.Is(err, ErrFence) {
			t.Errorf("%s: %v, want ErrFence", name, err)
		}
	}
}

// TestInterleavings lets several runs of controllers claim hosts, swap and give back in
// every order that chance makes, with requests that are delivered twice and late, and
// holds that no host's fence goes backwards, and that no swap is done for a run
// after a later one's claim was answered.
func TestInterleavings(t *testing.T) {
	t.Parallel()
	swaps := 0
	for seed := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, 0))
		var (
			stored  *Fence
			alive   bool     // the stored holder's session
			pending []func() // requests under way, each may be delivered more than once
			highest uint64   // of generation<<32 + epoch, that a claim was answered for
		)
		rank := func(f Fence) uint64 { return f.Generation<<32 + f.Epoch }
		send := func(request func()) {
			pending = append(pending, request)
			if random.IntN(4) == 0 {
				pending = append(pending, request)
			}
		}
		for run := range 3 {
			generation, plan := uint64(1), "a"
			if random.IntN(3) == 0 {
				generation, plan = 2, "b"
			}
			// Two runs may come to the same epoch: neither saw the other.
			mine := fence(generation, 1+random.Uint64N(3), plan, string(rune('a'+run)))
			takeOver := random.IntN(2) == 0
			swap := func() {
				if Match(stored, mine) != nil {
					return
				}
				if rank(mine) != highest {
					t.Fatalf("seed %d: a swap for %v after a claim for %v", seed, mine, *stored)
				}
				stored = new(mine.in(PhaseArmed))
				swaps++
			}
			giveBack := func() {
				if Match(stored, mine) == nil {
					stored, alive = new(mine.in(PhaseStopped)), false
				}
			}
			send(func() {
				granted, err := Claim(stored, mine, alive, takeOver)
				if err != nil {
					return
				}
				if rank(mine) < highest {
					t.Fatalf("seed %d: the fence went back from %v to %v", seed, *stored, mine)
				}
				stored, alive, highest = &granted, random.IntN(3) > 0, rank(mine)
				send(swap)
				if random.IntN(2) == 0 {
					send(giveBack)
				}
			})
			send(swap) // of a run that never waited for its claim
		}
		for len(pending) > 0 {
			i := random.IntN(len(pending))
			request := pending[i]
			pending = append(pending[:i], pending[i+1:]...)
			request()
			if random.IntN(8) == 0 {
				alive = false
			}
		}
	}
	if swaps < 500 {
		t.Errorf("%d swaps in 1,000 schedules: they show nothing", swaps)
	}
}

// TestClaimLeap: no claim takes a generation so high that no plan could follow it, however often it is made: what is measured from is the last
// run that changed something.
func TestClaimLeap(t *testing.T) {
	t.Parallel()
	if _, err := Claim(nil, fence(GenerationLeapMax+1, 1, "a", "eve"), false, true); !errors.Is(err, ErrFence) {
		t.Errorf("a first claim of a generation from nowhere: %v", err)
	}
	if _, err := Claim(nil, fence(1, EpochLeapMax+1, "a", "eve"), false, true); !errors.Is(err, ErrFence) {
		t.Errorf("a first claim of an epoch from nowhere: %v", err)
	}
	first, err := Claim(nil, fence(GenerationLeapMax, 1, "a", "ana"), false, false) // it has seen no plan yet
	if err != nil {
		t.Fatal(err)
	}
	stored, limit := first.in(PhaseStopped), first.Generation+GenerationLeapMax
	for range 3 {
		if stored, err = Claim(&stored, fence(stored.Generation+GenerationLeapMax/3, 1, "b", "bob"), false, false); err != nil {
			t.Fatal(err)
		}
		stored.Phase = PhaseStopped
	}
	for generation, want := range map[uint64]bool{limit: true, limit + 1: false, GenerationMax: false} {
		if _, err := Claim(&stored, fence(generation, 1, "c", "eve"), false, true); (err == nil) != want || !want && !errors.Is(err, ErrFence) {
			t.Errorf("a claim of the generation %d after three that changed nothing: %v", generation, err)
		}
	}
	changed := stored.Changed(PhaseDone)
	if _, err := Claim(&changed, fence(changed.Generation+GenerationLeapMax, 1, "c", "eve"), false, false); err != nil {
		t.Errorf("after one that changed something: %v", err)
	}
	if again, err := Claim(&stored, fence(stored.Generation, 2, "b", "bob"), false, false); err != nil || again.Base != first.Base {
		t.Errorf("a later run that has changed nothing: %+v, %v", again, err)
	}
	// What controllers follow, a host takes that has seen none of it.
	plain := fence(4, 1, "a", "ana").Changed(PhaseDone)
	if next := reached(4, 4+followMax, []uint64{4 + followMax, 4 + followMax + 1}) + 1; next != 4+followMax+1 {
		t.Errorf("a number that is followed leads to %d", next)
	} else if _, err := Claim(&plain, fence(next, 1, "b", "bob"), false, false); err != nil {
		t.Errorf("a host of the same plan: %v", err)
	}
}

// TestOverruled: when root has gone through a claim, any plan may have the host next, also an older one, and any run of the same plan, which
// keeps the way back; but not beside a run that is alive, and not who is refused otherwise.
func TestOverruled(t *testing.T) {
	t.Parallel()
	high := fence(GenerationMax, GenerationMax, "a", "eve").in(PhaseStopped)
	high.Base, high.Previous = Base{GenerationMax, GenerationMax}, "sha256:"+strings.Repeat("5", 64)
	if _, err := Claim(&high, fence(4, 1, "b", "bob"), false, false); reason(t, err) != ReasonGeneration {
		t.Errorf("%v", err)
	}
	over := high.Overrule()
	granted, err := Claim(&over, fence(4, 1, "b", "bob"), false, false)
	if err != nil || granted.Overruled || granted.Base != (Base{4, 1}) || granted.Previous != "" || granted.Check() != nil {
		t.Errorf("%+v, %v", granted, err)
	}
	if _, err := Claim(&granted, fence(5, 1, "c", "ana"), false, false); err != nil {
		t.Errorf("the next one: %v", err)
	}
	if _, err := Claim(&granted, fence(3, 1, "c", "ana"), false, false); reason(t, err) != ReasonGeneration {
		t.Errorf("an older one, once it was taken: %v", err)
	}
	for _, offered := range []Fence{high, fence(GenerationMax, 1, "a", "ana"), fence(GenerationLeapMax+1, 1, "b", "bob"), fence(4, EpochLeapMax+1, "b", "bob")} {
		if _, err = Claim(&over, offered, false, false); err == nil {
			t.Errorf("what would shut out all others again: %s", &offered)
		}
	}
	same := fence(9, 7, "a", "eve").in(PhaseStopped)
	same.Base, same.Previous, same.Restarts = Base{9, 7}, high.Previous, RestartsMax
	same = same.Overrule()
	if granted, err = Claim(&same, fence(9, 1, "a", "ana"), false, false); err != nil || granted.Previous != high.Previous || granted.Epoch != 1 || granted.Restarts != 0 {
		t.Errorf("a run of the same plan: %+v, %v", granted, err)
	}
	if _, err = Claim(&over, high, false, false); reason(t, err) != ReasonEpoch {
		t.Errorf("the one that gave it back: %v", err)
	}
	held := over.in(PhaseArmed)
	if _, err := Claim(&held, fence(4, 1, "b", "bob"), true, false); reason(t, err) != ReasonHeld {
		t.Errorf("beside one that is alive: %v", err)
	}
	if err := Match(&held, held); err != nil {
		t.Errorf("who has it keeps it until another claims it: %v", err)
	}
}

// TestEpochLeap: nor an epoch that no run of the plan could follow. What another host of the cluster could not take is not followed, and no other
// cluster follows it.
func TestEpochLeap(t *testing.T) {
	t.Parallel()
	stored := fence(4, 7, "a", "ana")
	for _, tc := range []struct {
		before     *Fence
		generation uint64
		from       uint64
	}{{nil, 4, 0}, {&stored, 4, 0}, {new(stored.Changed(PhaseStopped)), 4, 7}, {&stored, 5, 0}} {
		if _, err := Claim(tc.before, fence(tc.generation, tc.from+EpochLeapMax, "a", "bob"), false, true); err != nil {
			t.Errorf("after %+v: %v", tc.before, err)
		}
		if _, err := Claim(tc.before, fence(tc.generation, tc.from+EpochLeapMax+1, "a", "bob"), false, true); !errors.Is(err, ErrFence) {
			t.Errorf("after %+v, too far: %v", tc.before, err)
		}
	}
	plan := &Plan{Generation: 4, Clusters: []PlannedCluster{{Name: "a", Hosts: []PlannedHost{{Name: "a0"}, {Name: "a1"}, {Name: "a2"}}}, {Name: "b", Hosts: []PlannedHost{{Name: "b0"}}}}}
	for _, tc := range []struct {
		epochs []uint64 // of a's hosts; 0: none was seen
		base   uint64   // of the first
		want   uint64
	}{
		{nil, 0, 1},
		{[]uint64{3, 9, 4}, 0, 10},
		{[]uint64{GenerationMax, 3}, 0, 4},
		{[]uint64{EpochLeapMax, 3}, 0, 4},
		{[]uint64{EpochLeapMax, 3}, 1, 4},
		{[]uint64{EpochLeapMax - 1, 3}, 0, EpochLeapMax},
		{[]uint64{200_001, 200_001, 0}, 0, 200_002},
		{[]uint64{GenerationMax}, GenerationMax, 1},
	} {
		var seen []Observation
		for index, epoch := range tc.epochs {
			o := Observation{Host: plan.Clusters[0].Hosts[index].Name}
			if epoch > 0 {
				o.Fence = new(fence(4, epoch, "a", "ana"))
			}
			if index == 0 {
				o.Fence.Base = Base{4, tc.base}
			}
			seen = append(seen, o)
		}
		seen = append(seen, Observation{Host: "b0", Fence: new(fence(4, 6, "a", "ana"))})
		got := NextEpochs(plan, stored.Plan, seen)
		if got["a"] != tc.want || got["b"] != 7 {
			t.Errorf("%d: %v, want %d, and 7 of the other cluster", tc.epochs, got, tc.want)
		}
		for _, o := range seen[:len(tc.epochs)] { // what is offered, each host takes that is not above it
			if o.Fence == nil || o.Fence.Epoch < got["a"] {
				if _, err := Claim(o.Fence, fence(4, got["a"], "a", "bob"), false, true); err != nil {
					t.Errorf("%d: %v", tc.epochs, err)
				}
			}
		}
	}
}

// TestOneWay holds that a run which puts the previous file back brings no other after it, and that however often it changes the target its restarts are
// counted for its claim. The next run of the plan goes on as it likes, and has as many.
func TestOneWay(t *testing.T) {
	t.Parallel()
	first, err := Claim(nil, fence(4, 1, "a", "ana"), false, false)
	if err != nil {
		t.Fatal(err)
	}
	back := first.Changed(PhaseArmed).Changed(PhaseAborting).Restarting()
	again := back.Changed(PhaseAborting)
	if again.Restarts != 1 || !again.PutBack {
		t.Errorf("%+v", again)
	}
	for phase, allowed := range map[Phase]bool{PhaseClaimed: false, PhaseArmed: false, PhaseAborting: true, PhaseAborted: true, PhaseStopped: true} {
		if err := back.May(phase); errors.Is(err, ErrBackward) == allowed || err != nil && allowed {
			t.Errorf("%s: %v", phase, err)
		}
	}
	if err := back.Allows(back.Artifact, PhaseArmed); !errors.Is(err, ErrBackward) {
		t.Errorf("%v", err)
	}
	next, err := Claim(&back, fence(4, 2, "a", "bob"), false, true)
	if err != nil || next.Phase != PhaseAborting || next.Restarts != 1 {
		t.Fatalf("%+v, %v", next, err)
	}
	if err := next.Allows(next.Artifact, PhaseArmed); err != nil {
		t.Error(err)
	}
	if next = next.Changed(PhaseArmed); next.Restarts != 0 || next.Base != (Base{4, 2}) {
		t.Errorf("%+v", next)
	}
}
