package inspect_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

func look(t testing.TB, data []byte, options inspect.Options) *inspect.Report {
	t.Helper()
	report, err := inspect.Inspect(bytes.NewReader(data), int64(len(data)), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for _, platform := range []multiversion.Platform{
		multiversion.PlatformX86_64Linux, multiversion.PlatformAArch64Linux, multiversion.PlatformX86_64Windows, multiversion.PlatformUniversalMacOS,
	} {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, testbin.Spec{Platform: platform, Past: testbin.PastOf("0.17.5", "0.17.6", "0.17.7v")})
			report := look(t, data, inspect.Options{})
			if report.Platform != platform || report.Size != int64(len(data)) || report.Binary == nil {
				t.Errorf("%s, %d bytes", report.Platform, report.Size)
			}
			for _, image := range report.Images {
				requireImage(t, data, report, image)
			}
			requireStretches(t, report.Stretches, report.Size)
			if report.Remarks != nil || report.Running != nil {
				t.Errorf("%+v %+v", report.Remarks, report.Running)
			}
		})
	}
}

func requireImage(t *testing.T, data []byte, report *inspect.Report, image inspect.Image) {
	t.Helper()
	var names []string
	for index, row := range image.Releases {
		names = append(names, row.Release.String())
		if row.Current != (index == 3) || row.Visit != (index >= 2) || row.Debug || row.GitCommit != testbin.Commit(row.Release) || row.ClientMin != testbin.ClientMin(row.Release) {
			t.Errorf("%+v", row)
		}
		if row.Current {
			if report.Format == multiversion.FormatMachO && multiversion.ChecksumOf(data[row.Offset:row.Offset+row.Size]) != row.Checksum {
				t.Errorf("the current executable is not at %d", row.Offset)
			}
			if row.Size <= 0 || row.Size >= report.Size || row.Checksum != image.Current.Checksum || row.Release != image.Current.Release {
				t.Errorf("%+v, %+v", row, image.Current)
			}
			continue
		}
		if multiversion.ChecksumOf(data[row.Offset:row.Offset+row.Size]) != row.Checksum {
			t.Errorf("%s is not at %d", row.Release, row.Offset)
		}
	}
	if got := strings.Join(names, " "); got != "0.17.5 0.17.6 0.17.7 0.17.8" {
		t.Error(got)
	}
	if image.SchemaVersion != 1 || image.ReleasesMax != 64 || image.PackSize > image.Body.Size || image.Header.Size != multiversion.HeaderSize {
		t.Errorf("%+v", image)
	}
}

// requireStretches requires that every byte is drawn once, in order.
func requireStretches(t *testing.T, stretches []inspect.Stretch, size int64) {
	t.Helper()
	var at int64
	for index, stretch := range stretches {
		if stretch.Offset != at || stretch.Size <= 0 || stretch.Kind == "" {
			t.Fatalf("stretch %d: %+v, want offset %d", index, stretch, at)
		}
		at += stretch.Size
	}
	if at != size {
		t.Fatalf("drawn to %d of %d bytes", at, size)
	}
}

func TestStretches(t *testing.T) {
	t.Parallel()
	for platform, want := range map[multiversion.Platform]string{
		multiversion.PlatformX86_64Linux:    "executable 0.17.8, past 0.17.6, past 0.17.7, header, padding, section_table",
		multiversion.PlatformX86_64Windows:  "executable 0.17.8, section_table, executable 0.17.8, past 0.17.6, past 0.17.7, padding, header",
		multiversion.PlatformUniversalMacOS: "section_table, padding, executable 0.17.8, padding, executable 0.17.8, padding, past 0.17.6, past 0.17.7, padding, header, past 0.17.6, past 0.17.7, padding, header",
	} {
		var got []string
		for _, stretch := range look(t, testbin.Build(t, testbin.Spec{Platform: platform}), inspect.Options{}).Stretches {
			name := string(stretch.Kind)
			if stretch.Release != 0 {
				name += " " + stretch.Release.String()
			}
			got = append(got, name)
		}
		// What is aligned by chance has no padding.
		if squeeze(strings.Join(got, ", ")) != squeeze(want) {
			t.Errorf("%s: %s", platform, strings.Join(got, ", "))
		}
	}
}

func squeeze(text string) string { return strings.ReplaceAll(text, "padding, ", "") }

