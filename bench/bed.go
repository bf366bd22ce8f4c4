package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// bed holds the programs and files that the targets are measured on.
type bed struct {
	dir    string
	tbctl  string
	server *http.Server
	url    string
}

const (
	mebibyte = 1 << 20

	// sizeRelease is just below the size at which a replica crashes.
	sizeRelease = 64*mebibyte - 4096
)

func newBed(ctx context.Context) (*bed, error) {
	dir, err := os.MkdirTemp("", "tbctl-bench-")
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir, tbctl: filepath.Join(dir, "tbctl")}
	if err := b.fill(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bed) close() {
	if b.server != nil {
		_ = b.server.Close()
	}
	_ = os.RemoveAll(b.dir)
}

func (b *bed) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bed) fill(ctx context.Context) error {
	if err := goBuild(ctx, b.tbctl, runtime.GOOS, runtime.GOARCH, "./cmd/tbctl"); err != nil {
		return err
	}
	if err := b.programs(ctx); err != nil {
		return err
	}
	if err := b.binaries(ctx); err != nil {
		return err
	}
	return b.serve()
}

// programs makes the small ones: a Go program that prints a line, for this host
// and for macOS, and the C loop.
func (b *bed) programs(ctx context.Context) error {
	source := b.path("hello.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n"), 0o644); err != nil {
		return err
	}
	for _, host := range [][2]string{{runtime.GOOS, runtime.GOARCH}, {"darwin", "arm64"}, {"darwin", "amd64"}} {
		if err := goBuild(ctx, b.path("hello-"+host[0]+"-"+host[1]), host[0], host[1], source); err != nil {
			return err
		}
	}
	if missing("gcc") == "" && runtime.GOARCH == "amd64" {
		if err := execute(ctx, "gcc", "-O3", "-maes", "-mavx", "-o", b.path("peer"), "bench/aegis-peer/peer.c"); err != nil {
			return err
		}
	}
	return execute(ctx, "go", "test", "-c", "-o", b.path("aegis.test"), "./internal/aegis")
}

func goBuild(ctx context.Context, output, goos, goarch, what string) error {
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", output, what)
	command.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", what, err, text)
	}
	return nil
}

func execute(ctx context.Context, args ...string) error {
	if text, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", args, err, text)
	}
	return nil
}

// binaries makes the fixtures: 5 releases in 64 MiB and its zips, a small one, and two for macOS,
// of 250 MiB and of as few as the same releases take.
func (b *bed) binaries(ctx context.Context) error {
	program := b.path("hello-" + runtime.GOOS + "-" + runtime.GOARCH)
	if err := b.pack(ctx, "small", []string{program}, false, 0); err != nil {
		return err
	}
	if err := b.pack(ctx, "release", []string{b.tbctl}, false, sizeRelease); err != nil {
		return err
	}
	slices := []string{b.path("hello-darwin-arm64"), b.path("hello-darwin-amd64")}
	if err := b.pack(ctx, "large", slices, true, 250*mebibyte); err != nil {
		return err
	}
	if err := b.pack(ctx, "few", slices, true, 0); err != nil {
		return err
	}
	if err := b.zip("release", "stored.zip", zip.Store); err != nil {
		return err
	}
	return b.zip("release", "release.zip", zip.Deflate)
}

// pack makes a binary with four past releases, and pads the oldest until the
// file has about that size.
func (b *bed) pack(ctx context.Context, name string, executables []string, debug bool, size int64) error {
	var sources []pack.Source
	var total int64
	for _, name := range executables {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		sources = append(sources, io.NewSectionReader(file, 0, info.Size()))
		total += 5 * info.Size()
	}
	padded := sources
	if room := (size - total) / int64(len(sources)); size > 0 && room > 2*mebibyte {
		padded = nil
		for _, source := range sources {
			padded = append(padded, &paddedSource{Source: source, zeros: room - 2*mebibyte})
		}
	}
	options := pack.Options{Release: benchRelease(5), Commit: benchCommit, ClientMin: benchRelease(1), Debug: debug, Current: sources}
	for minor := range uint8(4) {
		plain := pack.Plain{Release: benchRelease(minor + 1), Commit: benchCommit, ClientMin: benchRelease(1), Executables: sources}
		if minor == 0 {
			plain.Executables = padded
		}
		options.Plain = append(options.Plain, plain)
	}
	built, err := pack.Build(ctx, options)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(b.path(name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := built.Copy(ctx, file); err != nil {
		return err
	}
	return file.Close()
}

var benchCommit = multiversion.Commit{1}

func benchRelease(minor uint8) multiversion.Release { return multiversion.NewRelease(1, minor, 0) }

// paddedSource is an executable with bytes behind it.
type paddedSource struct {
	pack.Source
	zeros int64
}

// Size is the size with the padding.
func (p *paddedSource) Size() int64 { return p.Source.Size() + p.zeros }

// ReadAt reads the executable and then a pattern that is no easier to deflate
// than code is.
func (p *paddedSource) ReadAt(buffer []byte, offset int64) (int, error) {
	count := 0
	if offset < p.Source.Size() {
		read, err := p.Source.ReadAt(buffer[:min(int64(len(buffer)), p.Source.Size()-offset)], offset)
		if err != nil && err != io.EOF {
			return read, err
		}
		count = read
	}
	for ; count < len(buffer) && offset+int64(count) < p.Size(); count++ {
		at := uint64(offset) + uint64(count)
		hash := (at / 3) * 0x9e3779b97f4a7c15
		buffer[count] = byte(hash>>61) * byte(hash>>33)
	}
	if count < len(buffer) {
		return count, io.EOF
	}
	return count, nil
}

// zip writes the archive as upstream's release step does: one entry, deflated
// at the best level; or stored.
func (b *bed) zip(from, to string, method uint16) error {
	source, err := os.Open(b.path(from))
	if err != nil {
		return err
	}
	defer source.Close()
	file, err := os.Create(b.path(to))
	if err != nil {
		return err
	}
	defer file.Close()
	writer := zip.NewWriter(file)
	writer.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	header := &zip.FileHeader{Name: "tigerbeetle", Method: method}
	header.SetMode(0o755)
	entry, err := writer.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := io.Copy(entry, source); err != nil {
		return err
	}
	return writer.Close()
}

// serve starts a server on a free port of the loopback address.
func (b *bed) serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.url = "http://" + listener.Addr().String()
	b.server = &http.Server{Handler: http.FileServer(http.Dir(b.dir)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(listener) }() // ends with close
	return nil
}
