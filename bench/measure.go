package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is one side of a pair.
type command struct {
	args  []string
	env   []string
	reset func() error // before each run, not timed
}

// target is one line of the table.
type target struct {
	name, want, peerName string
	ours, peer           command

	// floor is what no program could beat on this machine; nil when nobody can say.
	floor     *floor
	wantFloor string

	// speed makes both print a speed in GB/s, of which the ratio is taken.
	speed bool

	missing string // why there is no peer
}

// sample is one run of a process.
type sample struct {
	seconds float64
	speed   float64 // GB/s, for targets of speed
}

// measure runs both sides and the floor in turn and returns a line of the table.
func (b *bed) measure(ctx context.Context, t target, rounds int) (string, error) {
	var ours, peers, floors []sample
	for round := range rounds + 1 {
		mine, err := t.once(ctx, t.ours)
		if err != nil {
			return "", err
		}
		var theirs, least sample
		if t.missing == "" {
			if theirs, err = t.once(ctx, t.peer); err != nil {
				return "", err
			}
		}
		if t.floor != nil {
			if least.seconds, err = t.floor.measure(ctx); err != nil {
				return "", err
			}
		}
		if round > 0 { // the first warms up
			ours, peers, floors = append(ours, mine), append(peers, theirs), append(floors, least)
		}
	}
	memory := "-"
	if !t.speed {
		peak, err := b.memory(ctx, t.ours)
		if err != nil {
			return "", err
		}
		memory = fmt.Sprintf("%.0f MiB", float64(peak)/mebibyte)
	}
	peer, ratio, peerName := "-", "-", "missing: "+t.missing
	if t.missing == "" {
		peer, ratio, peerName = t.text(peers), fmt.Sprintf("%.2f", t.ratio(ours, peers)), t.peerName
	}
	least, above := "-", "-"
	if t.floor != nil {
		least, above = t.text(floors), fmt.Sprintf("%.2f", t.ratio(ours, floors))
		peerName += "; floor: " + t.floor.is
	}
	return strings.Join([]string{t.name, t.text(ours), peer, ratio, t.want, least, above, t.wantFloor, memory, peerName}, "\t"), nil
}

// columns are the titles of what measure returns.
const columns = "what\ttbctl\tpeer\tratio\ttarget\tfloor\tratio\ttarget\tmemory\tpeer is"

func (t target) value(s sample) float64 {
	if t.speed {
		return s.speed
	}
	return s.seconds
}

func (t target) text(samples []sample) string {
	value := median(samples, t.value)
	if t.speed {
		return fmt.Sprintf("%.1f GB/s", value)
	}
	return fmt.Sprintf("%.1f ms", value*1000)
}

// ratio is the median of the ratios pair by pair.
func (t target) ratio(ours, peers []sample) float64 {
	ratios := make([]float64, len(ours))
	for index := range ours {
		ratios[index] = t.value(ours[index]) / t.value(peers[index])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func median(samples []sample, value func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for index, s := range samples {
		values[index] = value(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// once runs one side to its end.
func (t target) once(ctx context.Context, c command) (sample, error) {
	result, output, err := runCommand(ctx, c)
	if err == nil && t.speed {
		result.speed, err = readSpeed(output)
	}
	return result, err
}

// runCommand runs a command to its end and returns what it printed on standard output.
func runCommand(ctx context.Context, c command) (sample, string, error) {
	if c.reset != nil {
		if err := c.reset(); err != nil {
			return sample{}, "", err
		}
	}
	process := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	process.Env = append(append(os.Environ(), "LC_ALL=C"), c.env...)
	var output, complaints strings.Builder
	process.Stdout, process.Stderr = &output, &complaints
	started := time.Now()
	err := process.Run()
	took := time.Since(started)
	if err != nil {
		return sample{}, "", fmt.Errorf("%s: %w\n%s", strings.Join(c.args, " "), err, output.String()+complaints.String())
	}
	return sample{seconds: took.Seconds()}, output.String(), nil
}

// memoryFlag makes this program a small process that runs the command after it and prints its
// largest resident size in bytes.
const memoryFlag = "-memory"

// memory is the largest resident size of a command in bytes.
func (b *bed) memory(ctx context.Context, c command) (int64, error) {
	c.args = append([]string{b.self, memoryFlag}, c.args...)
	_, output, err := runCommand(ctx, c)
	if err != nil {
		return 0, err
	}
	lines := strings.Fields(output)
	return strconv.ParseInt(lines[len(lines)-1], 10, 64)
}

// printMemory is what a process does that was started with [memoryFlag].
func printMemory(args []string) {
	peak, err := runForMemory(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Println(peak)
}

// readSpeed finds the median speed in what the C loop or a Go benchmark
// printed: "best 20.1 median 19.8 mean 19.7 …", or "… 19800 MB/s".
func readSpeed(text string) (float64, error) {
	fields := strings.Fields(text)
	for index, field := range fields {
		switch {
		case field == "median" && index+1 < len(fields):
			return strconv.ParseFloat(fields[index+1], 64)
		case field == "MB/s" && index > 0:
			speed, err := strconv.ParseFloat(fields[index-1], 64)
			return speed / 1000, err
		}
	}
	return 0, errors.New("no speed in: " + text)
}
