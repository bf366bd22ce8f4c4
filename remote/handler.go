package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/tbctl/tbctl/delta"
	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/depot/shelf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
)

// Host answers for one host, in one session. It acts on the targets that it is made with and on no other path, and starts
// nothing that the other end names.
type Host struct {
	Installer *install.Installer
	Targets   []string // paths, of this host's own configuration
	Version   string   // of tbctl
	Store     *depot.Depot
	Depot     string // ADDR:PORT at which others may read the store while a session asks for it; "": nowhere

	// Registries are the https://HOST[:PORT], or http://…, of which the blobs may be fetched; none: nothing is. CAFile has certificates
	// that are trusted besides the system's; "": none.
	Registries []string
	CAFile     string

	// CopyFrom are the ADDR:PORT that artifacts may be copied from, where * stands for any address or any port; empty: any address at the
	// port of Depot, and none without it.
	CopyFrom []string

	// Require is the host's own demand on what vouches for a file; "": none. It is met by a signature that holds by PublicKey, or by a
	// receipt of the host's own store, and by nothing that the other end says. A public key is a demand for a signature.
	Require   string
	PublicKey string

	// KeepAdvisories keeps the list of advisories that comes with a rollout, of the run with the fence; nil: none is kept.
	KeepAdvisories func(list []byte, of fleet.Fence) error

	// Restart is the host's own command that restarts the replicas of its targets; nil: the units that they are in.
	Restart []string

	// Explain, unless nil, is what to type on this host about an error: of the command of tbctl that does here what was asked for, and about a
	// target, "" where it is about none.
	Explain func(err error, command, target string) string

	mu     sync.Mutex
	claims map[string]claimed // that this session has part in, by target
	giving *giving            // nil: nobody reads the store

	reports, lists looks // so that what a session costs does not grow with how often it asks at once
	turns          turns
	deltas         turns // of what takes memory for executables, opens many files, or takes room in the store
}

// Handler answers requests until the session ends.
func (h *Host) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathReport, h.report)
	mux.HandleFunc("POST "+pathClaim, h.claim)
	mux.HandleFunc("POST "+pathPhase, h.phase)
	mux.HandleFunc("GET "+pathStore, h.store)
	mux.HandleFunc("PUT "+pathPut+"{digest}", h.put)
	mux.HandleFunc("GET "+pathHeld, h.held)
	mux.HandleFunc("PUT "+pathPut+"{digest}"+suffixDelta, h.putDelta)
	mux.HandleFunc("POST "+pathSwap, h.swap)
	mux.HandleFunc("POST "+pathRestart, h.restart)
	mux.HandleFunc("POST "+pathCheck, h.check)
	mux.HandleFunc("POST "+pathDepot, h.openDepot)
	mux.HandleFunc("POST "+pathCopy, h.copy)
	mux.HandleFunc("POST "+pathAdvisories, h.advise)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := mux.Handler(r); known == "" {
			message := fmt.Sprintf("this tbctl, %s, does not know the request %s %q", h.Version, r.Method, r.URL.Path)
			answer(w, statusOf(fault.Refused), ErrorAnswer{Class: fault.Refused, Reason: fleet.Reason(ReasonOld), Message: message})
			return
		}
		body := &body{ReadCloser: r.Body, control: http.NewResponseController(w)}
		sizeMax := int64(RequestSizeMax)
		if r.Method == http.MethodPut {
			if !sized(w, r) {
				return
			}
			sizeMax, body.large = multiversion.SizeMax, true
		} else {
			body.wait()
		}
		if r.URL.Path == pathAdvisories {
			sizeMax = advisoriesSizeMax
		}
		r.Body = http.MaxBytesReader(w, body, sizeMax)
		mux.ServeHTTP(w, r)
	})
}

// Close ends the claims' sessions, and lets nobody read the store any more. What is claimed stays claimed.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.giving.close()
	h.giving = nil
	var err error
	for _, each := range h.claims {
		err = errors.Join(err, each.session.Close())
	}
	h.claims = nil
	return err
}

