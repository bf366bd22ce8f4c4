//go:build linux

package torture

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/vfs"
)

// The binaries of the tests, each the successor of the one before.
const (
	binaryOlder = "0.17.7"
	binaryOld   = "0.17.8"
	binaryNew   = "0.17.9"
	binaryNext  = "0.17.10"
	nothing     = "nothing"

	sizeNew = 300 << 10 // bytes: several writes
)

// fixture is a binary that prints its line.
type fixture struct {
	data []byte
	line string
}

var fixtures = struct {
	once sync.Once
	all  map[string]fixture
}{}

func platform() multiversion.Platform {
	return multiversion.ThisPlatform()
}

// binaries returns the fixtures by their releases.
func binaries(t *testing.T) map[string]fixture {
	t.Helper()
	fixtures.once.Do(func() {
		fixtures.all = make(map[string]fixture)
		releases := []string{"0.17.6", binaryOlder, binaryOld, binaryNew, binaryNext}
		for index, release := range releases[1:] {
			spec := tinyelf.Spec(platform(), 1, release, releases[:index+1]...)
			if release == binaryNew {
				spec.Size = sizeNew
			}
			fixtures.all[release] = fixture{testbin.Build(t, spec), tinyelf.Line(spec.Current, 1)}
		}
	})
	if len(fixtures.all) == 0 {
		t.Skip("skipped: the fixtures could not be made")
	}
	return fixtures.all
}

// place is a host's part that tbctl works on.
type place struct {
	program string
	dir     string // of the target
	target  string
	state   string
	sources string // where the binaries lie
	plain   bool   // the files have no extended attributes
	env     []string
}

// quickDir is a directory for tests that do not need a disk: an fsync costs
// nothing in memory.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "torture-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	var volume unix.Statfs_t
	if unix.Statfs(dir, &volume) != nil || volume.Flags&unix.ST_NOEXEC != 0 || unix.Setxattr(dir, "user.test", nil, 0) != nil {
		return t.TempDir()
	}
	return dir
}

// diskDir is a directory that all users reach, unlike those of package testing.
func diskDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "torture-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	return dir
}

// newPlace makes directories in base, which is empty.
func newPlace(t *testing.T, base string) *place {
	t.Helper()
	p := &place{program: program(t), dir: filepath.Join(base, "opt"), state: filepath.Join(base, "state"), sources: filepath.Join(base, "sources")}
	p.target = filepath.Join(p.dir, "tigerbeetle")
	p.env = append(os.Environ(), "TBCTL_CONFIG=/dev/null", "HOME="+base, "XDG_CACHE_HOME="+filepath.Join(base, "cache"),
		"TBCTL_CACHE_DIR="+filepath.Join(base, "cache"), "SUDO_USER=")
	for _, dir := range []string{p.dir, p.sources} {
		check(t, os.MkdirAll(dir, 0o755))
	}
	for release, fixture := range binaries(t) {
		testbin.WriteFile(t, filepath.Join(p.sources, release), fixture.data)
	}
	return p
}

// reset puts the files of before there, and nothing else.
func (p *place) reset(t *testing.T, target, old string) {
	t.Helper()
	check(t, os.RemoveAll(p.dir))
	check(t, os.RemoveAll(p.state))
	check(t, os.Mkdir(p.dir, 0o755))
	if old != nothing {
		p.put(t, p.target+"-old", old)
	}
	if target != nothing {
		p.put(t, p.target, target)
	}
}

func (p *place) put(t *testing.T, name, release string) {
	t.Helper()
	testbin.WriteFile(t, name, binaries(t)[release].data)
	if os.Geteuid() == 0 {
		check(t, os.Chown(name, 12, 34))
	}
	check(t, os.Chmod(name, 0o751))
	for key, value := range p.xattrs() {
		check(t, unix.Setxattr(name, key, value, 0))
	}
}

// capability is cap_ipc_lock=ep as the kernel stores it.
func capability() []byte {
	const revision2, effective, ipcLock = 0x02000000, 1, 14
	value := make([]byte, 20)
	binary.LittleEndian.PutUint32(value, revision2|effective)
	binary.LittleEndian.PutUint32(value[4:], 1<<ipcLock)
	return value
}

// xattrs are those of the files that were there.
func (p *place) xattrs() map[string][]byte {
	if p.plain {
		return nil
	}
	attributes := map[string][]byte{"user.note": []byte("keep me")}
	if os.Geteuid() == 0 {
		attributes["security.capability"] = capability()
	}
	return attributes
}

