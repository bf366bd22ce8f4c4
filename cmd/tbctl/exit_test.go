package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/extract"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/archive"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/input"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/vfs"
)

// TestExitCodes requires that each class of error has an exit code of its own, and that the documents name the
// codes and kinds that there are.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	var classes []fault.Class
	var rows, kinds []string
	for _, exit := range exits {
		kind := string(exit.class)
		if exit.class == fault.None {
			kind = "done"
		} else {
			classes, kinds = append(classes, exit.class), append(kinds, kind)
		}
		rows = append(rows, fmt.Sprintf("| %d | `%s` |", exit.code, kind))
	}
	if !slices.Equal(classes, fault.Classes()) {
		t.Errorf("the table has %q, of %q", classes, fault.Classes())
	}
	document, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile("(?m)^\\| [0-9]+ \\| `[a-z-]+` \\|").FindAllString(string(document), -1); !slices.Equal(found, rows) {
		t.Errorf("docs/exit-codes.md has %q, not %q", found, rows)
	}
	schema, err := os.ReadFile("../../docs/schema/common.json")
	if err != nil {
		t.Fatal(err)
	}
	var common struct {
		Defs struct {
			Error struct {
				Properties struct {
					Kind struct{ Enum []string }
				}
			} `json:"DocumentError"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(schema, &common); err != nil || !slices.Equal(common.Defs.Error.Properties.Kind.Enum, kinds) {
		t.Errorf("the schema has the kinds %q, not %q: %v", common.Defs.Error.Properties.Kind.Enum, kinds, err)
	}
}

// TestErrorsSayTheirClass requires the exit code of what the libraries return, with its first words of what to do.
func TestErrorsSayTheirClass(t *testing.T) {
	t.Parallel()
	attribute := &fsatomic.AttributeError{Path: "/srv/t", Attribute: "security.capability", Err: syscall.EPERM}
	artifact := func(err error) error {
		return &install.RejectedError{Source: "x", Err: &release.ArtifactError{Location: "x", Err: err}}
	}
	for _, test := range []struct {
		err  error
		code exitCode
		hint string
	}{
		{&durable.BusyError{Path: "/srv/lock"}, exitBusy, "wait for it: --wait 1m"},
		{fmt.Errorf("plan: %w", fsatomic.ErrChanged), exitBusy, "something else changed it"},
		{&install.PlanError{Problems: []error{attribute}}, exitRefused, "run it as root on a file system"},
		{&install.PlanError{Problems: []error{attribute, vfs.ErrReadOnly, fsatomic.ErrImmutable}}, exitFailed, "remount it writable (mount -o remount,rw), or install elsewhere: df TARGET shows what is mounted there; chattr"},
		{attribute, exitRefused, "run it as root on a file system"},
		{&install.RefusedError{Err: fsatomic.ErrNoOld}, exitRefused, "there is nothing to go back to"},
		{&install.StateError{Path: "/srv/s", Err: install.ErrStateVersion}, exitRefused, "use the tbctl that wrote it"},
		{&install.StateError{Path: "/srv/s", Err: &fs.PathError{Op: "read", Err: fsatomic.ErrStateFile}}, exitFailed, "move away what stands there"},
		{fmt.Errorf("install: %w", &install.UnknownFenceError{Target: "/srv/t", State: &install.StateError{Path: "/srv/s", Err: fsatomic.ErrStateFile}}), exitRefused, "look at it first: ls -l /srv/s; to go through whatever it says, which is recorded: "},
		{&install.UnknownFenceError{Target: "/srv/t", State: &install.StateError{Path: "/srv/s", Err: syscall.EIO}}, exitRefused, "look at it first"},
		{&install.UnknownFenceError{Target: "/srv/t", State: &install.StateError{Path: "/srv/s", Err: fsatomic.ErrChanged}}, exitBusy, "something else changed it"},
		{&install.StateError{Path: "/srv/s", Err: &durable.SyncError{Err: syscall.EIO}}, exitFailed, "the disk may be failing"},
		{&install.StateError{Path: "/srv/s", Err: fmt.Errorf("%w: %w", fsatomic.ErrRename, &fs.PathError{Op: "rename", Err: syscall.EPERM})}, exitFailed, "that file system, or a security module"},
		{&install.PlanError{Problems: []error{&fs.PathError{Op: "replace", Path: "/srv/.t.tbctl-lock", Err: fmt.Errorf("%w: it is a directory", fsatomic.ErrLockFile)}}}, exitFailed, "move away what stands there, and run the same command again: mv /srv/.t.tbctl-lock /srv/.t.tbctl-lock.away"},
		{&install.PlanError{Problems: []error{&fs.PathError{Op: "replace", Path: "/srv/.t.tbctl-state", Err: fsatomic.ErrStateKind}}}, exitFailed, "move away what stands there, and run the same command again: mv /srv/.t.tbctl-state /srv/.t.tbctl-state.away"},
		{&install.PlanError{Problems: []error{&fsatomic.AttributeError{Attribute: fsatomic.AttributeMode, Err: &fsatomic.ModeError{Want: 0o755, Got: 0o744, Err: errors.New("x")}}}}, exitRefused, "that file system keeps 0744, with which a replica can be started too: --mode 0744"},
		{&install.PlanError{Problems: []error{&fsatomic.AttributeError{Attribute: fsatomic.AttributeMode, Err: &fsatomic.ModeError{Want: 0o755, Got: 0o644, Err: errors.New("x")}}}}, exitRefused, "that file system lets no file be executed by its owner"},
		{&install.PlanError{Problems: []error{&fs.PathError{Op: "open", Err: syscall.EIO}}}, exitFailed, "the disk, or the way to it"},
		{&fs.PathError{Op: "lstat", Err: syscall.ENOTCONN}, exitFailed, "a file system is mounted there whose server has ended"},
		{&fs.PathError{Op: "lstat", Err: syscall.ESTALE}, exitFailed, "the server of that file system no longer knows the file"},
		{&install.JournalError{Path: "/srv/h", Err: &fs.PathError{Op: "read", Err: syscall.EIO}}, exitFailed, "the disk, or the way to it"},
		{&install.JournalError{Path: "/srv/h", Err: &fs.PathError{Op: "read", Err: syscall.EACCES}}, exitFailed, "name another place for the history"},
		{&install.StateError{Path: "/srv/s", Err: fmt.Errorf("%w: %w", vfs.ErrNoSpace, syscall.ENOSPC)}, exitFailed, "make room"},
		{&host.DataFileError{Name: "f", Err: &datafile.QuorumError{Reason: datafile.ErrNoCopy}}, exitRefused, "name a TigerBeetle data file"},
		{&host.DataFileError{Name: "f", Err: &datafile.QuorumError{Reason: datafile.ErrFork}}, exitRefused, "say which release runs instead"},
		{&host.DataFileError{Name: "f", Err: &datafile.VersionError{Version: 9}}, exitRefused, "say which release runs instead"},
		{&host.DataFileError{Name: "f", Err: fs.ErrNotExist}, exitFailed, "check the name"},
		{&extract.NotIncludedError{}, exitRejected, "see what it holds"},
		{&multiversion.FormatError{Rule: multiversion.RuleSchema}, exitRejected, "get the file again"},
		{&multiversion.FormatError{Rule: multiversion.RuleRead, Err: syscall.EIO}, exitFailed, "the disk, or the way to it"},
		{artifact(&release.TrustError{Require: release.RequireDigest}), exitRejected, "give what vouches for it"},
		{artifact(&release.TransferError{Err: &archive.FormatError{Rule: archive.RuleNoExecutable}}), exitRejected, "a release's archive holds one"},
		{artifact(release.ErrTooLarge), exitRejected, "no release is that large"},
		{&release.UnavailableError{Err: &release.TransferError{Err: &release.HTTPError{Status: 503}}}, exitFailed, "the server cannot answer now"},
		{&release.TransferError{Err: &net.OpError{Op: "write", Err: syscall.EPIPE}}, exitFailed, "check the network"},
		{&release.HTTPError{Status: 404}, exitFailed, "check the name"},
		{fmt.Errorf("%w: ca", release.ErrOption), exitUsage, "tbctl install --help-all"},
		{&release.TransferError{Err: &interrupt.Error{Signal: os.Interrupt}}, exitInterrupted, "run the same command again: nothing is half done"},
		{fmt.Errorf("read: %w", context.Canceled), exitInterrupted, "run the same command again: nothing is half done"},
		{failed("another hint", fmt.Errorf("read: %w", context.Canceled)), exitInterrupted, "run the same command again"},
		{rejected("", &fsatomic.UnknownStateError{Path: "/srv/t", Err: errors.New("x")}), exitUnknown, "find out what is on the disk: tbctl status /srv/t"},
		{&childError{code: 3}, 3, ""},
	} {
		got := classify(&app{ctx: t.Context(), command: "install", getenv: unset}, test.err)
		if got.code != test.code || !strings.HasPrefix(got.hint, test.hint) {
			t.Errorf("%T %v: code %d, hint %q, want %d and %q", test.err, test.err, got.code, got.hint, test.code, test.hint)
		}
	}
}

// TestHintsNameTheFileOfTheError: with several files on the command line a hint is about the one that the error is
// about, whichever was looked at last.
func TestHintsNameTheFileOfTheError(t *testing.T) {
	t.Parallel()
	a := &app{ctx: t.Context(), command: "inspect", about: hints.About{File: "first"}, getenv: unset}
	broken := &multiversion.FormatError{Rule: multiversion.RuleSchema}
	for name, err := range map[string]error{"second": fmt.Errorf("2 of 3: %w", input.OfFile("second", broken)), "first": broken} {
		if got := classify(a, err); !strings.HasSuffix(got.hint, "tbctl verify "+name) {
			t.Errorf("%s: %q", name, got.hint)
		}
	}
}

// TestSystemErrors requires an exit code and a next step for what the system says of a
// file, wherever it comes up.
func TestSystemErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		hint string
	}{
		{syscall.EDQUOT, "quota -s"},
		{fmt.Errorf("%w: %w", vfs.ErrNoSpace, syscall.EDQUOT), "quota -s"},
		{syscall.ENOSPC, "df"},
		{fmt.Errorf("%w: %w", vfs.ErrNoSpace, syscall.ENOSPC), "df"},
		{syscall.ENOTDIR, "as if it were a directory"},
		{syscall.ENAMETOOLONG, "shorter"},
		{syscall.ELOOP, "symbolic links"},
		{syscall.EROFS, "read-only"},
		{syscall.EIO, "dmesg"},
		{syscall.EMFILE, "ulimit -n"},
		{syscall.EACCES, "root"},
		{vfs.ErrNoCurrent, "cd to a directory"},
	} {
		a := &app{ctx: context.Background(), command: "download", getenv: unset}
		got := classify(a, fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "/srv/x", Err: test.err}))
		if got.code != exitFailed || !strings.Contains(got.hint, test.hint) || strings.Contains(got.hint, "; make room in") {
			t.Errorf("%v: code %d, hint %q, want 1 and %q", test.err, got.code, got.hint, test.hint)
		}
	}
}
