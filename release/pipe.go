package release

import (
	"hash"
	"io"
	"sync"
)

const (
	chunkSize  = 256 << 10 // bytes
	chunkCount = 4         // in a pipe, so that neither end waits for the other's every move
)

// A pipe joins two goroutines through a few reused buffers. What one of them returned as an error
// reaches the other after the data in front of it.
//
// One goroutine reads and one writes; either may stop at any time.
type pipe struct {
	full, free chan []byte
	stop       chan struct{} // closed when the reader needs no more
	stopOnce   sync.Once
	err        error // of the writer, set before full is closed
	failure    error // of the reader, set before stop is closed

	filling []byte // the writer's buffer
	rest    []byte // of the reader's buffer
	reading []byte
}

func newPipe() *pipe {
	p := &pipe{full: make(chan []byte, chunkCount), free: make(chan []byte, chunkCount), stop: make(chan struct{})}
	for range chunkCount {
		p.free <- make([]byte, 0, chunkSize)
	}
	return p
}

// buffer returns the writer's buffer, empty or not yet full. It fails when the reader has stopped.
func (p *pipe) buffer() ([]byte, error) {
	if p.filling != nil {
		return p.filling, nil
	}
	select {
	case <-p.stop: // even where there are buffers
		return nil, p.failure
	default:
	}
	select {
	case p.filling = <-p.free:
		return p.filling, nil
	case <-p.stop:
		return nil, p.failure
	}
}

// flush hands the buffer to the reader.
func (p *pipe) flush() error {
	if len(p.filling) == 0 {
		return nil
	}
	select {
	case p.full <- p.filling:
		p.filling = nil
		return nil
	case <-p.stop:
		return p.failure
	}
}

// Write copies b. It returns the reader's error when that has stopped.
func (p *pipe) Write(b []byte) (int, error) {
	written := 0
	for written < len(b) {
		buffer, err := p.buffer()
		if err != nil {
			return written, err
		}
		n := min(len(b)-written, cap(buffer)-len(buffer))
		p.filling = append(buffer, b[written:written+n]...)
		written += n
		if len(p.filling) == cap(p.filling) {
			if err := p.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// fill writes everything that src has. It returns what ended src, nil at its end, and tells the reader.
func (p *pipe) fill(src io.Reader) {
	for {
		buffer, err := p.buffer()
		if err != nil {
			p.finish(err)
			return
		}
		n, err := src.Read(buffer[len(buffer):cap(buffer)])
		p.filling = buffer[:len(buffer)+n]
		// A slow source's bytes are passed on as they come; a fast one fills the buffer first.
		if len(p.filling) == cap(p.filling) || err != nil || len(p.full) == 0 {
			if failed := p.flush(); failed != nil {
				err = failed
			}
		}
		if err != nil {
			p.finish(err)
			return
		}
	}
}

// finish ends the writer's side. The reader gets what is in the buffers, then err, io.EOF for nil.
func (p *pipe) finish(err error) {
	if err == nil {
		err = p.flush()
	}
	if err == nil {
		err = io.EOF
	}
	p.err = err
	close(p.full)
}

// next returns the next buffer's bytes, which are valid until it is called again.
func (p *pipe) next() ([]byte, error) {
	if p.reading != nil {
		p.giveBack(p.reading)
		p.reading = nil
	}
	b, err := p.take()
	p.reading = b
	return b, err
}

// take returns the next buffer's bytes, for the reader to give back.
func (p *pipe) take() ([]byte, error) {
	b, ok := <-p.full
	if !ok {
		return nil, p.err
	}
	return b, nil
}

// giveBack never blocks: there are as many places as buffers.
func (p *pipe) giveBack(b []byte) { p.free <- b[:0] }

// drain writes everything to dst and, in a goroutine of its own, to sum: neither waits for the
// other while there are buffers. On an error the writer is told and drain returns it.
func (p *pipe) drain(dst io.Writer, sum hash.Hash) error {
	written, summed := make(chan []byte, chunkCount), make(chan struct{})
	go func() {
		defer close(summed)
		for b := range written {
			sum.Write(b)
			p.giveBack(b)
		}
	}()
	defer func() {
		close(written)
		<-summed
	}()
	for {
		b, err := p.take()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			_, err = dst.Write(b)
		}
		if err != nil {
			p.abandon(err)
			return err
		}
		written <- b
	}
}

// Read reads what was written.
func (p *pipe) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		next, err := p.next()
		if err != nil {
			return 0, err
		}
		p.rest = next
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// abandon tells the writer that nothing more is read, and why.
func (p *pipe) abandon(err error) {
	p.stopOnce.Do(func() {
		if err == nil {
			err = io.ErrClosedPipe
		}
		p.failure = err
		close(p.stop)
	})
}