// command is tbctl with the place's state directory.
func (p *place) args(args ...string) []string {
	return append([]string{p.program, "--state-dir", p.state}, args...)
}

// ran is how a run of tbctl ended.
type ran struct {
	code           int
	stdout, stderr string
}

func (p *place) run(t *testing.T, args ...string) ran {
	t.Helper()
	args = p.args(args...)
	command := exec.CommandContext(t.Context(), args[0], args[1:]...)
	command.Env = p.env
	return finish(t, command)
}

// finish runs a command and returns how it ended.
func finish(t *testing.T, command *exec.Cmd) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// install is a run that must succeed.
func (p *place) install(t *testing.T, release string, more ...string) {
	t.Helper()
	if got := p.run(t, append([]string{"install", p.source(release), p.target}, more...)...); got.code != 0 {
		t.Fatalf("install %s: exit %d: %s", release, got.code, got.stderr)
	}
}

func (p *place) source(release string) string { return filepath.Join(p.sources, release) }

// sight is what stands at a place.
type sight struct {
	target, old string // releases
	residue     []string
}

// see requires that what is there is whole: known bytes, the attributes of before
// or, where there was nothing, those of a new file; and that the target runs.
func (p *place) see(t *testing.T, what string) sight {
	t.Helper()
	seen := sight{p.whole(t, what, p.target), p.whole(t, what, p.target+"-old"), nil}
	entries, err := os.ReadDir(p.dir)
	check(t, err)
	for _, entry := range entries {
		switch entry.Name() {
		case "tigerbeetle", "tigerbeetle-old", ".tigerbeetle.tbctl-lock", ".tigerbeetle.tbctl-state":
		default:
			seen.residue = append(seen.residue, entry.Name())
		}
	}
	return seen
}

// whole returns the release of the file at name.
func (p *place) whole(t *testing.T, what, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nothing
	}
	check(t, err)
	for release, fixture := range binaries(t) {
		if !bytes.Equal(fixture.data, data) {
			continue
		}
		if problem := p.attributes(name); problem != "" {
			t.Fatalf("%s: %s (%s): %s", what, name, release, problem)
		}
		output, err := exec.CommandContext(t.Context(), name).CombinedOutput()
		if err != nil || strings.TrimSpace(string(output)) != fixture.line {
			t.Fatalf("%s: %s prints %q, %v, want %q", what, name, output, err, fixture.line)
		}
		return release
	}
	t.Fatalf("%s: %s has %d unknown bytes, sha256 %x", what, name, len(data), sha256.Sum256(data))
	return ""
}

// attributes says what is wrong with a file's attributes, or nothing.
func (p *place) attributes(name string) string {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return err.Error()
	}
	got := xattrsOf(name)
	mode := st.Mode & 0o7777
	if mode == 0o755 && int(st.Uid) == os.Geteuid() && len(got) == 0 {
		return "" // made where nothing was
	}
	kept, want := strings.HasSuffix(name, "-old"), p.xattrs() // the previous file may have lost what only the target needs
	if mode != 0o751 || os.Geteuid() == 0 && (st.Uid != 12 && (!kept || st.Uid != 0) || st.Gid != 34) {
		return fmt.Sprintf("mode %04o, owner %d:%d", mode, st.Uid, st.Gid)
	}
	if _, has := got["security.capability"]; kept && !has {
		delete(want, "security.capability")
	}
	if !maps.EqualFunc(got, want, bytes.Equal) {
		return fmt.Sprintf("attributes %q", got)
	}
	return ""
}

// lowered requires that the previous file lies there without what only the target needs.
func (o operation) lowered(t *testing.T, p *place, what string) {
	t.Helper()
	if o.target == nothing || o.name == "no old" || os.Geteuid() != 0 {
		return
	}
	old := portraitOf(t, p.target+"-old")
	if _, has := old.xattrs["security.capability"]; has || old.uid != 0 || old.mode&0o6022 != 0 {
		t.Fatalf("%s: the previous file has %+v", what, old)
	}
}

// xattrsOf returns the extended attributes of a file.
func xattrsOf(name string) map[string][]byte {
	found := make(map[string][]byte)
	list := make([]byte, 64<<10)
	size, err := unix.Llistxattr(name, list)
	if err != nil {
		return found
	}
	for key := range strings.SplitSeq(string(list[:size]), "\x00") {
		value := make([]byte, 64<<10)
		if count, err := unix.Lgetxattr(name, key, value); key != "" && err == nil {
			found[key] = value[:count]
		}
	}
	return found
}

