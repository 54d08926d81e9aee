package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/mfatest"
)

// nested is CBOR that opens depth lists or maps around nothing.
func nested(head byte, depth int) []byte { return append(bytes.Repeat([]byte{head}, depth), 0xf6) }

// BOMB1: CBOR that promises much or nests deeply costs nothing and is refused.
func TestBOMB1_CBOR(t *testing.T) {
	m := newMethod(t, nil)
	for name, bomb := range map[string][]byte{
		"lists in lists":              nested(0x81, 40_000),
		"maps in maps":                nested(0xa1, 40_000),
		"six lists in a statement":    mfatest.EncodeCBOR(mfatest.Map{"fmt", "none", "attStmt", mfatest.Raw(nested(0x81, 6)), "authData", []byte{}}),
		"tags in tags":                bytes.Repeat([]byte{0xd9, 0xd9, 0xf7}, 10_000),
		"a byte string of 2^62 bytes": {0x5b, 0x40, 0, 0, 0, 0, 0, 0, 0},
		"a list of 2^62":              {0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0},
		"a map of 2^62":               {0xbb, 0x40, 0, 0, 0, 0, 0, 0, 0},
		"a map of 2^32-1":             {0xba, 0xff, 0xff, 0xff, 0xff},
		"a map without end":           append([]byte{0xbf}, bytes.Repeat([]byte{0x61, 'a', 0}, 1000)...),
		"a text without end":          {0x7f, 0x61, 'a', 0x61, 'b', 0xff},
		"invalid UTF-8":               mfatest.EncodeCBOR(mfatest.Map{"fmt\xff", "none"}),
		"a key that is not a number":  {0xa1, 0xf9, 0x7e, 0, 0xf9, 0x7e, 0},
		"nothing":                     {},
		"a break":                     {0xff},
	} {
		refuseCreate(t, m, "an attestation object that is "+name, func(e *mfatest.Edits) { e.Object = func([]byte) []byte { return bomb } })
		refuseCreate(t, m, "a key that is "+name, func(e *mfatest.Edits) { e.RawPublicKey = func([]byte) []byte { return bomb } })
		refuse(t, m, "extension data that is "+name, func(e *mfatest.Edits) {
			e.Set, e.AuthData = mfatest.ED, func(b []byte) []byte { return append(b, bomb...) }
		})
	}
	refuseCreate(t, m, "an attestation object with bytes after it", func(e *mfatest.Edits) { e.Object = func(b []byte) []byte { return append(b, 0) } })
	refuseCreate(t, m, "an attestation object with fmt twice", func(e *mfatest.Edits) {
		e.Object = func(b []byte) []byte {
			b = bytes.Clone(b)
			b[0]++
			return append(b, mfatest.EncodeCBOR("fmt")[0], 'f', 'm', 't', 0x60)
		}
	})
}

// BOMB1: what is too large is refused before it is parsed, quickly.
func TestBOMB1_SizesOfAnswers(t *testing.T) {
	m := newMethod(t, nil)
	c := newCeremonies(t, m)
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	prompt, state := c.begin()
	right, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	_, createState := c.beginEnroll()
	padded := func(size int) []byte { return append(bytes.Repeat([]byte(" "), size-len(right)), right...) }
	named := mfa.Attempt{
		User: c.user, Factor: c.factors[0], Own: c.factors, State: state, Answer: padded(64<<10 + 1), Now: c.now,
	}
	if _, err := m.Finish(t.Context(), named); err == nil {
		t.Error("Finish of 64 kB and a byte for a factor that was found otherwise = nil, want an error")
	}
	for name, answer := range map[string][]byte{
		"64 kB and a byte":      padded(64<<10 + 1),
		"100 MB":                padded(100 << 20),
		"lists in lists":        []byte(strings.Repeat("[", 60_000)),
		"lists in an extension": []byte(`{"clientExtensionResults":{"x":` + strings.Repeat("[", 60_000)),
		"lists in client data":  mustAnswer(t, right, strings.Repeat("[", 30_000)),
		"10,000 members":        []byte("{" + strings.Repeat(`"a":1,`, 10_000) + `"b":1}`),
	} {
		begun := time.Now()
		if _, err := c.finish(state, answer); err == nil {
			t.Errorf("Finish of %s = nil, want an error", name)
		}
		if _, err := c.finishEnroll(createState, answer); err == nil {
			t.Errorf("FinishEnroll of %s = nil, want an error", name)
		}
		if _, err := m.Identify(answer); err == nil && len(answer) > 64<<10 {
			t.Errorf("Identify of %s = nil, want an error", name)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%s took %v, want less than a second", name, took)
		}
	}
	if _, err := c.finish(state, padded(64<<10)); err != nil {
		t.Errorf("Finish of 64 kB = %v, want no error", err)
	}
}

// mustAnswer returns an answer with other client data.
func mustAnswer(t *testing.T, answer []byte, clientData string) []byte {
	t.Helper()
	var parts map[string]any
	if err := json.Unmarshal(answer, &parts); err != nil {
		t.Fatal(err)
	}
	parts["response"].(map[string]any)["clientDataJSON"] = base64.RawURLEncoding.EncodeToString([]byte(clientData))
	text, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// BOMB1: credential ids.
func TestBOMB1_CredentialIDs(t *testing.T) {
	for size, ok := range map[int]bool{0: false, 1: true, 16: true, 1023: true, 1024: false, 30_000: false} {
		c := newCeremonies(t, newMethod(t, nil))
		a := mfatest.NewAuthenticator(site)
		a.Edit.CredentialID = bytes.Repeat([]byte{7}, size)
		if size == 0 {
			a.Edit.CredentialID = []byte{}
		}
		_, err := c.enroll(a)
		if (err == nil) != ok {
			t.Errorf("a credential id of %d bytes: FinishEnroll = %v, want it accepted: %v", size, err, ok)
		}
		if err == nil {
			c.proved(a)
		} else {
			refused(t, "FinishEnroll", err)
		}
	}
}

func FuzzFinish(f *testing.F) {
	m := newMethod(f, nil)
	c := newCeremonies(f, m)
	a := mfatest.NewAuthenticator(site)
	create, createState := c.beginEnroll()
	registration, err := a.Create(create)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := c.finishEnroll(createState, registration); err != nil {
		f.Fatal(err)
	}
	prompt, state := c.begin()
	right, err := a.Get(prompt)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(right)
	f.Add(registration)
	signed := strings.Split(string(right), `"signature":`)[1]
	f.Fuzz(func(t *testing.T, answer []byte) {
		key, _ := m.Identify(answer)
		at := mfa.Attempt{User: alice, Factor: c.factors[0], Own: c.factors, State: state, Answer: answer, Now: noon}
		out, err := m.Finish(t.Context(), at)
		if err == nil && (key != out.Factor.Key || !strings.Contains(string(answer), signed[:20])) {
			t.Errorf("Finish accepted %q", answer)
		}
		at.State, at.Own = createState, nil
		if out, err := m.FinishEnroll(t.Context(), at); err == nil && out.Factor.Key != key {
			t.Errorf("FinishEnroll made the key %s of an answer that names %s", out.Factor.Key, key)
		}
	})
}
