package replica

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	subcommandStart = "start"

	noPollingDevelopment = "--development"
	noPollingAddresses   = "--addresses=0"

	// ticksPerSecond is the unit of times in /proc/PID/stat (USER_HZ), which is
	// 100 on every architecture that TigerBeetle has releases for.
	ticksPerSecond = 100

	ticksMax = 1 << 40 // centuries
)

// arguments is what the command line of a process says. Upstream's flags
// are --name or --name=value; all else is positional.
type arguments struct {
	command    string // argv[0]
	subcommand string
	positional string // the last one
	noPolling  string // the flag that disables the polling
	addresses  string // of --addresses
}

// parseArguments splits the content of /proc/PID/cmdline.
func parseArguments(cmdline string) arguments {
	words := strings.Split(strings.TrimSuffix(cmdline, "\x00"), "\x00")
	parsed := arguments{command: words[0]}
	for index, word := range words[1:] {
		if addresses, ok := strings.CutPrefix(word, "--addresses="); ok {
			parsed.addresses = addresses
		}
		switch {
		case word == noPollingDevelopment || word == noPollingDevelopment+"=true" || word == noPollingAddresses:
			if parsed.noPolling == "" {
				parsed.noPolling = word
			}
		case strings.HasPrefix(word, "--"):
		case index == 0:
			parsed.subcommand = word
		default:
			parsed.positional = word
		}
	}
	return parsed
}

// resembles reports whether a process of which only the command line can be
// read may run from one of the names. An absolute path says it; of any other
// name the base is compared, and whether it starts something that looks like a
// replica.
func (a arguments) resembles(names []string) bool {
	if filepath.IsAbs(a.command) {
		return slices.Contains(names, filepath.Clean(a.command)) || slices.Contains(names, resolve(a.command))
	}
	base := filepath.Base(a.command)
	for _, name := range names {
		if base == filepath.Base(name) {
			return true
		}
	}
	return a.subcommand == subcommandStart && strings.HasSuffix(a.positional, ".tigerbeetle")
}

// resolve resolves the symlinks of a path, or of its directory if there is
// nothing at the path.
func resolve(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	if directory, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(directory, filepath.Base(path))
	}
	return path
}

// status is what /proc/PID/stat says of a process.
type status struct {
	started uint64 // in ticks since the boot
	kernel  bool   // a thread of the kernel
	ended   bool   // a zombie with all its threads; a thread alone may make place for an execution
	stopped bool   // by a signal or a tracer
}

// parseStatus parses the content of /proc/PID/stat. The second field is a
// name in parentheses, which may hold any bytes.
func parseStatus(stat string) (status, error) {
	const (
		indexState     = 0 // the manual page counts from 1, and the name is field 2
		indexFlags     = 6
		indexThreads   = 17
		indexStartTime = 19
		flagKernel     = 0x00200000 // PF_KTHREAD
	)
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= indexStartTime {
		return status{}, fmt.Errorf("stat has %d fields behind the name, want more than %d", len(fields), indexStartTime)
	}
	ticks, err := strconv.ParseUint(fields[indexStartTime], 10, 64)
	if err != nil {
		return status{}, fmt.Errorf("start time in stat: %w", err)
	}
	flags, err := strconv.ParseUint(fields[indexFlags], 10, 32)
	if err != nil {
		return status{}, fmt.Errorf("flags in stat: %w", err)
	}
	return status{
		started: ticks,
		kernel:  flags&flagKernel != 0,
		ended:   fields[indexState] == "Z" && fields[indexThreads] == "1",
		stopped: strings.EqualFold(fields[indexState], "T"),
	}, nil
}

// userUnknown is the user of a process of which nothing may be read.
const userUnknown = ^uint32(0)

// parseUser returns the real user id in the content of /proc/PID/status.
func parseUser(text string) (uint32, bool) {
	for line := range strings.Lines(text) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			fields := strings.Fields(ids)
			if len(fields) == 0 {
				return 0, false
			}
			uid, err := strconv.ParseUint(fields[0], 10, 32)
			return uint32(uid), err == nil
		}
	}
	return 0, false
}

const suffixDeleted = " (deleted)"

// cutDeleted returns the path in a link of /proc, and whether its file was deleted there.
func cutDeleted(link string) (string, bool) { return strings.CutSuffix(link, suffixDeleted) }

// parseBootTime returns the time of the boot in the content of /proc/stat, in
// seconds since 1970.
func parseBootTime(stat string) (int64, bool) {
	for line := range strings.Lines(stat) {
		if value, ok := strings.CutPrefix(line, "btime "); ok {
			boot, err := strconv.ParseUint(strings.TrimSpace(value), 10, 40)
			return int64(boot), err == nil
		}
	}
	return 0, false
}
