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
	rounds := flag.Int("rounds", 9, "how often each pair is run")
	only := flag.String("only", "", "run only the targets whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only string) error {
	fmt.Fprintln(os.Stderr, "building tbctl and the fixtures …")
	bed, err := newBed(ctx)
	if err != nil {
		return err
	}
	defer bed.close()
	fmt.Printf("%s, %d processors, %s/%s, %s; medians of %d rounds, each A B\n\n", cpuName(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), rounds)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\ttbctl\tpeer\tratio\ttarget\tmemory\tpeer is")
	for _, target := range bed.targets() {
		if !strings.Contains(target.name, only) {
			continue
		}
		fmt.Fprintln(os.Stderr, target.name, "…")
		row, err := target.measure(ctx, rounds)
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
