package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

const digestShown = len("sha256:") + 12 // of a digest, in a table

// FleetPlan shows a plan and what it means for the hosts, or why there is none.
func FleetPlan(out *term.Stream, result *report.FleetPlan) {
	if plan := result.Plan; plan != nil {
		planHead(out, result, plan)
		for index := range plan.Clusters {
			out.Println()
			plannedCluster(out, &plan.Clusters[index], plan)
		}
	}
	fleetProblems(out, result.Problems)
	if result.Next != "" {
		out.Printf("%s  %s\n", out.Styles().Accent.Render("next:"), result.Next)
	}
}

func planHead(out *term.Stream, result *report.FleetPlan, plan *fleet.Plan) {
	artifact := &plan.Artifact
	vouched := "nothing vouches for it"
	if len(artifact.Vouched) > 0 {
		vouched = "vouched for by " + strings.Join(artifact.Vouched, ", ")
	}
	hosts := 0
	for index := range plan.Clusters {
		hosts += len(plan.Clusters[index].Hosts)
	}
	clients := "must be of " + artifact.ClientMin.String() + " or later"
	if plan.Clients != 0 {
		clients += "; the oldest in use is " + plan.Clients.String() + ", as you say"
	} else {
		clients += "; which are in use you have not said: --clients RELEASE"
	}
	fields := [][2]string{
		{"release", fmt.Sprintf("%s for %s, %s", artifact.Release, artifact.Platform, term.Bytes(artifact.Size))},
		{"artifact", artifact.SHA256}, {"from", term.Printable(artifact.Source)}, {"trust", term.Printable(vouched)}, {"clients", clients},
		{"generation", fmt.Sprint(plan.Generation)}, {"to send", fmt.Sprintf("%s to %d hosts", term.Bytes(result.Send), hosts)},
	}
	if result.File != "" {
		fields = append(fields, [2]string{"plan", term.Printable(result.File)}, [2]string{"id", result.ID})
	}
	Fields(out, fields)
}

func plannedCluster(out *term.Stream, cluster *fleet.PlannedCluster, plan *fleet.Plan) {
	styles := out.Styles()
	way := []string{cluster.Running.String()}
	for _, hop := range cluster.Hops {
		way = append(way, hop.String())
	}
	out.Printf("%s %s   wave %d, %s, %s\n", styles.Bold.Render("cluster"), cluster.Name, cluster.Wave, replicasText(cluster), strings.Join(way, " → "))
	if len(cluster.Hops) > 1 {
		out.Printf("  it stops at %s on its way: each stop starts every replica again\n", releasesText(cluster.Hops[:len(cluster.Hops)-1]))
	}
	if cluster.Soak > 0 {
		out.Printf("  after it %s pass before the next wave\n", cluster.Soak)
	}
	columns := []term.Column{{Title: "host"}, {Title: "replica"}, {Title: "target", Drop: 3}, {Title: "previous", Drop: 2}, {Title: "to send", Right: true}}
	var rows [][]string
	for index := range cluster.Hosts {
		h := &cluster.Hosts[index]
		previous := h.Previous
		if len(previous) > digestShown {
			previous = previous[:digestShown]
		}
		rows = append(rows, []string{h.Name, hostReplicas(h), h.Target, previous, term.Bytes(h.Lacks)})
	}
	out.Printf("%s", out.Table(columns, rows))
	switch {
	case cluster.Holdback >= cluster.Replicas:
		out.Printf("no arm step: promote swaps %s, and then it upgrades\n", theReplicas(cluster.Replicas))
	default:
		out.Printf("arm swaps %d of its %d replicas; promote swaps the last %d, and then it upgrades\n", cluster.Replicas-cluster.Holdback, cluster.Replicas, cluster.Holdback)
	}
}

func theReplicas(count int) string {
	if count == 1 {
		return "its only replica"
	}
	return fmt.Sprintf("its %d replicas", count)
}

