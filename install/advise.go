package install

import "github.com/tbctl/tbctl/advisory"

// advise notes what is known of the new file, whatever the operation came to: by its own
// release and SHA-256, and by what its source called it where that was noted; of the
// releases that the upgrade goes through; and of leaving those that run.
func (r *run) advise() {
	var subjects []advisory.Subject
	if file := r.plan.New; file != nil {
		subject := advisory.Subject{About: advisory.AboutFile, Release: file.Release, SHA256: []string{file.SHA256, r.plan.Origin.SHA256}, Tag: r.plan.Origin.Tag}
		if recorded := r.recorded(file.SHA256); recorded != nil && subject.Tag == "" {
			subject.SHA256, subject.Tag = append(subject.SHA256, recorded.SHA256), recorded.Tag
		}
		subjects = append(subjects, subject)
	}
	if r.plan.Fit != nil {
		subjects = append(subjects, r.plan.Fit.Subjects()...)
	}
	r.outcome.Advisories = r.Advisories.Of(subjects...)
}

// adviseBefore says what is known of the file while the swap can still be stopped.
func (r *run) adviseBefore() {
	r.advise()
	if r.Advise != nil {
		r.Advise(r.outcome.Advisories)
	}
}

// recorded is where a file of that SHA-256 came from, if that is known of the target's files.
func (r *run) recorded(sum string) *Origin {
	if r.state == nil || sum == "" {
		return nil
	}
	for _, file := range []*Recorded{r.state.Installed, r.state.Previous} {
		if file != nil && file.SHA256 == sum && file.Origin != nil {
			return file.Origin
		}
	}
	return nil
}
