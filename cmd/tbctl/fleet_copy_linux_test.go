package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

const copyPort = "3443"

// uplink is how many bytes the controller has sent into its network.
func (f *liveFleet) uplink() int64 {
	f.t.Helper()
	output, err := f.Command("ip", "-s", "-j", "link", "show", "br0").Output()
	var links []struct {
		Stats struct{ TX struct{ Bytes int64 } } `json:"stats64"`
	}
	if err == nil {
		err = json.Unmarshal(output, &links)
	}
	if err != nil || len(links) != 1 {
		f.t.Fatalf("%v: %s", err, output)
	}
	return links[0].Stats.TX.Bytes
}

// nextLarge writes a release of which no host has four MiB, and returns its name and how many bytes a host lacks of it, compressed.
func (f *liveFleet) nextLarge(before []byte, seed uint64) (string, int64) {
	f.t.Helper()
	build := func(size int64) []byte {
		spec := testbin.Spec{
			Platform: testbin.Load(f.t, before).Platform(), Current: testbin.Release("0.17.8"), Executable: standin.Executable(f.t, testbin.Release("0.17.8")),
			Past: testbin.PastOf("0.17.5", "0.17.6", "0.17.7"), Seed: seed, Size: size,
		}
		for index := range spec.Past {
			spec.Past[index].Executable = standin.Executable(f.t, spec.Past[index].Release)
		}
		return testbin.Build(f.t, spec)
	}
	after := build(int64(len(build(0))) + 4<<20)
	files := &delta.Files{}
	files.Open(testbin.Load(f.t, before), "before", nil)
	file := delta.NewFile(digestOf(after), bytes.NewReader(after))
	body, err := new(delta.Press).Make(f.t.Context(), file, file.For(func(checksum multiversion.Checksum) bool { return files.Held[checksum] != nil }))
	if err != nil {
		f.t.Fatal(err)
	}
	name := filepath.Join(filepath.Dir(f.inventory), fmt.Sprintf("next-%d", seed))
	if err := os.WriteFile(name, after, 0o755); err != nil {
		f.t.Fatal(err)
	}
	return name, int64(len(body))
}

// stageUntil brings a plan's file to the hosts, and ends that by a signal when it is on enough of them.
func (f *liveFleet) stageUntil(enough func(staged map[string]bool) bool, args ...string) (report.Rollout, int) {
	f.t.Helper()
	args = append([]string{"fleet", "stage", "--json", "--fleet", f.inventory, "--state-dir", filepath.Join(filepath.Dir(f.inventory), "state")}, args...)
	command := exec.Command(f.program, args...)
	command.Env = quick()
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	defer command.Process.Kill()
	var document report.Document[report.Rollout]
	staged := make(map[string]bool)
	ended := false
	for decoder := json.NewDecoder(output); ; {
		var text json.RawMessage
		if err := decoder.Decode(&text); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			f.t.Fatal(err)
		}
		var line report.RolloutLine
		if err := errors.Join(json.Unmarshal(text, &line), json.Unmarshal(text, &document)); err != nil {
			f.t.Fatalf("%v: %s", err, text)
		}
		if line.Rollout.What == "staged" {
			staged[line.Rollout.Host] = true
		}
		if !ended && enough(staged) {
			ended = true
			command.Process.Signal(os.Interrupt)
		}
	}
	_ = command.Wait() // its exit code says it
	return document.Result, command.ProcessState.ExitCode()
}

// stage plans a release and brings it to the hosts, and returns what came of it and how much the controller sent for that.
func (f *liveFleet) stage(name string, args ...string) (result report.Rollout, sent int64, code int) {
	f.t.Helper()
	file := name + ".plan.json"
	if result, code := f.plan(name, "-o", file); code != 0 {
		f.t.Fatalf("exit code %d: %+v", code, result.Problems)
	}
	before := f.uplink()
	result, code = f.carry(append([]string{"stage", file}, args...)...)
	return result, f.uplink() - before, code
}

