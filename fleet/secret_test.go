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
	ana.Holder.ID = secret.ID()
	var id, nobody Secret
	if _, err := hex.Decode(id[:], []byte(ana.Holder.ID)); err != nil {
		t.Fatal(err)
	}
	unkept := ana
	unkept.Holder.ID = nobody.ID()
	for name, test := range map[string]struct {
		offered Fence
		secret  Secret
		want    Reason
	}{
		"its run":                         {ana, secret, ""},
		"its run in another phase":        {ana.in(PhaseArmed), secret, ""},
		"none":                            {ana, nobody, ReasonSecret},
		"none, and an id that is made so": {unkept, nobody, ReasonSecret},
		"the id":                          {ana, id, ReasonSecret},
		"another run's":                   {ana, Secret{3, 2, 1}, ReasonSecret},
		"an id that is no SHA-256":        {fence(4, 2, "a", "ana"), secret, ReasonSecret},
	} {
		for _, stored := range []*Fence{nil, &ana} {
			if got := reason(t, Prove(stored, test.offered, test.secret)); got != test.want {
				t.Errorf("%s: %q, want %q", name, got, test.want)
			}
		}
	}
	if err := Prove(&ana, Fence{}, secret); !errors.Is(err, ErrFence) {
		t.Errorf("a fence that is none: %v", err)
	}
}
