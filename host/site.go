package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
	"github.com/tbctl/tbctl/watch"
)

// Said is what an operator says of the cluster.
type Said struct {
	Running   []multiversion.Release // that replicas run
	DataFiles []string               // whose releases the binary must hold
	Forget    []string               // data files that no longer belong to a replica of the target
	Ignore    []int                  // processes that are no replicas of this cluster, whatever they look like
	Stopped   bool                   // no replica runs from the target
	Restart   bool                   // the replicas are restarted after the swap, before their cluster can upgrade

	FromPlain      multiversion.Release // of an installed executable that has no multiversion sections
	AllowDowngrade bool
}

// Site is a target on this host with the replicas that run from it. Its operations join what the
// operator says, what is remembered with the target, and what the replicas show: an installation
// is judged by it, once before anything is fetched and once more under the lock, and what was
// seen is remembered. Installer and Target are required.
type Site struct {
	*install.Installer
	Target string // a path; symbolic links are followed
	Said   Said

	// Warn, unless nil, is told what an operator must not miss, as it is found out.
	Warn func(text string)

	// Report is what the last look found.
	Report Report

	owned []string // data files of the target's replicas that the last look knew of

	at *fsatomic.Target // of the last operation; nil: there was none, or it could not be looked up
}

// Install is [install.Installer.Install], or for a dry run [install.Installer.Plan], of a
// request whose Target and whose facts about the cluster are the site's. Besides their errors there are those
// of [Look], after which there is no outcome.
func (s *Site) Install(ctx context.Context, request install.Request, fetch install.Fetch, dryRun bool) (*install.Outcome, error) {
	err := s.prepare(ctx, &request, Query{}, dryRun)
	runs, still := errors.AsType[*StillRunsError](err)
	if still { // it is no matter where the file is installed already, as it may be when the same command is run again
		s.Said.Stopped, request.Hinders = false, runs
		if s.prepare(ctx, &request, Query{}, dryRun) == nil {
			err = nil
		}
	}
	if err != nil {
		s.refused(ctx, install.OperationInstall, request, dryRun, err)
		return nil, err
	}
	operation := s.Installer.Install
	if dryRun {
		operation = s.Installer.Plan
	}
	outcome, err := operation(ctx, request, fetch)
	switch {
	case still && errors.Is(err, runs):
		s.refused(ctx, install.OperationInstall, request, dryRun, runs)
		return nil, runs
	case still && err == nil:
		s.warn(runs.Error())
	}
	return outcome, err
}

// Rollback is [install.Installer.Rollback] and [install.Installer.PlanRollback], as Install is. What runs meanwhile is no
// matter where the previous file is back already.
func (s *Site) Rollback(ctx context.Context, request install.Request, dryRun bool) (*install.Outcome, error) {
	err := s.prepare(ctx, &request, Query{Back: true}, dryRun)
	if err != nil && (fault.Of(err) != fault.Refused || request.At == nil || !s.Installer.IsBack(ctx, request)) {
		s.refused(ctx, install.OperationRollback, request, dryRun, err)
		return nil, err
	}
	if dryRun {
		return s.Installer.PlanRollback(ctx, request)
	}
	return s.Installer.Rollback(ctx, request)
}

// Judge says whether a file may take the place of an installed one. It changes nothing, so that what
// cannot be seen is a remark.
func (s *Site) Judge(ctx context.Context, next *multiversion.Binary, installed verify.Installed) (verify.ReplaceReport, error) {
	target := s.lookup()
	options, _, err := s.look(ctx, target, Query{Ahead: true})
	if err != nil {
		return verify.ReplaceReport{}, err
	}
	state, err := s.state(target)
	if err != nil {
		return verify.ReplaceReport{}, err
	}
	options.AllowDowngrade, options.Settled, options.Advisories = s.Said.AllowDowngrade, true, s.Installer.Advisories
	options.Reached = state.ReachedWithout(s.Said.Forget)
	return verify.Replace(next, installed, options), nil
}

// prepare fills in what is known of the cluster. What was seen until an error is remembered, unless
// nothing is to be changed.
func (s *Site) prepare(ctx context.Context, request *install.Request, query Query, dryRun bool) error {
	request.Target, request.Forget = s.Target, s.Said.Forget
	request.PlainRelease, request.AllowDowngrade = s.Said.FromPlain, s.Said.AllowDowngrade
	request.Refresh = func(ctx context.Context, target fsatomic.Target) (verify.ReplaceOptions, install.Seen, error) {
		return s.look(ctx, &target, query)
	}
	request.MayExecute = s.mayExecute
	var err error
	request.At = s.lookup()
	s.at = request.At
	if request.Fit, request.Seen, err = s.look(ctx, request.At, query); err != nil && !dryRun {
		s.remember(ctx, request.At, request.Seen, false)
	}
	if request.At == nil { // what was seen cannot be said to be about the target that is found then
		request.Seen = install.Seen{}
	}
	return err
}

