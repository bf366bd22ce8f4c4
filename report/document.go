package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/tbctl/tbctl/watch"
)

// Version is the version of the document and of the result in it.
const Version = 1

// Document is what a command prints with --json: one for each run, on failure too. Result is
// the command's own; to tell null from an empty one it is decoded into a pointer.
type Document[Result any] struct {
	Version  int    `json:"version"` // [Version]
	Command  string `json:"command"` // such as install; empty if the command line names none
	OK       bool   `json:"ok"`      // the exit code is 0
	ExitCode int    `json:"exit_code"`

	// Result is what the command found or did; on failure what it had by then, or null.
	Result Result `json:"result"`

	Error    *Error   `json:"error"`    // null: it did not fail
	Warnings []string `json:"warnings"` // what an operator must not miss
}

// Error says why a command failed.
type Error struct {
	Kind    string `json:"kind"`             // the name of the exit code: failed, usage, rejected, refused, busy, unknown-state, fenced, interrupted
	Message string `json:"message"`          // for people
	Hint    string `json:"hint,omitempty"`   // what to type next, for people; absent: nothing is known
	Detail  any    `json:"detail,omitempty"` // what the error knows besides, see docs/schema/common.json; absent: nothing
}

// Event is one line of watch --json.
type Event struct {
	Version int         `json:"version"` // [Version]
	Command string      `json:"command"` // watch
	Event   watch.Event `json:"event"`
}

// Serving is the first line of store serve --json.
type Serving struct {
	Version int    `json:"version"` // [Version]
	Command string `json:"command"` // store serve
	Address string `json:"address"` // the URL at which it serves
}

// Encode makes JSON of a document or of an event, with an indent over several lines and without one in one, and a newline
// at the end. Lists and tables without anything in them are empty and not null, so that a script may go
// through every one. A text that is not UTF-8 shows its other bytes as \xNN, so that it is
// not another name. What the value points to is changed in place.
func Encode(value any, indent string) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	err := encoder.Encode(filled(value))
	return buffer.Bytes(), err
}

// filled returns a copy of a value as [Encode] wants it.
func filled(value any) any {
	if value == nil {
		return nil
	}
	place := reflect.New(reflect.TypeOf(value))
	place.Elem().Set(reflect.ValueOf(value))
	fill(place.Elem())
	return place.Elem().Interface()
}

func fill(value reflect.Value) {
	switch value.Kind() {
	case reflect.String:
		if text := value.String(); !utf8.ValidString(text) && value.CanSet() {
			value.SetString(escapeBytes(text))
		}
	case reflect.Interface:
		if !value.IsNil() && value.CanSet() {
			value.Set(reflect.ValueOf(filled(value.Interface())))
		}
	case reflect.Pointer:
		if !value.IsNil() {
			fill(value.Elem())
		}
	case reflect.Struct:
		for index := range value.NumField() {
			if value.Type().Field(index).IsExported() && value.Type().Field(index).Tag.Get("json") != "-" {
				fill(value.Field(index))
			}
		}
	case reflect.Map:
		if value.IsNil() && value.CanSet() {
			value.Set(reflect.MakeMap(value.Type()))
		}
	case reflect.Slice:
		if value.IsNil() && value.CanSet() && value.Type().Elem().Kind() != reflect.Uint8 {
			value.Set(reflect.MakeSlice(value.Type(), 0, 0))
		}
		for index := range value.Len() {
			fill(value.Index(index))
		}
	}
}

// escapeBytes writes the bytes that are not UTF-8 as \xNN.
func escapeBytes(text string) string {
	var escaped strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&escaped, `\x%02x`, text[0])
		} else {
			escaped.WriteString(text[:size])
		}
		text = text[size:]
	}
	return escaped.String()
}
