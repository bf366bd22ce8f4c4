package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

const (
	// recordRequestsMax is how many requests a record has, the newest.
	recordRequestsMax = 10000
	// recordMomentsMax is how many moments of a target it has, the newest.
	recordMomentsMax = 40
)

// RecordOptions say what a record is made of.
type RecordOptions struct {
	Plan    *fleet.Plan
	ID      string // of the plan
	File    string
	By      string
	Tbctl   string
	Now     time.Time
	Journal *Journal

	// Store may have the plan's artifact, and knows who vouches for it.
	Store *depot.Depot

	// Dial opens a session with a host; nil: no host is asked.
	Dial func(ctx context.Context, host string) (*remote.Session, error)
}

// Record puts together what was decided, done and seen of a plan: from the plan, from the requests that are kept here, and from what the
// hosts show now. Nothing is changed anywhere. Whatever could not be found out is in it.
func Record(ctx context.Context, options RecordOptions) *report.FleetReport {
	r := &report.FleetReport{
		File: options.File, ID: options.ID, Plan: options.Plan, Made: options.Now.UTC(), By: options.By, Tbctl: options.Tbctl, Offline: options.Dial == nil,
		Requests: []report.ReportedAsking{}, Unseen: []string{}, Evidence: planEvidence(ctx, options.Store, options.Plan),
	}
	recordRequests(r, options.Journal)
	for c := range options.Plan.Clusters {
		cluster := &options.Plan.Clusters[c]
		for h := range cluster.Hosts {
			r.Hosts = append(r.Hosts, report.ReportedHost{Cluster: cluster.Name, Name: cluster.Hosts[h].Name, Target: cluster.Hosts[h].Target})
		}
	}
	if options.Dial != nil {
		each(ParallelDefault, len(r.Hosts), func(index int) { recordHost(ctx, &r.Hosts[index], options) })
	}
	for index := range r.Hosts {
		h := &r.Hosts[index]
		if !r.Offline {
			h.Differs = differs(h, options)
		}
		h.Moments = moments(r, h)
	}
	r.Unseen = append(r.Unseen, unseen(r)...)
	return r
}

func recordRequests(r *report.FleetReport, journal *Journal) {
	err := journal.Entries(r.ID, func(e Entry) {
		if len(r.Requests) == recordRequestsMax {
			r.Requests = r.Requests[1:]
			r.LeftOut++
		}
		r.Requests = append(r.Requests, report.ReportedAsking{
			Time: e.Time, Cluster: e.Cluster, Host: e.Host, Target: e.Target, Generation: e.Generation, Epoch: e.Epoch, Request: string(e.Request),
			Phase: string(e.Phase), Promotes: e.Promotes, Artifact: e.Artifact, Bytes: e.Bytes, Took: e.Took, Attempt: e.Attempt,
			Result: e.Result, Reason: e.Reason, Causes: e.Causes,
		})
	})
	switch {
	case err != nil:
		r.Unseen = append(r.Unseen, fmt.Sprintf("The journal of requests could not be read as a whole: %v.", err))
	case len(r.Requests) == 0:
		r.Unseen = append(r.Unseen, "The journal of this machine and user has no request of the plan: what was done, and from where, is not known from it.")
	default:
		r.Unseen = append(r.Unseen, fmt.Sprintf("The requests are those of this machine and user, from %s on: what was done before that is not known, nor what was done from elsewhere.",
			r.Requests[0].Time.UTC().Format(time.RFC3339)))
	}
	if r.LeftOut > 0 {
		r.Unseen = append(r.Unseen, fmt.Sprintf("%d older requests are in the journal and not here.", r.LeftOut))
	}
}

