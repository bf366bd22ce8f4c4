// Package settings knows every setting of tbctl: which there are, what each is for this process, and where that comes from: a flag,
// the environment, a configuration file, the list of hosts, or the default.
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/inventory"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// known are what a configuration file may set: the target, and flags by their names.
func known() []config.Setting {
	return []config.Setting{
		{Name: "target", Variable: "TBCTL_TARGET", Path: config.Always},
		{Name: "targets", List: true, Path: config.Always},
		{Name: "restart", List: true, CheckList: host.CheckRestart},
		{Name: "platform", Check: func(value string) error { _, err := release.ParsePlatform(value); return err }},
		{Name: "mirror", Variable: "TBCTL_MIRROR", Path: func(value string) bool { return !strings.Contains(value, "://") }},
		{Name: "public-key", Variable: "TBCTL_PUBLIC_KEY", Path: func(value string) bool { return !release.IsPublicKey(value) }, Check: notEmpty},
		{Name: "require", Check: func(value string) error { return cmp.Or(notEmpty(value), release.Require(value).Check()) }},
		{Name: "github-digest", Bool: true, Check: func(value string) error { _, err := strconv.ParseBool(value); return err }},
		{Name: "ca-file", Variable: "TBCTL_CA_FILE", Path: config.Always},
		{Name: "token-file", Variable: "TBCTL_TOKEN_FILE", Path: config.Always},
		{Name: "cache-dir", Variable: "TBCTL_CACHE_DIR", Path: config.Always},
		{Name: "idle-timeout", Check: func(value string) error { _, err := time.ParseDuration(value); return err }},
		{Name: "store", Variable: "TBCTL_STORE", Path: config.Always},
		{Name: "depot", Check: remote.CheckDepot},
		{Name: "registries", List: true, CheckList: remote.CheckRegistries},
		{Name: "copy-from", List: true, CheckList: remote.CheckCopyFrom},
		{Name: "state-dir", Variable: "TBCTL_STATE_DIR", Path: config.Always},
		{Name: "color", Check: func(value string) error {
			if slices.Contains([]string{string(term.ColorAuto), string(term.ColorAlways), string(term.ColorNever)}, value) {
				return nil
			}
			return fmt.Errorf("%q is none of auto, always, never", value)
		}},
	}
}

// notEmpty refuses a safeguard without its value, which would be dropped in silence.
func notEmpty(value string) error {
	if strings.TrimSpace(value) == "" {
		return errors.New("it is empty, and would hold nothing: give it its value, or leave the line out")
	}
	return nil
}

// Load reads the configuration files. With an error nothing is set.
func Load(getenv func(string) string) (*config.Config, error) {
	loaded, err := config.Load(known(), getenv)
	var failed *config.Error
	if !errors.As(err, &failed) {
		return loaded, err
	}
	hint := "mend or remove " + shell.File(failed.Path)
	var relative *config.RelativePathError
	var loose *config.LooseError
	switch {
	case errors.As(err, &loose):
		hint = "chown root " + shell.File(failed.Path) + "; chmod go-w " + shell.File(failed.Path) + " " + shell.File(filepath.Dir(failed.Path)) +
			"; or name it to use it as it is: " + config.Variable + "=" + shell.File(failed.Path)
	case errors.As(err, &relative):
		hint = "write the path from / in " + shell.File(failed.Path) + ", such as " + relative.Meant(getenv)
	case errors.Is(err, fs.ErrNotExist):
		hint = "unset " + config.Variable + ", or name a file that is there"
	case errors.Is(err, fs.ErrPermission):
		hint = "is HOME another user's? Set it right, or read no configuration: " + config.Variable + "=" + os.DevNull
	}
	return &config.Config{}, hints.Usage(hint, "%w", err)
}

// CheckEnvironment refuses variables that name a file by a relative path, and those that
// are not UTF-8.
func CheckEnvironment(getenv func(string) string) error {
	for _, name := range config.Variables() {
		if err := cmdline.CheckUTF8("the environment's "+name, os.Getenv(name)); err != nil {
			return err
		}
	}
	name, err := config.CheckVariables(known(), getenv)
	var relative *config.RelativePathError
	if errors.As(err, &relative) {
		return hints.Usage("such as "+name+"="+shell.Word(relative.Meant(getenv)), "the environment's %s: %w", name, err)
	}
	return err
}

// Settings are what is set for this process.
type Settings struct {
	Config *config.Config
	Getenv func(string) string
	State  string // the directory of the history that a flag names; "": none does
}

// Target is the argument, the configuration's, or the default.
func (s Settings) Target(argument string) string {
	return cmp.Or(argument, s.Config.Text("target"), install.TargetDefault)
}

// Targets are those that this host's configuration names.
func (s Settings) Targets() []string {
	if targets := s.Config.List("targets"); targets != nil {
		return targets
	}
	return []string{s.Target("")}
}

// StateDir is where the history is.
func (s Settings) StateDir() string {
	if s.State != "" {
		return s.State
	}
	return config.StateDir(s.Getenv)
}

// Histories are the state directories of this host in which a history may be: its own and, of a user who has not named one, root's.
func (s Settings) Histories() []string {
	own := s.StateDir()
	if s.State == "" && own != config.SystemState {
		return []string{own, config.SystemState}
	}
	return []string{own}
}

// CacheDir is where interrupted downloads are kept: in the directory that is named, or the usual one.
func (s Settings) CacheDir(named string) string {
	if named != "" {
		return named
	}
	return config.CacheDir(s.Getenv)
}

// Netrc is the file with users and passwords: the one that NETRC names, or the user's own; "": there is none.
func (s Settings) Netrc() string {
	if named := s.Getenv("NETRC"); named != "" {
		return named
	}
	name := filepath.Join(s.Getenv("HOME"), ".netrc")
	if _, err := vfs.Stat(name); err != nil || !filepath.IsAbs(name) {
		return ""
	}
	return name
}

// StoreDir is where the store is that is named, or that is set, or the usual one.
func (s Settings) StoreDir(named string) string {
	return cmp.Or(named, s.Getenv("TBCTL_STORE"), s.Config.Text("store"), filepath.Join(s.StateDir(), "store"))
}

// Store is the store in the directory that [Settings.StoreDir] says. It need not be there.
func (s Settings) Store(named string) (*depot.Depot, error) {
	dir, err := filepath.Abs(s.StoreDir(named))
	if err != nil {
		return nil, err
	}
	return depot.Open(vfs.OS(), dir), nil
}

// ExistingStore is [Settings.Store] for a command that makes nothing: a store that the flag names and is not there is a mistake, and of the
// usual one there is a note.
func (s Settings) ExistingStore(named string, flag *Flag) (store *depot.Depot, note string, err error) {
	if store, err = s.Store(named); err != nil {
		return nil, "", err
	}
	if _, err := vfs.Stat(store.Dir()); !errors.Is(err, fs.ErrNotExist) {
		return store, "", nil // another error is that of what looks into it
	}
	if flag != nil && flag.Given {
		return nil, "", hints.Usage("check the name; this host's is shown without --store: tbctl store list", "--store: there is no directory %s", store.Dir())
	}
	return store, "there is no store yet: there is no directory " + store.Dir(), nil
}

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
			if value := s.Getenv(variable); value != "" {
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
		"github-digest": "false", "idle-timeout": release.IdleTimeoutDefault.String(),
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
