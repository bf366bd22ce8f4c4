package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// StartingMax is how many sessions are starting at once. An sshd refuses more than
	// ten that have not logged in yet, see MaxStartups in sshd_config(5).
	StartingMax = 8

	startTimeout   = 60 * time.Second // until the other end speaks HTTP/2
	connectTimeout = "15"             // seconds, of ssh
	stderrSizeMax  = 4 << 10          // bytes that are kept of what the program says
	greetingMax    = 4 << 10          // bytes that are shown of what is no HTTP/2
	exitWait       = 2 * time.Second  // for the program's exit code, after its output has ended
)

// Dialer starts sessions. The zero value uses ssh.
type Dialer struct {
	// SSH is the program and its first arguments in place of ssh; options and the host
	// are put after them as ssh has them.
	SSH []string
	// Become is put in front of the command on the host, such as sudo -n.
	Become []string
	// Sessions is how many are open at once; 0: [SessionsMax].
	Sessions int

	once     sync.Once
	starting chan struct{}
	open     seats
}

// Session is a connection with one host.
type Session struct {
	Host string

	conn     *http.ClientConn
	program  *program
	seat     seat
	patience time.Duration // with an answer, [answerTimeout]
}

// program is the process that carries a session.
type program struct {
	host   string
	pipes  *pipes
	out    *greeting
	stderr *tail
	cmd    *exec.Cmd
	exited chan struct{} // closed when Wait has returned
}

// Dial starts a session with a host. When it cannot be had the error is a [*SessionError]. While as many sessions are open as may be, one that
// nobody uses is closed for it, or it waits for one.
func (d *Dialer) Dial(ctx context.Context, host string) (*Session, error) {
	d.once.Do(func() { d.starting, d.open.free = make(chan struct{}, StartingMax), cmp.Or(d.Sessions, SessionsMax) })
	if err := d.open.take(ctx); err != nil {
		return nil, err
	}
	session, err := d.dial(ctx, host)
	if err != nil {
		d.open.mu.Lock()
		defer d.open.mu.Unlock()
		d.open.give()
		return nil, err
	}
	session.seat = seat{of: &d.open, taken: true, users: 1}
	return session, nil
}

// dial starts a session that has a seat.
func (d *Dialer) dial(ctx context.Context, host string) (*Session, error) {
	select {
	case d.starting <- struct{}{}:
		defer func() { <-d.starting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	command, err := d.command(host)
	if err != nil {
		return nil, &SessionError{Host: host, Reason: ReasonProgram, Err: err}
	}
	return Start(ctx, host, command)
}

// Start starts a session with a program that speaks on its standard input and output, such as one of this machine;
// host is what it is called in errors. When it cannot be had the error is a [*SessionError].
func Start(ctx context.Context, host string, command []string) (*Session, error) {
	started, err := start(host, command)
	if err != nil {
		return nil, &SessionError{Host: host, Reason: ReasonProgram, Err: err}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errSilent)
	defer cancel()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return started.pipes, nil },
		Protocols:          protocols,
		HTTP2:              http2Config(),
		DisableCompression: true, MaxResponseHeaderBytes: headerSizeMax,
	}
	conn, err := transport.NewClientConn(ctx, "http", "host:80")
	if err == nil {
		select {
		case <-started.out.spoken:
			return &Session{Host: host, conn: conn, program: started, patience: answerTimeout}, nil
		case <-started.out.ended:
			err = io.ErrUnexpectedEOF
			if started.out.abandoned() {
				err = errSilent // by the pings: nothing came for so long
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		conn.Close()
	}
	started.kill()
	return nil, started.explain(err)
}

// RoundTrip sends one request. The URL's scheme and host are set here. When the session
// has ended the error is a [*SessionError].
func (s *Session) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = "http", "host"
	response, err := s.conn.RoundTrip(request)
	if err != nil {
		return nil, s.program.lost(request.Context(), err)
	}
	return response, nil
}

// RequestError says that a request got no answer though its session goes on. What was done is to be looked at.
type RequestError struct {
	Host string
	Err  error // what was seen at this end
}

// Error says so.
func (e *RequestError) Error() string {
	return "host " + e.Host + ": the answer to this request was lost: " + e.Err.Error()
}

// Unwrap returns what was seen at this end.
func (e *RequestError) Unwrap() error { return e.Err }

// lost explains the error of a request if the session has ended.
func (p *program) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-p.pipes.closed:
	case <-p.out.ended:
	default:
		return &RequestError{p.host, err}
	}
	return p.explain(err)
}

