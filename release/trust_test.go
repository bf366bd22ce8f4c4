package release

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"
)

func keys(t *testing.T) (string, minisign.PrivateKey) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return public.String(), private
}

// signed is a signature as minisign makes it today, over the hash.
func signed(t *testing.T, key minisign.PrivateKey, data []byte) []byte {
	t.Helper()
	r := minisign.NewReader(bytes.NewReader(data))
	if _, err := bytes.NewBuffer(nil).ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return r.SignWithComments(key, "file:x.zip", "a test")
}

// TestTrust runs every kind of evidence through every outcome.
func TestTrust(t *testing.T) {
	t.Parallel()
	const asset = "tigerbeetle-x86_64-linux.zip"
	executable := program(400_000, 1)
	zip := zipped(t, executable)
	sum, other := sumOf(zip), sumOf([]byte("other"))
	public, private := keys(t)
	_, strange := keys(t)
	beside := "/m/0.17.8/" + asset
	sums := func(text string) map[string]*file {
		return map[string]*file{"/m/0.17.8/SHA256SUMS": {data: []byte(text)}}
	}
	signature := func(b []byte) map[string]*file { return map[string]*file{beside + ".minisig": {data: b}} }

	for name, tc := range map[string]struct {
		files map[string]*file
		o     Options
		kind  EvidenceKind
		want  Status
		of    string
		ok    bool
	}{
		"nothing":                     {kind: EvidenceSums, want: StatusAbsent, ok: true},
		"nothing, digest required":    {o: Options{Require: RequireDigest}, kind: EvidenceSums, want: StatusAbsent},
		"sha256 of the asset":         {o: Options{SHA256: sum}, kind: EvidenceSHA256, want: StatusHeld, of: "asset", ok: true},
		"sha256 of the executable":    {o: Options{SHA256: "sha256:" + strings.ToUpper(sumOf(executable)), Require: RequireDigest}, kind: EvidenceSHA256, want: StatusHeld, of: "executable", ok: true},
		"other sha256":                {o: Options{SHA256: other}, kind: EvidenceSHA256, want: StatusFailed},
		"sums":                        {files: sums(sum + "  " + asset + "\n"), o: Options{Require: RequireDigest}, kind: EvidenceSums, want: StatusHeld, of: "asset", ok: true},
		"sums, other":                 {files: sums(other + "  " + asset + "\n"), kind: EvidenceSums, want: StatusFailed},
		"sums, sha256 held":           {files: sums(other + "  " + asset + "\n"), o: Options{SHA256: sum}, kind: EvidenceSums, want: StatusFailed},
		"sums of others":              {files: sums(sum + "  x.zip\n"), kind: EvidenceSums, want: StatusNotChecked, ok: true},
		"sums of others, required":    {files: sums(sum + "  x.zip\n"), o: Options{Require: RequireDigest}, kind: EvidenceSums, want: StatusNotChecked},
		"sums are too large":          {files: sums(strings.Repeat("x", sumsSizeMax+1)), kind: EvidenceSums, want: StatusNotChecked, ok: true},
		"sums are forbidden":          {files: map[string]*file{"/m/0.17.8/SHA256SUMS": {status: []int{403, 403}}}, kind: EvidenceSums, want: StatusNotChecked, ok: true},
		"sums are gone":               {files: map[string]*file{"/m/0.17.8/SHA256SUMS": {status: []int{410}}}, kind: EvidenceSums, want: StatusAbsent, ok: true},
		"sums fail":                   {files: map[string]*file{"/m/0.17.8/SHA256SUMS": {status: slices.Repeat([]int{500}, 9)}}, kind: EvidenceSums, want: StatusNotChecked, ok: true},
		"sums are a page":             {files: sums("<!DOCTYPE html>\n<p>Please  sign in\n"), kind: EvidenceSums, want: StatusNotChecked, ok: true},
		"sums are a page, required":   {files: sums("<!DOCTYPE html>\n"), o: Options{Require: RequireDigest}, kind: EvidenceSums, want: StatusNotChecked},
		"sums are empty":              {files: sums("# nothing\n"), kind: EvidenceSums, want: StatusNotChecked, ok: true},
		"sums twice":                  {files: sums(sum + "  " + asset + "\n" + other + "  " + asset + "\n"), kind: EvidenceSums, want: StatusFailed},
		"signature":                   {files: signature(signed(t, private, zip)), o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusHeld, of: "asset", ok: true},
		"signature of other bytes":    {files: signature(signed(t, private, executable)), o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusFailed},
		"signature of another key":    {files: signature(signed(t, strange, zip)), o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusFailed},
		"signature of the old kind":   {files: signature(minisign.Sign(private, zip)), o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusFailed},
		"signature damaged":           {files: signature([]byte("untrusted comment: x\nx\nx\nx\n")), o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusFailed},
		"comment of signature forged": {files: signature(bytes.Replace(signed(t, private, zip), []byte("file:x"), []byte("file:y"), 1)), o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusFailed},
		"no signature":                {o: Options{PublicKey: public}, kind: EvidenceMinisign, want: StatusAbsent},
		"no signature, sha256 held":   {o: Options{PublicKey: public, SHA256: sum}, kind: EvidenceMinisign, want: StatusAbsent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]*file{beside: {data: zip, etag: `"1"`}}
			for path, f := range tc.files {
				files[path] = f
			}
			s := newServer(t, files)
			o := tc.o
			o.Mirror, o.CacheDir = s.URL+"/m/{tag}/{asset}", newCache(t)
			f, b, err := fetch(t, "0.17.8", o)
			var trust *TrustError
			if tc.ok && (err != nil || !bytes.Equal(b, executable)) || !tc.ok && !errors.As(err, &trust) {
				t.Fatalf("%v", err)
			}
			if f.Trusted != (tc.want == StatusHeld) {
				t.Errorf("trusted: %v", f.Trusted)
			}
			if err != nil && trust.Failed() != (tc.want == StatusFailed) {
				t.Errorf("failed: %v", trust.Failed())
			}
			if err != nil && !trust.Failed() && len(b) > 0 {
				t.Errorf("%d bytes came although nothing could prove them", len(b))
			}
			for _, e := range f.Evidence {
				if e.Kind != tc.kind {
					continue
				}
				if e.Status != tc.want || e.Of != tc.of && tc.of != "" || e.Detail == "" {
					t.Errorf("%+v", e)
				}
				if e.Status == StatusHeld && (e.Of == "asset" && e.Length != int64(len(zip)) || e.Of == "executable" && e.Length != int64(len(executable))) {
					t.Errorf("vouches for %d bytes", e.Length)
				}
				return
			}
			t.Errorf("no evidence of the kind: %+v", f.Evidence)
		})
	}
}

