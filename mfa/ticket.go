package mfa

import (
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"time"
)

// TicketLife is how long a ceremony may take. A ticket that follows a wrong answer keeps the first end.
const TicketLife = 10 * time.Minute

// enrollTries is how many wrong confirmations end an enrollment.
const enrollTries = 5

// TicketID is the random name of a ticket, by which an account remembers that it was answered.
type TicketID [16]byte

// ticket is what a client holds between the halves of a ceremony. The seal binds purpose, user, login and origin.
type ticket struct {
	ID       TicketID
	Epoch    uint64
	Method   string
	FactorID string // "" at enrollment and for an Identifier
	Expires  time.Time
	Wrong    int // answers before this one, at enrollment
	State    []byte

	// The wrong answer before this one, for a Hinter.
	Before   []byte
	BeforeAt time.Time
}

// purpose keeps tickets of one ceremony from opening in another.
type purpose string

const (
	toVerify purpose = "verify"
	toEnroll purpose = "enroll"
	toSignIn purpose = "signin" // by a factor alone, with no user known
)

func (e *Engine) newTicket(v Visit, p purpose, t ticket) (string, error) {
	if _, err := io.ReadFull(rand.Reader, t.ID[:]); err != nil {
		return "", fmt.Errorf("ticket: %w", err)
	}
	return e.ring.SealText(e.now(), "ticket "+string(p), t.encode(), v.User.ID, v.login(), e.origin)
}

// openTicket returns the ticket that text holds, or the Refusal NoTicket.
func (e *Engine) openTicket(v Visit, p purpose, method, text string) (ticket, error) {
	plain, err := e.ring.OpenText("ticket "+string(p), text, v.User.ID, v.login(), e.origin)
	if err != nil {
		return ticket{}, refuse(WhyNoTicket, "it is not a ticket of this user, login and ceremony")
	}
	t, err := decodeTicket(plain)
	switch {
	case err != nil:
		return ticket{}, refuse(WhyNoTicket, "it cannot be read")
	case t.Method != method:
		return ticket{}, refuse(WhyNoTicket, "it is of another method")
	case !e.now().Before(t.Expires):
		return ticket{}, refuse(WhyNoTicket, "it has expired")
	}
	return t, nil
}

// refuseAnswered returns NoTicket if t had its answer or belongs to an earlier epoch. Whoever has waited for others has
// its end looked at again, since an account forgets tickets that have expired.
func (acct *Account) refuseAnswered(t ticket, now time.Time) error {
	switch {
	case t.Epoch != acct.Epoch:
		return refuse(WhyNoTicket, "sessions were ended since")
	case !now.Before(t.Expires):
		return refuse(WhyNoTicket, "it has expired")
	}
	if slices.ContainsFunc(acct.Answered, func(a Answered) bool { return a.Ticket == t.ID }) {
		return refuse(WhyNoTicket, "it was answered already")
	}
	return nil
}

// answer remembers that t was answered and forgets tickets that have expired, by the clock of any node.
func (acct *Account) answer(t ticket, lane LaneID, now time.Time) {
	acct.Answered = slices.DeleteFunc(acct.Answered, func(a Answered) bool { return !now.Before(a.Until.Add(skew)) })
	acct.Answered = append(acct.Answered, Answered{t.ID, lane, t.Expires})
}

// crowded returns how long lane can remember no further ticket; zero: it can.
func (acct *Account) crowded(lane LaneID, now time.Time) time.Duration {
	n, first := 0, time.Time{}
	for _, a := range acct.Answered {
		if a.Lane != lane || !now.Before(a.Until) {
			continue
		}
		if n++; first.IsZero() || a.Until.Before(first) {
			first = a.Until
		}
	}
	if n < MaxAnswered {
		return 0
	}
	return first.Sub(now)
}
