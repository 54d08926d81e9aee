package passkey_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// answers changes what toJSON() gives.
func answers(edit func(answer, response map[string]any)) func(*mfatest.Edits) {
	return func(e *mfatest.Edits) {
		e.Answer = func(answer map[string]any) { edit(answer, answer["response"].(map[string]any)) }
	}
}

// WA12: another user's credential.
func TestWA12_TheCredentialOfAnother(t *testing.T) {
	m := newMethod(t, nil)
	alices, bobs := newCeremonies(t, m), newCeremonies(t, m)
	bobs.user = mfa.User{ID: "u2", Session: "s2", Name: "bob"}
	a, b := mfatest.NewAuthenticator(site), mfatest.NewAuthenticator(site)
	alices.enrolled(a)
	bobs.enrolled(b)
	handles := map[string][]byte{
		"alice's": open(t, alices.factors[0]).UserHandle, "bob's": open(t, bobs.factors[0]).UserHandle,
		"no": nil, "a garbled": []byte("garbage"),
	}
	for name, handle := range handles {
		prompt, state := alices.begin()
		b.Use, b.Credentials[0].Handle = b.Credentials[0].ID, handle
		answer, err := b.Get(prompt)
		if err != nil {
			t.Fatal(err)
		}
		_, err = alices.finish(state, answer)
		refused(t, "bob's credential with "+name+" handle, for alice", err)
		// Were the answer said to be by alice's own factor, it would still not be.
		for what, f := range map[string]mfa.Factor{"alice's factor": alices.factors[0], "no factor": {}} {
			_, err = m.Finish(t.Context(), mfa.Attempt{User: alice, Factor: f, Own: alices.factors, State: state, Answer: answer, Now: noon})
			refused(t, "bob's credential with "+name+" handle, for "+what, err)
		}
	}
	alices.proved(a)
}

// WA12: a request that names credentials is answered by one of those.
func TestWA12_ACredentialThatWasNotAskedFor(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	first, second := mfatest.NewAuthenticator(site), mfatest.NewAuthenticator(site)
	c.enrolled(first)
	prompt, state := c.begin() // names the first only
	c.enrolled(second)
	second.Use = second.Credentials[0].ID
	answer, err := second.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(state, answer)
	refused(t, "another credential of alice's", err)
	second.Use = nil
	c.proved(second)
}

// WA12: the user handle of a proof by a credential that we made.
func TestWA12_UserHandles(t *testing.T) {
	m := newMethod(t, nil)
	handle := func(h string) func(*mfatest.Edits) {
		return answers(func(_, response map[string]any) { response["userHandle"] = h })
	}
	refuseGet(t, m, "another handle", handle("AAAA"))
	refuseGet(t, m, "a handle of 65 bytes", handle(strings.Repeat("AAAA", 22)))
	refuseGet(t, m, "a handle that is no base64url", handle("!"))

	c := newCeremonies(t, m)
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	for name, absent := range map[string]func(*mfatest.Edits){
		"no handle":       answers(func(_, response map[string]any) { delete(response, "userHandle") }),
		"a null handle":   answers(func(_, response map[string]any) { response["userHandle"] = nil }),
		"an empty handle": handle(""),
	} {
		absent(&a.Edit)
		if _, err := c.prove(a); err != nil {
			t.Errorf("%s where the credential was named: Finish = %v, want no error", name, err)
		}
		prompt, state, err := m.Begin(t.Context(), mfa.Attempt{Now: noon})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := a.Get(prompt)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.finish(state, answer)
		refused(t, name+" where nobody was named", err)
		a.Edit = mfatest.Edits{}
	}
}

