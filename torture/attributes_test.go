//go:build linux

package torture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/internal/testbin"
)

// portrait is everything that a replacement must take over.
type portrait struct {
	mode     uint32
	uid, gid uint32
	xattrs   map[string][]byte
}

func portraitOf(t *testing.T, name string) portrait {
	t.Helper()
	var st unix.Stat_t
	check(t, unix.Lstat(name, &st))
	return portrait{st.Mode, st.Uid, st.Gid, xattrsOf(name)}
}

func (p portrait) equal(other portrait) bool {
	return p.mode == other.mode && p.uid == other.uid && p.gid == other.gid && maps.EqualFunc(p.xattrs, other.xattrs, bytes.Equal)
}

// lowered is what a displaced file has: not what only the target needs.
func (p portrait) lowered() portrait {
	p.mode, p.uid, p.xattrs = p.mode&^0o6022, 0, maps.Clone(p.xattrs)
	delete(p.xattrs, "security.capability")
	return p
}

// TestAttributesCarriedOver gives the installed file one attribute after the other,
// with the tools that operators use, and requires all of them of the new file.
func TestAttributesCarriedOver(t *testing.T) {
	t.Parallel()
	needRoot(t)
	needTool(t, "setcap", "getcap", "setfacl", "getfacl", "setfattr")
	p := newPlace(t, diskDir(t))
	p.plain = true
	p.reset(t, binaryOld, nothing)
	check(t, os.Chmod(p.source(binaryNew), 0o600)) // the source's own mode means nothing
	check(t, os.Chmod(p.source(binaryOld), 0o600))
	steps := []struct {
		name string
		args []string
	}{
		{"owner", []string{"chown", "12:34", p.target}},
		{"mode", []string{"chmod", "0750", p.target}},
		{"another mode", []string{"chmod", "0501", p.target}},
		{"setuid", []string{"chmod", "4755", p.target}},
		{"setgid and sticky", []string{"chmod", "3755", p.target}},
		{"ACL", []string{"setfacl", "-m", "u:77:r-x,g:88:--x", p.target}},
		{"user attribute", []string{"setfattr", "-n", "user.deployed-by", "-v", "ansible", p.target}},
		{"binary attribute", []string{"setfattr", "-n", "user.binary", "-v", "0x00ff00", p.target}},
		{"capability", []string{"setcap", "cap_ipc_lock=+ep", p.target}},
		{"two capabilities", []string{"setcap", "cap_ipc_lock,cap_sys_nice=+ep", p.target}},
		{"label", []string{"setfattr", "-n", "security.selinux", "-v", "system_u:object_r:bin_t:s0", p.target}},
		{"owner takes the capability away", []string{"chown", "56:78", p.target}},
		{"capability again", []string{"setcap", "cap_ipc_lock=+ep", p.target}},
	}
	for index, step := range steps {
		if output, err := exec.Command(step.args[0], step.args[1:]...).CombinedOutput(); err != nil {
			t.Logf("%s: not on this file system: %v: %s", step.name, err, output)
			continue
		}
		before := portraitOf(t, p.target)
		release := []string{binaryNew, binaryNext}[index%2]
		args := p.args("install", p.source(release), p.target, "--stopped", "--allow-downgrade", "--running", binaryOlder)
		command := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `umask 077; exec "$0" "$@"`}, args...)...)
		command.Env = p.env
		if got := finish(t, command); got.code != 0 {
			t.Fatalf("%s: exit %d: %s", step.name, got.code, got.stderr)
		}
		if after := portraitOf(t, p.target); !after.equal(before) {
			t.Errorf("%s: %+v became %+v", step.name, before, after)
		}
		if old := portraitOf(t, p.target+"-old"); !old.equal(before.lowered()) {
			t.Errorf("%s: the previous file had %+v and has %+v", step.name, before, old)
		}
		tried("attributes carried over", 1)
	}
	output, err := exec.Command("getcap", p.target).CombinedOutput()
	if err != nil || !strings.Contains(string(output), "cap_ipc_lock=ep") {
		t.Errorf("getcap says %q, %v", output, err)
	}
}

// TestPlainUser installs as a user who owns the directory.
func TestPlainUser(t *testing.T) {
	t.Parallel()
	p := newPlace(t, diskDir(t))
	p.reset(t, binaryOld, nothing)
	check(t, os.Mkdir(p.state, 0o755))
	for _, name := range []string{p.dir, p.target, p.state} {
		check(t, os.Chown(name, nobody, nobody))
	}
	run := func(more ...string) ran {
		args := asNobody(t, p.args(append([]string{"install", p.source(binaryNew), p.target, "--running", binaryOld}, more...)...))
		command := exec.CommandContext(t.Context(), args[0], args[1:]...)
		command.Env = p.env
		return finish(t, command)
	}
	before := portraitOf(t, p.target)
	if got := run("--owner", "12:34"); got.code != 4 || !strings.Contains(got.stderr, "owner") {
		t.Errorf("giving it away: exit %d: %s", got.code, got.stderr)
	}
	if got := run(); got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	if after := portraitOf(t, p.target); !after.equal(before) || after.uid != nobody {
		t.Errorf("%+v became %+v", before, after)
	}
}

