package replica

import (
	"path/filepath"
	"strings"
)

const (
	subcommandStart = "start"

	noPollingDevelopment = "--development"
	noPollingAddresses   = "--addresses=0"
)

// arguments is what the command line of a process says. Upstream's flags
// are --name or --name=value; all else is positional.
type arguments struct {
	command    string // argv[0]
	subcommand string
	positional string // the last one
	noPolling  string // the flag that disables the polling
}

// parseArguments splits the content of /proc/PID/cmdline.
func parseArguments(cmdline string) arguments {
	words := strings.Split(strings.TrimSuffix(cmdline, "\x00"), "\x00")
	parsed := arguments{command: words[0]}
	for index, word := range words[1:] {
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
// read may run from one of the names: it has a base name in common, or it
// starts something that looks like a replica.
func (a arguments) resembles(names []string) bool {
	base := filepath.Base(a.command)
	for _, name := range names {
		if base == filepath.Base(name) {
			return true
		}
	}
	return a.subcommand == subcommandStart && strings.HasSuffix(a.positional, ".tigerbeetle")
}
