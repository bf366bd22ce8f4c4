//go:build linux

// Package standin builds and runs stand-ins for TigerBeetle replicas, for tests: real
// processes that treat their binary and their data file as a replica does.
//
// A stand-in looks at its binary again and again, verifies a changed one, arms
// itself with it in a memory file of the name that replicas use, and offers its
// releases by the same rules. To upgrade it writes the new release into its data file
// and executes the memory file; from there the newest release executes the one that
// the data file asks for out of the pack, stopping at releases to be visited. It
// refuses to start, with upstream's words, if its binary does not hold the data
// file's release. It listens at its own address and answers a client's ping as a replica
// does. It upgrades when it is told so, or as a member of a cluster of stand-ins, whose primary counts
// what all offer as upstream's does, see program/cluster.go. It stays at any step on the way for as long as it is told to.
//
// Scripts that start one themselves tell it the same as [Options] do by STANDIN_UPGRADE,
// STANDIN_DIE, STANDIN_HOLD, STANDIN_POLL, STANDIN_SECOND, STANDIN_CHURN and STANDIN_COMMITS.
//
// Each release in a binary is the same small program with another release
// stamped into it. What it says, in upstream's words, is on its standard error.
package standin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/internal/standin/program"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// executable is built once for a test process.
var executable = sync.OnceValues(buildProgram)

func buildProgram() ([]byte, error) {
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", path,
		"github.com/tbctl/tbctl/internal/standin/main")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // and not -trimpath: the standard library would be compiled once more
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, output)
	}
	return os.ReadFile(path)
}

// Executable returns the program stamped as the given release, a plain
// executable for this host. It skips the test where there is no go command.
func Executable(tb testing.TB, release multiversion.Release) []byte {
	tb.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		tb.Skipf("skipped: building the stand-in needs the go command: %v", err)
	}
	built, err := executable()
	if err != nil {
		tb.Fatalf("build the stand-in: %v", err)
	}
	stamped, err := program.Stamp(built, release)
	if err != nil {
		tb.Fatal(err)
	}
	return stamped
}

// Binary returns a multiversion binary whose releases are all stand-ins. A v
// behind a past release marks it to be visited, as in "0.17.7v".
func Binary(tb testing.TB, current string, past ...string) []byte {
	tb.Helper()
	spec := testbin.Spec{
		Platform:   multiversion.HostPlatform("linux", hostArch),
		Current:    testbin.Release(current),
		Executable: Executable(tb, testbin.Release(current)),
		Past:       testbin.PastOf(past...),
	}
	for index := range spec.Past {
		spec.Past[index].Executable = Executable(tb, spec.Past[index].Release)
	}
	return testbin.Build(tb, spec)
}

// Replace puts data at path as an installer does: mode first, then one rename.
func Replace(tb testing.TB, path string, data []byte) {
	tb.Helper()
	staged := path + ".staged"
	// A process that another test starts meanwhile would have the file open for
	// writing for a moment, and then nobody could execute it.
	syscall.ForkLock.RLock()
	err := os.WriteFile(staged, data, 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(staged, 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(staged, path); err != nil {
		tb.Fatal(err)
	}
}

// Install puts a binary into a new directory, formats a data file with it, and
// returns both paths.
func Install(tb testing.TB, data []byte) (binary, dataFile string) {
	tb.Helper()
	return InstallMember(tb, data, 0, 1)
}

// InstallMember does as [Install] for one replica of a cluster; from count on they are standbys.
func InstallMember(tb testing.TB, data []byte, index, count int) (binary, dataFile string) {
	tb.Helper()
	dir, err := filepath.EvalSymlinks(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	binary, dataFile = filepath.Join(dir, "tigerbeetle"), filepath.Join(dir, fmt.Sprintf("0_%d.tigerbeetle", index))
	Replace(tb, binary, data)
	if output, err := exec.Command(binary, "format", "--cluster=7", fmt.Sprintf("--replica=%d", index), fmt.Sprintf("--replica-count=%d", count), dataFile).CombinedOutput(); err != nil {
		tb.Fatalf("format: %v\n%s", err, output)
	}
	return binary, dataFile
}
