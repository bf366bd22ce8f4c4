package remote

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/tbctl/tbctl/fault"
)

// preface is what an HTTP/2 client says first, RFC 9113 section 3.4.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// ErrNoSession says that what came on standard input is not a session.
var ErrNoSession = fault.New(fault.Usage, "this command is started by another tbctl, which speaks HTTP/2 on its standard input and output")

// Serve answers the requests of one session and returns when it has ended: the other end is gone
// or silent, or ctx is done. What a handler has begun is finished first; it sees by its request's
// context that nobody waits for it. The error is nil when the other end closed the session, and
// [ErrNoSession] when what came was something else, or nothing came; then nothing was written.
func Serve(ctx context.Context, in io.ReadCloser, out io.Writer, handler http.Handler) error {
	reader := bufio.NewReaderSize(in, 64<<10)
	spoke := make(chan bool, 1)
	go func() { spoke <- beginsWithPreface(reader) }() // which nothing but the other end can interrupt
	select {
	case is := <-spoke:
		if !is {
			return ErrNoSession
		}
	case <-time.After(startTimeout):
		return ErrNoSession
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var handlers sync.WaitGroup
	conn := newPipes(reader, out, in.Close)
	listener := &oneConn{conn: conn}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			handler.ServeHTTP(w, r)
		}),
		Protocols: protocols, HTTP2: http2Config(), MaxHeaderBytes: headerSizeMax,
		ErrorLog: silent(),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				conn.Close()
			}
		},
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.Serve(listener)
	handlers.Wait()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, context.Cause(ctx))
}

// beginsWithPreface says whether the preface comes. It looks at one byte after the other, so that a
// person who types gets an answer.
func beginsWithPreface(reader *bufio.Reader) bool {
	for i := range len(preface) {
		start, err := reader.Peek(i + 1)
		if err != nil || start[i] != preface[i] {
			return false
		}
	}
	return true
}

// oneConn is a listener that yields one connection and then waits until it is closed.
type oneConn struct {
	conn *pipes
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	var conn net.Conn
	l.once.Do(func() { conn = l.conn })
	if conn != nil {
		return conn, nil
	}
	<-l.conn.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error { return l.conn.Close() }

func (l *oneConn) Addr() net.Addr { return pipeAddr{} }
