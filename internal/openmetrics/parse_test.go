package openmetrics_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// sample is one line as the parser read it: labels in their order.
type sample struct {
	name   string
	labels [][2]string
	value  float64
}

var (
	nameRule  = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelRule = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// parse reads a text as the grammar of OpenMetrics 1.0 has it, and is stricter: every family is declared with
// HELP, TYPE and, where its name ends in one, UNIT, in this order, and has samples; no two samples are the same.
func parse(text string) ([]sample, error) {
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok || !utf8.ValidString(text) {
		return nil, fmt.Errorf("no EOF at the end, or no UTF-8")
	}
	var samples []sample
	families, seen := map[string]bool{}, map[string]bool{}
	var family, kind string
	count, unit := 1, false
	lines := strings.SplitAfter(body, "\n")
	for index := 0; index < len(lines)-1; index++ {
		line := strings.TrimSuffix(lines[index], "\n")
		if strings.HasPrefix(line, "# HELP ") {
			parts := strings.SplitN(line, " ", 4)
			if len(parts) != 4 || !nameRule.MatchString(parts[2]) || families[parts[2]] || parts[3] == "" || count == 0 || strings.ContainsAny(parts[3], `\"`) {
				return nil, fmt.Errorf("line %q", line)
			}
			family, count, unit = parts[2], 0, false
			families[family] = true
			index++
			declared := strings.Split(strings.TrimSuffix(lines[index], "\n"), " ")
			if len(declared) != 4 || declared[0] != "#" || declared[1] != "TYPE" || declared[2] != family || declared[3] != "gauge" && declared[3] != "counter" {
				return nil, fmt.Errorf("line %q", lines[index])
			}
			kind = declared[3]
			continue
		}
		if strings.HasPrefix(line, "# UNIT ") {
			parts := strings.Split(line, " ")
			if len(parts) != 4 || parts[2] != family || !strings.HasSuffix(family, "_"+parts[3]) || count > 0 || unit {
				return nil, fmt.Errorf("line %q", line)
			}
			unit = true
			continue
		}
		one, err := parseSample(line)
		if err != nil {
			return nil, err
		}
		want := family
		if kind == "counter" {
			want += "_total"
			if one.value < 0 || math.IsNaN(one.value) {
				return nil, fmt.Errorf("counter: %q", line)
			}
		}
		key := fmt.Sprintf("%s %q", one.name, one.labels)
		if one.name != want || seen[key] {
			return nil, fmt.Errorf("line %q of %q", line, family)
		}
		seen[key] = true
		count++
		samples = append(samples, one)
	}
	if lines[len(lines)-1] != "" || count == 0 {
		return nil, fmt.Errorf("the last line has no end, or the last family no sample")
	}
	return samples, nil
}

func parseSample(line string) (sample, error) {
	wrong := fmt.Errorf("sample %q", line)
	end := strings.IndexAny(line, "{ ")
	if end < 0 || !nameRule.MatchString(line[:end]) {
		return sample{}, wrong
	}
	one := sample{name: line[:end]}
	rest := line[end:]
	if rest[0] == '{' {
		names := map[string]bool{}
		for rest = rest[1:]; ; {
			name, after, ok := strings.Cut(rest, `="`)
			if !ok || !labelRule.MatchString(name) || names[name] {
				return sample{}, wrong
			}
			names[name] = true
			var value strings.Builder
			for {
				if after == "" {
					return sample{}, wrong
				}
				c := after[0]
				after = after[1:]
				if c == '"' {
					break
				}
				if c == '\\' {
					switch {
					case strings.HasPrefix(after, `\`), strings.HasPrefix(after, `"`):
						c = after[0]
					case strings.HasPrefix(after, "n"):
						c = '\n'
					default:
						return sample{}, wrong
					}
					after = after[1:]
				}
				value.WriteByte(c)
			}
			one.labels = append(one.labels, [2]string{name, value.String()})
			if rest, ok = strings.CutPrefix(after, ","); ok {
				continue
			}
			if rest, ok = strings.CutPrefix(after, "}"); !ok {
				return sample{}, wrong
			}
			break
		}
	}
	text, ok := strings.CutPrefix(rest, " ")
	value, err := strconv.ParseFloat(text, 64)
	if !ok || err != nil || strings.ContainsAny(text, " _xp") {
		return sample{}, wrong
	}
	one.value = value
	return one, nil
}
