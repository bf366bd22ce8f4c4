package metrics_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/metrics"
	"github.com/tbctl/tbctl/internal/openmetrics"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	build = metrics.Build{Version: "0.1.0", Commit: "abc", Go: "go1.26"}
	now   = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

	older, newer = multiversion.NewRelease(0, 17, 7), multiversion.NewRelease(0, 17, 8)
	shaOld       = strings.Repeat("1", 64)
	shaNew       = strings.Repeat("2", 64)
)

var counters = &report.RolloutCounters{
	Requests: map[string]uint64{"stage": 9, "swap": 3}, Failed: map[string]uint64{"stage": 2}, Classes: map[string]uint64{"failed": 1, "busy": 1},
	BytesSent: 1 << 40, BytesHad: 1 << 41, Looks: 100, Lost: 2, StableAgain: 1, Runs: 4,
}

// process is a replica of the cluster, which runs the older release.
func process(index int) host.Replica {
	r := host.Replica{}
	r.PID, r.Replica, r.Polls, r.State, r.Started = 100+index, true, true, replica.StateRunning, now.Add(-time.Hour)
	r.Superblock = &datafile.Superblock{ReplicaIndex: index, ReplicaCount: 3, Release: older, CheckpointOp: 1919, View: 4}
	r.Superblock.Cluster[0] = 7
	r.Running = replica.Running{Release: older, Source: replica.SourceExecutable}
	r.Peers = &replica.Peers{Others: 2, Connected: 2}
	return r
}

// armed is a status with all that metrics are made of: a rollout holds the target and its session is closed.
func armed() *report.Status {
	serves, silent, unseen, nameless := process(0), process(1), process(2), process(-1)
	serves.Armed = &replica.Armed{Current: newer, Offered: []multiversion.Release{older, newer}}
	serves.Answer = &host.Answer{}
	serves.Answer.View = 5
	silent.NoAnswer = "it did not answer"
	unseen.State, unseen.Running, unseen.Peers = replica.StateStopped, replica.Running{}, nil
	unseen.Unreadable = []replica.Unreadable{{What: "fd", Reason: "permission denied"}}
	nameless.Superblock = nil
	return &report.Status{
		Target:    fsatomic.Target{Path: "/opt/tb/tigerbeetle", Exists: true, Dir: vfs.Info{Kind: vfs.KindDirectory}, Volume: vfs.Volume{FreeBytes: 1 << 33}},
		Installed: &install.File{SHA256: shaNew, Release: newer}, Previous: &install.File{SHA256: shaOld, Release: older},
		LockObserved: true, StateObserved: true, HolderObserved: true,
		Leftovers:   []fsatomic.Leftover{{}, {}},
		Interrupted: []install.Interrupted{{}},
		Last:        &install.Record{Operation: install.OperationInstall, Result: install.ResultInstalled, Time: now},
		Drifted:     true, Recorded: install.Files{Installed: &install.Recorded{File: install.File{SHA256: shaOld, Release: older}}},
		Fence: &fleet.Fence{
			Generation: 4, Epoch: 2, Plan: "sha256:" + shaOld, Cluster: "7", Phase: fleet.PhaseArmed, Artifact: "sha256:" + shaNew,
			Holder: fleet.Holder{ID: "9", Who: "bob@lap\"top\x1b[31m\n", Since: now},
		},
		Despite: &install.Record{}, Unseen: []replica.Unseen{{Kind: replica.UnseenForbidden}, {Kind: replica.UnseenHidden}, {Kind: replica.UnseenForbidden}},
		Replicas: []host.Replica{serves, silent, unseen, nameless},
	}
}

func shown() *report.Host {
	held := &report.Status{Target: fsatomic.Target{Path: "/opt/b"}, Hidden: []string{"/opt/b"}, HeldBy: &durable.Holder{}, LockObserved: true, Leftovers: []fsatomic.Leftover{{}}}
	return &report.Host{
		Name: "tb0", Machine: "m0", Tbctl: "0.1.0", Platform: multiversion.PlatformX86_64Linux, Time: now,
		Targets: []report.HostTarget{
			{Path: "/opt/tb/tigerbeetle", Status: armed()},
			{Path: "/opt/b", Status: held, Warnings: []string{"it may not be read"}},
			{Path: "/opt/none", Problem: "no directory"},
		},
	}
}

