package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/report"
)

// quick is the environment of a controller that does not wait as long as it does otherwise.
func quick() []string { return append(os.Environ(), "TESTING_PACE=300ms") }

// tbctl runs the program as the controller does, with a state directory of its own, and returns what it says on both streams.
func (f *liveFleet) tbctl(args ...string) (stdout, stderr string, code int) {
	f.t.Helper()
	args = append(args, "--fleet", f.inventory, "--state-dir", filepath.Join(filepath.Dir(f.inventory), "state"))
	command := exec.Command(f.program, args...)
	command.Env = quick()
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	_ = command.Run() // its exit code says it
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

// next writes the file of the release that is to be brought, and returns its name.
func (f *liveFleet) next(release string, past ...string) string {
	f.t.Helper()
	name := filepath.Join(filepath.Dir(f.inventory), "next-"+release)
	if err := os.WriteFile(name, standin.Binary(f.t, release, past...), 0o755); err != nil {
		f.t.Fatal(err)
	}
	return name
}

// plan runs tbctl fleet plan --json.
func (f *liveFleet) plan(args ...string) (report.FleetPlan, int) {
	f.t.Helper()
	output, errs, code := f.tbctl(append([]string{"fleet", "plan", "--json"}, args...)...)
	var document report.Document[report.FleetPlan]
	if err := json.Unmarshal([]byte(output), &document); err != nil {
		f.t.Fatalf("fleet plan: %v: %s%s", err, output, errs)
	}
	if _, err := mustSchemas(f.t).checkOutput([]byte(output)); err != nil {
		f.t.Errorf("fleet plan: %v", err)
	}
	return document.Result, code
}

// reasons are those of the problems that are no notes, with their hosts.
func reasons(problems []fleet.Problem) string {
	var words []string
	for _, p := range problems {
		if !p.Note {
			words = append(words, strings.TrimSpace(p.Host+" "+string(p.Reason)))
		}
	}
	return strings.Join(words, ", ")
}

// A plan says what is brought to which hosts; what hinders it is told with its host, and then there is none. Nothing is
// changed on the hosts by it.
func TestFleetPlan(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	f.serve(standin.Binary(t, "0.17.7", "0.17.6"))
	before := identity(t, f.Hosts[0])
	next, file := f.next("0.17.8", "0.17.6", "0.17.7"), filepath.Join(t.TempDir(), "plan.json")

	result, code := f.plan(next, "-o", file)
	if code != 0 || result.Plan == nil || result.File != file {
		t.Fatalf("exit code %d: %+v", code, result)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, id, err := fleet.ParsePlan(text)
	if err != nil || id != result.ID || len(plan.Clusters) != 1 || plan.Generation != 1 {
		t.Fatalf("%v: %s, %+v", err, id, plan)
	}
	cluster := plan.Clusters[0]
	if cluster.Name != "ledger" || cluster.Replicas != 3 || cluster.Holdback != 1 || cluster.Running.String() != "0.17.7" || len(cluster.Hosts) != 3 {
		t.Errorf("%+v", cluster)
	}
	for index, host := range cluster.Hosts {
		if host.Name != f.Hosts[index].Name || host.Target != fleetTarget || host.Machine == "" || host.Previous == "" || host.Lacks == 0 || host.Lacks > 100<<10 || len(host.Replicas) != 1 || host.Replicas[0].Index != index {
			t.Errorf("%+v", host)
		}
	}
	var value any
	all := mustSchemas(t)
	schema := all["fleet-plan.json"]["$defs"].(map[string]any)["Plan"].(map[string]any)
	if err := json.Unmarshal(text, &value); err != nil || all.check("fleet-plan.json", schema, value, "plan") != nil {
		t.Errorf("the file is not what its schema says: %v, %v", err, all.check("fleet-plan.json", schema, value, "plan"))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	if _, code := f.plan(next, "-o", file); code != 1 {
		t.Errorf("a plan that is there: exit code %d", code)
	}
	output, errs, code := f.tbctl("fleet", "plan", plan.Artifact.SHA256, "ledger", "-o", file, "--force", "--clients", "0.17.0")
	for _, want := range []string{"0.17.7 → 0.17.8", "tb2", "promote swaps the last 1", "generation", "tbctl fleet stage " + file} {
		if code != 0 || !strings.Contains(output, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, want, output, errs)
		}
	}
	if _, errs, code := f.tbctl("fleet", "plan", next, "-o", filepath.Join(t.TempDir(), "p"), "--require", "signature", "--public-key", "none"); code != 2 {
		t.Errorf("exit code %d: %s", code, errs)
	}

	other := filepath.Join(t.TempDir(), "other.json")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a forgotten host":         {[]string{next, "tb0", "tb1"}, 4, "missing-replica"},
		"one that lacks what runs": {[]string{f.next("0.17.9", "0.17.8")}, 4, "tb0 lacks-running"},
		"a host that is none":      {[]string{next, "tb0", "tb1", "nowhere.invalid"}, 1, "nowhere.invalid name-not-known"},
	} {
		result, code := f.plan(append(test.args, "-o", other)...)
		if code != test.code || !strings.Contains(reasons(result.Problems), test.want) || result.Plan != nil || result.File != "" {
			t.Errorf("%s: exit code %d, %s, want %d, %s", name, code, reasons(result.Problems), test.code, test.want)
		}
		if _, err := os.Stat(other); err == nil {
			t.Errorf("%s: a plan was written", name)
		}
	}
	// Where all run the release, what follows in a script does nothing, and does not go on with an earlier plan.
	runs := f.next("0.17.7", "0.17.6")
	if result, code := f.plan(runs, "-f", "-o", file); code != 0 || result.Plan == nil || len(result.Plan.Clusters) != 0 || result.Next != "" || len(result.Problems) != 2 || !result.Problems[1].Note {
		t.Errorf("a release that runs: exit code %d, %+v", code, result)
	}
	for _, verb := range []string{"stage", "arm", "run", "abort", "stop"} {
		if output, errs, code := f.tbctl("fleet", verb, file, "-q"); code != 0 || output != "ok: the plan has no cluster: all ran 0.17.7 already when it was made\n" {
			t.Errorf("%s: exit code %d:\n%s%s", verb, code, output, errs)
		}
	}
	if after := identity(t, f.Hosts[0]); after != before {
		t.Errorf("the target was touched: %s, was %s", after, before)
	}
}
