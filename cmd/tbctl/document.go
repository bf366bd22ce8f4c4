package main

import "reflect"

// filled returns a copy of a result in which lists without anything in them are
// empty and not nil, so that JSON has [] and never null: a script may go through
// every list. What the result points to is changed in place.
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
