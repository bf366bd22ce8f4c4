package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// playing says in the environment that this program is to play ssh.
const playing = "TBCTL_TEST_PLAYS_SSH"

func TestMain(m *testing.M) {
	if os.Getenv(playing) != "" && !strings.HasPrefix(os.Args[1], "-test.") { // which it starts itself to fuzz
		os.Exit(playSSH(os.Args[1:]))
	}
	os.Setenv(playing, "1") // of the processes that it starts
	os.Exit(m.Run())
}

// playSSH is an ssh whose hosts' names say what happens there.
func playSSH(args []string) int {
	i := slices.Index(args, "--")
	if i < 0 || len(args) != i+3 || args[i+2] != "exec /bin/sh -c 'exec sudo -n tbctl host'" {
		fmt.Fprintf(os.Stderr, "arguments: %q\n", args)
		return 99
	}
	host := args[i+1]
	for name, words := range sshWords {
		if name == host {
			fmt.Fprint(os.Stderr, words.said)
			return words.exit
		}
	}
	if body, ok := badReports[host]; ok {
		Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body.write(w, r)
		}))
		return 0
	}
	if noted, ok := strings.CutPrefix(host, "lingers:"); ok { // whatever becomes of its input
		if err := os.WriteFile(noted, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return 1
		}
		fmt.Println("something else than a session")
		forever()
	}
	if dir, ok := strings.CutPrefix(host, "place:"); ok { // a host in a directory
		if err := Serve(context.Background(), os.Stdin, os.Stdout, hostIn(dir).Handler()); err != nil {
			return 1
		}
		return 0
	}
	switch host {
	case "good":
		if err := Serve(context.Background(), os.Stdin, os.Stdout, testHandler()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "banner":
		fmt.Println("Welcome to tb0, the bank's own machine!")
		if err := Serve(context.Background(), os.Stdin, os.Stdout, testHandler()); err != nil {
			return 1
		}
	case "short":
		fmt.Print("hi\n")
	case "dies":
		Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			fmt.Fprintln(os.Stderr, "Connection to dies closed by remote host.")
			os.Exit(255)
		}))
	case "breaks-off": // after a whole answer, as it seems
		Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "{}")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
	case "refuses":
		Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == pathStore {
				w.WriteHeader(http.StatusTeapot) // without a reason
				return
			}
			stored := testFence()
			answerError(w, fmt.Errorf("/a: %w", &fleet.FencedError{Reason: fleet.ReasonEpoch, Stored: &stored}))
		}))
	case "wordy":
		Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			long := strings.Repeat("ä\n", 1<<20)
			if r.URL.Path == pathReport {
				answer(w, http.StatusOK, report.Host{Version: report.HostVersion, Name: long[:1<<15], Targets: []report.HostTarget{{Path: "/t", Problem: long[:1<<15], Warnings: []string{"short", long[:1<<15]}}}})
				return
			}
			answer(w, http.StatusConflict, ErrorAnswer{Class: fault.Refused, Message: long, Hint: long, Warnings: []string{long}})
		}))
	case "large":
		Serve(context.Background(), os.Stdin, os.Stdout, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{}", strings.Repeat(" ", AnswerSizeMax))
		}))
	case "killed":
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			self.Kill()
		}
		forever()
	case "gone":
		return 0
	}
	return 0
}

// forever waits for a byte that never comes, until the process is killed.
func forever() {
	never, open, err := os.Pipe()
	if err != nil {
		return
	}
	defer open.Close()
	never.Read(make([]byte, 1))
}

