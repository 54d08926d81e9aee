package mfa

import (
	"slices"
	"time"
)

// Policy is what a request must have proved. The zero Policy asks users who have a factor for one, and lets those
// without any pass. Any field but Waived, Min: Sent, VerifiedIsTwo and Remembered also asks those without a factor to
// enroll one.
type Policy struct {
	// Factors is how many distinct factors must be proved. All sent codes are one factor.
	Factors int

	// Min is the weakest strength that counts. Its zero value, Recovered, leaves out what is sent.
	Min Strength

	// Verified counts only proofs in which the authenticator checked a PIN or a biometric.
	Verified bool

	// VerifiedIsTwo counts such a proof, if it is phishing-resistant, as two factors.
	VerifiedIsTwo bool

	// MaxAge is when the newest counting proof is too old. Zero: as old as it lasts. Nothing meets a negative one.
	MaxAge time.Duration

	// Remembered counts the proofs that a remembered browser stands for.
	Remembered bool

	// Waived, if not empty, says why nothing is asked. It leaves an event for each user, reason and hour.
	Waived string
}

// Action is what to do with a request. The zero value denies.
type Action int

// The actions.
const (
	Deny   Action = iota // refuse: nobody is signed in, or the login has no name
	Allow                // let it through
	Verify               // ask for a proof
	Enroll               // ask for another factor
)

// String returns deny, allow, verify or enroll.
func (a Action) String() string {
	if a < Deny || a > Enroll {
		return "deny"
	}
	return [...]string{"deny", "allow", "verify", "enroll"}[a]
}

// Reason says in one stable word why a Decision came out as it did.
type Reason string

// The reasons.
const (
	ReasonNobody      Reason = "nobody"       // no user
	ReasonNoLogin     Reason = "no-login"     // User.Session is empty
	ReasonWaived      Reason = "waived"       // Policy.Waived
	ReasonProved      Reason = "proved"       // enough proofs count
	ReasonNotEnrolled Reason = "not-enrolled" // nothing is enrolled: allowed by the zero Policy, else enroll
	ReasonUnproved    Reason = "unproved"     // enough usable factors, too few proofs
	ReasonStale       Reason = "stale"        // enough proofs, none fresh enough
	ReasonTooWeak     Reason = "too-weak"     // the usable factors cannot satisfy the policy
	ReasonStuck       Reason = "stuck"        // enrolled, but nothing is usable: recovery or support
	ReasonReset       Reason = "reset"        // support has reset the account: enroll with the temporary pass
)

// Decision is what Decide found. The zero Decision denies.
type Decision struct {
	Action Action
	Reason Reason
	Policy Policy

	Factors  int       // how many the counting proofs are worth
	Strength Strength  // of the strongest counting proof; meaningful if Factors > 0
	Verified bool      // a counting proof had user verification
	At       time.Time // of the newest counting proof; zero: none
	DueAt    time.Time // when an Allow ends by itself; zero: it does not
	Enrolled bool      // the account holds a factor, usable or not
}

// skew is how far in the future a proof of another node may seem to lie.
const skew = time.Minute

// Decide says what p asks of a request of u, whose account and assurance these are, when the named methods are
// configured. It is pure. It drops proofs of another user, login or epoch, of methods not configured, of factors taken
// away or not in use, and of browsers no longer remembered.
func (p Policy) Decide(now time.Time, u User, acct Account, methods []string, a Assurance) Decision {
	d := Decision{Policy: p, Enrolled: acct.Enrolled()}
	switch {
	case !u.SignedIn():
		d.Reason = ReasonNobody
		return d
	case u.Session == "":
		d.Reason = ReasonNoLogin
		return d
	case p.Waived != "":
		d.Action, d.Reason = Allow, ReasonWaived
		return d
	}
	need := p.need(d.Enrolled)
	if need == 0 {
		d.Action, d.Reason = Allow, ReasonNotEnrolled
		return d
	}
	var space [maxProofs]unit // on the stack; few logins need more
	units, fresh := p.count(&d, now, u, &acct, methods, a, space[:0])
	stale := p.MaxAge != 0 && !now.Before(fresh)
	if d.Factors >= need && !stale {
		d.Action, d.Reason, d.DueAt = Allow, ReasonProved, p.due(units, need, fresh)
		return d
	}
	d.Action, d.Reason = p.detour(now, &acct, methods, need, d)
	return d
}

