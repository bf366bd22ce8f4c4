package archive

import (
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
)

// A Rule names what an archive broke. Every refusal is a [*FormatError] that unwraps to its Rule,
// so errors.Is(err, archive.RuleEncrypted) tells one from another.
type Rule string

// Error makes a Rule comparable with errors.Is; the message for people is the FormatError's.
func (r Rule) Error() string { return "archive: " + string(r) }

// The rules, each with what breaks it.
const (
	RuleNotZip           Rule = "not a zip"              // the first bytes are something else
	RuleTruncated        Rule = "truncated"              // the bytes end before the archive does
	RuleTrailing         Rule = "trailing bytes"         // something follows the end record
	RuleStructure        Rule = "structure"              // a record is not where or what it must be
	RuleSpanned          Rule = "spanned"                // the archive says that it is one disk of several
	RuleEncrypted        Rule = "encrypted"              // an entry or the directory is encrypted
	RuleMethod           Rule = "compression method"     // neither stored nor deflated
	RuleName             Rule = "entry name"             // absolute, climbing, with a backslash or a NUL
	RuleNoExecutable     Rule = "no executable"          // no entry has an executable's name
	RuleTwoExecutables   Rule = "two executables"        // more than one entry has
	RuleNotRegular       Rule = "not a regular file"     // the executable is a directory, symlink or device
	RuleEntries          Rule = "entry count"            // more entries than the limit
	RuleSizeMax          Rule = "size limit"             // larger than the limit
	RuleRatio            Rule = "expansion ratio"        // expands more than a program does
	RuleHeader           Rule = "header size"            // a name or an extra field longer than the limit
	RuleStoredDescriptor Rule = "stored with descriptor" // cannot be streamed
	RuleDeflate          Rule = "deflate data"           // the compressed data is damaged
	RuleCRC              Rule = "crc-32"                 // the data has another CRC-32 than stated
	RuleSize             Rule = "size"                   // the data has another size than stated
	RuleMismatch         Rule = "directory mismatch"     // local header and central directory disagree
)

// A FormatError says which rule an archive broke, and where.
type FormatError struct {
	Rule   Rule   `json:"rule"`
	Offset int64  `json:"offset"` // in bytes from the archive's start, of the record or byte in question
	Detail string `json:"detail"`
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("archive: %s: %s (at offset %d)", string(e.Rule), e.Detail, e.Offset)
}

// Unwrap returns the rule, and for a truncated archive io.ErrUnexpectedEOF as well.
func (e *FormatError) Unwrap() []error {
	if e.Rule == RuleTruncated {
		return []error{e.Rule, io.ErrUnexpectedEOF}
	}
	return []error{e.Rule}
}

// Class is [fault.Rejected].
func (e *FormatError) Class() fault.Class { return fault.Rejected }

func broken(rule Rule, offset int64, format string, args ...any) error {
	return &FormatError{Rule: rule, Offset: offset, Detail: fmt.Sprintf(format, args...)}
}
