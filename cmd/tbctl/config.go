package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
)

// settings are what a configuration file may set: the target, and flags by their names.
func settings() []config.Setting {
	return []config.Setting{
		{Name: "target", Variable: "TBCTL_TARGET", Path: config.Always},
		{Name: "targets", List: true, Path: config.Always},
		{Name: "restart", List: true, CheckList: host.CheckRestart},
		{Name: "platform", Check: func(value string) error { _, err := release.ParsePlatform(value); return err }},
		{Name: "mirror", Variable: "TBCTL_MIRROR", Path: func(value string) bool { return !strings.Contains(value, "://") }},
		{Name: "public-key", Variable: "TBCTL_PUBLIC_KEY", Path: func(value string) bool { return !release.IsPublicKey(value) }},
		{Name: "require", Check: func(value string) error { return checkRequire(release.Require(value)) }},
		{Name: "github-digest", Bool: true, Check: func(value string) error { _, err := strconv.ParseBool(value); return err }},
		{Name: "ca-file", Variable: "TBCTL_CA_FILE", Path: config.Always},
		{Name: "cache-dir", Variable: "TBCTL_CACHE_DIR", Path: config.Always},
		{Name: "idle-timeout", Check: func(value string) error { _, err := time.ParseDuration(value); return err }},
		{Name: "store", Variable: "TBCTL_STORE", Path: config.Always},
		{Name: "depot", Check: remote.CheckDepot},
		{Name: "state-dir", Variable: "TBCTL_STATE_DIR", Path: config.Always},
		{Name: "color", Check: func(value string) error {
			if slices.Contains([]string{string(term.ColorAuto), string(term.ColorAlways), string(term.ColorNever)}, value) {
				return nil
			}
			return fmt.Errorf("%q is none of auto, always, never", value)
		}},
	}
}

// loadConfig reads the configuration files. With an error nothing is set.
func loadConfig(getenv func(string) string) (*config.Config, error) {
	loaded, err := config.Load(settings(), getenv)
	var failed *config.Error
	if !errors.As(err, &failed) {
		return loaded, err
	}
	hint := "mend or remove " + shell.File(failed.Path)
	var relative *config.RelativePathError
	switch {
	case errors.As(err, &relative):
		hint = "write the path from / in " + shell.File(failed.Path) + ", such as " + relative.Meant(getenv)
	case errors.Is(err, fs.ErrNotExist):
		hint = "unset " + config.Variable + ", or name a file that is there"
	case errors.Is(err, fs.ErrPermission):
		hint = "is HOME another user's? Set it right, or read no configuration: " + config.Variable + "=" + os.DevNull
	}
	return &config.Config{}, usage(hint, "%w", err)
}

// checkEnvironment refuses variables that name a file by a relative path, and those that
// are not UTF-8.
func checkEnvironment(getenv func(string) string) error {
	for _, name := range config.Variables() {
		if err := cmdline.CheckUTF8("the environment's "+name, os.Getenv(name)); err != nil {
			return err
		}
	}
	name, err := config.CheckVariables(settings(), getenv)
	var relative *config.RelativePathError
	if errors.As(err, &relative) {
		return usage("such as "+name+"="+shell.Word(relative.Meant(getenv)), "the environment's %s: %w", name, err)
	}
	return err
}

// stateDir is where the history is.
func (a *app) stateDir() string {
	if a.global.StateDir != "" {
		return a.global.StateDir
	}
	return config.StateDir(a.getenv)
}

type configCmd struct {
	Source sourceFlags `embed:""`
}

// Help is the long help text.
func (c *configCmd) Help() string {
	return `Shows each setting and where it comes from: a flag, an environment variable, the
user's configuration file, the host's (` + config.System + `), or the default. So it
does the list of hosts that tbctl fleet would use, and the line of each of its settings.
A configuration file is TOML with the names below:

  target = "/opt/tigerbeetle/tigerbeetle"
  mirror = "https://mirror.internal/{tag}/{asset}"
  require = "digest"

Example:

  tbctl config
` + exitHelp()
}

// setting is one line of the result.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Origin string `json:"origin"`

	Problem string `json:"problem,omitempty"` // why it cannot be used
}

// configResult is the result of the command.
type configResult struct {
	Settings []setting `json:"settings"`
	Files    []string  `json:"files"` // that are read, whether they exist or not
}

// Run shows the settings.
func (c *configCmd) Run(a *app) error {
	if _, err := c.Source.options(a); err != nil {
		return err
	}
	var shown []setting
	for _, each := range settings() {
		shown = append(shown, a.setting(each.Name))
	}
	ofFleet, err := a.fleetSettings()
	if err != nil {
		a.warn("the list of hosts cannot be used: %v", err)
	}
	shown = append(shown, ofFleet...)
	for index := range shown {
		line := &shown[index]
		line.Value = release.Redact(line.Value) // this output is what people show to others
	}
	sort.SliceStable(shown, func(i, j int) bool { return shown[i].Name < shown[j].Name })
	a.emit(configResult{shown, config.Files(a.getenv)}, func(out *term.Stream) {
		var rows [][]string
		for _, line := range shown {
			value := line.Value
			if value == "" {
				value = "-"
			}
			origin := line.Origin
			if line.Problem != "" {
				origin += ", and cannot be used"
			}
			rows = append(rows, []string{line.Name, term.Printable(value), term.Printable(origin)})
		}
		out.Printf("%s", out.Table([]term.Column{{Title: "setting"}, {Title: "value"}, {Title: "from"}}, rows))
	})
	return nil
}

// setting finds out the value of a setting, and where it comes from.
func (a *app) setting(name string) setting {
	for _, flag := range a.flags {
		if flag.Name != name {
			continue
		}
		if a.onCommandLine[name] {
			return setting{Name: name, Value: fmt.Sprint(flag.Target.Interface()), Origin: "the command line"}
		}
		for _, variable := range flag.Tag.Envs {
			if value := os.Getenv(variable); value != "" {
				return setting{Name: name, Value: value, Origin: "the environment: " + variable}
			}
		}
	}
	if name == "target" {
		if value := a.getenv("TBCTL_TARGET"); value != "" {
			return setting{Name: name, Value: value, Origin: "the environment: TBCTL_TARGET"}
		}
	}
	if words := a.config.List(name); name == "restart" && words != nil { // as it would be typed
		return setting{Name: name, Value: shell.Words(words), Origin: a.config.Origin(name)}
	}
	if value := a.config.Text(name); value != "" {
		return setting{Name: name, Value: value, Origin: a.config.Origin(name)}
	}
	defaults := map[string]string{
		"target": install.TargetDefault, "platform": hostPlatformText(), "state-dir": a.stateDir(), "store": a.storeDir(""), "cache-dir": config.CacheDir(a.getenv), "color": "auto",
		"github-digest": "false", "idle-timeout": "30s",
	}
	return setting{Name: name, Value: defaults[name], Origin: "default"}
}

func hostPlatformText() string {
	platform, err := release.HostPlatform()
	if err != nil {
		return ""
	}
	return string(platform)
}
