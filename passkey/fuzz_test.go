package passkey_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// FuzzClientData signs any client data. What is accepted must be so for a reader of its own too.
func FuzzClientData(f *testing.F) {
	m := newMethod(f, nil)
	c := newCeremonies(f, m)
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	prompt, state := c.begin()
	challenge := base64.RawURLEncoding.EncodeToString(prompt.(passkey.Request).PublicKey.Challenge)
	right := `{"type":"webauthn.get","challenge":"` + challenge + `","origin":"https://example.org","crossOrigin":false}`
	f.Add([]byte(right))
	f.Add([]byte("\ufeff" + strings.Replace(right, "challenge", `\u0063hallenge`, 1)))
	f.Add([]byte(strings.Replace(right, "}", `,"origin":"https://evil.example"}`, 1)))
	f.Add([]byte(strings.Replace(right, "false", `true,"topOrigin":"https://evil.example"`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		a.Edit.ClientDataJSON = func([]byte) []byte { return text }
		answer, err := a.Get(prompt)
		if err != nil {
			t.Fatal(err)
		}
		at := mfa.Attempt{User: alice, Factor: c.factors[0], Own: c.factors, State: state, Answer: answer, Now: noon}
		if _, err := m.Finish(t.Context(), at); err != nil {
			return
		}
		var members map[string]any
		if err := json.Unmarshal(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), &members); err != nil {
			t.Fatalf("Finish accepted %q, which is not JSON: %v", text, err)
		}
		framed, _ := members["crossOrigin"].(bool)
		if members["type"] != "webauthn.get" || members["challenge"] != challenge || members["origin"] != site ||
			framed || members["topOrigin"] != nil && members["topOrigin"] != "" {
			t.Errorf("Finish accepted %q", text)
		}
	})
}

// FuzzAttestationObject registers any attestation object where statements are asked for. What is accepted must hold the
// credential that the answer names.
func FuzzAttestationObject(f *testing.F) {
	m := newMethod(f, direct)
	challenge, handle := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 64)
	id := bytes.Repeat([]byte{3}, 16)
	clientData := []byte(`{"type":"webauthn.create","challenge":"` + encoded(challenge) + `","origin":"https://example.org"}`)
	prompt := passkey.Creation{PublicKey: passkey.CreationOptions{
		RP: passkey.RP{ID: domain}, User: passkey.Person{ID: handle}, Challenge: challenge, Attestation: "direct",
		Parameters: []passkey.Parameter{{Type: "public-key", Algorithm: mfatest.ES256}},
	}}
	for _, format := range allFormats {
		a := attested(f, format, nil)
		a.Edit.CredentialID = id
		a.Edit.ClientDataJSON = func([]byte) []byte { return clientData }
		a.Edit.Object = func(b []byte) []byte { f.Add(b); return b }
		if _, err := a.Create(prompt); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		out, err := m.FinishEnroll(t.Context(), mfa.Attempt{
			User: alice, State: passkey.CreateState(challenge, handle), Now: noon,
			Answer: answerOf(id, map[string][]byte{"clientDataJSON": clientData, "attestationObject": object}),
		})
		if err == nil && (!bytes.Contains(object, id) || !bytes.Equal(open(t, out.Factor).ID, id)) {
			t.Errorf("FinishEnroll accepted %x", object)
		}
	})
}

// FuzzMetadata loads any blob. What is accepted was signed as it is.
func FuzzMetadata(f *testing.F) {
	p := newPublisher(f, nil)
	right := p.blob(f, issue{1, day(30), []any{entry(modelName, p.Attester)}})
	signed := right[:bytes.LastIndexByte(right, '.')]
	f.Add(right)
	f.Add(bytes.Replace(right, []byte("."), []byte(".."), 1))
	f.Add([]byte("e30.e30."))
	roots := []*x509.Certificate{p.Root}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := passkey.LoadMetadata(bytes.NewReader(text), noon, roots...)
		if err == nil && (m.Serial() != 1 || !bytes.HasPrefix(bytes.TrimSpace(text), append(signed, '.'))) {
			t.Errorf("LoadMetadata accepted %q", text)
		}
	})
}

// FuzzIdentify asks any answer for the credential that it names. Only the one text of its id names it.
func FuzzIdentify(f *testing.F) {
	m := newMethod(f, nil)
	id := bytes.Repeat([]byte{7}, 16)
	key := mfa.KeyOf(mfa.MethodPasskey, id)
	f.Add(answerOf(id, nil))
	f.Add([]byte(`{"ID":"` + encoded(id) + `"}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, err := m.Identify(answer)
		if err != nil {
			return
		}
		if got == "" { // half a document may name one: Finish refuses it
			t.Errorf("Identify of %q names nothing, want an error", answer)
		}
		escaped := bytes.ContainsRune(answer, '\\')
		if got == key && !escaped && !bytes.Contains(answer, []byte(encoded(id))) {
			t.Errorf("Identify of %q = %q, want another key", answer, got)
		}
	})
}
