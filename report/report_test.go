package report_test

import (
	"testing"

	"github.com/tbctl/tbctl/report"
)

// TestEncode requires that a name from outside that is not UTF-8 does not become
// another name in a document.
func TestEncode(t *testing.T) {
	t.Parallel()
	type inner struct{ Name string }
	type result struct {
		Path   string
		Argv   []string
		Inner  *inner
		Detail any
		None   []string
		Empty  map[string]int
	}
	got, err := report.Encode(result{
		Path: "/caf\xe9/\ufffd", Argv: []string{"a\xff\xfeb", "é"}, Inner: &inner{"\xc3"}, Detail: inner{"x\x80"},
	}, "")
	want := `{"Path":"/caf\\xe9/` + "\ufffd" + `","Argv":["a\\xff\\xfeb","é"],"Inner":{"Name":"\\xc3"},"Detail":{"Name":"x\\x80"},"None":[],"Empty":{}}` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}
