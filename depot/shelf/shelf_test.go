package shelf_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

const asset = "tigerbeetle-x86_64-linux.zip"

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func build(t *testing.T, minor uint8, seed uint64) []byte {
	t.Helper()
	return testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformX86_64Linux, Current: multiversion.NewRelease(0, 17, minor), Past: []testbin.Past{{Release: multiversion.NewRelease(0, 17, 0)}}, Seed: seed})
}

func options(change ...func(*release.Options)) release.Options {
	o := release.Options{Platform: multiversion.PlatformX86_64Linux}
	for _, each := range change {
		each(&o)
	}
	return o
}

// bring imports what an argument means.
func bring(t *testing.T, d *depot.Depot, argument string, options release.Options) (shelf.Imports, error) {
	t.Helper()
	artifact, err := release.Resolve(t.Context(), argument, options)
	if err != nil {
		t.Fatal(err)
	}
	return shelf.Import(t.Context(), d, shelf.Importing{
		Artifact: artifact, Source: artifact.Location, Who: "ann@host", PublicKey: options.PublicKey,
		Judge: func(report verify.Report) error {
			if !report.Ok {
				return fault.New(fault.Rejected, report.Diagnosis)
			}
			return nil
		},
	})
}

// server gives a zip, its checksums and a signature, and counts how often the zip was asked for.
type server struct {
	*httptest.Server

	zips      atomic.Int64
	zip       []byte
	sums      string
	signature []byte
}

