package sallyport_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// passkeys returns how many passkeys the home of a user shows.
func (b *browser) passkeys() int {
	b.t.Helper()
	_, doc := b.call("GET", "/mfa/", nil)
	n := 0
	for _, f := range doc["factors"].([]any) {
		if f.(map[string]any)["method"] == "passkey" {
			n++
		}
	}
	return n
}

func TestWA1_ARegistrationIsFinishedOnce(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice") // the control: one that is begun and finished is there
	if n := h.passkeys(); n != 1 {
		t.Fatalf("%d passkeys, want 1", n)
	}
	other := h.holding(s.phone())
	b := h.begin("/mfa/enroll/passkey/begin", nil)
	first := other.create(b)
	if a, _ := other.finish("/mfa/enroll/passkey", b.Ticket, first); a.status != http.StatusCreated {
		t.Fatalf("the first answer = %d %s", a.status, a.body)
	}
	same := other.device.Credentials[0].ID
	other.device.Edit.CredentialID = same
	for name, reply := range map[string]json.RawMessage{
		"the same response":                       first,
		"the same credential with a new response": other.create(b),
		"another authenticator":                   h.holding(s.phone()).create(b),
	} {
		if a, doc := h.holding(nil).finish("/mfa/enroll/passkey", b.Ticket, reply); a.status == http.StatusCreated || doc["factor"] != nil {
			t.Errorf("%s = %d %s, want nothing registered", name, a.status, a.body)
		}
	}
	if n := h.passkeys(); n != 2 {
		t.Errorf("%d passkeys, want 2", n)
	}
}

func TestWA2_AChallengeDiesOnItsFirstUse(t *testing.T) {
	for name, first := range map[string]struct {
		spoil  func(h *holder)
		status int
	}{
		"right":                  {func(*holder) {}, http.StatusOK},
		"with a wrong signature": {func(h *holder) { h.device.Edit.Signature = spoil }, http.StatusUnprocessableEntity},
		"without the user":       {func(h *holder) { h.device.Edit.Clear = mfatest.UP }, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPasskeySite(t)
			h := s.holder("alice").elsewhere("alice")
			b := h.begin("/mfa/verify/passkey/begin", nil)
			first.spoil(h)
			if a, _ := h.finish("/mfa/verify/passkey", b.Ticket, h.sign(b)); a.status != first.status {
				t.Fatalf("the first answer = %d %s, want %d", a.status, a.body, first.status)
			}
			h.device.Edit = mfatest.Edits{}
			again := h.s.login("alice").holding(h.device) // nothing is proved here, so nothing is led on
			again.setCookie("session", h.cookie("session"))
			if a, _ := again.finish("/mfa/verify/passkey", b.Ticket, again.sign(b)); a.status != http.StatusConflict {
				t.Errorf("a right answer to the same challenge = %d %s, want 409", a.status, a.body)
			}
			again.mustBeOut("account")
		})
	}
}

func TestWA4_OnlyTheOriginsOfTheSite(t *testing.T) {
	origins := []any{
		"http://example.com", "https://example.com:444", "https://example.com.evil.example", "https://evil.example",
		"https://sub.example.com", "https://example.com/", "https://EXAMPLE.com", "https://example.com.", "null", "", nil,
		[]string{"https://example.com"}, "https://ex\u0430mple.com", "https://xn--exmple-4nf.com", "https://example.com@evil.example",
		"android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	}
	s := newPasskeySite(t)
	h := s.holder("alice")
	h.elsewhere("alice").prove()
	for _, origin := range origins {
		spoilt := func(m map[string]any) {
			if m["origin"] = origin; origin == nil {
				delete(m, "origin")
			}
		}
		s.advance(time.Minute) // ten wrong ones a minute are judged
		h.device.Edit.ClientData = spoilt
		other := h.elsewhere("alice")
		if a := other.tap(); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a proof made at %v = %d %s, want 422", origin, a.status, a.body)
		}
		other.mustBeOut("account")

		bob := s.login("bob").holding(s.phone())
		bob.device.Edit.ClientData = spoilt
		b := bob.begin("/mfa/enroll/passkey/begin", nil)
		if a, _ := bob.finish("/mfa/enroll/passkey", b.Ticket, bob.create(b)); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a registration made at %v = %d %s, want 422", origin, a.status, a.body)
		}
	}
}

