package advisory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
)

// An Advisory is something to know about releases before one installs or leaves them.
type Advisory struct {
	ID string `json:"id"`
	// From and To are the first and last release number concerned; From is zero for "and all before".
	From multiversion.Release `json:"from,omitzero"`
	To   multiversion.Release `json:"to"`
	// Skip says that the release should not be installed at all.
	Skip bool `json:"skip"`
	// Leaving says that it is about a replica that runs the release and shall leave it.
	Leaving bool   `json:"leaving,omitempty"`
	Text    string `json:"text"`
	Source  string `json:"source"`
	Date    string `json:"date"` // on which the source was read
}

// An entry is an advisory with what tells whom it concerns.
type entry struct {
	Advisory
	OriginalOnly bool     `json:"original_only"`
	Except       []string `json:"except_sha256"`
	Rerelease    string   `json:"rerelease"`
}

// same reports whether two entries concern the same, with the same consequence.
func (e *entry) same(other *entry) bool {
	return e.ID == other.ID && e.From == other.From && e.To == other.To && e.Skip == other.Skip && e.Leaving == other.Leaving &&
		e.OriginalOnly == other.OriginalOnly && slices.Equal(e.Except, other.Except)
}

// ForTag returns what concerns a tag, such as 0.17.5 or, for a re-release, 0.17.5-1. Nothing concerns a text that
// is no tag.
func (l *List) ForTag(tag string) []Advisory {
	number, rerelease, ok := splitTag(tag)
	if !ok {
		return nil
	}
	var found []Advisory
	for _, e := range l.orBuiltIn().entries() {
		if e.covers(number) && !(e.OriginalOnly && rerelease) {
			found = append(found, e.Advisory)
		}
	}
	return found
}

// Leaving returns what is to be known when a replica that runs the release shall leave it.
func (l *List) Leaving(number multiversion.Release) []Advisory {
	var found []Advisory
	for _, notice := range l.Of(Subject{About: AboutLeaving, Release: number}) {
		found = append(found, notice.Advisory)
	}
	return found
}

func (e *entry) covers(number multiversion.Release) bool {
	return number != 0 && number >= e.From && number <= e.To
}

// splitTag takes the suffix of a re-release off a tag.
func splitTag(tag string) (number multiversion.Release, rerelease, ok bool) {
	text, _, rerelease := strings.Cut(tag, "-")
	number, err := multiversion.ParseRelease(text)
	return number, rerelease, err == nil
}

// About says what an advisory was found for.
type About string

// What advisories are found for.
const (
	AboutFile      About = "file"      // that is looked at, or is to be installed
	AboutHop       About = "hop"       // a release that an upgrade goes through
	AboutInstalled About = "installed" // what is at the target
	AboutPrevious  About = "previous"  // what is kept beside it
	AboutRunning   About = "running"   // what a replica runs
	AboutLeaving   About = "leaving"   // what a replica runs, and shall leave
)

// A Subject is a release of which it is asked what is known.
type Subject struct {
	About   About
	Release multiversion.Release // as the file itself states it; nothing is known of 0
	// SHA256 are those that are known of the file: of the executable, and of the archive that it came in.
	SHA256 []string
	// Tag is what the source calls the release, empty if it does not say. Of what it calls a re-release nothing
	// is said that concerns the original alone.
	Tag string
}

// A Notice is an advisory that concerns what was asked about.
type Notice struct {
	Advisory
	About    About                  `json:"about"`
	Releases []multiversion.Release `json:"releases"` // that it concerns of those asked about
	// Unsure says that a re-release that is not concerned carries the same number, and nothing tells which one the
	// file is.
	Unsure bool `json:"unsure,omitempty"`
	// Message says all of it to a person.
	Message string `json:"message"`
}

// Of returns what is known of the subjects: each advisory once for whatever it is about, and at most one notice of a rollout's list. The result is
// never nil.
func (l *List) Of(subjects ...Subject) []Notice {
	l = l.orBuiltIn()
	return append(noticesOf(l.entries(), subjects), inOne(noticesOf(l.brought, subjects))...)
}

func noticesOf(entries []entry, subjects []Subject) []Notice {
	notices := []Notice{}
	for _, e := range entries {
		for _, about := range []About{AboutFile, AboutHop, AboutLeaving, AboutInstalled, AboutPrevious, AboutRunning} {
			if notice, found := e.notice(about, subjects); found {
				notices = append(notices, notice)
			}
		}
	}
	return notices
}

func (e *entry) notice(about About, subjects []Subject) (Notice, bool) {
	n := Notice{Advisory: e.Advisory, About: about}
	for _, s := range subjects {
		if s.About != about || !e.concerns(s) || slices.Contains(n.Releases, s.Release) {
			continue
		}
		n.Releases = append(n.Releases, s.Release)
	}
	if len(n.Releases) == 0 {
		return n, false
	}
	n.Unsure = e.Rerelease != ""
	n.Message = fmt.Sprintf(about.sentence(), releasesText(n.Releases), e.Text)
	if n.Unsure {
		n.Message += "; " + e.Rerelease
	}
	return n, true
}

// concerns reports whether the advisory is about the subject, for all that is known of that.
func (e *entry) concerns(s Subject) bool {
	if e.Leaving != (s.About == AboutLeaving) || !e.covers(s.Release) || s.About == AboutHop && !e.Skip {
		return false
	}
	if _, rerelease, ok := splitTag(s.Tag); ok && rerelease && e.OriginalOnly {
		return false
	}
	return !slices.ContainsFunc(s.SHA256, func(sum string) bool { return slices.Contains(e.Except, sum) })
}

// sentence says what a notice is about, for its releases and the advisory's text.
func (a About) sentence() string {
	switch a {
	case AboutHop:
		return "the upgrade goes through %s: %s"
	case AboutInstalled:
		return "%s, which is installed: %s"
	case AboutPrevious:
		return "%s, the previous file: %s"
	case AboutRunning:
		return "%s, which a replica runs: %s"
	case AboutLeaving:
		return "from %s: %s"
	default:
		return "%s: %s"
	}
}

func releasesText(releases []multiversion.Release) string {
	var text strings.Builder
	for i, r := range releases {
		switch {
		case i > 0 && i == len(releases)-1:
			text.WriteString(" and ")
		case i > 0:
			text.WriteString(", ")
		}
		text.WriteString(r.String())
	}
	return text.String()
}
