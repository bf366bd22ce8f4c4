package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/release"
)

// entryFile are those of the file that the command line names.
func entryFile(a *app, err error) (exitCode, string, any, bool) {
	var path *fs.PathError
	if !errors.As(err, &path) || path.Path != a.about.file {
		return 0, "", nil, false
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return exitFailed, hintMissing(path.Path), nil, true
	case errors.Is(err, errIsDirectory):
		return exitFailed, "name the file in it: ls {file}", nil, true
	case errors.Is(err, errNotRegular):
		return exitFailed, "a stream comes through standard input: cat {file} | tbctl " + a.command + " -", nil, true
	}
	return 0, "", nil, false
}

// hintMissing is about a file that is not there.
func hintMissing(name string) string {
	if strings.Contains(name, "://") {
		return "fetch it first: tbctl download " + shellWord(release.Redact(name))
	}
	if isRelease(name) {
		return fmt.Sprintf("%s is a release, not a file; fetch it: tbctl download %s", name, name)
	}
	if name == "" || os.IsPathSeparator(name[0]) {
		return "check the name"
	}
	here, err := os.Getwd()
	if err != nil {
		return "the current directory was removed: " + hintNoCurrent
	}
	return "check the name; it begins at " + here
}

// hintFindings is about a file that breaks a rule of the format.
func (a *app) hintFindings() string {
	switch {
	case a.command == "verify":
		return "get the file again: it is not the one that was released"
	case a.about.file == "" || a.about.file == "-":
		return "get the file again, from a source that you trust"
	}
	return "get the file again; this lists every finding: tbctl verify {file}"
}

// hintPlain is about an executable without multiversion sections.
const hintPlain = "TigerBeetle's releases up to 0.15.3, what tbctl extract takes out, and other programs have no multiversion sections: tbctl releases lists what there is"

// hintStranger is about a file that is no multiversion binary.
func hintStranger(kind inspect.Kind) string {
	switch archive.Kind(kind.Name) {
	case archive.KindELF, archive.KindPE, archive.KindMachO, archive.KindMachOUniversal:
		return hintPlain
	case archive.KindZip:
		return "unzip -l {file} shows what the archive holds"
	case archive.KindEmpty:
		return "nothing was written to it: get the file again"
	}
	return "name a TigerBeetle binary, a release archive (.zip) or a data file"
}

// hintArchive is about an archive that cannot be used.
func hintArchive(zip *archive.FormatError) string {
	switch zip.Rule {
	case archive.RuleStoredDescriptor:
		return "unzip it and name the executable in it: unzip {file}"
	case archive.RuleNoExecutable, archive.RuleTwoExecutables, archive.RuleNotRegular, archive.RuleName, archive.RuleEncrypted, archive.RuleMethod:
		return "a release's archive holds one plain executable, tigerbeetle or tigerbeetle.exe; unzip -l {file} shows what this one holds"
	}
	return "get the archive again"
}
