package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/tufrepo"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/release"
)

const publishUsage = `usage: tbctl-engines tuf key FILE
       tbctl-engines tuf init DIR --root KEY… --targets KEY… --online KEY… [--threshold N]
       tbctl-engines tuf add DIR RELEASE FILE… [--key KEY…]
       tbctl-engines tuf add DIR --advisories FILE [--key KEY…]
       tbctl-engines tuf sign DIR --key KEY… [--renew]
       tbctl-engines tuf status DIR [--key KEY…]
       tbctl-engines tuf discard DIR
       tbctl-engines tuf id KEY…
       tbctl-engines tuf exchange DIR [--root KEY…] [--targets KEY…] [--online KEY…] [--threshold N] [--key KEY…]

Makes a repository of The Update Framework, from which "tbctl store import --from tuf+https://…" takes
releases. DIR/metadata and DIR/targets are copied to a web server as they are, timestamp.json last.
What lacks signatures waits in DIR/draft.

  key    makes a key: FILE, which only you may read, and FILE.pub for the one who makes the repository.
  init   makes a repository: root and targets need the signatures of N of their keys (1), and the online
         key signs what says that nothing is newer. A KEY is the file of a key, or of its public half.
  add    adds a release: archives as upstream releases them, or bare executables, one for each platform.
         Each is verified as a whole. With --advisories instead a list of what is to be known of releases,
         which takes the place of the one that is built into tbctl, wherever a release is imported from here.
  sign   adds signatures to what waits for them, and with the online key signs a new timestamp, which is
         good for 14 days. With --renew root (good for two years) or targets (one year) are signed again.
  status shows what is published and until when it is good, and what waits for whose signatures: of
         the keys that are named here it says the files.
  discard
         takes the draft back that waits for signatures. What is published stays.
  id     shows the ids of keys.
  exchange
         gives root, targets or online other keys: all that a role is to have from now on are named, and a role
         of which none is named keeps those that it has. Old root keys and new ones must sign, and the new keys what
         the old ones had signed; nothing is published before. Where the old keys of targets and the old online
         key sign too, whoever reads the repository sees it whole at every moment; that they are lost hinders nothing.

Flags are given once for each key. What has all its signatures is published at once.

Examples:

  tbctl-engines tuf key root.key
  tbctl-engines tuf init /srv/tuf --root root.key --root bob.key.pub --targets ann.key --targets bob.key.pub --online online.key --threshold 2
  tbctl-engines tuf add /srv/tuf 0.17.8 tigerbeetle-x86_64-linux.zip tigerbeetle-aarch64-linux.zip --key ann.key
  tbctl-engines tuf add /srv/tuf --advisories advisories.json --key ann.key
  tbctl-engines tuf sign /srv/tuf --key bob.key
  tbctl-engines tuf sign /srv/tuf --key online.key
  tbctl-engines tuf status /srv/tuf --key ann.key.pub --key bob.key.pub
  tbctl-engines tuf exchange /srv/tuf --targets ann.key --targets cat.key.pub --key root.key

Exit codes: 0 done; 1 failed; 2 usage; 3 a file is not whole, or of another release; 4 refused.
`

// list is a flag that is given once for each key.
type list []string

func (l *list) String() string { return strings.Join(*l, ", ") }

// Set adds a value.
func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// codes are the exit codes, as tbctl's.
var codes = map[fault.Class]int{
	fault.None: 0, fault.Failed: 1, fault.Usage: 2, fault.Rejected: 3, fault.Refused: 4, fault.Busy: 5, fault.Unknown: 6, fault.Interrupted: 130,
}

// publish is tbctl-engines tuf.
func publish(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	told, err := publishing(ctx, args)
	for _, line := range told {
		fmt.Fprintln(out, line)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, publishUsage)
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(errs, "%s: error: %v\n%s: hint: %s tuf --help\n", engine.Name, err, engine.Name, engine.Name)
	case err != nil:
		fmt.Fprintf(errs, "%s: error: %v\n", engine.Name, err)
	}
	code, known := codes[fault.Of(err)]
	if !known {
		code = 1
	}
	return code
}

