//go:build unix && mutate

// Command mutate changes the program in one small way at a time, runs the tests of the changed
// package, and says which changes no test has noticed.
//
//	go run -tags mutate ./internal/mutate ./install ./fsatomic    every change to these packages
//	go run -tags mutate ./internal/mutate -since main             changes to the lines that differ from main
//	go run -tags mutate ./internal/mutate -named                  the changes in named.go, all of which must be noticed
//	go run -tags mutate ./internal/mutate -named ./install        those of them in this package
//	go run -tags mutate ./internal/mutate -named -for 5m -seed 7  as many as that takes, in the order of the seed
//
// A condition is negated or left out, an error is dropped where it is returned or made, a constant
// becomes another one, a statement is removed. Sources are not touched: the go command is given an
// overlay. A change that survives the package's own tests meets all of them (TORTURE=full), and then
// those elsewhere that hold the package's promises. Survivors are listed with their places; a change that makes no
// difference survives, too, so that a list is to be read, and is no failure. It is one with -named.
//
// The tag mutate keeps it and the type checker out of ./..., which the tests would compile and never run.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	since := flag.String("since", "", "only lines that differ from this commit; without packages, of all that it can change")
	bound := flag.Duration("for", 0, "stop after so long; 0 tries everything")
	seed := flag.Uint64("seed", 1, "the order in which changes are tried")
	named := flag.Bool("named", false, "the changes that must be noticed")
	list := flag.Bool("list", false, "list the changes and run nothing")
	flag.Parse()
	place, err := os.MkdirTemp("", "mutate-")
	if err == nil {
		err = os.Chmod(place, 0o755) // other users run in it, too
	}
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(place)
	t := trial{place: place, ends: time.Now().Add(*bound), bounded: *bound > 0}
	shuffle := rand.New(rand.NewPCG(*seed, *seed)).Shuffle
	if *named {
		return t.named(flag.Args(), shuffle)
	}
	packages := flag.Args()
	if len(packages) == 0 && *since == "" {
		flag.Usage()
		return 2
	}
	mutants, err := load(packages, *since)
	if err != nil {
		return fail(err)
	}
	shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
	if *list {
		for _, m := range mutants {
			fmt.Println(m)
		}
		return 0
	}
	return t.all(mutants)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "mutate:", err)
	return 1
}
