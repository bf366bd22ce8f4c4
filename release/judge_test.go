package release

import (
	"bytes"
	"testing"
)

// TestJudgedTwice judges the same claims for a first try that was wrong and for a second one: what the
// first came to leaves no trace in the second.
func TestJudgedTwice(t *testing.T) {
	t.Parallel()
	const asset, executable = "aa", "ee"
	claims := []Claim{digestClaim(EvidenceSHA256, ""), digestClaim(EvidenceSums, ofAsset)}
	claims[0].SHA256, claims[1].SHA256 = executable, asset
	a := &Artifact{options: Options{Require: RequireDigest}}
	first, err := a.judge(claims, measured{assetSHA256: "damaged", executableSHA256: executable, assetSize: 99, executableSize: 300})
	if err == nil || first[0].Status != StatusHeld || first[0].Length != 300 || first[1].Status != StatusFailed || first[1].Length != -1 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := a.judge(claims, measured{assetSHA256: asset, executableSHA256: executable, assetSize: 100, executableSize: 300})
	if err != nil || second[0].Status != StatusHeld || second[0].Length != 300 || second[1].Status != StatusHeld || second[1].Length != 100 {
		t.Errorf("%+v, %v", second, err)
	}
}

// TestResumedPartialFailsAClaim resumes bytes that were damaged where the unpacking does not look: the
// executable's digest holds, the asset's does not, and both hold when everything has come again.
func TestResumedPartialFailsAClaim(t *testing.T) {
	t.Parallel()
	executable := program(2<<20, 1)
	zip := zipped(t, executable)
	const timeInLocalHeader = 10
	cache := newCache(t)
	f := &file{data: zip, etag: `"1"`}
	s := newServer(t, map[string]*file{assetPath: f,
		apiTagPath: {data: []byte(apiRelease("0.17.8", len(zip), `"sha256:`+sumOf(zip)+`"`))}})
	interrupted(t, s, f, 1<<20, cache)
	overwrite(partials(t, cache)[0], partialHead+timeInLocalHeader, "xx")
	o := Options{BaseURL: s.URL, APIURL: s.URL + "/api", AskGitHub: true, CacheDir: cache, SHA256: sumOf(executable)}
	got, b, err := fetch(t, "0.17.8", o)
	if err != nil || !bytes.Equal(b, executable) || !got.Trusted || got.Restarts != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
