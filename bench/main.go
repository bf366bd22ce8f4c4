// Command bench compares tbctl with what people would use instead, and prints a
// table of the targets of docs/performance.md:
//
//	go run ./bench
//
// Every figure is a ratio taken in this run, tbctl and its peer in turn (A B A
// B …), of whole processes: a shared machine tells nothing else. It needs the go
// command; gcc, curl, unzip, sha256sum, strace and tigerbeetle are peers that are named
// as missing where they are.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"text/tabwriter"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == memoryFlag {
		printMemory(os.Args[2:])
		return
	}
	rounds := flag.Int("rounds", 9, "how often each pair is run")
	only := flag.String("only", "", "run only the targets whose name contains this")
	floor := flag.String("floor", "", "print the floor of an installation from this URL, and nothing else")
	work := flag.String("work", ".", "the directory that the floor's files are written to")
	hash := flag.Bool("hash", false, "print the speed of SHA-256 in GB/s, and nothing else")
	flag.Parse()
	switch {
	case *hash:
		fmt.Printf("%.2f\n", hashSpeed())
		return
	case *floor != "":
		if err := installFloor(*floor, *work); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only string) error {
	fmt.Fprintln(os.Stderr, "building tbctl and the fixtures …")
	bed, err := newBed()
	if err != nil {
		return err
	}
	defer bed.close()
	if err := bed.fill(ctx); err != nil {
		return err
	}
	if err := bed.measureHashes(ctx); err != nil {
		return err
	}
	fmt.Printf("%s, %d processors, %s/%s, %s; medians of %d rounds, each A B\n", cpuName(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), rounds)
	fmt.Printf("SHA-256 in Go: %.2f GB/s; with %s %.2f GB/s\n\n", bed.hashes[0], strings.Join(withoutSHA, " "), bed.hashes[1])
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, columns)
	for _, target := range bed.targets() {
		if !strings.Contains(target.name, only) {
			continue
		}
		fmt.Fprintln(os.Stderr, target.name, "…")
		row, err := bed.measure(ctx, target, rounds)
		if err != nil {
			_ = table.Flush() // what was measured is still worth something
			return fmt.Errorf("%s: %w", target.name, err)
		}
		fmt.Fprintln(table, row)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if only == "" {
		fmt.Println()
		return bed.systemCalls(ctx)
	}
	return nil
}

// cpuName is the processor's name where the system tells it.
func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "a processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return "a processor"
}

// missing returns which of the programs are not there.
func missing(programs ...string) string {
	var names []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			names = append(names, program)
		}
	}
	return strings.Join(names, ", ")
}
