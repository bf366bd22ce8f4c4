package fleet

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

var update = flag.Bool("update", false, "write the golden files")

func release(text string) multiversion.Release {
	r, err := multiversion.ParseRelease(text)
	if err != nil {
		panic(err)
	}
	return r
}

func releases(texts ...string) []multiversion.Release {
	var list []multiversion.Release
	for _, text := range texts {
		list = append(list, release(text))
	}
	return list
}

func digestOf(of string) string { return "sha256:" + strings.Repeat(of, 64) }

// testArtifact has 0.17.8, which an upgrade from 0.17.2 reaches by 0.17.4.
func testArtifact() Artifact {
	return Artifact{
		SHA256: digestOf("a"), Size: 30 << 20, Platform: multiversion.PlatformX86_64Linux, Release: release("0.17.8"),
		Releases: releases("0.17.2", "0.17.3", "0.17.4", "0.17.8"), Visits: releases("0.17.4"), Checksum: multiversion.Checksum{0xaa},
		ClientMin: release("0.16.4"), ClientMins: map[multiversion.Release]multiversion.Release{release("0.17.2"): release("0.16.4"), release("0.17.4"): release("0.16.4")},
		Source: "0.17.8", Vouched: []string{"digest"}, Deflated: 8 << 20,
	}
}

func testOptions() DraftOptions {
	return DraftOptions{Author: "ana@laptop", Created: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), Clients: release("0.17.2")}
}

// testFleet has one cluster of so many replicas, one on a host, all at the same release.
func testFleet(name string, replicas int, runs string) (Inventory, []Observation) {
	cluster := Cluster{Name: name, Wave: 1}
	var observations []Observation
	for index := range replicas {
		host := fmt.Sprintf("%s%d", name, index)
		cluster.Hosts = append(cluster.Hosts, Host{Name: host})
		observations = append(observations, Observation{
			Host: host, Target: "/opt/tb/tigerbeetle", Machine: "m-" + host, Boot: "b-" + host, Tbctl: "0.4.0", Platform: multiversion.PlatformX86_64Linux,
			Installed: &InstalledFile{SHA256: digestOf("b"), Size: 29 << 20, Release: release(runs), Releases: releases("0.17.2", runs)[btoi(runs == "0.17.2"):]},
			Room:      1 << 40, StoreRoom: 1 << 40,
			Replicas: []Replica{{
				PID: 100 + index, Started: time.Unix(1000, 0).UTC(), Polls: true, Cluster: "0c" + fmt.Sprintf("%x", name), Index: index, Count: replicas, Members: replicas,
				State: "running", Running: release(runs), Durable: release(runs), Armed: &multiversion.Checksum{0xbb}, ArmedRelease: release(runs),
				Answers: true, View: 3, Checkpoint: 960, Peers: replicas - 1,
			}},
		})
	}
	return Inventory{Clusters: []Cluster{cluster}}, observations
}

// reasonsOf are the reasons of problems, and of notes with a dash before them, sorted, each once.
func reasonsOf(problems []Problem) string {
	var texts []string
	for _, p := range problems {
		text := string(p.Reason)
		if p.Note {
			text = "-" + text
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), " ")
}

