package main

import (
	"bytes"
	"context"
	"encoding/json"
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
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

func init() { programs["pinger"] = pinger }

// pong is an answer that a client got.
type pong struct {
	At      time.Time
	Replica int
	Release multiversion.Release
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
				if err != nil {
					continue // it is between two releases
				}
				saying.Lock()
				err = say.Encode(pong{time.Now(), index, answer.Release})
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
			if p.At.After(from) && p.At.Before(to) && of(p) {
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

// A cluster of one, three and six goes to a release while a client pings it all the while. How long it takes, what the client notices, and
// how soon after the last replica it is told that all run the release, is what -v shows; none of it is promised here.
func TestFleetPace(t *testing.T) {
	if !testbin.Full() {
		t.Skip("skipped: its figures are of a full run (TORTURE=full)")
	}
	t.Parallel()
	for _, hosts := range []int{1, 3, 6} {
		t.Run(fmt.Sprint(hosts), func(t *testing.T) {
			f := newLiveFleet(t, hosts)
			f.serve(standin.Binary(t, "0.17.7", "0.17.6"))
			next, file := f.next("0.17.8", "0.17.6", "0.17.7"), filepath.Join(t.TempDir(), "plan.json")
			addresses := []string{"pinger"}
			for _, h := range f.Hosts {
				addresses = append(addresses, h.Address+":3000")
			}
			client := f.Command(addresses...)
			said, err := os.Create(filepath.Join(t.TempDir(), "said"))
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			client.Stdout = said
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				client.Process.Kill()
				client.Wait() // a signal ended it
			}()
			heard := func() (pongs []pong) {
				t.Helper()
				text, err := os.ReadFile(said.Name())
				if err != nil {
					t.Fatal(err)
				}
				for line := range bytes.Lines(text[:bytes.LastIndexByte(text, '\n')+1]) {
					var p pong
					if err := json.Unmarshal(line, &p); err != nil {
						t.Fatalf("%v: %s", err, line)
					}
					pongs = append(pongs, p)
				}
				return pongs
			}
			eventually(t, "every replica answers", func() string {
				for index, pongs := 0, heard(); index < hosts; index++ {
					if !slices.ContainsFunc(pongs, func(p pong) bool { return p.Replica == index }) {
						return fmt.Sprintf("replica %d has not", index)
					}
				}
				return ""
			})
			began := time.Now()
			if result, code := f.plan(next, "-o", file); code != 0 {
				t.Fatalf("exit code %d: %+v", code, result.Problems)
			}
			if result, code := f.carry("run", file, "--until", "armed"); code != 0 || result.Clusters[0].Armed != hosts-1 {
				t.Fatalf("exit code %d: %+v", code, result)
			}
			armed := time.Now()
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
			pongs := heard()
			last := time.Time{} // when the last of them began to run it
			for index := range hosts {
				first := slices.IndexFunc(pongs, func(p pong) bool { return p.Replica == index && p.Release == testbin.Release("0.17.8") })
				if first < 0 {
					t.Fatalf("replica %d is not heard with the release", index)
				}
				if pongs[first].At.After(last) {
					last = pongs[first].At
				}
			}
			oneBefore, allBefore := longest(pongs, hosts, began, armed)
			one, all := longest(pongs, hosts, armed, ended)
			t.Logf("%d hosts: from the plan to armed %v; until then a replica did not answer for %v at most, all at once for %v; during the upgrade %v and %v; that all run it was told %v after the last one answered with it",
				hosts, armed.Sub(began).Round(time.Millisecond), oneBefore, allBefore, one, all, told.Sub(last).Round(time.Millisecond))
		})
	}
}
