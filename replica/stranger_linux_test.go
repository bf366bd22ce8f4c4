package replica_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
)

// hanging is what a stranger can mount without any rights: a file system served by a process of his, and one
// that lies on top of it, through which root may look, too. The server at b passes on to the one at a, so that
// what it was asked for is waited for without an end when that one is stopped.
const hanging = `target=$1 self=$2 memory=$3
cd "$4"
mkdir -p source/dir source/usr source/lib64 a b m local
mount -t tmpfs none local
mkdir local/upper local/work local/usr
cp "$self" source/tigerbeetle; cp "$self" "source/memfd:$memory"; : >source/data; : >source/dir/data; chmod 777 source/dir
ln -s usr/lib source/lib
for each in "source a" "a b"; do
	bindfs -f -o attr_timeout=0,entry_timeout=0 $each >&- 2>&- &
	: ${server:=$!}
	until mountpoint -q ${each#* }; do sleep 0.01; done
done
mount -t overlay -o lowerdir=b,upperdir=local/upper,workdir=local/work,userxattr none m
`

// A stranger's process that uses a mount which answers no more, in whichever way, proves nothing and keeps
// nobody waiting: a system call that waits for such a mount cannot be ended, and so neither can the process
// that made it.
func TestFindStrangerHangs(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	for _, test := range []struct {
		name, script string
		want         replica.Origin // "": it is none of the target's
	}{
		{"the executable", `exec -a "$target" m/tigerbeetle start --addresses=3000 "$target.data"`, replica.OriginClaimed},
		{"the executable, not through another", `exec -a "$target" b/tigerbeetle start --addresses=3000 "$target.data"`, replica.OriginClaimed},
		{"the executable, by its place alone", `exec -a replica m/tigerbeetle start --addresses=3000 /none`, ""},
		{"the executable, below the target that is mounted there since", `(until [ "$(readlink /proc/$$/exe)" = "$PWD/m/tigerbeetle" ]; do sleep 0.01; done
mount --bind "$target" m/tigerbeetle; echo ready) &
exec -a "$target" m/tigerbeetle start --addresses=3000 "$target.data"`, replica.OriginClaimed},
		{"the name", `exec -a "$PWD/m/tigerbeetle" "$target" start --addresses=3000 "$PWD/m/data"`, replica.OriginTarget},
		{"the name, of a memory file's", `REPLICA_HELPER="execute $target" exec -a "$PWD/m/tigerbeetle" "$target" start --addresses=3000 "$PWD/m/data"`, ""},
		{"the data file", `exec -a "$target" "$target" start --addresses=3000 "$PWD/m/data"`, replica.OriginTarget},
		{"the data file, which is open", `exec -a "$target" "$target" start --addresses=3000 "$PWD/m/data" 7<m/data`, replica.OriginTarget},
		{"a file with the name of a memory file", `exec -a "$target" "$target" start --addresses=3000 /none 7<"m/memfd:$memory"`, replica.OriginTarget},
		{"the working directory", `cd m/dir; exec -a tigerbeetle "$target" start --addresses=3000 data`, replica.OriginTarget},
		{"the root directory", `mount --rbind /usr m/usr; mount --rbind /lib64 m/lib64
exec chroot m /usr/bin/bash -c 'exec -a "$0" /tigerbeetle start --addresses=3000 /data' "$target"`, ""},
		{"what is mounted at /proc", `mount --bind m /proc; exec -a "$target" "$target" start --addresses=3000 /proc/data`, replica.OriginTarget},
		{"what is mounted at the target", `mkdir local/t; cp "$target" local/t/x; mount --bind m/tigerbeetle "$target"; exec -a "$target" local/t/x start --addresses=3000 /none`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := program(t)
			pid, server := hangs(t, mallory, target, test.script)
			if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer syscall.Kill(server, syscall.SIGCONT)
			view := lookAlone(t, target)
			var got replica.Origin
			for _, process := range view.Processes {
				if process.PID == pid {
					got = process.Origin
				}
			}
			if got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
			for _, unseen := range view.Unseen {
				if unseen.PID == pid {
					t.Errorf("unseen: %s", unseen.Reason)
				}
			}
		})
	}
}

// An account of the system is believed, and is waited for no longer than others. That its data file cannot be seen is said.
func TestFindSystemHangs(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	for _, test := range []struct {
		name, script string
		want         replica.Origin
		data         string // why the data file is not read; "": it is not looked for
	}{
		{"the data file", `exec -a "$target" "$target" start --addresses=3000 "$PWD/m/unknown"`, replica.OriginTarget, "that may not answer"},
		{"the data file, which is open", `exec -a "$target" "$target" start --addresses=3000 "$PWD/m/data" 7<m/data`, replica.OriginTarget, "m/data"},
		{"the data file, by a link", `ln -s "$PWD/m/unknown" local/link; exec -a "$target" "$target" start --addresses=3000 "$PWD/local/link"`, replica.OriginTarget, "that may not answer"},
		{"the data file, by a link that is there to be read", `: >local/data; ln -s ../local//data local/link; touch -h -d "2 days ago" local/link
exec -a "$target" "$target" start --addresses=3000 "$PWD/local/link"`, replica.OriginTarget, "past the end of the file"},
		{"the data file, through /proc", `cd local; exec -a "$target" "$target" start --addresses=3000 ../../../../../../../../proc/self/root/none`, replica.OriginTarget, "none"},
		{"the working directory", `cd m/dir; exec -a tigerbeetle "$target" start --addresses=3000 data`, replica.OriginTarget, "data"},
		{"the executable", `exec -a "$target" m/tigerbeetle start --addresses=3000 "$target.data"`, replica.OriginClaimed, ""},
		{"the name", `exec -a "$PWD/m/tigerbeetle" "$target" start --addresses=3000 "$PWD/m/unknown"`, replica.OriginTarget, "that may not answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := program(t)
			pid, server := hangs(t, 998, target, test.script)
			if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer syscall.Kill(server, syscall.SIGCONT)
			got := processOf(t, lookAlone(t, target), pid)
			data := ""
			for _, each := range got.Unreadable {
				if each.What == replica.UnreadableDataFile {
					data = each.Reason
				}
			}
			if got.Origin != test.want || got.Stranger || !strings.Contains(data, test.data) || (data == "") != (test.data == "") {
				t.Errorf("data file %q, %+v", data, got)
			}
		})
	}
}

