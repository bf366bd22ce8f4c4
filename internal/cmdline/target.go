package cmdline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

// CheckTarget refuses a target that is named like a release, or like a condition: it was
// meant for something else. So it does with a relative one where there is no directory.
func CheckTarget(parsed *kong.Context, command string, line hints.Line) error {
	for _, element := range parsed.Path {
		if element.Positional == nil || element.Positional.Name != "target" {
			continue
		}
		name := fmt.Sprint(element.Positional.Target.Interface())
		if _, err := os.Getwd(); errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(name) {
			return fmt.Errorf("%s: %w", name, vfs.ErrNoCurrent)
		}
		if command == "install" { // it looks at both of its arguments
			continue
		}
		if _, err := vfs.Lstat(name); err == nil {
			continue
		}
		switch what, _, condition := strings.Cut(name, "="); {
		case (condition || what == watch.ConditionServing || what == watch.ConditionRunning) && command == "watch" && slices.Contains(watch.Conditions(), what):
			return hints.Usage(line.Retyped(name, "--until", name), "%s is a condition, not a file", name)
		case release.IsTag(name):
			return hints.Usage("name the installed binary: "+line.Retyped(name, install.TargetDefault), "%s is a release, not a file", name)
		}
	}
	return nil
}

// CheckOrder refuses arguments that look as if they stood in the wrong order: a target
// that is named like a release or a host or is an archive, and a source at which tbctl installs.
func CheckOrder(line hints.Line, source, target string) error {
	if target == "" {
		return nil
	}
	if !release.IsTag(target) {
		if err := checkHere(line, target); err != nil {
			return err
		}
		return checkFiles(line, source, target)
	}
	if _, err := vfs.Lstat(target); err == nil {
		return nil
	}
	hint := "a file of that name is written ./" + target
	if !release.IsTag(source) {
		hint = "the release comes first: " + line.Swapped(source, target)
	}
	return hints.Usage(hint, "the target %s is named like a release", target)
}

func checkFiles(line hints.Line, source, target string) error {
	there, err := input.Open(target)
	if err != nil {
		return nil // the plan says what is wrong with it
	}
	defer there.Close()
	swapped := "the source comes first; is it the other way round? " + line.Swapped(source, target)
	if zip, err := there.IsZip(); err == nil && zip {
		return hints.Usage(swapped, "the target %s is a zip archive", target)
	}
	if fsatomic.WasTarget(vfs.OS(), source) && !fsatomic.WasTarget(vfs.OS(), target) {
		return hints.Usage(swapped+"; if it is meant: "+line.Retyped(source, "-")+" < "+shell.File(source),
			"the source %s is a place where tbctl installs, and the target %s is none yet", source, target)
	}
	return nil
}

// checkHere refuses a target that is a word of which no file is here: most likely it is a
// host's name, or another program's way to name a file on a host.
func checkHere(line hints.Line, target string) error {
	host, _, remote := strings.Cut(target, ":")
	remote = remote && !strings.ContainsRune(host, filepath.Separator) && filepath.VolumeName(target) == ""
	if !remote && strings.ContainsRune(target, filepath.Separator) {
		return nil
	}
	if _, err := vfs.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return hints.Usage("if it is a file to be made here: "+line.Retyped(target, "."+string(filepath.Separator)+target)+"; on another host, type it there: ssh HOST tbctl install …",
		"the target %s is neither a path nor a file that is here", target)
}
