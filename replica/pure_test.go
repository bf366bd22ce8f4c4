package replica_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/replica"
)

func release(text string) multiversion.Release {
	r, err := multiversion.ParseRelease(text)
	if err != nil {
		panic(err)
	}
	return r
}

func list(texts string) []multiversion.Release {
	var all []multiversion.Release
	for _, text := range strings.Fields(texts) {
		all = append(all, release(text))
	}
	return all
}

// header makes one of texts such as "0.1.1 0.1.2v 0.1.3", the last being the current release.
func header(texts string) *multiversion.Header {
	var h multiversion.Header
	fields := strings.Fields(texts)
	for _, field := range fields[:len(fields)-1] {
		text, visit := strings.CutSuffix(field, "v")
		h.Past = append(h.Past, multiversion.Past{Release: release(text), Visit: visit})
	}
	h.Current.Release = release(fields[len(fields)-1])
	return &h
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header, running, offered string
		reason                         error
		missing                        string
	}{
		{"the same again", "0.1.1 0.1.2", "0.1.2", "0.1.1 0.1.2", nil, ""},
		{"one newer", "0.1.1 0.1.2 0.1.3", "0.1.2", "0.1.1 0.1.2", nil, ""},
		{"older ones may go", "0.1.2 0.1.3", "0.1.2", "0.1.1 0.1.2", nil, ""},
		{"running is gone", "0.1.3 0.1.4", "0.1.2", "", replica.ErrRunningVersionNotIncluded, "0.1.2"},
		{"running is newer than all", "0.1.1 0.1.2", "0.1.3", "0.1.3", replica.ErrRunningVersionNotIncluded, "0.1.3"},
		{"an offered one is gone", "0.1.2 0.1.4", "0.1.2", "0.1.2 0.1.3", replica.ErrNotSuperset, "0.1.3"},
		{"a rollback of an armed one", "0.1.1 0.1.2", "0.1.2", "0.1.1 0.1.2 0.1.3", replica.ErrNotSuperset, "0.1.3"},
		{"held back by a visit", "0.1.2 0.1.3v 0.1.4 0.1.5", "0.1.2", "0.1.2 0.1.4", replica.ErrNotSuperset, "0.1.4"},
		{"no visit from there on", "0.1.2 0.1.3v 0.1.4 0.1.5", "0.1.3", "0.1.3 0.1.4", nil, ""},
		{"nothing offered yet", "0.1.2 0.1.3", "0.1.2", "", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := replica.Accepts(header(test.header), release(test.running), list(test.offered))
			if !errors.Is(err, test.reason) {
				t.Fatalf("error %v, want %v", err, test.reason)
			}
			if refusal, ok := errors.AsType[*replica.Refusal](err); ok && refusal.Missing != release(test.missing) {
				t.Errorf("missing %s, want %s", refusal.Missing, test.missing)
			}
		})
	}
}

func process(pid int, running, durable, offered string) replica.Process {
	p := replica.Process{PID: pid, Replica: true, Polls: true, DataFile: "0_0.tigerbeetle", Origin: replica.OriginTarget}
	if running != "" {
		p.Running = replica.Running{Release: release(running), Source: replica.SourcePack, Certain: true}
	}
	if durable != "" {
		p.Superblock = &datafile.Superblock{Release: release(durable)}
	}
	if offered != "" {
		p.Armed = &replica.Armed{Offered: list(offered)}
	}
	return p
}

func needs(all []replica.Need) string {
	var texts []string
	for _, need := range all {
		texts = append(texts, string(need.Why)+":"+need.Release.String())
	}
	return strings.Join(slices.Compact(texts), " ")
}

