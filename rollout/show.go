package rollout

import (
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/report"
)

// report says how far the rollout is, as it was seen last.
func (m *machine) report() *report.Rollout {
	r := &report.Rollout{
		Plan: m.File, ID: m.ID, Generation: m.Plan.Generation, Holder: m.Holder.Who, Artifact: m.Plan.Artifact.SHA256, Release: m.Plan.Artifact.Release,
		Goal: string(m.Goal), Problems: []fleet.Problem{},
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Sent, r.Copied, r.Had, r.Counters = int64(m.counters.BytesSent), int64(m.counters.BytesCopied), int64(m.counters.BytesHad), m.counters.Report()
	for index := range m.last.Clusters {
		state := m.last.Clusters[index]
		c := report.RolloutCluster{ClusterState: state, Waits: []fleet.Problem{}, Problems: []fleet.Problem{}}
		c.NotRestarted = []fleet.Problem{} // what was decided stays as it is
		for _, problem := range state.NotRestarted {
			c.NotRestarted = append(c.NotRestarted, m.named(problem))
		}
		for _, problem := range m.last.Waits {
			if problem.Cluster == state.Name {
				c.Waits = append(c.Waits, m.named(problem))
			}
		}
		for _, problem := range m.last.Blocked {
			if problem.Cluster == state.Name {
				c.Problems = append(c.Problems, m.named(problem))
			}
		}
		var newest uint64
		for _, t := range m.targets {
			for index := range t.seen.Replicas {
				if t.cluster.Name == state.Name {
					newest = max(newest, t.seen.Replicas[index].Checkpoint)
				}
			}
		}
		for _, t := range m.targets {
			if t.cluster.Name == state.Name {
				c.Rows = append(c.Rows, m.hostRows(t, &c, newest)...)
			}
		}
		c.WayBack, c.WayOn = m.ways(&state)
		r.Epoch = max(r.Epoch, c.Epoch)
		r.Clusters = append(r.Clusters, c)
	}
	for _, problem := range m.last.Blocked {
		shown := func(c fleet.ClusterState) bool { return c.Name == problem.Cluster }
		if !slices.ContainsFunc(m.last.Clusters, shown) { // also of one that the plan does not have
			r.Problems = append(r.Problems, m.named(problem))
		}
	}
	return r
}

// hostRows are a target's replicas.
func (m *machine) hostRows(t *target, c *report.RolloutCluster, newest uint64) []report.RolloutHost {
	o := &t.seen
	if f := o.Fence; f != nil && f.Phase.Holds() {
		c.Holder, c.Epoch = f.Holder.Who, f.Epoch
	}
	warnings := slices.Concat([]string{}, t.warnings)
	if o.Problem == nil && o.Unsettled != "" && !slices.ContainsFunc(m.running, func(a fleet.Action) bool { return m.target(a) == t }) {
		warnings = append(warnings, o.Unsettled+"; what is there: tbctl status "+shell.File(t.planned.Target)+" on "+t.planned.Name)
	}
	var rows []report.RolloutHost
	for _, planned := range t.planned.Replicas {
		row := report.RolloutHost{
			Name: t.planned.Name, Target: t.planned.Target, Replica: planned.Index, Standby: planned.Standby, Seen: o.Problem == nil,
			Staged: o.Stored, Checked: o.Checked, Unanswered: t.unanswered, Sent: t.sent.Bytes, Copied: t.sent.Copied, From: t.sent.From, NotCopied: t.notCopied, Had: t.sent.Had, Lag: -1, Peers: -1,
			Warnings: warnings,
		}
		for _, name := range c.Holdback {
			row.Holdback = row.Holdback || name == t.planned.Name
		}
		if o.Problem != nil {
			row.Problem = o.Problem.Message
		} else if o.Installed != nil {
			row.Installed = o.Installed.Release
		}
		if o.Problem == nil && len(o.Blind) == 0 {
			row.State = report.StateNone
		}
		for index := range o.Replicas {
			if r := &o.Replicas[index]; o.Problem == nil && r.Cluster == t.cluster.ID && r.Index == planned.Index {
				row.Runs, row.State, row.Running, row.View, row.Peers, row.Lag = true, r.State, r.Running, r.View, r.Peers, int64(newest-r.Checkpoint)
				if r.Armed != nil && *r.Armed == m.Plan.Artifact.Checksum {
					row.Armed = m.Plan.Artifact.Release
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// ways are the commands that undo what was done to a cluster, and that go on.
func (m *machine) ways(state *fleet.ClusterState) (back, on string) {
	command := func(verb string) string { return "tbctl fleet " + verb + " " + shell.File(m.File) + " " + state.Name }
	switch state.Step {
	case fleet.StepUnseen:
		return command("abort"), ""
	case fleet.StepStaged:
		return "", command("arm")
	case fleet.StepArming:
		return command("abort"), command("arm")
	case fleet.StepArmed:
		if state.Arm == 0 && state.Claimed == 0 {
			return "", command("promote")
		}
		return command("abort"), command("promote")
	case fleet.StepPromoting:
		return "", command("promote")
	case fleet.StepAborting:
		return "", command("abort")
	case fleet.StepStaging, fleet.StepChecking:
		if state.Reachable < state.Hosts { // the others may have the file
			return command("abort"), command("stage")
		}
		return "", command("stage")
	}
	return "", ""
}

// named puts the plan's file in place of PLAN in a hint.
func (m *machine) named(problem fleet.Problem) fleet.Problem {
	if !strings.HasPrefix(problem.Hint, "on "+problem.Host+": ") { // that is the host's own
		problem.Hint = strings.ReplaceAll(problem.Hint, "PLAN", shell.File(m.File))
	}
	return problem
}

// Report is the counters as they are shown.
func (c *Counters) Report() report.RolloutCounters {
	shown := report.RolloutCounters{
		BytesSent: c.BytesSent, BytesCopied: c.BytesCopied, BytesHad: c.BytesHad, Looks: c.Looks, Lost: c.Lost, StableAgain: c.StableAgain, Runs: c.Runs,
		Requests: make(map[string]uint64), Failed: make(map[string]uint64), Classes: make(map[string]uint64),
	}
	for key, count := range c.Requests {
		shown.Requests[string(key)] = count
	}
	for key, count := range c.Failed {
		shown.Failed[string(key)] = count
	}
	for key, count := range c.Classes {
		if key != fault.None {
			shown.Classes[string(key)] = count
		}
	}
	return shown
}
