package fleet

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A secret is in JSON alone, is read back from it, and what is none is refused without its being repeated.
func TestSecret(t *testing.T) {
	t.Parallel()
	secret := Secret{1, 2, 3}
	digits := hex.EncodeToString(secret[:])
	type request struct {
		Secret Secret `json:"secret"`
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		said := fmt.Sprintf(verb, request{secret}) + fmt.Sprintf(verb, &secret)
		if strings.Contains(strings.ToLower(said), digits[:6]) || strings.Contains(said, "1 2 3") || strings.Contains(said, "0x1, 0x2") {
			t.Errorf("%s: %s", verb, said)
		}
	}
	text, err := json.Marshal(request{secret})
	var read request
	if err != nil || json.Unmarshal(text, &read) != nil || read.Secret != secret || !strings.Contains(string(text), digits) {
		t.Errorf("%s, %v, read as %x", text, err, read.Secret[:])
	}
	for _, wrong := range []string{"", "00", digits + "00", strings.Repeat("hush", 16)} {
		err := json.Unmarshal(fmt.Appendf(nil, "{%q:%q}", "secret", wrong), &read)
		if err == nil || strings.Contains(err.Error(), "hush") || wrong != "" && strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

// Who has read all of a fence does not pass for its run.
func TestProve(t *testing.T) {
	t.Parallel()
	secret := Secret{1, 2, 3}
	ana := fence(4, 2, "a", "ana")
	ana.Proof = secret.ID()
	var id, nobody Secret
	if _, err := hex.Decode(id[:], []byte(ana.Proof)); err != nil {
		t.Fatal(err)
	}
	unkept := ana
	unkept.Proof = nobody.ID()
	for name, test := range map[string]struct {
		offered Fence
		secret  Secret
		want    Reason
	}{
		"its run":                         {ana, secret, ""},
		"its run in another phase":        {ana.in(PhaseArmed), secret, ""},
		"none":                            {ana, nobody, ReasonSecret},
		"none, and an id that is made so": {unkept, nobody, ReasonSecret},
		"the proof":                       {ana, id, ReasonSecret},
		"another run's":                   {ana, Secret{3, 2, 1}, ReasonSecret},
		"no proof":                        {fence(4, 2, "a", "ana"), secret, ReasonSecret},
	} {
		for _, stored := range []*Fence{nil, &ana} {
			if got := reason(t, Prove(stored, test.offered, test.secret)); got != test.want {
				t.Errorf("%s: %q, want %q", name, got, test.want)
			}
		}
	}
	// What another host was shown is of no use, neither as it is nor under the lock.
	run, others := Secret{9}, ana
	ana.Proof, others.Proof = run.For("tb0", "/opt/tb").ID(), run.For("tb1", "/opt/tb").ID()
	if got := reason(t, Prove(&ana, others, run.For("tb1", "/opt/tb"))); got != ReasonSecret {
		t.Errorf("with what another host was shown: %q", got)
	}
	_, err := Claim(&ana, others, true, true)
	if claimed, matched := reason(t, err), reason(t, Match(&ana, others)); claimed != ReasonEpoch || matched != ReasonEpoch || ana.SameRun(others) {
		t.Errorf("the proof of another host: claim %q, match %q", claimed, matched)
	}
	for _, other := range []Secret{run, run.For("tb1", "/opt/tb"), run.For("tb0", "/opt/tb2"), run.For("tb0/opt", "/tb"), secret.For("tb0", "/opt/tb")} {
		if other == run.For("tb0", "/opt/tb") {
			t.Error("two hosts, targets or runs have one secret")
		}
	}
	if err := Prove(&ana, Fence{}, secret); !errors.Is(err, ErrFence) {
		t.Errorf("a fence that is none: %v", err)
	}
}
