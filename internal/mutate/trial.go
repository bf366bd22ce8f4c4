//go:build unix && mutate

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// elsewhere are the tests of other packages that hold promises of one.
var elsewhere = map[string][]string{
	"install":  {"./cmd/tbctl", "^TestScripts$/^(install|rollback|history|status)$"},
	"fsatomic": {"./cmd/tbctl", "^TestScripts$/^(install|rollback)$"},
	"durable":  {"./cmd/tbctl", "^TestScripts$/^(download|history)$"},
	"verify":   {"./cmd/tbctl", "^TestScripts$/^(verify|install|rollback)$"},
	"release":  {"./cmd/tbctl", "^TestScripts$/^(download|install)$"},
	"extract":  {"./cmd/tbctl", "^TestScripts$/^exec$"},
	"remote":   {"./cmd/tbctl", "^TestFleet(TakeOver|HostileController)$"},
	"fleet":    {"./cmd/tbctl", "^TestFleetTakeOver$"},
	"replica":  {"./cmd/tbctl", "^TestLive(Upgrade|Refusals|Hidden|StatusDuring)$"},
}

// verdict is what became of a change.
type verdict int

const (
	survived verdict = iota
	noticed
	unbuilt
)

// trial tries changes.
type trial struct {
	place   string // a directory of its own
	ends    time.Time
	bounded bool
}

// all tries changes in turn, as long as there is time, and lists the survivors.
func (t trial) all(mutants []mutant) int {
	var tried, built int
	var left []string
	limits := make(map[string]time.Duration)
	for _, m := range mutants {
		if t.bounded && time.Now().After(t.ends) {
			break
		}
		limit, ok := limits[m.in.Dir]
		if !ok {
			started := time.Now()
			if v, text := t.test(m.in.Dir, "", 10*time.Minute, "."); v != survived {
				return fail(fmt.Errorf("%s: its tests fail without a change:\n%s", m.in.ImportPath, text))
			}
			limit = 4*time.Since(started) + 30*time.Second
			limits[m.in.Dir] = limit
		}
		v, err := t.try(m, limit)
		if err != nil {
			return fail(err)
		}
		tried++
		if v != unbuilt {
			built++
		}
		if v == survived {
			left = append(left, m.String())
			fmt.Println("survives:", m)
		}
	}
	fmt.Printf("%d of %d changes tried, %d of them could be built, %d survived\n", tried, len(mutants), built, len(left))
	return 0
}

// try makes a change and asks the tests, the quickest first.
func (t trial) try(m mutant, limit time.Duration) (verdict, error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return 0, err
	}
	changed := slices.Concat(text[:m.start], []byte(m.with), text[m.end:])
	overlay, err := t.overlay(m.file, changed)
	if err != nil {
		return 0, err
	}
	if v, _ := t.test(m.in.Dir, overlay, limit, "."); v != survived {
		return v, nil
	}
	if v, _ := t.test(m.in.Dir, overlay, 4*limit, ".", "TORTURE=full"); v != survived {
		return v, nil
	}
	more := elsewhere[filepath.Base(m.in.Dir)]
	if more == nil {
		return survived, nil
	}
	root, err := output("go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return 0, err
	}
	v, _ := t.test(strings.TrimSpace(string(root)), overlay, 3*time.Minute, more[0]+" "+more[1])
	return v, nil
}

// overlay writes what the go command needs to take a file for another.
func (t trial) overlay(file string, content []byte) (string, error) {
	instead, name := filepath.Join(t.place, "changed.go"), filepath.Join(t.place, "overlay.json")
	err := os.WriteFile(instead, content, 0o600)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(map[string]any{"Replace": map[string]string{file: instead}}); err == nil {
			err = os.WriteFile(name, text, 0o600)
		}
	}
	return name, err
}

// test runs the tests of what, a package and perhaps a pattern, with a file overlaid. That they
// do not end counts as noticed. What they start is gone afterwards.
func (t trial) test(dir, overlay string, limit time.Duration, what string, env ...string) (verdict, string) {
	pkg, pattern, _ := strings.Cut(what, " ")
	args := []string{"test", "-count=1", "-vet=off", "-failfast", "-timeout=" + limit.String()}
	if pattern != "" {
		args = append(args, "-run", pattern)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit+time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "go", append(args, pkg)...)
	command.Dir = dir
	command.Env = append(os.Environ(), "TMPDIR="+t.place)
	command.Env = append(command.Env, env...)
	if overlay != "" { // for what the tests build, too
		command.Env = append(command.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stop := func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.Cancel, command.WaitDelay = stop, 10*time.Second
	text, err := command.CombinedOutput()
	if command.Process != nil {
		_ = stop() // what a test left behind
	}
	switch {
	case err == nil:
		return survived, string(text)
	case strings.Contains(string(text), "[build failed]"), strings.Contains(string(text), "[setup failed]"):
		return unbuilt, string(text)
	}
	return noticed, string(text)
}

// named tries the changes that must be noticed, of all packages if none are given.
func (t trial) named(packages []string, shuffle func(n int, swap func(i, j int))) int {
	code, tried := 0, 0
	mutants := slices.DeleteFunc(slices.Clone(namedMutants), func(n namedMutant) bool {
		return len(packages) > 0 && !slices.ContainsFunc(packages, func(p string) bool { return filepath.Clean(p) == filepath.Dir(n.file) })
	})
	for _, n := range mutants { // all of them, however few are tried
		if _, err := n.text(); err != nil {
			fmt.Printf("%s: %v\n", n.name, err)
			code = 1
		}
	}
	if t.bounded {
		shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
	}
	whole := make(map[string]bool)
	for _, n := range mutants {
		if t.bounded && time.Now().After(t.ends) {
			break
		}
		tried++
		if !whole[n.tests] {
			whole[n.tests] = true
			if v, text := t.test(".", "", 5*time.Minute, n.tests); v != survived {
				return fail(fmt.Errorf("%s: fails without a change:\n%s", n.tests, text))
			}
		}
		if err := t.tryNamed(n); err != nil {
			fmt.Printf("%s: %v\n", n.name, err)
			code = 1
		}
	}
	if code == 0 {
		fmt.Printf("%d of %d named changes were tried, and all are noticed\n", tried, len(mutants))
	}
	return code
}

// text is that of the file, which has what is to be changed once.
func (n *namedMutant) text() (string, error) {
	text, err := os.ReadFile(n.file)
	if err != nil {
		return "", err
	}
	if count := strings.Count(string(text), n.old); count != 1 {
		return "", fmt.Errorf("%s has %q %d times: bring named.go up to date", n.file, n.old, count)
	}
	return string(text), nil
}

func (t trial) tryNamed(n namedMutant) error {
	file, err := filepath.Abs(n.file)
	if err != nil {
		return err
	}
	text, err := n.text()
	if err != nil {
		return err
	}
	overlay, err := t.overlay(file, []byte(strings.Replace(text, n.old, n.new, 1)))
	if err != nil {
		return err
	}
	switch v, text := t.test(".", overlay, 90*time.Second, n.tests); v {
	case unbuilt:
		return fmt.Errorf("it does not build: %s", text)
	case survived:
		return errors.New("no test notices it: " + n.tests)
	default:
		fmt.Printf("%s: %s\n", n.name, by(text))
	}
	return nil
}

// by says which tests have failed.
func by(text string) string {
	var tests []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			tests = append(tests, strings.Fields(name)[0])
		}
	}
	if len(tests) == 0 {
		return "noticed, since the tests did not end"
	}
	return "noticed by " + strings.Join(tests, ", ")
}
