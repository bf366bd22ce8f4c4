package multiversion

import (
	"bytes"
	"encoding/binary"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strconv"
	"strings"
	"testing"
)

// breach is a file that breaks one rule.
type breach struct {
	rule   Rule
	base   *sample
	edit   func(data []byte) []byte
	offset int64
	found  string // part of it
	arch   Arch
}

// put16, put32 and put64 return an edit that writes a little-endian number.
func put16(offset int64, value uint16) func([]byte) []byte {
	return func(data []byte) []byte { binary.LittleEndian.PutUint16(data[offset:], value); return data }
}

func put32(offset int64, value uint32) func([]byte) []byte {
	return func(data []byte) []byte { binary.LittleEndian.PutUint32(data[offset:], value); return data }
}

func put64(offset int64, value uint64) func([]byte) []byte {
	return func(data []byte) []byte { binary.LittleEndian.PutUint64(data[offset:], value); return data }
}

// putBig writes a big-endian number, as a fat header has it.
func putBig(offset int64, value uint32) func([]byte) []byte {
	return func(data []byte) []byte { binary.BigEndian.PutUint32(data[offset:], value); return data }
}

func putText(offset int64, text string) func([]byte) []byte {
	return func(data []byte) []byte { copy(data[offset:], text); return data }
}

func cut(size int) func([]byte) []byte {
	return func(data []byte) []byte { return data[:size] }
}

func breachesELF(s *sample) []breach {
	size := int64(len(s.data))
	entry := func(index int64) int64 { return s.table + index*elfSectionHeaderSize }
	body, header := s.images[0].Body, s.images[0].Header
	swap := func(data []byte) []byte { // the entries of body and header
		first := bytes.Clone(data[entry(2):entry(3)])
		copy(data[entry(2):], data[entry(3):entry(4)])
		copy(data[entry(3):], first)
		return data
	}
	unname := func(indexes ...int64) func([]byte) []byte {
		return func(data []byte) []byte {
			for _, index := range indexes {
				binary.LittleEndian.PutUint32(data[entry(index):], 0)
			}
			return data
		}
	}
	return []breach{
		{RuleELFShort, s, cut(63), 0, "63 bytes", ""},
		{RuleELFShort, s, cut(4), 0, "4 bytes", ""},
		{RuleELFVersion, s, putText(6, "\x02"), 6, "version 2", ""},
		{RuleELFEndian, s, putText(5, "\x02"), 5, "data encoding 2", ""},
		{RuleELFEndian, s, putText(5, "\xff"), 5, "data encoding 255", ""},
		{RuleELFClass, s, putText(4, "\x01"), 4, "class 1", ""},
		{RuleELFStringIndex, s, put16(62, 0), 62, "index 0", ""},
		{RuleELFStringIndex, s, put16(62, 0xff00), 62, "index 65280", ""},
		{RuleELFSectionCount, s, put16(60, 0), 60, "0 sections", ""},
		{RuleELFSectionCount, s, put16(60, 1), 60, "1 sections", ""},
		{RuleELFSectionCount, s, put16(60, 129), 60, "129 sections", ""},
		{RuleELFSectionTable, s, put16(60, 5), 40, "320 bytes at offset " + strconv.FormatInt(s.table, 10), ""},
		{RuleELFSectionTable, s, put64(40, 1<<64-64), 40, "offset 18446744073709551552", ""},
		{RuleELFSectionTable, s, put16(62, 4), entry(4), "string table's section header", ""},
		{RuleELFStringType, s, put32(entry(1)+4, 1), entry(1) + 4, "type 1", ""},
		{RuleELFStringSize, s, put64(entry(1)+32, 0), entry(1) + 32, "of 0 bytes", ""},
		{RuleELFStringSize, s, put64(entry(1)+32, uint64(size)), entry(1) + 32, "string table of", ""},
		{RuleELFStringInFile, s, put64(entry(1)+24, uint64(size-26)), entry(1) + 24, "27 bytes at offset", ""},
		{RuleELFStringInFile, s, put64(entry(1)+24, 1<<64-1), entry(1) + 24, "offset 18446744073709551615", ""},
		{RuleELFStringEnd, s, putText(s.names+26, "x"), s.names + 26, "is 120", ""},
		{RuleELFSectionName, s, put32(entry(0), sizeNamesELF), entry(0), "name at 27", ""},
		{RuleELFSectionName, s, put32(entry(2), 1<<32-1), entry(2), "name at 4294967295", ""},
		{RuleELFBodyTwice, s, put32(entry(3), nameBodyELF), entry(3), "index 3", ""},
		{RuleELFBodyPlace, s, put32(entry(1), nameBodyELF), entry(1), "index 1", ""},
		{RuleELFBodyRange, s, put64(entry(2)+24, 1<<32), entry(2) + 24, "offset 4294967296", ""},
		{RuleELFBodyRange, s, put64(entry(2)+32, 1<<32), entry(2) + 32, "size 4294967296", ""},
		{RuleELFHeaderPlace, s, swap, entry(2), "index 2", ""},
		{RuleELFHeaderSize, s, put64(entry(3)+32, 8191), entry(3) + 32, "8191", ""},
		{RuleELFHeaderSize, s, put32(entry(2), nameHeaderELF), entry(2) + 32, "header size", ""}, // a second header
		{RuleELFHeaderRange, s, put64(entry(3)+24, 1<<32), entry(3) + 24, "4294967296", ""},
		{RuleNoSections, s, unname(2, 3), s.table, "neither", ArchX86_64},
		{RuleNoHeader, s, unname(3), s.table, "without a header", ""},
		{RuleNoBody, s, unname(2), s.table, "without a body", ""},
		{RuleBodyOverlap, s, put64(entry(2)+32, uint64(body.Size+1)), body.Offset, strconv.FormatInt(body.End()+1, 10), ArchX86_64},
		{RuleHeaderInFile, s, put64(entry(3)+24, uint64(size-HeaderSize+1)), size - HeaderSize + 1, strconv.FormatInt(size+1, 10), ArchX86_64},
		{RuleMachine, s, put16(18, 243), 18, "machine-243", ""},
		{RuleBodySize, s, put64(entry(2)+32, uint64(body.Size-1)), body.Offset, strconv.FormatInt(body.Size-1, 10), ArchX86_64},
		{RuleHeaderChecksum, s, putText(header.Offset, "damaged"), header.Offset, "checksum of the header is", ArchX86_64},
		{RuleKind, s, putText(1, "EL!"), 0, "7f 45 4c 21", ""},
		{RuleKind, s, cut(3), 0, "3 bytes", ""},
		{RuleKind, s, cut(0), 0, "0 bytes", ""},
	}
}

