package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// JSON says what keeps a text from being read as JSON, in an operator's words: what is wrong, at which key and byte. Other
// errors stay as they are.
func JSON(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		where := ""
		if key := keyOf(kind.Field); key != "" {
			where = key + ": "
		}
		return &jsonError{fmt.Sprintf("%swhat is there may not be %s, before byte %d", where, article(kind.Value), kind.Offset), err}
	case errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end"), errors.Is(err, io.ErrUnexpectedEOF):
		return &jsonError{"it is cut short: the JSON in it has no end", err}
	case errors.As(err, &syntax):
		return &jsonError{fmt.Sprintf("not JSON at byte %d", syntax.Offset), err}
	case err == io.EOF:
		return &jsonError{"it is empty", err}
	}
	return err
}

// article puts one before the decoder's word for a kind of value, which a number may follow.
func article(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	switch kind {
	case "array", "object":
		return "an " + kind
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	}
	return "a " + kind
}

// keyOf is a path of keys without the names of embedded structs, which no file has.
func keyOf(field string) string {
	var keys []string
	for key := range strings.SplitSeq(field, ".") {
		if key == strings.ToLower(key) {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, ".")
}

// jsonError is an error of the decoder with another text.
type jsonError struct {
	text string
	err  error
}

func (e *jsonError) Error() string { return e.text }
func (e *jsonError) Unwrap() error { return e.err }
