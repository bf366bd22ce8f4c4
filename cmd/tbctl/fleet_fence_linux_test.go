package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/remote"
)

const fleetTarget = "/usr/local/bin/tigerbeetle"

// secretOf is what the run that a fence of a test names shows to the host.
func secretOf(fence fleet.Fence) fleet.Secret {
	return sha256.Sum256([]byte(fence.Holder.Who))
}

// claimOf asks for the only target.
func claimOf(fence fleet.Fence) remote.ClaimRequest {
	return remote.ClaimRequest{Fence: fence, Secret: secretOf(fence)}
}

// fenceOf is the fence of a run of a rollout.
func fenceOf(generation, epoch uint64, plan, holder string) fleet.Fence {
	fence := fleet.Fence{
		Generation: generation, Epoch: epoch, Plan: "sha256:" + strings.Repeat(plan, 64), Cluster: "07",
		Holder: fleet.Holder{Who: holder + "@bastion", Since: time.Now().UTC().Truncate(time.Second)},
		Phase:  fleet.PhaseClaimed, Artifact: "sha256:" + strings.Repeat("9", 64),
	}
	fence.Holder.ID, fence.Proof = secretOf(fence).For("", "").ID(), secretOf(fence).ID()
	return fence
}

// session starts a session with a host.
func (f *liveFleet) session(name string) *remote.Session {
	f.t.Helper()
	dialer := &remote.Dialer{SSH: f.SSH}
	session, err := dialer.Dial(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { session.Close() })
	return session
}

// identity is what changes when the file at the target is touched.
func identity(t *testing.T, h *testhost.Host) string {
	t.Helper()
	info, err := os.Stat(h.Path(fleetTarget))
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprint(stat.Ino, stat.Mtim, stat.Ctim, stat.Size)
}

func reasonOf(err error) fleet.Reason {
	var fenced *fleet.FencedError
	if errors.As(err, &fenced) {
		return fenced.Reason
	}
	return ""
}

