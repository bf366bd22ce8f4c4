package remote

import (
	"errors"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/depot"
)

// TestAnswerClipped holds that each text of what a host says is one line of a named size at most, which says that more was there, and that
// what is short is as it came.
func TestAnswerClipped(t *testing.T) {
	t.Parallel()
	session, err := testDialer().Dial(t.Context(), "wordy")
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	short := func(what, text string, size int) {
		t.Helper()
		if len(text) > size+40 || !strings.HasSuffix(text, " bytes more)") || strings.Contains(text, "\n") || !strings.HasPrefix(text, "ä ä ") {
			t.Errorf("%s: %d bytes, %.20q … %q", what, len(text), text, text[max(0, len(text)-30):])
		}
	}
	shown, err := session.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	short("the name", shown.Name, TextSizeMax)
	short("a problem", shown.Targets[0].Problem, TextSizeMax)
	short("a warning", shown.Targets[0].Warnings[1], TextSizeMax)
	if shown.Targets[0].Path != "/t" || shown.Targets[0].Warnings[0] != "short" {
		t.Errorf("%+v", shown.Targets[0])
	}
	_, err = session.Swap(t.Context(), SwapRequest{})
	var failed *AnswerError
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	short("a message", failed.Answer.Message, TextSizeMax)
	short("a hint", failed.Answer.Hint, HintSizeMax)
	short("a warning of a swap", failed.Answer.Warnings[0], TextSizeMax)

	const signature = "untrusted comment: x\nRUR\ntrusted comment: y\nabc\n"
	stored := StoreAnswer{Artifacts: []depot.Artifact{{Receipts: []depot.Receipt{{By: "a\nb", Signature: signature}}}}}
	clipAll(&stored)
	if r := stored.Artifacts[0].Receipts[0]; r.Signature != signature || r.By != "a b" {
		t.Errorf("%+v", r)
	}
}
