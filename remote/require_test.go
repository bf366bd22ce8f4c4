package remote

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/verify"
)

// signer makes a key, its public line, and signatures by it.
func signer(t *testing.T) (public string, sign func([]byte) string) {
	t.Helper()
	key, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key.String(), func(data []byte) string {
		message := minisign.NewReader(bytes.NewReader(data))
		if _, err := io.Copy(io.Discard, message); err != nil {
			t.Fatal(err)
		}
		return string(message.Sign(private))
	}
}

// What a host requires is met by a signature that holds by its own key, or by a receipt of its own store, and by nothing else that the
// other end says. A check says so beforehand, and a swap that is asked for all the same touches nothing.
func TestHostRequires(t *testing.T) {
	t.Parallel()
	binary := testbin.Build(t, testbin.Spec{Current: testbin.Release("0.17.8"), Past: testbin.PastOf("0.17.6", "0.17.7")})
	sum := sha256.Sum256(binary)
	digest := hex.EncodeToString(sum[:])
	key, sign := signer(t)
	_, signOther := signer(t)
	stated := fleet.Stated{Source: "https://releases.example/a.zip", Vouched: []string{"minisign", "tuf"}}
	receipt := func(kind release.EvidenceKind, by string) *depot.Receipt {
		return &depot.Receipt{Kind: string(kind), By: by, Source: "x", Who: "ann@host", Time: time.Unix(1, 0).UTC()}
	}
	for name, test := range map[string]struct {
		require, key, signature string
		receipt                 *depot.Receipt
		want                    string // of the refusal; "": it is put in place
	}{
		"nothing":                                   {"", "", "", nil, ""},
		"a signature, and there is none":            {"signature", key, "", nil, "a signature is required and none held"},
		"a key alone is a demand":                   {"", key, "", nil, "a signature is required and none held"},
		"a signature":                               {"signature", key, sign(binary), nil, ""},
		"of another key":                            {"signature", key, signOther(binary), nil, "it was made with key"},
		"of other bytes":                            {"signature", key, sign([]byte("an archive")), nil, "the signature does not hold"},
		"that is none":                              {"signature", key, "untrusted comment: x\n", nil, "the signature cannot be read"},
		"a signature, without a key to check it":    {"signature", "", sign(binary), nil, "no public-key that can be read"},
		"a key that cannot be read":                 {"", "/no/such/key", sign(binary), nil, "no public-key that can be read"},
		"a receipt of it in the host's own store":   {"signature", key, "", receipt(release.EvidenceMinisign, key), ""},
		"a receipt of a signature by another key":   {"signature", key, "", receipt(release.EvidenceMinisign, "RWother"), "a signature is required and none held"},
		"a receipt of a digest":                     {"signature", key, "", receipt(release.EvidenceSums, digest), "a signature is required and none held"},
		"a digest, which the controller says":       {"digest", "", "", nil, "a digest is required and none held"},
		"a digest, which the host's own store has":  {"digest", "", "", receipt(release.EvidenceSums, digest), ""},
		"what a plan said, in the host's own store": {"digest", "", "", receipt(depot.KindPlan, digest), "a digest is required and none held"},
		"an import that nothing vouched for":        {"digest", "", "", receipt(depot.KindImport, ""), "a digest is required and none held"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.Require, p.PublicKey = test.require, test.key
			p.Installer.Journal = &install.Journal{FS: p.Installer.FS, Dir: t.TempDir()}
			if err := os.Remove(p.target); err != nil {
				t.Fatal(err)
			}
			if status, answer := p.asked(http.MethodPut, pathPut+digest, binary); status != http.StatusOK {
				t.Fatalf("%d, %+v", status, answer)
			}
			if test.receipt != nil {
				if err := p.Store.AddReceipts(t.Context(), digest, *test.receipt); err != nil {
					t.Fatal(err)
				}
			}
			fence := testFence()
			fence.Artifact = "sha256:" + digest
			p.claim(t, fence)
			checked, err := p.checked(t.Context(), p.target, CheckRequest{Artifact: digest, Signature: test.signature})
			if err != nil {
				t.Fatal(err)
			}
			for _, check := range checked.Checks {
				wanted := verify.Held
				switch {
				case check.Question != host.QuestionVouched:
					continue
				case test.require == "" && test.key == "":
					wanted = verify.NotChecked
				case test.want != "":
					wanted = verify.Failed
				}
				if check.Status != wanted || !strings.Contains(check.Detail, test.want) || check.Detail == "" {
					t.Errorf("%+v, want %s, %q", check, wanted, test.want)
				}
			}
			swap, err := json.Marshal(SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: digest, Phase: fleet.PhaseArmed, Signature: test.signature, Stated: stated})
			if err != nil {
				t.Fatal(err)
			}
			status, answer := p.asked(http.MethodPost, pathSwap, swap)
			there, err := os.ReadFile(p.target)
			if test.want != "" {
				if answer.Class != fault.Rejected || !strings.Contains(answer.Message, test.want) || !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%d, %+v; at the target: %v", status, answer, err)
				}
				return
			}
			if status != http.StatusOK || !bytes.Equal(there, binary) {
				t.Errorf("%d, %+v; at the target: %d bytes, %v", status, answer, len(there), err)
			}
			p.says(t, digest, stated)
		})
	}
}

