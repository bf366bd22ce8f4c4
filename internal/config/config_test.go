package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/vfs"
)

func settings() []config.Setting {
	return []config.Setting{
		{Name: "target", Variable: "TBCTL_TARGET", Path: config.Always},
		{Name: "mirror", Variable: "TBCTL_MIRROR", Path: func(value string) bool { return !strings.Contains(value, "://") }},
		{Name: "github-digest", Bool: true, Check: func(value string) error { _, err := strconv.ParseBool(value); return err }},
		{Name: "require"},
	}
}

// environment has one configuration file, which is named.
func environment(t *testing.T, content string) func(string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(name string) string { return map[string]string{"TBCTL_CONFIG": path, "HOME": "/home/x"}[name] }
}

func TestLoad(t *testing.T) {
	t.Parallel()
	getenv := environment(t, "target = \"/opt/tb\"\ngithub-digest = true\nmirror = \"https://x/{tag}\"\n")
	loaded, err := config.Load(settings(), getenv)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"target": "/opt/tb", "github-digest": "true", "mirror": "https://x/{tag}", "require": ""} {
		if got := loaded.Text(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if loaded.Value("github-digest") != true || loaded.Origin("target") != getenv("TBCTL_CONFIG") || loaded.Origin("require") != "" {
		t.Errorf("%v from %q", loaded.Value("github-digest"), loaded.Origin("target"))
	}
	if none := (*config.Config)(nil); none.Text("target") != "" {
		t.Error("nothing says something")
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ content, says string }{
		{"requier = \"digest\"", "config.toml:1: requier: unknown setting; is require meant?"}, {"requier = 1\n\ntarget = true\n", "config.toml:3: target: it must be a text in quotes"}, {"target = true", ":1: target: it must be a text in quotes"},
		{"quite-another = 1", ":1: quite-another: unknown setting"},
		{"github-digest = 1", "github-digest: it must be true or false"}, {"github-digest = \"x\"", "github-digest: "},
		{"target = \"~/tb\"", `target: "~/tb" is not an absolute path`}, {"mirror = \"dir/{tag}\"", `mirror: "dir/{tag}" is not an absolute path`},
		{"target", "toml"}, {strings.Repeat("#", 64<<10+1), "larger than 65536 bytes"},
	} {
		getenv := environment(t, test.content)
		var failed *config.Error
		if _, err := config.Load(settings(), getenv); !errors.As(err, &failed) || failed.Path != getenv("TBCTL_CONFIG") || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.30s: %v, want %s", test.content, err, test.says)
		}
	}
	named := func(name string) string { return map[string]string{"TBCTL_CONFIG": "/nonexistent/config.toml"}[name] }
	if _, err := config.Load(settings(), named); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a named file that is not there: %v", err)
	}
	dir := func(name string) string { return map[string]string{"TBCTL_CONFIG": t.TempDir()}[name] }
	if _, err := config.Load(settings(), dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	unnamed := func(name string) string { return map[string]string{"HOME": "/nonexistent"}[name] }
	if _, err := config.Load(settings(), unnamed); err != nil {
		t.Errorf("files that need not be there: %v", err)
	}
}

// TestSkipped: root does not do what another user's file says, and does nothing before a file of his own that others may write is mended.
func TestSkipped(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root has files of others")
	}
	for _, test := range []struct {
		says      string
		owner     int
		file, dir os.FileMode
	}{
		{"", 0, 0o644, 0o755}, {"it belongs to user 12", 12, 0o644, 0o755}, {"others may write it", 0, 0o666, 0o755}, {"others may write its directory", 0, 0o644, 0o777},
	} {
		base := t.TempDir()
		path := filepath.Join(base, "tbctl", "config.toml")
		err := os.Mkdir(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte("target = \"/opt/tb\"\n"), 0o600)
		}
		if err = errors.Join(err, os.Chmod(path, test.file), os.Chmod(filepath.Dir(path), test.dir), os.Chown(path, test.owner, 0)); err != nil {
			t.Fatal(err)
		}
		loaded, err := config.Load(settings(), func(name string) string { return map[string]string{"XDG_CONFIG_HOME": base}[name] })
		var loose *config.LooseError
		switch {
		case test.owner == 0 && test.says != "":
			if !errors.As(err, &loose) || loose.Why != test.says {
				t.Errorf("%q: %v", test.says, err)
			}
		case err != nil:
			t.Errorf("%q: %v", test.says, err)
		case test.says == "" && (loaded.Text("target") != "/opt/tb" || len(loaded.Skipped) > 0):
			t.Errorf("root's own: %q, %v", loaded.Text("target"), loaded.Skipped)
		case test.says != "" && (loaded.Text("target") != "" || len(loaded.Skipped) != 1 || loaded.Skipped[0].Err.Error() != test.says || loaded.Skipped[0].Path != path):
			t.Errorf("%q: %q, %v", test.says, loaded.Text("target"), loaded.Skipped)
		}
	}
}

