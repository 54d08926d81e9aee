package mfa_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestNewEngineNamesAllMistakesAtOnce(t *testing.T) {
	_, err := mfa.NewEngine(mfa.EngineConfig{Recheck: mfa.Recheck{Min: 2, Max: 1}})
	for _, want := range []string{"Store", "Ring", "Methods", "Recheck"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewEngine = %v, want it to name %s", err, want)
		}
	}
	for _, c := range []struct {
		name    string
		recheck mfa.Recheck
		ok      bool
	}{
		{"the default", mfa.Recheck{}, true},
		{"off", mfa.Recheck{Off: true}, true},
		{"one fixed time", mfa.Recheck{Min: time.Hour, Max: time.Hour}, true},
		{"off and a span", mfa.Recheck{Off: true, Max: time.Hour}, false},
		{"an end before the start", mfa.Recheck{Min: time.Hour}, false},
		{"less than a minute", mfa.Recheck{Max: 59 * time.Second}, false},
		{"a negative start", mfa.Recheck{Min: -1, Max: time.Hour}, false},
	} {
		_, err := mfa.NewEngine(mfa.EngineConfig{
			Store: mfa.NewMemory(), Ring: enginetest.NewRing(t), Methods: []mfa.Method{mfa.TOTP{}}, Recheck: c.recheck,
		})
		if (err == nil) != c.ok {
			t.Errorf("NewEngine with a recheck of %s = %v, want it to work: %v", c.name, err, c.ok)
		}
	}
}

func TestProofsLastAsLongAsTheyAreToldTo(t *testing.T) {
	for _, c := range []struct {
		name     string
		recheck  mfa.Recheck
		min, max time.Duration // zero: for ever
	}{
		{"by default", mfa.Recheck{}, 3 * time.Hour, 6 * time.Hour},
		{"in a span", mfa.Recheck{Min: time.Hour, Max: 2 * time.Hour}, time.Hour, 2 * time.Hour},
		{"off", mfa.Recheck{Off: true}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory(), func(config *mfa.EngineConfig) { config.Recheck = c.recheck })
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			lives := map[time.Duration]bool{}
			for range 16 {
				p := d.Prove(&v, mfa.MethodTOTP, app.Code()).Proof
				d.Clock.Move(enginetest.Step)
				if c.max == 0 {
					if !p.Until.IsZero() {
						t.Fatalf("a proof ends at %v, want never", p.Until)
					}
					continue
				}
				life := p.Until.Sub(p.At)
				if lives[life] = true; life < c.min || life > c.max {
					t.Fatalf("a proof lives for %v, want %v to %v", life, c.min, c.max)
				}
			}
			if c.max > 0 && len(lives) < 8 {
				t.Errorf("16 proofs had %d lives: they are not drawn at random", len(lives))
			}
		})
	}
}

// What a sign-in costs a database: one query before the form is shown, one with the answer, and one commit.
func TestASignInByAnAppIsOneReadAndOneCommit(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	v = d.SignIn("alice")
	var b mfa.Begun
	store.costs(t, "beginning", 1, 0, func() { b = d.Began(v, mfa.MethodTOTP) })
	store.costs(t, "a right answer", 1, 1, func() {
		done, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
		if err != nil {
			t.Fatal(err)
		}
		v.Assurance = done.Assurance
	})
	store.costs(t, "the request that follows", 0, 0, func() { d.Action(mfa.Policy{}, v) })
	b = d.Began(v, mfa.MethodTOTP)
	store.costs(t, "a wrong answer", 1, 1, func() {
		_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Wrong(1)[0]))
		enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer)
	})
	store.costs(t, "a ticket that was answered", 1, 0, func() {
		_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
		enginetest.Refused(t, "a second answer", err, mfa.WhyNoTicket)
	})
	store.costs(t, "a ticket that does not open", 0, 0, func() {
		_, err := d.FinishVerify(t.Context(), d.SignIn("alice"), mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
		enginetest.Refused(t, "a foreign ticket", err, mfa.WhyNoTicket)
	})
	store.costs(t, "beginning an enrollment", 1, 0, func() { d.BeganEnrollment(v, mfa.MethodTOTP) })
}

// A caller may do with an account what it likes: it is not the one that allows requests.
func TestAnAccountHandedOutIsTheCallersOwn(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	done, err := d.Rename(t.Context(), v, v.Assurance.Proofs[0].FactorID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a change", "a question"} { // in this order: a question fills the cache anew
		acct := done.Account
		if name == "a question" {
			acct = d.Kept("alice")
		}
		clear(acct.Factors[0].State)
		acct.Factors[0].Strength = mfa.PhishingResistant
		got, err := d.Decide(t.Context(), mfa.Policy{}, v)
		if err != nil || got.Action != mfa.Allow || got.Strength != mfa.Typed {
			t.Errorf("with the account that came with %s changed, Decide = %v by a %v proof, %v; want %v by a %v one",
				name, got.Action, got.Strength, err, mfa.Allow, mfa.Typed)
		}
	}
}

