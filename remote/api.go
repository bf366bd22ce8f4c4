package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/report"
)

// What both ends say to each other is JSON in versioned paths. Within a version fields are only
// added: each end passes over those that it does not know.
//
//	GET  /v1/report   -> report.Host
//	POST /v1/claim    ClaimRequest -> ClaimAnswer
//	POST /v1/phase    PhaseRequest -> {}
//	GET  /v1/store    -> StoreAnswer
//	PUT  /v1/store/sha256/HEX  the artifact's bytes -> depot.Artifact, when it is durable
//	POST /v1/swap     SwapRequest -> report.Outcome
//	POST /v1/restart  RestartRequest -> host.Restarted
//	POST /v1/check    CheckRequest -> host.Checked
//
// Those of an artifact that is sent as far as the host lacks it are in delta.go, of one that it copies in copy.go, and of what is to be
// known of releases in advise.go.
//
// An answer that is no 200 is an [ErrorAnswer].
const (
	pathReport  = "/v1/report"
	pathClaim   = "/v1/claim"
	pathPhase   = "/v1/phase"
	pathStore   = "/v1/store"
	pathPut     = "/v1/store/sha256/"
	pathSwap    = "/v1/swap"
	pathRestart = "/v1/restart"
	pathCheck   = "/v1/check"

	// RequestSizeMax is the most bytes of the body of a request.
	RequestSizeMax = 64 << 10
	// AnswerSizeMax is the most bytes of an answer that are read, and ReportSizeMax of a report.
	AnswerSizeMax = 16 << 20
	ReportSizeMax = report.HostSizeMax

	// Of an answer of the most bytes, one of this many may begin a value of JSON.
	valueSize = report.ValueSize

	bodyTimeout   = 30 * time.Second // of a request's body; of an artifact's, without a byte
	lockWait      = 30 * time.Second // for another holder of a target's lock
	answerTimeout = 90 * time.Second // of an answer, from the request on: with the wait for a lock
)

// ClaimRequest asks for a target for a run of a rollout.
type ClaimRequest struct {
	Target   string       `json:"target"` // as the host's configuration names it; "": its only one
	Fence    fleet.Fence  `json:"fence"`
	Secret   fleet.Secret `json:"secret"`              // that the run shows to this host, see [fleet.Secret.For]
	TakeOver bool         `json:"take_over,omitempty"` // also from a run whose session is alive
}

// ClaimAnswer is what is stored after a claim.
type ClaimAnswer struct {
	Fence fleet.Fence `json:"fence"`
}

// PhaseRequest notes how far a run is with a target, or gives it back.
type PhaseRequest struct {
	Target string       `json:"target"`
	Fence  fleet.Fence  `json:"fence"`
	Secret fleet.Secret `json:"secret"` // that the run shows to this host, see [fleet.Secret.For]
	Phase  fleet.Phase  `json:"phase"`
}

// StoreAnswer is what a host has in its store.
type StoreAnswer struct {
	Artifacts []depot.Artifact `json:"artifacts"`
}

// SwapRequest puts an artifact of the host's store at the target, if the run that asks has the target.
type SwapRequest struct {
	Target   string       `json:"target"`
	Fence    fleet.Fence  `json:"fence"`
	Secret   fleet.Secret `json:"secret"`          // that the run shows to this host, see [fleet.Secret.For]
	Artifact string       `json:"artifact"`        // its SHA-256 in hexadecimal digits
	Phase    fleet.Phase  `json:"phase"`           // that the fence has with the swap
	Stated   fleet.Stated `json:"stated,omitzero"` // what the plan says of its artifact: the host notes that it says so

	// Displaces is the SHA-256 of the file that is to be at the target before, in hexadecimal digits; "": any that the
	// fence lets it displace.
	Displaces string `json:"displaces,omitempty"`

	Signature string `json:"signature,omitempty"` // a minisign signature of the artifact, which the host checks by its own key if it requires one
}

// RestartRequest restarts the replicas of a target, if the run that asks has it and is aborting. How is the host's own to say.
type RestartRequest struct {
	Target string       `json:"target"`
	Fence  fleet.Fence  `json:"fence"`
	Secret fleet.Secret `json:"secret"` // that the run shows to this host, see [fleet.Secret.For]
}

