package shelf

import (
	"context"
	"errors"
	"fmt"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/verify"
)

// Keep stores what another end sent, as [depot.Writer.Commit] does, if it is a whole multiversion binary of that digest. Anything else is
// a [*verify.DamagedError], and nothing is stored: no host needs it, and it would take the room of what is needed.
func Keep(ctx context.Context, w *depot.Writer, digest string) (depot.Artifact, error) {
	if w.SHA256() == digest { // otherwise Commit says so
		report, err := verify.File(ctx, w, w.Size(), verify.Options{})
		if err == nil {
			err = report.Err(PrefixDigest + digest)
		}
		if err != nil {
			return depot.Artifact{}, errors.Join(fmt.Errorf("store: %w; nothing was stored: on the machine that sent it, see tbctl verify FILE", err), w.Abort())
		}
	}
	return w.Commit(ctx, digest)
}
