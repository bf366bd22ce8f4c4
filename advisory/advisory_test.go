package advisory

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

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

// TestBuiltIn holds that the embedded list is one that works, and one that could be published.
func TestBuiltIn(t *testing.T) {
	t.Parallel()
	l, err := ParseNew(embedded)
	if err != nil {
		t.Fatal(err)
	}
	want := l.Edition()
	if want.Source = SourceBuiltIn; BuiltIn().Edition() != want || (*List)(nil).Edition() != want || len(want.SHA256) != 64 || want.Checked == "" {
		t.Errorf("%+v", BuiltIn().Edition())
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
		if got := ids(BuiltIn().ForTag(tag), func(a Advisory) string { return a.ID }); got != want {
			t.Errorf("%q: %q, want %q", tag, got, want)
		}
	}
	if got := ids(BuiltIn().Leaving(release(t, "0.16.20")), func(a Advisory) string { return a.ID }); got != "swap-at-start second-swap" {
		t.Errorf("leaving 0.16.20: %q", got)
	}
	if BuiltIn().Leaving(0) != nil || BuiltIn().Leaving(release(t, "0.17.6")) != nil {
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
		got := ids(BuiltIn().Of(tc.subjects...), func(n Notice) string { return string(n.About) + ":" + n.ID })
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if BuiltIn().Of() == nil {
		t.Error("nil")
	}
}

// TestMessages says in one sentence what is concerned, and that a number alone may not tell.
func TestMessages(t *testing.T) {
	t.Parallel()
	hop := func(number string) Subject { return Subject{About: AboutHop, Release: release(t, number)} }
	n := BuiltIn().Of(hop("0.17.5"), hop("0.17.6"), hop("0.17.7"), hop("0.17.6"))
	if len(n) != 1 || len(n[0].Releases) != 3 || !n[0].Unsure ||
		!strings.HasPrefix(n[0].Message, "the upgrade goes through 0.17.5, 0.17.6 and 0.17.7: upstream says to skip 0.17.5 to 0.17.7; ") ||
		!strings.Contains(n[0].Message, "the number alone cannot tell") {
		t.Errorf("%+v", n)
	}
	n = BuiltIn().Of(Subject{About: AboutInstalled, Release: release(t, "0.16.77")})
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
	l := BuiltIn().list
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
