package verify_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// samplesOf returns places in a stretch: its edges and some between them.
func samplesOf(stretch inspect.Stretch) []int64 {
	places := []int64{stretch.Offset, stretch.Offset + stretch.Size - 1}
	for index := range int64(6) {
		places = append(places, stretch.Offset+stretch.Size*(2*index+1)/13)
	}
	slices.Sort(places)
	return slices.Compact(places)
}

// A flipped bit anywhere is refused, and the diagnosis says where it is.
func TestFileFlipped(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, testbin.Spec{Platform: platform})
			drawn, err := inspect.Inspect(bytes.NewReader(data), int64(len(data)), inspect.Options{})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[inspect.StretchKind]bool{}
			for _, stretch := range drawn.Stretches {
				seen[stretch.Kind] = true
				for index, offset := range samplesOf(stretch) {
					bit := byte(1) << (index % 8)
					data[offset] ^= bit
					requireFlip(t, judge(t, data, verify.Options{}), stretch, offset)
					data[offset] ^= bit
				}
			}
			if report := judge(t, data, verify.Options{}); !report.Ok || len(seen) < 4 {
				t.Errorf("afterwards: %s; stretches %v", report.Diagnosis, seen)
			}
		})
	}
}

func requireFlip(t *testing.T, report verify.Report, stretch inspect.Stretch, offset int64) {
	t.Helper()
	if report.Ok {
		t.Fatalf("byte %d of %s: accepted", offset, stretch.Kind)
	}
	var want string
	switch stretch.Kind {
	case inspect.StretchPast:
		want = fmt.Sprintf("past release %s is damaged", stretch.Release)
		if got := strings.Count(statuses(report, verify.CheckPastChecksum), "failed"); got != 1 {
			t.Errorf("byte %d: %d past checksums failed", offset, got)
		}
		if failed := find(t, report, verify.CheckPastChecksum, verify.Failed); failed.Release != stretch.Release || failed.Arch != stretch.Arch {
			t.Errorf("byte %d: %+v", offset, failed)
		}
	case inspect.StretchHeader:
		want = "damaged"
		find(t, report, verify.CheckHeaderChecksum, verify.Failed)
		if !strings.Contains(report.Diagnosis, "header") {
			t.Errorf("byte %d: %s", offset, report.Diagnosis)
		}
	case inspect.StretchPadding:
		want = "bytes outside header and pack changed"
	case inspect.StretchExecutable:
		if report.Binary == nil { // the flip hit what locates the sections
			return
		}
		find(t, report, verify.CheckFileChecksum, verify.Failed)
		want = "the current executable"
		// Of a PE file, padding and the image's checksum are not rebuilt as they were; and a damaged
		// executable may be one that cannot be rebuilt at all.
		if !strings.Contains(statuses(report, verify.CheckCurrentChecksum), "failed") && report.Format != multiversion.FormatMachO {
			want = "outside header and pack"
		}
	}
	if !strings.Contains(report.Diagnosis, want) {
		t.Errorf("byte %d of %s: %q, want %q", offset, stretch.Kind, report.Diagnosis, want)
	}
}

// Every byte that says where something is: the ELF header, the section names and the section table, the
// PE headers, the fat header.
func TestFileFlippedTables(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, testbin.Spec{Platform: platform})
			binary := testbin.Parse(t, data)
			tables := []multiversion.Extent{{Size: 64}, binary.SectionTable}
			if names := bytes.Index(data, []byte(".shstrtab\x00")); names > 0 {
				tables = append(tables, multiversion.Extent{Offset: int64(names), Size: 100})
			}
			for _, table := range tables {
				for offset := table.Offset; offset < table.End(); offset += 2 {
					data[offset] ^= 1 << (offset % 7)
					if report := judge(t, data, verify.Options{}); report.Ok {
						t.Errorf("byte %d: accepted", offset)
					}
					data[offset] ^= 1 << (offset % 7)
				}
			}
		})
	}
}

// A file of the right size whose end never reached the disk.
func TestFileZeroTail(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		data := testbin.Build(t, testbin.Spec{Platform: platform})
		clear(data[len(data)-200_000:])
		report := judge(t, data, verify.Options{})
		if report.Ok || !strings.Contains(report.Diagnosis, "bytes of the file are zeros, as after an interrupted copy") {
			t.Errorf("%s: %q", platform, report.Diagnosis)
		}
		clear(data)
		if report := judge(t, data, verify.Options{}); report.Ok || !strings.HasPrefix(report.Diagnosis, fmt.Sprintf("the last %d bytes", len(data))) {
			t.Errorf("%s: %q", platform, report.Diagnosis)
		}
	}
}

// A file cut anywhere is refused as cut short.
func TestFileTruncated(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, testbin.Spec{Platform: platform})
			report, err := inspect.Inspect(bytes.NewReader(data), int64(len(data)), inspect.Options{})
			if err != nil {
				t.Fatal(err)
			}
			sizes := []int64{4, 5, 60, 63, 64, 65, 100, int64(len(data)) / 2}
			for _, stretch := range report.Stretches {
				sizes = append(sizes, stretch.Offset-1, stretch.Offset, stretch.Offset+1, stretch.Offset+stretch.Size/3)
			}
			sizes = append(sizes, int64(len(data))-1)
			for _, size := range sizes {
				if size < 4 || size >= int64(len(data)) {
					continue
				}
				report := judge(t, data[:size], verify.Options{})
				if report.Ok || !strings.HasPrefix(report.Diagnosis, "the file is cut short") {
					t.Errorf("cut to %d of %d bytes: ok %t, %q", size, len(data), report.Ok, report.Diagnosis)
				}
				find(t, report, verify.CheckLocation, verify.Failed)
				find(t, report, verify.CheckFileChecksum, verify.NotChecked)
			}
			for size := range int64(4) {
				if report := judge(t, data[:size], verify.Options{}); report.Ok {
					t.Errorf("cut to %d bytes: accepted", size)
				}
			}
		})
	}
}

func TestFileSwappedPack(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		t.Run(string(platform), func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, testbin.Spec{Platform: platform})
			image := testbin.Parse(t, data).Images[0]
			first, second := image.PastExtent(0), image.PastExtent(1)
			if first.Size != second.Size {
				t.Fatalf("sizes %d and %d", first.Size, second.Size)
			}
			swapped := bytes.Clone(data)
			copy(swapped[first.Offset:first.End()], data[second.Offset:second.End()])
			copy(swapped[second.Offset:second.End()], data[first.Offset:first.End()])
			const want = "past releases 0.17.6 and 0.17.7 stand in each other's place"
			if report := judge(t, swapped, verify.Options{}); report.Ok || report.Diagnosis != want {
				t.Errorf("%q, want %q", report.Diagnosis, want)
			}
			// The same with a whole-file checksum that was made to match.
			if report := judge(t, testbin.Reseal(t, swapped), verify.Options{}); report.Ok || !strings.HasSuffix(report.Diagnosis, want) {
				t.Errorf("resealed: %q", report.Diagnosis)
			}
		})
	}
}

func TestFileForeignPack(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	other := testbin.Build(t, testbin.Spec{Seed: 7})
	body := testbin.Body(t, data)
	copy(data[body.Offset:body.End()], other[testbin.Body(t, other).Offset:])
	report := judge(t, data, verify.Options{})
	if report.Ok || !strings.HasPrefix(report.Diagnosis, "none of the past releases is what the header says") {
		t.Error(report.Diagnosis)
	}
}
