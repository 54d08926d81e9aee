package mfa_test

import (
	"testing"
	"time"

	"sallyport/mfa"
)

// scene is all that a decision depends on, but the policy.
type scene struct {
	now     time.Time
	user    mfa.User
	acct    mfa.Account
	methods []string
	a       mfa.Assurance
}

func (s *scene) decide(p mfa.Policy) mfa.Decision {
	return p.Decide(s.now, s.user, s.acct, s.methods, s.a)
}

// factor returns a factor of the account to change.
func (s *scene) factor(id string) *mfa.Factor {
	for i := range s.acct.Factors {
		if s.acct.Factors[i].ID == id {
			return &s.acct.Factors[i]
		}
	}
	return nil
}

func (s *scene) enroll(factors ...mfa.Factor) { s.acct.Factors = append(s.acct.Factors, factors...) }

// prove adds a proof of a factor that is so old and lasts three hours from then.
func (s *scene) prove(id string, age time.Duration) *mfa.Proof {
	at := s.now.Add(-age)
	s.a.Proofs = append(s.a.Proofs, mfa.Proof{FactorID: id, At: at, Until: at.Add(3 * time.Hour)})
	return &s.a.Proofs[len(s.a.Proofs)-1]
}

var (
	anApp   = mfa.Factor{ID: "app", Method: mfa.MethodTOTP, Strength: mfa.Typed}
	another = mfa.Factor{ID: "app2", Method: mfa.MethodTOTP, Strength: mfa.Typed}
	aKey    = mfa.Factor{ID: "key", Method: mfa.MethodPasskey, Strength: mfa.PhishingResistant}
	codes   = mfa.Factor{ID: "codes", Method: mfa.MethodRecovery, Strength: mfa.Recovered}
	aMail   = mfa.Factor{ID: "mail", Method: mfa.MethodSent, Strength: mfa.Sent}
	aPhone  = mfa.Factor{ID: "phone", Method: mfa.MethodSent, Strength: mfa.Sent}
	aPass   = mfa.Factor{ID: "pass", Method: mfa.MethodPass, Strength: mfa.Recovered}
)

// alices is a scene in which alice is signed in, has proved nothing, and has these factors.
func alices(factors ...mfa.Factor) *scene {
	return &scene{
		now:     midday,
		user:    mfa.User{ID: "alice", Session: "s1"},
		acct:    mfa.Account{Epoch: 3, Factors: append([]mfa.Factor(nil), factors...)},
		methods: []string{mfa.MethodPasskey, mfa.MethodTOTP, mfa.MethodRecovery, mfa.MethodSent, mfa.MethodPass},
		a:       mfa.Assurance{UserID: "alice", Session: "s1", Epoch: 3},
	}
}

