package passkey_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// desk is an engine with passkeys and authenticator apps.
func desk(t testing.TB) *enginetest.Desk {
	t.Helper()
	m := newMethod(t, nil)
	return enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.Methods = []mfa.Method{m, mfa.TOTP{}} })
}

// enrolledBy registers an authenticator for the user of a visit.
func enrolledBy(t testing.TB, d *enginetest.Desk, v *mfa.Visit, a *mfatest.Authenticator) mfa.Done {
	t.Helper()
	b := d.BeganEnrollment(*v, mfa.MethodPasskey)
	done, err := d.FinishEnroll(t.Context(), *v, mfa.MethodPasskey, b.Ticket, created(t, a, b), "key")
	if err != nil {
		t.Fatalf("FinishEnroll = %v, want no error", err)
	}
	v.Assurance = done.Assurance
	return done
}

func created(t testing.TB, a *mfatest.Authenticator, b mfa.Begun) []byte {
	t.Helper()
	answer, err := a.Create(b.Prompt)
	if err != nil {
		t.Fatalf("the authenticator: %v", err)
	}
	return answer
}

func got(t testing.TB, a *mfatest.Authenticator, b mfa.Begun) []byte {
	t.Helper()
	answer, err := a.Get(b.Prompt)
	if err != nil {
		t.Fatalf("the authenticator: %v", err)
	}
	return answer
}

// WA1: a registration is begun once and finished three times.
func TestWA1_ARegistrationIsFinishedOnce(t *testing.T) {
	d := desk(t)
	v := d.SignIn("alice")
	a, other := mfatest.NewSecurityKey(site), mfatest.NewSecurityKey(site)
	b := d.BeganEnrollment(v, mfa.MethodPasskey)
	first := created(t, a, b)
	again := mfatest.NewSecurityKey(site)
	again.Edit.CredentialID = a.Credentials[0].ID
	if _, err := d.FinishEnroll(t.Context(), v, mfa.MethodPasskey, b.Ticket, first, "key"); err != nil {
		t.Fatalf("FinishEnroll = %v, want no error", err)
	}
	for what, answer := range map[string][]byte{
		"the same answer": first, "the same credential in a new answer": created(t, again, b),
		"another authenticator": created(t, other, b),
	} {
		_, err := d.FinishEnroll(t.Context(), v, mfa.MethodPasskey, b.Ticket, answer, "key")
		if enginetest.Why(err) == "" {
			t.Errorf("FinishEnroll of %s = %v, want a refusal", what, err)
		}
	}
	if n := len(d.Kept("alice").Factors); n != 1 {
		t.Errorf("alice has %d factors, want 1", n)
	}
}

// WA2: a challenge is good for one answer, right or wrong.
func TestWA2_AChallengeDiesOnItsFirstUse(t *testing.T) {
	d := desk(t)
	v := d.SignIn("alice")
	a := mfatest.NewSecurityKey(site)
	enrolledBy(t, d, &v, a)
	finish := func(b mfa.Begun, answer []byte) error {
		_, err := d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, answer)
		return err
	}
	b := d.Began(v, mfa.MethodPasskey)
	right := got(t, a, b)
	if err := finish(b, right); err != nil {
		t.Fatalf("FinishVerify = %v, want no error", err)
	}
	enginetest.Refused(t, "the same answer again", finish(b, right), mfa.WhyNoTicket)
	enginetest.Refused(t, "a new answer to the same challenge", finish(b, got(t, a, b)), mfa.WhyNoTicket)

	b = d.Began(v, mfa.MethodPasskey)
	a.Edit.Signature = func(s []byte) []byte { s[len(s)-1] ^= 1; return s }
	refusal := enginetest.Refused(t, "a wrong signature", finish(b, got(t, a, b)), mfa.WhyWrongAnswer)
	a.Edit.Signature = nil
	enginetest.Refused(t, "a right answer after a wrong one", finish(b, got(t, a, b)), mfa.WhyNoTicket)
	if refusal.Retry == nil || challengeOf(*refusal.Retry) == challengeOf(b) {
		t.Fatalf("after a wrong answer Retry = %+v, want a new challenge", refusal.Retry)
	}
	if err := finish(*refusal.Retry, got(t, a, *refusal.Retry)); err != nil {
		t.Errorf("FinishVerify of the next ticket = %v, want no error", err)
	}
}

