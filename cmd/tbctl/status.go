package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

type statusCmd struct {
	Target string `arg:"" optional:"" env:"TBCTL_TARGET" help:"The installed binary (${target})."`
}

// Help is the long help text.
func (c *statusCmd) Help() string {
	return `Shows the installed binary, the one kept beside it, the replicas that run from it
with their running, armed and durable releases, and what will happen next. After an
interrupted installation it says what is on the disk. It changes nothing.

Of each replica: RUNNING is the release that it runs, or "starting" until it has opened
its data file and listens, ARMED the newest of the binary that it holds in memory, OFFERS
the newest that it offers its cluster, and DURABLE the one that its data needs at the
next start.

Examples:

  tbctl status
  tbctl status /opt/tigerbeetle/tigerbeetle --json
` + exitHelp(exitRejected, "the file at TARGET is no multiversion binary")
}

// status is the result of the command.
type status struct {
	Target    fsatomic.Target  `json:"target"`
	Installed *install.File    `json:"installed"` // null: nothing is there, or it is hidden
	Previous  *install.File    `json:"previous"`  // null: none is kept, or it is hidden
	Hidden    []string         `json:"hidden"`    // files that are there and could not be read
	HeldBy    *fsatomic.Holder `json:"held_by"`   // who works on it now; null: nobody, or it cannot be seen

	// LockObserved is whether it could be seen who works on it.
	LockObserved bool `json:"lock_observed"`

	Leftovers   []fsatomic.Leftover   `json:"leftovers"` // with a holder, its work in progress
	Interrupted []install.Interrupted `json:"interrupted"`
	Last        *install.Record       `json:"last"`       // the last operation that changed the target
	Recorded    install.Files         `json:"recorded"`   // both files, as they were when they were installed and displaced
	DataFiles   []host.DataFile       `json:"data_files"` // those that are remembered of the target's replicas

	// Reached is the newest release that a replica of the target was ever seen at; null: none is remembered.
	Reached *verify.Reached `json:"reached"`

	// Observed is whether all processes could be looked at: without, Unseen says why there may be
	// replicas that are not among them.
	Observed bool             `json:"replicas_observed"`
	Unseen   []replica.Unseen `json:"replicas_unseen"`
	ByName   bool             `json:"replicas_by_name"` // of other users' processes only the names could be seen
	Replicas []host.Replica   `json:"replicas"`

	// Advisories are what is known of both files, and of other releases that run.
	Advisories []advisory.Notice `json:"advisories"`
}

// timeFormat is how a person sees a time, in the host's own zone.
const timeFormat = "2006-01-02 15:04:05"

// Run looks and reports. It changes nothing, whatever it finds: what was interrupted is
// completed by the next command that changes the target.
func (c *statusCmd) Run(a *app) error {
	target, err := fsatomic.Lookup(vfs.OS(), a.target(c.Target))
	if err != nil && !(target.Exists && errors.Is(err, fs.ErrPermission)) {
		return err
	}
	result := status{
		Target: target, Leftovers: []fsatomic.Leftover{}, Interrupted: []install.Interrupted{}, DataFiles: []host.DataFile{}, Hidden: []string{}, Unseen: []replica.Unseen{}, Replicas: []host.Replica{},
	}
	if err := result.files(a); err != nil {
		return err
	}
	result.state(a)
	header, parseErr := headerAt(target)
	if err := result.processes(a, header); err != nil {
		return err
	}
	result.advise(a)
	a.emit(result, func(out *term.Stream) { renderStatus(out, &result) })
	switch {
	case !target.Exists:
		return &commandError{code: exitFailed, hint: "tbctl releases lists what there is; then tbctl install RELEASE {target}", err: fmt.Errorf("%s: nothing is installed", target.Path)}
	case result.hides(target.Path):
		return err
	case parseErr != nil && multiversion.IsPlain(parseErr):
		return rejected("if it is TigerBeetle up to 0.15.3, say so when you install: --from-plain RELEASE", fmt.Errorf("%s is %s", target.Path, result.Installed.Kind))
	case parseErr != nil && result.Installed.Kind != "":
		return rejected("check the name: is this where TigerBeetle is installed?", fmt.Errorf("%s is %s", target.Path, result.Installed.Kind))
	case parseErr != nil:
		return fmt.Errorf("%s: %w", target.Path, parseErr)
	}
	return nil
}