// known returns what is kept beside the target, and requires that it can be believed.
func (p *place) known(t *testing.T, what string) *install.State {
	t.Helper()
	target, err := fsatomic.Lookup(vfs.OS(), p.target)
	check(t, err)
	state, err := (&install.Installer{FS: vfs.OS()}).ReadState(target, nil)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return state
}

// history returns the records, and requires that every operation has one, and at most
// another with what was found later.
func (p *place) history(t *testing.T, what string) []install.Record {
	t.Helper()
	history, err := (&install.Journal{FS: vfs.OS(), Dir: p.state}).Read("")
	if err != nil {
		t.Fatalf("%s: history: %v", what, err)
	}
	phases := make(map[string]string)
	for _, record := range history.Records {
		phases[record.ID] += string(record.Phase) + " "
	}
	for id, got := range phases {
		if got != "outcome " && got != "outcome outcome " {
			t.Fatalf("%s: the history of operation %s is %q", what, id, got)
		}
	}
	return history.Records
}

// clean requires these files and nothing else.
func (p *place) clean(t *testing.T, what, target, old string) {
	t.Helper()
	if got := p.see(t, what); got.target != target || got.old != old || len(got.residue) > 0 {
		t.Fatalf("%s: the target is %s, the previous file %s, left over: %q; want %s and %s", what, got.target, got.old, got.residue, target, old)
	}
}

// operation is something that tbctl does, and what it leads to.
type operation struct {
	name        string
	target, old string // before
	args        func(p *place) []string
	after       string    // at the target
	settled     [2]string // target and old when all is well again
	noExchange  bool
}

func operations() []operation {
	installing := func(more ...string) func(p *place) []string {
		return func(p *place) []string { return append([]string{"install", p.source(binaryNew), p.target}, more...) }
	}
	return []operation{
		{"upgrade", binaryOld, binaryOlder, installing(), binaryNew, [2]string{binaryNew, binaryOld}, false},
		{"first", nothing, nothing, installing(), binaryNew, [2]string{binaryNew, nothing}, false},
		{"no old", binaryOld, binaryOlder, installing("--no-old"), binaryNew, [2]string{binaryNew, binaryOlder}, false},
		{"no exchange", binaryOld, binaryOlder, installing(), binaryNew, [2]string{binaryNew, binaryOld}, true},
		{"rollback", binaryNew, binaryOld, func(p *place) []string {
			sum := sha256.Sum256(fixtures.all[binaryOld].data) // no record of root's alone knows it
			return []string{"rollback", p.target, "--stopped", "--running", binaryOld, "--sha256", hex.EncodeToString(sum[:])}
		}, binaryOld, [2]string{binaryNew, binaryOld}, false},
	}
}

// settle runs the installation again, undisturbed: all must be well after it, and
// the history must tell the truth of what the disturbed run did.
func (o operation) settle(t *testing.T, p *place, what string, now sight) {
	t.Helper()
	disturbed := p.written()
	args := []string{"install", p.source(binaryNew), p.target}
	if o.name == "no old" {
		args = append(args, "--no-old")
	}
	if got := p.run(t, args...); got.code != 0 {
		t.Fatalf("%s: the same command again: exit %d: %s", what, got.code, got.stderr)
	}
	p.clean(t, what+", then again", o.settled[0], o.settled[1])
	if state := p.known(t, what); state.Next != nil {
		t.Fatalf("%s, then again: still open: %+v", what, state.Next)
	}
	for _, record := range p.history(t, what) {
		if record.Phase != install.PhaseOutcome || !strings.Contains(disturbed, record.ID) {
			continue
		}
		if truth, known := o.truth(record.Result); known && now.target != truth {
			t.Fatalf("%s: the target was %s, but the history says %s: %s", what, now.target, record.Result, record.Error)
		}
	}
}

// written is the text of the journal.
func (p *place) written() string {
	text, _ := os.ReadFile(filepath.Join(p.state, "history.jsonl"))
	return string(text)
}

// truth is the file at the target that a result stands for.
func (o operation) truth(result install.Result) (release string, known bool) {
	switch result {
	case install.ResultInstalled, install.ResultRolledBack, install.ResultFoundNew:
		return o.after, true
	case install.ResultFailed, install.ResultInterrupted, install.ResultRefused, install.ResultRejected, install.ResultFoundOld:
		return o.target, true
	}
	return "", result != install.ResultUnknown
}
