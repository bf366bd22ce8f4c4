package tbctl

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// modules are those that are compiled into tbctl, on any system. It lies on database hosts as root: what speaks with etcd, registries or
// repositories of metadata is tbctl-engines, and one more here is a decision.
var modules = []string{
	"aead.dev/minisign",
	"github.com/alecthomas/kong",
	"github.com/aymanbagabas/go-osc52/v2",
	"github.com/cenkalti/backoff/v5",
	"github.com/charmbracelet/colorprofile",
	"github.com/charmbracelet/lipgloss",
	"github.com/charmbracelet/x/ansi",
	"github.com/charmbracelet/x/cellbuf",
	"github.com/charmbracelet/x/term",
	"github.com/fsnotify/fsnotify",
	"github.com/klauspost/compress",
	"github.com/lucasb-eyer/go-colorful",
	"github.com/mattn/go-isatty",
	"github.com/mattn/go-runewidth",
	"github.com/mitchellh/colorstring",
	"github.com/muesli/termenv",
	"github.com/pelletier/go-toml/v2",
	"github.com/rivo/uniseg",
	"github.com/schollz/progressbar/v3",
	"github.com/xo/terminfo",
	"golang.org/x/crypto",
	"golang.org/x/sys",
	"golang.org/x/term",
}

// TestModules requires that nothing else is compiled into tbctl, and all of that somewhere.
func TestModules(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		command := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/tbctl")
		command.Env = append(command.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		output, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range strings.Fields(string(output)) {
			found[path] = true
		}
	}
	delete(found, strings.TrimSuffix(module, "/"))
	for path := range found {
		if !slices.Contains(modules, path) {
			t.Errorf("%s is compiled into tbctl", path)
		}
	}
	for _, path := range modules {
		if !found[path] {
			t.Errorf("%s is not compiled into tbctl any more: take it out of the list", path)
		}
	}
}
