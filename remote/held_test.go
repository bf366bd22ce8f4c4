package remote

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
)

// Who owns the directory of a target can put a link to another's file at its names. No link beside the target is followed, and of what a file
// there has in it nothing is told: what root reads for a session is not for the other end.
func TestHostHeldForeign(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		put  func(from, to string) error
		kept bool
		want string // of why it is left out
	}{
		"a symbolic link at the kept file": {os.Symlink, true, "it is a symlink"},
		"another name at the kept file":    {os.Link, true, "file-kind"},
		"another name at the target":       {os.Link, false, "file-kind"},
		"a symbolic link at the target":    {os.Symlink, false, "file-kind"}, // which is followed, as for everything that is done with it
	} {
		p := newPlace(t)
		foreign, at := filepath.Join(p.dir, "shadow"), p.target
		if test.kept {
			at += "-old"
		} else if err := os.Remove(at); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(foreign, []byte("root:$y$hush"), 0o600), test.put(foreign, at)); err != nil {
			t.Fatal(err)
		}
		recorder := httptest.NewRecorder()
		p.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, pathHeld, nil))
		said := recorder.Body.String()
		if recorder.Code != http.StatusOK || !strings.Contains(said, `"executables":[]`) || !strings.Contains(said, test.want) {
			t.Errorf("%s: %d, %s", name, recorder.Code, said)
		}
		for _, bytes := range []string{"72 6f", "root:", "hush"} {
			if strings.Contains(said, bytes) {
				t.Errorf("%s: it tells what is in the file: %s", name, said)
			}
		}
	}
	// What takes a name between the look and the opening is not read.
	p := newPlace(t)
	found, err := fsatomic.Lookup(p.Installer.FS, p.target)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.other, p.target); err != nil {
		t.Fatal(err)
	}
	if file, _, err := found.Open(p.Installer.FS, false); err == nil {
		file.Close()
		t.Error("another file than was found is opened")
	}
}
