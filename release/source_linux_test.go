package release

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// TestSourceOfOthers: what another user may have put where releases are looked for leads to no process's files in /proc, is waited
// for by nobody, and is no device.
func TestSourceOfOthers(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	asset := AssetName("x86_64-linux", false)

	elsewhere, mirror := t.TempDir(), t.TempDir()
	must(t, os.Mkdir(filepath.Join(elsewhere, "0.17.8"), 0o755), os.WriteFile(filepath.Join(elsewhere, "0.17.8", asset), zip, 0o600))
	through := "/proc/self/root" + elsewhere
	must(t, os.Symlink(through+"/0.17.8", filepath.Join(mirror, "0.17.8")))
	if listing, err := List(t.Context(), Options{Mirror: mirror}); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("a directory of a release: %+v, %v", listing, err)
	}
	must(t, os.Remove(filepath.Join(mirror, "0.17.8")), os.Mkdir(filepath.Join(mirror, "0.17.8"), 0o755))
	must(t, os.Symlink(through+"/0.17.8/"+asset, filepath.Join(mirror, "0.17.8", asset)))
	if listing, err := List(t.Context(), Options{Mirror: mirror}); err != nil || len(listing.Releases) > 0 {
		t.Errorf("an asset: %+v, %v", listing, err)
	}
	if artifact, err := resolve("0.17.8", Options{Mirror: mirror, Platform: "x86_64-linux"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an asset of a mirror: %+v, %v", artifact, err)
	}
	link := filepath.Join(mirror, "link.zip")
	must(t, os.Symlink(through+"/0.17.8/"+asset, link))
	if artifact, err := resolve(link, Options{Platform: "x86_64-linux"}); !errors.Is(err, vfs.ErrMagicLink) {
		t.Errorf("a file: %+v, %v", artifact, err)
	}
	if _, _, err := fetch(t, through+"/0.17.8/"+asset, Options{}); err != nil {
		t.Errorf("the operator's own path: %v", err)
	}

	path, list := filepath.Join(elsewhere, "x.zip"), filepath.Join(elsewhere, sumsName)
	must(t, os.WriteFile(path, zip, 0o600), syscall.Mkfifo(list, 0o600))
	writer, err := os.OpenFile(list, os.O_RDWR, 0) // it is never at its end
	must(t, err)
	defer writer.Close()
	if f, _, err := fetch(t, path, Options{}); err != nil && !errors.Is(err, vfs.ErrNotRegular) || err == nil && f.Trusted {
		t.Errorf("a list that never comes: %+v, %v", f.Evidence, err)
	}

	if _, _, err := fetch(t, "/dev/null", Options{}); !errors.Is(err, errDevice) {
		t.Errorf("a device: %v", err)
	}
}
