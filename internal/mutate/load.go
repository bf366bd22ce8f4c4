//go:build unix && mutate

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// rooms are the packages that are changed when none is named.
var rooms = []string{"./install", "./fsatomic", "./durable", "./verify", "./replica", "./release", "./extract"}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
	DepOnly                 bool
}

// load finds the changes to packages, or to those of their lines that differ from a commit.
func load(packages []string, since string) ([]mutant, error) {
	if len(packages) == 0 {
		packages = rooms
	}
	all, err := listPackages(packages)
	if err != nil {
		return nil, err
	}
	exports := make(map[string]string)
	for _, each := range all {
		exports[each.ImportPath] = each.Export
	}
	var mutants []mutant
	for _, each := range all {
		if each.DepOnly {
			continue
		}
		lines, err := changedLines(each.Dir, since)
		if err != nil {
			return nil, err
		}
		found, err := mutantsOf(each, exports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.ImportPath, err)
		}
		for _, m := range found {
			if since == "" || lines[m.file][m.line] {
				mutants = append(mutants, m)
			}
		}
	}
	return mutants, nil
}

func listPackages(packages []string) ([]listed, error) {
	output, err := output("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,DepOnly"}, packages...)...)
	if err != nil {
		return nil, err
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var each listed
		if err := decoder.Decode(&each); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, each)
	}
}

func output(name string, args ...string) ([]byte, error) {
	command := exec.Command(name, args...)
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return text, err
}

// changedLines are the lines below a directory that differ from a commit, by the file's path.
func changedLines(dir, since string) (map[string]map[int]bool, error) {
	lines := make(map[string]map[int]bool)
	if since == "" {
		return lines, nil
	}
	diff, err := output("git", "-C", dir, "diff", "-U0", "--no-color", "--relative", since, "--", ".")
	if err != nil {
		return nil, err
	}
	var file string
	for line := range strings.Lines(string(diff)) {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			file = filepath.Join(dir, strings.TrimSpace(name))
			lines[file] = make(map[int]bool)
		}
		if !strings.HasPrefix(line, "@@") {
			continue
		}
		first, count, several := strings.Cut(strings.TrimPrefix(strings.Fields(line)[2], "+"), ",")
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil, fmt.Errorf("git diff: %q: %w", line, err)
		}
		size := 1
		if several {
			size, _ = strconv.Atoi(count)
		}
		for number := from; number < from+size; number++ {
			lines[file][number] = true
		}
	}
	return lines, nil
}

// mutantsOf parses and checks a package and finds its changes.
func mutantsOf(each listed, exports map[string]string) ([]mutant, error) {
	files := token.NewFileSet()
	texts := make(map[string][]byte)
	var parsed []*ast.File
	for _, name := range each.GoFiles {
		path := filepath.Join(each.Dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		texts[path], parsed = text, append(parsed, file)
	}
	config := types.Config{Importer: importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(exports[path])
	})}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object)}
	checked, err := config.Check(each.ImportPath, files, parsed, info)
	if err != nil {
		return nil, err
	}
	var found []mutant
	for _, file := range parsed {
		path := files.Position(file.Pos()).Filename
		f := &finder{in: each, files: files, info: info, scope: checked.Scope(), path: path, text: texts[path]}
		ast.Inspect(file, f.visit)
		found = append(found, f.found...)
	}
	return found, nil
}