func TestRequire(t *testing.T) {
	t.Parallel()
	other := process(3, "", "", "")
	other.Replica = false
	hidden := process(4, "", "", "")
	hidden.Origin = replica.OriginUnknown
	hidden.Unreadable = []replica.Unreadable{{What: "exe", Reason: "permission denied"}}
	deaf := process(5, "0.1.2", "0.1.2", "0.1.2")
	deaf.Polls = false
	tests := []struct {
		name      string
		processes []replica.Process
		files     []replica.DataFile
		named     string
		needs     string
		unknown   int
		restart   int
	}{
		{"nothing", nil, nil, "", "", 0, 0},
		{"steady", []replica.Process{process(1, "0.1.2", "0.1.2", "0.1.1 0.1.2")}, nil, "",
			"running:0.1.2 durable:0.1.2 offered:0.1.2", 0, 0},
		{"armed with a newer one", []replica.Process{process(1, "0.1.2", "0.1.2", "0.1.1 0.1.2 0.1.3")}, nil, "",
			"running:0.1.2 durable:0.1.2 offered:0.1.2 offered:0.1.3", 0, 0},
		{"between checkpoint and execution", []replica.Process{process(1, "0.1.2", "0.1.3", "")}, nil, "", "running:0.1.2 durable:0.1.3", 0, 0},
		{"two replicas", []replica.Process{process(1, "0.1.2", "0.1.2", ""), process(2, "0.1.1", "0.1.1", "")}, nil, "",
			"running:0.1.2 running:0.1.1 durable:0.1.2 durable:0.1.1", 0, 0},
		{"not running", nil, []replica.DataFile{{Path: "/d", Release: release("0.1.1")}}, "", "durable:0.1.1", 0, 0},
		{"named alone", nil, nil, "0.1.2", "running:0.1.2", 0, 0},
		{"not a replica", []replica.Process{other}, nil, "", "", 0, 0},
		{"unreadable", []replica.Process{hidden}, nil, "", "", 1, 0},
		{"unreadable but named", []replica.Process{hidden}, nil, "0.1.2", "running:0.1.2", 0, 0},
		{"data file unreadable", []replica.Process{process(1, "0.1.2", "", "")}, nil, "", "running:0.1.2", 1, 0},
		{"does not look", []replica.Process{deaf}, nil, "", "running:0.1.2 durable:0.1.2 offered:0.1.2", 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := replica.Require(test.processes, test.files, list(test.named))
			if needs(got.All()) != test.needs || len(got.Unknown) != test.unknown || len(got.Restart) != test.restart {
				t.Errorf("needs %q, unknown %+v, restart %v; want %q, %d, %d", needs(got.All()), got.Unknown, got.Restart,
					test.needs, test.unknown, test.restart)
			}
			text, err := json.Marshal(got)
			if err != nil || strings.Contains(string(text), "null") {
				t.Errorf("JSON %s, %v", text, err)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	armed := replica.Require([]replica.Process{process(1, "0.1.2", "0.1.2", "0.1.1 0.1.2 0.1.3 0.1.4")}, nil, nil)
	tests := []struct{ name, header, missing string }{
		{"all there", "0.1.2 0.1.3 0.1.4", ""},
		{"the file from before", "0.1.1 0.1.2", "offered:0.1.3 offered:0.1.4"},
		{"without what runs", "0.1.3 0.1.4", "running:0.1.2 durable:0.1.2 offered:0.1.2"},
		{"held, but not offered from there", "0.1.2 0.1.3v 0.1.4 0.1.5", "offered:0.1.4"},
	}
	for _, test := range tests {
		if got := needs(armed.Missing(header(test.header))); got != test.missing {
			t.Errorf("%s: missing %q, want %q", test.name, got, test.missing)
		}
	}
	if got := needs(armed.OfferedAbove(release("0.1.3"))); got != "offered:0.1.4" {
		t.Errorf("offered above 0.1.3: %q", got)
	}
}

// A need tells where the release comes from.
func TestRequireSource(t *testing.T) {
	t.Parallel()
	got := replica.Require([]replica.Process{process(17, "0.1.2", "0.1.2", "")}, []replica.DataFile{{Path: "/d", Release: release("0.1.1")}}, list("0.1.2"))
	var sources []string
	for _, need := range got.All() {
		sources = append(sources, need.Source)
	}
	want := []string{"named by the operator", "process 17", "data file 0_0.tigerbeetle of process 17", "data file /d"}
	if !slices.Equal(sources, want) {
		t.Errorf("sources %q, want %q", sources, want)
	}
}
