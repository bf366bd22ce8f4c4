package rollout

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
)

// warningsMax is how many warnings of a host are kept.
const warningsMax = 16

// target is one target of the plan, with what a run knows of it.
type target struct {
	cluster *fleet.PlannedCluster
	planned *fleet.PlannedHost
	host    Host

	seen fleet.Observation // at the last look

	// Of this run. What was found out about the host's store holds for as long as the host answers and is not started again.
	stored, checked bool
	receipts        []depot.Receipt // that its store has of the artifact
	boot            string

	lost     bool            // it could not be asked at the last look
	attempts map[Request]int // since the last success; one request of a kind is under way at a time
	sent     Sent            // in all, under the machine's mu
	last     Sent            // of the last time, too

	fetched   bool   // it was let fetch from the registry in this run, too
	notCopied string // why it could not copy from another host or the registry, the last time, too

	unanswered []string // of the last check, too

	warnings []string // of its swaps and restarts, too
}

// observe takes what a look showed.
func (m *machine) observe(t *target, l look) {
	shown := l.at(Place{t.planned.Name, t.planned.Target})[0]
	switch {
	case l.err == nil && t.lost:
		m.record(t, Entry{Request: RequestObserve, Took: l.took}, nil)
	case l.err != nil && !t.lost: // and not once a second while it lasts
		m.record(t, Entry{Request: RequestObserve, Took: l.took}, l.err)
	}
	t.lost = l.err != nil
	another := shown.Boot != "" && t.boot != "" && t.boot != shown.Boot
	if t.lost || another {
		t.stored, t.checked = false, false
	}
	t.stored = t.stored || l.stored
	if l.stored {
		t.receipts = l.receipts
	}
	if shown.Boot != "" {
		t.boot = shown.Boot
	}
	shown.Stored, shown.Checked = t.stored, t.checked
	shown.Refusals = refusals(&shown, &m.Plan.Artifact, t.receipts)
	m.noteReplicas(t, &shown)
	t.seen = shown
}

// noteReplicas notes that a replica holds the artifact in memory, or runs its release, where it did not at the last look.
func (m *machine) noteReplicas(t *target, shown *fleet.Observation) {
	armed := func(r *fleet.Replica) bool { return r.Armed != nil && *r.Armed == m.Plan.Artifact.Checksum }
	for index := range shown.Replicas {
		now := &shown.Replicas[index]
		at := slices.IndexFunc(t.seen.Replicas, func(r fleet.Replica) bool { return r.Cluster == now.Cluster && r.Index == now.Index })
		if at < 0 || shown.Problem != nil {
			continue
		}
		before := &t.seen.Replicas[at]
		if armed(now) && !armed(before) {
			m.note(t, SeenArmed)
		}
		if release := m.Plan.Artifact.Release; now.Running == release && before.Running != release && before.Running != 0 {
			m.note(t, SeenRunning)
		}
	}
}

// note notes what was seen, which is no request and is not counted.
func (m *machine) note(t *target, seen Request) {
	m.Journal.record(m.ctx, m.about(t, Entry{Request: seen}))
}

// ask carries a request out, and notes what came of it.
func (m *machine) ask(ctx context.Context, t *target, entry Entry, do func(context.Context) error) error {
	m.mu.Lock()
	t.attempts[entry.Request]++
	entry.Attempt = t.attempts[entry.Request]
	m.mu.Unlock()
	began := time.Now()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	entry.Took = time.Since(began)
	m.mu.Lock()
	if entry.Request == RequestSend {
		entry.Bytes, entry.From = t.last.Bytes+t.last.Copied, cmp.Or(t.last.From, "push")
	}
	if err == nil {
		t.attempts[entry.Request] = 0
	}
	m.mu.Unlock()
	m.record(t, entry, err)
	return err
}

// about fills in which target of which plan an entry is about.
func (m *machine) about(t *target, entry Entry) Entry {
	entry.Time, entry.Rollout, entry.Cluster, entry.Host, entry.Target = time.Now().UTC(), m.ID, t.cluster.Name, t.planned.Name, t.planned.Target
	entry.Generation, entry.Artifact, entry.Causes = m.Plan.Generation, cmp.Or(entry.Artifact, m.Plan.Artifact.SHA256), []string{}
	return entry
}

// record notes a request, and counts it.
func (m *machine) record(t *target, entry Entry, err error) {
	entry = m.about(t, entry)
	m.mu.Lock()
	m.counters.Requests[entry.Request]++
	if err != nil {
		entry.Result, entry.Causes = fault.Of(err), causesOf(err)
		if fenced, ok := errors.AsType[*fleet.FencedError](err); ok {
			entry.Reason = string(fenced.Reason)
		}
		if _, ok := errors.AsType[*remote.RequestError](err); ok {
			entry.Reason = string(remote.ReasonLost)
		}
		if failed, ok := errors.AsType[*remote.SessionError](err); ok {
			entry.Reason = string(failed.Reason)
			if failed.Reason == remote.ReasonLost || failed.Reason == remote.ReasonSilent {
				m.counters.Lost++
			}
		}
		m.counters.Failed[entry.Request]++
		m.counters.Classes[entry.Result]++
	}
	m.mu.Unlock()
	m.Journal.record(m.ctx, entry)
}
