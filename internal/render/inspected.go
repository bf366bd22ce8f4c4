package render

import (
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

// binary shows what a binary says of itself.
func binary(out *term.Stream, name string, report *inspect.Report) {
	styles := out.Styles()
	name = term.Printable(name)
	kind := report.Binary.Format.String() + " " + string(report.Platform) + ", " + term.Bytes(report.Size)
	gap := term.Block("  ")
	if len(name)+len(gap)+len(kind) > out.Width() {
		gap = "\n"
	}
	out.Printf("%s%s%s\n", styles.Bold.Render(name), gap, kind)
	for index := range report.Images {
		image := &report.Images[index]
		out.Println()
		showImage(out, report, image)
	}
	out.Println()
	fileMap(out, report)
	for _, running := range report.Running {
		out.Println()
		offered(out, report, running)
	}
	for _, remark := range report.Remarks {
		out.Printf("\n%s %s\n", styles.Warn.Render("remark:"), remark.Detail)
	}
}

func showImage(out *term.Stream, report *inspect.Report, image *inspect.Image) {
	current := image.Current
	fields := [][2]string{
		{"architecture", string(image.Arch)},
		{"current release", out.Styles().Bold.Render(current.Release.String())},
	}
	if current.GitCommit != (multiversion.Commit{}) {
		fields = append(fields, [2]string{"commit", current.GitCommit.String()}, [2]string{"oldest client", current.ClientMin.String()})
	}
	build := "release"
	if current.Debug {
		build = "debug"
	}
	fields = append(fields, [2]string{"build", build})
	Fields(out, fields)
	out.Println()
	columns := []term.Column{
		{Title: "release"}, {Title: "visit"}, {Title: "build", Drop: 3}, {Title: "size", Right: true, Drop: 2},
		{Title: "client min", Drop: 4}, {Title: "commit", Drop: 5}, {Title: "checksum", Drop: 6},
	}
	var rows [][]string
	for _, release := range image.Releases {
		rows = append(rows, releaseRow(out, release))
	}
	out.Printf("%s", out.Table(columns, rows))
}

func releaseRow(out *term.Stream, release inspect.Release) []string {
	name, visit, build := release.Release.String(), "", "release"
	if release.Current {
		name = out.Styles().Bold.Render(name) + " current"
	} else if release.Visit {
		visit = "must stop"
	}
	if release.Debug {
		build = "debug"
	}
	clientMin, commit := "-", "-"
	if release.ClientMin != 0 {
		clientMin = release.ClientMin.String()
	}
	if release.GitCommit != (multiversion.Commit{}) {
		commit = release.GitCommit.String()[:12]
	}
	return []string{name, visit, build, term.Bytes(release.Size), clientMin, commit, release.Checksum.String()}
}

// Fields prints names and values in two columns.
func Fields(out *term.Stream, fields [][2]string) {
	width := 0
	for _, field := range fields {
		width = max(width, len(field[0]))
	}
	for _, field := range fields {
		out.Printf("%s  %s\n", out.Styles().Dim.Render(fmt.Sprintf("%-*s", width, field[0])), out.Hang(field[1], width+2))
	}
}

// fileMap draws the file to scale: one bar, and below it what its stretches are.
func fileMap(out *term.Stream, report *inspect.Report) {
	const widthMax = 100
	width := min(out.Width(), widthMax)
	marks := []string{"█", "▓", "▒", "░"}
	styles := out.Styles()
	var bar strings.Builder
	var legend [][]string
	shown := 0
	for _, stretch := range report.Stretches {
		mark, style := " ", styles.Dim
		if stretch.Kind != inspect.StretchPadding {
			mark, style = marks[shown%len(marks)], styles.Parts[shown%len(styles.Parts)]
			shown++
		}
		from := columnOf(stretch.Offset, report.Size, width)
		until := columnOf(stretch.Offset+stretch.Size, report.Size, width)
		bar.WriteString(style.Render(strings.Repeat(mark, until-from)))
		legend = append(legend, []string{
			style.Render(mark), fmt.Sprint(stretch.Offset), fmt.Sprint(stretch.Size),
			fmt.Sprintf("%.1f %%", 100*float64(stretch.Size)/float64(report.Size)), stretchName(stretch, len(report.Images) > 1),
		})
	}
	out.Println(strings.TrimRight(bar.String(), " "))
	out.Printf("%s", out.Table([]term.Column{
		{Title: ""}, {Title: "offset", Right: true, Drop: 1}, {Title: "size", Right: true}, {Title: "share", Right: true, Drop: 2}, {Title: "what"},
	}, legend))
}

// columnOf scales an offset to a column.
func columnOf(offset, size int64, width int) int {
	return int((offset*int64(width) + size/2) / size)
}

func stretchName(stretch inspect.Stretch, universal bool) string {
	arch := ""
	if universal && stretch.Arch != "" {
		arch = " (" + string(stretch.Arch) + ")"
	}
	switch stretch.Kind {
	case inspect.StretchExecutable:
		return "executable of " + stretch.Release.String() + arch
	case inspect.StretchPast:
		return "past " + stretch.Release.String() + arch
	case inspect.StretchSectionTable:
		return "section table"
	}
	return string(stretch.Kind) + arch
}

func offered(out *term.Stream, report *inspect.Report, running inspect.Running) {
	where := running.Release.String()
	if len(report.Images) > 1 {
		where += " on " + string(running.Arch)
	}
	if !running.Contained {
		out.Printf("%s a replica at %s refuses this file: it does not hold that release\n", out.Styles().Bad.Render("no:"), where)
		return
	}
	out.Printf("A replica at %s is offered %s.\n", where, Releases(running.Offered))
	if running.Stop != 0 {
		out.Printf("It must stop at %s (visit) before it goes on.\n", running.Stop)
	}
}

// Releases joins releases for a sentence.
func Releases(releases []multiversion.Release) string {
	texts := make([]string, len(releases))
	for index, release := range releases {
		texts[index] = release.String()
	}
	return strings.Join(texts, ", ")
}

// Inspected shows what a file says of itself: a binary or a data file.
func Inspected(out *term.Stream, result report.InspectedFile) {
	name := result.File
	if name == "-" {
		name = "standard input"
	}
	if result.Archive != nil {
		name += " (" + result.Archive.Entry + ")"
	}
	if result.DataFile != nil {
		superblock(out, name, result.DataFile)
		return
	}
	binary(out, name, result.Binary)
}

func superblock(out *term.Stream, name string, s *datafile.Superblock) {
	out.Printf("%s  TigerBeetle data file\n\n", out.Styles().Bold.Render(term.Printable(name)))
	replica := fmt.Sprintf("%d of %d", s.ReplicaIndex, s.ReplicaCount)
	if s.Standby {
		replica = fmt.Sprintf("standby %d", s.ReplicaIndex)
	}
	valid := 0
	for _, state := range s.Copies {
		if state.Valid && state.Agrees {
			valid++
		}
	}
	Fields(out, [][2]string{
		{"release", out.Styles().Bold.Render(s.Release.String()) + " (a binary for this data must hold it)"},
		{"formatted by", s.ReleaseFormat.String()},
		{"cluster", s.Cluster.String()},
		{"replica", replica},
		{"sequence", fmt.Sprint(s.Sequence)},
		{"checkpoint", fmt.Sprintf("op %d, committed up to %d", s.CheckpointOp, s.CommitMax)},
		{"superblock", fmt.Sprintf("version %d, %d of %d copies agree", s.Version, valid, len(s.Copies))},
	})
	for index, state := range s.Copies {
		if state.Problem != "" {
			out.Printf("%s copy %d: %s\n", out.Styles().Warn.Render("remark:"), index, state.Problem)
		}
	}
}
