package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// BeginSignIn begins a sign-in by a factor alone: a passkey that checks its user and names itself. Nobody is known
// yet: v.User is zero and v.Pending names the browser.
func (e *Engine) BeginSignIn(ctx context.Context, v Visit, method string) (Begun, error) {
	m, err := e.signsIn(v, method)
	if err != nil {
		return Begun{}, err
	}
	now := e.now()
	prompt, state, err := m.Begin(ctx, Attempt{Now: now, NeedVerified: true})
	if err != nil {
		return Begun{}, fmt.Errorf("beginning a sign-in by %s: %w", method, err)
	}
	b := Begun{Method: method, Prompt: prompt, Expires: now.Add(TicketLife)}
	b.Ticket, err = e.newTicket(v, toSignIn, ticket{Method: method, Expires: b.Expires, State: state})
	return b, err
}

// signsIn returns the method if its answers can sign in somebody unknown: they name their factor and cannot be guessed.
func (e *Engine) signsIn(v Visit, method string) (Method, error) {
	m, err := e.Method(method)
	if err != nil {
		return nil, err
	}
	if _, ok := m.(Identifier); !ok || guessable(m, Factor{Method: method}) {
		return nil, refuse(WhyUnknownMethod, "it cannot sign anybody in by itself")
	}
	if v.User.SignedIn() || v.Pending == "" {
		return nil, errors.New("a sign-in by a factor alone needs a pending id, and no user")
	}
	return m, nil
}

// FinishSignIn judges the answer and returns whose factor it was, as lookup knows them (the zero User: nobody who may
// sign in). A wrong answer writes nothing. The proof is to be bound to the session that the site makes now: see
// Done.Proof.
func (e *Engine) FinishSignIn(ctx context.Context, v Visit, method, ticketText string, answer []byte,
	lookup func(ctx context.Context, userID string) (User, error),
) (User, Done, error) {
	m, err := e.signsIn(v, method)
	if err != nil {
		return User{}, Done{}, err
	}
	t, err := e.openTicket(v, toSignIn, method, ticketText)
	if err != nil {
		return User{}, Done{}, err
	}
	u, err := e.claimed(ctx, m, answer, lookup)
	if err != nil {
		return User{}, Done{}, err
	}
	v.User = u
	var done Done
	err = e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		done = Done{Account: acct}
		t.Epoch = acct.Epoch // no epoch was known when the ticket was made
		if err := acct.refuseAnswered(t, now); err != nil {
			return ruling{}, err
		}
		f, err := e.asked(acct, m, t, answer, now)
		if err != nil {
			return ruling{}, err
		}
		out, err := finish(ctx, m, Attempt{
			User: u, Factor: f, Own: e.own(acct, method, true), State: t.State, Answer: answer, Now: now, NeedVerified: true,
		})
		switch {
		case errors.Is(err, ErrWrongAnswer) && out.Note != "":
			return e.noted(v, acct, t, f, out, now)
		case errors.Is(err, ErrWrongAnswer), errors.Is(err, ErrSpent), err == nil && !out.Verified:
			return ruling{}, refuse(WhyWrongAnswer, "")
		case err != nil:
			return ruling{}, fmt.Errorf("judging %s: %w", method, err)
		}
		a := answering{Visit: v, acct: acct, m: m, t: t, f: f, now: now, lane: v.lane(acct)}
		return e.right(a, out, &done)
	})
	if err != nil {
		return User{}, Done{}, err
	}
	return u, done, nil
}

// noted refuses an answer that its method has noted something about: it was made with the factor, and its owner is to
// know. Unlike other wrong answers it writes, within the limit of those.
func (e *Engine) noted(v Visit, acct *Account, t ticket, f Factor, out Outcome, now time.Time) (ruling, error) {
	lane := v.lane(acct)
	if acct.Lanes[lane].SwiftBlocked(now) > 0 {
		return ruling{}, refuse(WhyWrongAnswer, "")
	}
	acct.Lanes[lane] = acct.Lanes[lane].SwiftCharged(now)
	acct.answer(t, lane, now)
	return ruling{events: []Event{v.note(f, acct, out.Note)}, told: refuse(WhyWrongAnswer, "")}, nil
}

// claimed returns whose factor an answer claims to be.
func (e *Engine) claimed(
	ctx context.Context, m Method, answer []byte, lookup func(context.Context, string) (User, error),
) (User, error) {
	key, err := m.(Identifier).Identify(answer)
	if err != nil || key == "" {
		return User{}, refuse(WhyWrongAnswer, "it names no factor")
	}
	id, err := e.store.Find(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return User{}, refuse(WhyWrongAnswer, "nobody owns this factor")
	case err != nil:
		return User{}, fmt.Errorf("finding the owner of a factor: %w", err)
	}
	u, err := lookup(ctx, id)
	switch {
	case err != nil:
		return User{}, fmt.Errorf("looking up the owner of a factor: %w", err)
	case u.ID != id:
		return User{}, refuse(WhyWrongAnswer, "its owner may not sign in")
	}
	return u, nil
}
