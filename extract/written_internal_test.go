package extract

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
)

// TestWrittenIsVerified gives verify a copy that is not what was read: it looks at the copy.
func TestWrittenIsVerified(t *testing.T) {
	t.Parallel()
	platform := multiversion.ThisPlatform()
	if platform == "" {
		t.Skipf("skipped: there are no binaries for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	binary := testbin.Load(t, testbin.Build(t, testbin.Spec{Platform: platform}))
	for _, release := range []string{"0.17.7", "0.17.8"} {
		chosen, err := chooseProgram(binary, testbin.Release(release), &Command{Path: "/tigerbeetle"})
		if err != nil {
			t.Fatal(err)
		}
		var copied bytes.Buffer
		if err := chosen.copyTo(context.Background(), &copied); err != nil {
			t.Fatal(err)
		}
		if err := chosen.verify(context.Background(), bytes.NewReader(copied.Bytes())); err != nil {
			t.Errorf("%s: %v", release, err)
		}
		copied.Bytes()[copied.Len()/3] ^= 1
		if err := chosen.verify(context.Background(), bytes.NewReader(copied.Bytes())); !errors.Is(err, ErrChecksum) {
			t.Errorf("%s, damaged: %v", release, err)
		}
	}
}
