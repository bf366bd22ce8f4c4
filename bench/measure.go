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
	reset func() error // before each run, not timed
}

// target is one line of the table.
type target struct {
	name, want, peerName string
	ours, peer           command

	// speed makes both print a speed in GB/s, of which the ratio is taken.
	speed bool

	missing string // why there is no peer
}

// sample is one run of a process.
type sample struct {
	seconds float64
	speed   float64 // GB/s, for targets of speed
	memory  int64   // peak in bytes
}

// measure runs both sides in turn and returns a line of the table.
func (t target) measure(ctx context.Context, rounds int) (string, error) {
	var ours, peers []sample
	for round := range rounds + 1 {
		mine, err := once(ctx, t.ours, t.speed)
		if err != nil {
			return "", err
		}
		theirs := sample{}
		if t.missing == "" {
			if theirs, err = once(ctx, t.peer, t.speed); err != nil {
				return "", err
			}
		}
		if round > 0 { // the first warms up
			ours, peers = append(ours, mine), append(peers, theirs)
		}
	}
	memory := fmt.Sprintf("%.0f MiB", float64(slices.MaxFunc(ours, func(a, b sample) int { return int(a.memory - b.memory) }).memory)/(1<<20))
	if t.speed {
		memory = "-"
	}
	if t.missing != "" {
		return fmt.Sprintf("%s\t%s\t-\t-\t%s\t%s\tmissing: %s", t.name, t.text(ours), t.want, memory, t.missing), nil
	}
	return fmt.Sprintf("%s\t%s\t%s\t%.2f\t%s\t%s\t%s", t.name, t.text(ours), t.text(peers), t.ratio(ours, peers), t.want, memory, t.peerName), nil
}

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

// once runs a command to its end.
func once(ctx context.Context, c command, speed bool) (sample, error) {
	if c.reset != nil {
		if err := c.reset(); err != nil {
			return sample{}, err
		}
	}
	process := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	process.Env = append(os.Environ(), "LC_ALL=C")
	var output strings.Builder
	process.Stdout, process.Stderr = &output, &output
	started := time.Now()
	err := process.Run()
	took := time.Since(started)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", strings.Join(c.args, " "), err, output.String())
	}
	result := sample{seconds: took.Seconds(), memory: peakMemory(process.ProcessState)}
	if speed {
		if result.speed, err = readSpeed(output.String()); err != nil {
			return sample{}, err
		}
	}
	return result, nil
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
