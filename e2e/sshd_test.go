//go:build linux

package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// An sshServer is a running sshd in which tbctl is on the PATH and has a host's settings.
type sshServer struct {
	t      *testing.T
	dir    string
	listen string // its own address
	via    string // the address that clients use
}

// startSSH runs an sshd of the test's own: key, configuration, port.
func startSSH(t *testing.T, h *host) *sshServer {
	t.Helper()
	require(t, "sshd", "ssh", "ssh-keygen")
	program, err := exec.LookPath("sshd") // it wants to be called by its full name
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{t: t, dir: t.TempDir(), listen: loopback()}
	s.via = s.listen
	for _, name := range []string{"host", "user"} {
		if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", s.path(name)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, output)
		}
	}
	settings := ""
	for _, entry := range h.env {
		if strings.HasPrefix(entry, "PATH=") || strings.HasPrefix(entry, "TBCTL_") {
			settings += " " + entry
		}
	}
	config := "ListenAddress " + s.listen + "\nHostKey " + s.path("host") + "\nAuthorizedKeysFile " + s.path("user.pub") + `
PidFile none
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
PrintMotd no
PrintLastLog no
SetEnv` + settings + "\n"
	if err := os.WriteFile(s.path("sshd_config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startProcess(t, exec.Command(program, "-D", "-e", "-f", s.path("sshd_config")), s.listen)
	return s
}

func (s *sshServer) path(name string) string { return filepath.Join(s.dir, name) }

// command is an ssh client that runs a command line on the server.
func (s *sshServer) command(flags []string, line ...string) *exec.Cmd {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.via)
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := os.ReadFile(s.path("host.pub"))
	if err == nil {
		err = os.WriteFile(s.path("known"), append([]byte("["+host+"]:"+port+" "), key...), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	args := []string{"-F", "none", "-p", port, "-i", s.path("user"), "-l", "root", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "UserKnownHostsFile=" + s.path("known"), "-o", "GlobalKnownHostsFile=none", "-o", "LogLevel=ERROR"}
	ctx, cancel := context.WithTimeout(context.Background(), runMax)
	s.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "ssh", append(append(append(args, flags...), host), line...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm", "HOME=" + s.dir}
	return cmd
}

// run runs tbctl on the server.
func (s *sshServer) run(stdin []byte, args ...string) *result {
	s.t.Helper()
	cmd := s.command(nil, append([]string{"tbctl"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	r := finish(s.t, cmd)
	r.args = args
	return r
}

func TestSSH(t *testing.T) {
	t.Parallel()
	require(t, "sshd")
	b := fixtures(t)
	h := newHost(t).install(b.old.data)
	s := startSSH(t, h)
	s.run(b.far.zip, "install", "-", h.target).failed(4, "RunningVersionNotIncluded")
	s.run(b.next.zip[:len(b.next.zip)/2], "install", "-", h.target).failed(1, "ended early", "truncated")
	s.run(b.next.data[:len(b.next.data)/2], "install", "-", h.target).failed(1, "ended early")
	s.run([]byte("no binary"), "install", "-", h.target).failed(3, "standard input")
	s.run(nil, "install", "-", h.target).failed(1, "nothing came", "the pipe")
	s.run(b.next.zip, "install", "-", h.target, "--sha256", strings.Repeat("0", 64)).failed(3)
	s.run(nil, "install", "-", h.target, "--no-such-flag").failed(2)
	for _, code := range []int{4, 3, 1} {
		data := map[int][]byte{4: b.far.zip, 3: []byte("no binary"), 1: b.next.zip[:1000]}[code]
		if r := s.run(data, "install", "-", h.target, "--json").want(code); r.document().Error.Message == "" || r.stderr != "" {
			t.Errorf("document %s, and beside it %q", r.stdout, r.stderr)
		}
	}
	h.untouched()
	doc := s.run(b.next.zip, "install", "-", h.target, "--json").want(0).document()
	if doc.Result.Result != "installed" {
		t.Errorf("result %q", doc.Result.Result)
	}
	h.holds(b.next)
	if r := s.run(b.next.zip, "install", "-", h.target).want(0, "already"); strings.Contains(r.stderr, "error") {
		t.Error(r.stderr)
	}
	if r := s.run(nil, "inspect", h.target).want(0, "0.17.8"); r.stderr != "" || strings.Contains(r.stdout, "\x1b") {
		t.Errorf("inspect: %s", r.both())
	}
	s.run(nil, "inspect", h.target, "--json").want(0).document()
	s.run(nil, "verify", h.target).want(0, "the file is whole")
	s.run(nil, "inspect", h.write("text", []byte("text"))).want(3)
	s.run(nil, "rollback", h.target, "--stopped", "--running", "0.17.7").want(0)
	copied := finish(t, s.command(nil, "cat", h.target))
	h.runIn(strings.NewReader(copied.stdout), "inspect", "-").want(0, "0.17.7")
}

// upload starts "ssh host tbctl install -" and sends half of the archive. It returns
// when the other side is at work on it.
func (s *sshServer) upload(h *host, archive []byte) (*exec.Cmd, io.WriteCloser) {
	s.t.Helper()
	cmd := s.command(nil, "tbctl", "install", "-", h.target)
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = stdin.Write(archive[:len(archive)/2])
	}
	if err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "half of the archive is staged", func() bool { return h.staged() > int64(len(archive))/4 })
	return cmd, stdin
}

// staged is how many bytes of a new file there are beside the target. A file without
// a name counts too: it is open in some process.
func (h *host) staged() (size int64) {
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range open {
		name, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(name, filepath.Dir(h.target)+"/") {
			continue
		}
		if info, err := os.Stat(fd); err == nil && !strings.HasSuffix(name, "-lock") {
			size = max(size, info.Size())
		}
	}
	return size
}

// TestSSHBusy finds another upload under way.
func TestSSHBusy(t *testing.T) {
	t.Parallel()
	require(t, "sshd")
	b := fixtures(t)
	h := newHost(t).install(b.old.data)
	s := startSSH(t, h)
	first, stdin := s.upload(h, b.next.zip)
	r := s.run(b.next.zip, "install", "-", h.target).failed(5, "--wait")
	t.Log(r.stderr)
	s.run(b.next.zip, "install", "-", h.target, "--json").want(5).document()
	if _, err := stdin.Write(b.next.zip[len(b.next.zip)/2:]); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := first.Wait(); err != nil {
		t.Errorf("the first upload: %v", err)
	}
	h.holds(b.next)
}

// TestSSHCut loses the connection in the middle of an upload.
func TestSSHCut(t *testing.T) {
	t.Parallel()
	require(t, "sshd")
	b := fixtures(t)
	for _, test := range []struct {
		name string
		cut  func(client *exec.Cmd, l *line)
	}{
		{"client killed", func(client *exec.Cmd, _ *line) { _ = client.Process.Kill() }},
		{"line cut", func(_ *exec.Cmd, l *line) { l.proxy.Stop() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t).install(b.old.data)
			s := startSSH(t, h)
			l := newLine(t, s.listen)
			s.via = l.address
			client, stdin := s.upload(h, b.next.zip)
			test.cut(client, l)
			_ = client.Wait()
			stdin.Close()
			if code := client.ProcessState.ExitCode(); code == 0 {
				t.Error("the client says that all is well")
			}
			eventually(t, "the other side has given up", func() bool { return h.staged() == 0 })
			s.via = s.listen
			eventually(t, "the lock is free", func() bool { return s.run(b.far.zip, "install", "-", h.target).code != 5 })
			h.untouched()
			s.run(b.next.zip, "install", "-", h.target).want(0)
			h.holds(b.next)
		})
	}
}

// TestSSHTerminal runs with a terminal on the other side.
func TestSSHTerminal(t *testing.T) {
	t.Parallel()
	require(t, "sshd", "nginx")
	b, y := fixtures(t), newYard(t)
	f := &fault{kind: faultStall, at: int64(len(y.next.zip)) / 2}
	h := y.through(t, newFaultyLine(t, y.address, f), "terminal")
	s := startSSH(t, h)
	tty := []string{"-tt"}
	if r := finish(t, s.command(tty, "tbctl", "inspect", h.target)).want(0, "0.17.7"); !strings.Contains(r.stdout, "\x1b[") {
		t.Errorf("no colours on a terminal: %q", r.stdout)
	}
	finish(t, s.command(tty, "tbctl", "inspect", h.write("text", []byte("text")))).want(3)
	finish(t, s.command(tty, "tbctl", "install", h.write("far.zip", b.far.zip), h.target)).want(4, "RunningVersionNotIncluded")
	h.untouched()

	// The connection is lost while the other side downloads: it gets SIGHUP.
	client := s.command(tty, "tbctl", "install", "0.17.8", h.target, "--idle-timeout", "1h")
	stdin, err := client.StdinPipe()
	if err == nil {
		err = client.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	eventually(t, "half is kept", func() bool { return h.cached() >= f.at })
	_ = client.Process.Kill()
	_ = client.Wait()
	eventually(t, "the other side has given up", func() bool { return h.staged() == 0 })
	eventually(t, "the lock is free", func() bool { return s.run(b.far.zip, "install", "-", h.target).code != 5 })
	h.untouched()
	r := finish(t, s.command(tty, "tbctl", "install", "0.17.8", h.target)).want(0, "installed:")
	h.holds(b.next)
	if !strings.Contains(r.stdout, "\r") {
		t.Errorf("no progress on a terminal: %q", r.stdout)
	}
}

// TestSSHLost loses the connection while the other side downloads: no terminal is there to
// send a signal. The download comes to its end, but nothing is installed for an operator who
// has seen ssh fail.
func TestSSHLost(t *testing.T) {
	t.Parallel()
	require(t, "sshd")
	b := fixtures(t)
	sent, goOn := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/tigerbeetle.zip" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b.next.zip)))
		_, _ = w.Write(b.next.zip[:len(b.next.zip)/2])
		_ = http.NewResponseController(w).Flush()
		close(sent)
		<-goOn
		_, _ = w.Write(b.next.zip[len(b.next.zip)/2:])
	}))
	defer server.Close()
	h := newHost(t).install(b.old.data)
	s := startSSH(t, h)
	client := s.command(nil, "exec", "tbctl", "install", server.URL+"/tigerbeetle.zip", h.target)
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	<-sent
	pid, parent := h.running(t)
	_ = client.Process.Kill()
	_ = client.Wait()
	eventually(t, "sshd's process of the connection is gone", func() bool { return parentOf(pid) != parent })
	close(goOn)
	eventually(t, "the other side has given up", func() bool { return parentOf(pid) == "" })
	h.untouched()
	s.run(nil, "history").want(0, "interrupted")
	s.run(b.next.zip, "install", "-", h.target).want(0)
	h.holds(b.next)
}

// running is the tbctl that installs at the host's target now, and its parent.
func (h *host) running(t *testing.T) (pid, parent string) {
	t.Helper()
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		line, _ := os.ReadFile(name)
		if words := strings.Split(string(line), "\x00"); words[0] == "tbctl" && slices.Contains(words, h.target) {
			pid = filepath.Base(filepath.Dir(name))
			return pid, parentOf(pid)
		}
	}
	t.Fatal("no tbctl runs")
	return "", ""
}

// parentOf is the parent of a process, "" when it has ended.
func parentOf(pid string) string {
	status, _ := os.ReadFile(filepath.Join("/proc", pid, "status"))
	if strings.Contains(string(status), "\nState:\tZ") { // nobody has asked for its exit code
		return ""
	}
	_, after, _ := strings.Cut(string(status), "\nPPid:")
	parent, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(parent)
}