// refused records a refusal that came before the operation began, as the history has those that come later.
func (s *Site) refused(ctx context.Context, operation install.Operation, request install.Request, dryRun bool, err error) {
	if dryRun || request.At == nil || fault.Of(err) != fault.Refused {
		return
	}
	if err := s.Refuse(ctx, operation, request, err); err != nil {
		s.warn(err.Error())
	}
}

// place is the target of the last operation, or of none yet as it is now. What is waited for is about that one.
func (s *Site) place() *fsatomic.Target {
	if s.at != nil {
		return s.at
	}
	return s.lookup()
}

// lookup finds the target; nil if it cannot be looked up, which is the installer's to say.
func (s *Site) lookup() *fsatomic.Target {
	found, err := fsatomic.Lookup(s.FS, s.Target)
	if err != nil {
		return nil
	}
	return &found
}

// look finds out what is known of the cluster, and what of it is to be remembered. All of it is about the target as
// it was looked up: if its path leads to another directory afterwards, nothing is known.
func (s *Site) look(ctx context.Context, target *fsatomic.Target, query Query) (verify.ReplaceOptions, install.Seen, error) {
	known, err := s.query(target)
	if err != nil {
		return verify.ReplaceOptions{}, install.Seen{}, err
	}
	known.Running, known.Stopped, known.Restart, known.Ahead, known.Back = s.Said.Running, s.Said.Stopped, s.Said.Restart, query.Ahead, query.Back
	report, err := Look(ctx, known)
	for _, warning := range report.Warnings {
		s.warn(warning)
	}
	s.Report, s.owned = report, slices.Concat(known.DataFiles, known.Remembered)
	if err := s.stillThere(target); err != nil {
		return verify.ReplaceOptions{}, install.Seen{}, err
	}
	return report.Options(known), report.seen(), err
}

// stillThere is an error if the path of the target leads to another directory by now.
func (s *Site) stillThere(target *fsatomic.Target) error {
	if target == nil {
		return nil
	}
	now, err := fsatomic.Lookup(s.FS, target.Path)
	if errors.Is(err, fsatomic.ErrChanged) || errors.Is(err, fs.ErrPermission) { // the file; the directory is looked at by the installer
		return nil
	}
	if err == nil {
		err = now.StillAt(*target)
	}
	if err != nil {
		return fmt.Errorf("look at the replicas: %w", err)
	}
	return nil
}

// Query asks for the processes that run from the target, and for its data files.
func (s *Site) Query() Query {
	query, _ := s.query(s.lookup())
	return query
}

// Watched is Query for one who follows the target, which need not be there yet. The error says that no file can come to
// be there, as of a name below a file, and matches [vfs.ErrNoDirectory] where the directory does not exist.
func (s *Site) Watched() (query Query, there bool, err error) {
	target, err := fsatomic.Lookup(s.FS, s.Target)
	for _, never := range []error{vfs.ErrNoDirectory, vfs.ErrDirectory, vfs.ErrName, syscall.ENOTDIR} {
		if errors.Is(err, never) {
			return Query{}, false, err
		}
	}
	return s.Query(), err != nil || target.Exists, nil
}

// query is Query of the target as it was looked up; nil: it could not be.
func (s *Site) query(target *fsatomic.Target) (Query, error) {
	query := Query{Target: s.Target, DataFiles: s.Said.DataFiles, Ignore: s.Said.Ignore}
	if target == nil {
		return query, nil
	}
	query.Target = target.Path
	state, err := s.state(target)
	query.Remembered = slices.DeleteFunc(state.DataFiles, func(name string) bool { return slices.Contains(s.Said.Forget, name) })
	return query, err
}

// state is what is remembered with the target; empty where nothing is. That it cannot be
// believed is the installer's to say, and the error is only [fsatomic.ErrChanged].
func (s *Site) state(target *fsatomic.Target) (*install.State, error) {
	if target == nil {
		return &install.State{}, nil
	}
	state, err := s.ReadState(*target, nil)
	if !errors.Is(err, fsatomic.ErrChanged) {
		err = nil
	}
	return state, err
}

// remember notes what was seen with the target that it was seen at; nil: there is nothing to note it with.
func (s *Site) remember(ctx context.Context, target *fsatomic.Target, seen install.Seen, quiet bool) {
	if target == nil {
		return
	}
	if err := s.Remember(context.WithoutCancel(ctx), *target, seen); err != nil && !quiet {
		s.warn(fmt.Sprintf("what was seen of the replicas is not remembered: %v", err))
	}
}

func (s *Site) warn(text string) {
	if s.Warn != nil {
		s.Warn(text)
	}
}

// UnseenError says that there may be replicas which were not seen, so that it is not known whether
// all of them have taken the file.
type UnseenError struct{ Unseen []replica.Unseen }

// Error says why they were not seen.
func (e *UnseenError) Error() string {
	var why []string
	for _, each := range e.Unseen {
		why = append(why, each.Reason)
	}
	return "whether every replica has taken it cannot be seen from here: " + strings.Join(why, "; ")
}

