package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
)

// A host that requires a signature by its own key gets a release by a rollout that is signed so, and where it is not, the plan says it of
// each host before anything is sent.
func TestFleetRequire(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	f.serve(standin.Binary(t, "0.17.7", "0.17.6"))
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range f.Hosts {
		h.WriteFile("/etc/tbctl/config.toml", fmt.Appendf(nil, "require = \"signature\"\npublic-key = %q\n", public.String()), 0o644)
	}
	next, file := f.next("0.17.8", "0.17.6", "0.17.7"), filepath.Join(t.TempDir(), "plan.json")
	result, code := f.plan(next, "-o", file)
	if code != 3 || result.Plan != nil || reasons(result.Problems) != "tb0 not-vouched, tb1 not-vouched, tb2 not-vouched" || !strings.Contains(result.Problems[0].Hint, "minisign -S") {
		t.Fatalf("not signed: exit code %d: %+v", code, result.Problems)
	}
	data, err := os.ReadFile(next)
	if err != nil {
		t.Fatal(err)
	}
	message := minisign.NewReader(bytes.NewReader(data))
	if _, err := io.Copy(io.Discard, message); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(next+".minisig", message.Sign(private), 0o644); err != nil {
		t.Fatal(err)
	}
	if result, code = f.plan(next, "-o", file, "--public-key", public.String()); code != 0 || result.Plan.Artifact.SignedBy != public.String() {
		t.Fatalf("signed: exit code %d: %+v", code, result.Problems)
	}
	armed, code := f.carry("run", file, "--until", "armed")
	if code != 0 || armed.Clusters[0].Armed != 2 || armed.Clusters[0].Checked != 3 {
		t.Fatalf("exit code %d: %+v", code, armed.Clusters[0])
	}
	shown, err := f.session("tb0").Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if last := shown.Targets[0].Status.Last; last == nil || !slices.ContainsFunc(last.Trust, func(trust install.Trust) bool { return trust.Kind == "minisign" && trust.Status == "held" }) {
		t.Errorf("the record does not say what vouched: %+v", last)
	}
	// Who looks on the host sees it, too: what held there, and what the plan says.
	if text := f.Host("tb0").Run("tbctl", "history", "--state-dir", "/var/lib/tbctl"); !strings.Contains(text, "vouched for on this host by minisign") {
		t.Errorf("the history does not say what vouched:\n%s", text)
	}
	if text := f.Host("tb0").Run("tbctl", "store", "list", "--state-dir", "/var/lib/tbctl"); !strings.Contains(text, "the plan says minisign") {
		t.Errorf("the store does not say what the plan says:\n%s", text)
	}
}