var errUsage = fault.New(fault.Usage, "this is not how it is used")

func publishing(ctx context.Context, args []string) (told []string, err error) {
	if len(args) == 0 {
		return nil, errUsage
	}
	var root, targets, online, keys list
	flags := flag.NewFlagSet("tuf", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	threshold, renew, advisories := 1, false, ""
	switch args[0] {
	case "init":
		flags.Var(&root, "root", "")
		flags.Var(&targets, "targets", "")
		flags.Var(&online, "online", "")
		flags.IntVar(&threshold, "threshold", 1, "")
	case "exchange":
		flags.Var(&root, "root", "")
		flags.Var(&targets, "targets", "")
		flags.Var(&online, "online", "")
		flags.IntVar(&threshold, "threshold", 0, "")
		flags.Var(&keys, "key", "")
	case "sign":
		flags.BoolVar(&renew, "renew", false, "")
		flags.Var(&keys, "key", "")
	case "status":
		flags.Var(&keys, "key", "")
	case "add":
		flags.StringVar(&advisories, "advisories", "", "")
		flags.Var(&keys, "key", "")
	}
	words, err := parse(flags, args[1:])
	if err != nil {
		return nil, err
	}
	switch {
	case args[0] == "--help" || args[0] == "-h" || args[0] == "help":
		return nil, flag.ErrHelp
	case args[0] == "key" && len(words) == 1:
		id, err := tufrepo.MakeKey(words[0])
		if err != nil {
			return nil, err
		}
		return []string{"made " + words[0] + " and " + words[0] + ".pub, the key " + id}, nil
	case args[0] == "id" && len(words) > 0:
		known, err := tufrepo.ReadKeys(words)
		for _, key := range known {
			told = append(told, key.ID+" "+key.File)
		}
		return told, err
	case args[0] == "init" && len(words) == 1, (args[0] == "status" || args[0] == "discard") && len(words) == 1, args[0] == "add" && len(words) > 2 && advisories == "", args[0] == "add" && len(words) == 1 && advisories != "", args[0] == "sign" && len(words) == 1 && len(keys) > 0,
		args[0] == "exchange" && len(words) == 1 && (len(root)+len(targets)+len(online) > 0 || threshold > 0) && threshold >= 0:
	default:
		return nil, errUsage
	}
	all := make(map[string][]tufrepo.Key)
	for role, names := range map[string]list{"root": root, "targets": targets, "online": online, "key": keys} {
		read := tufrepo.ReadKeys
		if role == "key" && args[0] != "status" {
			read = tufrepo.ReadSigners
		}
		if all[role], err = read(names); err != nil {
			return nil, err
		}
	}
	var tag release.Tag
	if args[0] == "add" && advisories == "" {
		if tag, err = release.ParseTag(words[1]); err != nil || tag == release.Latest {
			return nil, fmt.Errorf("%w: %q is no release's number", errUsage, words[1])
		}
	}
	open := tufrepo.Open
	if args[0] == "init" {
		open = tufrepo.Create
	}
	repository, err := open(ctx, words[0])
	if err != nil {
		return nil, err
	}
	defer repository.Close()
	for _, named := range all {
		repository.Keys = append(repository.Keys, named...)
	}
	switch {
	case args[0] == "init":
		err = repository.Init(all["root"], all["targets"], all["online"], threshold)
	case args[0] == "status":
		err = repository.Status()
	case args[0] == "discard":
		err = repository.Discard()
	case args[0] == "exchange":
		err = repository.Exchange(all["root"], all["targets"], all["online"], threshold, all["key"])
	case advisories != "":
		err = repository.AddAdvisories(advisories, all["key"])
	case args[0] == "add":
		err = repository.Add(ctx, tag, words[2:], all["key"])
	default:
		err = repository.Sign(all["key"], renew)
	}
	return repository.Told, err
}

// parse takes flags wherever they stand, and returns the other words.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		if args = flags.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}
