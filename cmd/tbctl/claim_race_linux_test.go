package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/remote"
)

// contested is a target of this machine that several controllers want: each has a session, with a tbctl host of its own.
type contested struct {
	t         *testing.T
	dir       string
	target    string
	old, next []byte
	sessions  []*remote.Session
}

func newContested(t *testing.T, controllers int) *contested {
	t.Helper()
	words, dir := fakeSSH(t)
	c := &contested{t: t, dir: dir, target: filepath.Join(dir, "tigerbeetle"), old: standin.Binary(t, "0.17.8", "0.17.7"), next: standin.Binary(t, "0.17.9", "0.17.7", "0.17.8")}
	config := fmt.Appendf(nil, "target = %q\nstore = %q\nstate-dir = %q\n", c.target, filepath.Join(dir, "store"), filepath.Join(dir, "state"))
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	dialer := &remote.Dialer{SSH: words}
	for range controllers {
		session, err := dialer.Dial(t.Context(), "tb0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { session.Close() })
		c.sessions = append(c.sessions, session)
	}
	return c
}

// has requires that a file is at the target.
func (c *contested) has(when string, want []byte) {
	c.t.Helper()
	if got, err := os.ReadFile(c.target); err != nil || !bytes.Equal(got, want) {
		c.t.Errorf("%s: at the target is %s, want %s, %v", when, digestOf(got), digestOf(want), err)
	}
}

// all does something for each controller, at the same moment, and returns what came of it.
func (c *contested) all(do func(controller int) error) []error {
	start := make(chan struct{})
	errs := make([]error, len(c.sessions))
	var done sync.WaitGroup
	for index := range c.sessions {
		done.Go(func() {
			<-start
			errs[index] = do(index)
		})
	}
	close(start)
	done.Wait()
	return errs
}

// fenced requires that each who does not have the target was refused with a reason.
func (c *contested) fenced(what string, errs []error, but int) {
	c.t.Helper()
	for index, err := range errs {
		if index != but && (fault.Of(err) != fault.Fenced || reasonOf(err) == "") {
			c.t.Errorf("%s of controller %d, while %d has the target: %v", what, index, but, err)
		}
	}
}

// Of controllers that claim a target at the same moment one gets it, again and again, and of what they ask for then, all at once, that one's
// swap alone is done: not another's, not a claim that comes again, not an edited plan's, not an older one's.
func TestClaimsAtOnce(t *testing.T) {
	t.Parallel()
	rounds := 30
	if testbin.Full() {
		rounds = 200
	}
	c := newContested(t, 3)
	artifact := put(t, c.sessions[0], c.next)
	ctx := t.Context()
	wins, reasons := make([]int, len(c.sessions)), make(map[fleet.Reason]int)
	for round := 1; round <= rounds; round++ {
		standin.Replace(t, c.target, c.old)
		fenceBy := func(controller int) fleet.Fence {
			fence := fenceOf(uint64(round), 1+uint64(controller*(round%2)), "a", fmt.Sprint("controller", controller)) // every other time they have the same epoch
			fence.Artifact = "sha256:" + artifact
			return fence
		}
		claim := func(controller int) error {
			_, err := c.sessions[controller].Claim(ctx, claimOf(fenceBy(controller)))
			return err
		}
		swap := func(controller int, fence fleet.Fence) error {
			_, err := c.sessions[controller].Swap(ctx, remote.SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: artifact, Phase: fleet.PhaseArmed})
			return err
		}
		claimed := c.all(claim)
		won := slices.Index(claimed, nil)
		if won < 0 {
			t.Fatalf("round %d: none has the target: %v", round, claimed)
		}
		wins[won]++
		c.fenced("a claim", claimed, won)
		for index, err := range claimed {
			if index != won {
				reasons[reasonOf(err)]++
			}
		}
		c.fenced("a claim that comes again", c.all(func(controller int) error {
			if controller == won {
				return nil
			}
			return claim(controller)
		}), won)

		c.has(fmt.Sprintf("round %d: before the swap", round), c.old)
		swapped := c.all(func(controller int) error {
			if controller == won {
				return swap(controller, fenceBy(controller))
			}
			edited, older := fenceOf(uint64(round), 1, "b", "controller"), fenceOf(uint64(max(1, round-1)), 1, "a", "older")
			edited.Artifact, older.Artifact = "sha256:"+artifact, "sha256:"+artifact
			for what, err := range map[string]error{"its own": swap(controller, fenceBy(controller)), "an edited plan's": swap(controller, edited), "an older plan's": swap(controller, older)} {
				if fault.Of(err) != fault.Fenced || reasonOf(err) == "" {
					return fmt.Errorf("%s: %w", what, err)
				}
			}
			return &fleet.FencedError{Reason: "all of them"}
		})
		if swapped[won] != nil {
			t.Fatalf("round %d: the holder's swap: %v", round, swapped[won])
		}
		c.fenced("a swap", swapped, won)
		c.has(fmt.Sprintf("round %d: after the swap", round), c.next)
		if err := c.sessions[won].Phase(ctx, remote.PhaseRequest{Fence: fenceBy(won), Secret: secretOf(fenceBy(won)), Phase: fleet.PhaseDone}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rounds: the controllers had the target %v times, the others were refused by %v", rounds, wins, reasons)
}

// An installation and a claim that come at the same time: either the installation has ended when the claim is answered, and its file is what was there
// before the rollout, or it was refused and has touched nothing.
func TestClaimsAndInstallations(t *testing.T) {
	t.Parallel()
	rounds := 24
	if testbin.Full() {
		rounds = 120
	}
	c := newContested(t, 1)
	session := c.sessions[0]
	file := filepath.Join(c.dir, "next")
	testbin.WriteFile(t, file, c.next)
	codes := make(map[int]int)
	for round := 1; round <= rounds; round++ {
		standin.Replace(t, c.target, c.old)
		fence := fenceOf(uint64(round), 1, "a", "ana")
		answered := make(chan struct{})
		previous := ""
		claim := func() {
			defer close(answered)
			granted, err := session.Claim(t.Context(), claimOf(fence))
			if err != nil {
				t.Errorf("round %d: the claim: %v", round, err)
				return
			}
			previous = granted.Previous
			there, err := os.ReadFile(c.target)
			if err != nil || previous != "sha256:"+digestOf(there) {
				t.Errorf("round %d: before the claim %s was there, and after it %s is: %v", round, previous, digestOf(there), err)
			}
		}
		if round%3 == 0 {
			go claim()
		}
		installing := exec.Command("tbctl", "install", file, c.target, "--stopped", "--state-dir", filepath.Join(c.dir, "state"))
		var said bytes.Buffer
		installing.Stdout, installing.Stderr = &said, &said
		if err := installing.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			installing.Wait() // its exit code says it
			close(ended)
		}()
		switch round % 3 {
		case 1:
			go claim()
		case 2:
			c.working(session, ended)
			go claim()
		}
		<-ended
		<-answered
		code := installing.ProcessState.ExitCode()
		codes[code]++
		switch want := c.old; code {
		case 0:
			want = c.next
			fallthrough
		case int(exitBusy), int(exitFenced):
			c.has(fmt.Sprintf("round %d: exit code %d", round, code), want)
			if previous != "sha256:"+digestOf(want) {
				t.Errorf("round %d: exit code %d, and before the rollout was %s: %s", round, code, previous, &said)
			}
		default:
			t.Errorf("round %d: exit code %d: %s", round, code, &said)
		}
		if err := session.Phase(t.Context(), remote.PhaseRequest{Fence: fence, Secret: secretOf(fence), Phase: fleet.PhaseStopped}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rounds: the installations ended with the exit codes %v", rounds, codes)
}

// working waits until another process has the target's lock, or that has ended.
func (c *contested) working(session *remote.Session, ended <-chan struct{}) {
	c.t.Helper()
	eventually(c.t, "it works on the target", func() string {
		select {
		case <-ended:
			return ""
		default:
		}
		shown, err := session.Report(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		if status := shown.Targets[0].Status; status != nil && status.HeldBy != nil {
			return ""
		}
		return "nothing does"
	})
}
