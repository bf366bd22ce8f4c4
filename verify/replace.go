package verify

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/multiversion"
)

// Upstream's names for the two reasons for which a replica refuses a new file.
const (
	RuleRunningNotIncluded = "RunningVersionNotIncluded"
	RuleNotSuperset        = "NotSuperset"
)

// NeedKind says why a release is needed.
type NeedKind string

// The kinds of needs.
const (
	NeedRunning NeedKind = "running"   // a process runs it
	NeedData    NeedKind = "data-file" // a data file was last checkpointed with it
)

// Need is a release that the new file must hold.
type Need struct {
	Release multiversion.Release `json:"release"`
	Why     NeedKind             `json:"why"`
	Source  string               `json:"source,omitempty"` // for messages: the process, the data file, the flag

	// Armed are the releases that the process is known to have offered, from
	// the header in its memory; nil if that is not known. What it offers of the installed
	// file counts, too, unless it refuses that file.
	Armed []multiversion.Release `json:"armed,omitempty"`
}

// Installed is what stands at the path of the binary now. The zero value says
// that nothing does.
type Installed struct {
	Binary *multiversion.Binary // a multiversion binary
	Plain  *Plain               // an executable without multiversion sections
	Err    error                // something else, or a damaged file
}

// Plain is an executable without multiversion sections, such as 0.15.3.
type Plain struct {
	Format  multiversion.Format
	Arch    multiversion.Arch
	Release multiversion.Release // what the caller knows, or 0
}

// InstalledFrom looks at the installed file of size bytes. If it is an executable
// without multiversion sections, fromPlain is its release, or 0 if that is not known.
// It never fails: what cannot be parsed is kept in Err.
func InstalledFrom(r io.ReaderAt, size int64, fromPlain multiversion.Release) Installed {
	binary, err := multiversion.Parse(r, size)
	if err == nil {
		return Installed{Binary: binary}
	}
	if !multiversion.IsPlain(err) {
		return Installed{Err: err}
	}
	format, arch, err := multiversion.Identify(r, size)
	if err != nil {
		return Installed{Err: err}
	}
	return Installed{Plain: &Plain{Format: format, Arch: arch, Release: fromPlain}}
}

// ReplaceOptions say what is known of the cluster and what the caller takes upon
// itself. The zero value knows nothing and allows nothing.
type ReplaceOptions struct {
	// Advisories are what is known of releases; nil: what is built in.
	Advisories *advisory.List

	// Needs are the releases known to be needed. If there is none, the installed
	// file's current release is, and its past ones may be.
	Needs []Need

	// Unseen are the reasons why replicas may run from the installed file that nobody has
	// seen. Each may run any release of that file, so that the new one must hold them all,
	// unless Settled says that it is known otherwise what is needed.
	Unseen  []string
	Settled bool

	// Reached is the newest release that the cluster is known to have come to. The new file must
	// hold it, unless Said: the operator has said what the cluster needs now. It tells
	// nothing of what is needed besides, since the cluster may have gone on.
	Reached Reached
	Said    bool

	// Stopped says that no replica runs from the installed file: what was
	// offered before is forgotten.
	Stopped bool

	// Restart says that the replicas are restarted from the new file, before their cluster can upgrade: what they
	// have offered is forgotten then. What they run, and their data, they need all the same.
	Restart bool

	// Host is the platform that the file shall run on, or "" if that does not matter.
	Host multiversion.Platform

	// AllowDowngrade makes an older current release a remark.
	AllowDowngrade bool

	// Back says that the file stood at the path before and is put back on purpose.
	// It lacks the newer releases by nature, so that something must tell which one is
	// needed: where nothing does, that is not known, and not that none is.
	Back bool
}

// Hop is one step of an upgrade.
type Hop struct {
	Release multiversion.Release `json:"release"`
	Visit   bool                 `json:"visit"` // the cluster must run it before it goes on
}