// Six hosts get a release: each from here where none has a depot, and otherwise two from here and the others from those. What the controller
// sends is what is lacking, and little more. A firewall that is closed, and a host that is gone, cost only what they must.
func TestFleetCopies(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 6)
	if output, err := f.Command("tc", "qdisc", "replace", "dev", "br0", "root", "tbf", "rate", "200mbit", "burst", "512kb", "latency", "100ms").CombinedOutput(); err != nil {
		t.Logf("the uplink is as fast as this machine, tc cannot make it slower: %v: %s", err, output)
	}
	before := standin.Binary(t, "0.17.7", "0.17.6")
	f.serve(before)
	const spare = 64 << 10 // bytes a host, for its session and the looks
	hosts := int64(len(f.Hosts))

	name, lacks := f.nextLarge(before, 1)
	result, sent, code := f.stage(name)
	if code != 0 || result.Copied != 0 || result.Clusters[0].Staged != len(f.Hosts) {
		t.Fatalf("without depots: exit code %d, %+v", code, result)
	}
	if most := lacks*hosts*105/100 + hosts*spare; sent > most || sent < lacks*hosts {
		t.Errorf("without depots: %d bytes were sent, at most %d are to", sent, most)
	}
	t.Logf("without depots: %d bytes sent, a host lacks %d", sent, lacks)

	f.listDepots()
	name, lacks = f.nextLarge(before, 2)
	result, sent, code = f.stage(name)
	if code != 0 || result.Clusters[0].Staged != len(f.Hosts) || f.copying(result) != 4 {
		t.Fatalf("with depots: exit code %d, %+v", code, result)
	}
	if most := lacks*2*110/100 + hosts*spare; sent > most || result.Copied < 4*lacks*99/100 || result.Copied > 4*lacks*105/100 {
		t.Errorf("with depots: %d bytes were sent, at most %d are to, and %d copied of 4 times %d", sent, most, result.Copied, lacks)
	}
	t.Logf("with depots: %d bytes sent, %d copied, a host lacks %d", sent, result.Copied, lacks)
	for _, h := range f.Hosts {
		if listens := h.Run("sh", "-c", "grep -ci ':"+fmt.Sprintf("%04X", 3443)+" 00000000:0000 0A' /proc/net/tcp || true"); strings.TrimSpace(listens) != "0" {
			t.Errorf("%s: after the rollout it still listens: %s", h.Name, listens)
		}
	}

	name, lacks = f.nextLarge(before, 3)
	gone := f.Host("tb5") // which has the file already, when others are to copy it
	plan := name + ".plan.json"
	if result, code := f.plan(name, "-o", plan); code != 0 {
		t.Fatalf("exit code %d: %+v", code, result.Problems)
	}
	for _, h := range []string{"tb4", "tb5"} {
		f.Host(h).Run("/usr/local/bin/tbctl", "store", "import", name)
	}
	gone.Kill()
	sent = -f.uplink()
	result, code = f.stageUntil(func(staged map[string]bool) bool { return len(staged) == 5 }, plan)
	sent += f.uplink()
	if code != int(exitInterrupted) || result.Clusters[0].Staged != 5 || f.copying(result) != 3 {
		t.Errorf("with a host gone: exit code %d, %+v", code, result)
	}
	if most := lacks*2*110/100 + hosts*spare; sent > most {
		t.Errorf("with a host gone: %d bytes were sent, at most %d are to", sent, most)
	}
	t.Logf("with a host gone: %d bytes sent, %d copied, a host lacks %d", sent, result.Copied, lacks)
}

// listDepots gives every host a depot, in the inventory and in its own configuration.
func (f *liveFleet) listDepots() {
	f.t.Helper()
	more := ""
	for _, h := range f.Hosts {
		address := h.Address + ":" + copyPort
		h.WriteFile("/etc/tbctl/config.toml", fmt.Appendf(nil, "depot = %q\n", address), 0o644)
		more += fmt.Sprintf("[cluster.at.%q]\ndepot = %q\n", h.Name, address)
	}
	inventory, err := os.ReadFile(f.inventory)
	if err == nil {
		err = os.WriteFile(f.inventory, append(inventory, more...), 0o600)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// copying is how many hosts copied from another.
func (f *liveFleet) copying(result report.Rollout) (count int) {
	for _, row := range result.Clusters[0].Rows {
		if row.Copied > 0 && row.From != "" && row.From != row.Name && row.Staged {
			count++
		}
	}
	return count
}

// Where a firewall is closed nothing is copied: all hosts get the release from here, and it is said why.
func TestFleetCopiesFirewall(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	before := standin.Binary(t, "0.17.7", "0.17.6")
	f.serve(before)
	f.listDepots()
	for _, h := range f.Hosts {
		if output, err := h.Command("iptables", "-A", "INPUT", "-p", "tcp", "--dport", copyPort, "-j", "REJECT").CombinedOutput(); err != nil {
			t.Skipf("skipped: no firewall can be closed here: %v: %s", err, output)
		}
	}
	name, lacks := f.nextLarge(before, 4)
	result, sent, code := f.stage(name, "--min-copies", "1")
	if code != 0 || result.Clusters[0].Staged != 3 || result.Copied != 0 || sent < 3*lacks {
		t.Fatalf("exit code %d, %d bytes sent, %+v", code, sent, result)
	}
	if !slices.ContainsFunc(result.Clusters[0].Rows, func(row report.RolloutHost) bool {
		return strings.Contains(row.NotCopied, "does no firewall keep this one from it")
	}) {
		t.Errorf("it is not said why nothing was copied: %+v", result.Clusters[0].Rows)
	}
}
