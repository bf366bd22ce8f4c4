package main

import (
	"archive/zip"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// BenchmarkInstall installs a zip from a loopback server into an empty directory
// of the real file system, and says where the time goes. 36.8MB is what a release for Linux
// has, and 64MiB the most that it can have; no file of its kind can be larger, so 250MiB is
// a debug build for macOS.
//
// The metrics in ms are wall time: of each of the installer's steps (fetch-ms and so on, which
// together are the whole but for its first milliseconds), and of kinds of the disk's operations
// inside them (disk-write-ms lies in fetch-ms, and runs beside the inflating; disk-sync-ms in commit-ms).
// In a CPU profile the installer's samples are labelled side=install; the server is in
// the same process and has none.
func BenchmarkInstall(b *testing.B) {
	b.Chdir("..") // where the go command finds the packages
	bed := newInstallBed(b)
	host := multiversion.HostPlatform("linux", "amd64")
	for _, each := range []struct {
		name, file string
		host       multiversion.Platform
	}{
		{"36.8MB", "release", host},
		{"64MiB", "largest", host},
		{"250MiB", "large", multiversion.PlatformUniversalMacOS},
	} {
		b.Run(each.name, func(b *testing.B) {
			info, err := os.Stat(bed.path(each.file))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			watch := newStopwatch()
			for b.Loop() {
				b.StopTimer()
				work, err := os.MkdirTemp(bed.dir, "work-")
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				pprof.Do(b.Context(), pprof.Labels("side", "install"), func(ctx context.Context) {
					err = installOnce(ctx, watch, work, bed.url+"/"+each.file+".zip", each.host)
				})
				b.StopTimer()
				if err == nil {
					err = os.RemoveAll(work)
				}
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			watch.report(b)
		})
	}
}

// newInstallBed makes what BenchmarkInstall needs: the binaries, zipped as upstream's release
// step does it, and the server.
func newInstallBed(b *testing.B) *bed {
	b.Helper()
	made, err := newBed()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(made.close)
	err = goBuild(b.Context(), made.tbctl, "linux", "amd64", "./cmd/tbctl")
	linux := [][2]string{{"linux", "amd64"}}
	for _, file := range []fixture{{"release", linux, sizeRelease, 5}, {"largest", linux, sizeLargest, 5}, {"large", forMacOS, sizeDebug, 5}} {
		if err == nil {
			err = made.binary(b.Context(), file)
		}
		if err == nil {
			err = made.zip(file.name, file.name+".zip", zip.Deflate)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// installOnce is `tbctl install URL TARGET` without the command line.
func installOnce(ctx context.Context, watch *stopwatch, work, url string, host multiversion.Platform) error {
	artifact, err := release.Resolve(ctx, url, release.Options{CacheDir: filepath.Join(work, "cache")})
	if err != nil {
		return err
	}
	fsys := watchedFS{FS: vfs.OS(), watch: watch}
	installer := install.Installer{
		FS: fsys, Journal: &install.Journal{FS: fsys, Dir: filepath.Join(work, "state")}, Command: "benchmark", Observe: watch.step,
	}
	request := install.Request{Target: filepath.Join(work, "tigerbeetle"), Source: url, Host: host}
	_, err = installer.Install(ctx, request, func(ctx context.Context, w io.Writer) (install.Origin, error) {
		fetched, err := artifact.Fetch(ctx, w)
		return install.Origin{
			Source: url, SHA256: fetched.AssetSHA256, Size: fetched.AssetSize, ExecutableSHA256: fetched.ExecutableSHA256,
		}, err
	})
	watch.step("")
	return err
}

// stopwatch sums up the wall time of the installer's steps and of the disk's operations.
type stopwatch struct {
	now   install.Step
	since time.Time
	runs  int
	steps map[install.Step]time.Duration
	disk  map[string]time.Duration // one goroutine at a time writes
}

func newStopwatch() *stopwatch {
	return &stopwatch{steps: make(map[install.Step]time.Duration), disk: make(map[string]time.Duration)}
}

// step is told of each step before it is taken, and of "" at the end of a run.
func (s *stopwatch) step(next install.Step) {
	at := time.Now()
	if s.now != "" {
		s.steps[s.now] += at.Sub(s.since)
	}
	s.now, s.since = next, at
	if next == "" {
		s.runs++
	}
}

// time times one of the disk's operations. Those timed are never under way two at once.
func (s *stopwatch) time(kind string, operation func() error) error {
	started := time.Now()
	err := operation()
	s.disk[kind] += time.Since(started)
	return err
}

func (s *stopwatch) report(b *testing.B) {
	perRun := func(sum time.Duration) float64 { return float64(sum.Microseconds()) / 1000 / float64(max(s.runs, 1)) }
	for step, sum := range s.steps {
		b.ReportMetric(perRun(sum), string(step)+"-ms")
	}
	for kind, sum := range s.disk {
		b.ReportMetric(perRun(sum), "disk-"+kind+"-ms")
	}
}

// watchedFS is a file system whose slow operations are timed.
type watchedFS struct {
	vfs.FS
	watch *stopwatch
}

func (f watchedFS) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return watchedDir{Dir: dir, watch: f.watch}, err
}

type watchedDir struct {
	vfs.Dir
	watch *stopwatch
}

func (d watchedDir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.Create(name, mode)
	return watchedFile{File: file, watch: d.watch}, err
}

func (d watchedDir) Rename(from, to string) error {
	return d.watch.time("rename", func() error { return d.Dir.Rename(from, to) })
}

func (d watchedDir) RenameNoReplace(from, to string) error {
	return d.watch.time("rename", func() error { return d.Dir.RenameNoReplace(from, to) })
}

func (d watchedDir) Exchange(a, b string) error {
	return d.watch.time("rename", func() error { return d.Dir.Exchange(a, b) })
}

func (d watchedDir) Sync() error { return d.watch.time("sync-directory", d.Dir.Sync) }

type watchedFile struct {
	vfs.File
	watch *stopwatch
}

func (f watchedFile) Write(data []byte) (count int, err error) {
	err = f.watch.time("write", func() error { count, err = f.File.Write(data); return err })
	return count, err
}

func (f watchedFile) Sync() error { return f.watch.time("sync", f.File.Sync) }
