package rollout

import (
	"context"
	"slices"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
)

// lacksTbctl says that a host could not be asked since its tbctl is missing or too old.
func lacksTbctl(reason remote.Reason) bool {
	return reason == remote.ReasonMissing || reason == remote.ReasonOld
}

// Push puts this program on the hosts that could not be looked at since their tbctl is missing or too old, as the problems say. Where that is refused, or
// fails, the host has what it had, and failed has why.
func Push(ctx context.Context, dialer *remote.Dialer, problems []fleet.Problem, version string) (pushed []report.PushedTbctl, failed []error) {
	var hosts []string
	for _, problem := range problems {
		if lacksTbctl(remote.Reason(problem.Reason)) && !slices.Contains(hosts, problem.Host) {
			hosts = append(hosts, problem.Host)
		}
	}
	if len(hosts) == 0 {
		return nil, nil
	}
	executable, err := remote.Self()
	if err != nil {
		return nil, []error{err}
	}
	errs := make([]error, len(hosts))
	each(ParallelDefault, len(hosts), func(index int) { errs[index] = dialer.Push(ctx, hosts[index], executable) })
	for index, err := range errs {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		pushed = append(pushed, report.PushedTbctl{Host: hosts[index], Path: remote.PushPlace, Version: version, SHA256: executable.SHA256})
	}
	return pushed, failed
}
