package fsatomic

import (
	"strconv"
	"strings"

	"github.com/tbctl/tbctl/durable"
)

// Names beside a target NAME. All of them are hidden and begin alike, so that
// an operator and [Recover] know that they are tbctl's.
const (
	kindLock  = "lock"  // .NAME.tbctl-lock: the lock, never removed
	kindState = "state" // .NAME.tbctl-state: what is known of the target, see WriteState
	kindStage = "stage" // .NAME.tbctl-stage-RANDOM: a file in the making
	kindTry   = "try"   // .NAME.tbctl-try-RANDOM: an empty file on which something is tried out
	kindReady = "ready" // .NAME.tbctl-ready-INODE: complete; INODE is its own number
	kindPrev  = "prev"  // .NAME.tbctl-prev-INODE-OTHER: a link to or copy of OTHER, which INODE is to replace

	oldSuffix = "-old"
)

func lockName(name string) string { return durable.HiddenPrefix(name) + kindLock }

func stateName(name string) string { return durable.HiddenPrefix(name) + kindState }

func readyName(name string, inode uint64) string {
	return durable.HiddenPrefix(name) + kindReady + "-" + strconv.FormatUint(inode, 10)
}

func prevName(name string, inode, other uint64) string {
	return durable.HiddenPrefix(name) + kindPrev + "-" + strconv.FormatUint(inode, 10) + "-" + strconv.FormatUint(other, 10)
}

// beside is what the name of a file beside a target says.
type beside struct {
	kind  string
	inode uint64 // ready, prev: the file that is, or was, to be put in place
	other uint64 // prev: the file that was to be replaced
}

// parseName takes apart the name of a file beside the target called name. A name that this
// package does not make is not ok.
func parseName(name, entry string) (beside, bool) {
	rest, found := strings.CutPrefix(entry, durable.HiddenPrefix(name))
	if !found {
		return beside{}, false
	}
	kind, text, found := strings.Cut(rest, "-")
	if !found {
		return beside{}, false
	}
	var b beside
	switch kind {
	case kindStage, kindTry:
		return beside{kind: kind}, durable.IsRandomName(name, kind, entry)
	case kindReady:
		b = beside{kind, parseInode(text), 0}
		return b, entry == readyName(name, b.inode) && b.inode != 0
	case kindPrev:
		first, second, _ := strings.Cut(text, "-")
		b = beside{kind, parseInode(first), parseInode(second)}
		return b, entry == prevName(name, b.inode, b.other) && b.inode != 0 && b.other != 0
	}
	return beside{}, false
}

// keeper is the name of the target for which the entry of that name is kept in the same directory, where it has the name of the previous file, or
// one that begins as tbctl's own do; "": for none by that.
func keeper(entry string) string {
	if name, old := strings.CutSuffix(entry, oldSuffix); old {
		return name
	}
	if name, _, own := strings.Cut(strings.TrimPrefix(entry, "."), durable.HiddenPrefix("")[1:]); own && strings.HasPrefix(entry, ".") {
		return name
	}
	return ""
}

// parseInode returns 0 for a text that is not the number of an inode.
func parseInode(text string) uint64 {
	inode, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return inode
}
