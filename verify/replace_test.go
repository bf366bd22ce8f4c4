package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// release makes 0.17.N of N.
func release(patch int) multiversion.Release {
	return multiversion.NewRelease(0, 17, uint8(patch))
}

// file makes a parsed ELF file of a text such as "6 7v | 8": past releases 0.17.6 and 0.17.7, the latter
// to be visited, and the current one.
func file(t *testing.T, text string) *multiversion.Binary {
	t.Helper()
	var header multiversion.Header
	past, current, _ := strings.Cut(text, "|")
	for _, name := range strings.Fields(past) {
		name, visit := strings.CutSuffix(name, "v")
		header.Past = append(header.Past, multiversion.Past{Release: number(t, name), Visit: visit, Size: 1, Checksum: multiversion.ChecksumOf([]byte(name))})
	}
	name := strings.TrimSpace(current)
	header.Current = multiversion.Current{Release: number(t, name), Visit: true, Checksum: multiversion.ChecksumOf([]byte(name))}
	header.ChecksumBinary = multiversion.ChecksumOf([]byte(text))
	header.Checksum = multiversion.ChecksumOf([]byte(text + "header"))
	return &multiversion.Binary{
		Format: multiversion.FormatELF, Size: 1000,
		Images: []multiversion.Image{{Header: header, Layout: multiversion.ImageLayout{Arch: multiversion.ArchX86_64}}},
	}
}

// number parses "8" as 0.17.8, and MAJOR.MINOR.PATCH.
func number(t *testing.T, text string) multiversion.Release {
	t.Helper()
	if !strings.Contains(text, ".") {
		text = "0.17." + text
	}
	release, err := multiversion.ParseRelease(text)
	if err != nil {
		t.Fatal(err)
	}
	return release
}

func running(patches ...int) []verify.Need {
	var needs []verify.Need
	for _, patch := range patches {
		needs = append(needs, verify.Need{Release: release(patch), Why: verify.NeedRunning, Source: "pid 42"})
	}
	return needs
}

func armed(patch int, offered ...int) []verify.Need {
	need := running(patch)
	need[0].Armed = []multiversion.Release{}
	for _, patch := range offered {
		need[0].Armed = append(need[0].Armed, release(patch))
	}
	return need
}

func dataFile(patch int) []verify.Need {
	return []verify.Need{{Release: release(patch), Why: verify.NeedData, Source: "0_0.tigerbeetle"}}
}

// outcome lists all findings but those that held: "running failed RunningVersionNotIncluded 0.17.6".
func outcome(report verify.ReplaceReport) []string {
	var all []string
	for _, finding := range report.Findings {
		if finding.Status == verify.Held {
			continue
		}
		text := fmt.Sprintf("%s %s", finding.Name, finding.Status)
		if finding.Rule != "" {
			text += " " + finding.Rule
		}
		all = append(all, text)
	}
	return all
}