// Close ends the session and its program. A nil session has ended.
func (s *Session) Close() error {
	if s == nil {
		return nil
	}
	err := s.conn.Close()
	s.program.kill()
	s.leave()
	return err
}

// command is the program and its arguments.
func (d *Dialer) command(host string) ([]string, error) {
	return d.line(host, append(slices.Clone(d.Become), "tbctl", "host"))
}

// line is the program and its arguments for a command line on the host, which begins with the words of Become and has no single quote.
func (d *Dialer) line(host string, inner []string) ([]string, error) {
	for _, word := range d.Become {
		if word == "" || strings.Trim(word, safeInShell) != "" {
			return nil, fmt.Errorf("become: the word %q cannot be passed through every shell: letters, digits and _ . / = : , + @ - only", word)
		}
	}
	words := d.SSH
	if len(words) == 0 {
		words = []string{"ssh"}
	}
	// No login shell is relied on: whatever it is, it starts this sh.
	return append(words[:len(words):len(words)], "-T",
		"-o", "BatchMode=yes", "-o", "ConnectTimeout="+connectTimeout,
		"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
		"-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o", "ClearAllForwardings=yes", "-o", "RequestTTY=no",
		"--", host, "exec /bin/sh -c 'exec "+strings.Join(inner, " ")+"'"), nil
}

// safeInShell are characters that no shell changes.
const safeInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=:,+@-"

// start starts the program. Its standard input and output are pipes that can be closed while one waits for them.
func start(host string, command []string) (*program, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, theirIn.Close(), in.Close())
	}
	p := &program{host: host, stderr: &tail{}, exited: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirIn, theirOut, p.stderr
	p.cmd.WaitDelay = exitWait // a process that it left behind may hold its standard error
	ownGroup(p.cmd)            // a terminal's Ctrl-C is ours: what is under way ends in order
	err = p.cmd.Start()
	err = errors.Join(err, theirIn.Close(), theirOut.Close())
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	p.out = &greeting{in: out, spoken: make(chan struct{}), ended: make(chan struct{})}
	p.pipes = newPipes(p.out, in, func() error { return errors.Join(in.Close(), out.Close()) })
	go func() {
		p.cmd.Wait() // what it means is said by explain
		close(p.exited)
	}()
	return p, nil
}

// kill ends the program, and returns when it has ended.
func (p *program) kill() {
	p.pipes.Close() // it sees the end of its input
	select {
	case <-p.exited:
	case <-time.After(exitWait):
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// greeting reads from the other end, and finds out whether it speaks HTTP/2: its first
// frame must be SETTINGS, RFC 9113 section 3.4. Anything else is kept to be shown.
type greeting struct {
	in io.Reader

	mu    sync.Mutex
	first []byte // what came, until it is known to be HTTP/2
	is    bool   // HTTP/2
	isNot bool   // something else

	closedHere bool // this end gave up, not the other

	spoken chan struct{} // closed when it speaks HTTP/2
	ended  chan struct{} // closed when nothing more comes, or it speaks something else
	once   sync.Once
}

const frameHeaderSize = 9

// abandoned says that this end gave up waiting.
func (g *greeting) abandoned() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closedHere
}

// notHTTP2 says that something else came.
func (g *greeting) notHTTP2() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isNot
}

func (g *greeting) Read(b []byte) (int, error) {
	n, err := g.in.Read(b)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.is && !g.isNot {
		g.first = append(g.first, b[:min(n, greetingMax-len(g.first))]...)
		switch {
		case len(g.first) < frameHeaderSize:
		case isSettings(g.first):
			g.is, g.first = true, nil
			close(g.spoken)
		default:
			g.isNot = true
		}
	}
	if g.isNot {
		err = errNotHTTP2
		n = 0
	}
	if err != nil {
		g.closedHere = errors.Is(err, os.ErrClosed)
		g.isNot = g.isNot || len(g.first) > 0 // too little for a frame
		g.once.Do(func() { close(g.ended) })
	}
	return n, err
}

var (
	errNotHTTP2 = errors.New("what came is not HTTP/2")
	errSilent   = errors.New("the host says nothing")
)

// isSettings says that these bytes begin with the header of a SETTINGS frame: three
// bytes of length, type 4, no flags but ACK, stream 0.
func isSettings(b []byte) bool {
	return b[0] == 0 && b[3] == 4 && b[4] == 0 && bytes.Equal(b[5:9], make([]byte, 4))
}

// tail keeps the last bytes of what is written.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if over := len(t.last) - stderrSizeMax; over > 0 {
		t.last = append([]byte(nil), t.last[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}

// silent is a log for what the HTTP server says of broken connections: the error says it.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
