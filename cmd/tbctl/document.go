package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/tbctl/tbctl/internal/term"
)

// encode makes a line, or with an indent some, of JSON. What a terminal would act on is
// escaped in it.
func encode(value any, indent string) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(filled(value)); err != nil {
		return nil, err
	}
	if !bytes.ContainsFunc(buffer.Bytes(), acts) {
		return buffer.Bytes(), nil
	}
	var escaped bytes.Buffer
	for _, r := range buffer.String() {
		if acts(r) {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	return escaped.Bytes(), nil
}

// acts reports whether a terminal acts on a character that JSON may hold as it is.
func acts(r rune) bool { return r != '\n' && term.Acts(r) }

// filled returns a copy of a result in which lists without anything in them are
// empty and not nil, so that JSON has [] and never null: a script may go through
// every list. A text that is not UTF-8 shows its other bytes as \xNN, so that it is not
// another name. What the result points to is changed in place.
func filled(result any) any {
	if result == nil {
		return nil
	}
	place := reflect.New(reflect.TypeOf(result))
	place.Elem().Set(reflect.ValueOf(result))
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
