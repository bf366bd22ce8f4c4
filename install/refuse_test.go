package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// plainUser owns the installed file but may do nothing special.
var plainUser = vfs.Self{UID: 12, GID: 34}

// TestPlanErrors requires that all that hinders is found before anything is
// fetched, that nothing is changed, not even a lock file is made, and that the dry run
// says just what the real run says.
func TestPlanErrors(t *testing.T) {
	t.Parallel()
	alter := func(name string, change func(*vfs.Info)) func(*testing.T, *machine) {
		return func(t *testing.T, m *machine) { check(t, m.Alter(name, change)) }
	}
	user := func(change func(*vfs.Self)) func(*testing.T, *machine) {
		return func(t *testing.T, m *machine) {
			check(t, m.Alter(targetDir, func(info *vfs.Info) { info.Mode = 0o777 }))
			self := plainUser
			change(&self)
			m.SetUser(self)
		}
	}
	tests := []struct {
		name    string
		options memfs.Options
		arrange func(*testing.T, *machine)
		change  func(*install.Request)
		forgets string // an attribute that the file system does not keep
		want    error
	}{
		{name: "read-only", options: memfs.Options{ReadOnly: true}, want: vfs.ErrReadOnly},
		{name: "noexec", options: memfs.Options{NoExec: true}, want: fsatomic.ErrNoExec},
		{name: "immutable file", arrange: alter(targetName, func(i *vfs.Info) { i.Immutable = true }), want: fsatomic.ErrImmutable},
		{name: "append-only file", arrange: alter(targetName, func(i *vfs.Info) { i.AppendOnly = true }), want: fsatomic.ErrImmutable},
		{name: "immutable directory", arrange: alter(targetDir, func(i *vfs.Info) { i.Immutable = true }), want: fsatomic.ErrImmutable},
		{name: "mount point", arrange: alter(targetName, func(i *vfs.Info) { i.MountPoint = true }), want: fsatomic.ErrMountPoint},
		{name: "no space for one as large", arrange: func(_ *testing.T, m *machine) { m.SetFree(1000) }, want: vfs.ErrNoSpace},
		{name: "no space for the hint", arrange: func(_ *testing.T, m *machine) { m.SetFree(1 << 20) },
			change: func(r *install.Request) { r.SizeHint = 2 << 20 }, want: vfs.ErrNoSpace},
		{name: "no inodes", options: memfs.Options{FreeInodes: 5}, want: fsatomic.ErrNoInodes},
		{name: "old is a directory", arrange: func(t *testing.T, m *machine) { check(t, m.Make(oldName, vfs.KindDirectory, 0o755)) }, want: fsatomic.ErrOldKind},
		{name: "directory not writable", arrange: func(_ *testing.T, m *machine) { m.SetUser(plainUser) }, want: fsatomic.ErrDirNotWritable},
		{name: "owner", arrange: user(func(s *vfs.Self) { s.UID = 13 }), want: fsatomic.ErrOwner},
		{name: "group", arrange: user(func(s *vfs.Self) { s.GID = 35 }), want: fsatomic.ErrOwner},
		{name: "capability", arrange: user(func(s *vfs.Self) { s.Security = true }), want: fsatomic.ErrAttribute},
		{name: "label", arrange: user(func(s *vfs.Self) { s.SetFCaps = true }), want: fsatomic.ErrAttribute},
		{name: "owner asked for", arrange: user(func(s *vfs.Self) { s.SetFCaps, s.Security = true, true }),
			change: func(r *install.Request) { uid := 99; r.UID = &uid }, want: fsatomic.ErrOwner},
		{name: "owner unknown in this namespace", arrange: inNamespace(0, 0), want: fsatomic.ErrUnmapped},
		{name: "owner hidden in this namespace", arrange: inNamespace(0, 65535), want: fsatomic.ErrUnmapped},
		{name: "owner asked for, unknown in this namespace", arrange: inNamespace(0, 65535),
			change: func(r *install.Request) { id := 70000; r.UID, r.GID = &id, &id }, want: fsatomic.ErrUnmapped},
		{name: "modes do not exist", options: memfs.Options{FixedMode: 0o644}, want: fsatomic.ErrAttribute},
		{name: "an attribute does not hold", forgets: fsatomic.XattrCapability, want: fsatomic.ErrAttribute},
		{name: "busy", arrange: func(t *testing.T, m *machine) { lockTarget(t, m) }, want: durable.ErrBusy},
		{name: "a lock that is a directory", arrange: func(t *testing.T, m *machine) {
			check(t, m.Make(targetDir+"/.tigerbeetle.tbctl-lock", vfs.KindDirectory, 0o755))
		}, want: fsatomic.ErrLockFile},
		{name: "a state that is a directory", arrange: func(t *testing.T, m *machine) {
			check(t, m.Make(targetDir+"/.tigerbeetle.tbctl-state", vfs.KindDirectory, 0o755))
		}, want: fsatomic.ErrStateKind},
		{name: "a leftover that stays", arrange: func(t *testing.T, m *machine) {
			name := targetDir + "/.tigerbeetle.tbctl-stage-0123456789abcdef"
			check(t, m.Make(name, vfs.KindFile, 0o600))
			check(t, m.Alter(name, func(i *vfs.Info) { i.Immutable = true }))
		}, want: fsatomic.ErrImmutable},
		{name: "a lock with two names", arrange: func(t *testing.T, m *machine) {
			m.put(t, targetDir+"/.tigerbeetle.tbctl-lock", []byte("x"))
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			check(t, dir.Link(".tigerbeetle.tbctl-lock", "other"))
		}, want: fsatomic.ErrLockFile},
		{name: "what is there is no binary", arrange: func(t *testing.T, m *machine) { m.replace(t, targetName, []byte("#!/bin/sh\n")) }, want: install.ErrNotBinary},
		{name: "what is kept is no binary", arrange: func(t *testing.T, m *machine) { m.replace(t, oldName, []byte("#!/bin/sh\n")) },
			change: func(r *install.Request) { r.Expect = []multiversion.Release{testbin.Release("0.17.9")} }, want: install.ErrNotBinary},
		{name: "a directory", change: func(r *install.Request) { r.Target = targetDir }, want: vfs.ErrDirectory},
		{name: "a device", arrange: func(t *testing.T, m *machine) { check(t, m.Make(targetDir+"/device", vfs.KindDevice, 0o666)) },
			change: func(r *install.Request) { r.Target = targetDir + "/device" }, want: vfs.ErrNotRegular},
		{name: "no directory", change: func(r *install.Request) { r.Target = "/nowhere/tigerbeetle" }, want: vfs.ErrNoDirectory},
		{name: "dangling link", arrange: func(t *testing.T, m *machine) { check(t, m.Symlink("nothing", targetDir+"/link")) },
			change: func(r *install.Request) { r.Target = targetDir + "/link" }, want: vfs.ErrDangling},
		{name: "the previous file of a target", arrange: func(t *testing.T, m *machine) {
			_, err := m.installer().Install(t.Context(), request(), fetchOf(files(t).new, nil))
			check(t, err)
		}, change: func(r *install.Request) { r.Target = targetName + "-old" }, want: fsatomic.ErrKept},
		{name: "link loop", arrange: func(t *testing.T, m *machine) { check(t, m.Symlink("link", targetDir+"/link")) },
			change: func(r *install.Request) { r.Target = targetDir + "/link" }, want: vfs.ErrLinkLoop},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			current := files(t).old
			if test.options.ReadOnly || test.options.FixedMode != 0 {
				current = nil // it could not be put there
			}
			m := newMachine(t, test.options, nil, current)
			if test.arrange != nil {
				test.arrange(t, m)
			}
			before := m.everything(t)
			r, calls := request(), 0
			if test.change != nil {
				test.change(&r)
			}
			m.CrashAt(0)
			in := m.installer()
			if test.forgets != "" {
				in.FS = forgetful{m.FS, test.forgets}
			}
			says := map[string]string{}
			for name, act := range acts(in) {
				outcome, err := act(t.Context(), r, fetchOf(files(t).new, &calls))
				if !errors.Is(err, test.want) || outcome == nil || outcome.Changed {
					t.Fatalf("%s: %v, want %v; %+v", name, err, test.want, outcome)
				}
				if want := results[fault.Of(err)]; name == "install" && outcome.Result != want {
					t.Errorf("the error is %s, and the result %s", fault.Of(err), outcome.Result)
				}
				says[name] = err.Error()
			}
			if says["plan"] != says["install"] {
				t.Errorf("the dry run says %q, the real run %q", says["plan"], says["install"])
			}
			if touched := m.Count() != 0 && !errors.Is(test.want, install.ErrNotBinary); touched {
				t.Errorf("%q", m.Trace())
			}
			if calls != 0 {
				t.Errorf("%d fetches before the plan failed", calls)
			}
			if after := m.everything(t); after != before && !errors.Is(test.want, install.ErrNotBinary) {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// inNamespace makes the user root of a user namespace that has these users and groups, and
// the installed file one of somebody else's.
func inNamespace(first, last int) func(*testing.T, *machine) {
	return func(t *testing.T, m *machine) {
		check(t, m.Alter(targetName, func(info *vfs.Info) { info.UID, info.GID = 65534, 65534 }))
		ids := vfs.IDMap{Ranges: []vfs.IDRange{{First: first, Last: last}}, Nobody: 65534}
		m.SetUser(vfs.Self{Chown: true, AnyFile: true, SetFCaps: true, Security: true, Users: ids, UserGroups: ids})
	}
}

// lockTarget holds the target's lock as another tbctl.
func lockTarget(t *testing.T, m *machine) *fsatomic.Lock {
	t.Helper()
	target, err := fsatomic.Lookup(m.FS, targetName)
	check(t, err)
	lock, err := fsatomic.Acquire(t.Context(), m.FS, target, fsatomic.LockOptions{Command: "another"})
	check(t, err)
	return lock
}

// replace puts other contents at name.
func (m *machine) replace(t *testing.T, name string, data []byte) {
	t.Helper()
	if existing, _ := m.read(t, name); existing != nil {
		dir, err := m.OpenDir(targetDir)
		check(t, err)
		check(t, dir.Remove(path.Base(name)))
	}
	m.put(t, name, data)
}

// forgetful is a file system that takes an attribute and does not keep it.
type (
	forgetful struct {
		vfs.FS
		attribute string
	}
	forgetfulDir struct {
		vfs.Dir
		attribute string
	}
	forgetfulFile struct {
		vfs.File
		attribute string
	}
)

func (f forgetful) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return forgetfulDir{dir, f.attribute}, err
}

func (d forgetfulDir) CreateUnnamed(mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.CreateUnnamed(mode)
	return forgetfulFile{file, d.attribute}, err
}

func (f forgetfulFile) SetXattr(name string, value []byte) error {
	if name == f.attribute {
		return nil
	}
	return f.File.SetXattr(name, value)
}

// TestPlanErrorNamesAll requires that all problems are told at once.
func TestPlanErrorNamesAll(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{NoExec: true}, nil, files(t).old)
	m.SetFree(10)
	check(t, m.Alter(targetName, func(i *vfs.Info) { i.Immutable = true }))
	_, err := m.installer().Install(t.Context(), request(), nil)
	var plan *install.PlanError
	if !errors.As(err, &plan) || plan.Target != targetName || len(plan.Problems) != 3 {
		t.Fatalf("%v", err)
	}
	for problem, words := range map[error]string{fsatomic.ErrNoExec: fsatomic.ErrNoExec.Error(), vfs.ErrNoSpace: "B are needed", fsatomic.ErrImmutable: fsatomic.ErrImmutable.Error()} {
		if !errors.Is(err, problem) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not tell of %q", err, problem)
		}
	}
}

