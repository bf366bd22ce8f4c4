package replica_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
)

// tree is a process file system made of ordinary files.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	tr := tree{t, t.TempDir()}
	tr.link("self/ns/mnt", "mnt:[1]")
	tr.link("self/root", "/")
	tr.write("stat", "cpu 1 2\nbtime 1700000000\n")
	return tr
}

func (tr tree) write(name, content string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) link(name, text string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(text, path)); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr tree) unlink(name string) {
	tr.t.Helper()
	if err := os.Remove(filepath.Join(tr.root, name)); err != nil {
		tr.t.Fatal(err)
	}
}

// process adds one that started 5 seconds after the boot.
func (tr tree) process(pid int, exe, mount string, args ...string) {
	tr.t.Helper()
	dir := strconv.Itoa(pid)
	tr.write(dir+"/stat", fmt.Sprintf("%d (odd) name (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n", pid))
	tr.write(dir+"/cmdline", strings.Join(args, "\x00")+"\x00")
	tr.link(dir+"/exe", exe)
	tr.link(dir+"/root", "/")
	tr.link(dir+"/cwd", "/")
	tr.link(dir+"/ns/mnt", mount)
	tr.link(dir+"/fd/0", "/dev/null")
	tr.write(dir+"/net/tcp", "  sl  local_address rem_address   st\n")
}

func (tr tree) find(target string) []replica.Process {
	tr.t.Helper()
	found, err := replica.Find(tr.t.Context(), target, replica.Options{Proc: tr.root})
	if err != nil {
		tr.t.Fatal(err)
	}
	return found.Processes
}

func installed(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return testbin.BuildFile(t, testbin.Spec{}, dir)
}

