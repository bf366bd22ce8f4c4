package replica

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/vfs"
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

const (
	// cmdlineMax bounds what is read of a command line, in bytes: it may have megabytes. A
	// replica's has a path or two and a few addresses.
	cmdlineMax = 64 << 10

	// argumentMax bounds what is kept of one argument: no path is longer.
	argumentMax = 4 << 10
)

// arguments is what the command line of a process says. Upstream's flags
// are --name or --name=value; all else is positional. What is kept of it holds no more memory
// than it needs: there may be hundreds of processes with long command lines.
type arguments struct {
	command    string // argv[0]
	subcommand string
	positional string // the last one
	noPolling  string // the flag that disables the polling
	addresses  string // of --addresses
	tooLong    bool   // something of it was left out
}

// parseArguments splits the content of /proc/PID/cmdline, or the first part of it.
func parseArguments(cmdline string) arguments {
	var parsed, words arguments // words are parts of cmdline
	words.tooLong = len(cmdline) >= cmdlineMax
	index := -2
	for word := range strings.SplitSeq(strings.TrimSuffix(cmdline, "\x00"), "\x00") {
		if index++; index < 0 {
			words.command = word
			continue
		}
		if addresses, ok := strings.CutPrefix(word, "--addresses="); ok {
			words.addresses = addresses
		}
		switch {
		case word == noPollingDevelopment || word == noPollingDevelopment+"=true" || word == noPollingAddresses:
			if words.noPolling == "" {
				words.noPolling = word
			}
		case strings.HasPrefix(word, "--"):
		case index == 0:
			words.subcommand = word
		default:
			words.positional = word
		}
	}
	if words.tooLong {
		words.positional = "" // the last one was not read
	}
	keep := func(word string) string {
		if len(word) > argumentMax {
			words.tooLong = true
			return ""
		}
		return strings.Clone(word)
	}
	parsed.command, parsed.subcommand, parsed.positional = keep(words.command), keep(words.subcommand), keep(words.positional)
	parsed.noPolling, parsed.addresses = keep(words.noPolling), keep(words.addresses)
	parsed.tooLong = words.tooLong
	return parsed
}

// parseCommand returns argv[0], as parseArguments does, of the first argumentMax+1 bytes of a command line.
func parseCommand(start string) string {
	command, _, _ := strings.Cut(start, "\x00")
	if len(command) > argumentMax {
		return ""
	}
	return strings.Clone(command)
}

// starts reports whether the command line is that of a replica, whatever it is called.
func (a arguments) starts() bool {
	return a.subcommand == subcommandStart && (a.addresses != "" || a.noPolling != "")
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

// nested reports whether the content of /proc/PID/status is that of a process in a PID namespace
// below ours: it has a number in each of them.
func nested(text string) bool {
	for line := range strings.Lines(text) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			return len(strings.Fields(ids)) > 1
		}
	}
	return false
}

// userUnknown is the user of a process of which nothing may be read, and every user who does not exist in the user
// namespace that we are in.
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

// The capabilities by which files are read and executed that the mode would not let.
const (
	capOverride = 1 << 1 // CAP_DAC_OVERRIDE
	capSearch   = 1 << 2 // CAP_DAC_READ_SEARCH
)

// parseAsks returns as whom a process asks the file system, in the content of /proc/PID/status. It is not known of a
// content that was cut off, by too many groups.
func parseAsks(text string) (as vfs.User, ok bool) {
	found := 0
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch name {
		case "Uid", "Gid":
			if len(fields) < 2 {
				return vfs.User{}, false
			}
			id, err := strconv.ParseUint(fields[1], 10, 32) // the effective one
			if err != nil {
				return vfs.User{}, false
			}
			if found++; name == "Uid" {
				as.UID = int(id)
			} else {
				as.Groups = append(as.Groups, int(id))
			}
		case "Groups":
			for _, field := range fields {
				if id, err := strconv.ParseUint(field, 10, 32); err == nil {
					as.Groups = append(as.Groups, int(id))
				}
			}
		case "CapEff":
			capable, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			if err != nil {
				return vfs.User{}, false
			}
			found++
			as.Override, as.Search = capable&capOverride != 0, capable&capSearch != 0
		}
	}
	return as, found == 3
}

// parseIDs returns which numbers of ours a user namespace has, in the content of /proc/PID/uid_map or gid_map.
func parseIDs(text string) []vfs.IDs {
	ids := []vfs.IDs{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		first, err := strconv.ParseUint(fields[1], 10, 32)
		count, countErr := strconv.ParseUint(fields[2], 10, 32)
		if err == nil && countErr == nil {
			ids = append(ids, vfs.IDs{First: int(first), Count: int(count)})
		}
	}
	return ids
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
