package tbctl

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tbctl/tbctl/"

// everyones is what every package may import: an error says its class where it is made.
const everyones = "fault"

// rooms says which of our packages each package may import besides. What is not in the
// table may not exist; cmd/tbctl may import everything but the fixtures.
var rooms = map[string][]string{
	everyones:                  {},
	"completions":              {},
	"internal/candidates":      {"completions", "depot", "depot/shelf", "install", "multiversion", "release", "watch", "internal/archive", "vfs"},
	"internal/cmdline":         {"fsatomic", "install", "internal/config", "internal/hints", "internal/input", "internal/shell", "internal/term", "multiversion", "release", "vfs", "watch"},
	"internal/config":          {"internal/tomlline", "vfs"},
	"internal/demo":            {"multiversion", "pack", "release", "internal/objcopy", "internal/standin/program", "internal/term"},
	"internal/handover":        {"install", "internal/input", "release", "verify", "vfs"},
	"internal/hints":           {"advisory", "datafile", "depot", "depot/prune", "depot/shelf", "durable", "engine", "extract", "fleet", "fsatomic", "host", "inspect", "install", "internal/archive", "internal/input", "internal/output", "internal/render", "internal/shell", "inventory", "multiversion", "pack", "release", "remote", "replica", "report", "rollout", "state", "verify", "vfs", "watch"},
	"internal/input":           {"internal/archive", "durable", "multiversion", "report", "vfs"},
	"internal/interrupt":       {},
	"internal/limits":          {},
	"internal/render":          {"internal/term", "advisory", "depot", "depot/serve", "depot/shelf", "report", "fleet", "host", "watch", "install", "fsatomic", "verify", "replica", "inspect", "datafile", "release", "multiversion", "internal/sha"},
	"internal/output":          {"datafile", "durable", "fsatomic", "internal/input", "replica", "verify", "vfs"},
	"internal/manual":          {"durable", "vfs"},
	"internal/settings":        {"depot", "host", "install", "internal/cmdline", "internal/config", "internal/hints", "internal/shell", "internal/term", "inventory", "release", "remote", "report", "vfs"},
	"internal/sha":             {},
	"internal/source":          {"delta", "depot", "depot/shelf", "durable", "engine", "host", "internal/cmdline", "internal/handover", "internal/hints", "internal/input", "internal/settings", "internal/shell", "multiversion", "release", "vfs"},
	"internal/shell":           {},
	"internal/metrics":         {"fleet", "host", "install", "internal/openmetrics", "multiversion", "replica", "report", "vfs", "internal/sha"},
	"internal/openmetrics":     {"internal/term"},
	"internal/page":            {"fleet", "host", "internal/term", "multiversion", "report", "internal/sha"},
	"internal/sizes":           {},
	"internal/term":            {"internal/sizes"},
	"internal/aegis":           {},
	"internal/archive":         {},
	"internal/tomlline":        {},
	"vfs":                      {"internal/sizes"},
	"vfs/memfs":                {"vfs"},
	"durable":                  {"vfs"},
	"fsatomic":                 {"vfs", "durable"},
	"multiversion":             {"vfs", "internal/aegis"},
	"internal/objcopy":         {},
	"internal/current":         {"multiversion", "internal/objcopy"},
	"advisory":                 {"multiversion", "internal/sha"},
	"advisory/kept":            {"advisory", "depot", "durable", "vfs"},
	"datafile":                 {"vfs", "multiversion"},
	"inspect":                  {"multiversion", "internal/archive"},
	"verify":                   {"multiversion", "advisory", "inspect", "internal/objcopy"},
	"replica":                  {"multiversion", "datafile", "vfs"},
	"host":                     {"fleet", "multiversion", "datafile", "delta", "depot", "replica", "verify", "watch", "install", "fsatomic", "vfs"},
	"report":                   {"depot", "depot/prune", "depot/serve", "depot/shelf", "multiversion", "advisory", "fleet", "datafile", "inspect", "verify", "replica", "host", "watch", "install", "release", "fsatomic", "durable", "vfs", "internal/sha", "internal/shell"},
	"fleet":                    {"multiversion", "advisory", "internal/sha", "internal/sizes"},
	"inventory":                {"fleet", "internal/config", "internal/tomlline", "vfs"},
	"delta":                    {"multiversion", "internal/current", "vfs", "durable"},
	"depot":                    {"multiversion", "vfs", "durable", "internal/sha", "internal/sizes"},
	"depot/shelf":              {"depot", "durable", "internal/sha", "multiversion", "release", "verify"},
	"depot/prune":              {"depot", "depot/shelf", "fleet", "fsatomic", "host", "install", "multiversion"},
	"depot/serve":              {"delta", "depot", "internal/sha", "multiversion", "depot/shelf", "release", "vfs"},
	"remote":                   {"durable", "fleet", "delta", "depot", "depot/serve", "depot/shelf", "host", "install", "internal/handover", "release", "report", "multiversion", "fsatomic", "internal/current", "internal/sha", "vfs"},
	"rollout":                  {"internal/shell", "delta", "fleet", "depot", "depot/shelf", "durable", "host", "release", "remote", "replica", "report", "state", "verify", "vfs", "internal/sha"},
	"state":                    {"vfs", "durable"},
	"engine":                   {"depot", "durable", "multiversion", "release", "remote", "state", "vfs"},
	"state/statetest":          {"state"},
	"watch":                    {"vfs", "multiversion", "replica"},
	"release":                  {"multiversion", "advisory", "delta", "vfs", "durable", "internal/archive", "internal/sha"},
	"pack":                     {"multiversion", "internal/objcopy", "internal/current"},
	"extract":                  {"multiversion", "vfs", "internal/current"},
	"install":                  {"fleet", "multiversion", "advisory", "verify", "inspect", "vfs", "durable", "fsatomic", "internal/sha"},
	"internal/testbin":         {"multiversion", "pack"},
	"internal/standin":         {"multiversion", "datafile", "internal/standin/program", "internal/testbin"},
	"internal/standin/main":    {"internal/standin/program"},
	"internal/standin/program": {"multiversion", "datafile", "internal/standin/zone"},
	"internal/standin/zone":    {"multiversion", "datafile"},
	"internal/testhost":        {},
	"internal/mutate":          {},
	"internal/tinyelf":         nil,
	"torture":                  nil,
	"bench":                    nil,
	"cmd/tbctl":                nil,
}