// TestGroupMayWrite: a user's own group is his, and no other is.
func TestGroupMayWrite(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root has files of others")
	}
	for _, test := range []struct {
		says      string
		group     int
		file, dir os.FileMode
	}{
		{"", 12, 0o664, 0o775}, {"others may write it", 13, 0o664, 0o755}, {"others may write its directory", 13, 0o644, 0o2775},
		{"", 13, 0o644, 0o755}, {"others may write it", 12, 0o666, 0o755},
	} {
		path := filepath.Join(t.TempDir(), "dir", "fleet.toml")
		err := os.Mkdir(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, nil, 0o600)
		}
		for name, mode := range map[string]os.FileMode{path: test.file, filepath.Dir(path): test.dir} {
			err = errors.Join(err, os.Chown(name, 12, test.group), os.Chmod(name, mode))
		}
		info, statErr := os.Stat(path)
		if err = errors.Join(err, statErr); err != nil {
			t.Fatal(err)
		}
		if got := vfs.OthersMayWrite(path, info, 12); got != test.says {
			t.Errorf("group %d, %o in %o: %q, want %q", test.group, test.file, test.dir, got, test.says)
		}
	}
}

func TestCheckVariables(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ variable, value, meant string }{
		{"TBCTL_TARGET", "/opt/tb", ""}, {"TBCTL_TARGET", "", ""}, {"TBCTL_MIRROR", "https://x", ""}, {"TBCTL_CONFIG", os.DevNull, ""},
		{"TBCTL_TARGET", "~/tb", "/home/x/tb"}, {"TBCTL_MIRROR", "dir", "/PATH/dir"}, {"TBCTL_CONFIG", "config.toml", "/PATH/config.toml"},
	} {
		getenv := func(name string) string { return map[string]string{test.variable: test.value, "HOME": "/home/x"}[name] }
		name, err := config.CheckVariables(settings(), getenv)
		var relative *config.RelativePathError
		if test.meant == "" && err != nil || test.meant != "" && (!errors.As(err, &relative) || name != test.variable || relative.Meant(getenv) != test.meant) {
			t.Errorf("%s=%s: %q, %v", test.variable, test.value, name, err)
		}
	}
}

// TestDangling: a file of settings that is a link whose end is not there is not one that nobody wrote, and so is one in such a directory.
func TestDangling(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]string{"file": "tbctl/config.toml", "directory": "tbctl"} {
		base := t.TempDir()
		getenv := func(variable string) string { return map[string]string{"XDG_CONFIG_HOME": base}[variable] }
		if _, err := config.Load(settings(), getenv); err != nil {
			t.Fatalf("%s: nothing there: %v", name, err)
		}
		link := filepath.Join(base, place)
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(filepath.Join(base, "not-mounted", "x"), link)); err != nil {
			t.Fatal(err)
		}
		_, err := config.Load(settings(), getenv)
		if wrong, ok := errors.AsType[*config.Error](err); !ok || !errors.Is(err, vfs.ErrDangling) || !strings.Contains(err.Error(), link) {
			t.Errorf("%s: %v, %+v", name, err, wrong)
		}
		if err := os.MkdirAll(filepath.Join(base, "not-mounted", "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		if name == "directory" { // mounted, and nothing in it
			if _, err := config.Load(settings(), getenv); err != nil {
				t.Errorf("%s: mounted: %v", name, err)
			}
		}
	}
}

// TestHome: where nothing names the home directory, as for a service, it is that of the list of users.
func TestHome(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	own := config.Home(none)
	if !filepath.IsAbs(own) {
		t.Skipf("skipped: this user has no home directory: %q", own)
	}
	if files := config.Files(none); files[len(files)-1] != filepath.Join(own, ".config", "tbctl", "config.toml") {
		t.Errorf("%q", files)
	}
	if named := config.Home(func(string) string { return "/somewhere" }); named != "/somewhere" {
		t.Error(named)
	}
}
