package mfa

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Limits of an account.
const (
	MaxFactors  = 20
	MaxTyped    = 5   // factors whose codes can be guessed
	MaxLabel    = 100 // characters
	FreshProof  = 5 * time.Minute
	FreshLogin  = 10 * time.Minute
	noticeAgain = 24 * time.Hour
)

// Begun is the first half of a ceremony. Nothing was written.
type Begun struct {
	Ticket  string
	Method  string
	Factor  Factor // the one to prove, without its State; zero at enrollment and for an Identifier
	Prompt  any    // what the method shows
	Expires time.Time
	Sending *Sending // what is to be carried to the user now; nil: nothing
}

// Done is a finished ceremony or change. It has been saved.
type Done struct {
	Factor    Factor    // as it is now, without its State; as it was, after a removal
	Proof     Proof     // zero: this was no proof
	Assurance Assurance // to be given to the login in place of the old one
	Account   *Account  // as saved; the caller's own copy
	First     bool      // the account held no factor before

	Series, Token string // of a browser that is remembered from now on, or whose token has changed; "": none
}

// answering is one answer on its way: from whom, with which ticket, to be judged by which method against which factor of
// which account.
type answering struct {
	Visit
	acct *Account
	m    Method
	t    ticket
	f    Factor // zero at enrollment
	now  time.Time
	lane LaneID

	answer []byte // in its canonical form; nil until it has one
}

// Choices returns the factors that can be proved now, the preferred one first, then the last used ones. Recovery codes
// and the temporary pass come last.
func (e *Engine) Choices(acct *Account) []Factor {
	now := e.now()
	var list []Factor
	for _, f := range acct.all() {
		if e.provable(f, now) {
			list = append(list, f)
		}
	}
	slices.SortStableFunc(list, func(a, b Factor) int {
		rank := func(f Factor) int {
			switch {
			case f.backup():
				return 2
			case f.ID == acct.Preferences.FactorID:
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.LastUsed.Compare(a.LastUsed), cmp.Compare(b.Strength, a.Strength))
	})
	return list
}

// Left returns how many uses f has, and whether its method counts them.
func (e *Engine) Left(f Factor) (n int, counts bool) {
	if m, err := e.Method(f.Method); err == nil {
		if c, ok := m.(Counter); ok {
			return c.Left(f), true
		}
	}
	return 0, false
}

// provable reports whether f can be proved: usable, and not used up.
func (e *Engine) provable(f Factor, now time.Time) bool {
	if !f.Usable(now, e.names) {
		return false
	}
	n, counts := e.Left(f)
	return !counts || n > 0
}

// guessable reports whether answers for f are charged to the budget.
func guessable(m Method, f Factor) bool {
	u, ok := m.(Unguessable)
	return !ok || !u.Unguessable(f)
}

// canonical brings an answer to its one form; a method that has none takes what came.
func canonical(m Method, f Factor, answer []byte) ([]byte, bool) {
	if c, ok := m.(Canonicalizer); ok {
		return c.Canonical(f, answer)
	}
	return answer, len(answer) > 0
}

// own returns the factors of a method, all of them or those that can be proved.
func (e *Engine) own(acct *Account, method string, provable bool) []Factor {
	now := e.now()
	var list []Factor
	for _, f := range acct.Factors {
		if f.Method == method && (!provable || e.provable(f, now)) {
			list = append(list, f)
		}
	}
	return list
}

// bare returns f without what only its method may know.
func (f Factor) bare() Factor {
	f.State = nil
	return f
}

// keep takes over what only the method may change.
func (f *Factor) keep(from Factor) {
	if from.ID == f.ID && from.State != nil {
		f.State = from.State
	}
}

func (v Visit) note(f Factor, acct *Account, text string) Event {
	ev := v.event(Noted, f, acct)
	ev.Reason = cut(text)
	return ev
}

// carried returns what the login has proved, under the epoch now, if it was proved under the epoch before.
func (v Visit) carried(before, now uint64) Assurance {
	a := Assurance{UserID: v.User.ID, Session: v.User.Session, Epoch: now}
	if v.Assurance.of(v.User, before) {
		a.Proofs = v.Assurance.Proofs
	}
	return a
}

// prove makes a proof whose life is drawn from the recheck span.
func (e *Engine) prove(factorID string, verified bool, now time.Time) (Proof, error) {
	p := Proof{FactorID: factorID, At: now, Verified: verified}
	if e.recheck.Off {
		return p, nil
	}
	span := big.NewInt(int64(e.recheck.Max-e.recheck.Min) + 1)
	n, err := rand.Int(rand.Reader, span)
	if err != nil {
		return Proof{}, fmt.Errorf("drawing the life of a proof: %w", err)
	}
	p.Until = now.Add(e.recheck.Min + time.Duration(n.Int64()))
	return p, nil
}
