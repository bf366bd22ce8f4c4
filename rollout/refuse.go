package rollout

import (
	"slices"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fleet"
)

const (
	requireSignature = "signature" // as a host's configuration has it
	kindMinisign     = "minisign"  // of a receipt
)

// refusals are why a host will not put an artifact at a target, as far as that is known before it is sent: what the host requires to
// vouch for it. The host decides that, by its own key and the receipts of its own store; here it is only foreseen.
func refusals(o *fleet.Observation, artifact *fleet.Artifact, receipts []depot.Receipt) []fleet.Problem {
	if o.Problem != nil || o.Require == "" {
		return nil
	}
	signed := o.PublicKey != "" && (artifact.SignedBy == o.PublicKey || slices.ContainsFunc(receipts, func(r depot.Receipt) bool {
		return r.Kind == kindMinisign && r.By == o.PublicKey
	}))
	known := o.Require != requireSignature && slices.ContainsFunc(receipts, func(r depot.Receipt) bool { return r.Vouches() })
	if signed || known {
		return nil
	}
	refused := fleet.Problem{Host: o.Host, Replica: -1, Reason: fleet.ProblemUnvouched}
	sign := "sign the executable itself and bring that: minisign -S -m tigerbeetle, then tbctl fleet plan ./tigerbeetle --public-key KEY"
	switch {
	case o.Require != requireSignature:
		refused.Message = "its configuration requires a digest that the host knows by itself, and a controller's word is none"
		refused.Hint = "import it on " + o.Host + " too, from where you trust it: tbctl store import SOURCE; or set public-key there, and " + sign
	case o.PublicKey == "":
		refused.Message = "its configuration requires a signature, and has no public-key that can be read"
		refused.Hint = "set public-key in /etc/tbctl/config.toml on " + o.Host
	case artifact.Signature == "":
		refused.Message = "its configuration requires a signature by " + o.PublicKey + ", and none of the executable came with it: that of an archive says nothing of what is sent"
		refused.Hint = sign
	default:
		refused.Message = "its configuration requires a signature by " + o.PublicKey + ", and it is signed by " + artifact.SignedBy
		refused.Hint = sign
	}
	return []fleet.Problem{refused}
}
