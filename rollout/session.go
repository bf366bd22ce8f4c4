package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/verify"
)

const (
	againFirst   = time.Second // before a host that could not be had is tried again
	againLongest = 30 * time.Second
)

// Sessions are hosts over ssh, each with one session that stays open for as long as the [remote.Dialer] has room; while a claim or a depot is of it
// it does in any case, and does not count there. One that was lost or closed is started again at the next request,
// and at longer and longer intervals when that fails: until then the answer is the last error.
type Sessions struct {
	Dialer *remote.Dialer

	mu    sync.Mutex
	hosts map[string]*session
}

// Host returns the host of a name. The same name is the same session.
func (s *Sessions) Host(name string) Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts == nil {
		s.hosts = make(map[string]*session)
	}
	if s.hosts[name] == nil {
		s.hosts[name] = &session{name: name, dialer: s.Dialer, turn: make(chan struct{}, 1)}
	}
	return s.hosts[name]
}

// Close ends all sessions.
func (s *Sessions) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var closing sync.WaitGroup
	for _, h := range s.hosts {
		closing.Go(func() { _ = h.Close() }) // the host sees that it has ended
	}
	closing.Wait()
	s.hosts = nil
}

// session is a host over ssh.
type session struct {
	name   string
	dialer *remote.Dialer

	turn   chan struct{} // holds a value while somebody looks for or starts the session
	open   *remote.Session
	failed error // of the last try; nil: it succeeded
	again  time.Time
	wait   time.Duration
	claims map[string]remote.ClaimRequest // that were granted and not given back, by target
	gives  bool                           // others may read the host's store, until the session ends
}

// get returns the session that is open, or starts one; who gets it lets it rest afterwards.
func (s *session) get(ctx context.Context) (*remote.Session, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if s.open != nil && s.open.Use() {
		return s.open, nil
	}
	if s.failed != nil && time.Now().Before(s.again) {
		return nil, s.failed
	}
	open, err := s.dialer.Dial(ctx, s.name)
	if err != nil {
		if ctx.Err() == nil {
			s.wait = min(max(2*s.wait, againFirst), againLongest)
			s.failed, s.again = err, time.Now().Add(s.wait)
		}
		return nil, err
	}
	s.open, s.failed, s.wait, s.gives = open, nil, 0, false
	open.Keep(len(s.claims) > 0)
	for _, claim := range s.claims { // they are alive for as long as the session that made them
		claim.TakeOver = false
		_, _ = open.Claim(ctx, claim) // whoever has it now is seen at the next look
	}
	return open, nil
}

// do does something in the session. One that has ended is not used again.
func (s *session) do(ctx context.Context, what func(*remote.Session) error) error {
	open, err := s.get(ctx)
	if err != nil {
		return err
	}
	defer open.Rest()
	err = what(open)
	if _, ended := errors.AsType[*remote.SessionError](err); ended {
		s.turn <- struct{}{}
		if s.open == open {
			s.open = nil
		}
		<-s.turn
		_ = open.Close() // it has ended
	}
	return err
}

func (s *session) Observe(ctx context.Context) (shown []fleet.Observation, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		answer, err := open.Report(ctx)
		if err == nil {
			shown = Observe(s.name, answer)
		}
		return err
	})
	return shown, err
}

func (s *session) Store(ctx context.Context) (artifacts []depot.Artifact, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		artifacts, err = open.Store(ctx)
		return err
	})
	return artifacts, err
}

func (s *session) Lacks(ctx context.Context, target string, artifact *Artifact) (size int64, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		stored, err := open.Store(ctx)
		if err != nil || slices.ContainsFunc(stored, func(a depot.Artifact) bool { return a.SHA256 == artifact.SHA256 }) {
			return err
		}
		size, err = artifact.shipment.Lacks(ctx, open, target)
		return err
	})
	return size, err
}

func (s *session) Send(ctx context.Context, target string, artifact *Artifact) (sent Sent, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		done, err := artifact.shipment.Send(ctx, open, target)
		sent = Sent{Bytes: done.Sent, Had: done.There}
		return err
	})
	return sent, err
}

func (s *session) OpenDepot(ctx context.Context, target, artifact string) (opened remote.DepotAnswer, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		opened, err = open.OpenDepot(ctx, remote.DepotRequest{Target: target, Artifact: artifact})
		if err == nil {
			open.Keep(true)
			s.gave(open)
		}
		return err
	})
	return opened, err
}

func (s *session) Copy(ctx context.Context, request remote.CopyRequest) (sent Sent, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		done, err := open.Copy(ctx, request)
		sent = Sent{Copied: done.Came, Had: done.There}
		return err
	})
	return sent, err
}

