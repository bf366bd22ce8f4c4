package rollout_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
	"github.com/tbctl/tbctl/vfs"
)

// signer signs bytes, and has a public key as text.
type signer struct {
	line    string
	private minisign.PrivateKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return signer{release.PublicKeyLine(string(text)), private}
}

func (s signer) sign(t *testing.T, data []byte) string {
	t.Helper()
	reader := minisign.NewReader(bytes.NewReader(data))
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Fatal(err)
	}
	return string(reader.Sign(s.private))
}

// storedArtifact is a binary in a store of its own, with receipts.
func storedArtifact(t *testing.T, receipts ...depot.Receipt) (*depot.Depot, string, []byte) {
	t.Helper()
	binary := testbin.Build(t, testbin.Spec{
		Platform: multiversion.PlatformX86_64Linux, Current: release0178, ClientMin: release0177, Past: []testbin.Past{{Release: release0177}},
	})
	store := depot.Open(vfs.OS(), t.TempDir())
	writer, err := store.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(binary); err != nil {
		t.Fatal(err)
	}
	artifact, err := writer.Commit(t.Context(), "")
	if err == nil {
		err = store.AddReceipts(t.Context(), artifact.SHA256, receipts...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store, artifact.SHA256, binary
}

// TestOpenPlanned holds that what a plan says of its file is compared with the file, each field of it, and that a signature which it carries is
// one over the file: before anything is brought anywhere.
func TestOpenPlanned(t *testing.T) {
	t.Parallel()
	store, digest, binary := storedArtifact(t, depot.Receipt{Kind: "sha256sums", By: "SHA256SUMS", Source: "https://example.org/0.17.8", Time: time.Unix(1, 0)})
	opened, facts, err := rollout.OpenArtifact(t.Context(), store, digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	opened.Close()
	if !slices.Equal(facts.Vouched, []string{"sha256sums"}) || facts.Source != "https://example.org/0.17.8" {
		t.Errorf("%+v", facts)
	}
	ann, bob := newSigner(t), newSigner(t)
	for name, tc := range map[string]struct {
		change func(*fleet.Artifact)
		said   string // of an error of class rejected; "": there is none
	}{
		"as it is":                    {func(*fleet.Artifact) {}, ""},
		"from elsewhere":              {func(a *fleet.Artifact) { a.Source, a.Deflated, a.Vouched = "https://elsewhere", 5, []string{"tuf"} }, ""},
		"a signature":                 {func(a *fleet.Artifact) { a.Signature, a.SignedBy = ann.sign(t, binary), ann.line }, ""},
		"a signature of other bytes":  {func(a *fleet.Artifact) { a.Signature, a.SignedBy = ann.sign(t, binary[1:]), ann.line }, "signature"},
		"a signature by another":      {func(a *fleet.Artifact) { a.Signature, a.SignedBy = ann.sign(t, binary), bob.line }, "signature"},
		"no signature":                {func(a *fleet.Artifact) { a.Signature, a.SignedBy = "AAAA", ann.line }, "signature"},
		"no key":                      {func(a *fleet.Artifact) { a.Signature, a.SignedBy = ann.sign(t, binary), "release.pub" }, "public key"},
		"an older client":             {func(a *fleet.Artifact) { a.ClientMin = 1 << 8 }, "client_min is 0.1.0 in the plan, and 0.17.7 in the file"},
		"an older client of the past": {func(a *fleet.Artifact) { a.ClientMins = map[multiversion.Release]multiversion.Release{release0177: 1} }, "client_mins"},
		"a release more":              {func(a *fleet.Artifact) { a.Releases = append([]multiversion.Release{1}, a.Releases...) }, "releases"},
		"a stop more":                 {func(a *fleet.Artifact) { a.Visits = []multiversion.Release{release0177} }, "visits"},
		"another body":                {func(a *fleet.Artifact) { a.Checksum[0] ^= 1 }, "checksum"},
		"another size":                {func(a *fleet.Artifact) { a.Size++ }, "size"},
		"another platform":            {func(a *fleet.Artifact) { a.Platform = multiversion.PlatformAArch64Linux }, "platform"},
		"another release":             {func(a *fleet.Artifact) { a.Release++ }, "release"},
	} {
		plan := &fleet.Plan{Artifact: facts}
		tc.change(&plan.Artifact)
		artifact, err := rollout.OpenPlanned(t.Context(), store, plan, nil)
		if err == nil {
			artifact.Close()
		}
		if tc.said == "" && err != nil || tc.said != "" && (fault.Of(err) != fault.Rejected || !strings.Contains(err.Error(), tc.said)) {
			t.Errorf("%s: %v", name, err)
		}
		compared := rollout.CheckPlanned(t.Context(), store, plan)
		if wrong := err != nil && errors.Is(err, fleet.ErrArtifact); wrong != (compared != nil) {
			t.Errorf("%s: compared: %v", name, compared)
		}
	}
}

// TestPlanEvidence holds that a report has as evidence what this machine's store knows, and says of the rest that the plan says so.
func TestPlanEvidence(t *testing.T) {
	t.Parallel()
	sums := depot.Receipt{Kind: "sha256sums", By: "SHA256SUMS", Source: "https://example.org/0.17.8", Time: time.Unix(1, 0)}
	ann := newSigner(t)
	for name, tc := range map[string]struct {
		receipts []depot.Receipt
		change   func(t *testing.T, store *depot.Depot, a *fleet.Artifact, binary []byte)
		want     string
	}{
		"what the store knows": {[]depot.Receipt{sums}, nil, "file held, sha256sums held"},
		"what the plan says besides": {[]depot.Receipt{sums}, func(t *testing.T, _ *depot.Depot, a *fleet.Artifact, _ []byte) {
			a.Vouched = []string{"minisign", "tuf", "sha256sums"}
		}, "file held, sha256sums held, minisign not-checked, tuf not-checked"},
		"a signature that holds": {nil, func(t *testing.T, _ *depot.Depot, a *fleet.Artifact, binary []byte) {
			a.Vouched, a.Signature, a.SignedBy = []string{"minisign"}, ann.sign(t, binary), ann.line
		}, "file held, minisign held"},
		"a signature that does not": {nil, func(t *testing.T, _ *depot.Depot, a *fleet.Artifact, _ []byte) {
			a.Vouched, a.Signature, a.SignedBy = []string{"minisign"}, "AAAA", ann.line
		}, "file held, minisign failed"},
		"receipts that others may write": {[]depot.Receipt{sums}, func(t *testing.T, store *depot.Depot, a *fleet.Artifact, _ []byte) {
			if err := os.Chmod(store.Path(strings.TrimPrefix(a.SHA256, "sha256:"))+".receipts", 0o666); err != nil {
				t.Fatal(err)
			}
			a.Vouched = []string{"sha256sums"}
		}, "file held, sha256sums not-checked"},
		"other clients": {[]depot.Receipt{sums}, func(t *testing.T, _ *depot.Depot, a *fleet.Artifact, _ []byte) { a.ClientMin = 1 << 8 }, "file failed, sha256sums held"},
		"the store does not have it": {nil, func(t *testing.T, _ *depot.Depot, a *fleet.Artifact, binary []byte) {
			a.SHA256, a.Vouched, a.Signature, a.SignedBy = "sha256:"+strings.Repeat("0", 64), []string{"minisign"}, ann.sign(t, binary), ann.line
		}, "file not-checked, minisign not-checked"},
	} {
		store, digest, binary := storedArtifact(t, tc.receipts...)
		opened, facts, err := rollout.OpenArtifact(t.Context(), store, digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		opened.Close()
		if tc.change != nil {
			tc.change(t, store, &facts, binary)
		}
		plan := &fleet.Plan{Artifact: facts}
		r := rollout.Record(t.Context(), rollout.RecordOptions{Plan: plan, Store: store, Journal: &rollout.Journal{FS: vfs.OS(), Dir: t.TempDir()}})
		var words []string
		for _, e := range r.Evidence {
			words = append(words, e.Kind+" "+string(e.Status))
			if e.Detail == "" {
				t.Errorf("%s: %s: why is not said", name, e.Kind)
			}
		}
		if got := strings.Join(words, ", "); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
		unseen := strings.Join(r.Unseen, "\n")
		if vouched := slices.ContainsFunc(r.Evidence, func(e report.PlanEvidence) bool {
			return e.Kind != report.EvidenceFile && e.Status == release.StatusHeld
		}); vouched == strings.Contains(unseen, "Nothing that this machine knows of vouches") {
			t.Errorf("%s: %s", name, unseen)
		}
		if strings.Contains(tc.want, "not-checked") && !strings.Contains(unseen, "not checked here") {
			t.Errorf("%s: what was not checked is not said:\n%s", name, unseen)
		}
	}
}
