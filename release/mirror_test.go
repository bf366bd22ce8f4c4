package release

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// TestMirrors writes the same directory in every way: what lists also resolves, and to the same file.
func TestMirrors(t *testing.T) {
	t.Parallel()
	const asset = "tigerbeetle-x86_64-linux.zip"
	dir := t.TempDir()
	for _, name := range []string{"tb/0.17.8/" + asset, "tb/0.17.9/" + asset, "tb/" + asset, "tb-0.17.8/" + asset} {
		putAsset(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	tb := filepath.Join(dir, "tb")
	path := filepath.ToSlash(tb)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	flat, all := []string{"0.17.9", "0.17.8", ""}, filepath.Join(tb, "0.17.9", asset)
	for _, tc := range []struct {
		mirror  string
		listed  []string
		listErr error
		newest  string // path, "" for ErrNotListable or listErr
		missing string // what 0.17.7 resolves to, "" for ErrNotFound or listErr
	}{
		{tb, flat, nil, all, filepath.Join(tb, asset)},
		{"file://" + path, flat, nil, all, filepath.Join(tb, asset)},
		{"file://" + path + "/", flat, nil, all, filepath.Join(tb, asset)},
		{"file://localhost" + path, flat, nil, all, filepath.Join(tb, asset)},
		{"file:" + path, flat, nil, all, filepath.Join(tb, asset)},
		{"FILE://" + path, flat, nil, all, filepath.Join(tb, asset)},
		{"File:" + path, flat, nil, all, filepath.Join(tb, asset)},
		{"file://" + path + "/{tag}/{asset}", flat[:2], nil, all, ""},
		{"FILE:" + path + "/{tag}/{asset}", flat[:2], nil, all, ""},
		{"file://" + path + "-{tag}/{asset}", nil, ErrNotListable, "", filepath.Join(tb+"-0.17.7", asset)},
		{"file:tb", nil, ErrOption, "", ""},
		{"file://elsewhere/tb", nil, ErrOption, "", ""},
		{"https://m.test/x", nil, ErrNotListable, "", "https://m.test/x/0.17.7/" + asset},
		{"https://m.test/x/{tag}/{asset}", nil, ErrNotListable, "", "https://m.test/x/0.17.7/" + asset},
		{"https://m.test/x/{tag}", nil, ErrOption, "", ""},
		{"https://m.test/{os}/{tag}/{asset}", nil, ErrOption, "", ""},
		{"https://m.test/x?key=v", nil, ErrOption, "", ""},
		{"https://m.test/x#f", nil, ErrOption, "", ""},
		{filepath.Join(dir, "none"), nil, ErrNotFound, "", ""},
		{"file://" + path + "/none", nil, ErrNotFound, "", ""},
	} {
		o := Options{Mirror: tc.mirror, Platform: LinuxX86_64, Transport: fileServer{}}
		l, err := List(t.Context(), o)
		if !errors.Is(err, tc.listErr) || !slices.Equal(tagsOf(l), tc.listed) || err == nil && l.Location != tb {
			t.Errorf("list %s: %q in %s, %v", tc.mirror, tagsOf(l), l.Location, err)
		}
		for tag, want := range map[string]string{"latest": tc.newest, "0.17.7": tc.missing} {
			wantErr := tc.listErr
			if wantErr == nil && want == "" {
				wantErr = ErrNotFound
			}
			a, err := resolve(tag, o)
			if want != "" && (err != nil || a.Location != want) || want == "" && !errors.Is(err, wantErr) {
				t.Errorf("%s of %s: %q, %v", tag, tc.mirror, a.Location, err)
			}
		}
	}
	if a, err := resolve("FILE:"+path+"/"+asset, Options{Platform: LinuxX86_64}); err != nil || a.Source != SourceFile || a.Location != filepath.Join(tb, asset) {
		t.Errorf("as an argument: %+v, %v", a, err)
	}
}

// TestMirrorRule has a mirror whose URL names the file anywhere but at its end: the list of digests and the signature are asked for by the same
// rule, so that a list that contradicts is found.
func TestMirrorRule(t *testing.T) {
	t.Parallel()
	const asset = "tigerbeetle-x86_64-linux.zip"
	public, _ := keys(t)
	zip := zipped(t, program(10_000, 1))
	for _, rule := range []string{"https://m.test/get?f={tag}/{asset}", "https://m.test/{asset}/of/{tag}", "https://m.test/get;name={asset}?v={tag}&k=v"} {
		for sum, want := range map[string]Status{sumOf(zip): StatusHeld, sumOf(nil): StatusFailed} {
			place := func(name string) string {
				return strings.NewReplacer("{tag}", "0.17.8", "{asset}", name).Replace(rule)
			}
			files := map[string]string{place(asset): string(zip), place("SHA256SUMS"): sum + "  " + asset + "\n"}
			var asked []string
			o := Options{Mirror: rule, Platform: LinuxX86_64, PublicKey: public, Transport: &transport{answer: func(_ int, r *http.Request) (*http.Response, error) {
				asked = append(asked, r.URL.String())
				if text, ok := files[r.URL.String()]; ok {
					return answer(200, nil, text), nil
				}
				return answer(404, nil, ""), nil
			}}}
			a, err := resolve("0.17.8", o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Fetch(t.Context(), new(buffer))
			if !slices.Contains(asked, place(asset+".minisig")) {
				t.Errorf("%s: asked for %q, %v", rule, asked, err)
			}
			o.PublicKey = ""
			if a, err = resolve("0.17.8", o); err != nil {
				t.Fatal(err)
			}
			f, err := a.Fetch(t.Context(), new(buffer))
			if (err == nil) != (want == StatusHeld) || len(f.Evidence) == 0 || f.Evidence[0].Status != want {
				t.Errorf("%s: %v, %+v", rule, err, f.Evidence)
			}
		}
	}
}

// TestBesideHangs has a server that is reached and never answers when it is asked for the list of digests: that is told by its name, and
// hinders what comes by itself no more than a list that cannot be had for another reason.
func TestBesideHangs(t *testing.T) {
	t.Parallel()
	zip := string(zipped(t, program(10_000, 1)))
	synctest.Test(t, func(t *testing.T) {
		fetch := func(require Require) (Fetched, []Progress, error) {
			var waits []Progress
			a, err := resolve("0.17.8", Options{Mirror: "https://m.test", Platform: LinuxX86_64, Require: require,
				Progress: func(p Progress) {
					if !p.WaitUntil.IsZero() {
						waits = append(waits, p)
					}
				},
				Transport: &transport{answer: func(_ int, r *http.Request) (*http.Response, error) {
					if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
						trace.GotConn(httptrace.GotConnInfo{})
					}
					if strings.HasSuffix(r.URL.Path, "SHA256SUMS") {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return answer(200, nil, zip), nil
				}}})
			if err != nil {
				t.Fatal(err)
			}
			f, err := a.Fetch(t.Context(), new(buffer))
			return f, waits, err
		}
		f, waits, err := fetch(RequireNothing)
		if err != nil || len(f.Evidence) == 0 || f.Evidence[0].Status != StatusNotChecked || f.Evidence[0].Kind != EvidenceSums || !strings.Contains(f.Evidence[0].Detail, ErrIdle.Error()) {
			t.Errorf("%v, %+v", err, f.Evidence)
		}
		for _, p := range waits {
			if !strings.HasPrefix(p.Err.Error(), "SHA256SUMS: ") || !errors.Is(p.Err, ErrIdle) {
				t.Errorf("while it waits: %v", p.Err)
			}
		}
		if len(waits) == 0 {
			t.Error("it was not tried again")
		}
		if _, _, err := fetch(RequireDigest); !errors.As(err, new(*UnavailableError)) || !errors.Is(err, ErrIdle) || !strings.Contains(err.Error(), "sha256sums") {
			t.Errorf("where a digest is required: %v", err)
		}
	})
}