func TestReplace(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		installed string
		next      string
		options   verify.ReplaceOptions
		ok        bool
		outcome   []string
		paths     string
	}{
		{
			name: "next release", installed: "5 6 | 7", next: "5 6 7 | 8", ok: true,
			paths: "0.17.7 → 0.17.8",
		},
		{
			name: "with a visit", installed: "5 | 6", next: "5 6 7v | 8", ok: true,
			outcome: []string{"upgrade-path remark"}, paths: "0.17.6 → 0.17.7 (visit) → 0.17.8",
		},
		{
			name: "installed current missing", installed: "5 | 6", next: "5 7 | 8",
			outcome: []string{"overlap failed RunningVersionNotIncluded"},
		},
		{
			name: "a past release dropped", installed: "4 5 6 | 7", next: "5 6 7 | 8", ok: true,
			outcome: []string{"dropped-releases remark RunningVersionNotIncluded"}, paths: "0.17.7 → 0.17.8",
		},
		{
			name: "a running past release would see less", installed: "5 6 | 7", next: "5 6v 7 | 8", ok: true,
			outcome: []string{"dropped-releases remark NotSuperset"}, paths: "0.17.7 → 0.17.8",
		},
		{
			name: "running is the installed current", installed: "5 6 | 7", next: "6 7 | 8", options: verify.ReplaceOptions{Needs: running(7)}, ok: true,
			paths: "0.17.7 → 0.17.8",
		},
		{
			name: "running is older than the installed current", installed: "5 6 | 7", next: "5 6 7 | 8", options: verify.ReplaceOptions{Needs: running(5)}, ok: true,
			paths: "0.17.5 → 0.17.8",
		},
		{
			name: "running release missing", installed: "5 6 | 7", next: "6 7 | 8", options: verify.ReplaceOptions{Needs: running(5)},
			outcome: []string{"running failed RunningVersionNotIncluded", "offered not-checked"},
		},
		{
			name: "offered before, not now", installed: "5 6 | 7", next: "5 6v 7 | 8", options: verify.ReplaceOptions{Needs: running(5)},
			outcome: []string{"offered failed NotSuperset", "upgrade-path remark"}, paths: "0.17.5 → 0.17.6 (visit) → 0.17.8",
		},
		{
			name: "beyond a visit nothing was offered", installed: "5 6v 7 | 8", next: "5 6v | 9", options: verify.ReplaceOptions{Needs: running(5)}, ok: true,
			outcome: []string{"upgrade-path remark"}, paths: "0.17.5 → 0.17.6 (visit) → 0.17.9",
		},
		{
			name: "armed with more than the installed file", installed: "5 | 6", next: "5 6 | 8", options: verify.ReplaceOptions{Needs: armed(5, 5, 6, 7)},
			outcome: []string{"offered failed NotSuperset"}, paths: "0.17.5 → 0.17.8",
		},
		{
			name: "armed with less than the installed file, which it sees within a second", installed: "5 6 | 7", next: "5 6 | 8", options: verify.ReplaceOptions{Needs: armed(6, 5, 6)},
			outcome: []string{"offered failed NotSuperset"}, paths: "0.17.6 → 0.17.8",
		},
		{
			name: "armed, and the installed file is one that it refuses", installed: "6 | 7", next: "6 7 | 8", options: verify.ReplaceOptions{Needs: armed(6, 6, 8)}, ok: true,
			paths: "0.17.6 → 0.17.8",
		},
		{
			name: "the installed file lacks what runs", installed: "6 | 7", next: "5 6 | 8", options: verify.ReplaceOptions{Needs: running(5)}, ok: true,
			outcome: []string{"offered not-checked"}, paths: "0.17.5 → 0.17.8",
		},
		{
			name: "armed below the running release does not count", installed: "4 5 | 6", next: "5 6 | 7", options: verify.ReplaceOptions{Needs: armed(5, 4, 5)}, ok: true,
			paths: "0.17.5 → 0.17.7",
		},
		{
			name: "the old file back, armed with the new", installed: "6 7 | 8", next: "6 | 7",
			options: verify.ReplaceOptions{Needs: running(7), AllowDowngrade: true},
			outcome: []string{"offered failed NotSuperset", "downgrade remark"}, paths: "0.17.7",
		},
		{
			name: "the old file back, stopped", installed: "6 7 | 8", next: "6 | 7",
			options: verify.ReplaceOptions{Needs: dataFile(7), AllowDowngrade: true, Stopped: true}, ok: true,
			outcome: []string{"offered not-checked", "downgrade remark"}, paths: "0.17.7",
		},
		{
			name: "the old file back, armed with the new and restarted", installed: "6 7 | 8", next: "6 | 7",
			options: verify.ReplaceOptions{Needs: running(7), AllowDowngrade: true, Restart: true}, ok: true,
			outcome: []string{"offered not-checked", "downgrade remark"}, paths: "0.17.7",
		},
		{
			name: "the old file back, restarted after promotion", installed: "6 7 | 8", next: "6 | 7",
			options: verify.ReplaceOptions{Needs: running(8), AllowDowngrade: true, Restart: true},
			outcome: []string{"running failed RunningVersionNotIncluded", "offered not-checked", "downgrade remark"},
		},
		{
			name: "the old file back, stopped, after promotion", installed: "6 7 | 8", next: "6 | 7",
			options: verify.ReplaceOptions{Needs: dataFile(8), AllowDowngrade: true, Stopped: true},
			outcome: []string{"running failed RunningVersionNotIncluded", "offered not-checked", "downgrade remark"},
		},
		{
			name: "downgrade", installed: "6 7 | 8", next: "6 | 7",
			outcome: []string{"overlap failed RunningVersionNotIncluded", "downgrade failed"},
		},
		{
			name: "data file", installed: "5 6 | 7", next: "6 7 | 8", options: verify.ReplaceOptions{Needs: dataFile(5)},
			outcome: []string{"running failed RunningVersionNotIncluded", "offered not-checked"},
		},
		{
			name: "several needs, one missing", installed: "5 6 | 7", next: "6 7 | 8", options: verify.ReplaceOptions{Needs: running(7, 6, 5)},
			outcome: []string{"running failed RunningVersionNotIncluded", "offered not-checked"}, paths: "0.17.7 → 0.17.8, 0.17.6 → 0.17.8",
		},
		{
			name: "before 0.16.29", installed: "0.16.20 | 0.16.21", next: "0.16.21 | 0.16.30", ok: true,
			outcome: []string{"dropped-releases remark RunningVersionNotIncluded", "restart remark"}, paths: "0.16.21 → 0.16.30",
		},
		{
			name: "the epoch runs", installed: "0.15.3 | 0.15.4", next: "0.15.3 0.15.4 | 0.15.5", ok: true,
			options: verify.ReplaceOptions{Needs: []verify.Need{{Release: multiversion.ReleaseEpoch, Why: verify.NeedRunning}}},
			outcome: []string{"restart remark"}, paths: "0.15.3 → 0.15.5",
		},
		{
			name: "another host", installed: "6 | 7", next: "6 7 | 8", options: verify.ReplaceOptions{Host: multiversion.PlatformAArch64Linux},
			outcome: []string{"platform failed", "overlap not-checked"},
		},
		{
			name: "another host, and what runs is known", installed: "6 | 7", next: "7 | 8",
			options: verify.ReplaceOptions{Host: multiversion.PlatformAArch64Linux, Needs: running(5)},
			outcome: []string{"platform failed", "running not-checked"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			report := verify.Replace(file(t, test.next), verify.Installed{Binary: file(t, test.installed)}, test.options)
			if report.Ok != test.ok || report.Ok != (report.Diagnosis == "") {
				t.Errorf("ok %t: %q", report.Ok, report.Diagnosis)
			}
			if got := outcome(report); !slices.Equal(got, test.outcome) {
				t.Errorf("findings %q, want %q", got, test.outcome)
			}
			var paths []string
			for _, path := range report.Paths {
				paths = append(paths, path.String())
			}
			if got := strings.Join(paths, ", "); got != test.paths {
				t.Errorf("paths %q, want %q", got, test.paths)
			}
			if report.Identical {
				t.Error("not the same file")
			}
		})
	}
}

