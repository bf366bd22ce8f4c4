package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/engines/internal/testtuf"
	"github.com/tbctl/tbctl/internal/standin"
)

// TestRolloutExpired brings a release that was imported by signed metadata to a cluster when all of that has expired and the repository is gone: no
// host, and no step of a rollout, looks at a date. Only the list of the store says so.
func TestRolloutExpired(t *testing.T) {
	t.Parallel()
	before, next := standin.Binary(t, "0.17.7", "0.17.6"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	r := testtuf.New(t)
	r.Add("0.17.8/tigerbeetle-"+string(hostPlatform(t)), next)
	r.Next()
	f := startFleet(t, before, "", "")
	f.restart() // so that it takes the next file as the others do
	must := func(words ...string) string {
		t.Helper()
		command := f.command(words...)
		var errs bytes.Buffer
		command.Stderr = &errs
		output, err := command.Output()
		if err != nil {
			t.Fatalf("%q: %v: %s%s", words, err, output, &errs)
		}
		return string(output)
	}
	from := []string{"store", "import", "0.17.8", "--from", "tuf+" + r.URL, "--plain-http", "--root", f.write("root.json", string(r.FirstRoot()), 0o600), "--require", "signature"}
	must(from...)
	if list := must("store", "list"); !strings.Contains(list, "tuf") || strings.Contains(list, "expired") {
		t.Errorf("%s", list)
	}

	r.Expire()
	if output, err := f.command(from...).CombinedOutput(); err == nil || !strings.Contains(string(output), "expired") {
		t.Errorf("an import by metadata that has expired: %v: %s", err, output)
	}
	r.Close()
	receipts, err := filepath.Glob(f.dir + "/controller-store/sha256/*.receipts")
	if err != nil || len(receipts) != 1 {
		t.Fatalf("%q, %v", receipts, err)
	}
	text, err := os.ReadFile(receipts[0])
	if err != nil {
		t.Fatal(err)
	}
	expires := regexp.MustCompile(`"expires":"[^"]*"`)
	if count := len(expires.FindAll(text, -1)); count != 4 {
		t.Fatalf("%d roles: %s", count, text)
	}
	if err := os.WriteFile(receipts[0], expires.ReplaceAll(text, []byte(`"expires":"2020-01-02T03:04:05Z"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	if list := must("store", "list"); !strings.Contains(list, "expired 2020-01-02)") {
		t.Errorf("%s", list)
	}

	file := filepath.Join(f.dir, "plan.json")
	if planned := must("fleet", "plan", "store:0.17.8", "ledger", "-o", file, "--require", "signature"); !strings.Contains(planned, "vouched for by tuf") {
		t.Errorf("%s", planned)
	}
	if staged, code := f.run("stage", file); code != 0 || staged.Result.Clusters[0].Staged != 3 {
		t.Fatalf("stage: exit code %d, %+v", code, staged)
	}
	if armed, code := f.run("arm", file); code != 0 || armed.Result.Clusters[0].Armed != 2 {
		t.Fatalf("arm: exit code %d, %+v", code, armed)
	}
	if promoted, code := f.run("promote", file, "ledger", "--yes", "--stable", "1s"); code != 0 || promoted.Result.Clusters[0].Upgraded != 3 || f.installed(next) != 3 {
		t.Errorf("promote: exit code %d, %+v", code, promoted)
	}
}
