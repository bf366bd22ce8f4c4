// Package demo makes what a demonstration of tbctl takes, and says which commands it consists of: a few
// multiversion binaries that are made of the program itself, in a temporary directory, and an
// HTTP server on this host that has them.
package demo

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
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// Place is the temporary directory of a demonstration: a server's root with
// RELEASE/ASSET below it, and the target.
type Place struct {
	Dir            string
	URL            string // of the server
	Binaries       int    // how many were made
	ExecutableSize int64  // of the program that they are made of, in bytes

	asset   string
	target  string
	server  *http.Server
	digests map[string]string
}

// Step is one command line of the demonstration, and the exit code that it must have. The
// first argument is tbctl, which stands for this program, or the installed binary.
type Step struct {
	Say  string
	Args []string
	Want int
}

// The exit codes of tbctl's that the steps have.
const (
	done     = 0
	rejected = 3
	refused  = 4
)

// New makes the binaries: 1.1.0 plain, 1.2.0 with it, 1.3.0 with both,
// 9.0.0 that has nothing in common with them, and a truncated archive.
func New(ctx context.Context) (*Place, error) {
	platform, err := release.HostPlatform()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tbctl-demo-")
	if err != nil {
		return nil, err
	}
	place := &Place{
		Dir: dir, asset: release.AssetName(platform, false), target: filepath.Join(dir, "bin", "tigerbeetle"),
		digests: make(map[string]string),
	}
	if err := place.fill(ctx); err != nil {
		place.Close(false)
		return nil, err
	}
	if err := place.serve(); err != nil {
		place.Close(false)
		return nil, err
	}
	return place, nil
}

// Close stops the server and removes the directory, unless it is to be kept.
func (p *Place) Close(keep bool) {
	if p.server != nil {
		_ = p.server.Close()
	}
	if !keep {
		_ = os.RemoveAll(p.Dir)
	}
}

func (p *Place) fill(ctx context.Context) error {
	for _, name := range []string{"bin", "1.2.0", "1.3.0", "9.0.0", "truncated"} {
		if err := durable.MkdirAll(vfs.OS(), p.path(name), 0o755); err != nil {
			return err
		}
	}
	self, err := ownExecutable()
	if err != nil {
		return err
	}
	p.ExecutableSize = int64(len(self))
	current := executablesOf(self)
	second, err := build(ctx, pack.Options{Release: minorRelease(2), Plain: plainOf(current, minorRelease(1)), Current: current})
	if err != nil {
		return err
	}
	third, err := build(ctx, pack.Options{Release: minorRelease(3), Past: second.Binary(), Current: current})
	if err != nil {
		return err
	}
	stranger, err := build(ctx, pack.Options{
		Release: multiversion.NewRelease(9, 0, 0), Plain: plainOf(current, multiversion.NewRelease(8, 0, 0)), Current: current,
	})
	if err != nil {
		return err
	}
	for name, built := range map[string]*pack.Result{"1.2.0": second, "1.3.0": third, "9.0.0": stranger} {
		if err := p.write(ctx, name, built); err != nil {
			return err
		}
		p.Binaries++
	}
	return p.truncate("1.3.0", "truncated")
}

// minorRelease is release 1.MINOR.0.
func minorRelease(minor uint8) multiversion.Release { return multiversion.NewRelease(1, minor, 0) }

func plainOf(executables []pack.Source, release multiversion.Release) []pack.Plain {
	return []pack.Plain{{Release: release, Commit: commitOf(release), ClientMin: release, Executables: executables}}
}

func build(ctx context.Context, options pack.Options) (*pack.Result, error) {
	options.Commit, options.ClientMin = commitOf(options.Release), options.Release
	return pack.Build(ctx, options)
}

