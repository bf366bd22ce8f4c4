package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/inventory"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

// Flag is a flag of the command that has the name of a setting.
type Flag struct {
	Value     string
	Given     bool     // on the command line
	Variables []string // of the environment that set it too
}

// Show shows every setting, by their names, with what flags the command has. The error is why the list of hosts cannot be used; its line
// has it too.
func (s Settings) Show(flag func(name string) *Flag) (*report.Config, error) {
	shown := &report.Config{Files: config.Files(s.Getenv)}
	for _, each := range known() {
		shown.Settings = append(shown.Settings, s.Line(each.Name, flag(each.Name)))
	}
	ofFleet, err := s.fleet()
	shown.Settings = append(shown.Settings, ofFleet...)
	for index := range shown.Settings {
		line := &shown.Settings[index]
		line.Value = release.Redact(line.Value) // this output is what people show to others
	}
	slices.SortStableFunc(shown.Settings, func(a, b report.Setting) int { return strings.Compare(a.Name, b.Name) })
	return shown, err
}

// Line finds out the value of a setting, and where it comes from.
func (s Settings) Line(name string, flag *Flag) report.Setting {
	if flag != nil && flag.Given {
		return report.Setting{Name: name, Value: flag.Value, Origin: "the command line"}
	}
	if flag != nil {
		for _, variable := range flag.Variables {
			if value := os.Getenv(variable); value != "" {
				return report.Setting{Name: name, Value: value, Origin: "the environment: " + variable}
			}
		}
	}
	if name == "target" {
		if value := s.Getenv("TBCTL_TARGET"); value != "" {
			return report.Setting{Name: name, Value: value, Origin: "the environment: TBCTL_TARGET"}
		}
	}
	if words := s.Config.List(name); name == "restart" && words != nil { // as it would be typed
		return report.Setting{Name: name, Value: shell.Words(words), Origin: s.Config.Origin(name)}
	}
	if value := s.Config.Text(name); value != "" {
		return report.Setting{Name: name, Value: value, Origin: s.Config.Origin(name)}
	}
	platform, _ := release.HostPlatform() // "": there is no release for this host
	defaults := map[string]string{
		"target": install.TargetDefault, "platform": string(platform), "state-dir": s.StateDir(), "store": s.StoreDir(""), "cache-dir": s.CacheDir(""), "color": "auto",
		"github-digest": "false", "idle-timeout": "30s",
	}
	return report.Setting{Name: name, Value: defaults[name], Origin: "default"}
}

// fleet are the list of hosts that would be used, and what it says of all of them.
func (s Settings) fleet() ([]report.Setting, error) {
	const variable = "TBCTL_FLEET"
	named := s.Getenv(variable)
	name, text, err := inventory.Find(named, s.Getenv)
	if name == "" {
		return []report.Setting{{Name: "fleet", Origin: "default"}}, nil
	}
	list := report.Setting{Name: "fleet", Value: name, Origin: "found in the user's directory of settings"}
	switch {
	case named != "":
		list.Origin = "the environment: " + variable
	case !filepath.IsAbs(name):
		list.Origin = "found in this directory"
	}
	if whole, absErr := filepath.Abs(name); absErr == nil {
		list.Value = whole
	}
	found, parseErr := inventory.Parse(name, text)
	if err == nil {
		err = parseErr
	}
	if err != nil {
		list.Problem = err.Error()
		return []report.Setting{list}, err
	}
	lines := []report.Setting{list}
	for _, each := range []report.Setting{
		{Name: "become", Value: shell.Words(found.Become)}, {Name: "ssh", Value: shell.Words(found.SSH)}, {Name: "state", Value: found.State}, {Name: "artifacts", Value: found.Artifacts},
	} {
		each.Origin = "default"
		if line := inventory.Line(text, each.Name); line > 0 {
			each.Origin = fmt.Sprintf("%s:%d", list.Value, line)
		} else if each.Name == "ssh" {
			each.Value = "ssh"
		}
		each.Name = "fleet." + each.Name
		lines = append(lines, each)
	}
	return lines, nil
}
