package render

import (
	"fmt"

	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/term"
)

// rolloutText says who holds a target.
func rolloutText(fence *fleet.Fence, alive bool) string {
	session := "no session of it is open"
	if alive {
		session = "its session is open"
	}
	return fmt.Sprintf("held by %s since %s (generation %d, epoch %d, %s); %s", term.Printable(fence.Holder.Who),
		fence.Holder.Since.Local().Format(timeFormat), fence.Generation, fence.Epoch, fence.Phase, session)
}

// despiteText says who changed a target that a rollout held.
func despiteText(record *install.Record) string {
	return fmt.Sprintf("%s by %s, %s", record.Operation, term.Printable(whoText(*record)), record.Time.Local().Format(timeFormat))
}
