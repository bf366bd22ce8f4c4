package cmdline_test

import (
	"testing"

	"github.com/tbctl/tbctl/internal/cmdline"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, ""}, {[]string{"--json", "status"}, ""}, {[]string{"status", "/opt/tb"}, "status"}, {[]string{"fleet", "status", "tb0"}, "fleet status"},
		{[]string{"store"}, "store"}, {[]string{"store", "--json"}, "store"},
	} {
		if got := cmdline.Command(test.args); got != test.want {
			t.Errorf("%q: %q, want %q", test.args, got, test.want)
		}
	}
}
