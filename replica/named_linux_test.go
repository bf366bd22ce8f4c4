package replica_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/replica"
)

// A replica looks for a new binary at the name that it was started by: another hard link of the target's file stays when the
// target is replaced, and a symbolic link leads to the target.
func TestFindByAnotherName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		start string // of $1, the target's directory, that is the working directory
		sees  replica.Sees
		looks string // below that directory
	}{
		{"the target", `exec "$1/tigerbeetle"`, replica.SeesTarget, ""},
		{"the target, relative", `exec ./tigerbeetle`, replica.SeesTarget, ""},
		{"the target, by PATH", `export PATH="$1:$PATH"; exec tigerbeetle`, replica.SeesTarget, ""},
		{"a symbolic link", `ln -s tigerbeetle link; exec "$1/link"`, replica.SeesTarget, ""},
		{"a hard link", `exec "$1/other"`, replica.SeesOther, "other"},
		{"a hard link, relative", `exec ./other`, replica.SeesOther, "./other"},
		{"a hard link, by PATH", `export PATH="$1:$PATH"; exec other`, replica.SeesOther, "other"},
		{"a symbolic link to a hard link", `ln -s other link; exec "$1/link"`, replica.SeesOther, "link"},
		{"the same name elsewhere", `mkdir sub; ln other sub/tigerbeetle; exec "$1/sub/tigerbeetle"`, replica.SeesOther, "sub/tigerbeetle"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
			dir := filepath.Dir(binary)
			if err := os.Link(binary, filepath.Join(dir, "other")); err != nil {
				t.Fatal(err)
			}
			p := standin.Run(t, "/bin/sh", standin.Options{}, "-ec", `cd "$1"; `+test.start+` start --addresses=`+standin.Addresses(1)+` "$1/0_0.tigerbeetle"`, "sh", dir)
			p.Must("listening")
			check := func(when string, want replica.Sees) {
				t.Helper()
				got := only(t, binary)
				hindrance, why := got.Hindrance()
				looks := strings.TrimPrefix(got.LooksAt, dir+"/")
				if got.Sees != want || looks != test.looks || (hindrance == replica.HindranceOtherFile) != (test.looks != "") {
					t.Errorf("%s: sees %q, looks at %q, %q: %s; want %q, %q", when, got.Sees, looks, hindrance, why, want, test.looks)
				}
			}
			check("before", test.sees)
			installNext(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
			check("after", test.sees)
		})
	}
}

// From memory it goes on looking there.
func TestFindByAnotherNameInMemory(t *testing.T) {
	t.Parallel()
	binary, data := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	standin.Replace(t, binary, standin.Binary(t, "0.17.8", "0.17.5", "0.17.6"))
	other := filepath.Join(filepath.Dir(binary), "other")
	if err := os.Link(binary, other); err != nil {
		t.Fatal(err)
	}
	standin.Start(t, other, data, standin.Options{})
	for range 2 {
		got := only(t, binary)
		checkRunning(t, got, "0.17.6", replica.SourcePack, true, replica.OriginMemory)
		if got.Sees != replica.SeesOther || got.LooksAt != other {
			t.Errorf("got %+v", got)
		}
		installNext(t, binary, standin.Binary(t, "0.17.9", "0.17.5", "0.17.6"))
	}
}

// The target's directory by another path shows what takes its place, and another name in it does not.
func TestFindByAnotherNameInMount(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]replica.Sees{"tigerbeetle": replica.SeesTarget, "other": replica.SeesOther} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
			if err := os.Link(binary, filepath.Join(filepath.Dir(binary), "other")); err != nil {
				t.Fatal(err)
			}
			contained(t, `mount --bind "$1" /mnt; exec /mnt/`+name+` start --addresses=`+standin.Addresses(1)+` /mnt/0_0.tigerbeetle`, filepath.Dir(binary))
			if got := only(t, binary); got.Sees != want || (got.LooksAt != "") != (name == "other") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// The same in a mount of this namespace, where the kernel spells the file by the other path.
func TestFindByAnotherNameInMountHere(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("skipped: it needs root")
	}
	binary, data := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	if err := os.Link(binary, filepath.Join(filepath.Dir(binary), "other")); err != nil {
		t.Fatal(err)
	}
	point := t.TempDir()
	if output, err := exec.Command("mount", "--bind", filepath.Dir(binary), point).CombinedOutput(); err != nil {
		t.Skipf("skipped: %v: %s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", point).Run() })
	for name, want := range map[string]replica.Sees{"tigerbeetle": replica.SeesTarget, "other": replica.SeesOther} {
		p := standin.Start(t, filepath.Join(point, name), data, standin.Options{})
		if got := only(t, binary); got.Sees != want {
			t.Errorf("%s: got %+v", name, got)
		}
		p.Kill()
	}
}
