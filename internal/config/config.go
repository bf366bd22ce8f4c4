// Package config reads what an operator has set once for all commands: in configuration files and in
// the environment. Which settings there are is the caller's to say; that a file is safe to
// read, that its settings are known and of their kind, and that a path in it means the same file
// in each directory, is checked here, so that a safeguard that is written wrong is found out at once.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/tbctl/tbctl/internal/tomlline"
	"github.com/tbctl/tbctl/vfs"
)

const (
	// System is the configuration of the host. The user's is read after it and overrides it.
	System = "/etc/tbctl/config.toml"

	// Variable is the variable that names the only file to be read.
	Variable = "TBCTL_CONFIG"

	// TokenVariable is the variable that has a token for a store of artifacts. It is no flag's: who lists processes would see it.
	TokenVariable = "TBCTL_TOKEN"

	// prefix begins the name of each variable of the environment that is a setting.
	prefix = "TBCTL_"

	// fileSizeMax bounds a configuration file in bytes.
	fileSizeMax = 64 << 10

	listMax     = 64 // elements of a setting that is a list
	mistakesMax = 20 // that are told of a file
	nameMax     = 64 // bytes of a name that another may be meant by
)

// Setting is a name that a configuration file may set.
type Setting struct {
	Name     string
	Variable string // of the environment that sets it too; empty: none

	Bool bool // true or false; otherwise a text
	List bool // of texts

	// Path reports whether a value is the path of a file, which must be absolute; nil: none is.
	Path func(value string) bool
	// Check refuses what no command would take; nil: nothing. CheckList does for a list.
	Check     func(value string) error
	CheckList func(values []string) error
}

// Always is the Path of a setting that is always a path.
func Always(string) bool { return true }

// Config is what the configuration files say. The nil Config says nothing.
type Config struct {
	// Skipped are files of other users, which root does not read.
	Skipped []Error

	values map[string]any
	origin map[string]string // the file that a value came from
}

// Error says why a configuration file cannot be used.
type Error struct {
	Path string
	Err  error
}

// Error names the file, and the line and the setting that it is about.
func (e *Error) Error() string {
	if each, ok := e.Err.(mistakes); ok { //nolint:errorlint // not one further inside
		return "configuration " + each.Error()
	}
	return "configuration " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// mistake is what is wrong with a setting.
type mistake struct {
	line int // from 1; 0: it is not known
	key  string
	err  error
}

// mistakes are all that is wrong with a file, at most mistakesMax.
type mistakes struct {
	path string
	all  []mistake
}

func (m mistakes) Error() string {
	texts := make([]string, len(m.all))
	for index, each := range m.all {
		texts[index] = tomlline.Where(m.path, each.line, each.key) + ": " + each.err.Error()
	}
	return strings.Join(texts, "; ")
}

func (m mistakes) Unwrap() []error {
	causes := make([]error, len(m.all))
	for index := range m.all {
		causes[index] = m.all[index].err
	}
	return causes
}

// LooseError says that root finds a configuration which others may write.
type LooseError struct{ Why string }

// Error says what is wrong with it.
func (e *LooseError) Error() string { return e.Why + ", and root follows it" }

// RelativePathError says that a setting means another file in each directory.
type RelativePathError struct{ Value string }

// Error names the value.
func (e *RelativePathError) Error() string { return fmt.Sprintf("%q is not an absolute path", e.Value) }

// Meant is what the path was probably meant to be.
func (e *RelativePathError) Meant(getenv func(string) string) string {
	rest, ofHome := strings.CutPrefix(e.Value, "~/")
	if home := getenv("HOME"); ofHome && filepath.IsAbs(home) {
		return filepath.Join(home, rest)
	}
	return "/PATH/" + rest
}

// Files are the files in the order in which they are read.
func Files(getenv func(string) string) []string {
	if name := getenv(Variable); name != "" {
		return []string{name}
	}
	files := []string{System}
	if base := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(base) {
		return append(files, filepath.Join(base, "tbctl", "config.toml"))
	}
	if home := Home(getenv); home != "" {
		files = append(files, filepath.Join(home, ".config", "tbctl", "config.toml"))
	}
	return files
}

// Load reads the host's file and then the user's, or the one that the environment names. Only that
// must exist. The error is an [*Error]; a setting that is not known is one, since it may be a
// misspelt safeguard. For root so is a file that others may write, unless it is named, with a [*LooseError]: what it asks for is neither believed nor
// dropped. What belongs to another user is not read, see Skipped.
func Load(settings []Setting, getenv func(string) string) (*Config, error) {
	loaded := &Config{values: make(map[string]any), origin: make(map[string]string)}
	named := getenv(Variable) != ""
	for _, path := range Files(getenv) {
		values, content, err := loaded.read(path, named)
		wrong := mistakes{path: path}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if err := check(settings, name, values[name]); err != nil && len(wrong.all) < mistakesMax {
				wrong.all = append(wrong.all, mistake{tomlline.Of(content, -1, name), name, err})
			}
			loaded.values[name], loaded.origin[name] = values[name], path
		}
		if len(wrong.all) > 0 {
			err = wrong
		}
		if err != nil {
			return nil, &Error{Path: path, Err: err}
		}
	}
	return loaded, nil
}

