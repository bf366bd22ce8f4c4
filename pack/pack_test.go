package pack_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/pack"
	"github.com/tbctl/tbctl/verify"
)

var platforms = []multiversion.Platform{
	multiversion.PlatformX86_64Linux,
	multiversion.PlatformAArch64Linux,
	multiversion.PlatformX86_64Windows,
	multiversion.PlatformUniversalMacOS,
}

// targets returns GOOS and GOARCH of each executable of a platform.
func targets(platform multiversion.Platform) [][2]string {
	return map[multiversion.Platform][][2]string{
		multiversion.PlatformX86_64Linux:    {{"linux", "amd64"}},
		multiversion.PlatformAArch64Linux:   {{"linux", "arm64"}},
		multiversion.PlatformX86_64Windows:  {{"windows", "amd64"}},
		multiversion.PlatformUniversalMacOS: {{"darwin", "amd64"}, {"darwin", "arm64"}},
	}[platform]
}

func sources(t *testing.T, platform multiversion.Platform, release multiversion.Release) []pack.Source {
	t.Helper()
	var list []pack.Source
	for _, target := range targets(platform) {
		list = append(list, bytes.NewReader(testbin.Executable(t, target[0], target[1], release, 0)))
	}
	return list
}

// build builds, writes, and checks every checksum of the result.
func build(t *testing.T, options pack.Options) *multiversion.Binary {
	t.Helper()
	result, err := pack.Build(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	count, err := result.WriteTo(&written)
	if err != nil || count != result.Size() || int64(written.Len()) != count {
		t.Fatalf("wrote %d of %d bytes: %v", count, result.Size(), err)
	}
	parsed := testbin.Parse(t, written.Bytes())
	for _, image := range parsed.Images {
		all, err := extract.All(parsed, image.Arch())
		if err != nil {
			t.Fatal(err)
		}
		for _, executable := range all {
			if err := executable.Verify(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	return parsed
}

func read(t *testing.T, parsed *multiversion.Binary, arch multiversion.Arch, release multiversion.Release) []byte {
	t.Helper()
	executable, err := extract.Open(parsed, arch, release)
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if _, err := executable.WriteTo(&content); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func options(t *testing.T, platform multiversion.Platform, release string) pack.Options {
	t.Helper()
	current := testbin.Release(release)
	return pack.Options{
		Current:   sources(t, platform, current),
		Release:   current,
		Commit:    testbin.Commit(current),
		ClientMin: testbin.Release("0.15.3"),
	}
}

// TestHistory follows a binary from the epoch on, on every platform.
func TestHistory(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			first := options(t, platform, "0.15.4")
			first.Commit, first.ClientMin = multiversion.Commit{}, 0
			first.Plain = []pack.Plain{pack.Epoch(sources(t, platform, multiversion.ReleaseEpoch)...)}
			past := build(t, first)

			steps := []struct {
				release string
				debug   bool
				want    string
			}{
				{"0.15.5", false, "0.15.3 0.15.4v 0.15.5"},
				{"0.16.0", false, "0.15.3 0.15.4v 0.15.5v 0.16.0"},
				{"0.16.1", false, "0.15.3 0.15.4v 0.15.5v 0.16.0v 0.16.1"},
				{"0.16.2", true, "0.16.1v 0.16.2"},
				{"0.16.2", false, "0.15.4v 0.15.5v 0.16.0v 0.16.1v 0.16.2"},
				{"0.16.3", false, "0.15.5v 0.16.0v 0.16.1v 0.16.2v 0.16.3"},
			}
			for _, step := range steps {
				next := options(t, platform, step.release)
				next.Past, next.Debug = past, step.debug
				parsed := build(t, next)
				for _, image := range parsed.Images {
					if got := describe(&image.Header); got != step.want || image.Header.Current.Debug != step.debug {
						t.Errorf("%s: %s, want %s", image.Arch(), got, step.want)
					}
				}
				if !step.debug {
					past = parsed
				}
			}
			// What is in the last pack is what went in at first, whatever it passed through.
			for _, release := range []string{"0.15.5", "0.16.0", "0.16.1", "0.16.2"} {
				for _, image := range past.Images {
					original := build(t, plainOptions(t, platform, release))
					want := read(t, original, image.Arch(), testbin.Release(release))
					if got := read(t, past, image.Arch(), testbin.Release(release)); !bytes.Equal(got, want) {
						t.Errorf("%s: release %s changed on the way", image.Arch(), release)
					}
				}
			}
		})
	}
}

func plainOptions(t *testing.T, platform multiversion.Platform, release string) pack.Options {
	t.Helper()
	result := options(t, platform, release)
	result.Plain = []pack.Plain{pack.Epoch(sources(t, platform, multiversion.ReleaseEpoch)...)}
	return result
}

func describe(header *multiversion.Header) string {
	var text strings.Builder
	for _, past := range header.Past {
		text.WriteString(past.Release.String())
		if past.Visit {
			text.WriteString("v")
		}
		text.WriteString(" ")
	}
	return text.String() + header.Current.Release.String()
}

// TestFirstRelease proves what a later header says of the release whose own
// header says nothing, against a header of upstream's.
func TestFirstRelease(t *testing.T) {
	t.Parallel()
	platform := multiversion.PlatformX86_64Linux
	first := options(t, platform, "0.15.4")
	first.Commit, first.ClientMin = multiversion.Commit{}, 0
	first.Plain = []pack.Plain{pack.Epoch(sources(t, platform, multiversion.ReleaseEpoch)...)}
	next := options(t, platform, "0.15.5")
	next.Past = build(t, first)
	past := build(t, next).Images[0].Header.Past

	for index, want := range []string{"035c895bf85f5106d94f08cac49719994344880e", "14abaeabd09bd7c78a95b6b990748f3612b3e4cc"} {
		if past[index].Commit.String() != want || past[index].ClientMin != multiversion.ReleaseEpoch {
			t.Errorf("%s: commit %s, client minimum %s, want %s, 0.15.3", past[index].Release, past[index].Commit, past[index].ClientMin, want)
		}
	}
}

func TestPlainExecutablesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		release := testbin.Release("0.15.3")
		parsed := build(t, plainOptions(t, platform, "0.16.1"))
		for _, target := range targets(platform) {
			arch := multiversion.ArchX86_64
			if target[1] == "arm64" {
				arch = multiversion.ArchAArch64
			}
			if got := read(t, parsed, arch, release); !bytes.Equal(got, testbin.Executable(t, target[0], target[1], release, 0)) {
				t.Errorf("%s %s: the past executable changed", platform, arch)
			}
		}
	}
}

