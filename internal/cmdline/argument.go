package cmdline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

// Condition is the condition that --until names.
func Condition(line hints.Line, text string) (watch.Condition, error) {
	condition, err := watch.ParseCondition(text)
	if err != nil {
		return condition, hints.Usage(conditionHint(line, text), "--until: %v", err)
	}
	return condition, nil
}

// conditionHint is what to type instead of a condition that is none.
func conditionHint(line hints.Line, text string) string {
	what, value, _ := strings.Cut(text, "=")
	switch {
	case strings.HasPrefix(value, "v") && release.IsTag(value[1:]):
		return line.Retyped(text, what+"="+value[1:])
	case release.IsTag(text):
		return "say of what: --until " + strings.Join(watch.Conditions(), "="+text+", ") + "=" + text
	case slices.Contains(watch.Conditions(), what):
		return line.Retyped(text, what+"=0.17.8")
	}
	return line.Retyped(text, "armed=0.17.8")
}

// CheckTime refuses a time in which nothing can be waited for.
func CheckTime(flag string, given *time.Duration) error {
	if given != nil && *given <= 0 {
		return hints.Usage(flag+" 1m", "%s %s is no time to wait: it must be more than 0", flag, *given)
	}
	return nil
}

// CheckStdin refuses a terminal as standard input: nobody types a binary.
func CheckStdin(line hints.Line, in io.Reader) error {
	if term.IsTerminal(in) {
		return hints.Usage("send a file: "+line.Retyped("-", "-")+" < FILE", "standard input is a terminal")
	}
	return nil
}

// CheckCount refuses a number that is too small.
func CheckCount(flag string, given, least int) error {
	if given < least {
		return hints.Usage(fmt.Sprintf("%s %d", flag, max(1, least)), "%s %d: it must be %d or more", flag, given, least)
	}
	return nil
}

// Unresolved adds what to type instead to the error of an argument that means nothing.
func Unresolved(ctx context.Context, line hints.Line, argument, mirror string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, release.ErrTag) && strings.HasPrefix(argument, "v") && release.IsTag(argument[1:]):
		return hints.Usage(line.Retyped(argument, argument[1:]), "%w", err)
	case !errors.Is(err, release.ErrNotFound):
		return err
	case release.IsTag(argument) && mirror != "":
		if _, statErr := vfs.Stat(mirror); errors.Is(statErr, fs.ErrNotExist) && !strings.Contains(mirror, "://") {
			return &hints.Error{Of: fault.Failed, Hint: hints.Mirror, Err: err}
		}
		hint = "see what there is: tbctl releases --mirror " + shell.File(mirror)
	case release.IsTag(argument):
		return err
	default:
		hint = hints.Missing(argument)
		if info, statErr := vfs.Stat(argument); statErr == nil && info.IsDir() {
			hint = "name a file in it: ls " + shell.File(argument)
			listing, listErr := release.List(ctx, release.Options{Mirror: argument})
			if listErr == nil && len(listing.Releases) > 0 && listing.Releases[0].Tag != "" {
				hint = fmt.Sprintf("a directory of releases is a mirror, and the newest in it: %s", line.Retyped(argument, string(listing.Releases[0].Tag), "--mirror", argument))
			}
		}
	}
	return &hints.Error{Of: fault.Failed, Hint: hint, Err: err}
}