func newServer(t *testing.T, binary []byte) *server {
	t.Helper()
	s := &server{zip: testbin.Zip(t, "tigerbeetle", binary, testbin.ZipOptions{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch name := filepath.Base(r.URL.Path); {
		case name == asset:
			if r.Method == http.MethodGet {
				s.zips.Add(1)
			}
			w.Header().Set("ETag", `"`+digestOf(s.zip)[:8]+`"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.zip))
		case name == "SHA256SUMS" && s.sums != "":
			fmt.Fprint(w, s.sums)
		case name == asset+".minisig" && s.signature != nil:
			_, _ = w.Write(s.signature)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// TestImport holds that what is there is not fetched again: as an ETag, a list of checksums or a digest tells, and that it is
// fetched when it has changed.
func TestImport(t *testing.T) {
	t.Parallel()
	binary := build(t, 5, 0)
	for name, test := range map[string]struct {
		sums    func(s *server) string
		options release.Options
		kinds   string
	}{
		"an ETag":          {options: options(), kinds: "import"},
		"SHA256SUMS":       {sums: func(s *server) string { return digestOf(s.zip) + "  " + asset + "\n" }, options: options(func(o *release.Options) { o.Require = release.RequireDigest }), kinds: "sha256sums import"},
		"the executable's": {options: options(func(o *release.Options) { o.SHA256 = digestOf(binary) }), kinds: "sha256 import"},
		"SHA256SUMS of it": {sums: func(*server) string { return digestOf(binary) + "  tigerbeetle\n" }, options: options(), kinds: "sha256sums import"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := depot.Open(vfs.OS(), t.TempDir())
			s := newServer(t, binary)
			if test.sums != nil {
				s.sums = test.sums(s)
			}
			url := s.URL + "/0.17.5/" + asset
			for round := range 3 {
				result, err := bring(t, d, url, test.options)
				if err != nil || result.Artifact.SHA256 != digestOf(binary) || result.Already != (round > 0) || s.zips.Load() != 1 {
					t.Fatalf("round %d: %v, %d fetched, %+v", round, err, s.zips.Load(), result)
				}
				kinds := ""
				for _, receipt := range result.Artifact.Receipts {
					kinds += " " + receipt.Kind
					if receipt.Who != "ann@host" || receipt.Source != url || receipt.Time.IsZero() || receipt.Kind != depot.KindImport && receipt.By == "" {
						t.Errorf("%+v", receipt)
					}
				}
				if strings.TrimSpace(kinds) != test.kinds {
					t.Errorf("round %d: receipts%s, want %s", round, kinds, test.kinds)
				}
			}
			damaged := bytes.Clone(binary)
			damaged[len(damaged)/2] ^= 1
			if err := os.WriteFile(d.Path(digestOf(binary)), damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := bring(t, d, url, test.options); err != nil || s.zips.Load() != 2 {
				t.Errorf("after it changed: %v, %d fetched", err, s.zips.Load())
			}
			if err := d.Check(t.Context(), digestOf(binary)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestImportOtherFile holds that the record of an import hides no other file that the server has by now.
func TestImportOtherFile(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	s := newServer(t, build(t, 5, 0))
	url := s.URL + "/" + asset
	if _, err := bring(t, d, url, options()); err != nil {
		t.Fatal(err)
	}
	other := build(t, 5, 1)
	s.zip = testbin.Zip(t, "tigerbeetle", other, testbin.ZipOptions{})
	if result, err := bring(t, d, url, options()); err != nil || result.Artifact.SHA256 != digestOf(other) || result.Already {
		t.Errorf("%v, %+v", err, result)
	}
}

// TestImportRefuses holds that nothing of what is rejected is left.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := depot.Open(vfs.OS(), filepath.Join(dir, "store"))
	binary := build(t, 5, 0)
	flipped := bytes.Clone(binary)
	flipped[len(flipped)/2] ^= 1
	for name, data := range map[string][]byte{"flipped": flipped, "cut": binary[:len(binary)/2], "text": []byte("a text"), "empty": nil, "untrusted": binary, "another": binary} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		wanted := options()
		switch name {
		case "untrusted":
			wanted.Require = release.RequireDigest
		case "another":
			wanted.SHA256 = digestOf(nil)
		}
		if _, err := bring(t, d, file, wanted); fault.Of(err) != fault.Rejected {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(d.Path(digestOf(nil))))
	if err != nil || len(entries) != 1 || entries[0].Name() != ".lock" { // the store's own
		t.Errorf("left over: %v, %v", entries, err)
	}
}

// TestManyImports imports one file by 16 at once: one artifact, whole, and its receipts.
func TestManyImports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newServer(t, build(t, 5, 0))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := bring(t, depot.Open(vfs.OS(), dir), s.URL+"/"+asset, options()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d := depot.Open(vfs.OS(), dir)
	items, err := shelf.List(t.Context(), d)
	if err != nil || len(items) != 1 || len(items[0].Receipts) != 1 /* the same one */ {
		t.Fatalf("%v, %+v", err, items)
	}
	if err := d.Check(t.Context(), items[0].SHA256); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(filepath.Dir(d.Path(items[0].SHA256)))
	if err != nil || len(entries) != 3 { // with its receipts and the lock
		t.Errorf("left over: %v, %v", entries, err)
	}
}

// fetch takes an artifact of the store.
func fetch(t *testing.T, d *depot.Depot, name string, options release.Options) ([]byte, release.Fetched, error) {
	t.Helper()
	artifact, err := shelf.Resolve(t.Context(), d, name, options)
	if err != nil {
		return nil, release.Fetched{}, err
	}
	var out bytes.Buffer
	fetched, err := artifact.Fetch(t.Context(), &out)
	return out.Bytes(), fetched, err
}

func TestSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := depot.Open(vfs.OS(), filepath.Join(dir, "store"))
	binary := build(t, 5, 0)
	file := filepath.Join(dir, "tigerbeetle")
	if err := os.WriteFile(file, binary, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := bring(t, d, file, options()); err != nil {
		t.Fatal(err)
	}
	byDigest := "sha256:" + digestOf(binary)
	strict := options(func(o *release.Options) { o.Require = release.RequireDigest })
	for name, test := range map[string]struct {
		argument string
		options  release.Options
		class    fault.Class
		trusted  bool
	}{
		"its digest":                   {byDigest, strict, fault.None, true},
		"its digest in capitals":       {"sha256:" + strings.ToUpper(digestOf(binary)), strict, fault.None, true},
		"its release":                  {"store:0.17.5", options(), fault.None, false},
		"the newest":                   {"store:latest", options(), fault.None, false},
		"nothing vouches":              {"store:0.17.5", strict, fault.Rejected, false},
		"a digest that is another":     {"store:0.17.5", options(func(o *release.Options) { o.SHA256 = digestOf(nil) }), fault.Rejected, false},
		"another release":              {"store:0.17.6", options(), fault.Failed, false},
		"a release of it, not its own": {"store:0.17.0", options(), fault.Failed, false},
		"another platform":             {"store:0.17.5", options(func(o *release.Options) { o.Platform = multiversion.PlatformAArch64Linux }), fault.Failed, false},
		"the debug build":              {"store:0.17.5", options(func(o *release.Options) { o.Debug = true }), fault.Failed, false},
		"another digest":               {"sha256:" + digestOf(nil), options(), fault.Failed, false},
		"half a digest":                {byDigest[:40], options(), fault.Usage, false},
		"a path":                       {"sha256:../../etc/passwd", options(), fault.Usage, false},
	} {
		got, fetched, err := fetch(t, d, test.argument, test.options)
		if fault.Of(err) != test.class || err == nil && (!bytes.Equal(got, binary) || fetched.Trusted != test.trusted) {
			t.Errorf("%s: %v, %d bytes, %+v", name, err, len(got), fetched)
		}
	}
	other := build(t, 5, 1)
	if err := os.WriteFile(file, other, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := bring(t, d, file, options()); err != nil {
		t.Fatal(err)
	}
	var ambiguous *shelf.AmbiguousError
	_, _, err := fetch(t, d, "store:0.17.5", options())
	if !errors.As(err, &ambiguous) || fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), digestOf(binary)) || !strings.Contains(err.Error(), digestOf(other)) {
		t.Errorf("two of one release: %v", err)
	}
	// One whose bytes changed is set aside, and nothing that came of it is good.
	damaged := bytes.Clone(binary)
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(d.Path(digestOf(binary)), damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := fetch(t, d, byDigest, options()); !errors.Is(err, depot.ErrDigest) || fault.Of(err) != fault.Rejected {
		t.Errorf("what has changed: %v", err)
	}
	if _, _, err := fetch(t, d, byDigest, options()); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("and then: %v", err)
	}
}

// TestReceiptsVouch holds what receipts count for, and that those that others may have written count for nothing.
func TestReceiptsVouch(t *testing.T) {
	t.Parallel()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	line := func(key minisign.PublicKey) string {
		text, err := key.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		return string(text) // with the comment
	}
	binary := build(t, 5, 0)
	s := newServer(t, binary)
	s.sums = digestOf(s.zip) + "  " + asset + "\n"
	reader := minisign.NewReader(bytes.NewReader(s.zip))
	if _, err := new(bytes.Buffer).ReadFrom(reader); err != nil {
		t.Fatal(err)
	}
	s.signature = reader.Sign(private)
	digest := func(o *release.Options) { o.Require = release.RequireDigest }
	signed := func(o *release.Options) { o.PublicKey = line(public) }
	byStranger := func(o *release.Options) { o.PublicKey = line(stranger) }
	github := func(o *release.Options) { o.AskGitHub = true }
	for name, test := range map[string]struct {
		imported func(*release.Options)
		asked    func(*release.Options)
		spoil    func(t *testing.T, receipts string)
		class    fault.Class
	}{
		"sums for a digest":                 {digest, digest, nil, fault.None},
		"a signature for a digest":          {signed, digest, nil, fault.None},
		"a signature":                       {signed, signed, nil, fault.None},
		"sums for a signature":              {digest, signed, nil, fault.Rejected},
		"a signature by another key":        {signed, byStranger, nil, fault.Rejected},
		"GitHub was never asked":            {digest, github, nil, fault.Rejected},
		"receipts that others may write":    {digest, digest, func(t *testing.T, receipts string) { chmod(t, receipts, 0o666) }, fault.Rejected},
		"a signature that others may write": {signed, signed, func(t *testing.T, receipts string) { chmod(t, receipts, 0o666) }, fault.Rejected},
		"a store that others may write":     {digest, digest, func(t *testing.T, receipts string) { chmod(t, filepath.Dir(receipts), 0o777) }, fault.Rejected},
		"receipts that are gone": {digest, digest, func(t *testing.T, receipts string) {
			if err := os.Remove(receipts); err != nil {
				t.Fatal(err)
			}
		}, fault.Rejected},
		"receipts that are none": {digest, digest, func(t *testing.T, receipts string) {
			if err := os.WriteFile(receipts, []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, fault.Rejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := depot.Open(vfs.OS(), t.TempDir())
			if _, err := bring(t, d, s.URL+"/0.17.5/"+asset, options(test.imported)); err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				test.spoil(t, d.Path(digestOf(binary))+".receipts")
			}
			got, fetched, err := fetch(t, d, "store:0.17.5", options(test.asked))
			if fault.Of(err) != test.class || err == nil && (!bytes.Equal(got, binary) || !fetched.Trusted) {
				t.Errorf("%v, %+v", err, fetched.Evidence)
			}
			if _, _, err := fetch(t, d, "sha256:"+digestOf(binary), options(digest)); err != nil {
				t.Errorf("by its digest: %v", err)
			}
		})
	}
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// TestDisbelieved has receipts that others may have written: they are told as such, name no release, say of nothing that it need not be
// fetched, and do not become believed by the next import.
func TestDisbelieved(t *testing.T) {
	t.Parallel()
	binary, other := build(t, 8, 1), build(t, 8, 2)
	s := newServer(t, binary)
	s.sums = digestOf(s.zip) + "  " + asset + "\n"
	d, url := depot.Open(vfs.OS(), t.TempDir()), s.URL+"/0.17.8/"+asset
	file := filepath.Join(t.TempDir(), "tigerbeetle")
	if err := os.WriteFile(file, other, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := bring(t, d, file, options()); err != nil {
		t.Fatal(err)
	}
	said := []depot.Receipt{
		{Kind: depot.KindImport, Source: url, Tag: "0.17.8-7", AssetSHA256: digestOf(s.zip), AssetSize: int64(len(s.zip)), Time: time.Now()},
		{Kind: string(release.EvidenceSums), By: "x", Time: time.Now()},
	}
	if err := d.AddReceipts(t.Context(), digestOf(other), said...); err != nil {
		t.Fatal(err)
	}
	chmod(t, d.Path(digestOf(other))+".receipts", 0o666)
	items, err := shelf.List(t.Context(), d)
	if err != nil || len(items) != 1 || !strings.Contains(items[0].Disbelieved, "others may write") || len(items[0].Receipts) != 3 || len(items[0].Believed()) != 0 || items[0].Tag() != "0.17.8" {
		t.Fatalf("%v, %+v", err, items)
	}
	imported, err := bring(t, d, url, options())
	if err != nil || imported.Already || imported.Artifact.SHA256 != digestOf(binary) || imported.Artifact.Disbelieved != "" {
		t.Errorf("import: %v, already %v: %+v", err, imported.Already, imported.Artifact)
	}
	if err := d.AddReceipts(t.Context(), digestOf(other), depot.Receipt{Kind: depot.KindImport, Source: "here"}); err != nil {
		t.Fatal(err)
	}
	if now, err := d.Stat(digestOf(other)); err != nil || now.Disbelieved != "" || len(now.Receipts) != 1 || now.Receipts[0].Source != "here" {
		t.Errorf("%v, %+v", err, now)
	}
}

// TestTags holds that a release that was published again is told from the first one where its import says which it was.
func TestTags(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	first, again := build(t, 5, 0), build(t, 5, 1)
	for tag, binary := range map[string][]byte{"0.17.5": first, "0.17.5-1": again} {
		s := newServer(t, binary)
		if _, err := bring(t, d, tag, options(func(o *release.Options) { o.Mirror = s.URL })); err != nil {
			t.Fatal(err)
		}
	}
	for tag, want := range map[string][]byte{"0.17.5": first, "0.17.5-1": again} {
		if got, _, err := fetch(t, d, "store:"+tag, options()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, another file", tag, err)
		}
	}
	if _, err := shelf.Resolve(context.Background(), d, "store:0.17.5-2", options()); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	d := depot.Open(vfs.OS(), t.TempDir())
	put := func(data []byte) string {
		w, err := d.Create(0)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
		artifact, err := w.Commit(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return artifact.SHA256
	}
	whole, other, changed := put(build(t, 5, 0)), put([]byte("a text")), put(build(t, 6, 0))
	if err := os.Truncate(d.Path(changed), 1000); err != nil {
		t.Fatal(err)
	}
	want := map[string]shelf.Verdict{whole: shelf.VerdictWhole, other: shelf.VerdictOther, changed: shelf.VerdictChanged}
	for range 2 {
		seen := 0
		err := shelf.Verify(t.Context(), d, nil, func(checked shelf.Checked) {
			seen++
			if checked.Verdict != want[checked.SHA256] || (checked.Err() == nil) != (checked.Verdict == shelf.VerdictWhole) {
				t.Errorf("%+v", checked)
			}
		})
		if err != nil || seen != len(want) {
			t.Errorf("%v, %d seen", err, seen)
		}
		delete(want, changed) // which was set aside
	}
	err := shelf.Verify(t.Context(), d, []string{changed}, func(checked shelf.Checked) {
		if checked.Verdict != shelf.VerdictMissing || fault.Of(checked.Err()) != fault.Failed {
			t.Errorf("%+v", checked)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestVerifyExchanged: an artifact that another process brings again while the changed one is read is whole.
func TestVerifyExchanged(t *testing.T) {
	t.Parallel()
	fsys := &exchanging{FS: vfs.OS()}
	d := depot.Open(fsys, t.TempDir())
	data := build(t, 5, 0)
	w, err := d.Create(0)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := w.Commit(t.Context(), "")
	if err == nil {
		err = os.Truncate(d.Path(artifact.SHA256), int64(len(data)/2))
	}
	if err != nil {
		t.Fatal(err)
	}
	opens := 0
	fsys.opened = func(name string) {
		if opens++; name == artifact.SHA256 && opens == 2 { // the first looks, the second reads
			if err := errors.Join(os.WriteFile(d.Path(name)+".new", data, 0o644), os.Rename(d.Path(name)+".new", d.Path(name))); err != nil {
				t.Error(err)
			}
		}
	}
	err = shelf.Verify(t.Context(), d, []string{artifact.SHA256}, func(checked shelf.Checked) {
		if checked.Verdict != shelf.VerdictWhole {
			t.Errorf("%+v", checked)
		}
	})
	if aside, asideErr := d.SetAside(); err != nil || asideErr != nil || len(aside) != 0 || opens < 3 {
		t.Errorf("%v, %v, %+v was set aside, opened %d times", err, asideErr, aside, opens)
	}
}

// exchanging tells of each artifact that was opened.
type exchanging struct {
	vfs.FS
	opened func(name string)
}

func (e *exchanging) OpenDir(name string) (vfs.Dir, error) {
	dir, err := e.FS.OpenDir(name)
	return &exchangingDir{dir, e}, err
}

type exchangingDir struct {
	vfs.Dir
	of *exchanging
}

func (d *exchangingDir) Open(name string) (vfs.File, error) {
	file, err := d.Dir.Open(name)
	if err == nil && d.of.opened != nil && sha.Is(name) {
		d.of.opened(name)
	}
	return file, err
}
