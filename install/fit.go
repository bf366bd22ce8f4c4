package install

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

// judgeFit asks what the cluster needs by now, and judges by it whether the new file may take the place of the installed one.
func (r *run) judgeFit(ctx context.Context, next *multiversion.Binary) error {
	needs, err := r.refreshedNeeds(ctx)
	if err == nil {
		err = r.areBinaries()
	}
	if err == nil {
		err = r.executes()
	}
	if err != nil {
		return err
	}
	return r.fits(next, needs)
}

// refreshedNeeds are what the cluster needs, as it is seen now, with what the request and the state say.
func (r *run) refreshedNeeds(ctx context.Context) (verify.ReplaceOptions, error) {
	needs := r.request.Fit
	if r.request.Refresh != nil {
		var seen Seen
		var err error
		needs, seen, err = r.request.Refresh(ctx, r.target)
		r.request.add(seen)
		if err != nil {
			return needs, err
		}
	}
	needs.Reached = r.state.ReachedWithout(r.request.Forget)
	needs.Back = r.plan.Operation == OperationRollback
	needs.Host, needs.AllowDowngrade, needs.Advisories = r.request.Host, r.request.AllowDowngrade || needs.Back, r.Advisories
	if !r.stateOurs && !needs.Said && !needs.Stopped { // the data files that settled it may have been named by others
		needs.Settled = false
	}
	return needs, nil
}

// fits judges whether the new file may take the place of the installed one, and says what comes of it.
func (r *run) fits(next *multiversion.Binary, needs verify.ReplaceOptions) error {
	installed := verify.Installed{}
	if r.installed != nil {
		installed = r.installed.installed
		if installed.Plain != nil {
			installed.Plain.Release = r.request.PlainRelease
		}
	}
	report := verify.Replace(next, installed, needs)
	r.plan.Fit = &report
	if err := r.refuseUnfit(installed, needs, report); err != nil {
		return err
	}
	if r.plan.Action != ActionNone {
		r.decideKeepOld()
		r.warnConsequences(installed, report)
	}
	return nil
}

// refuseUnfit refuses a file that does not fit, and one of which only a data file that others may have named says that it does.
func (r *run) refuseUnfit(installed verify.Installed, needs verify.ReplaceOptions, report verify.ReplaceReport) error {
	if !report.Ok {
		return &RefusedError{
			Target: r.target.Path, Reason: report.Diagnosis, Report: &report,
			Plain: installed.Plain != nil && installed.Plain.Release == 0 && nothingFailed(report),
		}
	}
	if hearsay := r.hearsay(needs); hearsay != "" && onlyDowngrade(report) {
		return &RefusedError{
			Target: r.target.Path, Err: &HearsayError{DataFile: hearsay},
			Reason: fmt.Sprintf("which release the cluster needs is known only from the data file %s, which %s names, and %s", hearsay, r.target.StatePath(), r.stateWriters),
		}
	}
	return nil
}

// decideKeepOld does not let a damaged file push a good one out of its place as TARGET-old.
func (r *run) decideKeepOld() {
	if r.plan.Operation == OperationInstall && r.target.OldExists && r.installed != nil && r.installed.file.Damaged != "" {
		r.plan.DropOld = true
	}
}

// warnConsequences warns of what comes of the replacement. Of one that is refused nothing does.
func (r *run) warnConsequences(installed verify.Installed, report verify.ReplaceReport) {
	if r.target.File.Links > 1 {
		r.warn("%s has %d hard links: the others keep the old file", r.target.Path, r.target.File.Links)
	}
	if r.request.DropOld && r.target.OldExists {
		r.warn("%s stays what it was before: it is not the file that is replaced now, and a rollback would go back to it", r.target.OldPath)
	}
	if installed.Plain != nil && r.plan.Operation == OperationInstall && !r.request.DropOld {
		r.warn("the installed file is kept, but has no multiversion sections: rollback will not put it back")
	}
	if r.installed != nil && r.installed.file.Damaged != "" {
		r.warn("the installed file is damaged: %s", r.installed.file.Damaged)
	}
	if r.plan.DropOld && !r.request.DropOld {
		r.warn("it is not kept: %s stays what it was before", r.target.OldPath)
	}
	for _, name := range r.target.NotCarried {
		r.warn("the attribute %s is not carried over", name)
	}
	for _, finding := range report.Findings {
		if finding.Status == verify.Remarked && finding.Detail != "" {
			r.warn("%s", finding.Detail)
		}
	}
}

// executes refuses a file that those who run the target could not execute.
func (r *run) executes() error {
	if r.request.MayExecute == nil {
		return nil
	}
	attributes := r.plan.Attributes
	if r.plan.Action == ActionNone { // it stays as it is
		attributes = r.target.Attributes
	}
	file := vfs.Guarded{Path: r.target.Path, UID: attributes.UID, GID: attributes.GID, Mode: attributes.Mode, ACL: attributes.Xattrs[fsatomic.XattrACL]}
	if file.UID == fsatomic.OwnerUnchanged {
		file.UID = r.target.Self.UID
	}
	if file.GID == fsatomic.OwnerUnchanged {
		file.GID = r.target.Self.GID
		if r.target.Dir.Mode&0o2000 != 0 {
			file.GID = r.target.Dir.GID
		}
	}
	warnings, err := r.request.MayExecute(file)
	for _, warning := range warnings {
		r.warn("%s", warning)
	}
	if err != nil {
		return &RefusedError{Target: r.target.Path, Reason: err.Error(), Err: err}
	}
	return nil
}

// areBinaries refuses to replace what is something else than a binary: at the target, and
// where the previous binary would be kept.
func (r *run) areBinaries() error {
	if r.installed != nil && errors.Is(r.installed.installed.Err, multiversion.RuleKind) && r.target.File.Size > 0 {
		return &RefusedError{
			Target: r.target.Path, Err: ErrNotBinary,
			Reason: "what stands there is " + r.installed.file.Kind + ", not a binary: is this the right target?",
		}
	}
	return r.oldIsBinary()
}

// oldIsBinary does not let a file of another kind at TARGET-old be replaced: it is
// somebody's, and not a previous binary.
func (r *run) oldIsBinary() error {
	if r.plan.Action != ActionReplace || r.request.DropOld || !r.target.OldExists || r.target.Old.Size == 0 {
		return nil
	}
	old, _, err := r.openOld()
	if err != nil {
		return err
	}
	defer old.Close()
	if _, _, err := multiversion.Identify(old, r.target.Old.Size); !errors.Is(err, multiversion.RuleKind) {
		return nil
	}
	return &RefusedError{
		Target: r.target.OldPath, Err: ErrNotBinary,
		Reason: "the previous binary would be kept there, and what stands there is " + inspect.Describe(old, r.target.Old.Size).Text,
	}
}

// nothingFailed reports whether no check failed; some could not be made.
func nothingFailed(report verify.ReplaceReport) bool {
	return !slices.ContainsFunc(report.Findings, func(finding verify.Finding) bool { return finding.Status == verify.Failed })
}
