package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/etcd"
	"github.com/tbctl/tbctl/engines/internal/testetcd"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/report"
)

// fleet is a cluster of stand-ins, each with a host of its own: tbctl host, started directly, with its own configuration.
type fleet struct {
	t        *testing.T
	dir      string
	program  string
	engines  string // the directory of tbctl-engines
	login    string // docker's configuration
	targets  []string
	replicas []*standin.Process
	restart  func() // of the first replica, which takes no file by itself
}

// startFleet starts replicas, of which the first does not look for a new file before it is restarted. settings are those of each host, and more is the inventory's.
func startFleet(t *testing.T, binary []byte, settings, more string) *fleet {
	t.Helper()
	program, err := buildTbctl()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, dir: t.TempDir(), program: program, engines: filepath.Dir(script(t))}
	addresses := standin.Addresses(3)
	ssh := filepath.Join(f.dir, "ssh")
	inventory := fmt.Sprintf("ssh = [%q]\n%s\n[[cluster]]\nname = \"ledger\"\nhosts = [\"tb0\", \"tb1\", \"tb2\"]\n", ssh, more)
	for index := range 3 {
		path, data := standin.InstallMember(t, binary, index, 3)
		f.targets = append(f.targets, path)
		options := standin.Options{Upgrade: "cluster", Args: []string{"--addresses=" + addresses}}
		if index == 0 {
			polls := options
			f.restart = func() {
				f.replicas[0].Kill()
				f.replicas[0] = standin.Start(t, path, data, polls)
			}
			options.Second = 24 * time.Hour
		}
		f.replicas = append(f.replicas, standin.Start(t, path, data, options))
		name := fmt.Sprintf("tb%d", index)
		f.write(name+".toml", fmt.Sprintf("target = %q\nstore = %q\nstate-dir = %q\n%s", path, f.dir+"/"+name+"-store", f.dir+"/"+name+"-state", settings), 0o600)
		inventory += fmt.Sprintf("[cluster.at.%q]\ntarget = %q\n", name, path)
	}
	f.write("ssh", fmt.Sprintf("#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nexec env -i PATH=\"$PATH\" TBCTL_CONFIG=%s/\"$2\".toml %s host\n", f.dir, program), 0o755)
	f.write("fleet.toml", inventory, 0o600)
	return f
}

func (f *fleet) write(name, text string, mode os.FileMode) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	syscall.ForkLock.RLock() // as script does
	err := os.WriteFile(path, []byte(text), mode)
	syscall.ForkLock.RUnlock()
	if err != nil {
		f.t.Fatal(err)
	}
	return path
}

func (f *fleet) command(args ...string) *exec.Cmd {
	command := exec.Command(f.program, append(args, "--state-dir", f.dir+"/controller")...)
	command.Env = append(os.Environ(), "PATH="+f.engines+":"+os.Getenv("PATH"), "TBCTL_CONFIG="+os.DevNull, "TBCTL_STORE="+f.dir+"/controller-store", "TBCTL_FLEET="+f.dir+"/fleet.toml", "DOCKER_CONFIG="+f.login)
	return command
}

// run runs a command of tbctl fleet to its end, and returns its document and exit code.
func (f *fleet) run(args ...string) (report.Document[report.Rollout], int) {
	f.t.Helper()
	command := f.command(append([]string{"fleet", args[0], "--json"}, args[1:]...)...)
	var errs bytes.Buffer
	command.Stderr = &errs
	output, _ := command.Output() // its exit code says it
	return f.document(output, errs.String()), command.ProcessState.ExitCode()
}

// document is the last line.
func (f *fleet) document(output []byte, errs string) (document report.Document[report.Rollout]) {
	f.t.Helper()
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	text := lines[len(lines)-1]
	if len(lines) > 1 && lines[0] == "{" {
		text = string(output) // of a command that shows nothing meanwhile
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		f.t.Fatalf("%v: %s%s", err, output, errs)
	}
	return document
}

// plan plans a release, and returns the plan's file.
func (f *fleet) plan(next []byte, args ...string) string {
	f.t.Helper()
	file := filepath.Join(f.dir, "plan.json")
	name := f.write("next", string(next), 0o755)
	command := f.command(append([]string{"fleet", "plan", name, "ledger", "-o", file}, args...)...)
	if output, err := command.CombinedOutput(); err != nil {
		f.t.Fatalf("%v: %s", err, output)
	}
	return file
}

// installed is how many targets have a file.
func (f *fleet) installed(data []byte) (count int) {
	f.t.Helper()
	for _, target := range f.targets {
		there, err := os.ReadFile(target)
		if err != nil {
			f.t.Fatal(err)
		}
		if bytes.Equal(there, data) {
			count++
		}
	}
	return count
}

