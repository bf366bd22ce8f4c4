package replica_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
)

// A replica that starts is told as one, from the newest release, which always starts, to the
// one of the data file, until it listens.
func TestFindStarting(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7v"))
	hold := t.TempDir()
	unlooked, execute, opening := standin.Hold(t, hold, "0.17.8:started"), standin.Hold(t, hold, "0.17.8:execute-past"), standin.Hold(t, hold, "0.17.6:opening")
	before := time.Now().Add(-2 * time.Second) // the kernel's clock is coarse
	p := standin.Run(t, binary, standin.Options{Hold: hold}, "start", "--addresses="+standin.Addresses(1), dataFile)

	check := func(running string, certain bool) replica.Process {
		t.Helper()
		got := only(t, binary)
		if got.State != replica.StateStarting || got.Settles() != testbin.Release("0.17.6") || len(got.Listens) != 0 ||
			got.Running.Release != testbin.Release(running) || got.Running.Certain != certain || got.StartingSince.Before(before) {
			t.Errorf("state %s since %s, settles on %s, listens %v, running %+v; want it starting, with %s, certain %t",
				got.State, got.StartingSince, got.Settles(), got.Listens, got.Running, running, certain)
		}
		return got
	}
	p.Must("0.17.8: held at started")
	if got := check("0.17.8", false); got.Armed != nil {
		t.Errorf("armed with %+v", got.Armed)
	}
	unlooked()
	p.Must("0.17.8: held at execute-past")
	check("0.17.8", false)
	execute()
	p.Must("0.17.6: held at opening")
	opened := check("0.17.6", true)
	if _, err := opened.Ask(t.Context()); !isCannotAsk(err) {
		t.Errorf("asked while it opens: %v", err)
	}
	opening()
	p.Must("0.17.6: listening")
	got := only(t, binary)
	if got.State != replica.StateRunning || len(got.Listens) != 1 || got.Listens[0].String() != got.Addresses || !got.StartingSince.IsZero() {
		t.Errorf("state %s since %s, listens %v of %s", got.State, got.StartingSince, got.Listens, got.Addresses)
	}
	checkRunning(t, got, "0.17.6", replica.SourcePack, true, replica.OriginMemory)
}

func isCannotAsk(err error) bool {
	_, ok := errors.AsType[*replica.CannotAskError](err)
	return ok
}

// format makes a data file of a replica in a cluster of three with a standby.
func format(t *testing.T, binary string, index int) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(binary), fmt.Sprintf("0_%d.tigerbeetle", index))
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if output, err := exec.Command(binary, "format", "--cluster=7", fmt.Sprint("--replica=", index), "--replica-count=3", path).CombinedOutput(); err != nil {
		t.Fatalf("format: %v\n%s", err, output)
	}
	return path
}

// The ping is made by one piece of code and answered by another.
func TestAskReplica(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	p := standin.Start(t, binary, format(t, binary, 2), standin.Options{})
	got := only(t, binary)
	pong, err := got.Ask(t.Context())
	if want := (replica.Pong{Replica: 2, Release: testbin.Release("0.17.6")}); err != nil || pong != want {
		t.Errorf("%+v, %v, want %+v", pong, err, want)
	}

	cluster := datafile.NewID(7)
	_, err = replica.Ask(t.Context(), got.Listens[0], cluster, testbin.Release("0.17.7"))
	if failure, ok := errors.AsType[*replica.EvictionError](err); !ok || failure.Reason != replica.EvictionReleaseTooHigh || failure.Release != testbin.Release("0.17.6") {
		t.Errorf("a newer client: %v", err)
	}
	p.Must("too new")
	_, err = replica.Ask(t.Context(), got.Listens[0], cluster, 1)
	if failure, ok := errors.AsType[*replica.EvictionError](err); !ok || failure.Reason != replica.EvictionReleaseTooLow {
		t.Errorf("an old client: %v", err)
	}
	if _, err := replica.Ask(t.Context(), got.Listens[0], datafile.NewID(8), testbin.Release("0.17.6")); !errors.Is(err, replica.ErrClosed) {
		t.Errorf("another cluster's client: %v", err)
	}
}

// Silence is no answer.
func TestAskSilent(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	hold := t.TempDir()
	again := standin.Hold(t, hold, "0.17.6:pong")
	standin.Start(t, binary, dataFile, standin.Options{Hold: hold})
	got := only(t, binary)
	if _, err := got.Ask(t.Context()); !errors.Is(err, replica.ErrSilent) {
		t.Errorf("%v, want ErrSilent", err)
	}
	again()
	if _, err := got.Ask(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAskStandby(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Start(t, binary, format(t, binary, 3), standin.Options{})
	got := only(t, binary)
	if _, err := got.Ask(t.Context()); got.State != replica.StateRunning || !isCannotAsk(err) {
		t.Errorf("state %s, %v", got.State, err)
	}
}

// The same address in another network namespace may be anybody's.
func TestAskOtherNetwork(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	contained(t, `exec unshare -n "$1" start --addresses=3000 "$2"`, binary, dataFile)
	got := only(t, binary)
	if _, err := got.Ask(t.Context()); got.State != replica.StateRunning || len(got.Listens) != 1 || !isCannotAsk(err) {
		t.Errorf("state %s, listens %v, %v", got.State, got.Listens, err)
	}
}
