package extract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/internal/current"
	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// targets has GOOS and GOARCH for each platform and architecture.
var targets = []struct {
	platform     multiversion.Platform
	arch         multiversion.Arch
	goos, goarch string
}{
	{multiversion.PlatformX86_64Linux, "", "linux", "amd64"},
	{multiversion.PlatformX86_64Linux, multiversion.ArchX86_64, "linux", "amd64"},
	{multiversion.PlatformAArch64Linux, "", "linux", "arm64"},
	{multiversion.PlatformX86_64Windows, "", "windows", "amd64"},
	{multiversion.PlatformUniversalMacOS, multiversion.ArchAArch64, "darwin", "arm64"},
	{multiversion.PlatformUniversalMacOS, multiversion.ArchX86_64, "darwin", "amd64"},
}

func TestEveryReleaseComesOutAsItWentIn(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		t.Run(string(target.platform)+" "+string(target.arch), func(t *testing.T) {
			t.Parallel()
			parsed := testbin.Load(t, testbin.Build(t, testbin.Spec{Platform: target.platform, Past: testbin.PastOf("0.16.1", "0.17.6v", "0.17.7")}))
			all, err := extract.All(parsed, target.arch)
			if err != nil {
				t.Fatal(err)
			}
			var releases []multiversion.Release
			for _, executable := range all {
				releases = append(releases, executable.Release)
				want := testbin.Executable(t, target.goos, target.goarch, executable.Release, 0)
				if executable.Current && parsed.Format != multiversion.FormatMachO {
					want = normalize(t, want)
				}
				var got bytes.Buffer
				count, err := executable.Copy(context.Background(), &got)
				if err != nil || count != executable.Size || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s: %d of %d bytes, the same: %v: %v", executable.Release, count, executable.Size, bytes.Equal(got.Bytes(), want), err)
				}
				one, err := extract.Open(parsed, target.arch, executable.Release)
				if err != nil || one.Checksum != executable.Checksum || one.Visit != executable.Visit || one.Current != executable.Current {
					t.Errorf("Open says %+v, All %+v: %v", one, executable, err)
				}
			}
			if want := parsed.Images[0].Header.Releases(); !slices.Equal(releases, want) {
				t.Errorf("releases %v, want %v", releases, want)
			}
			if all[0].Visit || !all[1].Visit || !all[3].Visit || !all[3].Current || all[0].Current {
				t.Errorf("flags of %+v", all)
			}
		})
	}
}

func normalize(t *testing.T, data []byte) []byte {
	t.Helper()
	image, err := objcopy.Normalize(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := image.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	linux := testbin.Load(t, testbin.Build(t, testbin.Spec{}))
	mac := testbin.Load(t, testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS}))

	_, err := extract.Open(linux, "", testbin.Release("0.17.5"))
	missing, ok := errors.AsType[*extract.NotIncludedError](err)
	if !ok || !errors.Is(err, extract.ErrNotIncluded) || missing.Release != testbin.Release("0.17.5") || len(missing.Included) != 3 {
		t.Errorf("a release that is not there: %v", err)
	}
	if text, err := json.Marshal(missing); err != nil || string(text) != `{"release":"0.17.5","included":["0.17.6","0.17.7","0.17.8"]}` {
		t.Errorf("%s: %v", text, err)
	}
	if _, err := extract.Open(linux, multiversion.ArchAArch64, linux.Current()); !errors.Is(err, extract.ErrArch) {
		t.Errorf("another architecture: %v", err)
	}
	if _, err := extract.Open(mac, "", mac.Current()); !errors.Is(err, extract.ErrArch) {
		t.Errorf("no architecture of a universal binary: %v", err)
	}
	all, err := extract.All(mac, "")
	var archs []multiversion.Arch
	for _, each := range all {
		archs = append(archs, each.Arch)
	}
	if each := len(mac.Images[0].Header.Releases()); err != nil || len(all) != 2*each || len(slices.Compact(archs)) != 2 {
		t.Errorf("every architecture of a universal binary: %d of %d, %v", len(all), 2*each, err)
	}
}

func TestUniversalWithoutExecutables(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	for name, change := range map[string]func(data []byte){
		"another type":     func(data []byte) { data[8+3] = 0x12 },
		"past the end":     func(data []byte) { data[8+12] = 0x7f },
		"nothing in there": func(data []byte) { clear(data[8+12 : 8+16]) },
	} {
		bad := bytes.Clone(data)
		change(bad)
		parsed := testbin.Load(t, bad)
		if _, err := extract.Open(parsed, multiversion.ArchAArch64, parsed.Current()); !errors.Is(err, current.ErrMissing) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := extract.Open(parsed, multiversion.ArchAArch64, testbin.Release("0.17.7")); err != nil {
			t.Errorf("%s: the past release is still there: %v", name, err)
		}
	}
}

func TestDamageIsFoundInTheReleaseThatHasIt(t *testing.T) {
	t.Parallel()
	for _, target := range targets {
		good := testbin.Build(t, testbin.Spec{Platform: target.platform})
		clean := testbin.Load(t, good)
		image := &clean.Images[0]
		offsets := map[multiversion.Release]int64{
			testbin.Release("0.17.6"): image.PastExtent(0).Offset + 70_000,
			testbin.Release("0.17.7"): image.PastExtent(1).End() - 1,
			testbin.Release("0.17.8"): 70_000,
		}
		for damaged, offset := range offsets {
			bad := bytes.Clone(good)
			bad[offset] ^= 0x10
			all, err := extract.All(testbin.Load(t, bad), image.Arch())
			if err != nil {
				t.Fatal(err)
			}
			for _, executable := range all {
				_, err := executable.WriteTo(io.Discard)
				wrong, ok := errors.AsType[*extract.ChecksumError](err)
				if ok != (executable.Release == damaged) || errors.Is(err, extract.ErrChecksum) != ok {
					t.Errorf("%s: damage in %s, %s: %v", target.platform, damaged, executable.Release, err)
				}
				if ok && (wrong.Release != damaged || wrong.Want != executable.Checksum || wrong.Found == wrong.Want) {
					t.Errorf("%s: %+v", target.platform, wrong)
				}
			}
		}
	}
}

// full is a writer that takes so many bytes.
type full int

var errFull = errors.New("full")

func (f *full) Write(data []byte) (int, error) {
	if len(data) > int(*f) {
		return int(*f), errFull
	}
	*f -= full(len(data))
	return len(data), nil
}

func TestCopyEnds(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	parsed := testbin.Load(t, data)
	executable, err := extract.Open(parsed, "", testbin.Release("0.17.7"))
	if err != nil {
		t.Fatal(err)
	}
	room := full(300 << 10)
	if count, err := executable.WriteTo(&room); !errors.Is(err, errFull) || count != 300<<10 {
		t.Errorf("a full disk: %d bytes: %v", count, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if count, err := executable.Copy(ctx, io.Discard); !errors.Is(err, context.Canceled) || count != 0 {
		t.Errorf("cancelled: %d bytes: %v", count, err)
	}
	cut := &shrinking{data: data}
	parsed, err = multiversion.Parse(cut, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	cut.data = data[:parsed.Images[0].PastExtent(1).Offset+100]
	executable, err = extract.Open(parsed, "", testbin.Release("0.17.7"))
	if err == nil {
		err = executable.Verify(context.Background())
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that shrank: %v", err)
	}
}

// shrinking is a file that somebody cuts off.
type shrinking struct{ data []byte }

func (s *shrinking) ReadAt(buffer []byte, offset int64) (int, error) {
	return bytes.NewReader(s.data).ReadAt(buffer, offset)
}
