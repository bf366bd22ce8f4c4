package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// fakeTbctl answers with what the host's file "answers" says, one line a call, and
// with 0 when there is none; it notes each call.
const fakeTbctl = `#!/bin/sh
echo "$HOST $1 $3" >> "$S/calls"
code=$(head -n 1 "$S/$HOST/answers" 2>/dev/null)
sed -i 1d "$S/$HOST/answers" 2>/dev/null
exit ${code:-0}
`

// TestRollout runs docs/rollout.sh against hosts that answer as told: it goes on
// after 0, tries again after 1, 5, 130 and 255, and stops at all else.
func TestRollout(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the script's sed is GNU's")
	}
	for _, test := range []struct {
		name    string
		answers map[string]string // by host: its exit codes, call by call
		code    int
		calls   string // host and command, in order
		says    string
	}{
		{"all go", nil, 0, "a install --dry-run, b install --dry-run, a install --quiet, a watch serving, b install --quiet, b watch serving, a watch serving=1.2.3, b watch serving=1.2.3", "done: 2 hosts are serving with 1.2.3"},
		{"a dry run is refused", map[string]string{"b": "4"}, 4, "a install --dry-run, b install --dry-run", "before anything was changed anywhere"},
		{"rejected", map[string]string{"a": "0 3"}, 3, "a install --dry-run, b install --dry-run, a install --quiet", "0 of 2 hosts are done"},
		{"refused at the second", map[string]string{"b": "0 4"}, 4, "a install --dry-run, b install --dry-run, a install --quiet, a watch serving, b install --quiet",
			"1 of 2 hosts are done"},
		{"unknown state", map[string]string{"a": "0 6"}, 6, "a install --dry-run, b install --dry-run, a install --quiet", "restart nothing before you know"},
		{"usage", map[string]string{"a": "2"}, 2, "a install --dry-run", "wrong command line"},
		{"not installed there", map[string]string{"a": "127"}, 127, "a install --dry-run", "tbctl is not installed there"},
		{"busy, failed, then done", map[string]string{"a": "5 1 0"}, 0, "a install --dry-run, a install --dry-run, a install --dry-run, b install --dry-run, a install --quiet, a watch serving, b install --quiet, b watch serving, a watch serving=1.2.3, b watch serving=1.2.3", "somebody else is at it"},
		{"the connection is lost, and a signal", map[string]string{"b": "0 255 130 0"}, 0, "a install --dry-run, b install --dry-run, a install --quiet, a watch serving, b install --quiet, b install --quiet, b install --quiet, b watch serving, a watch serving=1.2.3, b watch serving=1.2.3", "no connection"},
		{"failed again and again", map[string]string{"a": "1 1 1"}, 1, "a install --dry-run, a install --dry-run, a install --dry-run", "failed"},
		{"the first does not serve", map[string]string{"a": "0 0 1 1 1"}, 1, "a install --dry-run, b install --dry-run, a install --quiet, a watch serving, a watch serving, a watch serving", "a has 1.2.3, but is not seen to serve"},
		{"does not serve with it", map[string]string{"b": "0 0 0 1 1 1"}, 1, "a install --dry-run, b install --dry-run, a install --quiet, a watch serving, b install --quiet, b watch serving, a watch serving=1.2.3, b watch serving=1.2.3, b watch serving=1.2.3, b watch serving=1.2.3", "a: serving with 1.2.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, got, output := rolloutScript(t, "", test.answers)
			if code != test.code || got != test.calls || !strings.Contains(output, test.says) {
				t.Errorf("exit code %d, want %d\ncalls %s\nwant  %s\nit says, without %q:\n%s", code, test.code, got, test.calls, test.says, output)
			}
		})
	}
}

// Where a replica cannot be asked, what runs is the proof.
func TestRolloutProof(t *testing.T) {
	t.Parallel()
	const want = "a install --dry-run, b install --dry-run, a install --quiet, a watch running, b install --quiet, b watch running, a watch running=1.2.3, b watch running=1.2.3"
	code, calls, output := rolloutScript(t, "PROOF=running", nil)
	if code != 0 || calls != want || !strings.Contains(output, "done: 2 hosts are running with 1.2.3") {
		t.Errorf("exit code %d\ncalls %s\nwant  %s\n%s", code, calls, want, output)
	}
}

// rollout runs docs/rollout.sh with a setting, on hosts a and b, which answer as told.
func rolloutScript(t *testing.T, setting string, answers map[string]string) (code int, calls, output string) {
	t.Helper()
	s := &sandbox{t: t, world: &docsWorld{url: "http://none"}, dir: t.TempDir()}
	writeDoc(t, s.path("bin/ssh"), []byte("#!/bin/sh\nexport HOST=$1; shift\nexec sh -c \"$*\"\n"), 0o755)
	writeDoc(t, s.path("bin/tbctl"), []byte(fakeTbctl), 0o755)
	for _, host := range []string{"here/home", "a", "b"} {
		if err := os.MkdirAll(s.path(host), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for host, answer := range answers {
		writeDoc(t, s.path(host, "answers"), []byte(strings.ReplaceAll(answer, " ", "\n")+"\n"), 0o644)
	}
	code, output = s.shell(setting + ` SSH=ssh PAUSE=0 "$DOCS/rollout.sh" 1.2.3 a b`)
	called, _ := os.ReadFile(filepath.Join(s.dir, "calls"))
	return code, strings.ReplaceAll(strings.TrimSpace(string(called)), "\n", ", "), output
}
