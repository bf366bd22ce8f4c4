// Command tbctl puts TigerBeetle's multiversion binaries on servers safely.
//
// This package is the grammar, the composition of the libraries and the table of
// exit codes. A command's Run checks, makes one library call and
// hands the result to the app, which prints it as text or as JSON.
package main

import (
	"os"
	"runtime"
	"slices"

	"github.com/tbctl/tbctl/internal/demo"
)

// The process's first thread does nothing but wait for the command: the kernel gives a signal to that one, and where it waited for a
// file system that does not answer, it would not hear of the signal, and no other thread would be told. It takes a thread more.
func init() {
	if !asksVersion(os.Args[1:]) {
		runtime.LockOSThread()
	}
}

func main() {
	if code, standin := demo.Replica(os.Args); standin { // of tbctl demo, see package demo
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Getenv))
}

// asksVersion reports whether only the version is asked for, which is answered at once: scripts ask it of every host.
func asksVersion(args []string) bool { return slices.Equal(args, []string{"--version"}) }
