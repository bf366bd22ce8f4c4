package multiversion

import (
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/fault"
)

// Rule names one rule of the format. It is an error, so that
// errors.Is(err, multiversion.RuleELFSectionCount) tells which rule was broken.
type Rule string

// Error returns the rule's name.
func (r Rule) Error() string { return string(r) }

// The rules of every format.
const (
	RuleSize         Rule = "file-size"           // larger than [SizeMax]
	RuleKind         Rule = "file-kind"           // neither ELF, PE nor Mach-O
	RuleNoSections   Rule = "no-sections"         // an executable with neither header nor body
	RuleNoHeader     Rule = "no-header"           // a body without a header
	RuleNoBody       Rule = "no-body"             // a header without a body
	RuleBodyOverlap  Rule = "body-before-header"  // the body ends behind the header's start
	RuleHeaderInFile Rule = "header-in-file"      // the header ends past the end of the file
	RuleMachine      Rule = "machine"             // neither x86_64 nor aarch64
	RuleRead         Rule = "read"                // the file could not be read
	RuleBodySize     Rule = "body-holds-the-pack" // the pack is larger than the body
	RuleHeaders      Rule = "headers-agree"       // Mach-O: the two headers carry different whole-file checksums
)

// The rules of ELF files.
const (
	RuleELFShort        Rule = "elf-short"                // shorter than the ELF header
	RuleELFVersion      Rule = "elf-version"              // EI_VERSION is not 1
	RuleELFEndian       Rule = "elf-little-endian"        // EI_DATA is not little-endian
	RuleELFClass        Rule = "elf-64-bit"               // EI_CLASS is not 64-bit
	RuleELFStringIndex  Rule = "elf-string-table-index"   // e_shstrndx is 0 or reserved
	RuleELFSectionCount Rule = "elf-section-count"        // fewer than 2 or more than 128 sections
	RuleELFSectionTable Rule = "elf-section-table"        // the section table ends past the end of the file
	RuleELFStringType   Rule = "elf-string-table-type"    // not SHT_STRTAB
	RuleELFStringSize   Rule = "elf-string-table-size"    // empty, or not smaller than the file
	RuleELFStringInFile Rule = "elf-string-table-in-file" // ends past the end of the file
	RuleELFStringEnd    Rule = "elf-string-table-end"     // does not end in a NUL
	RuleELFSectionName  Rule = "elf-section-name"         // a name past the string table
	RuleELFBodyTwice    Rule = "elf-body-once"            // two bodies
	RuleELFBodyPlace    Rule = "elf-body-second-last"     // the body is not the second-last section
	RuleELFBodyRange    Rule = "elf-body-32-bit"          // offset or size of the body need more than 32 bits
	RuleELFHeaderPlace  Rule = "elf-header-last"          // the header is not the last section
	RuleELFHeaderSize   Rule = "elf-header-size"          // the header section is not 8192 bytes
	RuleELFHeaderRange  Rule = "elf-header-32-bit"        // the header's offset needs more than 32 bits
)

// The rules of PE files.
const (
	RulePEShort    Rule = "pe-short"         // ends inside the headers
	RulePEImage    Rule = "pe-image"         // no PE signature, or no optional header: an object, or MS-DOS
	RulePESections Rule = "pe-section-table" // the section table ends past the end of the file
)

// The rules of Mach-O universal files.
const (
	RuleMachOShort Rule = "macho-short"          // shorter than the fat header
	RuleMachOFat64 Rule = "macho-32-bit-offsets" // a fat header with 64-bit offsets
	RuleMachOPlain Rule = "macho-plain"          // a universal executable with neither header nor body
	RuleMachOCount Rule = "macho-six"            // header or body, but not six architectures; or none at all
	RuleMachOEntry Rule = "macho-entry"          // an architecture entry past the end of the file
	RuleMachOTwice Rule = "macho-once"           // a CPU type that carries data stands twice
)

