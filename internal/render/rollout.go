package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

const digestShown = len("sha256:") + 12 // of a digest, in a table

// FleetPlan shows a plan and what it means for the hosts, or why there is none.
func FleetPlan(out *term.Stream, result *report.FleetPlan) {
	for _, pushed := range result.Pushed {
		out.Printf("%s\n", out.Hang(fmt.Sprintf("%s: tbctl %s was put at %s, SHA-256 %s", pushed.Host, pushed.Version, pushed.Path, pushed.SHA256), 2))
	}
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

// NoWayBack says what the upgrade of these clusters means, all of the plan where none is named. Unless it was compared with the file, what the
// plan says of the file is told as that.
func NoWayBack(plan *fleet.Plan, clusters []string, compared bool) string {
	if len(clusters) == 0 {
		for index := range plan.Clusters {
			clusters = append(clusters, plan.Clusters[index].Name)
		}
	}
	said := ""
	if !compared {
		said = ", as the plan says; the file is not in the store of this machine"
	}
	return fmt.Sprintf("This lets %s run %s. There is no way back to what runs now. Clients must be of %s or later%s.\n",
		strings.Join(clusters, ", "), plan.Artifact.Release, plan.Artifact.ClientMin, said)
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
	if list := plan.Advisories; list != nil {
		fields = append(fields, [2]string{"advisories", fmt.Sprintf("of %s, signed, from %s; hosts warn by them too", term.Printable(list.Checked), term.Printable(list.Repository))})
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
	if len(result.Clusters) == 0 && len(result.Problems) == 0 {
		out.Printf("%s the plan has no cluster: all ran %s already when it was made\n", out.Styles().Good.Render("ok:"), result.Release)
	}
	for index := range result.Clusters {
		if index > 0 {
			out.Println()
		}
		rolloutCluster(out, result, &result.Clusters[index])
	}
	fleetProblems(out, result.Problems)
	if result.Sent > 0 || result.Copied > 0 || result.Had > 0 {
		copied := ""
		if result.Copied > 0 {
			copied = term.Bytes(result.Copied) + " copied between hosts; "
		}
		out.Printf("sent %s; %s%s were there\n", term.Bytes(result.Sent), copied, term.Bytes(result.Had))
	}
	RolloutWays(out, result)
}

func rolloutCluster(out *term.Stream, result *report.Rollout, cluster *report.RolloutCluster) {
	styles := out.Styles()
	head := fmt.Sprintf("generation %d", result.Generation)
	if cluster.Holder != "" {
		head += fmt.Sprintf(", epoch %d, held by %s", cluster.Epoch, term.Printable(cluster.Holder))
	}
	out.Printf("%s\n", out.Hang(fmt.Sprintf("%s %s   %s   %s", styles.Bold.Render("cluster"), cluster.Name, head, styles.Bold.Render(string(cluster.Step))), 2))
	columns := []term.Column{
		{Title: "host"}, {Title: "replica"}, {Title: "staged"}, {Title: "checked", Drop: 1}, {Title: "armed"}, {Title: "running"},
		{Title: "view", Right: true, Drop: 3}, {Title: "lag", Right: true, Drop: 4}, {Title: "peers", Right: true, Drop: 2},
	}
	var rows [][]string
	for index := range cluster.Rows {
		rows = append(rows, rolloutRow(out, &cluster.Rows[index], cluster.Primary, len(cluster.Rows)))
	}
	out.Printf("%s", out.Table(columns, rows))
	out.Printf("%s\n", out.Hang(rolloutState(cluster), 2))
	for _, line := range told(cluster, func(row *report.RolloutHost) []string { return row.Warnings }) {
		out.Printf("%s\n", out.Hang(line.hosts+": "+styles.Warn.Render("warning:")+" "+term.Printable(line.text), 2))
	}
	for _, line := range told(cluster, unanswered) {
		out.Printf("%s\n", out.Hang(line.hosts+": "+styles.Warn.Render("not checked:")+" "+term.Printable(line.text), 2))
	}
	for index := range cluster.Waits {
		p := &cluster.Waits[index]
		out.Printf("%s\n", out.Hang(styles.Dim.Render("waits:")+" "+placed(p), 2))
	}
	for index := range cluster.Misses {
		p := &cluster.Misses[index]
		out.Printf("%s\n", out.Hang(styles.Warn.Render("not stable:")+" "+placed(p), 2))
	}
	fleetProblems(out, cluster.NotRestarted)
	fleetProblems(out, cluster.Problems)
}

// hostsLine is what is to be said of hosts.
type hostsLine struct{ hosts, text string }

// unanswered is what was not checked on a host that was.
func unanswered(row *report.RolloutHost) []string {
	if !row.Checked {
		return nil
	}
	return row.Unanswered
}

// told says once what is to be said of several hosts.
func told(cluster *report.RolloutCluster, of func(*report.RolloutHost) []string) []hostsLine {
	var lines []hostsLine
	var at []map[string]bool
	all := map[string]bool{}
	for index := range cluster.Rows {
		row := &cluster.Rows[index]
		all[row.Name] = true
		text := strings.Join(of(row), "; ")
		if text == "" {
			continue
		}
		known := slices.IndexFunc(lines, func(line hostsLine) bool { return line.text == text })
		if known < 0 {
			lines, at = append(lines, hostsLine{row.Name, text}), append(at, map[string]bool{row.Name: true})
		} else if !at[known][row.Name] {
			at[known][row.Name] = true
			lines[known].hosts += ", " + row.Name
		}
	}
	for index := range lines {
		if count := len(at[index]); count == len(all) && count > 1 {
			lines[index].hosts = fmt.Sprintf("all %d hosts", count)
		}
	}
	return lines
}

// placed is a problem with its host.
func placed(p *fleet.Problem) string {
	if p.Host == "" {
		return term.Printable(p.Message)
	}
	return term.Printable(p.Host + ": " + p.Message)
}

// rolloutState is the line of a cluster below its table.
func rolloutState(c *report.RolloutCluster) string {
	text := fmt.Sprintf("staged %d, checked %d of %d hosts; armed %d of %d", c.Staged, c.Checked, c.Hosts, c.Armed, c.Replicas)
	var unseen []string
	for index := range c.Rows {
		if row := &c.Rows[index]; !row.Seen && !slices.Contains(unseen, row.Name) {
			unseen = append(unseen, row.Name)
		}
	}
	if len(unseen) > 0 {
		text += "; not seen: " + strings.Join(unseen, ", ")
	}
	switch {
	case c.Upgraded > 0:
		text += fmt.Sprintf("; %d of %d run it", c.Upgraded, c.Replicas)
	case c.Armed > 0 && c.Armed < c.Replicas:
		text += "; the cluster runs what it ran for as long as the others do not swap"
	}
	if c.Stable > 0 {
		text += fmt.Sprintf("; stable for %s of %s", c.Stable.Truncate(time.Second), c.StableFor)
	}
	return text
}

func rolloutRow(out *term.Stream, h *report.RolloutHost, primary, members int) []string {
	styles := out.Styles()
	mark := func(done bool) string {
		if done {
			return styles.Good.Render("✓")
		}
		return "-"
	}
	index := fmt.Sprint(h.Replica)
	switch {
	case h.Standby:
		index += " standby"
	case h.Replica == primary:
		index += " *"
	}
	staged := mark(h.Staged)
	if h.Staged && h.Sent > 0 {
		staged += " " + term.Bytes(h.Sent)
	}
	if !h.Seen {
		return []string{h.Name, index, staged, mark(h.Checked), styles.Bad.Render("not seen"), "-", "-", "-", "-"}
	}
	armed, running, view, lag, peers := "-", "-", "-", "-", "-"
	switch {
	case h.Armed != 0:
		armed = styles.Good.Render("✓") + " " + h.Armed.String()
	case h.Holdback:
		armed = "held back"
	}
	switch {
	case h.State == report.StateNone, h.State == string(replica.StateStarting), h.State == string(replica.StateStopped):
		running = styles.Bad.Render(h.State)
	case h.Running != 0:
		running = h.Running.String()
	}
	if h.Runs {
		view = fmt.Sprint(h.View)
	}
	if h.Lag >= 0 {
		lag = fmt.Sprint(h.Lag)
	}
	if h.Peers >= 0 {
		peers = fmt.Sprintf("%d/%d", h.Peers, members-1)
	}
	return []string{h.Name, index, staged, mark(h.Checked), armed, running, view, lag, peers}
}

// RolloutWays shows the commands that undo what was done and that go on, the last lines.
func RolloutWays(out *term.Stream, result *report.Rollout) {
	var back, on []string
	for index := range result.Clusters {
		back, on = oneCommand(back, result.Clusters[index].WayBack), oneCommand(on, result.Clusters[index].WayOn)
	}
	styles := out.Styles()
	for _, way := range back {
		out.Printf("%s  %s\n", styles.Accent.Render("way back:"), way)
	}
	for _, way := range on {
		out.Printf("%s  %s\n", styles.Accent.Render("way on:  "), way)
	}
}

// oneCommand adds a command whose last word is a cluster to others, as one more word of the command that is the same but for that.
func oneCommand(commands []string, command string) []string {
	if command == "" {
		return commands
	}
	space := strings.LastIndexByte(command, ' ')
	for index, other := range commands {
		if strings.HasPrefix(other, command[:space+1]) {
			commands[index] += command[space:]
			return commands
		}
	}
	return append(commands, command)
}

// RolloutChange is a change in one line.
func RolloutChange(out *term.Stream, change *report.RolloutChange) string {
	styles := out.Styles()
	style := styles.Accent
	switch change.What {
	case "problem", "lost":
		style = styles.Bad
	case "miss", "disarmed":
		style = styles.Warn
	}
	place := change.Cluster
	if change.Host != "" {
		place += " " + change.Host
	}
	return term.Printable(place) + ": " + style.Render(change.What+":") + " " + term.Printable(change.Message)
}
