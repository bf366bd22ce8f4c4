package e2e

import (
	"runtime"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// A binary is a multiversion binary that runs, as it is and in its release archive.
type binary struct {
	release string
	data    []byte
	sha256  string
	zip     []byte
}

// binaries are made once: each can be installed over the one before.
type binaries struct {
	old, next *binary
	// far shares no release with the others.
	far *binary
}

var makeBinaries sync.Once
var made binaries

// fixtures returns the binaries for this host. The archives have about 1.3 MiB.
func fixtures(t *testing.T) binaries {
	t.Helper()
	makeBinaries.Do(func() {
		made = binaries{
			old:  newBinary(t, "0.17.7", "0.17.6"),
			next: newBinary(t, "0.17.8", "0.17.7"),
			far:  newBinary(t, "0.99.9", "0.99.8"),
		}
	})
	return made
}

func newBinary(t *testing.T, current string, past ...string) *binary {
	data := testbin.Build(t, testbin.Spec{
		Platform: multiversion.HostPlatform(runtime.GOOS, runtime.GOARCH),
		Current:  testbin.Release(current), Past: testbin.PastOf(past...),
	})
	return &binary{release: current, data: data, sha256: sum(data), zip: testbin.Zip(t, "tigerbeetle", data, testbin.ZipOptions{})}
}

// asset is the name of this host's release archive.
func asset(t *testing.T) string {
	t.Helper()
	platform, err := release.HostPlatform()
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	return release.AssetName(platform, false)
}
