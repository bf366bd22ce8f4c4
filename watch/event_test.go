package watch_test

import (
	"encoding/json"
	"testing"

	"github.com/tbctl/tbctl/watch"
)

// What is written can be read again.
func TestModeText(t *testing.T) {
	t.Parallel()
	for _, want := range []watch.Mode{0, 0o100755, 0o104711, 1<<32 - 1} {
		text, err := json.Marshal(watch.Facts{Mode: want})
		var got watch.Facts
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if err != nil || got.Mode != want {
			t.Errorf("%#o is %s and then %#o: %v", want, text, got.Mode, err)
		}
	}
	for _, text := range []string{`""`, `"0x1"`, `"9"`, `"-1"`, `"77777777777777"`, `7`} {
		var mode watch.Mode
		if err := json.Unmarshal([]byte(text), &mode); err == nil {
			t.Errorf("%s is %#o", text, mode)
		}
	}
}
