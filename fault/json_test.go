package fault_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fault"
)

type plainInner struct {
	Last struct {
		Time string `json:"time_of_day"`
	} `json:"last"`
}

// TestJSON: what is wrong with a text is told by its key and byte, never in the decoder's words.
func TestJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "it is cut short: the JSON in it has no end",
		"garbage":                        "not JSON at byte 1",
		`{"last": {"time_of_day": "a"`:   "it is cut short: the JSON in it has no end",
		`{"last": {"time_of_day": 7}}`:   "last.time_of_day: what is there may not be a number, before byte 26",
		`{"last": [1]}`:                  "last: what is there may not be an array, before byte 10",
		`[]`:                             "what is there may not be an array, before byte 1",
		`{"last": {"time_of_day": "a"}}`: "",
		`{"last": {}} more`:              "not JSON at byte 14",
	} {
		var into struct{ plainInner }
		err := fault.JSON(json.Unmarshal([]byte(text), &into))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		var syntax *json.SyntaxError
		if err != nil && strings.HasPrefix(want, "not JSON") && !errors.As(err, &syntax) {
			t.Errorf("%q: the cause is lost: %v", text, err)
		}
	}
	if err := fault.JSON(io.EOF); err.Error() != "it is empty" || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if other := errors.New("other"); fault.JSON(other) != other {
		t.Error("another error is changed")
	}
}
