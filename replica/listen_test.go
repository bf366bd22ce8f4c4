package replica

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
)

func TestSocketInode(t *testing.T) {
	t.Parallel()
	if inode, ok := socketInode("socket:[4711]"); !ok || inode != 4711 {
		t.Errorf("%d, %t", inode, ok)
	}
	for _, link := range []string{"", "socket:[]", "socket:[x]", "socket:[1", "pipe:[1]", "/tmp/socket:[1]", "socket:[-1]"} {
		if inode, ok := socketInode(link); ok {
			t.Errorf("%q: %d", link, inode)
		}
	}
}

// The addresses are those of a little-endian host, where the tests run.
func TestParseSocket(t *testing.T) {
	t.Parallel()
	const rest = " 00:00000000 00000000     0        0 1608 1 000000000cdc267d 100 0 0 10 0"
	for line, want := range map[string]string{
		"   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000" + rest:                                                 "127.0.0.1:3000",
		"  12: 0200000A:0BB9 00000000:0000 0A 00000000:00000000" + rest:                                                 "10.0.0.2:3001",
		"   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000" + rest: "[::1]:3000",
		"   0: B80D0120000000000000000002000000:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000" + rest: "[2001:db8::2]:3000",
		"   0: 0000000000000000FFFF00000200000A:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000" + rest: "10.0.0.2:3000",
	} {
		if got, ok, err := parseSocket(line); err != nil || !ok || !got.listens || got.inode != 1608 || got.local.String() != want {
			t.Errorf("%q: %+v, %t, %v, want %s", line, got, ok, err, want)
		}
	}
	if got, ok, err := parseSocket("   1: 0100007F:AFC1 0200000A:0BB8 01 00000000:00000000" + rest); err != nil || !ok || got.listens || got.inode != 1608 ||
		got.local.String() != "127.0.0.1:44993" || got.remote.String() != "10.0.0.2:3000" {
		t.Errorf("connected: %+v, %t, %v", got, ok, err)
	}
	for _, line := range []string{
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		"   1: 0100007F:AFC1 0100007F:A47C 06 00000000:00000000 03:00000635 00000000     0        0 0 3 00000000d9bf19e6",
	} {
		if got, ok, err := parseSocket(line); err != nil || ok {
			t.Errorf("%q: %+v, %t, %v", line, got, ok, err)
		}
	}
	for _, line := range []string{
		"", "0: 1", "0: 0100007F:0BB8 0 0A", "0: 0100007:0BB8 0 0A 0" + rest, "0: 010000:0BB8 0 0A 0" + rest, "0: 0100007F:10000 0 0A 0" + rest,
		"0: 0100007F 0 0A 0" + rest, "0: 0100007F0100007F:0BB8 0 0A 0" + rest, "0: 0100007F:0BB8 0 0A 0 0 0 0 0 x",
	} {
		if got, ok, err := parseSocket(line); err == nil || ok {
			t.Errorf("%q: %+v, %t, %v", line, got, ok, err)
		}
	}
}

func FuzzParseSocket(f *testing.F) {
	f.Add("   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1608 1 000000000cdc267d 100 0 0 10 0")
	f.Fuzz(func(t *testing.T, line string) {
		if got, ok, err := parseSocket(line); ok && (err != nil || !got.local.IsValid() || !got.remote.IsValid()) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
		socketInode(line)
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	started, written := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	newest := multiversion.NewRelease(0, 17, 9)
	at := func(release multiversion.Release) *datafile.Superblock { return &datafile.Superblock{Release: release} }
	listens := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:3000")}
	for _, test := range []struct {
		name    string
		process Process
		seen    bool
		memory  time.Time
		state   State
		since   time.Time
		settles multiversion.Release
	}{
		{"listens", Process{Superblock: at(newest), Running: Running{Release: newest, Source: SourceExecutable}, Listens: listens}, true, written, StateRunning, time.Time{}, newest},
		{"listens nowhere", Process{Superblock: at(newest), Running: Running{Release: newest, Source: SourceExecutable}}, true, written, StateStarting, written, newest},
		{"the newest, before it looks", Process{Superblock: at(release0178), Running: Running{Release: newest, Source: SourceExecutable}, Origin: OriginTarget}, true, time.Time{}, StateStarting, started, release0178},
		{"the newest, and the sockets unseen", Process{Superblock: at(release0178), Running: Running{Release: newest, Source: SourceExecutable}}, false, time.Time{}, StateStarting, started, release0178},
		{"about to execute the next", Process{Superblock: at(newest), Running: Running{Release: release0178, Source: SourcePack}, Listens: listens}, true, written, StateStarting, written, newest},
		{"again, and since when is not known", Process{Superblock: at(release0178), Running: Running{Release: newest, Source: SourceExecutable}, Origin: OriginMemory}, false, time.Time{}, StateStarting, time.Time{}, release0178},
		{"sockets unseen", Process{Superblock: at(newest), Running: Running{Release: newest, Source: SourceExecutable}}, false, time.Time{}, StateUnknown, time.Time{}, newest},
		{"no data file", Process{Running: Running{Release: newest, Source: SourceExecutable}}, true, written, StateStarting, written, 0},
		{"no data file, listens", Process{Running: Running{Release: newest, Source: SourceExecutable}, Listens: listens}, true, written, StateRunning, time.Time{}, newest},
		{"listens, and is stopped", Process{Superblock: at(newest), Running: Running{Release: newest, Source: SourceExecutable}, Listens: listens, Stopped: true}, true, written, StateStopped, time.Time{}, newest},
		{"sockets unseen, and stopped", Process{Superblock: at(newest), Running: Running{Release: newest, Source: SourceExecutable}, Stopped: true}, false, time.Time{}, StateStopped, time.Time{}, newest},
		{"stopped while it starts", Process{Superblock: at(release0178), Running: Running{Release: newest, Source: SourceExecutable}, Stopped: true}, false, written, StateStarting, written, release0178},
		{"by its data file alone", Process{Superblock: at(newest), Running: Running{Release: newest, Source: SourceDataFile}, Listens: listens}, true, written, StateRunning, time.Time{}, newest},
	} {
		process := test.process
		process.Started = started
		process.judge(test.seen, test.memory)
		if process.State != test.state || !process.StartingSince.Equal(test.since) || process.Settles() != test.settles {
			t.Errorf("%s: %s since %v, settles on %s; want %s since %v, %s", test.name, process.State, process.StartingSince, process.Settles(), test.state, test.since, test.settles)
		}
	}
}