// ForeseeArmed says what would keep [Site.WaitArmed] from ending well whatever the replicas do, of the target of the last operation, and returns
// how many there are; replaced is whether the file is to be another one by then. The error is an [*UnseenError],
// a [*watch.StrangersError], a [*watch.NeverSeesError], or matches [watch.ErrNeverArms].
func (s *Site) ForeseeArmed(ctx context.Context, replaced bool) (int, error) {
	target := s.place()
	query, err := s.query(target)
	if err != nil {
		return 0, fmt.Errorf("wait for the replicas: %w", err)
	}
	view, replicas, err := toArm(ctx, query)
	if err == nil {
		err = s.stillThere(target)
	}
	if err != nil || replicas == 0 {
		return 0, err
	}
	hidden := slices.DeleteFunc(slices.Clone(view.Unseen), func(each replica.Unseen) bool { return each.Kind == replica.UnseenNoAnswer })
	if len(hidden) > 0 {
		return replicas, &UnseenError{hidden}
	}
	for _, process := range view.Processes {
		if !process.Counts() || !replaced {
			continue
		}
		process = afterSwap(process)
		if err := watch.NeverTakes(&process); err != nil {
			return replicas, err
		}
	}
	return replicas, nil
}

// toArm looks for the replicas that are waited for, and counts them. Where none is seen and there may be
// some, the error is an [*UnseenError], and where there are only such that do not count, a
// [*watch.StrangersError].
func toArm(ctx context.Context, query Query) (view replica.View, replicas int, err error) {
	if view, err = See(ctx, query); err != nil {
		return view, 0, fmt.Errorf("wait for the replicas: %w", err)
	}
	for index := range view.Processes {
		if view.Processes[index].Counts() {
			replicas++
		}
	}
	strangers := watch.Strangers(view.Processes)
	switch {
	case replicas > 0:
	case len(strangers) > 0:
		err = &watch.StrangersError{Processes: strangers}
	case len(view.Unseen) > 0:
		err = &UnseenError{view.Unseen}
	case view.ByName:
		err = &UnseenError{[]replica.Unseen{{Kind: replica.UnseenForbidden, Reason: "what other users' processes execute may not be looked into"}}}
	}
	return view, replicas, err
}

// WaitArmed waits until every replica that runs from the installed file holds it in memory, and
// returns how many there are that count. It gives up when none has come further for the time of the patience. Each event
// is told to report. The error is an [*UnseenError] where there may be others, a
// [*watch.StrangersError] where there are only such that do not count, or that of [watch.Until]. What was
// seen meanwhile is remembered; quiet says that it is no matter if that fails.
func (s *Site) WaitArmed(ctx context.Context, patience time.Duration, quiet bool, report func(watch.Event)) (int, error) {
	target := s.place()
	query, err := s.query(target)
	if err != nil {
		return 0, fmt.Errorf("wait for the replicas: %w", err)
	}
	defer func() { // a replica may have started since the installation looked, or have come further
		last, _ := Look(context.WithoutCancel(ctx), query)
		if s.stillThere(target) == nil {
			s.remember(ctx, target, last.seen(), quiet)
		}
	}()
	_, replicas, err := toArm(ctx, query)
	if err != nil || replicas == 0 {
		return 0, err
	}
	header, err := s.armedBy(ctx, query.Target, target)
	if err != nil {
		return replicas, fmt.Errorf("wait for the replicas: %w", err)
	}
	condition := watch.Condition{What: watch.ConditionArmed, Release: header.Current.Release, Checksum: header.ChecksumBinary}
	waited, err := watch.Until(ctx, query.Target, condition, watch.Options{Patience: patience, Replicas: query.Options()}, report)
	if errors.Is(err, watch.ErrUnseen) && len(waited.Unseen) > 0 {
		err = &UnseenError{waited.Unseen}
	}
	return replicas, err
}

// Armed says what [Site.WaitArmed] or [Site.ForeseeArmed] came to.
func Armed(replicas int, err error) install.Armed {
	switch {
	case err != nil:
		return install.ArmedNot
	case replicas == 0:
		return install.ArmedNone
	}
	return install.ArmedAll
}

// armedBy is the header of the file that is waited for: of the very one that is found at the target, where the last operation was.
func (s *Site) armedBy(ctx context.Context, name string, target *fsatomic.Target) (header multiversion.Header, err error) {
	now, err := fsatomic.Lookup(s.FS, name)
	if err == nil && target != nil {
		err = now.StillAt(*target)
	}
	if err != nil {
		return header, err
	}
	file, err := install.DescribeSeen(ctx, s.FS, now.Path, now.File)
	if err != nil {
		return header, err
	}
	if file.Binary == nil {
		return header, fmt.Errorf("%s: %w", now.Path, file.Problem)
	}
	return file.Binary.HostImage().Header, nil
}

// seen is what is to be remembered of the look.
func (r *Report) seen() install.Seen {
	return install.Seen{DataFiles: r.DataFiles, Reached: r.Reached, Named: r.Named}
}