// decisions are named by what is special about each. change tells what was done to a scene with an app and a key.
var decisions = []struct {
	name   string
	policy mfa.Policy
	change func(*scene)
	action mfa.Action
	reason mfa.Reason
}{
	{"nobody is signed in", mfa.Policy{}, func(s *scene) { s.user = mfa.User{} }, mfa.Deny, mfa.ReasonNobody},
	{"nobody is signed in, and nothing is asked", mfa.Policy{Waived: "w"}, func(s *scene) { s.user = mfa.User{Session: "s1"} },
		mfa.Deny, mfa.ReasonNobody},
	{"the login has no name", mfa.Policy{}, func(s *scene) { s.user.Session = "" }, mfa.Deny, mfa.ReasonNoLogin},
	{"the login has no name, and nothing is asked", mfa.Policy{Waived: "w"}, func(s *scene) { s.user.Session = "" },
		mfa.Deny, mfa.ReasonNoLogin},
	{"nothing is asked", mfa.Policy{Waived: "because"}, nil, mfa.Allow, mfa.ReasonWaived},
	{"nothing is asked of what else would need two", mfa.Policy{Waived: "w", Factors: 2}, nil,
		mfa.Allow, mfa.ReasonWaived},

	{"nothing is enrolled, and the zero policy", mfa.Policy{}, empty, mfa.Allow, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and sent codes are welcome", mfa.Policy{Min: mfa.Sent}, empty,
		mfa.Allow, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and remembered browsers count", mfa.Policy{Remembered: true}, empty,
		mfa.Allow, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and a passkey would be two", mfa.Policy{VerifiedIsTwo: true}, empty,
		mfa.Allow, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and one is needed", mfa.Policy{Factors: 1}, empty, mfa.Enroll, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and a typed code is needed", mfa.Policy{Min: mfa.Typed}, empty,
		mfa.Enroll, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and user verification is needed", mfa.Policy{Verified: true}, empty,
		mfa.Enroll, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and a fresh proof is needed", mfa.Policy{MaxAge: time.Hour}, empty,
		mfa.Enroll, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, and what nothing meets is needed", mfa.Policy{MaxAge: -1}, empty,
		mfa.Enroll, mfa.ReasonNotEnrolled},
	{"nothing is enrolled, with a proof of a removed factor", mfa.Policy{Factors: 1}, func(s *scene) {
		empty(s)
		s.prove("app", 0)
	}, mfa.Enroll, mfa.ReasonNotEnrolled},

	{"nothing is proved", mfa.Policy{}, nil, mfa.Verify, mfa.ReasonUnproved},
	{"one is proved", mfa.Policy{}, proved("app"), mfa.Allow, mfa.ReasonProved},
	{"one is proved, a negative number is needed", mfa.Policy{Factors: -2}, proved("app"), mfa.Allow, mfa.ReasonProved},
	{"none is proved, a negative number is needed", mfa.Policy{Factors: -2}, nil, mfa.Verify, mfa.ReasonUnproved},
	{"two are needed and proved", mfa.Policy{Factors: 2}, proved("app", "key"), mfa.Allow, mfa.ReasonProved},
	{"two are needed and one is proved", mfa.Policy{Factors: 2}, proved("app"), mfa.Verify, mfa.ReasonUnproved},
	{"two are needed and one is proved twice", mfa.Policy{Factors: 2}, proved("app", "app"),
		mfa.Verify, mfa.ReasonUnproved},
	{"three are needed of two", mfa.Policy{Factors: 3}, proved("app", "key"), mfa.Enroll, mfa.ReasonTooWeak},

	{"a paused factor is proved", mfa.Policy{}, off("app", mfa.Paused), mfa.Verify, mfa.ReasonUnproved},
	{"a factor is proved that support stopped", mfa.Policy{}, off("app", mfa.StoppedBySupport),
		mfa.Verify, mfa.ReasonUnproved},
	{"a factor is proved that guesses stopped", mfa.Policy{}, off("app", mfa.StoppedByGuesses),
		mfa.Verify, mfa.ReasonUnproved},
	{"a factor is proved that has just expired", mfa.Policy{}, expires("app", 0), mfa.Verify, mfa.ReasonUnproved},
	{"a factor is proved that is about to expire", mfa.Policy{}, expires("app", 1), mfa.Allow, mfa.ReasonProved},
	{"a factor is proved whose method is not configured", mfa.Policy{}, func(s *scene) {
		s.prove("app", 0)
		s.methods = []string{mfa.MethodPasskey}
	}, mfa.Verify, mfa.ReasonUnproved},
	{"a removed factor is proved", mfa.Policy{}, func(s *scene) {
		s.prove("app", 0)
		s.acct.Factors = s.acct.Factors[1:]
	}, mfa.Verify, mfa.ReasonUnproved},
	{"a factor of nobody is proved", mfa.Policy{}, proved("stranger", ""), mfa.Verify, mfa.ReasonUnproved},

	{"everything is paused", mfa.Policy{}, func(s *scene) {
		s.prove("app", 0)
		s.factor("app").Off, s.factor("key").Off = mfa.Paused, mfa.StoppedBySupport
	}, mfa.Verify, mfa.ReasonStuck},
	{"everything is paused, and more is needed", mfa.Policy{Factors: 2}, func(s *scene) {
		s.factor("app").Off, s.factor("key").Off = mfa.Paused, mfa.Paused
	}, mfa.Verify, mfa.ReasonStuck},
	{"everything has expired", mfa.Policy{}, func(s *scene) {
		s.factor("app").Expires, s.factor("key").Expires = s.now, s.now.Add(-time.Hour)
	}, mfa.Verify, mfa.ReasonStuck},
	{"no method is configured", mfa.Policy{}, func(s *scene) { s.methods = nil }, mfa.Verify, mfa.ReasonStuck},
	{"a factor of an unknown method is all there is", mfa.Policy{}, only(mfa.Factor{ID: "x", Method: "iris"}),
		mfa.Verify, mfa.ReasonStuck},

	{"another epoch", mfa.Policy{}, func(s *scene) { s.prove("app", 0); s.acct.Epoch++ }, mfa.Verify, mfa.ReasonUnproved},
	{"an epoch to come", mfa.Policy{}, func(s *scene) { s.prove("app", 0); s.a.Epoch++ }, mfa.Verify, mfa.ReasonUnproved},
	{"an assurance of bob", mfa.Policy{}, func(s *scene) { s.prove("app", 0); s.a.UserID = "bob" },
		mfa.Verify, mfa.ReasonUnproved},
	{"an assurance of another login", mfa.Policy{}, func(s *scene) { s.prove("app", 0); s.a.Session = "s2" },
		mfa.Verify, mfa.ReasonUnproved},
	{"an assurance of nobody", mfa.Policy{}, func(s *scene) { s.prove("app", 0); s.a.UserID, s.a.Session = "", "" },
		mfa.Verify, mfa.ReasonUnproved},

	{"a proof at its end", mfa.Policy{}, lasts(0), mfa.Verify, mfa.ReasonUnproved},
	{"a proof just before its end", mfa.Policy{}, lasts(1), mfa.Allow, mfa.ReasonProved},
	{"a proof without an end", mfa.Policy{}, func(s *scene) { s.prove("app", 9000*time.Hour).Until = time.Time{} },
		mfa.Allow, mfa.ReasonProved},
	{"a proof from a clock a minute ahead", mfa.Policy{}, func(s *scene) { s.prove("app", -time.Minute) },
		mfa.Allow, mfa.ReasonProved},
	{"a proof from the future", mfa.Policy{}, func(s *scene) { s.prove("app", -time.Minute-1) },
		mfa.Verify, mfa.ReasonUnproved},

	{"a proof younger than the most", mfa.Policy{MaxAge: time.Hour}, aged(time.Hour - 1), mfa.Allow, mfa.ReasonProved},
	{"a proof as old as the most", mfa.Policy{MaxAge: time.Hour}, aged(time.Hour), mfa.Verify, mfa.ReasonStale},
	{"an old proof beside a fresh one", mfa.Policy{MaxAge: time.Hour, Factors: 2}, func(s *scene) {
		s.prove("key", time.Minute)
		s.prove("app", 2*time.Hour)
	}, mfa.Allow, mfa.ReasonProved},
	{"a fresh proof that does not count, beside an old one", mfa.Policy{MaxAge: time.Hour, Min: mfa.PhishingResistant},
		func(s *scene) { s.prove("key", 2*time.Hour); s.prove("app", 0) }, mfa.Verify, mfa.ReasonStale},
	{"nothing is as young as a negative age", mfa.Policy{MaxAge: -1}, proved("app", "key"), mfa.Verify, mfa.ReasonStale},

	{"a weaker one is proved", mfa.Policy{Min: mfa.PhishingResistant}, proved("app"), mfa.Verify, mfa.ReasonUnproved},
	{"the stronger one is proved", mfa.Policy{Min: mfa.PhishingResistant}, proved("key"), mfa.Allow, mfa.ReasonProved},
	{"nothing is strong enough", mfa.Policy{Min: mfa.PhishingResistant}, only(anApp), mfa.Enroll, mfa.ReasonTooWeak},
	{"nothing at all is strong enough", mfa.Policy{Min: mfa.PhishingResistant + 1}, proved("app", "key"),
		mfa.Enroll, mfa.ReasonTooWeak},
	{"the strong one is paused", mfa.Policy{Min: mfa.PhishingResistant}, off("key", mfa.Paused),
		mfa.Enroll, mfa.ReasonTooWeak},
	{"a recovery code is proved", mfa.Policy{}, owns(codes, "codes"), mfa.Allow, mfa.ReasonProved},
	{"a recovery code is proved where typed is needed", mfa.Policy{Min: mfa.Typed}, owns(codes, "codes"),
		mfa.Verify, mfa.ReasonUnproved},

	{"a sent code is proved", mfa.Policy{}, owns(aMail, "mail"), mfa.Verify, mfa.ReasonUnproved},
	{"a sent code is proved where it is welcome", mfa.Policy{Min: mfa.Sent}, owns(aMail, "mail"),
		mfa.Allow, mfa.ReasonProved},
	{"all sent codes are one factor", mfa.Policy{Min: mfa.Sent, Factors: 2}, func(s *scene) {
		s.enroll(aMail, aPhone)
		s.prove("mail", 0)
		s.prove("phone", 0)
	}, mfa.Verify, mfa.ReasonUnproved},
	{"a sent code and an app are two", mfa.Policy{Min: mfa.Sent, Factors: 2}, owns(aMail, "mail", "app"),
		mfa.Allow, mfa.ReasonProved},
	{"sent codes are all there is, and two are needed", mfa.Policy{Min: mfa.Sent, Factors: 2}, only(aMail, aPhone),
		mfa.Enroll, mfa.ReasonTooWeak},
	{"two apps are two", mfa.Policy{Factors: 2}, owns(another, "app", "app2"), mfa.Allow, mfa.ReasonProved},

	{"user verification is needed, and was", mfa.Policy{Verified: true}, verified("key"), mfa.Allow, mfa.ReasonProved},
	{"user verification is needed, and was not", mfa.Policy{Verified: true}, proved("key"),
		mfa.Verify, mfa.ReasonUnproved},
	{"user verification is needed of an account that cannot", mfa.Policy{Verified: true}, only(anApp),
		mfa.Enroll, mfa.ReasonTooWeak},
	{"a passkey that verified its user is two", mfa.Policy{Factors: 2, VerifiedIsTwo: true}, verified("key"),
		mfa.Allow, mfa.ReasonProved},
	{"a passkey that did not is one", mfa.Policy{Factors: 2, VerifiedIsTwo: true}, proved("key"),
		mfa.Verify, mfa.ReasonUnproved},
	{"a passkey that did is one where it is not said", mfa.Policy{Factors: 2}, verified("key"),
		mfa.Verify, mfa.ReasonUnproved},
	{"an app that verified its user is one", mfa.Policy{Factors: 2, VerifiedIsTwo: true}, verified("app"),
		mfa.Verify, mfa.ReasonUnproved},
	{"a passkey is all there is, and two are needed", mfa.Policy{Factors: 2}, only(aKey), mfa.Enroll, mfa.ReasonTooWeak},
	{"a passkey is all there is, and may be two", mfa.Policy{Factors: 2, VerifiedIsTwo: true}, only(aKey),
		mfa.Verify, mfa.ReasonUnproved},

	{"a remembered browser where it counts", mfa.Policy{Remembered: true}, remembered(1), mfa.Allow, mfa.ReasonProved},
	{"a remembered browser where it does not", mfa.Policy{}, remembered(time.Hour), mfa.Verify, mfa.ReasonUnproved},
	{"a remembered browser at its end", mfa.Policy{Remembered: true}, remembered(0), mfa.Verify, mfa.ReasonUnproved},
	{"a browser that is no longer remembered", mfa.Policy{Remembered: true}, func(s *scene) {
		remembered(time.Hour)(s)
		s.acct.Browsers = nil
	}, mfa.Verify, mfa.ReasonUnproved},
	{"another browser is remembered", mfa.Policy{Remembered: true}, func(s *scene) {
		remembered(time.Hour)(s)
		s.acct.Browsers[0].ID = "b2"
	}, mfa.Verify, mfa.ReasonUnproved},

	{"after a reset a pass is all there is", mfa.Policy{}, only(aPass), mfa.Enroll, mfa.ReasonReset},
	{"after a reset the pass is proved", mfa.Policy{}, func(s *scene) { only(aPass)(s); s.prove("pass", 0) },
		mfa.Enroll, mfa.ReasonReset},
	{"after a reset the pass is spent", mfa.Policy{}, func(s *scene) {
		only(aPass)(s)
		s.factor("pass").Off = mfa.StoppedBySupport
	}, mfa.Enroll, mfa.ReasonReset},
	{"a pass beside another factor proves nothing", mfa.Policy{}, owns(aPass, "pass"), mfa.Verify, mfa.ReasonUnproved},
	{"a pass is no second factor", mfa.Policy{Factors: 3}, owns(aPass, "app", "key", "pass"),
		mfa.Enroll, mfa.ReasonTooWeak},
	{"a pass beside a paused factor is no way in", mfa.Policy{}, func(s *scene) {
		only(aPass, anApp)(s)
		s.factor("app").Off = mfa.Paused
	}, mfa.Verify, mfa.ReasonStuck},
}

