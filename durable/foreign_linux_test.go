package durable_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/vfs"
)

const password = "a password\n"

// exchanging lets another user, who may write the directory, exchange the two names again and again until the test ends,
// and then requires of the secret file that it has kept its contents and its mode.
func exchanging(t *testing.T, one, secret string) {
	t.Helper()
	check(t, os.WriteFile(secret, []byte(password), 0o640))
	check(t, os.Chmod(secret, 0o640))
	opened, err := os.Open(secret) // whatever its name is
	check(t, err)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, secret, unix.RENAME_EXCHANGE)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		defer opened.Close()
		info, err := opened.Stat()
		check(t, err)
		text, err := io.ReadAll(opened)
		if err != nil || string(text) != password || info.Mode() != 0o640 {
			t.Errorf("the file has mode %s and holds %q, %v", info.Mode(), text, err)
		}
	})
}

// sharedDir is a directory that a group may write.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Chmod(dir, 0o775))
	return dir
}

// TestJournalExchanged: a file that another user puts at the journal's name gets no line, and keeps its mode.
func TestJournalExchanged(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t)
	name := filepath.Join(dir, "log")
	line := []byte(`{"version":1,"id":"7"}`)
	check(t, durable.Append(t.Context(), vfs.OS(), name, line))
	exchanging(t, name, filepath.Join(dir, "secret"))
	for range 1000 {
		if err := durable.Append(t.Context(), vfs.OS(), name, line); err != nil && !errors.Is(err, durable.ErrForeign) && !errors.Is(err, vfs.ErrRace) {
			t.Fatal(err)
		}
	}
}

// TestJournalOfOthers: what is at a journal's name and is none is found before a line is added, where others may have put
// it there; a journal is one all the same, and an empty file too.
func TestJournalOfOthers(t *testing.T) {
	t.Parallel()
	line := []byte(`{"version":1,"id":"7"}`)
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		foreign    bool
	}{
		{"a secret", password, 0o775, true},
		{"another's JSON", `{"version":1,"last":null}` + "\n", 0o775, true},
		{"shorter than a line", "{", 0o775, true},
		{"a journal", `{"version":1,"id":"1"}` + "\n", 0o775, false},
		{"empty", "", 0o775, false},
		{"where nobody else may write", "torn by a crash", 0o755, false},
		{"where every user may, but not touch it", "torn by a crash", 0o1777&^0o1000 | os.ModeSticky, false},
	} {
		dir := t.TempDir()
		check(t, os.Chmod(dir, test.mode))
		name := filepath.Join(dir, "log")
		check(t, os.WriteFile(name, []byte(test.text), 0o644))
		check(t, os.Chmod(name, 0o644))
		foreseen := durable.CheckAppend(vfs.OS(), name, line[:20])
		err := durable.Append(t.Context(), vfs.OS(), name, line)
		if errors.Is(err, durable.ErrForeign) != test.foreign || errors.Is(foreseen, durable.ErrForeign) != test.foreign || (err == nil) == test.foreign {
			t.Errorf("%s: foreseen %v, then %v", test.name, foreseen, err)
		}
		text, readErr := os.ReadFile(name)
		check(t, readErr)
		info, statErr := os.Stat(name)
		check(t, statErr)
		if test.foreign && (string(text) != test.text || info.Mode() != 0o644) || !test.foreign && (len(text) <= len(test.text) || info.Mode() != 0o600) {
			t.Errorf("%s: mode %s, %q", test.name, info.Mode(), text)
		}
	}
}

// TestPartialOfOthers: where others may put files, none is cut off and written to, and none is left behind.
func TestPartialOfOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o775, 0o777 | os.ModeSticky} {
		dir := t.TempDir()
		check(t, os.Chmod(dir, mode))
		name := filepath.Join(dir, "download")
		for _, there := range []bool{false, true} {
			if there {
				check(t, os.WriteFile(name, []byte(password), 0o600))
			}
			if p, err := durable.OpenPartial(vfs.OS(), name); !errors.Is(err, durable.ErrForeign) {
				t.Errorf("%s, there %v: %v, %v", mode, there, p, err)
			}
			if text, err := os.ReadFile(name); there != (err == nil) || there && string(text) != password {
				t.Errorf("%s, there %v: %q, %v", mode, there, text, err)
			}
		}
	}
}

// TestMkdirAllExchanged: a directory that another user puts at the name of one that is being made, or a link to one, keeps
// its mode.
func TestMkdirAllExchanged(t *testing.T) {
	t.Parallel()
	root, secret := sharedDir(t), filepath.Join(t.TempDir(), "secret")
	check(t, os.Mkdir(secret, 0o700))
	name, link, used := filepath.Join(root, "new"), filepath.Join(root, "link"), filepath.Join(root, "used")
	check(t, os.Symlink(secret, link))
	check(t, os.Mkdir(used, 0o700))
	check(t, os.WriteFile(filepath.Join(used, "x"), nil, 0o600))
	opened, err := os.Open(used)
	check(t, err)
	defer opened.Close()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, link, unix.AT_FDCWD, name, unix.RENAME_EXCHANGE)
				_ = unix.Renameat2(unix.AT_FDCWD, used, unix.AT_FDCWD, name, unix.RENAME_EXCHANGE)
			}
		}
	}()
	for range 2000 {
		_ = durable.MkdirAll(vfs.OS(), name, 0o755)
		for _, made := range []string{name, link, used} {
			_ = os.Remove(made) // an empty directory or a link; the used one stays
		}
		_ = os.Symlink(secret, link)
	}
	close(stop)
	<-done
	there, err := os.Stat(secret)
	check(t, err)
	other, err := opened.Stat()
	check(t, err)
	if there.Mode().Perm() != 0o700 || other.Mode().Perm() != 0o700 {
		t.Errorf("modes %s and %s", there.Mode(), other.Mode())
	}
}
