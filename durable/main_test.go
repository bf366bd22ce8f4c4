package durable_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const (
	testDir  = "/opt/tigerbeetle"
	testName = testDir + "/tigerbeetle"
)

var errInjected = errors.New("injected")

// appendVariable, when set, makes the test binary append lines to a journal, as a process
// of its own.
const appendVariable = "DURABLE_TEST_APPEND"

func TestMain(m *testing.M) {
	if os.Getenv(appendVariable) != "" {
		if err := appendMany(os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newFS makes a file system with an empty directory testDir.
func newFS(t *testing.T, options memfs.Options) *memfs.FS {
	t.Helper()
	m := memfs.New(options)
	for _, dir := range []string{"/opt", testDir} {
		check(t, m.Make(dir, vfs.KindDirectory, 0o755))
	}
	return m
}

// openDir opens testDir.
func openDir(t *testing.T, fsys vfs.FS) vfs.Dir {
	t.Helper()
	return mustOpenDir(t, fsys, testDir)
}

func mustOpenDir(t *testing.T, fsys vfs.FS, name string) vfs.Dir {
	t.Helper()
	dir, err := fsys.OpenDir(name)
	check(t, err)
	t.Cleanup(func() { dir.Close() })
	return dir
}

func writeString(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func contentsOf(t *testing.T, fsys vfs.FS, name string) (string, bool) {
	t.Helper()
	dir, err := fsys.OpenDir(filepath.Dir(name))
	check(t, err)
	defer dir.Close()
	file, err := dir.Open(filepath.Base(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	check(t, err)
	defer file.Close()
	info, err := file.Stat()
	check(t, err)
	text, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	check(t, err)
	return string(text), true
}