func breachesPE(s *sample) []breach {
	entry := func(index int64) int64 { return s.table + index*peSectionHeaderSize }
	body, header := s.images[0].Body, s.images[0].Header
	return []breach{
		{RulePEShort, s, cut(63), 0, "63 bytes", ""},
		{RulePEShort, s, cut(2), 0, "2 bytes", ""},
		{RulePEShort, s, put32(peOffsetPointer, 1<<32-1), peOffsetPointer, "4294967295", ""},
		{RulePEImage, s, putText(64, "NE"), 64, "4e 45 00 00", ""},
		{RulePEImage, s, put16(s.names+16, 0), s.names + 16, "optional header of 0 bytes", ""},
		{RulePESections, s, put16(s.names+2, 0xffff), s.names + 2, "2621504", ""},
		{RuleNoSections, s, func(data []byte) []byte { return putText(entry(1), "x")(putText(entry(2), "x")(data)) }, s.table, "neither", ArchX86_64},
		{RuleNoHeader, s, putText(entry(2), "x"), s.table, "without a header", ""},
		{RuleNoBody, s, putText(entry(1), "x"), s.table, "without a body", ""},
		{RuleBodyOverlap, s, put32(entry(1)+16, uint32(body.Size+1)), body.Offset, strconv.FormatInt(body.End()+1, 10), ArchX86_64},
		{RuleHeaderInFile, s, put32(entry(2)+20, uint32(header.Offset+1)), header.Offset + 1, strconv.FormatInt(header.End()+1, 10), ArchX86_64},
		{RuleMachine, s, put16(s.names, 0x14c), s.names, "machine-0x14c", ""},
		{RuleBodySize, s, put32(entry(1)+16, 1), body.Offset, "body of 1 bytes", ArchX86_64},
	}
}

