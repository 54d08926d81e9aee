package mfa_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/mfa"
)

func TestMoreProofsNeverTurnAllowIntoAnythingElse(t *testing.T) {
	check(t, 3000, func(t *rapid.T) {
		s, p := drawScene.Draw(t, "scene"), drawPolicy.Draw(t, "policy")
		if s.decide(p).Action != mfa.Allow {
			return
		}
		more := rapid.SliceOfN(drawProof, 1, 20).Draw(t, "more proofs")
		s.a.Proofs = slices.Insert(s.a.Proofs, rapid.IntRange(0, len(s.a.Proofs)).Draw(t, "where"), more...)
		if d := s.decide(p); d.Action != mfa.Allow {
			t.Fatalf("with more proofs Decide of %+v by %+v = %v, %v; want allow", s, p, d.Action, d.Reason)
		}
	})
}

// takings are what support, guesses, time and the site's configuration do to an account. None of it opens anything.
var takings = map[string]func(*rapid.T, *scene){
	"a factor is stopped": func(t *rapid.T, s *scene) {
		f := drawOwned(t, s)
		f.Off |= rapid.SampledFrom([]mfa.Off{mfa.Paused, mfa.StoppedBySupport, mfa.StoppedByGuesses}).Draw(t, "why")
	},
	"all factors are stopped": func(_ *rapid.T, s *scene) {
		for i := range s.acct.Factors {
			s.acct.Factors[i].Off |= mfa.StoppedBySupport
		}
	},
	"a factor expires": func(t *rapid.T, s *scene) {
		f, sooner := drawOwned(t, s), s.now.Add(-time.Second)
		if f.Expires.IsZero() || f.Expires.After(sooner) {
			f.Expires = sooner
		}
	},
	"a method is no longer configured": func(t *rapid.T, s *scene) { s.methods = drawMethods(t, s.methods) },
	"no method is configured":          func(_ *rapid.T, s *scene) { s.methods = nil },
	"a browser is forgotten":           func(_ *rapid.T, s *scene) { s.acct.Browsers = nil },
	"a new epoch begins":               func(_ *rapid.T, s *scene) { s.acct.Epoch += 2 },
	"a proof is lost": func(t *rapid.T, s *scene) {
		if n := len(s.a.Proofs); n > 0 {
			at := rapid.IntRange(0, n-1).Draw(t, "which proof")
			s.a.Proofs = slices.Delete(s.a.Proofs, at, at+1)
		}
	},
	"a factor is removed, and others stay": func(t *rapid.T, s *scene) {
		if len(s.acct.Factors) > 1 {
			at := rapid.IntRange(0, len(s.acct.Factors)-1).Draw(t, "which factor")
			s.acct.Factors = slices.Delete(s.acct.Factors, at, at+1)
		}
	},
	"a factor is added": func(t *rapid.T, s *scene) {
		f := drawFactor.Draw(t, "new factor")
		f.ID = "new"
		s.enroll(f)
	},
}

// drawOwned draws one of the account's factors, or one that changes nothing.
func drawOwned(t *rapid.T, s *scene) *mfa.Factor {
	if len(s.acct.Factors) == 0 {
		return &mfa.Factor{}
	}
	return &s.acct.Factors[rapid.IntRange(0, len(s.acct.Factors)-1).Draw(t, "which factor")]
}

func TestWhatIsTakenAwayNeverOpensAnything(t *testing.T) {
	for name, take := range takings {
		t.Run(name, func(t *testing.T) {
			check(t, 1000, func(t *rapid.T) {
				s, p := drawScene.Draw(t, "scene"), drawPolicy.Draw(t, "policy")
				before := s.decide(p)
				take(t, s)
				if after := s.decide(p); before.Action != mfa.Allow && after.Action == mfa.Allow {
					t.Fatalf("Decide by %+v = %v, %v; now that %s: %v, %v, of %+v", p, before.Action, before.Reason,
						name, after.Action, after.Reason, s)
				}
			})
		})
	}
}

