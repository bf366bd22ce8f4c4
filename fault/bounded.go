package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	nestingMax = 32  // values in each other
	fieldsMax  = 128 // of one object: more than twice what any of ours has
)

// Unmarshal reads JSON that another user or another machine may have written. It looks at how deep the values are nested, and how many fields an
// object has, before it reads any of them: many fields that nobody knows take much longer than they have bytes. The error is in an operator's
// words, see [JSON].
func Unmarshal(text []byte, into any) error {
	if err := checkBounds(text); err != nil {
		return err
	}
	return JSON(json.Unmarshal(text, into))
}

// UnmarshalKnown is [Unmarshal] that refuses fields that are not known, and whatever follows the value.
func UnmarshalKnown(text []byte, into any) error {
	if err := checkBounds(text); err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return JSON(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("something follows the JSON in it")
	}
	return nil
}

// checkBounds refuses what has more than those. What is no JSON is for the decoder to say.
func checkBounds(text []byte) error {
	var fields [nestingMax]int // that each open object has; of an array -1
	depth := 0
	for index := 0; index < len(text); index++ {
		switch text[index] {
		case '"':
			for index++; index < len(text) && text[index] != '"'; index++ {
				if text[index] == '\\' {
					index++
				}
			}
		case '{', '[':
			if depth == nestingMax {
				return fmt.Errorf("at byte %d values are nested more than %d deep, as nothing is that tbctl writes", index+1, nestingMax)
			}
			fields[depth] = 1
			if text[index] == '[' {
				fields[depth] = -1
			}
			depth++
		case '}', ']':
			depth = max(depth-1, 0)
		case ',':
			if depth == 0 || fields[depth-1] < 0 {
				continue
			}
			if fields[depth-1]++; fields[depth-1] > fieldsMax {
				return fmt.Errorf("at byte %d an object has more than %d fields, as none has that tbctl writes", index+1, fieldsMax)
			}
		}
	}
	return nil
}