// TestTrustLocal finds the same files beside a local asset, and nothing beside standard input.
func TestTrustLocal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	executable := program(400_000, 1)
	zip := zipped(t, executable)
	public, private := keys(t)
	path := filepath.Join(dir, "my.zip")
	for name, b := range map[string][]byte{"my.zip": zip, "my.zip.minisig": signed(t, private, zip), "SHA256SUMS": []byte(sumOf(zip) + " *./my.zip\r\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, b, err := fetch(t, path, Options{PublicKey: public})
	if err != nil || !bytes.Equal(b, executable) || len(f.Evidence) != 3 || f.Evidence[0].Status != StatusHeld || f.Evidence[1].Status != StatusAbsent || f.Evidence[2].Status != StatusHeld || f.BytesFetched != 0 || f.Attempts != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	f, b, err = fetch(t, "-", Options{Stdin: bytes.NewReader(zip), SHA256: sumOf(executable)})
	if err != nil || !bytes.Equal(b, executable) || !f.Trusted {
		t.Errorf("%+v, %v", f, err)
	}
	var trust *TrustError
	if _, _, err = fetch(t, "-", Options{Stdin: bytes.NewReader(zip), PublicKey: public}); !errors.As(err, &trust) || trust.Failed() {
		t.Errorf("%v", err)
	}
	if f, b, err = fetch(t, "-", Options{Stdin: bytes.NewReader(executable)}); err != nil || !bytes.Equal(b, executable) || f.Trusted || f.Kind != "elf" {
		t.Errorf("a plain executable: %+v, %v", f, err)
	}
}

func TestAnyHeld(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		statuses []Status
		want     bool
	}{
		{nil, false},
		{[]Status{StatusAbsent, StatusNotChecked, StatusFailed}, false},
		{[]Status{StatusAbsent, StatusHeld}, true},
	} {
		var evidence []Evidence
		for _, status := range tc.statuses {
			evidence = append(evidence, Evidence{Status: status})
		}
		if AnyHeld(evidence) != tc.want {
			t.Errorf("%v: %v", tc.statuses, !tc.want)
		}
	}
}

