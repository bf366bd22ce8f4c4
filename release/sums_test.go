package release

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSumsForms fetches beside lists in the forms that people publish, each with the right sum and with a wrong
// one. What a list says of the file must hold, wherever the list was made; what cannot be applied is told,
// with the line.
func TestSumsForms(t *testing.T) {
	t.Parallel()
	const asset = "tigerbeetle-x86_64-linux.zip"
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	wrong := strings.Repeat("07", 32)
	for name, tc := range map[string]struct {
		list string // S is the archive's sum, E the executable's, W another one
		want Status
		of   string
		line string // is told where the sum is not applied, or does not hold
	}{
		"text mode":                   {"S  " + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"binary mode":                 {"S *" + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"one blank":                   {"S " + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"tabs":                        {"S\t" + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"this directory":              {"S  ./" + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"a directory":                 {"# made by hand\n\nS  0.17.8/" + asset + "\n", StatusHeld, ofAsset, "line 3"},
		"many directories":            {"S  /srv/mirror/0.17.8/" + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"another release's alone":     {"S  0.17.7/" + asset + "\n", StatusHeld, ofAsset, "0.17.7/"},
		"releases":                    {"W  0.17.7/" + asset + "\nS  0.17.8/" + asset + "\n", StatusHeld, ofAsset, "line 2"},
		"a directory of Windows":      {`S  0.17.8\` + asset + "\r\n", StatusHeld, ofAsset, "line 1"},
		"escaped":                     {`\S  a\\b/` + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"trailing blank":              {"S  " + asset + " \t\n", StatusHeld, ofAsset, "line 1"},
		"CRLF":                        {"W  x\r\nS  " + asset + "\r\n", StatusHeld, ofAsset, "line 2"},
		"byte order mark":             {"\ufeffS  " + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"BSD":                         {"SHA256 (" + asset + ") = S\n", StatusHeld, ofAsset, "line 1"},
		"BSD with a directory":        {"SHA256 (0.17.8/" + asset + ") = S\n", StatusHeld, ofAsset, "line 1"},
		"OpenSSL":                     {"SHA2-256(" + asset + ")= S\n", StatusHeld, ofAsset, "line 1"},
		"with the algorithm":          {"sha256:S  " + asset + "\n", StatusHeld, ofAsset, "line 1"},
		"no line end":                 {"S  " + asset, StatusHeld, ofAsset, "line 1"},
		"twice":                       {"S  " + asset + "\nS  ./" + asset + "\n", StatusHeld, ofAsset, "line 2"},
		"besides other kinds":         {strings.Repeat("ab", 64) + "  " + asset + "\nMD5 (" + asset + ") = 00\nS  " + asset + "\n", StatusHeld, ofAsset, "line 3"},
		"the executable":              {"E  tigerbeetle\n", StatusHeld, ofExecutable, "line 1"},
		"the executable, a directory": {"E  dist/tigerbeetle\n", StatusHeld, ofExecutable, "line 1"},
		"executables":                 {"W  aarch64-linux/tigerbeetle\nE  x86_64-linux/tigerbeetle\n", StatusHeld, ofExecutable, "line 2"},
		"both":                        {"S  " + asset + "\nE  tigerbeetle\n", StatusHeld, ofAsset, "line 1"},
		"another executable":          {"S  " + asset + "\nW  tigerbeetle\n", StatusHeld, ofAsset, "line 1"},
		"disagree":                    {"S  " + asset + "\nW  ./" + asset + "\n", StatusFailed, "", "lines 1 and 2"},
		"directories disagree":        {"S  a/" + asset + "\nW  b/" + asset + "\n", StatusFailed, "", "lines 1 and 2"},
		"executables disagree":        {"E  tigerbeetle\nW  b/tigerbeetle\n", StatusFailed, "", "lines 1 and 2"},
		"no sum":                      {"abcdefabc  " + asset + "\n", StatusFailed, "", "line 1"},
		"cut":                         {"W  x\n" + wrong[:60] + "  " + asset + "\n", StatusFailed, "", "line 2"},
		"BSD without a sum":           {"SHA256 (" + asset + ") = \n", StatusFailed, "", "line 1"},
		"of another kind":             {strings.Repeat("ab", 64) + "  " + asset + "\n", StatusNotChecked, "", "line 1"},
		"of another kind, BSD":        {"W  x\nMD5 (" + asset + ") = abcd\n", StatusNotChecked, "", "line 2"},
		"sum alone":                   {"S\n", StatusNotChecked, "", "line 1"},
		"name first":                  {"W  x\n" + asset + " S\n", StatusHeld, ofAsset, "line 2"},
		"name first, a colon":         {"W  x\n0.17.8/" + asset + ": S\n", StatusHeld, ofAsset, "line 2"},
		"in words":                    {"W  x\nof " + asset + " it is " + wrong[:60] + "\n", StatusNotChecked, "", "line 2"},
		"others":                      {"W  x\nW  tigerbeetle-x86_64-linux.zip.old\nW  " + asset + "/x\n", StatusNotChecked, "", "lists 3 files"},
		"page":                        {"<html>\n<p>" + asset + "</p>\n", StatusNotChecked, "", "lines 1, 2"},
		"empty":                       {"# nothing\n", StatusNotChecked, "", "no list"},
	} {
		for _, right := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", name, right), func(t *testing.T) {
				t.Parallel()
				list := strings.NewReplacer("S  ", sumOf(zip)+"  ", "S *", sumOf(zip)+" *", "S t", sumOf(zip)+" t", "S\t", sumOf(zip)+"\t", "= S", "= "+sumOf(zip),
					"S\n", sumOf(zip)+"\n", " S\n", " "+sumOf(zip)+"\n", "E  ", sumOf(executable)+"  ", "W  ", wrong+"  ").Replace(tc.list)
				want := tc.want
				if !right {
					list = strings.NewReplacer(sumOf(zip), wrong[:62]+"aa", sumOf(executable), wrong[:62]+"aa").Replace(list)
					if want == StatusHeld {
						want = StatusFailed
					}
				}
				s := newServer(t, map[string]*file{"/m/0.17.8/" + asset: {data: zip}, "/m/0.17.8/SHA256SUMS": {data: []byte(list)}})
				f, b, err := fetch(t, "0.17.8", Options{Mirror: s.URL + "/m"})
				var trust *TrustError
				if want == StatusFailed != errors.As(err, &trust) || want != StatusFailed && (err != nil || !bytes.Equal(b, executable)) {
					t.Fatalf("%v", err)
				}
				if got := f.Evidence[0]; got.Kind != EvidenceSums || got.Status != want || got.Of != tc.of && want == StatusHeld ||
					want != StatusHeld && !strings.Contains(got.Detail, tc.line) {
					t.Errorf("%+v\n%s", got, list)
				}
				if f.Trusted != (want == StatusHeld) {
					t.Errorf("trusted: %v", f.Trusted)
				}
				// Where a digest is required, nothing but a sum that holds will do.
				if _, _, err = fetch(t, "0.17.8", Options{Mirror: s.URL + "/m", Require: RequireDigest}); (err == nil) != (want == StatusHeld) {
					t.Errorf("required: %v", err)
				}
			})
		}
	}
}

// TestSumsBesides tells of a line that may be about the file and is not applied, although another one held.
func TestSumsBesides(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	other := sumOf(nil)
	for list, want := range map[string]string{
		sumOf(zip) + "  x.zip\n" + other + "  tigerbeetle\n":           "line 2 of SHA256SUMS has another sum",
		sumOf(zip) + "  x.zip\n" + sumOf(executable) + "  tigerbeetle": "",
		sumOf(zip) + "  x.zip\nx.zip is " + other[1:] + "\n":           "line 2 of SHA256SUMS names",
		sumOf(zip) + "  x.zip\ny.zip is " + other[1:] + "\n":           "",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.zip")
		must(t, os.WriteFile(path, zip, 0o600), os.WriteFile(filepath.Join(dir, sumsName), []byte(list), 0o600))
		f, _, err := fetch(t, path, Options{})
		if err != nil || !f.Trusted || f.Evidence[0].Status != StatusHeld {
			t.Fatalf("%q: %+v, %v", list, f.Evidence, err)
		}
		told := ""
		for _, e := range f.Evidence {
			if e.Status == StatusNotChecked {
				told += e.Detail
			}
		}
		if want == "" && told != "" || !strings.Contains(told, want) {
			t.Errorf("%q: %q", list, told)
		}
	}
}

// TestSumsTag takes a release's own line out of a list of many, by the directory that the file lies in.
func TestSumsTag(t *testing.T) {
	t.Parallel()
	executable := program(10_000, 1)
	zip := zipped(t, executable)
	dir := filepath.Join(t.TempDir(), "0.17.8", "x86_64-linux")
	path := filepath.Join(dir, "x.zip")
	list := fmt.Sprintf("%s  0.17.7/x86_64-linux/x.zip\n%s  0.17.8/x86_64-linux/x.zip\n%s  0.17.8/aarch64-linux/x.zip\n", sumOf(nil), sumOf(zip), sumOf(nil))
	must(t, os.MkdirAll(dir, 0o700), os.WriteFile(path, zip, 0o600), os.WriteFile(filepath.Join(dir, sumsName), []byte(list), 0o600))
	if f, _, err := fetch(t, path, Options{Platform: LinuxX86_64}); err != nil || !f.Trusted {
		t.Errorf("%+v, %v", f.Evidence, err)
	}
}

func FuzzSums(f *testing.F) {
	f.Add([]byte(sumOf(nil) + "  x.zip\n"))
	f.Add([]byte("SHA256 (x.zip) = " + sumOf(nil)))
	f.Add([]byte(`\` + sumOf(nil) + `  a\\b/x.zip`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := Artifact{About: About{Asset: "x.zip", Tag: "0.17.8"}, Platform: LinuxX86_64}
		claims := append(a.sumsClaims(sumList{EvidenceSums, sumsName}, b), a.sidecarClaims(sumList{EvidenceSidecar, "x.zip.sha256"}, b)...)
		if len(claims) == 0 {
			t.Fatal("nothing is said of a list")
		}
		for _, c := range claims {
			if c.open() && (len(c.SHA256) != 64 || c.Of == "" || c.Where == "") || !c.open() && c.Detail == "" || len(c.Detail) > 2000 {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// TestSidecar reads the file beside an asset that has its sum alone, with the strictness of the list: what it says must hold, what cannot be
// had is told by name, and a server that hangs there is asked for the asset all the same.
func TestSidecar(t *testing.T) {
	t.Parallel()
	const name = "tigerbeetle-x86_64-linux.zip"
	executable := program(400_000, 1)
	zip := zipped(t, executable)
	sum, other := sumOf(zip), sumOf([]byte("other"))
	for title, tc := range map[string]struct {
		file    *file
		sums    string
		require Require
		want    Status
		detail  string
		ends    bool // in a *TrustError
	}{
		"digits alone":              {file: &file{data: []byte(sum)}, require: RequireDigest, want: StatusHeld},
		"digits and a line's end":   {file: &file{data: []byte(strings.ToUpper(sum) + "\r\n")}, want: StatusHeld},
		"as sha256sum writes it":    {file: &file{data: []byte(sum + "  " + name + "\n")}, require: RequireDigest, want: StatusHeld},
		"of standard input":         {file: &file{data: []byte(sum + "  -\n")}, want: StatusHeld},
		"as BSD writes it":          {file: &file{data: []byte("SHA256 (/build/" + name + ") = " + sum)}, want: StatusHeld},
		"another sum":               {file: &file{data: []byte(other)}, want: StatusFailed, detail: name + ".sha256", ends: true},
		"another sum, with a name":  {file: &file{data: []byte(other + "  " + name)}, want: StatusFailed, detail: "line 1 of " + name + ".sha256", ends: true},
		"the list holds, it not":    {file: &file{data: []byte(other)}, sums: sum + "  " + name, want: StatusFailed, detail: name + ".sha256", ends: true},
		"the sum of the executable": {file: &file{data: []byte(sumOf(executable))}, want: StatusFailed, ends: true},
		"a page":                    {file: &file{data: []byte("<html>\n")}, want: StatusNotChecked, detail: "no list of SHA-256"},
		"of another kind":           {file: &file{data: []byte(strings.Repeat("ab", 64))}, want: StatusNotChecked, detail: name + ".sha256"},
		"of another file":           {file: &file{data: []byte(sum + "  x.zip")}, want: StatusNotChecked, detail: "lists 1 file"},
		"too large":                 {file: &file{data: make([]byte, sidecarSizeMax+1)}, want: StatusNotChecked, detail: "too large"},
		"none":                      {want: StatusAbsent, detail: "there is no " + name + ".sha256"},
		"none, required":            {require: RequireDigest, want: StatusAbsent, ends: true},
		"it cannot be had":          {file: &file{status: slices.Repeat([]int{502}, 20)}, want: StatusNotChecked, detail: "/m/0.17.8/" + name + ".sha256: server answered 502"},
		"it hangs":                  {file: &file{data: []byte(sum), stall: slices.Repeat([]int{0}, 20)}, want: StatusNotChecked, detail: "/m/0.17.8/" + name + ".sha256: "},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			const path = "/m/0.17.8/tigerbeetle-x86_64-linux.zip"
			files := map[string]*file{path: {data: zip}}
			if tc.file != nil {
				files[path+".sha256"] = tc.file
			}
			if tc.sums != "" {
				files["/m/0.17.8/SHA256SUMS"] = &file{data: []byte(tc.sums)}
			}
			s := newServer(t, files)
			o := Options{Mirror: s.URL + "/m", Require: tc.require, Retry: quick}
			if strings.Contains(tc.detail, ".sha256: ") && tc.file.stall != nil {
				o.Retry.IdleTimeout, o.Retry.Attempts = 5*time.Second, 1
			}
			f, b, err := fetch(t, "0.17.8", o)
			var trust *TrustError
			if errors.As(err, &trust) != tc.ends || err == nil && !bytes.Equal(b, executable) || err != nil && !tc.ends {
				t.Fatalf("%v", err)
			}
			i := slices.IndexFunc(f.Evidence, func(e Evidence) bool { return e.Kind == EvidenceSidecar })
			if i < 0 || f.Evidence[i].Status != tc.want || !strings.Contains(f.Evidence[i].Detail, tc.detail) {
				t.Errorf("%+v", f.Evidence)
			}
		})
	}
}
