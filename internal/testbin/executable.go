package testbin

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
)

//go:embed testdata/program/main.go
var programSource []byte

const (
	stampMark = "tbctl-testbin-stamp:"
	stampSize = 64 // with the mark
)

// programs caches the built executables, a *program for each GOOS/GOARCH: they
// are the same for a whole test process, and linking one takes a while.
var programs sync.Map

type program struct {
	once sync.Once
	data []byte
	err  error
}

// Executable returns the program built for goos and goarch, about 1.5 MB,
// stamped as the given release. Another seed makes another file of the same
// release. It skips the test where there is no go command. What is not for this host is
// smaller and does not run, unless the tests take their time (see [Full]).
func Executable(tb testing.TB, goos, goarch string, release multiversion.Release, seed uint64) []byte {
	tb.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		tb.Skipf("skipped: building the fixture needs the go command: %v", err)
	}
	cached, _ := programs.LoadOrStore(goos+"/"+goarch, &program{})
	built := cached.(*program)
	built.once.Do(func() {
		if built.data = foreign(goos, goarch); built.data == nil {
			built.data, built.err = buildProgram(goos, goarch)
		}
	})
	if built.err != nil {
		tb.Fatalf("build the fixture for %s/%s: %v", goos, goarch, built.err)
	}
	data := bytes.Clone(built.data)
	stamp := fmt.Sprintf("%s %s %d", stampMark, release, seed)
	at := bytes.Index(data, blankStamp())
	if at < 0 || len(stamp) > stampSize {
		tb.Fatalf("stamp the fixture: mark at %d, stamp of %d bytes", at, len(stamp))
	}
	copy(data[at:], fmt.Sprintf("%-*s", stampSize, stamp))
	return data
}

// blankStamp is what a release and a seed are written over.
func blankStamp() []byte { return fmt.Appendf(nil, "%-*s", stampSize, stampMark) }

// Self returns the executable of the running test.
func Self(tb testing.TB) []byte {
	tb.Helper()
	name, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// buildProgram builds offline and outside of any module, so that neither the
// directory nor the environment of the test changes the result. Of all that go build has to say
// it changes nothing that the standard library is compiled with: it would be compiled once more.
func buildProgram(goos, goarch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "testbin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), programSource, 0o600); err != nil {
		return nil, err
	}
	return goBuild(dir, "GOOS="+goos, "GOARCH="+goarch)
}

// goBuild builds the program in a directory for this host, unless the environment says otherwise.
func goBuild(dir string, environment ...string) ([]byte, error) {
	build := exec.Command("go", "build", "-buildvcs=false", "-gcflags=-trimpath="+dir, "-ldflags=-s -w -buildid=", "-o", "program", "main.go")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOPROXY=off", "GOTOOLCHAIN=local", "PWD="+dir)
	build.Env = append(build.Env, environment...)
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, output)
	}
	return os.ReadFile(filepath.Join(dir, "program"))
}
