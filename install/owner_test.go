package install_test

import (
	"runtime"
	"testing"

	"github.com/tbctl/tbctl/install"
)

func TestParseOwner(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: users have no numbers there")
	}
	const none = -1
	for _, test := range []struct {
		text     string
		uid, gid int
		ok       bool
	}{
		{"", none, none, true}, {"root", 0, none, true}, {"12", 12, none, true}, {"12:34", 12, 34, true}, {":34", none, 34, true},
		{"12:", 12, none, false}, {"-1", 0, 0, false}, {"12:-1", 0, 0, false}, {"nobody-has-this-name", 0, 0, false}, {"0:no-group-has-this-name", 0, 0, false},
	} {
		uid, gid, err := install.ParseOwner(test.text)
		if (err == nil) != test.ok {
			t.Errorf("%q: %v", test.text, err)
		}
		if test.ok && (number(uid) != test.uid || number(gid) != test.gid) {
			t.Errorf("%q: %d and %d, want %d and %d", test.text, number(uid), number(gid), test.uid, test.gid)
		}
	}
}

func number(id *int) int {
	if id == nil {
		return -1
	}
	return *id
}
