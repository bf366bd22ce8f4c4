package replica

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// processIn makes the directory of a process in a network namespace, whose table has listeners with
// these numbers, at the ports of the same numbers.
func processIn(t *testing.T, p *place, namespace string, inodes ...int) *look {
	t.Helper()
	dir := t.TempDir()
	table := "  sl  local_address rem_address   st\n"
	for _, inode := range inodes {
		table += fmt.Sprintf("   0: 0100007F:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 %d 1 0 100 0 0 10 0\n", inode, inode)
	}
	for _, each := range []string{"net", "ns"} {
		if err := os.Mkdir(filepath.Join(dir, each), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "net/tcp"), []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	if namespace != "" {
		if err := os.Symlink(namespace, filepath.Join(dir, "ns/net")); err != nil {
			t.Fatal(err)
		}
	}
	held, err := openEntry(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.close)
	return &look{ctx: t.Context(), place: p, entry: held}
}

// The table of a namespace is read once for all who listen there, and again for one who seems not to.
func TestListenersShared(t *testing.T) {
	t.Parallel()
	p := &place{}
	first := processIn(t, p, "net:[1]", 11, 12)
	for _, step := range []struct {
		name    string
		look    *look
		sockets []uint64
		want    string
	}{
		{"first", first, []uint64{11}, "[127.0.0.1:11]"},
		{"another one there, of whose own table nothing is read", processIn(t, p, "net:[1]"), []uint64{12}, "[127.0.0.1:12]"},
		{"both", processIn(t, p, "net:[1]"), []uint64{12, 99, 11}, "[127.0.0.1:11 127.0.0.1:12]"},
		{"one that began to listen since", processIn(t, p, "net:[1]", 13), []uint64{13}, "[127.0.0.1:13]"},
		{"one that does not listen", first, []uint64{14}, "[]"},
		{"another namespace", processIn(t, p, "net:[2]"), []uint64{11}, "[]"},
		{"a namespace that cannot be seen", processIn(t, p, ""), []uint64{11}, "[]"},
		{"the first again", processIn(t, p, "net:[1]"), []uint64{11}, "[127.0.0.1:11]"},
	} {
		sockets := make(map[uint64]bool)
		for _, each := range step.sockets {
			sockets[each] = true
		}
		if got, _, err := step.look.ends(sockets); err != nil || fmt.Sprint(got) != step.want {
			t.Errorf("%s: %v, %v, want %s", step.name, got, err, step.want)
		}
	}
}

// More than are remembered are found all the same, and no more than those are remembered.
func TestListenersMany(t *testing.T) {
	t.Parallel()
	p := &place{}
	inodes := slices.Repeat([]int{1}, sharedMax+1)
	for index := range inodes {
		inodes[index] = index + 1
	}
	l := processIn(t, p, "net:[1]", inodes...)
	for range 2 {
		if got, _, err := l.ends(map[uint64]bool{sharedMax + 1: true}); err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got := len(p.networks.table("net:[1]").at); got != sharedMax {
		t.Errorf("%d are remembered, want %d", got, sharedMax)
	}
}

// Connections are those of the process's own sockets, also where more are there than are remembered.
func TestConnectionsMany(t *testing.T) {
	t.Parallel()
	p := &place{}
	l := processIn(t, p, "net:[1]", 7)
	table := "  sl  local_address rem_address   st\n"
	for index := range sharedMax + 2 {
		table += fmt.Sprintf("   0: 0100007F:0BB8 0200000A:0BB9 01 00000000:00000000 00:00000000 00000000     0        0 %d 1 0 100 0 0 10 0\n", 100+index)
	}
	name := filepath.Join(l.entry.path, "net/tcp")
	listens, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, append(listens, table...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, got, err := l.ends(map[uint64]bool{7: true, 100: true, 100 + sharedMax + 1: true, 5: true})
		if err != nil || len(got) != 2 || got[0].remote.String() != "10.0.0.2:3001" {
			t.Errorf("%v, %v", got, err)
		}
	}
	if got := len(p.networks.table("net:[1]").connected); got != sharedMax {
		t.Errorf("%d are remembered, want %d", got, sharedMax)
	}
}