func challengeOf(b mfa.Begun) string { return string(b.Prompt.(passkey.Request).PublicKey.Challenge) }

// WA8: the challenge is that of this user, this login, this purpose, and not an old one.
func TestWA8_AChallengeOfSomethingElse(t *testing.T) {
	d := desk(t)
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	a, b := mfatest.NewSecurityKey(site), mfatest.NewSecurityKey(site)
	enrolledBy(t, d, &alice, a)
	enrolledBy(t, d, &bob, b)
	elsewhere := d.SignIn("alice")
	finish := func(v mfa.Visit, ticket string, answer []byte) error {
		_, err := d.FinishVerify(t.Context(), v, mfa.MethodPasskey, ticket, answer)
		return err
	}
	mine, his, there := d.Began(alice, mfa.MethodPasskey), d.Began(bob, mfa.MethodPasskey), d.Began(elsewhere, mfa.MethodPasskey)
	enroll := d.BeganEnrollment(alice, mfa.MethodPasskey)
	a.Use = a.Credentials[0].ID
	for what, err := range map[string]error{
		"bob's ticket":                            finish(alice, his.Ticket, got(t, a, his)),
		"bob's challenge on alice's ticket":       finish(alice, d.Began(alice, mfa.MethodPasskey).Ticket, got(t, a, his)),
		"the ticket of another login":             finish(alice, there.Ticket, got(t, a, there)),
		"the challenge of another login":          finish(alice, d.Began(alice, mfa.MethodPasskey).Ticket, got(t, a, there)),
		"the ticket of a registration":            finish(alice, enroll.Ticket, got(t, a, mine)),
		"bob's answer to alice's challenge":       finish(alice, d.Began(alice, mfa.MethodPasskey).Ticket, got(t, b, his)),
		"alice's answer in bob's login":           finish(bob, his.Ticket, got(t, a, his)),
		"bob's answer in alice's login":           finish(alice, mine.Ticket, usedBy(t, b, mine)),
		"alice's own answer to bob's, as herself": finish(alice, his.Ticket, got(t, a, mine)),
	} {
		if enginetest.Why(err) == "" {
			t.Errorf("FinishVerify of %s = %v, want a refusal", what, err)
		}
	}
	late := d.Began(alice, mfa.MethodPasskey)
	answer := got(t, a, late)
	d.Clock.Move(mfa.TicketLife + time.Second)
	enginetest.Refused(t, "an expired challenge", finish(alice, late.Ticket, answer), mfa.WhyNoTicket)
	last := d.Began(alice, mfa.MethodPasskey)
	if err := finish(alice, last.Ticket, got(t, a, last)); err != nil {
		t.Errorf("FinishVerify of the right one = %v, want no error", err)
	}
}

// usedBy lets an authenticator answer a request that does not name its credential.
func usedBy(t testing.TB, a *mfatest.Authenticator, b mfa.Begun) []byte {
	t.Helper()
	a.Use = a.Credentials[0].ID
	defer func() { a.Use = nil }()
	return got(t, a, b)
}