// hostReplicas names the replicas of a target.
func hostReplicas(h *fleet.PlannedHost) string {
	var words []string
	for _, r := range h.Replicas {
		word := fmt.Sprint(r.Index)
		if r.Standby {
			word += " standby"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func replicasText(cluster *fleet.PlannedCluster) string {
	text := fmt.Sprintf("%d replicas", cluster.Replicas)
	if cluster.Replicas == 1 {
		text = "1 replica"
	}
	switch cluster.Standbys {
	case 0:
		return text
	case 1:
		return text + " and 1 standby"
	}
	return fmt.Sprintf("%s and %d standbys", text, cluster.Standbys)
}

func releasesText(releases []multiversion.Release) string {
	var words []string
	for _, release := range releases {
		words = append(words, release.String())
	}
	return strings.Join(words, ", ")
}

// fleetProblems shows each obstacle with its place and what to do.
func fleetProblems(out *term.Stream, problems []fleet.Problem) {
	styles := out.Styles()
	label := func(p *fleet.Problem) term.Style {
		if p.Note {
			return styles.Warn
		}
		return styles.Bad
	}
	for index := range problems {
		p := &problems[index]
		out.Printf("%s\n", out.Hang(problemPlace(p)+label(p).Render(string(p.Reason)+":")+" "+term.Printable(p.Message), 2))
		if p.Hint != "" {
			out.Printf("  %s\n", out.Hang(styles.Accent.Render("hint:")+" "+term.Printable(p.Hint), 2))
		}
	}
}

// problemPlace says where a problem is.
func problemPlace(p *fleet.Problem) string {
	var words []string
	if p.Cluster != "" {
		words = append(words, "cluster "+term.Printable(p.Cluster))
	}
	if p.Host != "" {
		words = append(words, "host "+term.Printable(p.Host))
	}
	if p.Replica >= 0 {
		words = append(words, fmt.Sprintf("replica %d", p.Replica))
	}
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, ", ") + ": "
}

// Rollout shows how far a rollout is: a table for each cluster, what it waits for, and the ways back and on.
func Rollout(out *term.Stream, result *report.Rollout) {
	for index := range result.Clusters {
		if index > 0 {
			out.Println()
		}
		rolloutCluster(out, result, &result.Clusters[index])
	}
	if result.Sent > 0 || result.Had > 0 {
		out.Printf("sent %s, and %s were there\n", term.Bytes(result.Sent), term.Bytes(result.Had))
	}
	RolloutWays(out, result)
}

func rolloutCluster(out *term.Stream, result *report.Rollout, cluster *report.RolloutCluster) {
	styles := out.Styles()
	head := fmt.Sprintf("generation %d", result.Generation)
	if result.Epoch > 0 {
		head += fmt.Sprintf(", epoch %d", result.Epoch)
	}
	if cluster.Holder != "" {
		head += ", held by " + term.Printable(cluster.Holder)
	}
	out.Printf("%s %s   %s   %s\n", styles.Bold.Render("cluster"), cluster.Name, head, styles.Bold.Render(cluster.State))
	columns := []term.Column{
		{Title: "host"}, {Title: "replica"}, {Title: "staged"}, {Title: "checked", Drop: 1}, {Title: "armed"}, {Title: "running"},
		{Title: "view", Right: true, Drop: 3}, {Title: "lag", Right: true, Drop: 4}, {Title: "peers", Right: true, Drop: 2},
	}
	var rows [][]string
	for index := range cluster.Hosts {
		rows = append(rows, rolloutRow(out, &cluster.Hosts[index], len(cluster.Hosts)))
	}
	out.Printf("%s", out.Table(columns, rows))
	if cluster.Waits != "" {
		text := cluster.State + ": " + cluster.Waits
		if cluster.Stable > 0 {
			text += fmt.Sprintf("; stable for %s", time.Duration(cluster.Stable).Truncate(time.Second))
		}
		out.Printf("%s\n", out.Hang(term.Printable(text), 2))
	}
	fleetProblems(out, cluster.Problems)
}

func rolloutRow(out *term.Stream, h *report.RolloutHost, members int) []string {
	styles := out.Styles()
	mark := func(done bool) string {
		if done {
			return styles.Good.Render("✓")
		}
		return "-"
	}
	replica := fmt.Sprint(h.Replica)
	if h.Standby {
		replica += " standby"
	}
	if !h.Seen {
		return []string{h.Name, replica, mark(h.Staged), mark(h.Checked), styles.Bad.Render("not seen"), "-", "-", "-", "-"}
	}
	staged, armed := mark(h.Staged), "-"
	if h.Staged && h.Sent > 0 {
		staged += " " + term.Bytes(h.Sent)
	}
	switch {
	case h.Armed != 0:
		armed = styles.Good.Render("✓") + " " + h.Armed.String()
	case h.Holdback:
		armed = "held back"
	}
	running, lag, peers := "-", "-", "-"
	if h.Running != 0 {
		running = h.Running.String()
	}
	if h.Lag >= 0 {
		lag = fmt.Sprint(h.Lag)
	}
	if h.Peers >= 0 {
		peers = fmt.Sprintf("%d/%d", h.Peers, members-1)
	}
	return []string{h.Name, replica, staged, mark(h.Checked), armed, running, fmt.Sprint(h.View), lag, peers}
}

// RolloutWays shows the commands that undo what was done and that go on, where a cluster waits for one of them.
func RolloutWays(out *term.Stream, result *report.Rollout) {
	styles := out.Styles()
	var back, on []string
	for index := range result.Clusters {
		back, on = appendNew(back, result.Clusters[index].WayBack), appendNew(on, result.Clusters[index].WayOn)
	}
	for _, way := range back {
		out.Printf("%s  %s\n", styles.Accent.Render("way back:"), way)
	}
	for _, way := range on {
		out.Printf("%s  %s\n", styles.Accent.Render("way on:  "), way)
	}
}

// appendNew appends a text that is not empty and not there.
func appendNew(texts []string, text string) []string {
	for _, there := range texts {
		if there == text {
			return texts
		}
	}
	if text == "" {
		return texts
	}
	return append(texts, text)
}
