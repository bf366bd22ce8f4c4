package release_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tbctl/tbctl/release"
)

// A file is fetched from a server, and its digest must hold.
func Example() {
	file := []byte("\x7fELF and so on")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }))
	defer server.Close()
	artifact, err := release.Resolve("0.17.8", release.Options{
		Platform: release.LinuxX86_64, Mirror: server.URL + "/{tag}/{asset}", SHA256: fmt.Sprintf("%x", sha256.Sum256(file)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var executable bytes.Buffer
	fetched, err := artifact.Fetch(context.Background(), &executable)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(fetched.Asset, fetched.AssetSize, "bytes, trusted:", fetched.Trusted)
	// Output: tigerbeetle-x86_64-linux.zip 14 bytes, trusted: true
}

func ExampleParseTag() {
	tag, err := release.ParseTag("0.17.5-1")
	fmt.Println(tag, tag.Release(), err)
	_, err = release.ParseTag("v0.17.5")
	fmt.Println(err)
	// Output:
	// 0.17.5-1 0.17.5 <nil>
	// not a release tag: "v0.17.5": upstream's tags have no leading v
}
