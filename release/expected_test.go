package release

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestExpected finds out what an artifact is without one byte of it, and whether the caller has it.
func TestExpected(t *testing.T) {
	t.Parallel()
	const path = "/m/0.17.8/tigerbeetle-x86_64-linux.zip"
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	public, private := keys(t)
	had := Had{AssetSHA256: sumOf(zip), AssetSize: int64(len(zip)), ExecutableSHA256: sumOf(executable), ExecutableSize: int64(len(executable))}
	list := func(sum, name string) *file { return &file{data: []byte(sum + "  " + name + "\n")} }
	digest := func(sum string) *file { return &file{data: []byte(apiRelease("0.17.8", len(zip), `"sha256:`+sum+`"`))} }
	asset := "tigerbeetle-x86_64-linux.zip"
	for name, tc := range map[string]struct {
		sums, api *file
		o         Options
		had       Had
		same      bool
		blamed    bool
	}{
		"nothing stated":           {had: had},
		"list":                     {sums: list(sumOf(zip), asset), had: had, same: true},
		"list, another file":       {sums: list(sumOf(nil), asset), had: had},
		"list, archive unknown":    {sums: list(sumOf(zip), asset), had: Had{ExecutableSHA256: had.ExecutableSHA256}},
		"list of executables":      {sums: list(sumOf(executable), "tigerbeetle"), had: Had{ExecutableSHA256: had.ExecutableSHA256}, same: true},
		"list of others":           {sums: list(sumOf(zip), "x"), had: had},
		"sha256":                   {o: Options{SHA256: sumOf(executable)}, had: Had{ExecutableSHA256: had.ExecutableSHA256}, same: true},
		"sha256 of the archive":    {o: Options{SHA256: sumOf(zip)}, had: had, same: true},
		"sha256, another file":     {o: Options{SHA256: sumOf(nil)}, had: had},
		"sha256, list of another":  {o: Options{SHA256: sumOf(executable)}, sums: list(sumOf(nil), asset), had: had},
		"list that contradicts":    {sums: list(sumOf(zip)+"  "+asset+"\n"+sumOf(nil), asset), had: had, blamed: true},
		"GitHub's":                 {o: Options{AskGitHub: true}, api: digest(sumOf(zip)), had: had, same: true},
		"GitHub's of another size": {o: Options{AskGitHub: true}, api: digest(sumOf(zip)), had: Had{AssetSHA256: sumOf(zip), AssetSize: 1}},
		"GitHub's of another":      {o: Options{AskGitHub: true}, api: digest(sumOf(nil)), had: had},
		"signature":                {o: Options{PublicKey: public}, sums: list(sumOf(zip), asset), had: had},
		"required, not there":      {o: Options{Require: RequireDigest}, had: had, blamed: true},
		"nothing had":              {sums: list(sumOf(zip), asset)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]*file{path: {data: zip}, path + ".minisig": {data: signed(t, private, zip)}}
			if tc.sums != nil {
				files["/m/0.17.8/SHA256SUMS"] = tc.sums
			}
			if tc.api != nil {
				files[apiTagPath] = tc.api
			}
			s := newServer(t, files)
			o := tc.o
			o.Mirror, o.APIURL, o.Platform, o.Retry = s.URL+"/m", s.URL+"/api", LinuxX86_64, quick
			a, err := resolve("0.17.8", o)
			must(t, err)
			e, err := a.Expected(t.Context())
			var blamed *ArtifactError
			if errors.As(err, &blamed) != tc.blamed || err != nil && !tc.blamed {
				t.Fatal(err)
			}
			evidence, same := e.matches(tc.had)
			if same != tc.same && err == nil {
				t.Errorf("the same: %v, %+v", same, evidence)
			}
			if slices.Contains(s.paths(), "GET "+path) {
				t.Errorf("the asset was asked for: %v", s.paths())
			}
			if !same {
				return
			}
			// Fetch comes to the same evidence, and does not ask for it again.
			asked := len(s.paths())
			var b buffer
			f, err := a.Fetch(t.Context(), &b)
			if err != nil || !bytes.Equal(b.Bytes(), executable) || tc.had.AssetSHA256 != "" && !equalJSON(t, f.Evidence, evidence) {
				t.Errorf("%+v, %v; expected %+v", f.Evidence, err, evidence)
			}
			if more := s.paths()[asked:]; len(more) != 1 {
				t.Errorf("asked for %v", more)
			}
		})
	}
}

// TestExpectedAway is an error that does not blame the artifact.
func TestExpectedAway(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]*file{apiTagPath: {status: slices.Repeat([]int{http.StatusBadGateway}, 9)}})
	a, err := resolve("0.17.8", Options{BaseURL: s.URL, APIURL: s.URL + "/api", AskGitHub: true, Platform: LinuxX86_64, Retry: quick})
	must(t, err)
	_, err = a.Expected(t.Context())
	var later *UnavailableError
	if !errors.As(err, &later) || !strings.Contains(err.Error(), "github-digest not-checked") {
		t.Errorf("%v", err)
	}
	if _, err := (Artifact{}).Expected(t.Context()); !errors.Is(err, ErrOption) {
		t.Errorf("%v", err)
	}
}

