package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// Verdict is what a replica makes of a binary: accepted, or upstream's name of
// the error that it logs.
type Verdict string

// The verdicts. Upstream has finer names for some of what is InvalidELF,
// InvalidPE, InvalidMacho and InvalidHeader here; Event.Rule tells them apart.
const (
	VerdictAccepted       Verdict = "accepted"
	VerdictNotExecutable  Verdict = "BinaryNotMarkedExecutable"
	VerdictNotFound       Verdict = "FileNotFound"
	VerdictAccessDenied   Verdict = "AccessDenied"
	VerdictUnreadable     Verdict = "InputOutput"
	VerdictChecksum       Verdict = "ChecksumMismatch"
	VerdictHeadersDiffer  Verdict = "HeadersDiffer"
	VerdictRunningMissing Verdict = "RunningVersionNotIncluded"
	VerdictNotSuperset    Verdict = "NotSuperset"
	VerdictNoPlatform     Verdict = "NoValidPlatformDetected"
	VerdictNoMultiversion Verdict = "MultiversionHeaderOrBodyNotFound"
	VerdictArchitecture   Verdict = "UnknownArchitecture"
	VerdictBodyOverlaps   Verdict = "MultiversionBodyOverlapsHeader"
	VerdictTooSmall       Verdict = "FileTooSmall"
	VerdictInvalidELF     Verdict = "InvalidELF"
	VerdictInvalidPE      Verdict = "InvalidPE"
	VerdictInvalidMachO   Verdict = "InvalidMacho"
	VerdictInvalidHeader  Verdict = "InvalidHeader"
	VerdictInvalidSchema  Verdict = "InvalidSchemaVersion"
	VerdictInvalidPast    Verdict = "InvalidPastReleases"
	VerdictPastNewer      Verdict = "PastReleaseNewerThanCurrent"

	// VerdictTooLarge has no name upstream: a replica that finds such a file crashes.
	VerdictTooLarge Verdict = "FileTooLarge"
)

var (
	errNotExecutable = errors.New("the owner may not execute it")
	errTooLarge      = errors.New("a replica that finds a file of this size crashes")
	errChecksum      = errors.New("the file's checksum does not hold")
	errExchanged     = errors.New("it was changed, or another file was put there, before it could be read")
)

// verdictOf names an error as upstream does.
func verdictOf(err error) Verdict {
	if failure, ok := errors.AsType[*multiversion.FormatError](err); ok {
		return verdictOfRule(failure.Rule)
	}
	switch {
	case err == nil:
		return VerdictAccepted
	case errors.Is(err, errNotExecutable):
		return VerdictNotExecutable
	case errors.Is(err, errTooLarge):
		return VerdictTooLarge
	case errors.Is(err, errChecksum):
		return VerdictChecksum
	case errors.Is(err, replica.ErrRunningVersionNotIncluded):
		return VerdictRunningMissing
	case errors.Is(err, replica.ErrNotSuperset):
		return VerdictNotSuperset
	case errors.Is(err, fs.ErrNotExist):
		return VerdictNotFound
	case errors.Is(err, fs.ErrPermission), errors.As(err, new(*vfs.DeniedError)):
		return VerdictAccessDenied
	}
	return VerdictUnreadable
}

func verdictOfRule(rule multiversion.Rule) Verdict {
	switch rule {
	case multiversion.RuleSize:
		return VerdictTooLarge
	case multiversion.RuleRead:
		return VerdictUnreadable
	case multiversion.RuleKind:
		return VerdictNoPlatform
	case multiversion.RuleNoSections, multiversion.RuleNoHeader, multiversion.RuleNoBody:
		return VerdictNoMultiversion
	case multiversion.RuleBodyOverlap:
		return VerdictBodyOverlaps
	case multiversion.RuleHeaderInFile:
		return VerdictTooSmall
	case multiversion.RuleMachine:
		return VerdictArchitecture
	case multiversion.RuleHeaders:
		return VerdictHeadersDiffer
	case multiversion.RuleHeaderChecksum:
		return VerdictChecksum
	case multiversion.RuleSchema:
		return VerdictInvalidSchema
	case multiversion.RulePastNewest:
		return VerdictPastNewer
	}
	for prefix, verdict := range map[string]Verdict{
		"elf-": VerdictInvalidELF, "pe-": VerdictInvalidPE, "macho-": VerdictInvalidMachO, "past-": VerdictInvalidPast,
	} {
		if strings.HasPrefix(string(rule), prefix) {
			return verdict
		}
	}
	return VerdictInvalidHeader
}

// ruleOf returns the rule that an error breaks, or "".
func ruleOf(err error) multiversion.Rule {
	if failure, ok := errors.AsType[*multiversion.FormatError](err); ok {
		return failure.Rule
	}
	return ""
}

// checkSize refuses what crashes a replica: its own build decides on
// the limit, which is taken to be like the file's.
func checkSize(binary *multiversion.Binary) error {
	limit := multiversion.SizeLimit(binary.Format, binary.HostImage().Header.Current.Debug)
	if binary.Size >= limit {
		return fmt.Errorf("%w: %d bytes, want less than %d", errTooLarge, binary.Size, limit)
	}
	return nil
}
