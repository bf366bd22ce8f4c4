package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/report"
)

// waitMax is how long a test waits for what comes by and by. It takes milliseconds, and seconds on a busy machine.
const waitMax = 2 * time.Minute

// eventually waits until something is so. Until then, is returns how things are instead.
func eventually(t *testing.T, what string, is func() (otherwise string)) {
	t.Helper()
	for limit := time.Now().Add(waitMax); ; <-time.After(10 * time.Millisecond) {
		otherwise := is()
		if otherwise == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("not within %v: %s: %s", waitMax, what, otherwise)
		}
	}
}

// shows asks all hosts until each shows its target, with one replica of which the release that it runs is certain, that is as told; nil: any.
// One look may miss what the next one has, on a busy machine.
func (f *liveFleet) shows(what string, is func(h *report.FleetHost, replica *host.Replica) bool) (hosts []report.FleetHost) {
	f.t.Helper()
	eventually(f.t, what, func() string {
		code := 0
		if hosts, code = f.status(); code != 0 {
			return fmt.Sprintf("exit code %d: %+v", code, hosts)
		}
		for index := range hosts {
			h := &hosts[index]
			if h.Report == nil || len(h.Report.Targets) != 1 || h.Report.Targets[0].Status == nil {
				return fmt.Sprintf("%s: %+v", h.Name, h)
			}
			replicas := h.Report.Targets[0].Status.Replicas
			if len(replicas) != 1 || !replicas[0].Running.Certain || is != nil && !is(h, &replicas[0]) {
				return fmt.Sprintf("%s: %+v", h.Name, replicas)
			}
		}
		return ""
	})
	return hosts
}
