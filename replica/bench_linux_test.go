package replica_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
)

// BenchmarkFind looks through real processes: replicas, and others that have nothing to do
// with the target.
func BenchmarkFind(b *testing.B) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		b.Skipf("skipped: %v", err)
	}
	binary, dataFile := standin.Install(b, standin.Binary(b, "0.17.6", "0.17.5"))
	for _, size := range []struct{ replicas, others int }{{1, 0}, {1, 499}, {6, 0}} {
		b.Run(fmt.Sprintf("replicas=%d/others=%d", size.replicas, size.others), func(b *testing.B) {
			proc := b.TempDir()
			show := func(name string) {
				if err := os.Symlink("/proc/"+name, filepath.Join(proc, name)); err != nil {
					b.Fatal(err)
				}
			}
			show("self")
			show("stat")
			for range size.replicas {
				show(strconv.Itoa(standin.Start(b, binary, dataFile, standin.Options{}).PID()))
			}
			for range size.others {
				other := exec.Command(sleep, "1000")
				if err := other.Start(); err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { other.Process.Kill(); other.Wait() })
				show(strconv.Itoa(other.Process.Pid))
			}
			finder := replica.NewFinder(binary, replica.Options{Proc: proc})
			for b.Loop() {
				view, err := finder.Find(b.Context())
				if err != nil || len(view.Processes) != size.replicas {
					b.Fatal(fmt.Sprint(view, err))
				}
			}
		})
	}
}
