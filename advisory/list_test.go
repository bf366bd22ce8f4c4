package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/multiversion"
)

// listOf is a list of that day with those advisories.
func listOf(day string, entries ...string) string {
	return fmt.Sprintf(`{"version":1,"checked":%q,"newest":"9.9.9","advisories":[%s]}`, day, strings.Join(entries, ","))
}

const entrySkip = `{"id":"skip-1.2.3","from":"1.2.3","to":"1.2.3","skip":true,"text":"our disks do not like it","source":"our own tests","date":"2020-01-01"}`

// TestParseList holds what a list must be, each with what is said of it.
func TestParseList(t *testing.T) {
	t.Parallel()
	changed := func(old, new string) string {
		text := strings.Replace(listOf("2026-01-02", entrySkip), old, new, 1)
		if !strings.Contains(text, new) {
			t.Fatalf("%q is not in the list", old)
		}
		return text
	}
	for name, test := range map[string]struct{ text, want string }{
		"one":                            {listOf("2026-01-02", entrySkip), ""},
		"an empty one":                   {listOf("2026-01-02"), ""},
		"a field of later":               {changed(`"skip"`, `"severity":3,"skip"`), ""},
		"nothing":                        {"", "not a list of advisories"},
		"of another version":             {changed(`"version":1`, `"version":2`), "it has version 2, and 1 is known"},
		"too long":                       {listOf("2026-01-02") + strings.Repeat(" ", ListSizeMax), "larger than"},
		"too many":                       {listOf("2026-01-02", strings.Repeat("{},", entriesMax)+"{}"), "more than 1000 advisories"},
		"without a day":                  {changed("2026-01-02", "soon"), `"soon"`},
		"without the newest":             {changed(`"newest":"9.9.9",`, ""), "newest"},
		"an id with an escape":           {changed(`skip-1.2.3`, `skip\u001b`), "is not an id"},
		"two with an id":                 {listOf("2026-01-02", entrySkip, entrySkip), "two advisories skip-1.2.3"},
		"backwards":                      {changed(`"to":"1.2.3"`, `"to":"1.2.2"`), "from 1.2.3 to 1.2.2"},
		"a text with an escape":          {changed("our disks", `\u001b[2J`), "one line"},
		"a text that is long":            {changed("our disks", strings.Repeat("x", lineMax)), "one line"},
		"without a source":               {changed("our own tests", ""), "one line"},
		"of what is to come":             {changed(`"9.9.9"`, `"1.2.2"`), "that there were when the list was checked"},
		"a day to come":                  {changed("2020-01-01", "2026-01-03"), "after the list was checked"},
		"an exception that is no digest": {changed(`"skip":true`, `"skip":true,"original_only":true,"except_sha256":["ab"]`), "not a SHA-256"},
		"an exception for all":           {changed(`"skip":true`, `"skip":true,"rerelease":"it may be another one"`), "does not concern the original alone"},
	} {
		l, err := ParseList([]byte(test.text))
		switch {
		case test.want == "" && (err != nil || l.Edition().Checked != "2026-01-02" || l.Edition().Source != SourceSigned):
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (!errors.Is(err, ErrList) || fault.Of(err) != fault.Rejected || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if _, err := ParseNew([]byte(changed(`"skip"`, `"skipp":true,"skip"`))); !errors.Is(err, ErrList) || !strings.Contains(err.Error(), "skipp") {
		t.Errorf("a misspelt field is published: %v", err)
	}
}

// TestSigned holds that a signed list takes the place of the built-in one, and that what a newer built-in one says is not lost by it.
func TestSigned(t *testing.T) {
	t.Parallel()
	said := func(l *List, number string) string {
		return ids(l.Of(Subject{About: AboutFile, Release: release(t, number)}), func(n Notice) string { return n.ID })
	}
	for day, want := range map[string]string{"2999-01-01": "", BuiltIn().Edition().Checked: "", "2020-01-01": "skip-0.16.77"} {
		l, err := ParseList([]byte(listOf(day, entrySkip)))
		if err != nil {
			t.Fatal(err)
		}
		l = l.Signed("https://releases.internal/tb")
		if said(l, "1.2.3") != "skip-1.2.3" || said(l, "0.16.77") != want || (l.Edition().BuiltIn != "") != (want != "") ||
			l.Edition().Repository != "https://releases.internal/tb" || l.Edition().Checked != day {
			t.Errorf("%s: %q, %q, %+v", day, said(l, "1.2.3"), said(l, "0.16.77"), l.Edition())
		}
	}
	// An older list with what the built-in one has, and one advisory that says less of the same name.
	text := strings.Replace(string(embedded), BuiltIn().Edition().Checked, "2026-11-21", 1)
	text = strings.Replace(text, `"from": "0.16.77", "to": "0.16.77", "skip": true`, `"from": "0.16.77", "to": "0.16.77", "skip": false`, 1)
	l, err := ParseList([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	notices := l.Signed("x").Of(Subject{About: AboutFile, Release: release(t, "0.16.77")}, Subject{About: AboutFile, Release: release(t, "0.17.5")})
	skips := 0
	for _, n := range notices {
		if n.Skip {
			skips++
		}
	}
	if len(notices) != 4 || skips != 2 {
		t.Errorf("%+v", notices)
	}
}

// FuzzParseList holds that whatever comes is answered, and that what passes can be asked.
func FuzzParseList(f *testing.F) {
	f.Add(embedded)
	f.Add([]byte(listOf("2026-01-02", entrySkip)))
	f.Add([]byte(`{"version":1,"checked":"2026-01-02","newest":"1.2.3","advisories":[null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseList(text)
		if err != nil {
			if !errors.Is(err, ErrList) {
				t.Fatal(err)
			}
			return
		}
		for _, n := range l.Signed("x").Of(Subject{About: AboutFile, Release: multiversion.NewRelease(0, 17, 5)}) {
			if n.ID == "" || strings.ContainsAny(n.Message, "\x1b\n") {
				t.Fatalf("%+v", n)
			}
		}
	})
}

// TestWith holds that a list which came with a rollout adds to what is known, with the name of who brought it, and takes nothing away: not by an id that is
// known, nor by a later day.
func TestWith(t *testing.T) {
	t.Parallel()
	own := BuiltIn()
	known := own.ForTag("0.17.5")
	if len(known) == 0 {
		t.Fatal("nothing is known of 0.17.5")
	}
	text := fmt.Sprintf(`{"version":1,"checked":"9999-12-31","newest":"0.99.0","advisories":[
		{"id":%q,"to":"0.1.0","text":"another","source":"s","date":"2026-01-01"},
		{"id":"more","from":"0.18.0","to":"0.18.0","skip":true,"text":"do not","source":"s","date":"2026-01-01"}]}`, known[0].ID)
	brought, err := ParseList([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if string(brought.Text()) != text || own.Text() != nil {
		t.Error("the text of a list is not what was published")
	}
	with := own.With(brought, "ana@bastion")
	if got := with.ForTag("0.17.5"); !reflect.DeepEqual(got, known) {
		t.Errorf("%+v, and was %+v", got, known)
	}
	more := with.Of(Subject{About: AboutFile, Release: multiversion.NewRelease(0, 18, 0)})
	if len(more) != 1 || !more[0].Skip || more[0].Message != "0.18.0: the advisories of the rollout's plan, brought by ana@bastion, say: do not" {
		t.Errorf("%+v", more)
	}
	want := own.Edition()
	want.Rollout = "ana@bastion"
	if got := with.Edition(); got != want {
		t.Errorf("%+v", got)
	}
	if len(own.ForTag("0.18.0")) != 0 || own.With(nil, "") != own {
		t.Error("the list itself was changed")
	}
	if len(with.ForTag("0.18.0")) != 0 {
		t.Error("a list of releases has what came with a rollout")
	}
}

// TestWithIsBrief holds that a list which came with a rollout, however long, is one short notice: of a release to skip first, with how many more there are.
func TestWithIsBrief(t *testing.T) {
	t.Parallel()
	entries := []string{`{"id":"a","to":"9.9.9","text":"the first","source":"s","date":"2026-01-01"}`}
	for i := range 240 {
		entries = append(entries, fmt.Sprintf(`{"id":"skip-%d","to":"9.9.9","skip":true,"text":"%d é%s","source":%q,"date":"2026-01-01"}`, i, i, strings.Repeat("é", 450), strings.Repeat("s", 30)))
	}
	text := fmt.Sprintf(`{"version":1,"checked":"2026-01-02","newest":"9.9.9","advisories":[%s]}`, strings.Join(entries, ","))
	brought, err := ParseList([]byte(text))
	if err != nil || len(text) < ListSizeMax*3/4 {
		t.Fatal(err, len(text))
	}
	own := BuiltIn()
	with := own.With(brought, "ana@bastion")
	var subjects []Subject
	for _, about := range []About{AboutFile, AboutHop, AboutLeaving, AboutInstalled, AboutPrevious, AboutRunning} {
		subjects = append(subjects, Subject{About: about, Release: release(t, "0.17.5")})
	}
	is, was := with.Of(subjects...), own.Of(subjects...)
	if len(is) != len(was)+1 || !reflect.DeepEqual(is[:len(was)], was) {
		t.Fatalf("%d notices, and were %d", len(is), len(was))
	}
	last := is[len(was)]
	encoded, err := json.Marshal(last)
	if err != nil || len(encoded) > 2<<10 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
	if last.ID != "skip-0" || !strings.HasSuffix(last.Message, "é…; and 240 more of its advisories") || !strings.HasSuffix(last.Text, "é…; and 240 more of its advisories") {
		t.Errorf("%+v", last)
	}
}
