package install

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/verify"
	"github.com/tbctl/tbctl/vfs"
)

const (
	// stateVersion is of a state whose fence nobody has to obey. One that a rollout holds has
	// stateVersionHeld, so that an earlier tbctl, which knows of no rollouts, changes nothing there.
	stateVersion     = 1
	stateVersionHeld = 2

	// DataFilesMax is the most data files that are remembered of one target.
	DataFilesMax = 16
	// dataFileSizeMax is the most bytes of the path of one, as in the kernel.
	dataFileSizeMax = 4096
)

// State is what is known of one target. It is kept beside it, so that every tbctl
// sees it whatever its own directories are, and replaced as a whole under the
// target's lock: with the intent before the swap, and with the outcome after it. Between
// the two the SHA-256 of the file at the target says how far the operation came, see
// [State.Found]: no other record is needed for that.
//
// A version that is not known is an [ErrStateVersion], and nothing is changed then: a
// newer tbctl may have written down there what must be obeyed. Fields that are not
// known, of a version that is, are kept.
type State struct {
	Version int `json:"version"`

	// Last is the last operation that changed the target; nil: nothing is known of one.
	Last *Record `json:"last"`

	Files

	// Next is an operation whose outcome is not known: it is under way, was
	// interrupted, or could not find out what is on the disk.
	Next *Next `json:"next,omitempty"`

	// DataFiles are absolute paths of data files that belong to replicas of this
	// target: seen or named in a run that had the lock.
	DataFiles []string `json:"-"`

	// Reached is the newest release that a replica of this target, or a data file of it, was
	// ever seen at; nil: none was seen.
	Reached *verify.Reached `json:"reached,omitempty"`

	// Fence is the rollout that the target belongs to, or last belonged to; nil: to none.
	Fence *fleet.Fence `json:"fence,omitempty"`

	// Despite is the last change of the target that was made though a rollout held it, or though that could not be
	// known; nil: there was none since the plan that the fence has.
	Despite *Record `json:"despite_rollout,omitempty"`

	unknown map[string]json.RawMessage
	hearsay bool        // it is what the journal says, since nothing is kept beside the target, and others can have written that
	writers vfs.Writers // who else can have written what was read, or the name where nothing is
}

// Files are the two files of a target.
type Files struct {
	Installed *Recorded `json:"installed"` // nil: there is none, or nothing is known of it
	Previous  *Recorded `json:"previous"`  // at TARGET-old; likewise
}

// Next is what becomes of a target if an operation succeeds.
type Next struct {
	Operation Record `json:"operation"`
	Files
}

// Recorded is a file as it was when it was installed or displaced.
type Recorded struct {
	File

	// Origin is where it came from; nil if tbctl did not install it.
	Origin *Origin `json:"origin,omitempty"`

	// Attributes are what the previous file had when it was displaced.
	Attributes *fsatomic.Attributes `json:"attributes,omitempty"`
}

// ErrStateVersion says that a newer tbctl wrote the target's state.
var ErrStateVersion = fault.New(fault.Refused, "written by a newer tbctl")

// StateError says that the target's state could not be read or written, or is not
// to be believed.
type StateError struct {
	Path string
	Err  error
}

// Error says which state and why.
func (e *StateError) Error() string { return "state " + e.Path + ": " + onPath(e.Path, e.Err) }

// Unwrap returns the cause.
func (e *StateError) Unwrap() error { return e.Err }

// storedState is how the file has it. The names of files may be any bytes, which a text
// of JSON may not.
type storedState struct {
	plainState
	DataFiles []string `json:"data_files,omitempty"`
	OtherData []string `json:"data_files_base64,omitempty"` // those that are no UTF-8
}

// unknownMax is how many fields of a newer tbctl are kept.
const unknownMax = 64

type plainState State // without its methods

// MarshalJSON writes everything, also the fields that are not known.
func (s State) MarshalJSON() ([]byte, error) {
	stored := storedState{plainState: plainState(s)}
	for _, path := range s.DataFiles {
		if utf8.ValidString(path) {
			stored.DataFiles = append(stored.DataFiles, path)
		} else {
			stored.OtherData = append(stored.OtherData, base64.StdEncoding.EncodeToString([]byte(path)))
		}
	}
	text, err := json.Marshal(stored)
	if err != nil || len(s.unknown) == 0 {
		return text, err
	}
	fields := maps.Clone(s.unknown)
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// UnmarshalJSON reads a state of the version that is known.
func (s *State) UnmarshalJSON(text []byte) error {
	var stored storedState
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	known, err := json.Marshal(storedState{
		plainState: plainState{Next: &Next{}, Reached: &verify.Reached{}, Fence: &fleet.Fence{}, Despite: &Record{}}, DataFiles: []string{""}, OtherData: []string{""},
	})
	if err != nil {
		return err
	}
	var names map[string]json.RawMessage
	var unknown map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(known, &names), json.Unmarshal(text, &unknown)); err != nil {
		return err
	}
	maps.DeleteFunc(unknown, func(name string, _ json.RawMessage) bool {
		for known := range names {
			if strings.EqualFold(known, name) { // as the decoder compares them
				return true
			}
		}
		return false
	})
	if len(unknown) > unknownMax {
		return fmt.Errorf("%w: %d fields that are not known, at most %d", vfs.ErrTooLarge, len(unknown), unknownMax)
	}
	*s = State(stored.plainState)
	s.unknown = unknown
	s.DataFiles = stored.DataFiles
	for _, coded := range stored.OtherData {
		path, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			return fmt.Errorf("data_files_base64: %w", err)
		}
		s.DataFiles = append(s.DataFiles, string(path))
	}
	if len(s.DataFiles) > DataFilesMax {
		return fmt.Errorf("%w: %d data files, at most %d", vfs.ErrTooLarge, len(s.DataFiles), DataFilesMax)
	}
	return nil
}

