package mfa

import "time"

// Refusal is the error of an Engine that has understood a request and says no. Every other error means that it could
// not decide (the store is away, a hook failed), and denies as well.
type Refusal struct {
	Why        Why
	RetryAfter time.Duration // TooMany: how long to wait
	Detail     string        // for developers, in English; never a secret
	Retry      *Begun        // WrongAnswer: the next ticket; nil: begin anew
	Hint       string        // WrongAnswer: what a Hinter has found out, such as HintClock
}

// Why is the reason of a Refusal. The words are stable.
type Why string

// The reasons.
const (
	WhyWrongAnswer   Why = "wrong-answer"
	WhyNoTicket      Why = "no-ticket"      // foreign, expired, answered, or of another epoch
	WhyTooMany       Why = "too-many"       // the budget is exhausted for now
	WhyUnknownMethod Why = "unknown-method" // not configured, or cannot do what was asked
	WhyNotFound      Why = "not-found"      // no such factor in this account
	WhyMustVerify    Why = "must-verify"    // a (fresh, or stronger) proof is needed first
	WhyMustEnroll    Why = "must-enroll"    // another factor is needed first
	WhyMustSignIn    Why = "must-sign-in"   // first enrollment, and the login is too old
	WhyLastFactor    Why = "last-factor"    // it would leave the user without a way in
	WhyTaken         Why = "taken"          // the authenticator is registered already
	WhyFull          Why = "full"           // no room for another factor
	WhyManaged       Why = "managed"        // owned by the organization
	WhyInvalid       Why = "invalid-request"
)

// Error returns the reason and the detail.
func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "refused: " + string(r.Why)
	}
	return "refused: " + string(r.Why) + ": " + r.Detail
}

func refuse(why Why, detail string) error { return &Refusal{Why: why, Detail: detail} }
