// Package openmetrics writes metrics as text. The text is OpenMetrics 1.0, and it is one that readers of Prometheus'
// older text format take too, such as the textfile collector of node_exporter:
//
//   - what says something in words is a gauge whose value is 1 and whose name ends in _info, and a state is one gauge for each
//     state, 1 or 0: the types info and stateset are not known to the older format;
//   - the comments of OpenMetrics that the older format does not know (# UNIT, # EOF) are comments there;
//   - a counter is declared by its name without _total, as OpenMetrics has it. The older format takes its samples as
//     those of an untyped metric, which a query does not tell from a counter.
//
// Names and help texts are the program's own, and a wrong one is an error. Values of labels come from anywhere: what a
// terminal would act on is replaced, they have a largest size, and there is a largest number of samples. What is left out is counted.
package openmetrics

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tbctl/tbctl/internal/term"
)

const (
	// LabelSizeMax is the most bytes of a label's value. A longer one is cut, and ends in a part of its SHA-256.
	LabelSizeMax = 512
	// SamplesMax is the most samples of a set: a thousand clusters of six hosts have fewer.
	SamplesMax = 1 << 20

	hashDigits = 16
)

// ErrName says that the name of a family or of a label, or a help text, cannot be one.
var ErrName = errors.New("no name or help text of a metric")

// Label is one label of a sample.
type Label struct{ Name, Value string }

// Set is the families of one text, in the order in which they were made. The zero value is an empty set.
type Set struct {
	families []*Family
	named    map[string]*Family
	samples  int
	leftOut  int
	err      error
}

// Family is the samples of one name.
type Family struct {
	set     *Set
	name    string // without _total
	help    string
	counter bool
	samples []string // lines
	seen    map[string]bool
}

// Gauge returns the family of a value that goes up and down. One that ends in a base unit (_seconds, _bytes) says so.
func (s *Set) Gauge(name, help string) *Family { return s.family(name, help, false) }

// Counter returns the family of a count that only goes up; its name is that of its samples without _total.
func (s *Set) Counter(name, help string) *Family { return s.family(name, help, true) }

// LeftOut is how many samples are not in the set: a second one with the same labels, or more than [SamplesMax].
func (s *Set) LeftOut() int { return s.leftOut }

func (s *Set) family(name, help string, counter bool) *Family {
	if f := s.named[name]; f != nil {
		if f.help != help || f.counter != counter {
			s.fail("%w: %q is two families", ErrName, name)
		}
		return f
	}
	f := &Family{set: s, name: name, help: help, counter: counter, seen: make(map[string]bool)}
	switch {
	case !isName(name), strings.HasSuffix(name, "_total"):
		s.fail("%w: %q", ErrName, name)
	case help == "" || strings.ContainsAny(help, "\\\"\n"):
		s.fail("%w: help of %q", ErrName, name)
	}
	if s.named == nil {
		s.named = make(map[string]*Family)
	}
	s.named[name] = f
	s.families = append(s.families, f)
	return f
}

// Add adds a sample.
func (f *Family) Add(value float64, labels ...Label) {
	var line strings.Builder
	line.WriteString(f.name)
	if f.counter {
		line.WriteString("_total")
		if value < 0 || math.IsNaN(value) {
			f.set.fail("counter %s: %v", f.name, value)
		}
	}
	names := make(map[string]bool, len(labels))
	for index, label := range labels {
		if !isName(label.Name) || strings.Contains(label.Name, ":") || strings.HasPrefix(label.Name, "__") || names[label.Name] {
			f.set.fail("%w: label %q of %s", ErrName, label.Name, f.name)
		}
		names[label.Name] = true
		separator := ","
		if index == 0 {
			separator = "{"
		}
		line.WriteString(separator + label.Name + `="` + escape(label.Value) + `"`)
	}
	if len(labels) > 0 {
		line.WriteByte('}')
	}
	key := line.String()
	if f.seen[key] || f.set.samples >= SamplesMax {
		f.set.leftOut++
		return
	}
	f.seen[key] = true
	f.set.samples++
	f.samples = append(f.samples, key+" "+number(value)+"\n")
}

// Is adds a sample that is 1 where something is so, and 0 otherwise.
func (f *Family) Is(so bool, labels ...Label) {
	value := 0.0
	if so {
		value = 1
	}
	f.Add(value, labels...)
}

// States adds one sample for each state, 1 for the one that is. One that is not among them is added.
func (f *Family) States(is string, states []string, labels ...Label) {
	known := false
	with := func(state string) []Label { return append(labels[:len(labels):len(labels)], Label{"state", state}) }
	for _, state := range states {
		known = known || state == is
		f.Is(state == is, with(state)...)
	}
	if !known && is != "" {
		f.Add(1, with(is)...)
	}
}

func (s *Set) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf(format, args...)
	}
}

// Write writes the whole text. With an error of the set itself nothing is written.
func (s *Set) Write(to io.Writer) error {
	if s.err != nil {
		return s.err
	}
	w := bufio.NewWriter(to)
	for _, f := range s.families {
		if len(f.samples) == 0 {
			continue
		}
		kind := "gauge"
		if f.counter {
			kind = "counter"
		}
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, kind)
		for _, unit := range []string{"seconds", "bytes"} {
			if strings.HasSuffix(f.name, "_"+unit) {
				fmt.Fprintf(w, "# UNIT %s %s\n", f.name, unit)
			}
		}
		for _, line := range f.samples {
			w.WriteString(line) // the error is Flush's
		}
	}
	w.WriteString("# EOF\n")
	return w.Flush()
}

// escape makes the value of a label of a text from anywhere.
func escape(text string) string {
	text = term.Printable(strings.ToValidUTF8(text, "\ufffd"))
	if len(text) > LabelSizeMax {
		end := LabelSizeMax - hashDigits - len("…")
		sum := sha256.Sum256([]byte(text))
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…" + fmt.Sprintf("%x", sum)[:hashDigits]
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
}

// number writes whole numbers without an exponent.
func number(value float64) string {
	const wholeMax = 1 << 53
	switch {
	case math.IsInf(value, 1):
		return "+Inf"
	case value == math.Trunc(value) && math.Abs(value) <= wholeMax:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

func isName(name string) bool {
	for index := range len(name) {
		c := name[index]
		if !(c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || index > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return name != ""
}