// parseState reads what is kept beside a target.
func parseState(text []byte) (*State, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := fault.Unmarshal(text, &version); err != nil {
		return nil, err
	}
	if version.Version > stateVersionHeld {
		return nil, fmt.Errorf("%w: its version is %d, not %d", ErrStateVersion, version.Version, stateVersionHeld)
	}
	if version.Version < stateVersion {
		return nil, fmt.Errorf("its version is %d, not %d", version.Version, stateVersion)
	}
	state := new(State)
	if err := json.Unmarshal(text, state); err != nil {
		return nil, fault.JSON(err)
	}
	if state.Fence != nil {
		if err := state.Fence.Check(); err != nil {
			return nil, errors.New(err.Error()) // the file is wrong, and not what was asked for
		}
	}
	// What the next operation would write so that no tbctl can read it, such as no release where there must be
	// one, is not believed either.
	again, err := json.Marshal(state)
	if err == nil {
		err = json.Unmarshal(again, new(State))
	}
	if err != nil {
		return nil, fault.JSON(err)
	}
	return state, nil
}

// ReadState returns what is known of a target, changing nothing: what is kept beside it
// or, where there is nothing, as an earlier tbctl leaves it, what the journal has of
// the file that is there, whose description is installed (nil: nothing is there). A target
// of which nothing is known has an empty state. The error is a [StateError] or that of the
// journal; the state is empty then, and can be used.
func (in *Installer) ReadState(target fsatomic.Target, installed *File) (*State, error) {
	text, writers, err := fsatomic.ReadState(in.FS, target)
	if errors.Is(err, fs.ErrNotExist) {
		return in.stateFromJournal(target, installed, writers)
	}
	var state *State
	if err == nil {
		state, err = parseState(text)
	}
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) && path.Path == target.StatePath() {
			err = path.Err // it is said once
		}
		return &State{Version: stateVersion, writers: writers}, &StateError{Path: target.StatePath(), Err: err}
	}
	state.writers = writers
	return state, nil
}

// stateFromJournal is the state of a target that an earlier tbctl changed last. It counts
// only while the file that it speaks of is there.
func (in *Installer) stateFromJournal(target fsatomic.Target, installed *File, writers vfs.Writers) (*State, error) {
	state := &State{Version: stateVersion, writers: writers}
	history, err := in.Journal.read(target.Path, lastChangeSizeMax)
	if err != nil {
		return state, err
	}
	if !history.writers.None() {
		state.writers, state.hearsay = history.writers, true
	}
	last, known := history.lastChange()
	if last == nil || last.Hearsay {
		return state, nil
	}
	after := Files{Installed: recorded(last.New), Previous: recorded(last.Old)}
	if last.Method == fsatomic.MethodReplaced {
		after.Previous = nil
	}
	if !known {
		state.Installed, state.Next = recorded(last.Old), &Next{*last, after}
		return state, nil
	}
	if installed == nil || last.New == nil || last.New.SHA256 != installed.SHA256 {
		return state, nil
	}
	state.Last, state.Files = last, after
	return state, nil
}

// Residue is [fsatomic.Residue], with what is recorded beside the target.
func (in *Installer) Residue(target fsatomic.Target) (fsatomic.Recovery, error) {
	return fsatomic.Residue(in.FS, target, in.recordedSwap(target))
}

// recordedSwap is what the state beside a target says of its last swap, or of one whose outcome is not known. What cannot be read or
// believed says nothing.
func (in *Installer) recordedSwap(target fsatomic.Target) fsatomic.Recorded {
	text, _, err := fsatomic.ReadState(in.FS, target)
	if err != nil {
		return fsatomic.Recorded{}
	}
	state, err := parseState(text)
	if err != nil {
		return fsatomic.Recorded{}
	}
	contents := func(file *File) (contents fsatomic.Contents) {
		if file != nil {
			contents = fsatomic.Contents{Size: file.Size, SHA256: file.SHA256}
		}
		return contents
	}
	if next := state.Next; next != nil {
		return fsatomic.Recorded{Old: contents(next.Operation.Old), New: contents(next.Operation.New), Open: true}
	}
	swap := fsatomic.Recorded{}
	if state.Previous != nil && state.Installed != nil {
		swap.Old, swap.New = contents(&state.Previous.File), contents(&state.Installed.File)
	}
	return swap
}

