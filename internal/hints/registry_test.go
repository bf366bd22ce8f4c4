package hints

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/state"
)

// TestHintRegistry: what hinders a registry, a TUF repository or etcd has the next command, with the names that were typed.
func TestHintRegistry(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("0", 64)
	oci := Line{"store", "import", "--from", "oci://h.test:5000/a/tb:0.17.8"}
	push := Line{"store", "push", "store:0.17.8", "oci://h.test:5000/a/tb"}
	tuf, plain := Line{"store", "import", "0.17.8", "--from", "tuf+https://h.test/tb"}, Line{"store", "import", "0.17.8", "--from", "tuf+http://h.test/tb"}
	lost := &release.TransferError{Err: &release.HTTPError{Status: 404}}
	for _, tc := range []struct {
		line Line
		err  error
		want string
	}{
		{push, engine.ErrOCIDenied, "docker login h.test:5000, or podman login --authfile ~/.docker/config.json h.test:5000"},
		{oci, engine.ErrOCIMissing, "--from oci://h.test:5000/a/tb:TAG; skopeo list-tags docker://h.test:5000/a/tb shows"},
		{Line{"store", "import", "--from=oci://h.test:5000/a/tb" + digest}, engine.ErrOCIMissing, "skopeo list-tags docker://h.test:5000/a/tb shows"},
		{oci, engine.ErrOCIDigest, "the digest that tbctl store push printed"},
		{oci, engine.ErrOCI, "skopeo inspect --raw docker://h.test:5000/a/tb:TAG"},
		{oci, engine.ErrOCIAway, "curl -i https://h.test:5000/v2/"},
		{oci, engine.ErrOCIReference, "small letters"},
		{oci, engine.ErrOCILogin, "~/.docker/config.json"},
		{push, engine.ErrOCIMoved, "run the same command again"},
		{push, engine.ErrPlain, "tbctl store push store:0.17.8 oci://h.test:5000/a/tb --plain-http"},
		{Line{"store", "import", "--from", "oci://h.test:5000/a/tb" + digest}, engine.ErrPlain, "tbctl store import --from oci://h.test:5000/a/tb" + digest + " --plain-http"},
		{oci, engine.ErrAuthority, "--ca-file FILE"},
		{oci, engine.ErrCAFile, "as PEM"},
		{oci, &release.ArtifactError{Err: &release.TrustError{Require: release.RequireSignature}}, "it was pushed without a signature"},
		{tuf, engine.ErrPlain, "tuf+http://HOST/PATH with --plain-http"},
		{tuf, engine.ErrAuthority, "--ca-file FILE"},
		{plain, engine.ErrTUFReference, "tbctl store import 0.17.8 --from tuf+http://h.test/tb --plain-http"},
		{append(tuf, "--plain-http"), engine.ErrTUFReference, "leave out --plain-http"},
		{tuf, engine.ErrTUFOthers, "--root FILE"},
		{tuf, lost, "whether the copy on the server is whole"},
		{tuf, &release.ArtifactError{Err: fmt.Errorf("x: %w", release.ErrTooLarge)}, "the copy on the server was changed"},
		{Line{"fleet", "plan", "0.17.8"}, engine.ErrSilent, "endpoint status; without other controllers: --state files"},
		{Line{"fleet", "run", "plan.json"}, &state.LostError{Key: "cluster eu", Err: engine.ErrSilent}, "--state files --take-over"},
	} {
		known := Known{Command: strings.Join(tc.line[:2], " "), Line: tc.line}
		if hint, _ := known.Explain(fmt.Errorf("x: %w", tc.err), fault.Of(tc.err)); !strings.Contains(hint, tc.want) || strings.Contains(hint, "--help") {
			t.Errorf("%s: %v: %q, want %q", tc.line, tc.err, hint, tc.want)
		}
	}
}
