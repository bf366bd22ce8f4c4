package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
)

// fit compares the headers of one architecture.
type fit struct {
	next      *multiversion.Header
	before    *multiversion.Header // of the installed file, or nil
	installed Installed
	options   ReplaceOptions

	findings findings
	paths    []Path
}

func (f *fit) judge() {
	for _, need := range f.options.Needs {
		f.need(need)
	}
	f.reached()
	switch {
	case f.installed.Err != nil:
		f.unreadable()
	case f.installed.Plain != nil:
		f.plain(*f.installed.Plain)
	case f.before != nil:
		if len(f.options.Needs) == 0 {
			f.overlap()
		}
		f.unseen()
		f.downgrade()
		f.sameRelease()
	}
}

// need holds rules 1 to 3 of an upgrade: what runs and what the data was written
// with must be in the file, and so must what has been offered already.
func (f *fit) need(need Need) {
	finding := Finding{Name: CheckRunning, Status: statusOf(f.next.Contains(need.Release)), Release: need.Release, Expected: need.Release.String(), Found: releasesText(f.next.Releases())}
	if finding.Status == Failed {
		finding.Rule = RuleRunningNotIncluded
		finding.Detail = fmt.Sprintf("the new file lacks release %s, %s", need.Release, need.reason())
	}
	f.findings.add(finding)
	if finding.Status == Failed {
		f.findings.add(Finding{Name: CheckOffered, Status: NotChecked, Release: need.Release, Detail: "the new file lacks the release that runs"})
		return
	}
	f.offered(need)
	f.path(need.Release)
	if !f.options.Stopped {
		f.notices(need.Release)
	}
}

func (n Need) reason() string {
	text := "which a replica runs"
	if n.Why == NeedData {
		text = "which the data file was last checkpointed with"
	}
	if n.Source != "" {
		text += " (" + n.Source + ")"
	}
	return text
}

// offered requires that the new file offers what a replica has offered at or
// above the release that it runs, or may offer of the installed file by the time that
// the new one takes its place.
func (f *fit) offered(need Need) {
	finding := Finding{Name: CheckOffered, Release: need.Release}
	offered := f.alreadyOffered(need)
	switch {
	case f.options.Stopped:
		finding.Status, finding.Detail = NotChecked, "no replica runs: nothing has been offered"
	case f.options.Restart:
		finding.Status, finding.Detail = NotChecked, "the replica is to be restarted from the new file: what it has offered until then is forgotten"
	case offered == nil && f.before != nil:
		finding.Status, finding.Detail = NotChecked, "what the replica has offered is not known: it refuses the installed file, which lacks the release that it runs"
	case offered == nil:
		finding.Status, finding.Detail = NotChecked, "what the replica has offered is not known"
	default:
		missing := notOffered(f.next, need.Release, offered)
		finding.Status = statusOf(len(missing) == 0)
		finding.Expected, finding.Found = releasesText(offered), releasesText(f.next.Advertisable(need.Release))
		if len(missing) > 0 {
			finding.Rule = RuleNotSuperset
			finding.Detail = f.takesAway(need, missing)
		}
	}
	f.findings.add(finding)
}

// takesAway says that the new file lacks what a replica has offered, as far as one that runs the release was seen to
// hold it, or what it may have.
func (f *fit) takesAway(need Need, missing []multiversion.Release) string {
	var seen []multiversion.Release
	for _, other := range f.options.Needs {
		if other.Release == need.Release {
			seen = append(seen, other.Armed...)
		}
	}
	who, has := fmt.Sprintf("a replica that runs %s", need.Release), "has offered"
	if need.Why == NeedData {
		who = fmt.Sprintf("the data file %sneeds release %s: a replica that runs it", need.named(), need.Release)
	}
	if slices.ContainsFunc(missing, func(release multiversion.Release) bool { return !slices.Contains(seen, release) }) {
		has = "may have offered"
	}
	return fmt.Sprintf("%s %s %s already, and would not offer it from the new file", who, has, releasesText(missing))
}

// named is where the need comes from, followed by a space.
func (n Need) named() string {
	if n.Source == "" {
		return ""
	}
	return n.Source + " "
}

// alreadyOffered returns what the replica is known to have offered together with what it
// offers of the installed file, unless it refuses that. Nil says that neither is known.
func (f *fit) alreadyOffered(need Need) []multiversion.Release {
	if f.before == nil || !f.before.Contains(need.Release) || len(notOffered(f.before, need.Release, need.Armed)) > 0 {
		return need.Armed
	}
	offered := slices.Concat(need.Armed, f.before.Advertisable(need.Release))
	slices.Sort(offered)
	return slices.Compact(offered)
}

