package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/rollout"
)

// counted is how often the artifact was sent from here, and copied between hosts.
func (f *simFleet) counted() (sends, copies int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.hosts {
		sends += h.sends
		copies += h.copies
	}
	return sends, copies
}

// Hosts with depots copy the artifact from each other once enough have it from here. One that nobody can copy from is not
// asked again, and where none is left the artifact is sent.
func TestRunCopies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		depots bool
		copies int // hosts that get it from here
		shut   int // hosts that nobody can copy from
		sends  int
	}{
		"no depots": {false, 0, 0, 6}, "two copies": {true, 0, 0, 2}, "one copy": {true, 1, 0, 1}, "six copies": {true, 6, 0, 6}, "all shut": {true, 0, 6, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := simClusters(1, 6)
				f.depots = tc.depots
				for index := range tc.shut {
					f.hosts[f.order[index]].shut = errors.New("no route to host")
				}
				options := f.options(f.plan(t), fleet.GoalStage, "ana")
				options.Rules.MinCopies = tc.copies
				result, err := rollout.Run(t.Context(), options)
				sends, copies := f.counted()
				if err != nil || sends != tc.sends || copies != 6-tc.sends {
					t.Fatalf("%d were sent and %d copied: %v", sends, copies, err)
				}
				if result.Sent != int64(sends)*1000 || result.Copied != int64(copies)*500 || result.Counters.BytesCopied != uint64(result.Copied) {
					t.Errorf("%d bytes sent, %d copied: %+v", result.Sent, result.Copied, result.Counters)
				}
				for _, row := range result.Clusters[0].Rows {
					if !row.Staged || (row.Copied > 0) != (row.From != "") && tc.shut == 0 {
						t.Errorf("%+v", row)
					}
				}
			})
		})
	}
}

// A host that is lost after it got the artifact gives it to nobody: the others have it from another one, or from here.
func TestRunCopiesFromWhoIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := simClusters(1, 6)
		f.depots = true
		lost := f.hosts[f.order[0]]
		lost.shut = errors.New("connection refused")
		result, err := rollout.Run(t.Context(), f.options(f.plan(t), fleet.GoalStage, "ana"))
		sends, copies := f.counted()
		if err != nil || sends != 2 || copies != 4 {
			t.Fatalf("%d were sent and %d copied: %v", sends, copies, err)
		}
		for _, row := range result.Clusters[0].Rows {
			if !row.Staged || row.Copied > 0 && row.From == lost.name {
				t.Errorf("%+v", row)
			}
		}
	})
}

// Hosts fetch the artifact from a registry where one is named. Whoever cannot is sent it, with the reason, and after other bytes came than
// the artifact's nobody asks there again.
func TestRunFetches(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Refused, "its configuration does not name the registry")
	tampered := fault.New(fault.Rejected, "other bytes came")
	for name, tc := range map[string]struct {
		depots    bool
		locate    error
		unfetched map[int]error // by host
		asked     int           // at most so often where the registry's blob is
		sends     int
		says      string
	}{
		"all":              {false, nil, nil, 6, 0, ""},
		"with depots":      {true, nil, nil, 2, 0, ""},
		"one may not":      {false, nil, map[int]error{2: refused}, 6, 1, "from registry.internal/tb: its configuration"},
		"its session died": {false, nil, map[int]error{2: errLost}, 6, 1, "from registry.internal/tb: "},
		"tampered":         {false, nil, map[int]error{0: tampered, 1: tampered, 2: tampered, 3: tampered, 4: tampered, 5: tampered}, 1, 6, "other bytes came"},
		"no such blob":     {false, errors.New("the registry does not have it"), nil, 1, 6, "the registry does not have it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := simClusters(1, 6)
				f.depots = tc.depots
				for index, err := range tc.unfetched {
					f.hosts[f.order[index]].unfetched = err
				}
				options := f.options(f.plan(t), fleet.GoalStage, "ana")
				options.Rules.Parallel = 1
				asked := 0
				options.Registry = &rollout.Registry{Place: "registry.internal/tb", Locate: func(context.Context) (string, string, error) {
					asked++
					return "https://registry.internal/v2/tb/blobs/sha256:" + simArtifact, "t0ken", tc.locate
				}}
				result, err := rollout.Run(t.Context(), options)
				sends, copies := f.counted()
				if err != nil || sends != tc.sends || copies != 6-tc.sends || asked > tc.asked {
					t.Fatalf("%d were sent and %d fetched or copied, and it was asked for %d times: %v", sends, copies, asked, err)
				}
				told := 0
				for _, row := range result.Clusters[0].Rows {
					if tc.says != "" && strings.Contains(row.NotCopied, tc.says) {
						told++
					}
					if !row.Staged || row.NotCopied == "" && !tc.depots && row.From != "registry.internal/tb" || strings.Contains(row.NotCopied, "t0ken") {
						t.Errorf("%+v", row)
					}
				}
				if told != tc.sends {
					t.Errorf("%d of %d that were sent it have the reason", told, tc.sends)
				}
			})
		})
	}
}

// What keeps a host from copying names the other once.
func TestCopiedOnce(t *testing.T) {
	t.Parallel()
	answered := &remote.AnswerError{Host: "tb1", Answer: remote.ErrorAnswer{Class: fault.Refused, Message: "no address"}}
	if got := (&rollout.SourceError{From: "tb1", Err: answered}).Error(); got != "copy from tb1: no address" {
		t.Errorf("%q", got)
	}
	blamed := &remote.AnswerError{Host: "tb2", Answer: remote.ErrorAnswer{Class: fault.Failed, Message: "copy from 10.1.0.3:3443: connection refused", Source: "10.1.0.3:3443"}}
	source, ok := errors.AsType[*remote.SourceError](blamed)
	if !ok || source.Error() != "copy from 10.1.0.3:3443: connection refused" {
		t.Errorf("%v", source)
	}
}
