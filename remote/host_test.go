package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tbctl/tbctl/depot"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/fleet"
	"github.com/tbctl/tbctl/fsatomic"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/vfs"
)

// place is a host in a directory, with a target that its configuration names and a file that it does not name.
type place struct {
	*Host
	dir, target, other string
}

func newPlace(t testing.TB) place {
	t.Helper()
	dir := t.TempDir()
	p := place{dir: dir, target: filepath.Join(dir, "bin", "tigerbeetle"), other: filepath.Join(dir, "other", "tigerbeetle")}
	for _, each := range []string{p.target, p.other} {
		if err := errors.Join(os.Mkdir(filepath.Dir(each), 0o755), os.WriteFile(each, []byte("as it was"), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	p.Host = &Host{Installer: &install.Installer{FS: vfs.OS(), Command: "tbctl host"}, Targets: []string{p.target}, Version: "test", Store: depot.Open(vfs.OS(), filepath.Join(dir, "store"))}
	t.Cleanup(func() { p.Close() })
	return p
}

// asked asks the handler, and returns the status and the answer.
func (p place) asked(method, path string, body []byte) (int, ErrorAnswer) {
	recorder := httptest.NewRecorder()
	p.Handler().ServeHTTP(recorder, httptest.NewRequest(method, path, bytes.NewReader(body)))
	var answer ErrorAnswer
	if recorder.Code != http.StatusOK && json.Unmarshal(recorder.Body.Bytes(), &answer) != nil {
		return 0, answer
	}
	return recorder.Code, answer
}

// claim claims the target.
func (p place) claim(t testing.TB, fence fleet.Fence) {
	t.Helper()
	text, err := json.Marshal(ClaimRequest{Fence: fence, Secret: secretOf(fence)})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := p.asked(http.MethodPost, pathClaim, text); status != http.StatusOK {
		t.Fatalf("claim: %d, %+v", status, answer)
	}
}

// files are all files below the place, but for those of the store.
func (p place) files(t testing.TB) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && !strings.HasPrefix(path, filepath.Join(p.dir, "store")+"/") {
			text, readErr := os.ReadFile(path)
			found, err = append(found, path+": "+string(text)), readErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// secretOf is what the run that a fence of a test names shows to the host.
func secretOf(fence fleet.Fence) fleet.Secret {
	return sha256.Sum256([]byte(fence.Holder.Who))
}

func testFence() fleet.Fence {
	fence := fleet.Fence{
		Generation: 1, Epoch: 1, Plan: "sha256:" + strings.Repeat("a", 64), Cluster: "07",
		Holder: fleet.Holder{Who: "ana@bastion", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		Phase:  fleet.PhaseClaimed, Artifact: "sha256:" + strings.Repeat("9", 64),
	}
	fence.Holder.ID, fence.Proof = secretOf(fence).For("", "").ID(), secretOf(fence).ID()
	return fence
}

// A host acts on the targets that its configuration names, and on no other path.
func TestHostTargets(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	before := p.files(t)
	for _, target := range []string{p.other, filepath.Dir(p.target) + "/../other/tigerbeetle", p.target + "/", "tigerbeetle", "-"} {
		for path, request := range map[string]any{
			pathClaim:   ClaimRequest{Target: target, Fence: testFence(), Secret: secretOf(testFence()), TakeOver: true},
			pathPhase:   PhaseRequest{Target: target, Fence: testFence(), Secret: secretOf(testFence()), Phase: fleet.PhaseDone},
			pathSwap:    SwapRequest{Target: target, Fence: testFence(), Secret: secretOf(testFence()), Artifact: strings.Repeat("9", 64), Phase: fleet.PhaseArmed},
			pathRestart: RestartRequest{Target: target, Fence: testFence(), Secret: secretOf(testFence())},
			pathCheck:   CheckRequest{Target: target, Artifact: strings.Repeat("9", 64)},
		} {
			text, err := json.Marshal(request)
			if err != nil {
				t.Fatal(err)
			}
			if status, answer := p.asked(http.MethodPost, path, text); status != http.StatusBadRequest || answer.Class != fault.Usage || !strings.Contains(answer.Message, "does not name the target") {
				t.Errorf("%s of %q: %d, %+v", path, target, status, answer)
			}
		}
	}
	if after := p.files(t); !slices.Equal(after, before) {
		t.Errorf("there is now\n%s\nand was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	// Without a name the only one is meant; with two there is none.
	text, err := json.Marshal(ClaimRequest{Fence: testFence(), Secret: secretOf(testFence())})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := p.asked(http.MethodPost, pathClaim, text); status != http.StatusOK {
		t.Errorf("a claim of the only target: %d, %+v", status, answer)
	}
	p.Targets = append(p.Targets, p.other)
	if status, answer := p.asked(http.MethodPost, pathClaim, text); status != http.StatusBadRequest {
		t.Errorf("a claim of one of two: %d, %+v", status, answer)
	}
}

// A file of the store whose bytes have changed since is not installed.
// claimFor stores a binary at the host, and claims it for a run that puts it in place.
func (p *place) claimFor(t *testing.T, binary []byte) (digest string, fence fleet.Fence) {
	t.Helper()
	digest = digestOf(binary)
	if status, answer := p.asked(http.MethodPut, pathPut+digest, binary); status != http.StatusOK {
		t.Fatalf("%d, %+v", status, answer)
	}
	fence = testFence()
	fence.Artifact = "sha256:" + digest
	p.claim(t, fence)
	return digest, fence
}

func TestHostChangedArtifact(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := os.Remove(p.target); err != nil {
		t.Fatal(err)
	}
	_, _, binary := binaries(t)
	digest, fence := p.claimFor(t, binary)
	if err := os.WriteFile(p.Store.Path(digest), []byte("xyz"), 0o644); err != nil {
		t.Fatal(err)
	}
	swap, err := json.Marshal(SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: digest, Phase: fleet.PhaseArmed})
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := p.asked(http.MethodPost, pathSwap, swap); status != http.StatusUnprocessableEntity || !strings.Contains(answer.Message, depot.ErrDigest.Error()) {
		t.Errorf("%d, %+v", status, answer)
	}
	if _, err := os.Lstat(p.target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is at the target: %v", err)
	}
	// It does not count as stored any more, so that the next run sends it again.
	if artifacts, err := p.Store.List(); err != nil || len(artifacts) != 0 {
		t.Errorf("the store has %+v, %v", artifacts, err)
	}
	if status, answer := p.asked(http.MethodPut, pathPut+digest, binary); status != http.StatusOK {
		t.Errorf("sent again: %d, %+v", status, answer)
	}
}

// What is no whole binary is not stored, whatever its digest: the store of a host keeps nothing that it cannot need.
func TestHostStoresBinariesAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, _, binary := binaries(t)
	for name, content := range map[string][]byte{"nothing": nil, "noise": []byte("abc"), "cut": binary[:len(binary)-9], "damaged": spoil(t, binary, 0)} {
		status, answer := p.asked(http.MethodPut, pathPut+digestOf(content), content)
		if status != http.StatusUnprocessableEntity || answer.Class != fault.Rejected || !strings.Contains(answer.Message, "nothing was stored: on the machine that sent it, see tbctl verify FILE") {
			t.Errorf("%s: %d, %+v", name, status, answer)
		}
	}
	if artifacts, err := p.Store.List(); err != nil || len(artifacts) != 0 {
		t.Errorf("the store has %+v, %v", artifacts, err)
	}
}

// What is no request, or larger than one, is told as that, and nothing is concluded from its beginning.
func TestHostNotARequest(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for text, want := range map[string]string{
		"": "not a request", "{": "not a request", "[]": "not a request", `{"fence":{"generation":-1}}`: "not a request",
		"{}" + strings.Repeat(" ", RequestSizeMax): "more than",
	} {
		for _, path := range []string{pathClaim, pathPhase, pathSwap, pathRestart, pathCheck} {
			if status, answer := p.asked(http.MethodPost, path, []byte(text)); status != http.StatusBadRequest || answer.Class != fault.Usage || !strings.Contains(answer.Message, want) {
				t.Errorf("%s %.20q: %d, %+v", path, text, status, answer)
			}
		}
	}
}

// Another file than the plan's is refused before anything is opened: the store is not even asked for it. A run that has lost the
// target hears of that first.
func TestHostOtherArtifact(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	fence := testFence()
	p.claim(t, fence)
	later := fence
	later.Epoch++
	for name, test := range map[string]struct {
		fence    fleet.Fence
		artifact string
		phase    fleet.Phase
		class    fault.Class
		message  string
	}{
		"another":                      {fence, strings.Repeat("8", 64), fleet.PhaseArmed, fault.Refused, "this plan brings the file sha256:999"},
		"the plan's while it aborts":   {fence, strings.Repeat("9", 64), fleet.PhaseAborting, fault.Refused, "and another is not put back"},
		"another by who has no claim":  {later, strings.Repeat("8", 64), fleet.PhaseArmed, fault.Fenced, "has not claimed this host"},
		"the plan's, which is missing": {fence, strings.Repeat("9", 64), fleet.PhaseArmed, fault.Failed, "no such file"},
	} {
		swap, err := json.Marshal(SwapRequest{Fence: test.fence, Secret: secretOf(test.fence), Artifact: test.artifact, Phase: test.phase})
		if err != nil {
			t.Fatal(err)
		}
		if _, answer := p.asked(http.MethodPost, pathSwap, swap); answer.Class != test.class || !strings.Contains(answer.Message, test.message) {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

// What the other end says is to be put back is compared, and is not named by anybody of this host: it gets no rights by it.
func TestSwapBackIsNoName(t *testing.T) {
	t.Parallel()
	request := SwapRequest{Fence: testFence(), Secret: secretOf(testFence()), Artifact: strings.Repeat("8", 64), Phase: fleet.PhaseAborting, Displaces: strings.Repeat("9", 64)}
	if back := request.back(); back.OldSHA256 != "" || back.Back != request.Artifact || back.Displaces != request.Displaces || back.Fence == nil {
		t.Errorf("%+v", back)
	}
}

// What is not in the store, or is named by what is no SHA-256, is not installed, and the answer says so.
func TestHostLacksArtifact(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.claim(t, testFence())
	before := p.files(t)
	for artifact, want := range map[string]string{
		strings.Repeat("9", 64): "no such file", strings.Repeat("8", 64): "this plan brings the file sha256:999", "": "is not a SHA-256", "../../bin/tigerbeetle": "is not a SHA-256",
	} {
		swap, err := json.Marshal(SwapRequest{Fence: testFence(), Secret: secretOf(testFence()), Artifact: artifact, Phase: fleet.PhaseArmed})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := p.asked(http.MethodPost, pathSwap, swap); status == http.StatusOK || answer.Class == fault.None || !strings.Contains(answer.Message, want) {
			t.Errorf("%q: %d, %+v", artifact, status, answer)
		}
	}
	if after := p.files(t); !slices.Equal(after, before) {
		t.Errorf("there is now\n%s\nand was\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

// FuzzHandler holds that whatever is asked is answered as an answer of tbctl, that a file whose SHA-256 differs is not
// stored, and that no file is made or changed but beside the target that the configuration names.
func FuzzHandler(f *testing.F) {
	claim, err := json.Marshal(ClaimRequest{Fence: testFence(), Secret: secretOf(testFence())})
	if err != nil {
		f.Fatal(err)
	}
	swap, err := json.Marshal(SwapRequest{Fence: testFence(), Secret: secretOf(testFence()), Artifact: strings.Repeat("9", 64), Phase: fleet.PhaseArmed})
	if err != nil {
		f.Fatal(err)
	}
	sum := sha256.Sum256([]byte("abc"))
	f.Add("POST", pathClaim, claim)
	f.Add("POST", pathPhase, []byte(`{"phase":"done"}`))
	f.Add("POST", pathSwap, swap)
	f.Add("POST", pathRestart, claim)
	f.Add("POST", pathCheck, []byte(`{"artifact":"9"}`))
	f.Add("PUT", pathPut+hex.EncodeToString(sum[:]), []byte("abc"))
	f.Add("PUT", pathPut+strings.Repeat("0", 64), []byte("abc"))
	f.Add("GET", pathStore, []byte(nil))
	f.Add("DELETE", "/v2/x", []byte("{"))
	p := newPlace(f)
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		request, err := http.NewRequest(method, "http://host"+path, bytes.NewReader(body))
		if err != nil || path == pathReport {
			return // the report is of this machine's own processes
		}
		recorder := httptest.NewRecorder()
		p.Handler().ServeHTTP(recorder, request)
		var answer struct {
			Class fault.Class `json:"class"`
		}
		if recorder.Code >= 300 && recorder.Code < 400 {
			return // another spelling of a path
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil || (recorder.Code == http.StatusOK) != (answer.Class == fault.None) {
			t.Fatalf("%s %q: %d, %q, %v", method, path, recorder.Code, recorder.Body, err)
		}
		for _, file := range p.files(t) {
			beside := strings.HasPrefix(file, filepath.Dir(p.target)+"/.tigerbeetle.") // its lock and its state
			if !beside && file != p.target+": as it was" && file != p.other+": as it was" {
				t.Fatalf("%s %q: there is now %q", method, path, file)
			}
		}
		artifacts, err := p.Store.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, artifact := range artifacts {
			if err := p.Store.Check(t.Context(), artifact.SHA256); err != nil {
				t.Fatalf("%s %q: %v", method, path, err)
			}
			if _, err := p.Store.Remove(t.Context(), artifact.SHA256, func() (bool, error) { return false, nil }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzGreeting holds that what the other end says first is passed on as it came or is no session, however it comes in pieces,
// and that what is kept of it has a bound.
func FuzzGreeting(f *testing.F) {
	f.Add([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 1, 2, 3}, true)
	f.Add([]byte{0, 0, 12, 4, 0, 0, 0, 0, 0}, false)
	f.Add([]byte("Welcome to tb0, the bank's own machine!\n"), true)
	f.Add([]byte("hi\n"), false)
	f.Fuzz(func(t *testing.T, said []byte, pieces bool) {
		g := &greeting{in: bytes.NewReader(said), spoken: make(chan struct{}), ended: make(chan struct{})}
		if pieces {
			g.in = iotest.OneByteReader(g.in)
		}
		var passed []byte
		buffer := make([]byte, 512)
		var err error
		for err == nil {
			var count int
			count, err = g.Read(buffer)
			passed = append(passed, buffer[:count]...)
		}
		spoken := false
		select {
		case <-g.spoken:
			spoken = true
		default:
		}
		select {
		case <-g.ended:
		default:
			t.Error("it does not know that it has ended")
		}
		is := len(said) >= frameHeaderSize && isSettings(said)
		switch {
		case spoken != is, g.notHTTP2() != (!is && len(said) > 0):
			t.Errorf("%q: HTTP/2 %v, something else %v", said, spoken, g.notHTTP2())
		case is && !bytes.Equal(passed, said):
			t.Errorf("%q came as %q", said, passed)
		case !is && len(passed) >= frameHeaderSize, len(g.first) > greetingMax:
			t.Errorf("%q: %q is passed on, %d bytes are kept", said, passed, len(g.first))
		}
	})
}

// What is to be typed on the host comes with its answer, but where the other end knows better: who has the target, and that it is busy.
func TestHostHints(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Explain = func(err error, command, target string) string {
		return fmt.Sprintf("%s %s: %s", command, target, fault.Of(err))
	}
	ask := func(path string, request any) ErrorAnswer {
		t.Helper()
		text, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		_, answer := p.asked(http.MethodPost, path, text)
		return answer
	}
	fence := testFence()
	if answer := ask(pathSwap, SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: strings.Repeat("9", 64), Phase: fleet.PhaseArmed}); answer.Class != fault.Fenced || answer.Hint != "" {
		t.Errorf("a swap of who has not claimed: %+v", answer)
	}
	p.claim(t, fence)
	if answer := ask(pathSwap, SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: strings.Repeat("8", 64), Phase: fleet.PhaseArmed}); answer.Hint != "install "+p.target+": refused" {
		t.Errorf("a swap of another file: %+v", answer)
	}
	if answer := ask(pathSwap, SwapRequest{Fence: fence, Secret: secretOf(fence), Artifact: strings.Repeat("8", 64), Phase: fleet.PhaseAborting}); answer.Hint != "rollback "+p.target+": refused" {
		t.Errorf("the way back to another file: %+v", answer)
	}
	if answer := ask(pathCheck, CheckRequest{Fence: &fence, Secret: secretOf(fence), Artifact: strings.Repeat("9", 64)}); answer.Hint != "install "+p.target+": failed" {
		t.Errorf("a check of what is not there: %+v", answer)
	}
	state := filepath.Join(filepath.Dir(p.target), ".tigerbeetle.tbctl-state")
	if err := os.WriteFile(state, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if answer := ask(pathClaim, ClaimRequest{Fence: fence, Secret: secretOf(fence)}); answer.Hint != "install "+p.target+": refused" {
		t.Errorf("a claim that may be another's: %+v", answer)
	}
	if _, answer := p.asked(http.MethodPost, "/v9/report", nil); answer.Class != fault.Refused || answer.Reason != fleet.Reason(ReasonOld) {
		t.Errorf("a request that it does not know: %+v", answer)
	}
	answered := &AnswerError{Host: "tb1", Answer: ErrorAnswer{Hint: "make room"}}
	if answered.Hint() != "on tb1: make room" || (&AnswerError{Host: "tb1"}).Hint() != "" {
		t.Errorf("%q", answered.Hint())
	}
}

// TestHostAdvisories holds that a list of advisories is kept for the run that has the target alone, with its holder's name, and that one that is too
// long is refused.
func TestHostAdvisories(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var got []string
	p.KeepAdvisories = func(list []byte, of fleet.Fence) error {
		got = append(got, fmt.Sprintf("%d of %s", len(list), of.Holder.Who))
		if len(list) == 1 {
			return fault.New(fault.Rejected, "not a list")
		}
		return nil
	}
	ask := func(fence fleet.Fence, secret fleet.Secret, size int) (int, ErrorAnswer) {
		text, err := json.Marshal(AdvisoriesRequest{Fence: fence, Secret: secret, List: make([]byte, size)})
		if err != nil {
			t.Fatal(err)
		}
		return p.asked(http.MethodPost, pathAdvisories, text)
	}
	fence := testFence()
	if status, answer := ask(fence, secretOf(fence), 10); status != http.StatusConflict || answer.Class != fault.Fenced {
		t.Errorf("before a claim: %d, %+v", status, answer)
	}
	p.claim(t, fence)
	if status, answer := ask(fence, fleet.Secret{}, 10); status == http.StatusOK {
		t.Errorf("without the secret: %d, %+v", status, answer)
	}
	if status, answer := ask(fence, secretOf(fence), advisoriesSizeMax); status != http.StatusBadRequest || answer.Class != fault.Usage {
		t.Errorf("too long: %d, %+v", status, answer)
	}
	if len(got) != 0 {
		t.Errorf("kept: %q", got)
	}
	if status, answer := ask(fence, secretOf(fence), 256<<10); status != http.StatusOK {
		t.Errorf("%d, %+v", status, answer)
	}
	if status, answer := ask(fence, secretOf(fence), 1); status != http.StatusUnprocessableEntity || answer.Class != fault.Rejected {
		t.Errorf("no list: %d, %+v", status, answer)
	}
	if want := []string{"262144 of ana@bastion", "1 of ana@bastion"}; !slices.Equal(got, want) {
		t.Errorf("kept: %q", got)
	}
	p.KeepAdvisories = nil
	if status, answer := ask(fence, secretOf(fence), 10); status != http.StatusConflict || answer.Class != fault.Refused {
		t.Errorf("a host that keeps none: %d, %+v", status, answer)
	}
}

// What is kept beside one target, which who may write its directory can make as large as he likes, keeps no other target from being looked at.
func TestHostReportFits(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	large := []string{}
	for index := range 2 {
		target := filepath.Join(p.dir, fmt.Sprint("large", index), "tigerbeetle")
		if err := errors.Join(os.Mkdir(filepath.Dir(target), 0o755), os.WriteFile(target, []byte("as it was"), 0o755)); err != nil {
			t.Fatal(err)
		}
		state := `{"version":1,"last":{"version":1,"operation":"install","target":"` + target + `","result":"installed","verified":["` + strings.Repeat(`xxxxxxxxxxxxxxxxxxxx","`, 40_000) + `"]},"installed":null,"previous":null}`
		place, err := fsatomic.Lookup(vfs.OS(), target)
		if err == nil {
			err = os.WriteFile(place.StatePath(), []byte(state), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		large = append(large, target)
	}
	p.Targets = append(slices.Clone(large), p.target)
	recorder := httptest.NewRecorder()
	p.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, pathReport, nil))
	var shown report.Host
	if err := json.Unmarshal(recorder.Body.Bytes(), &shown); err != nil || recorder.Code != http.StatusOK {
		t.Fatalf("%d, %v", recorder.Code, err)
	}
	if size := report.HostSize(recorder.Body.Bytes()); size > ReportSizeMax {
		t.Errorf("it counts for %d bytes", size)
	}
	if last := shown.Targets[2]; last.Path != p.target || last.Status == nil || !last.Status.StateObserved || last.Status.Installed == nil {
		t.Errorf("the other target is %+v", last)
	}
	told := 0
	for index, target := range shown.Targets[:2] {
		if target.Path != large[index] {
			t.Errorf("%d: %s", index, target.Path)
		}
		if target.Status == nil && strings.Contains(target.Problem, "too much for a report") {
			told++
		}
	}
	if told != 1 { // without it there is room for the other
		t.Errorf("%d are told as too large", told)
	}
}
