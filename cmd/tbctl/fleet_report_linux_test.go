package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/advisory/kept"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// reported runs tbctl fleet report --json.
func (f *liveFleet) reported(args ...string) (report.FleetReport, int) {
	f.t.Helper()
	output, errs, code := f.tbctl(append([]string{"fleet", "report", "--json"}, args...)...)
	if _, err := mustSchemas(f.t).checkOutput([]byte(output)); err != nil {
		f.t.Errorf("fleet report: %v", err)
	}
	if err := decodes("fleet report", []byte(output)); err != nil {
		f.t.Errorf("fleet report: %v", err)
	}
	var document report.Document[report.FleetReport]
	if err := json.Unmarshal([]byte(output), &document); err != nil {
		f.t.Fatalf("fleet report: %v: %s%s", err, output, errs)
	}
	return document.Result, code
}

// happened are the words for what happened to a target.
func happened(h *report.ReportedHost) (words []string) {
	for _, moment := range h.Moments {
		words = append(words, moment.What)
	}
	return words
}

// measured requires that so many lines of fleet status --openmetrics begin so.
func (f *liveFleet) measured(lines map[string]int) {
	f.t.Helper()
	eventually(f.t, "the metrics are as told", func() string { // a session may not have ended yet, and an answer come late
		output, errs, code := f.tbctl("fleet", "status", "--openmetrics")
		if code != 0 || !strings.HasSuffix(output, "\n# EOF\n") {
			f.t.Fatalf("exit code %d: %s", code, errs)
		}
		for pattern, want := range lines {
			if got := len(regexp.MustCompile("(?m)^"+pattern).FindAllString(output, -1)); got != want {
				return fmt.Sprintf("%d lines are %s, want %d:\n%s", got, pattern, want, output)
			}
		}
		return ""
	})
}