// claimed is the claim of a run in which it is alive for as long as this session is open.
type claimed struct {
	fence   fleet.Fence
	session *fsatomic.Session
}

// has notes the claim of a target that this session has part in from now on.
func (h *Host) has(target string, fence fleet.Fence, session *fsatomic.Session) {
	h.mu.Lock()
	before := h.claims[target].session
	if h.claims == nil {
		h.claims = make(map[string]claimed)
	}
	h.claims[target] = claimed{fence, session}
	h.mu.Unlock()
	_ = before.Close() // what matters is the new one
}

// prove refuses who does not have the secret of the run that a fence names.
func (h *Host) prove(target string, fence fleet.Fence, secret fleet.Secret) error {
	place, err := fsatomic.Lookup(h.Installer.FS, target)
	if err != nil {
		return err
	}
	stored, _, _ := h.Installer.FenceOf(place) // who has the target is said where it is known
	return fleet.Prove(stored, fence, secret)
}

// acts refuses a request to change something for a run, unless it has the run's secret and the run has the target. From then on this session
// has part in the run's claim: a run that changes something is seen to be alive.
func (h *Host) acts(ctx context.Context, target string, fence fleet.Fence, secret fleet.Secret) error {
	if err := h.prove(target, fence, secret); err != nil {
		return err
	}
	h.mu.Lock()
	before, has := h.claims[target]
	h.mu.Unlock()
	if has && before.fence.SameRun(fence) {
		return nil
	}
	session, err := h.Installer.Join(ctx, target, fence, lockWait)
	if err != nil {
		return err
	}
	h.has(target, fence, session)
	return nil
}

func (h *Host) report(w http.ResponseWriter, r *http.Request) {
	shown, err := h.reports.get(r.Context(), func(ctx context.Context) ([]byte, error) {
		shown, err := report.NewHost(ctx, h.Installer, h.Version, h.Store.Dir(), h.Targets)
		if err != nil {
			return nil, err
		}
		shown.Require, shown.PublicKey = string(h.required()), release.PublicKeyLine(h.PublicKey)
		return shown.Fit()
	})
	answerText(w, shown, err)
}

func (h *Host) claim(w http.ResponseWriter, r *http.Request) {
	var request ClaimRequest
	target, end, err := h.begin(r, &request, func() string { return request.Target })
	if err != nil {
		answerError(w, err)
		return
	}
	defer end()
	granted, session, err := h.granted(r.Context(), target, request)
	if err != nil {
		h.refuse(w, err, commandInstall, target)
		return
	}
	h.has(target, granted, session)
	answer(w, http.StatusOK, ClaimAnswer{granted})
}

func (h *Host) granted(ctx context.Context, target string, request ClaimRequest) (fleet.Fence, *fsatomic.Session, error) {
	if err := h.prove(target, request.Fence, request.Secret); err != nil {
		return fleet.Fence{}, nil, fmt.Errorf("claim: %w", err)
	}
	return h.Installer.Claim(ctx, target, request.Fence, request.TakeOver, lockWait)
}

