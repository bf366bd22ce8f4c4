// Package testetcd starts etcd for tests.
package testetcd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const triesMax = 5 // at ports that another process takes first

// Start starts an etcd with one member on the loopback address, and returns its host and port. It ends with the test. Where etcd is not
// installed the test is skipped. scheme is that of its clients.
func Start(tb testing.TB, scheme string, args ...string) string {
	tb.Helper()
	client, _ := StartProcess(tb, scheme, args...)
	return client
}

// StartProcess is Start, and returns its process too, so that it can be killed.
func StartProcess(tb testing.TB, scheme string, args ...string) (string, *os.Process) {
	tb.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		tb.Skipf("skipped: it needs etcd, of Debian's etcd-server: %v", err)
	}
	for range triesMax {
		client, peer := free(tb), free(tb)
		words := append([]string{
			"--data-dir", filepath.Join(tb.TempDir(), "etcd"), "--name", "one", "--initial-cluster", "one=http://" + peer,
			"--listen-client-urls", scheme + client, "--advertise-client-urls", scheme + client,
			"--listen-peer-urls", "http://" + peer, "--initial-advertise-peer-urls", "http://" + peer, "--logger", "zap",
		}, args...)
		command := exec.Command(program, words...)
		said, ready := run(tb, command)
		if ready {
			return client, command.Process
		}
		if !strings.Contains(said, "address already in use") {
			tb.Fatalf("etcd ended:\n%s", said)
		}
	}
	tb.Fatal("no free port")
	return "", nil
}

// Run starts a command that is an etcd, and returns when it serves.
func Run(tb testing.TB, command *exec.Cmd) {
	tb.Helper()
	if said, ready := run(tb, command); !ready {
		tb.Fatalf("etcd ended:\n%s", said)
	}
}

func run(tb testing.TB, command *exec.Cmd) (said string, ready bool) {
	tb.Helper()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.WaitDelay = time.Second // what it started in another namespace ends with that
	command.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64")
	reader, writer := io.Pipe()
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		command.Wait() // what it said tells why
		writer.Close()
		close(ended)
	}()
	tb.Cleanup(func() {
		command.Process.Kill()
		<-ended
	})
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "ready to serve client requests") || strings.Contains(lines.Text(), "serving client") {
			go io.Copy(io.Discard, reader)
			return said, true
		}
	}
	return said, false
}

// free is an address that was free a moment ago.
func free(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	return fmt.Sprint(listener.Addr())
}
