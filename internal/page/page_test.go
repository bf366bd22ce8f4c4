package page_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tbctl/tbctl/datafile"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/page"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/release"
	"github.com/tbctl/tbctl/replica"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/verify"
)

var (
	update      = flag.Bool("update", false, "write the golden file")
	screenshots = flag.String("screenshots", "", "a directory for pictures of the page")
)

var (
	now          = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	older, newer = multiversion.NewRelease(0, 17, 7), multiversion.NewRelease(0, 17, 8)
)

func digest(character string) string { return strings.Repeat(character, 64) }

// status is a target with one replica.
func status(index int, installed string, running, offers multiversion.Release) *report.Status {
	r := host.Replica{}
	r.PID, r.Replica, r.State = 100+index, true, replica.StateRunning
	r.Superblock = &datafile.Superblock{ReplicaIndex: index, ReplicaCount: 3, Release: running}
	r.Running.Release = running
	r.Answer = &host.Answer{}
	r.Answer.View = 5
	r.Peers = &replica.Peers{Others: 2, Connected: 2}
	if offers != 0 {
		r.Armed = &replica.Armed{Current: offers, Offered: []multiversion.Release{running, offers}}
	}
	return &report.Status{
		Target: fsatomic.Target{Path: "/opt/tb/tigerbeetle"}, Observed: true, StateObserved: true,
		Installed: &install.File{SHA256: installed, Release: offers}, Previous: &install.File{SHA256: digest("1"), Release: older},
		Fence: &fleet.Fence{Generation: 4, Epoch: 2, Phase: fleet.PhaseArmed, Holder: fleet.Holder{Who: "bob@laptop", Since: now}},
		Last: &install.Record{Operation: install.OperationInstall, Result: install.ResultInstalled, Time: now, User: "root", Verified: []string{"file", "fit"},
			Trust: []install.Trust{{Kind: "depot", Status: "held", Of: "executable", Detail: "minisign"}}},
		Replicas: []host.Replica{r},
	}
}

// full is a report with all that a page shows; evil is put where texts from outside are.
func full(evil string) *report.FleetReport {
	plan := &fleet.Plan{
		Version: 1, Author: "alice@desk" + evil, Created: now.Add(-time.Hour), Generation: 4, Despite: []string{"visit-0.17.5"}, Clients: older,
		Artifact: fleet.Artifact{
			SHA256: "sha256:" + digest("2"), Size: 34567890, Platform: multiversion.PlatformX86_64Linux, Release: newer, Releases: []multiversion.Release{older, newer},
			Source: "https://github.com/tigerbeetle/tigerbeetle/releases/0.17.8" + evil, Vouched: []string{"github-digest", "minisign"}, ClientMin: older,
		},
		Clusters: []fleet.PlannedCluster{{Name: "ledger-eu", ID: digest("0")[:32], Wave: 1, Soak: 2 * time.Hour, Replicas: 3, Standbys: 1, Running: older, Hops: []multiversion.Release{newer}, Holdback: 1}},
	}
	moment := func(minute int, what, text string, count int) report.ReportedMoment {
		at := now.Add(time.Duration(minute) * time.Minute)
		return report.ReportedMoment{Time: at, Last: at.Add(time.Duration(count-1) * time.Minute), What: what, Text: text, Count: count}
	}
	moments := []report.ReportedMoment{
		moment(1, "staged", "", 1), moment(2, "checked", "", 1), moment(3, "claimed", "", 1), moment(4, "failed", "swap, silent: host tb1: it became silent"+evil, 3),
		moment(7, "swapped", "", 1), moment(8, "armed", "", 1), moment(9, "stable", "the whole cluster", 1), moment(10, "promoted", "by the swap on tb2", 1),
		moment(11, "running", "", 1), moment(12, "done", "", 1), moment(60, "seen", "0.17.8 is installed; replica 1 runs 0.17.8", 1),
	}
	r := &report.FleetReport{
		File: "/home/alice/plan.json" + evil, ID: "sha256:" + digest("3"), Plan: plan, Made: now.Add(time.Hour), By: "alice@desk", Tbctl: "0.1.0",
		Requests: []report.ReportedAsking{
			{Time: now, Cluster: "ledger-eu", Host: "tb1", Request: "stage", Bytes: 456000},
			{Time: now.Add(4 * time.Minute), Cluster: "ledger-eu", Host: "tb1" + evil, Request: "swap", Generation: 4, Epoch: 2, Took: 15 * time.Second, Attempt: 1, Result: fault.Failed, Reason: "silent",
				Causes: []string{"host tb1: it became silent" + evil, "ping: no answer for 15 seconds", "read: connection timed out"}},
		},
		Evidence: []report.PlanEvidence{
			{Kind: report.EvidenceFile, Status: release.StatusHeld, Detail: "its releases, client minimums and checksum are what the plan says"},
			{Kind: "github-digest", Status: release.StatusHeld, Detail: "receipt of 2026-11-20 12:00:00" + evil}, {Kind: "minisign", Status: release.StatusNotChecked, Detail: "no receipt of the store says so" + evil},
			{Kind: "tuf", Status: release.StatusFailed, Detail: "expected another SHA-256" + evil},
		},
		Unseen: []string{"Which clients are in use is what the operator said." + evil, "tb2: boot was not checked: no user without rights" + evil + "."},
	}
	for index, name := range []string{"tb0.eu", "tb1.eu", "tb2.eu", "operator@a-host-with-a-very-long-name-0123456789.region.example.internal"} {
		planned := fleet.PlannedHost{Name: name, Target: "/opt/tb/tigerbeetle", Machine: digest("a")[:32], Previous: "sha256:" + digest("1"), Replicas: []fleet.PlannedReplica{{Index: index, Standby: index == 3}}}
		plan.Clusters[0].Hosts = append(plan.Clusters[0].Hosts, planned)
		h := report.ReportedHost{Cluster: "ledger-eu", Name: name, Target: planned.Target, Machine: planned.Machine, Tbctl: "0.1.0" + evil, Moments: moments[:len(moments)-index*3]}
		switch index {
		case 0:
			h.Status, h.CheckNote = status(0, digest("2"), newer, newer), "the plan's file is installed there: its SHA-256 was computed on the host now"
		case 1:
			h.Status = status(1, digest("2"), older, newer)
			h.Status.Fence.Holder.Who += evil
		case 2:
			h.Status, h.Differs = status(2, digest("9"), older, 0), []string{"the installed file is neither the plan's nor the one before it: sha256:" + digest("9") + evil}
			h.Status.Observed, h.Status.Replicas[0].Answer, h.Status.Replicas[0].NoAnswer = false, nil, "it did not answer within a second"+evil
			h.Status.Replicas[0].Unreadable, h.Status.Replicas[0].Peers = []replica.Unreadable{{What: "fd", Reason: "permission denied"}}, nil
			h.Checks = []host.Check{
				{Question: host.QuestionFile, Status: verify.Held}, {Question: host.QuestionFit, Status: verify.Failed, Detail: "release 0.17.7 is not in it" + evil},
				{Question: host.QuestionBoot, Status: verify.NotChecked, Detail: "there is no user without rights" + evil}, {Question: host.QuestionReplica, Status: verify.Held, PID: 102},
			}
		default:
			h.Problem = &report.FleetProblem{Kind: fault.Failed, Reason: "host-key-changed", Message: "its host key is another one" + evil}
		}
		r.Hosts = append(r.Hosts, h)
	}
	return r
}

