//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// setting runs tbctl config and finds one setting.
func (h *host) setting(name string, args ...string) string {
	h.t.Helper()
	for _, s := range h.run(append([]string{"config", "--json"}, args...)...).want(0).document().Result.Settings {
		if s.Name == name {
			return s.Value + " from " + s.Origin
		}
	}
	return "nowhere"
}

func TestConfigPrecedence(t *testing.T) {
	t.Parallel()
	require(t)
	b := fixtures(t)
	h := newHost(t).install(b.old.data)
	check := func(want string, args ...string) {
		t.Helper()
		if got := h.setting("mirror", args...); got != want {
			t.Errorf("mirror is %s, want %s", got, want)
		}
	}
	check(" from default")
	file := h.write("home/config.toml", []byte("mirror = '/in/file'\ntarget = '"+h.target+"'\n"))
	check("/in/file from " + file)
	h.set("TBCTL_MIRROR=/in/environment")
	check("/in/environment from the environment: TBCTL_MIRROR")
	check("/on/line from the command line", "--mirror", "/on/line")
	h.run("config").want(0, "/in/environment", h.target)

	h.run("install", h.write("tigerbeetle.zip", b.next.zip)).want(0, h.target) // the configured target
	h.holds(b.next)
	h.write("home/config.toml", []byte("reqiure = 'digest'\n"))
	h.run("install", h.path("tigerbeetle.zip")).failed(2, "reqiure", file)
	h.run("inspect", h.target, "--json").want(2).document()
	h.write("home/config.toml", []byte("mirror = \n"))
	h.run("status", h.target).failed(2, file)
	h.run("version").want(0, "tbctl") // is there for who mends it
}

// TestConfigFiles has the host's file, which a mount puts in place, and the user's over it.
func TestConfigFiles(t *testing.T) {
	t.Parallel()
	require(t, "unshare", "mount")
	h := newHost(t)
	system := h.write("etc/tbctl/config.toml", []byte("mirror = '/of/host'\nrequire = 'digest'\n"))
	user := h.write("home/.config/tbctl/config.toml", []byte("mirror = '/of/user'\n"))
	h.env = slices.DeleteFunc(h.env, func(entry string) bool { return strings.HasPrefix(entry, "TBCTL_CONFIG=") })
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `mount --bind "$1" /etc; shift; exec "$@"`, "sh", h.path("etc"), os.Getenv(programEnv), "config")
	cmd.Env = h.env
	r := finish(t, cmd).want(0)
	for _, want := range []string{"/of/user", user, "/etc/tbctl/config.toml"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("%s is not in the list, which was made of %s\n%s", want, system, r.both())
		}
	}
}
