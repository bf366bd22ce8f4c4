//go:build linux

// Package testhost makes hosts for tests: namespaces of processes, files and network, each
// with a name, an address and an sshd of its own, and a network between them that can be
// cut. On a host /root, /usr/local, /etc, /run, /var/lib/tbctl and /var/lib/tigerbeetle are its own; all
// else is this machine's, read and written.
//
// They need root, and the programs unshare, nsenter, ip, ssh and sshd; without, the test is skipped.
package testhost

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Fleet is hosts in one network.
type Fleet struct {
	Hosts []*Host

	// SSH is an ssh, with its first arguments, that knows the hosts by name and is let in as root.
	SSH []string

	tb     testing.TB
	dir    string
	router int // the process whose network has the bridge and the controller's address
}

// Host is one host.
type Host struct {
	Name    string
	Address string
	PID     int // its first process, as this machine counts

	tb     testing.TB
	fleet  *Fleet
	dir    string
	device string // the bridge's end of its cable
	cmd    *exec.Cmd
}

// first is what a host begins with. It waits for its network between the two lines that it says.
const first = `set -eu
name=$1 dir=$2
hostname "$name"
mount --make-rprivate /
mount -t tmpfs tmpfs "$dir/own"
mkdir "$dir/own/upper" "$dir/own/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$dir/own/upper,workdir=$dir/own/work" overlay /etc
mkdir -p /var/lib/tbctl /var/lib/tigerbeetle
for place in /root /run /usr/local /var/lib/tbctl /var/lib/tigerbeetle; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
mkdir -p /run/sshd /usr/local/bin /etc/tbctl
printf '%.32s\n' "$(printf %s "$name" | md5sum)" >/etc/machine-id.new && mv /etc/machine-id.new /etc/machine-id
# As a machine of its own has them: the start's id, and a first process that none is outside of (see package main's tests).
printf '%.8s-0000-4000-8000-000000000000\n' "$(printf %s "$dir" | md5sum)" >/run/boot_id && mount --bind /run/boot_id /proc/sys/kernel/random/boot_id
touch /run/tbctl-test-host
install -m 644 "$dir/../id.pub" /etc/ssh/test_keys # a user reads his own, and may not enter this directory
echo made
read -r connected
exec "$3" -D -e -f "$dir/sshd_config"
`

// Start makes hosts and returns when their sshds listen. All ends with the test.
func Start(tb testing.TB, names ...string) *Fleet {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("skipped: hosts for tests are namespaces, which need root")
	}
	sshd := "/usr/sbin/sshd" // which wants its whole path
	for _, program := range []string{"unshare", "nsenter", "ip", "ssh", "ssh-keygen", sshd} {
		if _, err := exec.LookPath(program); err != nil {
			tb.Skipf("skipped: hosts for tests need %s: %v", program, err)
		}
	}
	f := &Fleet{tb: tb, dir: tb.TempDir()}
	f.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(f.dir, "id"))
	router, output := f.start("unshare", "--net", "--", "sh", "-c",
		"ip link set lo up && ip link add br0 type bridge && ip address add 10.77.0.1/16 dev br0 && ip link set br0 up && echo made && read -r end")
	f.router = router.cmd.Process.Pid
	router.wait(tb, output, "made")

	var made sync.WaitGroup
	for index, name := range names {
		h := &Host{Name: name, Address: fmt.Sprintf("10.77.1.%d", index+1), tb: tb, fleet: f, dir: filepath.Join(f.dir, name), device: fmt.Sprintf("host%d", index)}
		f.Hosts = append(f.Hosts, h)
		made.Go(func() { h.make(sshd) })
	}
	made.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
	f.configure()
	return f
}

// make makes one host. It may run outside of the test's goroutine.
func (h *Host) make(sshd string) {
	if err := os.MkdirAll(filepath.Join(h.dir, "own"), 0o755); err != nil {
		h.tb.Error(err)
		return
	}
	key := filepath.Join(h.dir, "host_key")
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		h.tb.Errorf("ssh-keygen: %v\n%s", err, output)
		return
	}
	config := fmt.Sprintf("HostKey %s\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nAuthorizedKeysFile /etc/ssh/test_keys\nListenAddress %s\n",
		key, h.Address)
	if err := os.WriteFile(filepath.Join(h.dir, "sshd_config"), []byte(config), 0o600); err != nil {
		h.tb.Error(err)
		return
	}
	p, output := h.fleet.start("unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--mount-proc", "--kill-child", "--",
		"sh", "-c", first, "host", h.Name, h.dir, sshd)
	h.cmd = p.cmd
	if !p.wait(h.tb, output, "made") {
		return
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.cmd.Process.Pid, p.cmd.Process.Pid))
	if err == nil {
		h.PID, err = strconv.Atoi(strings.TrimSpace(string(children)))
	}
	if err != nil {
		h.tb.Errorf("host %s: its first process: %v", h.Name, err)
		return
	}
	script := fmt.Sprintf("ip link add %[1]s type veth peer name eth0 netns %[2]d && ip link set %[1]s master br0 up", h.device, h.PID)
	inside := fmt.Sprintf("ip link set lo up && ip address add %s/16 dev eth0 && ip link set eth0 up", h.Address)
	for _, command := range []*exec.Cmd{
		h.fleet.Command("sh", "-c", script),
		exec.Command("nsenter", "--net", "--target", strconv.Itoa(h.PID), "--", "sh", "-c", inside),
	} {
		if output, err := command.CombinedOutput(); err != nil {
			h.tb.Errorf("host %s: %v: %v\n%s", h.Name, command.Args, err, output)
			return
		}
	}
	io.WriteString(p.in, "connected\n")
	if p.wait(h.tb, output, "Server listening") {
		go io.Copy(io.Discard, output) // what sshd says of each session
	}
}