var sshWords = map[string]struct {
	said   string
	exit   int
	reason Reason
}{
	"changed":    {"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n", 255, ReasonKeyChanged},
	"unknown":    {"No ED25519 host key is known for [127.0.0.1]:2222 and you have requested strict checking.\nHost key verification failed.\n", 255, ReasonKeyUnknown},
	"denied":     {"ana@denied: Permission denied (publickey).\n", 255, ReasonPermission},
	"refused":    {"ssh: connect to host refused port 22: Connection refused\n", 255, ReasonConnection},
	"nowhere":    {"ssh: Could not resolve hostname nowhere: Name or service not known\n", 255, ReasonName},
	"far-mac":    {"ssh: connect to host far port 22: Operation timed out\n", 255, ReasonUnreachable},
	"no-route":   {"ssh: connect to host far port 22: No route to host\n", 255, ReasonUnreachable},
	"cut-off":    {"ssh: connect to host far port 22: Network is unreachable\n", 255, ReasonUnreachable},
	"far":        {"ssh: connect to host far port 22: Connection timed out\n", 255, ReasonUnreachable},
	"crowded":    {"kex_exchange_identification: Connection closed by remote host\n", 255, ReasonSessions},
	"without":    {"/bin/sh: 1: exec: tbctl: not found\n", 127, ReasonMissing},
	"nosudo":     {"/bin/sh: 1: exec: sudo: not found\n", 127, ReasonUnexplained},
	"misset":     {"tbctl: error: configuration /etc/tbctl/config.toml: unknown setting \"nokey\"\ntbctl: hint: mend it\n", 2, ReasonStart},
	"sudoers":    {"sudo: a password is required\n", 1, ReasonSudo},
	"old":        {"tbctl: error: unexpected argument host\n", 2, ReasonOld},
	"quiet":      {"", 2, ReasonOld},
	"mysterious": {"something else\n", 255, ReasonUnexplained},
}

func testHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	return mux
}

func testDialer() *Dialer {
	return &Dialer{SSH: []string{os.Args[0]}, Become: []string{"sudo", "-n"}}
}

// ask sends one request and returns the body of its answer.
func ask(ctx context.Context, s *Session, method, path string, body io.Reader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		return "", err
	}
	response, err := s.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func TestSession(t *testing.T) {
	t.Parallel()
	session, err := testDialer().Dial(t.Context(), "good")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t.Context(), session, "GET", "/hello", nil); err != nil || got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	// A request that is cancelled is not the end of the session, and others go on beside it.
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := ask(ctx, session, "GET", "/wait", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want context.Canceled", err)
		}
	})
	const size = 8 << 20
	if got, err := ask(t.Context(), session, "POST", "/count", bytes.NewReader(make([]byte, size))); err != nil || got != fmt.Sprint(size, nil) {
		t.Errorf("%q, %v", got, err)
	}
	cancel()
	both.Wait()
	if got, err := ask(t.Context(), session, "GET", "/hello", nil); err != nil || got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	session.Close()
	if state := session.program.cmd.ProcessState; state == nil || state.ExitCode() != 0 {
		t.Errorf("after the session its program ended with %v", state)
	}
	if _, err := ask(t.Context(), session, "GET", "/hello", nil); err == nil {
		t.Error("a request after the session is answered")
	}
}

// TestNoSession holds that each way in which a session cannot be had has its reason.
func TestNoSession(t *testing.T) {
	t.Parallel()
	reasons := map[string]Reason{"banner": ReasonOutput, "short": ReasonOutput, "gone": ReasonUnexplained}
	for name, words := range sshWords {
		reasons[name] = words.reason
	}
	dialer := testDialer()
	for name, want := range reasons {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, err := dialer.Dial(t.Context(), name)
			if err == nil {
				session.Close()
				t.Fatal("a session")
			}
			var failed *SessionError
			if !errors.As(err, &failed) || failed.Reason != want || failed.Host != name {
				t.Errorf("%#v, want %s", err, want)
			}
			if name == "misset" && (failed == nil || failed.Hint() != "on misset: mend it" || !strings.Contains(err.Error(), "its tbctl does not start") || !strings.Contains(err.Error(), "unknown setting")) {
				t.Errorf("%v does not show the error", err)
			}
			if name == "banner" && !strings.Contains(err.Error(), "the bank's own") {
				t.Errorf("%v does not show the banner", err)
			}
		})
	}
	if _, err := (&Dialer{SSH: []string{"/nowhere/ssh"}}).Dial(t.Context(), "good"); !isReason(err, ReasonProgram) {
		t.Errorf("%v, want %s", err, ReasonProgram)
	}
	if _, err := (&Dialer{Become: []string{"sudo", "-u", "a'b"}}).Dial(t.Context(), "good"); !isReason(err, ReasonProgram) {
		t.Errorf("%v, want %s", err, ReasonProgram)
	}
}

func isReason(err error, reason Reason) bool {
	var failed *SessionError
	return errors.As(err, &failed) && failed.Reason == reason
}