// recordHost asks a host what it shows, and what it makes of the plan's file where that is not at the target already.
func recordHost(ctx context.Context, h *report.ReportedHost, options RecordOptions) {
	session, err := options.Dial(ctx, h.Name)
	var shown *report.Host
	if err == nil {
		defer session.Close()
		shown, err = session.Report(ctx)
	}
	if err != nil {
		h.Problem = problemOf(err)
		h.Problem.Message = strings.TrimPrefix(h.Problem.Message, "host "+h.Name+": ")
		return
	}
	h.Machine, h.Tbctl, h.Time = shown.Machine, shown.Tbctl, shown.Time
	at := slices.IndexFunc(shown.Targets, func(t report.HostTarget) bool { return t.Path == h.Target })
	if at < 0 {
		h.Problem = &report.FleetProblem{Kind: fault.Usage, Message: "its configuration does not name the target " + h.Target}
		return
	}
	h.Status = shown.Targets[at].Status
	if problem := shown.Targets[at].Problem; problem != "" {
		h.Problem = &report.FleetProblem{Kind: fault.Failed, Message: problem}
	}
	if s := h.Status; s != nil && s.Installed != nil && sha.Name(s.Installed.SHA256) == options.Plan.Artifact.SHA256 {
		h.CheckNote = "the plan's file is installed there: its SHA-256 was computed on the host now"
		return
	}
	checked, err := session.Check(ctx, remote.CheckRequest{Target: h.Target, Artifact: sha.Digits(options.Plan.Artifact.SHA256)})
	if err != nil {
		h.CheckNote = "the host gave no answer to what it makes of the file: " + strings.TrimPrefix(err.Error(), "host "+h.Name+": ")
		return
	}
	h.Checks = checked.Checks
}

// differs is what is not as the plan, or its rollout, has it.
func differs(h *report.ReportedHost, options RecordOptions) []string {
	var texts []string
	cluster, p := h.Planned(options.Plan)
	add := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	if p.Machine != "" && h.Machine != "" && h.Machine != p.Machine {
		add("it is another machine than the plan's: its machine id is %s, and the plan has %s", h.Machine, p.Machine)
	}
	s := h.Status
	if s == nil {
		return texts
	}
	if s.Installed != nil {
		if sum := sha.Name(s.Installed.SHA256); sum != options.Plan.Artifact.SHA256 && sum != p.Previous {
			add("the installed file is neither the plan's nor the one before it: %s", sum)
		}
	} else if !s.Hides(s.Target.Path) {
		add("nothing is installed")
	}
	if f := s.Fence; f != nil && f.Plan != options.ID {
		add("another plan has the target, or had it last: generation %d, %s, by %s, %s", f.Generation, f.Plan, f.Holder.Who, f.Phase)
	}
	if d := s.Despite; d != nil {
		add("it was changed though a rollout held it: %s by %s at %s", d.Operation, d.User, d.Time.UTC().Format(time.RFC3339))
	}
	if len(s.Interrupted) > 0 {
		add("an operation was interrupted, and its outcome is not recorded")
	}
	for _, r := range s.NotRestarted() {
		text, hint := s.NotRestartedText(r)
		add("%s: %s", text, hint)
	}
	for _, member := range p.Replicas {
		switch shown, state := h.Replica(cluster, member.Index); {
		case state == report.StateNone:
			add("replica %d does not run", member.Index)
		case shown == nil:
		case shown.State == replica.StateStopped:
			add("replica %d does not serve: it is %s", member.Index, shown.StoppedText())
		case shown.State == replica.StateStarting:
			add("replica %d does not serve: it is starting", member.Index)
		}
	}
	for index := range s.Replicas {
		if r := &s.Replicas[index]; r.Counts() && r.Answer == nil && r.NoAnswer != "" {
			add("replica process %d does not serve: %s", r.PID, r.NoAnswer)
		}
	}
	return texts
}

// moments are what happened to a target: the requests that were done, those that failed, and what is seen now.
func moments(r *report.FleetReport, h *report.ReportedHost) []report.ReportedMoment {
	all := []report.ReportedMoment{}
	add := func(at time.Time, what, text string) {
		if last := len(all) - 1; last >= 0 && all[last].What == what && all[last].Text == text {
			all[last].Last = at
			all[last].Count++
			return
		}
		if len(all) == recordMomentsMax {
			all = all[1:]
		}
		all = append(all, report.ReportedMoment{Time: at, Last: at, What: what, Text: text, Count: 1})
	}
	stable := uint64(0) // the epoch of the run in which it was
	for index := range r.Requests {
		q := &r.Requests[index]
		here := q.Host == h.Name && q.Target == h.Target
		if promotes(q) && q.Cluster == h.Cluster {
			if q.Epoch != stable {
				add(q.Time, "stable", "the whole cluster, for the whole of the time that was asked for")
			}
			stable = q.Epoch
			if !here {
				add(q.Time, "promoted", "by the swap on "+q.Host)
			}
		}
		switch {
		case !here:
		case q.Result != fault.None:
			add(q.Time, "failed", failedText(q))
		default:
			add(q.Time, momentOf(q), "")
		}
	}
	if s := h.Status; s != nil {
		add(r.Made, "seen", nowText(s))
	}
	return all
}

