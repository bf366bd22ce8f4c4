package multiversion

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for format, sample := range samples(t) {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			got, err := parse(sample.data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Format != format || got.Size != int64(len(sample.data)) || len(got.Images) != len(sample.images) {
				t.Fatalf("got %s, %d bytes, %d images", got.Format, got.Size, len(got.Images))
			}
			for index, want := range sample.images {
				image := &got.Images[index]
				if image.Layout != want {
					t.Errorf("layout %+v, want %+v", image.Layout, want)
				}
				for index, member := range sampleMembers() {
					extent := image.PastExtent(index)
					if !bytes.Equal(sample.data[extent.Offset:extent.End()], member) {
						t.Errorf("past executable %d is not at %+v", index, extent)
					}
				}
			}
			sum, err := got.ChecksumWithoutHeader(t.Context())
			if err != nil || sum != got.Images[0].Header.ChecksumBinary {
				t.Errorf("checksum without header %s, %v, want %s", sum, err, got.Images[0].Header.ChecksumBinary)
			}
		})
	}
}

// What upstream accepts must not be refused here.
func TestParseAccepts(t *testing.T) {
	t.Parallel()
	elf, pe, macho := sampleELF(t), samplePE(t), sampleMachO(t)
	tests := []struct {
		name string
		base sample
		edit func(data []byte) []byte
	}{
		{"bytes after the end, ELF", elf, func(data []byte) []byte { return append(data, "more"...) }},
		{"bytes after the end, PE", pe, func(data []byte) []byte { return append(data, "more"...) }},
		{"bytes after the end, Mach-O", macho, func(data []byte) []byte { return append(data, "more"...) }},
		{"wrong whole-file checksum", elf, func(data []byte) []byte { data[100] ^= 1; return data }},
		{"header of PE larger than 8192 bytes", pe, func(data []byte) []byte {
			binary.LittleEndian.PutUint32(data[pe.table+2*peSectionHeaderSize+16:], 8704)
			return data
		}},
		{"a second body in PE: the first counts", pe, func(data []byte) []byte {
			copy(data[pe.table:][:peNameSize], sectionBody+"\x00")
			binary.LittleEndian.PutUint32(data[pe.table+16:], uint32(pe.images[0].Body.Size))
			copy(data[512:], bytes.Join(sampleMembers(), nil))
			return data
		}},
		{"PE for aarch64", pe, func(data []byte) []byte {
			binary.LittleEndian.PutUint16(data[pe.names:], peMachineAArch64)
			return data
		}},
		{"ELF for aarch64", elf, func(data []byte) []byte { data[18] = 183; return data }},
		{"entries of Mach-O in another order", macho, func(data []byte) []byte {
			entries := data[machoFatHeaderSize:][:machoFatCount*machoFatEntrySize]
			first := bytes.Clone(entries[:machoFatEntrySize])
			copy(entries, entries[5*machoFatEntrySize:])
			copy(entries[5*machoFatEntrySize:], first)
			return data
		}},
		{"Mach-O without an executable for a CPU", macho, func(data []byte) []byte {
			binary.BigEndian.PutUint32(data[machoFatHeaderSize:], 0x01000099)
			return data
		}},
	}
	header := func(name string, edit func(raw *[HeaderSize]byte)) {
		tests = append(tests, struct {
			name string
			base sample
			edit func(data []byte) []byte
		}{name, elf, func(data []byte) []byte {
			edit(elf.header(data, 0))
			SealHeader(elf.header(data, 0))
			return data
		}})
	}
	header("another current checksum", func(raw *[HeaderSize]byte) { raw[OffsetCurrentChecksum] ^= 1 })
	header("debug flag", func(raw *[HeaderSize]byte) { raw[offsetCurrentFlags] |= flagDebug })
	header("debug flag of a past release", func(raw *[HeaderSize]byte) { raw[offsetPastFlags] |= flagDebug })
	header("client minimum above the current release", func(raw *[HeaderSize]byte) {
		binary.LittleEndian.PutUint32(raw[offsetCurrentClientMin:], 1<<20)
	})
	header("reserved bytes", func(raw *[HeaderSize]byte) { raw[OffsetReserved], raw[HeaderSize-1] = 1, 2 })
	header("a pack smaller than the body", func(raw *[HeaderSize]byte) { raw[offsetPastSizes+4]-- })

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse(test.edit(test.base.clone())); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each sample ends with something that it needs: cut anywhere, it is refused.
func TestParseTruncated(t *testing.T) {
	t.Parallel()
	for format, sample := range samples(t) {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			for size := range sample.data {
				_, err := parse(sample.data[:size])
				failure, ok := errors.AsType[*FormatError](err)
				if !ok {
					t.Fatalf("cut to %d of %d bytes: %v", size, len(sample.data), err)
				}
				if failure.Rule == RuleRead {
					t.Fatalf("cut to %d bytes: read past the size: %v", size, err)
				}
			}
		})
	}
}

// A file that is shorter than it was said to be is an error of reading, whatever its length.
func TestParseShrunk(t *testing.T) {
	t.Parallel()
	for format, sample := range samples(t) {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			for length := 0; length < len(sample.data); length += 7 {
				_, err := Parse(bytes.NewReader(sample.data[:length]), int64(len(sample.data)))
				if err != nil && (!errors.Is(err, RuleRead) || !errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Fatalf("%d of %d bytes: %v", length, len(sample.data), err)
				}
			}
		})
	}
}

