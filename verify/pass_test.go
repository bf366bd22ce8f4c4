package verify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/tbctl/tbctl/multiversion"
)

// plan is a set of streams over data and what each must give.
type plan struct {
	streams []*stream
	got     []*bytes.Buffer
	want    [][]byte
}

// randomPlan makes streams of ascending pieces, some of them literal, some empty, that
// overlap those of other streams.
func randomPlan(random *rand.Rand, data []byte) plan {
	var p plan
	for range 1 + random.IntN(6) {
		sink := new(bytes.Buffer)
		s := &stream{sink: sink, cost: random.Int64N(100)}
		var want []byte
		for offset := int64(0); offset < int64(len(data)); {
			if random.IntN(4) == 0 {
				literal := bytes.Repeat([]byte{byte(offset)}, random.IntN(300)+1)
				s.pieces = append(s.pieces, piece{literal: literal})
				want = append(want, literal...)
			}
			start := offset + random.Int64N(int64(len(data))-offset)
			size := random.Int64N(int64(len(data)) - start + 1)
			s.pieces = append(s.pieces, piece{extent: multiversion.Extent{Offset: start, Size: size}})
			want = append(want, data[start:start+size]...)
			offset = start + size + random.Int64N(2)
		}
		p.streams, p.got, p.want = append(p.streams, s), append(p.got, sink), append(p.want, want)
	}
	return p
}

func TestReadOnce(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 3*bufferSize+12345)
	for index := range data {
		data[index] = byte(random.Uint32())
	}
	for round := range 60 {
		size := 1 + random.IntN(len(data))
		if round%3 == 0 {
			size = (1 + random.IntN(3)) * bufferSize // exact chunks
		}
		file := data[:size]
		p := randomPlan(random, file)
		groups := groupStreams(p.streams, 1+round%4)
		count := 0
		for _, group := range groups {
			count += len(group)
		}
		if count != len(p.streams) || len(groups) > 1+round%4 {
			t.Fatalf("%d streams in %d groups", count, len(groups))
		}
		var err error
		if round%2 == 0 {
			err = readAlone(t.Context(), bytes.NewReader(file), int64(size), p.streams)
		} else {
			err = readTogether(t.Context(), bytes.NewReader(file), int64(size), groups)
		}
		if err != nil {
			t.Fatal(err)
		}
		for index := range p.streams {
			if !bytes.Equal(p.got[index].Bytes(), p.want[index]) {
				t.Fatalf("round %d: stream %d has %d bytes, want %d", round, index, p.got[index].Len(), len(p.want[index]))
			}
		}
	}
}

// A file that ends too soon, or a context that ends, stops all workers.
func TestReadOnceStops(t *testing.T) {
	t.Parallel()
	data := make([]byte, 20*bufferSize)
	streams := func() []*stream {
		return []*stream{newStream(io.Discard, multiversion.Extent{Size: 30 * bufferSize}), newStream(io.Discard, multiversion.Extent{Size: 5})}
	}
	if err := readTogether(t.Context(), bytes.NewReader(data), 30*bufferSize, groupStreams(streams(), 2)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if err := readAlone(t.Context(), bytes.NewReader(data), 30*bufferSize, streams()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := readTogether(ctx, bytes.NewReader(data), int64(len(data)), groupStreams(streams(), 2)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkReadOnce(b *testing.B) {
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		file := newStream(multiversion.NewHash(), multiversion.Extent{Size: int64(len(data))})
		pack := newStream(multiversion.NewHash(), multiversion.Extent{Offset: 4 << 20, Size: 60 << 20})
		if err := readOnce(b.Context(), bytes.NewReader(data), int64(len(data)), []*stream{file, pack}); err != nil {
			b.Fatal(err)
		}
	}
}