// everything describes all names and the contents of the target's directory.
func (m *machine) everything(tb testing.TB) string {
	tb.Helper()
	var text strings.Builder
	for _, name := range []string{targetDir, "/var/lib", stateDir} {
		dir, err := m.OpenDir(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		check(tb, err)
		names, err := dir.List("", 1000)
		check(tb, err)
		for _, base := range names {
			info, err := dir.Lstat(base)
			check(tb, err)
			fmt.Fprintf(&text, "%s/%s %+v", name, base, info)
			if file, err := dir.Open(base); err == nil {
				data, _ := io.ReadAll(io.NewSectionReader(file, 0, info.Size))
				fmt.Fprintf(&text, " %s", sumOf(data))
				file.Close()
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}

// TestNotInstalled requires for each reason the error, the outcome, the record, and
// that neither the target nor anything beside it changed.
func TestNotInstalled(t *testing.T) {
	t.Parallel()
	b := files(t)
	flipped := bytes.Clone(b.new)
	body := testbin.Body(t, flipped)
	flipped[body.Offset+10] ^= 1
	foreign := testbin.Build(t, tinyelf.Spec(multiversion.PlatformAArch64Linux, 0, "0.17.9", "0.17.6", "0.17.7", "0.17.8"))
	far := testbin.Build(t, tinyelf.Spec(host, 0, "0.18.9", "0.18.7", "0.18.8"))
	older := testbin.Build(t, tinyelf.Spec(host, 0, "0.17.7", "0.17.6"))
	same := func(r *install.Request) {}
	tests := []struct {
		name   string
		data   []byte
		change func(*install.Request)
		result install.Result
		text   string
	}{
		{"nothing", nil, same, install.ResultRejected, ""},
		{"an error page", []byte("<!DOCTYPE html><title>503</title>"), same, install.ResultRejected, "HTML"},
		{"truncated", b.new[:len(b.new)-100], same, install.ResultRejected, ""},
		{"damaged", flipped, same, install.ResultRejected, ""},
		{"longer", append(bytes.Clone(b.new), 0), same, install.ResultRejected, ""},
		{"a plain executable", tinyelf.Build(multiversion.ArchX86_64, "x"), same, install.ResultRejected, ""},
		{"not the release asked for", b.new, func(r *install.Request) {
			r.Expect = []multiversion.Release{testbin.Release("0.17.5"), testbin.Release("0.17.4")}
		}, install.ResultRejected, "it is release 0.17.9, not 0.17.5 or 0.17.4 as asked for"},
		{"another architecture", foreign, same, install.ResultRefused, ""},
		{"no overlap", far, same, install.ResultRefused, "0.17.8"},
		{"a downgrade", older, same, install.ResultRefused, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			r := request()
			test.change(&r)
			outcome, err := m.installer().Install(t.Context(), r, fetchOf(test.data, nil))
			var rejected *install.RejectedError
			var refused *install.RefusedError
			if got := test.result == install.ResultRejected; errors.As(err, &rejected) != got || errors.As(err, &refused) == got {
				t.Fatalf("%v (%T)", err, err)
			}
			if outcome.Result != test.result || outcome.Changed || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%+v: %v", outcome, err)
			}
			if rejected != nil && rejected.Report == nil || refused != nil && refused.Report == nil {
				t.Error("no report")
			}
			m.untouched(t, test.name)
			if got, want := m.phases(t), "outcome:"+string(test.result); got != want {
				t.Errorf("the journal has %q, want %q", got, want)
			}
		})
	}
}

// untouched requires the files of before, and nothing beside them.
func (m *machine) untouched(t *testing.T, what string) {
	t.Helper()
	if now := m.look(t, what); fmt.Sprint(now) != fmt.Sprint(sight{"old", "older", nil}) {
		t.Fatalf("%s: %+v", what, now)
	}
}

// TestSizeBelieved requires that a size from outside that no binary has takes nothing of
// the disk: not for the plan, not for the run.
func TestSizeBelieved(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, files(t).older, files(t).old)
	m.SetFree(multiversion.SizeMax + 1<<20)
	before, calls := m.everything(t), 0
	for _, size := range []int64{multiversion.SizeMax, 20 << 30} {
		r := request()
		r.SizeHint = size
		for name, act := range acts(m.installer()) {
			outcome, err := act(t.Context(), r, fetchOf(files(t).new, &calls))
			var rejected *install.RejectedError
			if !errors.As(err, &rejected) || !errors.Is(err, install.ErrTooLarge) || outcome.Changed {
				t.Errorf("%s with %d bytes: %v", name, size, err)
			}
		}
	}
	if calls != 0 || m.everything(t) != before {
		t.Errorf("%d fetches, then:\n%s", calls, m.everything(t))
	}
}

// TestTargetTooLarge requires that a target that can be no binary is refused before it is
// read, which would take minutes, or anything is fetched.
func TestTargetTooLarge(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "tigerbeetle")
	check(t, os.WriteFile(target, files(t).old, 0o755))
	check(t, os.Truncate(target, 1<<40))
	installer := &install.Installer{FS: vfs.OS()}
	calls := 0
	r := request()
	r.Target = target
	for name, act := range acts(installer) {
		_, err := act(t.Context(), r, fetchOf(files(t).new, &calls))
		var refused *install.RefusedError
		if !errors.As(err, &refused) || !errors.Is(err, install.ErrNotBinary) || !strings.Contains(err.Error(), "right target") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if calls != 0 {
		t.Errorf("%d fetches", calls)
	}
	place, err := fsatomic.Lookup(vfs.OS(), target)
	check(t, err)
	found, err := install.DescribeSeen(t.Context(), vfs.OS(), place.Path, place.File)
	if err != nil || found.SHA256 != "" || found.Damaged == "" {
		t.Errorf("%+v, %v", found, err)
	}
}

// acts are the two that must agree.
func acts(in *install.Installer) map[string]func(context.Context, install.Request, install.Fetch) (*install.Outcome, error) {
	return map[string]func(context.Context, install.Request, install.Fetch) (*install.Outcome, error){
		"plan": in.Plan, "install": in.Install,
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	r := request()
	r.Expect = []multiversion.Release{testbin.Release("0.17.5"), testbin.Release("0.17.9")}
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(files(t).new, nil))
	if err != nil || outcome.Result != install.ResultInstalled {
		t.Fatal(outcome, err)
	}
}

// TestDowngrade requires that going back is refused as such, and can be allowed.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	b := files(t)
	back := testbin.Build(t, tinyelf.Spec(host, 0, "0.17.7", "0.17.6"))
	m := newMachine(t, memfs.Options{}, nil, b.old)
	r := request()
	r.Fit.Stopped = true
	r.Fit.Needs = needs("0.17.7")
	_, err := m.installer().Install(t.Context(), r, fetchOf(back, nil))
	var refused *install.RefusedError
	if !errors.As(err, &refused) || refused.Plain || slices.ContainsFunc(refused.Report.Findings, func(finding verify.Finding) bool {
		return finding.Status == verify.Failed && finding.Name != verify.CheckDowngrade
	}) {
		t.Fatalf("%v: %+v", err, refused)
	}
	r.AllowDowngrade = true
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(back, nil))
	if err != nil || outcome.Result != install.ResultInstalled {
		t.Fatal(outcome, err)
	}
	if now := m.look(t, "downgrade"); now.target != "older" || now.old != "old" {
		t.Fatalf("%+v", now)
	}
}

