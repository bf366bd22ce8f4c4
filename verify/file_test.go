package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/tbctl/tbctl/inspect"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/verify"
)

// platforms are one for each format.
func platforms() []multiversion.Platform {
	return []multiversion.Platform{multiversion.PlatformX86_64Linux, multiversion.PlatformX86_64Windows, multiversion.PlatformUniversalMacOS}
}

func judge(t testing.TB, data []byte, options verify.Options) verify.Report {
	t.Helper()
	report, err := verify.File(context.Background(), bytes.NewReader(data), int64(len(data)), options)
	if err != nil {
		t.Fatal(err)
	}
	if report.Ok != (report.Diagnosis == "") {
		t.Errorf("ok %t, but the diagnosis is %q", report.Ok, report.Diagnosis)
	}
	for _, finding := range report.Findings {
		if report.Ok && finding.Status == verify.Failed {
			t.Errorf("ok, but failed: %+v", finding)
		}
		if finding.Status == verify.NotChecked && finding.Detail == "" {
			t.Errorf("not checked without a reason: %+v", finding)
		}
	}
	return report
}

// statuses lists the findings of one check, such as "held failed".
func statuses(report verify.Report, check verify.Check) string {
	var all []string
	for _, finding := range report.Findings {
		if finding.Name == check {
			all = append(all, string(finding.Status))
		}
	}
	return strings.Join(all, " ")
}

func find(t testing.TB, report verify.Report, check verify.Check, status verify.Status) verify.Finding {
	t.Helper()
	for _, finding := range report.Findings {
		if finding.Name == check && finding.Status == status {
			return finding
		}
	}
	t.Fatalf("no finding %s %s in %+v", check, status, report.Findings)
	return verify.Finding{}
}

func TestFileHolds(t *testing.T) {
	t.Parallel()
	specs := map[string]testbin.Spec{
		"elf":         {Past: testbin.PastOf("0.17.5", "0.17.6", "0.17.7v")},
		"elf aarch64": {Platform: multiversion.PlatformAArch64Linux},
		"elf 0.15.4":  {Current: testbin.Release("0.15.4"), Past: testbin.PastOf("0.15.3")},
		"elf debug":   {Debug: true},
		"pe":          {Platform: multiversion.PlatformX86_64Windows},
		"macho":       {Platform: multiversion.PlatformUniversalMacOS},
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := testbin.Build(t, spec)
			report := judge(t, data, verify.Options{Mode: new(fs.FileMode(0o755)), SHA256: true, Checksum: true})
			if !report.Ok {
				t.Fatalf("%s: %+v", report.Diagnosis, report.Findings)
			}
			mode := string(verify.Held)
			if name == "pe" { // no mode matters on Windows
				mode = string(verify.NotChecked)
			}
			for _, finding := range report.Findings {
				if finding.Status != verify.Held && finding.Name != inspect.RemarkDebug && finding.Name != verify.CheckOwnerExecute {
					t.Errorf("%+v", finding)
				}
			}
			if got := statuses(report, verify.CheckOwnerExecute); got != mode {
				t.Errorf("%s: %q, want %q", verify.CheckOwnerExecute, got, mode)
			}
			images, past := len(report.Binary.Images), len(report.Binary.Images[0].Header.Past)
			for check, count := range map[verify.Check]int{
				verify.CheckLocation: 1, verify.CheckFileChecksum: 1, verify.CheckSizeLimit: 1,
				verify.CheckHeaderChecksum: images, verify.CheckHeaderFields: images, verify.CheckPackFits: images, verify.CheckCurrentChecksum: images,
				verify.CheckPastChecksum: images * past, verify.CheckPastExecutable: images * past,
			} {
				if want := strings.TrimSpace(strings.Repeat("held ", count)); statuses(report, check) != want {
					t.Errorf("%s: %q, want %q", check, statuses(report, check), want)
				}
			}
			if sum := sha256.Sum256(data); report.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("sha256 %s", report.SHA256)
			}
			if report.Checksum != multiversion.ChecksumOf(data) {
				t.Errorf("checksum %s", report.Checksum)
			}
			if report.Platform != report.Binary.Platform() || report.Size != int64(len(data)) {
				t.Errorf("%s, %d bytes", report.Platform, report.Size)
			}
		})
	}
}

