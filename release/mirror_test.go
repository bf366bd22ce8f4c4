package release

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
			a, err := Resolve(tag, o)
			if want != "" && (err != nil || a.Location != want) || want == "" && !errors.Is(err, wantErr) {
				t.Errorf("%s of %s: %q, %v", tag, tc.mirror, a.Location, err)
			}
		}
	}
	if a, err := Resolve("FILE:"+path+"/"+asset, Options{Platform: LinuxX86_64}); err != nil || a.Source != SourceFile || a.Location != filepath.Join(tb, asset) {
		t.Errorf("as an argument: %+v, %v", a, err)
	}
}