// need returns how many factors p asks for.
func (p Policy) need(enrolled bool) int {
	asks := enrolled || p.Min > Recovered || p.Verified || p.MaxAge != 0
	if p.Factors <= 0 && asks {
		return 1
	}
	return max(p.Factors, 0)
}

// unit is one factor that is proved: a distinct one, or the second one that VerifiedIsTwo makes of it.
type unit struct {
	factor string // its id; for all sent codes together: their method
	second bool
	until  time.Time // zero: it does not end by itself
}

// count fills the findings of d in from the proofs that count. It returns what they are worth, in units, and until when
// one of them is fresh enough for MaxAge.
func (p Policy) count(
	d *Decision, now time.Time, u User, acct *Account, methods []string, a Assurance, units []unit,
) (_ []unit, fresh time.Time) {
	if !a.of(u, acct.Epoch) {
		return units, fresh
	}
	for i := range a.Proofs {
		proof := &a.Proofs[i]
		f, ok := acct.Factor(proof.FactorID)
		if !ok || !p.counts(now, acct, methods, proof, f) {
			continue
		}
		if d.Factors == 0 || f.Strength > d.Strength {
			d.Strength = f.Strength
		}
		d.Verified = d.Verified || proof.Verified
		if proof.At.After(d.At) {
			d.At = proof.At
		}
		end := acct.ends(proof, f)
		if old := sooner(end, proof.At.Add(p.MaxAge)); old.After(fresh) {
			fresh = old
		}
		name := f.ID
		if f.Method == MethodSent {
			name = MethodSent
		}
		units = addUnit(units, unit{name, false, end})
		if p.VerifiedIsTwo && proof.Verified && f.Strength >= PhishingResistant {
			units = addUnit(units, unit{name, true, end})
		}
		d.Factors = len(units)
	}
	return units, fresh
}

// addUnit adds a unit. One that is there already lasts as long as the later of the two.
func addUnit(units []unit, more unit) []unit {
	for i := range units {
		if old := &units[i]; old.factor == more.factor && old.second == more.second {
			old.until = later(old.until, more.until)
			return units
		}
	}
	return append(units, more)
}

// counts reports whether one proof counts for p.
func (p Policy) counts(now time.Time, acct *Account, methods []string, proof *Proof, f Factor) bool {
	switch {
	case f.Method == MethodPass, f.Strength < p.Min, !f.Usable(now, methods):
		return false
	case proof.At.After(now.Add(skew)), !proof.Until.IsZero() && !now.Before(proof.Until):
		return false
	case p.Verified && !proof.Verified:
		return false
	case proof.Device != "":
		b, ok := acct.browser(proof.Device)
		return p.Remembered && ok && now.Before(b.Until)
	}
	return true
}

// detour says what a request must do that may not pass.
func (p Policy) detour(now time.Time, acct *Account, methods []string, need int, d Decision) (Action, Reason) {
	if acct.awaitsEnrollment() {
		return Enroll, ReasonReset
	}
	usable, worth, sent := false, 0, false
	for _, f := range acct.all() {
		if f.Method == MethodPass || !f.Usable(now, methods) {
			continue
		}
		usable = true
		if !p.mayCount(f) || f.Method == MethodSent && sent {
			continue
		}
		sent = sent || f.Method == MethodSent
		worth++
		if p.VerifiedIsTwo && f.Strength >= PhishingResistant {
			worth++
		}
	}
	switch {
	case !d.Enrolled && worth < need:
		return Enroll, ReasonNotEnrolled
	case !usable:
		return Verify, ReasonStuck
	case worth < need:
		return Enroll, ReasonTooWeak
	case d.Factors >= need:
		return Verify, ReasonStale
	}
	return Verify, ReasonUnproved
}

// mayCount reports whether a proof of f could count for p.
func (p Policy) mayCount(f Factor) bool {
	return f.Strength >= p.Min && (!p.Verified || f.Strength >= PhishingResistant)
}

// due returns when fewer than need of the units will be left, or no proof will be fresh enough.
func (p Policy) due(units []unit, need int, fresh time.Time) time.Time {
	slices.SortFunc(units, func(a, b unit) int { return compareEnd(b.until, a.until) })
	end := units[need-1].until
	if p.MaxAge != 0 {
		end = sooner(end, fresh)
	}
	return end
}

// compareEnd orders ends of proofs; zero, which never ends, is the latest.
func compareEnd(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

func later(a, b time.Time) time.Time {
	if compareEnd(a, b) < 0 {
		return b
	}
	return a
}

func sooner(a, b time.Time) time.Time {
	if compareEnd(b, a) < 0 {
		return b
	}
	return a
}