// notOffered returns those of offered, at or above running, that a replica
// would not offer from the new file.
func notOffered(next *multiversion.Header, running multiversion.Release, offered []multiversion.Release) []multiversion.Release {
	var missing []multiversion.Release
	now := next.Advertisable(running)
	for _, release := range offered {
		if release >= running && !slices.Contains(now, release) {
			missing = append(missing, release)
		}
	}
	return missing
}

// path records the hops from a release, and remarks on stops.
func (f *fit) path(from multiversion.Release) {
	path := PathFrom(f.next, from)
	if !slices.ContainsFunc(f.paths, func(known Path) bool { return known.From == from }) {
		f.paths = append(f.paths, path)
	}
	finding := Finding{Name: CheckPath, Status: Held, Release: from, Found: path.String()}
	if stops := path.Stops(); stops != "" {
		finding.Status = Remarked
		finding.Detail = "the cluster stops on its way: " + path.String() + ": " + stops
	}
	f.findings.add(finding)
}

// notices remarks on what is known of leaving a release that runs: that it does not see a new file, or not always.
func (f *fit) notices(running multiversion.Release) {
	known := f.options.Advisories.Leaving(running)
	if len(known) == 0 {
		return
	}
	var texts []string
	for _, a := range known {
		texts = append(texts, a.Text)
	}
	f.findings.add(Finding{Name: CheckRestart, Status: Remarked, Release: running, Detail: strings.Join(texts, "; ")})
}

// overlap judges by the installed file alone, when nothing says what runs: its
// current release must be held, and any other of its releases may be the one that runs.
func (f *fit) overlap() {
	if f.options.Back && f.next.Current.Release < f.before.Current.Release {
		f.overlapBack()
		return
	}
	current := f.before.Current.Release
	finding := Finding{Name: CheckOverlap, Status: statusOf(f.next.Contains(current)), Release: current, Expected: current.String(), Found: releasesText(f.next.Releases())}
	if finding.Status == Failed {
		finding.Rule = RuleRunningNotIncluded
		finding.Detail = fmt.Sprintf("the new file lacks release %s, the installed file's current one", current)
	}
	f.findings.add(finding)
	if finding.Status == Failed {
		return
	}
	f.dropped()
	f.path(current)
	if !f.options.Stopped {
		f.notices(current)
	}
}

// overlapBack judges the way back when nothing says what runs: the replicas can
// only be at a release of the installed file, and only go on at one of this file's. That there
// is such a release is not enough: the cluster may have gone on to a newer one, and nothing
// known is not nothing against it.
func (f *fit) overlapBack() {
	current := f.next.Current.Release
	finding := Finding{Name: CheckOverlap, Status: statusOf(f.before.Contains(current)), Release: current, Expected: current.String(), Found: releasesText(f.before.Releases())}
	if finding.Status == Failed {
		finding.Rule = RuleRunningNotIncluded
		finding.Detail = fmt.Sprintf("the installed file lacks release %s, the current one of the file to put back: their releases no longer overlap", current)
	}
	f.findings.add(finding)
	if finding.Status == Held {
		f.unknown(CheckRunning, fmt.Sprintf("nothing says which release the cluster runs: if it is newer than %s, its replicas refuse this file and cannot start from it", current))
	}
}

// unseen judges for replicas that nobody has seen. A wrong guess would leave one that
// cannot be started any more, so that nothing is guessed where the new file lacks a release.
func (f *fit) unseen() {
	if len(f.options.Unseen) == 0 {
		return
	}
	why := strings.Join(f.options.Unseen, "; ")
	lacking := f.lacking()
	finding := Finding{
		Name: CheckUnseen, Status: Remarked, Expected: releasesText(f.before.Releases()), Found: releasesText(f.next.Releases()),
		Detail: "replicas may run from the installed file that cannot be seen from here: " + why,
	}
	if len(lacking) > 0 && !f.options.Settled {
		finding.Status = Failed
		which := "it"
		if len(lacking) > 1 {
			which = "one of them"
		}
		finding.Detail = fmt.Sprintf("the new file no longer holds %s, and whether a replica runs %s cannot be seen from here: %s", releasesText(lacking), which, why)
	}
	f.findings.add(finding)
}

// lacking are the releases of the installed file that the new one does not hold.
func (f *fit) lacking() []multiversion.Release {
	var lacking []multiversion.Release
	for _, release := range f.before.Releases() {
		if !f.next.Contains(release) {
			lacking = append(lacking, release)
		}
	}
	return lacking
}