// setPast changes the bytes of a past executable and makes all checksums match again.
func setPast(t testing.TB, data []byte, index int, change func(member []byte)) []byte {
	t.Helper()
	data = bytes.Clone(data)
	extent := testbin.Parse(t, data).Images[0].PastExtent(index)
	member := data[extent.Offset:extent.End()]
	change(member)
	sum := multiversion.ChecksumOf(member)
	return testbin.Mutate(t, data, func(header []byte) {
		copy(header[testbin.OffsetPastChecksums+16*index:], sum[:])
	})
}

func TestFilePastExecutable(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	tests := []struct {
		name   string
		change func(member []byte)
		found  string
	}{
		{"another architecture", func(member []byte) { member[18] = 183 }, "ELF aarch64"},
		{"another processor", func(member []byte) { member[18] = 243 }, "ELF machine-243"},
		{"a page", func(member []byte) { copy(member, "<!doctype html><html>") }, "an HTML page"},
		{"another format", func(member []byte) { copy(member, "\xcf\xfa\xed\xfe\x07\x00\x00\x01") }, "Mach-O x86_64"},
	}
	for _, test := range tests {
		report := judge(t, setPast(t, data, 1, test.change), verify.Options{})
		failed := find(t, report, verify.CheckPastExecutable, verify.Failed)
		if report.Ok || !strings.Contains(failed.Found, test.found) && test.name != "a page" || failed.Release != testbin.Release("0.17.7") {
			t.Errorf("%s: %s, %+v", test.name, report.Diagnosis, failed)
		}
		if statuses(report, verify.CheckPastExecutable) != "held failed" || statuses(report, verify.CheckFileChecksum) != "held" || statuses(report, verify.CheckPastChecksum) != "held held" {
			t.Errorf("%s: %+v", test.name, report.Findings)
		}
		if !strings.Contains(report.Diagnosis, "past release 0.17.7 is ") {
			t.Errorf("%s: %s", test.name, report.Diagnosis)
		}
	}
}

// A member of a Mach-O pack may be universal, but must have the architecture.
func TestFileUniversalPast(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	fat := func(cpus ...uint32) func(member []byte) {
		return func(member []byte) {
			binary.BigEndian.PutUint32(member, 0xcafebabe)
			binary.BigEndian.PutUint32(member[4:], uint32(len(cpus)))
			for index, cpu := range cpus {
				binary.BigEndian.PutUint32(member[8+20*index:], cpu)
			}
		}
	}
	// setPast changes the checksum of both headers, so the other architecture's past checksum fails; only
	// the finding of the executable is looked at.
	for _, test := range []struct {
		cpus   []uint32
		status string
	}{
		{[]uint32{0x01000007, 0x0100000c}, "held"},
		{[]uint32{0x01000007}, "failed"},
		{nil, "failed"},
	} {
		report := judge(t, setPast(t, data, 0, fat(test.cpus...)), verify.Options{})
		if got := strings.Fields(statuses(report, verify.CheckPastExecutable))[0]; got != test.status {
			t.Errorf("%x: %s", test.cpus, got)
		}
	}
}

func TestFileCurrentChecksum(t *testing.T) {
	t.Parallel()
	for _, platform := range platforms() {
		data := testbin.Mutate(t, testbin.Build(t, testbin.Spec{Platform: platform}), func(header []byte) { header[testbin.OffsetCurrentChecksum] ^= 1 })
		report := judge(t, data, verify.Options{})
		if report.Ok || !strings.Contains(report.Diagnosis, "the current executable does not match") {
			t.Errorf("%s: %q", platform, report.Diagnosis)
		}
		failed := find(t, report, verify.CheckCurrentChecksum, verify.Failed)
		if failed.Expected == failed.Found || len(failed.Found) != 32 {
			t.Errorf("%s: %+v", platform, failed)
		}
	}
}