func breachesMachO(s *sample) []breach {
	entry := func(index int64) int64 { return machoFatHeaderSize + index*machoFatEntrySize }
	last := s.images[1]
	unmark := func(count uint32) func([]byte) []byte { // no header and no body, and another count
		return func(data []byte) []byte {
			clear(data[entry(2):min(entry(44), last.Body.Offset)])
			return putBig(4, count)(data)
		}
	}
	return []breach{
		{RuleMachOShort, s, cut(7), 0, "7 bytes", ""},
		{RuleMachOFat64, s, putBig(0, magicMachOFat64), 0, "0xcafebabf", ""},
		{RuleNoSections, s, put32(0, magicMachO64), 0, "single-architecture", "machine-0x6000000"},
		{RuleMachOCount, s, putBig(4, 5), 4, "5 architectures", ArchUniversal},
		{RuleMachOCount, s, putBig(4, 1<<32-1), 4, "4294967295 architectures", ArchUniversal},
		{RuleMachOCount, s, putBig(4, 0), 4, "0 architectures", ArchUniversal},
		{RuleMachOCount, s, putBig(4, 2), 4, "2 architectures", ArchUniversal}, // the others stand there all the same
		{RuleMachOCount, s, putBig(4, 7), 4, "7 architectures", ArchUniversal},
		{RuleMachOCount, s, putBig(4, 52), 4, "52 architectures", ArchUniversal},
		{RuleMachOCount, s, unmark(0), 4, "0 architectures", ArchUniversal},
		{RuleMachOPlain, s, unmark(2), 4, "2 architectures, none", ArchUniversal},
		{RuleMachOPlain, s, unmark(44), 4, "44 architectures, none", ArchUniversal},
		{RuleMachOEntry, s, func(data []byte) []byte { return unmark(2)(data)[:47] }, machoFatHeaderSize, "47 bytes", ""},
		{RuleMachOEntry, s, func(data []byte) []byte { return unmark(1)(data)[:8] }, machoFatHeaderSize, "8 bytes", ""},
		{RuleKind, s, unmark(45), 4, "Java class", ""},
		{RuleKind, s, func(data []byte) []byte { return unmark(3<<16 | 45)(data)[:8] }, 4, "Java class", ""},
		{RuleMachOEntry, s, cut(127), machoFatHeaderSize, "127 bytes", ""},
		{RuleMachOTwice, s, putBig(entry(4), machoCPUBodyAArch64), entry(4), "CPU type 1 again", ""},
		{RuleNoHeader, s, putBig(entry(3), 99), machoFatHeaderSize, "no entry", ArchAArch64},
		{RuleNoHeader, s, putBig(entry(5), 99), machoFatHeaderSize, "no entry", ArchX86_64},
		{RuleNoBody, s, putBig(entry(2), 99), machoFatHeaderSize, "no entry", ArchAArch64},
		{RuleNoBody, s, putBig(entry(4), 99), machoFatHeaderSize, "no entry", ArchX86_64},
		{RuleBodyOverlap, s, putBig(entry(4)+12, 1<<32-1), last.Body.Offset, strconv.FormatInt(last.Body.Offset+1<<32-1, 10), ArchX86_64},
		{RuleHeaderInFile, s, putBig(entry(5)+8, uint32(last.Header.Offset+1)), last.Header.Offset + 1, strconv.FormatInt(last.Header.End()+1, 10), ArchX86_64},
		{RuleBodySize, s, putBig(entry(4)+12, 7), last.Body.Offset, "body of 7 bytes", ArchX86_64},
		{RuleHeaderChecksum, s, putText(last.Header.Offset+5000, "x"), last.Header.Offset, "checksum of the header is", ArchX86_64},
		{RuleHeaders, s, func(data []byte) []byte {
			raw := s.header(data, 1)
			raw[OffsetChecksumBinary] ^= 1
			SealHeader(raw)
			return data
		}, last.Header.Offset + OffsetChecksumBinary, "whole-file checksum", ArchX86_64},
	}
}

