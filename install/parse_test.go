package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	fenceText = `{"generation":4,"epoch":2,"plan":"sha256:` + aaaa + `","cluster":"07","holder":{"id":"ana","who":"ana@bastion","since":"2026-01-02T03:04:05Z"},` +
		`"phase":"armed","artifact":"sha256:` + aaaa + `"}`
	aaaa = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// What one version of a state has by the name of a field in other letters is that field, and is not kept beside it: it
// would be read again after the field was cleared.
func TestStateHasEachFieldOnce(t *testing.T) {
	t.Parallel()
	state, err := parseState([]byte(`{"version":2,"FENCE":` + fenceText + `,"Next":{"operation":{}},"later":{"a":1}}`))
	if err != nil || state.Fence == nil || state.Next == nil {
		t.Fatalf("%+v, %v", state, err)
	}
	state.Fence, state.Next = nil, nil
	text, err := json.Marshal(state)
	if err != nil || !strings.Contains(string(text), `"later":{"a":1}`) {
		t.Fatalf("%s, %v", text, err)
	}
	if again, err := parseState(text); err != nil || again.Fence != nil || again.Next != nil {
		t.Errorf("%s is read as %+v, %v", text, again, err)
	}
}

// A state that could not be read again, once it was written again, is not believed: the target would have none that can be read.
func TestStateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"version":1,"reached":{"time":"2026-01-02T03:04:05Z"}}`,
		`{"version":1,"reached":{"release":null}}`,
		`{"version":1,"installed":{"releases":["0.17.8",null]}}`,
		`{"version":1,"next":{"operation":{"new":{"releases":[null]}}}}`,
	} {
		if state, err := parseState([]byte(text)); err == nil {
			t.Errorf("%s is believed: %+v", text, state)
		}
	}
}

// FuzzParseState holds that a state that is read, and written again, stays the same, and that what is believed of it was checked.
func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"version":1,"last":null,"installed":null,"previous":null}`))
	f.Add([]byte(`{"version":2,"last":null,"installed":{"path":"/a","size":1,"sha256":"` + aaaa + `","origin":{"source":"0.17.8"}},"fence":` + fenceText + `,"later":[1,{}]}`))
	f.Add([]byte(`{"version":1,"next":{"operation":{"time":"2026-01-02T03:04:05Z"}},"data_files":["/a"],"data_files_base64":["/w=="],"reached":{"release":"0.17.8"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		state, err := parseState(text)
		if err != nil {
			return
		}
		if state.Version < stateVersion || state.Version > stateVersionHeld || len(state.DataFiles) > DataFilesMax {
			t.Fatalf("%+v is believed", state)
		}
		if state.Fence != nil && state.Fence.Check() != nil {
			t.Fatalf("the fence %+v is believed", state.Fence)
		}
		first, err := json.Marshal(state)
		if err != nil {
			t.Fatalf("%q cannot be written again: %v", text, err)
		}
		again, err := parseState(first)
		if err != nil {
			t.Fatalf("%q, written as %s: %v", text, first, err)
		}
		second, err := json.Marshal(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%q, written as\n%s and then as\n%s, %v", text, first, second, err)
		}
	})
}

// TestStateUnknownFields: a state with more fields of a newer tbctl than are kept is not read, however it spreads them.
func TestStateUnknownFields(t *testing.T) {
	t.Parallel()
	fields := func(count int) string {
		var b strings.Builder
		for field := range count {
			fmt.Fprintf(&b, `,"later_%d":{}`, field)
		}
		return `{"version":1` + b.String() + "}"
	}
	for count, want := range map[int]string{0: "", 64: "", 65: "fields that are not known", 70_000: "an object has more than"} {
		_, err := parseState([]byte(fields(count)))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d fields: %v, want %q", count, err, want)
		}
	}
}
