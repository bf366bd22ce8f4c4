package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const schemaDir = "../../docs/schema"

// schemas are the schema files by their names. Of the language they use, and may
// use, what check and same know; format and description say nothing to them.
type schemas map[string]map[string]any

// loadSchemas reads them once for the test process.
var loadSchemas = sync.OnceValues(func() (schemas, error) {
	found, err := filepath.Glob(filepath.Join(schemaDir, "*.json"))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("no schemas: %w", err)
	}
	all := make(schemas)
	for _, name := range found {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var schema map[string]any
		if err := json.Unmarshal(content, &schema); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[filepath.Base(name)] = schema
	}
	return all, nil
})

func mustSchemas(t *testing.T) schemas {
	t.Helper()
	all, err := loadSchemas()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// resolve follows a reference, and returns the file that the result stands in.
func (s schemas) resolve(file string, schema map[string]any) (string, map[string]any, error) {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return file, schema, nil
	}
	name, pointer, _ := strings.Cut(ref, "#")
	if name == "" {
		name = file
	}
	at, ok := s[name]
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer != "" && ok {
			at, ok = at[key].(map[string]any)
		}
	}
	if !ok {
		return "", nil, fmt.Errorf("%s: nothing at %s", file, ref)
	}
	return s.resolve(name, at)
}

// check validates a value against a schema.
func (s schemas) check(file string, schema map[string]any, value any, path string) error {
	file, schema, err := s.resolve(file, schema)
	if err != nil {
		return err
	}
	for key, rule := range schema {
		if err := s.checkRule(file, schema, key, rule, value, path); err != nil {
			return err
		}
	}
	return nil
}

func (s schemas) checkRule(file string, schema map[string]any, key string, rule, value any, path string) error {
	switch key {
	case "$schema", "$id", "$defs", "title", "description", "contentEncoding":
	case "type":
		if got := jsonType(value); got != rule && (got != "integer" || rule != "number") {
			return fmt.Errorf("%s: is %s, want %s", path, got, rule)
		}
	case "const":
		if !reflect.DeepEqual(value, rule) {
			return fmt.Errorf("%s: is %v, want %v", path, value, rule)
		}
	case "enum":
		if !slices.ContainsFunc(rule.([]any), func(one any) bool { return reflect.DeepEqual(one, value) }) {
			return fmt.Errorf("%s: %v is none of %v", path, value, rule)
		}
	case "pattern":
		if text, ok := value.(string); ok && !regexp.MustCompile(rule.(string)).MatchString(text) {
			return fmt.Errorf("%s: %q does not match %s", path, text, rule)
		}
	case "items":
		list, _ := value.([]any)
		for index, one := range list {
			if err := s.check(file, rule.(map[string]any), one, fmt.Sprintf("%s.%d", path, index)); err != nil {
				return err
			}
		}
	case "allOf":
		for _, one := range rule.([]any) {
			if err := s.check(file, one.(map[string]any), value, path); err != nil {
				return err
			}
		}
	case "oneOf":
		return s.checkOne(file, rule.([]any), value, path)
	case "properties", "required", "additionalProperties":
		return s.checkObject(file, schema, key, value, path)
	default:
		return fmt.Errorf("%s: the schema uses %s, which is not checked", path, key)
	}
	return nil
}

func (s schemas) checkOne(file string, choices []any, value any, path string) error {
	var failed []error
	for _, choice := range choices {
		if err := s.check(file, choice.(map[string]any), value, path); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == len(choices)-1 {
		return nil
	}
	return fmt.Errorf("%s: %d of %d choices fit: %w", path, len(choices)-len(failed), len(choices), errors.Join(failed...))
}

func (s schemas) checkObject(file string, schema map[string]any, key string, value any, path string) error {
	object, ok := value.(map[string]any)
	if !ok {
		return nil // type has a word on that
	}
	properties, _ := schema["properties"].(map[string]any)
	switch key {
	case "required":
		for _, name := range schema["required"].([]any) {
			if _, ok := object[name.(string)]; !ok {
				return fmt.Errorf("%s: lacks %v", path, name)
			}
		}
	case "properties":
		for name, rule := range properties {
			if member, ok := object[name]; ok {
				if err := s.check(file, rule.(map[string]any), member, path+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		for name, member := range object {
			if properties[name] != nil {
				continue
			}
			rule, ok := schema[key].(map[string]any)
			if !ok {
				return fmt.Errorf("%s.%s: is not in the schema", path, name)
			}
			if err := s.check(file, rule, member, path+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

func jsonType(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case float64:
		if value == float64(int64(value)) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// checkOutput validates what a command with --json printed: the lines of watch's
// events, and the one document of every command.
func (s schemas) checkOutput(output []byte) (command string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(output))
	for {
		var value map[string]any
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			return command, nil
		} else if err != nil {
			return command, err
		}
		name, _ := value["command"].(string)
		file := strings.ReplaceAll(name, " ", "-") + ".json"
		if _, event := value["event"]; event {
			file = "watch-event.json"
		} else if _, change := value["change"]; change {
			file = strings.TrimSuffix(file, ".json") + "-line.json"
			command = name
		} else if _, line := value["rollout"]; line {
			file, command = "fleet-rollout-line.json", name
		} else if _, serving := value["address"]; serving {
			file = "store-serving.json"
		} else if name == "" || name == "exec" {
			file = "envelope.json" // a usage error without a command has no result
		} else {
			command = name
		}
		schema, ok := s[file]
		if !ok {
			return command, fmt.Errorf("no schema %s", file)
		}
		if err := s.check(file, schema, value, name); err != nil {
			return command, err
		}
	}
}
