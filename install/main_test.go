package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

const (
	targetDir  = "/opt/tigerbeetle"
	targetName = targetDir + "/tigerbeetle"
	oldName    = targetName + "-old"
	stateDir   = "/var/lib/tbctl"
	host       = multiversion.PlatformX86_64Linux

	gcPercent = 1000
)

var errInjected = errors.New("injected")

// TestMain lets garbage grow: the tests make thousands of small disks.
func TestMain(m *testing.M) {
	debug.SetGCPercent(gcPercent)
	os.Exit(m.Run())
}

// binaries are the files that tests install, each the successor of the one before.
type binaries struct{ older, old, new, next []byte }

var buildBinaries = sync.OnceValue(func() func(testing.TB) binaries {
	var once sync.Once
	var built binaries
	return func(tb testing.TB) binaries {
		once.Do(func() {
			built.older = testbin.Build(tb, tinyelf.Spec(host, 0, "0.17.7", "0.17.6"))
			built.old = testbin.Build(tb, tinyelf.Spec(host, 0, "0.17.8", "0.17.6", "0.17.7"))
			built.new = testbin.Build(tb, tinyelf.Spec(host, 0, "0.17.9", "0.17.6", "0.17.7", "0.17.8"))
			built.next = testbin.Build(tb, tinyelf.Spec(host, 0, "0.17.10", "0.17.6", "0.17.7", "0.17.8", "0.17.9"))
		})
		return built
	}
})

func files(tb testing.TB) binaries {
	tb.Helper()
	return buildBinaries()(tb)
}

// name says which of the files data is.
func (b binaries) name(data []byte) string {
	for name, known := range map[string][]byte{"nothing": nil, "older": b.older, "old": b.old, "new": b.new, "next": b.next} {
		if bytes.Equal(data, known) {
			return name
		}
	}
	return fmt.Sprintf("%d other bytes", len(data))
}