// external says which packages alone may import a module of others.
var external = map[string][]string{
	"github.com/alecthomas/kong":        {"cmd/tbctl", "internal/cmdline", "completions", "internal/manual"},
	"github.com/charmbracelet/lipgloss": {"internal/term"},
	"github.com/schollz/progressbar/v3": {"internal/term"},
	"github.com/cenkalti/backoff/v5":    {"release"},
	"aead.dev/minisign":                 {"release"},
	"github.com/pelletier/go-toml/v2":   {"internal/config", "internal/tomlline", "inventory"},
	"github.com/fsnotify/fsnotify":      {"watch"},
	"github.com/klauspost/compress":     {"internal/archive", "delta"},
	"net/http":                          {"release", "internal/hints", "internal/candidates", "internal/demo", "remote", "engine", "depot/serve", "bench"},
	"debug/elf":                         {},
	"debug/pe":                          {},
	"debug/macho":                       {},
}

type listed struct {
	ImportPath string
	Imports    []string
}

// TestImports holds the table of ARCHITECTURE.md: who may import whom.
func TestImports(t *testing.T) {
	t.Parallel()
	for _, found := range listPackages(t) {
		name := strings.TrimPrefix(found.ImportPath, module)
		if name == strings.TrimSuffix(module, "/") {
			continue
		}
		allowed, known := rooms[name]
		if !known {
			t.Errorf("%s is not in the table", name)
			continue
		}
		for _, imported := range found.Imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && ours != everyones && rooms[name] != nil && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s", name, ours)
			}
			if isOurs && (ours == "internal/testbin" || ours == "internal/standin") && !strings.HasPrefix(name, "internal/") {
				t.Errorf("%s imports the fixtures %s", name, ours)
			}
			checkExternal(t, name, imported)
		}
		for _, ours := range allowed {
			if runtime.GOOS == "linux" && !slices.Contains(found.Imports, module+ours) {
				t.Errorf("%s may import %s, but does not: take it out of the table", name, ours)
			}
		}
	}
}

func checkExternal(t *testing.T, name, imported string) {
	t.Helper()
	for path, allowed := range external {
		if (imported == path || strings.HasPrefix(imported, path+"/")) && !slices.Contains(allowed, name) {
			t.Errorf("%s imports %s", name, imported)
		}
	}
}

// listPackages asks the go command, without tests' imports.
func listPackages(t *testing.T) []listed {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the table is checked with the go command: %v", err)
	}
	var failure strings.Builder
	command := exec.Command("go", "list", "-tags=mutate", "-json=ImportPath,Imports", "./...")
	command.Stderr = &failure
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, failure.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var next listed
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, next)
	}
}
