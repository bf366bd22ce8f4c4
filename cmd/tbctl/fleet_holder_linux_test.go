package main

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/report"
)

// A host that others copy from and that is killed while they do is replaced: another gets the file from here, and they copy it from that. That it
// was asked first, and what became of it, is said.
func TestFleetHolderKilled(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 4)
	for _, h := range f.Hosts { // a copy takes some seconds, so that it is under way when its source is killed
		if output, err := h.Command("tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", "16mbit", "burst", "64kb", "latency", "400ms").CombinedOutput(); err != nil {
			t.Skipf("skipped: the network cannot be made slower here: %v: %s", err, output)
		}
	}
	before := standin.Binary(t, "0.17.7", "0.17.6")
	f.serve(before)
	f.listDepots()
	name, _ := f.nextLarge(before, 5)
	plan := name + ".plan.json"
	if result, code := f.plan(name, "-o", plan); code != 0 {
		t.Fatalf("exit code %d: %+v", code, result.Problems)
	}
	command := exec.Command(f.program, "fleet", "stage", plan, "--json", "--min-copies", "1", "--timeout", "60s", "--fleet", f.inventory,
		"--state-dir", filepath.Join(filepath.Dir(f.inventory), "state"))
	command.Env = quick()
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var killed string
	var document report.Document[report.Rollout]
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var line report.RolloutLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(lines.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		for _, h := range f.Hosts {
			if stored, err := filepath.Glob(h.Path("/var/lib/tbctl/store/sha256/????????????????*")); killed == "" && err == nil && len(stored) > 0 {
				killed = h.Name
				h.Kill()
			}
		}
	}
	_ = command.Wait() // its exit code says it
	if code := command.ProcessState.ExitCode(); code != 1 || killed == "" || document.Result.Clusters[0].Staged != 3 {
		t.Fatalf("exit code %d, %s was killed: %+v", code, killed, document.Result)
	}
	copied, said := 0, false
	for _, row := range document.Result.Clusters[0].Rows {
		if row.Name != killed && row.From != "" && row.From != killed && row.Copied > 0 {
			copied++
		}
		said = said || strings.HasPrefix(row.NotCopied, "from "+killed+":")
	}
	if copied == 0 || !said {
		t.Errorf("%d copied from another than %s, which is said: %v: %+v", copied, killed, said, document.Result.Clusters[0].Rows)
	}
}