// TestPlain installs over an executable without multiversion sections.
func TestPlain(t *testing.T) {
	t.Parallel()
	plain := tinyelf.Build(multiversion.ArchX86_64, "0.15.3")
	m := newMachine(t, memfs.Options{}, nil, plain)
	next := testbin.Build(t, tinyelf.Spec(host, 0, "0.15.4", "0.15.3"))
	r := request()
	_, err := m.installer().Install(t.Context(), r, fetchOf(next, nil))
	var refused *install.RefusedError
	if !errors.As(err, &refused) || !refused.Plain {
		t.Fatalf("%v: %+v", err, refused)
	}
	r.PlainRelease = testbin.Release("0.15.3")
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(next, nil))
	if err != nil || outcome.Result != install.ResultInstalled || outcome.Plan.Installed.Kind == "" {
		t.Fatal(outcome, err)
	}
	if kept, _ := m.read(t, oldName); !bytes.Equal(kept, plain) {
		t.Error("the plain executable was not kept")
	}
}

// TestAlready requires that an equal file is left alone, whatever its attributes,
// and that it is said what differs.
func TestAlready(t *testing.T) {
	t.Parallel()
	b := files(t)
	mode, uid := vfs.Mode(0o700), 99
	tests := []struct {
		name     string
		mode     vfs.Mode // of the installed file
		change   func(*install.Request)
		warnings []string
	}{
		{"equal", 0o750, func(*install.Request) {}, nil},
		{"another mode", 0o750, func(r *install.Request) { r.Mode = &mode }, []string{"mode 0750, not 0700"}},
		{"another owner", 0o750, func(r *install.Request) { r.UID = &uid }, []string{"belongs to 12:34, not 99:34"}},
		{"not executable", 0o640, func(*install.Request) {}, []string{"not executable"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, nil, b.old)
			check(t, m.Alter(targetName, func(info *vfs.Info) { info.Mode = test.mode }))
			before, _ := fsatomic.Lookup(m.FS, targetName)
			r := request()
			test.change(&r)
			outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.old, nil))
			if err != nil || outcome.Result != install.ResultAlready || outcome.Changed || outcome.Plan.Action != install.ActionNone {
				t.Fatalf("%v: %+v", err, outcome)
			}
			after, _ := fsatomic.Lookup(m.FS, targetName)
			if !after.File.Unchanged(before.File) || len(m.residue(t)) > 0 || m.phases(t) != "" {
				t.Errorf("%+v, was %+v; %q; %s", after.File, before.File, m.residue(t), m.phases(t))
			}
			if len(outcome.Plan.Warnings) != len(test.warnings) {
				t.Fatalf("warnings %q", outcome.Plan.Warnings)
			}
			for index, want := range test.warnings {
				if !strings.Contains(outcome.Plan.Warnings[index], want) {
					t.Errorf("warning %q, want %q", outcome.Plan.Warnings[index], want)
				}
			}
		})
	}
}

