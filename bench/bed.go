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
	"strconv"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/release"
)

// bed holds the programs and files that the targets are measured on.
type bed struct {
	dir    string
	self   string // this program
	tbctl  string
	server *http.Server
	url    string
	hashes [2]float64 // GB/s of SHA-256, and without the instructions for it
}

const (
	mebibyte = 1 << 20

	// sizeRelease is that of a release for Linux, sizeLargest is just below the size at which a
	// replica crashes, and sizeDebug can only be a debug build for macOS.
	sizeRelease = 36_800_000
	sizeLargest = 64*mebibyte - 4096
	sizeDebug   = 250 * mebibyte
)

// newBed makes an empty one. Its server is up.
func newBed() (*bed, error) {
	dir, err := os.MkdirTemp("", "tbctl-bench-")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &bed{dir: dir, self: self, tbctl: filepath.Join(dir, "tbctl")}
	if err := b.serve(); err != nil {
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

// fill makes everything that the table needs.
func (b *bed) fill(ctx context.Context) error {
	if err := goBuild(ctx, b.tbctl, runtime.GOOS, runtime.GOARCH, "./cmd/tbctl"); err != nil {
		return err
	}
	if err := b.programs(ctx); err != nil {
		return err
	}
	for _, each := range []fixture{
		{"small", forHost, 0, 5},
		{"older", forHost, sizeRelease * 4 / 5, 4},
		{"release", forHost, sizeRelease, 5},
		{"largest", forHost, sizeLargest, 5},
		{"few", forMacOS, 0, 5},
		{"large", forMacOS, sizeDebug, 5},
	} {
		if err := b.binary(ctx, each); err != nil {
			return err
		}
	}
	if err := b.zip("largest", "stored.zip", zip.Store); err != nil {
		return err
	}
	if err := b.zip("release", "release.zip", zip.Deflate); err != nil {
		return err
	}
	if err := b.zip("largest", "largest.zip", zip.Deflate); err != nil {
		return err
	}
	return b.mirror()
}

// fixture is a multiversion binary of that many releases and about that size, or as small as it
// can be for 0.
type fixture struct {
	name     string
	hosts    [][2]string
	size     int64
	releases uint8
}

var (
	forHost  = [][2]string{{runtime.GOOS, runtime.GOARCH}}
	forMacOS = [][2]string{{"darwin", "arm64"}, {"darwin", "amd64"}}
)

// mirror puts the release where a mirror has it.
func (b *bed) mirror() error {
	platform, err := release.HostPlatform()
	if err != nil {
		return err
	}
	dir := b.path(benchRelease(5).String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Link(b.path("release.zip"), filepath.Join(dir, "tigerbeetle-"+string(platform)+".zip"))
}

// programs makes the small ones that are no fixtures: what prints a line, what does with all
// that tbctl imports of others, and the C loop.
func (b *bed) programs(ctx context.Context) error {
	for name, imports := range map[string][]string{
		"hello": nil,
		"linked": {
			"aead.dev/minisign", "github.com/pelletier/go-toml/v2", "github.com/alecthomas/kong", "github.com/cenkalti/backoff/v5",
			"github.com/charmbracelet/lipgloss", "github.com/fsnotify/fsnotify", "github.com/klauspost/compress/flate",
			"github.com/klauspost/compress/zstd", "github.com/schollz/progressbar/v3", "html/template", "net/http", "os/exec", "os/signal",
		},
	} {
		source := "package main\n\nimport \"fmt\"\n"
		for _, path := range imports {
			source += "import _ \"" + path + "\"\n"
		}
		source += "\nfunc main() { fmt.Println(\"hello\") }\n"
		if err := os.WriteFile(b.path(name+".go"), []byte(source), 0o644); err != nil {
			return err
		}
		if err := goBuild(ctx, b.path(name), runtime.GOOS, runtime.GOARCH, b.path(name+".go")); err != nil {
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
	command := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", output, what)
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

// program builds a program for a host that has size bytes more than a small one.
func (b *bed) program(ctx context.Context, host [2]string, size int64) (string, error) {
	dir := b.path(fmt.Sprintf("program-%d-%s-%s", size, host[0], host[1]))
	output := filepath.Join(dir, "program")
	if exists(output) {
		return output, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	code, err := os.ReadFile(b.tbctl)
	if err != nil {
		return "", err
	}
	source := "package main\n\nimport (\n\t_ \"embed\"\n\t\"os\"\n)\n\n//go:embed code\nvar code string\n\nfunc main() { os.Exit(len(code) & 1) }\n"
	if err := os.WriteFile(filepath.Join(dir, "code"), codeLike(code, size), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
		return "", err
	}
	return output, goBuild(ctx, output, host[0], host[1], filepath.Join(dir, "main.go"))
}

// binary makes a multiversion binary.
func (b *bed) binary(ctx context.Context, made fixture) error {
	var small int64
	for _, host := range made.hosts {
		program, err := b.program(ctx, host, 0)
		if err != nil {
			return err
		}
		info, err := os.Stat(program)
		if err != nil {
			return err
		}
		small += info.Size() + sizeAround
	}
	var each int64
	if made.size > 0 {
		each = max(0, (made.size/int64(made.releases)-small)/int64(len(made.hosts)))
	}
	var executables []pack.Source
	for _, host := range made.hosts {
		program, err := b.program(ctx, host, each)
		if err != nil {
			return err
		}
		file, err := os.Open(program)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		executables = append(executables, io.NewSectionReader(file, 0, info.Size()))
	}
	return b.pack(ctx, made, executables)
}

// sizeAround is more than what an executable, and what is around it in a pack, is rounded up by.
const sizeAround = 64 << 10

// pack writes a binary whose releases all have the same executables.
func (b *bed) pack(ctx context.Context, made fixture, executables []pack.Source) error {
	options := pack.Options{
		Release: benchRelease(made.releases), Commit: benchCommit, ClientMin: benchRelease(1), Debug: made.size == sizeDebug, Current: executables,
	}
	if made.name == "release" && exists(b.path("older")) { // as upstream makes one from the one before
		past, err := multiversion.Open(b.path("older"))
		if err != nil {
			return err
		}
		defer past.Close()
		options.Past = past.Binary
	}
	for minor := uint8(1); minor < made.releases && options.Past == nil; minor++ {
		options.Plain = append(options.Plain, pack.Plain{Release: benchRelease(minor), Commit: benchCommit, ClientMin: benchRelease(1), Executables: executables})
	}
	built, err := pack.Build(ctx, options)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(b.path(made.name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := built.Copy(ctx, file); err != nil {
		return err
	}
	return file.Close()
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

var benchCommit = multiversion.Commit{1}

func benchRelease(minor uint8) multiversion.Release { return multiversion.NewRelease(1, minor, 0) }

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
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(b.dir)))
	mux.HandleFunc("/"+lineName+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		w.Header().Set("ETag", strconv.Quote(name)) // the fixtures do not change
		http.ServeFileFS(line{w}, r, os.DirFS(b.dir), name)
	})
	b.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(listener) }() // ends with close
	return nil
}

// lineName is the path of what comes over a line of lineSpeed bytes a second.
const (
	lineName  = "line"
	lineSpeed = 100e6 / 8
)

// line is an answer that takes the time of a line.
type line struct{ http.ResponseWriter }

func (l line) Write(data []byte) (int, error) {
	count, err := l.ResponseWriter.Write(data)
	time.Sleep(time.Duration(float64(count) / lineSpeed * float64(time.Second)))
	return count, err
}