// A controller that was stopped between its claim and its swap, and woken after another took over, moves
// nothing; nor does a request that comes again, an edited plan, or an older one.
func TestFleetTakeOver(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	host := f.Hosts[0]
	host.WriteFile(fleetTarget, standin.Binary(t, "0.17.7", "0.17.6"), 0o755)
	next := standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	sum := sha256.Sum256(next)
	artifact := hex.EncodeToString(sum[:])
	ctx := t.Context()

	ana, bob := f.session(host.Name), f.session(host.Name)
	anas, bobs := fenceOf(4, 1, "a", "ana"), fenceOf(4, 2, "a", "bob")
	anas.Artifact, bobs.Artifact = "sha256:"+artifact, "sha256:"+artifact
	if _, err := ana.Claim(ctx, remote.ClaimRequest{Fence: anas, Secret: secretOf(anas)}); err != nil {
		t.Fatal(err)
	}
	if stored, err := ana.Put(ctx, artifact, int64(len(next)), bytes.NewReader(next)); err != nil || stored.Size != int64(len(next)) {
		t.Fatalf("%+v, %v", stored, err)
	}
	if _, err := bob.Claim(ctx, remote.ClaimRequest{Fence: bobs, Secret: secretOf(bobs)}); reasonOf(err) != fleet.ReasonHeld || fault.Of(err) != fault.Fenced || !strings.Contains(err.Error(), "ana@bastion") {
		t.Fatalf("a claim while the holder is alive: %v", err)
	}
	before := identity(t, host)
	granted, err := bob.Claim(ctx, remote.ClaimRequest{Fence: bobs, Secret: secretOf(bobs), TakeOver: true})
	if err != nil || granted.Epoch != 2 || granted.Previous == "" {
		t.Fatalf("%+v, %v", granted, err)
	}
	swap := func(session *remote.Session, fence fleet.Fence) error {
		_, err := session.Swap(ctx, remote.SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: artifact, Phase: fleet.PhaseArmed})
		return err
	}
	edited, older := bobs, fenceOf(3, 9, "c", "eve")
	edited.Plan = "sha256:" + strings.Repeat("b", 64)
	eve, eves := f.session(host.Name), fleet.Secret{1} // she has read all that is to be read
	_, eveClaims := eve.Claim(ctx, remote.ClaimRequest{Fence: granted, Secret: eves, TakeOver: true})
	_, eveSwaps := eve.Swap(ctx, remote.SwapRequest{Fence: granted, Secret: eves, Artifact: artifact, Phase: fleet.PhaseArmed})
	_, eveRestarts := eve.Restart(ctx, remote.RestartRequest{Fence: granted, Secret: eves})
	for name, test := range map[string]struct {
		err  error
		want fleet.Reason
	}{
		"woken":               {swap(ana, anas), fleet.ReasonEpoch},
		"woken, and again":    {swap(ana, anas), fleet.ReasonEpoch},
		"an edited plan":      {swap(bob, edited), fleet.ReasonPlanDiffers},
		"in bob's name":       {eveSwaps, fleet.ReasonSecret},
		"claimed in his name": {eveClaims, fleet.ReasonSecret},
		"restarted in it":     {eveRestarts, fleet.ReasonSecret},
		"stopped in it":       {eve.Phase(ctx, remote.PhaseRequest{Fence: granted, Secret: eves, Phase: fleet.PhaseStopped}), fleet.ReasonSecret},
		"an older plan":       {swap(ana, older), fleet.ReasonGeneration},
		"a claim that is old": {func() error {
			_, err := ana.Claim(ctx, remote.ClaimRequest{Fence: anas, Secret: secretOf(anas), TakeOver: true})
			return err
		}(), fleet.ReasonEpoch},
	} {
		if reasonOf(test.err) != test.want {
			t.Errorf("%s: %v, want %s", name, test.err, test.want)
		}
	}
	if after := identity(t, host); after != before {
		t.Errorf("the target was touched: %s, was %s", after, before)
	}
	shown, err := ana.Report(ctx) // it goes on showing
	if err != nil || shown.Targets[0].Status.Fence.Holder.Who != "bob@bastion" || !shown.Targets[0].Status.HolderAlive {
		t.Fatalf("%+v, %v", shown, err)
	}
	if err := swap(bob, bobs); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(host.Path(fleetTarget)); err != nil || !bytes.Equal(got, next) {
		t.Errorf("the holder's swap: %v", err)
	}
	if err := bob.Phase(ctx, remote.PhaseRequest{Fence: bobs, Secret: secretOf(bobs), Phase: fleet.PhaseDone}); err != nil {
		t.Fatal(err)
	}
	if err := swap(bob, bobs); reasonOf(err) != fleet.ReasonEpoch {
		t.Errorf("a swap after it was given back: %v", err)
	}
}

// What the other end sends is refused with a reason when it is not a request, and acts on nothing that the host's
// own configuration does not name.
func TestFleetHostileController(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	host := f.Hosts[0]
	host.WriteFile(fleetTarget, standin.Binary(t, "0.17.7", "0.17.6"), 0o755)
	host.WriteFile("/usr/local/lib/other", standin.Binary(t, "0.17.7", "0.17.6"), 0o755)
	session := f.session(host.Name)
	ctx := t.Context()
	for _, target := range []string{"/usr/local/lib/other", "../bin/tigerbeetle", "/etc/passwd", fleetTarget + "/", "-"} {
		claim := claimOf(fenceOf(1, 1, "a", "eve"))
		claim.Target = target
		if _, err := session.Claim(ctx, claim); fault.Of(err) != fault.Usage {
			t.Errorf("a claim of %q: %v", target, err)
		}
	}
	if _, err := session.Claim(ctx, remote.ClaimRequest{}); err == nil {
		t.Error("a claim without a fence is granted")
	}
	if _, err := session.Put(ctx, strings.Repeat("0", 64), 3, strings.NewReader("abc")); fault.Of(err) != fault.Rejected {
		t.Errorf("other bytes than they are called: %v", err)
	}
	if _, err := session.Put(ctx, "..%2f..%2fetc%2fcron.d%2fx", 3, strings.NewReader("abc")); fault.Of(err) != fault.Usage {
		t.Errorf("a path in place of a digest: %v", err)
	}
	eve := fenceOf(1, 1, "a", "eve")
	if _, err := session.Swap(ctx, remote.SwapRequest{Fence: eve, Secret: secretOf(eve), Artifact: "../../../etc/passwd"}); err == nil {
		t.Error("a path in place of an artifact is swapped in")
	}
	files := host.Run("find", "/etc/cron.d", "/usr/local", "/var/lib/tbctl", "-newer", "/etc/machine-id", "-type", "f")
	if strings.Contains(files, "cron.d") || strings.Contains(files, "sha256/") && strings.Contains(files, strings.Repeat("0", 64)) {
		t.Errorf("files were made:\n%s", files)
	}
}