func empty(s *scene) { s.acct.Factors = nil }

func only(factors ...mfa.Factor) func(*scene) {
	return func(s *scene) { s.acct.Factors = append([]mfa.Factor(nil), factors...) }
}

func owns(more mfa.Factor, proofs ...string) func(*scene) {
	return func(s *scene) { s.enroll(more); proved(proofs...)(s) }
}

func proved(ids ...string) func(*scene) {
	return func(s *scene) {
		for _, id := range ids {
			s.prove(id, time.Minute)
		}
	}
}

func verified(id string) func(*scene) {
	return func(s *scene) { s.prove(id, time.Minute).Verified = true }
}

func off(id string, why mfa.Off) func(*scene) {
	return func(s *scene) { s.prove(id, 0); s.factor(id).Off = why }
}

func expires(id string, in time.Duration) func(*scene) {
	return func(s *scene) { s.prove(id, 0); s.factor(id).Expires = s.now.Add(in) }
}

func lasts(left time.Duration) func(*scene) {
	return func(s *scene) { s.prove("app", time.Hour).Until = s.now.Add(left) }
}

func aged(age time.Duration) func(*scene) { return func(s *scene) { s.prove("app", age) } }

// remembered lets the browser stand for an older proof of the app, for so long.
func remembered(left time.Duration) func(*scene) {
	return func(s *scene) {
		s.acct.Browsers = []mfa.Browser{{ID: "b1", FactorID: "app", Until: s.now.Add(left)}}
		s.prove("app", time.Hour).Device = "b1"
	}
}

