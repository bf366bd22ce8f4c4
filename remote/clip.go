package remote

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

const (
	// TextSizeMax is the most bytes that are kept of each text of a host's answer, and HintSizeMax of a hint: what it says is shown, and kept.
	TextSizeMax = 4 << 10
	HintSizeMax = 512
)

// manyLines is the field whose text has several lines, and is read by a program alone.
const manyLines = "Signature"

// clipAll clips each text of an answer, which is what a pointer leads to: to one line of [TextSizeMax] bytes.
func clipAll(answer any) { clipIn(reflect.ValueOf(answer), false) }

func clipIn(v reflect.Value, lines bool) {
	if !v.CanInterface() { // a field that no decoder fills
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			clipIn(v.Elem(), lines)
		}
	case reflect.Struct:
		for index := range v.NumField() {
			clipIn(v.Field(index), v.Type().Field(index).Name == manyLines)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for index := range v.Len() {
			clipIn(v.Index(index), lines)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			clipIn(value, lines)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		if !v.CanSet() {
			return
		}
		text := v.String()
		if !lines {
			text = oneLine(text)
		}
		v.SetString(clip(text, TextSizeMax))
	}
}

// oneLine puts spaces where a text begins a new line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}

// clip keeps a text short and whole characters, and says how much was cut.
func clip(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:size], len(text)-size)
}