// WA8: who begins again and again leaves nothing behind.
func TestWA8_BeginningWritesNothing(t *testing.T) {
	d := desk(t)
	v := d.SignIn("alice")
	a := mfatest.NewSecurityKey(site)
	enrolledBy(t, d, &v, a)
	before, err := d.Store.Load(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range enginetest.Size(1000, 10_000) {
		b := d.Began(v, mfa.MethodPasskey)
		if c := challengeOf(b); len(c) != 32 || seen[c] {
			t.Fatalf("challenge %x has %d bytes or came before, want 32 new ones", c, len(c))
		}
		seen[challengeOf(b)] = true
	}
	after, err := d.Store.Load(t.Context(), "alice")
	if err != nil || after.Version != before.Version {
		t.Errorf("Load = version %d, %v; want %d as before", after.Version, err, before.Version)
	}
}

// WA12: who signs in without having said who they are is the owner of the credential, and the handle must match.
func TestWA12_ASignInWithoutAUser(t *testing.T) {
	d := desk(t)
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	a, b := mfatest.NewAuthenticator(site), mfatest.NewAuthenticator(site)
	enrolledBy(t, d, &alice, a)
	enrolledBy(t, d, &bob, b)
	lookup := func(_ context.Context, id string) (mfa.User, error) {
		return mfa.User{ID: id, Session: rand.Text()}, nil
	}
	signIn := func(a *mfatest.Authenticator) (mfa.User, error) {
		v := mfa.Visit{Pending: rand.Text()}
		begun, err := d.BeginSignIn(t.Context(), v, mfa.MethodPasskey)
		if err != nil {
			t.Fatalf("BeginSignIn = %v, want no error", err)
		}
		u, _, err := d.FinishSignIn(t.Context(), v, mfa.MethodPasskey, begun.Ticket, got(t, a, begun), lookup)
		return u, err
	}
	for name, phone := range map[string]*mfatest.Authenticator{"alice": a, "bob": b} {
		if u, err := signIn(phone); err != nil || u.ID != name {
			t.Errorf("FinishSignIn by the phone of %s = %q, %v", name, u.ID, err)
		}
	}
	handle := b.Credentials[0].Handle
	for what, wrong := range map[string][]byte{"alice's": a.Credentials[0].Handle, "no": nil, "a garbled": []byte("garbage")} {
		b.Credentials[0].Handle = wrong
		u, err := signIn(b)
		enginetest.Refused(t, "a sign-in by bob's phone with "+what+" handle, as "+u.ID, err, mfa.WhyWrongAnswer)
	}
	b.Credentials[0].Handle = handle
	b.Edit.Clear = mfatest.UV
	_, err := signIn(b)
	enginetest.Refused(t, "a sign-in without user verification", err, mfa.WhyWrongAnswer)
	stranger := mfatest.NewAuthenticator(site)
	newCeremonies(t, newMethod(t, nil)).enrolled(stranger)
	_, err = signIn(stranger)
	enginetest.Refused(t, "a sign-in by a phone that nobody enrolled", err, mfa.WhyWrongAnswer)
}

// WA12: a credential that another user has registered is nobody else's.
func TestWA12_ACredentialOfAnotherUserIsTaken(t *testing.T) {
	d := desk(t)
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	a, b := mfatest.NewSecurityKey(site), mfatest.NewSecurityKey(site)
	enrolledBy(t, d, &alice, a)
	begun := d.BeganEnrollment(bob, mfa.MethodPasskey)
	b.Edit.CredentialID = a.Credentials[0].ID
	_, err := d.FinishEnroll(t.Context(), bob, mfa.MethodPasskey, begun.Ticket, created(t, b, begun), "key")
	enginetest.Refused(t, "alice's credential id, registered by bob", err, mfa.WhyTaken)
	if n := len(d.Kept("bob").Factors); n != 0 {
		t.Errorf("bob has %d factors, want none", n)
	}
}

// A copy of an authenticator is refused, and an auditor is told.
func TestASignCountThatGoesBackLeavesAnEvent(t *testing.T) {
	d := desk(t)
	v := d.SignIn("alice")
	a := mfatest.NewSecurityKey(site)
	enrolledBy(t, d, &v, a)
	for range 3 {
		b := d.Began(v, mfa.MethodPasskey)
		if _, err := d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, got(t, a, b)); err != nil {
			t.Fatalf("FinishVerify = %v, want no error", err)
		}
	}
	events := len(d.Events("alice"))
	a.Credentials[0].Count = 0
	b := d.Began(v, mfa.MethodPasskey)
	_, err := d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, got(t, a, b))
	enginetest.Refused(t, "a copy", err, mfa.WhyWrongAnswer)
	noted := false
	for _, ev := range d.Events("alice")[events:] {
		noted = noted || ev.Reason == "the sign count went back from 3 to 1: there may be a copy of this authenticator"
	}
	if !noted {
		t.Errorf("events = %+v, want one about the sign count", d.Events("alice")[events:])
	}
}