// TestDryRun requires that a plan changes nothing and says what the run then does.
func TestDryRun(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	before := m.everything(t)
	m.CrashAt(0)
	plan, err := m.installer().Plan(t.Context(), request(), fetchOf(b.new, nil))
	check(t, err)
	back := request()
	back.Fit.Stopped = true
	back.Fit.Needs = needs("0.17.7")
	planBack, err := m.installer().PlanRollback(t.Context(), back)
	check(t, err)
	if m.Count() != 0 || m.everything(t) != before || plan.Changed || !plan.DryRun || plan.Result != "" || planBack.Result != "" {
		t.Errorf("%q %+v", m.Trace(), plan)
	}
	if planBack.Plan.Action != install.ActionSwapBack || planBack.Plan.New.SHA256 != sumOf(b.older) {
		t.Errorf("%+v", planBack.Plan)
	}
	done, err := m.installer().Install(t.Context(), request(), fetchOf(b.new, nil))
	check(t, err)
	if plan.Plan.Action != install.ActionReplace || plan.Plan.New.SHA256 != done.ReadBack || done.ReadBack != sumOf(b.new) ||
		fmt.Sprint(plan.Plan.Attributes) != fmt.Sprint(done.Plan.Attributes) {
		t.Errorf("planned %+v, did %+v", plan.Plan, done.Plan)
	}
}

