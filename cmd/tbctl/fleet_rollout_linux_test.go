package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/report"
)

// carry runs a command of tbctl fleet with --json that carries a plan out, and returns its result and exit code.
func (f *liveFleet) carry(args ...string) (report.Rollout, int) {
	f.t.Helper()
	output, errs, code := f.tbctl(append([]string{"fleet", args[0], "--json"}, args[1:]...)...)
	if _, err := mustSchemas(f.t).checkOutput([]byte(output)); err != nil {
		f.t.Errorf("fleet %s: %v", args[0], err)
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var document report.Document[report.Rollout]
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &document); err != nil {
		f.t.Fatalf("fleet %v: %v: %s%s", args, err, output, errs)
	}
	if document.Error != nil {
		f.t.Logf("fleet %v: %s", args, document.Error.Message)
	}
	return document.Result, code
}

// planned serves one release, and plans the next.
func (f *liveFleet) planned() string {
	f.t.Helper()
	f.serve(standin.Binary(f.t, "0.17.7", "0.17.6"))
	file := filepath.Join(f.t.TempDir(), "plan.json")
	if result, code := f.plan(f.next("0.17.8", "0.17.6", "0.17.7"), "-o", file); code != 0 {
		f.t.Fatalf("exit code %d: %+v", code, result.Problems)
	}
	return file
}

// What a host lacks is brought into its store, with a host down the others go on, and no target is touched; the same command again
// sends next to nothing.
func TestFleetStage(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	before := make(map[string]string)
	for _, h := range f.Hosts {
		before[h.Name] = identity(t, h)
	}
	missing := f.Host("tb1")
	if err := os.Rename(missing.Path("/usr/local/bin/tbctl"), missing.Path("/usr/local/bin/tbctl-away")); err != nil {
		t.Fatal(err)
	}
	result, code := f.carry("stage", file, "--timeout", "5s")
	if code != 1 || len(result.Clusters) != 1 || result.Clusters[0].Staged != 2 || result.Clusters[0].WayOn == "" {
		t.Fatalf("with a host down: exit code %d, %+v", code, result)
	}
	for _, row := range result.Clusters[0].Rows {
		if down := row.Name == missing.Name; row.Staged == down || row.Seen == down || (row.Problem != "") != down || (row.Sent+row.Had == 0) != down {
			t.Errorf("%+v", row)
		}
	}
	if err := os.Rename(missing.Path("/usr/local/bin/tbctl-away"), missing.Path("/usr/local/bin/tbctl")); err != nil {
		t.Fatal(err)
	}
	result, code = f.carry("stage", file)
	if code != 0 || result.Clusters[0].Staged != 3 || string(result.Clusters[0].Step) != "staged" {
		t.Fatalf("exit code %d, %+v", code, result)
	}
	for _, row := range result.Clusters[0].Rows {
		if row.Name != missing.Name && row.Sent > 100<<10 {
			t.Errorf("what is there is sent again: %+v", row)
		}
	}
	for _, h := range f.Hosts {
		if after := identity(t, h); after != before[h.Name] {
			t.Errorf("%s: the target was touched: %s, was %s", h.Name, after, before[h.Name])
		}
	}
	hosts, _ := f.status()
	for _, h := range hosts {
		if fence := h.Report.Targets[0].Status.Fence; fence != nil {
			t.Errorf("%s is claimed: %+v", h.Name, fence)
		}
	}
	output, errs, code := f.tbctl("fleet", "stage", file, "ledger")
	for _, want := range []string{"ledger: step: staged", "tb2: staged:", "HOST", "way on:", "tbctl fleet arm " + file} {
		if code != 0 || !strings.Contains(output, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, want, output, errs)
		}
	}
	if output, _, code := f.tbctl("fleet", "stage", file, "other"); code != 2 || strings.Contains(output, "✓") {
		t.Errorf("a cluster that is not planned: exit code %d\n%s", code, output)
	}
	journal, err := os.ReadFile(filepath.Join(filepath.Dir(f.inventory), "state", "rollout.jsonl"))
	if err != nil || strings.Count(string(journal), `"request":"stage"`) < 8 || !strings.Contains(string(journal), `"reason":"tbctl-missing"`) {
		t.Errorf("%v: the journal says\n%s", err, journal)
	}
}
