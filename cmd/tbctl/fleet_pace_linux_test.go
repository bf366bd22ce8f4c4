package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

func init() { programs["pinger"] = pinger }

// pong is an answer that a client got, or why it got none.
type pong struct {
	At      time.Time
	Replica int
	Release multiversion.Release `json:",omitzero"`
	Refused string               // "": it is an answer
}

// pinger plays a client that pings the replicas at these addresses all the while, and says when they answer.
func pinger() {
	var saying sync.Mutex
	say := json.NewEncoder(os.Stdout)
	var pinging sync.WaitGroup
	for index, address := range os.Args[1:] {
		pinging.Go(func() {
			for ; ; time.Sleep(5 * time.Millisecond) {
				answer, err := replica.Ask(context.Background(), netip.MustParseAddrPort(address), datafile.NewID(7), testbin.Release("0.17.7"))
				if errors.Is(err, replica.ErrSilent) {
					continue // it is slow on a busy machine, and has not gone
				}
				heard := pong{At: time.Now(), Replica: index, Release: answer.Release}
				if err != nil {
					heard.Refused = err.Error()
				}
				saying.Lock()
				err = say.Encode(heard)
				saying.Unlock()
				if err != nil {
					os.Exit(0)
				}
			}
		})
	}
	pinging.Wait()
}

// longest is the longest time without an answer of a replica between two moments, and of all of them at the same time.
func longest(pongs []pong, replicas int, from, to time.Time) (one, all time.Duration) {
	gap := func(of func(pong) bool) (longest time.Duration) {
		last := from
		for _, p := range pongs {
			if p.Refused == "" && p.At.After(from) && p.At.Before(to) && of(p) {
				longest, last = max(longest, p.At.Sub(last)), p.At
			}
		}
		return max(longest, to.Sub(last))
	}
	for index := range replicas {
		one = max(one, gap(func(p pong) bool { return p.Replica == index }))
	}
	return one.Round(time.Millisecond), gap(func(pong) bool { return true }).Round(time.Millisecond)
}

// interrupted says where a client that pings all the while got no answer from a replica, and not for the reason that the replica went from
// one of two releases to the other; "": nowhere.
func interrupted(pongs []pong, replicas int, from, to multiversion.Release) string {
	for index := range replicas {
		release, refused := multiversion.Release(0), "" // what answered last, and why it did not since
		for _, p := range pongs {
			switch {
			case p.Replica != index:
			case p.Refused != "":
				refused = p.Refused
			case p.Release != from && p.Release != to || p.Release < release:
				return fmt.Sprintf("replica %d answers with %s, after %s", index, p.Release, release)
			case refused != "" && p.Release == release:
				return fmt.Sprintf("replica %d ran %s and did not answer: %s", index, release, refused)
			default:
				release, refused = p.Release, ""
			}
		}
	}
	return ""
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	from, to := testbin.Release("0.17.7"), testbin.Release("0.17.8")
	const refused = 0
	for _, test := range []struct {
		answers []multiversion.Release
		want    string
	}{
		{[]multiversion.Release{from, from, refused, refused, to, to}, ""},
		{[]multiversion.Release{from, refused, from, to}, "ran 0.17.7 and did not answer"},
		{[]multiversion.Release{from, to, refused, to}, "ran 0.17.8 and did not answer"},
		{[]multiversion.Release{from, to, refused, from}, "answers with 0.17.7"},
		{[]multiversion.Release{from, refused, to + 1}, "answers with 0.17.9"},
	} {
		pongs := []pong{}
		for _, release := range test.answers {
			heard := pong{Replica: 1, Release: release}
			if release == refused {
				heard.Refused = "no"
			}
			pongs = append(pongs, pong{Release: from}, heard)
		}
		if got := interrupted(pongs, 2, from, to); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%v: %q", test.answers, got)
		}
	}
}

// pinging starts a client of all replicas, and returns what it has heard until then.
func (f *liveFleet) pinging() (heard func() []pong) {
	f.t.Helper()
	addresses := []string{"pinger"}
	for _, h := range f.Hosts {
		addresses = append(addresses, h.Address+":3000")
	}
	client := f.Command(addresses...)
	said, err := os.Create(filepath.Join(f.t.TempDir(), "said"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer said.Close()
	client.Stdout = said
	if err := client.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		client.Process.Kill()
		client.Wait() // a signal ended it
	})
	heard = func() (pongs []pong) {
		f.t.Helper()
		text, err := os.ReadFile(said.Name())
		if err != nil {
			f.t.Fatal(err)
		}
		for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
			var p pong
			if err := json.Unmarshal(line, &p); err != nil {
				f.t.Fatalf("%v: %s", err, line)
			}
			pongs = append(pongs, p)
		}
		return pongs
	}
	eventually(f.t, "every replica answers", func() string {
		for index, pongs := 0, heard(); index < len(f.Hosts); index++ {
			if !slices.ContainsFunc(pongs, func(p pong) bool { return p.Replica == index && p.Refused == "" }) {
				return fmt.Sprintf("replica %d has not", index)
			}
		}
		return ""
	})
	return heard
}

