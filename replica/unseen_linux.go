package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	capabilityPtrace = 19 // CAP_SYS_PTRACE

	// mountsMax bounds what is read of mountinfo, in bytes.
	mountsMax = 16 << 20
)

// initialPIDNamespace is the number of the namespace that every process of the host is
// in (PROC_PID_INIT_INO). Tests whose hosts are namespaces have another one.
var initialPIDNamespace = "pid:[4026531836]"

// visibility says what the process file system as a whole keeps from us, and whether of
// other users' processes no more than the name is seen.
func (f *Finder) visibility() (unseen []Unseen, byName bool) {
	add := func(kind UnseenKind, format string, args ...any) {
		unseen = append(unseen, Unseen{Kind: kind, Reason: fmt.Sprintf(format, args...)})
	}
	if f.options.Proc == "" && !isProc(procDefault) {
		add(UnseenNoProc, "%s is not mounted", procDefault)
		return unseen, false
	}
	_, err := os.Stat(filepath.Join(f.proc(), "self"))
	namespace := readlinkOrEmpty(filepath.Join(f.proc(), "self/ns/pid"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		add(UnseenNamespace, "%s shows the processes of another PID namespace", f.proc())
	case namespace != "" && namespace != initialPIDNamespace:
		add(UnseenNamespace, "this is a container: processes outside of its PID namespace are not seen")
	}
	self := readSelf(f.proc())
	byName = !self.ptrace
	if hidden := f.hidden(self); hidden != "" {
		add(UnseenHidden, "%s", hidden)
	}
	return unseen, byName
}

func isProc(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.PROC_SUPER_MAGIC
}

// self is what this process may do.
type self struct {
	ptrace bool // look into other users' processes
	groups []string
}

func readSelf(proc string) self {
	text := readFile(filepath.Join(proc, "self/status"), textMax)
	found := self{ptrace: os.Geteuid() == 0}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "CapEff":
			mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			found.ptrace = err == nil && mask&(1<<capabilityPtrace) != 0
		case "Groups":
			found.groups = append(found.groups, strings.Fields(value)...)
		case "Gid":
			if fields := strings.Fields(value); len(fields) > 3 {
				found.groups = append(found.groups, fields[3]) // what the file system goes by
			}
		}
	}
	return found
}

// hidden says how other users' processes are hidden, or returns "".
func (f *Finder) hidden(self self) string {
	if self.ptrace {
		return ""
	}
	option, group := hidePID(f.mounts(), f.proc())
	member := option != "4" && option != "ptraceable" && contains(self.groups, group)
	if option != "" && option != "0" && option != "off" && !member {
		return fmt.Sprintf("%s is mounted with hidepid=%s: other users' processes are hidden from this user", f.proc(), option)
	}
	if f.options.Proc != "" {
		return ""
	}
	// The first process is there, and everyone may read this of it.
	first, err := os.Open(filepath.Join(f.proc(), "1/stat"))
	if err != nil {
		return "other users' processes are hidden from this user: the first one cannot be seen"
	}
	first.Close()
	return ""
}

// mounts are those of this process.
func (f *Finder) mounts() []mount {
	return parseMounts(readFile(filepath.Join(f.proc(), "self/mountinfo"), mountsMax))
}

func contains(list []string, text string) bool {
	for _, each := range list {
		if each == text && text != "" {
			return true
		}
	}
	return false
}

// readFile returns what can be read of a text file of ours in /proc.
func readFile(name string, limit int64) string {
	file, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := readLimited(file, limit)
	return text
}
