//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// mounted mounts something on dir until the test ends.
func mounted(t *testing.T, dir string, args ...string) {
	t.Helper()
	needRoot(t)
	needTool(t, "mount", "umount")
	if output, err := exec.Command("mount", append(args, dir)...).CombinedOutput(); err != nil {
		t.Skipf("skipped: cannot mount %q: %v: %s", args, err, output)
	}
	t.Cleanup(func() {
		if output, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, output)
		}
	})
}

// must runs a tool.
func must(t *testing.T, args ...string) {
	t.Helper()
	if output, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, output)
	}
}

// mayFlag sets flags on a file, and takes them away when the test ends.
func mayFlag(t *testing.T, flags, name string) {
	t.Helper()
	needRoot(t)
	needTool(t, "chattr")
	if output, err := exec.Command("chattr", "+"+flags, name).CombinedOutput(); err != nil {
		t.Skipf("skipped: chattr: %v: %s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("chattr", "-"+flags, name).Run() })
}

// nobody is a user who may do nothing special.
const nobody = 65534

// asNobody are the arguments that run a command as nobody.
func asNobody(t *testing.T, args []string) []string {
	t.Helper()
	needRoot(t)
	needTool(t, "setpriv")
	return append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"}, args...)
}

// asContainerRoot are the arguments that run a command as root of a user namespace in which
// only nobody exists.
func asContainerRoot(t *testing.T, args []string) []string {
	t.Helper()
	needTool(t, "unshare")
	inside := asNobody(t, []string{"unshare", "--map-root-user"})
	if output, err := exec.Command(inside[0], append(inside[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("skipped: nobody may make user namespaces here: %v: %s", err, output)
	}
	return append(inside, args...)
}

// TestFoundInThePlan requires that what can be known is found before anything is
// fetched, with its name and exit code, and that nothing is changed: by a dry run, which
// says just what the real run says, and by the real run.
func TestFoundInThePlan(t *testing.T) {
	t.Parallel()
	bind := func(options string) func(t *testing.T, p *place) {
		return func(t *testing.T, p *place) {
			mounted(t, p.dir, "--bind", p.dir)
			must(t, "mount", "-o", "remount,bind,"+options, p.dir)
		}
	}
	tests := []struct {
		name    string
		arrange func(t *testing.T, p *place)
		user    func(*testing.T, []string) []string // who runs it; nil: root
		code    int
		says    string
	}{
		{"read-only", bind("ro"), nil, 1, "read-only"},
		{"noexec", bind("noexec"), nil, 1, "noexec"},
		{"immutable file", func(t *testing.T, p *place) { mayFlag(t, "i", p.target) }, nil, 1, "immutable"},
		{"append-only file", func(t *testing.T, p *place) { mayFlag(t, "a", p.target) }, nil, 1, "append-only"},
		{"immutable directory", func(t *testing.T, p *place) { mayFlag(t, "i", p.dir) }, nil, 1, "immutable"},
		{"no space", func(t *testing.T, p *place) {
			small(t, p, "size=64k")
			p.put(t, p.target, binaryOld)
			fill(t, filepath.Join(p.dir, "ballast"))
		}, nil, 1, " free, and "},
		{"no inodes", func(t *testing.T, p *place) {
			small(t, p, "size=1m,nr_inodes=20")
			p.put(t, p.target, binaryOld)
			for number := 0; os.WriteFile(filepath.Join(p.dir, fmt.Sprint(number)), nil, 0o644) == nil; number++ {
			}
		}, nil, 1, "inodes"},
		{"something mounted on it", func(t *testing.T, p *place) { mounted(t, p.target, "--bind", p.source(binaryOlder)) }, nil, 1, "mounted"},
		{"not writable", func(t *testing.T, p *place) { check(t, os.Chown(p.target, nobody, nobody)) }, asNobody, 1, "not writable"},
		{"sticky", func(t *testing.T, p *place) { check(t, os.Chmod(p.dir, os.ModeSticky|0o777)) }, asNobody, 1, "sticky"},
		{"owner", func(t *testing.T, p *place) { check(t, os.Chmod(p.dir, 0o777)) }, asNobody, 4, "owner"},
		{"owner of the host", func(t *testing.T, p *place) { check(t, os.Chown(p.dir, nobody, nobody)) }, asContainerRoot, 4, "--owner USER:GROUP of this container"},
		{"capability", func(t *testing.T, p *place) {
			check(t, os.Chown(p.dir, nobody, nobody))
			check(t, os.Chown(p.target, nobody, nobody))
			must(t, "setfattr", "-n", "security.capability", "-v", fmt.Sprintf("0x%x", capability()), p.target)
		}, asNobody, 4, "security.capability"},
		{"label", func(t *testing.T, p *place) {
			check(t, os.Chown(p.dir, nobody, nobody))
			check(t, os.Chown(p.target, nobody, nobody)) // takes the capability away
			must(t, "setfattr", "-n", "security.selinux", "-v", "system_u:object_r:bin_t:s0", p.target)
		}, asNobody, 4, "security.selinux"},
		{"old is a directory", func(t *testing.T, p *place) { check(t, os.Mkdir(p.target+"-old", 0o755)) }, nil, 1, "taken by something else"},
		{"a directory", func(t *testing.T, p *place) { p.target = p.dir }, nil, 1, "is a directory"},
		{"a device", func(t *testing.T, p *place) { p.target = "/dev/null" }, nil, 1, "not a regular file"},
		{"a pipe", func(t *testing.T, p *place) {
			p.target += "-pipe"
			must(t, "mkfifo", p.target)
		}, nil, 1, "not a regular file"},
		{"a dangling link", func(t *testing.T, p *place) {
			p.target += "-link"
			check(t, os.Symlink("nothing", p.target))
		}, nil, 1, "leads nowhere"},
		{"no directory", func(t *testing.T, p *place) { p.target = filepath.Join(p.dir, "no", "tigerbeetle") }, nil, 1, "does not exist"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.name == "label" || test.name == "capability" {
				needTool(t, "setfattr")
			}
			needRoot(t)
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				_, _ = w.Write(binaries(t)[binaryNew].data)
			}))
			defer server.Close()
			p := newPlace(t, diskDir(t))
			p.reset(t, binaryOld, nothing)
			check(t, os.Chmod(p.target, 0o755)) // for everybody to read
			if test.user != nil {
				check(t, os.Mkdir(p.state, 0o755))
				check(t, os.Chown(p.state, nobody, nobody))
			}
			test.arrange(t, p)
			before := listing(t, p.dir)
			said := ""
			for _, dry := range []bool{true, false} {
				args := p.args("install", server.URL+"/tigerbeetle", p.target)
				if dry {
					args = append(args, "--dry-run")
				}
				if test.user != nil {
					// Replicas of others on this host would be found, but could not be looked into.
					args = test.user(t, append(args, "--running", binaryOld))
				}
				command := exec.CommandContext(t.Context(), args[0], args[1:]...)
				command.Env = p.env
				got := finish(t, command)
				tried("places found bad in the plan", 1)
				if got.code != test.code || !strings.Contains(got.stderr, test.says) || !strings.Contains(got.stderr, "hint:") {
					t.Errorf("dry %v: exit %d, want %d and %q: %s", dry, got.code, test.code, test.says, got.stderr)
				}
				got.stderr = strings.ReplaceAll(got.stderr, " --dry-run", "") // of the command that the hint has
				if !dry && got.stderr != said {
					t.Errorf("the dry run says\n%s\nand the real run\n%s", said, got.stderr)
				}
				said = got.stderr
			}
			if requests.Load() != 0 {
				t.Errorf("%d requests before the plan failed", requests.Load())
			}
			if after := listing(t, p.dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// TestAlready requires that a file which is installed already needs nothing of what would
// hinder another: no room, no right to write.
func TestAlready(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, p *place){
		"read-only": func(t *testing.T, p *place) {
			mounted(t, p.dir, "--bind", p.dir)
			must(t, "mount", "-o", "remount,bind,ro", p.dir)
		},
		"immutable file":      func(t *testing.T, p *place) { mayFlag(t, "i", p.target) },
		"immutable directory": func(t *testing.T, p *place) { mayFlag(t, "i", p.dir) },
		"no space": func(t *testing.T, p *place) {
			small(t, p, "size=64m")
			p.put(t, p.target, binaryOld)
			fill(t, filepath.Join(p.dir, "ballast"))
		},
		"another's": func(t *testing.T, p *place) { check(t, os.Chmod(p.target, 0o755)) },
	}
	for name, arrange := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needRoot(t)
			p := newPlace(t, diskDir(t))
			p.reset(t, binaryOld, nothing)
			arrange(t, p)
			before := listing(t, p.dir)
			for _, more := range []string{"--dry-run", "--json"} {
				args := p.args("install", p.source(binaryOld), p.target, "--running", binaryOld, more)
				if name == "another's" {
					check(t, os.MkdirAll(p.state, 0o777))
					args = asNobody(t, args)
				}
				command := exec.CommandContext(t.Context(), args[0], args[1:]...)
				command.Env = p.env
				if got := finish(t, command); got.code != 0 || !strings.Contains(got.stdout, "already") {
					t.Errorf("%s: exit %d: %s%s", more, got.code, got.stdout, got.stderr)
				}
			}
			if after := listing(t, p.dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// small puts a small file system in the place of the target's directory.
func small(t *testing.T, p *place, options string) {
	t.Helper()
	mounted(t, p.dir, "-t", "tmpfs", "-o", options, "tmpfs")
}

// fill makes a file that takes all the space there is.
func fill(t *testing.T, name string) {
	t.Helper()
	file, err := os.Create(name)
	check(t, err)
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
}

// listing describes all entries of a directory and their contents.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		check(t, err)
		fmt.Fprintf(&text, "%s %s %d %s\n", entry.Name(), info.Mode(), info.Size(), info.ModTime())
	}
	return text.String()
}

// TestDiskFills fills the disk, or meets a limit, in the middle of a file of
// which nobody knew the size.
func TestDiskFills(t *testing.T) {
	t.Parallel()
	needRoot(t)
	data := binaries(t)[binaryNew].data
	for size := 64; size < sizeNew>>10; size += sample(100, 16) {
		t.Run(fmt.Sprintf("space/%dk", size), func(t *testing.T) {
			p := newPlace(t, diskDir(t))
			small(t, p, fmt.Sprintf("size=%dk", size))
			p.put(t, p.target, binaryOld)
			p.fromInput(t, data, nil, "free")
		})
		t.Run(fmt.Sprintf("limit/%dk", size), func(t *testing.T) {
			needTool(t, "prlimit")
			p := newPlace(t, quickDir(t))
			p.put(t, p.target, binaryOld)
			p.fromInput(t, data, []string{"prlimit", fmt.Sprintf("--fsize=%d", size<<10)}, "file too large")
		})
	}
}

// fromInput installs from standard input, which must fail and change nothing.
func (p *place) fromInput(t *testing.T, data []byte, limit []string, says string) {
	t.Helper()
	args := append(limit, p.args("install", "-", p.target)...)
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Env, command.Stdin = p.env, bytes.NewReader(data)
	got := finish(t, command)
	tried("disks that fill midway", 1)
	if got.code != 1 || !strings.Contains(got.stderr, says) {
		t.Errorf("exit %d, want 1 and %q: %s", got.code, says, got.stderr)
	}
	p.clean(t, got.stderr, binaryOld, nothing)
	p.history(t, got.stderr)
}

// TestInodesRunOut leaves so few inodes that the lock would get the last one.
func TestInodesRunOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t, diskDir(t))
	small(t, p, "size=4m,nr_inodes=3") // the root, the target, and one more
	p.put(t, p.target, binaryOld)
	for _, more := range [][]string{{"--dry-run"}, nil, {"--dry-run"}} { // the real run leaves the last one free
		got := p.run(t, append([]string{"install", p.source(binaryNew), p.target}, more...)...)
		if got.code != 1 || !strings.Contains(got.stderr, "no free inodes") {
			t.Errorf("%v: exit %d: %s", more, got.code, got.stderr)
		}
		p.clean(t, got.stderr, binaryOld, nothing)
		if names := listing(t, p.dir); strings.Contains(names, "tbctl") {
			t.Errorf("%v: it left %s", more, names)
		}
	}
}

// TestTwoMounts replaces a file through a link from another file system.
func TestTwoMounts(t *testing.T) {
	t.Parallel()
	p := newPlace(t, diskDir(t))
	small(t, p, "size=8m")
	p.put(t, p.target, binaryOld)
	link := filepath.Join(p.sources, "link")
	check(t, os.Symlink("../opt/tigerbeetle", link))
	if got := p.run(t, "install", p.source(binaryNew), link); got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	p.clean(t, "two mounts", binaryNew, binaryOld)
	if text, err := os.Readlink(link); err != nil || text != "../opt/tigerbeetle" {
		t.Errorf("the link is %q, %v", text, err)
	}
	if listing := listing(t, p.sources); strings.Contains(listing, "tbctl") {
		t.Errorf("left beside the link:\n%s", listing)
	}
}