// calm lets so many minutes of the cluster's timers pass in which nothing is to happen: its processes, what they run and hold, the fences and
// the files of the hosts stay the same.
func (f *liveFleet) calm(minutes int) {
	f.t.Helper()
	now := func() (state []string) {
		for _, h := range f.shows("every replica is seen", func(_ *report.FleetHost, replica *host.Replica) bool {
			return replica.Answer != nil && replica.Armed != nil
		}) {
			status := h.Report.Targets[0].Status
			r := status.Replicas[0]
			fence, err := json.Marshal(status.Fence)
			if err != nil {
				f.t.Fatal(err)
			}
			state = append(state, fmt.Sprint(h.Name, r.PID, r.Started, r.Running.Release, r.Superblock.Release, r.Superblock.View, r.Armed.Checksum, status.Installed.SHA256, string(fence)))
		}
		for _, h := range f.Hosts {
			state = append(state, h.Name+": "+h.Run("find", "/usr/local", "/var/lib/tbctl", "/etc/tbctl", "-printf", "%p %i %s %m %U %G %T@ %C@\n"))
		}
		return state
	}
	logs := func() (texts []string, passed int) {
		passed = -1
		for _, h := range f.Hosts {
			text := h.Run("cat", "/var/lib/tigerbeetle/log")
			if here := strings.Count(text, ": minute "); passed < 0 || here < passed {
				passed = here
			}
			texts = append(texts, text)
		}
		return texts, passed
	}
	before := now()
	_, began := logs()
	eventually(f.t, "some minutes of the cluster pass", func() string {
		if _, passed := logs(); passed <= began+minutes { // the first of them had begun
			return fmt.Sprintf("%d of %d", passed-began, minutes)
		}
		return ""
	})
	texts, _ := logs()
	for index, text := range texts {
		if strings.Contains(text, "upgrade:") || strings.Count(text, "listening") != 1 {
			f.t.Errorf("%s upgrades, or was started again:\n%s", f.Hosts[index].Name, text)
		}
	}
	if after := now(); !slices.Equal(after, before) {
		f.t.Errorf("it is\n%s\nand was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

// A cluster that is armed stays as it is for ten minutes, and goes to the release when it is promoted; a client that pings it all the while is
// without an answer only while a replica goes from the one release to the other. With TORTURE=full or fleet that is a cluster of one, three and
// six, otherwise of three for a minute. How long it takes, what the client notices, and how soon after the last replica it is told that all run
// the release, is what -v shows; none of it is promised here.
func TestFleetPace(t *testing.T) {
	t.Parallel()
	sizes, minutes := []int{3}, 1
	if wholeFleet() {
		sizes, minutes = []int{1, 3, 6}, 10
	}
	for _, hosts := range sizes {
		t.Run(fmt.Sprint(hosts), func(t *testing.T) {
			f := newLiveFleet(t, hosts)
			f.serve(standin.Binary(t, "0.17.7", "0.17.6"))
			next, file := f.next("0.17.8", "0.17.6", "0.17.7"), filepath.Join(t.TempDir(), "plan.json")
			heard := f.pinging()
			began := time.Now()
			if result, code := f.plan(next, "-o", file); code != 0 {
				t.Fatalf("exit code %d: %+v", code, result.Problems)
			}
			if result, code := f.carry("run", file, "--until", "armed"); code != 0 || result.Clusters[0].Armed != hosts-1 {
				t.Fatalf("exit code %d: %+v", code, result)
			}
			armed := time.Now()
			f.calm(minutes)
			promoted := time.Now()
			output, errs, code := f.tbctl("fleet", "run", file, "--yes", "--stable", "1s", "--json")
			ended := time.Now()
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, errs)
			}
			told := ended // that all run it
			for line := range strings.Lines(output) {
				var change report.RolloutLine
				if err := json.Unmarshal([]byte(line), &change); err != nil {
					t.Fatal(err)
				}
				if change.Rollout.What == "step" && strings.Contains(change.Rollout.Message, "done") {
					told = change.Rollout.Time
				}
			}
			var pongs []pong
			var last time.Time // when the last of them began to run it
			eventually(t, "every replica answers with the release", func() string {
				pongs = heard()
				for index := range hosts {
					first := slices.IndexFunc(pongs, func(p pong) bool { return p.Replica == index && p.Release == testbin.Release("0.17.8") })
					if first < 0 {
						return fmt.Sprintf("replica %d does not", index)
					}
					if pongs[first].At.After(last) {
						last = pongs[first].At
					}
				}
				return ""
			})
			if where := interrupted(pongs, hosts, testbin.Release("0.17.7"), testbin.Release("0.17.8")); where != "" {
				t.Error(where)
			}
			oneBefore, allBefore := longest(pongs, hosts, began, armed)
			one, all := longest(pongs, hosts, promoted, ended)
			t.Logf("%d hosts: from the plan to armed %v; until then a replica did not answer for %v at most, all at once for %v; during the upgrade %v and %v; that all run it was told %v after the last one answered with it",
				hosts, armed.Sub(began).Round(time.Millisecond), oneBefore, allBefore, one, all, told.Sub(last).Round(time.Millisecond))
		})
	}
}