// What upstream accepts is at most remarked on.
func TestFileRemarks(t *testing.T) {
	t.Parallel()
	elf := testbin.Build(t, testbin.Spec{})
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"reserved", testbin.Mutate(t, elf, func(header []byte) { header[testbin.OffsetReserved] = 1 }), inspect.RemarkReserved},
		{"client minimum", testbin.Mutate(t, elf, func(header []byte) {
			binary.LittleEndian.PutUint32(header[testbin.OffsetCurrentClientMin:], uint32(testbin.Release("0.18.0")))
		}), inspect.RemarkClientMin},
		{"debug", testbin.Mutate(t, elf, func(header []byte) { header[testbin.OffsetCurrentFlags] |= testbin.FlagDebug }), inspect.RemarkDebug},
		{"trailing", testbin.Append(t, elf, []byte("tail")), inspect.RemarkTrailing},
	}
	for _, test := range tests {
		report := judge(t, test.data, verify.Options{})
		if !report.Ok {
			t.Errorf("%s: %s", test.name, report.Diagnosis)
		}
		find(t, report, verify.Check(test.want), verify.Remarked)
	}
}

func TestFileMode(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	for _, test := range []struct {
		mode *fs.FileMode
		want verify.Status
	}{
		{nil, verify.NotChecked},
		{new(fs.FileMode(0o755)), verify.Held},
		{new(fs.FileMode(0o100)), verify.Held},
		{new(fs.FileMode(0o655)), verify.Remarked},
		{new(fs.FileMode(0)), verify.Remarked},
	} {
		report := judge(t, data, verify.Options{Mode: test.mode})
		if got := statuses(report, verify.CheckOwnerExecute); !report.Ok || got != string(test.want) {
			t.Errorf("%v: %s, want %s", test.mode, got, test.want)
		}
	}
}

// All that is wrong is reported, not only the first.
func TestFileManyFindings(t *testing.T) {
	t.Parallel()
	data := testbin.Build(t, testbin.Spec{})
	image := testbin.Parse(t, data).Images[0]
	data[image.PastExtent(0).Offset+1000] ^= 1
	data[image.PastExtent(1).Offset+18] = 183
	header := data[image.Layout.Header.Offset:image.Layout.Header.End()]
	header[testbin.OffsetCurrentChecksum] ^= 1
	header[61], header[3408] = 1, 1
	report := judge(t, data, verify.Options{Mode: new(fs.FileMode(0o644))})
	want := map[verify.Check]string{
		verify.CheckLocation:        "held",
		verify.CheckHeaderChecksum:  "failed",
		verify.CheckHeaderFields:    "failed failed",
		verify.CheckPackFits:        "held",
		verify.CheckFileChecksum:    "failed",
		verify.CheckPastChecksum:    "failed failed",
		verify.CheckPastExecutable:  "held failed",
		verify.CheckCurrentChecksum: "failed",
		verify.CheckSizeLimit:       "held",
		verify.CheckOwnerExecute:    "remark",
	}
	for check, statusesWanted := range want {
		if got := statuses(report, check); got != statusesWanted {
			t.Errorf("%s: %q, want %q", check, got, statusesWanted)
		}
	}
	if report.Ok || report.Binary != nil || !strings.Contains(report.Diagnosis, "the header is damaged") {
		t.Error(report.Diagnosis)
	}
}

// A header of another schema is named, and nothing that it says is believed.
func TestFileSchema(t *testing.T) {
	t.Parallel()
	data := testbin.Mutate(t, testbin.Build(t, testbin.Spec{}), func(header []byte) { header[testbin.OffsetSchemaVersion] = 2 })
	report := judge(t, data, verify.Options{})
	if report.Ok || !strings.Contains(report.Diagnosis, "schema version 2") {
		t.Error(report.Diagnosis)
	}
	for _, check := range []verify.Check{verify.CheckPackFits, verify.CheckFileChecksum, verify.CheckPastChecksum, verify.CheckPastExecutable, verify.CheckCurrentChecksum, verify.CheckSizeLimit} {
		find(t, report, check, verify.NotChecked)
	}
}

