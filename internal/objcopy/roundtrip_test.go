package objcopy_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/tbctl/tbctl/internal/objcopy"
	"github.com/tbctl/tbctl/multiversion"
)

// TestRoundTripGo requires that Remove undoes Add, that the result is a multiversion layout, and
// that the sections hold what was given, for executables of Go's linker.
func TestRoundTripGo(t *testing.T) {
	t.Parallel()
	inputs := goInputs(t)
	for _, each := range inputs {
		data, err := os.ReadFile(each.path)
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, each.name, data)
	}
	t.Logf("%d inputs", len(inputs))
}

func checkRoundTrip(t *testing.T, name string, data []byte) {
	t.Helper()
	normalized := must(t, name, "normalize")(objcopy.Normalize(bytes.NewReader(data), int64(len(data))))
	again := must(t, name, "normalize again")(objcopy.Normalize(bytes.NewReader(normalized), int64(len(normalized))))
	if !bytes.Equal(normalized, again) {
		t.Errorf("%s: normalizing twice changes byte %#x", name, firstDifference(normalized, again))
	}
	current := normalized
	for range 3 {
		image, err := objcopy.Add(bytes.NewReader(current), int64(len(current)), section(testBody), section(testHeader))
		if err != nil {
			t.Errorf("%s: add: %v", name, err)
			return
		}
		packed := must(t, name, "add")(image, err)
		checkPacked(t, name, image, packed)
		removed := must(t, name, "remove")(objcopy.Remove(bytes.NewReader(packed), int64(len(packed))))
		if !bytes.Equal(removed, normalized) {
			t.Errorf("%s: removing what was added changes byte %#x", name, firstDifference(removed, normalized))
		}
		current = removed
	}
}

func checkPacked(t *testing.T, name string, image *objcopy.Image, packed []byte) {
	t.Helper()
	body, _ := image.Body()
	header, _ := image.Header()
	if !bytes.Equal(packed[body.Offset:][:body.Size], testBody) {
		t.Errorf("%s: the body is not at %+v", name, body)
	}
	if !bytes.Equal(packed[header.Offset:][:header.Size], testHeader) {
		t.Errorf("%s: the header is not at %+v", name, header)
	}
	layout, err := multiversion.Locate(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Errorf("%s: locate: %v", name, err)
		return
	}
	if got := layout.Images[0].Header.Offset; got != header.Offset {
		t.Errorf("%s: header located at %d, added at %d", name, got, header.Offset)
	}
	if got := layout.Images[0].Body.Offset; got != body.Offset {
		t.Errorf("%s: body located at %d, added at %d", name, got, body.Offset)
	}
}

func must(t *testing.T, name, op string) func(*objcopy.Image, error) []byte {
	return func(image *objcopy.Image, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %s: %v", name, op, err)
		}
		data, err := contents(image)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, op, err)
		}
		return data
	}
}
