package replica

import (
	"path/filepath"
	"strconv"
	"strings"
)

// mount is a line of /proc/PID/mountinfo.
type mount struct {
	id      string // its number
	device  string // major:minor
	root    string // the path in the file system that is mounted
	point   string // where
	kind    string // of file system
	options string // of the file system
}

// parseMounts parses the content of mountinfo. Lines that it does not understand are left out.
func parseMounts(text string) []mount {
	var mounts []mount
	for line := range strings.Lines(text) {
		fields, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		words, types := strings.Fields(fields), strings.Fields(rest)
		if ok && len(words) >= 6 && len(types) >= 3 {
			mounts = append(mounts, mount{id: words[0], device: words[2], root: unescape(words[3]), point: unescape(words[4]), kind: types[0], options: types[2]})
		}
	}
	return mounts
}

// unescape undoes what the kernel does with spaces and the like in paths: \040.
func unescape(text string) string {
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(text, `\`)
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		if len(after) >= 3 {
			if code, err := strconv.ParseUint(after[:3], 8, 8); err == nil {
				plain.WriteByte(byte(code))
				text = after[3:]
				continue
			}
		}
		plain.WriteByte('\\')
		text = after
	}
}

// suffixUnlinked is what mountinfo has after the root of a mount whose file was deleted.
const suffixUnlinked = "//deleted"

// source returns where in which file system the file at a path is that is a mount
// point by itself. It is empty if the path is none.
func source(mounts []mount, path string) (device, within string) {
	for _, each := range mounts {
		if each.point == path { // the last one lies on top
			device, within = each.device, strings.TrimSuffix(each.root, suffixUnlinked)
		}
	}
	return device, within
}

// within returns where in which file system a path is.
func within(mounts []mount, path string) (device, inside string) {
	longest := -1
	for _, each := range mounts {
		rest, err := filepath.Rel(each.point, path)
		if err != nil || rest == ".." || strings.HasPrefix(rest, "../") || len(each.point) < longest {
			continue
		}
		longest = len(each.point)
		device, inside = each.device, filepath.Join(each.root, rest)
	}
	return device, inside
}
