package install

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/verify"
)

// Who may write a target's directory can put another file at TARGET-old, and another state beside it.
// What can only make tbctl more careful is believed from him, and what permits something is not:
// docs/durability.md says who is believed for what.

// findOldWriters finds out who can have written the previous file, also while it was the target.
func (r *run) findOldWriters() error {
	var err error
	if r.oldWriters, err = fsatomic.OldWriters(r.FS, r.target); err != nil {
		return err
	}
	previous := r.state.Previous
	r.oldKnown = previous != nil && previous.SHA256 == r.plan.New.SHA256 && previous.Attributes != nil
	if r.oldKnown {
		r.oldWriters.Add(r.target.Self, r.target.Path, previous.Attributes.UID, previous.Attributes.Mode)
	}
	return nil
}

// rights names what a file with the attributes may do, or whose it is, that one with had
// (nil: nothing) did not. Its owner is no right where only he can have written the previous file.
func (r *run) rights(attributes fsatomic.Attributes, had *fsatomic.Attributes) []string {
	if had == nil {
		had = &fsatomic.Attributes{UID: fsatomic.OwnerUnchanged}
	}
	var rights []string
	if capability := attributes.Xattrs[fsatomic.XattrCapability]; capability != nil && !bytes.Equal(capability, had.Xattrs[fsatomic.XattrCapability]) {
		rights = append(rights, "capabilities")
	}
	if attributes.Mode&^had.Mode&0o6000 != 0 {
		rights = append(rights, "setuid or setgid")
	}
	if r.target.Self.Chown && !r.oldWriters.Only(attributes.UID) && attributes.UID != had.UID {
		rights = append(rights, fmt.Sprintf("owner %d", attributes.UID))
	}
	return rights
}

// entitled refuses to give the previous file rights that those who can have written it have not,
// unless the operator named it, or a record that they cannot have written knows it: as a file that
// was installed here, or one that had these rights at the target.
func (r *run) entitled() error {
	rights := r.rights(r.plan.Attributes, nil)
	if r.oldWriters.None() || len(rights) == 0 || r.request.OldSHA256 != "" {
		return nil
	}
	if vouched, err := r.vouched(); err != nil || vouched {
		return err
	}
	return &RejectedError{
		Source: r.target.OldPath, Err: ErrUnvouched, Report: r.plan.Verified,
		Reason: fmt.Sprintf("it would get the installed file's %s, but %s, and no record that only root can write says that this file had them: its sha256 is %s",
			strings.Join(rights, ", "), r.oldWriters, r.plan.New.SHA256),
	}
}

// vouched reports whether the state, where only root and this user can have written it, or else
// their history knows the previous file.
func (r *run) vouched() (bool, error) {
	sum := r.plan.New.SHA256
	had := func(attributes *fsatomic.Attributes) bool {
		return attributes != nil && len(r.rights(r.plan.Attributes, attributes)) == 0
	}
	if r.stateOurs {
		for _, file := range []*Recorded{r.state.Previous, r.state.Installed} {
			if file != nil && file.SHA256 == sum && (file.Origin != nil || had(file.Attributes)) {
				return true, nil
			}
		}
	}
	return r.Journal.own(r.target.Path, sum, func(record *Record) bool {
		installed := record.Operation == OperationInstall && record.New != nil && record.New.SHA256 == sum
		displaced := record.Old != nil && record.Old.SHA256 == sum && had(record.OldRights)
		return installed || displaced
	})
}

// ownChange says that an operation changed the target, and that its record was written by whoever did. One that was completed after a crash is
// none: what it says comes from the state beside the target.
func (r *Record) ownChange() bool {
	return r.Phase == PhaseOutcome && (r.Result == ResultInstalled || r.Result == ResultRolledBack)
}

// ownRecords are the newest changes of the target in a history that only root and this user can have written, oldest first.
func (r *run) ownRecords() ([]Record, error) {
	if r.Journal == nil {
		return nil, nil
	}
	history, err := r.Journal.Read(r.target.Path)
	if err != nil || !history.writers.None() {
		return nil, err
	}
	var own []Record
	for _, record := range history.Records {
		if record.ownChange() {
			own = append(own, record)
		}
	}
	return own, nil
}

// last is the last change of the target. A state that others can have written is not asked where a history that they
// cannot write speaks of the installed file; sure is false where there is only that state.
func (r *run) last() (last *Record, sure bool) {
	if r.stateOurs || r.plan.Installed == nil {
		return r.state.Last, true
	}
	own, _ := r.ownRecords() // without a history there is the state
	if len(own) > 0 && own[len(own)-1].New != nil && own[len(own)-1].New.SHA256 == r.plan.Installed.SHA256 {
		return &own[len(own)-1], true
	}
	return r.state.Last, false
}

// leaveOut leaves in a record that comes from what others can have written only what the files on the disk were
// compared with, so that a history which they cannot write does not say for them who did something, how, or from what.
// there is what is at the target.
func (r *Record) leaveOut(there *File) {
	if r.Operation != OperationRollback {
		r.Operation = OperationInstall
	}
	switch r.Result {
	case ResultFoundNew:
		r.New = there
	case ResultFoundOld:
		r.Old = there
	}
	*r = Record{
		Version: recordVersion, ID: clip(r.ID), Phase: r.Phase, Time: r.Time, Operation: r.Operation, Target: r.Target,
		Again: r.Again, Old: r.Old, New: r.New, Result: r.Result, Error: r.Error, Hearsay: true,
	}
}

// hearsay returns a data file that a rollback would have to believe, where what the cluster needs is known only from
// data files that are named in a state which others can have written: what they need counts, and that they are those of
// the cluster does not.
func (r *run) hearsay(needs verify.ReplaceOptions) string {
	if r.stateOurs {
		return ""
	}
	named := func(need verify.Need) bool {
		return slices.ContainsFunc(r.request.Named, func(named verify.Reached) bool { return named.DataFile == need.Source })
	}
	if !needs.Back || len(needs.Needs) == 0 || slices.ContainsFunc(needs.Needs, func(need verify.Need) bool {
		return need.Why != verify.NeedData || !slices.Contains(r.state.DataFiles, need.Source) || named(need)
	}) {
		return ""
	}
	return needs.Needs[0].Source
}

// onlyDowngrade reports whether a file is older than the installed one, and fits otherwise.
func onlyDowngrade(report verify.ReplaceReport) bool {
	return report.Ok && slices.ContainsFunc(report.Findings, func(finding verify.Finding) bool {
		return finding.Name == verify.CheckDowngrade && finding.Status == verify.Remarked
	})
}

// rightsOf leaves out of a file's attributes what gives it no rights.
func rightsOf(attributes fsatomic.Attributes) *fsatomic.Attributes {
	rights := fsatomic.Attributes{UID: attributes.UID, GID: attributes.GID, Mode: attributes.Mode}
	if capability := attributes.Xattrs[fsatomic.XattrCapability]; capability != nil {
		rights.Xattrs = map[string][]byte{fsatomic.XattrCapability: capability}
	}
	return &rights
}
