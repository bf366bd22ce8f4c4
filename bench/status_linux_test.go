package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"testing"
)

// BenchmarkStatus is `tbctl status` of a release, whole process, on a host with that many more
// processes. What it does for the processes alone: go test -bench Find ./replica.
func BenchmarkStatus(b *testing.B) {
	b.Chdir("..") // where the go command finds the packages
	bed, err := newBed()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(bed.close)
	if err := goBuild(b.Context(), bed.tbctl, runtime.GOOS, runtime.GOARCH, "./cmd/tbctl"); err != nil {
		b.Fatal(err)
	}
	if err := bed.binary(b.Context(), fixture{"release", forHost, sizeRelease, 5}); err != nil {
		b.Fatal(err)
	}
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
			for b.Loop() {
				if _, _, err := runCommand(b.Context(), bed.run("status", bed.path("release"), "--state-dir", bed.path("state"))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