func (h *Host) phase(w http.ResponseWriter, r *http.Request) {
	var request PhaseRequest
	target, end, err := h.begin(r, &request, func() string { return request.Target })
	if err == nil {
		defer end()
		err = h.noted(r.Context(), target, request)
	}
	if err != nil {
		h.refuse(w, err, commandInstall, target)
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

func (h *Host) noted(ctx context.Context, target string, request PhaseRequest) error {
	if err := h.acts(ctx, target, request.Fence, request.Secret); err != nil {
		return fmt.Errorf("note the phase: %w", err)
	}
	return h.Installer.Phase(ctx, target, request.Fence, request.Phase, lockWait)
}

func (h *Host) store(w http.ResponseWriter, r *http.Request) {
	list, err := h.lists.get(r.Context(), func(context.Context) ([]byte, error) {
		artifacts, err := h.Store.List()
		if err != nil {
			return nil, err
		}
		return report.Encode(StoreAnswer{artifacts}, "")
	})
	answerText(w, list, err)
}

func (h *Host) check(w http.ResponseWriter, r *http.Request) {
	var request CheckRequest
	target, end, err := h.begin(r, &request, func() string { return request.Target })
	var checked *host.Checked
	if err == nil {
		defer end()
		checked, err = h.checked(r.Context(), target, request)
	}
	if err != nil {
		h.refuse(w, err, commandInstall, target)
		return
	}
	answer(w, http.StatusOK, checked)
}

// checked finds out what a swap would find.
func (h *Host) checked(ctx context.Context, target string, request CheckRequest) (*host.Checked, error) {
	if err := sha.Check(request.Artifact); err != nil {
		return nil, err
	}
	checked := &host.Checked{SHA256: request.Artifact, Explain: func(err error) string { return h.hint(err, commandInstall, target) }}
	site := &host.Site{Installer: h.Installer, Target: target}
	if request.Fence == nil {
		checked.NotAsked(host.QuestionFence, "for which run it is was not said")
	} else {
		err := h.prove(target, *request.Fence, request.Secret)
		back := false
		if err == nil {
			_, back, err = h.allowed(target, SwapRequest{Target: target, Fence: *request.Fence, Artifact: request.Artifact, Phase: request.Phase})
		}
		checked.Add(host.QuestionFence, err)
		site.Said.Restart, site.Said.AllowDowngrade = back, back
	}
	file, err := h.Store.Open(request.Artifact)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := h.vouched(ctx, request, checked); err != nil {
		return nil, err
	}
	candidate := host.Candidate{File: file, Size: file.Size(), SHA256: request.Artifact}
	if err := site.Check(ctx, candidate, h.ofStore(request.Artifact, file), h.fetchOf(request.Artifact, file), checked); err != nil {
		return nil, err
	}
	return checked, nil
}

// required is what is to vouch for a file.
func (h *Host) required() release.Require {
	if h.PublicKey != "" {
		return release.RequireSignature
	}
	return release.Require(h.Require)
}

// pushed is an artifact of the store that is refused when it is fetched and what this host requires does not vouch for it. Errors are
// of class rejected.
func (h *Host) pushed(digest, signature string) (release.Artifact, error) {
	if h.required() == release.RequireSignature && release.PublicKeyLine(h.PublicKey) == "" {
		return release.Artifact{}, fault.New(fault.Rejected, "this host requires a signature, and its configuration has no public-key that can be read")
	}
	artifact, err := shelf.Pushed(h.Store, digest, signature, release.Options{Platform: multiversion.ThisPlatform(), Require: h.required(), PublicKey: h.PublicKey})
	if err != nil {
		return artifact, fault.New(fault.Rejected, "this host's own settings: "+err.Error())
	}
	return artifact, nil
}

// vouched finds out whether what this host requires vouches for an artifact.
func (h *Host) vouched(ctx context.Context, request CheckRequest, checked *host.Checked) error {
	if h.required() == release.RequireNothing {
		checked.NotAsked(host.QuestionVouched, "this host requires nothing")
		return nil
	}
	pushed, err := h.pushed(request.Artifact, request.Signature)
	var fetched release.Fetched
	if err == nil {
		fetched, err = pushed.Fetch(ctx, io.Discard)
	}
	if err != nil && fault.Of(err) != fault.Rejected {
		return err
	}
	checked.Add(host.QuestionVouched, err)
	for _, evidence := range fetched.Evidence {
		if err == nil && evidence.Status == release.StatusHeld {
			checked.Checks[len(checked.Checks)-1].Detail = string(evidence.Kind) + ": " + evidence.Detail
		}
	}
	return nil
}

func (h *Host) restart(w http.ResponseWriter, r *http.Request) {
	var request RestartRequest
	target, end, err := h.begin(r, &request, func() string { return request.Target })
	var restarted *host.Restarted
	if err == nil {
		defer end()
		restarted, err = h.restarted(r.Context(), target, request)
	}
	if err != nil {
		h.refuse(w, err, commandRollback, target)
		return
	}
	answer(w, http.StatusOK, restarted)
}

func (h *Host) restarted(ctx context.Context, target string, request RestartRequest) (*host.Restarted, error) {
	if err := h.acts(ctx, target, request.Fence, request.Secret); err != nil {
		return nil, fmt.Errorf("restart: %w", err)
	}
	site := &host.Site{Installer: h.Installer, Target: target}
	return site.Restart(ctx, request.Fence, h.Restart, lockWait)
}

// begin reads a request that is about a target, and waits until no other one of this session is at work on it. The request
// has ended when end is called.
func (h *Host) begin(r *http.Request, request any, named func() string) (target string, end func(), err error) {
	if target, err = h.read(r, request, named); err != nil {
		return "", nil, err
	}
	end, err = h.turns.take(r.Context(), target)
	return target, end, err
}

// read reads a request, and returns the target that it is about.
func (h *Host) read(r *http.Request, request any, target func() string) (string, error) {
	text, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return "", fault.New(fault.Usage, fmt.Sprintf("the request has more than %d bytes", tooLarge.Limit))
	case err != nil:
		return "", fmt.Errorf("read the request: %w", err)
	}
	if err := fault.Unmarshal(text, request); err != nil {
		return "", fault.New(fault.Usage, "not a request: "+err.Error())
	}
	return h.named(target())
}

// named is the target of this name, or the only one.
func (h *Host) named(name string) (string, error) {
	switch {
	case name == "" && len(h.Targets) == 1:
		return h.Targets[0], nil
	case !slices.Contains(h.Targets, name):
		return "", fault.New(fault.Usage, fmt.Sprintf("this host's configuration does not name the target %q: its targets are %q", name, h.Targets))
	}
	return name, nil
}

// statusOf is the HTTP status of a class.
func statusOf(class fault.Class) int {
	switch class {
	case fault.Usage:
		return http.StatusBadRequest
	case fault.Fenced, fault.Busy, fault.Refused:
		return http.StatusConflict
	case fault.Rejected:
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

// The commands that do what the other end asks for, for [Host.Explain].
const (
	commandInstall  = "install"
	commandRollback = "rollback"
	commandStore    = "store import"
)

// refuse answers with an error, and what to type here about it.
func (h *Host) refuse(w http.ResponseWriter, err error, command, target string, warnings ...string) {
	said := answerOf(err)
	said.Hint, said.Warnings = h.hint(err, command, target), warnings
	answer(w, statusOf(said.Class), said)
}

// hint is what to type here about an error. Who has the target, and that another works on it, the other end knows better: it decides what to do.
func (h *Host) hint(err error, command, target string) string {
	if class := fault.Of(err); h.Explain == nil || class == fault.Busy || class == fault.Fenced {
		return ""
	}
	return h.Explain(err, command, target)
}

func answerError(w http.ResponseWriter, err error) {
	said := answerOf(err)
	answer(w, statusOf(said.Class), said)
}

func answerOf(err error) ErrorAnswer {
	said := ErrorAnswer{Class: fault.Of(err), Message: err.Error()}
	var fenced *fleet.FencedError
	if errors.As(err, &fenced) {
		said.Reason, said.Stored = fenced.Reason, fenced.Stored
	}
	var seed *delta.SeedError
	if errors.As(err, &seed) {
		said.Seed = &seed.Checksum
	}
	if source, blamed := errors.AsType[*SourceError](err); blamed {
		said.Source = source.From
	}
	return said
}

func answer(w http.ResponseWriter, status int, value any) {
	text, err := report.Encode(value, "")
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"class":"failed","message":"the answer cannot be written as JSON"}`)
	}
	write(w, status, text)
}

// answerText answers with what is JSON already, or the error.
func answerText(w http.ResponseWriter, text []byte, err error) {
	if err != nil {
		answerError(w, err)
		return
	}
	write(w, http.StatusOK, text)
}

func write(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the other end finds out
}
