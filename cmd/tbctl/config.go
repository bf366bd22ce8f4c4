package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"syscall"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/release"
)

// configSystem is the configuration of the host; the user's stands over it.
const configSystem = "/etc/tbctl/config.toml"

// configSizeMax bounds a configuration file in bytes.
const configSizeMax = 64 << 10

// settings are the names that a configuration file may set: target, and flags
// by their names.
var settings = [...]string{
	"target", "platform", "mirror", "public-key", "require", "github-digest", "ca-file", "cache-dir", "idle-timeout", "state-dir", "color",
}

// config is what the configuration files say. The nil config says nothing.
type config struct {
	values   map[string]any
	origin   map[string]string // the file that a value came from
	warnings []string
}

// loadConfig reads the host's file and then the user's. Neither need exist; a
// key that is not known is an error, since it may be a misspelt safeguard.
func loadConfig(getenv func(string) string) (*config, error) {
	loaded := &config{values: make(map[string]any), origin: make(map[string]string)}
	named := getenv("TBCTL_CONFIG") != ""
	for _, name := range configFiles(getenv) {
		if err := loaded.read(name, named); err != nil {
			return nil, &commandError{code: exitUsage, hint: hintConfig(name, err, getenv), err: err}
		}
	}
	return loaded, nil
}

// hintConfig is about a configuration file that cannot be used.
func hintConfig(name string, err error, getenv func(string) string) string {
	var relative *relativeError
	if errors.As(err, &relative) {
		return "write the path from / in " + shellWord(name) + ", such as " + absolutePath(relative.value, getenv)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "unset TBCTL_CONFIG, or name a file that is there"
	}
	if errors.Is(err, fs.ErrPermission) {
		return "is HOME another user's? Set it right, or read no configuration: TBCTL_CONFIG=" + os.DevNull
	}
	return "mend or remove " + shellWord(name)
}

// configFiles are the files in the order in which they are read.
func configFiles(getenv func(string) string) []string {
	if name := getenv("TBCTL_CONFIG"); name != "" {
		return []string{name}
	}
	files := []string{configSystem}
	if base := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(base) {
		return append(files, filepath.Join(base, "tbctl", "config.toml"))
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		files = append(files, filepath.Join(home, ".config", "tbctl", "config.toml"))
	}
	return files
}

// read reads one file. One that was named must exist.
func (c *config) read(name string, named bool) error {
	if name == os.DevNull {
		return nil
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for its other end
	if !named && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("configuration %s: not a regular file", name)
	}
	if !named && os.Geteuid() == 0 {
		if why := othersMayWrite(name, info); why != "" { // what root installs is not for others to say
			c.warnings = append(c.warnings, fmt.Sprintf("the configuration %s is not read: %s; to use it as root, name it: TBCTL_CONFIG=%s", name, why, shellWord(name)))
			return nil
		}
	}
	content, err := io.ReadAll(io.LimitReader(file, configSizeMax+1))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if len(content) > configSizeMax {
		return fmt.Errorf("configuration %s: larger than %d bytes", name, configSizeMax)
	}
	var values map[string]any
	if _, err := toml.Decode(string(content), &values); err != nil {
		return fmt.Errorf("configuration %s: %w", name, err)
	}
	for key, value := range values {
		if !slices.Contains(settings[:], key) {
			return fmt.Errorf("configuration %s: unknown setting %q", name, key)
		}
		if err := checkKind(key, value); err != nil {
			return fmt.Errorf("configuration %s: %w", name, err)
		}
		if err := checkSetting(key, fmt.Sprint(value)); err != nil {
			return fmt.Errorf("configuration %s: %s: %w", name, key, err)
		}
		c.values[key], c.origin[key] = value, name
	}
	return nil
}

