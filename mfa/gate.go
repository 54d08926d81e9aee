package mfa

import (
	"slices"
	"time"
)

// Gate returns nil if v may change the factors of acct, else the Refusal that says what is needed first: with nothing
// enrolled a login at most FreshLogin old; else a proof at most FreshProof old, of the highest strength among the
// usable factors, or of a recovery code or a temporary pass. A factor without enrollment changes nothing: whoever holds
// the mailbox could else wait until wrong guesses have stopped the stronger ones.
func (e *Engine) Gate(acct *Account, v Visit) error {
	now := e.now()
	switch {
	case !v.User.SignedIn() || v.User.Session == "" && v.Pending == "":
		return refuse(WhyMustSignIn, "nobody is signed in")
	case !acct.Enrolled() && !fresh(v.User.LoginAt, now, FreshLogin):
		return refuse(WhyMustSignIn, "the sign-in is too long ago for a first enrollment")
	case !acct.Enrolled():
		return nil
	case !v.Assurance.of(v.User, acct.Epoch):
		return refuse(WhyMustVerify, "a fresh proof is needed to change factors")
	}
	highest := Sent
	for _, f := range acct.Factors {
		if !f.backup() && e.provable(f, now) {
			highest = max(highest, f.Strength)
		}
	}
	for _, p := range v.Assurance.Proofs {
		i := acct.index(p.FactorID)
		over := !p.Until.IsZero() && !now.Before(p.Until)
		if i < 0 || over || p.Device != "" || !fresh(p.At, now, FreshProof) || !acct.Factors[i].Usable(now, e.names) {
			continue
		}
		if f := acct.Factors[i]; f.backup() || f.Strength >= highest {
			return nil
		}
	}
	return refuse(WhyMustVerify, "a fresh proof is needed to change factors")
}

func fresh(at, now time.Time, within time.Duration) bool {
	return !at.IsZero() && now.Sub(at) <= within && at.Sub(now) <= skew
}

// mayEnroll checks the gate, and that there is room for a factor of m.
func (e *Engine) mayEnroll(acct *Account, v Visit, m Method) error {
	if err := e.Gate(acct, v); err != nil {
		return err
	}
	others := func(f Factor) bool { return !f.backup() }
	if m.Name() == MethodRecovery && !slices.ContainsFunc(acct.Factors, others) {
		return refuse(WhyMustEnroll, "recovery codes need another factor that they can stand in for")
	}
	all, typed := 0, 0
	for _, f := range acct.Factors {
		if f.yields(m.Name()) {
			continue
		}
		all++
		if other, err := e.Method(f.Method); err == nil && guessable(other, f) {
			typed++
		}
	}
	if all >= MaxFactors || typed >= MaxTyped && guessable(m, Factor{Method: m.Name()}) {
		return refuse(WhyFull, "remove a factor first")
	}
	return nil
}

// yields reports whether f goes when a factor of a method comes: a temporary pass has done its work, and a new set of
// recovery codes takes the place of the old one.
func (f Factor) yields(method string) bool {
	return f.Method == MethodPass || f.Method == MethodRecovery && method == MethodRecovery
}
