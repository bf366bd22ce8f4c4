package release

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	validatorSizeMax = 256 // bytes
	// lastModifiedAge is how much older than the answer a Last-Modified must be to identify bytes: a file
	// may change twice in the second that it can express, and clocks differ.
	lastModifiedAge = time.Minute
)

// validatorOf returns what identifies the bytes of an answer, "" when nothing does: a strong ETag, or
// a Last-Modified that is old enough. Its form is what If-Range takes.
func validatorOf(header http.Header) string {
	tag := header.Get("ETag")
	if len(tag) >= 2 && len(tag) <= validatorSizeMax && tag[0] == '"' && tag[len(tag)-1] == '"' {
		return tag
	}
	if tag != "" {
		return "" // a weak one says that the bytes may differ, whatever the date
	}
	modified, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil {
		return ""
	}
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil || date.Sub(modified) < lastModifiedAge {
		return ""
	}
	return modified.UTC().Format(http.TimeFormat)
}

// validatorHeld reports whether the validator of a partial answer is the one that was asked for. An
// answer may leave it out, because If-Range has been its condition.
func validatorHeld(header http.Header, validator string) bool {
	if strings.HasPrefix(validator, `"`) {
		tag := header.Get("ETag")
		return tag == "" || tag == validator
	}
	modified := header.Get("Last-Modified")
	if modified == "" {
		return true
	}
	at, err := http.ParseTime(modified)
	return err == nil && at.UTC().Format(http.TimeFormat) == validator
}

// contentRange reads "bytes FIRST-LAST/TOTAL". The total is -1 when it is "*".
func contentRange(header http.Header) (first, last, total int64, ok bool) {
	text, found := strings.CutPrefix(header.Get("Content-Range"), "bytes ")
	span, size, slash := strings.Cut(text, "/")
	from, to, dash := strings.Cut(span, "-")
	if !found || !slash || !dash {
		return 0, 0, 0, false
	}
	first, okFirst := digits(from)
	last, okLast := digits(to)
	total, okTotal := int64(-1), size == "*"
	if !okTotal {
		total, okTotal = digits(size)
	}
	return first, last, total, okFirst && okLast && okTotal && first <= last && (total < 0 || last < total)
}

func digits(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}
