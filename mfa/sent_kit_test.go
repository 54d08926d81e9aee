package mfa_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// pigeon is a courier to the addresses that end in a mark. It carries nothing: what is to be carried is in Begun.
type pigeon struct {
	name, mark string
	of         func(mfa.User) string
}

var (
	mail = pigeon{"email", "@example.org", func(u mfa.User) string { return u.Email }}
	text = pigeon{"sms", "#", func(u mfa.User) string { return u.Phone }}
)

func (p pigeon) Name() string                           { return p.name }
func (p pigeon) Address(u mfa.User) string              { return p.of(u) }
func (p pigeon) Mask(address string) string             { return address[:1] + "…" + p.mark }
func (pigeon) Carry(context.Context, mfa.Message) error { return nil }
func (p pigeon) Canonical(typed string) (string, bool) {
	address := strings.ToLower(strings.TrimSpace(typed))
	return address, len(address) > len(p.mark) && strings.HasSuffix(address, p.mark)
}

// post is a desk that sends codes by mail and, to who has a telephone, by text message.
type post struct{ *enginetest.Desk }

func newPost(t testing.TB, store mfa.Store) post {
	t.Helper()
	return post{enginetest.New(t, store, with(mfa.SentCodes{Couriers: []mfa.Courier{mail, text}}))}
}

// signIn gives the first factor of a user whom the site knows by an address.
func (p post) signIn(userID string) mfa.Visit {
	v := p.SignIn(userID)
	v.User.Email = userID + "@example.org"
	return v
}

// sent begins a proof by a sent code, which must be sent, and returns it.
func (p post) sent(v mfa.Visit) (mfa.Begun, string) {
	p.Helper()
	b := p.Began(v, mfa.MethodSent)
	if b.Sending == nil {
		p.Fatalf("BeginVerify sends nothing: %+v", b.Prompt)
	}
	return b, b.Sending.Code
}

// type answers with a code.
func (p post) answer(v mfa.Visit, b mfa.Begun, code string) (mfa.Done, error) {
	return p.FinishVerify(p.Context(), v, mfa.MethodSent, b.Ticket, []byte(code))
}

// wrongly answers wrongly so many times, waiting where it must, and returns the last ticket.
func (p post) wrongly(v mfa.Visit, b mfa.Begun, code string, times int) mfa.Begun {
	p.Helper()
	for range times {
		_, err := p.answer(v, b, otherThan(code))
		b = *enginetest.Refused(p, "a wrong code", err, mfa.WhyWrongAnswer).Retry
	}
	return b
}

// rested waits until the row of wrong answers is over, by a change of the account: the clock stands still.
func (p post) rested(userID string) {
	p.Helper()
	turn(p.Desk, userID, func(acct *mfa.Account) {
		for i := range acct.Lanes {
			acct.Lanes[i].Row, acct.Lanes[i].Wait, acct.Lanes[i].Days = 0, time.Time{}, nil
		}
	})
}

// again waits until another code may be sent.
func (p post) again() { p.Clock.Move(mfa.SendAgainIn) }

// otherThan is a code that is not the given one.
func otherThan(code string) string {
	last := "0"
	if strings.HasSuffix(code, "0") {
		last = "1"
	}
	return code[:len(code)-1] + last
}

// enrollAddress enrolls an address with the code that is sent to it.
func (p post) enrollAddress(v *mfa.Visit, address string) mfa.Factor {
	p.Helper()
	b, err := p.BeginEnrollAt(p.Context(), *v, mfa.MethodSent, address)
	if err != nil || b.Sending == nil {
		p.Fatalf("BeginEnrollAt(%s) = %+v, %v; want a code to be sent", address, b, err)
	}
	done, err := p.FinishEnroll(p.Context(), *v, mfa.MethodSent, b.Ticket, []byte(b.Sending.Code), "")
	if err != nil {
		p.Fatalf("FinishEnroll(%s) = %v, want no error", address, err)
	}
	v.Assurance = done.Assurance
	return done.Factor
}

// other returns the same user in another login.
func other(v mfa.Visit) mfa.Visit {
	v.User.Session, v.Assurance = rand.Text(), mfa.Assurance{}
	return v
}
