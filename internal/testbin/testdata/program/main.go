// Program stands in for a release of TigerBeetle: it says which release it is
// and what it was given by whoever started it.
package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
)

// stamp is overwritten in the built file: a mark, the release, and the seed, padded with spaces to the same size.
var stamp = "tbctl-testbin-stamp:                                            "

func main() {
	release := strings.Fields(stamp[len("tbctl-testbin-stamp:"):])
	command := "version"
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	switch command {
	case "args": // argv, one a line
		for _, arg := range os.Args {
			say(arg)
		}
	case "env": // the variable named by the next argument
		say(os.Getenv(os.Args[2]))
	case "pid":
		say(strconv.Itoa(os.Getpid()))
	case "exe": // what runs, and under which name
		link, err := os.Readlink("/proc/self/exe")
		if err != nil {
			link = err.Error()
		}
		say(link)
		say(os.Args[0])
	case "exit": // with the code that is the next argument
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "wait": // for a signal, and say which
		signals := make(chan os.Signal, 1)
		signal.Notify(signals)
		say("waiting")
		say((<-signals).String())
	case "cat": // standard input to standard output
		os.Stdout.ReadFrom(os.Stdin)
	default:
		say("testbin version " + strings.Join(release, " "))
	}
}

func say(line string) { os.Stdout.WriteString(line + "\n") }
