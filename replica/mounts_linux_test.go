package replica

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const mountinfo = `22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw,hidepid=2,gid=27
25 28 254:0 / / rw,relatime - ext4 /dev/vda rw
30 25 254:16 / /opt rw - ext4 /dev/vdb rw
31 25 254:16 /tb/tigerbeetle-old//deleted /app/tb rw - ext4 /dev/vdb rw
32 25 0:44 / /a\040b\134c rw - tmpfs none rw
garbage
40 22 0:50 / /proc rw - proc proc rw
`

func TestMounts(t *testing.T) {
	t.Parallel()
	mounts := parseMounts(mountinfo)
	if len(mounts) != 6 || mounts[4].point != `/a b\c` {
		t.Fatalf("got %+v", mounts)
	}
	if option, _ := hidePID(mounts, "/proc"); option != "" {
		t.Errorf("hidepid=%s, though another one is mounted on it", option)
	}
	if option, group := hidePID(mounts[:5], "/proc"); option != "2" || group != "27" {
		t.Errorf("hidepid=%s, gid=%s", option, group)
	}
	if device, file := source(mounts, "/app/tb"); device != "254:16" || file != "/tb/tigerbeetle-old" {
		t.Errorf("mounted from %s on %s", file, device)
	}
	if device, _ := source(mounts, "/app/other"); device != "" {
		t.Errorf("a mount on %s", device)
	}
	for path, want := range map[string][2]string{
		"/opt/tb/tigerbeetle": {"254:16", "/tb/tigerbeetle"}, "/optional/x": {"254:0", "/optional/x"}, "/usr/bin/tb": {"254:0", "/usr/bin/tb"},
	} {
		if device, file := within(mounts, path); device != want[0] || file != want[1] {
			t.Errorf("%s is %s on %s", path, file, device)
		}
	}
	for text, want := range map[string]string{`\`: `\`, `\04`: `\04`, `\999x`: `\999x`, `a\011`: "a\t"} {
		if got := unescape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestStranger(t *testing.T) {
	t.Parallel()
	known := users{1000, 4000}
	for uid, want := range map[uint32]bool{
		0: false, 1: false, 999: false, 1000: false, 1001: true, 4000: false, 61184: false, 65519: false, 65520: true, 65534: true, userUnknown: false,
	} {
		if got := known.stranger(uid); got != want {
			t.Errorf("%d: stranger %t", uid, got)
		}
	}
	for text, want := range map[string]uint32{"Name:\tx\nUid:\t1000\t0\t0\t0\n": 1000, "Uid:\t0\t0\t0\t0\n": 0} {
		if got, ok := parseUser(text); !ok || got != want {
			t.Errorf("%q: %d, %t", text, got, ok)
		}
	}
	for _, text := range []string{"", "Uid:", "Uid:\t-1", "Uid:\t99999999999", "Gid:\t0"} {
		if got, ok := parseUser(text); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
}

// A process at which an earlier look has not ended is told of, and not looked at again.
func TestFindBusy(t *testing.T) {
	t.Parallel()
	finder := NewFinder("/none", Options{})
	finder.busy[os.Getpid()] = true
	view, err := finder.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told := slices.ContainsFunc(view.Unseen, func(unseen Unseen) bool { return unseen.Kind == UnseenNoAnswer && unseen.PID == os.Getpid() })
	if !told || !finder.busy[os.Getpid()] {
		t.Errorf("unseen %+v", view.Unseen)
	}
}

// Of whom no look was answered, and who cannot count, hinders nothing: a stranger outside of the system's services.
func TestFindBusyStranger(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: whose a process is is told by the owner of its directory, unless that is root")
	}
	for _, test := range []struct {
		uid, cgroup, login string
		told               bool
	}{
		{"1500", "0::/user.slice/user-1500.slice/session-1.scope\n", "1500", false},
		{"1500", "0::/system.slice/cron.service\n", "1500", false},
		{"1500", "0::/system.slice/tigerbeetle.service\n", "4294967295", true},
		{"998", "0::/\n", "4294967295", true},
	} {
		proc := t.TempDir()
		process := filepath.Join(proc, "7")
		err := errors.Join(os.MkdirAll(filepath.Join(proc, "self"), 0o755), os.Mkdir(process, 0o755))
		for name, text := range map[string]string{"status": "Uid:\t" + test.uid + "\t0\t0\t0\n", "cgroup": test.cgroup, "loginuid": test.login} {
			err = errors.Join(err, os.WriteFile(filepath.Join(process, name), []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
		finder := NewFinder("/none", Options{Proc: proc})
		finder.busy[7] = true
		view, err := finder.Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(view.Unseen, func(unseen Unseen) bool { return unseen.Kind == UnseenNoAnswer && unseen.PID == 7 })
		if told != test.told || (view.Skipped == 0) != test.told {
			t.Errorf("%+v: unseen %+v, skipped %d", test, view.Unseen, view.Skipped)
		}
	}
}
