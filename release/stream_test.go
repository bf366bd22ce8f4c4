package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

// TestPipe moves bytes in pieces of every size, and errors in both directions.
func TestPipe(t *testing.T) {
	t.Parallel()
	data := program(3*chunkSize+7, 1)
	for name, run := range map[string]func(p *pipe){
		"fill":              func(p *pipe) { p.fill(bytes.NewReader(data)) },
		"fill, small reads": func(p *pipe) { p.fill(iotest.HalfReader(bytes.NewReader(data))) },
		"fill, error with data": func(p *pipe) {
			p.fill(iotest.DataErrReader(bytes.NewReader(data)))
		},
		"write": func(p *pipe) {
			rng := rand.New(rand.NewPCG(1, 1))
			for rest := data; len(rest) > 0; {
				n := min(1+rng.IntN(2*chunkSize), len(rest))
				p.Write(rest[:n])
				rest = rest[n:]
			}
			p.finish(nil)
		},
	} {
		for _, drained := range []bool{true, false} {
			p := newPipe()
			go run(p)
			var got bytes.Buffer
			var err error
			if drained {
				sum := sha256.New()
				err = p.drain(&got, sum)
				if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
					t.Errorf("%s: sha256 %x, want %x", name, sum.Sum(nil), want)
				}
			} else {
				_, err = io.Copy(&got, p)
			}
			if err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
			}
		}
	}
	failure := errors.New("broken")
	p := newPipe()
	go p.fill(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(failure)))
	if b, err := io.ReadAll(p); string(b) != "some" || err != failure {
		t.Errorf("the writer's error: %q, %v", b, err)
	}
	p = newPipe()
	p.abandon(failure)
	p.abandon(nil)
	if n, err := p.Write(data); err != failure || n > chunkCount*chunkSize {
		t.Errorf("the reader's error: %d, %v", n, err)
	}
}

// TestDestinationFails ends with the destination's error, keeps what came, and leaves no goroutine.
func TestDestinationFails(t *testing.T) {
	t.Parallel()
	executable := program(3<<20, 1)
	zip := zipped(t, executable)
	cache := newCache(t)
	s := newServer(t, map[string]*file{assetPath: {data: zip, etag: `"1"`, stall: []int{2 << 20}}})
	o := Options{BaseURL: s.URL, CacheDir: cache, Platform: LinuxX86_64, Retry: quick}
	a, err := resolve("0.17.8", o)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	if _, err := a.Fetch(t.Context(), &failing{after: 1 << 20, err: full}); err != full {
		t.Fatalf("%v", err)
	}
	f, b, err := fetch(t, "0.17.8", o)
	if err != nil || !bytes.Equal(b, executable) || f.BytesResumed == 0 {
		t.Errorf("the next try: %+v, %v", f, err)
	}
	if _, err := a.Fetch(t.Context(), short{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) / 2, nil }

// TestStdinThatHangs gives up a standard input that sends nothing when the context ends, and reports
// nothing afterwards.
func TestStdinThatHangs(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	var ended atomic.Bool
	o := Options{Stdin: r, Platform: LinuxX86_64, Progress: func(Progress) {
		if ended.Load() {
			t.Error("progress after the end")
		}
	}}
	a, err := resolve("-", o)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		w.Write(zipped(t, program(1000, 1))[:100])
		cancel()
	}()
	_, err = a.Fetch(ctx, io.Discard)
	ended.Store(true)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	late := make(chan struct{})
	go func() {
		w.Write([]byte("late")) // to the read that was left behind, if it is still there
		close(late)
	}()
	r.Close()
	<-late
}

// TestCancelled stops a download between two bytes and while it waits to try again.
func TestCancelled(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]*file{assetPath: {data: zipped(t, program(1<<20, 1)), stall: []int{1 << 19}}})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the operator said stop")
	o := Options{BaseURL: s.URL, Platform: LinuxX86_64, Retry: quick, Progress: func(p Progress) {
		if p.Done >= 1<<19 {
			cancel(why)
		}
	}}
	a, err := resolve("0.17.8", o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Fetch(ctx, io.Discard); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	o.BaseURL, o.Retry = newServer(t, map[string]*file{assetPath: {status: []int{503}}}).URL, Retry{WaitMin: 1 << 40, WaitMax: 1 << 40}
	o.Progress = func(p Progress) { cancel(why) }
	if a, err = resolve("0.17.8", o); err != nil {
		t.Fatal(err)
	}
	var transfer *TransferError
	if _, err := a.Fetch(ctx, io.Discard); !errors.Is(err, why) || !errors.As(err, &transfer) {
		t.Errorf("waiting: %v", err)
	}
}

// TestMemory allocates the same for a large release as for a small one.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("large archives: not in short mode")
	}
	allocated := func(size int) uint64 {
		zip := zipped(t, program(size, 1))
		s := newServer(t, map[string]*file{assetPath: {data: zip, etag: `"1"`}})
		a, err := resolve("0.17.8", Options{BaseURL: s.URL, Platform: LinuxX86_64, CacheDir: newCache(t)})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := a.Fetch(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1 << 20)
	small, large := allocated(1<<20), allocated(32<<20)
	const most = 6 << 20
	if large > most || large > 2*small+1<<20 {
		t.Errorf("%d bytes allocated for 1 MiB, %d for 32 MiB", small, large)
	}
	t.Logf("%d KiB for 1 MiB, %d KiB for 32 MiB", small>>10, large>>10)
}

func BenchmarkFetch(b *testing.B) {
	executable := program(32<<20, 1)
	s := newServer(b, map[string]*file{assetPath: {data: zipped(b, executable), etag: `"1"`}})
	a, err := resolve("0.17.8", Options{BaseURL: s.URL, Platform: LinuxX86_64, CacheDir: newCache(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(executable)))
	for b.Loop() {
		if _, err := a.Fetch(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