// TestRollbackRefuses requires the reason, and that both files stay.
func TestRollbackRefuses(t *testing.T) {
	t.Parallel()
	b := files(t)
	damaged := bytes.Clone(b.older)
	damaged[testbin.Body(t, damaged).Offset+10] ^= 1
	var rejected *install.RejectedError
	var refused *install.RefusedError
	tests := []struct {
		name    string
		old     []byte
		arrange func(*machine) error
		holds   func(error) bool
	}{
		{"no previous file", nil, nil, func(err error) bool { return errors.Is(err, fsatomic.ErrNoOld) }},
		{"damaged", damaged, nil, func(err error) bool { return errors.As(err, &rejected) }},
		{"not executable", b.older, func(m *machine) error {
			return m.Alter(oldName, func(info *vfs.Info) { info.Mode = 0o640 })
		}, func(err error) bool { return errors.As(err, &refused) || errors.As(err, &rejected) }},
		{"does not fit", b.older, nil, func(err error) bool { return errors.As(err, &refused) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t, memfs.Options{}, test.old, b.old)
			if test.arrange != nil {
				check(t, test.arrange(m))
			}
			r := request()
			if test.name != "does not fit" {
				r.Fit.Stopped = true
				r.Fit.Needs = needs("0.17.7")
			} else {
				r.Fit.Needs = needs("0.17.8")
			}
			outcome, err := m.installer().Rollback(t.Context(), r)
			if err == nil || !test.holds(err) || outcome.Changed {
				t.Fatalf("%v: %+v", err, outcome)
			}
			target, _ := m.read(t, targetName)
			old, _ := m.read(t, oldName)
			if !bytes.Equal(target, b.old) || !bytes.Equal(old, test.old) || len(m.residue(t)) > 0 {
				t.Errorf("the target is %s, the previous file %s, left %q", b.name(target), b.name(old), m.residue(t))
			}
		})
	}
}