// dropped remarks on the releases that would be refused if one of them runs.
func (f *fit) dropped() {
	var lacking, narrower []multiversion.Release
	for _, past := range f.before.Past {
		switch release := past.Release; {
		case !f.next.Contains(release):
			lacking = append(lacking, release)
		case len(notOffered(f.next, release, f.before.Advertisable(release))) > 0:
			narrower = append(narrower, release)
		}
	}
	if len(lacking) == 0 && len(narrower) == 0 {
		f.findings.add(Finding{Name: CheckDropped, Status: Held})
		return
	}
	if len(lacking) > 0 && (len(f.options.Unseen) == 0 || f.options.Settled) { // otherwise this has been said
		f.findings.add(Finding{
			Name: CheckDropped, Status: Remarked, Rule: RuleRunningNotIncluded, Expected: releasesText(lacking), Found: "none of them",
			Detail: fmt.Sprintf("the new file no longer holds %s: if the cluster still runs one of them, replicas refuse the file", releasesText(lacking)),
		})
	}
	if len(narrower) > 0 {
		f.findings.add(Finding{
			Name: CheckDropped, Status: Remarked, Rule: RuleNotSuperset, Expected: releasesText(narrower),
			Detail: fmt.Sprintf("if the cluster still runs %s, replicas refuse the file: it offers less than they have offered already", releasesText(narrower)),
		})
	}
}

func (f *fit) downgrade() {
	before, next := f.before.Current.Release, f.next.Current.Release
	finding := Finding{Name: CheckDowngrade, Status: Held, Release: next, Expected: before.String() + " or newer", Found: next.String()}
	if next < before {
		finding.Status = Failed
		finding.Detail = fmt.Sprintf("the new file's current release %s is older than the installed %s", next, before)
		if f.options.AllowDowngrade {
			finding.Status = Remarked
		}
	}
	f.findings.add(finding)
}

// sameRelease remarks on releases of the same number whose bytes differ: a hot
// fix may carry the number of the release that it replaces. A debug build is another
// executable by nature.
func (f *fit) sameRelease() {
	type build struct {
		release multiversion.Release
		debug   bool
	}
	known := map[build]multiversion.Checksum{{f.before.Current.Release, f.before.Current.Debug}: f.before.Current.Checksum}
	for _, past := range f.before.Past {
		known[build{past.Release, past.Debug}] = past.Checksum
	}
	compare := func(release multiversion.Release, debug bool, checksum multiversion.Checksum) {
		if before, ok := known[build{release, debug}]; ok && before != checksum {
			f.findings.add(Finding{
				Name: CheckSame, Status: Remarked, Release: release, Expected: before.String(), Found: checksum.String(),
				Detail: fmt.Sprintf("release %s is not the same executable in the two files: it was built again under its old number", release),
			})
		}
	}
	for _, past := range f.next.Past {
		compare(past.Release, past.Debug, past.Checksum)
	}
	compare(f.next.Current.Release, f.next.Current.Debug, f.next.Current.Checksum)
}

// plain judges the step from an executable without multiversion sections.
func (f *fit) plain(plain Plain) {
	if len(f.options.Needs) == 0 {
		f.plainOverlap(plain)
	}
	if !f.options.Stopped {
		f.findings.add(Finding{
			Name: CheckRestart, Status: Remarked, Release: plain.Release,
			Detail: "the installed file has no multiversion sections: a replica that runs from it does not notice the new file and must be restarted",
		})
	}
}

func (f *fit) plainOverlap(plain Plain) {
	if plain.Release == 0 {
		f.unknown(CheckOverlap, "the installed file has no multiversion sections, so its release is not known")
		return
	}
	finding := Finding{Name: CheckOverlap, Status: statusOf(f.next.Contains(plain.Release)), Release: plain.Release, Expected: plain.Release.String(), Found: releasesText(f.next.Releases())}
	if finding.Status == Failed {
		finding.Rule = RuleRunningNotIncluded
		finding.Detail = fmt.Sprintf("the new file lacks release %s, which the installed executable is", plain.Release)
	}
	f.findings.add(finding)
	if finding.Status == Held {
		f.path(plain.Release)
	}
}

// unreadable judges the replacement of a file that says nothing.
func (f *fit) unreadable() {
	detail := fmt.Sprintf("the installed file cannot be compared with: %v", f.installed.Err)
	if len(f.options.Needs) > 0 {
		f.findings.add(Finding{Name: CheckInstalled, Status: Remarked, Detail: detail})
		return
	}
	f.unknown(CheckInstalled, detail)
}

// unknown is a check that must be made but cannot be.
func (f *fit) unknown(check Check, detail string) {
	f.findings.add(Finding{Name: check, Status: NotChecked, Detail: detail})
}

func releasesText(releases []multiversion.Release) string {
	var names []string
	for _, release := range releases {
		names = append(names, release.String())
	}
	return strings.Join(names, ", ")
}
