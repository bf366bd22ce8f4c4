package release

import (
	"slices"

	"github.com/tbctl/tbctl/multiversion"
)

// Reachable is a listed release, and the way to it from the installed one.
type Reachable struct {
	Listed
	Installed bool `json:"installed"`
	// Steps is how many installations it takes from the installed release; 0
	// for the installed one and older ones, and if nothing is installed.
	Steps int `json:"steps"`
	// Via are the releases to install first.
	Via []Tag `json:"via,omitempty"`
}

// packReach is how many releases back a binary's pack goes: the newest three
// past releases of the binary before, and that one's own.
const packReach = 4

// Reach finds the way from the installed release to each newer one. listed is
// newest first; re-releases share a number.
func Reach(listed []Listed, installed multiversion.Release) []Reachable {
	var numbers []multiversion.Release // oldest first, each once
	tags := make(map[multiversion.Release]Tag)
	for _, line := range slices.Backward(listed) {
		number, err := multiversion.ParseRelease(line.Release)
		if err != nil {
			continue
		}
		tags[number] = line.Tag // a re-release comes after what it replaces
		if !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	if place, listed := slices.BinarySearch(numbers, installed); installed != 0 && !listed {
		numbers = slices.Insert(numbers, place, installed) // the source need not have it
	}
	from := slices.Index(numbers, installed)
	lines := make([]Reachable, len(listed))
	for index, line := range listed {
		lines[index] = Reachable{Listed: line}
		number, err := multiversion.ParseRelease(line.Release)
		to := slices.Index(numbers, number)
		if err != nil || from < 0 || to < 0 {
			continue
		}
		lines[index].Installed = to == from
		for at := to; at > from; at -= packReach {
			lines[index].Steps++
			if at != to {
				lines[index].Via = append([]Tag{tags[numbers[at]]}, lines[index].Via...)
			}
		}
	}
	return lines
}
