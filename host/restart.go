package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/replica"
)

const (
	// RestartTimeout is the most time that a restart may take.
	RestartTimeout = 60 * time.Second

	saidSizeMax = 4 << 10 // bytes that are kept of what a program says: its last ones
)

// programDirs are where the host's own programs are looked for, whatever PATH says: it may be another's.
var programDirs = []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}

// ErrNoRestart says that it is not known how the replicas of a target are restarted.
var ErrNoRestart = fault.New(fault.Refused, `how it is restarted is not known: set restart = ["systemctl", "restart", "UNIT"] in /etc/tbctl/config.toml on this host`)

// ErrNotPutBack says that there is no reason to restart the replicas of a target.
var ErrNotPutBack = fault.New(fault.Refused, "no file was put back there since the replicas were restarted, and each one that runs holds the installed file: one that is stopped is started by hand")

// ErrRestarts says that the replicas of a target were restarted as often as a rollout may.
var ErrRestarts = fault.New(fault.Refused, fmt.Sprintf("%d restarts were begun since this claim of the rollout first changed the file there, which is all that it may: restart the replicas by hand", fleet.RestartsMax))

// Restarted is what was done to restart the replicas of a target. Whether they are back is to be seen at the replicas.
type Restarted struct {
	Command []string `json:"command"` // that was run, and ended well
	PIDs    []int    `json:"pids"`    // of the replicas that ran before

	// Skipped says of the other processes that run from the target why their units were not restarted: of the first ones, and how many
	// more there are; nil where the command is the host's own.
	Skipped []string `json:"skipped,omitempty"`

	// Warnings are what an operator must not miss, such as why the history has not all of it.
	Warnings []string `json:"warnings,omitempty"`
}

// ProgramError says that a program of this host did not do what it was started for.
type ProgramError struct {
	Command []string
	Said    string // its last words, at most 4 KiB; not filtered for a terminal
	NotRun  bool   // it could not be started
	Err     error
}

// Error has its last words.
func (e *ProgramError) Error() string {
	text := fmt.Sprintf("%q: %v", e.Command, e.Err)
	if e.Said != "" {
		text += ": it said: " + e.Said
	}
	return text
}

// Unwrap returns the cause.
func (e *ProgramError) Unwrap() error { return e.Err }

// Restart restarts the replicas of the site's target for the run of a rollout that has it and is aborting, under
// the target's lock, once for each file that was put back, and again where that failed, no replica runs after it, or one is seen to hold another file than the
// installed one: at most [fleet.RestartsMax] times for a claim. It runs the command, which this host's own configuration has, or for none systemctl with the units of the
// cluster's replicas. What has begun is ended, at the latest after [RestartTimeout], whatever becomes of ctx.
//
// Errors are those of [install.Installer.While], one that matches [ErrNoRestart], [ErrNotPutBack] or [ErrRestarts], before which nothing was done, or a
// [*ProgramError].
func (s *Site) Restart(ctx context.Context, request fleet.Fence, command []string, wait time.Duration) (*Restarted, error) {
	var done *Restarted
	warning, err := s.While(ctx, s.Target, request, fleet.PhaseAborting, wait, func(target fsatomic.Target, stored fleet.Fence, begins func(install.Restarted)) error {
		query, err := s.query(&target)
		if err != nil {
			return err
		}
		query.Remembered = nil // a data file that was seen with a process vouches for no process here
		view, err := See(ctx, query)
		if err != nil {
			return err
		}
		switch {
		case stored.Restarts >= fleet.RestartsMax:
			return ErrRestarts
		case !stored.PutBack && !s.holdAnother(ctx, &target, view.Processes, stored.Restarts > 0):
			return ErrNotPutBack
		}
		restarted := &Restarted{Command: command, PIDs: []int{}}
		if len(command) > 0 { // what that restarts is for it to say
			for index := range view.Processes {
				if view.Processes[index].Counts() {
					restarted.PIDs = append(restarted.PIDs, view.Processes[index].PID)
				}
			}
		} else {
			chosen := choose(view.Processes, request.Cluster, replica.OwnUnit())
			restarted.PIDs, restarted.Skipped = chosen.pids, firstOf(chosen.skipped)
			if restarted.Command, err = chosen.command(); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RestartTimeout)
		defer cancel()
		begins(install.Restarted{Command: restarted.Command, PIDs: restarted.PIDs, Skipped: restarted.Skipped})
		if _, err := runProgram(ctx, program{command: restarted.Command}); err != nil {
			return err
		}
		done = restarted
		return nil
	})
	switch {
	case err != nil && warning != nil:
		return nil, fmt.Errorf("restart: %w; besides, %v", err, warning)
	case err != nil:
		return nil, fmt.Errorf("restart: %w", err)
	case warning != nil:
		done.Warnings = append(done.Warnings, warning.Error())
	}
	return done, nil
}

