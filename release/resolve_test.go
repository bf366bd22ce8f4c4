package release

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseTag(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"0.17.8", "0.17.5-1", "latest", "0.0.1", "65535.255.255", "1.2.3-9999"} {
		if tag, err := ParseTag(good); err != nil || string(tag) != good {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "v0.17.8", "0.17", "0.17.8.1", "0.17.8-", "0.17.8-0", "0.17.8-01", "0.17.08", "65536.0.0", "0.256.0", "0.0.256",
		"0.17.8-rc1", " 0.17.8", "0.17.8\n", "0.+1.8", "0.１.8", "../../etc", "0.17.8/..", "Latest", strings.Repeat("1", 1000)} {
		if _, err := ParseTag(bad); !errors.Is(err, ErrTag) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := ParseTag("v0.17.8"); !strings.Contains(err.Error(), "no leading v") {
		t.Errorf("%v", err)
	}
	tags := []Tag{"latest", "0.17.5-1", "0.9.0", "0.17.5", "0.17.10", "0.17.5-2", "1.0.0"}
	slices.SortFunc(tags, Tag.Compare)
	if want := []Tag{"0.9.0", "0.17.5", "0.17.5-1", "0.17.5-2", "0.17.10", "1.0.0", "latest"}; !slices.Equal(tags, want) {
		t.Errorf("sorted: %v", tags)
	}
	if Tag("0.17.5-1").Release() != "0.17.5" || Latest.Release() != "" {
		t.Error("Release")
	}
}

func FuzzParseTag(f *testing.F) {
	for _, s := range []string{"0.17.8", "0.17.5-1", "latest", "v1.2.3", "1..3", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tag, err := ParseTag(text)
		if err == nil && (string(tag) != text || strings.ContainsAny(text, "/\\ \x00") || tag.Compare(tag) != 0) {
			t.Fatalf("%q", text)
		}
	})
}

