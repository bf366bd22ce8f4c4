package report

import (
	"fmt"
	"reflect"
	"unicode/utf8"
)

// Texts puts what change makes of it in the place of each text of what a pointer leads to, but for what JSON does not show. Field is the
// name of the field that the text is in.
func Texts(value any, change func(field, text string) string) {
	changeTexts(reflect.ValueOf(value), "", change)
}

func changeTexts(v reflect.Value, field string, change func(field, text string) string) {
	if !v.CanInterface() { // a field that no decoder fills
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			changeTexts(v.Elem(), field, change)
		}
	case reflect.Struct:
		for index := range v.NumField() {
			if of := v.Type().Field(index); of.Tag.Get("json") != "-" {
				changeTexts(v.Field(index), of.Name, change)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for index := range v.Len() {
			changeTexts(v.Index(index), field, change)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(key))
			changeTexts(value, field, change)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(change(field, v.String()))
		}
	}
}

// Clip keeps a text short and whole characters, and says how much was cut.
func Clip(text string, size int) string {
	if len(text) <= size {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:size], len(text)-size)
}

// clipTo clips each text of what a pointer leads to.
func clipTo(value any, size int) {
	Texts(value, func(_, text string) string { return Clip(text, size) })
}
