package report_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// TestStatusAfterSwap: after a swap that was cut off before the displaced file got its name, that file is the previous
// one, and not what was kept before.
func TestStatusAfterSwap(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7"))
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	testbin.WriteFile(t, binary+"-old", standin.Binary(t, "0.17.6", "0.17.5"))
	displaced := filepath.Join(filepath.Dir(binary), fmt.Sprintf(".%s.tbctl-ready-%d", filepath.Base(binary), info.Sys().(*syscall.Stat_t).Ino))
	testbin.WriteFile(t, displaced, standin.Binary(t, "0.17.7", "0.17.6"))
	in := &install.Installer{FS: vfs.OS(), Journal: &install.Journal{FS: vfs.OS(), Dir: t.TempDir()}}
	status, err := report.NewStatus(t.Context(), in, binary)
	if err != nil {
		t.Fatal(err)
	}
	if status.Previous == nil || status.Previous.Release != testbin.Release("0.17.7") || status.Previous.Path != displaced || len(status.Leftovers) != 1 {
		t.Errorf("the previous file is %+v, leftovers %+v", status.Previous, status.Leftovers)
	}
}