// holdAnother says that a restart gives the replicas of a target another file: one is seen to hold another than the installed one in memory, or
// none of them runs after a restart. One that was stopped before any is the operator's to start.
func (s *Site) holdAnother(ctx context.Context, target *fsatomic.Target, processes []replica.Process, restarted bool) bool {
	processes = slices.DeleteFunc(slices.Clone(processes), func(process replica.Process) bool { return !process.Counts() })
	header, err := s.armedBy(ctx, target.Path, target)
	return restarted && len(processes) == 0 || slices.ContainsFunc(processes, func(process replica.Process) bool {
		return err == nil && process.Armed != nil && process.Armed.Checksum != header.ChecksumBinary
	})
}

// chosen are the replicas of a target whose units are restarted, and why each other one is left out.
type chosen struct {
	units   []string
	pids    []int
	skipped []string
}

// choose takes the units of those processes that are replicas of the cluster as surely as can be seen: who may execute the target can make
// a process that looks like one, also in a service that runs programs for users, and would say otherwise what root restarts. own is the unit
// of this session.
func choose(processes []replica.Process, cluster, own string) chosen {
	var c chosen
	for index := range processes {
		process := &processes[index]
		if !process.Counts() {
			continue
		}
		if why := notRestarted(process, cluster, own); why != "" {
			c.skipped = append(c.skipped, fmt.Sprintf("%s %s", process.Who(), why))
			continue
		}
		c.pids = append(c.pids, process.PID)
		if !slices.Contains(c.units, process.Unit) {
			c.units = append(c.units, process.Unit)
		}
	}
	return c
}

// notRestarted is why the unit of a process is not restarted; "" if it is.
func notRestarted(process *replica.Process, cluster, own string) string {
	switch {
	case process.Stranger:
		return "is of a user who is not known to run replicas of it"
	case process.Origin == replica.OriginUnknown:
		return "may not be looked into"
	case process.Superblock == nil:
		return "has a data file that cannot be read, so that its cluster is not known"
	case process.Superblock.Cluster.Hex() != cluster:
		return "is a replica of another cluster, " + process.Superblock.Cluster.Hex()
	case process.UID != 0 && !process.Holds:
		return "is of a user who neither owns its data file nor has it open to write"
	case process.Unit == "":
		return "is not in a service of systemd"
	case process.Unit == own:
		return "is in the unit that this session is in, " + own
	}
	return ""
}

// command is the one that restarts the units.
func (c *chosen) command() ([]string, error) {
	switch {
	case len(c.units) > 0:
		return append([]string{"systemctl", "restart"}, c.units...), nil
	case len(c.skipped) > 0:
		return nil, fmt.Errorf("%s: %w", strings.Join(firstOf(c.skipped), "; "), ErrNoRestart)
	}
	return nil, fmt.Errorf("no replica is seen to run from it, and so no unit: %w", ErrNoRestart)
}

// firstOf is the first of many texts, and how many more there are.
func firstOf(texts []string) []string {
	if more := len(texts) - saidMax; more > 0 {
		return append(slices.Clone(texts[:saidMax]), fmt.Sprintf("and %d more", more))
	}
	return texts
}

// findProgram is where a program of this host is.
func findProgram(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range programDirs {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && !strings.Contains(name, "/") {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s is not in %s", name, strings.Join(programDirs, ", "))
}

// CheckRestart refuses words that no program is started with.
func CheckRestart(words []string) error {
	if len(words) > 0 && strings.Contains(words[0], "/") && !filepath.IsAbs(words[0]) {
		return fmt.Errorf("%q: write the program's name, or its whole path, from / on", words[0])
	}
	if slices.ContainsFunc(words, func(word string) bool { return strings.ContainsRune(word, 0) }) {
		return errors.New("a word holds a NUL")
	}
	return nil
}

// lastWords is the end of what a program said.
func lastWords(said []byte) string {
	said = said[max(0, len(said)-saidSizeMax):]
	return strings.ToValidUTF8(string(bytes.TrimSpace(said)), "\ufffd")
}
