// Package tomlline finds the lines of a TOML file that mistakes are in.
package tomlline

import (
	"slices"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Where is FILE:LINE: KEY, without a line of 0 and an empty key.
func Where(file string, line int, key string) string {
	if line > 0 {
		file += ":" + strconv.Itoa(line)
	}
	if key != "" {
		file += ": " + key
	}
	return file
}

// Of returns the line of a key, below the i-th element of the list of tables that the key begins with unless i is negative. Where
// the key is not there it is the line of what it would be in, and 0 where that isn't either.
func Of(text []byte, i int, key ...string) int {
	parser := unstable.Parser{}
	parser.Reset(text)
	found, best := 0, -1
	table, element := []string{}, -1
	for parser.NextExpression() {
		expression := parser.Expression()
		var names []string
		var at unstable.Range
		for part := expression.Key(); part.Next(); {
			names, at = append(names, string(part.Node().Data)), part.Node().Raw
		}
		if expression.Kind == unstable.KeyValue {
			names = append(slices.Clone(table), names...)
		} else {
			table = names
			if expression.Kind == unstable.ArrayTable && slices.Equal(names, key[:1]) {
				element++
			}
		}
		// The longest part of the key that is there.
		common := 0
		for common < min(len(names), len(key)) && names[common] == key[common] {
			common++
		}
		if common == len(names) && common > best && (i < 0 || element == i) {
			found, best = parser.Shape(at).Start.Line, common
		}
	}
	return found
}
