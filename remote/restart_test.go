package remote

import (
	"errors"
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
)

// The command that restarts replicas runs for a file that was put back, and at most three times, whether it fails or no replica runs after it.
// Beyond that, and where nothing was put back, it is refused, and nothing is recorded: not even another claim brings more of it.
func TestHostRestarts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		status int
	}{
		"no replica runs after it": {"exit 0", http.StatusOK},
		"it fails":                 {"exit 5", http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			_, after, before := binaries(t) // what a replica may be started with is not the matter here: the file before is the newer one
			if err := os.WriteFile(p.target, before, 0o755); err != nil {
				t.Fatal(err)
			}
			ran := filepath.Join(p.dir, "ran")
			p.Restart = []string{"/bin/sh", "-c", "echo >>" + ran + "; " + test.script}
			place, err := fsatomic.Lookup(p.Installer.FS, p.target)
			if err != nil {
				t.Fatal(err)
			}
			fence := testFence()
			fence.Artifact = "sha256:" + digestOf(after)
			secret := secretOf(fence)
			restart := func() (int, ErrorAnswer) {
				return p.ask(t, pathRestart, RestartRequest{Fence: fence, Secret: secret})
			}
			refused := func(when string, want error) {
				t.Helper()
				files := p.files(t)
				if _, answer := restart(); answer.Class != fault.Refused || !strings.Contains(answer.Message, want.Error()) {
					t.Errorf("%s: %+v", when, answer)
				}
				if now := p.files(t); !slices.Equal(now, files) {
					t.Errorf("%s there is\n%s\nand was\n%s", when, strings.Join(now, "\n"), strings.Join(files, "\n"))
				}
			}
			do := func(path string, request any) {
				t.Helper()
				if status, answer := p.ask(t, path, request); status != http.StatusOK {
					t.Fatalf("%s: %d, %+v", path, status, answer)
				}
			}
			p.claim(t, fence)
			do(pathPhase, PhaseRequest{Fence: fence, Secret: secret, Phase: fleet.PhaseAborting})
			refused("before anything was put back", host.ErrNotPutBack)
			for round := 1; round <= 2; round++ {
				if err := errors.Join(os.WriteFile(p.target, after, 0o755), os.WriteFile(place.OldPath, before, 0o755)); err != nil {
					t.Fatal(err)
				}
				do(pathSwap, SwapRequest{Fence: fence, Secret: secret, Artifact: digestOf(before), Phase: fleet.PhaseAborting})
				for range fleet.RestartsMax {
					if status, answer := restart(); status != test.status {
						t.Fatalf("%d, %+v", status, answer)
					}
				}
				refused("then", host.ErrRestarts)
				if text, err := os.ReadFile(ran); err != nil || len(text) != fleet.RestartsMax*round {
					t.Errorf("it ran %d times, %v", len(text), err)
				}
				fence.Epoch++
				do(pathClaim, ClaimRequest{Fence: fence, Secret: secret, TakeOver: true})
				refused("after another claim", host.ErrRestarts)
			}
		})
	}
}