// WA12: signing in without a user needs a verified one, whatever was asked.
func TestWA12_ASignInWithoutVerification(t *testing.T) {
	m := newMethod(t, nil)
	c := newCeremonies(t, m)
	a := mfatest.NewSecurityKey(site)
	c.enrolled(a)
	a.Edit.Clear = mfatest.UV
	prompt, state, err := m.Begin(t.Context(), mfa.Attempt{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.finish(state, answer)
	refused(t, "a sign-in without user verification", err)
}

// WA12: the parts of an answer agree with each other.
func TestWA12_ThePartsOfAnAnswerAgree(t *testing.T) {
	m := newMethod(t, nil)
	other := base64.RawURLEncoding.EncodeToString([]byte("another id"))
	for name, edit := range map[string]func(answer, response map[string]any){
		"another id":            func(a, _ map[string]any) { a["id"] = other },
		"another rawId":         func(a, _ map[string]any) { a["rawId"] = other },
		"another id and rawId":  func(a, _ map[string]any) { a["id"], a["rawId"] = other, other },
		"no id":                 func(a, _ map[string]any) { delete(a, "id"); delete(a, "rawId") },
		"no rawId":              func(a, _ map[string]any) { delete(a, "rawId") },
		"an id with padding":    func(a, _ map[string]any) { a["id"] = a["id"].(string) + "="; a["rawId"] = a["id"] },
		"an id with line break": func(a, _ map[string]any) { a["id"] = a["id"].(string) + "\n"; a["rawId"] = a["id"] },
		"an id that is a list":  func(a, _ map[string]any) { a["id"] = []string{a["id"].(string)} },
		"another type":          func(a, _ map[string]any) { a["type"] = "password" },
		"no type":               func(a, _ map[string]any) { delete(a, "type") },
		"no response":           func(a, _ map[string]any) { delete(a, "response") },
		"no client data":        func(_, r map[string]any) { delete(r, "clientDataJSON") },
		"client data as JSON":   func(_, r map[string]any) { r["clientDataJSON"] = map[string]any{} },
		"extensions as a list":  func(a, _ map[string]any) { a["clientExtensionResults"] = []any{} },
		"an appid that is text": func(a, _ map[string]any) { a["clientExtensionResults"] = map[string]any{"appid": "true"} },
	} {
		refuse(t, m, name, answers(edit))
	}
	refuseGet(t, m, "no signature", answers(func(_, r map[string]any) { delete(r, "signature") }))
	refuseGet(t, m, "no authenticator data", answers(func(_, r map[string]any) { delete(r, "authenticatorData") }))
	refuseCreate(t, m, "no attestation object", answers(func(_, r map[string]any) { delete(r, "attestationObject") }))
	for name, edit := range map[string]func([]byte) []byte{
		"bytes after the end": func(b []byte) []byte { return append(b, "{}"...) },
		"cut off":             func(b []byte) []byte { return b[:len(b)-1] },
		"a list":              func(b []byte) []byte { return []byte("[" + string(b) + "]") },
		"a text":              func(b []byte) []byte { return []byte(`"x"`) },
		"null":                func(b []byte) []byte { return []byte("null") },
		"nothing":             func(b []byte) []byte { return nil },
	} {
		refuse(t, m, "an answer that is "+name, func(e *mfatest.Edits) { e.AnswerJSON = edit })
	}
}

// What browsers and password managers add is no obstacle.
func TestUnknownPartsOfAnswers(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewAuthenticator(site)
	answers(func(answer, response map[string]any) {
		answer["authenticatorAttachment"], answer["somethingNew"] = nil, []int{1}
		answer["clientExtensionResults"] = map[string]any{"prf": map[string]any{"enabled": true}, "appid": false, "x": nil}
		response["publicKeyAlgorithm"], response["publicKey"], response["transports"] = -7, "AA", []string{"usb", "telepathy"}
	})(&a.Edit)
	c.enrolled(a)
	c.proved(a)
}

// WA14: the user handle is random, of one credential only, and says nothing about the user.
func TestWA14_TheUserHandleSaysNothing(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	seen := map[string]bool{}
	for range 3 {
		a := mfatest.NewAuthenticator(site)
		c.enrolled(a)
		k := open(t, c.factors[len(c.factors)-1])
		if len(k.UserHandle) != 64 || seen[string(k.UserHandle)] {
			t.Errorf("the user handle is %x, want 64 new bytes", k.UserHandle)
		}
		for _, word := range []string{alice.ID, alice.Name, alice.DisplayName} {
			if bytes.Contains(k.UserHandle, []byte(word)) {
				t.Errorf("the user handle holds %q", word)
			}
		}
		if !bytes.Equal(a.Credentials[0].Handle, k.UserHandle) {
			t.Error("the handle that is kept is not the one that was given")
		}
		seen[string(k.UserHandle)] = true
	}
}

func TestACredentialThatTheAccountHolds(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	a := mfatest.NewAuthenticator(site)
	c.enrolled(a)
	again := mfatest.NewAuthenticator(site)
	again.Edit.CredentialID = a.Credentials[0].ID
	_, err := c.enroll(again)
	var refusal *mfa.Refusal
	if !errors.As(err, &refusal) || refusal.Why != mfa.WhyTaken {
		t.Errorf("FinishEnroll of a credential that is there = %v, want the Refusal taken", err)
	}
	c.proved(a)
}

func TestPromptOfAProof(t *testing.T) {
	c := newCeremonies(t, newMethod(t, func(c *passkey.Config) { c.Hints = []string{"security-key"} }))
	c.enrolled(mfatest.NewAuthenticator(site))
	c.enrolled(mfatest.NewSecurityKey(site))
	prompt, state := c.begin()
	o := prompt.(passkey.Request).PublicKey
	if len(o.AllowCredentials) != 2 || o.RPID != domain || o.UserVerification != "preferred" || len(o.Hints) != 1 {
		t.Errorf("Begin = %+v, want both credentials, RP ID, preferred, the hint", o)
	}
	if got := o.AllowCredentials[1].Transports; len(got) != 2 || got[0] != "usb" || got[1] != "nfc" {
		t.Errorf("transports of the key are %v, want usb and nfc", got)
	}
	if len(state) > 100 {
		t.Errorf("the state has %d bytes, want a small one", len(state))
	}
	if _, _, err := c.m.Begin(t.Context(), mfa.Attempt{User: alice, Own: []mfa.Factor{{ID: "f9", State: []byte("?")}}}); err == nil {
		t.Error("Begin with nothing that can be read = nil, want an error, not a request that anybody may answer")
	}
	broken := append([]mfa.Factor{{ID: "f9", State: []byte("?")}}, c.factors...)
	if prompt, _, err := c.m.Begin(t.Context(), mfa.Attempt{User: alice, Own: broken}); err != nil || len(prompt.(passkey.Request).PublicKey.AllowCredentials) != 2 {
		t.Errorf("Begin with one that cannot be read = %v, %v, want the two others", prompt, err)
	}
}

func TestPromptOfARegistration(t *testing.T) {
	for name, test := range map[string]struct {
		user       mfa.User
		name, full string
	}{
		"all":         {mfa.User{ID: "u1", Name: "alice", DisplayName: "Alice L.", Email: "a@example.org"}, "alice", "Alice L."},
		"a name only": {mfa.User{ID: "u1", Name: "alice"}, "alice", "alice"},
		"an address":  {mfa.User{ID: "u1", Email: "a@example.org"}, "a@example.org", "a@example.org"},
		"an id only":  {mfa.User{ID: "u1"}, "u1", "u1"},
	} {
		t.Run(name, func(t *testing.T) {
			prompt, _, err := newMethod(t, nil).BeginEnroll(t.Context(), mfa.Attempt{User: test.user})
			if err != nil {
				t.Fatal(err)
			}
			o := prompt.(passkey.Creation).PublicKey
			if o.User.Name != test.name || o.User.DisplayName != test.full {
				t.Errorf("the user is %q, %q, want %q, %q", o.User.Name, o.User.DisplayName, test.name, test.full)
			}
			if o.RP != (passkey.RP{ID: domain, Name: "Example"}) || o.Attestation != "none" || o.Selection.ResidentKey != "preferred" {
				t.Errorf("BeginEnroll = %+v, want the site, no attestation, a passkey preferred", o)
			}
		})
	}
}