// TestUniversalLayout reads the fat header by itself.
func TestUniversalLayout(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	big := binary.BigEndian
	if big.Uint32(data) != 0xcafebabe || big.Uint32(data[4:]) != 6 {
		t.Fatalf("fat header % x", data[:8])
	}
	end := uint32(8 + 6*20)
	kinds := []uint32{0x0100000c, 0x01000007, 1, 2, 4, 5}
	subtypes := []uint32{0, 3, 0, 0, 0, 0}
	for index := range kinds {
		entry := data[8+20*index:]
		offset, size := big.Uint32(entry[8:]), big.Uint32(entry[12:])
		if big.Uint32(entry) != kinds[index] || big.Uint32(entry[4:]) != subtypes[index] || big.Uint32(entry[16:]) != 14 {
			t.Errorf("entry %d: % x", index, entry[:20])
		}
		if want := (end + 1<<14 - 1) >> 14 << 14; offset != want {
			t.Errorf("entry %d at offset %d, want %d", index, offset, want)
		}
		if gap := data[end:offset]; len(bytes.Trim(gap, "\x00")) != 0 {
			t.Errorf("bytes in the gap before entry %d", index)
		}
		end = offset + size
	}
	if int(end) != len(data) {
		t.Errorf("the last entry ends at %d of %d bytes", end, len(data))
	}
	parsed := testbin.Parse(t, data)
	for _, image := range parsed.Images {
		thin := read(t, parsed, image.Arch(), parsed.Current())
		if _, arch, err := multiversion.Identify(bytes.NewReader(thin), int64(len(thin))); err != nil || arch != image.Arch() {
			t.Errorf("the executable for %s is for %s: %v", image.Arch(), arch, err)
		}
		past := read(t, parsed, image.Arch(), testbin.Release("0.17.7"))
		if _, arch, err := multiversion.Identify(bytes.NewReader(past), int64(len(past))); err != nil || arch != image.Arch() {
			t.Errorf("the past executable for %s is for %s: %v", image.Arch(), arch, err)
		}
	}
}

// fat is a universal file of these CPU types, whose executables are in text.
func fat(text string, cpus ...uint32) []byte {
	file := binary.BigEndian.AppendUint32([]byte{0xca, 0xfe, 0xba, 0xbe}, uint32(len(cpus)))
	for _, cpu := range cpus {
		file = append(binary.BigEndian.AppendUint32(file, cpu), make([]byte, 16)...)
	}
	return append(file, text...)
}