// TestNoSessionLeavesNothing holds that of a session that cannot be had the program has ended, too, also one that
// does not care for the end of its input.
func TestNoSessionLeavesNothing(t *testing.T) {
	t.Parallel()
	noted := filepath.Join(t.TempDir(), "pid")
	if _, err := testDialer().Dial(t.Context(), "lingers:"+noted); !isReason(err, ReasonOutput) {
		t.Errorf("%v, want %s", err, ReasonOutput)
	}
	text, err := os.ReadFile(noted)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Signal(syscall.Signal(0))
	}
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("the program goes on: %v", err)
		process.Kill()
	}
}

// TestRefusal holds that what a host refuses is told as the host says it, and that an answer without a reason is none.
func TestRefusal(t *testing.T) {
	t.Parallel()
	session, err := testDialer().Dial(t.Context(), "refuses")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	err = session.Phase(t.Context(), PhaseRequest{})
	var fenced *fleet.FencedError
	if fault.Of(err) != fault.Fenced || !errors.As(err, &fenced) || fenced.Reason != fleet.ReasonEpoch || *fenced.Stored != testFence() || !strings.Contains(err.Error(), "refuses: /a: ") {
		t.Errorf("%v: %+v", err, fenced)
	}
	var answered *AnswerError
	if _, err := session.Store(t.Context()); err == nil || errors.As(err, &answered) || !strings.Contains(err.Error(), "status 418") {
		t.Errorf("%v", err)
	}
}

// TestLargeAnswer holds that an answer that is larger than any is none.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	session, err := testDialer().Dial(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.Phase(t.Context(), PhaseRequest{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}

