package demo

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/release"
)

// The releases of the demonstration. The last is the one before it, cut short.
var (
	releaseOld  = multiversion.NewRelease(1, 1, 0)
	releaseThis = multiversion.NewRelease(1, 2, 0)
	releaseNext = multiversion.NewRelease(1, 3, 0)
	releaseCut  = multiversion.NewRelease(1, 4, 0)
)

// build makes a multiversion binary of two releases. More would not fit into what a replica accepts, where this
// program has its symbols.
func build(ctx context.Context, past, current multiversion.Release) (*pack.Result, error) {
	before, err := executables(past)
	if err != nil {
		return nil, err
	}
	now, err := executables(current)
	if err != nil {
		return nil, err
	}
	return pack.Build(ctx, pack.Options{
		Release: current, Commit: commitOf(current), ClientMin: releaseOld, Current: now,
		Plain: []pack.Plain{{Release: past, Commit: commitOf(past), ClientMin: releaseOld, Executables: before}},
	})
}

func commitOf(release multiversion.Release) multiversion.Commit {
	sum := sha256.Sum256([]byte(release.String()))
	return multiversion.Commit(sum[:20])
}

// executables are those of one release. A binary for macOS has two; there the other
// one is this one under the other processor's name, and never runs.
func executables(release multiversion.Release) ([]pack.Source, error) {
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile(name)
	if err == nil {
		self, err = stamp(self, release)
	}
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "darwin" {
		image, err := objcopy.Normalize(bytes.NewReader(self), int64(len(self))) // as pack does it for a current one
		if err != nil {
			return nil, err
		}
		var whole bytes.Buffer
		if _, err := image.WriteTo(&whole); err != nil {
			return nil, err
		}
		return []pack.Source{bytes.NewReader(whole.Bytes())}, nil
	}
	const cpuTypeOffset, cpuX86_64, cpuARM64 = 4, 0x01000007, 0x0100000c
	other := bytes.Clone(self)
	cpu := uint32(cpuARM64)
	if runtime.GOARCH == "arm64" {
		cpu = cpuX86_64
	}
	binary.LittleEndian.PutUint32(other[cpuTypeOffset:], cpu)
	return []pack.Source{bytes.NewReader(self), bytes.NewReader(other)}, nil
}

// write puts a binary at a name in the directory, as an executable.
func (p *place) write(ctx context.Context, built *pack.Result, name string) error {
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(p.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = built.Copy(ctx, file)
	return closed(file, err)
}

func closed(file *os.File, err error) error {
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// publish makes RELEASE/ASSET on the mirror: a zip with the one executable, of deflate's stored blocks, since to compress and
// inflate it would take most of the demonstration's time. It returns its name.
func (p *place) publish(ctx context.Context, built *pack.Result, tag multiversion.Release) (string, error) {
	platform, err := release.HostPlatform()
	if err != nil {
		return "", err
	}
	name := p.path("mirror", tag.String(), release.AssetName(platform, false))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", err
	}
	file, err := os.Create(name)
	if err != nil {
		return "", err
	}
	archive := zip.NewWriter(file)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.NoCompression) })
	header := &zip.FileHeader{Name: entryName(), Method: zip.Deflate, Modified: time.Unix(0, 0).UTC()}
	header.SetMode(0o755)
	entry, err := archive.CreateHeader(header)
	if err == nil {
		_, err = built.Copy(ctx, entry)
	}
	if err == nil {
		err = archive.Close()
	}
	if err := closed(file, err); err != nil {
		return "", fmt.Errorf("make release %s: %w", tag, err)
	}
	return name, nil
}

func entryName() string {
	if runtime.GOOS == "windows" {
		return "tigerbeetle.exe"
	}
	return "tigerbeetle"
}

// cut publishes the first two thirds of a release's archive as another release.
func (p *place) cut(archive string, tag multiversion.Release) error {
	whole, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	name := p.path("mirror", tag.String(), filepath.Base(archive))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, whole[:len(whole)*2/3], 0o644)
}

// serve starts the mirror on a free port of the loopback address.
func (p *place) serve() error {
	if err := os.Mkdir(p.path("mirror"), 0o755); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.server = &http.Server{Handler: http.FileServerFS(os.DirFS(p.path("mirror"))), ReadHeaderTimeout: 10 * time.Second}
	p.mirror = "http://" + listener.Addr().String() + "/{tag}/{asset}"
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return nil
}
