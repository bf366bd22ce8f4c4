package remote

import (
	"strings"

	"github.com/tbctl/tbctl/report"
)

const (
	// TextSizeMax is the most bytes that are kept of each text of a host's answer, and HintSizeMax of a hint: what it says is shown, and kept.
	TextSizeMax = 4 << 10
	HintSizeMax = 512
)

// manyLines is the field whose text has several lines, and is read by a program alone.
const manyLines = "Signature"

// clipAll clips each text of an answer, which is what a pointer leads to: to one line of [TextSizeMax] bytes.
func clipAll(answer any) {
	report.Texts(answer, func(field, text string) string {
		if field != manyLines {
			text = oneLine(text)
		}
		return report.Clip(text, TextSizeMax)
	})
}

// oneLine puts spaces where a text begins a new line.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}
