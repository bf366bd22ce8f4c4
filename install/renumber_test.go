package install_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// renumberings are ways in which a file system may number its files after a crash: all are new, or the target's and the
// leftovers' are those that the names of leftovers speak of.
func renumberings(t *testing.T, m *machine) map[string]func(uint64) uint64 {
	t.Helper()
	target, err := fsatomic.Lookup(m.FS, targetName)
	check(t, err)
	ways := map[string]func(uint64) uint64{"all new": func(number uint64) uint64 { return number + 1000 }}
	dir, err := m.OpenDir(targetDir)
	check(t, err)
	for _, name := range m.residue(t) {
		_, numbers, _ := strings.Cut(name, ".tbctl-")
		kind, numbers, _ := strings.Cut(numbers, "-")
		if kind != "ready" && kind != "prev" {
			continue
		}
		for index, text := range strings.Split(numbers, "-") {
			spoken, err := strconv.ParseUint(text, 10, 64)
			check(t, err)
			leftover, err := dir.Lstat(name)
			check(t, err)
			for who, is := range map[string]uint64{"the target": target.File.Inode, "the leftover": leftover.Inode} {
				ways[fmt.Sprintf("%s has number %d of %s", who, index, name)] = func(number uint64) uint64 {
					switch number {
					case is:
						return spoken
					case spoken:
						return 2000
					}
					return number + 1000
				}
			}
		}
	}
	return ways
}

// crashed plays the scene up to the crash after an operation, and gives the files the numbers of one of the ways then. It
// returns the names of the ways.
func (s scene) crashed(t *testing.T, options memfs.Options, number int, way string) (*machine, map[string]func(uint64) uint64) {
	t.Helper()
	m := s.setUp(t, options)
	m.CrashAt(number)
	_, _ = s.act(t.Context(), m.installer())
	m.Restart(memfs.All())
	ways := renumberings(t, m)
	if way != "" {
		m.Renumber(ways[way])
	}
	return m, ways
}

// TestCrashRenumbered requires that after a crash, on a file system that numbers its files in another way since, the previous
// file is the one that was displaced, whatever the names of leftovers say: for whoever only looks, and for the next command.
func TestCrashRenumbered(t *testing.T) {
	t.Parallel()
	tried := counter(t, "crashes")
	eachScene(t, func(t *testing.T, s scene, options memfs.Options) {
		if s.current == nil || options.NameInodes {
			return
		}
		for number := range testbin.Sampled(t, s.operations(t, options)) {
			_, ways := s.crashed(t, options, number+1, "")
			for way := range ways {
				for _, settled := range []bool{false, true} {
					m, _ := s.crashed(t, options, number+1, way)
					if settled && !m.settle(t) {
						continue
					}
					tried.Add(1)
					s.renumbered(t, m, fmt.Sprintf("crash at %d, %s, settled %v", number+1, way, settled))
				}
			}
		}
	})
}

// settle completes the state as an earlier tbctl does, which leaves a leftover whose numbers say nothing where it is. It reports
// whether there was something to complete.
func (m *machine) settle(t *testing.T) bool {
	t.Helper()
	target, err := fsatomic.Lookup(m.FS, targetName)
	check(t, err)
	text, _, err := fsatomic.ReadState(m.FS, target)
	if err != nil {
		return false
	}
	var state install.State
	check(t, json.Unmarshal(text, &state))
	found, err := install.DescribeSeen(t.Context(), m.FS, targetName, target.File)
	check(t, err)
	if state.Found(&found.File) != install.ResultFoundNew {
		return false
	}
	state.Last, state.Files, state.Next = &state.Next.Operation, state.Next.Files, nil
	text, err = json.Marshal(state)
	check(t, err)
	lock := lockTarget(t, m)
	defer lock.Release()
	check(t, lock.WriteState(text))
	check(t, lock.Sync())
	return true
}

func (s scene) renumbered(t *testing.T, m *machine, what string) {
	t.Helper()
	want := s.before(t)
	if now := m.look(t, what); now.target == s.after.target {
		want = s.after
	}
	in := m.installer()
	target, err := fsatomic.Lookup(m.FS, targetName)
	check(t, err)
	residue, err := in.Residue(target)
	check(t, err)
	target, err = target.Recovered(m.FS, residue)
	check(t, err)
	old := ""
	if target.OldExists {
		old = target.OldAt()
	}
	if data, _ := m.read(t, filepath.Join(targetDir, filepath.Base(old))); old != "" && files(t).name(data) != want.old || old == "" && want.old != "nothing" {
		t.Fatalf("%s: the previous file is seen as %q, %d bytes, want %s; %+v", what, old, len(data), want.old, residue)
	}
	if want.old != "nothing" && s.result == install.ResultInstalled && want.target == s.after.target {
		back := request()
		back.Fit = verify.ReplaceOptions{Stopped: true, Needs: needs("0.17.7")}
		if outcome, err := in.PlanRollback(t.Context(), back); err != nil || outcome.Plan.New.SHA256 != sumOf(files(t).bytes(want.old)) {
			t.Fatalf("%s: the way back: %v: %+v", what, err, outcome.Plan)
		}
	}
	outcome, err := in.Install(t.Context(), request(), fetchOf(files(t).bytes(want.target), nil))
	if err != nil || outcome.Result != install.ResultAlready {
		t.Fatalf("%s: the same file again: %v: %+v", what, err, outcome)
	}
	if now := m.look(t, what); fmt.Sprint(now) != fmt.Sprint(want) {
		t.Fatalf("%s: now %+v, want %+v", what, now, want)
	}
}
