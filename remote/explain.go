package remote

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Reason is why there is no session with a host; scripts compare it.
type Reason string

// The reasons.
const (
	ReasonProgram     Reason = "program"           // ssh could not be started here
	ReasonName        Reason = "name-not-known"    // no address for the host's name
	ReasonConnection  Reason = "refused"           // nothing listens there, or a firewall refuses
	ReasonUnreachable Reason = "unreachable"       // no way there, or no answer
	ReasonSessions    Reason = "too-many-sessions" // its sshd closed the connection before the login
	ReasonKeyUnknown  Reason = "host-key-unknown"  // its key was never accepted here
	ReasonKeyChanged  Reason = "host-key-changed"  // it shows another key than before
	ReasonPermission  Reason = "permission-denied" // its sshd accepts none of our keys
	ReasonSudo        Reason = "sudo"              // sudo wants a password, or does not allow it
	ReasonMissing     Reason = "tbctl-missing"     // there is no tbctl on the PATH of the host
	ReasonOld         Reason = "tbctl-too-old"     // its tbctl has no command host
	ReasonStart       Reason = "tbctl-fails"       // its tbctl ended with an error of its own, such as one of its configuration
	ReasonOutput      Reason = "output"            // something else writes into the session, such as a login shell's banner
	ReasonSilent      Reason = "silent"            // it does not answer any more
	ReasonLost        Reason = "lost"              // the session ended in the middle
	ReasonUnexplained Reason = "failed"            // its words are in the error
)

// SessionError says that there is no session with a host, or none any more.
type SessionError struct {
	Host   string
	Reason Reason
	Said   string // what the program that carries the session said, at most 4 KiB; not filtered for a terminal
	Err    error  // what was seen at this end
}

// Error says what and, in its own words, why.
func (e *SessionError) Error() string {
	text := "host " + e.Host + ": " + e.Reason.text()
	if said := lastLine(e.Said); said != "" {
		return text + ": " + said
	}
	if e.Err != nil {
		return text + ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns what was seen at this end.
func (e *SessionError) Unwrap() error { return e.Err }

func (r Reason) text() string {
	switch r {
	case ReasonProgram:
		return "the connection could not be started"
	case ReasonName:
		return "its name is not known"
	case ReasonConnection:
		return "connection refused"
	case ReasonUnreachable:
		return "cannot be reached"
	case ReasonSessions:
		return "its sshd closed the connection before the login"
	case ReasonKeyUnknown:
		return "its host key is not known here"
	case ReasonKeyChanged:
		return "its host key has changed"
	case ReasonPermission:
		return "permission denied"
	case ReasonSudo:
		return "sudo refuses"
	case ReasonMissing:
		return "tbctl is not installed there"
	case ReasonOld:
		return "its tbctl is too old"
	case ReasonStart:
		return "its tbctl does not start"
	case ReasonOutput:
		return "something else writes into the session"
	case ReasonSilent:
		return "no answer"
	case ReasonLost:
		return "the connection was lost"
	}
	return "the connection failed"
}

// said are the words by which ssh, sudo, a shell and an old tbctl are known. The first that
// is found decides. They choose a reason, from which only a hint follows.
var said = []struct {
	words  string
	reason Reason
}{
	{"REMOTE HOST IDENTIFICATION HAS CHANGED", ReasonKeyChanged},
	{"host key is known for", ReasonKeyUnknown}, // No ED25519 host key is known for
	{"Host key verification failed", ReasonKeyUnknown},
	{"Could not resolve hostname", ReasonName},
	{"Connection refused", ReasonConnection},
	{"Connection timed out", ReasonUnreachable},
	{"Operation timed out", ReasonUnreachable},
	{"No route to host", ReasonUnreachable},
	{"Network is unreachable", ReasonUnreachable},
	{"Permission denied (", ReasonPermission},
	{"Too many authentication failures", ReasonPermission},
	{"kex_exchange_identification", ReasonSessions},
	{"Exceeded MaxStartups", ReasonSessions},
	{"sudo: a password is required", ReasonSudo},
	{"sudo: a terminal is required", ReasonSudo},
	{"sudo: sorry, you must have a tty", ReasonSudo},
	{"is not in the sudoers file", ReasonSudo},
	{"is not allowed to execute", ReasonSudo},
	{"tbctl: command not found", ReasonMissing},
	{"tbctl: not found", ReasonMissing}, // sh, and sudo's own words are the next
	{"unexpected argument host", ReasonOld},
	{"Timeout, server", ReasonSilent}, // ServerAliveCountMax
}

const (
	exitNotFound = 127 // of a shell
	exitUsage    = 2   // of tbctl
)

// explain says why a session is not, or no more. It waits a moment for the program's end.
func (p *program) explain(err error) error {
	select {
	case <-p.exited:
	case <-time.After(exitWait):
	}
	failed := &SessionError{Host: p.host, Reason: ReasonUnexplained, Said: p.stderr.String(), Err: err}
	p.out.mu.Lock()
	spoke, other := p.out.is, string(p.out.first)
	p.out.mu.Unlock()
	if p.out.notHTTP2() {
		failed.Reason = ReasonOutput
		failed.Said, _, _ = strings.Cut(other, "\n") // what came after it may be no text
		return failed
	}
	for _, known := range said {
		if strings.Contains(failed.Said, known.words) {
			failed.Reason = known.reason
			return failed
		}
	}
	exit := -1
	select {
	case <-p.exited:
		exit = p.cmd.ProcessState.ExitCode()
	default:
	}
	switch {
	case spoke:
		failed.Reason = ReasonLost
	case errors.Is(err, errSilent):
		failed.Reason = ReasonSilent
	case exit == exitNotFound && (failed.Said == "" || strings.Contains(failed.Said, "tbctl")):
		failed.Reason = ReasonMissing
	case exit == exitUsage && failed.Said == "":
		failed.Reason = ReasonOld
	case strings.Contains(failed.Said, saidError):
		failed.Reason = ReasonStart
	}
	if failed.Said == "" && exit >= 0 && !spoke {
		failed.Err = fmt.Errorf("the connection's program ended with exit code %d and no words", exit)
	}
	return failed
}

// What tbctl puts before an error and before what to do about it.
const (
	saidError = "tbctl: error: "
	saidHint  = "tbctl: hint: "
)

// Hint is what the host's own tbctl has said is to be done there, with where; "": it has said nothing.
func (e *SessionError) Hint() string {
	for line := range strings.Lines(e.Said) {
		if hint, ok := strings.CutPrefix(strings.TrimSpace(line), saidHint); ok && e.Reason == ReasonStart {
			return HintOn(e.Host, hint)
		}
	}
	return ""
}

// lastLine returns the last line of a text that is not empty, or of those that say that they are errors.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	errs := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, "error:") })
	if len(errs) > 0 {
		lines = errs
	}
	return strings.TrimPrefix(strings.TrimSpace(lines[len(lines)-1]), saidError)
}