// bytes is the reverse of name.
func (b binaries) bytes(name string) []byte {
	return map[string][]byte{"older": b.older, "old": b.old, "new": b.new, "next": b.next}[name]
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// fetchOf writes data in two pieces and counts its calls.
func fetchOf(data []byte, calls *int) install.Fetch {
	return func(_ context.Context, w io.Writer) (install.Origin, error) {
		if calls != nil {
			*calls++
		}
		if _, err := w.Write(data[:len(data)/2]); err != nil {
			return install.Origin{}, err
		}
		_, err := w.Write(data[len(data)/2:])
		return install.Origin{Source: "test"}, err
	}
}

// installedAttributes are those of the files that setUp puts there.
func installedAttributes() fsatomic.Attributes {
	return fsatomic.Attributes{UID: 12, GID: 34, Mode: 0o750, Xattrs: map[string][]byte{
		fsatomic.XattrCapability: []byte("capabilities"),
		fsatomic.XattrSELinux:    []byte("label\x00"),
		"user.note":              []byte("keep me"),
	}}
}

// machine is a host with a file system, a target and a journal.
type machine struct {
	*memfs.FS
	options memfs.Options
	state   string
}

// newMachine makes the directories and puts the files there that are not nil,
// durably.
func newMachine(tb testing.TB, options memfs.Options, old, current []byte) *machine {
	tb.Helper()
	m := &machine{FS: memfs.New(options), options: options, state: stateDir}
	for _, dir := range []string{"/opt", targetDir, "/var", "/var/lib"} {
		check(tb, m.Make(dir, vfs.KindDirectory, 0o755))
	}
	m.put(tb, oldName, old)
	m.put(tb, targetName, current)
	m.CrashAt(0)
	return m
}

func (m *machine) put(tb testing.TB, name string, data []byte) {
	tb.Helper()
	if data == nil {
		return
	}
	dir, err := m.OpenDir(path.Dir(name))
	check(tb, err)
	file, err := dir.Create(path.Base(name), 0o600)
	check(tb, err)
	defer file.Close()
	_, err = file.Write(data)
	check(tb, err)
	attributes := installedAttributes()
	if name == oldName { // as root's installation leaves it
		attributes.UID = 0
		delete(attributes.Xattrs, fsatomic.XattrCapability)
	}
	check(tb, file.Chown(attributes.UID, attributes.GID))
	check(tb, file.Chmod(attributes.Mode))
	for key, value := range attributes.Xattrs {
		if !m.options.NoXattrs {
			check(tb, file.SetXattr(key, value))
		}
	}
	check(tb, file.Sync())
	check(tb, dir.Sync())
}

func (m *machine) journal() *install.Journal { return &install.Journal{FS: m.FS, Dir: m.state} }

func (m *machine) installer() *install.Installer {
	return &install.Installer{FS: m.FS, Journal: m.journal(), Command: "tbctl install test", User: "operator", SudoUser: "admin"}
}

// read returns contents and attributes of what stands at name, nil for nothing.
func (m *machine) read(tb testing.TB, name string) ([]byte, fsatomic.Attributes) {
	tb.Helper()
	dir, err := m.OpenDir(path.Dir(name))
	check(tb, err)
	file, err := dir.Open(path.Base(name))
	if err != nil {
		return nil, fsatomic.Attributes{}
	}
	defer file.Close()
	info, err := file.Stat()
	check(tb, err)
	data, err := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
	check(tb, err)
	attributes := fsatomic.Attributes{UID: info.UID, GID: info.GID, Mode: info.Mode, Xattrs: map[string][]byte{}}
	names, _ := file.Xattrs()
	for _, name := range names {
		attributes.Xattrs[name], err = file.Xattr(name)
		check(tb, err)
	}
	return data, attributes
}

// sight is what a test compares.
type sight struct {
	target, old string   // names of the binaries
	residue     []string // names beside the target that should not last
}

// look reads the directory and requires the attributes of both files: the previous one may
// have lost what only the target needs.
func (m *machine) look(tb testing.TB, what string) sight {
	tb.Helper()
	known := files(tb)
	seen := make(map[string]string)
	for _, name := range []string{targetName, oldName} {
		data, got := m.read(tb, name)
		seen[name] = known.name(data)
		want := installedAttributes()
		if data == nil || got.Mode == 0o755 && got.UID == 0 && len(got.Xattrs) == 0 {
			continue // nothing, or the first installation's
		}
		if _, has := got.Xattrs[fsatomic.XattrCapability]; name == oldName && !has {
			delete(want.Xattrs, fsatomic.XattrCapability)
		}
		if got.UID != want.UID && (name != oldName || got.UID != 0) || got.GID != want.GID || got.Mode != want.Mode ||
			!m.options.NoXattrs && !maps.EqualFunc(got.Xattrs, want.Xattrs, bytes.Equal) {
			tb.Fatalf("%s: %s has attributes %+v", what, name, got)
		}
	}
	return sight{seen[targetName], seen[oldName], m.residue(tb)}
}

// lowered requires that the previous file lies there without what only the target needs.
func (m *machine) lowered(tb testing.TB, what string) {
	tb.Helper()
	data, got := m.read(tb, oldName)
	if _, has := got.Xattrs[fsatomic.XattrCapability]; data != nil && (has || got.UID != 0 || got.Mode&0o6022 != 0) {
		tb.Fatalf("%s: the previous file has attributes %+v", what, got)
	}
}

func (m *machine) residue(tb testing.TB) []string {
	tb.Helper()
	dir, err := m.OpenDir(targetDir)
	check(tb, err)
	names, err := dir.List("", 1000)
	check(tb, err)
	var left []string
	for _, name := range names {
		switch name {
		case "tigerbeetle", "tigerbeetle-old", ".tigerbeetle.tbctl-lock", ".tigerbeetle.tbctl-state", "history.jsonl":
		default:
			left = append(left, name)
		}
	}
	return left
}

// phases describes the records, oldest first, such as "intent outcome:installed".
func (m *machine) phases(tb testing.TB) string {
	tb.Helper()
	history, err := m.journal().Read("")
	check(tb, err)
	var texts []string
	for _, record := range history.Records {
		text := string(record.Phase)
		if record.Result != "" {
			text += ":" + string(record.Result)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " ")
}

// state reads what is known of the target, and requires that it is to be believed.
func (m *machine) known(tb testing.TB) *install.State {
	tb.Helper()
	target, err := fsatomic.Lookup(m.FS, targetName)
	check(tb, err)
	var there *install.File
	if target.Exists {
		seen, err := install.DescribeSeen(tb.Context(), m.FS, targetName, target.File)
		check(tb, err)
		there = &seen.File
	}
	state, err := m.installer().ReadState(target, there)
	check(tb, err)
	return state
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func request() install.Request {
	return install.Request{Target: targetName, Source: "test", Host: host}
}

// needs says that data was last written by a release.
func needs(release string) []verify.Need {
	return []verify.Need{{Release: testbin.Release(release), Why: verify.NeedData, Source: "test"}}
}
