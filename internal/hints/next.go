package hints

import (
	"slices"
	"strings"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/multiversion"
)

// Next are the commands that go on after an operation that ended well; none where nothing is left to do.
func (k *Known) Next(outcome *install.Outcome) []string {
	plan := outcome.Plan
	tbctl, target := "tbctl ", shell.File(plan.Target.Path)
	if k.Sudo { // as whom it was done, it can be seen
		tbctl = "sudo tbctl "
	}
	switch {
	case outcome.DryRun && outcome.WouldChange && plan.Origin.Source != "-": // a stream is read by now
		real := slices.DeleteFunc(slices.Clone(k.Line), func(arg string) bool { return arg == "-n" || arg == "--dry-run" || arg == "--dry-run=true" })
		if len(real) < len(k.Line) {
			return []string{tbctl + strings.TrimPrefix(real.String(), "tbctl ")}
		}
		return nil
	case outcome.Armed == install.ArmedAll && k.others(plan.New.Release) > 0:
		return []string{tbctl + "watch " + target + " --until running=" + plan.New.Release.String()}
	case !outcome.Changed:
		return nil
	case outcome.Result != install.ResultInstalled || k.others(plan.New.Release) == 0:
		return []string{tbctl + "status " + target}
	}
	return []string{tbctl + "watch " + target + " --until armed=" + plan.New.Release.String()}
}

// Downloaded are the commands that use a file that was fetched for a platform: here, or on a host that it is for.
func Downloaded(path string, platform multiversion.Platform) []string {
	if platform == multiversion.ThisPlatform() {
		return []string{"tbctl install " + shell.File(path)}
	}
	return []string{"ssh HOST sudo tbctl install - < " + shell.File(path)}
}

// others is how many replicas that count the last look found at another release than this one.
func (k *Known) others(release multiversion.Release) int {
	count := 0
	for index := range k.Host.Processes {
		if process := &k.Host.Processes[index]; process.Counts() && process.Settles() != release {
			count++
		}
	}
	return count
}