// says requires that the store and the history have what a plan said of the artifact, once and as that.
func (p *place) says(t *testing.T, digest string, stated fleet.Stated) {
	t.Helper()
	receipts, _, err := p.Store.Receipts(digest)
	if err != nil {
		t.Fatal(err)
	}
	receipts = slices.DeleteFunc(receipts, func(r depot.Receipt) bool { return r.Kind != depot.KindPlan })
	fence := testFence()
	if len(receipts) != 1 || receipts[0].Vouches() || receipts[0].By != fence.Plan || receipts[0].Source != stated.Source || receipts[0].Said != "minisign, tuf" || receipts[0].Who != fence.Holder.Who {
		t.Errorf("the store says %+v", receipts)
	}
	last, err := p.Installer.Journal.LastChange(p.target)
	if err != nil || last == nil || last.Rollout == nil {
		t.Fatalf("%v, %+v", err, last)
	}
	for _, kind := range stated.Vouched {
		if count := len(slices.DeleteFunc(slices.Clone(last.Trust), func(each install.Trust) bool { return each.Kind != kind })); count != 1 {
			t.Errorf("%s is in the history %d times: %+v", kind, count, last.Trust)
		}
	}
	if !slices.ContainsFunc(last.Trust, func(each install.Trust) bool {
		return each.Kind == "tuf" && each.Status == string(release.StatusNotChecked) && each.Detail == install.StatedByPlan
	}) {
		t.Errorf("the history says %+v", last.Trust)
	}
}

// TestHostStated holds that what no plan says is refused before anything is touched.
func TestHostStated(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, _, binary := binaries(t)
	digest, fence := p.claimFor(t, binary)
	before, err := os.ReadFile(p.target)
	if err != nil {
		t.Fatal(err)
	}
	for name, stated := range map[string]fleet.Stated{
		"a line more":       {Source: "x\ninstalled by root"},
		"a long source":     {Source: strings.Repeat("x", 5000)},
		"a kind of its own": {Vouched: []string{"minisign\n"}},
		"many kinds":        {Vouched: slices.Repeat([]string{"tuf"}, 17)},
	} {
		swap, err := json.Marshal(SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: digest, Phase: fleet.PhaseArmed, Stated: stated})
		if err != nil {
			t.Fatal(err)
		}
		status, answer := p.asked(http.MethodPost, pathSwap, swap)
		now, err := os.ReadFile(p.target)
		if answer.Class != fault.Usage || err != nil || !bytes.Equal(now, before) {
			t.Errorf("%s: %d, %+v, %v", name, status, answer, err)
		}
	}
}