// breachesHeader change one field of a header whose checksum is made to match again.
func breachesHeader(s *sample) []breach {
	edit := func(rule Rule, offset int64, value string, at int64, found string) breach {
		header := s.images[0].Header.Offset
		return breach{rule, s, func(data []byte) []byte {
			copy(data[header+offset:], value)
			SealHeader(s.header(data, 0))
			return data
		}, header + at, found, ArchX86_64}
	}
	number := func(value uint32) string { return string(binary.LittleEndian.AppendUint32(nil, value)) }
	pastReleases, past := NewRelease(0, 17, 6), packSize()-int64(len(sampleMembers()[1]))
	same := func(rule Rule, offset int64, value, found string) breach {
		return edit(rule, offset, value, offset, found)
	}
	return []breach{
		same(RuleSchema, offsetSchemaVersion, number(2), "schema version 2"),
		same(RuleSchema, offsetSchemaVersion, number(0), "schema version 0"),
		same(RuleReleasesMax, offsetReleasesMax, number(65), "65"),
		same(RuleCurrentVisit, offsetCurrentFlags, "\x00", "current flags"),
		same(RuleCurrentFlags, offsetCurrentFlags, "\x05", "current flags"),
		same(RuleCurrentPadding, offsetCurrentPadding+2, "\x01", "0x01"),
		same(RulePastCount, offsetPastCount, number(0), "0 past releases"),
		same(RulePastCount, offsetPastCount, number(64), "64 past releases"),
		same(RulePastCount, offsetPastCount, number(1<<32-1), "4294967295 past releases"),
		same(RulePastRelease, offsetPastReleases, number(0), "past release 0 is 0"),
		edit(RulePastReleaseOrder, offsetPastReleases, number(uint32(NewRelease(0, 17, 9))), offsetPastReleases+4, "past release 1 is 0.17.7"),
		edit(RulePastReleaseTwice, offsetPastReleases+4, number(uint32(pastReleases)), offsetPastReleases+4, "0.17.6 twice"),
		same(RulePastNewest, offsetPastReleases+4, number(uint32(NewRelease(0, 17, 8))), "newest past release 0.17.8"),
		edit(RulePastNewest, offsetCurrentRelease, number(uint32(NewRelease(0, 17, 7))), offsetPastReleases+4, "0.17.7"),
		same(RulePastOffset, offsetPastOffsets, number(1), "offset 1"),
		same(RulePastSize, offsetPastSizes+4, number(0), "past release 1 (0.17.7) has size 0"),
		same(RulePastSum, offsetPastOffsets+4, number(uint32(past+1)), "has offset "+strconv.FormatInt(past+1, 10)),
		same(RulePastFlags, offsetPastFlags+1, "\x81", "past release 1 (0.17.7)"),
		same(RulePastCommit, offsetPastCommits+20, strings.Repeat("\x00", 20), "past release 1 (0.17.7)"),
		same(RulePastClientMin, offsetPastClientMins, number(0), "past release 0 (0.17.6)"),
		same(RulePastClientMinOrder, offsetPastClientMins+4, number(uint32(NewRelease(0, 15, 2))), "is 0.15.2"),
		same(RulePastUnused, offsetPastReleases+8, number(1), "past.releases"),
		same(RulePastUnused, offsetPastChecksums+16*63-1, "x", "past.checksums"),
		same(RulePastUnused, offsetPastOffsets+4*62, number(1), "past.offsets"),
		same(RulePastUnused, offsetPastSizes+4*2, number(1), "past.sizes"),
		same(RulePastUnused, offsetPastFlags+62, "\x01", "past.flags"),
		same(RulePastUnused, offsetPastCommits+20*63-1, "x", "past.git_commits"),
		same(RulePastUnused, offsetPastClientMins+4*62, number(1), "past.release_client_mins"),
		same(RulePastFlagsPadding, offsetPastFlagsPadding, "x", "0x78"),
		same(RulePastPadding, offsetPastPadding+15, "x", "0x78"),
		same(RuleCurrentCommit, offsetCurrentCommit, strings.Repeat("\x00", 20), "commit of zeros"),
		same(RuleCurrentClientMin, offsetCurrentClientMin, number(0), "client minimum 0"),
		// Release 0 is older than every past release, and releases so early have neither commit nor
		// client minimum: these break more than one rule, and the first is what decodeHeader returns.
		same(RuleCurrentRelease, offsetCurrentRelease, number(0), "current release 0"),
		edit(RuleCurrentCommitEarly, offsetCurrentRelease, number(uint32(ReleaseFirst)), offsetCurrentCommit, "0x08"),
	}
}

