package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tbctl/tbctl/internal/archive"
)

// A floor is what this machine needs for a thing whoever does it: a command that is run in turn
// with both sides. It is the command's time, or what the command prints.
type floor struct {
	command
	prints bool
	is     string // for the table
}

func (f floor) measure(ctx context.Context) (float64, error) {
	result, output, err := runCommand(ctx, f.command)
	if err != nil || !f.prints {
		return result.seconds, err
	}
	_, text, ok := strings.Cut(output, "floor ")
	if !ok {
		return 0, fmt.Errorf("no floor in: %s", output)
	}
	return strconv.ParseFloat(strings.TrimSpace(text), 64)
}

// installFloor runs each stage of an installation alone and prints what no installation can be
// faster than: the network, the slowest of the stages that can run at once, and the sync. It is
// a process of its own, and so has the environment of what it is compared with.
func installFloor(url, work string) error {
	var zip, executable []byte
	receive, err := fastest(func() (err error) { zip, err = receiveAll(url); return err })
	if err != nil {
		return err
	}
	inflate, err := fastest(func() error {
		var out bytes.Buffer
		out.Grow(len(executable))
		err := inflateTo(&out, zip)
		executable = out.Bytes()
		return err
	})
	if err != nil {
		return err
	}
	hash, err := fastest(func() error { sha256.Sum256(executable); return nil })
	if err != nil {
		return err
	}
	var write, sync time.Duration
	for run := range floorRuns {
		wrote, synced, err := writeAndSync(filepath.Join(work, "floor"), executable)
		if err != nil {
			return err
		}
		if run == 0 || wrote < write {
			write = wrote
		}
		if run == 0 || synced < sync {
			sync = synced
		}
	}
	fmt.Printf("receive %v, inflate %v, hash %v, write %v, sync %v\n", receive, inflate, hash, write, sync)
	fmt.Printf("floor %.6f\n", (receive + max(inflate, hash, write) + sync).Seconds())
	return nil
}

// floorRuns is how often a stage is run: the fastest is what the machine can do.
const floorRuns = 3

func fastest(stage func() error) (time.Duration, error) {
	var best time.Duration
	for run := range floorRuns {
		started := time.Now()
		if err := stage(); err != nil {
			return 0, err
		}
		if took := time.Since(started); run == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

func receiveAll(url string) ([]byte, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	return io.ReadAll(answer.Body)
}

func inflateTo(w io.Writer, zip []byte) error {
	reader, err := archive.NewReader(bytes.NewReader(zip))
	if err != nil {
		return err
	}
	_, err = reader.WriteTo(w)
	return err
}

func writeAndSync(name string, data []byte) (write, sync time.Duration, err error) {
	started := time.Now()
	file, err := os.Create(name)
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(name)
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return 0, 0, err
	}
	written := time.Now()
	err = file.Sync()
	return written.Sub(started), time.Since(written), err
}

// hashSpeed is how fast this process computes a SHA-256, in GB/s.
func hashSpeed() float64 {
	data := make([]byte, mebibyte)
	var best time.Duration
	for run := range 50 {
		started := time.Now()
		sha256.Sum256(data)
		if took := time.Since(started); run == 0 || took < best {
			best = took
		}
	}
	return mebibyte / best.Seconds() / 1e9
}