func fleetShown() *report.Fleet {
	return &report.Fleet{Hosts: []report.FleetHost{
		{Cluster: "eu", Name: "tb0", Target: "/opt/tb/tigerbeetle", Report: shown()},
		{Cluster: "eu", Name: "tb1", Problem: &report.FleetProblem{Kind: fault.Failed, Reason: "host-key-changed", Message: "no"}},
	}}
}

func text(t *testing.T, set *openmetrics.Set) string {
	t.Helper()
	var b strings.Builder
	if err := set.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGolden holds every name, help and label: they are in the queries of others.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]*openmetrics.Set{"host": metrics.Host(build, shown()), "fleet": metrics.Fleet(build, now, fleetShown(), counters)} {
		file, got := filepath.Join("testdata", name+".prom"), text(t, set)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || got != string(want) {
			t.Errorf("%s: %v; go test ./internal/metrics -update writes it, and the difference is to be read\n%s", file, err, got)
		}
	}
}

// TestUnseen proves that what was not seen is not told as 0.
func TestUnseen(t *testing.T) {
	t.Parallel()
	status := armed()
	status.StateObserved, status.HolderObserved, status.LockObserved = false, false, false
	status.Hidden, status.Installed = []string{status.Target.Path}, nil
	h := &report.Host{Time: now, Targets: []report.HostTarget{{Path: "/opt/tb/tigerbeetle", Status: status, Problem: "x"}}}
	got := text(t, metrics.Host(build, h))
	for _, absent := range []string{"tbctl_fence", "tbctl_lock_held", "tbctl_operation_interrupted", "tbctl_despite", "tbctl_installed_info", "_drifted", `armed{target="/opt/tb/tigerbeetle",cluster_id="7",replica="2"`} {
		if strings.Contains(got, absent) {
			t.Errorf("%s is told", absent)
		}
	}
	for _, there := range []string{
		`tbctl_state_observed{target="/opt/tb/tigerbeetle"} 0`, `tbctl_lock_observed{target="/opt/tb/tigerbeetle"} 0`,
		`tbctl_installed_state{target="/opt/tb/tigerbeetle",state="hidden"} 1`, `tbctl_target_problem{target="/opt/tb/tigerbeetle"} 1`,
	} {
		if !strings.Contains(got, there+"\n") {
			t.Errorf("%s is not told", there)
		}
	}
}

// TestManyReplicas proves that a host which shows too many replicas, or the same one twice, fills no time series of Prometheus.
func TestManyReplicas(t *testing.T) {
	t.Parallel()
	status := armed()
	status.Replicas = nil
	for index := range 500 {
		status.Replicas = append(status.Replicas, process(index/2))
	}
	got := text(t, metrics.Host(build, &report.Host{Time: now, Targets: []report.HostTarget{{Path: "/t", Status: status}}}))
	if count := strings.Count(got, "\ntbctl_replica_view{"); count != 24 {
		t.Errorf("%d replicas", count)
	}
	if !strings.Contains(got, `tbctl_replicas{target="/t"} 500`) || !strings.Contains(got, `tbctl_replicas_unidentified{target="/t"} 476`) {
		t.Errorf("they are not counted")
	}
}

func TestPromtool(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("the names and the text are checked with promtool (package prometheus): %v", err)
	}
	for _, name := range []string{"host", "fleet"} {
		file, err := os.Open(filepath.Join("testdata", name+".prom"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		command := exec.Command(program, "check", "metrics")
		command.Stdin = file
		output, err := command.CombinedOutput()
		if failed, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || failed.ExitCode() != 3) { // 3: not to its taste
			t.Errorf("%s: %v\n%s", name, err, output)
		}
		for line := range strings.Lines(string(output)) { // of a counter the older format knows no help, since its name is another one there
			if !strings.HasPrefix(line, "tbctl_rollout_") || !strings.HasSuffix(line, "_total no help text\n") {
				t.Errorf("%s: promtool: %s", name, line)
			}
		}
	}
}