// promotes says that a request was the swap that completes the quorum, and was done.
func promotes(q *report.ReportedAsking) bool {
	return q.Promotes && q.Request == string(RequestSwap) && q.Result == fault.None
}

func failedText(q *report.ReportedAsking) string {
	text := q.Request
	if q.Reason != "" {
		text += ", " + q.Reason
	}
	if len(q.Causes) > 0 {
		text += ": " + q.Causes[0]
	}
	return text
}

// momentOf is the word for a request that was done.
func momentOf(q *report.ReportedAsking) string {
	switch Request(q.Request) {
	case RequestSend:
		return "staged"
	case RequestCheck:
		return "checked"
	case RequestClaim:
		return "claimed"
	case RequestRestart:
		return "restarted"
	case RequestObserve:
		return "reachable again"
	case RequestPhase:
		return q.Phase
	case RequestSwap:
		switch {
		case q.Promotes:
			return "promoted"
		case q.Phase == string(fleet.PhaseAborting):
			return "restored"
		}
		return "swapped"
	}
	return q.Request
}

// nowText is what a target shows, in a line.
func nowText(s *report.Status) string {
	text := "cannot be seen what is installed"
	if s.Installed != nil {
		text = s.Installed.Release.String() + " is installed"
	} else if !s.Hides(s.Target.Path) {
		text = "nothing is installed"
	}
	for index := range s.Replicas {
		r := &s.Replicas[index]
		if !r.Counts() {
			continue
		}
		name := fmt.Sprintf("process %d", r.PID)
		if r.Superblock != nil {
			name = fmt.Sprintf("replica %d", r.Superblock.ReplicaIndex)
		}
		if r.Running.Release == 0 {
			text += fmt.Sprintf("; what %s runs is not known", name)
		} else {
			text += fmt.Sprintf("; %s runs %s", name, r.Running.Release)
		}
		if r.State == replica.StateStopped || r.State == replica.StateStarting {
			text += " and is " + string(r.State)
		}
		if newest := r.Armed.Newest(); newest > r.Running.Release {
			text += fmt.Sprintf(" and offers %s", newest)
		}
	}
	return text
}

// unseen is what was not checked, or cannot be seen.
func unseen(r *report.FleetReport) []string {
	var texts []string
	add := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	if len(r.Held()) == 0 {
		add("Nothing that this machine knows of vouches for the artifact: checksums in it find damage, not forgery.")
	}
	for _, e := range r.Evidence {
		switch {
		case e.Status != release.StatusNotChecked:
		case e.Kind == report.EvidenceFile:
			add("Whether the artifact has the releases, client minimums and checksum that the plan says was not checked here: %s.", e.Detail)
		default:
			add("The plan says that %s vouches for the artifact; that was not checked here: %s.", e.Kind, e.Detail)
		}
	}
	if r.Plan.Clients == 0 {
		add("Which clients are in use was not said when the plan was made, and tbctl cannot see them.")
	}
	if r.Offline {
		add("No host was asked for this report: what is installed, armed and runs there now is not in it.")
	}
	for index := range r.Hosts {
		h := &r.Hosts[index]
		if h.Problem != nil {
			add("%s: %s.", h.Name, h.Problem.Message)
		}
		if h.CheckNote != "" && len(h.Checks) == 0 && h.Problem == nil && !h.Done(r.Plan) {
			add("%s: no check was made now: %s.", h.Name, h.CheckNote)
		}
		for _, check := range h.Checks {
			if check.Status == verify.NotChecked {
				add("%s: %s was not checked: %s.", h.Name, check.Question, check.Detail)
			}
		}
		if s := h.Status; s != nil {
			for _, each := range s.Unseen {
				add("%s: there may be replicas that were not seen: %s.", h.Name, each.Reason)
			}
			if !s.Observed && len(s.Unseen) == 0 {
				add("%s: not all processes could be looked at.", h.Name)
			}
			if !s.StateObserved {
				add("%s: what is kept beside the target could not be read, so that it is not known whether a rollout has it.", h.Name)
			}
			for index := range s.Replicas {
				for _, unreadable := range s.Replicas[index].Unreadable {
					add("%s: of process %d the %s cannot be read: %s.", h.Name, s.Replicas[index].PID, unreadable.What, unreadable.Reason)
				}
			}
		}
	}
	return append(texts,
		"Times are those of the clocks of the machines that wrote them. Nothing was decided by them.",
		"Whether clients were served meanwhile, and how fast, is not something that tbctl sees.")
}