// The rules of the header.
const (
	RuleHeaderChecksum        Rule = "header-checksum"
	RuleSchema                Rule = "schema-version"
	RuleReleasesMax           Rule = "releases-max"
	RuleCurrentRelease        Rule = "current-release"
	RuleCurrentVisit          Rule = "current-visit"
	RuleCurrentFlags          Rule = "current-flags"
	RuleCurrentPadding        Rule = "current-padding"
	RulePastCount             Rule = "past-count"
	RulePastRelease           Rule = "past-release"
	RulePastReleaseOrder      Rule = "past-release-order"
	RulePastReleaseTwice      Rule = "past-release-once"
	RulePastNewest            Rule = "past-older-than-current"
	RulePastOffset            Rule = "past-offset"
	RulePastSize              Rule = "past-size"
	RulePastSum               Rule = "past-sum"
	RulePastFlags             Rule = "past-flags"
	RulePastCommit            Rule = "past-commit"
	RulePastClientMin         Rule = "past-client-min"
	RulePastClientMinOrder    Rule = "past-client-min-order"
	RulePastUnused            Rule = "past-unused"
	RulePastFlagsPadding      Rule = "past-flags-padding"
	RulePastPadding           Rule = "past-padding"
	RuleCurrentCommit         Rule = "current-commit"
	RuleCurrentClientMin      Rule = "current-client-min"
	RuleCurrentCommitEarly    Rule = "current-commit-early"
	RuleCurrentClientMinEarly Rule = "current-client-min-early"
	RuleReserved              Rule = "reserved" // more reserved bytes than there is room for: of [Header.Encode], not of a file
)

// FormatError says which rule of the format a file breaks, where and how.
// It matches its Rule with errors.Is, and its cause, if it has one.
type FormatError struct {
	Rule   Rule   `json:"rule"`
	Offset int64  `json:"offset"` // in bytes from the start of the file
	Found  string `json:"found"`  // the value found
	Want   string `json:"want"`   // what the rule asks for
	Arch   Arch   `json:"arch,omitempty"`
	Format Format `json:"format,omitempty"`
	Err    error  `json:"-"` // the cause, for RuleRead
}

// Error says the rule, the offset, what was found and what is wanted.
func (e *FormatError) Error() string {
	text := fmt.Sprintf("%s: offset %d: %s", e.Rule, e.Offset, e.Found)
	if e.Want != "" {
		text += ", want " + e.Want
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Outline is the error without what was found: for who may not be told what is in the file.
func (e *FormatError) Outline() string {
	text := fmt.Sprintf("%s: offset %d", e.Rule, e.Offset)
	if e.Want != "" {
		text += ": want " + e.Want
	}
	return text
}

// Outline is what an error says, of a [FormatError] its outline.
func Outline(err error) string {
	if format, ok := errors.AsType[*FormatError](err); ok {
		return format.Outline()
	}
	return err.Error()
}

// Is reports whether target is the broken rule.
func (e *FormatError) Is(target error) bool {
	rule, ok := target.(Rule)
	return ok && rule == e.Rule
}

// Unwrap returns the cause, or nil.
func (e *FormatError) Unwrap() error { return e.Err }

// Class is [fault.Rejected], but for a file that could not be read.
func (e *FormatError) Class() fault.Class {
	if e.Rule == RuleRead {
		return fault.None
	}
	return fault.Rejected
}

// broken makes the error of one rule.
func broken(rule Rule, offset int64, want, found string, args ...any) *FormatError {
	return &FormatError{Rule: rule, Offset: offset, Want: want, Found: fmt.Sprintf(found, args...)}
}

// IsPlain reports whether err says that a file is an executable without
// multiversion sections, as 0.15.3 and every past executable is: an executable
// of a known format that was read well, but has neither header nor body. A damaged
// multiversion binary is not plain.
func IsPlain(err error) bool {
	return errors.Is(err, RuleNoSections) || errors.Is(err, RuleMachOPlain)
}
