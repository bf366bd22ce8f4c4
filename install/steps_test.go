package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/vfs/memfs"
)

// TestFetchFails requires that a fetch which ends badly, at any point, leaves
// nothing behind but its outcome in the journal.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	b := files(t)
	tests := []struct {
		name   string
		fetch  func(ctx context.Context, cancel func(), w io.Writer) error
		want   error
		result install.Result
	}{
		{"at once", func(context.Context, func(), io.Writer) error { return errInjected }, errInjected, install.ResultFailed},
		{"midway", func(_ context.Context, _ func(), w io.Writer) error {
			_, err := w.Write(b.new[:1000])
			return errors.Join(err, errInjected)
		}, errInjected, install.ResultFailed},
		{"at the end", func(_ context.Context, _ func(), w io.Writer) error {
			_, err := w.Write(b.new)
			return errors.Join(err, errInjected)
		}, errInjected, install.ResultFailed},
		{"after starting anew", func(_ context.Context, _ func(), w io.Writer) error {
			_, err := w.Write(b.new[:1000])
			return errors.Join(err, w.(interface{ Reset() error }).Reset(), errInjected)
		}, errInjected, install.ResultFailed},
		{"cancelled", func(ctx context.Context, cancel func(), w io.Writer) error {
			_, err := w.Write(b.new[:1000])
			cancel()
			return errors.Join(err, ctx.Err())
		}, context.Canceled, install.ResultInterrupted},
		{"cancelled, which it does not notice", func(_ context.Context, cancel func(), w io.Writer) error {
			_, err := w.Write(b.new)
			cancel()
			return err
		}, context.Canceled, install.ResultInterrupted},
		{"rejected", func(context.Context, func(), io.Writer) error {
			return &install.RejectedError{Source: "test", Reason: "no digest", Err: errInjected}
		}, errInjected, install.ResultRejected},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			outcome, err := m.installer().Install(ctx, request(), func(ctx context.Context, w io.Writer) (install.Origin, error) {
				return install.Origin{}, test.fetch(ctx, cancel, w)
			})
			if !errors.Is(err, test.want) || outcome.Result != test.result || outcome.Changed {
				t.Errorf("%v: %+v", err, outcome)
			}
			m.untouched(t, test.name)
			if got, want := m.phases(t), "outcome:"+string(test.result); got != want {
				t.Errorf("the journal has %q, want %q", got, want)
			}
		})
	}
}

// TestFetchStartsAnew requires that only what was written after the last Reset counts.
func TestFetchStartsAnew(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	outcome, err := m.installer().Install(t.Context(), request(), func(_ context.Context, w io.Writer) (install.Origin, error) {
		for _, wrong := range [][]byte{b.next, b.new[:10], nil} {
			if _, err := w.Write(wrong); err != nil {
				return install.Origin{}, err
			}
			if err := w.(interface{ Reset() error }).Reset(); err != nil {
				return install.Origin{}, err
			}
		}
		_, err := w.Write(b.new)
		return install.Origin{}, err
	})
	if err != nil || outcome.ReadBack != sumOf(b.new) || len(m.residue(t)) > 0 {
		t.Errorf("%v: %+v, left %q", err, outcome, m.residue(t))
	}
}

// TestChangedAfterVerification requires that bytes that somebody changes in the new file, at
// any moment before the swap, are refused before it. In the moment of the swap itself it can
// be found out only afterwards.
func TestChangedAfterVerification(t *testing.T) {
	t.Parallel()
	b := files(t)
	back := request()
	back.Fit = verify.ReplaceOptions{Stopped: true, Needs: needs("0.17.7")}
	for name, options := range systems() {
		changedAfter{name + "/install", options, b.new, func(in *install.Installer) (*install.Outcome, error) {
			return in.Install(t.Context(), request(), fetchOf(b.new, nil))
		}}.try(t)
		changedAfter{name + "/rollback", options, b.older, func(in *install.Installer) (*install.Outcome, error) {
			return in.Rollback(t.Context(), back)
		}}.try(t)
	}
}