func TestWA8_AChallengeBelongsToOneUserLoginAndPurpose(t *testing.T) {
	s := newPasskeySite(t)
	owner := s.holder("alice")
	h := owner.elsewhere("alice")
	h.prove() // the control
	bob := s.holder("bob")

	verify := func(b *holder) begun { return b.begin("/mfa/verify/passkey/begin", nil) }
	victim := owner.elsewhere("alice")
	for name, from := range map[string]begun{
		"another user":       verify(bob.elsewhere("bob")),
		"another login":      verify(owner.elsewhere("alice")),
		"a proved login":     verify(owner),
		"a registration":     owner.begin("/mfa/enroll/passkey/begin", nil),
		"the same, too late": {},
	} {
		ticket := from
		if name == "the same, too late" {
			ticket = verify(victim)
			s.advance(10 * time.Minute)
		}
		signed := verify(victim)
		signed.Prompt = replaceChallenge(t, signed.Prompt, ticket.Prompt)
		reply := victim.sign(signed)
		if a, _ := victim.finish("/mfa/verify/passkey", ticket.Ticket, reply); a.status != http.StatusConflict {
			t.Errorf("a ticket of %s = %d %s, want 409", name, a.status, a.body)
		}
		if a, _ := victim.finish("/mfa/verify/passkey", verify(victim).Ticket, reply); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a challenge of %s = %d %s, want 422", name, a.status, a.body)
		}
	}
	for _, challenge := range [][]byte{nil, bytes.Repeat([]byte{1}, 15)} {
		b := verify(victim)
		victim.device.Edit.ClientData = func(m map[string]any) { m["challenge"] = encode(challenge) }
		if a, _ := victim.finish("/mfa/verify/passkey", b.Ticket, victim.sign(b)); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a challenge of %d bytes = %d %s, want 422", len(challenge), a.status, a.body)
		}
	}
	victim.device.Edit.ClientData = nil
	victim.mustBeOut("account")
	victim.prove()
}

// replaceChallenge returns a prompt with the challenge of another one.
func replaceChallenge(t testing.TB, prompt, other json.RawMessage) json.RawMessage {
	t.Helper()
	var to, from map[string]map[string]any
	if json.Unmarshal(prompt, &to) != nil || json.Unmarshal(other, &from) != nil {
		t.Fatalf("no prompts: %s, %s", prompt, other)
	}
	to["publicKey"]["challenge"] = from["publicKey"]["challenge"]
	return json.RawMessage(mustJSON(t, to))
}

func TestWA10_WhatTheFlagsOfAProofSay(t *testing.T) {
	for name, c := range map[string]struct {
		edit mfatest.Edits
		want int
	}{
		"all is well":                        {mfatest.Edits{}, http.StatusOK},
		"the user was not present":           {mfatest.Edits{Clear: mfatest.UP}, http.StatusUnprocessableEntity},
		"not verified where it is preferred": {mfatest.Edits{Clear: mfatest.UV}, http.StatusOK},
		"backed up but not to be backed up":  {mfatest.Edits{Clear: mfatest.BE}, http.StatusUnprocessableEntity},
		"no longer to be backed up":          {mfatest.Edits{Clear: mfatest.BE | mfatest.BS}, http.StatusUnprocessableEntity},
		"a key where there is none":          {mfatest.Edits{Set: mfatest.AT}, http.StatusUnprocessableEntity},
		"extensions where there are none":    {mfatest.Edits{Set: mfatest.ED}, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			h := newPasskeySite(t).holder("alice").elsewhere("alice")
			h.device.Edit = c.edit
			if a := h.tap(); a.status != c.want {
				t.Errorf("the proof = %d %s, want %d", a.status, a.body, c.want)
			}
			if h.isIn("account") != (c.want == http.StatusOK) {
				t.Errorf("in: %v", c.want != http.StatusOK)
			}
		})
	}
}

func asking(p mfa.Policy) func(*site, *sallyport.Config) {
	return func(_ *site, c *sallyport.Config) {
		c.Policy = func(r *http.Request) (mfa.Policy, error) {
			if strings.HasPrefix(r.URL.Path, "/api/") {
				return p, nil
			}
			return mfa.Policy{}, nil
		}
	}
}

