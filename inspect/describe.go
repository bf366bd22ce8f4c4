package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/multiversion"
)

// NameMultiversion and NameDamaged are the names of the two kinds that only
// multiversion binaries have; the others are a file's magic number: "elf", "pe",
// "macho", "macho-universal", "zip", "gzip", "tar", "html", "json", "text", "empty", …
const (
	NameMultiversion = "multiversion"
	NameDamaged      = "damaged" // an executable that breaks a rule of the format
)

// Kind says what a file is, for a machine and for a person.
type Kind struct {
	Name   string              `json:"name"`
	Format multiversion.Format `json:"format,omitempty"`
	Arch   multiversion.Arch   `json:"arch,omitempty"`

	// Text is the description with its article: "an ELF x86_64 executable without
	// multiversion sections".
	Text string `json:"text"`
}

// String returns the description.
func (k Kind) String() string { return k.Text }

// stranger reports whether a file of this kind never was a multiversion binary.
func (k Kind) stranger() bool { return k.Name != NameMultiversion && k.Name != NameDamaged }

// NotMultiversionError says that a file is something else than a multiversion
// binary, and what. It wraps the [*multiversion.FormatError] of the rule broken.
type NotMultiversionError struct {
	Kind Kind
	Err  error
}

// Error says what the file is.
func (e *NotMultiversionError) Error() string {
	return "not a multiversion binary: " + e.Kind.Text
}

// Unwrap returns the cause.
func (e *NotMultiversionError) Unwrap() error { return e.Err }

// Class is [fault.Rejected].
func (e *NotMultiversionError) Class() fault.Class { return fault.Rejected }

// Describe names a file of size bytes for what it is, from its headers. It is for
// messages: a name is no proof. It never fails; a file that cannot be read is
// named so.
func Describe(r io.ReaderAt, size int64) Kind {
	_, err := multiversion.Parse(r, size)
	return describe(r, size, err)
}

// describe names a file that multiversion.Parse answered with err.
func describe(r io.ReaderAt, size int64, err error) Kind {
	prefix := make([]byte, min(max(size, 0), archive.SniffSize))
	if count, readErr := r.ReadAt(prefix, 0); count < len(prefix) {
		return Kind{Name: "unreadable", Text: fmt.Sprintf("a file that cannot be read: %v", readErr)}
	}
	sniffed := archive.Sniff(prefix)
	kind := Kind{Name: string(sniffed), Text: sniffed.String()}
	if sniffed == archive.KindZip {
		kind.Text = describeZip(r, size)
	}
	if !sniffed.Executable() {
		return kind
	}
	var failure *multiversion.FormatError
	if err != nil && !errors.As(err, &failure) {
		return kind
	}
	format, arch, identifyErr := multiversion.Identify(r, size)
	kind.Format, kind.Arch = format, arch
	switch {
	case err == nil:
		kind.Name = NameMultiversion
		kind.Text = fmt.Sprintf("%s %s %s multiversion binary", article(format), format, arch)
	case sniffed == archive.KindMachOUniversal && errors.Is(err, multiversion.RuleKind): // they share the magic number
		return Kind{Name: "java-class", Text: "a Java class file"}
	case errors.Is(err, multiversion.RuleMachOPlain):
		return describeUniversal(kind, prefix)
	case multiversion.IsPlain(err):
		kind.Text = fmt.Sprintf("%s %s %s executable without multiversion sections", article(format), format, arch)
	case identifyErr != nil:
		kind.Name, kind.Text = describeOdd(kind.Name, kind.Text, failure)
	default:
		kind.Name = NameDamaged
		kind.Text = fmt.Sprintf("%s %s %s executable that breaks the rule %s", article(format), format, arch, failure.Rule)
	}
	return kind
}

func article(format multiversion.Format) string {
	if format == multiversion.FormatELF {
		return "an"
	}
	return "a"
}

// describeUniversal names a universal file without multiversion sections.
func describeUniversal(kind Kind, prefix []byte) Kind {
	if len(prefix) < 8 {
		return kind
	}
	plural := "s"
	count := binary.BigEndian.Uint32(prefix[4:])
	if count == 1 {
		plural = ""
	}
	kind.Text = fmt.Sprintf("a Mach-O universal file with %d architecture%s, without multiversion sections", count, plural)
	return kind
}

// describeOdd names an executable whose architecture cannot be told.
func describeOdd(name, text string, failure *multiversion.FormatError) (string, string) {
	switch failure.Rule {
	case multiversion.RuleELFClass:
		return name, "an ELF executable that is not 64-bit"
	case multiversion.RuleELFEndian:
		return name, "an ELF executable that is not little-endian"
	case multiversion.RulePEImage:
		return name, "an MS-DOS executable or a PE object file"
	}
	return NameDamaged, fmt.Sprintf("%s that breaks the rule %s", text, failure.Rule)
}

// describeZip says whether there is an executable in the archive.
func describeZip(r io.ReaderAt, size int64) string {
	zip, err := archive.Open(r, size)
	switch {
	case err == nil:
		return fmt.Sprintf("a zip archive with the executable %q", zip.Entry.Name)
	case errors.Is(err, archive.RuleNoExecutable):
		return "a zip archive without an executable"
	case archive.Truncated(err):
		return "a zip archive that is cut short"
	}
	return "a zip archive"
}