// Both ends find out by themselves that the other is silent, and nothing is left on the host.
func TestFleetSilence(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped: it takes 15 seconds")
	}
	f := newLiveFleet(t, 2)
	var watched sync.WaitGroup
	for name, silence := range map[string]func(h *testhost.Host) (back func()){
		"tb0": func(h *testhost.Host) func() { h.Cut(); return h.Connect },
		"tb1": func(h *testhost.Host) func() { return f.stopSSH(h.Name) },
	} {
		h := f.Host(name)
		h.WriteFile(fleetTarget, standin.Binary(t, "0.17.7", "0.17.6"), 0o755)
		session := f.session(name)
		if _, err := session.Claim(t.Context(), claimOf(fenceOf(1, 1, "a", "ana"))); err != nil {
			t.Fatal(err)
		}
		back := silence(h)
		defer back()
		before := time.Now()
		watched.Go(func() {
			if _, err := session.Report(t.Context()); err == nil {
				t.Errorf("%s: a host that is silent answers", name)
			}
			t.Logf("%s: the controller's end knew it after %v", name, time.Since(before).Round(time.Second))
		})
		watched.Go(func() {
			for limit := before.Add(waitMax); ; <-time.After(100 * time.Millisecond) {
				left, err := h.Command("sh", "-c", "ps ax | grep '[t]bctl host' || true; ss -tln 2>/dev/null | grep -v ':22' | grep LISTEN || true").CombinedOutput()
				if err == nil && len(left) == 0 {
					break
				}
				if time.Now().After(limit) {
					t.Errorf("%s: after %v there is left: %v\n%s", name, waitMax, err, left)
					return
				}
			}
			t.Logf("%s: nothing was left on the host after %v", name, time.Since(before).Round(time.Second))
		})
	}
	watched.Wait()
	f.Host("tb0").Connect()
	for _, h := range f.Hosts {
		shown, err := f.session(h.Name).Report(t.Context())
		if err != nil || shown.Targets[0].Status.HolderAlive || shown.Targets[0].Status.Fence == nil || shown.Targets[0].Status.HeldBy != nil {
			t.Errorf("%s: %+v, %v", h.Name, shown, err)
		}
	}
}

// stopSSH stops the ssh of the session with a host, and returns what lets it go on.
func (f *liveFleet) stopSSH(name string) func() {
	f.t.Helper()
	children, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, of := range children {
		pids, _ := os.ReadFile(of) // of a thread that has ended meanwhile
		for _, pid := range strings.Fields(string(pids)) {
			line, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
			if words := strings.Split(string(line), "\x00"); words[0] != "ssh" || !slices.Contains(words, name) || !slices.Contains(words, f.SSH[len(f.SSH)-1]) {
				continue
			}
			number, err := strconv.Atoi(pid)
			if err == nil {
				err = syscall.Kill(number, syscall.SIGSTOP)
			}
			if err != nil {
				f.t.Fatal(err)
			}
			return func() { syscall.Kill(number, syscall.SIGCONT) } // it may have been killed
		}
	}
	f.t.Fatalf("no ssh is connected with %s", name)
	return nil
}