// The report says what happened on each host, in its order, what it shows now, and what was checked; a host that cannot be asked is
// in it. Nothing is changed by it.
func TestFleetReport(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	file := f.planned()
	r, code := f.reported(file)
	if code != 0 || len(r.Hosts) != 3 || len(r.Requests) != 0 || r.Hosts[0].CheckNote == "" || len(r.Hosts[0].Checks) != 0 || r.Hosts[0].Status == nil || r.Page != "" {
		t.Fatalf("planned: exit code %d: %+v", code, r)
	}
	if _, code := f.carry("run", file, "--until", "armed"); code != 0 {
		t.Fatalf("armed: exit code %d", code)
	}
	if r, code = f.reported(file); code != 0 || len(r.Hosts[2].Checks) < 6 || r.Hosts[2].CheckNote != "" || !strings.Contains(r.Hosts[0].CheckNote, "SHA-256") {
		t.Errorf("armed: exit code %d: %+v", code, r.Hosts)
	}
	for index := range r.Hosts {
		h := &r.Hosts[index]
		if h.Done(r.Plan) || len(h.Differs) > 0 || slices.Contains(happened(h), "armed") != (index < 2) || slices.Contains(happened(h), "promoted") {
			t.Errorf("armed: %s: %q, %q", h.Name, happened(h), h.Differs)
		}
	}
	f.measured(map[string]int{
		`tbctl_fleet_host_asked{.*} 1`: 3, `tbctl_replica_armed{.*} 1`: 2, `tbctl_replica_armed{.*} 0`: 1, `tbctl_replica_running_info{.*release="0.17.7"} 1`: 3,
		`tbctl_replica_answers{.*} 1`: 3, `tbctl_fence_held{.*} 1`: 3, `tbctl_fence_holder_alive{.*} 0`: 3, `tbctl_fence_drifted{.*} 0`: 3,
		`tbctl_fence_phase{.*state="armed"} 1`: 2, `tbctl_rollout_requests_total{request="swap",result="done"} 2`: 1, `tbctl_rollout_runs_total 1`: 1,
	})
	if _, code := f.carry("promote", file, "ledger", "--stable", "1s", "--yes"); code != 0 {
		t.Fatalf("promote: exit code %d", code)
	}
	f.measured(map[string]int{
		`tbctl_replica_armed{.*} 0`: 3, `tbctl_replica_running_info{.*release="0.17.8"} 1`: 3, `tbctl_installed_info{.*release="0.17.8",.*} 1`: 3,
		`tbctl_installed_drifted{.*} 0`: 3, `tbctl_fence_held{.*} 0`: 3, `tbctl_fence_holder_alive`: 0, `tbctl_operation_interrupted{.*} 0`: 3,
		`tbctl_rollout_requests_total{request="swap",result="done"} 3`: 1, `tbctl_samples_left_out 0`: 1,
	})
	page := filepath.Join(t.TempDir(), "report.html")
	output, errs, code := f.tbctl("fleet", "report", file, "-o", page)
	if code != 0 || !strings.Contains(output, "3 of 3 targets have the file and run 0.17.8") {
		t.Errorf("exit code %d: %s%s", code, output, errs)
	}
	text, err := os.ReadFile(page)
	if err != nil || strings.Count(string(text), "✓ runs 0.17.8") != 3 {
		t.Errorf("%v: %s", err, text)
	}
	if _, _, code := f.tbctl("fleet", "report", file, "-o", page); code != 1 {
		t.Errorf("a page that is there: exit code %d", code)
	}

	missing := f.Host("tb1")
	if err := os.Rename(missing.Path("/usr/local/bin/tbctl"), missing.Path("/usr/local/bin/tbctl-away")); err != nil {
		t.Fatal(err)
	}
	r, code = f.reported(file, "-o", page, "--force")
	if code != 1 || r.Page != page || r.Hosts[1].Problem == nil || r.Hosts[1].Status != nil || !slices.ContainsFunc(r.Unseen, func(text string) bool { return strings.HasPrefix(text, "tb1: ") }) {
		t.Errorf("a host is down: exit code %d: %+v", code, r.Hosts[1])
	}
	for index := range r.Hosts {
		h := &r.Hosts[index]
		words := []string{"staged", "checked", "claimed", "swapped", "armed", "stable", "promoted", "done"}
		if index == 2 {
			words = []string{"staged", "checked", "claimed", "stable", "promoted", "done"}
		}
		got, at := happened(h), -1
		for _, word := range words {
			next := slices.Index(got, word)
			if next <= at {
				t.Errorf("%s: %q is not where it belongs in %q", h.Name, word, got)
			}
			at = next
		}
		if !slices.Contains(got, "running") || slices.Contains(got, "seen") != (index != 1) {
			t.Errorf("%s: %q", h.Name, got)
		}
	}
	if r, code = f.reported(file, "--offline"); code != 0 || !r.Offline || r.Hosts[0].Status != nil || len(r.Requests) == 0 {
		t.Errorf("offline: exit code %d: %+v", code, r.Hosts[0])
	}
}

