package rollout

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
)

// Asking is how hosts are asked what they show.
type Asking struct {
	Dialer *remote.Dialer
	// Hint is what to do about a host that could not be asked.
	Hint func(*remote.SessionError) string
}

// Rows are the hosts of a list before they were asked.
func Rows(list *fleet.Inventory) []report.FleetHost {
	var rows []report.FleetHost
	for _, cluster := range list.Clusters {
		for _, host := range cluster.Hosts {
			rows = append(rows, report.FleetHost{Cluster: cluster.Name, Name: host.Name, Target: host.Target})
		}
	}
	return rows
}

// Ask asks all hosts at the same time, and notes in each row what its host showed, or why it did not.
func (a *Asking) Ask(ctx context.Context, rows []report.FleetHost) {
	var asked sync.WaitGroup
	for index := range rows {
		row := &rows[index]
		asked.Go(func() {
			shown, err := ask(ctx, a.Dialer.Dial, row.Name)
			a.note(row, shown, err)
		})
	}
	asked.Wait()
}

// Followed is what was seen of the host of a row.
type Followed struct {
	Index int
	Host  report.FleetHost
}

// Follow asks all hosts again and again until the context ends, and returns what it sees of them. No host waits for another. The
// interval is the time from a host's answer to the next question.
func (a *Asking) Follow(ctx context.Context, rows []report.FleetHost, interval time.Duration) <-chan Followed {
	seen := make(chan Followed)
	for index := range rows {
		row := rows[index]
		go a.Dialer.Follow(ctx, row.Name, interval, func(shown *report.Host, err error) {
			a.note(&row, shown, err)
			if row.Problem != nil {
				row.Problem.Again = true
			}
			select {
			case seen <- Followed{index, row}:
			case <-ctx.Done():
			}
		})
	}
	return seen
}

// ask asks one host.
func ask(ctx context.Context, dial func(context.Context, string) (*remote.Session, error), host string) (*report.Host, error) {
	session, err := dial(ctx, host)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	return session.Report(ctx)
}

// note notes what a host showed, or why it did not.
func (a *Asking) note(row *report.FleetHost, shown *report.Host, err error) {
	if err == nil {
		row.Answered(shown)
		return
	}
	row.Report = shown
	row.Problem = problemOf(err)
	if failed, ok := errors.AsType[*remote.SessionError](err); ok {
		row.Problem.Hint = a.Hint(failed)
	}
}

// problemOf is why a host could not be asked.
func problemOf(err error) *report.FleetProblem {
	problem := &report.FleetProblem{Kind: fault.Of(err), Message: err.Error()}
	if failed, ok := errors.AsType[*remote.SessionError](err); ok {
		problem.Reason = string(failed.Reason)
	}
	if failed, ok := errors.AsType[*remote.AnswerError](err); ok {
		problem.Hint = failed.Hint()
	}
	return problem
}
