package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/standin"
)

// killGiver kills a host when another one copies from it, and returns its name.
func (f *liveFleet) killGiver(ctx context.Context) string {
	connected := regexp.MustCompile(fmt.Sprintf(`(?m)^ *\d+: [0-9A-F]{8}:%04X [0-9A-F:]+ 01 `, 3443)) // at the port of its depot
	for ; ctx.Err() == nil; <-time.After(5 * time.Millisecond) {
		for _, h := range f.Hosts {
			if table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", h.PID)); err == nil && connected.Match(table) {
				h.Kill()
				return h.Name
			}
		}
	}
	return ""
}

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
	killing := make(chan string, 1)
	go func() { killing <- f.killGiver(t.Context()) }()
	killed := ""
	result, code := f.stageUntil(func(staged map[string]bool) bool {
		select {
		case killed = <-killing:
		default:
		}
		delete(staged, killed)
		return killed != "" && len(staged) == 3
	}, plan, "--min-copies", "1")
	if code != int(exitInterrupted) || result.Clusters[0].Staged != 3 {
		t.Fatalf("exit code %d, %s was killed: %+v", code, killed, result)
	}
	copied, said := 0, false
	for _, row := range result.Clusters[0].Rows {
		if row.Name != killed && row.From != "" && row.From != killed && row.Copied > 0 {
			copied++
		}
		said = said || strings.HasPrefix(row.NotCopied, "from "+killed+":")
	}
	if copied == 0 || !said {
		t.Errorf("%d copied from another than %s, which is said: %v: %+v", copied, killed, said, result.Clusters[0].Rows)
	}
}
