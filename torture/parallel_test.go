//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/internal/tinyelf"
)

// TestParallel runs 16 installations of two files of one release at once.
func TestParallel(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"5m", "0s"} {
		t.Run("wait "+wait, func(t *testing.T) {
			t.Parallel()
			for range sample(1, 10) {
				p := newPlace(t, quickDir(t))
				p.reset(t, binaryOld, nothing)
				other := tinyelf.Spec(platform(), 2, binaryNew, "0.17.6", binaryOlder, binaryOld)
				data := map[string][]byte{p.source(binaryNew): binaries(t)[binaryNew].data, p.source("other"): testbin.Build(t, other)}
				testbin.WriteFile(t, p.source("other"), data[p.source("other")])
				var running sync.WaitGroup
				results := make([]ran, 16)
				for index := range results {
					source := []string{p.source(binaryNew), p.source("other")}[index%2]
					args := p.args("install", source, p.target, "--wait", wait)
					command := exec.CommandContext(t.Context(), args[0], args[1:]...)
					command.Env = p.env
					running.Go(func() { results[index] = finish(t, command) })
				}
				running.Wait()
				p.judgeParallel(t, results, wait != "0s", data)
			}
		})
	}
}

func (p *place) judgeParallel(t *testing.T, results []ran, waited bool, data map[string][]byte) {
	t.Helper()
	tried("installations at once", len(results))
	installed := 0
	for _, result := range results {
		if result.code != 0 && (waited || result.code != 5) {
			t.Errorf("exit %d: %s", result.code, result.stderr)
		}
		if strings.HasPrefix(result.stdout, "installed") {
			installed++
		}
	}
	found, err := os.ReadFile(p.target)
	check(t, err)
	known := false
	for _, each := range data {
		known = known || bytes.Equal(found, each)
	}
	entries, err := os.ReadDir(p.dir)
	check(t, err)
	if !known || len(entries) != 4 { // with the previous file, the lock and the state
		t.Errorf("the target has %d bytes, beside it: %v", len(found), entries)
	}
	output, err := exec.Command(p.target).Output()
	if err != nil || !strings.HasPrefix(string(output), binaryNew) {
		t.Errorf("it prints %q, %v", output, err)
	}
	recorded := map[install.Result]int{}
	for _, record := range p.history(t, "parallel") {
		recorded[record.Result]++
	}
	if recorded[install.ResultInstalled] != installed || installed == 0 {
		t.Errorf("%d say that they installed, the history says %v", installed, fmt.Sprint(recorded))
	}
}