// bothWays are the operations that put a file at the target.
func bothWays(t *testing.T) map[string]func(*install.Installer, install.Request) (*install.Outcome, error) {
	b := files(t)
	return map[string]func(*install.Installer, install.Request) (*install.Outcome, error){
		"install": func(in *install.Installer, r install.Request) (*install.Outcome, error) {
			return in.Install(t.Context(), r, fetchOf(b.new, nil))
		},
		"roll back": func(in *install.Installer, r install.Request) (*install.Outcome, error) {
			r.Fit.Stopped, r.Fit.Needs = true, needs("0.17.7")
			return in.Rollback(t.Context(), r)
		},
	}
}

// TestGuard requires that the guard is asked last and under the lock, that its no
// leaves everything as it was, and that it is on record.
func TestGuard(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, act := range bothWays(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			r, asked := request(), 0
			r.Guard = func(ctx context.Context) error {
				asked++
				target, err := fsatomic.Lookup(m.FS, targetName)
				check(t, err)
				if _, held, err := fsatomic.HeldBy(m.FS, target); err != nil || !held {
					t.Errorf("the lock is held: %v, %v", held, err)
				}
				if state := m.known(t); state.Next == nil || state.Next.Operation.Phase != install.PhaseIntent {
					t.Errorf("it is asked when the state says %+v", state)
				}
				return errInjected
			}
			outcome, err := act(m.installer(), r)
			if !errors.Is(err, errInjected) || err.Error() != errInjected.Error() || outcome.Changed || outcome.Result != install.ResultInterrupted || asked != 1 {
				t.Fatalf("asked %d times: %v: %+v", asked, err, outcome)
			}
			m.untouched(t, name)
			if got, want := m.phases(t), "outcome:interrupted"; got != want {
				t.Errorf("the journal has %q, want %q", got, want)
			}
		})
	}
}

