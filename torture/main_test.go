//go:build linux

package torture

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tbctl/tbctl/internal/testbin"
)

// helperVariable, when set, makes the test binary do one thing as a process of
// its own, see helpers.
const helperVariable = "TORTURE_HELPER"

// full is whether everything is tried, not only a sample.
func full() bool { return testbin.Full() }

// sample is the number of tries in a quick or in a full run.
func sample(quick, all int) int {
	if full() {
		return all
	}
	return quick
}

// built is the program under test.
var built = struct {
	once sync.Once
	dir  string
	err  error
}{}

// tally counts what was tried, for the table at the end.
var tally = struct {
	sync.Mutex
	counts map[string]int
	notes  map[string]string
}{counts: map[string]int{}, notes: map[string]string{}}

// tried adds to the table.
func tried(what string, count int) {
	tally.Lock()
	defer tally.Unlock()
	tally.counts[what] += count
}

// remarked adds a remark to a row of the table.
func remarked(what, format string, args ...any) {
	tally.Lock()
	defer tally.Unlock()
	tally.notes[what] = fmt.Sprintf(format, args...)
}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		os.Exit(help(name, os.Args[1:]))
	}
	start := time.Now()
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	if full() {
		printTable(time.Since(start))
	}
	os.Exit(code)
}

func printTable(took time.Duration) {
	tally.Lock()
	defer tally.Unlock()
	fmt.Printf("\n%-44s %8s\n", "tried", "number")
	total := 0
	for _, what := range slices.Sorted(maps.Keys(tally.counts)) {
		fmt.Printf("%-44s %8d  %s\n", what, tally.counts[what], tally.notes[what])
		total += tally.counts[what]
	}
	fmt.Printf("%-44s %8d  in %s\n\n", "all", total, took.Round(time.Second))
}

// helpers are what the test binary does as another process.
func helpers() map[string]func(args []string) error {
	return map[string]func(args []string) error{"trace": helperTrace, "careless": helperCareless}
}

func help(name string, args []string) int {
	helper, ok := helpers()[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "no such helper:", name)
		return 2
	}
	if err := helper(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// helper is the test binary as the helper called name.
func helper(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	check(t, err)
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), helperVariable+"="+name)
	return command
}

// program returns the path of tbctl, built once for all tests.
func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if _, built.err = exec.LookPath("go"); built.err != nil {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "torture-"); built.err != nil {
			return
		}
		if built.err = os.Chmod(built.dir, 0o755); built.err != nil { // other users run it too
			return
		}
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(built.dir, "tbctl"), "../cmd/tbctl")
		if build.Env = os.Environ(); full() { // as it is released; it makes the Go command compile half the standard library once more
			build.Env = append(build.Env, "CGO_ENABLED=0")
		}
		if output, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build tbctl: %w\n%s", err, output)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "tbctl")
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: needs root")
	}
}

// needTool skips the test unless the programs are there. Nothing is installed.
func needTool(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("skipped: needs %s: %v", name, err)
		}
	}
}