// Parts of a hostile file may overlap and stand in any order: the map still has every byte once.
func TestStretchesHostile(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		size := 1 + random.Int64N(1000)
		extent := func() multiversion.Extent {
			offset := random.Int64N(size)
			return multiversion.Extent{Offset: offset, Size: random.Int64N(size - offset + 1)}
		}
		file := &multiversion.Binary{Format: multiversion.FormatMachO, Size: size, SectionTable: extent()}
		for _, arch := range []multiversion.Arch{multiversion.ArchAArch64, multiversion.ArchX86_64} {
			image := multiversion.Image{Layout: multiversion.ImageLayout{Arch: arch, Header: extent(), Body: extent(), Executable: extent()}}
			for left := image.Layout.Body.Size; left > 0; {
				part := 1 + random.Int64N(left)
				image.Header.Past = append(image.Header.Past, multiversion.Past{
					Release: multiversion.Release(len(image.Header.Past) + 1), Offset: uint32(image.Layout.Body.Size - left), Size: uint32(part),
				})
				left -= part
			}
			file.Images = append(file.Images, image)
		}
		requireStretches(t, inspect.Of(file, inspect.Options{}).Stretches, size)
	}
}

func TestRunning(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{Past: testbin.PastOf("0.17.5", "0.17.6v", "0.17.7")})
	releases := []multiversion.Release{testbin.Release("0.17.5"), testbin.Release("0.17.6"), testbin.Release("0.17.4")}
	want := []inspect.Running{
		{Release: releases[0], Contained: true, Offered: []multiversion.Release{testbin.Release("0.17.5"), testbin.Release("0.17.6")}, Stop: releases[1]},
		{Release: releases[1], Contained: true, Offered: []multiversion.Release{testbin.Release("0.17.5"), testbin.Release("0.17.6"), testbin.Release("0.17.7"), testbin.Release("0.17.8")}},
		{Release: releases[2], Offered: []multiversion.Release{testbin.Release("0.17.5"), testbin.Release("0.17.6")}, Stop: releases[1]},
	}
	got := look(t, data, inspect.Options{Running: releases}).Running
	for index := range want {
		want[index].Arch = multiversion.ArchX86_64
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	universal := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	if got := look(t, universal, inspect.Options{Running: releases[:1]}).Running; len(got) != 2 || got[0].Arch != multiversion.ArchAArch64 {
		t.Errorf("%+v", got)
	}
}

func TestRemarks(t *testing.T) {
	t.Parallel()
	elf, pe := testbin.Build(t, testbin.Spec{}), testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformX86_64Windows})
	macho := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	put := func(offset int, value multiversion.Release) func([]byte) {
		return func(header []byte) { binary.LittleEndian.PutUint32(header[offset:], uint32(value)) }
	}
	noExecutable := bytes.Clone(macho)
	binary.BigEndian.PutUint32(noExecutable[8:], 0x01000099)
	images := 0
	tests := []struct {
		name    string
		data    []byte
		release string
	}{
		{inspect.RemarkReserved, testbin.Mutate(t, elf, func(header []byte) { header[8191] = 1 }), ""},
		{inspect.RemarkDebug, testbin.Mutate(t, elf, func(header []byte) { header[testbin.OffsetCurrentFlags] |= testbin.FlagDebug }), "0.17.8"},
		{inspect.RemarkDebug, testbin.Mutate(t, elf, func(header []byte) { header[testbin.OffsetPastFlags] |= testbin.FlagDebug }), "0.17.6"},
		{inspect.RemarkClientMin, testbin.Mutate(t, elf, put(testbin.OffsetCurrentClientMin, testbin.Release("0.17.9"))), "0.17.8"},
		{inspect.RemarkClientMin, testbin.Mutate(t, elf, put(testbin.OffsetPastClientMins+4, testbin.Release("0.17.8"))), "0.17.7"},
		{inspect.RemarkTrailing, testbin.Append(t, elf, []byte("x")), ""},
		{inspect.RemarkTrailing, testbin.Append(t, pe, []byte("x")), ""},
		{inspect.RemarkTestRelease, testbin.Mutate(t, elf, put(testbin.OffsetCurrentRelease, testbin.Release("65535.0.1"))), "65535.0.1"},
		{inspect.RemarkBody, testbin.Mutate(t, elf, func(header []byte) {
			size := header[testbin.OffsetPastSizes+4:]
			binary.LittleEndian.PutUint32(size, binary.LittleEndian.Uint32(size)-1)
		}), ""},
		{inspect.RemarkExecutable, testbin.Reseal(t, noExecutable), "0.17.8"},
		{inspect.RemarkImages, testbin.Mutate(t, macho, func(header []byte) {
			if images++; images == 1 {
				put(testbin.OffsetPastReleases, testbin.Release("0.17.5"))(header)
			}
		}), ""},
	}
	for _, test := range tests {
		remarks := look(t, test.data, inspect.Options{}).Remarks
		if len(remarks) != 1 || remarks[0].Name != test.name || remarks[0].Detail == "" {
			t.Errorf("%s: %+v", test.name, remarks)
			continue
		}
		if remarks[0].Release != 0 && remarks[0].Release.String() != test.release {
			t.Errorf("%s: %+v", test.name, remarks[0])
		}
	}
	large := &multiversion.Binary{Format: multiversion.FormatELF, Size: 64 << 20, SectionTable: multiversion.Extent{Size: 64 << 20}, Images: make([]multiversion.Image, 1)}
	if remarks := inspect.Of(large, inspect.Options{}).Remarks; len(remarks) != 1 || remarks[0].Name != inspect.RemarkSize {
		t.Errorf("%+v", remarks)
	}
}

