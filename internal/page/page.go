// Package page makes one HTML page of the report of a rollout. It needs no network and no script: style and
// pictures are in it, and a content security policy lets nothing else in. Whatever came from outside is escaped, and
// what would turn the direction of a text, or is a control character, is replaced.
package page

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

// failuresMax is how many requests that failed the page has, the newest.
const failuresMax = 200

//go:embed page.html
var source string

//go:embed page.css
var style string

// Write writes the page.
func Write(to io.Writer, r *report.FleetReport) error {
	page, err := template.New("page").Funcs(functions).Parse(source)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var text bytes.Buffer
	if err := page.Execute(&text, newView(r)); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	lines := strings.SplitAfter(text.String(), "\n")
	for index, line := range lines {
		content, end := strings.CutSuffix(line, "\n")
		if lines[index] = term.Printable(strings.ToValidUTF8(content, "\ufffd")); end {
			lines[index] += "\n"
		}
	}
	_, err = io.WriteString(to, strings.Join(lines, ""))
	return err
}

// view is the report as the page has it.
type view struct {
	*report.FleetReport

	Style    template.CSS
	Clusters []clusterView
	Counts   []count                 // of the requests, by kind
	Failures []report.ReportedAsking // the newest last
	Hidden   int                     // failures that are not among them
	Tally    report.Tally
	Replicas string // how it is with them
}

type clusterView struct {
	*fleet.PlannedCluster

	Hosts []hostView
}

type hostView struct {
	*report.ReportedHost

	Plan  *fleet.PlannedHost
	State string // in a few words
	Good  string // good, bad or open: what the words mean, never told by colour alone
	Rows  []row
}

// row is a stretch of a host's timeline that a phone has room for.
type row struct {
	Marks              []mark
	Width, First, Last int
}

// mark is one moment in the picture of a host's timeline, with the number that it has in the list.
type mark struct {
	Number, X, Before int    // Before: where the mark before it is
	Shape             string // circle: done, diamond: seen, square: failed
}

type count struct {
	Request      string
	Done, Failed int
	Bytes        int64
}

func newView(r *report.FleetReport) *view {
	v := &view{FleetReport: r, Style: template.CSS(style), Tally: r.Tally()} // our own
	v.Replicas = v.Tally.ReplicasText(r.Plan.Artifact.Release.String())
	for c := range r.Plan.Clusters {
		cluster := clusterView{PlannedCluster: &r.Plan.Clusters[c]}
		for h := range cluster.PlannedCluster.Hosts {
			planned := &cluster.PlannedCluster.Hosts[h]
			for index := range r.Hosts {
				if shown := &r.Hosts[index]; shown.Name == planned.Name && shown.Target == planned.Target {
					cluster.Hosts = append(cluster.Hosts, newHostView(r, shown, planned))
				}
			}
		}
		v.Clusters = append(v.Clusters, cluster)
	}
	at := make(map[string]int)
	for index := range r.Requests {
		q := &r.Requests[index]
		if _, known := at[q.Request]; !known {
			at[q.Request] = len(v.Counts)
			v.Counts = append(v.Counts, count{Request: q.Request})
		}
		c := &v.Counts[at[q.Request]]
		c.Bytes += q.Bytes
		if q.Result == fault.None {
			c.Done++
			continue
		}
		c.Failed++
		v.Failures = append(v.Failures, *q)
	}
	if v.Hidden = max(0, len(v.Failures)-failuresMax); v.Hidden > 0 {
		v.Failures = v.Failures[v.Hidden:]
	}
	return v
}

func newHostView(r *report.FleetReport, shown *report.ReportedHost, planned *fleet.PlannedHost) hostView {
	const first, step, rowMax = 20, 36, 7
	v := hostView{ReportedHost: shown, Plan: planned}
	switch {
	case shown.Done(r.Plan):
		v.State, v.Good = "runs "+r.Plan.Artifact.Release.String(), "good"
	case len(shown.Differs) > 0:
		v.State, v.Good = "not as planned", "bad"
	case shown.Problem != nil:
		v.State, v.Good = "could not be looked at", "bad"
	case shown.Status == nil:
		v.State, v.Good = "not asked", "open"
	case shown.Status.Installed != nil && sha.Name(shown.Status.Installed.SHA256) == r.Plan.Artifact.SHA256:
		v.State, v.Good = "the new file is installed", "open"
	default:
		v.State, v.Good = "as before the plan", "open"
	}
	for index, moment := range shown.Moments {
		at := index % rowMax
		m := mark{Number: index + 1, X: first + at*step, Before: first + max(0, at-1)*step, Shape: "circle"}
		switch moment.What {
		case "failed":
			m.Shape = "square"
		case "armed", "running", "stable", "seen":
			m.Shape = "diamond"
		}
		if at == 0 {
			v.Rows = append(v.Rows, row{First: m.Number})
		}
		r := &v.Rows[len(v.Rows)-1]
		r.Marks, r.Last, r.Width = append(r.Marks, m), m.Number, m.X+first
	}
	return v
}

var functions = template.FuncMap{
	"bytes": term.Bytes,
	"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"took":  func(d time.Duration) string { return d.Round(time.Millisecond).String() },
	"join":  strings.Join,
	"releases": func(releases []multiversion.Release) string {
		var words []string
		for _, release := range releases {
			words = append(words, release.String())
		}
		return strings.Join(words, ", ")
	},
	"release": func(release multiversion.Release) string {
		if release == 0 {
			return "not known"
		}
		return release.String()
	},
	"armed": func(r *host.Replica) string {
		for _, unreadable := range r.Unreadable {
			if unreadable.What == "fd" && r.Armed == nil {
				return "cannot be seen"
			}
		}
		switch {
		case r.Armed == nil:
			return "no"
		case r.Armed.Newest() == 0:
			return r.Armed.Current.String() + " in memory; what it offers is not known"
		}
		return r.Armed.Current.String() + " in memory, offers " + r.Armed.Newest().String()
	},
	"serves": func(r *host.Replica) string {
		switch {
		case r.Answer != nil:
			return fmt.Sprintf("yes, in view %d", r.Answer.View)
		case r.NoAnswer != "":
			return "no: " + r.NoAnswer
		case r.Superblock != nil && r.Superblock.Standby:
			return "not asked: a standby never answers"
		}
		return "not asked: it is " + string(r.State)
	},
	"peers": func(r *host.Replica) string {
		if r.Peers == nil {
			return "cannot be seen"
		}
		return fmt.Sprintf("%d of %d", r.Peers.Connected, r.Peers.Others)
	},
	"name": func(r *host.Replica) string {
		if r.Superblock == nil {
			return fmt.Sprintf("process %d", r.PID)
		}
		if r.Superblock.Standby {
			return fmt.Sprintf("standby %d", r.Superblock.ReplicaIndex)
		}
		return fmt.Sprintf("replica %d", r.Superblock.ReplicaIndex)
	},
	"way": func(c *fleet.PlannedCluster) string {
		words := []string{c.Running.String()}
		for _, hop := range c.Hops {
			words = append(words, hop.String())
		}
		return strings.Join(words, " → ")
	},
	"replicas": func(s *report.Status) []*host.Replica {
		var replicas []*host.Replica
		for index := range s.Replicas {
			if s.Replicas[index].Counts() {
				replicas = append(replicas, &s.Replicas[index])
			}
		}
		return replicas
	},
	"sub": func(a, b int) int { return a - b },
	"add": func(a, b int) int { return a + b },
}
