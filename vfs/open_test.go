//go:build unix

package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestOpenFile: what is not allowed is not opened, and nothing waits for the other end of a pipe.
func TestOpenFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	errOther := errors.New("of another kind")
	for _, err := range []error{
		os.WriteFile(in("file"), []byte("text"), 0o600), os.Symlink("file", in("link")), syscall.Mkfifo(in("pipe"), 0o600), os.Mkdir(in("dir"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name    string
		allowed func(fs.FileMode) error
		want    error
		text    string
	}{
		{"file", vfs.RegularOnly(errOther), nil, "text"},
		{"link", vfs.RegularOnly(errOther), nil, "text"},
		{"pipe", vfs.RegularOnly(errOther), errOther, ""},
		{"dir", vfs.RegularOnly(errOther), errOther, ""},
		{"missing", vfs.RegularOnly(errOther), fs.ErrNotExist, ""},
		{"pipe", nil, nil, ""},
	} {
		file, info, err := vfs.OpenFile(in(test.name), test.allowed)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
		if err != nil {
			var path *fs.PathError
			if !errors.As(err, &path) || path.Path != in(test.name) || strings.Contains(path.Err.Error(), dir) {
				t.Errorf("%s: the error does not name the file once: %v", test.name, err)
			}
			continue
		}
		text, err := io.ReadAll(file)
		if err != nil || string(text) != test.text || info.Mode().IsRegular() && info.Size() != int64(len(text)) || file.Name() != in(test.name) {
			t.Errorf("%s: read %q from %s, %v", test.name, text, file.Name(), err)
		}
		file.Close()
	}
}