func (s *session) Check(ctx context.Context, request remote.CheckRequest) (unanswered []string, err error) {
	var checked *host.Checked
	err = s.do(ctx, func(open *remote.Session) error {
		checked, err = open.Check(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return verdict(s.name, checked)
}

// CheckError is what speaks against an artifact on a host.
type CheckError struct {
	text  string
	class fault.Class
	hint  string
}

// Error lists it.
func (e *CheckError) Error() string { return e.text }

// Class is the worst of it, as a swap would have it.
func (e *CheckError) Class() fault.Class { return e.class }

// Hint is what to type about it, and where; "": nothing that is known.
func (e *CheckError) Hint() string { return e.hint }

// verdict says what speaks against an artifact on a host, and which questions that were asked had no answer.
func verdict(name string, checked *host.Checked) (unanswered []string, err error) {
	failed, against := &CheckError{}, []string{}
	for _, check := range checked.Checks {
		text := string(check.Question)
		if check.PID != 0 {
			text += fmt.Sprintf(" %d", check.PID)
		}
		text += ": " + check.Detail
		switch check.Status {
		case verify.Held:
		case verify.NotChecked:
			if !check.NotAsked {
				unanswered = append(unanswered, text)
			}
		case verify.Failed:
			against = append(against, text)
			class := classOf(check)
			if worst := fault.Worst(failed.class, class); worst != failed.class || failed.hint == "" && class == worst {
				failed.class, failed.hint = worst, remote.HintOn(name, check.Hint)
			}
		default:
			unanswered = append(unanswered, text)
		}
	}
	switch {
	case len(against) > 0:
		failed.text = strings.Join(against, "; ")
		return unanswered, failed
	case !checked.OK:
		return unanswered, fault.New(fault.Refused, "its check does not say what speaks against the artifact")
	}
	return unanswered, nil
}

// classOf is the class of a check that failed; an earlier tbctl does not say it.
func classOf(check host.Check) fault.Class {
	switch {
	case slices.Contains(fault.Classes(), check.Class):
		return check.Class
	case check.Question == host.QuestionFile, check.Question == host.QuestionVouched:
		return fault.Rejected
	}
	return fault.Refused
}

func (s *session) Claim(ctx context.Context, request remote.ClaimRequest) (fence fleet.Fence, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		if fence, err = open.Claim(ctx, request); err == nil {
			open.Keep(true)
		}
		return err
	})
	if err == nil {
		s.keep(request.Target, &request)
	}
	return fence, err
}

func (s *session) Advise(ctx context.Context, request remote.AdvisoriesRequest) error {
	return s.do(ctx, func(open *remote.Session) error { return open.Advise(ctx, request) })
}

func (s *session) Phase(ctx context.Context, request remote.PhaseRequest) error {
	err := s.do(ctx, func(open *remote.Session) error { return open.Phase(ctx, request) })
	if err == nil && !request.Phase.Holds() {
		s.keep(request.Target, nil)
	}
	return err
}

// keep notes the claim of a target; nil: there is none any more.
func (s *session) keep(target string, claim *remote.ClaimRequest) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	delete(s.claims, target)
	if claim == nil {
		if s.open != nil && len(s.claims) == 0 && !s.gives {
			s.open.Keep(false)
		}
		return
	}
	if s.claims == nil {
		s.claims = make(map[string]remote.ClaimRequest)
	}
	s.claims[target] = *claim
}

// gave notes that others may read the host's store until a session ends.
func (s *session) gave(open *remote.Session) {
	s.turn <- struct{}{}
	s.gives = s.gives || s.open == open
	<-s.turn
}

func (s *session) Swap(ctx context.Context, request remote.SwapRequest) (warnings []string, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		outcome, err := open.Swap(ctx, request)
		if failed, ok := errors.AsType[*remote.AnswerError](err); ok {
			warnings = failed.Answer.Warnings
		}
		if err == nil && outcome.Plan != nil {
			warnings = outcome.Plan.Warnings
		}
		return err
	})
	return warnings, err
}

func (s *session) Restart(ctx context.Context, request remote.RestartRequest) (warnings []string, err error) {
	err = s.do(ctx, func(open *remote.Session) error {
		restarted, err := open.Restart(ctx, request)
		if err == nil {
			warnings = restartWarnings(restarted)
		}
		return err
	})
	return warnings, err
}

// restartWarnings are what an operator is to know of a restart.
func restartWarnings(restarted *host.Restarted) []string {
	warnings := slices.Clone(restarted.Warnings)
	for _, skipped := range restarted.Skipped {
		warnings = append(warnings, "not restarted: "+skipped)
	}
	return warnings
}

func (s *session) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.open == nil {
		return nil
	}
	err := s.open.Close()
	s.open = nil
	return err
}