// changedAfter is an operation that puts a file with these contents in place.
type changedAfter struct {
	name     string
	options  memfs.Options
	contents []byte
	act      func(*install.Installer) (*install.Outcome, error)
}

func (c changedAfter) try(t *testing.T) {
	t.Helper()
	b := files(t)
	undisturbed := newMachine(t, c.options, b.older, b.old)
	_, err := c.act(undisturbed.installer())
	check(t, err)
	refused := 0
	for index, operation := range undisturbed.Trace() {
		m := newMachine(t, c.options, b.older, b.old)
		meddled := false
		m.MeddleAt(index+1, func() { meddled = m.spoil(t, c.contents) })
		outcome, err := c.act(m.installer())
		what := fmt.Sprintf("%s: before %s", c.name, operation)
		if meddled && (strings.Contains(operation, "exchange") && !c.options.NoExchange || strings.HasSuffix(operation, " > tigerbeetle")) {
			if err == nil || outcome.Result != install.ResultUnknown {
				t.Errorf("%s: %v, %s", what, err, outcome.Result)
			}
			continue
		}
		if !meddled {
			check(t, err)
			continue
		}
		if data, _ := m.read(t, targetName); err == nil && bytes.Equal(data, c.contents) { // it had been copied
			continue
		}
		var rejected *install.RejectedError
		if !errors.Is(err, fsatomic.ErrChanged) && !errors.As(err, &rejected) && !errors.Is(err, fsatomic.ErrAttribute) {
			t.Fatalf("%s: %v", what, err)
		}
		if data, _ := m.read(t, targetName); outcome.Changed || outcome.Result == install.ResultUnknown || !bytes.Equal(data, b.old) || len(m.residue(t)) > 0 {
			t.Fatalf("%s: %s, the target is %s, left %q", what, outcome.Result, b.name(data), m.residue(t))
		}
		if class := fault.Of(err); outcome.Result != results[class] || errors.Is(err, fsatomic.ErrChanged) != (class == fault.Busy) {
			t.Fatalf("%s: %v: the error is %s, and the result %s", what, err, class, outcome.Result)
		}
		refused++
	}
	if refused < 3 {
		t.Errorf("%s: %d times refused", c.name, refused)
	}
}

// spoil changes the last byte of the file beside the target that has these contents.
func (m *machine) spoil(t *testing.T, contents []byte) bool {
	t.Helper()
	for _, name := range append(m.residue(t), "tigerbeetle-old") {
		if data, _ := m.read(t, targetDir+"/"+name); !bytes.Equal(data, contents) {
			continue
		}
		dir, err := m.OpenDir(targetDir)
		check(t, err)
		file, err := dir.OpenAppend(name)
		check(t, err)
		defer file.Close()
		check(t, file.Truncate(int64(len(contents)-1)))
		_, err = file.Write([]byte{contents[len(contents)-1] ^ 1})
		check(t, err)
		return true
	}
	return false
}

// lateTimes is a file system that sets a file's times when it is synced, as some network
// file systems do.
type (
	lateTimes struct{ vfs.FS }
	lateDir   struct{ vfs.Dir }
	lateFile  struct {
		vfs.File
		late time.Duration
	}
)

func (f lateTimes) OpenDir(name string) (vfs.Dir, error) {
	dir, err := f.FS.OpenDir(name)
	return lateDir{dir}, err
}

func (d lateDir) Create(name string, mode vfs.Mode) (vfs.File, error) {
	file, err := d.Dir.Create(name, mode)
	return &lateFile{File: file}, err
}

func (f *lateFile) Sync() error {
	f.late = time.Second
	return f.File.Sync()
}

func (f *lateFile) Stat() (vfs.Info, error) {
	info, err := f.File.Stat()
	info.Changed = info.Changed.Add(f.late)
	return info, err
}

// TestLateTimes requires that times which a file system sets late are no reason to refuse
// what has the right contents.
func TestLateTimes(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	in := m.installer()
	in.FS = lateTimes{m.FS}
	outcome, err := in.Install(t.Context(), request(), fetchOf(b.new, nil))
	check(t, err)
	if now := m.look(t, "late times"); outcome.Result != install.ResultInstalled || now.target != "new" {
		t.Errorf("%+v", now)
	}
}

