package state_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/state/statetest"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// holds makes this program one that holds a key until its input ends.
const holds = "STATE_TEST_HOLDS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holds); dir != "" {
		files := state.OpenFiles(vfs.OS(), dir) // which keeps its holds from being collected
		if _, err := files.Hold(context.Background(), "a", "ann@a"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
		runtime.KeepAlive(files)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("that a holder lives can be seen on Linux alone")
	}
	statetest.Run(t, func(t *testing.T) func() state.Store {
		dir := filepath.Join(t.TempDir(), "made", "state")
		return func() state.Store { return state.OpenFiles(vfs.OS(), dir) }
	})
}

// TestReadersChangeNothing holds that looking makes no file.
func TestReadersChangeNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	files := state.OpenFiles(vfs.OS(), dir)
	_, _, getErr := files.Get(t.Context(), "a")
	_, listErr := files.List(t.Context(), "")
	_, holdersErr := files.Holders(t.Context(), "")
	if err := errors.Join(getErr, listErr, holdersErr); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

// TestReadersDoNotWait reads while another process swaps.
func TestReadersDoNotWait(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	files := state.OpenFiles(m, "/state")
	if _, err := files.Swap(t.Context(), "a", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	dir, err := m.OpenDir("/state")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := dir.OpenAppend(".lock")
	if err == nil {
		err = lock.TryLock()
	}
	if err != nil {
		t.Fatal(err)
	}
	value, _, err := files.Get(t.Context(), "a")
	entries, listErr := files.List(t.Context(), "")
	if err != nil || listErr != nil || string(value) != "1" || len(entries) != 1 {
		t.Errorf("%q, %v, %v, %v", value, entries, err, listErr)
	}
}

// TestCrash: after a crash at every operation a key has the old value or the new one, whole, and can be written.
func TestCrash(t *testing.T) {
	t.Parallel()
	setUp := func() *memfs.FS {
		m := memfs.New(memfs.Options{})
		if _, err := state.OpenFiles(m, "/state").Swap(t.Context(), "a", []byte("old"), 0); err != nil {
			t.Fatal(err)
		}
		m.CrashAt(0)
		return m
	}
	m := setUp()
	if _, err := state.OpenFiles(m, "/state").Swap(t.Context(), "a", []byte("new"), 1); err != nil {
		t.Fatal(err)
	}
	total := m.Count()
	if m.Restart(memfs.None()); read(t, m) != "new at 2" {
		t.Errorf("after success and a power cut: %s", read(t, m))
	}
	for number := range total {
		for seed := range uint64(4) {
			m := setUp()
			m.CrashAt(number + 1)
			_, err := state.OpenFiles(m, "/state").Swap(t.Context(), "a", []byte("new"), 1)
			m.Restart(memfs.Random(seed))
			got := read(t, m)
			if got != "new at 2" && (err == nil || got != "old at 1") {
				t.Fatalf("operation %d, seed %d: %s after %v", number+1, seed, got, err)
			}
			files := state.OpenFiles(m, "/state")
			_, revision, _ := files.Get(t.Context(), "a")
			if _, err := files.Swap(t.Context(), "a", []byte("next"), revision); err != nil {
				t.Fatalf("operation %d, seed %d: %v", number+1, seed, err)
			}
		}
		m := setUp()
		m.FailAt(number+1, errors.New("injected"))
		_, err := state.OpenFiles(m, "/state").Swap(t.Context(), "a", []byte("new"), 1)
		if got := read(t, m); err == nil && got != "new at 2" || fault.Of(err) == fault.Unknown {
			t.Fatalf("operation %d fails: %s after %v", number+1, got, err)
		}
	}
}

func read(t *testing.T, m *memfs.FS) string {
	t.Helper()
	value, revision, err := state.OpenFiles(m, "/state").Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s at %d", value, revision)
}

// TestHostileFiles holds that what tbctl did not write is said to be that, and named, and that nothing is taken for a value.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows makes no links without a privilege")
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	write(t, elsewhere, "tbctl-state 1 1\nx")
	for name, make := range map[string]func(t *testing.T, file string) error{
		"empty":             text(""),
		"a text":            text("1"),
		"no newline":        text("tbctl-state 1 1"),
		"a later format":    text("tbctl-state 2 1\nx"),
		"revision 0":        text("tbctl-state 1 0\nx"),
		"a negative one":    text("tbctl-state 1 -1\nx"),
		"with a plus":       text("tbctl-state 1 +1\nx"),
		"with zeros":        text("tbctl-state 1 01\nx"),
		"too high":          text("tbctl-state 1 9223372036854775808\nx"),
		"a space more":      text("tbctl-state 1 1 \nx"),
		"a carriage return": text("tbctl-state 1 1\r\nx"),
		"a large value":     text("tbctl-state 1 1\n" + strings.Repeat("x", state.ValueSizeMax+1)),
		"huge": func(_ *testing.T, file string) error {
			return errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 1<<40))
		},
		"a link":      func(_ *testing.T, file string) error { return os.Symlink(elsewhere, file) },
		"a directory": func(_ *testing.T, file string) error { return os.Mkdir(file, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			private(t, dir)
			files := state.OpenFiles(vfs.OS(), dir)
			file := filepath.Join(dir, "a=b.value")
			if err := make(t, file); err != nil {
				t.Fatal(err)
			}
			_, _, getErr := files.Get(t.Context(), "a/b")
			_, listErr := files.List(t.Context(), "")
			_, swapErr := files.Swap(t.Context(), "a/b", []byte("y"), 0)
			for _, err := range []error{getErr, listErr, swapErr} {
				if err == nil || !strings.Contains(err.Error(), file) {
					t.Errorf("%v", err)
				}
			}
			if name != "a link" && name != "a directory" && name != "huge" && name != "a large value" && !errors.Is(getErr, state.ErrDamaged) {
				t.Errorf("%v", getErr)
			}
			if name == "a link" {
				if text, err := os.ReadFile(elsewhere); err != nil || string(text) != "tbctl-state 1 1\nx" {
					t.Errorf("what it leads to: %q, %v", text, err)
				}
			}
		})
	}
}

