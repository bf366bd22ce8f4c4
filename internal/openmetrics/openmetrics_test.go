package openmetrics_test

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tbctl/tbctl/internal/openmetrics"
	"github.com/tbctl/tbctl/internal/term"
)

func label(name, value string) openmetrics.Label {
	return openmetrics.Label{Name: name, Value: value}
}

func write(t *testing.T, set *openmetrics.Set) string {
	t.Helper()
	var text strings.Builder
	if err := set.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestText(t *testing.T) {
	t.Parallel()
	set := &openmetrics.Set{}
	set.Gauge("empty", "Of no sample.")
	set.Gauge("tb_up", "Whether it is up.").Is(true)
	set.Gauge("tb_since_seconds", "Since when.").Add(1795819814.373, label("target", `/a"b\c`+"\nd\x1b[31m"))
	set.Gauge("tb_state", "Its state.").States("b", []string{"a", "b"}, label("target", "x"))
	set.Gauge("tb_state", "Its state.").States("c", []string{"a"}, label("target", "y"))
	set.Counter("tb_sent_bytes", "Bytes that were sent.").Add(1<<40, label("to", "é"))
	const want = `# HELP tb_up Whether it is up.
# TYPE tb_up gauge
tb_up 1
# HELP tb_since_seconds Since when.
# TYPE tb_since_seconds gauge
# UNIT tb_since_seconds seconds
tb_since_seconds{target="/a\"b\\c�d�[31m"} 1.795819814373e+09
# HELP tb_state Its state.
# TYPE tb_state gauge
tb_state{target="x",state="a"} 0
tb_state{target="x",state="b"} 1
tb_state{target="y",state="a"} 0
tb_state{target="y",state="c"} 1
# HELP tb_sent_bytes Bytes that were sent.
# TYPE tb_sent_bytes counter
# UNIT tb_sent_bytes bytes
tb_sent_bytes_total{to="é"} 1099511627776
# EOF
`
	got := write(t, set)
	if got != want {
		t.Errorf("text:\n%s", got)
	}
	if samples, err := parse(got); err != nil || len(samples) != 7 {
		t.Errorf("parsed: %d samples, %v", len(samples), err)
	}
}

// TestWrong proves that what the program itself gets wrong is an error, and nothing is written.
func TestWrong(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*openmetrics.Set){
		"name":       func(s *openmetrics.Set) { s.Gauge("1up", "Help.") },
		"total":      func(s *openmetrics.Set) { s.Counter("x_total", "Help.") },
		"help":       func(s *openmetrics.Set) { s.Gauge("up", "a\nb") },
		"no help":    func(s *openmetrics.Set) { s.Gauge("up", "") },
		"two":        func(s *openmetrics.Set) { s.Gauge("up", "Help."); s.Counter("up", "Help.") },
		"label":      func(s *openmetrics.Set) { s.Gauge("up", "Help.").Add(1, label("a-b", "")) },
		"own label":  func(s *openmetrics.Set) { s.Gauge("up", "Help.").Add(1, label("__name__", "")) },
		"same label": func(s *openmetrics.Set) { s.Gauge("up", "Help.").Add(1, label("a", ""), label("a", "b")) },
	} {
		set := &openmetrics.Set{}
		do(set)
		var text strings.Builder
		if err := set.Write(&text); !errors.Is(err, openmetrics.ErrName) || text.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, text.String())
		}
	}
	for _, value := range []float64{-1, math.NaN()} {
		set := &openmetrics.Set{}
		set.Counter("c", "Help.").Add(value)
		if err := set.Write(new(strings.Builder)); err == nil {
			t.Errorf("a counter of %v was written", value)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	set := &openmetrics.Set{}
	long := strings.Repeat("ü", openmetrics.LabelSizeMax)
	f := set.Gauge("up", "Help.")
	f.Add(1, label("a", long+"1"))
	f.Add(2, label("a", long+"2"))
	f.Add(3, label("a", long+"1")) // the same again
	samples, err := parse(write(t, set))
	if err != nil || len(samples) != 2 || set.LeftOut() != 1 {
		t.Fatalf("%d samples, %d left out, %v", len(samples), set.LeftOut(), err)
	}
	for _, one := range samples {
		if value := one.labels[0][1]; len(value) > openmetrics.LabelSizeMax || !utf8.ValidString(value) || !strings.HasPrefix(value, "üü") {
			t.Errorf("a value of %d bytes: %q", len(value), value)
		}
	}
}

// FuzzText proves that no value of a label makes a text that a strict parser takes otherwise.
func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "a", `\`, `"`, "\n", `a="b"} 1`, "\xff\xfe", "\u202e", strings.Repeat("é", 600), "# EOF\n"} {
		f.Add(seed, `x\n`, 1.5)
	}
	f.Add("a", "b", math.Inf(-1))
	f.Fuzz(func(t *testing.T, first, second string, value float64) {
		set := &openmetrics.Set{}
		set.Gauge("before", "Help.").Add(1)
		set.Gauge("g_seconds", "Help.").Add(value, label("first", first), label("second", second))
		set.Gauge("g_seconds", "Help.").Add(value, label("first", second), label("second", first))
		set.Gauge("after", "Help.").Add(1)
		samples, err := parse(write(t, set))
		if err != nil || len(samples) != 4-set.LeftOut() || samples[0].name != "before" || samples[len(samples)-1].name != "after" {
			t.Fatalf("%d samples: %v", len(samples), err)
		}
		if got := samples[1].value; got != value && !(math.IsNaN(got) && math.IsNaN(value)) {
			t.Errorf("%v became %v", value, got)
		}
		for index, want := range []string{first, second} {
			if got := samples[1].labels[index][1]; len(term.Printable(want)) <= openmetrics.LabelSizeMax && utf8.ValidString(want) && got != term.Printable(want) {
				t.Errorf("%q became %q", want, got)
			} else if got != term.Printable(got) {
				t.Errorf("%q reaches a terminal", got)
			}
		}
	})
}

// TestMade proves that what is made of real reports is OpenMetrics, too.
func TestMade(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../metrics/testdata/*.prom")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if samples, err := parse(string(text)); err != nil || len(samples) < 50 {
			t.Errorf("%s: %d samples, %v", file, len(samples), err)
		}
		program, err := exec.LookPath("promtool")
		if err != nil {
			t.Logf("skipped: Prometheus' own reader of OpenMetrics is asked with promtool (package prometheus): %v", err)
			continue
		}
		timed := regexp.MustCompile(`(?m)^([^#].*)$`).ReplaceAllString(string(text), "$1 1795780800") // which this reader wants
		input := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(input, []byte(timed), 0o644); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command(program, "tsdb", "create-blocks-from", "openmetrics", input, t.TempDir()).CombinedOutput(); err != nil {
			t.Errorf("%s: promtool: %v\n%s", file, err, output)
		}
	}
}

// TestPromtool proves that Prometheus' own reader of the older text format takes it.
func TestPromtool(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("Prometheus' own reader is asked with promtool (package prometheus): %v", err)
	}
	set := &openmetrics.Set{}
	set.Gauge("tb_up", "Whether it is up.").Is(true, label("target", "a\\b\"c\nd\xff"))
	set.Gauge("tb_up", "Whether it is up.").Is(true, label("target", strings.Repeat(`\"`, 1000)))
	set.Gauge("tb_free_bytes", "Bytes that are free.").Add(1 << 60)
	set.Gauge("tb_small_seconds", "Little.").Add(1e-9)
	command := exec.Command(program, "check", "metrics")
	command.Stdin = strings.NewReader(write(t, set))
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("promtool: %v\n%s", err, output)
	}
}
