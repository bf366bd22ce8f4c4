package multiversion

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// vectors are headers of real binaries, and what upstream reads in them.
func vectors(t testing.TB) map[string]*[HeaderSize]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/headers/*.bin")
	if err != nil || len(names) < 7 {
		t.Fatalf("%d vectors: %v", len(names), err)
	}
	all := map[string]*[HeaderSize]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || len(data) != HeaderSize {
			t.Fatalf("%s: %d bytes: %v", name, len(data), err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".bin")] = (*[HeaderSize]byte)(data)
	}
	return all
}

func TestHeaderVectors(t *testing.T) {
	t.Parallel()
	for name, raw := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/headers/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			header, err := decodeHeader(raw, 0)
			if err != nil {
				t.Fatal(err)
			}
			var want []string // lines of the header, not of the layout around it
			for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
				if !strings.HasPrefix(line, "file_size=") && !strings.HasPrefix(line, "[") && !strings.HasSuffix(line, "_ok=true") {
					want = append(want, line)
				}
			}
			if got := headerLines(&header); !slices.Equal(got, want) {
				t.Errorf("decoded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			again, err := header.Encode()
			if err != nil || again != *raw {
				t.Errorf("encoded header differs: %v", err)
			}
		})
	}
}

func headerLines(header *Header) []string {
	current := header.Current
	lines := []string{
		fmt.Sprintf("current_release=%s client_min=%s flags visit=%t debug=%t git=%s schema=%d releases_max=%d",
			current.Release, current.ClientMin, current.Visit, current.Debug, current.Commit, header.SchemaVersion, header.ReleasesMax),
		"checksum_header_le=" + header.Checksum.String(),
		"checksum_binary_without_header_le=" + header.ChecksumBinary.String(),
		"current_checksum_le=" + current.Checksum.String(),
	}
	for index, past := range header.Past {
		lines = append(lines, fmt.Sprintf("past[%d] release=%s offset=%d size=%d visit=%t debug=%t client_min=%s git=%s checksum_le=%s",
			index, past.Release, past.Offset, past.Size, past.Visit, past.Debug, past.ClientMin, past.Commit, past.Checksum))
	}
	return lines
}

// The layouts of the vectors' files fit their headers.
func TestHeaderVectorLayouts(t *testing.T) {
	t.Parallel()
	for name, raw := range vectors(t) {
		text, err := os.ReadFile("testdata/headers/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		field := func(key string) int64 {
			_, rest, _ := strings.Cut(string(text), key+"=")
			number, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, key, err)
			}
			return number
		}
		header, err := decodeHeader(raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		image := Image{Header: header, Layout: ImageLayout{Body: Extent{field("body_offset"), field("body_size")}, Header: Extent{field("header_offset"), HeaderSize}}}
		if err := CheckBody(&image); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if gap := image.Layout.Header.Offset - image.Layout.Body.End(); gap != field("gap_body_to_header") {
			t.Errorf("%s: gap %d", name, gap)
		}
		image.Layout.Body.Size = header.PackSize() - 1
		if err := CheckBody(&image); !errors.Is(err, RuleBodySize) {
			t.Errorf("%s: a body that is too short: %v", name, err)
		}
	}
}

// Every bit of a header counts.
func TestHeaderBitFlips(t *testing.T) {
	t.Parallel()
	raw := vectors(t)["0.16.1-x86_64-linux"]
	for bit := range HeaderSize * 8 {
		flipped := *raw
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeHeader(&flipped, 0); !errors.Is(err, RuleHeaderChecksum) {
			t.Fatalf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
	}
}

// offers parses "1 2 3v | 4": past releases, v for visit, and the current one.
func offers(t *testing.T, text string) Header {
	t.Helper()
	past, current, _ := strings.Cut(text, "|")
	var header Header
	for _, name := range strings.Fields(past) {
		name, visit := strings.CutSuffix(name, "v")
		number, err := strconv.Atoi(name)
		if err != nil {
			t.Fatal(err)
		}
		header.Past = append(header.Past, Past{Release: Release(number), Visit: visit})
	}
	number, err := strconv.Atoi(strings.TrimSpace(current))
	if err != nil {
		t.Fatal(err)
	}
	header.Current = Current{Release: Release(number), Visit: true}
	return header
}

func TestAdvertisable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file    string
		running Release
		want    []Release
		stop    Release
	}{
		{"1 2 3 | 4", 2, []Release{1, 2, 3, 4}, 0},
		{"1 2 3v | 4", 2, []Release{1, 2, 3}, 3},
		{"1 2 3v 4 | 5", 2, []Release{1, 2, 3}, 3},
		{"1v 2 3v 4v | 5", 5, []Release{1, 2, 3, 4, 5}, 0},
		{"1v 2 3v 4v | 5", 3, []Release{1, 2, 3, 4}, 4},
		{"1v 2 3v 4v | 5", 0, []Release{1}, 1},
		{"1 2 | 3", 9, []Release{1, 2, 3}, 0},
		{"2v | 3", 1, []Release{2}, 2},
		{"2v | 3", 2, []Release{2, 3}, 0},
	}
	for _, test := range tests {
		header := offers(t, test.file)
		if got := header.Advertisable(test.running); !slices.Equal(got, test.want) {
			t.Errorf("%s, running %d: offers %v, want %v", test.file, test.running, got, test.want)
		}
		if stop, ok := header.VisitStop(test.running); stop != test.stop || ok != (test.stop != 0) {
			t.Errorf("%s, running %d: stops at %d %t, want %d", test.file, test.running, stop, ok, test.stop)
		}
	}
}

func TestHeaderReleases(t *testing.T) {
	t.Parallel()
	header := offers(t, "1 2 | 4")
	if !slices.Equal(header.Releases(), []Release{1, 2, 4}) {
		t.Error(header.Releases())
	}
	for release, want := range map[Release]bool{0: false, 1: true, 3: false, 4: true} {
		if header.Contains(release) != want {
			t.Errorf("contains %d: %t", release, !want)
		}
	}
	if header.PastIndex(4) != -1 || header.PastIndex(2) != 1 {
		t.Error("index of a past release")
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	full := sampleHeader()
	full.Past = nil
	for index := range PastMax {
		full.Past = append(full.Past, Past{Release: Release(index + 1), Size: 1, Offset: uint32(index), Commit: Commit{1}, ClientMin: 1})
	}
	full.Reserved = make([]byte, reservedSize)
	full.Reserved[reservedSize-1] = 7
	raw, err := full.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := decodeHeader(&raw, 0)
	if err != nil || len(decoded.Past) != PastMax || !slices.Equal(decoded.Reserved, full.Reserved) {
		t.Errorf("%d past releases: %v", len(decoded.Past), err)
	}

	tests := []struct {
		name string
		edit func(header *Header)
		rule Rule
	}{
		{"too many", func(h *Header) { h.Past = append(h.Past, h.Past[0]) }, RulePastCount},
		{"none", func(h *Header) { h.Past = nil }, RulePastCount},
		{"too much reserved", func(h *Header) { h.Reserved = make([]byte, reservedSize+1) }, RuleReserved},
		{"schema", func(h *Header) { h.SchemaVersion = 2 }, RuleSchema},
		{"maximum", func(h *Header) { h.ReleasesMax = 65 }, RuleReleasesMax},
		{"current", func(h *Header) { h.Current.Release = 0 }, RuleCurrentRelease},
	}
	for _, test := range tests {
		header := full
		header.Past = slices.Clone(full.Past)
		test.edit(&header)
		if raw, err := header.Encode(); !errors.Is(err, test.rule) || raw != [HeaderSize]byte{} {
			t.Errorf("%s: %v, want %s", test.name, err, test.rule)
		}
	}
}

// A damaged header is read without panic, and never more than it can hold.
func TestDecodeUnchecked(t *testing.T) {
	t.Parallel()
	var raw [HeaderSize]byte
	for index := range raw {
		raw[index] = 0xff
	}
	if header := DecodeUnchecked(&raw); len(header.Past) != PastMax || header.Past[62].Size != 1<<32-1 {
		t.Errorf("%d past releases", len(header.Past))
	}
}

func TestHeaderJSON(t *testing.T) {
	t.Parallel()
	for name, raw := range vectors(t) {
		header, err := decodeHeader(raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(header)
		if err != nil {
			t.Fatal(err)
		}
		var again Header
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		again.Reserved = header.Reserved // too large for a text, and zero so far
		if !reflect.DeepEqual(again, header) {
			t.Errorf("%s: got %+v, want %+v", name, again, header)
		}
	}
}

func TestTextForms(t *testing.T) {
	t.Parallel()
	type texts struct {
		Release  Release
		Checksum Checksum
		Commit   Commit
	}
	want := texts{NewRelease(65535, 255, 1), ChecksumOf([]byte("x")), Commit{0xab, 19: 0xcd}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got texts
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("%s: %+v, %v", text, got, err)
	}
	for _, bad := range []struct {
		text string
		err  error
	}{
		{`{"Release":"1.2"}`, ErrRelease},
		{`{"Checksum":"00"}`, ErrChecksum},
		{`{"Checksum":"zz000000000000000000000000000000"}`, ErrChecksum},
		{`{"Commit":"00"}`, ErrCommit},
		{`{"Commit":"zz00000000000000000000000000000000000000"}`, ErrCommit},
	} {
		got := want
		if err := json.Unmarshal([]byte(bad.text), &got); !errors.Is(err, bad.err) || got != want {
			t.Errorf("%s: %v, %+v", bad.text, err, got)
		}
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		goos, goarch string
		want         Platform
	}{
		{"linux", "amd64", PlatformX86_64Linux},
		{"linux", "arm64", PlatformAArch64Linux},
		{"windows", "amd64", PlatformX86_64Windows},
		{"windows", "arm64", ""},
		{"darwin", "amd64", PlatformUniversalMacOS},
		{"darwin", "arm64", PlatformUniversalMacOS},
		{"freebsd", "amd64", ""},
	} {
		if got := HostPlatform(test.goos, test.goarch); got != test.want {
			t.Errorf("%s/%s: %q, want %q", test.goos, test.goarch, got, test.want)
		}
	}
	for platform, got := range map[Platform]Platform{
		PlatformX86_64Linux:    PlatformOf(FormatELF, ArchX86_64),
		PlatformAArch64Windows: PlatformOf(FormatPE, ArchAArch64),
		PlatformUniversalMacOS: PlatformOf(FormatMachO, ArchAArch64),
	} {
		if got != platform {
			t.Errorf("%s, want %s", got, platform)
		}
	}
	for limit, got := range map[int64]int64{
		64 << 20:  SizeLimit(FormatELF, false),
		128 << 20: SizeLimit(FormatMachO, false),
		256 << 20: SizeLimit(FormatMachO, true),
	} {
		if got != limit {
			t.Errorf("limit %d, want %d", got, limit)
		}
	}
	if SizeLimit(FormatPE, true) != 128<<20 {
		t.Error("limit of a debug build")
	}
}