// advise finds out what is known of the files and of what runs, and warns of what is installed: of the previous
// file it is said when that is to be put back, and what runs is about to be left.
func (s *status) advise(a *app) {
	subjects := []advisory.Subject{
		subjectOf(advisory.AboutInstalled, s.Installed, s.Recorded.Installed),
		subjectOf(advisory.AboutPrevious, s.Previous, s.Recorded.Previous),
	}
	for index := range s.Replicas {
		running := s.Replicas[index].Running.Release
		if s.Installed == nil || running != s.Installed.Release {
			subjects = append(subjects, advisory.Subject{About: advisory.AboutRunning, Release: running})
		}
	}
	s.Advisories = advisory.Of(subjects...)
	a.advise(slices.DeleteFunc(slices.Clone(s.Advisories), func(n advisory.Notice) bool { return n.About != advisory.AboutInstalled }))
}

// subjectOf is a file of which it is asked what is known, with what its record says of it.
func subjectOf(about advisory.About, file *install.File, recorded *install.Recorded) advisory.Subject {
	if file == nil {
		return advisory.Subject{About: about}
	}
	subject := advisory.Subject{About: about, Release: file.Release, SHA256: []string{file.SHA256}}
	if recorded != nil && recorded.SHA256 == file.SHA256 && recorded.Origin != nil {
		subject.Tag, subject.SHA256 = recorded.Origin.Tag, append(subject.SHA256, recorded.Origin.SHA256)
	}
	return subject
}

// files describes the target and the previous file.
func (s *status) files(a *app) error {
	var err error
	if s.Target.Exists {
		if s.Installed, err = s.describe(a, s.Target.Path); err != nil {
			return err
		}
	}
	if s.Target.OldExists && s.Target.Old.Kind == vfs.KindFile {
		if s.Previous, err = s.describe(a, s.Target.OldPath); err != nil {
			return err
		}
	}
	holder, held, err := fsatomic.HeldBy(vfs.OS(), s.Target)
	s.LockObserved = err == nil
	switch {
	case errors.Is(err, fs.ErrPermission):
		a.warn("whether another tbctl works on it cannot be seen: this user may not open the lock; run it as root")
	case err != nil:
		a.warn("%v", err)
	case held:
		s.HeldBy = &holder
	}
	residue, err := fsatomic.Residue(vfs.OS(), s.Target)
	if err != nil {
		return err
	}
	s.Leftovers = append(s.Leftovers, residue.Leftovers...)
	return nil
}

// describe reads one file, if this user may.
func (s *status) describe(a *app, path string) (*install.File, error) {
	file, err := install.Describe(a.ctx, vfs.OS(), path)
	if errors.Is(err, fs.ErrPermission) {
		s.Hidden = append(s.Hidden, path)
		a.warn("what %s is cannot be seen: this user may not read it", path)
		return nil, nil
	}
	return file, err
}

// hides reports whether a file is there and could not be read.
func (s *status) hides(path string) bool { return slices.Contains(s.Hidden, path) }

// state reads what is kept beside the target.
func (s *status) state(a *app) {
	state, err := a.installer().ReadState(s.Target, s.Installed)
	if err != nil {
		a.warn("%v", err)
	}
	s.Last, s.Recorded, s.Reached = state.Last, state.Files, state.Reached
	for _, name := range state.DataFiles {
		s.DataFiles = append(s.DataFiles, host.ReadDataFile(a.ctx, name))
	}
	if open := state.Interrupted(s.Installed, s.HeldBy != nil); open != nil {
		if s.hides(s.Target.Path) {
			open.Found = install.ResultUnknown
		}
		s.Interrupted = append(s.Interrupted, *open)
	}
}

// processes finds the replicas and says what they will do.
func (s *status) processes(a *app, header *multiversion.Header) error {
	query := host.Query{Target: s.Target.Path}
	for _, file := range s.DataFiles {
		query.Remembered = append(query.Remembered, file.Path)
	}
	view, err := host.See(a.ctx, query)
	if err != nil {
		return err
	}
	s.Observed, s.ByName, s.Unseen = len(view.Unseen) == 0, view.ByName, append(s.Unseen, view.Unseen...)
	for _, process := range view.Processes {
		s.Replicas = append(s.Replicas, host.Foresee(process, header))
	}
	return nil
}

