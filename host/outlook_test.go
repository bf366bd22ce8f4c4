package host_test

import (
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

// header makes one of texts such as "0.1.1 0.1.2v 0.1.3", the last being the current release.
func header(texts string) *multiversion.Header {
	fields := strings.Fields(texts)
	h := &multiversion.Header{ChecksumBinary: multiversion.ChecksumOf([]byte(texts))}
	h.Current.Release = testbin.Release(fields[len(fields)-1])
	for _, field := range fields[:len(fields)-1] {
		text, visit := strings.CutSuffix(field, "v")
		h.Past = append(h.Past, multiversion.Past{Release: testbin.Release(text), Visit: visit})
	}
	return h
}

// running is a replica at a release; armed, unless empty, is the header of what it holds.
func running(release, armed string) replica.Process {
	process := replica.Process{PID: 7, Replica: true, Polls: true, Running: replica.Running{Release: testbin.Release(release), Certain: true}}
	if armed != "" {
		h := header(armed)
		process.Armed = &replica.Armed{Current: h.Current.Release, Checksum: h.ChecksumBinary, Releases: h.Releases(), Offered: h.Advertisable(process.Running.Release)}
	}
	return process
}

func TestForesee(t *testing.T) {
	t.Parallel()
	data := running("0.1.2", "")
	data.Superblock = &datafile.Superblock{Release: testbin.Release("0.1.1")}
	still := running("0.1.2", "")
	still.Polls, still.NoPolling = false, "--development"
	starts := running("0.1.4", "0.1.2 0.1.3 0.1.4")
	starts.Armed.Offered = nil // one that starts offers nothing yet
	starts.State, starts.Superblock = replica.StateStarting, &datafile.Superblock{Release: testbin.Release("0.1.2")}
	fails := starts
	fails.Superblock = &datafile.Superblock{Release: testbin.Release("0.1.1")}
	blind := starts
	blind.Superblock = nil
	sees := func(what replica.Sees, armed string) replica.Process {
		process := running("0.1.2", armed)
		process.Sees = what
		return process
	}
	stopped := func(armed string) replica.Process {
		process := running("0.1.2", armed)
		process.Stopped = true
		return process
	}
	other := running("0.1.2", "")
	other.Replica = false
	tests := []struct {
		name    string
		process replica.Process
		file    string
		kind    host.OutlookKind
		text    string
	}{
		{"armed", running("0.1.2", "0.1.2 0.1.3"), "0.1.2 0.1.3", host.OutlookArmed, "upgrades to 0.1.3 when every replica"},
		{"armed, with a stop", running("0.1.2", "0.1.2 0.1.3v 0.1.4"), "0.1.2 0.1.3v 0.1.4", host.OutlookArmed, "(a stop on the way to 0.1.4: each stop restarts every replica, 2 times in all)"},
		{"armed, at the newest", running("0.1.3", "0.1.2 0.1.3"), "0.1.2 0.1.3", host.OutlookArmed, "stays at 0.1.3"},
		{"takes the file", running("0.1.2", "0.1.1 0.1.2"), "0.1.2 0.1.3", host.OutlookTakesFile, "within seconds"},
		{"without what runs", running("0.1.2", "0.1.1 0.1.2"), "0.1.3 0.1.4", host.OutlookRefuses, "RunningVersionNotIncluded"},
		{"undone", running("0.1.2", "0.1.2 0.1.3"), "0.1.1 0.1.2", host.OutlookRefuses, "its next restart fails"},
		{"without its data's release", data, "0.1.2 0.1.3", host.OutlookRestartFails, "release 0.1.1 of its data file"},
		{"starts", starts, "0.1.2 0.1.3v 0.1.4", host.OutlookStarting, "it opens its data file of 0.1.2, and does not serve yet, and then upgrades to 0.1.3 when"},
		{"starts, and nothing is newer", starts, "0.1.1 0.1.2", host.OutlookStarting, "stays at 0.1.2"},
		{"starts without its data's release", fails, "0.1.2 0.1.3", host.OutlookRestartFails, "release 0.1.1 of its data file"},
		{"starts on what is not known", blind, "0.1.2 0.1.3", host.OutlookStarting, "it opens its data file, and does not serve yet"},
		{"does not poll", still, "0.1.2 0.1.3", host.OutlookNeedsRestart, "--development"},
		{"another file", sees(replica.SeesOther, "0.1.1 0.1.2"), "0.1.2 0.1.3", host.OutlookOtherFile, "the process sees another file at that path: mount the directory, not the file"},
		{"no file", sees(replica.SeesNothing, ""), "0.1.2 0.1.3", host.OutlookOtherFile, "sees no file at that path"},
		{"the file alone", sees(replica.SeesMounted, "0.1.2 0.1.3"), "0.1.2 0.1.3", host.OutlookArmed, "it does not see what takes its place: mount the directory"},
		{"the file alone, not armed yet", sees(replica.SeesMounted, "0.1.1 0.1.2"), "0.1.2 0.1.3", host.OutlookTakesFile, "which it has mounted, and then upgrades to 0.1.3 when every replica of the cluster offers it; of the next file: "},
		{"stopped", stopped("0.1.1 0.1.2"), "0.1.2 0.1.3", host.OutlookStopped, "it looks for a new binary only after it is continued"},
		{"stopped and armed", stopped("0.1.2 0.1.3"), "0.1.2 0.1.3", host.OutlookStopped, "after it is continued it upgrades to 0.1.3"},
		{"unknown", replica.Process{Replica: true}, "0.1.2 0.1.3", host.OutlookUnknown, "not known"},
		{"no binary", running("0.1.2", ""), "", host.OutlookRefuses, "no multiversion binary"},
		{"no replica", other, "0.1.2 0.1.3", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var file *multiversion.Header
			if test.file != "" {
				file = header(test.file)
			}
			got := host.Foresee(test.process, file, host.LackBinary)
			if got.OutlookKind != test.kind || !strings.Contains(got.Outlook, test.text) || got.PID != test.process.PID {
				t.Errorf("%s: %q", got.OutlookKind, got.Outlook)
			}
		})
	}
}

// Nothing is said of a file that was not seen.
func TestForeseeLack(t *testing.T) {
	t.Parallel()
	process := replica.Process{PID: 7, Replica: true, Running: replica.Running{Release: testbin.Release("0.1.2"), Source: replica.SourcePack, Certain: true}}
	for lack, want := range map[host.Lack]struct {
		kind host.OutlookKind
		text string
	}{
		host.LackBinary: {host.OutlookRefuses, "the file at the target is no multiversion binary that can be read: the replica keeps what it has"},
		host.LackFile:   {host.OutlookRefuses, "nothing is at the target: the replica keeps what it has, and cannot be started again from there"},
		host.LackSight:  {host.OutlookUnknown, "what is at the target cannot be seen from here, and so not what it makes of that"},
	} {
		if got := host.Foresee(process, nil, lack); got.OutlookKind != want.kind || got.Outlook != want.text {
			t.Errorf("%d: %s, %q", lack, got.OutlookKind, got.Outlook)
		}
	}
}