// TestDraftProblems breaks one thing of a cluster that is well, and holds which reason is given.
func TestDraftProblems(t *testing.T) {
	t.Parallel()
	type world struct {
		inventory    Inventory
		observations []Observation
		artifact     Artifact
		options      DraftOptions
	}
	replica := func(w *world, i int) *Replica { return &w.observations[i].Replicas[0] }
	held := fence(4, 2, "a", "bob")
	for name, test := range map[string]struct {
		change func(w *world)
		want   string
	}{
		"nothing":                     {func(w *world) {}, ""},
		"a host that was not asked":   {func(w *world) { w.observations = w.observations[:2] }, "unseen"},
		"a host that does not answer": {func(w *world) { w.observations[2].Problem = &Problem{Reason: "no-connection", Message: "no route"} }, "no-connection"},
		"a host with no reason why":   {func(w *world) { w.observations[2].Problem = &Problem{Message: "no route"} }, "unseen"},
		"hidden replicas":             {func(w *world) { w.observations[1].Blind = []string{"process 9 may not be looked into"} }, "hidden-replicas"},
		"a forgotten host":            {func(w *world) { w.inventory.Clusters[0].Hosts = w.inventory.Clusters[0].Hosts[:2] }, "missing-replica"},
		"another cluster":             {func(w *world) { replica(w, 2).Cluster = "0d" }, "foreign-cluster missing-replica"},
		"a data file unread":          {func(w *world) { *replica(w, 2) = Replica{PID: 7, Index: -1, Polls: true, State: "running"} }, "data-file missing-replica release-unknown"},
		"a replica twice":             {func(w *world) { replica(w, 2).Index = 1 }, "missing-replica replica-twice"},
		"counts that differ":          {func(w *world) { replica(w, 0).Count = 2 }, "count-differs"},
		"a standby on no host":        {func(w *world) { replica(w, 1).Members = 4 }, "-missing-standby"},
		"addresses not seen": {func(w *world) {
			for i := range w.observations {
				replica(w, i).Members = 0
			}
		}, "-missing-standby"},
		"no replica":         {func(w *world) { w.observations[2].Replicas = nil }, "missing-replica no-replica"},
		"a damaged file":     {func(w *world) { w.observations[2].Installed.Damaged = "a body is damaged" }, "installed-damaged"},
		"a file put by hand": {func(w *world) { w.observations[2].Installed.Recorded = digestOf("c") }, "-installed-by-hand"},
		"a file of tbctl's":  {func(w *world) { w.observations[2].Installed.Recorded = digestOf("b") }, ""},
		"no file":            {func(w *world) { w.observations[2].Installed = nil }, "nothing-installed"},
		"one host by two names": {func(w *world) {
			w.observations[2].Boot, w.observations[2].Machine = w.observations[1].Boot, w.observations[1].Machine
		}, "shared-target"},
		"two containers of one machine": {func(w *world) {
			w.observations[2].Boot = w.observations[1].Boot
			w.observations[1].Place, w.observations[2].Place = "40:2:tb", "41:2:tb"
		}, ""},
		"two containers with one file": {func(w *world) {
			w.observations[2].Boot = w.observations[1].Boot
			w.observations[1].Place, w.observations[2].Place = "40:2:tb", "40:2:tb"
		}, "shared-target"},
		"a clone's machine id":           {func(w *world) { w.observations[2].Machine = w.observations[1].Machine }, ""},
		"no boot id":                     {func(w *world) { w.observations[2].Boot, w.observations[1].Boot = "", "" }, ""},
		"no room":                        {func(w *world) { w.observations[2].Room = 30 << 20 }, "no-room"},
		"room to the byte":               {func(w *world) { w.observations[2].Room = 158 << 20 }, ""},
		"no room in the store":           {func(w *world) { w.observations[2].StoreRoom = 30<<20 - 1 }, "no-room"},
		"room in the store, to the byte": {func(w *world) { w.observations[2].StoreRoom = 30 << 20 }, ""},
		"no room, and it is stored":      {func(w *world) { w.observations[2].StoreRoom, w.observations[2].Stored = 0, true }, ""},
		"room not known":                 {func(w *world) { w.observations[2].Room = -1 }, "-room-unseen"},
		"another processor":              {func(w *world) { w.observations[2].Platform = multiversion.PlatformAArch64Linux }, "platform"},
		"macOS":                          {func(w *world) { w.observations[2].Platform = multiversion.PlatformUniversalMacOS }, "not-linux"},
		"Windows":                        {func(w *world) { w.observations[2].Platform = multiversion.PlatformX86_64Windows }, "not-linux"},
		"a platform that is not known":   {func(w *world) { w.observations[2].Platform = "" }, "platform"},
		"it does not poll":               {func(w *world) { replica(w, 1).Polls, replica(w, 1).NoPolling = false, "--development" }, "no-polling"},
		"stopped":                        {func(w *world) { replica(w, 1).State = "stopped" }, "not-serving"},
		"starting":                       {func(w *world) { replica(w, 1).State = "starting" }, "not-serving"},
		"cannot be seen to listen":       {func(w *world) { replica(w, 1).State, replica(w, 1).Answers = "unknown", false }, "not-serving"},
		"not seen, but it answers":       {func(w *world) { replica(w, 1).State = "unknown" }, ""},
		"releases differ": {func(w *world) {
			replica(w, 1).Running = release("0.17.3")
			w.observations[1].Installed.Releases = releases("0.17.2", "0.17.3")
		}, "releases-differ"},
		"a release that is not known": {func(w *world) { replica(w, 1).Running = 0 }, "release-unknown"},
		"data that is not known":      {func(w *world) { replica(w, 1).Durable = 0 }, "release-unknown"},
		"data the artifact lacks":     {func(w *world) { replica(w, 1).Durable = release("0.17.1") }, "lacks-running previous-lacks"},
		"the installed file lacks it": {func(w *world) { w.observations[1].Installed.Releases = releases("0.17.8") }, "previous-lacks"},
		"armed by hand":               {func(w *world) { replica(w, 1).ArmedRelease = release("0.17.4") }, "upgrade-under-way"},
		"offered, and lacking":        {func(w *world) { replica(w, 1).ArmedRelease = release("0.17.6") }, "lacks-offered upgrade-under-way"},
		"offered beyond a stop":       {func(w *world) { replica(w, 1).ArmedRelease = release("0.17.8") }, "lacks-offered upgrade-under-way"},
		"held":                        {func(w *world) { w.observations[1].Fence = &held }, "held-by-rollout"},
		"held before":                 {func(w *world) { w.observations[1].Fence = new(held.in(PhaseAborted)) }, ""},
		"no higher generation": {func(w *world) {
			w.observations[1].Fence = new(held.in(PhaseDone))
			w.observations[1].Fence.Generation, w.observations[1].Fence.Base.Generation, w.options.Above = GenerationMax, GenerationMax, GenerationMax
		}, "generation too-large"},
		"a generation from nowhere": {func(w *world) {
			w.observations[1].Fence = new(held.in(PhaseDone))
			w.observations[1].Fence.Generation = GenerationLeapMax + 1
		}, "generation"},
		"a generation that a host would refuse": {func(w *world) {
			w.observations[1].Fence = new(held.in(PhaseDone))
			w.options.Above = GenerationLeapMax + 4
		}, "generation"},
		"… and any is taken": {func(w *world) {
			for i := range w.observations {
				w.observations[i].Fence = new(held.in(PhaseDone).Overrule())
			}
			w.options.Above = GenerationLeapMax + 4
		}, ""},
		"a generation that a host would refuse that has seen none": {func(w *world) { w.options.Above = GenerationLeapMax }, "generation"},
		"busy":                    {func(w *world) { w.observations[1].Busy = "process 4" }, "busy"},
		"an old tbctl":            {func(w *world) { w.options.TbctlMin, w.observations[1].Tbctl = "0.4.0", "0.3.9" }, "tbctl-too-old"},
		"a tbctl from its source": {func(w *world) { w.options.TbctlMin, w.observations[1].Tbctl = "0.4.0", "devel" }, ""},
		"what the check found":    {func(w *world) { w.observations[1].Refusals = []Problem{{Replica: -1, Reason: "noexec", Message: "no"}} }, "noexec"},
		"a downgrade": {func(w *world) {
			w.artifact.Release, w.artifact.Releases, w.artifact.Visits = release("0.17.1"), releases("0.17.1"), nil
		}, "downgrade lacks-running"},
		"a release to skip": {func(w *world) { w.artifact.Release = release("0.17.6"); w.artifact.Releases[3] = release("0.17.6") }, "-advisory skip"},
		"a release to skip, despite": {func(w *world) {
			w.artifact.Release, w.options.Despite = release("0.17.6"), []string{"skip-0.17.5"}
			w.artifact.Releases[3] = release("0.17.6")
		}, "-advisory -skip"},
		"a release to skip by a publisher's list": {func(w *world) {
			list, err := advisory.ParseList([]byte(`{"version":1,"checked":"2999-01-01","newest":"9.9.9","advisories":[
				{"id":"own-1","to":"9.9.9","skip":true,"text":"not for us","source":"our own tests","date":"2999-01-01"}]}`))
			if err != nil {
				panic(err)
			}
			w.options.Advisories = list
		}, "skip"},
		"a hop to skip": {func(w *world) {
			w.artifact.Releases, w.artifact.Visits = releases("0.17.2", "0.17.5", "0.17.8"), releases("0.17.5")
		}, "skip"},
		"despite nothing":       {func(w *world) { w.options.Despite = []string{"nothing"} }, "-despite-unused"},
		"a client too old":      {func(w *world) { w.artifact.ClientMin = release("0.17.3") }, "client-too-old"},
		"too old for a hop":     {func(w *world) { w.artifact.ClientMins[release("0.17.4")] = release("0.17.3") }, "client-too-old"},
		"clients not said":      {func(w *world) { w.options.Clients = 0 }, ""},
		"not said, and a newer": {func(w *world) { w.options.Clients, w.artifact.ClientMin = 0, release("0.17.3") }, "-client-too-old"},
		"two clusters, a target": {func(w *world) {
			w.inventory.Clusters = append(w.inventory.Clusters, Cluster{Name: "two", Wave: 2, Hosts: w.inventory.Clusters[0].Hosts})
		}, "cluster-twice shared-target"},
		"no cluster":    {func(w *world) { w.inventory.Clusters = nil }, "no-cluster"},
		"no hosts":      {func(w *world) { w.inventory.Clusters[0].Hosts = nil }, "no-cluster"},
		"a wild name":   {func(w *world) { w.inventory.Clusters[0].Name = "a b" }, "malformed"},
		"nothing to do": {func(w *world) { _, w.observations = testFleet("tb", 3, "0.17.8") }, "-nothing-to-do"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world{artifact: testArtifact(), options: testOptions()}
			w.inventory, w.observations = testFleet("tb", 3, "0.17.2")
			test.change(&w)
			plan, problems := Draft(w.inventory, w.observations, w.artifact, w.options)
			if got := reasonsOf(problems); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			for _, p := range problems {
				if p.Message == "" || !p.Note && p.Class() == fault.None || p.Note && p.Class() != fault.None {
					t.Errorf("%+v is of class %q", p, p.Class())
				}
			}
			hindered := slices.ContainsFunc(problems, func(p Problem) bool { return !p.Note })
			if hindered != (plan == nil) {
				t.Errorf("a plan %v with the problems %+v", plan, problems)
			}
			if plan != nil && plan.Check() != nil {
				t.Error(plan.Check())
			}
		})
	}
}