// One proof counts as two factors only if the authenticator has checked its user in this very proof.
func TestWA11_AnUnverifiedPasskeyIsOneFactor(t *testing.T) {
	for name, c := range map[string]struct {
		policy     mfa.Policy
		unverified bool
	}{
		"two factors, of which a verified passkey is both": {mfa.Policy{Factors: 2, VerifiedIsTwo: true}, false},
		"verified proofs only":                             {mfa.Policy{Verified: true}, false},
		"two factors":                                      {mfa.Policy{Factors: 2}, false},
		"one factor":                                       {mfa.Policy{Factors: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPasskeySite(t, asking(c.policy))
			h := s.holder("alice").elsewhere("alice")
			h.device.Unverified = true
			h.prove()
			in := func() bool { return strings.Contains(h.get("/api/list").body, "canary:api:") }
			if got := in(); got != c.unverified {
				t.Errorf("in with an unverified proof: %v, want %v", got, c.unverified)
			}
			h.device.Unverified = false
			h.prove()
			if got, want := in(), c.policy.Factors < 2 || c.policy.VerifiedIsTwo; got != want {
				t.Errorf("in with a verified proof: %v, want %v", got, want)
			}
		})
	}
}

// Where a verified proof is all that can help, the browser is told to ask for it, so that nobody goes around in a circle.
func TestADoorThatNeedsTheUserVerifiedAsksForIt(t *testing.T) {
	for name, p := range map[string]mfa.Policy{
		"verified proofs only":                   {Verified: true},
		"a verified passkey is two, and alone":   {Factors: 2, VerifiedIsTwo: true},
		"verified, fresh and phishing-resistant": {Min: mfa.PhishingResistant, Verified: true, MaxAge: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPasskeySite(t, asking(p))
			h := s.holder("alice").elsewhere("alice")
			if got := verification(t, h.begin("/mfa/verify/passkey/begin", nil)); got != "preferred" {
				t.Errorf("without need user verification is %q, want preferred", got)
			}
			page := h.follow(h.get("/api/list"))
			prompt := begun{Prompt: json.RawMessage(found(passkeyPrompt, page.body))}
			if got := verification(t, prompt); got != "required" {
				t.Errorf("user verification is %q, want required", got)
			}
			h.device.Edit.Clear = mfatest.UV // a browser that does not mind
			if a := h.press(page, h.sign); a.status != http.StatusUnprocessableEntity {
				t.Errorf("an unverified answer = %d, want 422", a.status)
			}
			h.device.Edit.Clear = 0
			if a := h.press(h.follow(h.get("/api/list")), h.sign); a.status != http.StatusSeeOther || a.next != "/api/list" {
				t.Errorf("a verified answer = %d to %q\n%s", a.status, a.next, text(a.body))
			}
			if !strings.Contains(h.get("/api/list").body, "canary:api:alice") {
				t.Error("a verified proof does not open the door")
			}
		})
	}
}

func verification(t testing.TB, b begun) string {
	t.Helper()
	var o struct {
		PublicKey struct{ UserVerification string }
	}
	if err := json.Unmarshal(b.Prompt, &o); err != nil {
		t.Fatal(err)
	}
	return o.PublicKey.UserVerification
}

func TestWA12_OnlyTheUsersOwnPasskeysProve(t *testing.T) {
	s := newPasskeySite(t)
	owner := s.holder("alice")
	second := owner.holding(s.phone())
	second.register("")
	bob := s.holder("bob")
	mine, other, his := owner.device.Credentials[0], second.device.Credentials[0], bob.device.Credentials[0]

	for name, c := range map[string]struct {
		device func() *mfatest.Authenticator
		want   int
	}{
		"her own passkey": {func() *mfatest.Authenticator { return owner.device }, http.StatusOK},
		"another user's passkey": {func() *mfatest.Authenticator {
			return &mfatest.Authenticator{Origin: s.server.URL, Credentials: bob.device.Credentials, Use: his.ID,
				BackupEligible: true, BackedUp: true}
		}, http.StatusUnprocessableEntity},
		"another user's key under her id":       {forge(s, mine.ID, mine.Handle, his.Key), http.StatusUnprocessableEntity},
		"her key under another user's id":       {forge(s, his.ID, his.Handle, mine.Key), http.StatusUnprocessableEntity},
		"her key under the id of her other one": {forge(s, other.ID, other.Handle, mine.Key), http.StatusUnprocessableEntity},
		"her passkey with another handle":       {forge(s, mine.ID, his.Handle, mine.Key), http.StatusUnprocessableEntity},
		"her passkey with a handle of noise":    {forge(s, mine.ID, []byte("noise"), mine.Key), http.StatusUnprocessableEntity},
		"her passkey without a handle":          {forge(s, mine.ID, nil, mine.Key), http.StatusOK}, // as security keys answer
		"an id that differs from rawId": {func() *mfatest.Authenticator {
			a := forge(s, mine.ID, mine.Handle, mine.Key)()
			a.Edit.Answer = func(answer map[string]any) { answer["rawId"] = encode(other.ID) }
			return a
		}, http.StatusUnprocessableEntity},
	} {
		t.Run(name, func(t *testing.T) {
			s.advance(time.Minute)
			h := s.login("alice").holding(c.device())
			if a := h.tap(); a.status != c.want {
				t.Errorf("the proof = %d %s, want %d", a.status, a.body, c.want)
			}
			if h.isIn("account") != (c.want == http.StatusOK) {
				t.Errorf("in: %v", c.want != http.StatusOK)
			}
		})
	}
}

