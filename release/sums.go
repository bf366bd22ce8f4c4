package release

import (
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tbctl/tbctl/internal/sha"
	"github.com/tbctl/tbctl/multiversion"
)

const (
	sumsName    = "SHA256SUMS"
	sumsSizeMax = 1 << 20 // bytes

	sidecarSuffix  = ".sha256" // after the asset's name
	sidecarSizeMax = 64 << 10  // bytes

	sumLinesNamed = 3 // in a message
)

// executableNames are the names under which a list may have the executable of an archive.
var executableNames = []string{"tigerbeetle", "tigerbeetle.exe"}

// A sumList is a list of checksums that is beside an asset.
type sumList struct {
	kind EvidenceKind
	name string // of its file
}

// A sumLine is one line of a list of checksums.
type sumLine struct {
	in     sumList
	number int
	name   string // as it is listed, empty when the line is in no form known here
	sum    string // 64 digits, empty when the line has another algorithm's or none
	other  bool   // its digits are those of another algorithm
	text   string
}

// parse reads the forms in which lists are published: sha256sum's ("HEX  NAME", "HEX *NAME", with a
// backslash in front when the name has escapes), with a single blank as "sha256 -r" writes it, and BSD's and
// OpenSSL's ("SHA256 (NAME) = HEX", "SHA2-256(NAME)= HEX"), and the name first ("NAME HEX", "NAME: HEX").
// Empty lines and comments are left out; of a line in any other form only its number and text are known.
func (s sumList) parse(list []byte) []sumLine {
	var lines []sumLine
	number := 0
	for text := range strings.Lines(strings.TrimPrefix(string(list), "\ufeff")) {
		number++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		line := sumLine{in: s, number: number, text: text}
		digits := ""
		if tagged := sumTagged().FindStringSubmatch(text); tagged != nil {
			line.name, digits = tagged[2], tagged[3]
			line.other = !strings.EqualFold(tagged[1], "SHA256") && !strings.EqualFold(tagged[1], "SHA2-256")
		} else if plain := sumPlain().FindStringSubmatch(text); plain != nil {
			digits, line.name = plain[2], plain[3]
			if plain[1] != "" {
				line.name = sumEscapes.Replace(line.name)
			}
		} else if last := sumLast().FindStringSubmatch(text); last != nil {
			line.name, digits = last[1], last[2]
		}
		if sum, err := sha.Parse(digits); err == nil && !line.other {
			line.sum = sum
		} else if b, err := hex.DecodeString(digits); err == nil {
			line.other = line.other || slices.Contains([]int{16, 20, 28, 48, 64}, len(b)) // MD5, SHA-1, SHA-224, SHA-384, SHA-512
		}
		lines = append(lines, line)
	}
	return lines
}

// The forms of a line, made when the first list is read: a program that reads none is not to pay for them at its start.
var (
	sumTagged = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([A-Za-z0-9/-]+) ?\((.+)\) ?= ?([^ ]*)$`) })
	sumPlain  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(\\?)(?i:sha256:)?([0-9A-Fa-f]{8,})(?:[ \t]+|[ \t]\*)([^ \t*].*)$`)
	})
	sumLast    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([^<>]*[^ \t:=<>])[ \t:=]+([0-9A-Fa-f]{64})$`) })
	sumEscapes = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\r`, "\r")
)