// Who may write the target's directory makes the target, or the file beside it, a link into what does not answer.
func TestFindLinkHangs(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	for _, name := range []string{"tigerbeetle", "tigerbeetle-old"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := program(t)
			pid, server := hangs(t, 998, target, `exec "$self" wait`)
			root := "/proc/" + strconv.Itoa(pid) + "/root"
			m, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
			link := filepath.Join(filepath.Dir(target), name)
			_ = os.Remove(link)
			if err = cmp.Or(err, os.Symlink(root+m+"/m/unknown", link)); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer syscall.Kill(server, syscall.SIGCONT)
			lookAlone(t, target)
		})
	}
}

// A stranger can spell a path that leads nowhere with him, and here to a mount that answers no more.
func TestFindStrangerSpells(t *testing.T) {
	t.Parallel()
	needAllSeen(t)
	target, source, place := program(t), public(t), public(t)
	server := mountFUSE(t, source, place)
	if output, err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "none", place).CombinedOutput(); err != nil {
		t.Skipf("skipped: a mount namespace is not allowed here: %v: %s", err, output)
	}
	pid := waits(t, 1, `mount --make-rprivate /; mount -t tmpfs none "$1"; : >"$1/data"; chmod 777 "$1" "$1/data"
exec setpriv --reuid 45551 --regid 45551 --clear-groups bash -c 'exec -a "$0" "$0" start --addresses=3000 "$1/data" 7<"$1/data"' "$0" "$1"`, target, place)
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer server.Signal(syscall.SIGCONT)
	if got := processOf(t, lookAlone(t, target), pid); got.DataFile != place+"/data" || got.DataFilePath != "" {
		t.Errorf("got %+v", got)
	}
}

// hangs runs a script as a user after hanging, and returns the process and the server to be stopped.
func hangs(t *testing.T, user int, target, script string) (pid, server int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: becoming another user needs root")
	}
	for _, program := range []string{"bindfs", "unshare", "setpriv", "mountpoint", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
	dir := public(t)
	device, self := filepath.Join(dir, "fuse"), filepath.Join(dir, "self")
	testbin.WriteFile(t, self, testbin.Self(t))
	if err := errors.Join(os.Chown(dir, user, user), syscall.Mknod(device, syscall.S_IFCHR, 10<<8|229), os.Chmod(device, 0o666)); err != nil {
		t.Skipf("skipped: %v", err)
	}
	become := strings.ReplaceAll(`mount --make-rprivate /; mount --bind "$0" /dev/fuse
exec setpriv --reuid USER --regid USER --clear-groups unshare -Urm bash -ec "$@"`, "USER", strconv.Itoa(user))
	if output, err := exec.Command("unshare", "-m", "bash", "-ec", become, device, "exec 9<>/dev/fuse; mount -t tmpfs none /mnt").CombinedOutput(); err != nil {
		t.Skipf("skipped: a user cannot mount anything here: %v: %s", err, output)
	}
	pid = waits(t, 1+strings.Count(script, "echo ready"), become, device, hanging+"echo $server >server\n"+script, "bash", target, self, replica.MemfdName, dir)
	text, err := os.ReadFile(filepath.Join(dir, "server"))
	if err != nil {
		t.Fatal(err)
	}
	if server, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		t.Fatal(err)
	}
	return pid, server
}

// waits runs a shell script in a mount namespace of its own that becomes the test program in the end, and
// returns when it has said that it is ready so many times.
func waits(t *testing.T, ready int, script string, args ...string) int {
	t.Helper()
	command := exec.Command("unshare", append([]string{"-m", "bash", "-ec", script}, args...)...)
	command.Env = append(os.Environ(), helperVariable+"=wait", "GOMAXPROCS=4")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		syscall.Kill(-command.Process.Pid, syscall.SIGCONT)
		syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		command.Wait()
	})
	lines := bufio.NewReader(output)
	for range ready {
		if line, err := lines.ReadString('\n'); err != nil || line != helperReady {
			t.Fatalf("it says %q, %v", line, err)
		}
	}
	return command.Process.Pid
}

// lookAlone looks in a process of its own, which must end: one that made a system call which waits for a
// stranger does not, not even when it is killed.
func lookAlone(t *testing.T, target string) replica.View {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var output, errors bytes.Buffer
	command := exec.Command(self)
	command.Env = append(os.Environ(), helperVariable+"=find root "+target)
	command.Stdout, command.Stderr = &output, &errors
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case err := <-ended:
		var view replica.View
		if err = cmp.Or(err, json.Unmarshal(output.Bytes(), &view)); err != nil {
			t.Fatalf("%v: %s", err, errors.String())
		}
		return view
	case <-time.After(time.Minute):
		command.Process.Kill()
		t.Fatal("it does not end")
		return replica.View{}
	}
}
