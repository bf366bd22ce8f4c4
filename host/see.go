package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/vfs"
)

// Besides those of package replica there are these reasons why a replica may not be seen.
const (
	UnseenNotSupported replica.UnseenKind = "not-supported" // this system has no /proc to look at
	UnseenDataFile     replica.UnseenKind = "data-file"     // a data file that was seen before cannot be read
	UnseenTarget       replica.UnseenKind = "target"        // which file the target is cannot be seen, and so not who executes it
)

// Options are what package replica needs to know of the query: whom to believe, and which processes
// to leave out.
func (q *Query) Options() replica.Options {
	options := q.Replicas
	options.Users = slices.Concat(options.Users, owners(q.DataFiles, vfs.Stat), owners(q.Remembered, vfs.StatForeign))
	options.DataFiles = slices.Concat(options.DataFiles, q.DataFiles, q.Remembered)
	options.Ignore = slices.Concat(options.Ignore, q.Ignore)
	return options
}

// See looks for the processes that run from the target of the query; the owners of the data
// files in it are believed. That processes cannot be looked for is no error, but a reason why
// there may be some that are not seen. The error is the context's.
func See(ctx context.Context, query Query) (replica.View, error) {
	view, err := replica.Find(ctx, query.Target, query.Options())
	switch {
	case err == nil:
		return view, nil
	case errors.Is(err, replica.ErrNotSupported):
		view.Unseen = []replica.Unseen{{Kind: UnseenNotSupported, Reason: err.Error()}}
	case ctx.Err() != nil:
		return view, err
	default:
		view.Unseen = []replica.Unseen{{Kind: replica.UnseenNoProc, Reason: err.Error()}}
	}
	return view, nil
}

// Ignored says of each process that is left out of the query what it is: one of the target's, none, or none of those that
// are there. Where it cannot be looked into, it is only said that it is left out.
func Ignored(ctx context.Context, query Query) []string {
	if len(query.Ignore) == 0 {
		return nil
	}
	alone := query
	alone.Ignore, alone.Replicas.Only = nil, query.Ignore
	view, err := See(ctx, alone)
	seen := err == nil && len(view.Unseen) == 0 && view.Skipped == 0 && !view.ByName
	var texts []string
	for _, pid := range query.Ignore {
		text := fmt.Sprintf("process %d is left out, as asked for", pid)
		switch {
		case pid <= 0 || noProcess(pid):
			text = fmt.Sprintf("there is no process %d that could be left out", pid)
		case seen && !slices.ContainsFunc(view.Processes, func(p replica.Process) bool { return p.PID == pid }):
			text += fmt.Sprintf(", but it does not run from %s: nothing changes by that", query.Target)
		}
		texts = append(texts, text)
	}
	return texts
}

// Says tells of a process that only calls itself like the target.
func Says(process *replica.Process) string {
	return fmt.Sprintf("process %d of user %s calls itself like the target, but executes %q: it is left out", process.PID, process.User(), process.Exe)
}

// LeftOutText says how many processes of strangers that run from the target, or say so, are not shown.
func LeftOutText(count int) string {
	return fmt.Sprintf("%d more processes of users who are not known to run replicas of this binary run from it, or say so: none of them counts", count)
}

// SkippedText says how many processes of strangers were not looked into.
func SkippedText(count int) string {
	return fmt.Sprintf("%d processes of users who are not known to run replicas of this binary did not answer in time, and were not looked into", count)
}