func TestPlatform(t *testing.T) {
	t.Parallel()
	if host, err := HostPlatform(); err == nil && !slices.Contains(Platforms(), host) {
		t.Error(host)
	}
	if _, err := ParsePlatform("x86_64-freebsd"); !errors.Is(err, ErrPlatform) {
		t.Error(err)
	}
	if got := AssetName(WindowsX86_64, true); got != "tigerbeetle-x86_64-windows-debug.zip" {
		t.Error(got)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const asset = "tigerbeetle-x86_64-linux.zip"
	for _, name := range []string{"0.17.8/" + asset, "0.17.9/" + asset, "0.17.10/other.zip", "flat/" + asset, "my.zip"} {
		putAsset(t, filepath.Join(dir, filepath.FromSlash(name)))
	}
	flat := filepath.Join(dir, "flat")
	slashed := filepath.ToSlash(dir)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	for _, tc := range []struct {
		arg      string
		o        Options
		source   SourceKind
		location string
		err      error
	}{
		{"0.17.8", Options{}, SourceGitHub, BaseURLDefault + "/releases/download/0.17.8/" + asset, nil},
		{"0.17.5-1", Options{Debug: true}, SourceGitHub, BaseURLDefault + "/releases/download/0.17.5-1/tigerbeetle-x86_64-linux-debug.zip", nil},
		{"latest", Options{}, SourceGitHub, BaseURLDefault + "/releases/latest/download/" + asset, nil},
		{"0.17.8", Options{BaseURL: "https://ghe.test/a/b"}, SourceGitHub, "https://ghe.test/a/b/releases/download/0.17.8/" + asset, nil},
		{"0.17.8", Options{Mirror: "https://m.test/x/{tag}/{asset}?k=v"}, SourceMirror, "https://m.test/x/0.17.8/" + asset, nil},
		{"0.17.8", Options{Mirror: "https://m.test/x/"}, SourceMirror, "https://m.test/x/0.17.8/" + asset, nil},
		{"latest", Options{Mirror: "https://m.test/newest/{asset}"}, SourceMirror, "https://m.test/newest/" + asset, nil},
		{"latest", Options{Mirror: "https://m.test/{tag}/{asset}"}, "", "", ErrNotListable},
		{"0.17.8", Options{Mirror: "https://m.test/newest/{asset}"}, "", "", ErrOption},
		{"0.17.8", Options{Mirror: "https://m.test/{tag}/x.zip"}, "", "", ErrOption},
		{"0.17.8", Options{Mirror: "https://m.test/{tag}/{os}/{asset}"}, "", "", ErrOption},
		{"0.17.8", Options{Mirror: "file://" + slashed + "/{tag}/{asset}"}, SourceDirectory, filepath.Join(dir, "0.17.8", asset), nil},
		{"0.17.8", Options{Mirror: "file://" + slashed}, SourceDirectory, filepath.Join(dir, "0.17.8", asset), nil},
		{"0.17.8", Options{Mirror: "file://elsewhere/x"}, "", "", ErrOption},
		{"0.17.8", Options{Mirror: dir}, SourceDirectory, filepath.Join(dir, "0.17.8", asset), nil},
		{"0.17.8", Options{Mirror: flat}, SourceDirectory, filepath.Join(flat, asset), nil},
		{"latest", Options{Mirror: dir}, SourceDirectory, filepath.Join(dir, "0.17.9", asset), nil},
		{"latest", Options{Mirror: flat}, SourceDirectory, filepath.Join(flat, asset), nil},
		{"0.17.7", Options{Mirror: dir}, "", "", ErrNotFound},
		{"latest", Options{Mirror: filepath.Join(dir, "none")}, "", "", ErrNotFound},
		{flat, Options{}, SourceDirectory, filepath.Join(flat, asset), nil},
		{dir, Options{}, "", "", ErrNotFound},
		{filepath.Join(dir, "my.zip"), Options{}, SourceFile, filepath.Join(dir, "my.zip"), nil},
		{filepath.Join(dir, "none.zip"), Options{}, "", "", ErrNotFound},
		{"https://u:p@h.test/x/y.zip?q=1#f", Options{}, SourceURL, "https://h.test/x/y.zip", nil},
		{"file://" + slashed + "/my.zip", Options{}, SourceFile, filepath.Join(dir, "my.zip"), nil},
		{"gopher://h.test/x", Options{}, "", "", ErrOption},
		{"-", Options{Stdin: strings.NewReader("")}, SourceStdin, "-", nil},
		{"-", Options{}, "", "", ErrOption},
		{"", Options{}, "", "", ErrTag},
		{"v0.17.8", Options{}, "", "", ErrTag},
		{"nonsense", Options{}, "", "", ErrTag},
		{"0.17.8", Options{Platform: "plan9"}, "", "", ErrPlatform},
		{"0.17.8", Options{SHA256: "abc"}, "", "", ErrOption},
		{"0.17.8", Options{PublicKey: "abc"}, "", "", ErrOption},
		{"0.17.8", Options{Require: RequireSignature}, "", "", ErrOption},
		{"0.17.8", Options{Require: "luck"}, "", "", ErrOption},
		{"0.17.8", Options{BaseURL: "file:///x"}, "", "", ErrOption},
	} {
		if tc.o.Platform == "" {
			tc.o.Platform = LinuxX86_64
		}
		a, err := resolve(tc.arg, tc.o)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s %+v: %v", tc.arg, tc.o, err)
			continue
		}
		if err == nil && (a.Source != tc.source || a.Location != tc.location) {
			t.Errorf("%s %+v: %s %s", tc.arg, tc.o, a.Source, a.Location)
		}
	}
	if _, err := (Artifact{}).Fetch(t.Context(), nil); !errors.Is(err, ErrOption) {
		t.Errorf("an artifact made by hand: %v", err)
	}
}

// putAsset makes a file, and the directories that it stands in.
func putAsset(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
}
