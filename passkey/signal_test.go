package passkey_test

import (
	"encoding/json"
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// inJSON compares a document with what it must be.
func inJSON(t *testing.T, what string, v any, want string) {
	t.Helper()
	got, err := json.Marshal(v)
	if err != nil || string(got) != want {
		t.Errorf("%s = %s, %v; want %s", what, got, err, want)
	}
}

// held makes a factor of a passkey that is scoped to a domain.
func held(t *testing.T, id, rpID string, handle []byte) mfa.Factor {
	t.Helper()
	key, err := mfatest.NewKey(mfatest.ES256)
	if err != nil {
		t.Fatal(err)
	}
	f, err := passkey.Credential{
		ID: []byte(id), PublicKey: mfatest.EncodeCBOR(key.COSE()), RPID: rpID, UserHandle: handle,
	}.Factor()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSignalsOfAcceptedCredentials(t *testing.T) {
	m := newMethod(t, nil)
	own := []mfa.Factor{
		held(t, "one", domain, []byte("h1")), held(t, "two", domain, []byte("h2")), held(t, "three", domain, []byte("h1")),
		held(t, "old", "example.net", []byte("h1")), held(t, "imported", domain, nil),
	}
	gone := held(t, "gone", domain, []byte("h3"))
	list, err := m.Accepted(own, gone)
	if err != nil {
		t.Fatalf("Accepted = %v, want no error", err)
	}
	inJSON(t, "Accepted", list, `[`+
		`{"rpId":"example.org","userId":"aDE","allAcceptedCredentialIds":["b25l","dGhyZWU"]},`+
		`{"rpId":"example.org","userId":"aDI","allAcceptedCredentialIds":["dHdv"]},`+
		`{"rpId":"example.org","userId":"aDM","allAcceptedCredentialIds":[]}]`)
	if list, err := m.Accepted(append(own, mfa.Factor{ID: "f9", State: []byte("?")})); err == nil {
		t.Errorf("Accepted with one that cannot be read = %v, want an error, lest it be forgotten by its authenticator", list)
	}
	list, err = m.Accepted(nil)
	if err != nil {
		t.Fatalf("Accepted of nothing = %v, want no error", err)
	}
	inJSON(t, "Accepted of nothing", list, `[]`)
}

func TestSignalsOfARename(t *testing.T) {
	own := []mfa.Factor{
		held(t, "one", domain, []byte("h1")), held(t, "old", "example.net", []byte("h2")), {ID: "f9", State: []byte("?")},
	}
	inJSON(t, "Details", newMethod(t, nil).Details(alice, own),
		`[{"rpId":"example.org","userId":"aDE","name":"alice","displayName":"Alice Liddell"}]`)
}

func TestSignalOfAnUnknownCredential(t *testing.T) {
	m := newMethod(t, nil)
	unknown, err := m.Unknown(answerOf([]byte("one"), nil))
	if err != nil {
		t.Fatalf("Unknown = %v, want no error", err)
	}
	inJSON(t, "Unknown", unknown, `{"rpId":"example.org","credentialId":"b25l"}`)
	if got, err := m.Unknown([]byte(`{"id":"AA"}`)); err == nil {
		t.Errorf("Unknown of half an answer = %v, want an error", got)
	}
}

func TestDocumentsAtWellKnown(t *testing.T) {
	if document, ok := newMethod(t, nil).RelatedOrigins(); ok {
		t.Errorf("RelatedOrigins of a site without them = %v, want nothing to say", document)
	}
	m := newMethod(t, func(c *passkey.Config) { c.RelatedOrigins = []string{"https://example.net"} })
	document, ok := m.RelatedOrigins()
	if !ok {
		t.Error("RelatedOrigins = nothing to say, want the document")
	}
	inJSON(t, "RelatedOrigins", document, `{"origins":["https://example.org","https://example.net"]}`)
	inJSON(t, "Endpoints", passkey.Endpoints{Enroll: "https://example.org/a", Manage: "https://example.org/b"},
		`{"enroll":"https://example.org/a","manage":"https://example.org/b"}`)
}

func TestPasskeysThatANewRPIDLeavesBehind(t *testing.T) {
	m := newMethod(t, withAppID)
	u2f := func(id string) mfa.Factor {
		key, err := mfatest.NewKey(mfatest.ES256)
		if err != nil {
			t.Fatal(err)
		}
		f, err := passkey.Credential{ID: []byte{1}, PublicKey: key.Point(), RPID: id, U2F: true}.Factor()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	broken := mfa.Factor{ID: "f9", Method: mfa.MethodPasskey, State: []byte("?")}
	factors := []mfa.Factor{broken, {Method: mfa.MethodTOTP}}
	for _, test := range []struct {
		name string
		f    mfa.Factor
		want bool
	}{
		{"of this domain", held(t, "a", domain, nil), false},
		{"of a domain above", held(t, "b", "org.example.org", nil), true},
		{"of another domain", held(t, "c", "example.net", nil), true},
		{"of the AppID", u2f(appID), false},
		{"of another AppID", u2f("https://example.org/old.json"), true},
	} {
		if got, err := m.Orphaned(test.f); err != nil || got != test.want {
			t.Errorf("Orphaned of one %s = %v, %v; want %v", test.name, got, err, test.want)
		}
		factors = append(factors, test.f)
	}
	if got, err := m.Orphaned(broken); err == nil {
		t.Errorf("Orphaned of one that cannot be read = %v, want an error", got)
	}
	if got := m.Orphans(factors); got != 3 {
		t.Errorf("Orphans = %d, want 3", got)
	}
	if got := m.RPID(); got != domain {
		t.Errorf("RPID = %q, want %q", got, domain)
	}
}