// TestDraftClimb has one host say, for one plan after the other, the highest generation that is followed: no plan of others is higher for it,
// and an honest host, which has changed nothing since its first plan, takes every plan.
func TestDraftClimb(t *testing.T) {
	t.Parallel()
	good, seenGood := testFleet("good", 1, "0.17.2")
	evil, seenEvil := testFleet("evil", 1, "0.17.2")
	both, seen := Inventory{Clusters: slices.Concat(good.Clusters, evil.Clusters)}, slices.Concat(seenGood, seenEvil)
	stored := fence(1, 1, "a", "ana").Changed(PhaseStopped)
	seen[0].Fence = &stored
	options := testOptions()
	number := func(inventory Inventory) *Plan {
		options.Above++ // as each plan counts
		plan, problems := Draft(inventory, seen, testArtifact(), options)
		if plan == nil {
			t.Fatalf("after %d plans: %+v", options.Above, problems)
		}
		return plan
	}
	for range 20 {
		seen[1].Fence = new(fence(options.Above+1+followMax, 1, "b", "eve").Changed(PhaseDone))
		if plan := number(good); plan.Generation > max(stored.Generation, options.Above)+1 {
			t.Fatalf("a plan of the honest host alone has the generation %d, that host %d", plan.Generation, stored.Generation)
		}
		seen[1].Fence.Generation = options.Above + 1 + followMax
		granted, err := Claim(&stored, fence(number(both).Generation, 1, "c", "bob"), false, false)
		if err != nil {
			t.Fatal(err)
		}
		stored = granted.in(PhaseStopped) // by a run that has changed nothing
	}
	options.Above++
	seen[1].Fence.Generation = options.Above + followMax + 1
	_, problems := Draft(both, seen, testArtifact(), options)
	if len(problems) != 1 || problems[0].Host != "evil0" || problems[0].Reason != ProblemGeneration || !strings.Contains(problems[0].Hint, AnyPlan) {
		t.Errorf("a number that is not followed: %+v", problems)
	}
}

