package fsatomic_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/tbctl/tbctl/durable"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/vfs"
)

// helperVariable, when set, makes the test binary do one thing as a process of
// its own, see [helpers].
const helperVariable = "FSATOMIC_TEST_HELPER"

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVariable); name != "" {
		helper, ok := helpers[name]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such helper:", name)
			os.Exit(2)
		}
		if err := helper(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// helpers are what the test binary does as another process.
var helpers = map[string]func(args []string) error{
	"hold":    helperHold,
	"install": helperInstall,
	"wait":    helperWait,
	"check":   helperCheck,
}

// helperCommand is the test binary as the helper called name.
func helperCommand(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	check(t, err)
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), helperVariable+"="+name)
	return command
}

// started runs a helper until it says that it is ready. Closing stdin ends it.
func started(t *testing.T, command *exec.Cmd) (stdin io.WriteCloser) {
	t.Helper()
	stdin, err := command.StdinPipe()
	check(t, err)
	stdout, err := command.StdoutPipe()
	check(t, err)
	command.Stderr = os.Stderr
	check(t, command.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("helper said %q, %v", line, err)
	}
	return stdin
}

// helperWait says that it is ready and waits for the end of its input.
func helperWait([]string) error {
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// helperHold takes the lock of its argument and holds it.
func helperHold(args []string) error {
	fsys := vfs.OS()
	target, err := fsatomic.Lookup(fsys, args[0])
	if err != nil {
		return err
	}
	_, err = fsatomic.Acquire(context.Background(), fsys, target, fsatomic.LockOptions{Command: "hold for a test"})
	if err != nil {
		return err
	}
	return helperWait(nil)
}

// helperInstall installs its second argument at the first, with the umask that
// takes everything away and the attributes of the file that is there.
func helperInstall(args []string) error {
	umask(0o777)
	err := helperInstallOnce(args[0], args[1])
	if errors.Is(err, fsatomic.ErrAttribute) {
		fmt.Println(err)
		return nil
	}
	return err
}

func helperInstallOnce(name, contents string) error {
	ctx, fsys := context.Background(), vfs.OS()
	target, err := fsatomic.Lookup(fsys, name)
	if err != nil {
		return err
	}
	lock, err := fsatomic.Acquire(ctx, fsys, target, fsatomic.LockOptions{Wait: durable.WaitForever})
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := fsatomic.Recover(lock, fsatomic.Recorded{}); err != nil {
		return err
	}
	if target, err = fsatomic.Lookup(fsys, name); err != nil {
		return err
	}
	staged, err := fsatomic.Stage(lock, target, int64(len(contents)))
	if err != nil {
		return err
	}
	attrs := target.Attributes
	if !target.Exists {
		attrs = newAttributes
	}
	_, err = io.WriteString(staged, contents)
	if err == nil {
		err = staged.SetAttributes(attrs)
	}
	if err != nil {
		return errors.Join(err, staged.Abort())
	}
	_, err = staged.Commit(ctx, fsatomic.CommitOptions{})
	return err
}

// helperCheck prints the problems of replacing its argument, one a line.
func helperCheck(args []string) error {
	target, err := fsatomic.Lookup(vfs.OS(), args[0])
	if err != nil {
		return err
	}
	problems := append(target.Check(1, target.Attributes), target.CheckOwner(true, true)...)
	if len(problems) == 0 {
		if err := target.Try(vfs.OS(), target.Attributes); err != nil {
			problems = append(problems, err)
		}
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	return nil
}