// TestTail holds that of what a program says the last bytes are kept, and no more.
func TestTail(t *testing.T) {
	t.Parallel()
	var kept tail
	said := strings.Repeat("a", stderrSizeMax) + "b"
	for index := range said {
		if n, err := kept.Write([]byte(said[index : index+1])); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := kept.String(); got != said[1:] {
		t.Errorf("%d bytes, which end in %q", len(got), got[len(got)-2:])
	}
}

// TestKilledHasNoExitCode holds that no exit code is told of a program that a signal ended.
func TestKilledHasNoExitCode(t *testing.T) {
	t.Parallel()
	if _, err := testDialer().Dial(t.Context(), "killed"); !isReason(err, ReasonUnexplained) || strings.Contains(err.Error(), "exit code") {
		t.Errorf("%v", err)
	}
}

// TestHostDies holds that a host that dies in the middle is told with ssh's own words.
func TestHostDies(t *testing.T) {
	t.Parallel()
	session, err := testDialer().Dial(t.Context(), "dies")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	_, err = ask(t.Context(), session, "GET", "/", nil)
	if !isReason(err, ReasonLost) || !strings.Contains(err.Error(), "closed by remote host") {
		t.Errorf("%v", err)
	}
}

// TestAnswerBreaksOff holds that an answer whose end did not come is none, whatever its beginning says.
func TestAnswerBreaksOff(t *testing.T) {
	t.Parallel()
	session, err := testDialer().Dial(t.Context(), "breaks-off")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.Phase(t.Context(), PhaseRequest{}); err == nil {
		t.Error("a phase was noted, by an answer that broke off")
	}
}

// TestStartingMax holds how many sessions start at once.
func TestStartingMax(t *testing.T) {
	t.Parallel()
	dialer := testDialer()
	var all sync.WaitGroup
	for range 3 * StartingMax {
		all.Go(func() {
			session, err := dialer.Dial(t.Context(), "good")
			if err != nil {
				t.Error(err)
				return
			}
			session.Close()
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dialer.starting = make(chan struct{}) // none may start
	if _, err := dialer.Dial(ctx, "good"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// TestNotASession holds that what is no session gets no answer in its stream.
func TestNotASession(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "help\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX", "PRI"} {
		var out bytes.Buffer
		err := Serve(t.Context(), io.NopCloser(strings.NewReader(text)), &out, testHandler())
		if !errors.Is(err, ErrNoSession) || out.Len() > 0 {
			t.Errorf("%q: %v, %q", text, err, out.String())
		}
	}
}

// wire is one direction of a connection in memory that can be cut without a word.
type wire struct {
	*io.PipeReader
	*io.PipeWriter

	cut atomic.Bool
}

func newWire() *wire {
	r, w := io.Pipe()
	return &wire{PipeReader: r, PipeWriter: w}
}

func (w *wire) Write(b []byte) (int, error) {
	if w.cut.Load() {
		return len(b), nil
	}
	return w.PipeWriter.Write(b)
}

func (w *wire) Close() error { return errors.Join(w.PipeReader.Close(), w.PipeWriter.Close()) }

// TestSilence holds that each end finds out by itself that the other one has become silent.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		there, back := newWire(), newWire()
		served, handling := make(chan error, 1), make(chan struct{})
		mux := http.NewServeMux()
		mux.HandleFunc("GET /wait", func(w http.ResponseWriter, r *http.Request) {
			close(handling)
			<-r.Context().Done()
		})
		go func() { served <- Serve(t.Context(), there, back, mux) }()
		conn := connect(t, back, there)
		answered := make(chan error, 1)
		go func() {
			request, _ := http.NewRequestWithContext(t.Context(), "GET", "http://host/wait", nil)
			_, err := conn.RoundTrip(request)
			answered <- err
		}()
		<-handling
		there.cut.Store(true)
		back.cut.Store(true)
		before := time.Now()
		if err := <-answered; err == nil {
			t.Error("a request is answered by nobody")
		}
		if took := time.Since(before); took > SilenceMax {
			t.Errorf("the client waited for %v", took)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took > SilenceMax {
			t.Errorf("the host waited for %v", took)
		}
		conn.Close()
	})
}

// TestServeFinishes holds that what a handler began is finished after the session was lost.
func TestServeFinishes(t *testing.T) {
	t.Parallel()
	there, back := newWire(), newWire()
	served, handling, finish := make(chan error, 1), make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	go func() {
		served <- Serve(t.Context(), there, back, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(handling)
			<-r.Context().Done()
			<-finish
			finished.Store(true)
		}))
	}()
	conn := connect(t, back, there)
	go func() {
		request, _ := http.NewRequestWithContext(t.Context(), "POST", "http://host/", nil)
		conn.RoundTrip(request)
	}()
	<-handling
	conn.Close()
	select {
	case err := <-served:
		t.Fatalf("ended before its handler: %v", err)
	case finish <- struct{}{}:
	}
	if err := <-served; err != nil || !finished.Load() {
		t.Error(err, finished.Load())
	}
}

// badReports are hosts that answer with something else than a report, and a word of what is said of each.
var badReports = map[string]struct {
	write func(w http.ResponseWriter, r *http.Request)
	said  string
}{
	"nothing-in-it": {says(`{}`), "version 0"},
	"null":          {says(`null`), "version 0"},
	"a-list":        {says(`[1]`), "not an answer of tbctl"},
	"a-page":        {says(`<html>`), "not an answer of tbctl"},
	"newer":         {says(`{"version":2}`), "version 2"},
	"wrong-kind":    {says(`{"version":1,"targets":[{"path":7}]}`), "not an answer of tbctl"},
	"two":           {says(`{"version":1}{"version":1}`), "not an answer of tbctl"},
	"many":          {says(`{"version":1,"targets":[{}` + strings.Repeat(`,{}`, 300_000) + `]}`), "values"},
	"endless": {func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write(make([]byte, 64<<10))
		}
	}, "more than 1048576 bytes"},
	"long-header": {func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X", strings.Repeat("a", 1<<20))
	}, "connection error"},
	"only-pings": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer"},
	"odd-class": {func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, `{"class":"odd","message":"why not"}`)
	}, "why not"},
	"no-reason": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }, "not an answer of tbctl"},
}

func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
}

// TestBadReport holds that what a host answers in place of a report is an error, takes no more than its share of memory,
// and that the session and its program end.
func TestBadReport(t *testing.T) {
	t.Parallel()
	dialer := testDialer()
	for name, test := range badReports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, err := dialer.Dial(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if name == "only-pings" {
				session.patience = time.Millisecond
			}
			shown, err := session.Report(t.Context())
			if err == nil || shown != nil || !strings.Contains(err.Error(), test.said) {
				t.Errorf("%+v, %v, want %q", shown, err, test.said)
			}
			if !slices.Contains(fault.Classes(), fault.Of(err)) {
				t.Errorf("class %q", fault.Of(err))
			}
			if name == "only-pings" && !isReason(err, ReasonSilent) {
				t.Errorf("%#v, want %s", err, ReasonSilent)
			}
			session.Close()
			if session.program.cmd.ProcessState == nil {
				t.Error("its program goes on")
			}
		})
	}
}

