package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
)

// ansible runs playbooks of the collection in contrib/ansible.
type ansible struct {
	t   *testing.T
	dir string
	env []string
}

// newAnsible prepares a controller that reaches the fleet's hosts.
func newAnsible(t *testing.T, f *liveFleet) *ansible {
	t.Helper()
	a := &ansible{t: t, dir: t.TempDir()}
	collection, err := filepath.Abs("../../contrib/ansible")
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(a.dir, "collections/ansible_collections/tbctl")
	ssh := "#!/bin/sh\nexec " + strings.Join(f.SSH, " ") + ` "$@"` + "\n"
	inventory := "[tigerbeetle]\n"
	for _, h := range f.Hosts {
		inventory += h.Name + "\n"
	}
	for _, err := range []error{
		os.MkdirAll(place, 0o755), os.WriteFile(filepath.Join(a.dir, "lines.py"), []byte(ansibleLines), 0o644), os.Symlink(collection, filepath.Join(place, "tbctl")),
		os.WriteFile(filepath.Join(a.dir, "hosts.ini"), []byte(inventory), 0o644), os.WriteFile(filepath.Join(a.dir, "ansible.cfg"), nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	writeDoc(t, filepath.Join(a.dir, "ssh"), []byte(ssh), 0o755)
	a.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir, "LC_ALL=C.UTF-8", "ANSIBLE_HOME=" + a.dir, "ANSIBLE_LOCAL_TEMP=" + filepath.Join(a.dir, "tmp"), "ANSIBLE_CONFIG=" + filepath.Join(a.dir, "ansible.cfg"),
		"ANSIBLE_COLLECTIONS_PATHS=" + filepath.Join(a.dir, "collections"), "ANSIBLE_SSH_EXECUTABLE=" + filepath.Join(a.dir, "ssh"), "ANSIBLE_SSH_ARGS=", "ANSIBLE_PIPELINING=1",
		"ANSIBLE_CALLBACK_PLUGINS=" + a.dir, "ANSIBLE_STDOUT_CALLBACK=lines", "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3", "ANSIBLE_FORKS=1",
	}
	return a
}

// ansibleLines is a plugin that prints a line of JSON for each task of a host: ansible-core has none that does.
const ansibleLines = `import json
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "lines"

    def say(self, result, failed):
        print(json.dumps(dict(host=result._host.name, task=result._task.action, failed=failed, result=result._result)), flush=True)

    def v2_runner_on_ok(self, result): self.say(result, False)
    def v2_runner_on_failed(self, result, ignore_errors=False): self.say(result, True)
    def v2_runner_on_unreachable(self, result): self.say(result, True)
`

// A played is what became of a task on a host.
type played struct {
	Host, Task string
	Failed     bool
	Result     struct {
		Changed         bool
		Msg, Kind, Hint string
		ExitCode        int `json:"exit_code"`
		Diff            struct{ Before, After string }
	}
}

// play runs the collection's playbook, and returns what became of the module's task on each host, as "tb0 changed, tb1 ok".
func (a *ansible) play(args ...string) (installed []played, said string) {
	a.t.Helper()
	command := exec.Command("ansible-playbook", append([]string{"tbctl.tbctl.install", "-i", filepath.Join(a.dir, "hosts.ini")}, args...)...)
	command.Env, command.Dir = a.env, a.dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	var became []string
	for line := range strings.Lines(string(output)) {
		var p played
		if json.Unmarshal([]byte(line), &p) != nil {
			continue
		}
		switch {
		case p.Failed:
			became = append(became, p.Host+" failed")
		case p.Task != "tbctl.tbctl.tbctl_install":
		case p.Result.Changed:
			became = append(became, p.Host+" changed")
		default:
			became = append(became, p.Host+" ok")
		}
		if p.Task == "tbctl.tbctl.tbctl_install" {
			installed = append(installed, p)
		}
	}
	if len(installed) == 0 || (err == nil) == strings.Contains(fmt.Sprint(became), "failed") {
		a.t.Fatalf("ansible-playbook %q: %v\n%s\n%s", args, err, output, stderr.Bytes())
	}
	return installed, strings.Join(became, ", ")
}

// Ansible's collection asks without changing anything, brings a release to one host after the other, does nothing again, and fails by
// the exit code: then no further host is worked on.
func TestAnsible(t *testing.T) {
	t.Parallel()
	if os.Getenv("TORTURE") != "full" {
		t.Skip("skipped: five playbooks take most of a minute of Ansible's interpreter: TORTURE=full")
	}
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		t.Skipf("skipped: %v", err)
	}
	f := newLiveFleet(t, 2)
	old := standin.Binary(t, "0.17.7", "0.17.6")
	f.serve(old)
	a := newAnsible(t, f)
	next := filepath.Join(t.TempDir(), "tigerbeetle")
	writeDoc(t, next, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7"), 0o755)
	const target = "/usr/local/bin/tigerbeetle"
	release := "tigerbeetle_release=" + next
	installed := func(index int) string {
		return strings.Fields(f.Hosts[index].Run("sha256sum", target))[0]
	}
	before := installed(0)

	played, said := a.play("-e", release, "--check", "--diff")
	if diff := played[0].Result.Diff; said != "tb0 changed, tb1 changed" || !strings.Contains(diff.Before, "release: 0.17.7\n") || !strings.Contains(diff.After, "release: 0.17.8\n") || !strings.Contains(diff.After, "mode: 0755\n") {
		t.Errorf("check: %s, %+v", said, diff)
	}
	if installed(0) != before || installed(1) != before {
		t.Error("check: a file was changed")
	}

	// What is refused ends it on the first host.
	writeDoc(t, next+"-far", standin.Binary(t, "0.99.9", "0.99.8"), 0o755)
	writeDoc(t, next+"-text", []byte("text"), 0o644)
	for _, refused := range []struct {
		release, kind, msg string
		code               int
	}{
		{next + "-far", "refused", "RunningVersionNotIncluded", 4}, {next + "-text", "rejected", "neither a zip archive nor an executable", 3},
	} {
		played, said := a.play("-e", "tigerbeetle_release="+refused.release)
		if result := played[0].Result; said != "tb0 failed" || result.ExitCode != refused.code || result.Kind != refused.kind || !strings.Contains(result.Msg, refused.msg) {
			t.Errorf("%s: %s, %+v", refused.kind, said, result)
		}
	}

	if _, said := a.play("-e", release); said != "tb0 changed, tb1 changed" {
		t.Fatal(said)
	}
	if installed(0) == before || installed(1) != installed(0) {
		t.Error("the release is not on both hosts")
	}
	if _, said := a.play("-e", release); said != "tb0 ok, tb1 ok" {
		t.Errorf("again: %s", said)
	}
}