func TestDecisions(t *testing.T) {
	for _, c := range decisions {
		s := alices(anApp, aKey)
		if c.change != nil {
			c.change(s)
		}
		d := s.decide(c.policy)
		if d.Action != c.action || d.Reason != c.reason {
			t.Errorf("%s: Decide = %v, %v; want %v, %v", c.name, d.Action, d.Reason, c.action, c.reason)
		}
		if d.Policy != c.policy || d.Enrolled != (len(s.acct.Factors) > 0) {
			t.Errorf("%s: Decide says enrolled %v under %+v, want %v under %+v",
				c.name, d.Enrolled, d.Policy, len(s.acct.Factors) > 0, c.policy)
		}
	}
}

func TestEveryActionAndReasonIsDecidedSomewhere(t *testing.T) {
	actions, reasons := map[mfa.Action]bool{}, map[mfa.Reason]bool{}
	for _, c := range decisions {
		actions[c.action], reasons[c.reason] = true, true
	}
	if len(actions) != 4 || len(reasons) != 10 {
		t.Errorf("the table has %d actions and %d reasons, want 4 and 10", len(actions), len(reasons))
	}
}

func TestADecisionTellsWhatItFound(t *testing.T) {
	s := alices(anApp, aKey, codes, aMail)
	s.prove("mail", time.Second)
	s.prove("codes", 3*time.Minute)
	s.prove("key", 2*time.Minute).Verified = true
	s.prove("app", time.Minute)
	for _, c := range []struct {
		name     string
		policy   mfa.Policy
		factors  int
		strength mfa.Strength
		verified bool
		age      time.Duration
	}{
		{"by default", mfa.Policy{}, 3, mfa.PhishingResistant, true, time.Minute},
		{"with sent codes", mfa.Policy{Min: mfa.Sent}, 4, mfa.PhishingResistant, true, time.Second},
		{"with a passkey as two", mfa.Policy{VerifiedIsTwo: true}, 4, mfa.PhishingResistant, true, time.Minute},
		{"the strongest", mfa.Policy{Min: mfa.PhishingResistant}, 1, mfa.PhishingResistant, true, 2 * time.Minute},
	} {
		d := s.decide(c.policy)
		if d.Action != mfa.Allow || d.Factors != c.factors || d.Strength != c.strength || d.Verified != c.verified ||
			!d.At.Equal(s.now.Add(-c.age)) {
			t.Errorf("%s: Decide = %+v, want %d factors, %v, verified %v, %v old",
				c.name, d, c.factors, c.strength, c.verified, c.age)
		}
	}
	s = alices(aMail)
	s.prove("mail", 0)
	if d := s.decide(mfa.Policy{Min: mfa.Sent}); d.Strength != mfa.Sent || d.Factors != 1 || d.Verified {
		t.Errorf("a sent code: Decide = %+v, want one factor of strength sent", d)
	}
}

