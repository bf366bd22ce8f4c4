package report_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
)

// The processes of strangers that were not looked into are told.
func TestStatusSkipped(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: whose a process is is told by the owner of its directory, unless that is root")
	}
	proc := t.TempDir()
	process := filepath.Join(proc, "7")
	pipe := filepath.Join(process, "cmdline") // who opens it waits
	err := errors.Join(os.MkdirAll(filepath.Join(proc, "self"), 0o755), os.Mkdir(process, 0o755), os.Symlink("/dev/null", filepath.Join(process, "exe")),
		os.WriteFile(filepath.Join(process, "status"), []byte("Uid:\t1500\t0\t0\t0\n"), 0o644), syscall.Mkfifo(pipe, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if writer, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
			writer.Close()
		}
	})
	var status report.Status
	status.See(t.Context(), host.Query{Target: filepath.Join(proc, "tigerbeetle"), Replicas: replica.Options{Proc: proc}})
	if status.Skipped != 1 {
		t.Errorf("%d were skipped: %+v", status.Skipped, status)
	}
}