// TestEtcdKilledWhileArming kills etcd in the middle of an arm: the run ends as one that holds nothing any more, the hosts are as they were, and
// with the state in files another run goes on.
func TestEtcdKilledWhileArming(t *testing.T) {
	t.Parallel()
	before, next := standin.Binary(t, "0.17.7", "0.17.6"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	address, member := testetcd.StartProcess(t, "http://")
	where := etcd.Scheme + address + "/tbctl"
	f := startFleet(t, before, "", fmt.Sprintf("state = %q", where))
	file := f.plan(next)
	if staged, code := f.run("stage", file); code != 0 || staged.Result.Clusters[0].Staged != 3 {
		t.Fatalf("stage: exit code %d, %+v", code, staged)
	}
	arm := f.command("fleet", "arm", file, "--json")
	var out, errs bytes.Buffer
	arm.Stdout, arm.Stderr = &out, &errs
	if err := arm.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		arm.Wait() // its exit code says it
		close(ended)
	}()
	t.Cleanup(func() {
		arm.Process.Kill()
		<-ended
	})
	for f.installed(next) == 0 {
		select {
		case <-ended:
			t.Fatalf("it ended before: %s%s", &out, &errs)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := member.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	<-ended
	t.Logf("the run ended %v after etcd was killed", time.Since(killed).Round(100*time.Millisecond))
	document := f.document(out.Bytes(), errs.String())
	if code := arm.ProcessState.ExitCode(); code != 7 || document.Error == nil {
		t.Errorf("exit code %d: %s%s", code, &out, &errs)
	} else {
		if !strings.Contains(document.Error.Message, "cluster ledger is not held any more") || !strings.Contains(document.Error.Hint, "--state files --take-over") {
			t.Errorf("%s; hint: %s", document.Error.Message, document.Error.Hint)
		}
		t.Logf("%s: %s", document.Error.Kind, document.Error.Message)
	}
	if count := f.installed(next); count != 1 || f.installed(before) != 2 {
		t.Errorf("%d targets have the next file, %d the one before", count, f.installed(before))
	}
	for index, replica := range f.replicas {
		if log := replica.Log(); strings.Contains(log, "0.17.8: listening") {
			t.Errorf("replica %d runs the release: %s", index, log)
		}
	}

	if refused, code := f.run("arm", file); code != 1 || refused.Error == nil {
		t.Errorf("without etcd it began: exit code %d, %+v", code, refused)
	}
	f.restart()
	armed, code := f.run("arm", file, "--state", "files", "--take-over")
	if code != 0 || armed.Result.Clusters[0].Armed != 2 || f.installed(next) != 2 || f.installed(before) != 1 {
		t.Errorf("with the state in files: exit code %d, %+v", code, armed)
	}
}

// TestStageFetches stages from a registry that gives tokens: hosts fetch what they lack, and whoever may not is sent it, with the reason.
func TestStageFetches(t *testing.T) {
	t.Parallel()
	r, _ := startTokens(t)
	before, next := standin.Binary(t, "0.17.7", "0.17.6"), standin.Binary(t, "0.17.8", "0.17.6", "0.17.7")
	file := &binary{path: filepath.Join(t.TempDir(), "tigerbeetle"), data: next, digest: fmt.Sprintf("%x", sha256.Sum256(next))}
	if err := os.WriteFile(file.path, next, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := r.speak(t, true).Push(t.Context(), file.push(r.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	settings := fmt.Sprintf("registries = [%q]\nca-file = %q\n", "https://"+r.address, r.ca)
	place := engine.SchemeOCI + r.address + "/tb?ca-file=" + r.ca
	f := startFleet(t, before, settings, fmt.Sprintf("artifacts = %q", place))
	f.login = r.login
	name := f.dir + "/tb2.toml"
	text, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, []byte(strings.Replace(string(text), settings, "", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	staged, code := f.run("stage", f.plan(next))
	if code != 0 || staged.Error != nil || staged.Result.Clusters[0].Staged != 3 {
		t.Fatalf("exit code %d, %+v", code, staged)
	}
	for _, row := range staged.Result.Clusters[0].Rows {
		own := row.Name == "tb2"
		if own != (row.Sent > 0) || own == (row.Copied > 0) || row.Had == 0 || own != strings.Contains(row.NotCopied, "registries = ") || !own && row.From != r.address+"/tb" {
			t.Errorf("%+v", row)
		}
		stored, err := os.ReadFile(filepath.Join(f.dir, row.Name+"-store", "sha256", file.digest))
		if err != nil || !bytes.Equal(stored, next) {
			t.Errorf("%s: %d bytes are stored, %v", row.Name, len(stored), err)
		}
	}
	var journal []byte
	plans, err := filepath.Glob(f.dir + "/controller/rollouts/*.jsonl")
	for _, name := range plans {
		text, readErr := os.ReadFile(name)
		journal, err = append(journal, text...), cmp.Or(err, readErr)
	}
	if err != nil || !strings.Contains(string(journal), `"class":"refused"`) && !strings.Contains(string(journal), "registries = ") || strings.Contains(string(journal), "eyJ") {
		t.Errorf("%v: %s", err, journal)
	}
}