func TestTheZeroValuesDeny(t *testing.T) {
	var d mfa.Decision
	if d.Action != mfa.Deny || d.Action.String() != "deny" {
		t.Errorf("the zero Decision says %v, want deny", d.Action)
	}
	if d := (mfa.Policy{}).Decide(time.Time{}, mfa.User{}, mfa.Account{}, nil, mfa.Assurance{}); d.Action != mfa.Deny {
		t.Errorf("Decide of nothing = %v, want deny", d.Action)
	}
	for a, want := range map[mfa.Action]string{
		mfa.Allow: "allow", mfa.Verify: "verify", mfa.Enroll: "enroll", -1: "deny", 4: "deny", 1 << 40: "deny",
	} {
		if got := a.String(); got != want {
			t.Errorf("Action(%d) = %s, want %s", int(a), got, want)
		}
	}
}

func TestStrengthsAreOrderedAndNamed(t *testing.T) {
	last := mfa.Strength(-2)
	for i, name := range []string{"sent", "recovered", "typed", "phishing-resistant"} {
		s := []mfa.Strength{mfa.Sent, mfa.Recovered, mfa.Typed, mfa.PhishingResistant}[i]
		text, err := s.MarshalText()
		if s <= last || s.String() != name || string(text) != name || err != nil {
			t.Errorf("strength %d = %s, %s, %v; want %s, above %d", s, s, text, err, name, last)
		}
		last = s
	}
	var zero mfa.Strength
	if zero != mfa.Recovered {
		t.Errorf("the zero strength = %v, want recovered", zero)
	}
	if got := mfa.Strength(9).String(); got != "strength(9)" {
		t.Errorf("Strength(9) = %s, want strength(9)", got)
	}
}
