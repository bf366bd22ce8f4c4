package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/watch"
)

func build(t *testing.T, current string, past ...string) []byte {
	t.Helper()
	return testbin.Build(t, testbin.Spec{Current: testbin.Release(current), Past: testbin.PastOf(past...)})
}

// replace puts data at path by a rename.
func replace(t *testing.T, path string, data []byte, mode os.FileMode) {
	t.Helper()
	staged := path + ".staged"
	if err := errors.Join(os.WriteFile(staged, data, 0o700), os.Chmod(staged, mode), os.Rename(staged, path)); err != nil {
		t.Fatal(err)
	}
}

func releases(texts ...string) []multiversion.Release {
	var all []multiversion.Release
	for _, text := range texts {
		all = append(all, testbin.Release(text))
	}
	return all
}

// stage is a change of the file, and the event that follows from it.
type stage struct {
	change  func()
	verdict watch.Verdict
	rule    multiversion.Rule
	offered []multiversion.Release
}

// play makes one change after the other, each when the event of the one
// before is there, in time that passes by itself.
func play(t *testing.T, path string, options watch.Options, stages []stage) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start, index := time.Now(), 0
		stages[0].change()
		for event, err := range watch.Watch(t.Context(), path, options) {
			if err != nil {
				t.Fatal(err)
			}
			want := stages[index]
			if event.Kind != watch.KindBinary || event.Path != path || event.First != (index == 0) {
				t.Fatalf("stage %d: event %+v", index, event)
			}
			if event.Verdict != want.verdict || event.Rule != want.rule || !slices.Equal(event.New, want.offered) {
				t.Errorf("stage %d: %s (%s: %s), offered %v; want %s (%s), offered %v", index, event.Verdict, event.Rule, event.Reason, event.New,
					want.verdict, want.rule, want.offered)
			}
			if (event.Reason == "") != (want.verdict == watch.VerdictAccepted) {
				t.Errorf("stage %d: reason %q", index, event.Reason)
			}
			if passed := time.Since(start); passed != time.Duration(index)*time.Second {
				t.Errorf("stage %d after %s", index, passed)
			}
			if index++; index == len(stages) {
				return
			}
			stages[index].change()
		}
	})
}

func TestWatchBinary(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	base, next := build(t, "0.17.6", "0.17.5"), build(t, "0.17.8", "0.17.6", "0.17.7v")
	damaged := slices.Clone(next)
	damaged[len(damaged)/3] ^= 1
	plain := testbin.Executable(t, "linux", "amd64", testbin.Release("0.15.3"), 0)
	put := func(data []byte, mode os.FileMode) func() { return func() { replace(t, path, data, mode) } }
	held, beyond := releases("0.17.6", "0.17.7"), releases("0.17.5", "0.17.6")
	play(t, path, watch.Options{Running: testbin.Release("0.17.6")}.PollOnly(true).BinaryOnly(), []stage{
		{func() {}, watch.VerdictNotFound, "", nil},
		{put(base, 0o755), watch.VerdictAccepted, "", beyond},
		{put(next, 0o644), watch.VerdictNotExecutable, "", beyond},
		{func() { os.Chmod(path, 0o755) }, watch.VerdictAccepted, "", held},
		{put(base, 0o755), watch.VerdictNotSuperset, "", held},
		{put(damaged, 0o755), watch.VerdictChecksum, "", held},
		{put(damaged[:len(damaged)-1], 0o755), watch.VerdictInvalidELF, multiversion.RuleELFSectionTable, held},
		{put(nil, 0o755), watch.VerdictNoPlatform, multiversion.RuleKind, held},
		{put([]byte("#!/bin/sh\n"), 0o755), watch.VerdictNoPlatform, multiversion.RuleKind, held},
		{put(plain, 0o755), watch.VerdictNoMultiversion, multiversion.RuleNoSections, held},
		{put(build(t, "0.17.9", "0.17.8"), 0o755), watch.VerdictRunningMissing, "", held},
		{func() { os.Remove(path) }, watch.VerdictNotFound, "", held},
		{func() { os.Mkdir(path, 0o755) }, watch.VerdictUnreadable, "", held},
		{func() { os.Remove(path); put(next, 0o755)() }, watch.VerdictAccepted, "", held},
		{func() { os.Chmod(path, 0o700) }, watch.VerdictAccepted, "", held},
	})
}

// Without a running release a good file is accepted, whatever was there before.
func TestWatchWithoutRunning(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	play(t, path, watch.Options{}.PollOnly(true).BinaryOnly(), []stage{
		{func() { replace(t, path, build(t, "0.17.8", "0.17.6", "0.17.7v"), 0o755) }, watch.VerdictAccepted, "", releases("0.17.6", "0.17.7", "0.17.8")},
		{func() { replace(t, path, build(t, "0.17.6", "0.17.5"), 0o755) }, watch.VerdictAccepted, "", releases("0.17.5", "0.17.6")},
	})
}

// A file that nobody touches causes nothing, however long it is followed.
func TestWatchNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	replace(t, path, build(t, "0.17.6", "0.17.5"), 0o755)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		events := 0
		for event, err := range watch.Watch(ctx, path, watch.Options{Interval: time.Minute}.PollOnly(true).BinaryOnly()) {
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				continue
			}
			if events++; event.Verdict != watch.VerdictAccepted {
				t.Errorf("event %+v", event)
			}
			if _, err := os.ReadFile(path); err != nil { // may change the access time
				t.Error(err)
			}
		}
		if events != 1 {
			t.Errorf("%d events, want 1", events)
		}
	})
}