// TestNobodySpeaks holds that a process to which nothing is said ends by itself, and when it is told to.
func TestNobodySpeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []string{"", preface[:9]} {
			in, theirs := io.Pipe()
			go io.WriteString(theirs, first)
			if err := Serve(t.Context(), in, io.Discard, testHandler()); !errors.Is(err, ErrNoSession) {
				t.Error(err)
			}
			theirs.Close()
			in, theirs = io.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := Serve(ctx, in, io.Discard, testHandler()); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			theirs.Close()
		}
	})
}

// connect is the controller's end of a session over two pipes.
func connect(t *testing.T, back, there *wire) *http.ClientConn {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return newPipes(back, there, func() error { return errors.Join(there.Close(), back.Close()) }), nil
		},
		Protocols: protocols, HTTP2: http2Config(),
	}
	conn, err := transport.NewClientConn(t.Context(), "http", "host:80")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// hostSession is a session with a host whose store is in a directory, in a bubble of synctest. What it returns ends it.
func hostSession(t *testing.T, dir string) (*http.ClientConn, func()) {
	t.Helper()
	there, back := newWire(), newWire()
	host := &Host{Store: depot.Open(vfs.OS(), dir)}
	served := make(chan error, 1)
	go func() { served <- Serve(t.Context(), there, back, host.Handler()) }()
	conn := connect(t, back, there)
	return conn, func() {
		conn.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// putting begins to send an artifact of so many bytes, -1: that is not said, and returns its status; 0: there was no answer.
func putting(t *testing.T, conn *http.ClientConn, size int64, content io.Reader) int {
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://host"+pathPut+strings.Repeat("0", 64), content)
	request.ContentLength = size
	response, err := conn.RoundTrip(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// dribble gives a byte in each interval.
type dribble time.Duration

func (d dribble) Read(data []byte) (int, error) {
	time.Sleep(time.Duration(d))
	data[0] = 'x'
	return 1, nil
}

// TestStalledArtifact holds that an artifact of which nothing more comes, or too little, is not waited for, though the other end still
// answers pings, that nothing of it is left, and that one whose length is not said is refused.
func TestStalledArtifact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		conn, end := hostSession(t, dir)
		content, theirs := io.Pipe()
		go theirs.Write([]byte("the first bytes"))
		if status := putting(t, conn, -1, dribble(time.Second)); status != http.StatusLengthRequired {
			t.Errorf("an artifact of which it is not said how long it is: %d", status)
		}
		if status := putting(t, conn, multiversion.SizeMax+1, dribble(time.Second)); status != http.StatusBadRequest {
			t.Errorf("one that is too long: %d", status)
		}
		for name, content := range map[string]io.Reader{"stalled": content, "slow": dribble(5 * time.Second)} {
			before := time.Now()
			if status := putting(t, conn, 1<<20, content); status == http.StatusOK {
				t.Errorf("%s: an artifact that did not come is stored", name)
			}
			if took := time.Since(before); took > time.Minute+bodyTimeout+SilenceMax {
				t.Errorf("%s: it was waited for %v", name, took)
			}
		}
		theirs.Close()
		end()
	})
	stored(t, dir)
}

// TestOneArtifactAtATime holds that a session has room for one artifact at a time, however many it sends, and that one that waits for its turn
// is not given up meanwhile.
func TestOneArtifactAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		conn, end := hostSession(t, dir)
		var contents []*io.PipeWriter
		statuses := make(chan int)
		for range 3 {
			content, theirs := io.Pipe()
			contents = append(contents, theirs)
			go func() { statuses <- putting(t, conn, 10, content) }()
		}
		for _, theirs := range contents {
			go theirs.Write([]byte("12345"))
		}
		time.Sleep(bodyTimeout - time.Second) // the first one's last chance; the others have waited as long
		synctest.Wait()
		names, err := os.ReadDir(filepath.Join(dir, "sha256"))
		if err != nil {
			t.Fatal(err)
		}
		if names = slices.DeleteFunc(names, func(entry os.DirEntry) bool { return entry.Name() == ".lock" }); len(names) != 1 {
			t.Errorf("%d are under way: %v", len(names), names)
		}
		for _, theirs := range contents {
			go func() { theirs.Write([]byte("67890")); theirs.Close() }()
		}
		for range contents {
			if status := <-statuses; status != http.StatusUnprocessableEntity { // other bytes than it is called, and all of them
				t.Errorf("%d", status)
			}
		}
		end()
	})
	stored(t, dir)
}

// stored fails where something of an artifact is in a directory.
func stored(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() != ".lock" {
			t.Errorf("%s was left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
