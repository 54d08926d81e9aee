package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"time"
)

// Names of the methods, as in URLs, JSON and Factor.Method.
const (
	MethodPasskey  = "passkey"
	MethodTOTP     = "totp"
	MethodHOTP     = "hotp"
	MethodRecovery = "recovery"
	MethodSent     = "sent"
	MethodYubico   = "yubico"
	MethodPass     = "pass"
)

// Method understands one kind of factor. It is pure: it has no store, no HTTP and no clock of its own; what it must
// remember goes into Outcome.Factor.State or into the state of the ceremony. Test one with mfatest.TestMethod.
//
// A wrong answer is ErrWrongAnswer. Any other error means that the method could not judge, and denies.
type Method interface {
	Name() string
	Strength() Strength

	// Begin makes what the user is shown (prompt, encoded as JSON for clients that want it) and what Finish must know
	// (state, sealed into the ticket). It changes nothing.
	Begin(context.Context, Attempt) (prompt any, state []byte, err error)

	// Finish judges a.Answer. On success Outcome.Factor is the factor that answered, brought up to date.
	Finish(context.Context, Attempt) (Outcome, error)
}

// Attempt is all that a Method may know.
type Attempt struct {
	User   User
	Factor Factor   // the one to prove; zero at enrollment, and at Begin of an Identifier
	Own    []Factor // of this method and account: the usable ones to prove, all of them at enrollment
	State  []byte   // what Begin returned; nil at Begin
	Answer []byte   // in the canonical form of a Canonicalizer; nil at Begin
	Now    time.Time

	Address string // where a code is to be sent, as it was typed; at BeginEnroll of a Sender
	Live    []byte // the hash of the code that was sent; at FinishEnroll of a Sender

	// NeedVerified asks for user verification (PIN or biometric) instead of preferring it.
	NeedVerified bool
}

// Outcome is what a Method found.
type Outcome struct {
	// Factor is the one that answered. It comes with ErrWrongAnswer and ErrSpent when its State must be kept.
	// At enrollment it carries Strength, State, and where they apply Label, Key and Expires; the Engine does the rest.
	Factor Factor

	Verified bool   // the authenticator checked a PIN or a biometric
	Note     string // "" or what an auditor should know, in a few words
}

// Enroller is a Method that users can add from the pages. Answers are judged as in Finish.
type Enroller interface {
	BeginEnroll(context.Context, Attempt) (prompt any, state []byte, err error)
	FinishEnroll(context.Context, Attempt) (Outcome, error)
}

// Reprompter is an Enroller whose prompt is the same after a wrong answer (the same secret, the same codes). One
// without it begins anew.
type Reprompter interface {
	Reprompt(Attempt) (prompt any, err error)
}

// Identifier is a Method whose answer names its own factor, so that a ticket offers all of an account's and a sign-in
// can begin without a user. Identify returns the Factor.Key that the answer claims; it judges nothing.
type Identifier interface {
	Identify(answer []byte) (key string, err error)
}

// Canonicalizer brings an answer to its one form (no spaces, one case, ASCII digits) before anything looks at it. What
// cannot be an answer at all (length, alphabet, check character) is not ok: it is refused without being judged or charged.
// At enrollment f is the zero Factor.
type Canonicalizer interface {
	Canonical(f Factor, answer []byte) (canonical []byte, ok bool)
}

// Unguessable is a Method whose answers cannot be guessed, so that wrong ones are rate-limited but never lock the
// owner out. A method without it is charged to the budget.
type Unguessable interface {
	Unguessable(f Factor) bool
}

// Configured is a Method that can be configured wrongly. NewEngine reports what Check returns.
type Configured interface {
	Check() error
}

// Counter is a Method whose factors can be used up. Left returns how many uses remain; one with none left is not offered.
type Counter interface {
	Left(f Factor) int
}

// Freer is a Method whose factors, when wrong guesses have stopped them, are freed by their owner: of such a factor
// Begin asks for, and Finish takes, a longer answer that nobody can guess.
type Freer interface {
	Frees(f Factor) bool
}

// Asker is a Method that must ask somebody outside before it can judge. The Engine calls Ask once a request, outside of
// its compare-and-swap loop, with an attempt that would be judged; what it returns is the State of Finish and FinishEnroll.
// Its errors mean that nothing could be found out: a verdict, good or bad, is a state.
type Asker interface {
	Ask(context.Context, Attempt) (state []byte, err error)
}

// Hinter is a Method that can tell, from two wrong answers in a row, what may be wrong with the user's device. One answer
// alone must never give a hint: it would tell which future answers are right.
type Hinter interface {
	// Hint returns a stable word, such as HintClock, or "". Before is the answer before a.Answer, given at the time.
	Hint(a Attempt, before []byte, at time.Time) string
}

// HintClock says that the clock of the user's device is off: two codes in a row bring it back into step.
const HintClock = "clock"

// KeyOf makes a Factor.Key: the SHA-256 of a label ("passkey") and a value (the credential id) that no two users may
// share. It is not keyed, so that a store can be searched for it after keys were rotated.
func KeyOf(label string, value []byte) string {
	h := sha256.New()
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(value)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
