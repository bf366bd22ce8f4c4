package kept_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/advisory/kept"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/vfs"
)

// listOf is a list of that day, and what the metadata says of it.
func listOf(day string) ([]byte, depot.Signed) {
	text := fmt.Appendf(nil, `{"version":1,"checked":%q,"newest":"9.9.9","advisories":[]}`, day)
	sum := sha256.Sum256(text)
	return text, depot.Signed{Repository: "https://releases.internal/tb", Target: "advisories.json", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text))}
}

// keep keeps a list, and returns the day of the one that it took the place of; "": the built-in one.
func keep(t *testing.T, dir, day string) (string, error) {
	t.Helper()
	text, signed := listOf(day)
	before, err := kept.Keep(vfs.OS(), dir, text, signed)
	if before == nil {
		return "", err
	}
	return before.Edition().Checked, err
}

// reads is the day of the list that is read; "": none is.
func reads(t *testing.T, dir string) (string, error) {
	t.Helper()
	l, err := kept.Read(vfs.OS(), dir)
	if l == nil {
		return "", err
	}
	if l.Edition().Repository != "https://releases.internal/tb" {
		t.Errorf("%+v", l.Edition())
	}
	return l.Edition().Checked, err
}

// TestKeep holds that what is kept is read, that a newer list replaces it, and that an older one or one that was not signed does not.
func TestKeep(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	if day, err := reads(t, dir); day != "" || err != nil {
		t.Fatalf("%q, %v", day, err)
	}
	for _, step := range []struct {
		day, before string
		err         error
		then        string
	}{
		{"2026-01-02", "", nil, "2026-01-02"}, {"2026-01-02", "2026-01-02", nil, "2026-01-02"}, {"2026-02-02", "2026-01-02", nil, "2026-02-02"},
		{"2026-01-31", "2026-02-02", kept.ErrOlder, "2026-02-02"},
	} {
		before, err := keep(t, dir, step.day)
		if before != step.before || !errors.Is(err, step.err) {
			t.Errorf("%s: in the place of %q, %v", step.day, before, err)
		}
		if day, err := reads(t, dir); day != step.then || err != nil {
			t.Errorf("%s: %q is kept, %v", step.day, day, err)
		}
	}
	_, signed := listOf("2027-01-01")
	other, _ := listOf("2027-01-02")
	if _, err := kept.Keep(vfs.OS(), dir, other, signed); err == nil {
		t.Error("another list than the one that was signed is kept")
	}
	if _, err := kept.Keep(vfs.OS(), dir, []byte("{}"), signed); !errors.Is(err, advisory.ErrList) {
		t.Errorf("%v", err)
	}
	if day, err := reads(t, dir); day != "2026-02-02" || err != nil {
		t.Errorf("%q, %v", day, err)
	}
}

// TestNotBelieved holds that what others may write, or what was changed since, is not used, and that the next import replaces it.
func TestNotBelieved(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(name string) error
		want   error
	}{
		"others may write it":   {func(name string) error { return os.Chmod(name, 0o666) }, kept.ErrWriters},
		"others may replace it": {func(name string) error { return os.Chmod(filepath.Dir(name), 0o777) }, kept.ErrWriters},
		"another list":          {func(name string) error { return replace(name, `"sha256": "`, `"sha256": "0`) }, kept.ErrDamaged},
		"another version":       {func(name string) error { return replace(name, `"version": 1`, `"version": 2`) }, kept.ErrDamaged},
		"cut short":             {func(name string) error { return os.Truncate(name, 100) }, kept.ErrDamaged},
		"too long":              {func(name string) error { return os.Truncate(name, 16<<20) }, kept.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			if _, err := keep(t, dir, "2026-01-02"); err != nil {
				t.Fatal(err)
			}
			if err := test.change(filepath.Join(dir, kept.Name)); err != nil {
				t.Fatal(err)
			}
			if day, err := reads(t, dir); day != "" || !errors.Is(err, test.want) {
				t.Errorf("%q, %v", day, err)
			}
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := keep(t, dir, "2026-01-03"); err != nil {
				t.Error(err)
			}
			if day, err := reads(t, dir); day != "2026-01-03" || err != nil {
				t.Errorf("%q, %v", day, err)
			}
		})
	}
}

func replace(name, old, new string) error {
	text, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, bytes.Replace(text, []byte(old), []byte(new), 1), 0o644)
	}
	return err
}

// TestKeepRollout holds that the list of a rollout is kept beside the signed one, with who brought it, that the next one replaces it, and that
// it is not read where others can have written it.
func TestKeepRollout(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	read := func() (from string, err error) {
		l, err := kept.AddRollout(vfs.OS(), dir, nil, func(plan string) bool { return plan == "sha256:1" })
		return l.Edition().Rollout, err
	}
	if from, err := read(); from != "" || err != nil {
		t.Fatalf("%q, %v", from, err)
	}
	if _, err := keep(t, dir, "2026-01-02"); err != nil {
		t.Fatal(err)
	}
	for _, day := range []string{"2026-03-03", "2026-02-02"} { // the last rollout counts, not the last day
		text, _ := listOf(day)
		if err := kept.KeepRollout(vfs.OS(), dir, kept.Rollout{List: text, Plan: "sha256:1", From: "ana@" + day, SudoUser: "ana"}); err != nil {
			t.Fatal(err)
		}
		if from, err := read(); err != nil || from != "ana (sudo) as ana@"+day {
			t.Errorf("%q, %v", from, err)
		}
	}
	for name, text := range map[string][]byte{"no list": []byte("{}"), "too large": make([]byte, advisory.ListSizeMax+1)} {
		if err := kept.KeepRollout(vfs.OS(), dir, kept.Rollout{List: text, Plan: "sha256:1", From: "bob"}); !errors.Is(err, advisory.ErrList) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if from, err := read(); from != "ana (sudo) as ana@2026-02-02" || err != nil {
		t.Errorf("%q, %v", from, err)
	}
	ended, err := kept.AddRollout(vfs.OS(), dir, nil, func(string) bool { return false })
	if err != nil || ended.Edition().Rollout != "" {
		t.Errorf("what came with a plan that holds no target is still used: %+v, %v", ended.Edition(), err)
	}
	if day, err := reads(t, dir); day != "2026-01-02" || err != nil {
		t.Errorf("the signed list is of %q, %v", day, err)
	}
	name := filepath.Join(dir, kept.NameRollout)
	if err := os.Chmod(name, 0o666); err != nil {
		t.Fatal(err)
	}
	if from, err := read(); from != "" || !errors.Is(err, kept.ErrWriters) {
		t.Errorf("one that others can have written: %q, %v", from, err)
	}
	for _, text := range []string{"{", `{"version":9}`, `{"version":1,"list":"e30="}`} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		if from, err := read(); from != "" || !errors.Is(err, kept.ErrDamaged) {
			t.Errorf("%s: %q, %v", text, from, err)
		}
	}
}