// TestDraftGolden holds the bytes of a plan, and that it is read back.
func TestDraftGolden(t *testing.T) {
	t.Parallel()
	inventory, observations := testFleet("eu", 3, "0.17.2")
	us, more := testFleet("us", 2, "0.17.4")
	us.Clusters[0].Soak, us.Clusters[0].Hosts[0].Depot = 2*time.Hour, "10.1.0.3:3443"
	standby := more[1].Replicas[0]
	standby.Index, standby.Standby, standby.Answers = 2, true, false
	more[1].Replicas = append([]Replica{standby}, more[1].Replicas...)
	more[0].Fence = new(fence(6, 2, "c", "bob").in(PhaseDone))
	more[0].Stored = true
	inventory.Clusters[0].Wave = 2
	inventory.Clusters = append(inventory.Clusters, us.Clusters...)
	plan, problems := Draft(inventory, append(observations, more...), testArtifact(), testOptions())
	if plan == nil || reasonsOf(problems) != "-several-replicas" {
		t.Fatal(problems)
	}
	text, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plan.json", text)
	again, id, err := ParsePlan(text)
	if err != nil || id != PlanID(text) || !sha.IsName(id) {
		t.Fatal(id, err)
	}
	if back, _ := again.Encode(); string(back) != string(text) {
		t.Errorf("read and written again:\n%s", back)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; with -update it is written:\n%s", name, got)
	}
}

