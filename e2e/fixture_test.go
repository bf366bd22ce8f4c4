//go:build linux

package e2e

import (
	"runtime"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// A binary is a multiversion binary that runs, as it is and in its release archive.
type binary struct {
	says   string // the beginning of what it prints
	data   []byte
	sha256 string
	zip    []byte
}

// binaries are made once: each can be installed over the one before.
type binaries struct {
	old, next *binary
	// far shares no release with the others.
	far *binary
	// smallOld and smallNext are for hundreds of installations: 1 MiB, and random bytes most of it.
	smallOld, smallNext *binary
}

var makeBinaries sync.Once
var made binaries

// fixtures returns the binaries for this host. The archive of the next one has about 2 MiB.
func fixtures(t *testing.T) binaries {
	t.Helper()
	makeBinaries.Do(func() {
		made.old = newBinary(t, testbin.Spec{Current: testbin.Release("0.17.7"), Past: testbin.PastOf("0.17.6")})
		made.next = newBinary(t, testbin.Spec{Current: testbin.Release("0.17.8"), From: made.old.data})
		made.far = newBinary(t, testbin.Spec{Current: testbin.Release("0.99.9"), Past: testbin.PastOf("0.99.8")})
		platform := multiversion.HostPlatform(runtime.GOOS, runtime.GOARCH)
		small := tinyelf.Spec(platform, 1, "0.17.7", "0.17.6")
		small.Size = 1 << 20
		made.smallOld = newBinary(t, small)
		small = tinyelf.Spec(platform, 1, "0.17.8")
		small.From = made.smallOld.data
		made.smallNext = newBinary(t, small)
	})
	return made
}

func newBinary(t *testing.T, spec testbin.Spec) *binary {
	spec.Platform = multiversion.HostPlatform(runtime.GOOS, runtime.GOARCH)
	says := "testbin version " + spec.Current.String()
	if spec.Executable != nil {
		says = tinyelf.Line(spec.Current, spec.Seed)
	}
	data := testbin.Build(t, spec)
	return &binary{says: says, data: data, sha256: sum(data), zip: testbin.Zip(t, "tigerbeetle", data, testbin.ZipOptions{})}
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