// TestForeignPlan has a plan of somebody who claims more than there is: what it says of the file that the file does not ends with exit code 3
// before a host is asked, and who is said to vouch for it is told as what the plan says.
func TestForeignPlan(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	own, err := os.ReadFile(f.planned())
	if err != nil {
		t.Fatal(err)
	}
	edited := func(change func(artifact map[string]any)) string {
		var plan map[string]any
		if err := json.Unmarshal(own, &plan); err != nil {
			t.Fatal(err)
		}
		change(plan["artifact"].(map[string]any))
		text, err := json.Marshal(plan)
		file := filepath.Join(t.TempDir(), "theirs.json")
		if err == nil {
			err = os.WriteFile(file, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	for field, value := range map[string]any{
		"client_min": "0.1.0", "client_mins": map[string]string{}, "checksum": strings.Repeat("ab", 16), "signature": "AAAA",
	} {
		file := edited(func(artifact map[string]any) { artifact[field] = value })
		for _, args := range [][]string{{"stage", file}, {"run", file, "--yes"}} {
			if output, errs, code := f.tbctl(append([]string{"fleet"}, args...)...); code != int(exitRejected) || !strings.Contains(errs, field) {
				t.Errorf("%s: %q: exit code %d: %s%s", field, args, code, output, errs)
			}
		}
		if r, _ := f.reported(file, "--offline"); len(r.Failed()) != 1 || len(r.Requests) != 0 {
			t.Errorf("%s: %+v, and %d requests", field, r.Evidence, len(r.Requests))
		}
	}
	if _, errs, code := f.tbctl("fleet", "promote", edited(func(artifact map[string]any) { artifact["client_min"] = "0.1.0" }), "ledger", "--yes"); code != int(exitRejected) {
		t.Errorf("promote: exit code %d: %s", code, errs)
	}
	file := edited(func(artifact map[string]any) { artifact["vouched"] = []string{"minisign", "tuf"} })
	r, _ := f.reported(file)
	if held, claimed := r.Held(), r.Claimed(); slices.Contains(held, "minisign") || slices.Contains(held, "tuf") || !slices.Equal(claimed, []string{"minisign", "tuf"}) {
		t.Errorf("%+v", r.Evidence)
	}
	page := filepath.Join(t.TempDir(), "report.html")
	output, errs, code := f.tbctl("fleet", "report", file, "-o", page)
	text, err := os.ReadFile(page)
	if code != 0 || err != nil || !strings.Contains(output, "the plan says: minisign, tuf, not checked here") || strings.Count(string(text), "the plan says so, not checked here") != 2 {
		t.Errorf("exit code %d, %v: %s%s%s", code, err, output, errs, text)
	}
	if _, errs, code := f.tbctl("fleet", "stage", file); code != 0 || strings.Count(errs, "not checked here") != 2 {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// TestFleetAdvisories has a controller that knows a publisher's list: it travels with the plan, and a host that was claimed warns by it while the plan
// holds it, with the name of who brought it. It takes nothing away of what the host knows itself.
func TestFleetAdvisories(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 1)
	list := []byte(`{"version":1,"checked":"2026-01-02","newest":"9.9.9","advisories":[
		{"id":"ours","from":"0.17.7","to":"0.17.7","skip":true,"text":"our disks do not like it","source":"our own tests","date":"2026-01-01"}]}`)
	signed := depot.Signed{Repository: "https://releases.internal/tb", Target: "advisories.json", SHA256: fmt.Sprintf("%x", sha256.Sum256(list)), Size: int64(len(list))}
	if _, err := kept.Keep(vfs.OS(), filepath.Join(filepath.Dir(f.inventory), "state"), list, signed); err != nil {
		t.Fatal(err)
	}
	file := f.planned()
	said := func() (own bool, edition advisory.Edition) {
		hosts, _ := f.status()
		shown := hosts[0].Report.Targets[0].Status
		return slices.ContainsFunc(shown.Advisories, func(n advisory.Notice) bool {
			return n.ID == "ours" && strings.Contains(n.Message, "the advisories of the rollout's plan, brought by ") && strings.HasSuffix(n.Message, ", say: our disks do not like it")
		}), shown.AdvisoryList
	}
	if own, edition := said(); own || edition.Rollout != "" || edition.Source != advisory.SourceBuiltIn {
		t.Errorf("before: %v, %+v", own, edition)
	}
	before, _ := f.status()
	for _, verb := range []string{"stage", "arm"} {
		if output, errs, code := f.tbctl("fleet", verb, file); code != 0 || strings.Contains(output+errs, "advisories of the plan") {
			t.Fatalf("%s: exit code %d: %s%s", verb, code, output, errs)
		}
	}
	if own, edition := said(); !own || edition.Rollout == "" || edition.Source != advisory.SourceBuiltIn {
		t.Errorf("after: %v, %+v", own, edition)
	}
	after, _ := f.status()
	if is, was := after[0].Report.Targets[0].Status.Advisories, before[0].Report.Targets[0].Status.Advisories; len(is) < len(was)+1 {
		t.Errorf("%+v, and was %+v", is, was)
	}
	if output := f.Hosts[0].Run("tbctl", "status", "--state-dir", "/var/lib/tbctl"); !strings.Contains(output, "those of a rollout's plan, brought by ") {
		t.Errorf("%s", output)
	}
	if output, errs, code := f.tbctl("fleet", "stop", file); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, output, errs)
	}
	if own, edition := said(); own || edition.Rollout != "" {
		t.Errorf("after the plan's end: %v, %+v", own, edition)
	}
}