// TestDraftTargets holds which target of a host is meant where the inventory names none.
func TestDraftTargets(t *testing.T) {
	t.Parallel()
	inventory, observations := testFleet("tb", 2, "0.17.2")
	_, others := testFleet("other", 2, "0.17.2")
	for i := range others {
		others[i].Host, others[i].Boot, others[i].Target = observations[i].Host, observations[i].Boot, "/opt/other/tigerbeetle"
	}
	inventory.Clusters[0].Hosts = append(inventory.Clusters[0].Hosts, Host{Name: "tb2"}) // so that tb is the more frequent one
	_, third := testFleet("tb", 3, "0.17.2")
	for i := range observations {
		observations[i].Replicas[0].Count = 3
	}
	plan, problems := Draft(inventory, slices.Concat(others, observations, third[2:]), testArtifact(), testOptions())
	if plan == nil {
		t.Fatal(problems)
	}
	for _, host := range plan.Clusters[0].Hosts {
		if host.Target != "/opt/tb/tigerbeetle" {
			t.Errorf("%+v", host)
		}
	}
}

// TestHoldback tries every set of replicas that offer, against upstream's rule as its source has it: so many replicas
// less than all of a cluster as are held back never complete the quorum, and one more can.
func TestHoldback(t *testing.T) {
	t.Parallel()
	upgrades := func(running multiversion.Release, offering, replicas int) bool {
		if running >= release("0.16.16") {
			return offering == replicas
		}
		majority := (replicas + 1) / 2
		if replicas%2 == 0 {
			majority = replicas/2 + 1
		}
		return offering >= max(majority, replicas-1)
	}
	for _, running := range releases("0.15.4", "0.16.15", "0.16.16", "0.17.2") {
		for replicas := 1; replicas <= 6; replicas++ {
			held := Holdback(running, replicas)
			for set := range 1 << replicas {
				offering := 0
				for index := range replicas {
					offering += set >> index & 1
				}
				if want := offering > replicas-held; upgrades(running, offering, replicas) != want {
					t.Errorf("%s, %d replicas, holdback %d: %d offer, upgrades %v", running, replicas, held, offering, !want)
				}
			}
		}
	}
	if got := []int{Holdback(release("0.16.15"), 1), Holdback(release("0.16.15"), 2), Holdback(release("0.16.15"), 3), Holdback(release("0.16.15"), 5), Holdback(release("0.16.15"), 6)}; !slices.Equal(got, []int{1, 1, 2, 2, 2}) {
		t.Errorf("%v", got)
	}
}

// TestOffers holds that lists of releases give what the format's own rule gives.
func TestOffers(t *testing.T) {
	t.Parallel()
	for set := range 1 << 4 {
		header := multiversion.Header{Current: multiversion.Current{Release: 50}}
		for i := range 4 {
			header.Past = append(header.Past, multiversion.Past{Release: multiversion.Release(10 * (i + 1)), Visit: set>>i&1 == 1})
		}
		a := NewArtifact(digestOf("a"), 1, multiversion.PlatformX86_64Linux, &header)
		for running := multiversion.Release(5); running <= 55; running += 5 {
			if got, want := a.Offers(running), header.Advertisable(running); !slices.Equal(got, want) {
				t.Errorf("visits %04b from %d: %v, want %v", set, running, got, want)
			}
			at := running
			for _, hop := range a.Hops(running) {
				stop, visit := header.VisitStop(at)
				if !visit {
					stop = header.Current.Release
				}
				if at = stop; hop != stop {
					t.Errorf("visits %04b from %d: hop %d, want %d", set, running, hop, stop)
				}
			}
		}
	}
}
