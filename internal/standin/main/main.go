//go:build linux

// Command main is the stand-in for a TigerBeetle replica as a program of its own, for tests.
package main

import (
	"os"

	"github.com/tbctl/tbctl/internal/standin/program"
)

func main() { os.Exit(program.Main(os.Args)) }
