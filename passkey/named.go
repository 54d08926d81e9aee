package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
)

// namedID returns the member "id" of an answer, the first one, without reading all of the document: Finish does that, and
// refuses an answer whose id is not the one that was found here.
func namedID(text []byte) (string, error) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := stringEnd(text, i)
			if end < 0 {
				return "", errors.New("a string does not end")
			}
			if depth == 1 && bytes.Equal(text[i:end], []byte(`"id"`)) {
				return stringValue(text[end:])
			}
			i = end - 1
		}
	}
	return "", errors.New("it names no credential")
}

// stringEnd returns the place behind the string that begins at i; -1: it does not end.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// stringValue reads the string behind the colon that text begins with.
func stringValue(text []byte) (string, error) {
	text = bytes.TrimLeft(text, " \t\r\n")
	value, ok := bytes.CutPrefix(text, []byte(":"))
	value = bytes.TrimLeft(value, " \t\r\n")
	if !ok || len(value) == 0 || value[0] != '"' {
		return "", errors.New("id is not a string")
	}
	end := stringEnd(value, 0)
	if end < 0 {
		return "", errors.New("a string does not end")
	}
	if !bytes.ContainsRune(value[:end], '\\') {
		return string(value[1 : end-1]), nil
	}
	var id string
	err := json.Unmarshal(value[:end], &id)
	return id, err
}