// TestMatchesAlone needs no request to see that the caller has what was asked for by its SHA-256.
func TestMatchesAlone(t *testing.T) {
	t.Parallel()
	sum := sumOf([]byte("x"))
	public, _ := keys(t)
	for name, tc := range map[string]struct {
		o    Options
		had  Had
		same bool
	}{
		"executable":      {Options{SHA256: sum}, Had{ExecutableSHA256: sum}, true},
		"archive":         {Options{SHA256: sum}, Had{AssetSHA256: sum, ExecutableSHA256: sumOf(nil)}, true},
		"another":         {Options{SHA256: sum}, Had{AssetSHA256: sumOf(nil), ExecutableSHA256: sumOf(nil)}, false},
		"nothing":         {Options{}, Had{AssetSHA256: sum}, false},
		"signature too":   {Options{SHA256: sum, PublicKey: public}, Had{ExecutableSHA256: sum}, false},
		"GitHub's digest": {Options{SHA256: sum, AskGitHub: true}, Had{ExecutableSHA256: sum}, false},
	} {
		tc.o.Mirror, tc.o.Platform = "http://127.0.0.1:1/m", LinuxX86_64
		a, err := resolve("0.17.8", tc.o)
		must(t, err)
		evidence, same := a.matches(tc.had)
		if same != tc.same || same && (len(evidence) != 1 || evidence[0].Status != StatusHeld) {
			t.Errorf("%s: %v, %+v", name, same, evidence)
		}
	}
}

// TestExpectedLocal reads the list beside a local file and not the file.
func TestExpectedLocal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	zip := zipped(t, program(10_000, 1))
	must(t, os.WriteFile(filepath.Join(dir, "x.zip"), []byte("not read"), 0o600),
		os.WriteFile(filepath.Join(dir, sumsName), []byte(sumOf(zip)+"  x.zip\n"), 0o600))
	a, err := resolve(filepath.Join(dir, "x.zip"), Options{Platform: LinuxX86_64})
	must(t, err)
	e, err := a.Expected(t.Context())
	if _, same := e.matches(Had{AssetSHA256: sumOf(zip)}); err != nil || !same {
		t.Errorf("%v, %v", same, err)
	}
}

// TestUnchanged recognizes a file of which nothing is stated by the strong ETag under which it came, with a
// request of headers alone.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	zip := zipped(t, program(10_000, 1))
	public, _ := keys(t)
	size := int64(len(zip))
	for name, tc := range map[string]struct {
		now  file
		o    Options
		had  func(*Had)
		same bool
		head bool // is asked
	}{
		"the same":        {now: file{data: zip, etag: `"1"`}, same: true, head: true},
		"another":         {now: file{data: zip, etag: `"2"`}, head: true},
		"another size":    {now: file{data: zip[1:], etag: `"1"`}, head: true},
		"weak":            {now: file{data: zip, etag: `W/"1"`}, had: func(h *Had) { h.Validator = `W/"1"` }},
		"no tag":          {now: file{data: zip}, head: true},
		"by its time":     {now: file{data: zip, modified: time.Unix(1e9, 0)}, had: func(h *Had) { h.Validator = time.Unix(1e9, 0).UTC().Format(http.TimeFormat) }},
		"from elsewhere":  {now: file{data: zip, etag: `"1"`}, had: func(h *Had) { h.Location = "http://elsewhere.test/x.zip" }},
		"gone":            {now: file{status: []int{404}}, head: true},
		"failing":         {now: file{status: []int{503}}, head: true},
		"digest required": {now: file{data: zip, etag: `"1"`}, o: Options{Require: RequireDigest, SHA256: sumOf(zip)}},
		"digest stated":   {now: file{data: zip, etag: `"1"`}, o: Options{SHA256: sumOf(nil)}},
		"signature":       {now: file{data: zip, etag: `"1"`}, o: Options{PublicKey: public}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, map[string]*file{"/x.zip": &tc.now})
			o := tc.o
			o.Platform, o.Retry = LinuxX86_64, quick
			a, err := resolve(s.URL+"/x.zip", o)
			must(t, err)
			had := Had{Location: a.Location, Validator: `"1"`, AssetSize: size}
			if tc.had != nil {
				tc.had(&had)
			}
			e, _ := a.Expected(t.Context())
			if got := e.unchanged(t.Context(), had); got != tc.same {
				t.Errorf("unchanged: %v", got)
			}
			if slices.Contains(s.paths(), "GET /x.zip") || slices.Contains(s.paths(), "HEAD /x.zip") != tc.head {
				t.Errorf("asked for %v", s.paths())
			}
		})
	}
}
