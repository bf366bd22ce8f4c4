package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/remote"
)

// oldTbctl says what a tbctl says that does not know the command host.
const oldTbctl = "#!/bin/sh\necho 'tbctl: error: unexpected argument host' >&2\nexit 2\n"

// A tbctl that is missing or too old on a host is put there when that is asked for, and only then, whole and in one step; what is in another place, or a
// link, is left as it is.
func TestFleetPush(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 3)
	f.serve(standin.Binary(t, "0.17.7", "0.17.6"))
	next, file := f.next("0.17.8", "0.17.6", "0.17.7"), filepath.Join(t.TempDir(), "plan.json")
	missing, old := f.Host("tb1"), f.Host("tb2")
	missing.Run("rm", remote.PushPlace)
	old.Run("rm", remote.PushPlace)
	old.WriteFile(remote.PushPlace, []byte(oldTbctl), 0o700)
	there := func() string {
		return missing.Run("ls", "-lA", "/usr/local/bin") + old.Run("ls", "-lA", "/usr/local/bin")
	}
	before := there()
	if result, code := f.plan(next, "-o", file); code != 1 || reasons(result.Problems) != "tb1 tbctl-missing, tb2 tbctl-too-old" || len(result.Pushed) != 0 {
		t.Errorf("not asked for: exit code %d: %s", code, reasons(result.Problems))
	}

	// What came is not what was sent, and what is no file of ours.
	self, err := remote.Self()
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, said string, dialer *remote.Dialer) {
		t.Helper()
		if err := dialer.Push(t.Context(), missing.Name, self); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("it is cut", "what came is not what was sent", &remote.Dialer{SSH: append([]string{"sh", "-c", `head -c 100000 | "$@"`, "sh"}, f.SSH...)})
	if after := there(); after != before {
		t.Errorf("it is cut: there is\n%s, was\n%s", after, before)
	}
	missing.Run("ln", "-s", "nowhere", remote.PushPlace)
	refused("a link", "is no file that could be replaced", &remote.Dialer{SSH: f.SSH})
	missing.Run("rm", remote.PushPlace)
	missing.WriteFile("/usr/local/sbin/tbctl", []byte(oldTbctl), 0o755)
	refused("another place", "/usr/local/sbin/tbctl is there, and is no file of ours", &remote.Dialer{SSH: f.SSH})
	missing.Run("rm", "/usr/local/sbin/tbctl")
	refused("no right to write", "setpriv", &remote.Dialer{SSH: f.SSH, Become: []string{"setpriv", "--nosuchflag"}})
	if after := there(); after != before {
		t.Errorf("refused: there is\n%s, was\n%s", after, before)
	}

	result, code := f.plan(next, "-o", file, "--push-tbctl")
	if code != 0 || len(result.Pushed) != 2 || result.Pushed[0].Host != "tb1" || result.Pushed[1].Host != "tb2" || result.Plan == nil {
		t.Fatalf("exit code %d: %+v, %+v", code, result.Pushed, result.Problems)
	}
	program, err := os.ReadFile(f.program)
	if err != nil {
		t.Fatal(err)
	}
	for index, h := range f.Hosts[1:] {
		info, err := os.Lstat(h.Path(remote.PushPlace))
		if err != nil || info.Mode() != 0o755 {
			t.Fatalf("%s: %v, %v", h.Name, info, err)
		}
		if got, err := os.ReadFile(h.Path(remote.PushPlace)); err != nil || !bytes.Equal(got, program) || result.Pushed[index].SHA256 != digestOf(program) {
			t.Errorf("%s: there are %d bytes of another program, %v", h.Name, len(got), err)
		}
		if left := h.Run("find", "/usr/local/bin", "-name", ".tbctl-*"); left != "" {
			t.Errorf("%s: left is %s", h.Name, left)
		}
	}
	if again, code := f.plan(next, "-o", file, "--force", "--push-tbctl"); code != 0 || len(again.Pushed) != 0 {
		t.Errorf("again: exit code %d, %+v", code, again.Pushed)
	}
}