func write(t *testing.T, r *report.FleetReport) string {
	t.Helper()
	var text strings.Builder
	if err := page.Write(&text, r); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	got, file := write(t, full("")), filepath.Join("testdata", "report.html")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v; go test ./internal/page -update writes it, and the difference is to be read:\n%s", file, err, got)
	}
}

// TestOffline proves that what was not asked is not told as seen.
func TestOffline(t *testing.T) {
	t.Parallel()
	r := full("")
	r.Offline = true
	for index := range r.Hosts {
		r.Hosts[index] = report.ReportedHost{Cluster: "ledger-eu", Name: r.Hosts[index].Name, Target: r.Hosts[index].Target}
	}
	text := write(t, r)
	if !strings.Contains(text, "No host was asked") || strings.Count(text, "○ not asked") != len(r.Hosts) || strings.Contains(text, "installed now") {
		t.Errorf("offline:\n%s", text)
	}
}

var (
	tags = regexp.MustCompile(`<[^>]*>`)
	// known are the tags that the page may have: none that loads, runs or leads anywhere else.
	known = regexp.MustCompile(`^</?(html|head|title|style|body|header|main|nav|article|h[1-4]|p|dl|dt|dd|ul|ol|li|table|thead|tbody|tr|th|td|code|strong|span|svg|line|rect|circle|text)( [a-zA-Z0-9-]+="[^"<>]*")*/?>$|^<!DOCTYPE html>$|^<meta [^<>]*>$|^<a href="#[a-z]+">$|^</a>$`)
	leads = regexp.MustCompile(`(?i) (on[a-z]+|src|style|xlink:[a-z]+)=|url\(|@import`)
)

// TestHostile proves that nothing from outside becomes markup, a link, or a text in another direction.
func TestHostile(t *testing.T) {
	t.Parallel()
	const evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{.}}</style>&amp;\u202e\x1b[31m\x00\xff javascript:alert(1)"
	clean := write(t, full(""))
	for _, tag := range tags.FindAllString(clean, -1) {
		if !known.MatchString(tag) || leads.MatchString(tag) {
			t.Errorf("a tag that leads elsewhere: %s", tag)
		}
	}
	if leads.MatchString(style(t, clean)) {
		t.Error("the style asks for something else")
	}
	dirty := write(t, full(evil))
	same(t, clean, dirty)
	if count := strings.Count(dirty, "&lt;script&gt;alert(1)"); count < 15 {
		t.Errorf("the text is there only %d times", count)
	}
}

// style is what is between the tags of that name.
func style(t *testing.T, text string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "<style>")
	within, _, ended := strings.Cut(after, "</style>")
	if !ok || !ended {
		t.Fatal("there is no style")
	}
	return within
}