// TestUniversalMember packs a past release that is universal itself, as 0.15.3 is.
func TestUniversalMember(t *testing.T) {
	t.Parallel()
	universal := fat("two executables", 0x0100000c, 0x01000007)
	next := options(t, multiversion.PlatformUniversalMacOS, "0.16.1")
	next.Plain = []pack.Plain{pack.Epoch(bytes.NewReader(universal))}
	parsed := build(t, next)
	for _, image := range parsed.Images {
		if got := read(t, parsed, image.Arch(), multiversion.ReleaseEpoch); !bytes.Equal(got, universal) {
			t.Errorf("%s: the universal member changed", image.Arch())
		}
	}
}

// TestUniversalMemberLacks refuses a universal member without one of the two
// architectures, unless the other file has it, and what only begins like one.
func TestUniversalMemberLacks(t *testing.T) {
	t.Parallel()
	const arm64, amd64 = 0x0100000c, 0x01000007
	mac := multiversion.PlatformUniversalMacOS
	thin := sources(t, mac, multiversion.ReleaseEpoch) // x86_64, aarch64
	damaged := testbin.Build(t, testbin.Spec{Platform: mac})
	damaged[7] = 2
	cases := []struct {
		name        string
		executables []pack.Source
		want        error
	}{
		{"one architecture", []pack.Source{bytes.NewReader(fat("one", amd64))}, pack.ReasonPlatform},
		{"one architecture, and the other", []pack.Source{bytes.NewReader(fat("one", amd64)), thin[1]}, nil},
		{"one architecture twice", []pack.Source{bytes.NewReader(fat("one", amd64)), thin[0], thin[1]}, pack.ReasonInput},
		{"both and another", []pack.Source{bytes.NewReader(fat("three", amd64, 7, arm64))}, nil},
		{"none", []pack.Source{bytes.NewReader(fat("", 7, 18))}, pack.ReasonPlatform},
		{"cut short", []pack.Source{bytes.NewReader(fat("", amd64, arm64)[:47])}, pack.ReasonExecutable},
		{"a Java class", []pack.Source{bytes.NewReader(append([]byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52}, make([]byte, 4088)...))}, pack.ReasonExecutable},
		{"a damaged multiversion binary", []pack.Source{bytes.NewReader(damaged)}, pack.ReasonExecutable},
	}
	for _, test := range cases {
		next := options(t, mac, "0.16.1")
		next.Plain = []pack.Plain{pack.Epoch(test.executables...)}
		result, err := pack.Build(t.Context(), next)
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if err != nil {
			continue
		}
		report, err := verify.File(t.Context(), result, result.Size(), verify.Options{})
		if err != nil || !report.Ok {
			t.Errorf("%s: %s, %v", test.name, report.Diagnosis, err)
		}
	}
}

func TestInputThatChangesIsNoticed(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms {
		past := testbin.Executable(t, targets(platform)[0][0], targets(platform)[0][1], multiversion.ReleaseEpoch, 0)
		next := options(t, platform, "0.16.1")
		epoch := pack.Epoch(append(sources(t, platform, multiversion.ReleaseEpoch)[1:], bytes.NewReader(past))...)
		next.Plain = []pack.Plain{epoch}
		result, err := pack.Build(context.Background(), next)
		if err != nil {
			t.Fatal(err)
		}
		past[len(past)/2] ^= 1
		if _, err := result.WriteTo(io.Discard); !errors.Is(err, pack.ReasonChanged) {
			t.Errorf("%s: %v, want %s", platform, err, pack.ReasonChanged)
		}
	}
}

func TestContextEndsBuildAndCopy(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	result, err := pack.Build(ctx, plainOptions(t, multiversion.PlatformX86_64Linux, "0.16.1"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := result.Copy(ctx, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("copy: %v", err)
	}
	if _, err := pack.Build(ctx, plainOptions(t, multiversion.PlatformX86_64Linux, "0.16.1")); !errors.Is(err, context.Canceled) {
		t.Errorf("build: %v", err)
	}
}

func TestResultReadsAtAnyOffset(t *testing.T) {
	t.Parallel()
	result, err := pack.Build(context.Background(), plainOptions(t, multiversion.PlatformUniversalMacOS, "0.16.1"))
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if _, err := result.WriteTo(&written); err != nil {
		t.Fatal(err)
	}
	data := written.Bytes()
	buffer := make([]byte, 40<<10)
	for offset := 0; offset < len(data); offset += 7777 {
		count, err := result.ReadAt(buffer, int64(offset))
		want := data[offset:min(len(data), offset+len(buffer))]
		if !bytes.Equal(buffer[:count], want) || (err != nil) != (len(want) < len(buffer)) {
			t.Fatalf("%d bytes at %d: %v", count, offset, err)
		}
	}
}
