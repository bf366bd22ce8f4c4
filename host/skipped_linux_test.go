package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
)

// A stranger's process that was not looked into, since it did not answer, is a reason why something may not be seen.
func TestLookSkipped(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: whose a process is is told by the owner of its directory, unless that is root")
	}
	dir := t.TempDir()
	target, other := testbin.BuildFile(t, testbin.Spec{}, dir), filepath.Join(dir, "other")
	proc := filepath.Join(dir, "proc")
	process := filepath.Join(proc, "7")
	err := errors.Join(os.MkdirAll(filepath.Join(proc, "self/ns"), 0o755), os.MkdirAll(filepath.Join(process, "ns"), 0o755), os.WriteFile(other, nil, 0o755))
	for name, text := range map[string]string{"self/ns/mnt": "mnt:[1]", "self/root": "/", "7/ns/mnt": "mnt:[1]", "7/root": "/", "7/cwd": "/", "7/exe": other} {
		err = errors.Join(err, os.Symlink(text, filepath.Join(proc, name)))
	}
	for name, text := range map[string]string{"status": "Uid:\t1500\t0\t0\t0\n", "stat": "7 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 567 0 0\n", "cgroup": "0::/\n", "loginuid": "1500"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(process, name), []byte(text), 0o644))
	}
	pipe := filepath.Join(process, "cmdline") // who opens it waits
	if err := errors.Join(err, syscall.Mkfifo(pipe, 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if writer, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
			writer.Close()
		}
	})
	query := host.Query{Target: target, Replicas: replica.Options{Proc: proc}}
	report, err := host.Look(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(report.Unseen, func(each replica.Unseen) bool {
		return each.Kind == replica.UnseenNoAnswer && each.Reason == host.SkippedText(1)
	}) {
		t.Errorf("unseen are %+v", report.Unseen)
	}
	if options := report.Options(query); !slices.Contains(options.Unseen, host.SkippedText(1)) {
		t.Errorf("an installation is told of %q", options.Unseen)
	}
}
