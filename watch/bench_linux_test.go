package watch

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
)

// BenchmarkLook is one of watch's looks, of which there is one a second, on a host with that
// many more processes.
func BenchmarkLook(b *testing.B) {
	path := testbin.BuildFile(b, testbin.Spec{}, b.TempDir())
	for _, count := range []int{1, 500} {
		b.Run(fmt.Sprintf("processes=%d", count), func(b *testing.B) {
			for range count {
				sleeper := exec.Command("sleep", "1h")
				if err := sleeper.Start(); err != nil {
					b.Fatal(err)
				}
				defer func() {
					_ = sleeper.Process.Kill()
					_ = sleeper.Wait()
				}()
			}
			w, err := newWatcher(path, Options{pollOnly: true})
			if err != nil {
				b.Fatal(err)
			}
			defer w.close()
			if _, err := w.step(b.Context()); err != nil { // the first reads the file
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := w.step(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