// TestDiskFills requires that a disk which turns out too small changes nothing.
func TestDiskFills(t *testing.T) {
	t.Parallel()
	b := files(t)
	m := newMachine(t, memfs.Options{}, b.older, b.old)
	outcome, err := m.installer().Install(t.Context(), request(), func(_ context.Context, w io.Writer) (install.Origin, error) {
		m.SetFree(4096)
		_, err := w.Write(append(b.new, make([]byte, 1<<20)...))
		m.SetFree(1 << 20) // the record needs some
		return install.Origin{}, err
	})
	if !errors.Is(err, vfs.ErrNoSpace) || outcome.Result != install.ResultFailed || outcome.Changed {
		t.Errorf("%v: %+v", err, outcome)
	}
	m.untouched(t, "full")
}

// TestCancelAtEveryStep cancels as each step begins, for both operations. Before
// the swap that ends the operation and changes nothing; after it, nothing does.
func TestCancelAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, s := range scenes(t) {
		var steps []install.Step
		in := s.setUp(t, memfs.Options{}).installer()
		in.Observe = func(step install.Step) { steps = append(steps, step) }
		_, err := s.act(t.Context(), in)
		check(t, err)
		for number, step := range steps {
			t.Run(fmt.Sprintf("%s/%d %s", s.name, number, step), func(t *testing.T) {
				t.Parallel()
				m := s.setUp(t, memfs.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				in, seen := m.installer(), 0
				in.Observe = func(install.Step) {
					if seen == number {
						cancel()
					}
					seen++
				}
				outcome, err := s.act(ctx, in)
				now := m.look(t, string(step))
				if step == install.StepReadBack {
					if err != nil || outcome.Result != s.result || now.target != s.after.target {
						t.Fatalf("%v: %+v, the target is %s", err, outcome, now.target)
					}
					return
				}
				if !errors.Is(err, context.Canceled) || outcome.Result != install.ResultInterrupted || outcome.Changed ||
					fmt.Sprint(now) != fmt.Sprint(s.before(t)) {
					t.Fatalf("%v: %s, %+v", err, outcome.Result, now)
				}
				if state := m.known(t); state.Next != nil || state.Last != nil {
					t.Errorf("the state says %+v", state)
				}
			})
		}
	}
}

