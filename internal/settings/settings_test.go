package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/settings"
	"github.com/tbctl/tbctl/report"
)

// load makes settings of a configuration file's text, and of an environment.
func load(t *testing.T, text string, environment map[string]string) (settings.Settings, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		if name == config.Variable {
			return path
		}
		return environment[name]
	}
	loaded, err := settings.Load(getenv)
	return settings.Settings{Config: loaded, Getenv: getenv, State: filepath.Join(filepath.Dir(path), "state")}, path, err
}

// TestLine holds which of a flag, the environment, a file and the default decides, and that the place is named.
func TestLine(t *testing.T) {
	t.Parallel()
	const file = "target = \"/file\"\nmirror = \"/file\"\nrestart = [\"systemctl\", \"restart\", \"a b\"]\n"
	environment := map[string]string{"TBCTL_MIRROR": "/environment", "TBCTL_TARGET": "/environment"}
	given, unset := &settings.Flag{Value: "/flag", Given: true, Variables: []string{"TBCTL_MIRROR"}}, &settings.Flag{Value: "/environment", Variables: []string{"TBCTL_MIRROR"}}
	for name, test := range map[string]struct {
		setting, file string
		environment   map[string]string
		flag          *settings.Flag
		want          report.Setting // FILE is the file
	}{
		"a flag before all":              {"mirror", file, environment, given, report.Setting{Value: "/flag", Origin: "the command line"}},
		"then the environment":           {"mirror", file, environment, unset, report.Setting{Value: "/environment", Origin: "the environment: TBCTL_MIRROR"}},
		"then a file":                    {"mirror", file, nil, unset, report.Setting{Value: "/file", Origin: "FILE"}},
		"then nothing":                   {"mirror", "", nil, unset, report.Setting{Origin: "default"}},
		"a target of the environment":    {"target", file, environment, nil, report.Setting{Value: "/environment", Origin: "the environment: TBCTL_TARGET"}},
		"a target of a file":             {"target", file, nil, nil, report.Setting{Value: "/file", Origin: "FILE"}},
		"the usual target":               {"target", "", nil, nil, report.Setting{Value: install.TargetDefault, Origin: "default"}},
		"a list, as it would be typed":   {"restart", file, nil, nil, report.Setting{Value: "systemctl restart 'a b'", Origin: "FILE"}},
		"a setting that has no variable": {"idle-timeout", "", map[string]string{"TBCTL_IDLE_TIMEOUT": "1s"}, nil, report.Setting{Value: "30s", Origin: "default"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, path, err := load(t, test.file, test.environment)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Name = test.setting
			test.want.Origin = strings.Replace(test.want.Origin, "FILE", path, 1)
			if got := s.Line(test.setting, test.flag); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// TestStore holds where the store is, and that one which is not there is a mistake only if a flag named it.
func TestStore(t *testing.T) {
	t.Parallel()
	const file = "store = \"/file\"\n"
	environment := map[string]string{"TBCTL_STORE": "/environment"}
	for _, test := range []struct {
		named, file string
		environment map[string]string
		want        string // below the directory of the state where it has no /
	}{{"/flag", file, environment, "/flag"}, {"", file, environment, "/environment"}, {"", file, nil, "/file"}, {"", "", nil, "store"}} {
		s, _, err := load(t, test.file, test.environment)
		if err != nil {
			t.Fatal(err)
		}
		if test.want == "store" {
			test.want = filepath.Join(s.State, test.want)
		}
		if store, err := s.Store(test.named); err != nil || store.Dir() != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
	s, _, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	missing := "there is no directory " + filepath.Join(s.State, "store")
	store, note, err := s.ExistingStore("", &settings.Flag{})
	if err != nil || store == nil || note != "there is no store yet: "+missing {
		t.Errorf("the usual one: %v, %q", err, note)
	}
	if _, _, err := s.ExistingStore("", &settings.Flag{Given: true}); fault.Of(err) != fault.Usage || err.Error() != "--store: "+missing {
		t.Errorf("one that was named: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(s.State, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, note, err := s.ExistingStore("", &settings.Flag{Given: true}); err != nil || note != "" {
		t.Errorf("one that is there: %v, %q", err, note)
	}
}

// TestLoadRefuses holds that a value which is refused names its file and its setting, that nothing is set then, and what to do.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want, hint string }{
		"no such setting":       {"colour = \"never\"\n", "colour", "mend or remove FILE"},
		"one of three":          {"target = \"/a\"\ncolor = \"blue\"\n", `color: "blue" is none of auto, always, never`, "mend or remove FILE"},
		"not what can be asked": {"require = \"all\"\n", "require: ", "mend or remove FILE"},
		"a demand of nothing":   {"require = \"\"\n", "require: it is empty", "mend or remove FILE"},
		"a key of nothing":      {"public-key = \"\"\n", "public-key: it is empty", "mend or remove FILE"},
		"no time":               {"idle-timeout = \"soon\"\n", "idle-timeout: ", "mend or remove FILE"},
		"no platform":           {"platform = \"vax\"\n", "platform: ", "mend or remove FILE"},
		"a relative path":       {"store = \"store\"\n", `store: "store" is not an absolute path`, "write the path from / in FILE"},
		"not TOML":              {"target = \n", ":1: not TOML", "mend or remove FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, path, err := load(t, test.text, nil)
			if fault.Of(err) != fault.Usage || !strings.Contains(err.Error(), "configuration "+path+":") || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v", err)
			}
			if told := new(hints.Error); !errors.As(err, &told) || !strings.HasPrefix(told.Hint, strings.Replace(test.hint, "FILE", path, 1)) {
				t.Errorf("the hint is %q", told.Hint)
			}
			if s.Target("") != install.TargetDefault {
				t.Errorf("something is set: %q", s.Target(""))
			}
		})
	}
}

// TestCheckEnvironment holds that a relative path in the environment is refused by its variable's name.
func TestCheckEnvironment(t *testing.T) {
	t.Parallel()
	getenv := func(value string) func(string) string {
		return func(name string) string { return map[string]string{"TBCTL_CACHE_DIR": value}[name] }
	}
	if err := settings.CheckEnvironment(getenv("/cache")); err != nil {
		t.Error(err)
	}
	if err := settings.CheckEnvironment(getenv("cache")); fault.Of(err) != fault.Usage || !strings.Contains(err.Error(), `the environment's TBCTL_CACHE_DIR: "cache" is not an absolute path`) {
		t.Errorf("%v", err)
	}
}