// TestRules runs the unit tests of the alerts.
func TestRules(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("rules are run by promtool (package prometheus): %v", err)
	}
	for _, arguments := range [][]string{{"check", "rules", "tbctl.rules.yml"}, {"test", "rules", "tbctl.rules.test.yml"}} {
		command := exec.Command(program, arguments...)
		command.Dir = filepath.Join("..", "..", "contrib", "prometheus")
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", arguments, err, output)
		}
	}
	rules, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "tbctl.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "tbctl.rules.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	made := text(t, metrics.Host(build, shown())) + text(t, metrics.Fleet(build, now, fleetShown(), counters))
	for _, name := range regexp.MustCompile(`tbctl_[a-z_]+`).FindAllString(string(rules), -1) {
		if !strings.Contains(made, "# TYPE "+name+" ") {
			t.Errorf("the rules ask for %s, which nothing makes", name)
		}
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !strings.Contains(string(tests), "alertname: "+alert[1]) {
			t.Errorf("no unit test has %s", alert[1])
		}
	}
}

// TestDashboard requires that the dashboard is one, that its queries are Prometheus', and that something makes each metric that they ask for.
func TestDashboard(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join("..", "..", "contrib", "prometheus", "tbctl.dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID    string `json:"uid"`
		Panels []struct {
			ID      int    `json:"id"`
			Title   string `json:"title"`
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct {
				Name  string
				Query json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(file, &dashboard); err != nil {
		t.Fatal(err)
	}
	made := text(t, metrics.Host(build, shown())) + text(t, metrics.Fleet(build, now, fleetShown(), counters))
	asked := func(where, query string) {
		names := regexp.MustCompile(`tbctl_[a-z_]+`).FindAllString(query, -1)
		if len(names) == 0 && where != "datasource" {
			t.Errorf("%s asks for nothing: %s", where, query)
		}
		for _, name := range names {
			if !strings.Contains(made, "# TYPE "+strings.TrimSuffix(name, "_total")+" ") {
				t.Errorf("%s asks for %s, which nothing makes", where, name)
			}
		}
	}
	for _, variable := range dashboard.Templating.List {
		asked(variable.Name, string(variable.Query))
	}
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	ids := make(map[int]bool)
	for _, panel := range dashboard.Panels {
		if place := panel.GridPos; ids[panel.ID] || panel.Title == "" || place.X+place.W > 24 || place.W*place.H == 0 || len(panel.Targets) == 0 {
			t.Errorf("panel %+v", panel)
		}
		ids[panel.ID] = true
		for index, target := range panel.Targets {
			asked(panel.Title, target.Expr)
			rules += fmt.Sprintf("      - record: panel_%d_%d\n        expr: %q\n", panel.ID, index, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	if dashboard.UID != "tbctl" || len(dashboard.Panels) < 10 {
		t.Errorf("it has %d panels", len(dashboard.Panels))
	}
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("skipped: queries are read by promtool (package prometheus): %v", err)
	}
	name := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(name, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command(program, "check", "rules", name).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, output)
	}
}

// TestNodeExporter proves that the textfile collector reads the file, and serves all of it.
func TestNodeExporter(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		t.Skipf("the textfile collector is node_exporter's (package prometheus-node-exporter): %v", err)
	}
	dir := t.TempDir()
	made := text(t, metrics.Host(build, shown()))
	if err := os.WriteFile(filepath.Join(dir, "tbctl.prom"), []byte(made), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	command := exec.CommandContext(ctx, program, "--collector.disable-defaults", "--collector.textfile",
		"--collector.textfile.directory="+dir, "--web.listen-address=127.0.0.1:0", "--web.disable-exporter-metrics")
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stop()
		_ = command.Wait()
	}()
	address := ""
	lines := bufio.NewScanner(log)
	for found := regexp.MustCompile(`127\.0\.0\.1:[1-9][0-9]*`); address == "" && lines.Scan(); {
		address = found.FindString(lines.Text())
	}
	if address == "" {
		t.Skip("this node_exporter does not say at which port it listens")
	}
	go io.Copy(io.Discard, log)
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	served, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(served), "node_textfile_scrape_error 0") {
		t.Errorf("the collector does not read the file:\n%s", served)
	}
	count := func(text string) (samples int) {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "tbctl_") {
				samples++
			}
		}
		return samples
	}
	if want, got := count(made), count(string(served)); want != got || want < 50 {
		t.Errorf("of %d samples %d are served", want, got)
	}
}