// CheckRequest asks what a swap of an artifact of the host's store would find. Nothing is changed by it, but that an artifact whose
// bytes have changed since it was stored is set aside.
type CheckRequest struct {
	Target   string       `json:"target"`
	Fence    *fleet.Fence `json:"fence,omitempty"` // of the run that would do it; nil: that is not asked
	Secret   fleet.Secret `json:"secret,omitzero"` // that it shows to this host
	Artifact string       `json:"artifact"`        // its SHA-256 in hexadecimal digits
	Phase    fleet.Phase  `json:"phase,omitempty"` // that the fence would have with the swap

	Signature string `json:"signature,omitempty"` // as in a [SwapRequest]
}

// ErrorAnswer says why a request was not done.
type ErrorAnswer struct {
	Class   fault.Class  `json:"class"`
	Message string       `json:"message"`
	Reason  fleet.Reason `json:"reason,omitempty"` // of class fenced; [ReasonOld] of a request that is not known there
	Stored  *fleet.Fence `json:"stored,omitempty"` // what the host has, of class fenced

	Seed *multiversion.Checksum `json:"seed,omitempty"` // an executable of the host that is damaged, or not there any more
	// Source is the depot that is to blame, of a copy.
	Source string `json:"source,omitempty"`

	// Hint is what to type on the host, as it would say it there; "": nothing that is known. Of class busy and fenced the other end knows better.
	Hint     string   `json:"hint,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // what else an operator is to know, of a swap and a restart
}

// AnswerError is a host's answer that a request was not done.
type AnswerError struct {
	Host   string
	Answer ErrorAnswer
}

// Error is the host's message.
func (e *AnswerError) Error() string { return "host " + e.Host + ": " + e.Answer.Message }

// Hint is what the host says is to be typed there; "": nothing that it knows.
func (e *AnswerError) Hint() string { return HintOn(e.Host, e.Answer.Hint) }

// HintOn is a hint of a host, for where it is to be typed; "" of "".
func HintOn(host, hint string) string {
	if hint == "" {
		return ""
	}
	return "on " + host + ": " + hint
}

// Class is what the host says.
func (e *AnswerError) Class() fault.Class { return e.Answer.Class }

// Unwrap returns a [*fleet.FencedError] for an answer of class fenced, a [*delta.SeedError] for one about an executable of the
// host, a [*SourceError] for one about the depot that it was to copy from, and otherwise nil.
func (e *AnswerError) Unwrap() error {
	if e.Answer.Source != "" {
		source := &SourceError{From: e.Answer.Source}
		source.Err = errors.New(strings.TrimPrefix(e.Answer.Message, source.before()))
		return source
	}
	if e.Answer.Seed != nil {
		return &delta.SeedError{Checksum: *e.Answer.Seed, Err: errors.New(strings.TrimPrefix(e.Answer.Message, "executable "+e.Answer.Seed.String()+": "))}
	}
	if e.Answer.Class != fault.Fenced {
		return nil
	}
	return &fleet.FencedError{Reason: e.Answer.Reason, Stored: e.Answer.Stored}
}

// Report asks a host what it shows of itself and its targets.
func (s *Session) Report(ctx context.Context) (*report.Host, error) {
	var answer report.Host
	if err := s.ask(ctx, http.MethodGet, pathReport, nil, &answer); err != nil {
		return nil, err
	}
	if answer.Version != report.HostVersion {
		return nil, fmt.Errorf("host %s: a report of version %d, and this tbctl reads version %d", s.Host, answer.Version, report.HostVersion)
	}
	return &answer, nil
}

// Claim claims a target for a run, and returns the fence that is stored there now. The claim is alive, and the
// host does not give the target to another run of the plan, until the session ends.
func (s *Session) Claim(ctx context.Context, request ClaimRequest) (fleet.Fence, error) {
	var answer ClaimAnswer
	err := s.ask(ctx, http.MethodPost, pathClaim, request, &answer)
	return answer.Fence, err
}

// Phase notes how far a run is with a target, or gives it back.
func (s *Session) Phase(ctx context.Context, request PhaseRequest) error {
	return s.ask(ctx, http.MethodPost, pathPhase, request, &struct{}{})
}

// Store asks a host what it has in its store.
func (s *Session) Store(ctx context.Context) ([]depot.Artifact, error) {
	var answer StoreAnswer
	err := s.ask(ctx, http.MethodGet, pathStore, nil, &answer)
	return answer.Artifacts, err
}

// Put sends an artifact into a host's store, and returns when it is durable there, or with the context. Its size and
// SHA-256 are known beforehand.
func (s *Session) Put(ctx context.Context, digest string, size int64, content io.Reader) (depot.Artifact, error) {
	var answer depot.Artifact
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, pathPut+digest, content)
	if err != nil {
		return answer, err
	}
	request.ContentLength = size
	return answer, s.send(request, &answer)
}

// Swap puts an artifact of the host's store at a target, and returns when that is done, or with the context. The outcome
// says what was done.
func (s *Session) Swap(ctx context.Context, request SwapRequest) (*report.Outcome, error) {
	var answer report.Outcome
	if err := s.call(ctx, http.MethodPost, pathSwap, request, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// Restart restarts the replicas of a target by the host's own means, and says which ran before. That they are back is to be seen
// in the host's report.
func (s *Session) Restart(ctx context.Context, request RestartRequest) (*host.Restarted, error) {
	var answer host.Restarted
	if err := s.within(ctx, s.patience+host.RestartTimeout, http.MethodPost, pathRestart, request, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// Check asks what a swap would find. That something speaks against it is no error, but in the answer.
func (s *Session) Check(ctx context.Context, request CheckRequest) (*host.Checked, error) {
	var answer host.Checked
	if err := s.ask(ctx, http.MethodPost, pathCheck, request, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// ask is [Session.call] for what a host answers soon. A host that does not, though its connection is alive, is
// [ReasonSilent].
func (s *Session) ask(ctx context.Context, method, path string, body, answer any) error {
	return s.within(ctx, s.patience, method, path, body, answer)
}

// within is ask for what takes a time that is known.
func (s *Session) within(ctx context.Context, patience time.Duration, method, path string, body, answer any) error {
	silent := &SessionError{Host: s.Host, Reason: ReasonSilent, Err: fmt.Errorf("nothing came within %v", patience)}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, silent)
	defer cancel()
	return s.call(ctx, method, path, body, answer)
}

// call sends a request and reads its answer. The error is a [*SessionError], an [*AnswerError], the
// context's, or says what is wrong with the answer.
func (s *Session) call(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, path, content)
	if err != nil {
		return err
	}
	return s.send(request, answer)
}

func (s *Session) send(request *http.Request, answer any) error {
	response, err := s.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	sizeMax := AnswerSizeMax
	if request.URL.Path == pathReport {
		sizeMax = ReportSizeMax
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, int64(sizeMax)+1))
	switch {
	case err != nil:
		return s.program.lost(request.Context(), err)
	case len(text) > sizeMax:
		return fmt.Errorf("host %s: an answer of more than %d bytes", s.Host, sizeMax)
	case bytes.Count(text, []byte(","))+bytes.Count(text, []byte("{")) > sizeMax/valueSize:
		return fmt.Errorf("host %s: an answer of more than %d values", s.Host, sizeMax/valueSize)
	case response.StatusCode == http.StatusOK:
		if err = fault.Unmarshal(text, answer); err == nil {
			clipAll(answer)
		}
	default:
		failed := &AnswerError{Host: s.Host}
		if err = fault.Unmarshal(text, &failed.Answer); err == nil && failed.Answer.Class != fault.None {
			if !slices.Contains(fault.Classes(), failed.Answer.Class) {
				failed.Answer.Class = fault.Failed // one that a later tbctl may have
			}
			clipAll(&failed.Answer)
			failed.Answer.Hint = report.Clip(failed.Answer.Hint, HintSizeMax)
			return failed
		}
		err = errors.Join(err, fmt.Errorf("status %d without a reason", response.StatusCode))
	}
	if err != nil {
		return fmt.Errorf("host %s: not an answer of tbctl: %w", s.Host, err)
	}
	return nil
}
