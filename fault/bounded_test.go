package fault_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
)

// TestUnmarshal: no text makes more work than it has bytes, and what is in a text counts for nothing.
func TestUnmarshal(t *testing.T) {
	t.Parallel()
	object := func(fields int) string {
		var b strings.Builder
		for field := range fields {
			fmt.Fprintf(&b, `,"k%d":0`, field)
		}
		return "{" + strings.TrimPrefix(b.String(), ",") + "}"
	}
	nested := func(depth int) string { return strings.Repeat(`{"a":[`, depth) + strings.Repeat(`]}`, depth) }
	for name, test := range map[string]struct{ text, want string }{
		"as many fields as may be":  {object(128), ""},
		"too many fields":           {object(129), "an object has more than 128 fields"},
		"a great many fields":       {object(70_000), "an object has more than 128 fields"},
		"too many, further in":      {`{"a":[1,` + object(129) + `]}`, "more than 128 fields"},
		"many objects":              {"[" + object(100) + "," + object(100) + "]", ""},
		"a long array":              {"[" + strings.Repeat("0,", 1000) + "0]", ""},
		"as deep as may be":         {nested(16), ""},
		"too deep":                  {nested(17), "nested more than 32 deep"},
		"very deep":                 {nested(100_000), "nested more than 32 deep"},
		"a text that looks like it": {`{"a":"\\\"` + strings.Repeat(`{,[`, 500) + `"}`, ""},
		"a text without an end":     {`{"a":"x`, "cut short"},
		"more ends than beginnings": {`}}}]` + object(2), "not JSON at byte 1"},
		"not JSON":                  {`{"a":}`, "not JSON at byte 6"},
		"nothing":                   {"", "cut short"},
	} {
		var into any
		err := fault.Unmarshal([]byte(test.text), &into)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for name, test := range map[string]struct{ text, want string }{
		"what is known":            {`{"a":1}` + "\n\n", ""},
		"what is not known":        {`{"a":1,"b":2}`, "unknown field"},
		"something that follows":   {`{"a":1}{"a":2}`, "something follows"},
		"no JSON that follows":     {`{"a":1} x`, "something follows"},
		"too many, not the first":  {`{"a":1,` + strings.TrimPrefix(object(200), "{"), "more than 128 fields"},
		"another kind of a value":  {`{"a":"x"}`, "a: what is there may not be a text"},
		"too many after the first": {`{"a":1}` + object(129), "more than 128 fields"},
		"nothing":                  {"", "it is empty"},
	} {
		var into struct {
			A int `json:"a"`
		}
		err := fault.UnmarshalKnown([]byte(test.text), &into)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("known, %s: %v, want %q", name, err, test.want)
		}
	}
}