// headerAt returns the header for this host of the file at the target.
func headerAt(target fsatomic.Target) (*multiversion.Header, error) {
	if !target.Exists {
		return nil, nil
	}
	file, err := multiversion.Open(target.Path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return &file.HostImage().Header, nil
}

func renderStatus(out *term.Stream, s *status) {
	styles := out.Styles()
	out.Printf("%s\n\n", styles.Bold.Render(s.Target.Path))
	fields := s.fileFields("installed", s.Target.Path, s.Installed)
	if s.Target.Exists && !s.hides(s.Target.Path) {
		fields = append(fields, [2]string{"attributes", attributesText(s.Target.Attributes)})
	}
	if len(s.Target.Links) > 0 {
		fields = append(fields, [2]string{"link", s.Target.Name})
	}
	fields = append(fields, s.fileFields("previous", s.Target.OldPath, s.Previous)...)
	if s.Last != nil {
		fields = append(fields, [2]string{"last", fmt.Sprintf("%s, %s, %s", s.Last.Operation, s.Last.Result, s.Last.Time.Local().Format(timeFormat))})
	}
	renderFields(out, slices.Concat(fields, dataFileFields(s), reachedFields(s)))
	if holder := s.HeldBy; holder != nil {
		out.Printf("%s %s\n", styles.Warn.Render("under way:"), out.Hang(fmt.Sprintf("%s, process %d on %s, since %s",
			term.Printable(holder.Command), holder.PID, term.Printable(holder.Host), holder.Start.Local().Format(timeFormat)), 2))
	}
	for _, leftover := range s.Leftovers {
		if s.HeldBy == nil {
			out.Printf("%s %s: %s; the next installation clears it away\n", styles.Warn.Render("leftover:"), leftover.Path, leftover.Reason)
		}
	}
	for _, open := range s.Interrupted {
		if open.Busy {
			continue
		}
		what := "interrupted:"
		if !s.LockObserved {
			what = "under way, or interrupted:"
		}
		out.Printf("%s %s since %s; on the disk: %s\n", styles.Warn.Render(what), open.Intent.Operation, open.Intent.Time.Local().Format(timeFormat), open.Found)
	}
	renderReplicas(out, s)
}

// reachedFields tell of the release that the cluster has reached, where the installed file lacks it.
func reachedFields(s *status) [][2]string {
	if s.Reached == nil || s.Installed == nil || slices.Contains(s.Installed.Releases, s.Reached.Release) {
		return nil
	}
	text := fmt.Sprintf("%s (%s), which the installed file does not hold", s.Reached.Release, s.Reached)
	return [][2]string{{"reached", term.Printable(text)}}
}

// dataFileFields are the data files that are remembered, but for those of the replicas that
// run: these are in a table of their own.
func dataFileFields(s *status) [][2]string {
	var fields [][2]string
	for _, file := range s.DataFiles {
		if slices.ContainsFunc(s.Replicas, func(process host.Replica) bool { return process.DataFile == file.Path }) {
			continue
		}
		text := fmt.Sprintf("%s: at release %s", term.Printable(file.Path), file.Release)
		switch {
		case file.Gone:
			text = term.Printable(file.Path) + ": gone"
		case file.Err != nil:
			text = "cannot be read: " + term.Printable(file.Problem)
		case s.Installed != nil && !slices.Contains(s.Installed.Releases, file.Release):
			text += ", which the installed file does not hold: its replica cannot be started"
		}
		fields = append(fields, [2]string{"data file", text})
	}
	return fields
}

func (s *status) fileFields(name, path string, file *install.File) [][2]string {
	if s.hides(path) {
		return [][2]string{{name, "cannot be read by this user"}}
	}
	if file == nil {
		return [][2]string{{name, "nothing"}}
	}
	text := fileName(file) + ", " + term.Bytes(file.Size)
	if len(file.Releases) > 1 {
		text += ", with " + releaseList(file.Releases[:len(file.Releases)-1])
	}
	return [][2]string{{name, text}, {"  sha256", file.SHA256}}
}