// A command typed on a host that a rollout holds is refused with who holds it; with --wait it is done when the rollout has
// given the host back, and despite it only when that is said, which is shown from then on.
func TestFleetEnrolledHost(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	host := f.Hosts[0]
	host.WriteFile(fleetTarget, standin.Binary(t, "0.17.7", "0.17.6"), 0o755)
	host.WriteFile("/usr/local/lib/next", standin.Binary(t, "0.17.8", "0.17.6", "0.17.7"), 0o755)
	host.WriteFile("/usr/local/lib/after", standin.Binary(t, "0.17.9", "0.17.7", "0.17.8"), 0o755)
	ctx := t.Context()
	session := f.session(host.Name)
	ana := fenceOf(4, 1, "a", "ana")
	if _, err := session.Claim(ctx, remote.ClaimRequest{Fence: ana, Secret: secretOf(ana)}); err != nil {
		t.Fatal(err)
	}
	before := identity(t, host)
	for _, args := range [][]string{
		{"install", "/usr/local/lib/next"}, {"install", "/usr/local/lib/next", "--dry-run"}, {"install", "/usr/local/lib/next", "--wait", "300ms"},
	} {
		command := host.Command(append([]string{"tbctl"}, append(args, "--stopped")...)...)
		output, _ := command.CombinedOutput()
		if command.ProcessState.ExitCode() != 7 || !strings.Contains(string(output), "a rollout holds this host: ana@bastion") {
			t.Errorf("%v: exit code %d:\n%s", args, command.ProcessState.ExitCode(), output)
		}
	}
	if after := identity(t, host); after != before {
		t.Errorf("the target was touched: %s, was %s", after, before)
	}
	waiting := host.Command("tbctl", "install", "/usr/local/lib/next", "--stopped", "--wait", "1m")
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	if err := session.Phase(ctx, remote.PhaseRequest{Fence: ana, Secret: secretOf(ana), Phase: fleet.PhaseStopped}); err != nil {
		t.Fatal(err)
	}
	if err := waiting.Wait(); err != nil || identity(t, host) == before {
		t.Errorf("after the rollout: %v", err)
	}
	if _, err := session.Claim(ctx, claimOf(fenceOf(4, 2, "a", "ana"))); err != nil {
		t.Fatal(err)
	}
	host.Run("tbctl", "install", "/usr/local/lib/after", "--stopped", "--despite-rollout")
	shown, err := session.Report(ctx)
	if err != nil || shown.Targets[0].Status.Despite == nil || shown.Targets[0].Status.Installed.Release.String() != "0.17.9" {
		t.Errorf("%+v, %v", shown, err)
	}
	text := host.Run("tbctl", "status")
	if !strings.Contains(text, "despite the rollout") || !strings.Contains(text, "ana@bastion") {
		t.Errorf("status shows\n%s", text)
	}
	// A plan whose number was made as high as root's word lets it is not the last one: root lets any plan have the host, and changes nothing else.
	eve := fenceOf(fleet.GenerationLeapMax, 1, "e", "eve")
	if _, err := session.Claim(ctx, remote.ClaimRequest{Fence: eve, Secret: secretOf(eve), TakeOver: true}); err != nil {
		t.Fatal(err)
	}
	bobs := claimOf(fenceOf(5, 1, "b", "bob"))
	bobs.TakeOver = true
	bob := f.session(host.Name)
	if _, err := bob.Claim(ctx, bobs); reasonOf(err) != fleet.ReasonGeneration {
		t.Errorf("a plan of a lower number: %v", err)
	}
	before = identity(t, host)
	host.Run("sh", "-c", strings.ReplaceAll(fleet.AnyPlan, "TARGET", fleetTarget))
	if after := identity(t, host); after != before {
		t.Errorf("the target was touched: %s, was %s", after, before)
	}
	if granted, err := bob.Claim(ctx, bobs); err != nil || granted.Generation != 5 {
		t.Errorf("after root has let any plan: %+v, %v", granted, err)
	}
	if err := session.Phase(ctx, remote.PhaseRequest{Fence: eve, Secret: secretOf(eve), Phase: fleet.PhaseStopped}); reasonOf(err) != fleet.ReasonNotClaimed {
		t.Errorf("the plan of the high number, from then on: %v", err)
	}
}
