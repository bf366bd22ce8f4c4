package testbin_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

var platforms = []multiversion.Platform{
	multiversion.PlatformX86_64Linux,
	multiversion.PlatformAArch64Linux,
	multiversion.PlatformX86_64Windows,
	multiversion.PlatformUniversalMacOS,
}

func TestBuildOnEveryPlatform(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			spec := testbin.Spec{Platform: platform, Current: testbin.Release("0.17.9"), Past: testbin.PastOf("0.16.1", "0.17.7v")}
			parsed := testbin.Parse(t, testbin.Build(t, spec))
			if parsed.Platform() != platform || parsed.Current() != spec.Current {
				t.Errorf("built %s of %s, want %s of %s", parsed.Current(), parsed.Platform(), spec.Current, platform)
			}
			for _, image := range parsed.Images {
				past := image.Header.Past
				if len(past) != 2 || past[0].Visit || !past[1].Visit || past[1].Release != testbin.Release("0.17.7") {
					t.Errorf("%s: past releases %+v", image.Arch(), past)
				}
			}
		})
	}
}

func TestSizeIsReached(t *testing.T) {
	t.Parallel()
	const size = 9<<20 + 1
	align := map[multiversion.Format]int64{multiversion.FormatELF: 8, multiversion.FormatPE: 512, multiversion.FormatMachO: 1 << 14}
	for _, platform := range platforms {
		data := testbin.Build(t, testbin.Spec{Platform: platform, Size: size, Compressible: true})
		over := int64(len(data)) - size
		if parsed := testbin.Parse(t, data); over < 0 || over >= align[parsed.Format] {
			t.Errorf("%s: %d bytes more than asked for", platform, over)
		}
	}
}

func TestSizeOverTheLimit(t *testing.T) {
	t.Parallel()
	limit := multiversion.SizeLimit(multiversion.FormatELF, false)
	data := testbin.Build(t, testbin.Spec{Size: limit, Compressible: true})
	if parsed := testbin.Parse(t, data); parsed.Size != limit || parsed.Images[0].Header.Current.Debug {
		t.Errorf("built %d bytes, debug %v, want %d and no debug flag", parsed.Size, parsed.Images[0].Header.Current.Debug, limit)
	}
}

func TestSeedsMakeOtherFilesOfTheSameReleases(t *testing.T) {
	t.Parallel()
	one, again, two := testbin.Build(t, testbin.Spec{Seed: 1}), testbin.Build(t, testbin.Spec{Seed: 1}), testbin.Build(t, testbin.Spec{Seed: 2})
	if !bytes.Equal(one, again) {
		t.Error("the same seed made two files")
	}
	if bytes.Equal(one, two) || testbin.Parse(t, one).Current() != testbin.Parse(t, two).Current() {
		t.Error("another seed did not make another file of the same release")
	}
}

func TestBuiltFileRuns(t *testing.T) {
	t.Parallel()
	platform := multiversion.ThisPlatform()
	if platform == "" || platform == multiversion.PlatformUniversalMacOS {
		t.Skipf("skipped: a stamped executable does not run on %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	path := testbin.BuildFile(t, testbin.Spec{Platform: platform, Seed: 7}, t.TempDir())
	output, err := exec.Command(path, "version").Output()
	if err != nil || string(output) != "testbin version 0.17.8 7\n" {
		t.Errorf("it printed %q: %v", output, err)
	}
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o755 || filepath.Base(path) != "tigerbeetle" {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	var exit *exec.ExitError
	if err := exec.Command(path, "exit", "42").Run(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("exit code: %v", err)
	}
}

func TestAArch64FileRuns(t *testing.T) {
	t.Parallel()
	if !testbin.Full() {
		t.Skip("skipped: what is for another host runs only if the tests take their time: TORTURE=full")
	}
	qemu, err := exec.LookPath("qemu-aarch64")
	if err != nil {
		t.Skipf("skipped: running a file for aarch64 needs qemu-aarch64: %v", err)
	}
	path := testbin.BuildFile(t, testbin.Spec{Platform: multiversion.PlatformAArch64Linux}, t.TempDir())
	if output, err := exec.Command(qemu, path).Output(); err != nil || string(output) != "testbin version 0.17.8 0\n" {
		t.Errorf("it printed %q: %v", output, err)
	}
}

func TestMutateBreaksOneRule(t *testing.T) {
	t.Parallel()
	little := binary.LittleEndian
	cases := []struct {
		rule   multiversion.Rule
		change func(header []byte)
	}{
		{multiversion.RuleSchema, func(h []byte) { little.PutUint32(h[testbin.OffsetSchemaVersion:], 2) }},
		{multiversion.RuleReleasesMax, func(h []byte) { h[testbin.OffsetReleasesMax]++ }},
		{multiversion.RuleCurrentVisit, func(h []byte) { h[testbin.OffsetCurrentFlags] = 0 }},
		{multiversion.RulePastNewest, func(h []byte) { little.PutUint32(h[testbin.OffsetCurrentRelease:], uint32(testbin.Release("0.17.7"))) }},
		{multiversion.RulePastSum, func(h []byte) { h[testbin.OffsetPastOffsets+4]++ }},
		{multiversion.RulePastCommit, func(h []byte) { clear(h[testbin.OffsetPastCommits:][:20]) }},
	}
	for _, platform := range platforms {
		good := testbin.Build(t, testbin.Spec{Platform: platform})
		for _, test := range cases {
			bad := testbin.Mutate(t, good, test.change)
			_, err := multiversion.Parse(bytes.NewReader(bad), int64(len(bad)))
			if !errors.Is(err, test.rule) {
				t.Errorf("%s: %v, want %s", platform, err, test.rule)
			}
		}
		testbin.Parse(t, testbin.Append(t, good, []byte("tail")))
		testbin.Parse(t, testbin.Mutate(t, good, func(h []byte) { h[testbin.OffsetReserved] = 1 }))
	}
}

func TestZip(t *testing.T) {
	t.Parallel()
	data := []byte(strings.Repeat("tigerbeetle", 1000))
	for _, test := range []struct {
		name    string
		options testbin.ZipOptions
		method  uint16
	}{
		{"release step", testbin.ZipOptions{}, zip.Deflate},
		{"stored", testbin.ZipOptions{Store: true}, zip.Store},
		{"descriptor", testbin.ZipOptions{Descriptor: true, Mode: 0o644}, zip.Deflate},
	} {
		archive := testbin.Zip(t, "tigerbeetle", data, test.options)
		reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		if err != nil {
			t.Fatal(err)
		}
		entry := reader.File[0]
		content, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(content)
		if err != nil || !bytes.Equal(got, data) || entry.Method != test.method || len(entry.Extra) != 0 {
			t.Errorf("%s: %d bytes, method %d, %d extra bytes: %v", test.name, len(got), entry.Method, len(entry.Extra), err)
		}
		want := max(test.options.Mode, 0o644)
		if want == 0o644 && !test.options.Descriptor {
			want = 0o755
		}
		if entry.Mode() != want {
			t.Errorf("%s: mode %v, want %v", test.name, entry.Mode(), want)
		}
		local := archive[:30] // sizes and CRC-32 in the local header
		if known := binary.LittleEndian.Uint32(local[22:]) == uint32(len(data)); known == test.options.Descriptor {
			t.Errorf("%s: size in the local header: %v", test.name, known)
		}
		if extra := binary.LittleEndian.Uint16(local[28:]); extra != 0 {
			t.Errorf("%s: %d extra bytes in the local header", test.name, extra)
		}
	}
}
