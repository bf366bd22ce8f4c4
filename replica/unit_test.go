package replica

import (
	"strings"
	"testing"
)

// The unit of a process is one of the system's services in which it is alone with what belongs to it, or none.
func TestUnitOf(t *testing.T) {
	t.Parallel()
	for cgroups, want := range map[string]string{
		"0::/system.slice/tb-eu.service\n":                                  "tb-eu.service",
		"0::/system.slice/system-tb.slice/tb@0.service\n":                   "tb@0.service",
		"0::/tb.slice/tb\\x2deu.service\n":                                  "tb\\x2deu.service",
		"8:pids:/\n1:name=systemd:/system.slice/tb.service\n0::/\n":         "tb.service",
		"8:pids:/system.slice/other.service\n0::/system.slice/tb.service\n": "tb.service",
		"":                                  "",
		"0::/\n":                            "",
		"0::/tb.service\n":                  "",
		"0::system.slice/tb.service\n":      "",
		"0::/system.slice/cron.service/x\n": "",
		"0::/user.slice/user-0.slice/session-1.scope\n":                           "",
		"0::/user.slice/user-1000.slice/user@1000.service\n":                      "",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/tb.service\n": "",
		"0::/system.slice/docker-12ab.scope\n":                                    "",
		"0::/docker/12ab\n":                                                       "",
		"0::/system.slice/containerd.service/kubepods.slice/tb.service\n":         "",
		"0::/../../system.slice/tb.service\n":                                     "",
		"0::/system.slice/--no-block.service\n":                                   "",
		"0::/system.slice/a b.service\n":                                          "",
		"0::/system.slice/" + strings.Repeat("a", 300) + ".service\n":             "",
		"0::/system.slice/.service\n":                                             "",
	} {
		if got := unitOf(cgroups); got != want {
			t.Errorf("%q: %q, want %q", cgroups, got, want)
		}
	}
}
