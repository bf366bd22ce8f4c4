package remote

import (
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/verify"
)

// beside is another session with the same host.
func (p place) beside(t testing.TB) place {
	t.Helper()
	other := p
	other.Host = &Host{Installer: p.Installer, Targets: p.Targets, Version: p.Version, Store: p.Store}
	t.Cleanup(func() { other.Close() })
	return other
}

// ask asks for a request of JSON.
func (p place) ask(t testing.TB, path string, request any) (int, ErrorAnswer) {
	t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return p.asked(http.MethodPost, path, text)
}

// stored is the fence of the target, and whether a session of its run is open.
func (p place) stored(t testing.TB) (fleet.Fence, bool) {
	t.Helper()
	target, err := fsatomic.Lookup(p.Installer.FS, p.target)
	if err != nil {
		t.Fatal(err)
	}
	fence, alive, err := p.Installer.FenceOf(target)
	if err != nil || fence == nil {
		t.Fatalf("%+v, %v", fence, err)
	}
	return *fence, alive
}

// Who has read the fence of a run, as everybody on the host can, does not act as that run: whatever changes something is refused to him, while
// the run's session is open and afterwards.
func TestHostSecret(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := os.Remove(p.target); err != nil {
		t.Fatal(err)
	}
	_, _, binary := binaries(t)
	digest, fence := p.claimFor(t, binary)
	read, _ := p.stored(t)
	before := p.files(t)
	var id fleet.Secret
	if _, err := hex.Decode(id[:], []byte(read.Proof)); err != nil {
		t.Fatal(err)
	}
	attack := func(eve place, when string) {
		t.Helper()
		for name, secret := range map[string]fleet.Secret{"none": {}, "another": {1}, "the id": id} {
			for what, request := range map[string]struct {
				path string
				body any
			}{
				"claim":     {pathClaim, ClaimRequest{Fence: read, Secret: secret}},
				"take over": {pathClaim, ClaimRequest{Fence: read, Secret: secret, TakeOver: true}},
				"abort":     {pathPhase, PhaseRequest{Fence: read, Secret: secret, Phase: fleet.PhaseAborting}},
				"stop":      {pathPhase, PhaseRequest{Fence: read, Secret: secret, Phase: fleet.PhaseStopped}},
				"swap":      {pathSwap, SwapRequest{Fence: read, Secret: secret, Artifact: digest, Phase: fleet.PhaseArmed}},
				"restart":   {pathRestart, RestartRequest{Fence: read, Secret: secret}},
			} {
				status, answer := eve.ask(t, request.path, request.body)
				if status != http.StatusConflict || answer.Class != fault.Fenced || answer.Reason != fleet.ReasonSecret || answer.Stored == nil || !strings.Contains(answer.Message, "ana@bastion") {
					t.Errorf("%s, %s by the secret %s: %d, %+v", when, what, name, status, answer)
				}
			}
			checked, err := eve.checked(t.Context(), p.target, CheckRequest{Fence: &read, Secret: secret, Artifact: digest, Phase: fleet.PhaseArmed})
			if err != nil || checked.Checks[0].Question != host.QuestionFence || checked.Checks[0].Status != verify.Failed {
				t.Errorf("%s, a check by the secret %s: %+v, %v", when, name, checked, err)
			}
		}
		if after := p.files(t); !slices.Equal(after, before) {
			t.Fatalf("%s: there is now\n%s\nand was\n%s", when, strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	}
	attack(p.beside(t), "in another session")
	attack(p, "in the run's own session")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	attack(p.beside(t), "when the run's session has ended")
	if _, alive := p.stored(t); alive {
		t.Error("the run is alive")
	}

	secret := secretOf(fence)
	if err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var text []byte
			if text, err = os.ReadFile(path); strings.Contains(string(text), hex.EncodeToString(secret[:])) {
				t.Errorf("%s has the secret", path)
			}
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// What one host was shown for a run does nothing for that run on another: whatever changes something is refused there, whether the run has that
// host already or not.
func TestHostSecretOfAnother(t *testing.T) {
	t.Parallel()
	run := fleet.Secret{7}
	at := func(name string) (fleet.Fence, fleet.Secret) {
		fence, secret := testFence(), run.For(name, "/opt/tb")
		fence.Holder.ID, fence.Proof = run.ID(), secret.ID()
		return fence, secret
	}
	honest, secret := at("tb0")
	others, shown := at("tb1")
	p := newPlace(t)
	if status, answer := p.ask(t, pathClaim, ClaimRequest{Fence: honest, Secret: secret}); status != http.StatusOK {
		t.Fatalf("%d, %+v", status, answer)
	}
	before := p.files(t)
	for _, eve := range []place{p.beside(t), p} {
		for name, fence := range map[string]fleet.Fence{"that host's fence": others, "this host's fence": honest} {
			for what, request := range map[string]struct {
				path string
				body any
			}{
				"claim":     {pathClaim, ClaimRequest{Fence: fence, Secret: shown}},
				"take over": {pathClaim, ClaimRequest{Fence: fence, Secret: shown, TakeOver: true}},
				"abort":     {pathPhase, PhaseRequest{Fence: fence, Secret: shown, Phase: fleet.PhaseAborting}},
				"swap":      {pathSwap, SwapRequest{Fence: fence, Secret: shown, Artifact: strings.Repeat("9", 64), Phase: fleet.PhaseArmed}},
				"restart":   {pathRestart, RestartRequest{Fence: fence, Secret: shown}},
			} {
				if status, answer := eve.ask(t, request.path, request.body); status != http.StatusConflict || answer.Class != fault.Fenced || answer.Reason != fleet.ReasonSecret {
					t.Errorf("%s with %s: %d, %+v", what, name, status, answer)
				}
			}
		}
	}
	if after := p.files(t); !slices.Equal(after, before) {
		t.Errorf("there is now\n%s\nand was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	if status, answer := p.ask(t, pathPhase, PhaseRequest{Fence: honest, Secret: secret, Phase: fleet.PhaseAborting}); status != http.StatusOK {
		t.Errorf("the run itself: %d, %+v", status, answer)
	}
}

// The run itself goes on in another session, as after one that was lost: it is alive in it from its first change on, and a request that comes
// again is done again.
func TestHostSessionOfRun(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	fence := testFence()
	secret := secretOf(fence)
	p.claim(t, fence)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	next := p.beside(t)
	for range 2 {
		if status, answer := next.ask(t, pathPhase, PhaseRequest{Fence: fence, Secret: secret, Phase: fleet.PhaseAborting}); status != http.StatusOK {
			t.Fatalf("%d, %+v", status, answer)
		}
		if stored, alive := p.stored(t); !alive || stored.Phase != fleet.PhaseAborting {
			t.Errorf("%+v, alive %v", stored, alive)
		}
		next.claim(t, fence)
	}
	// Who takes it over has it, whatever the run knows.
	bob := fence
	bob.Epoch, bob.Holder.Who = 2, "bob@bastion"
	bob.Holder.ID, bob.Proof = "bob", secretOf(bob).ID()
	other := p.beside(t)
	if _, answer := other.ask(t, pathClaim, ClaimRequest{Fence: bob, Secret: secretOf(bob)}); answer.Reason != fleet.ReasonHeld {
		t.Errorf("a claim while the run is alive: %+v", answer)
	}
	if status, answer := other.ask(t, pathClaim, ClaimRequest{Fence: bob, Secret: secretOf(bob), TakeOver: true}); status != http.StatusOK {
		t.Fatalf("%d, %+v", status, answer)
	}
	for _, lame := range []place{next, p.beside(t)} {
		for path, request := range map[string]any{
			pathClaim: ClaimRequest{Fence: fence, Secret: secret, TakeOver: true}, pathPhase: PhaseRequest{Fence: fence, Secret: secret, Phase: fleet.PhaseStopped},
			pathSwap: SwapRequest{Fence: fence, Secret: secret, Artifact: strings.Repeat("9", 64), Phase: fleet.PhaseArmed}, pathRestart: RestartRequest{Fence: fence, Secret: secret},
		} {
			if _, answer := lame.ask(t, path, request); answer.Reason != fleet.ReasonEpoch {
				t.Errorf("%s of a run that lost the host: %+v", path, answer)
			}
		}
	}
	// What nobody has claimed is not changed, though the secret is right.
	unclaimed := newPlace(t)
	if _, answer := unclaimed.ask(t, pathPhase, PhaseRequest{Fence: fence, Secret: secret, Phase: fleet.PhaseDone}); answer.Reason != fleet.ReasonNotClaimed {
		t.Errorf("%+v", answer)
	}
}