// configure writes what ssh knows of the hosts.
func (f *Fleet) configure() {
	var config, known bytes.Buffer
	for _, h := range f.Hosts {
		// The alias is the name that was given, so that a key belongs to a name.
		fmt.Fprintf(&config, "Host %[1]s\n  HostName %[2]s\n  HostKeyAlias %[1]s\n", h.Name, h.Address)
		key, err := os.ReadFile(filepath.Join(h.dir, "host_key.pub"))
		if err != nil {
			f.tb.Fatal(err)
		}
		fmt.Fprintf(&known, "%s %s", h.Name, key)
	}
	name := filepath.Join(f.dir, "ssh_config")
	fmt.Fprintf(&config, "Match all\n  User root\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
		filepath.Join(f.dir, "id"), f.KnownHosts())
	for name, content := range map[string][]byte{name: config.Bytes(), f.KnownHosts(): known.Bytes()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			f.tb.Fatal(err)
		}
	}
	f.SSH = append(f.enter(), "ssh", "-F", name)
}

// KnownHosts is the file of the hosts' keys.
func (f *Fleet) KnownHosts() string { return filepath.Join(f.dir, "known_hosts") }

func (f *Fleet) enter() []string {
	return []string{"nsenter", "--net", "--target", strconv.Itoa(f.router), "--"}
}

// Command is a command in the controller's place in the network, with this machine's files and processes.
func (f *Fleet) Command(words ...string) *exec.Cmd {
	words = append(f.enter(), words...)
	return exec.Command(words[0], words[1:]...)
}

// Host returns the host of a name.
func (f *Fleet) Host(name string) *Host {
	f.tb.Helper()
	for _, h := range f.Hosts {
		if h.Name == name {
			return h
		}
	}
	f.tb.Fatalf("there is no host %s", name)
	return nil
}

// Command is a command on the host.
func (h *Host) Command(words ...string) *exec.Cmd {
	words = append([]string{"--all", "--target", strconv.Itoa(h.PID), "--"}, words...)
	return exec.Command("nsenter", words...)
}

// Run runs a command on the host and returns what it says.
func (h *Host) Run(words ...string) string {
	h.tb.Helper()
	output, err := h.Command(words...).CombinedOutput()
	if err != nil {
		h.tb.Fatalf("%s: %v: %v\n%s", h.Name, words, err, output)
	}
	return string(output)
}

// Path is where a file of the host is found from outside of it.
func (h *Host) Path(path string) string {
	return filepath.Join("/proc", strconv.Itoa(h.PID), "root", path)
}

// WriteFile writes a file of the host, and makes its directory.
func (h *Host) WriteFile(path string, content []byte, mode os.FileMode) {
	h.tb.Helper()
	name := h.Path(path)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		// A process that another test starts meanwhile would have the file open for writing for a moment, and then nobody could execute it.
		syscall.ForkLock.RLock()
		err = os.WriteFile(name, content, mode)
		syscall.ForkLock.RUnlock()
	}
	if err == nil {
		err = os.Chmod(name, mode)
	}
	if err != nil {
		h.tb.Fatalf("%s: %v", h.Name, err)
	}
}

// Cut takes the host out of the network, and Connect puts it back.
func (h *Host) Cut() { h.link("down") }

// Connect puts the host back into the network. What the controller's end has concluded meanwhile, that there is no way to
// it, is forgotten.
func (h *Host) Connect() {
	h.tb.Helper()
	h.link("up")
	if output, err := h.fleet.Command("ip", "neigh", "flush", "dev", "br0").CombinedOutput(); err != nil {
		h.tb.Fatalf("%s: %v\n%s", h.Name, err, output)
	}
}

func (h *Host) link(to string) {
	h.tb.Helper()
	if output, err := h.fleet.Command("ip", "link", "set", h.device, to).CombinedOutput(); err != nil {
		h.tb.Fatalf("%s: %v\n%s", h.Name, err, output)
	}
}

// Kill ends every process of the host at once.
func (h *Host) Kill() {
	syscall.Kill(h.PID, syscall.SIGKILL) // the first process of a namespace takes all others with it
	h.cmd.Wait()                         // a signal ended it
}

// process is a program that runs until the test ends.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// start starts a program and returns a reader of all that it says.
func (f *Fleet) start(words ...string) (*process, *bufio.Reader) {
	p := &process{cmd: exec.Command(words[0], words[1:]...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		f.tb.Error(err)
		return p, nil
	}
	p.in = in
	reader, writer, err := os.Pipe()
	if err != nil {
		f.tb.Error(err)
		return p, nil
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	err = p.cmd.Start()
	writer.Close()
	if err != nil {
		f.tb.Error(err)
		return p, nil
	}
	f.tb.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait() // a signal ended it
		reader.Close()
	})
	return p, bufio.NewReader(reader)
}

// wait reads until a line has the text.
func (p *process) wait(tb testing.TB, output *bufio.Reader, text string) bool {
	var said strings.Builder
	for output != nil {
		line, err := output.ReadString('\n')
		said.WriteString(line)
		if strings.Contains(line, text) {
			return true
		}
		if err != nil {
			break
		}
	}
	tb.Errorf("%v ended without %q:\n%s", p.cmd.Args[0], text, said.String())
	return false
}

// run runs a program of this machine.
func (f *Fleet) run(words ...string) {
	f.tb.Helper()
	if output, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		f.tb.Fatalf("%v: %v\n%s", words, err, output)
	}
}
