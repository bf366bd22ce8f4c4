//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

const (
	// insideEnv tells the started test binary where its parent's network is.
	insideEnv = "E2E_OUTER_NETWORK"
	// programEnv is where the built tbctl stands.
	programEnv = "E2E_PROGRAM"
	// skipEnv is why nothing can be tested here.
	skipEnv = "E2E_SKIP"
)

// publicIP is an address of this namespace that no program takes for a loopback
// address: Go's HTTP client asks no proxy for those.
const publicIP = "192.0.2.1"

// hosts are the names of the namespace, all of them servers of the tests.
const hosts = `127.0.0.1 localhost
` + publicIP + ` github.com api.github.com release-assets.githubusercontent.com mirror.test proxy.test
`

func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) != "" {
		os.Exit(inside(m))
	}
	if reason := cannotIsolate(); reason != "" {
		os.Setenv(skipEnv, reason)
		os.Exit(m.Run())
	}
	code, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

// cannotIsolate says why the tests cannot have a network of their own, "" if they can.
func cannotIsolate() string {
	if os.Geteuid() != 0 {
		return "a network namespace needs root"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "a network namespace needs iproute2: " + err.Error()
	}
	if err := namespaced(exec.Command("true")).Run(); err != nil {
		return fmt.Sprintf("there can be no namespaces here: %v", err)
	}
	return ""
}

// namespaced lets a command have a network, mounts and processes of its own. They end
// when this process does.
func namespaced(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// outside builds tbctl and runs the tests in their namespaces.
func outside() (int, error) {
	runtime.LockOSThread() // the parent, for Pdeathsig, is a thread
	dir, err := os.MkdirTemp("", "tbctl-e2e")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "tbctl")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/tbctl")
	build.Dir = ".."
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build tbctl: %w\n%s", err, output)
	}
	network, err := os.Readlink("/proc/self/ns/net")
	if err == nil {
		err = os.Mkdir(memory(program), 0o755)
	}
	if err != nil {
		return 0, err
	}
	// Most tests wait most of the time. A -parallel that was given comes later and wins.
	again := namespaced(exec.Command("/proc/self/exe", append([]string{"-test.parallel=24"}, os.Args[1:]...)...))
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.Env = append(os.Environ(), insideEnv+"="+network, programEnv+"="+program, "GOPROXY=off")
	err = again.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// memory is a directory beside the program, for a file system in memory.
func memory(program string) string { return filepath.Join(filepath.Dir(program), "memory") }

// inside furnishes the namespaces and runs the tests.
func inside(m *testing.M) int {
	if err := furnish(memory(os.Getenv(programEnv))); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: namespace:", err)
		return 1
	}
	return m.Run()
}

func furnish(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if err := os.Mkdir("/run/sshd", 0o755); err != nil {
		return err
	}
	// What the tests write is in memory: hundreds of installations sync their files, and
	// nothing is left behind.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", dir, err)
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return err
	}
	// A name server that is not there: everything that has a name is in the hosts file.
	for name, content := range map[string]string{"/etc/hosts": hosts, "/etc/resolv.conf": "nameserver " + publicIP + "\n"} {
		own := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(own, []byte(content), 0o644); err != nil {
			return err
		}
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no %s", name)
		}
		if err := syscall.Mount(own, name, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", name, err)
		}
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", publicIP + "/32", "dev", "lo"}} {
		if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, output)
		}
	}
	return nil
}

// require skips the test where it cannot run, and says why.
func require(t *testing.T, programs ...string) {
	t.Helper()
	if reason := os.Getenv(skipEnv); reason != "" {
		t.Skip("skipped: " + reason)
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
}

func TestNothingLeavesTheHost(t *testing.T) {
	require(t)
	outer, inner := os.Getenv(insideEnv), ""
	inner, err := os.Readlink("/proc/self/ns/net")
	if err != nil || inner == outer {
		t.Fatalf("the network is %s, outside of the tests it is %s: %v", inner, outer, err)
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Flags&net.FlagLoopback == 0 {
		t.Fatalf("interfaces %v, want one that is a loopback: %v", interfaces, err)
	}
	for _, address := range []string{"198.51.100.1:443", "[2001:db8::1]:443"} {
		for _, network := range []string{"tcp", "udp"} {
			connection, err := net.Dial(network, address)
			if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
				t.Errorf("dial %s %s: %v, want that there is no way", network, address, err)
			}
			if err == nil {
				connection.Close()
			}
		}
	}
	for _, name := range []string{"github.com", "api.github.com"} {
		if addresses, err := net.LookupHost(name); err != nil || len(addresses) != 1 || addresses[0] != publicIP {
			t.Errorf("%s is %v (%v), want %s", name, addresses, err, publicIP)
		}
	}
}