func breaches(t testing.TB) []breach {
	elf, pe, macho := sampleELF(t), samplePE(t), sampleMachO(t)
	all := append(breachesELF(&elf), breachesPE(&pe)...)
	all = append(all, breachesMachO(&macho)...)
	return append(all, breachesHeader(&elf)...)
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, test := range breaches(t) {
		t.Run(string(test.base.format)+"/"+string(test.rule), func(t *testing.T) {
			t.Parallel()
			data := test.edit(test.base.clone())
			_, err := parse(data)
			failure, ok := errors.AsType[*FormatError](err)
			if !ok || !errors.Is(err, test.rule) {
				t.Fatalf("got %v, want %s", err, test.rule)
			}
			if failure.Offset != test.offset {
				t.Errorf("offset %d, want %d: %v", failure.Offset, test.offset, err)
			}
			if !strings.Contains(failure.Found, test.found) || failure.Want == "" {
				t.Errorf("found %q, want %q: should tell of %q", failure.Found, failure.Want, test.found)
			}
			if failure.Arch != test.arch {
				t.Errorf("architecture %q, want %q", failure.Arch, test.arch)
			}
			if format := test.base.format; failure.Format != format && test.rule != RuleKind {
				t.Errorf("format %q, want %q", failure.Format, format)
			}
			text := err.Error()
			for _, part := range []string{string(test.rule), strconv.FormatInt(test.offset, 10), test.found} {
				if !strings.Contains(text, part) {
					t.Errorf("%q does not say %q", text, part)
				}
			}
		})
	}
}

// An early release with a client minimum but no commit breaks that rule alone.
func TestRuleCurrentClientMinEarly(t *testing.T) {
	t.Parallel()
	header := Header{
		Current: Current{Release: ReleaseFirst, ClientMin: ReleaseEpoch},
		Past:    []Past{{Release: ReleaseEpoch, Size: 1, Commit: Commit{1}, ClientMin: ReleaseEpoch}},
	}
	_, err := header.Encode()
	failure, ok := errors.AsType[*FormatError](err)
	if !ok || failure.Rule != RuleCurrentClientMinEarly || failure.Offset != offsetCurrentClientMin || !strings.Contains(failure.Found, "0.15.3") {
		t.Error(err)
	}
	header.Current.ClientMin = 0
	if _, err := header.Encode(); err != nil {
		t.Error(err)
	}
}

// broke is a reader that fails.
type broke struct{}

func (broke) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestRuleRead(t *testing.T) {
	t.Parallel()
	_, err := Parse(broke{}, 1<<20)
	if !errors.Is(err, RuleRead) || !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestRuleSize(t *testing.T) {
	t.Parallel()
	_, err := Parse(broke{}, SizeMax)
	failure, ok := errors.AsType[*FormatError](err)
	if !ok || failure.Rule != RuleSize || failure.Found != "268435456 bytes" {
		t.Error(err)
	}
	file := sparseELF(t, SizeMax-1)
	if _, err := Parse(file, SizeMax-1); err != nil {
		t.Errorf("one byte less: %v", err)
	}
}

// Every rule in the source must be broken by a test above.
func TestRulesComplete(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{
		string(RuleRead): true, string(RuleSize): true, string(RuleCurrentClientMinEarly): true,
		string(RuleReserved): true, // of Encode
	}
	for _, test := range breaches(t) {
		tested[string(test.rule)] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		kind, ok := spec.Type.(*ast.Ident)
		if !ok || kind.Name != "Rule" {
			return true
		}
		for index, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[index].(*ast.BasicLit).Value)
			if err != nil || !tested[value] {
				t.Errorf("no test breaks %s (%s)", name.Name, value)
			}
			rules++
		}
		return true
	})
	if rules < 50 {
		t.Errorf("only %d rules found in the source", rules)
	}
}

func TestIsPlain(t *testing.T) {
	t.Parallel()
	for _, test := range breaches(t) {
		_, err := parse(test.edit(test.base.clone()))
		if want := test.rule == RuleNoSections || test.rule == RuleMachOPlain; IsPlain(err) != want {
			t.Errorf("%v: plain %t", err, !want)
		}
	}
	if IsPlain(nil) || IsPlain(io.EOF) {
		t.Error("plain without a rule")
	}
}

// CheckHeader returns everything that is broken, not only the first.
func TestCheckHeaderAll(t *testing.T) {
	t.Parallel()
	sample := sampleELF(t)
	raw := *sample.header(sample.clone(), 0)
	raw[offsetCurrentPadding], raw[offsetPastPadding], raw[offsetPastFlags] = 1, 1, 4
	var rules []string
	for _, failure := range CheckHeader(&raw, 1000) {
		rules = append(rules, string(failure.Rule))
		if failure.Offset < 1000 {
			t.Errorf("%v: offset is not that in the file", failure)
		}
	}
	if got := strings.Join(rules, " "); got != "header-checksum current-padding past-padding past-flags" {
		t.Error(got)
	}
}
