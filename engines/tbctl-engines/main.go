// Tbctl-engines is for machines that control rollouts: it keeps the state that they share in etcd,
// releases in registries, and takes them from repositories of The Update Framework. tbctl starts it and speaks with it;
// nobody else needs to.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/etcd"
	"github.com/tbctl/tbctl/engines/oci"
	"github.com/tbctl/tbctl/engines/tuf"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/state"
)

// buildVersion is set when a release is made.
var buildVersion = "devel"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

const usage = `usage: tbctl-engines session | version | tuf

It is started by tbctl, where the inventory's state is etcd://HOST:PORT,…/PREFIX,
and for store push and store import --from oci://HOST/REPOSITORY or tuf+https://HOST/PATH.
session speaks HTTP/2 on standard input and output.

tuf makes a repository of releases: tbctl-engines tuf --help
`

func run(args []string, in io.ReadCloser, out, errs io.Writer) int {
	if len(args) > 0 && args[0] == "tuf" {
		return publish(args[1:], out, errs)
	}
	switch strings.Join(args, " ") {
	case "version", "--version":
		fmt.Fprintln(out, engine.Name, buildVersion)
		return 0
	case "--help", "-h", "help":
		fmt.Fprint(out, usage)
		return 0
	case engine.Argument:
	default:
		fmt.Fprint(errs, usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	session := &engine.Session{Version: buildVersion, OpenState: openState, Registry: oci.Registries{Version: buildVersion}, Trust: tuf.Client{Version: buildVersion}}
	if err := session.Serve(ctx, in, out); err != nil {
		fmt.Fprintf(errs, "%s: error: %v\n", engine.Name, err)
		return 1
	}
	return 0
}

func openState(ctx context.Context, where string) (state.Store, error) {
	if !strings.HasPrefix(where, etcd.Scheme) {
		return nil, fault.New(fault.Usage, "a state that "+engine.Name+" keeps begins with "+etcd.Scheme)
	}
	place, err := etcd.ParsePlace(where)
	if err != nil {
		return nil, err
	}
	return etcd.Open(ctx, place)
}