// read reads one file.
func (c *Config) read(path string, named bool) (map[string]any, []byte, error) {
	if path == os.DevNull {
		return nil, nil, nil
	}
	file, info, err := vfs.OpenFile(path, vfs.RegularOnly(vfs.ErrNotRegular))
	if !named && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, vfs.Dangling(vfs.OS(), path)
	}
	if err != nil {
		return nil, nil, cause(err)
	}
	defer file.Close()
	if !named && os.Geteuid() == 0 {
		switch why := vfs.OthersMayWrite(path, info, 0); {
		case why == "":
		case path != System && !mayBeRoots(path, info): // sudo kept the HOME of who called it
			c.Skipped = append(c.Skipped, Error{Path: path, Err: errors.New(why)})
			return nil, nil, nil
		default:
			return nil, nil, &LooseError{Why: why}
		}
	}
	content, err := io.ReadAll(io.LimitReader(file, fileSizeMax+1))
	if err != nil {
		return nil, nil, cause(err)
	}
	if len(content) > fileSizeMax {
		return nil, nil, fmt.Errorf("larger than %d bytes", fileSizeMax)
	}
	var values map[string]any
	err = toml.Unmarshal(content, &values)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ := at.Position()
		err = mistakes{path, []mistake{{line, "", errors.New("not TOML: " + strings.TrimPrefix(at.Error(), "toml: "))}}}
	} else if err != nil {
		err = fmt.Errorf("not TOML: %s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	return values, content, err
}

// cause is an error of the system without the file's name, which [Error] says.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// mayBeRoots says that a file and its directory are root's.
func mayBeRoots(path string, opened fs.FileInfo) bool {
	dir, err := vfs.Stat(filepath.Dir(path))
	return err == nil && vfs.OwnerOf(opened) == 0 && vfs.OwnerOf(dir) == 0
}

// check refuses a setting that is not known, and a value that is not one of its.
func check(settings []Setting, name string, value any) error {
	index := slices.IndexFunc(settings, func(setting Setting) bool { return setting.Name == name })
	if index < 0 {
		if meant := nearest(settings, name); meant != "" {
			return fmt.Errorf("unknown setting; is %s meant?", meant)
		}
		return errors.New("unknown setting")
	}
	setting := settings[index]
	if setting.List {
		return setting.checkList(value)
	}
	_, isText := value.(string)
	_, isBool := value.(bool)
	switch {
	case setting.Bool && !isBool && !isText:
		return errors.New("it must be true or false")
	case !setting.Bool && !isText:
		return errors.New("it must be a text in quotes")
	}
	text := fmt.Sprint(value)
	err := setting.checkPath(text)
	if err == nil && setting.Check != nil {
		err = setting.Check(text)
	}
	return err
}

// nearest is the setting whose name differs least from one that there is not, in two letters at most; "": none is that near.
func nearest(settings []Setting, name string) string {
	best, meant := 3, ""
	if len(name) > nameMax {
		return ""
	}
	for index := range settings {
		if apart := distance(name, settings[index].Name); apart < min(best, len(name)) {
			best, meant = apart, settings[index].Name
		}
	}
	return meant
}

// distance is in how many letters two names differ: one that is missing, one too many, another one, or two in each other's place.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j], rows[i][j-1], rows[i-1][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], 1+rows[i-2][j-2])
			}
		}
	}
	return rows[len(a)][len(b)]
}

// checkList refuses what is not a list of texts that the setting takes.
func (s *Setting) checkList(value any) error {
	elements, is := value.([]any)
	if !is || len(elements) == 0 || len(elements) > listMax {
		return fmt.Errorf("it must be a list of 1 to %d texts in quotes", listMax)
	}
	var texts []string
	for _, element := range elements {
		text, is := element.(string)
		if !is || text == "" {
			return errors.New("it must be a list of texts in quotes")
		}
		if err := s.checkPath(text); err != nil {
			return err
		}
		texts = append(texts, text)
	}
	if s.CheckList != nil {
		return s.CheckList(texts)
	}
	return nil
}

// checkPath refuses a relative path. No shell expands a ~ in it.
func (s *Setting) checkPath(value string) error {
	if s.Path == nil || value == "" || filepath.IsAbs(value) || !s.Path(value) { // empty is not set
		return nil
	}
	return &RelativePathError{value}
}

// Text returns a setting as text, or "".
func (c *Config) Text(name string) string {
	if elements := c.List(name); elements != nil {
		return strings.Join(elements, ", ")
	}
	if value := c.Value(name); value != nil {
		return fmt.Sprint(value)
	}
	return ""
}

// List returns a setting that is a list, or nil.
func (c *Config) List(name string) []string {
	elements, _ := c.Value(name).([]any)
	var texts []string
	for _, element := range elements {
		texts = append(texts, fmt.Sprint(element))
	}
	return texts
}

// Value returns a setting as the file has it, or nil.
func (c *Config) Value(name string) any {
	if c == nil {
		return nil
	}
	return c.values[name]
}

// Origin returns the file that a setting came from.
func (c *Config) Origin(name string) string { return c.origin[name] }

// Variables are the environment's variables that are named as tbctl's settings are.
func Variables() []string {
	var names []string
	for _, line := range os.Environ() {
		if name, _, _ := strings.Cut(line, "="); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// DropEmpty takes variables that are set but empty, as in an EnvironmentFile, for not set.
func DropEmpty() error {
	for _, name := range Variables() {
		if os.Getenv(name) != "" {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	return nil
}

// CheckVariables refuses a variable that sets a path to a relative one. The name is the variable's; the error is a
// [*RelativePathError].
func CheckVariables(settings []Setting, getenv func(string) string) (name string, err error) {
	for _, setting := range append(slices.Clone(settings), Setting{Variable: Variable, Path: Always}) {
		if value := getenv(setting.Variable); setting.Variable != "" && value != os.DevNull {
			if err := setting.checkPath(value); err != nil {
				return setting.Variable, err
			}
		}
	}
	return "", nil
}