// Path is the way that a cluster takes to the new file's current release.
type Path struct {
	From multiversion.Release `json:"from"`
	Hops []Hop                `json:"hops"` // none if it runs that release already
	Arch multiversion.Arch    `json:"arch,omitempty"`
}

// PathFrom returns the way of a cluster that runs a release to the current one of the header.
func PathFrom(header *multiversion.Header, from multiversion.Release) Path {
	path := Path{From: from}
	for at := from; at < header.Current.Release; {
		stop, visit := header.VisitStop(at)
		if !visit {
			stop = header.Current.Release
		}
		path.Hops = append(path.Hops, Hop{Release: stop, Visit: visit})
		at = stop
	}
	return path
}

// Stops says in words what it means that there are stops on the way, and nothing if there are none.
func (p Path) Stops() string {
	if len(p.Hops) < 2 {
		return ""
	}
	return fmt.Sprintf("each stop restarts every replica, %d times in all", len(p.Hops))
}

// String shows the path: "0.17.6 → 0.17.7 (visit) → 0.17.8".
func (p Path) String() string {
	var text strings.Builder
	text.WriteString(p.From.String())
	for _, hop := range p.Hops {
		text.WriteString(" → " + hop.Release.String())
		if hop.Visit {
			text.WriteString(" (visit)")
		}
	}
	return text.String()
}

// ReplaceReport is the judgement of whether one file may replace another.
type ReplaceReport struct {
	// Ok is whether nothing failed and everything needed was known.
	Ok bool `json:"ok"`

	// Diagnosis is the first reason why not, in one line. It is empty if Ok.
	Diagnosis string `json:"diagnosis,omitempty"`

	// Identical is whether the installed file has the same bytes, by its checksums.
	Identical bool `json:"identical"`

	Paths    []Path    `json:"paths,omitempty"`
	Findings []Finding `json:"findings"`

	next multiversion.Release
}

// Behind reports whether the new file's own release is older than the one that a finding is about: no release in between
// leads there.
func (r *ReplaceReport) Behind(finding Finding) bool { return r.next < finding.Release }

// Subjects are the releases, besides the file's own, of which an advisory may be worth telling: those at which the
// cluster stops on its way, and those that a replica runs and leaves.
func (r *ReplaceReport) Subjects() []advisory.Subject {
	var subjects []advisory.Subject
	for _, path := range r.Paths {
		for _, hop := range path.Hops {
			if hop.Visit {
				subjects = append(subjects, advisory.Subject{About: advisory.AboutHop, Release: hop.Release})
			}
		}
	}
	for _, finding := range r.Findings {
		if finding.Name == CheckRestart {
			subjects = append(subjects, advisory.Subject{About: advisory.AboutLeaving, Release: finding.Release})
		}
	}
	return subjects
}

// Replace judges whether next may take the place of the installed file. Both
// should have passed [File]: only headers are compared here, and nothing is read.
func Replace(next *multiversion.Binary, installed Installed, options ReplaceOptions) ReplaceReport {
	c := comparison{next: next, installed: installed, options: options}
	c.platform()
	if len(c.findings.failed(CheckPlatform)) > 0 {
		c.notCompared()
	} else {
		c.sizeLimit()
		c.releases()
		c.sameFile()
	}
	report := ReplaceReport{Identical: c.identical, Paths: c.paths, Findings: c.findings, Ok: true, next: next.Current()}
	for _, finding := range c.findings {
		required := finding.Name == CheckRunning || finding.Name == CheckOverlap || finding.Name == CheckInstalled
		if finding.Status == Failed || (finding.Status == NotChecked && required) {
			report.Ok = false
			report.Diagnosis = finding.Detail
			if finding.Rule != "" {
				report.Diagnosis = finding.Rule + ": " + finding.Detail
			}
			break
		}
	}
	return report
}

// comparison is one run of Replace.
type comparison struct {
	next      *multiversion.Binary
	installed Installed
	options   ReplaceOptions

	findings  findings
	paths     []Path
	identical bool
}

