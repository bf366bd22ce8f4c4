package limits

import (
	"fmt"
	"reflect"
	"testing"
	"testing/fstest"
)

// processFile is a process's status as the kernel writes it.
func processFile(pid, uid, threads int, capabilities string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "Name:\tx\nPid:\t%d\nUid:\t%d\t%d\t%d\t%d\nThreads:\t%d\nCapEff:\t%s\n", pid, uid, uid, uid, uid, threads, capabilities)}
}

func TestUserLimit(t *testing.T) {
	t.Parallel()
	const none = "0000000000000000"
	others := fstest.MapFS{
		"1/status": processFile(1, 0, 9, "000001ffffffffff"), "20/status": processFile(20, 1000, 3, none), "21/status": processFile(21, 1001, 50, none),
		"22/status": processFile(22, 1000, 4, none), "23/comm": {}, "sys/kernel": {}, "24/status": {Data: []byte("Pid:\tx\n")},
	}
	for _, test := range []struct {
		name   string
		self   *fstest.MapFile
		bound  bool
		others int
	}{
		{"a user", processFile(22, 1000, 4, none), true, 3},
		{"root", processFile(22, 0, 4, none), false, 0},
		{"may have more", processFile(22, 1000, 4, "0000000001000000"), false, 0},
		{"nothing known", &fstest.MapFile{}, false, 0},
	} {
		proc := fstest.MapFS{"self/status": test.self}
		for name, file := range others {
			proc[name] = file
		}
		limit, bound := userLimit(proc, 20)
		if bound != test.bound || bound && (limit.others != test.others || limit.most != 20) {
			t.Errorf("%s: %+v, %v", test.name, limit, bound)
		}
	}
}

func TestGroupLimits(t *testing.T) {
	t.Parallel()
	text := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	self := processFile(22, 1000, 4, "0000000000000000")
	for _, test := range []struct {
		name string
		root fstest.MapFS
		want []string // group, most, others
	}{
		{"version 2", fstest.MapFS{
			"proc/self/status": self, "proc/self/cgroup": text("0::/system.slice/x.service\n"),
			"sys/fs/cgroup/system.slice/x.service/pids.max": text("16\n"), "sys/fs/cgroup/system.slice/x.service/pids.current": text("10\n"),
			"sys/fs/cgroup/system.slice/pids.max": text("max\n"), "sys/fs/cgroup/system.slice/pids.current": text("99\n"),
		}, []string{"in the control group /system.slice/x.service 16 6"}},
		{"version 1, in a container", fstest.MapFS{
			"proc/self/status": self, "proc/self/cgroup": text("9:name=systemd:/\n8:pids:/\n0::/\n"),
			"sys/fs/cgroup/pids/pids.max": text("100\n"), "sys/fs/cgroup/pids/pids.current": text("5\n"),
		}, []string{"in the control group / 100 1"}},
		{"none", fstest.MapFS{"proc/self/status": self, "proc/self/cgroup": text("0::/\nnonsense\n")}, nil},
		{"nothing to see", fstest.MapFS{}, nil},
	} {
		var got []string
		for _, limit := range groupLimits(test.root) {
			got = append(got, fmt.Sprint(limit.whose, " ", limit.most, " ", limit.others))
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