// TestSudo requires that the record names who called sudo.
func TestSudo(t *testing.T) {
	t.Parallel()
	p := newPlace(t, quickDir(t))
	p.reset(t, binaryOld, nothing)
	p.env = append(p.env, "SUDO_USER=alice")
	p.install(t, binaryNew)
	for _, record := range p.history(t, "sudo") {
		if record.SudoUser != "alice" || record.User == "" {
			t.Errorf("%+v", record)
		}
	}
}

// TestWhileItRuns replaces a program that runs: it goes on, and the next start is
// of the new one.
func TestWhileItRuns(t *testing.T) {
	t.Parallel()
	p := newPlace(t, diskDir(t))
	check(t, os.Mkdir(filepath.Join(p.sources, "real"), 0o755))
	old := testbin.Build(t, testbin.Spec{Platform: platform(), Current: testbin.Release(binaryOld), Past: testbin.PastOf(binaryOlder)})
	next := testbin.Build(t, testbin.Spec{Platform: platform(), Current: testbin.Release(binaryNew), Past: testbin.PastOf(binaryOlder, binaryOld)})
	testbin.WriteFile(t, p.target, old)
	source := filepath.Join(p.sources, "real", "next")
	testbin.WriteFile(t, source, next)

	running := exec.CommandContext(t.Context(), p.target, "wait")
	stdout, err := running.StdoutPipe()
	check(t, err)
	check(t, running.Start())
	said := make([]byte, len("waiting\n"))
	if _, err := stdout.Read(said); err != nil || string(said) != "waiting\n" {
		t.Fatalf("it says %q, %v", said, err)
	}
	for range 3 { // there and back and there again
		if got := p.run(t, "install", source, p.target); got.code != 0 {
			t.Fatalf("exit %d: %s", got.code, got.stderr)
		}
		output, err := exec.Command(p.target, "version").Output()
		if err != nil || !strings.Contains(string(output), binaryNew) {
			t.Fatalf("the new one prints %q, %v", output, err)
		}
		if got := p.run(t, "rollback", p.target, "--stopped", "--running", binaryOld); got.code != 0 {
			t.Fatalf("roll back: exit %d: %s", got.code, got.stderr)
		}
	}
	check(t, running.Process.Signal(syscall.SIGTERM))
	rest := make([]byte, 100)
	count, _ := stdout.Read(rest)
	if err := running.Wait(); err != nil || !strings.Contains(string(rest[:count]), "terminated") {
		t.Errorf("the one that ran says %q, %v", rest[:count], err)
	}
}

// TestLinks replaces through a chain of symbolic links, and warns of hard links.
func TestLinks(t *testing.T) {
	t.Parallel()
	p := newPlace(t, quickDir(t))
	p.reset(t, binaryOld, nothing)
	bin := filepath.Join(filepath.Dir(p.dir), "bin")
	check(t, os.Mkdir(bin, 0o755))
	check(t, os.Symlink("../opt/tigerbeetle", filepath.Join(bin, "one")))
	check(t, os.Symlink("one", filepath.Join(bin, "two")))
	if got := p.run(t, "install", p.source(binaryNew), filepath.Join(bin, "two")); got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	p.clean(t, "links", binaryNew, binaryOld)
	if entries, err := os.ReadDir(bin); err != nil || len(entries) != 2 {
		t.Errorf("beside the links: %v, %v", entries, err)
	}

	another := filepath.Join(bin, "hard")
	check(t, os.Link(p.target, another))
	got := p.run(t, "install", p.source(binaryNext), p.target, "--json")
	var document struct {
		Warnings []string `json:"warnings"`
	}
	if err := json.Unmarshal([]byte(got.stdout), &document); err != nil || got.code != 0 {
		t.Fatalf("exit %d, %v: %s", got.code, err, got.stderr)
	}
	if !strings.Contains(fmt.Sprint(document.Warnings), "2 hard links") {
		t.Errorf("warnings %q", document.Warnings)
	}
	p.clean(t, "hard links", binaryNext, binaryNew)
	if left := p.whole(t, "hard link", another); left != binaryNew {
		t.Errorf("the other link is %s", left)
	}
}