// sparse is a large file of which a few stretches are not zero. It counts.
type sparse struct {
	size   int64
	pieces map[int64][]byte
	read   int64
	calls  int
}

func (s *sparse) ReadAt(buffer []byte, offset int64) (int, error) {
	s.read += int64(len(buffer))
	s.calls++
	clear(buffer)
	for start, data := range s.pieces {
		low, high := max(start, offset), min(start+int64(len(data)), offset+int64(len(buffer)))
		if low < high {
			copy(buffer[low-offset:], data[low-start:high-start])
		}
	}
	if rest := s.size - offset; rest < int64(len(buffer)) {
		return int(max(rest, 0)), io.EOF
	}
	return len(buffer), nil
}

// sparseELF moves everything behind the names to the end of a file of size bytes.
func sparseELF(t testing.TB, size int64) *sparse {
	sample := sampleELF(t)
	shift := size - int64(len(sample.data))
	data := sample.clone()
	binary.LittleEndian.PutUint64(data[40:], uint64(sample.table+shift))
	for _, index := range []int64{2, 3} {
		entry := data[sample.table+index*elfSectionHeaderSize+24:]
		binary.LittleEndian.PutUint64(entry, binary.LittleEndian.Uint64(entry)+uint64(shift))
	}
	split := sample.images[0].Body.Offset
	return &sparse{size: size, pieces: map[int64][]byte{0: data[:split], split + shift: data[split:]}}
}

func TestParseReadsLittle(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1 << 20, 250 << 20} {
		file := sparseELF(t, size)
		if _, err := Parse(file, size); err != nil {
			t.Fatal(err)
		}
		if file.read > 12<<10 || file.calls > 20 {
			t.Errorf("%d MiB: %d bytes in %d reads", size>>20, file.read, file.calls)
		}
	}
}

// Not parallel: other tests would count.
func TestParseMemory(t *testing.T) {
	pe := samplePE(t)
	data := make([]byte, 8<<20)
	copy(data, pe.data[:512])
	binary.LittleEndian.PutUint16(data[pe.names+2:], 0xffff) // a section table of 2.6 MB
	copy(data[pe.table+peSectionHeaderSize:], make([]byte, 2*peSectionHeaderSize))
	elf := sampleELF(t).clone()
	binary.LittleEndian.PutUint16(elf[60:], 0xffff)
	count := sampleELF(t)
	header := count.clone()
	binary.LittleEndian.PutUint32(count.header(header, 0)[offsetPastCount:], 0xffffffff)
	SealHeader(count.header(header, 0))
	for name, hostile := range map[string][]byte{"pe sections": data, "elf sections": elf, "past count": header} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parse(hostile)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 64<<10 {
			t.Errorf("%s: %d bytes taken", name, taken)
		}
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	thin := binary.LittleEndian.AppendUint32([]byte("\xcf\xfa\xed\xfe"), machoCPUAArch64)
	odd := sampleELF(t).clone()
	odd[18] = 243
	tests := []struct {
		name   string
		data   []byte
		format Format
		arch   Arch
		rule   Rule
	}{
		{"ELF", sampleELF(t).data[:64], FormatELF, ArchX86_64, ""},
		{"another machine", odd, FormatELF, "machine-243", ""},
		{"PE", samplePE(t).data, FormatPE, ArchX86_64, ""},
		{"universal", sampleMachO(t).data[:8], FormatMachO, ArchUniversal, ""},
		{"thin", thin, FormatMachO, ArchAArch64, ""},
		{"cut", thin[:7], FormatMachO, "", RuleMachOShort},
		{"empty", nil, "", "", RuleKind},
		{"text", []byte("hello"), "", "", RuleKind},
	}
	for _, test := range tests {
		format, arch, err := Identify(bytes.NewReader(test.data), int64(len(test.data)))
		if format != test.format || arch != test.arch {
			t.Errorf("%s: %q %q, want %q %q", test.name, format, arch, test.format, test.arch)
		}
		if (test.rule == "") != (err == nil) || (err != nil && !errors.Is(err, test.rule)) {
			t.Errorf("%s: %v, want rule %q", test.name, err, test.rule)
		}
	}
}

func TestUniversalArchs(t *testing.T) {
	t.Parallel()
	data := sampleMachO(t).data
	archs, err := UniversalArchs(bytes.NewReader(data), int64(len(data)))
	want := []Arch{ArchAArch64, ArchX86_64, "machine-0x1", "machine-0x2", "machine-0x4", "machine-0x5"}
	if err != nil || !slices.Equal(archs, want) {
		t.Errorf("%v, %v", archs, err)
	}
	many := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, magicMachOFat), 1<<31)
	for rule, data := range map[Rule][]byte{
		RuleMachOCount: append(many, make([]byte, 4096)...),
		RuleMachOEntry: data[:100],
		RuleKind:       sampleELF(t).data,
		RuleNoSections: binary.LittleEndian.AppendUint32([]byte("\xcf\xfa\xed\xfe"), machoCPUAArch64),
	} {
		if _, err := UniversalArchs(bytes.NewReader(data), int64(len(data))); !errors.Is(err, rule) {
			t.Errorf("%v, want %s", err, rule)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "tigerbeetle")
	if err := os.WriteFile(name, sampleELF(t).data, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if file.Current() != NewRelease(0, 17, 8) || file.Platform() != PlatformX86_64Linux {
		t.Errorf("%s for %s", file.Current(), file.Platform())
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestHashExtentCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	binary, err := parse(sampleELF(t).data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := binary.ChecksumWithoutHeader(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