func TestFileBrokenFields(t *testing.T) {
	t.Parallel()
	elf, macho := testbin.Build(t, testbin.Spec{}), testbin.Build(t, testbin.Spec{Platform: multiversion.PlatformUniversalMacOS})
	grown := testbin.Mutate(t, elf, func(header []byte) {
		size := binary.LittleEndian.Uint32(header[testbin.OffsetPastSizes+4:])
		binary.LittleEndian.PutUint32(header[testbin.OffsetPastSizes+4:], size+1)
	})
	if report := judge(t, grown, verify.Options{}); report.Ok || !strings.Contains(report.Diagnosis, string(multiversion.RuleBodySize)) {
		t.Error(report.Diagnosis)
	} else if got := statuses(report, verify.CheckPastChecksum); got != "held not-checked" {
		t.Error(got)
	}
	sum := testbin.Mutate(t, elf, func(header []byte) { header[testbin.OffsetPastOffsets+4] ^= 1 })
	if report := judge(t, sum, verify.Options{}); report.Ok || !strings.Contains(report.Diagnosis, string(multiversion.RulePastSum)) {
		t.Error(report.Diagnosis)
	} else {
		find(t, report, verify.CheckPastChecksum, verify.NotChecked)
	}
	calls := 0
	differ := testbin.Mutate(t, macho, func(header []byte) {
		header[testbin.OffsetChecksumBinary] ^= byte(calls)
		calls++
	})
	if report := judge(t, differ, verify.Options{}); report.Ok || !strings.Contains(report.Diagnosis, string(multiversion.RuleHeaders)) {
		t.Error(report.Diagnosis)
	}
}

func TestFileStrangers(t *testing.T) {
	t.Parallel()
	plain := testbin.Executable(t, "linux", "amd64", testbin.Release("0.15.3"), 0)
	for want, data := range map[string][]byte{
		"an ELF x86_64 executable without multiversion sections": plain,
		"an empty file": nil,
		"an HTML page":  []byte("<!DOCTYPE html><html><body>not found</body></html>"),
		"a zip archive": testbin.Zip(t, "tigerbeetle", plain, testbin.ZipOptions{}),
	} {
		report := judge(t, data, verify.Options{SHA256: true})
		if report.Ok || !strings.Contains(report.Diagnosis, want) {
			t.Errorf("%q, want %q", report.Diagnosis, want)
		}
		if sum := sha256.Sum256(data); report.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: sha256 %s", want, report.SHA256)
		}
	}
}

func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds files of 64 MiB")
	}
	data := testbin.Build(t, testbin.Spec{Size: 64 << 20, Compressible: true})
	report := judge(t, data, verify.Options{})
	if report.Ok || !strings.Contains(report.Diagnosis, "too large") {
		t.Error(report.Diagnosis)
	}
	if got := len(report.Findings); statuses(report, verify.CheckFileChecksum) != "held" || got < 10 {
		t.Error("the other checks were not made")
	}
	debug := testbin.Mutate(t, data, func(header []byte) { header[testbin.OffsetCurrentFlags] |= testbin.FlagDebug })
	if report := judge(t, debug, verify.Options{}); !report.Ok {
		t.Error(report.Diagnosis)
	}
	report, err := verify.File(t.Context(), strings.NewReader(""), multiversion.SizeMax, verify.Options{SHA256: true})
	if err != nil || report.Ok || !strings.Contains(report.Diagnosis, "too large") || report.SHA256 != "" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	report := judge(t, testbin.Build(t, testbin.Spec{}), verify.Options{SHA256: true})
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var again verify.Report
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Findings, report.Findings) || again.SHA256 != report.SHA256 || !again.Ok {
		t.Errorf("%s", text)
	}
}
