package replica_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/standin"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/replica"
)

// elsewhere is what is told of a process that may be one of the target's, "" for nothing.
func elsewhere(t *testing.T, target string, pid int, options replica.Options) string {
	t.Helper()
	view := look(t, target, options)
	for _, process := range view.Processes {
		if process.PID == pid {
			t.Errorf("it is among the target's: %+v", process)
		}
	}
	for _, unseen := range view.Unseen {
		if unseen.PID == pid && unseen.Kind == replica.UnseenElsewhere {
			return unseen.Reason
		}
	}
	return ""
}

// A file that another file system shows is another one by all that the system says of it: a replica that executes it may be
// one of the target's, whichever of the two is named, also after its file has been replaced.
func TestFindThroughFileSystem(t *testing.T) {
	t.Parallel()
	binary, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	place := t.TempDir()
	mountFUSE(t, filepath.Dir(binary), place)
	shown := filepath.Join(place, filepath.Base(binary))
	p := standin.Start(t, shown, dataFile, standin.Options{})
	if said := elsewhere(t, binary, p.PID(), replica.Options{}); !strings.Contains(said, shown) {
		t.Errorf("said %q", said)
	}
	installNext(t, binary, standin.Binary(t, "0.17.7", "0.17.5", "0.17.6"))
	if said := elsewhere(t, binary, p.PID(), replica.Options{}); said == "" {
		t.Error("nothing is said after the file was replaced")
	}
	below, data := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	view := t.TempDir()
	mountFUSE(t, filepath.Dir(below), view)
	q := standin.Start(t, below, data, standin.Options{})
	if said := elsewhere(t, filepath.Join(view, filepath.Base(below)), q.PID(), replica.Options{}); !strings.Contains(said, below) {
		t.Errorf("of the directory below: %q", said)
	}
}

// A copy is another target, with the same time, too, unless its replica has a data file of this one's.
func TestFindCopyElsewhere(t *testing.T) {
	t.Parallel()
	binary, _ := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	other, dataFile := standin.Install(t, standin.Binary(t, "0.17.6", "0.17.5"))
	info, err := os.Stat(binary)
	if err = errors.Join(err, os.Chtimes(other, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	p := standin.Start(t, other, dataFile, standin.Options{})
	if said := elsewhere(t, binary, p.PID(), replica.Options{}); said != "" {
		t.Errorf("of a copy: %q", said)
	}
	if said := elsewhere(t, binary, p.PID(), replica.Options{DataFiles: []string{dataFile}}); !strings.Contains(said, dataFile) {
		t.Errorf("with a data file of the target's: %q", said)
	}
}

// Who has a data file of the target's open to write is believed; one who may only read it is not, and neither gets in
// anybody's way from elsewhere.
func TestFindWriter(t *testing.T) {
	t.Parallel()
	target := program(t)
	data := filepath.Join(filepath.Dir(target), "0_0.tigerbeetle")
	testbin.WriteFile(t, data, []byte("no superblock"))
	if err := os.Chmod(data, 0o666); err != nil {
		t.Fatal(err)
	}
	options := replica.Options{DataFiles: []string{data}}
	for how, want := range map[string]bool{"read": true, "write": false} { // whether it stays a stranger
		p := helper(t, target, "open "+how+" "+data, mallory, target, "start", "--addresses=3000", data)
		if got := processOf(t, look(t, target, options), p.Process.Pid); got.Stranger != want || got.Counts() == want {
			t.Errorf("%s: stranger %t, counts %t", how, got.Stranger, got.Counts())
		}
	}
}
