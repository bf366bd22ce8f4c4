package release

import (
	"bytes"
	"testing"
)

const assetPath = "/releases/download/0.17.8/tigerbeetle-x86_64-linux.zip"

func TestFetchGitHub(t *testing.T) {
	t.Parallel()
	executable := program(3<<20, 1)
	zip := zipped(t, executable)
	s := newServer(t, map[string]*file{assetPath: {data: zip, etag: `"1"`}})
	f, got, err := fetch(t, "0.17.8", Options{BaseURL: s.URL, CacheDir: newCache(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, executable) {
		t.Fatal("other bytes")
	}
	want := Fetched{
		About:    About{Source: SourceGitHub, Tag: "0.17.8", Asset: "tigerbeetle-x86_64-linux.zip", Location: s.URL + assetPath},
		Delivery: Delivery{FinalURL: s.URL + assetPath, Validator: `"1"`, BytesFetched: int64(len(zip)), Attempts: 1},
		Kind:     "zip", AssetSize: int64(len(zip)), AssetSHA256: sumOf(zip), ExecutableSize: int64(len(executable)),
		ExecutableSHA256: sumOf(executable), EntryName: "tigerbeetle", EntryMode: 0o755,
	}
	f.Evidence = nil
	if !equalJSON(t, f, want) {
		t.Errorf("got %+v\nwant %+v", f, want)
	}
}