func TestAnAssuranceOpensForItsUserLoginAndOriginOnly(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	sealed, err := d.SealAssurance(v.Assurance)
	if err != nil {
		t.Fatal(err)
	}
	if a := d.OpenAssurance(v.User, sealed); len(a.Proofs) != 1 {
		t.Fatalf("where it belongs it holds %d proofs, want 1", len(a.Proofs))
	}
	bob, other, nameless := d.SignIn("bob").User, d.SignIn("alice").User, v.User
	bob.Session, nameless.Session = v.User.Session, ""
	foreign := d.Beside(d.Store, func(c *mfa.EngineConfig) { c.Origin = "https://example.net" })
	stranger := enginetest.New(t, d.Store)
	ticket := d.Began(v, mfa.MethodTOTP).Ticket
	for name, a := range map[string]mfa.Assurance{
		"another user of the same session": d.OpenAssurance(bob, sealed), "another login": d.OpenAssurance(other, sealed),
		"a login without a name": d.OpenAssurance(nameless, sealed), "nobody": d.OpenAssurance(mfa.User{}, sealed),
		"another origin": foreign.OpenAssurance(v.User, sealed), "another ring": stranger.OpenAssurance(v.User, sealed),
		"a ticket in its place": d.OpenAssurance(v.User, ticket), "nothing in its place": d.OpenAssurance(v.User, ""),
		"a cut one": d.OpenAssurance(v.User, sealed[:len(sealed)-4]),
	} {
		if len(a.Proofs) != 0 {
			t.Errorf("for %s it holds %d proofs, want none", name, len(a.Proofs))
		}
	}
}

func TestNobodyAndALoginWithoutANameAreDenied(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	nameless := d.SignIn("alice")
	nameless.User.Session = ""
	for name, v := range map[string]mfa.Visit{"nobody": {}, "a login without a name": nameless} {
		for _, p := range []mfa.Policy{{}, {Factors: 2}, {Waived: "public"}} {
			store.costs(t, "deciding about "+name, 0, 0, func() {
				if got := d.Action(p, v); got != mfa.Deny {
					t.Errorf("Decide(%+v) for %s = %v, want %v", p, name, got, mfa.Deny)
				}
			})
		}
	}
	if d.CacheEntries() != 0 {
		t.Errorf("%d accounts are kept for strangers, want none", d.CacheEntries())
	}
}

func TestSigningInByAKeyAlone(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	owner := d.SignIn("alice")
	enrollToken(d, &owner, mfa.MethodPasskey, "key")
	lookup := func(_ context.Context, id string) (mfa.User, error) { return mfa.User{ID: id}, nil }
	browser := mfa.Visit{Pending: "browser"}
	begin := func() mfa.Begun {
		t.Helper()
		b, err := d.BeginSignIn(t.Context(), browser, mfa.MethodPasskey)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	finish := func(v mfa.Visit, ticket string, answer []byte) (mfa.User, mfa.Done, error) {
		return d.FinishSignIn(t.Context(), v, mfa.MethodPasskey, ticket, answer, lookup)
	}
	b := begin()
	before := len(d.Events("alice"))
	for name, wrong := range map[string][]byte{
		"an unknown key": tokenAnswer("stolen", b), "another challenge": tokenAnswer("key", begin()), "nothing": nil,
	} {
		_, _, err := finish(browser, b.Ticket, wrong)
		enginetest.Refused(t, name, err, mfa.WhyWrongAnswer)
	}
	_, _, err := finish(mfa.Visit{Pending: "other"}, b.Ticket, tokenAnswer("key", b))
	enginetest.Refused(t, "in another browser", err, mfa.WhyNoTicket)
	if n := len(d.Events("alice")); n != before {
		t.Errorf("wrong answers left %d events, want none", n-before)
	}
	u, done, err := finish(browser, b.Ticket, tokenAnswer("key", b))
	if err != nil || u.ID != "alice" || !done.Proof.Verified {
		t.Fatalf("the right answer = %+v, %+v, %v; want alice, verified", u, done.Proof, err)
	}
	_, _, err = finish(browser, b.Ticket, tokenAnswer("key", b))
	enginetest.Refused(t, "the same answer again", err, mfa.WhyNoTicket)
	b = begin()
	d.Clock.Move(mfa.TicketLife)
	_, _, err = finish(browser, b.Ticket, tokenAnswer("key", b))
	enginetest.Refused(t, "after ten minutes", err, mfa.WhyNoTicket)
	b = begin()
	none := func(context.Context, string) (mfa.User, error) { return mfa.User{}, nil }
	_, _, err = d.FinishSignIn(t.Context(), browser, mfa.MethodPasskey, b.Ticket, tokenAnswer("key", b), none)
	enginetest.Refused(t, "an owner who may not sign in", err, mfa.WhyWrongAnswer)
	away := errors.New("the directory is away")
	broken := func(context.Context, string) (mfa.User, error) { return mfa.User{}, away }
	_, _, err = d.FinishSignIn(t.Context(), browser, mfa.MethodPasskey, b.Ticket, tokenAnswer("key", b), broken)
	if !errors.Is(err, away) {
		t.Errorf("an unreachable directory = %v, want %v", err, away)
	}
	_, err = d.BeginSignIn(t.Context(), browser, mfa.MethodTOTP)
	enginetest.Refused(t, "by a code alone", err, mfa.WhyUnknownMethod)
}

func TestCanSatisfyKnowsWhatUsersCanEnroll(t *testing.T) {
	typed, strong := enginetest.New(t, mfa.NewMemory()), enginetest.New(t, mfa.NewMemory(), withKeys)
	for _, c := range []struct {
		p             mfa.Policy
		typed, strong bool
	}{
		{mfa.Policy{}, true, true}, {mfa.Policy{Min: mfa.Typed}, true, true},
		{mfa.Policy{Min: mfa.PhishingResistant}, false, true}, {mfa.Policy{Verified: true}, false, true},
	} {
		if got := typed.CanSatisfy(c.p); got != c.typed {
			t.Errorf("with apps CanSatisfy(%+v) = %v, want %v", c.p, got, c.typed)
		}
		if got := strong.CanSatisfy(c.p); got != c.strong {
			t.Errorf("with keys CanSatisfy(%+v) = %v, want %v", c.p, got, c.strong)
		}
	}
}
