package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
)

const (
	// RestartTimeout is the most time that a restart may take.
	RestartTimeout = 60 * time.Second

	saidSizeMax   = 4 << 10  // bytes that are kept of what a program says: its last ones
	cgroupSizeMax = 64 << 10 // bytes of /proc/PID/cgroup
	unitSizeMax   = 255      // bytes of a unit's name, as in systemd
)

// programDirs are where the host's own programs are looked for, whatever PATH says: it may be another's.
var programDirs = []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}

// ErrNoRestart says that it is not known how the replicas of a target are restarted.
var ErrNoRestart = fault.New(fault.Refused, `how it is restarted is not known: set restart = ["systemctl", "restart", "UNIT"] in /etc/tbctl/config.toml on this host`)

// Restarted is what was done to restart the replicas of a target. Whether they are back is to be seen at the replicas.
type Restarted struct {
	Command []string `json:"command"` // that was run, and ended well
	PIDs    []int    `json:"pids"`    // of the replicas that ran before
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
// the target's lock. It runs the command, which this host's own configuration has, or for none systemctl with the units that the
// replicas are in. What has begun is ended, at the latest after [RestartTimeout], whatever becomes of ctx.
//
// Errors are those of [install.Installer.While], one that matches [ErrNoRestart], before which nothing was done, or a [*ProgramError].
func (s *Site) Restart(ctx context.Context, request fleet.Fence, command []string, wait time.Duration) (*Restarted, error) {
	var done *Restarted
	warning, err := s.While(ctx, s.Target, request, fleet.PhaseAborting, wait, func(target fsatomic.Target, begins func(install.Restarted)) error {
		query, err := s.query(&target)
		if err != nil {
			return err
		}
		view, err := See(ctx, query)
		if err != nil {
			return err
		}
		restarted := &Restarted{Command: command}
		for index := range view.Processes {
			if view.Processes[index].Counts() {
				restarted.PIDs = append(restarted.PIDs, view.Processes[index].PID)
			}
		}
		if len(command) == 0 {
			if restarted.Command, err = restartUnits(restarted.PIDs); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), RestartTimeout)
		defer cancel()
		begins(install.Restarted{Command: restarted.Command, PIDs: restarted.PIDs})
		if _, err := runProgram(ctx, program{command: restarted.Command}); err != nil {
			return err
		}
		done = restarted
		return nil
	})
	if warning != nil {
		s.warn(warning.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("restart: %w", err)
	}
	return done, nil
}

// restartUnits is the command that restarts the services that processes are in.
func restartUnits(pids []int) ([]string, error) {
	if len(pids) == 0 {
		return nil, fmt.Errorf("no replica is seen to run from it, and so no unit: %w", ErrNoRestart)
	}
	own, err := cgroupsOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	var units []string
	for _, pid := range pids {
		cgroups, err := cgroupsOf(pid)
		if err != nil {
			return nil, err
		}
		unit := unitOf(cgroups)
		switch {
		case unit == "":
			return nil, fmt.Errorf("process %d is not in a service of systemd: %w", pid, ErrNoRestart)
		case unit == unitOf(own):
			return nil, fmt.Errorf("process %d is in the unit that this session is in, %s: %w", pid, unit, ErrNoRestart)
		}
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	return append([]string{"systemctl", "restart"}, units...), nil
}

// cgroupsOf reads what the kernel says of a process's control groups.
func cgroupsOf(pid int) (string, error) {
	file, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, cgroupSizeMax))
	return string(text), err
}

// unitOf is the system's service that a process is in, by the content of its cgroup file; "" if it is in none, or that cannot
// be told for sure: restarting a unit restarts all that is in it. So it is none of a user's own manager, and none of which the
// process is in a part, as a container in its engine's.
func unitOf(cgroups string) string {
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 || parts[1] != "" && parts[1] != "name=systemd" {
			continue
		}
		slices, unit := path.Split(parts[2])
		if isUnit(unit) && inSlices(slices) {
			return unit
		}
	}
	return ""
}

// isUnit says that a text is the name of a service that no program takes for an option.
func isUnit(name string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
	return strings.HasSuffix(name, ".service") && len(name) <= unitSizeMax && name[0] != '-' && name[0] != '.' && strings.Trim(name, characters) == ""
}

// inSlices says that a control group is a slice of the system's.
func inSlices(directory string) bool {
	if !strings.HasPrefix(directory, "/") || strings.HasPrefix(directory, "/user.slice/") {
		return false
	}
	for slice := range strings.SplitSeq(strings.Trim(directory, "/"), "/") {
		if !strings.HasSuffix(slice, ".slice") {
			return false
		}
	}
	return true
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