// The kernel's notice comes long before the next look is due.
func TestWatchNotices(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: notices are used for sure on Linux only")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "tigerbeetle")
	link := filepath.Join(t.TempDir(), "link")
	replace(t, path, build(t, "0.17.6", "0.17.5"), 0o755)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		next, events := build(t, "0.17.8", "0.17.6"), 0
		for event, err := range watch.Watch(ctx, name, watch.Options{Interval: time.Hour}.BinaryOnly()) {
			if err != nil {
				t.Fatal(err)
			}
			if event.Verdict != watch.VerdictAccepted {
				t.Errorf("event %+v", event)
			}
			if events++; events == 2 {
				break
			}
			replace(t, path, next, 0o755)
		}
	}
}

func TestWatchWithoutDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none", "tigerbeetle")
	var kinds []watch.Kind
	for event, err := range watch.Watch(t.Context(), path, watch.Options{}.PollOnly(runtime.GOOS == "darwin").BinaryOnly()) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, event.Kind)
		if event.Kind == watch.KindBinary {
			break
		}
		if event.Reason == "" || event.Err == nil {
			t.Errorf("event %+v", event)
		}
	}
	if runtime.GOOS != "darwin" && !slices.Equal(kinds, []watch.Kind{watch.KindPolling, watch.KindBinary}) {
		t.Errorf("events %v", kinds)
	}
}

func TestWatchOptions(t *testing.T) {
	t.Parallel()
	for event, err := range watch.Watch(t.Context(), "x", watch.Options{Interval: -1}) {
		if err == nil {
			t.Errorf("event %+v", event)
		}
	}
}

func TestWatchTooLarge(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("skipped: writes 64 MiB")
	}
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	data := testbin.Build(t, testbin.Spec{Size: 64 << 20, Compressible: true})
	play(t, path, watch.Options{}.PollOnly(true).BinaryOnly(), []stage{
		{func() { replace(t, path, data, 0o755) }, watch.VerdictTooLarge, "", nil},
	})
}

func TestEventJSON(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tigerbeetle")
	replace(t, path, build(t, "0.17.6", "0.17.5"), 0o755)
	for event, err := range watch.Watch(t.Context(), path, watch.Options{}.PollOnly(true).BinaryOnly()) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"kind":"binary"`, `"first":true`, `"verdict":"accepted"`, `"current":"0.17.6"`, `"releases_bundled_new":["0.17.5","0.17.6"]`, `"size":`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("JSON lacks %s: %s", want, text)
			}
		}
		if runtime.GOOS == "linux" && !strings.Contains(string(text), `"mode":"0100755"`) {
			t.Errorf("mode in %s", text)
		}
		break
	}
}

func TestParseCondition(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"running", "serving"} {
		if condition, err := watch.ParseCondition(text); err != nil || condition.String() != text || condition.Release != 0 {
			t.Errorf("%s: %+v, %v", text, condition, err)
		}
	}
	for _, what := range watch.Conditions() {
		text := what + "=0.17.8"
		condition, err := watch.ParseCondition(text)
		if err != nil || condition.String() != text || condition.Release != testbin.Release("0.17.8") {
			t.Errorf("%s: %+v, %v", text, condition, err)
		}
	}
	for _, text := range []string{"", "armed", "offered", "durable", "running=", "serving=0.0.0", "running=0.0.0", "servings", "running=x", "=0.17.8", "runs=0.17.8", "running=0.17.8 "} {
		if _, err := watch.ParseCondition(text); !errors.Is(err, watch.ErrCondition) {
			t.Errorf("%q: error %v, want ErrCondition", text, err)
		}
	}
	for _, wrong := range []watch.Condition{{What: watch.ConditionArmed}, {What: "x", Release: 1},
		{What: watch.ConditionRunning, Checksum: multiversion.Checksum{1}}} {
		if _, err := watch.Until(t.Context(), "x", wrong, watch.Options{}, nil); !errors.Is(err, watch.ErrCondition) {
			t.Errorf("%+v: error %v, want ErrCondition", wrong, err)
		}
	}
}

func TestUntilElsewhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "linux" {
		t.Skip("skipped: replicas can be found on Linux")
	}
	_, err := watch.Until(t.Context(), "x", watch.Condition{What: watch.ConditionArmed, Release: 1}, watch.Options{}, nil)
	if !errors.Is(err, replica.ErrNotSupported) {
		t.Errorf("error %v, want ErrNotSupported", err)
	}
}

func FuzzParseCondition(f *testing.F) {
	for _, seed := range []string{"armed=0.17.8", "running=65535.255.255", "offered=0.0.0", "running", "serving=0.0.0", "durable=1.2.3", "=", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		condition, err := watch.ParseCondition(text)
		if err == nil && condition.String() != text {
			t.Errorf("%q became %q", text, condition)
		}
		if err != nil && !errors.Is(err, watch.ErrCondition) {
			t.Errorf("%q: error %v", text, err)
		}
	})
}