// What a refusal says names the releases and where the need comes from.
func TestReplaceDiagnosis(t *testing.T) {
	t.Parallel()
	installed := verify.Installed{Binary: file(t, "5 6 | 7")}
	report := verify.Replace(file(t, "6 7 | 8"), installed, verify.ReplaceOptions{Needs: running(5)})
	if want := "RunningVersionNotIncluded: the new file lacks release 0.17.5, which a replica runs (pid 42)"; report.Diagnosis != want {
		t.Errorf("%q, want %q", report.Diagnosis, want)
	}
	report = verify.Replace(file(t, "5 6v 7 | 8"), installed, verify.ReplaceOptions{Needs: running(5)})
	if want := "NotSuperset: a replica that runs 0.17.5 may have offered 0.17.7 already"; !strings.HasPrefix(report.Diagnosis, want) {
		t.Errorf("%q, want %q", report.Diagnosis, want)
	}
	seen := running(5)
	seen[0].Armed = file(t, "5 6 | 7").Images[0].Header.Releases()
	report = verify.Replace(file(t, "5 6v 7 | 8"), installed, verify.ReplaceOptions{Needs: seen})
	if want := "NotSuperset: a replica that runs 0.17.5 has offered 0.17.7 already"; !strings.HasPrefix(report.Diagnosis, want) {
		t.Errorf("%q, want %q", report.Diagnosis, want)
	}
	report = verify.Replace(file(t, "5 6v 7 | 8"), installed, verify.ReplaceOptions{Needs: dataFile(5)})
	if want := "NotSuperset: the data file 0_0.tigerbeetle needs release 0.17.5: a replica that runs it may have offered 0.17.7 already"; !strings.HasPrefix(report.Diagnosis, want) {
		t.Errorf("%q, want %q", report.Diagnosis, want)
	}
	report = verify.Replace(file(t, "6 7 | 8"), installed, verify.ReplaceOptions{Needs: dataFile(5)})
	if want := "RunningVersionNotIncluded: the new file lacks release 0.17.5, which the data file was last checkpointed with (0_0.tigerbeetle)"; report.Diagnosis != want {
		t.Errorf("%q, want %q", report.Diagnosis, want)
	}
}

