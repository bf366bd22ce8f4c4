package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/remote"
)

// take notes what came of an action.
func (m *machine) take(outcome fleet.Outcome) {
	m.outcomes = append(m.outcomes, outcome)
	for index := range m.running {
		if a := &m.running[index]; a.Kind == outcome.Action.Kind && a.Host == outcome.Action.Host && a.Target == outcome.Action.Target {
			m.running = append(m.running[:index:index], m.running[index+1:]...)
			break
		}
	}
	t := m.target(outcome.Action)
	if outcome.Problem != nil {
		return
	}
	switch outcome.Action.Kind {
	case fleet.ActionStage:
		t.stored = true
	case fleet.ActionCheck:
		t.checked = true
	}
}

func (m *machine) target(action fleet.Action) *target {
	for _, t := range m.targets {
		if t.planned.Name == action.Host && t.planned.Target == action.Target {
			return t
		}
	}
	return nil
}

// begin carries an action out, while looks go on.
func (m *machine) begin(action fleet.Action) {
	m.running = append(m.running, action)
	t := m.target(action)
	m.actions.Go(func() {
		err := m.do(t, action)
		outcome := fleet.Outcome{Action: action, Class: fault.Of(err)}
		if err != nil {
			outcome.Problem = &fleet.Problem{
				Cluster: action.Cluster, Host: action.Host, Replica: -1, Reason: fleet.ProblemReason(action.Kind),
				Message: messageOf(err, action),
			}
			outcome.Problem.Hint = hintOf(err)
			if answered, ok := errors.AsType[*remote.AnswerError](err); ok && answered.Answer.Reason == fleet.Reason(remote.ReasonOld) {
				outcome.Problem.Reason = fleet.ProblemTbctl
			}
			if fenced, ok := errors.AsType[*fleet.FencedError](err); ok {
				outcome.Problem.Reason = fleet.ProblemReason(fenced.Reason)
			}
		}
		m.finished <- outcome
	})
}

// messageOf is what hindered an action, without what is said of it besides: the host and the action.
func messageOf(err error, action fleet.Action) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "host "+action.Host+": "), kindText(action.Kind)+": ")
}

// kindText is a kind of action in words, as errors begin with it.
func kindText(kind fleet.ActionKind) string {
	if kind == fleet.ActionPhase {
		return "note the phase"
	}
	return string(kind)
}

// do asks a host for an action.
func (m *machine) do(t *target, action fleet.Action) error {
	digest := sha.Digits(action.Artifact)
	entry, limit := Entry{Request: Request(action.Kind), Epoch: action.Fence.Epoch, Artifact: action.Artifact, Phase: action.Phase, Promotes: action.Promotes}, actionLimit
	if action.Kind == fleet.ActionStage {
		limit = sendLimit
	}
	ctx, cancel := context.WithTimeoutCause(m.ctx, limit, fault.New(fault.Failed, fmt.Sprintf("it was not done within %v", limit)))
	defer cancel()
	return m.ask(ctx, t, entry, func(ctx context.Context) error {
		switch action.Kind {
		case fleet.ActionStage:
			sent, err := m.stage(ctx, t, action, digest)
			m.sent(t, sent)
			m.copied(t, action, err)
			return err
		case fleet.ActionCheck:
			unanswered, err := t.host.Check(ctx, remote.CheckRequest{Target: t.planned.Target, Artifact: digest, Signature: m.Plan.Artifact.Signature})
			m.mu.Lock()
			t.unanswered = unanswered
			m.mu.Unlock()
			return err
		case fleet.ActionClaim:
			_, err := t.host.Claim(ctx, remote.ClaimRequest{Target: action.Target, Fence: action.Fence, Secret: m.Secret.For(action.Host, action.Target), TakeOver: action.TakeOver})
			if err == nil {
				m.advise(ctx, t, action)
			}
			return err
		case fleet.ActionPhase:
			return t.host.Phase(ctx, remote.PhaseRequest{Target: action.Target, Fence: action.Fence, Secret: m.Secret.For(action.Host, action.Target), Phase: action.Phase})
		case fleet.ActionSwap:
			request := remote.SwapRequest{Target: action.Target, Fence: action.Fence, Secret: m.Secret.For(action.Host, action.Target), Artifact: digest, Phase: action.Phase, Displaces: sha.Digits(action.Displaces)}
			if action.Artifact == m.Plan.Artifact.SHA256 {
				request.Signature, request.Stated = m.Plan.Artifact.Signature, m.Plan.Artifact.Stated()
			}
			warnings, err := t.host.Swap(ctx, request)
			m.warned(t, warnings)
			return err
		case fleet.ActionRestart:
			warnings, err := t.host.Restart(ctx, remote.RestartRequest{Target: action.Target, Fence: action.Fence, Secret: m.Secret.For(action.Host, action.Target)})
			m.warned(t, warnings)
			return err
		}
		return fault.New(fault.Failed, fmt.Sprintf("an action that is not known: %q", action.Kind))
	})
}

// advise brings the advisories of the plan to a host that was claimed. That it does not keep them hinders nothing.
func (m *machine) advise(ctx context.Context, t *target, action fleet.Action) {
	if m.Plan.Advisories == nil {
		return
	}
	request := remote.AdvisoriesRequest{Target: action.Target, Fence: action.Fence, Secret: m.Secret.For(action.Host, action.Target), List: m.Plan.Advisories.List}
	if err := t.host.Advise(ctx, request); err != nil {
		m.warned(t, []string{"it does not warn by the advisories of the plan: " + strings.TrimPrefix(err.Error(), "host "+action.Host+": ")})
	}
}

// warned keeps what a host warned of, the newest of it.
func (m *machine) warned(t *target, warnings []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range warnings {
		if !slices.Contains(t.warnings, text) {
			t.warnings = append(slices.Clone(t.warnings[max(0, len(t.warnings)-warningsMax+1):]), text)
		}
	}
}

// sent counts the bytes that were sent to a host.
func (m *machine) sent(t *target, sent Sent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.sent.Bytes += sent.Bytes
	t.sent.Copied += sent.Copied
	t.sent.Had += sent.Had
	t.last = sent
	if sent.From != "" {
		t.sent.From = sent.From
	}
	m.counters.BytesSent += uint64(sent.Bytes)
	m.counters.BytesCopied += uint64(sent.Copied)
	m.counters.BytesHad += uint64(sent.Had)
}
