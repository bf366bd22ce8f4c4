package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// demoPlace is the temporary directory of a demonstration: a server's root with
// RELEASE/ASSET below it, and the target.
type demoPlace struct {
	dir            string
	asset          string
	target         string
	url            string
	server         *http.Server
	releases       []string
	digests        map[string]string
	executableSize int64
}

// newDemoPlace makes the binaries: 1.1.0 plain, 1.2.0 with it, 1.3.0 with both,
// 9.0.0 that has nothing in common with them, and a truncated archive.
func newDemoPlace(ctx context.Context) (*demoPlace, error) {
	platform, err := release.HostPlatform()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tbctl-demo-")
	if err != nil {
		return nil, err
	}
	place := &demoPlace{
		dir: dir, asset: release.AssetName(platform, false), target: filepath.Join(dir, "bin", "tigerbeetle"),
		digests: make(map[string]string),
	}
	if err := place.fill(ctx); err != nil {
		place.close(false)
		return nil, err
	}
	if err := place.serve(); err != nil {
		place.close(false)
		return nil, err
	}
	return place, nil
}

// close stops the server and removes the directory, unless it is to be kept.
func (p *demoPlace) close(keep bool) {
	if p.server != nil {
		_ = p.server.Close()
	}
	if !keep {
		_ = os.RemoveAll(p.dir)
	}
}

func (p *demoPlace) digest(release string) string { return p.digests[release] }

func (p *demoPlace) fill(ctx context.Context) error {
	for _, name := range []string{"bin", "1.2.0", "1.3.0", "9.0.0", "truncated"} {
		if err := durable.MkdirAll(vfs.OS(), p.path(name), 0o755); err != nil {
			return err
		}
	}
	self, err := ownExecutable()
	if err != nil {
		return err
	}
	p.executableSize = int64(len(self))
	current := demoExecutables(self)
	second, err := demoPack(ctx, pack.Options{Release: demoRelease(2), Plain: demoPlain(current, demoRelease(1)), Current: current})
	if err != nil {
		return err
	}
	third, err := demoPack(ctx, pack.Options{Release: demoRelease(3), Past: second.Binary(), Current: current})
	if err != nil {
		return err
	}
	stranger, err := demoPack(ctx, pack.Options{
		Release: multiversion.NewRelease(9, 0, 0), Plain: demoPlain(current, multiversion.NewRelease(8, 0, 0)), Current: current,
	})
	if err != nil {
		return err
	}
	for name, built := range map[string]*pack.Result{"1.2.0": second, "1.3.0": third, "9.0.0": stranger} {
		if err := p.write(ctx, name, built); err != nil {
			return err
		}
		p.releases = append(p.releases, name)
	}
	return p.truncate("1.3.0", "truncated")
}

// demoRelease is release 1.MINOR.0.
func demoRelease(minor uint8) multiversion.Release { return multiversion.NewRelease(1, minor, 0) }

func demoPlain(executables []pack.Source, release multiversion.Release) []pack.Plain {
	return []pack.Plain{{Release: release, Commit: demoCommit(release), ClientMin: release, Executables: executables}}
}

func demoPack(ctx context.Context, options pack.Options) (*pack.Result, error) {
	options.Commit, options.ClientMin = demoCommit(options.Release), options.Release
	return pack.Build(ctx, options)
}

func demoCommit(release multiversion.Release) multiversion.Commit {
	sum := sha256.Sum256([]byte(release.String()))
	return multiversion.Commit(sum[:20])
}

// ownExecutable reads the executable of this process.
func ownExecutable() ([]byte, error) {
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// demoExecutables are the executables of one release. A binary for macOS has
// two; there the other one is this one under the other processor's name, and
// never runs.
func demoExecutables(self []byte) []pack.Source {
	if runtime.GOOS != "darwin" {
		return []pack.Source{bytes.NewReader(self)}
	}
	const cpuTypeOffset, cpuX86_64, cpuARM64 = 4, 0x01000007, 0x0100000c
	other := bytes.Clone(self)
	cpu := uint32(cpuARM64)
	if runtime.GOARCH == "arm64" {
		cpu = cpuX86_64
	}
	binary.LittleEndian.PutUint32(other[cpuTypeOffset:], cpu)
	return []pack.Source{bytes.NewReader(self), bytes.NewReader(other)}
}

// write makes RELEASE/ASSET: a zip with the one executable.
func (p *demoPlace) write(ctx context.Context, release string, built *pack.Result) error {
	sum := sha256.New()
	err := durable.WriteFile(vfs.OS(), p.path(release, p.asset), 0o644, false, func(w io.Writer) error {
		archive := zip.NewWriter(io.MultiWriter(w, sum))
		archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
		header := &zip.FileHeader{Name: demoEntry(), Method: zip.Deflate, Modified: time.Unix(0, 0).UTC()}
		header.SetMode(0o755)
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := built.Copy(ctx, entry); err != nil {
			return err
		}
		return archive.Close()
	})
	if err != nil {
		return fmt.Errorf("make release %s: %w", release, err)
	}
	p.digests[release] = hex.EncodeToString(sum.Sum(nil))
	return nil
}

func demoEntry() string {
	if runtime.GOOS == "windows" {
		return "tigerbeetle.exe"
	}
	return "tigerbeetle"
}

// truncate copies the first two thirds of a release.
func (p *demoPlace) truncate(from, to string) error {
	whole, err := os.ReadFile(p.path(from, p.asset))
	if err != nil {
		return err
	}
	return durable.WriteFile(vfs.OS(), p.path(to, p.asset), 0o644, false, func(w io.Writer) error {
		_, err := w.Write(whole[:len(whole)*2/3])
		return err
	})
}
