package render

import (
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

// FleetReport shows where the report of a rollout is, and how it is with it in a few lines.
func FleetReport(out *term.Stream, r *report.FleetReport) {
	t := r.Tally()
	hosts := fmt.Sprintf("%d of %d targets have the file and run %s; %d could be looked at as a whole", t.Done, t.Targets, r.Plan.Artifact.Release, t.Seen)
	replicas := t.ReplicasText(r.Plan.Artifact.Release.String())
	if r.Offline {
		hosts, replicas = fmt.Sprintf("none of the %d targets was asked", t.Targets), "not asked"
	}
	failed := 0
	for index := range r.Requests {
		if r.Requests[index].Result != "" {
			failed++
		}
	}
	trust := "nothing that is known here"
	if held := r.Held(); len(held) > 0 {
		trust = strings.Join(held, ", ")
	}
	if claimed := r.Claimed(); len(claimed) > 0 {
		trust += "; the plan says: " + strings.Join(claimed, ", ") + ", not checked here"
	}
	if failed := r.Failed(); len(failed) > 0 {
		trust += "; against it: " + strings.Join(failed, ", ")
	}
	Fields(out, [][2]string{
		{"report", term.Printable(r.Page)}, {"plan", r.ID}, {"vouched for by", term.Printable(trust)}, {"hosts", hosts}, {"replicas", replicas},
		{"requests", fmt.Sprintf("%d from here, of which %d failed", len(r.Requests), failed)},
		{"not known", fmt.Sprintf("%d things, see the end of the report", len(r.Unseen))},
	})
	for index := range r.Hosts {
		h := &r.Hosts[index]
		if problem := h.Problem; problem != nil {
			out.Printf("%s %s: %s\n", out.Styles().Bad.Render("not seen"), term.Printable(h.Name), term.Printable(problem.Message))
		}
		if len(h.Differs) > 0 {
			out.Printf("%s %s: %s\n", out.Styles().Bad.Render("differs"), term.Printable(h.Name), term.Printable(strings.Join(h.Differs, "; ")))
		}
	}
}
