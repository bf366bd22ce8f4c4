package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tbctl/tbctl/multiversion"
)

const (
	bufferSize  = 256 << 10
	bufferCount = 4 // so a pass takes 1 MiB whatever the size of the file
)

// piece is a stretch of the file, or bytes that stand in its place.
type piece struct {
	extent  multiversion.Extent
	literal []byte
}

// stream is a message made of pieces, whose stretches of the file ascend and do not
// overlap: one pass over the file can compute many of them.
type stream struct {
	pieces []piece
	sink   io.Writer // never fails
	cost   int64     // relative
	done   int64     // bytes of the first piece that have been written
}

// newStream is the stream of some stretches of the file.
func newStream(sink io.Writer, extents ...multiversion.Extent) *stream {
	s := &stream{sink: sink}
	for _, extent := range extents {
		s.pieces = append(s.pieces, piece{extent: extent})
		s.cost += extent.Size
	}
	return s
}

// feed gives the stream the next bytes of the file.
func (s *stream) feed(offset int64, data []byte) {
	end := offset + int64(len(data))
	for len(s.pieces) > 0 {
		next := &s.pieces[0]
		if next.literal == nil {
			start := next.extent.Offset + s.done
			stop := min(next.extent.End(), end)
			if start < stop {
				s.sink.Write(data[start-offset : stop-offset])
				s.done += stop - start
			}
			if s.done < next.extent.Size {
				return
			}
		} else {
			s.sink.Write(next.literal)
		}
		s.pieces, s.done = s.pieces[1:], 0
	}
}

// chunk is a buffer of the file's bytes that some workers still read.
type chunk struct {
	buffer  []byte
	data    []byte
	offset  int64
	readers atomic.Int32
}

// readOnce reads the file from its first byte to the last and feeds all streams
// from the same buffers, by as many goroutines as there are processors; a file that fits
// into one buffer is not worth them. The error is the context's or the reader's.
func readOnce(ctx context.Context, r io.ReaderAt, size int64, streams []*stream) error {
	groups := groupStreams(streams, runtime.GOMAXPROCS(0))
	if len(groups) < 2 || size <= bufferSize {
		return readAlone(ctx, r, size, streams)
	}
	return readTogether(ctx, r, size, groups)
}

// readTogether is readOnce with a goroutine for each group.
func readTogether(ctx context.Context, r io.ReaderAt, size int64, groups [][]*stream) error {
	free := make(chan *chunk, bufferCount)
	memory := make([]byte, bufferCount*bufferSize)
	for index := range bufferCount {
		free <- &chunk{buffer: memory[index*bufferSize:][:bufferSize]}
	}
	queues := make([]chan *chunk, len(groups))
	var workers sync.WaitGroup
	for index, group := range groups {
		queue := make(chan *chunk, bufferCount)
		queues[index] = queue
		workers.Go(func() { feedAll(group, queue, free) })
	}
	err := readInto(ctx, r, size, free, queues)
	for _, queue := range queues {
		close(queue)
	}
	workers.Wait()
	return err
}

// readInto reads the file into free chunks and hands each to every queue.
func readInto(ctx context.Context, r io.ReaderAt, size int64, free <-chan *chunk, queues []chan *chunk) error {
	for offset := int64(0); offset < size; {
		next := <-free
		next.data, next.offset = next.buffer[:min(bufferSize, size-offset)], offset
		if err := readFull(ctx, r, next.data, offset); err != nil {
			return err
		}
		offset += int64(len(next.data))
		next.readers.Store(int32(len(queues)))
		for _, queue := range queues {
			queue <- next
		}
	}
	return nil
}

// feedAll feeds a group of streams and gives each chunk back after its last reader.
func feedAll(group []*stream, queue <-chan *chunk, free chan<- *chunk) {
	for next := range queue {
		for _, stream := range group {
			stream.feed(next.offset, next.data)
		}
		if next.readers.Add(-1) == 0 {
			free <- next
		}
	}
}

// readAlone is readOnce in this goroutine alone.
func readAlone(ctx context.Context, r io.ReaderAt, size int64, streams []*stream) error {
	buffer := make([]byte, min(bufferSize, size))
	for offset := int64(0); offset < size; {
		data := buffer[:min(bufferSize, size-offset)]
		if err := readFull(ctx, r, data, offset); err != nil {
			return err
		}
		for _, stream := range streams {
			stream.feed(offset, data)
		}
		offset += int64(len(data))
	}
	return nil
}

func readFull(ctx context.Context, r io.ReaderAt, data []byte, offset int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	count, err := r.ReadAt(data, offset)
	if count == len(data) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the file became shorter
	}
	return fmt.Errorf("read %d bytes at offset %d: %w", len(data), offset, err)
}

// groupStreams shares the streams out to at most count groups of about the same cost.
func groupStreams(streams []*stream, count int) [][]*stream {
	byCost := slices.Clone(streams)
	slices.SortStableFunc(byCost, func(a, b *stream) int { return cmp.Compare(b.cost, a.cost) })
	groups := make([][]*stream, min(count, len(streams)))
	costs := make([]int64, len(groups))
	for _, stream := range byCost {
		least := slices.Index(costs, slices.Min(costs))
		groups[least] = append(groups[least], stream)
		costs[least] += stream.cost
	}
	return groups
}
