package remote

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	pingAfter   = 5 * time.Second  // without a frame of the other end
	pingTimeout = 10 * time.Second // of an answer to it

	// SilenceMax is how long an end waits at most for one that has become silent.
	SilenceMax = pingAfter + pingTimeout

	frameSizeMax   = 256 << 10
	streamsMax     = 32
	headerSizeMax  = 64 << 10
	readBufferSize = 1 << 20 // bytes of a body that are under way
)

// http2Config is what both ends do.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: streamsMax, MaxReadFrameSize: frameSizeMax,
		MaxReceiveBufferPerConnection: 2 * readBufferSize, MaxReceiveBufferPerStream: readBufferSize,
		SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout,
	}
}

// pipes is a connection made of two pipes.
type pipes struct {
	in  io.Reader
	out io.Writer

	close  func() error
	once   sync.Once
	closed chan struct{}
}

// newPipes returns a connection that reads from one pipe and writes to the other. Close
// calls closing once, which must make a read or write that is under way return.
func newPipes(in io.Reader, out io.Writer, closing func() error) *pipes {
	return &pipes{in: in, out: out, close: closing, closed: make(chan struct{})}
}

func (p *pipes) Read(b []byte) (int, error)  { return p.in.Read(b) }
func (p *pipes) Write(b []byte) (int, error) { return p.out.Write(b) }

func (p *pipes) Close() error {
	err := net.ErrClosed
	p.once.Do(func() {
		close(p.closed)
		err = p.close()
	})
	return err
}

func (p *pipes) LocalAddr() net.Addr  { return pipeAddr{} }
func (p *pipes) RemoteAddr() net.Addr { return pipeAddr{} }

// A pipe has no deadlines: that the other end is gone is found out by pings.
func (p *pipes) SetDeadline(time.Time) error      { return errNoDeadline }
func (p *pipes) SetReadDeadline(time.Time) error  { return errNoDeadline }
func (p *pipes) SetWriteDeadline(time.Time) error { return errNoDeadline }

var errNoDeadline = errors.New("a pipe has no deadlines")

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
