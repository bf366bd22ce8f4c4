// Package report is what tbctl prints with --json, as types that a Go program decodes:
//
//	var answer report.Document[*report.Status]
//	err := json.Unmarshal(output, &answer)
//
// It also makes the reports that more than one library has a part in: [NewStatus],
// [NewHistory], [Inspect] and [Verify] look and change nothing.
//
// The promise of docs/json.md holds for all of it: within version 1 fields are only added, a
// list is never null, sizes are in bytes, and times are in RFC 3339. Pointers are null, or
// absent where they are marked as optional (omitempty), for what the comment of the
// field says. docs/schema has a JSON Schema of each document, and a test compares them with
// these types.
package report

import (
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/watch"
)

type (
	// Outcome is the result of install and rollback: the plan, and what was done.
	Outcome = install.Outcome

	// Plan is what an installation or a rollback does, as --dry-run prints it.
	Plan = install.Plan

	// Watched is the result of watch --until.
	Watched = watch.Outcome
)
