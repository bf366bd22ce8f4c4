package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	hostNameMax = 255 // bytes
	// expandMax is the most hosts that one pattern stands for.
	expandMax = 1000
	numberMax = 6 // digits in a range
)

// expandHosts returns the hosts that a pattern names, in its order: tb[0-2].eu is tb0.eu, tb1.eu, tb2.eu, and
// tb[01,08-10] is tb01, tb08, tb09, tb10. A name without brackets is itself.
func expandHosts(pattern string) ([]string, error) {
	names := []string{""}
	for rest := pattern; rest != ""; {
		before, after, bracket := strings.Cut(rest, "[")
		choices := []string{""}
		rest = ""
		if bracket {
			inside, behind, closed := strings.Cut(after, "]")
			if !closed {
				return nil, fmt.Errorf("host %q: a bracket is not closed", pattern)
			}
			var err error
			if choices, err = expandRanges(inside); err != nil {
				return nil, fmt.Errorf("host %q: %w", pattern, err)
			}
			rest = behind
		}
		if len(names)*len(choices) > expandMax {
			return nil, fmt.Errorf("host %q: more than %d hosts", pattern, expandMax)
		}
		longer := make([]string, 0, len(names)*len(choices))
		for _, name := range names {
			for _, choice := range choices {
				longer = append(longer, name+before+choice)
			}
		}
		names = longer
	}
	for _, name := range names {
		if !isHost(name) {
			return nil, fmt.Errorf("host %q: not a name that ssh takes", pattern)
		}
	}
	return names, nil
}

// isHost says that a text is what ssh takes for a destination, and no program for an option.
func isHost(name string) bool {
	host := name
	if at := strings.LastIndexByte(name, '@'); at >= 0 { // which is where ssh takes the user's name off
		user := name[:at]
		if host = name[at+1:]; user == "" || user[0] == '-' {
			return false
		}
	}
	return len(name) <= hostNameMax && onlyOf(name, letters+"._:%@-") && host != "" && host[0] != '-'
}

// expandRanges returns what 0-2,08 stands for. Leading zeros are kept.
func expandRanges(text string) ([]string, error) {
	var values []string
	for part := range strings.SplitSeq(text, ",") {
		from, to, between := strings.Cut(part, "-")
		if !between {
			to = from
		}
		if !isNumber(from) || !isNumber(to) {
			return nil, fmt.Errorf("%q is no range of numbers, such as 0-5", part)
		}
		first, _ := strconv.Atoi(from) // at most six digits
		last, _ := strconv.Atoi(to)
		if last < first || last-first >= expandMax {
			return nil, fmt.Errorf("%q is no range of at most %d numbers", part, expandMax)
		}
		for value := first; value <= last; value++ {
			values = append(values, fmt.Sprintf("%0*d", len(from), value))
		}
	}
	return values, nil
}

func isNumber(text string) bool { return len(text) <= numberMax && onlyOf(text, "0123456789") }

const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // and digits

// onlyOf says that a text is not empty and consists of these characters.
func onlyOf(text, characters string) bool { return text != "" && strings.Trim(text, characters) == "" }
