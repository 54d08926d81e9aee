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

	// MaxAge is how old the newest counting proof may be. Zero: as old as it lasts.
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
	found, n := p.count(&d, now, u, &acct, methods, a)
	stale := p.MaxAge > 0 && now.Sub(d.At) > p.MaxAge
	if d.Factors >= need && !stale {
		d.Action, d.Reason, d.DueAt = Allow, ReasonProved, p.due(found[:n], need, d.At)
		return d
	}
	d.Action, d.Reason = p.detour(now, &acct, methods, need, d)
	return d
}

// need returns how many factors p asks for.
func (p Policy) need(enrolled bool) int {
	asks := enrolled || p.Min > Recovered || p.Verified || p.MaxAge > 0
	if p.Factors <= 0 && asks {
		return 1
	}
	return max(p.Factors, 0)
}

// counted is one distinct factor that counts: what it is worth, until when.
type counted struct {
	factor string // its id; for all sent codes together: their method
	worth  int
	until  time.Time
}

// count fills the findings of d in from the proofs that count and returns the n of them, one for each distinct factor.
func (p Policy) count(d *Decision, now time.Time, u User, acct *Account, methods []string, a Assurance) (found [maxProofs]counted, n int) {
	if !a.of(u, acct.Epoch) {
		return found, 0
	}
	for i := range a.Proofs {
		proof := &a.Proofs[i]
		f, ok := acct.Factor(proof.FactorID)
		if !ok || !p.counts(now, acct, methods, proof, f) {
			continue
		}
		c := counted{f.ID, 1, proof.Until}
		if f.Method == MethodSent {
			c.factor = MethodSent
		}
		if p.VerifiedIsTwo && proof.Verified && f.Strength >= PhishingResistant {
			c.worth = 2
		}
		at := slices.IndexFunc(found[:n], func(old counted) bool { return old.factor == c.factor })
		switch {
		case at >= 0:
			c = counted{c.factor, max(c.worth, found[at].worth), later(c.until, found[at].until)}
		case n == maxProofs:
			continue
		default:
			at = n
			n++
		}
		if d.Factors == 0 || f.Strength > d.Strength {
			d.Strength = f.Strength
		}
		d.Factors += c.worth - found[at].worth
		d.Verified = d.Verified || proof.Verified
		if proof.At.After(d.At) {
			d.At = proof.At
		}
		found[at] = c
	}
	return found, n
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
		return p.Remembered && acct.browser(proof.Device, now)
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

// due returns when fewer than need of the found factors will be left, or the newest proof will be too old.
func (p Policy) due(found []counted, need int, newest time.Time) time.Time {
	var end time.Time
	slices.SortFunc(found, func(a, b counted) int { return compareEnd(b.until, a.until) })
	worth := 0
	for _, c := range found {
		if worth += c.worth; c.worth > 0 && worth >= need {
			end = c.until
			break
		}
	}
	if p.MaxAge > 0 {
		if fresh := newest.Add(p.MaxAge); end.IsZero() || fresh.Before(end) {
			end = fresh
		}
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
