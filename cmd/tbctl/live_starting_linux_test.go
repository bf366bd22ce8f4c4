package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/watch"
)

// A replica that starts is told as one, at each of its steps and by each command.
func TestLiveStarting(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	l.tbctl("install", next, l.target).ends(0)
	hold := t.TempDir()
	for _, step := range []string{"0.17.8:execute-past", "0.17.6:opening"} {
		release := standin.Hold(t, hold, step)
		p := standin.Run(t, l.target, standin.Options{Hold: hold}, "start", "--addresses="+standin.Addresses(1), l.data)
		executes, at, _ := strings.Cut(step, ":")
		p.Must(executes + ": held at " + at)

		text := l.tbctl("status", l.target).ends(0)
		text.out = strings.Join(strings.Fields(text.out), " ")
		text.prints(fmt.Sprintf("%d replica starting - - 0.17.6 %s", p.PID(), l.data), fmt.Sprintf("%d: it is starting, since ", p.PID()),
			": it opens its data file of 0.17.6, and does not serve yet, and then upgrades to 0.17.7 when every replica of the cluster offers it")
		var document struct {
			Result struct {
				Replicas []struct {
					liveReplica
					State         string `json:"state"`
					StartingSince string `json:"starting_since"`
					OutlookKind   string `json:"outlook_kind"`
				} `json:"replicas"`
			} `json:"result"`
		}
		l.tbctl("status", l.target, "--json").ends(0).decode(&document)
		if found := document.Result.Replicas; len(found) != 1 || found[0].State != "starting" || found[0].StartingSince == "" || found[0].OutlookKind != "starting" {
			t.Errorf("%s: %+v", step, found)
		}

		starting := fmt.Sprintf("process %d is starting since ", p.PID())
		for _, until := range []string{"running=0.17.8", "running=0.17.6", "serving", "armed=0.17.8"} {
			unmet := l.tbctl("watch", l.target, "--until", until, "--patience", "50ms", "--interval", "10ms").ends(1, until+" is not met: no progress for 50ms; "+starting, ", on 0.17.6")
			if strings.Contains(unmet.out, "runs") || strings.Contains(unmet.out, "armed with nothing") {
				t.Errorf("%s: %s", step, unmet.out)
			}
			unmet.prints(fmt.Sprintf("replica %d is starting on 0.17.6, the release of its data file, since ", p.PID()))
		}
		l.tbctl("watch", l.target, "--until", "durable=0.17.6", "--timeout", "2m").ends(0)
		l.tbctl("install", next, l.target, "--wait-armed", "50ms").ends(1, "the file is installed, but not every replica has taken it", starting,
			fmt.Sprintf("tbctl: replica %d is starting on 0.17.6", p.PID()))

		release()
		for _, until := range []string{"armed=0.17.8", "running=0.17.6", "serving=0.17.6", "serving"} {
			l.until(until)
		}
		p.Kill()
	}
}

// The last host of a rolling script: it is armed, and serves with the new release before anybody
// goes on. What went on meanwhile is one event a step.
func TestLiveServing(t *testing.T) {
	t.Parallel()
	l := newLive(t, "0.17.6", "0.17.5")
	next := l.binary("0.17.8", "0.17.6", "0.17.7v")
	hold := t.TempDir()
	answers := standin.Hold(t, hold, "0.17.8:pong")
	p := l.start(standin.Options{Hold: hold})
	l.until("serving=0.17.6")
	l.tbctl("install", next, l.target, "--wait-armed", "2m").ends(0, "armed:")
	f := l.follow(l.target, "--json")
	f.until("replica 0.17.6")
	steps := map[string]func(){}
	for _, step := range []string{"0.17.7:opening", "0.17.8:opening"} {
		steps[step] = standin.Hold(t, hold, step)
	}
	l.allow("")
	for _, release := range []string{"0.17.7", "0.17.8"} {
		f.until("replica_starting " + release)
		p.Must(release + ": held at opening")
		steps[release+":opening"]()
		if release == "0.17.8" {
			f.until("replica_running " + release)
		}
	}
	_ = f.command.Process.Signal(os.Interrupt)
	f.ends()
	l.until("running=0.17.8")
	l.tbctl("watch", l.target, "--until", "serving=0.17.8", "--patience", "1s").ends(1, "does not serve: ask 127.", "no answer within a second")
	l.tbctl("status", l.target, "--json").ends(0).prints(`"no_answer_kind": "silent"`)
	answers()
	l.until("serving=0.17.8")
	var document struct {
		Result watch.Outcome `json:"result"`
	}
	met := l.tbctl("watch", l.target, "--until", "serving=0.17.8", "--timeout", "2m", "--json").ends(0)
	met.out = met.out[strings.LastIndex(strings.TrimSpace(met.out), "\n")+1:]
	met.decode(&document)
	if found := document.Result.Answers; len(found) != 1 || found[0].PID != p.PID() || found[0].Pong == nil || found[0].Pong.Release.String() != "0.17.8" {
		t.Errorf("answers %+v", found)
	}
	if strings.Contains(p.Log(), "unsupported client") {
		t.Errorf("it was asked by a client that it does not take:\n%s", p.Log())
	}
}
