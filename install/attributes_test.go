package install_test

import (
	"path"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestWarnings requires that an operator is told what is not as before.
func TestWarnings(t *testing.T) {
	t.Parallel()
	b := files(t)
	mode := vfs.Mode(0o644)
	for _, test := range []struct {
		name    string
		arrange func(t *testing.T, m *machine)
		change  func(*install.Request)
		want    string
		mode    vfs.Mode
	}{
		{"hard links", func(t *testing.T, m *machine) {
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			check(t, dir.Link("tigerbeetle", "another"))
		}, nil, "2 hard links", 0o750},
		{"bound attribute", func(t *testing.T, m *machine) {
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			file, err := dir.Open("tigerbeetle")
			check(t, err)
			check(t, file.SetXattr("security.ima", []byte("signature")))
		}, nil, "security.ima", 0o750},
		{"not executable before", func(t *testing.T, m *machine) {
			check(t, m.Alter(targetName, func(info *vfs.Info) { info.Mode = 0o640 }))
		}, nil, "mode becomes 0740", 0o740},
		{"not executable as asked for", nil, func(r *install.Request) { r.Mode = &mode }, "mode becomes 0744", 0o744},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, nil, b.old)
			if test.arrange != nil {
				test.arrange(t, m)
			}
			r := request()
			if test.change != nil {
				test.change(&r)
			}
			outcome, err := m.installer().Install(t.Context(), r, fetchOf(b.new, nil))
			check(t, err)
			if text := strings.Join(outcome.Plan.Warnings, "\n"); strings.Count(text, test.want) != 1 {
				t.Errorf("warnings %q, want %q once", text, test.want)
			}
			if _, got := m.read(t, targetName); got.Mode != test.mode || outcome.Plan.Attributes.Mode != test.mode {
				t.Errorf("mode %s, planned %s, want %s", got.Mode, outcome.Plan.Attributes.Mode, test.mode)
			}
		})
	}
}

// TestCarriesNothing requires that an operator is told what is lost with a file that was removed, in the dry run too, and nothing at
// a first installation.
func TestCarriesNothing(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, nil, b.old)
	m.setCapability(t, targetName)
	m.install(t, b.new)
	m.unlink(t, targetName)
	want := []string{"nothing is at " + targetName + " any more", "mode 0750", "group 34 and capabilities"}
	plan, err := m.installer().Plan(t.Context(), request(), fetchOf(b.new, nil))
	check(t, err)
	for what, warnings := range map[string][]string{"dry run": plan.Plan.Warnings, "installation": m.install(t, b.new).Plan.Warnings} {
		text := strings.Join(warnings, "\n")
		for _, each := range want {
			if strings.Count(text, each) != 1 {
				t.Errorf("%s: warnings %q, want %q once", what, text, each)
			}
		}
	}
	if first := newMachine(t, memfs.Options{}, nil, nil).install(t, b.new).Plan.Warnings; len(first) > 0 {
		t.Errorf("a first installation: %q", first)
	}
}

// TestAttributesAskedFor requires mode and owner of the request in the place of
// the replaced file's, and the rest carried over.
func TestAttributesAskedFor(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	mode, uid, gid := vfs.Mode(0o4711), 55, 66
	r := request()
	r.Mode, r.UID, r.GID = &mode, &uid, &gid
	_, err := m.installer().Install(t.Context(), r, fetchOf(files(t).new, nil))
	check(t, err)
	_, got := m.read(t, targetName)
	if got.Mode != mode || got.UID != uid || got.GID != gid || len(got.Xattrs) != len(installedAttributes().Xattrs) {
		t.Errorf("%+v", got)
	}
}

// TestThroughLink replaces the file that a symbolic link leads to, in its own directory.
func TestThroughLink(t *testing.T) {
	t.Parallel()
	m := newMachine(t, memfs.Options{}, nil, files(t).old)
	check(t, m.Make("/bin", vfs.KindDirectory, 0o755))
	check(t, m.Symlink(targetName, "/bin/tigerbeetle"))
	r := request()
	r.Target = "/bin/tigerbeetle"
	outcome, err := m.installer().Install(t.Context(), r, fetchOf(files(t).new, nil))
	check(t, err)
	if now := m.look(t, "link"); now.target != "new" || outcome.Plan.Target.Path != targetName {
		t.Errorf("%+v", now)
	}
	dir, err := m.OpenDir("/bin")
	check(t, err)
	if names, err := dir.List("", 10); err != nil || len(names) != 1 {
		t.Errorf("/bin has %q, %v", names, err)
	}
	history, err := m.journal().Read(targetName)
	if err != nil || len(history.Records) != 1 || path.Base(history.Records[0].Target) != "tigerbeetle" {
		t.Errorf("%+v, %v", history, err)
	}
}