// base is the last element of a listed name, on whichever system the list was made.
func (l sumLine) base() string { return l.name[strings.LastIndexAny(l.name, `/\`)+1:] }

// isFor reports whether the line lists a file of that name, in whichever directory.
func (l sumLine) isFor(name string) bool { return l.name != "" && (l.base() == name || l.name == name) }

// elsewhere reports whether the directories of the listed name are those of another release or platform than
// the asset's.
func (l sumLine) elsewhere(tag Tag, platform multiversion.Platform) bool {
	for element := range strings.FieldsFuncSeq(strings.TrimSuffix(l.name, l.base()), func(r rune) bool { return r == '/' || r == '\\' }) {
		if other, err := ParseTag(element); err == nil && other != Latest && tag != "" && other != tag {
			return true
		}
		if other, err := ParsePlatform(element); err == nil && other != platform {
			return true
		}
	}
	return false
}

// shown is the line for a message: its number, and the listed name where that is another than the file's own.
func (l sumLine) shown(name string) string {
	if l.name == name {
		return fmt.Sprintf("line %d of %s", l.number, l.in.name)
	}
	return fmt.Sprintf("line %d of %s, %.120q", l.number, l.in.name, l.name)
}

// sumsClaims says what a list states about the artifact. The last element of a listed name is compared, so
// that it does not matter where the list was made. A list that has the executable in the archive, and not the
// archive, is about that. What cannot be applied is a claim that was not checked, and names the line.
func (a *Artifact) sumsClaims(list sumList, text []byte) []Claim {
	lines := list.parse(text)
	asset := a.linesFor(lines, a.Asset)
	var executable []sumLine
	for _, name := range executableNames {
		if name != a.Asset {
			executable = append(executable, a.linesFor(lines, name)...)
		}
	}
	unread := slices.DeleteFunc(slices.Clone(lines), func(l sumLine) bool { return l.name != "" })
	switch {
	case len(asset) > 0:
		claims := []Claim{sumClaim(asset, a.Asset, ofAsset)}
		for _, line := range unread {
			if strings.Contains(line.text, a.Asset) {
				claims = append(claims, list.notApplied("line %d of %s names %.120q in a form that is not known here", line.number, list.name, a.Asset))
			}
		}
		if len(executable) > 0 {
			claims = append(claims, besides(sumClaim(executable, executable[0].base(), ofExecutable)))
		}
		return claims
	case len(executable) > 0:
		return []Claim{sumClaim(executable, executable[0].base(), ofExecutable)}
	case !slices.ContainsFunc(lines, func(l sumLine) bool { return l.sum != "" }):
		return []Claim{list.notApplied("%s is there, but it is no list of SHA-256 checksums%s", list.name, linesShown(lines))}
	}
	return []Claim{list.notApplied("%s lists %s, but not %.120q%s", list.name, count(len(lines)-len(unread), "file"), a.Asset, linesShown(unread))}
}

// sidecarClaims says what the file beside the asset states that has the sum of this asset alone: the digits, as stores of artifacts
// write them, or a list as of SHA256SUMS, in which sha256sum has written - for what came on its standard input.
func (a *Artifact) sidecarClaims(list sumList, text []byte) []Claim {
	only := strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff"))
	if digits, name, two := strings.Cut(only, " "); two && strings.Trim(name, " *") == "-" {
		only = digits
	}
	sum, err := sha.Parse(only)
	if err != nil {
		return a.sumsClaims(list, text)
	}
	c := digestClaim(list.kind, ofAsset)
	c.SHA256, c.Where = sum, list.name
	return []Claim{c}
}

// notApplied is a list that is there, and cannot be compared.
func (s sumList) notApplied(format string, args ...any) Claim {
	return digestClaim(s.kind, "").settled(StatusNotChecked, format, args...)
}

// besides is the claim as one about something that may not be the same in this archive.
func besides(c Claim) Claim {
	if c.Weak = true; c.Status == StatusFailed {
		c.Status = StatusNotChecked
	}
	return c
}

// linesFor chooses the lines that list a file of that name. Those of another release or platform are left
// out when there are others.
func (a *Artifact) linesFor(lines []sumLine, name string) []sumLine {
	var all, own []sumLine
	tag := a.tagHere()
	for _, line := range lines {
		if !line.isFor(name) {
			continue
		}
		all = append(all, line)
		if !line.elsewhere(tag, a.Platform) {
			own = append(own, line)
		}
	}
	if len(own) > 0 {
		return own
	}
	return all
}

// tagHere is the release that the artifact is of as far as its name or its directories tell, or empty.
func (a *Artifact) tagHere() Tag {
	if a.Tag != "" && a.Tag != Latest {
		return a.Tag
	}
	for dir := path.Dir(filepath.ToSlash(a.Location)); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if tag, err := ParseTag(path.Base(dir)); err == nil && tag != Latest {
			return tag
		}
	}
	return ""
}

// sumClaim is what the lines that list one file state. Lines that disagree, and digits that are no digest, are
// a list that cannot hold; a digest of another kind cannot be compared.
func sumClaim(lines []sumLine, name, of string) Claim {
	list := lines[0].in
	c := digestClaim(list.kind, of)
	var used sumLine
	for _, line := range lines {
		switch {
		case line.sum == "" && line.other:
			continue
		case line.sum == "":
			return c.settled(StatusFailed, "%s lists %.120q with a sum that is none", line.shown(name), name)
		case used.sum != "" && used.sum != line.sum:
			return c.settled(StatusFailed, "%s lists %.120q twice, with different sums, in its lines %d and %d", list.name, name, used.number, line.number)
		}
		used = line
	}
	if used.sum == "" {
		return list.notApplied("%s has a sum of another kind than SHA-256", lines[0].shown(name))
	}
	c.SHA256, c.Where = used.sum, used.shown(name)
	return c
}

// linesShown names lines that are in no form known here.
func linesShown(lines []sumLine) string {
	var numbers []string
	for i, line := range lines {
		if i == sumLinesNamed {
			numbers = append(numbers, "…")
			break
		}
		numbers = append(numbers, fmt.Sprint(line.number))
	}
	switch len(numbers) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("; its line %s cannot be read: %.60q", numbers[0], lines[0].text)
	}
	return fmt.Sprintf("; its lines %s cannot be read: %.60q", strings.Join(numbers, ", "), lines[0].text)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