// othersMayWrite says why somebody else than root may decide what a configuration says,
// or "": the open file, or the directory that its name stands in, is not root's alone.
func othersMayWrite(name string, opened fs.FileInfo) string {
	const others = 0o022
	if owner := ownerOf(opened); owner != 0 {
		return fmt.Sprintf("it belongs to user %d", owner)
	}
	if opened.Mode().Perm()&others != 0 {
		return "others may write it"
	}
	dir, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return err.Error()
	}
	if owner := ownerOf(dir); owner != 0 {
		return fmt.Sprintf("its directory belongs to user %d", owner)
	}
	if dir.Mode().Perm()&others != 0 {
		return "others may write its directory"
	}
	return ""
}

// checkKind refuses a value of another kind than a setting's: true is no directory.
func checkKind(key string, value any) error {
	_, isText := value.(string)
	_, isBool := value.(bool)
	switch {
	case key == "github-digest" && !isBool && !isText:
		return fmt.Errorf("%s must be true or false", key)
	case key != "github-digest" && !isText:
		return fmt.Errorf("%s must be a text in quotes", key)
	}
	return nil
}

// checkSetting refuses values that their command would refuse later: a safeguard that
// is written wrong is to be found out at once.
func checkSetting(key, value string) error {
	err := checkPathSetting(key, value)
	switch key {
	case "require":
		return checkRequire(release.Require(value))
	case "platform":
		_, err = release.ParsePlatform(value)
	case "idle-timeout":
		_, err = time.ParseDuration(value)
	case "github-digest":
		_, err = strconv.ParseBool(value)
	case "color":
		if !slices.Contains([]string{string(term.ColorAuto), string(term.ColorAlways), string(term.ColorNever)}, value) {
			err = fmt.Errorf("%q is none of auto, always, never", value)
		}
	}
	return err
}

// value returns a setting as text, or "".
func (c *config) value(key string) string {
	if c == nil || c.values[key] == nil {
		return ""
	}
	return fmt.Sprint(c.values[key])
}

// Validate implements [kong.Resolver].
func (c *config) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver]: a flag that neither the command line nor
// the environment sets.
func (c *config) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := c.values[flag.Name]
	if !ok || !slices.Contains(settings[:], flag.Name) {
		return nil, nil
	}
	for _, variable := range flag.Tag.Envs {
		if os.Getenv(variable) != "" { // set, but empty, is not set
			return nil, nil
		}
	}
	return value, nil
}

type configCmd struct {
	Source sourceFlags `embed:""`
}

// Help is the long help text.
func (c *configCmd) Help() string {
	return `Shows each setting and where it comes from: a flag, an environment variable, the
user's configuration file, the host's (` + configSystem + `), or the default.
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
	for _, name := range settings {
		line := a.setting(name)
		line.Value = release.Redact(line.Value) // this output is what people show to others
		shown = append(shown, line)
	}
	sort.SliceStable(shown, func(i, j int) bool { return shown[i].Name < shown[j].Name })
	a.emit(configResult{shown, configFiles(a.getenv)}, func(out *term.Stream) {
		var rows [][]string
		for _, line := range shown {
			value := line.Value
			if value == "" {
				value = "-"
			}
			rows = append(rows, []string{line.Name, term.Printable(value), line.Origin})
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
			return setting{name, fmt.Sprint(flag.Target.Interface()), "the command line"}
		}
		for _, variable := range flag.Tag.Envs {
			if value := os.Getenv(variable); value != "" {
				return setting{name, value, "the environment: " + variable}
			}
		}
	}
	if name == "target" {
		if value := a.getenv("TBCTL_TARGET"); value != "" {
			return setting{name, value, "the environment: TBCTL_TARGET"}
		}
	}
	if value := a.config.value(name); value != "" {
		return setting{name, value, a.config.origin[name]}
	}
	defaults := map[string]string{
		"target": install.TargetDefault, "platform": hostPlatformText(), "state-dir": a.stateDir(), "cache-dir": a.cacheDir(), "color": "auto",
		"github-digest": "false", "idle-timeout": "30s",
	}
	return setting{name, defaults[name], "default"}
}

func hostPlatformText() string {
	platform, err := release.HostPlatform()
	if err != nil {
		return ""
	}
	return string(platform)
}