func (c *comparison) platform() {
	next := c.next.Platform()
	compare := func(with multiversion.Platform, whose string) {
		finding := Finding{Name: CheckPlatform, Status: statusOf(next == with), Expected: string(with), Found: string(next)}
		if finding.Status == Failed {
			finding.Detail = fmt.Sprintf("the new file is for %s, but %s is %s", next, whose, with)
		}
		c.findings.add(finding)
	}
	if c.options.Host != "" {
		compare(c.options.Host, "this host")
	}
	if binary := c.installed.Binary; binary != nil {
		compare(binary.Platform(), "the installed file")
	}
	if plain := c.installed.Plain; plain != nil {
		compare(multiversion.PlatformOf(plain.Format, plain.Arch), "the installed file")
	}
}

// notCompared says of a file for another platform that nothing else of it was compared:
// its executables have other bytes by nature, and no replica here could run them.
func (c *comparison) notCompared() {
	check := CheckOverlap
	if len(c.options.Needs) > 0 {
		check = CheckRunning
	}
	c.findings.add(Finding{Name: check, Status: NotChecked, Detail: "files for different platforms are not compared"})
}

// sizeLimit takes the limit of the replicas that will read the file: the one that
// runs from the installed file, unless it is stopped, and later the new one itself.
func (c *comparison) sizeLimit() {
	debug := c.next.Debug()
	if binary := c.installed.Binary; binary != nil && !c.options.Stopped {
		debug = debug && binary.Debug()
	}
	limit := multiversion.SizeLimit(c.next.Format, debug)
	finding := Finding{
		Name: CheckSizeLimit, Status: statusOf(c.next.Size < limit),
		Expected: fmt.Sprintf("less than %d bytes", limit), Found: fmt.Sprintf("%d bytes", c.next.Size),
	}
	if finding.Status == Failed {
		finding.Detail = fmt.Sprintf("a running replica crashes on a file of %d bytes or more, and the new file has %d", limit, c.next.Size)
	}
	c.findings.add(finding)
}

// releases compares the headers of each architecture. Where all give the same
// findings, as they do in every universal file that upstream builds, they are reported once.
func (c *comparison) releases() {
	var judged []fit
	for index := range c.next.Images {
		f := fit{next: &c.next.Images[index].Header, installed: c.installed, options: c.options}
		if binary := c.installed.Binary; binary != nil {
			image := binary.Image(c.next.Images[index].Arch())
			if image == nil {
				image = &binary.Images[0] // of another platform, which is a finding already
			}
			f.before = &image.Header
		}
		f.judge()
		judged = append(judged, f)
	}
	last := judged[len(judged)-1]
	if slices.Equal(judged[0].findings, last.findings) {
		c.findings = append(c.findings, judged[0].findings...)
		c.paths = judged[0].paths
		return
	}
	for index, f := range judged {
		arch := c.next.Images[index].Arch()
		for _, finding := range f.findings {
			finding.Arch = arch
			c.findings.add(finding)
		}
		for _, path := range f.paths {
			path.Arch = arch
			c.paths = append(c.paths, path)
		}
	}
}

// sameFile recognizes the file that is installed already, and a change between
// release and debug builds.
func (c *comparison) sameFile() {
	binary := c.installed.Binary
	if binary == nil {
		return
	}
	c.identical = c.next.Size == binary.Size && slices.EqualFunc(c.next.Images, binary.Images, func(a, b multiversion.Image) bool {
		return a.Header.Checksum == b.Header.Checksum && a.Header.ChecksumBinary == b.Header.ChecksumBinary
	})
	if a, b := c.next.Debug(), binary.Debug(); a != b {
		c.findings.add(Finding{
			Name: CheckBuild, Status: Remarked, Expected: buildText(b), Found: buildText(a),
			Detail: fmt.Sprintf("the new file is a %s, the installed one a %s", buildText(a), buildText(b)),
		})
	}
}

func buildText(debug bool) string {
	if debug {
		return "debug build"
	}
	return "release build"
}
