package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
)

// errOver is why what is under way is given up.
var errOver = fault.New(fault.Failed, "it had not answered when the time of the run was over; what it was asked for may be done there all the same")

// over says that the time of the run was over so long ago.
func (m *machine) over(ago time.Duration) bool {
	return m.Timeout > 0 && time.Since(m.began) >= m.Timeout+ago
}

// stillWaits keeps, of a cluster for which the time is over, what it waited for at the look before: nothing is decided then any more. The
// obstacle says it too.
func (m *machine) stillWaits(before *fleet.Decision) {
	for index := range before.Clusters {
		state := &m.last.Clusters[index]
		at := slices.IndexFunc(m.last.Blocked, func(p fleet.Problem) bool { return p.Cluster == state.Name && p.Reason == fleet.ProblemDeadline })
		if at < 0 {
			continue
		}
		var waits []fleet.Problem
		for _, wait := range before.Waits {
			if wait.Cluster == state.Name {
				waits = append(waits, wait)
			}
		}
		for _, wait := range waits {
			if !slices.Contains(m.last.Waits, wait) {
				m.last.Waits = append(m.last.Waits, wait)
			}
		}
		m.last.Blocked[at].Message += m.waitedFor(state, waits)
	}
}

// waitedFor is what a cluster waited for when the time was over: first what hosts were asked for and have not answered, then replicas that do not
// serve, of which other misses come.
func (m *machine) waitedFor(state *fleet.ClusterState, waits []fleet.Problem) string {
	var texts []string
	for _, action := range m.running {
		if action.Cluster == state.Name {
			texts = append(texts, fmt.Sprintf("%s: it was asked for this and has not answered: %s", action.Host, kindText(action.Kind)))
		}
	}
	causes := slices.DeleteFunc(slices.Concat(state.Misses, waits), func(p fleet.Problem) bool { // which is what the misses say
		return p.Reason == fleet.ProblemNotStable && len(state.Misses) > 0
	})
	slices.SortStableFunc(causes, func(a, b fleet.Problem) int { return rank(a.Reason) - rank(b.Reason) })
	for _, p := range causes {
		if p.Host != "" {
			p.Message = p.Host + ": " + p.Message
		}
		texts = append(texts, p.Message)
	}
	if len(texts) == 0 {
		return ""
	}
	more := ""
	if left := len(texts) - waitedForMax; left > 0 {
		texts, more = texts[:waitedForMax], fmt.Sprintf("; and %d more", left)
	}
	return "; it waited for this: " + strings.Join(texts, "; ") + more
}

// rank is low for what other misses come of.
func rank(reason fleet.ProblemReason) int {
	if reason == fleet.ProblemNotServing || reason == fleet.ProblemUnreachable {
		return 0
	}
	return 1
}
