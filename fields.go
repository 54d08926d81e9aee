package sallyport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// fields are what a body says: at most one text for each name. An answer that is a JSON object is its text.
type fields map[string]string

// maxBody is how much of a body is read.
const maxBody = 64 << 10

// Names of fields.
const (
	fieldTicket   = "ticket"
	fieldAnswer   = "answer"
	fieldLabel    = "label"
	fieldBack     = "back"
	fieldFactor   = "factor"
	fieldRemember = "remember"
	fieldAddress  = "address"
)

// read returns the fields of a request, which may only be the allowed ones, and opens the caller's way back.
func (g *Guard) read(w http.ResponseWriter, r *http.Request, c *caller, allowed ...string) (fields, error) {
	kind := mediaType(r)
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, &problem{name: nameInvalid, status: http.StatusUnsupportedMediaType, detail: "media-type"}
	}
	body, err := readBody(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &problem{name: nameTooLarge, status: http.StatusRequestEntityTooLarge}
	case err != nil:
		return nil, invalid("the body could not be read")
	}
	f, err := parseFields(kind, body)
	if err != nil {
		return nil, err
	}
	for name := range f {
		if name != fieldBack && !slices.Contains(allowed, name) {
			return nil, invalid(fmt.Sprintf("the field %.40q is not known here", name))
		}
	}
	g.goBack(c, f[fieldBack])
	return f, nil
}

// bodyTime is how long a body may take to arrive.
const bodyTime = 10 * time.Second

// readBody reads a small body within a short time, where the connection can be told so.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	connection := http.NewResponseController(w)
	if connection.SetReadDeadline(time.Now().Add(bodyTime)) == nil {
		defer connection.SetReadDeadline(time.Time{})
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// parseFields reads a body of a media type.
func parseFields(kind string, body []byte) (fields, error) {
	switch {
	case len(body) == 0 && (kind == "" || kind == "application/json"):
		return fields{}, nil
	case kind == "application/x-www-form-urlencoded":
		return parseForm(body)
	case kind == "application/json":
		return parseJSON(body)
	}
	return nil, &problem{name: nameInvalid, status: http.StatusUnsupportedMediaType, detail: "media-type"}
}

// mediaType returns the media type of a body, without parameters; "": none was given; "?": none that can be read.
func mediaType(r *http.Request) string {
	lines := r.Header["Content-Type"]
	if len(lines) == 0 {
		return ""
	}
	kind, _, err := mime.ParseMediaType(lines[0])
	if err != nil || len(lines) > 1 {
		return "?"
	}
	return kind
}

func parseForm(body []byte) (fields, error) {
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("the form cannot be read")
	}
	f := fields{}
	for name := range q {
		if f[name], err = one(q, name); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// one returns the only value of a name; "" if there is none.
func one(q url.Values, name string) (string, error) {
	values := q[name]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", invalid(fmt.Sprintf("the field %.40q is there %d times", name, len(values)))
	case !utf8.ValidString(values[0]) || !utf8.ValidString(name):
		return "", invalid("a field is not valid UTF-8")
	}
	return values[0], nil
}

// parseJSON reads one flat object. Unlike json.Unmarshal it refuses names that are there twice or differ in case.
func parseJSON(body []byte) (fields, error) {
	if !utf8.Valid(body) {
		return nil, invalid("the document is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, invalid("the document is not a JSON object")
	}
	f := fields{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, invalid("the document cannot be read")
		}
		key := name.(string) // the token before a value in an object
		if _, twice := f[key]; twice {
			return nil, invalid(fmt.Sprintf("the field %.40q is there twice", key))
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, invalid("the document cannot be read")
		}
		if f[key], err = jsonText(key, value); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, invalid("the document cannot be read")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("something follows the document")
	}
	return f, nil
}

// jsonText returns the text of a value: a string, the answer of a method that takes an object, or the switch remember.
func jsonText(name string, value json.RawMessage) (string, error) {
	var text string
	kind := value[0]
	switch {
	case kind == '"':
		if err := json.Unmarshal(value, &text); err != nil {
			return "", invalid("the document cannot be read")
		}
		return text, nil
	case kind == '{' && name == fieldAnswer, name == fieldRemember && (kind == 't' || kind == 'f'):
		return string(value), nil
	}
	return "", invalid(fmt.Sprintf("the field %.40q must be a string", name))
}

// need returns a field that must be there.
func (f fields) need(name string) (string, error) {
	if strings.TrimSpace(f[name]) == "" {
		return "", invalid(fmt.Sprintf("the field %q is missing", name))
	}
	return f[name], nil
}
