package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"sallyport/mfa"
)

func TestAnAnswerNamesItsCredentialWhereverTheNameStands(t *testing.T) {
	id := []byte("a credential id")
	text := base64.RawURLEncoding.EncodeToString(id)
	for name, answer := range map[string]string{
		"first":                   `{"id":"` + text + `","type":"public-key"}`,
		"last, spread over lines": "{\n\t\"type\" : \"public-key\",\r\n \"id\" :\t\"" + text + "\"\n}",
		"after nested ids":        `{"response":{"id":"AAAA","list":[{"id":"BBBB"}]},"id":"` + text + `"}`,
		"after a string about it": `{"type":"\"id\":\"AAAA\"","id":"` + text + `"}`,
		"with an escape":          `{"id":"\u0059` + text[1:] + `"}`,
		"before a second one":     `{"id":"` + text + `","id":"AAAA"}`,
		"in half a document":      `{"id":"` + text + `","response":{`, // Finish refuses it
	} {
		got, err := newMethod(t, nil).Identify([]byte(answer))
		if want := mfa.KeyOf("passkey", id); err != nil || got != want {
			t.Errorf("%s: Identify = %q, %v; want %q", name, got, err, want)
		}
	}
	for name, answer := range map[string]string{
		"nothing": "", "no document": "id", "a list": `["id","` + text + `"]`, "a number": `{"id":7}`, "no value": `{"id"}`,
		"an empty id": `{"id":""}`, "a nested id alone": `{"response":{"id":"` + text + `"}}`, "an open string": `{"id":"` + text,
		"another case": `{"ID":"` + text + `"}`, "an id of 64 kB": `{"id":"` + strings.Repeat("A", 64<<10) + `"}`,
	} {
		if got, err := newMethod(t, nil).Identify([]byte(answer)); err == nil || got != "" {
			t.Errorf("%s: Identify = %q, %v; want an error", name, got, err)
		}
	}
}

func FuzzIdentifyReadsAsJSONDoes(f *testing.F) {
	f.Add(`{"id":"AAAA","rawId":"AAAA"}`)
	f.Add(`{"response":{"id":"x"},"id":"BBBB"}`)
	f.Add("\xff{\"id\"\\")
	m := newMethod(f, nil)
	f.Fuzz(func(t *testing.T, answer string) {
		got, err := m.Identify([]byte(answer))
		var members map[string]json.RawMessage
		if json.Unmarshal([]byte(answer), &members) != nil || strings.Count(answer, "id") != 1 {
			return
		}
		var id string
		if json.Unmarshal(members["id"], &id) != nil {
			id = ""
		}
		raw, wrong := base64.RawURLEncoding.Strict().DecodeString(id)
		if wrong == nil && len(raw) > 0 && len(raw) <= 1023 && !strings.ContainsAny(id, "\r\n") {
			if err != nil || got != mfa.KeyOf("passkey", raw) {
				t.Errorf("Identify(%q) = %q, %v; JSON says %q", answer, got, err, id)
			}
		} else if err == nil {
			t.Errorf("Identify(%q) = %q; JSON says %q", answer, got, id)
		}
	})
}