func recorded(file *File) *Recorded {
	if file == nil {
		return nil
	}
	return &Recorded{File: *file}
}

// Found says which file is at the target, by an operation whose outcome is not known;
// where there is no such operation it is empty. there is nil for nothing.
func (s *State) Found(there *File) Result {
	if s.Next == nil {
		return ""
	}
	old, next := s.Next.Operation.Old, s.Next.Operation.New
	switch {
	case there == nil && old == nil:
		return ResultFoundOld
	case there == nil:
		return ResultFoundNone
	case there.SHA256 == "":
		return ResultFoundOther
	case next != nil && there.SHA256 == next.SHA256:
		return ResultFoundNew
	case old != nil && there.SHA256 == old.SHA256:
		return ResultFoundOld
	}
	return ResultFoundOther
}

// settle ends an operation whose outcome is not known by what is on the disk, and returns
// its record; nil where there is none.
func (s *State) settle(there *File) *Record {
	if s.Next == nil {
		return nil
	}
	record := s.Next.Operation
	record.Phase, record.Result = PhaseOutcome, s.Found(there)
	switch record.Result {
	case ResultFoundNew:
		s.Last, s.Files = &record, s.Next.Files
	case ResultFoundOther, ResultFoundNone: // others were here: what they left at TARGET-old nobody knows
		s.Last, s.Files = &record, Files{Installed: recorded(there)}
	}
	s.Next = nil
	return &record
}

// next is what the plan makes of both files.
func (r *run) next() Files {
	displaced := recorded(r.plan.Installed)
	if displaced != nil {
		if known := r.state.Installed; known != nil && known.SHA256 == displaced.SHA256 {
			displaced.Origin = known.Origin
		}
		attributes := r.target.Attributes
		displaced.Path, displaced.Attributes = r.target.OldPath, &attributes
	}
	next := Files{Installed: recorded(r.plan.New), Previous: displaced}
	next.Installed.Path = r.target.Path
	switch {
	case r.plan.Operation == OperationRollback:
		if known := r.state.Previous; known != nil && known.SHA256 == next.Installed.SHA256 {
			next.Installed.Origin = known.Origin
		}
	default:
		origin := r.plan.Origin
		next.Installed.Origin = &origin
		if r.plan.DropOld || displaced == nil {
			next.Previous = r.state.Previous
		}
	}
	return next
}

// writeState replaces the state beside the target.
func (r *run) writeState() error {
	r.state.Version = stateVersion
	if fleet.Free(r.state.Fence) != nil {
		r.state.Version = stateVersionHeld
	}
	text, err := json.Marshal(r.state)
	if err == nil {
		err = r.lock.WriteState(append(bytes.TrimSpace(text), '\n'))
	}
	var failed *durable.SyncError
	if err == nil || errors.As(err, &failed) {
		return err
	}
	var path *fs.PathError
	if errors.As(err, &path) && path.Path == r.target.StatePath() {
		err = path.Err // it is said once
	}
	return &StateError{Path: r.target.StatePath(), Err: err}
}

// storeState makes the state beside the target durable.
func (r *run) storeState() error {
	if err := r.writeState(); err != nil {
		return err
	}
	return r.lock.Sync()
}

// readState reads the target's state. One that is there and cannot be read or believed is kept in stateProblem: the target is not
// changed then, see mayPassFence. One that says it is a newer tbctl's is left to that, unless others can have written it.
func (r *run) readState() error {
	var there *File
	if r.installed != nil {
		there = &r.installed.file
	}
	state, readErr := r.ReadState(r.target, there)
	r.state, r.stateRead, r.stateProblem = state, readErr == nil, nil
	r.stateWriters = state.writers
	switch {
	case errors.Is(readErr, ErrStateVersion) && r.stateWriters.None():
		return readErr
	case errors.As(readErr, &r.stateProblem):
	case readErr != nil:
		r.warnHistory(readErr)
	}
	for _, name := range r.request.Forget {
		known := slices.Contains(r.state.DataFiles, name) || r.state.Reached != nil && r.state.Reached.With([]string{name})
		text := fmt.Sprintf("the data file %q is not remembered with this target: there is nothing to forget", name)
		if !known && !slices.Contains(r.plan.Warnings, text) {
			r.plan.Warnings = append(r.plan.Warnings, text)
		}
	}
	r.stateOurs = r.stateRead && r.stateWriters.None()
	if r.state.hearsay { // it is no reason to say that something was done already
		r.state.Last = nil
	}
	return nil
}
