package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/verify"
)

// What a swap would find is found without one: nothing on the host is touched or locked, and each question is answered or has
// the reason why it is not.
func TestFleetCheck(t *testing.T) {
	t.Parallel()
	f := newLiveFleet(t, 2)
	f.serve(standin.Binary(t, "0.17.7", "0.17.6"))
	h := f.Hosts[0]
	ctx := t.Context()
	session := f.session(h.Name)
	good := put(t, session, standin.Binary(t, "0.17.8", "0.17.6", "0.17.7"))
	short := put(t, session, standin.Binary(t, "0.17.9", "0.17.8"))
	held := fenceOf(4, 1, "a", "ana")
	held.Artifact = "sha256:" + good
	state := func() string {
		return identity(t, h) + h.Run("sh", "-c", "find /usr/local/bin -printf '%p %i %t %c\\n' | sort")
	}
	before := state()
	for _, test := range []struct {
		name     string
		artifact string
		fence    *fleet.Fence
		ok       bool
		want     string // question and status, each once
	}{
		{"good", good, nil, true, "fence not-checked, vouched not-checked, file held, fit held, back held, place held, replica held, boot not-checked"},
		{"of a run that has not claimed", good, &held, false, "fence failed, vouched not-checked, file held, fit held, back held, place held, replica held, boot not-checked"},
		{"lacks what runs", short, nil, false, "fence not-checked, vouched not-checked, file held, fit failed, back held, place not-checked, replica failed, boot not-checked"},
	} {
		checked, err := session.Check(ctx, remote.CheckRequest{Fence: test.fence, Secret: secretOf(held), Artifact: test.artifact})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var got []string
		for _, check := range checked.Checks {
			if check.Question == host.QuestionReplica && check.PID == 0 && strings.Contains(check.Detail, "container") {
				continue // of every host in a test
			}
			got = append(got, fmt.Sprintf("%s %s", check.Question, check.Status))
			if check.Status != verify.Held && check.Detail == "" {
				t.Errorf("%s: %s: no reason", test.name, check.Question)
			}
		}
		if text := strings.Join(got, ", "); text != test.want || checked.OK != test.ok {
			t.Errorf("%s: ok %v\n%s, want\n%s\n%+v", test.name, checked.OK, text, test.want, checked.Checks)
		}
		if after := state(); after != before {
			t.Fatalf("%s: it was touched:\n%s, was\n%s", test.name, after, before)
		}
	}
	if _, err := session.Check(ctx, remote.CheckRequest{Artifact: strings.Repeat("0", 64)}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("what is not in the store: %v", err)
	}
}
