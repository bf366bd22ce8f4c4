package release_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
)

// A file is fetched from a server, and its digest must hold.
func Example() {
	file := []byte("\x7fELF and so on")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }))
	defer server.Close()
	artifact, err := release.Resolve(context.Background(), "0.17.8", release.Options{
		Platform: multiversion.PlatformX86_64Linux, Mirror: server.URL + "/{tag}/{asset}", SHA256: fmt.Sprintf("%x", sha256.Sum256(file)),
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

// A connection that breaks is no reason to begin again, and bytes that are not the right ones are
// refused.
func ExampleArtifact_Fetch() {
	file := []byte("\x7fELF and so on")
	mux := http.NewServeMux()
	mux.HandleFunc("/tigerbeetle", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("Range") != "" {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(file)))
		_, _ = w.Write(file[:5])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, sum := range [][32]byte{sha256.Sum256(file), sha256.Sum256([]byte("another file"))} {
		artifact, err := release.Resolve(context.Background(), server.URL+"/tigerbeetle", release.Options{
			Platform: multiversion.PlatformX86_64Linux, SHA256: fmt.Sprintf("%x", sum), Retry: release.Retry{WaitMin: 1, WaitMax: 1},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		var executable bytes.Buffer
		fetched, err := artifact.Fetch(context.Background(), &executable)
		var refused *release.TrustError
		if errors.As(err, &refused) {
			fmt.Println("refused:", refused.Evidence[0].Kind, refused.Evidence[0].Status)
			continue
		}
		fmt.Println(fetched.Attempts, "attempts,", fetched.BytesFetched, "bytes,", fetched.Evidence[0].Kind, fetched.Evidence[0].Status, err)
	}
	// Output:
	// 2 attempts, 14 bytes, sha256 held <nil>
	// refused: sha256 failed
}

// A store keeps each file under its digest. It is a source, and it vouches for what it gives.
type store struct{ files map[string][]byte }

// A stored file is one of them.
type stored struct {
	store  store
	digest string
}

func (s stored) Open(context.Context, hash.Hash) (release.Stream, error) {
	return &reading{bytes.NewReader(s.store.files[s.digest])}, nil
}

func (s stored) Beside(context.Context, string, int64) ([]byte, error) {
	return nil, release.ErrNotFound
}

func (s stored) Ask(context.Context, *release.Artifact) []release.Claim {
	return []release.Claim{{Kind: "store", Strength: release.RequireDigest, SHA256: s.digest, Of: "asset", Length: -1}}
}

type reading struct{ *bytes.Reader }

func (r *reading) Progress() release.Progress {
	return release.Progress{Done: r.Size() - int64(r.Len()), Total: r.Size()}
}

func (r *reading) Close(bool) release.Delivery { return release.Delivery{} }

// A source of another package is fetched and judged as those of this one.
func ExampleFrom() {
	file := []byte("\x7fELF and so on")
	good := fmt.Sprintf("%x", sha256.Sum256(file))
	for _, kept := range [][]byte{file, []byte("\x7fELF, damaged")} {
		from := stored{store{map[string][]byte{good: kept}}, good}
		about := release.About{Source: "vault", Asset: "tigerbeetle", Location: "sha256:" + good[:8]}
		artifact, err := release.From(from, about, release.Options{Platform: multiversion.PlatformX86_64Linux, Require: release.RequireDigest}, from)
		if err != nil {
			fmt.Println(err)
			return
		}
		var executable bytes.Buffer
		fetched, err := artifact.Fetch(context.Background(), &executable)
		for _, evidence := range fetched.Evidence {
			fmt.Println(evidence.Kind, evidence.Status, errors.As(err, new(*release.ArtifactError)))
		}
	}
	// Output:
	// sha256sums absent false
	// sha256-file absent false
	// store held false
	// sha256sums absent true
	// sha256-file absent true
	// store failed true
}

// A mirror may be a directory with a directory for each release.
func ExampleList() {
	mirror, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(mirror)
	for _, tag := range []string{"0.17.4", "0.17.10"} {
		path := filepath.Join(mirror, tag, release.AssetName(multiversion.PlatformX86_64Linux, false))
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			fmt.Println(err)
			return
		}
		if err := os.WriteFile(path, []byte("\x7fELF and so on"), 0o600); err != nil {
			fmt.Println(err)
			return
		}
	}
	listing, err := release.List(context.Background(), release.Options{Platform: multiversion.PlatformX86_64Linux, Mirror: mirror})
	for _, listed := range listing.Releases {
		fmt.Println(listed.Tag, listed.Assets[0].Name, listed.Assets[0].Size)
	}
	fmt.Println(err)
	// Output:
	// 0.17.10 tigerbeetle-x86_64-linux.zip 14
	// 0.17.4 tigerbeetle-x86_64-linux.zip 14
	// <nil>
}
