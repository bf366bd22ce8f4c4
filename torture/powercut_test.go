//go:build linux

package torture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// on is the place with its target and journal on a disk.
func (p *place) on(d *disk) *place {
	p.dir, p.state = filepath.Join(d.dir, "opt"), filepath.Join(d.dir, "state")
	p.target = filepath.Join(p.dir, "tigerbeetle")
	return p
}

// TestPowerCut cuts the power after every call of every operation that changes
// something, and after its end. On every disk the target must be the old or the new
// file, whole; after exit 0 the new one, with its record; and the next run must mend all.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, system := range fileSystems() {
		t.Run(system.name, func(t *testing.T) {
			t.Parallel()
			if !full() && system.name != "ext4" {
				t.Skip("skipped: only in a full run")
			}
			d := newDisk(t, system)
			outside := t.TempDir() // sources and programs, which the power does not harm
			for _, o := range operations() {
				if !full() && o.name != "upgrade" && o.name != "no exchange" {
					continue
				}
				p := newPlace(t, outside).on(d)
				o.cut(t, d, p, outside)
			}
		})
	}
}

// cut makes one operation and cuts the power at its moments.
func (o operation) cut(t *testing.T, d *disk, p *place, outside string) {
	t.Helper()
	p.reset(t, o.target, o.old)
	check(t, os.Mkdir(p.state, 0o755))
	d.sync(t)
	snapshot := filepath.Join(outside, "snapshot")
	what := disturbance{NoExchange: o.noExchange, Pause: d.system.twice != notTwice}
	result := trace(t, what, func(command *exec.Cmd) { command.Env = append(p.env, command.Env[len(command.Env)-1]) },
		func(number int, c call) {
			if number%sample(5, 1) != 0 {
				return
			}
			d.snapshot(t, snapshot)
			text := fmt.Sprintf("%s on %s: power cut after call %d, %s", o.name, d.system.name, number, c)
			d.restart(t, snapshot, func() {
				now := p.see(t, text)
				if now.target != o.target && now.target != o.after {
					t.Fatalf("%s: the target is %s", text, now.target)
				}
				o.settle(t, p, text, now)
			})
			tried("power cuts during an operation: "+d.system.name, 1)
		}, p.args(o.args(p)...)...)
	if result.Code != 0 {
		t.Fatalf("%s: exit %d: %s", o.name, result.Code, result.stderr)
	}
	d.snapshot(t, snapshot)
	if d.system.twice == notTwice {
		d.unmount(t)
		defer func() { check(t, d.mount(t, d.system.options)) }()
	}
	d.restart(t, snapshot, func() {
		text := fmt.Sprintf("%s on %s: power cut after exit 0", o.name, d.system.name)
		now := p.see(t, text)
		if now.target != o.after || len(now.residue) > 0 {
			t.Fatalf("%s: the target is %s, left over: %q", text, now.target, now.residue)
		}
		o.lowered(t, p, text)
		if records := p.history(t, text); len(records) != 1 {
			t.Fatalf("%s: the history has %d records", text, len(records))
		}
		if state := p.known(t, text); state.Next != nil || state.Last == nil || state.Installed.Release.String() != o.after {
			t.Fatalf("%s: the state beside the target says %+v", text, state)
		}
		o.settle(t, p, text, now)
	})
	tried("power cuts after exit 0: "+d.system.name, 1)
}

// TestPowerCutIsSeen shows that the test above would see a missing fsync: two
// programs that forget one must fail it, and one that forgets none must not.
func TestPowerCutIsSeen(t *testing.T) {
	t.Parallel()
	d := newDisk(t, fileSystems()[0])
	outside := t.TempDir()
	p := newPlace(t, outside).on(d)
	p.plain = true
	for forgets, holds := range map[string]func(data []byte, err error) bool{
		"nothing":   func(data []byte, err error) bool { return string(data) == string(binaries(t)[binaryNew].data) },
		"directory": func(data []byte, err error) bool { return string(data) == string(binaries(t)[binaryOld].data) },
		"file":      func(data []byte, err error) bool { return len(data) == 0 && !errors.Is(err, fs.ErrNotExist) },
	} {
		p.reset(t, binaryOld, nothing)
		d.sync(t)
		if got := finish(t, helper(t, "careless", p.source(binaryNew), p.target, forgets)); got.code != 0 {
			t.Fatal(got.stderr)
		}
		snapshot := filepath.Join(outside, "snapshot")
		d.snapshot(t, snapshot)
		d.restart(t, snapshot, func() {
			data, err := os.ReadFile(p.target)
			if !holds(data, err) {
				t.Errorf("a program that forgets the fsync of %s left %d bytes, %v: the test of power cuts is blind", forgets, len(data), err)
			}
		})
		tried("negative controls of power cuts", 1)
	}
}
