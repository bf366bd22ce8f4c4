package pack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
)

// recipe is upstream's build as it is written down, with llvm-objcopy.
type recipe struct {
	t    *testing.T
	dir  string
	tool string
}

func newRecipe(t *testing.T) recipe {
	t.Helper()
	for _, name := range []string{"llvm-objcopy", "llvm-objcopy-18", "llvm-objcopy-14"} {
		if tool, err := exec.LookPath(name); err == nil {
			return recipe{t, t.TempDir(), tool}
		}
	}
	t.Skip("skipped: upstream's recipe needs llvm-objcopy, which is not installed")
	return recipe{}
}

func (r recipe) path(name string) string { return filepath.Join(r.dir, name) }

func (r recipe) write(name string, data []byte) string {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), data, 0o644); err != nil {
		r.t.Fatal(err)
	}
	return r.path(name)
}

func (r recipe) read(name string) []byte {
	r.t.Helper()
	data, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return data
}

func (r recipe) objcopy(args ...string) {
	r.t.Helper()
	command := exec.Command(r.tool, append([]string{"--enable-deterministic-archives"}, args...)...)
	if output, err := command.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %v\n%s", command.Args, err, output)
	}
}

// build executes the recipe with a body that is made already.
func (r recipe) build(current []byte, body []byte, header multiversion.Header) []byte {
	r.t.Helper()
	const flags = "=contents,noload,readonly"
	r.objcopy(r.write("current", current), r.path("working"))
	header.Current.Checksum = multiversion.ChecksumOf(r.read("working"))
	r.objcopy("--keep-undefined",
		"--add-section", ".tb_mvb="+r.write("body", body), "--set-section-flags", ".tb_mvb"+flags,
		"--add-section", ".tb_mvh="+r.write("header", make([]byte, multiversion.HeaderSize)), "--set-section-flags", ".tb_mvh"+flags,
		r.path("working"))
	header.ChecksumBinary = multiversion.ChecksumOf(r.read("working"))
	raw, err := header.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	r.objcopy("--keep-undefined", "--remove-section", ".tb_mvh",
		"--add-section", ".tb_mvh="+r.write("header", raw[:]), "--set-section-flags", ".tb_mvh"+flags, r.path("working"))
	return r.read("working")
}

// remove takes the current executable out of a multiversion binary.
func (r recipe) remove(data []byte) []byte {
	r.t.Helper()
	r.objcopy("--keep-undefined", "--remove-section", ".tb_mvb", "--remove-section", ".tb_mvh", r.write("past", data), r.path("removed"))
	return r.read("removed")
}

// TestRecipe compares two builds, one upon the other, with upstream's recipe, byte for byte.
func TestRecipe(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		if platform == multiversion.PlatformUniversalMacOS {
			continue // made without llvm-objcopy
		}
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			target := targets(platform)[0]
			testRecipe(t, platform, func(release multiversion.Release) []byte {
				return testbin.Executable(t, target[0], target[1], release, 0)
			})
		})
	}
}

// TestRecipeWithSymbols does the same with an executable that has symbol tables and DWARF.
func TestRecipeWithSymbols(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped: it copies the executable of the test a few times")
	}
	self := testbin.Self(t)
	format, arch, err := multiversion.Identify(bytes.NewReader(self), int64(len(self)))
	if err != nil || format == multiversion.FormatMachO {
		t.Skipf("skipped: the test's own executable is %s %s", format, arch)
	}
	testRecipe(t, multiversion.PlatformOf(format, arch), func(multiversion.Release) []byte { return self })
}

func testRecipe(t *testing.T, platform multiversion.Platform, executable func(release multiversion.Release) []byte) {
	r := newRecipe(t)
	epoch := executable(multiversion.ReleaseEpoch)
	older, newer := executable(testbin.Release("0.16.0")), executable(testbin.Release("0.16.1"))

	first := pack.Options{Release: testbin.Release("0.16.0"), Commit: testbin.Commit(1), ClientMin: testbin.Release("0.15.3")}
	first.Current = []pack.Source{bytes.NewReader(older)}
	first.Plain = []pack.Plain{pack.Epoch(bytes.NewReader(epoch))}
	second := pack.Options{Release: testbin.Release("0.16.1"), Commit: testbin.Commit(2), ClientMin: testbin.Release("0.15.4")}
	second.Current = []pack.Source{bytes.NewReader(newer)}

	epochPast := multiversion.Past{
		Release:   multiversion.ReleaseEpoch,
		Size:      uint32(len(epoch)),
		Checksum:  multiversion.ChecksumOf(epoch),
		Commit:    first.Plain[0].Commit,
		ClientMin: multiversion.ReleaseEpoch,
	}
	header := multiversion.Header{Past: []multiversion.Past{epochPast}}
	header.Current = multiversion.Current{Release: first.Release, Commit: first.Commit, ClientMin: first.ClientMin}
	want := r.build(older, epoch, header)
	got := contents(t, build(t, first))
	compare(t, string(platform)+", from the epoch", got, want)

	removed := r.remove(want)
	olderPast := multiversion.Past{
		Release:   first.Release,
		Visit:     true,
		Offset:    uint32(len(epoch)),
		Size:      uint32(len(removed)),
		Checksum:  multiversion.ChecksumOf(removed),
		Commit:    first.Commit,
		ClientMin: first.ClientMin,
	}
	header = multiversion.Header{Past: []multiversion.Past{epochPast, olderPast}}
	header.Current = multiversion.Current{Release: second.Release, Commit: second.Commit, ClientMin: second.ClientMin}
	want = r.build(newer, slices.Concat(epoch, removed), header)
	second.Past = testbin.Load(t, got)
	compare(t, string(platform)+", from the past", contents(t, build(t, second)), want)
}

func contents(t *testing.T, parsed *multiversion.Binary) []byte {
	t.Helper()
	data := make([]byte, parsed.Size)
	if _, err := parsed.Reader().ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return data
}

func compare(t *testing.T, name string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d bytes, upstream's recipe makes %d, the first difference is at %d", name, len(got), len(want), at)
}
