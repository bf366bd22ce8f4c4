package verify

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
)

// diagnose says in one line what the failed findings together mean. What it
// says is the likeliest cause, from the pattern of what holds and what does not.
func (j *judge) diagnose() string {
	switch {
	case j.failure != nil:
		return j.diagnoseLocation()
	case len(j.findings.failed(CheckHeaderChecksum)) > 0:
		return j.diagnoseHeader()
	case len(j.findings.failed(CheckHeaderFields, CheckPackFits, CheckHeadersAgree)) > 0:
		return j.diagnoseFields()
	case len(j.findings.failed(CheckFileChecksum)) > 0:
		return j.diagnoseDamage()
	}
	return j.diagnoseBuild()
}

// zeroTail recognizes a file that has its size but not its last bytes, as a crash
// or an interrupted copy into a preallocated file leaves it. A good file may end
// with the zeros of a header, but not with more. It is for the diagnosis alone, so what
// cannot be read is passed over.
func (j *judge) zeroTail() string {
	const tailMin = 2 * multiversion.HeaderSize
	if j.size < tailMin || j.size >= multiversion.SizeMax {
		return ""
	}
	var zeros int64
	buffer := make([]byte, 64<<10)
	for zeros < j.size {
		piece := buffer[:min(int64(len(buffer)), j.size-zeros)]
		if count, _ := j.r.ReadAt(piece, j.size-zeros-int64(len(piece))); count < len(piece) {
			return ""
		}
		rest := len(bytes.TrimRight(piece, "\x00"))
		zeros += int64(len(piece) - rest)
		if rest > 0 {
			break
		}
	}
	if zeros < tailMin {
		return ""
	}
	return fmt.Sprintf("the last %d bytes of the file are zeros, as after an interrupted copy or a crash: ", zeros)
}

// diagnoseLocation explains why header and body were not found.
func (j *judge) diagnoseLocation() string {
	failure := j.failure
	switch failure.Rule {
	case multiversion.RuleELFShort, multiversion.RulePEShort, multiversion.RuleMachOShort, multiversion.RuleMachOEntry,
		multiversion.RuleELFSectionTable, multiversion.RulePESections, multiversion.RuleHeaderInFile, multiversion.RuleELFStringInFile:
		return fmt.Sprintf("the file is cut short, or its first bytes are damaged: %s, but the file has %d bytes", failure.Found, j.size)
	case multiversion.RuleSize:
		return fmt.Sprintf("the file is too large to be a multiversion binary: %s", failure.Found)
	}
	last := j.findings[0]
	if multiversion.IsPlain(failure) || failure.Rule == multiversion.RuleKind {
		return last.Detail
	}
	return fmt.Sprintf("%s: %s", last.Detail, failure)
}

// diagnoseHeader explains a header whose own checksum fails.
func (j *judge) diagnoseHeader() string {
	failed := j.findings.failed(CheckHeaderChecksum)
	which := "the header"
	if len(j.images) > 1 {
		which = "the header for " + string(failed[0].Arch)
		if len(failed) > 1 {
			which = "both headers"
		}
	}
	text := which + " is damaged"
	if len(failed) > 1 {
		text = which + " are damaged"
	}
	switch {
	case j.findings.held(CheckFileChecksum):
		return text + "; the rest of the file holds"
	case len(j.findings.failed(CheckPastChecksum)) > 0:
		return text + ", and so may be the rest of the file"
	}
	return text + ": its checksum does not match its bytes"
}

// diagnoseFields explains a header whose checksum holds over values that break rules.
func (j *judge) diagnoseFields() string {
	failed := j.findings.failed(CheckHeaderFields, CheckPackFits, CheckHeadersAgree)
	first := failed[0]
	if first.Rule == string(multiversion.RuleSchema) {
		return fmt.Sprintf("the header has a schema that is not known: %s", first.Found)
	}
	text := fmt.Sprintf("the header is whole but breaks the rule %s: %s", first.Rule, first.Found)
	if more := len(failed) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// diagnoseDamage explains a good header before bytes that have changed.
func (j *judge) diagnoseDamage() string {
	past := j.findings.failed(CheckPastChecksum)
	current := j.findings.failed(CheckCurrentChecksum)
	all := 0
	for _, image := range j.images {
		all += len(image.past)
	}
	switch {
	case swapped(past) != "":
		return swapped(past)
	case len(past) == all && all > 1:
		return "none of the past releases is what the header says: the pack is that of another file, or damaged throughout"
	case len(past) > 0 && len(current) > 0:
		return fmt.Sprintf("%s and the current executable are damaged", pastText(past))
	case len(past) == 1:
		return pastText(past) + " is damaged"
	case len(past) > 0:
		return pastText(past) + " are damaged"
	case len(current) > 0:
		return fmt.Sprintf("the current executable (%s) is damaged; the past releases hold", current[0].Release)
	}
	return "bytes outside header and pack changed; the past releases hold"
}

// swapped names two past releases that stand in each other's place.
func swapped(past []Finding) string {
	for index, a := range past {
		for _, b := range past[index+1:] {
			if a.Arch == b.Arch && a.Found == b.Expected && b.Found == a.Expected {
				return fmt.Sprintf("past releases %s and %s stand in each other's place", a.Release, b.Release)
			}
		}
	}
	return ""
}

func pastText(past []Finding) string {
	var names []string
	for _, finding := range past {
		name := finding.Release.String()
		if len(past) > 1 && past[0].Arch != past[len(past)-1].Arch {
			name += " for " + string(finding.Arch)
		}
		names = append(names, name)
	}
	if len(names) == 1 {
		return "past release " + names[0]
	}
	return "past releases " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// diagnoseBuild explains a file whose own checksums hold, but which was built wrong.
func (j *judge) diagnoseBuild() string {
	const whole = "the file is as it was built, but "
	past, executable, current := j.findings.failed(CheckPastChecksum), j.findings.failed(CheckPastExecutable), j.findings.failed(CheckCurrentChecksum)
	switch {
	case swapped(past) != "":
		return whole + swapped(past)
	case len(past) > 0:
		return whole + pastText(past) + " does not match the header's checksum"
	case len(executable) > 0:
		return fmt.Sprintf("%spast release %s is %s, not %s", whole, executable[0].Release, executable[0].Found, executable[0].Expected)
	case len(current) > 0:
		return whole + "the current executable does not match the header's checksum"
	}
	if size := j.findings.failed(CheckSizeLimit); len(size) > 0 {
		return fmt.Sprintf("the file is too large: %s, want %s: a replica would crash on it", size[0].Found, size[0].Expected)
	}
	return "not everything could be checked"
}
