package advisory

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbctl/tbctl/multiversion"
)

func release(t testing.TB, text string) multiversion.Release {
	t.Helper()
	r, err := multiversion.ParseRelease(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestList holds what doc.go says of the embedded file, so that the next entry is one that works.
func TestList(t *testing.T) {
	t.Parallel()
	l, err := parse(embedded)
	if err != nil {
		t.Fatal(err)
	}
	day := func(what, text string) {
		if _, err := time.Parse(time.DateOnly, text); err != nil || text > l.Checked {
			t.Errorf("%s: %q is no day, or one after the list was checked", what, text)
		}
	}
	day("checked", l.Checked)
	if l.Newest == 0 {
		t.Error("the newest release is missing")
	}
	id, sum := regexp.MustCompile(`^[a-z0-9.-]+$`), regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := make(map[string]bool)
	for _, e := range l.Advisories {
		switch {
		case !id.MatchString(e.ID) || seen[e.ID]:
			t.Errorf("%q is no id of its own", e.ID)
		case e.To == 0 || e.From > e.To:
			t.Errorf("%s: from %s to %s", e.ID, e.From, e.To)
		case e.Text == "" || e.Source == "" || strings.HasSuffix(e.Text, "."):
			t.Errorf("%s: text %q, source %q", e.ID, e.Text, e.Source)
		case e.Skip && (e.Leaving || e.To > l.Newest):
			t.Errorf("%s: what is to be skipped is about the file, and was there when the list was checked", e.ID)
		case !e.OriginalOnly && (len(e.Except) > 0 || e.Rerelease != ""):
			t.Errorf("%s: it has exceptions, but does not concern the original alone", e.ID)
		}
		for _, digits := range e.Except {
			if !sum.MatchString(digits) {
				t.Errorf("%s: %q is no SHA-256", e.ID, digits)
			}
		}
		day(e.ID, e.Date)
		seen[e.ID] = true
	}
	if _, err := parse([]byte(`{"advisories":[{"id":"x","skipp":true}]}`)); err == nil {
		t.Error("a misspelt field passes")
	}
}

func ids[T any](list []T, id func(T) string) string {
	var all []string
	for _, a := range list {
		all = append(all, id(a))
	}
	return strings.Join(all, " ")
}

func TestForTag(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"0.17.4": "", "0.17.5": "skip-0.17.5 rerelease-0.17.5", "0.17.7": "skip-0.17.5 rerelease-0.17.5", "0.17.6-1": "rerelease-0.17.5", "0.17.8": "",
		"0.16.77": "skip-0.16.77", "0.16.78": "", "0.16.4": "misnumbered-0.16.5 swap-at-start second-swap", "0.16.29": "swap-at-start", "0.16.30": "",
		"0.15.3": "epoch-0.15.3 swap-at-start second-swap", "latest": "", "": "", "x-1": "",
	} {
		if got := ids(ForTag(tag), func(a Advisory) string { return a.ID }); got != want {
			t.Errorf("%q: %q, want %q", tag, got, want)
		}
	}
	if got := ids(Leaving(release(t, "0.16.20")), func(a Advisory) string { return a.ID }); got != "swap-at-start second-swap" {
		t.Errorf("leaving 0.16.20: %q", got)
	}
	if Leaving(0) != nil || Leaving(release(t, "0.17.6")) != nil {
		t.Error("something is said of leaving a release of which nothing is known")
	}
}

// TestOf decides by what the subject is.
func TestOf(t *testing.T) {
	t.Parallel()
	file := func(number, tag string, sums ...string) Subject {
		return Subject{About: AboutFile, Release: release(t, number), Tag: tag, SHA256: sums}
	}
	for name, tc := range map[string]struct {
		subjects []Subject
		want     string
	}{
		"nothing":                   {nil, ""},
		"no release":                {[]Subject{{About: AboutFile}}, ""},
		"another":                   {[]Subject{file("0.17.8", "")}, ""},
		"by its number":             {[]Subject{file("0.17.7", "")}, "file:skip-0.17.5 file:rerelease-0.17.5"},
		"by its tag too":            {[]Subject{file("0.17.7", "0.17.7")}, "file:skip-0.17.5 file:rerelease-0.17.5"},
		"called a re-release":       {[]Subject{file("0.17.7", "0.17.7-1")}, "file:rerelease-0.17.5"},
		"leaving is not installing": {[]Subject{file("0.16.20", "")}, ""},
		"leaving":                   {[]Subject{{About: AboutLeaving, Release: release(t, "0.16.20")}}, "leaving:swap-at-start leaving:second-swap"},
		"leaving what is skipped":   {[]Subject{{About: AboutLeaving, Release: release(t, "0.17.7")}}, ""},
		"a hop":                     {[]Subject{{About: AboutHop, Release: release(t, "0.17.7")}}, "hop:skip-0.17.5"},
		"each of two":               {[]Subject{file("0.17.5", ""), {About: AboutPrevious, Release: release(t, "0.16.77")}}, "previous:skip-0.16.77 file:skip-0.17.5 file:rerelease-0.17.5"},
	} {
		got := ids(Of(tc.subjects...), func(n Notice) string { return string(n.About) + ":" + n.ID })
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if Of() == nil {
		t.Error("nil")
	}
}

// TestMessages says in one sentence what is concerned, and that a number alone may not tell.
func TestMessages(t *testing.T) {
	t.Parallel()
	hop := func(number string) Subject { return Subject{About: AboutHop, Release: release(t, number)} }
	n := Of(hop("0.17.5"), hop("0.17.6"), hop("0.17.7"), hop("0.17.6"))
	if len(n) != 1 || len(n[0].Releases) != 3 || !n[0].Unsure ||
		!strings.HasPrefix(n[0].Message, "the upgrade goes through 0.17.5, 0.17.6 and 0.17.7: upstream says to skip 0.17.5 to 0.17.7; ") ||
		!strings.Contains(n[0].Message, "the number alone cannot tell") {
		t.Errorf("%+v", n)
	}
	n = Of(Subject{About: AboutInstalled, Release: release(t, "0.16.77")})
	if len(n) != 1 || n[0].Unsure || n[0].Message != "0.16.77, which is installed: upstream says to skip 0.16.77" {
		t.Errorf("%+v", n)
	}
	text, err := json.Marshal(n[0])
	if err != nil || !strings.Contains(string(text), `"from":"0.16.77"`) || !strings.Contains(string(text), `"about":"installed"`) {
		t.Errorf("%s, %v", text, err)
	}
}

// TestExcept leaves out a file that is known by its SHA-256 not to be concerned.
func TestExcept(t *testing.T) {
	t.Parallel()
	l, err := parse(embedded)
	if err != nil {
		t.Fatal(err)
	}
	index := slices.IndexFunc(l.Advisories, func(e entry) bool { return e.ID == "skip-0.17.5" })
	e := l.Advisories[index]
	patched := strings.Repeat("ab", 32)
	e.Except = []string{patched}
	for sum, want := range map[string]bool{patched: false, strings.Repeat("cd", 32): true} {
		s := Subject{About: AboutFile, Release: release(t, "0.17.6"), SHA256: []string{"", sum}}
		if got := e.concerns(s); got != want {
			t.Errorf("%s: %v", sum, got)
		}
	}
}