const apiTagPath = "/api/releases/tags/0.17.8"

func apiRelease(tag string, size int, digest string) string {
	return fmt.Sprintf(`{"tag_name":%q,"published_at":"2025-08-01T00:00:00Z","assets":[{"name":"tigerbeetle-x86_64-linux.zip","size":%d,"digest":%s}]}`, tag, size, digest)
}

// TestGitHubDigest asks GitHub what it says of the asset. Asked for by name or required, it must be had: what
// is not there is a file that nothing vouches for, and what cannot be had now says nothing of the file.
func TestGitHubDigest(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	digest := `"sha256:` + sumOf(zip) + `"`
	limited := http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Limit": {"60"}, "X-Ratelimit-Reset": {"1900000000"}}
	good := []byte(apiRelease("0.17.8", len(zip), digest))
	none := []byte(apiRelease("0.17.8", len(zip), "null"))
	const (
		done = iota
		untrusted
		unavailable
	)
	for name, tc := range map[string]struct {
		api    *file
		o      Options
		want   Status
		detail string
		ends   int
	}{
		"held":                     {api: &file{data: good}, o: Options{AskGitHub: true}, want: StatusHeld},
		"held, with a token":       {api: &file{data: good}, o: Options{Token: "t0ken", Require: RequireDigest}, want: StatusHeld},
		"held, required":           {api: &file{data: good}, o: Options{Require: RequireDigest}, want: StatusHeld},
		"other digest":             {api: &file{data: []byte(apiRelease("0.17.8", len(zip), `"sha256:`+sumOf(nil)+`"`))}, o: Options{AskGitHub: true}, want: StatusFailed, detail: "the asset has", ends: untrusted},
		"other size":               {api: &file{data: []byte(apiRelease("0.17.8", 7, digest))}, o: Options{AskGitHub: true}, want: StatusFailed, detail: "7 are stated", ends: untrusted},
		"no digest, with a token":  {api: &file{data: none}, o: Options{Token: "t0ken"}, want: StatusAbsent},
		"no digest":                {api: &file{data: none}, o: Options{AskGitHub: true}, want: StatusAbsent, ends: untrusted},
		"no digest, required":      {api: &file{data: none}, o: Options{Require: RequireDigest}, want: StatusAbsent, ends: untrusted},
		"other algorithm":          {api: &file{data: []byte(apiRelease("0.17.8", len(zip), `"md5:1"`))}, o: Options{Token: "t0ken"}, want: StatusNotChecked, detail: "md5:1"},
		"other algorithm, asked":   {api: &file{data: []byte(apiRelease("0.17.8", len(zip), `"md5:1"`))}, o: Options{AskGitHub: true}, want: StatusNotChecked, ends: untrusted},
		"no such asset":            {api: &file{data: []byte(`{"tag_name":"0.17.8"}`)}, o: Options{AskGitHub: true}, want: StatusAbsent, ends: untrusted},
		"no such release":          {o: Options{AskGitHub: true}, want: StatusAbsent, ends: untrusted},
		"no such release, a token": {o: Options{Token: "t0ken"}, want: StatusNotChecked, detail: "may not read a private repository"},
		"no such release, both":    {o: Options{Token: "t0ken", AskGitHub: true}, want: StatusNotChecked, detail: "may not read a private repository", ends: unavailable},
		"another release":          {api: &file{data: []byte(apiRelease("0.17.7", len(zip), digest))}, o: Options{AskGitHub: true}, want: StatusNotChecked, detail: "0.17.7", ends: unavailable},
		"no json":                  {api: &file{data: []byte(`<html>`)}, o: Options{AskGitHub: true}, want: StatusNotChecked, detail: "no sense", ends: unavailable},
		"cannot answer":            {api: &file{status: slices.Repeat([]int{503}, 9)}, o: Options{AskGitHub: true}, want: StatusNotChecked, detail: "503", ends: unavailable},
		"cannot answer, required":  {api: &file{status: slices.Repeat([]int{503}, 9)}, o: Options{Require: RequireDigest}, want: StatusNotChecked, detail: "503", ends: unavailable},
		"cannot answer, a token":   {api: &file{status: slices.Repeat([]int{503}, 9)}, o: Options{Token: "t0ken"}, want: StatusNotChecked, detail: "503"},
		"cannot answer, sha256":    {api: &file{status: slices.Repeat([]int{503}, 9)}, o: Options{Token: "t0ken", SHA256: sumOf(zip), Require: RequireDigest}, want: StatusNotChecked, detail: "503"},
		"rate limit":               {api: &file{status: []int{403, 403}, header: limited}, o: Options{AskGitHub: true}, want: StatusNotChecked, detail: "60 requests an hour", ends: unavailable},
		"rate limit, required":     {api: &file{status: []int{429, 429}, header: limited}, o: Options{Require: RequireDigest}, want: StatusNotChecked, detail: "2030-03-17T17:46:40Z", ends: unavailable},
		"rate limit, a token":      {api: &file{status: []int{403}, header: limited}, o: Options{Token: "t0ken"}, want: StatusNotChecked},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]*file{assetPath: {data: zip}}
			if tc.api != nil {
				files[apiTagPath] = tc.api
			}
			s := newServer(t, files)
			o := tc.o
			o.BaseURL, o.APIURL = s.URL, s.URL+"/api"
			f, b, err := fetch(t, "0.17.8", o)
			var blamed *ArtifactError
			var later *UnavailableError
			if (err == nil) != (tc.ends == done) || errors.As(err, &blamed) != (tc.ends == untrusted) || errors.As(err, &later) != (tc.ends == unavailable) {
				t.Fatalf("%v", err)
			}
			if err != nil && tc.want != StatusFailed && (len(b) > 0 || s.bytesSent() > 1000) {
				t.Errorf("%d bytes came although nothing could vouch for them", s.bytesSent())
			}
			for _, e := range f.Evidence {
				if e.Kind == EvidenceGitHubDigest && (e.Status != tc.want || !strings.Contains(e.Detail, tc.detail)) || e.Status == "" || e.Detail == "" {
					t.Errorf("%+v", e)
				}
				if err != nil && !strings.Contains(err.Error(), e.Detail) && tc.want != StatusFailed {
					t.Errorf("%v does not say %q", err, e.Detail)
				}
			}
			if len(f.Evidence) == 0 {
				t.Error("no evidence")
			}
			for _, r := range s.seen() {
				want := ""
				if tc.api == nil && r.Header.Get("Authorization") == "" {
					continue // asked again without the token
				}
				if o.Token != "" && strings.HasPrefix(r.URL.Path, "/api/") {
					want = "Bearer " + o.Token
				}
				if got := r.Header.Get("Authorization"); got != want {
					t.Errorf("%s was told %q", r.URL.Path, got)
				}
			}
		})
	}
}