// stricter are the ways to ask for more.
var stricter = map[string]func(*mfa.Policy){
	"more factors":                   func(p *mfa.Policy) { p.Factors = max(1, p.Factors+1) },
	"stronger ones":                  func(p *mfa.Policy) { p.Min++ },
	"user verification":              func(p *mfa.Policy) { p.Verified = true },
	"a passkey counted as one":       func(p *mfa.Policy) { p.VerifiedIsTwo = false },
	"no remembered browser":          func(p *mfa.Policy) { p.Remembered = false },
	"something":                      func(p *mfa.Policy) { p.Waived = "" },
	"fresh proofs":                   func(p *mfa.Policy) { p.MaxAge = younger(p.MaxAge) },
	"what nothing meets, by its age": func(p *mfa.Policy) { p.MaxAge = -time.Hour },
}

func younger(age time.Duration) time.Duration {
	switch {
	case age == 0:
		return 5 * time.Hour
	case age > 1:
		return age / 2
	}
	return age
}

func TestAskingForMoreNeverOpensAnything(t *testing.T) {
	for name, ask := range stricter {
		t.Run(name, func(t *testing.T) {
			check(t, 1000, func(t *rapid.T) {
				s, p := drawScene.Draw(t, "scene"), drawPolicy.Draw(t, "policy")
				before := s.decide(p)
				ask(&p)
				if after := s.decide(p); before.Action != mfa.Allow && after.Action == mfa.Allow {
					t.Fatalf("Decide = %v, %v; and now that it asks for %s: %v by %+v of %+v", before.Action, before.Reason,
						name, after.Reason, p, s)
				}
			})
		})
	}
}

// A login may have proved more factors than the space that Decide sets aside for them.
func TestManyProofsAreAllCounted(t *testing.T) {
	s := alices()
	for i := range 20 {
		f := aKey
		f.ID = string(rune('a' + i))
		s.enroll(f)
		s.prove(f.ID, time.Duration(20-i)*time.Hour).Verified = true
		s.a.Proofs[i].Until = time.Time{}
	}
	d := s.decide(mfa.Policy{Factors: 40, VerifiedIsTwo: true, MaxAge: 90 * time.Minute})
	if d.Action != mfa.Allow || d.Factors != 40 || !d.At.Equal(s.now.Add(-time.Hour)) {
		t.Errorf("Decide = %v, %v with %d factors; want allow with 40", d.Action, d.Reason, d.Factors)
	}
	if !d.DueAt.Equal(s.now.Add(30 * time.Minute)) {
		t.Errorf("DueAt = %v, want half an hour from %v", d.DueAt, s.now)
	}
}

func TestANewProofTakesThePlaceOfTheOldOne(t *testing.T) {
	var a mfa.Assurance
	for i := range 30 {
		a = a.With(mfa.Proof{FactorID: string(rune('a' + i)), At: midday.Add(time.Duration(i))})
	}
	first := a
	if len(a.Proofs) > 16 || a.Proofs[len(a.Proofs)-1].FactorID != string(rune('a'+29)) {
		t.Fatalf("%d proofs are kept, the last of %+v; want at most 16 with the newest last", len(a.Proofs), a.Proofs)
	}
	again := a.Proofs[3].FactorID
	a = a.With(mfa.Proof{FactorID: again, At: midday.Add(time.Hour)})
	n := 0
	for _, p := range a.Proofs {
		if p.FactorID == again {
			n++
		}
	}
	if last := a.Proofs[len(a.Proofs)-1]; n != 1 || last.FactorID != again || !last.At.Equal(midday.Add(time.Hour)) {
		t.Errorf("%d proofs of %s, the last is %+v; want one, the new one", n, again, last)
	}
	if first.Proofs[3].FactorID != again || !first.Proofs[3].At.Before(midday.Add(time.Second)) {
		t.Errorf("With changed the assurance that it was called on: %+v", first.Proofs[3])
	}
}
