package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/etcd"
	"github.com/tbctl/tbctl/engines/internal/testetcd"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/testhost"
	"github.com/tbctl/tbctl/state"
)

// leader makes this program one that says whether the member at an address leads.
const leader = "ENGINES_TEST_LEADER"

// TestMain makes this program tbctl-engines, when it is started as that.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == engine.Argument, len(os.Args) > 2 && os.Args[1] == "tuf":
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case os.Getenv(leader) != "":
		fmt.Println(leads(os.Getenv(leader)))
		os.Exit(0)
	}
	code := m.Run()
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(code)
}

func leads(endpoint string) bool {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return false
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	status, err := client.Status(ctx, endpoint)
	return err == nil && status.Leader == status.Header.MemberId
}

// script is a program that starts this one as tbctl-engines, by way of other words.
func script(t *testing.T, words ...string) string {
	t.Helper()
	self, err := os.Executable()
	path := filepath.Join(t.TempDir(), engine.Name)
	if err == nil {
		// A process that another test starts meanwhile would have the file open for writing for a moment, and then nobody could execute it.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		err = os.WriteFile(path, []byte("#!/bin/sh\nexec "+strings.Join(append(words, self), " ")+" \"$@\"\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// openAt opens the state by a program, trying again for as long as etcd does not answer.
func openAt(t *testing.T, program, where string) state.Store {
	t.Helper()
	for {
		started, err := engine.Start(t.Context(), program)
		if err != nil {
			t.Fatal(err)
		}
		store, err := started.OpenState(t.Context(), where)
		if err == nil {
			t.Cleanup(func() { store.Close() })
			return store
		}
		if !strings.Contains(err.Error(), engine.ErrSilent.Error()) || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// TestCommand holds what the program says without a session.
func TestCommand(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]int{"version": 0, "--help": 0, "": 2, "session more": 2, "other": 2} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(args), os.Stdin, &out, &errs); code != want || (out.Len() > 0) != (want == 0) || (errs.Len() > 0) != (want != 0) {
			t.Errorf("%q: exit code %d, %q, %q", args, code, &out, &errs)
		}
	}
}

// TestSession holds that what the program says of a place comes with its class, and that the state is there for the next one.
func TestSession(t *testing.T) {
	t.Parallel()
	program := script(t)
	for where, class := range map[string]fault.Class{"files": fault.Usage, "etcd://": fault.Usage, "etcd://127.0.0.1:1/x?ca-file=/none": fault.Failed} {
		started, err := engine.Start(t.Context(), program)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := started.OpenState(t.Context(), where); fault.Of(err) != class {
			t.Errorf("%s: %v", where, err)
		}
	}
	where := etcd.Scheme + testetcd.Start(t, "http://") + "/p"
	one, other := openAt(t, program, where), openAt(t, program, where)
	revision, err := one.Swap(t.Context(), "generation", []byte("7"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if value, seen, err := other.Get(t.Context(), "generation"); err != nil || string(value) != "7" || seen != revision {
		t.Errorf("%q, revision %d, %v", value, seen, err)
	}
	if _, err := other.Swap(t.Context(), "generation", nil, 0); !errors.Is(err, state.ErrStale) {
		t.Errorf("%v", err)
	}
	hold, err := one.Hold(t.Context(), "clusters/7", "ann@a")
	if err != nil {
		t.Fatal(err)
	}
	var held *state.HeldError
	if _, err := other.Hold(t.Context(), "clusters/7", "bob@b"); !errors.As(err, &held) || held.Holder.Who != "ann@a" {
		t.Errorf("%v", err)
	}
	if err := hold.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := other.Hold(t.Context(), "clusters/7", "bob@b"); err != nil {
		t.Error(err)
	}
	if err := other.Close(); err != nil { // gives it back
		t.Error(err)
	}
	if _, err := one.Hold(t.Context(), "clusters/7", "ann@a"); err != nil {
		t.Error(err)
	}
}

// TestLeaderCut cuts the leader of three members out of their network, and with it the controller beside it: that one finds out that
// it holds nothing any more, the other goes on, and what the first knew is stale when the network is whole again.
func TestLeaderCut(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skipf("skipped: it needs etcd, of Debian's etcd-server: %v", err)
	}
	fleet := testhost.Start(t, "etcd0", "etcd1", "etcd2")
	var members, clients []string
	for _, h := range fleet.Hosts {
		members = append(members, fmt.Sprintf("%s=http://%s:2380", h.Name, h.Address))
		clients = append(clients, h.Address+":2379")
	}
	ready := make(chan struct{})
	for index, h := range fleet.Hosts {
		command := h.Command("etcd", "--data-dir", filepath.Join(t.TempDir(), "etcd"), "--name", h.Name, "--initial-cluster", strings.Join(members, ","), "--logger", "zap",
			"--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", "http://"+clients[index],
			"--listen-peer-urls", "http://"+h.Address+":2380", "--initial-advertise-peer-urls", "http://"+h.Address+":2380")
		go func() {
			testetcd.Run(t, command)
			ready <- struct{}{}
		}()
	}
	for range fleet.Hosts {
		<-ready
	}
	where := etcd.Scheme + strings.Join(clients, ",") + "/tbctl"
	enter := func(h *testhost.Host) string {
		return script(t, "nsenter", "--all", "--target", strconv.Itoa(h.PID), "--")
	}

	var first, second *testhost.Host
	for first == nil && t.Context().Err() == nil {
		for index, h := range fleet.Hosts {
			self, _ := os.Executable()
			if output, _ := h.Command("env", leader+"=http://"+clients[index], self).Output(); strings.TrimSpace(string(output)) == "true" {
				first, second = h, fleet.Hosts[(index+1)%len(fleet.Hosts)]
			}
		}
	}
	ann, bob := openAt(t, enter(first), where), openAt(t, enter(second), where)
	stale, err := ann.Swap(t.Context(), "generation", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	hold, err := ann.Hold(t.Context(), "clusters/7", "ann@a")
	if err != nil {
		t.Fatal(err)
	}
	if holders, err := bob.Holders(t.Context(), ""); err != nil || len(holders) != 1 || holders[0].Who != "ann@a" {
		t.Fatalf("%+v, %v", holders, err)
	}

	first.Cut()
	cut := time.Now()
	<-hold.Lost()
	t.Logf("the controller that was cut off knew it after %v", time.Since(cut).Round(time.Millisecond))
	if err := hold.Err(); fault.Of(err) != fault.Fenced {
		t.Errorf("%v", err)
	}
	said := ""
	for {
		_, err := bob.Hold(t.Context(), "clusters/7", "bob@b")
		if err == nil {
			break
		}
		if text := err.Error(); text != said {
			said = text
			t.Logf("%v: %v", time.Since(cut).Round(time.Millisecond), err)
		}
		if _, held := errors.AsType[*state.HeldError](err); !held && !strings.Contains(err.Error(), engine.ErrSilent.Error()) {
			t.Fatal(err)
		}
	}
	t.Logf("the other one held it after %v", time.Since(cut).Round(time.Millisecond))
	value, revision, err := bob.Get(t.Context(), "generation")
	if err != nil || string(value) != "1" {
		t.Fatalf("%q, %v", value, err)
	}
	if _, err := bob.Swap(t.Context(), "generation", []byte("3"), revision); err != nil {
		t.Fatal(err)
	}

	if _, err := ann.Swap(t.Context(), "generation", []byte("2"), stale); err == nil || errors.Is(err, state.ErrStale) {
		t.Errorf("a swap without a majority: %v", err)
	}

	first.Connect()
	for {
		_, err := ann.Swap(t.Context(), "generation", []byte("2"), stale)
		if errors.Is(err, state.ErrStale) {
			break
		}
		if err == nil || !strings.Contains(err.Error(), engine.ErrSilent.Error()) {
			t.Fatalf("a stale swap: %v", err)
		}
	}
	var held *state.HeldError
	if _, err := ann.Hold(t.Context(), "clusters/7", "ann@a"); !errors.As(err, &held) || held.Holder.Who != "bob@b" {
		t.Errorf("%v", err)
	}
	if value, _, err := ann.Get(t.Context(), "generation"); err != nil || string(value) != "3" {
		t.Errorf("%q, %v", value, err)
	}
}