// forge returns an authenticator with one credential that is put together from parts.
func forge(s *site, id, handle []byte, key mfatest.Key) func() *mfatest.Authenticator {
	return func() *mfatest.Authenticator {
		a := s.phone()
		a.Credentials = []*mfatest.Credential{{ID: id, Handle: handle, RPID: "example.com", Key: key}}
		a.Use = id
		return a
	}
}

// By a passkey alone only its owner is signed in, whoever else is spoken of.
func TestWA12_ASignInIsThatOfTheOwner(t *testing.T) {
	d := newDoor(t)
	alice, bob := d.owner("alice"), d.owner("bob")
	mine, his := alice.device.Credentials[0], bob.device.Credentials[0]
	alice.mustEnter()
	if a := alice.get("/account"); !strings.Contains(a.body, "canary:account:alice") {
		t.Fatalf("alice's passkey shows %q", text(a.body))
	}
	for name, device := range map[string]func() *mfatest.Authenticator{
		"her key under his id":     forge(d.site, his.ID, his.Handle, mine.Key),
		"his id with her handle":   forge(d.site, his.ID, mine.Handle, his.Key),
		"her id and his key":       forge(d.site, mine.ID, mine.Handle, his.Key),
		"her passkey, his handle":  forge(d.site, mine.ID, his.Handle, mine.Key),
		"her passkey, her user id": forge(d.site, mine.ID, []byte("alice"), mine.Key),
	} {
		h := d.browser().holding(device())
		if a, _ := h.enter(); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s = %d %s, want 422", name, a.status, a.body)
		}
		h.mustBeOut("vault")
	}
}

func TestWA14_TheUserHandleIsRandom(t *testing.T) {
	s := newPasskeySite(t)
	h := s.login("alice").holding(s.phone())
	seen := map[string]bool{}
	for range 20 {
		var o struct {
			PublicKey struct {
				User struct {
					ID                passkey.Base64
					Name, DisplayName string
				}
			}
		}
		if err := json.Unmarshal(h.begin("/mfa/enroll/passkey/begin", nil).Prompt, &o); err != nil {
			t.Fatal(err)
		}
		id := o.PublicKey.User.ID
		if len(id) != 64 || bytes.Contains(id, []byte("alice")) || seen[string(id)] {
			t.Errorf("the handle %x is not 64 random bytes of its own", []byte(id))
		}
		seen[string(id)] = true
	}
}

// What is registered and what signs in are two things: nobody registers for another user.
func TestARegistrationBelongsToTheLoginThatBeganIt(t *testing.T) {
	s := newPasskeySite(t)
	alice, bob := s.login("alice").holding(s.phone()), s.login("bob").holding(s.phone())
	b := alice.begin("/mfa/enroll/passkey/begin", nil)
	reply := alice.create(b)
	if a, _ := bob.finish("/mfa/enroll/passkey", b.Ticket, reply); a.status != http.StatusConflict {
		t.Errorf("another user = %d %s, want 409", a.status, a.body)
	}
	if a, _ := s.login("alice").holding(nil).finish("/mfa/enroll/passkey", b.Ticket, reply); a.status != http.StatusConflict {
		t.Errorf("another login = %d %s, want 409", a.status, a.body)
	}
	if a, _ := alice.finish("/mfa/enroll/passkey", b.Ticket, reply); a.status != http.StatusCreated {
		t.Errorf("its own login = %d %s, want 201", a.status, a.body)
	}
}