func commitOf(release multiversion.Release) multiversion.Commit {
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

// executablesOf are the executables of one release. A binary for macOS has
// two; there the other one is this one under the other processor's name, and
// never runs.
func executablesOf(self []byte) []pack.Source {
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

// write makes RELEASE/ASSET: a zip with the one executable, of deflate's stored blocks: to compress and
// inflate it would take most of the demonstration's time.
func (p *Place) write(ctx context.Context, release string, built *pack.Result) error {
	sum := sha256.New()
	err := durable.WriteFile(vfs.OS(), p.path(release, p.asset), 0o644, false, func(w io.Writer) error {
		archive := zip.NewWriter(io.MultiWriter(w, sum))
		archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.NoCompression) })
		header := &zip.FileHeader{Name: entryName(), Method: zip.Deflate, Modified: time.Unix(0, 0).UTC()}
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

func entryName() string {
	if runtime.GOOS == "windows" {
		return "tigerbeetle.exe"
	}
	return "tigerbeetle"
}

// truncate copies the first two thirds of a release.
func (p *Place) truncate(from, to string) error {
	whole, err := os.ReadFile(p.path(from, p.asset))
	if err != nil {
		return err
	}
	return durable.WriteFile(vfs.OS(), p.path(to, p.asset), 0o644, false, func(w io.Writer) error {
		_, err := w.Write(whole[:len(whole)*2/3])
		return err
	})
}

// Steps are the demonstration.
func (p *Place) Steps() []Step {
	asset := func(release string) string { return p.URL + "/" + release + "/" + p.asset }
	steps := []Step{
		{"What is in a release? This reads only its headers.", []string{"tbctl", "inspect", p.path("1.3.0", p.asset), "--running", "1.1.0"}, done},
		{"Is it whole? Every byte is checked.", []string{"tbctl", "verify", p.path("1.3.0", p.asset)}, done},
	}
	if runtime.GOOS == "windows" {
		return steps
	}
	return append(steps, []Step{
		{"Install a release from a server.", []string{"tbctl", "install", asset("1.2.0"), p.target}, done},
		{"It is an executable like any other.", []string{p.target, "version"}, done},
		{"What would the upgrade do? Nothing changes yet.", []string{"tbctl", "install", asset("1.3.0"), p.target, "--dry-run"}, done},
		{"Upgrade: one atomic step, and the old binary is kept.", []string{"tbctl", "install", asset("1.3.0"), p.target, "--sha256", p.digests["1.3.0"]}, done},
		{"Again: the same bytes are there, so nothing is touched.", []string{"tbctl", "install", asset("1.3.0"), p.target}, done},
		{"A download that was cut short is refused, and the installed binary is left alone.", []string{"tbctl", "install", asset("truncated"), p.target}, rejected},
		{"So is a good binary that has no release in common with the installed one.", []string{"tbctl", "install", asset("9.0.0"), p.target}, refused},
		{"Is the installed binary whole? The answer alone.", []string{"tbctl", "verify", p.target, "--quiet"}, done},
		{"Back to the previous one. No replica runs from it here.", []string{"tbctl", "rollback", p.target, "--stopped", "--running", "1.2.0"}, done},
		{"What happened on this host?", []string{"tbctl", "history", p.target}, done},
	}...)
}

// Shorten shows a command line with the temporary directory as $DEMO.
func (p *Place) Shorten(args []string) string {
	return strings.ReplaceAll(strings.Join(args, " "), p.Dir, "$DEMO")
}

func (p *Place) path(parts ...string) string {
	return filepath.Join(append([]string{p.Dir}, parts...)...)
}

// Flags keep a step of tbctl's inside the directory.
func (p *Place) Flags(command string) []string {
	flags := []string{"--state-dir", p.path("state")}
	if command == "install" {
		flags = append(flags, "--cache-dir", p.path("cache"))
	}
	return flags
}

// Getenv hides the operator's own configuration from the steps.
func (p *Place) Getenv(getenv func(string) string) func(string) string {
	return func(name string) string {
		switch name {
		case "TBCTL_CONFIG":
			return os.DevNull
		case "XDG_CACHE_HOME", "XDG_STATE_HOME":
			return p.path("cache")
		}
		return getenv(name)
	}
}

// serve starts the server on a free port of the loopback address.
func (p *Place) serve() error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.server = &http.Server{Handler: http.FileServerFS(os.DirFS(p.Dir)), ReadHeaderTimeout: 10 * time.Second}
	p.URL = "http://" + listener.Addr().String()
	go func() { _ = p.server.Serve(listener) }() // ends with close
	return nil
}