// sparse is an ELF file with a hole in front of its body.
type sparse struct {
	data             []byte
	split, gap, read int64
}

func (s *sparse) ReadAt(buffer []byte, offset int64) (int, error) {
	s.read += int64(len(buffer))
	clear(buffer)
	for index := range buffer {
		switch at := offset + int64(index); {
		case at < s.split:
			buffer[index] = s.data[at]
		case at >= int64(len(s.data))+s.gap:
			return index, io.EOF
		case at >= s.split+s.gap:
			buffer[index] = s.data[at-s.gap]
		}
	}
	return len(buffer), nil
}

func TestInspectReadsLittle(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{Debug: true})
	for _, size := range []int64{int64(len(data)), 250 << 20} {
		gap := size - int64(len(data))
		moved := bytes.Clone(data)
		table := binary.LittleEndian.Uint64(data[40:])
		count := uint64(binary.LittleEndian.Uint16(data[60:]))
		binary.LittleEndian.PutUint64(moved[40:], table+uint64(gap))
		for _, index := range []uint64{count - 2, count - 1} {
			entry := moved[table+64*index+24:]
			binary.LittleEndian.PutUint64(entry, binary.LittleEndian.Uint64(entry)+uint64(gap))
		}
		file := &sparse{data: moved, split: testbin.Body(t, data).Offset, gap: gap}
		report, err := inspect.Inspect(file, size, inspect.Options{Running: []multiversion.Release{testbin.Release("0.17.6")}})
		if err != nil {
			t.Fatal(err)
		}
		requireStretches(t, report.Stretches, size)
		if file.read > 16<<10 {
			t.Errorf("%d of %d bytes read", file.read, size)
		}
	}
}