// TestMirrorAgainstGitHub compares a mirror's bytes with what GitHub says of them, when asked to.
func TestMirrorAgainstGitHub(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	for digest, held := range map[string]bool{sumOf(zip): true, sumOf(nil): false} {
		s := newServer(t, map[string]*file{"/m/0.17.8/tigerbeetle-x86_64-linux.zip": {data: zip},
			apiTagPath: {data: []byte(apiRelease("0.17.8", len(zip), `"sha256:`+digest+`"`))}})
		f, _, err := fetch(t, "0.17.8", Options{Mirror: s.URL + "/m", APIURL: s.URL + "/api", AskGitHub: true})
		var trust *TrustError
		if held != (err == nil) || f.Trusted != held || !held && !errors.As(err, &trust) {
			t.Errorf("%+v, %v", f, err)
		}
	}
}

// TestLatest learns the tag from the redirect, or pins it with the API when that is asked anyway.
func TestLatest(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	digest := `"sha256:` + sumOf(zip) + `"`
	latestPath := "/releases/latest/download/tigerbeetle-x86_64-linux.zip"
	redirect := http.Header{"Location": {assetPath}}
	s := newServer(t, map[string]*file{assetPath: {data: zip}, latestPath: {status: []int{302, 302}, header: redirect}})
	f, b, err := fetch(t, "latest", Options{BaseURL: s.URL})
	if err != nil || !bytes.Equal(b, executable) || f.Tag != "0.17.8" {
		t.Errorf("%+v, %v", f, err)
	}
	if f, _, err = fetch(t, "latest", Options{BaseURL: s.URL, APIURL: s.URL + "/api", Token: "t0ken"}); err != nil || f.Tag != "0.17.8" || f.Trusted {
		t.Errorf("without an answer: %+v, %v", f, err)
	}
	s = newServer(t, map[string]*file{assetPath: {data: zip}, apiTagPath: {data: []byte(apiRelease("0.17.8", len(zip), digest))},
		"/api/releases/latest": {data: []byte(apiRelease("0.17.8", len(zip), digest))}})
	if f, _, err = fetch(t, "latest", Options{BaseURL: s.URL, APIURL: s.URL + "/api", AskGitHub: true}); err != nil || f.Tag != "0.17.8" || !f.Trusted {
		t.Errorf("pinned: %+v, %v", f, err)
	}
}

