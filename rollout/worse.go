package rollout

import (
	"slices"

	"github.com/tbctl/tbctl/fault"
)

// worst are the classes, the worst first, by which that of several hosts is told.
var worst = []fault.Class{
	fault.Unknown, fault.Fenced, fault.Rejected, fault.Refused, fault.Failed, fault.Interrupted, fault.Usage, fault.Busy, fault.None,
}

// Worse is the worse of two classes: what is not known on one host is worse than what was refused on another.
func Worse(a, b fault.Class) fault.Class {
	if slices.Index(worst, b) < slices.Index(worst, a) {
		return b
	}
	return a
}