// What the cluster has come to binds a file, until it is known to be further.
func TestReplaceReached(t *testing.T) {
	t.Parallel()
	installed := verify.Installed{Binary: file(t, "6 7 | 8")}
	reached := verify.Reached{Release: release(8), DataFile: "0_0.tigerbeetle"}
	for _, test := range []struct {
		name  string
		next  string
		needs []verify.Need
		said  bool
		want  []string
	}{
		{"it is held", "7 8 | 9", dataFile(8), false, nil},
		{"it is lacking, by older data", "5 6 | 7", dataFile(7), false, []string{"reached failed RunningVersionNotIncluded"}},
		{"it is lacking, and the word of it", "5 6 | 7", dataFile(7), true, []string{"reached remark"}},
		{"further by now", "9 10 | 11", dataFile(9), false, nil},
	} {
		report := verify.Replace(file(t, test.next), installed, verify.ReplaceOptions{Needs: test.needs, Reached: reached, Said: test.said, AllowDowngrade: true})
		var got []string
		for _, each := range outcome(report) {
			if strings.HasPrefix(each, string(verify.CheckReached)) {
				got = append(got, each)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestReplaceNothing(t *testing.T) {
	t.Parallel()
	report := verify.Replace(file(t, "6 7 | 8"), verify.Installed{}, verify.ReplaceOptions{Host: multiversion.PlatformX86_64Linux})
	if !report.Ok || outcome(report) != nil {
		t.Errorf("%+v", report)
	}
	report = verify.Replace(file(t, "6 7 | 8"), verify.Installed{}, verify.ReplaceOptions{Needs: dataFile(5)})
	if report.Ok {
		t.Error("a data file's release is missing")
	}
	report = verify.Replace(file(t, "6 7 | 8"), verify.Installed{}, verify.ReplaceOptions{Needs: dataFile(7)})
	if got := outcome(report); !report.Ok || !slices.Equal(got, []string{"offered not-checked"}) {
		t.Errorf("%s: %q", report.Diagnosis, got)
	}
}

func TestReplacePlain(t *testing.T) {
	t.Parallel()
	epoch := verify.Plain{Format: multiversion.FormatELF, Arch: multiversion.ArchX86_64, Release: multiversion.ReleaseEpoch}
	unknown, arm := epoch, epoch
	unknown.Release, arm.Arch = 0, multiversion.ArchAArch64
	tests := []struct {
		name    string
		plain   verify.Plain
		next    string
		options verify.ReplaceOptions
		ok      bool
		outcome []string
	}{
		{"bootstrap", epoch, "0.15.3 | 0.15.4", verify.ReplaceOptions{}, true, []string{"restart remark"}},
		{"its release is missing", epoch, "0.15.4 | 0.15.5", verify.ReplaceOptions{}, false, []string{"overlap failed RunningVersionNotIncluded", "restart remark"}},
		{"its release is not known", unknown, "0.15.3 | 0.15.4", verify.ReplaceOptions{}, false, []string{"overlap not-checked", "restart remark"}},
		{"stopped", epoch, "0.15.3 | 0.15.4", verify.ReplaceOptions{Stopped: true}, true, nil},
		{"the data file tells", unknown, "6 7 | 8", verify.ReplaceOptions{Needs: dataFile(7)}, true, []string{"offered not-checked", "restart remark"}},
		{"another architecture", arm, "0.15.3 | 0.15.4", verify.ReplaceOptions{}, false, []string{"platform failed", "overlap not-checked"}},
	}
	for _, test := range tests {
		report := verify.Replace(file(t, test.next), verify.Installed{Plain: &test.plain}, test.options)
		if got := outcome(report); report.Ok != test.ok || !slices.Equal(got, test.outcome) {
			t.Errorf("%s: ok %t, %q, want %q: %s", test.name, report.Ok, got, test.outcome, report.Diagnosis)
		}
	}
}

func TestReplaceDamaged(t *testing.T) {
	t.Parallel()
	damaged := verify.Installed{Err: errors.New("header-checksum")}
	for _, test := range []struct {
		options verify.ReplaceOptions
		ok      bool
		outcome string
	}{
		{verify.ReplaceOptions{}, false, "installed-file not-checked"},
		{verify.ReplaceOptions{Needs: dataFile(7)}, true, "offered not-checked installed-file remark"},
		{verify.ReplaceOptions{Needs: dataFile(5)}, false, "running failed RunningVersionNotIncluded offered not-checked installed-file remark"},
	} {
		report := verify.Replace(file(t, "6 7 | 8"), damaged, test.options)
		if got := strings.Join(outcome(report), " "); report.Ok != test.ok || got != test.outcome {
			t.Errorf("%+v: ok %t, %s", test.options, report.Ok, got)
		}
	}
}

func TestReplaceSame(t *testing.T) {
	t.Parallel()
	installed := file(t, "6 | 7")
	if report := verify.Replace(file(t, "6 | 7"), verify.Installed{Binary: installed}, verify.ReplaceOptions{}); !report.Ok || !report.Identical {
		t.Errorf("%+v", report)
	}
	hotfix := file(t, "6 | 7")
	hotfix.Images[0].Header.Checksum[0] ^= 1
	hotfix.Images[0].Header.Current.Checksum[0] ^= 1
	report := verify.Replace(hotfix, verify.Installed{Binary: installed}, verify.ReplaceOptions{})
	if got := outcome(report); !report.Ok || report.Identical || !slices.Equal(got, []string{"same-release remark"}) {
		t.Errorf("%q", got)
	}
	hotfix.Images[0].Header.Current.Debug = true
	report = verify.Replace(hotfix, verify.Installed{Binary: installed}, verify.ReplaceOptions{})
	if got := outcome(report); !report.Ok || !slices.Equal(got, []string{"build-mode remark"}) {
		t.Errorf("a debug build: %q", got)
	}
	next := file(t, "6 7 | 8")
	next.Images[0].Header.Past[1].Checksum[0] ^= 1 // the installed current, built again
	report = verify.Replace(next, verify.Installed{Binary: installed}, verify.ReplaceOptions{})
	if got := outcome(report); !report.Ok || !slices.Equal(got, []string{"same-release remark"}) || report.Findings[len(report.Findings)-1].Release != release(7) {
		t.Errorf("%q", got)
	}
}

// The limit is that of the smaller of the two builds: the installed one reads the file, too.
func TestReplaceSizeLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		size         int64
		before, next bool // debug
		ok           bool
		outcome      string
	}{
		{64<<20 - 1, false, false, true, ""},
		{64 << 20, false, false, false, "size-limit failed"},
		{64 << 20, false, true, false, "size-limit failed build-mode remark"},
		{64 << 20, true, false, false, "size-limit failed build-mode remark"},
		{64 << 20, true, true, true, ""},
		{128 << 20, true, true, false, "size-limit failed"},
	} {
		installed, next := file(t, "6 | 7"), file(t, "6 7 | 8")
		installed.Images[0].Header.Current.Debug, next.Images[0].Header.Current.Debug = test.before, test.next
		next.Size = test.size
		report := verify.Replace(next, verify.Installed{Binary: installed}, verify.ReplaceOptions{})
		if got := strings.Join(outcome(report), " "); report.Ok != test.ok || got != test.outcome {
			t.Errorf("%+v: ok %t, %s", test, report.Ok, got)
		}
	}
}

// In a universal file each architecture is judged; alike ones are reported once.
func TestReplaceUniversal(t *testing.T) {
	t.Parallel()
	universal := func(first, second string) *multiversion.Binary {
		binary, other := file(t, first), file(t, second)
		binary.Format = multiversion.FormatMachO
		binary.Images = append(binary.Images, other.Images[0])
		binary.Images[0].Layout.Arch = multiversion.ArchAArch64
		return binary
	}
	report := verify.Replace(universal("6 7 | 8", "6 7 | 8"), verify.Installed{Binary: universal("6 | 7", "6 | 7")}, verify.ReplaceOptions{})
	if !report.Ok || len(report.Paths) != 1 || report.Paths[0].Arch != "" {
		t.Errorf("%+v", report)
	}
	report = verify.Replace(universal("6 7 | 8", "6 | 8"), verify.Installed{Binary: universal("6 | 7", "6 | 7")}, verify.ReplaceOptions{})
	if report.Ok {
		t.Error("one architecture lacks the installed current release")
	}
	for _, finding := range report.Findings {
		if finding.Status == verify.Failed && finding.Arch != multiversion.ArchX86_64 {
			t.Errorf("%+v", finding)
		}
	}
	report = verify.Replace(file(t, "6 7 | 8"), verify.Installed{Binary: universal("6 | 7", "6 | 7")}, verify.ReplaceOptions{})
	if report.Ok || !strings.Contains(report.Diagnosis, "x86_64-linux") || !strings.Contains(report.Diagnosis, "universal-macos") {
		t.Error(report.Diagnosis)
	}
}

func TestInstalledFrom(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	plain := testbin.Executable(t, "linux", "arm64", testbin.Release("0.15.3"), 0)
	look := func(data []byte) verify.Installed {
		return verify.InstalledFrom(bytes.NewReader(data), int64(len(data)), multiversion.ReleaseEpoch)
	}
	if got := look(data); got.Binary == nil || got.Plain != nil || got.Err != nil {
		t.Errorf("%+v", got)
	}
	want := verify.Plain{Format: multiversion.FormatELF, Arch: multiversion.ArchAArch64, Release: multiversion.ReleaseEpoch}
	if got := look(plain); got.Binary != nil || got.Plain == nil || *got.Plain != want || got.Err != nil {
		t.Errorf("%+v", got)
	}
	for _, damaged := range [][]byte{nil, []byte("text"), data[:len(data)/2]} {
		if got := look(damaged); got.Binary != nil || got.Plain != nil || got.Err == nil {
			t.Errorf("%+v", got)
		}
	}
}

func TestReplaceJSON(t *testing.T) {
	t.Parallel()
	report := verify.Replace(file(t, "5 6v 7 | 8"), verify.Installed{Binary: file(t, "5 | 6")}, verify.ReplaceOptions{Needs: running(5)})
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"ok":true`, `"paths":[{"from":"0.17.5","hops":[{"release":"0.17.6","visit":true},{"release":"0.17.8","visit":false}]}]`, `"name":"upgrade-path"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}
