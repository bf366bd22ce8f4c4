package cmdline

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/hints"
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

// Mappers are those of the arguments that may be wrong.
func Mappers() []kong.Option {
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

// argumentError is an argument, or the value of a flag, that is none of its kind.
type argumentError struct {
	of  *kong.Value
	err error
}

func (e *argumentError) Error() string { return e.err.Error() }
func (e *argumentError) Unwrap() error { return e.err }

// usage says which one, and what to type instead.
func (e *argumentError) usage(node *kong.Node, all, example string) error {
	name := strings.ToUpper(e.of.Name)
	if e.of.Flag == nil {
		return hints.Usage(example, "%s: %w", name, e.err)
	}
	name = "--" + e.of.Name
	hint := name + " " + placeholderOf(node, name) + "; all of it: " + all
	switch {
	case strings.HasSuffix(e.of.Target.Type().String(), reflect.TypeFor[time.Duration]().String()): // or a pointer to it
		hint = "a number with its unit: " + name + " 30s, 5m or 1h30m"
	case errors.Is(e.err, multiversion.ErrRelease):
		hint = "such as " + name + " 0.17.8"
	}
	return hints.Usage(hint, "%s: %w", name, e.err)
}

// Configured sets a flag that neither the command line nor the environment sets.
func Configured(loaded *config.Config) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, variable := range flag.Tag.Envs {
			if os.Getenv(variable) != "" { // set, but empty, is not set
				return nil, nil
			}
		}
		return loaded.Value(flag.Name), nil
	})
}