// TestAdviseBefore requires that what is known of the file is told while the old one is at the target.
func TestAdviseBefore(t *testing.T) {
	t.Parallel()
	b := files(t)
	for name, act := range bothWays(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			in, told := m.installer(), []advisory.Notice(nil)
			in.Advise = func(notices []advisory.Notice) {
				told = notices
				if target, _ := m.read(t, targetName); !bytes.Equal(target, b.old) {
					t.Errorf("it is told when the target is %s", b.name(target))
				}
			}
			outcome, err := act(in, request())
			if err != nil || told == nil || !reflect.DeepEqual(told, outcome.Advisories) {
				t.Fatalf("told %+v: %v: %+v", told, err, outcome)
			}
		})
	}
}

// TestAnotherPlace requires that another name than the one that was looked at is not changed, nor noted with what was seen,
// also in the same directory.
func TestAnotherPlace(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	before := m.everything(t)
	looked, err := fsatomic.Lookup(m, oldName)
	check(t, err)
	r := request()
	r.At, r.Seen = &looked, saw(t, "0.17.9", "/data/0")
	for name, act := range map[string]func() (*install.Outcome, error){
		"install":  func() (*install.Outcome, error) { return m.installer().Install(t.Context(), r, fetchOf(b.new, nil)) },
		"plan":     func() (*install.Outcome, error) { return m.installer().Plan(t.Context(), r, fetchOf(b.new, nil)) },
		"rollback": func() (*install.Outcome, error) { return m.installer().Rollback(t.Context(), r) },
	} {
		if outcome, err := act(); !errors.Is(err, fsatomic.ErrChanged) || fault.Of(err) != fault.Busy || outcome.Changed {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := m.everything(t); after != before {
		t.Errorf("there is %s\nand was %s", after, before)
	}
}
