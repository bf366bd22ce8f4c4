package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/shell"
)

const (
	// HostSizeMax is the most bytes of a [Host] as JSON, and ValueSize is how many of them a value in it counts for at least: three bytes of
	// text can be hundreds in memory.
	HostSizeMax = 1 << 20
	ValueSize   = 16

	// Of strangers' processes, whom nothing is believed and of whom there may be thousands, a status has strangersMax, with texts of at most
	// strangerTextMax bytes; of leftovers, which who may write the directory can make, leftoversMax; and of the state beside the target, which he
	// can write, too, texts of at most stateTextMax bytes.
	strangersMax    = 8
	strangerTextMax = 256
	leftoversMax    = 16
	stateTextMax    = 4 << 10

	// What is shown of a target whose part is too large for a report.
	fitTextMax    = 1 << 10 // the addresses of a cluster have fewer
	fitTextsMax   = 16      // warnings, and as many notices
	fitSharesLeft = 1       // for what is not about a target
)

// HostSize is how many bytes a part of a report's JSON counts for.
func HostSize(text []byte) int {
	return max(len(text), ValueSize*(bytes.Count(text, []byte(","))+bytes.Count(text, []byte("{"))))
}

// Fit is the report as JSON that [HostSize] says is no larger than [HostSizeMax]. What is too large is shortened, the largest target first and the
// least important of it first, and what was left out is a warning. A target that is still too large is told as one that could not be
// looked at: it takes no other with it.
func (h *Host) Fit() ([]byte, error) {
	sizes, order := make([]int, len(h.Targets)), make([]int, len(h.Targets))
	text, err := Encode(h, "")
	all := HostSize(text)
	measure := func(index int) error {
		part, err := Encode(h.Targets[index], "")
		sizes[index] = HostSize(part)
		return err
	}
	for index := range h.Targets {
		if err == nil && all > HostSizeMax {
			order[index], err = index, measure(index)
		}
	}
	share := HostSizeMax / (len(h.Targets) + fitSharesLeft)
	for step := 0; err == nil && step < len(shortenings) && all > HostSizeMax; step++ {
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(sizes[b], sizes[a]) })
		for _, index := range order {
			if err != nil || all <= HostSizeMax || sizes[index] <= share {
				break
			}
			before := sizes[index]
			h.Targets[index].shorten(shortenings[step], before)
			err = measure(index)
			all += sizes[index] - before
		}
		if err == nil {
			text, err = Encode(h, "")
			all = HostSize(text)
		}
	}
	return text, err
}

// shorten makes what is shown of a target smaller, and warns of what was left out.
func (t *HostTarget) shorten(by func(t *HostTarget, size int) string, size int) {
	if t.Status == nil {
		return
	}
	if left := by(t, size); left != "" {
		t.Warnings = append(t.Warnings, "left out of the report, which would be too large: "+left)
	}
}

// shortenings are what is left out of a target's part that is too large, the least important first. Each says what that was; "": nothing.
var shortenings = []func(t *HostTarget, size int) string{
	func(t *HostTarget, _ int) string {
		counts := slices.DeleteFunc(slices.Clone(t.Status.Replicas), func(r host.Replica) bool { return !r.Counts() })
		left := len(t.Status.Replicas) - len(counts)
		t.Status.Replicas, t.Status.LeftOut = counts, t.Status.LeftOut+left
		return counted(left, "processes that count for nothing")
	},
	func(t *HostTarget, _ int) string {
		notices, warnings := len(t.Status.Advisories)-fitTextsMax, len(t.Warnings)-fitTextsMax
		t.Status.Advisories, t.Warnings = first(t.Status.Advisories, fitTextsMax), first(t.Warnings, fitTextsMax)
		return strings.TrimPrefix(counted(notices, "notices about releases")+" "+counted(warnings, "warnings"), " ")
	},
	func(t *HostTarget, _ int) string {
		path, target := t.Path, t.Status.Target
		clipTo(t, fitTextMax)
		t.Path, t.Status.Target = path, target
		return fmt.Sprintf("what texts have over %d bytes", fitTextMax)
	},
	func(t *HostTarget, size int) string {
		t.Status, t.Warnings, t.WayBackLost = nil, nil, ""
		t.Problem = fmt.Sprintf("what there is to say of it is too much for a report (%d bytes), and nothing of it is said: look there: tbctl status %s", size, shell.File(t.Path))
		return ""
	},
}

func first[T any](all []T, most int) []T { return all[:min(len(all), most)] }

// counted is "" of none.
func counted(count int, what string) string {
	if count <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", count, what)
}
