package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/state/statetest"
	"github.com/tbctl/tbctl/vfs"
)

// TestMain makes this program the other end, when it is started as that; its name says how it behaves.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || os.Args[1] != Argument {
		os.Exit(m.Run())
	}
	var err error
	switch name := filepath.Base(os.Args[0]); name {
	case "later":
		err = remote.Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `{"protocol": 2, "version": "9.0.0"}`)
		}))
	case "chatty":
		fmt.Println("this is no session")
	case "silent":
		os.Exit(2)
	default:
		err = (&Session{Version: "test", OpenState: func(_ context.Context, where string) (state.Store, error) {
			if where == "nowhere" {
				return nil, fault.New(fault.Usage, "nowhere is no place")
			}
			return state.OpenFiles(vfs.OS(), where), os.WriteFile(where+".pid", []byte(strconv.Itoa(os.Getpid())), 0o600)
		}}).Serve(context.Background(), os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// program is this one by another name.
func program(t *testing.T, name string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows makes no links without a privilege")
	}
	self, err := os.Executable()
	path := filepath.Join(t.TempDir(), name)
	if err == nil {
		err = os.Symlink(self, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, where string) state.Store {
	t.Helper()
	started, err := Start(t.Context(), program(t, Name))
	if err != nil {
		t.Fatal(err)
	}
	store, err := started.OpenState(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestStore holds that a state is the same through the program.
func TestStore(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("that a holder lives can be seen on Linux alone")
	}
	statetest.Run(t, func(t *testing.T) func() state.Store {
		dir := filepath.Join(t.TempDir(), "state")
		return func() state.Store {
			return open(t, dir)
		}
	})
}

// TestDies holds that what was held is lost when the program dies, and that each later call says why it fails.
func TestDies(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	store := open(t, dir)
	defer store.Close()
	hold, err := store.Hold(t.Context(), "a", "ann@a")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(dir + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.FindProcess(pid)
	if err == nil {
		err = other.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	<-hold.Lost()
	var died *Error
	if err := hold.Err(); !errors.As(err, &died) || died.Reason != ReasonDied || fault.Of(err) != fault.Fenced {
		t.Errorf("%v", err)
	}
	if _, _, err := store.Get(t.Context(), "a"); !errors.As(err, &died) || died.Reason != ReasonDied || !strings.Contains(err.Error(), Name) {
		t.Errorf("%v", err)
	}
	if err := hold.Release(t.Context()); err != nil {
		t.Errorf("what is lost is given back: %v", err)
	}
	next := open(t, dir)
	defer next.Close()
	if _, err := next.Hold(t.Context(), "a", "bob@b"); err != nil {
		t.Errorf("after it died: %v", err)
	}
}

// TestStart holds what is said of a program that is not there, or is another one.
func TestStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason Reason
		says   string
	}{
		"later":  {ReasonVersion, "9.0.0"},
		"chatty": {ReasonVersion, "does not fit"},
		"silent": {ReasonFailed, "exit code 2"},
	} {
		_, err := Start(t.Context(), program(t, name))
		var failed *Error
		if !errors.As(err, &failed) || failed.Reason != test.reason || !strings.Contains(err.Error(), test.says) || fault.Of(err) != fault.Failed {
			t.Errorf("%s: %v", name, err)
		}
	}
	var failed *Error
	if _, err := Start(t.Context(), filepath.Join(t.TempDir(), Name)); !errors.As(err, &failed) || failed.Reason != ReasonFailed {
		t.Errorf("one that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, program(t, Name)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestOpenState holds that what the program says against a place comes with its class.
func TestOpenState(t *testing.T) {
	t.Parallel()
	started, err := Start(t.Context(), program(t, Name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := started.OpenState(t.Context(), "nowhere"); fault.Of(err) != fault.Usage || err.Error() != "nowhere is no place" {
		t.Errorf("%v", err)
	}
}

// TestFind looks on the PATH.
func TestFind(t *testing.T) {
	path := program(t, Name)
	t.Setenv("PATH", filepath.Dir(path))
	if found, err := Find(); err != nil || found != path {
		t.Errorf("%s, %v, want %s", found, err, path)
	}
	t.Setenv("PATH", t.TempDir())
	var failed *Error
	if _, err := Find(); !errors.As(err, &failed) || failed.Reason != ReasonMissing || !strings.Contains(err.Error(), Name) {
		t.Errorf("%v", err)
	}
}

// TestFindBeside holds that what is beside tbctl comes first, and that what cannot be started there, or may be another's, is named.
func TestFindBeside(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other rights")
	}
	beside := func(make func(path string) error) string {
		path := filepath.Join(t.TempDir(), Name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	script := func(mode os.FileMode) string {
		return beside(func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("#!/bin/sh\n"), 0o600), os.Chmod(path, mode))
		})
	}
	for name, test := range map[string]struct {
		path   string
		reason Reason // "": it is found
		says   string
	}{
		"a program":           {script(0o755), "", ""},
		"not executable":      {script(0o644), ReasonFailed, "permission denied"},
		"a link to nothing":   {beside(func(path string) error { return os.Symlink("/nowhere", path) }), ReasonFailed, "no such file"},
		"everybody may write": {script(0o777), ReasonOthers, "others may write it"},
		"nothing":             {filepath.Join(t.TempDir(), Name), ReasonMissing, "neither beside tbctl nor on the PATH"},
		"a directory for others": {beside(func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755), os.Chmod(filepath.Dir(path), 0o777))
		}), ReasonOthers, "others may write its directory"},
	} {
		t.Setenv("PATH", t.TempDir())
		found, err := find(test.path, Name)
		var failed *Error
		switch {
		case test.reason == "" && (err != nil || found != test.path):
			t.Errorf("%s: %s, %v", name, found, err)
		case test.reason != "" && (!errors.As(err, &failed) || failed.Reason != test.reason || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %s, %v", name, found, err)
		}
	}
	onPath := script(0o755)
	t.Setenv("PATH", filepath.Dir(onPath))
	if found, err := find(script(0o644), Name); err != nil || found != onPath {
		t.Errorf("%s, %v", found, err)
	}
}

// TestFindOthers: what another user may have put on the PATH is not started, nor what a link there leads to.
func TestFindOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other rights")
	}
	dir := t.TempDir()
	safe, open, links := filepath.Join(dir, "safe"), filepath.Join(dir, "open"), filepath.Join(dir, "links")
	for _, place := range []string{safe, open, links} {
		if err := errors.Join(os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(place, Name), []byte("#!/bin/sh\n"), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		change error
		path   string
		says   string // "": it is found
	}{
		"nobody else's":                {nil, safe, ""},
		"in a directory for everybody": {os.Chmod(open, 0o777), open, "others may write its directory"},
		"a link to there":              {errors.Join(os.Remove(filepath.Join(links, Name)), os.Symlink(filepath.Join(open, Name), filepath.Join(links, Name))), links, "others may write its directory"},
	} {
		if test.change != nil {
			t.Fatal(test.change)
		}
		t.Setenv("PATH", test.path+string(os.PathListSeparator)+safe)
		found, err := Find()
		var failed *Error
		switch refused := errors.As(err, &failed); {
		case test.says == "" && (err != nil || found != filepath.Join(test.path, Name)):
			t.Errorf("%s: %s, %v", name, found, err)
		case test.says != "" && (!refused || failed.Reason != ReasonOthers || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), test.path)):
			t.Errorf("%s: %s, %v", name, found, err)
		}
	}
	if os.Geteuid() != 0 {
		return // only root has files of others
	}
	for _, name := range []string{filepath.Join(safe, Name), safe} {
		if err := os.Chown(name, 4711, 0); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", safe)
		if _, err := Find(); err == nil || !strings.Contains(err.Error(), "belongs to user 4711") {
			t.Errorf("%s of another user: %v", name, err)
		}
		if err := os.Chown(name, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
