package rollout

import (
	"context"
	"fmt"
	"strings"

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
func (e *SourceError) Error() string { return "copy from " + e.From + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Class is [fault.Failed]: what the cause is to that host is nothing to this one.
func (e *SourceError) Class() fault.Class { return fault.Failed }

// stage brings the artifact to a host: from here, or from the depot of another.
func (m *machine) stage(ctx context.Context, t *target, action fleet.Action, digest string) (Sent, error) {
	switch {
	case m.Artifact == nil:
		return Sent{}, fault.New(fault.Failed, "this run sends no artifact")
	case action.From == "":
		return t.host.Send(ctx, t.planned.Target, m.Artifact)
	}
	opened, err := m.depot(ctx, action.From)
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
		t.notCopied = fmt.Sprintf("from %s: %s", action.From, strings.TrimPrefix(err.Error(), "host "+action.Host+": "))
	}
}

// depot lets others read a host's store. Asked again, the host says the same for as long as its session lives.
func (m *machine) depot(ctx context.Context, name string) (remote.DepotAnswer, error) {
	for _, t := range m.targets {
		if t.planned.Name == name {
			return t.host.OpenDepot(ctx, t.planned.Target)
		}
	}
	return remote.DepotAnswer{}, fault.New(fault.Failed, "it is no host of the clusters that are meant")
}