func TestInspectErrors(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	plain := testbin.Executable(t, "linux", "amd64", testbin.Release("0.15.3"), 0)
	inspectErr := func(data []byte) error {
		_, err := inspect.Inspect(bytes.NewReader(data), int64(len(data)), inspect.Options{})
		return err
	}
	stranger, ok := errors.AsType[*inspect.NotMultiversionError](inspectErr(plain))
	if !ok || !errors.Is(stranger, multiversion.RuleNoSections) || stranger.Kind.Arch != multiversion.ArchX86_64 ||
		stranger.Error() != "not a multiversion binary: an ELF x86_64 executable without multiversion sections" {
		t.Errorf("%v", stranger)
	}
	for _, broken := range [][]byte{data[:len(data)-1], testbin.Mutate(t, data, func(header []byte) { header[61] = 1 })} {
		err := inspectErr(broken)
		if _, ok := errors.AsType[*inspect.NotMultiversionError](err); ok || err == nil {
			t.Errorf("%v", err)
		}
		if _, ok := errors.AsType[*multiversion.FormatError](err); !ok {
			t.Errorf("%v", err)
		}
	}
	_, err := inspect.Inspect(bytes.NewReader(data[:1000]), int64(len(data)), inspect.Options{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	for _, spec := range []testbin.Spec{
		{Platform: multiversion.PlatformUniversalMacOS},
		{Current: testbin.Release("0.15.4"), Past: testbin.PastOf("0.15.3")},
	} {
		report := look(t, testbin.Build(t, spec), inspect.Options{Running: []multiversion.Release{testbin.Release("0.15.3")}})
		text, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		var again inspect.Report
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		again.Binary = report.Binary
		if !reflect.DeepEqual(&again, report) {
			t.Errorf("%s", text)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	executable := func(goos, goarch string) []byte {
		return testbin.Executable(t, goos, goarch, testbin.Release("0.15.3"), 0)
	}
	odd := bytes.Clone(executable("linux", "amd64"))
	odd[18] = 243
	elf := testbin.Build(t, testbin.Spec{})
	zip := testbin.Zip(t, "tigerbeetle", executable("linux", "amd64"), testbin.ZipOptions{})
	fat := func(count byte) []byte {
		return append([]byte("\xca\xfe\xba\xbe\x00\x00\x00"), append([]byte{count}, make([]byte, 4000)...)...)
	}
	macho := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	counted := func(count byte) []byte { // a multiversion binary whose count is damaged
		damaged := bytes.Clone(macho)
		damaged[7] = count
		return damaged
	}
	tar := make([]byte, 1024)
	copy(tar[257:], "ustar")
	class32, big := bytes.Clone(odd), bytes.Clone(odd)
	class32[4], big[5] = 1, 2
	tests := []struct {
		name string
		data []byte
		text string
	}{
		{"multiversion", elf, "an ELF x86_64 multiversion binary"},
		{"multiversion", macho, "a Mach-O universal multiversion binary"},
		{"damaged", elf[:len(elf)-1], "an ELF x86_64 executable that breaks the rule elf-section-table"},
		{"damaged", elf[:63], "an ELF executable that breaks the rule elf-short"},
		{"elf", executable("linux", "amd64"), "an ELF x86_64 executable without multiversion sections"},
		{"elf", executable("linux", "arm64"), "an ELF aarch64 executable without multiversion sections"},
		{"elf", odd, "an ELF machine-243 executable without multiversion sections"},
		{"elf", class32, "an ELF executable that is not 64-bit"},
		{"elf", big, "an ELF executable that is not little-endian"},
		{"pe", executable("windows", "amd64"), "a PE x86_64 executable without multiversion sections"},
		{"pe", append([]byte("MZ"), make([]byte, 200)...), "an MS-DOS executable or a PE object file"},
		{"macho", executable("darwin", "arm64"), "a Mach-O aarch64 executable without multiversion sections"},
		{"macho-universal", fat(2), "a Mach-O universal file with 2 architectures, without multiversion sections"},
		{"macho-universal", fat(1), "a Mach-O universal file with 1 architecture, without multiversion sections"},
		{"java-class", fat(45), "a Java class file"},
		{"java-class", fat(65)[:100], "a Java class file"},
		{"damaged", counted(2), "a Mach-O universal executable that breaks the rule macho-six"},
		{"damaged", counted(70), "a Mach-O universal executable that breaks the rule macho-six"},
		{"damaged", fat(2)[:40], "a Mach-O universal executable that breaks the rule macho-entry"},
		{"zip", zip, `a zip archive with the executable "tigerbeetle"`},
		{"zip", zip[:len(zip)/2], "a zip archive that is cut short"},
		{"zip", testbin.Zip(t, "readme.txt", []byte("read me"), testbin.ZipOptions{}), "a zip archive without an executable"},
		{"gzip", []byte("\x1f\x8b\x08\x00 and more"), "gzip data"},
		{"tar", tar, "a tar archive"},
		{"html", []byte("<!DOCTYPE html><title>404</title>"), "an HTML page"},
		{"xml", []byte(`<?xml version="1.0"?><Error/>`), "an XML document"},
		{"json", []byte(`{"message":"Not Found"}`), "a JSON document"},
		{"script", []byte("#!/bin/sh\n"), "a script"},
		{"text", []byte("Not Found\n"), "a text"},
		{"empty", nil, "an empty file"},
		{"unknown", []byte{0, 1, 2, 3}, "an unknown kind of file"},
	}
	for _, test := range tests {
		kind := inspect.Describe(bytes.NewReader(test.data), int64(len(test.data)))
		if kind.Name != test.name || kind.String() != test.text {
			t.Errorf("%s: %q, want %s: %q", kind.Name, kind, test.name, test.text)
		}
		_, err := inspect.Inspect(bytes.NewReader(test.data), int64(len(test.data)), inspect.Options{})
		stranger, ok := errors.AsType[*inspect.NotMultiversionError](err)
		if want := !slices.Contains([]string{"multiversion", "damaged"}, test.name); ok != want {
			t.Errorf("%s: %v", test.name, err)
		}
		if ok && stranger.Kind != kind {
			t.Errorf("%+v, want %+v", stranger.Kind, kind)
		}
	}
	kind := inspect.Describe(bytes.NewReader(nil), 10)
	if kind.Name != "unreadable" {
		t.Errorf("%+v", kind)
	}
	if kind := inspect.Describe(strings.NewReader("Not Found\n"+strings.Repeat(" ", 1000)), 1<<40); kind.Name != "text" {
		t.Errorf("%+v", kind)
	}
}
