//go:build linux

package torture

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/vfs"
)

// storeIn puts a release into a store of the place that its resets leave alone, and returns the release's SHA-256.
func (p *place) storeIn(t *testing.T, base, release string) string {
	t.Helper()
	dir := filepath.Join(base, "store")
	data := binaries(t)[release].data
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	writer, err := depot.Open(vfs.OS(), dir).Create(int64(len(data)))
	check(t, err)
	_, err = writer.Write(data)
	check(t, err)
	_, err = writer.Commit(t.Context(), digest)
	check(t, err)
	p.env = append(p.env, "TBCTL_STORE="+dir)
	return digest
}

// swapping is the swap of a run of a rollout, as an operation that is disturbed.
func swapping(fence fleet.Fence, digest string, phase fleet.Phase) claiming {
	return claiming{name: "swap", path: "/v1/swap", request: remote.SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: digest, Phase: phase}}
}

// TestSwapFaults disturbs every call of a session's swap that changes something, above all by kill -9: the target is whole and the old
// or the new file, the fence is the run's and has not gone back, the next run of the plan gets the target, and its
// swap ends as an undisturbed one does.
func TestSwapFaults(t *testing.T) {
	t.Parallel()
	base := quickDir(t)
	p := newPlace(t, base)
	digest := p.storeIn(t, base, binaryNew)
	fence := func(epoch uint64, holder string, phase fleet.Phase) fleet.Fence {
		of := fenceOf(epoch, holder)
		of.Artifact, of.Phase = "sha256:"+digest, phase
		return of
	}
	before, after := fence(1, "ana", fleet.PhaseClaimed), fence(1, "ana", fleet.PhaseArmed)
	prepare := func() {
		p.reset(t, binaryOld, nothing)
		p.claim(t, "before", before)
	}
	swap := swapping(before, digest, fleet.PhaseArmed)
	prepare()
	undisturbed := swap.traced(t, p, disturbance{}, nil)
	if seen, got := p.see(t, "undisturbed"), p.stored(t, "undisturbed"); undisturbed.Code != 0 || got != after || seen.target != binaryNew || seen.old != binaryOld {
		t.Fatalf("undisturbed: exit %d, %+v, %+v: %s", undisturbed.Code, seen, got, undisturbed.stderr)
	}
	count := len(undisturbed.Calls)
	kinds := append(disturbances(), disturbance{Signal: syscall.SIGKILL})
	for _, what := range kinds {
		step := sample(9, 5)
		if full() && (what.Signal == syscall.SIGKILL || what.SignalAfter == syscall.SIGKILL) {
			step = 1
		}
		for number := 1 + len(what.String())%step; number <= count; number += step { // each kind at other calls
			what.At = number
			prepare()
			got := swap.traced(t, p, what, nil)
			if len(got.Calls) < number {
				continue // it was not reached
			}
			tried("calls disturbed: swap of a run", 1)
			text := fmt.Sprintf("swap: call %d, %s: %s", number, got.Calls[number-1], what)
			if killed := what.Signal == syscall.SIGKILL || what.SignalAfter == syscall.SIGKILL; killed != (got.Signal == syscall.SIGKILL) {
				t.Fatalf("%s: killed: %v", text, killed)
			}
			seen, stored := p.see(t, text), p.stored(t, text)
			if seen.target != binaryOld && seen.target != binaryNew || stored != before && stored != after || stored == after && seen.target != binaryNew {
				t.Fatalf("%s: %+v, the fence is %+v", text, seen, stored)
			}
			next := fence(2, "bob", stored.Phase)
			p.claim(t, text, next)
			if now := p.stored(t, text); now != next {
				t.Fatalf("%s: after the next claim: %+v", text, now)
			}
			late := swapping(before, digest, fleet.PhaseArmed).traced(t, p, disturbance{}, nil)
			if now := p.stored(t, text); now != next || late.Code != 0 {
				t.Fatalf("%s: the earlier run's swap, which comes late: exit %d, %+v", text, late.Code, now)
			}
			again := swapping(next, digest, fleet.PhaseArmed).traced(t, p, disturbance{}, nil)
			next.Phase = fleet.PhaseArmed
			if seen, now := p.see(t, text), p.stored(t, text); again.Code != 0 || now != next || seen.target != binaryNew || seen.old != binaryOld || len(seen.residue) > 0 {
				t.Fatalf("%s: the same swap again: exit %d, %+v, the fence is %+v: %s", text, again.Code, seen, now, again.stderr)
			}
		}
	}
	remarked("calls disturbed: swap of a run", "%d calls an operation", count)
}
