package testbin

import (
	"bytes"
	"context"
	"crypto/sha1"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// Spec says what to build. The zero value is a binary for x86_64-linux of
// release 0.17.8 with the past releases 0.17.6 and 0.17.7.
type Spec struct {
	Platform multiversion.Platform

	// Current is the current release; zero stands for 0.17.8.
	Current   multiversion.Release
	ClientMin multiversion.Release // zero: see [ClientMin]
	Debug     bool

	// Past lists the past releases, oldest first. Nil stands for 0.17.6 and 0.17.7.
	Past []Past

	// From is a past multiversion binary to build upon, as upstream does,
	// instead of Past.
	From []byte

	// Executable replaces the program as the current executable, for Linux
	// and Windows.
	Executable []byte

	// Size is the least size in bytes of the result: bytes are added to the
	// oldest of Past until it is reached. Alignment may add some more: less than
	// 8 bytes for ELF, 512 for PE and 16 KiB for Mach-O. A size at or over the limit,
	// which pack alone would refuse, is fine up to the debug build's limit.
	Size int64

	// Compressible makes the added bytes zeros; otherwise they are random.
	Compressible bool

	// Seed tells files apart that have the same releases: it is stamped into
	// each executable and seeds the random bytes.
	Seed uint64
}

// Past is one past release of a Spec.
type Past struct {
	Release   multiversion.Release
	Visit     bool
	Debug     bool
	ClientMin multiversion.Release // zero: see [ClientMin]

	// Executable replaces the program. For macOS it is a universal file.
	Executable []byte
}

// Release parses MAJOR.MINOR.PATCH. It panics on anything else.
func Release(text string) multiversion.Release {
	release, err := multiversion.ParseRelease(text)
	if err != nil {
		panic(err)
	}
	return release
}

// PastOf makes past releases of texts such as "0.17.6"; a v behind one marks
// it to be visited: "0.17.7v".
func PastOf(texts ...string) []Past {
	past := []Past{}
	for _, text := range texts {
		release, visit := strings.CutSuffix(text, "v")
		past = append(past, Past{Release: Release(release), Visit: visit})
	}
	return past
}

// Commit returns the git commit that Build gives a release.
func Commit(release multiversion.Release) multiversion.Commit {
	return multiversion.Commit(sha1.Sum([]byte(release.String())))
}

// ClientMin returns the client minimum that Build gives a release: 0.15.3, or
// the release itself if it is older.
func ClientMin(release multiversion.Release) multiversion.Release {
	return min(release, multiversion.ReleaseEpoch)
}

// Name returns the file name of a platform's executable in upstream's archives.
func Name(platform multiversion.Platform) string {
	if strings.HasSuffix(string(platform), "-windows") {
		return "tigerbeetle.exe"
	}
	return "tigerbeetle"
}

// BuildFile builds into dir, under the name that the platform's archives use and with
// mode 0755, and returns the path.
func BuildFile(tb testing.TB, spec Spec, dir string) string {
	tb.Helper()
	data := Build(tb, spec)
	path := filepath.Join(dir, Name(spec.Platform))
	WriteFile(tb, path, data)
	return path
}

// WriteFile writes an executable file with mode 0755, whatever the umask is,
// that can be run at once: no child that another test starts meanwhile holds it
// open for writing ("text file busy").
func WriteFile(tb testing.TB, path string, data []byte) {
	tb.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, data, 0o755)
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Build returns a multiversion binary that multiversion.Parse accepts and of which every
// checksum is right. It fails the test if there can be none.
func Build(tb testing.TB, spec Spec) []byte {
	tb.Helper()
	spec = spec.withDefaults()
	options := spec.options(tb)
	lift := spec.Size >= multiversion.SizeLimit(spec.format(), spec.Debug)
	options.Debug = spec.Debug || lift
	result := arrange(tb, options)
	if spec.Size > 0 && spec.Size < result.Size() {
		tb.Fatalf("build a fixture: size %d is less than the %d bytes of the least one", spec.Size, result.Size())
	}
	if spec.Size > 0 && spec.From != nil {
		tb.Fatal("build a fixture: Size goes with Past, not with From")
	}
	for spec.Size > result.Size() { // twice where alignment swallowed some of it
		spec.pad(options, spec.Size-result.Size())
		result = arrange(tb, options)
	}
	data := bytes.NewBuffer(make([]byte, 0, result.Size()))
	if _, err := result.WriteTo(data); err != nil {
		tb.Fatalf("build a fixture: %v", err)
	}
	if lift && !spec.Debug {
		return Mutate(tb, data.Bytes(), func(header []byte) { header[OffsetCurrentFlags] &^= FlagDebug })
	}
	return data.Bytes()
}

func arrange(tb testing.TB, options *pack.Options) *pack.Result {
	tb.Helper()
	result, err := pack.Build(context.Background(), *options)
	if err != nil {
		tb.Fatalf("build a fixture: %v", err)
	}
	return result
}

func (s Spec) withDefaults() Spec {
	if s.Platform == "" {
		s.Platform = multiversion.PlatformX86_64Linux
	}
	if s.Current == 0 {
		s.Current = Release("0.17.8")
	}
	if s.Past == nil {
		s.Past = PastOf("0.17.6", "0.17.7")
	}
	if s.ClientMin == 0 {
		s.ClientMin = ClientMin(s.Current)
	}
	return s
}

func (s Spec) format() multiversion.Format {
	switch _, os, _ := strings.Cut(string(s.Platform), "-"); os {
	case "linux":
		return multiversion.FormatELF
	case "windows":
		return multiversion.FormatPE
	}
	return multiversion.FormatMachO
}

// targets returns the GOOS and GOARCH of each executable of a platform.
func (s Spec) targets(tb testing.TB) [][2]string {
	tb.Helper()
	targets := map[multiversion.Platform][][2]string{
		multiversion.PlatformX86_64Linux:    {{"linux", "amd64"}},
		multiversion.PlatformAArch64Linux:   {{"linux", "arm64"}},
		multiversion.PlatformX86_64Windows:  {{"windows", "amd64"}},
		multiversion.PlatformAArch64Windows: {{"windows", "arm64"}},
		multiversion.PlatformUniversalMacOS: {{"darwin", "arm64"}, {"darwin", "amd64"}},
	}[s.Platform]
	if targets == nil {
		tb.Fatalf("build a fixture: platform %q", s.Platform)
	}
	return targets
}

func (s Spec) options(tb testing.TB) *pack.Options {
	tb.Helper()
	options := &pack.Options{Release: s.Current}
	if s.Current > multiversion.ReleaseFirst {
		options.Commit, options.ClientMin = Commit(s.Current), s.ClientMin
	}
	options.Current = s.executables(tb, s.Current, s.Executable)
	if s.From != nil {
		options.Past = Load(tb, s.From)
		return options
	}
	for _, past := range s.Past {
		plain := pack.Plain{Release: past.Release, Visit: past.Visit, Debug: past.Debug, ClientMin: past.ClientMin, Commit: Commit(past.Release)}
		if plain.ClientMin == 0 {
			plain.ClientMin = ClientMin(past.Release)
		}
		plain.Executables = s.executables(tb, past.Release, past.Executable)
		options.Plain = append(options.Plain, plain)
	}
	return options
}

// executables returns the one that is given, or else the program for every
// target of the platform.
func (s Spec) executables(tb testing.TB, release multiversion.Release, given []byte) []pack.Source {
	tb.Helper()
	if given != nil {
		return []pack.Source{bytes.NewReader(given)}
	}
	var sources []pack.Source
	for _, target := range s.targets(tb) {
		sources = append(sources, bytes.NewReader(Executable(tb, target[0], target[1], release, s.Seed)))
	}
	return sources
}

// pad adds bytes to the last executable of the oldest past release: what
// stands behind the end of an executable changes nothing for its loader.
func (s Spec) pad(options *pack.Options, count int64) {
	executables := options.Plain[0].Executables
	last := executables[len(executables)-1]
	padded := make([]byte, last.Size()+count)
	if !s.Compressible {
		var seed [32]byte
		seed[0], seed[1] = byte(s.Seed), byte(s.Seed>>8)
		rand.NewChaCha8(seed).Read(padded[last.Size():])
	}
	last.ReadAt(padded[:last.Size()], 0)
	executables[len(executables)-1] = bytes.NewReader(padded)
}
