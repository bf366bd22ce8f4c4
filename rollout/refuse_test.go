package rollout

import (
	"strings"
	"testing"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
)

// What a host requires is compared with what the artifact has before anything is sent, and the refusal says what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	signed := fleet.Artifact{Signature: "text", SignedBy: "RWkey"}
	for name, test := range map[string]struct {
		require, key string
		artifact     fleet.Artifact
		receipts     []depot.Receipt
		message      string
		hint         string
	}{
		"nothing is required":         {"", "", fleet.Artifact{}, nil, "", ""},
		"signed":                      {"signature", "RWkey", signed, nil, "", ""},
		"signed, and a digest is due": {"digest", "RWkey", signed, nil, "", ""},
		"not signed":                  {"signature", "RWkey", fleet.Artifact{}, nil, "a signature by RWkey, and none", "minisign -S"},
		"by another":                  {"signature", "RWother", signed, nil, "a signature by RWother, and it is signed by RWkey", "minisign -S"},
		"no key":                      {"signature", "", signed, nil, "no public-key", "set public-key in /etc/tbctl/config.toml on tb0"},
		"a digest":                    {"digest", "", signed, nil, "a controller's word is none", "tbctl store import SOURCE"},
		"imported there":              {"digest", "", fleet.Artifact{}, []depot.Receipt{{Kind: depot.KindImport}, {Kind: "sha256sums"}}, "", ""},
		"imported there, unvouched":   {"digest", "", fleet.Artifact{}, []depot.Receipt{{Kind: depot.KindImport}}, "a controller's word is none", "tbctl store import SOURCE"},
		"imported there, signed":      {"signature", "RWkey", fleet.Artifact{}, []depot.Receipt{{Kind: "minisign", By: "RWkey"}}, "", ""},
		"imported there, by another":  {"signature", "RWkey", fleet.Artifact{}, []depot.Receipt{{Kind: "minisign", By: "RWother"}}, "and none of the executable", "minisign -S"},
	} {
		o := fleet.Observation{Host: "tb0", Require: test.require, PublicKey: test.key}
		got := refusals(&o, &test.artifact, test.receipts)
		if test.message == "" {
			if len(got) != 0 {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Class() != fault.Rejected || got[0].Host != "tb0" || !strings.Contains(got[0].Message, test.message) || !strings.Contains(got[0].Hint, test.hint) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