// same requires that two pages differ in nothing but texts, in which there is nothing that a browser or terminal acts on.
func same(t *testing.T, clean, dirty string) {
	t.Helper()
	if got, want := strings.Join(tags.FindAllString(dirty, -1), "\n"), strings.Join(tags.FindAllString(clean, -1), "\n"); got != want {
		t.Errorf("the markup is another one:\n%s", got)
	}
	if style(t, clean) != style(t, dirty) {
		t.Error("the style is another one")
	}
	if strings.ContainsFunc(dirty, func(r rune) bool { return r != '\n' && term.Printable(string(r)) != string(r) }) || !utf8.ValidString(dirty) {
		t.Error("characters that a terminal or a browser acts on are left")
	}
}

// FuzzText proves it of any text.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "<b>", `" onload="x`, "' x='", "`", "</style><script>", "{{.}}", "\u2028", "\xc3", "&#60;script&#62;", "<!--", "]]>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { same(t, write(t, full("")), write(t, full(text))) })
}

// TestContrast proves that all texts can be read in both schemes, by the rule of WCAG 2 (4.5 to 1).
func TestContrast(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("page.css")
	if err != nil {
		t.Fatal(err)
	}
	schemes := regexp.MustCompile(`:root \{[^}]*--ground[^}]*\}`).FindAllString(string(text), -1)
	if len(schemes) != 3 {
		t.Fatalf("%d schemes", len(schemes))
	}
	for _, scheme := range schemes {
		colours := make(map[string]float64)
		for _, found := range regexp.MustCompile(`--(\w+): #([0-9a-f]{6})`).FindAllStringSubmatch(scheme, -1) {
			colours[found[1]] = luminance(t, found[2])
		}
		for _, ink := range []string{"text", "dim", "good", "bad", "open", "link"} {
			for _, ground := range []string{"ground", "panel"} {
				a, b := colours[ink]+.05, colours[ground]+.05
				if ratio := max(a, b) / min(a, b); ratio < 4.5 {
					t.Errorf("--%s on --%s: %.2f in\n%s", ink, ground, ratio, scheme)
				}
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for index, weight := range []float64{.2126, .7152, .0722} {
		value, err := strconv.ParseUint(hex[2*index:2*index+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		part := float64(value) / 255
		if part <= .04045 {
			part /= 12.92
		} else {
			part = math.Pow((part+.055)/1.055, 2.4)
		}
		sum += weight * part
	}
	return sum
}

// TestBrowser proves in a browser that the page is no wider than a phone or a screen, with nothing cut off, that nothing in it
// lies outside, and that it asks for nothing.
func TestBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser is started")
	}
	program := browser()
	if program == "" {
		t.Skip("no browser is here (package chromium-headless-shell): how the page looks was not looked at")
	}
	text := write(t, full(" "+strings.Repeat("W", 200)))
	const policy = `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`
	if !strings.Contains(text, policy) {
		t.Fatal("there is no policy")
	}
	const measure = `<script>
const wide = [...document.body.querySelectorAll('*')].filter(e => { const r = e.getBoundingClientRect(); return r.width > 1 && (r.right > document.documentElement.clientWidth + 1 || r.left < -1) });
document.documentElement.setAttribute('data-measured', [innerWidth, document.documentElement.scrollWidth - document.documentElement.clientWidth, wide.length, performance.getEntriesByType('resource').length, wide.map(e => e.tagName).join(' ')].join(','));
</script></body>`
	measured := strings.Replace(strings.Replace(text, policy, "", 1), "</body>", measure, 1)
	dir := t.TempDir()
	file := filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, []byte(measured), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int{360, 700, 1280} {
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute) // a browser that hangs is to be told as one
		defer stop()
		output, err := exec.CommandContext(ctx, program, "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, fmt.Sprint(width)),
			fmt.Sprintf("--window-size=%d,800", width), "--dump-dom", "file://"+file).Output()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		found := regexp.MustCompile(`data-measured="([^"]*)"`).FindStringSubmatch(string(output))
		if found == nil {
			t.Fatalf("nothing was measured:\n%s", output)
		}
		if parts := strings.Split(found[1], ","); parts[0] != fmt.Sprint(width) || parts[1] != "0" || parts[2] != "0" || parts[3] != "0" {
			t.Errorf("window, by how much the page is wider, elements outside, requests: %s", found[1])
		}
		if *screenshots != "" {
			if err := os.WriteFile(filepath.Join(*screenshots, "report.html"), []byte(write(t, full(""))), 0o644); err != nil {
				t.Fatal(err)
			}
			_ = exec.CommandContext(ctx, program, "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, fmt.Sprint(width)), fmt.Sprintf("--window-size=%d,2600", width),
				"--screenshot="+filepath.Join(*screenshots, fmt.Sprintf("%d.png", width)), "file://"+filepath.Join(*screenshots, "report.html")).Run()
		}
	}
}

func browser() string {
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		program, err := exec.LookPath(name)
		if err == nil {
			return program
		} else if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
	}
	return ""
}