// TestHostileHolder holds that a holder's file that is none names nobody, and keeps nobody from holding the key.
func TestHostileHolder(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"who":""}`, `{"who":"a","since":"x"}`, `{"who":"a"}{}`, `{"who":"a","more":1}`, `{"who":"` + strings.Repeat("w", 300) + `"}`, strings.Repeat(" ", 5000)} {
		dir := t.TempDir()
		private(t, dir)
		files := state.OpenFiles(vfs.OS(), dir)
		t.Cleanup(func() { _ = files.Close() })
		write(t, filepath.Join(dir, "a.holder"), text)
		if _, err := files.Holders(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "a.holder") {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := files.Hold(t.Context(), "a", "ann@a"); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestOthersMayWrite refuses a directory in which other users may put files.
func TestOthersMayWrite(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no modes")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	files := state.OpenFiles(vfs.OS(), dir)
	_, _, getErr := files.Get(t.Context(), "a")
	_, swapErr := files.Swap(t.Context(), "a", nil, 0)
	_, holdErr := files.Hold(t.Context(), "a", "ann@a")
	for _, err := range []error{getErr, swapErr, holdErr} {
		if !errors.Is(err, durable.ErrForeign) {
			t.Errorf("%v", err)
		}
	}
}

// TestTooMany fills a state.
func TestTooMany(t *testing.T) {
	t.Parallel()
	m := memfs.New(memfs.Options{})
	files := state.OpenFiles(m, "/state")
	if _, err := files.Swap(t.Context(), "a", nil, 0); err != nil {
		t.Fatal(err)
	}
	dir, err := m.OpenDir("/state")
	if err != nil {
		t.Fatal(err)
	}
	for number := range state.KeysMax - 1 {
		for _, suffix := range []string{".value", ".lock"} {
			if _, err := dir.Create(fmt.Sprintf("k%d%s", number, suffix), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := files.Hold(t.Context(), "last", "ann@a"); err != nil {
		t.Errorf("the last one: %v", err)
	}
	_, swapErr := files.Swap(t.Context(), "b", nil, 0)
	_, holdErr := files.Hold(t.Context(), "b", "ann@a")
	if !errors.Is(swapErr, state.ErrTooMany) || !errors.Is(holdErr, state.ErrTooMany) {
		t.Errorf("%v; %v", swapErr, holdErr)
	}
	if _, err := files.Swap(t.Context(), "a", nil, 1); err != nil {
		t.Errorf("what is there: %v", err)
	}
}

// TestHolderDies holds that a key is free when the process that held it was killed.
func TestHolderDies(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), holds+"="+dir)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	files := state.OpenFiles(vfs.OS(), dir)
	defer files.Close()
	holders, err := files.Holders(t.Context(), "")
	if err != nil || len(holders) != 1 || holders[0].Who != "ann@a" || holders[0].Unseen != (runtime.GOOS != "linux") {
		t.Errorf("%+v, %v", holders, err)
	}
	var held *state.HeldError
	if _, err := files.Hold(t.Context(), "a", "bob@b"); !errors.As(err, &held) || held.Holder.Who != "ann@a" {
		t.Errorf("%v", err)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // it says that it was killed
	if holders, err := files.Holders(t.Context(), ""); err != nil || runtime.GOOS == "linux" && len(holders) != 0 {
		t.Errorf("after it was killed: %+v, %v", holders, err)
	}
	if _, err := files.Hold(t.Context(), "a", "bob@b"); err != nil {
		t.Errorf("after it was killed: %v", err)
	}
}

func text(text string) func(*testing.T, string) error {
	return func(_ *testing.T, file string) error { return os.WriteFile(file, []byte(text), 0o600) }
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// private takes other users' rights from a directory.
func private(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}
