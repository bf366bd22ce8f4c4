package main

import (
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// exactText sets a text to the very bytes of an argument. Kong's own way goes through JSON,
// which puts another character in the place of what is not UTF-8: another file's name.
func exactText(text string, target reflect.Value) error {
	target.SetString(text)
	return nil
}

// mapper makes kong's mapper of a kind of argument. Its errors say which argument it is.
func mapper(set func(text string, target reflect.Value) error) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		token, err := ctx.Scan.PopValue("text")
		if err == nil {
			err = set(token.String(), target)
		}
		if err != nil {
			return &argumentError{ctx.Value, err}
		}
		return nil
	})
}

// mappers are those of the arguments that may be wrong.
func mappers() []kong.Option {
	unmarshalled := mapper(func(text string, target reflect.Value) error {
		if target.Kind() == reflect.Pointer {
			target = target.Elem()
		}
		return target.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
	})
	return []kong.Option{
		kong.KindMapper(reflect.String, mapper(exactText)),
		kong.KindMapper(reflect.Int, mapper(func(text string, target reflect.Value) error {
			number, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("expected a number but got %q", text)
			}
			target.SetInt(int64(number))
			return nil
		})),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), mapper(func(text string, target reflect.Value) error {
			duration, err := time.ParseDuration(text)
			if err != nil {
				return fmt.Errorf("expected a duration but got %q", text)
			}
			target.SetInt(int64(duration))
			return nil
		})),
		kong.TypeMapper(reflect.TypeFor[multiversion.Release](), unmarshalled),
		kong.TypeMapper(reflect.TypeFor[*vfs.Mode](), unmarshalled),
	}
}

// checkUTF8 refuses a text that cannot be written down as it is.
func checkUTF8(what, text string) error {
	if utf8.ValidString(text) {
		return nil
	}
	return usage(hints.UTF8, "%s is not UTF-8: %s", what, shell.Word(text))
}

// isTilde reports whether a path begins as one that a shell would have expanded.
func isTilde(path string) bool {
	home, _, more := strings.Cut(path, "/")
	return strings.HasPrefix(home, "~") && (more || home == "~")
}

// checkTilde refuses an argument that no shell has expanded: it would name a directory
// called "~" below the current one.
func checkTilde(arg string) error {
	flag, value, ofFlag := strings.Cut(arg, "=")
	if ofFlag = ofFlag && strings.HasPrefix(flag, "--"); !ofFlag {
		value = arg
	}
	switch {
	case !isTilde(value):
		return nil
	case ofFlag:
		return usage(flag+" "+value+" (a shell expands ~ at the beginning of a word), or the path from /", "%s: ~ is not a directory's name", arg)
	}
	return usage("without quotes the shell expands it: "+value+"; a file below a directory of that name is written ./"+value, "%s: ~ is not a directory's name", arg)
}

// checkHere refuses a target that is a word of which no file is here: most likely it is a
// host's name, or another program's way to name a file on a host.
func (a *app) checkHere(target string) error {
	host, _, remote := strings.Cut(target, ":")
	remote = remote && !strings.ContainsRune(host, filepath.Separator) && filepath.VolumeName(target) == ""
	if !remote && strings.ContainsRune(target, filepath.Separator) {
		return nil
	}
	if _, err := vfs.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return usage("if it is a file to be made here: "+a.line.Retyped(target, "."+string(filepath.Separator)+target)+"; on another host, type it there: ssh HOST tbctl install …",
		"the target %s is neither a path nor a file that is here", target)
}
