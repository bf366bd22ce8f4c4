//go:build !linux

package extract

import (
	"context"

	"github.com/tbctl/tbctl/multiversion"
)

// Exec runs a release of the binary with [Run]: only Linux executes a file that has no name.
func Exec(ctx context.Context, binary *multiversion.Binary, release multiversion.Release, command Command) (exitCode int, err error) {
	return Run(ctx, binary, release, command)
}
