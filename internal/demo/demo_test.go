package demo_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/demo"
)

// TestPlace: what the steps name is served, nothing outside the directory is named, and nothing stays.
func TestPlace(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped: it packs this program four times")
	}
	place, err := demo.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close(false)
	asked := 0
	for _, step := range place.Steps() {
		if len(step.Args) == 0 || step.Say == "" || strings.Contains(place.Shorten(step.Args), place.Dir) {
			t.Errorf("%+v", step)
		}
		for _, word := range step.Args {
			if !strings.HasPrefix(word, place.URL) {
				continue
			}
			response, err := http.Get(word)
			if err != nil {
				t.Fatal(err)
			}
			begin, err := io.ReadAll(io.LimitReader(response.Body, 4))
			response.Body.Close()
			if asked++; err != nil || response.StatusCode != http.StatusOK || string(begin) != "PK\x03\x04" {
				t.Errorf("%s: %s, %q, %v", word, response.Status, begin, err)
			}
		}
	}
	if asked == 0 && len(place.Steps()) > 2 || place.Binaries != 3 {
		t.Errorf("%d addresses, %d binaries", asked, place.Binaries)
	}
	place.Close(false)
	if _, err := os.Stat(place.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory stays: %v", err)
	}
	if _, err := http.Get(place.URL); err == nil {
		t.Error("the server still answers")
	}
}