func TestFindInTree(t *testing.T) {
	t.Parallel()
	target := installed(t)
	twin := filepath.Join(t.TempDir(), "elsewhere") // the same file by another name, as a bind mount shows it
	if err := os.Link(target, twin); err != nil {
		t.Fatal(err)
	}
	strange := filepath.Join(t.TempDir(), "strange")
	if err := os.WriteFile(strange, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	tr := newTree(t)
	tr.process(30, target, "mnt:[1]", target, "start", "--addresses=3000", "/none")
	tr.process(4, twin, "mnt:[2]", "/app/tigerbeetle", "start", "--addresses=3000", "/none")
	tr.process(5, strange, "mnt:[1]", "/bin/strange", "start")
	jail := t.TempDir()
	tr.process(6, strange, "mnt:[2]", target, "start")  // says so, in another mount namespace
	tr.process(11, strange, "mnt:[1]", target, "start") // says so, with another root
	for _, dir := range []string{"6", "11"} {
		tr.unlink(dir + "/root")
		tr.link(dir+"/root", jail)
	}
	tr.process(12, strange, "mnt:[1]", target, "start", "--addresses=3000", "/none") // says so, and is not believed
	hidden := filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".ready-7")
	if err := os.WriteFile(hidden, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	tr.process(13, hidden, "mnt:[1]", "tigerbeetle", "start", "--addresses=3000", "/none")
	tr.process(7, "/gone (deleted)", "mnt:[1]", target, "start")
	tr.write("8/stat", "8 (kernel) S 1")
	tr.write("9/stat", "9 (vanished) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n")
	tr.write("10x/stat", "")
	tr.write("uptime", "1")
	found := tr.find(target)
	if len(found) != 4 || found[0].PID != 4 || found[1].PID != 12 || found[2].PID != 13 || found[3].PID != 30 {
		t.Fatalf("found %+v", found)
	}
	if got := found[1]; got.Origin != replica.OriginClaimed || got.Replica || got.Exe != strange {
		t.Errorf("got %+v", got)
	}
	if got := found[2]; got.Origin != replica.OriginReplaced || !got.Replica || got.Running.Release != 0 {
		t.Errorf("got %+v", got)
	}
	for _, process := range []replica.Process{found[0], found[3]} {
		if process.Origin != replica.OriginTarget || process.Running.Release != testbin.Release("0.17.8") || process.Running.Certain ||
			process.Started.Unix() != 1700000005 || process.Armed != nil {
			t.Errorf("got %+v", process)
		}
		if len(process.Unreadable) != 1 || process.Unreadable[0].What != "data file" || !errors.Is(process.Unreadable[0].Err, os.ErrNotExist) {
			t.Errorf("unreadable %+v", process.Unreadable)
		}
	}
}

// What cannot be read is said, for a process that may be a replica.
func TestFindUnreadable(t *testing.T) {
	t.Parallel()
	target := installed(t)
	tr := newTree(t)
	for pid, args := range map[int]string{
		2: "tigerbeetle\x00start\x00--addresses=3000\x00/none\x00",
		3: "/usr/sbin/sshd\x00-D\x00",
		4: "tb\x00start\x000_0.tigerbeetle\x00",
		5: target + "\x00repl\x00",
		6: "/elsewhere/tigerbeetle\x00start\x000_0.tigerbeetle\x00", // says that it runs from another path
	} {
		dir := strconv.Itoa(pid)
		tr.write(dir+"/stat", "2 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n")
		tr.write(dir+"/cmdline", args)
		tr.write(dir+"/exe", "") // not a link: the system refuses to read it as one
	}
	view := look(t, target, replica.Options{Proc: tr.root})
	var unseen []int
	for _, each := range view.Unseen {
		if each.Kind == replica.UnseenForbidden {
			unseen = append(unseen, each.PID)
		}
	}
	if !slices.Equal(unseen, []int{2, 4}) { // where a relative path leads cannot be seen
		t.Errorf("unseen %+v", view.Unseen)
	}
	found := view.Processes
	if len(found) != 1 || found[0].PID != 5 || found[0].Replica {
		t.Fatalf("found %+v", found)
	}
	for _, process := range found {
		if process.Origin != replica.OriginUnknown || len(process.Unreadable) == 0 || process.Unreadable[0].What != "exe" {
			t.Errorf("got %+v", process)
		}
	}
}

// A replica that may not be looked into and calls itself by another path may be in a container, where
// that is the target: it is told of, unless it is another file here.
func TestFindElsewhere(t *testing.T) {
	t.Parallel()
	target := installed(t)
	another := installed(t)
	tr := newTree(t)
	replicaOf := func(command string) string { return command + "\x00start\x00--addresses=3000\x00/data\x00" }
	for pid, process := range map[int]struct{ cmdline, status string }{
		2: {replicaOf("/app/tigerbeetle"), "Uid:\t0\t0\t0\t0\nNSpid:\t2\n"},
		3: {replicaOf(another), "Uid:\t0\t0\t0\t0\nNSpid:\t3\n"},
		4: {replicaOf(another), "Uid:\t0\t0\t0\t0\nNSpid:\t4\t1\n"}, // in a container, where the path is another's
		5: {"/app/tigerbeetle\x00start\x00--development\x00/data\x00", "Uid:\t45551\t0\t0\t0\nNSpid:\t5\n"},
		6: {"/app/server\x00start\x00/data\x00", "Uid:\t0\t0\t0\t0\nNSpid:\t6\n"}, // no replica starts without addresses
		7: {"/app/tigerbeetle\x00repl\x00--addresses=3000\x00", "Uid:\t0\t0\t0\t0\nNSpid:\t7\n"},
		// Where a relative path leads cannot be seen: that it has the target's name, or any other, makes it none of the target's.
		8:  {replicaOf("./tigerbeetle"), "Uid:\t45551\t0\t0\t0\nNSpid:\t8\n"},
		9:  {"bin/" + filepath.Base(target) + "\x00start\x00/data\x00", "Uid:\t0\t0\t0\t0\nNSpid:\t9\n"},
		10: {filepath.Base(target) + "\x00repl\x00--addresses=3000\x00", "Uid:\t0\t0\t0\t0\nNSpid:\t10\n"},
	} {
		dir := strconv.Itoa(pid)
		tr.write(dir+"/stat", "2 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n")
		tr.write(dir+"/cmdline", process.cmdline)
		tr.write(dir+"/status", process.status)
		tr.write(dir+"/exe", "") // not a link: the system refuses to read it as one
	}
	view := look(t, target, replica.Options{Proc: tr.root})
	var unseen []int
	for _, each := range view.Unseen {
		if each.Kind == replica.UnseenForbidden && strings.HasSuffix(each.Reason, "is a replica by its command line, and which file it executes may not be looked into") {
			unseen = append(unseen, each.PID)
		}
	}
	if len(view.Processes) != 0 || !slices.Equal(unseen, []int{2, 4, 5, 8, 9}) {
		t.Errorf("got %+v", view)
	}
}

func TestFindHostileText(t *testing.T) {
	t.Parallel()
	target := installed(t)
	tr := newTree(t)
	tr.process(2, target, "mnt:[1]", target)
	tr.process(3, target, "mnt:[1]", target, "start", strings.Repeat("x", 1<<20))
	tr.process(4, target, "mnt:[1]")
	tr.process(5, target, "mnt:[1]", target, "start", "--addresses=3000", "")
	tr.link("5/fd/7", "/memfd:"+replica.MemfdName+" (deleted)")
	tr.link("5/fd/8", "socket:[1]")
	found := tr.find(target)
	if len(found) != 4 || found[0].Replica || !found[1].Replica || found[2].Replica || found[3].Armed != nil {
		t.Errorf("found %+v", found)
	}
	if size := len(found[1].DataFile); size >= 1<<20 {
		t.Errorf("data file of %d bytes", size)
	}
}

func TestFindErrors(t *testing.T) {
	t.Parallel()
	none := replica.Options{Proc: filepath.Join(t.TempDir(), "none")}
	if _, err := replica.Find(t.Context(), "/x", none); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no proc: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := replica.Find(ctx, "/x", replica.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: error %v", err)
	}
}

// A user without rights over the replica is told so. The test starts itself
// again as such a user.
func TestFindAsStranger(t *testing.T) {
	t.Parallel()
	if target := os.Getenv("REPLICA_TEST_TARGET"); target != "" {
		found, err := replica.Find(t.Context(), target, replica.Options{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(found.Processes)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("FOUND%s\n", text)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped: changing the user needs root")
	}
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, binary, dataFile, standin.Options{})
	dir := t.TempDir()
	self := filepath.Join(dir, "self")
	data := testbin.Self(t)
	syscall.ForkLock.RLock() // or a process started meanwhile has it open for writing, and it cannot be executed
	err := os.WriteFile(self, data, 0o755)
	syscall.ForkLock.RUnlock()
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command(self, "-test.run=^TestFindAsStranger$")
	stranger.Env = []string{"REPLICA_TEST_TARGET=" + binary}
	stranger.Dir = "/"
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	output, err := stranger.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	_, text, _ := strings.Cut(string(output), "FOUND")
	text, _, _ = strings.Cut(text, "\n")
	var found []replica.Process
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, process := range found {
		if process.PID == p.PID() {
			if process.Origin != replica.OriginUnknown || len(process.Unreadable) == 0 || !strings.Contains(text, "permission denied") {
				t.Errorf("got %+v", process)
			}
			return
		}
	}
	t.Errorf("process %d is not in %s", p.PID(), text)
}