// What goes through a rollout waits for a session that has the lock just now, and for none for ever.
func TestDespiteRolloutWaits(t *testing.T) {
	t.Parallel()
	for held, want := range map[time.Duration]error{time.Second: nil, time.Minute: durable.ErrBusy} {
		synctest.Test(t, func(t *testing.T) {
			b := files(t)
			m := newMachine(t, memfs.Options{}, b.older, b.old)
			fetching, done := make(chan bool), make(chan error)
			go func() {
				_, err := m.installer().Install(t.Context(), request(), func(ctx context.Context, w io.Writer) (install.Origin, error) {
					close(fetching)
					<-time.After(held) // of the bubble
					return fetchOf(b.new, nil)(ctx, w)
				})
				done <- err
			}()
			<-fetching
			r, calls := request(), 0
			r.DespiteRollout = true
			if _, err := m.installer().Install(t.Context(), r, fetchOf(b.next, &calls)); !errors.Is(err, want) {
				t.Errorf("the lock was held for %v: %v", held, err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBusy starts a second operation while a first one fetches.
func TestBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := files(t)
		m := newMachine(t, memfs.Options{}, b.older, b.old)
		fetching, goOn, done := make(chan bool), make(chan bool), make(chan error)
		go func() {
			_, err := m.installer().Install(t.Context(), request(), func(ctx context.Context, w io.Writer) (install.Origin, error) {
				close(fetching)
				<-goOn
				return fetchOf(b.new, nil)(ctx, w)
			})
			done <- err
		}()
		<-fetching
		calls := 0
		for _, act := range []func() (*install.Outcome, error){
			func() (*install.Outcome, error) {
				return m.installer().Install(t.Context(), request(), fetchOf(b.next, &calls))
			},
			func() (*install.Outcome, error) { return m.installer().Rollback(t.Context(), request()) },
		} {
			outcome, err := act()
			var busy *durable.BusyError
			if !errors.As(err, &busy) || busy.Holder.Command != "tbctl install test" || busy.Holder.PID == 0 || outcome.Changed || calls != 0 {
				t.Errorf("%v: %+v", err, busy)
			}
		}
		waited := make(chan error)
		go func() {
			r := request()
			r.Wait = time.Minute
			_, err := m.installer().Install(t.Context(), r, fetchOf(b.next, &calls))
			waited <- err
		}()
		<-time.After(time.Second) // of the bubble
		close(goOn)
		if first, second := <-done, <-waited; first != nil || second != nil {
			t.Errorf("%v, %v", first, second)
		}
		// The second one judged its file against what the first one installed.
		if now := m.look(t, "both"); fmt.Sprint(now) != fmt.Sprint(sight{"next", "new", nil}) {
			t.Errorf("%+v", now)
		}
		if got, want := m.phases(t), "outcome:installed outcome:installed"; got != want {
			t.Errorf("the journal has %q, want %q", got, want)
		}
	})
}

// TestReadBack requires that what is found at the target after the swap is compared.
func TestReadBack(t *testing.T) {
	t.Parallel()
	b := files(t)
	for _, test := range []struct {
		name  string
		spoil func(*machine, *liar) error
		want  error
		found string
	}{
		{"another file", func(m *machine, _ *liar) error {
			dir, err := m.OpenDir(targetDir)
			return errors.Join(err, dir.Rename("tigerbeetle-old", "tigerbeetle"))
		}, fsatomic.ErrChanged, ""},
		{"gone", func(m *machine, _ *liar) error {
			dir, err := m.OpenDir(targetDir)
			return errors.Join(err, dir.Remove("tigerbeetle"))
		}, nil, ""},
		{"without its capabilities", func(m *machine, _ *liar) error {
			dir, err := m.OpenDir(targetDir)
			check(t, err)
			file, err := dir.OpenAppend("tigerbeetle")
			check(t, err)
			return errors.Join(file.RemoveXattr(fsatomic.XattrCapability), file.Close())
		}, vfs.ErrNoXattr, "the same"},
		{"the disk returns something else", func(_ *machine, l *liar) error {
			l.armed = true
			return nil
		}, nil, "another"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, memfs.Options{}, nil, b.old)
			l := &liar{FS: m.FS}
			in := m.installer()
			in.FS = l
			in.Observe = func(step install.Step) {
				if step == install.StepReadBack {
					check(t, test.spoil(m, l))
				}
			}
			outcome, err := in.Install(t.Context(), request(), fetchOf(b.new, nil))
			var readBack *install.ReadBackError
			if !errors.As(err, &readBack) || readBack.Target != targetName || readBack.Want != sumOf(b.new) ||
				(test.want != nil && !errors.Is(err, test.want)) || (readBack.Found != "") != (test.found != "") {
				t.Fatalf("%v: %+v", err, readBack)
			}
			if !outcome.Changed || outcome.Result != install.ResultUnknown {
				t.Errorf("%+v", outcome)
			}
			if got, want := m.phases(t), "outcome:unknown"; got != want {
				t.Errorf("the journal has %q, want %q", got, want)
			}
		})
	}
}

// liar is a file system whose disk, when armed, returns one bit otherwise.
type liar struct {
	vfs.FS
	armed bool
}

type liarDir struct {
	vfs.Dir
	liar *liar
}

type liarFile struct {
	vfs.File
	liar *liar
}

func (l *liar) OpenDir(name string) (vfs.Dir, error) {
	dir, err := l.FS.OpenDir(name)
	return &liarDir{dir, l}, err
}

func (d *liarDir) Open(name string) (vfs.File, error) {
	file, err := d.Dir.Open(name)
	if err != nil {
		return nil, err
	}
	return &liarFile{file, d.liar}, nil
}

func (f *liarFile) ReadAt(data []byte, offset int64) (int, error) {
	count, err := f.File.ReadAt(data, offset)
	if f.liar.armed && count > 0 {
		data[count-1] ^= 1
	}
	return count, err
}
