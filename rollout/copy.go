package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
)

// SourceError says that a host could not copy the artifact from another, which is to blame. The rules let it have
// the artifact from elsewhere.
type SourceError struct {
	From string // the host from which it was to be copied
	Err  error
}

// Error names the host that was to give it.
func (e *SourceError) Error() string { return "copy from " + e.From + ": " + e.why() }

// why is the cause, which names no host again.
func (e *SourceError) why() string { return strings.TrimPrefix(e.Err.Error(), "host "+e.From+": ") }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Class is [fault.Failed]: what the cause is to that host is nothing to this one.
func (e *SourceError) Class() fault.Class { return fault.Failed }

// Registry is where hosts fetch the artifact from by themselves, in place of being sent it.
type Registry struct {
	Place string // for people
	// Locate finds the URL of the artifact's blob, and the token with which this may be read, "" where none is needed. It is asked for each host.
	Locate func(ctx context.Context) (url, token string, err error)
}

// locateLimit is how long it may take to find out where hosts can fetch from.
const locateLimit = 20 * time.Second

// fetch lets a host fetch the artifact from the registry, and says whether it did. Each is let once in a run, and none any more after the
// registry could not be asked or gave other bytes than the artifact's. What hindered it is shown and noted: then it is sent from here.
func (m *machine) fetch(ctx context.Context, t *target, digest string) (Sent, bool) {
	m.mu.Lock()
	skip := m.Registry == nil || t.fetched || m.noRegistry != ""
	if t.fetched = true; m.noRegistry != "" {
		t.notCopied = m.noRegistry
	}
	m.mu.Unlock()
	if skip {
		return Sent{}, false
	}
	began := time.Now()
	locating, cancel := context.WithTimeoutCause(ctx, locateLimit, fmt.Errorf("nothing came within %v", locateLimit))
	url, token, err := m.Registry.Locate(locating)
	cancel()
	var sent Sent
	located := err == nil
	if located {
		sent, err = t.host.Copy(ctx, remote.CopyRequest{Target: t.planned.Target, Artifact: digest, Size: m.Artifact.Size, URL: url, Token: token})
	}
	sent.From = m.Registry.Place
	if err == nil || ctx.Err() != nil {
		return sent, err == nil
	}
	why := fmt.Sprintf("from %s: %s", sent.From, strings.TrimPrefix(err.Error(), "host "+t.planned.Name+": "))
	m.mu.Lock()
	if !located || fault.Of(err) == fault.Rejected {
		m.noRegistry = why
	}
	t.notCopied = why
	m.mu.Unlock()
	m.record(t, Entry{Request: RequestSend, From: sent.From, Took: time.Since(began)}, err)
	return sent, false
}

// stage brings the artifact to a host: from the registry, from here, or from the depot of another.
func (m *machine) stage(ctx context.Context, t *target, action fleet.Action, digest string) (Sent, error) {
	switch {
	case m.Artifact == nil:
		return Sent{}, fault.New(fault.Failed, "this run sends no artifact")
	case action.From == "":
		switch sent, fetched := m.fetch(ctx, t, digest); {
		case fetched:
			return sent, nil
		case ctx.Err() != nil:
			return sent, context.Cause(ctx)
		}
		return t.host.Send(ctx, t.planned.Target, m.Artifact)
	}
	opened, err := m.depot(ctx, action.From, digest)
	if err != nil {
		return Sent{From: action.From}, &SourceError{action.From, err}
	}
	sent, err := t.host.Copy(ctx, remote.CopyRequest{
		Target: t.planned.Target, Artifact: digest, Size: m.Artifact.Size, From: action.Depot, Token: opened.Token, Certificate: opened.Certificate,
	})
	sent.From = action.From
	return sent, err
}

// copied notes why a host could not copy from another.
func (m *machine) copied(t *target, action fleet.Action, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if action.From != "" && err != nil {
		why := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "host "+action.Host+": "), "copy from "+action.Depot+": ")
		if source, ok := errors.AsType[*SourceError](err); ok {
			why = source.why()
		}
		t.notCopied = "from " + action.From + ": " + why
	}
}

// depot lets others read the artifact in a host's store. Asked again, the host says the same for as long as its session lives.
func (m *machine) depot(ctx context.Context, name, digest string) (remote.DepotAnswer, error) {
	for _, t := range m.targets {
		if t.planned.Name == name {
			return t.host.OpenDepot(ctx, t.planned.Target, digest)
		}
	}
	return remote.DepotAnswer{}, fault.New(fault.Failed, "it is no host of the clusters that are meant")
}