// TestLatestUnanswered asks the API once which release is the newest, and says why it did not answer.
func TestLatestUnanswered(t *testing.T) {
	t.Parallel()
	const newest = "/api/releases/latest"
	zip := zipped(t, program(10_000, 1))
	release := []byte(apiRelease("0.17.8", len(zip), `"sha256:`+sumOf(zip)+`"`))
	limited := http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Limit": {"60"}}
	for name, tc := range map[string]struct {
		api    *file
		want   Status
		detail string
		calls  int
	}{
		"rate limit":         {&file{data: release, status: []int{403}, header: limited}, StatusNotChecked, "60 requests an hour", 1},
		"fails for good":     {&file{data: release, status: slices.Repeat([]int{500}, 6)}, StatusNotChecked, "500 Internal Server Error", 6},
		"none":               {nil, StatusNotChecked, "with the token and without it", 2},
		"an unknown tag":     {&file{data: []byte(`{"tag_name":"nightly"}`)}, StatusNotChecked, `"nightly"`, 1},
		"it calls itself so": {&file{data: []byte(`{"tag_name":"latest"}`)}, StatusNotChecked, `"latest"`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]*file{"/releases/latest/download/tigerbeetle-x86_64-linux.zip": {data: zip}}
			if tc.api != nil {
				files[newest] = tc.api
			}
			s := newServer(t, files)
			f, _, err := fetch(t, "latest", Options{BaseURL: s.URL, APIURL: s.URL + "/api", Token: "t0ken"})
			if err != nil || len(f.Evidence) != 1 || f.Evidence[0].Status != tc.want || !strings.Contains(f.Evidence[0].Detail, tc.detail) {
				t.Errorf("%+v, %v", f.Evidence, err)
			}
			calls := slices.DeleteFunc(s.paths(), func(path string) bool { return path != "GET "+newest })
			if len(calls) != tc.calls {
				t.Errorf("%d requests, want %d", len(calls), tc.calls)
			}
		})
	}
}

// TestTokenStaysEncrypted refuses to send a token in the clear.
func TestTokenStaysEncrypted(t *testing.T) {
	t.Parallel()
	sent := false
	tr := &transport{answer: func(int, *http.Request) (*http.Response, error) {
		sent = true
		return answer(404, nil, ""), nil
	}}
	_, err := List(t.Context(), Options{APIURL: "http://api.test", Token: "t0ken", Transport: tr})
	if !errors.Is(err, ErrOption) || sent {
		t.Errorf("%v, sent %v", err, sent)
	}
}
