package vfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// A file is believed by where it lies, not by where a link to it does.
func TestOthersMayWriteLink(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for name, mode := range map[string]os.FileMode{"own": 0o755, "shared": 0o777} {
		dir := filepath.Join(base, name)
		file, link := filepath.Join(dir, "key"), filepath.Join(base, "key-"+name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(link)
		if err != nil {
			t.Fatal(err)
		}
		why := vfs.OthersMayWrite(link, info, os.Geteuid())
		if shared := strings.Contains(why, "others may write its directory"); shared != (name == "shared") || !shared && why != "" {
			t.Errorf("%s: %q", name, why)
		}
	}
}
