package mfa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// BeginEnroll begins the enrollment of a factor.
func (e *Engine) BeginEnroll(ctx context.Context, v Visit, method string) (Begun, error) {
	return e.BeginEnrollAt(ctx, v, method, "")
}

// BeginEnrollAt is BeginEnroll with the address, as it was typed, that a Sender sends its code to.
func (e *Engine) BeginEnrollAt(ctx context.Context, v Visit, method, address string) (Begun, error) {
	m, enroller, err := e.enroller(method)
	if err != nil {
		return Begun{}, err
	}
	if s, ok := m.(Sender); ok {
		return e.beginSentEnroll(ctx, v, s, address)
	}
	acct, err := e.AccountOf(ctx, v.User)
	if err != nil {
		return Begun{}, err
	}
	if err := e.mayEnroll(acct, v, m); err != nil {
		return Begun{}, err
	}
	now := e.now()
	a := Attempt{User: v.User, Own: e.own(acct, method, false), Now: now, NeedVerified: v.NeedVerified}
	prompt, state, err := enroller.BeginEnroll(ctx, a)
	if err != nil {
		return Begun{}, fmt.Errorf("beginning enrollment of %s: %w", method, err)
	}
	b := Begun{Method: method, Prompt: prompt, Expires: now.Add(TicketLife)}
	b.Ticket, err = e.newTicket(v, toEnroll, ticket{Epoch: acct.Epoch, Method: method, Expires: b.Expires, State: state})
	return b, err
}

func (e *Engine) enroller(method string) (Method, Enroller, error) {
	m, err := e.Method(method)
	if err != nil {
		return nil, nil, err
	}
	enroller, ok := m.(Enroller)
	if !ok {
		return nil, nil, refuse(WhyUnknownMethod, "users cannot enroll it")
	}
	return m, enroller, nil
}

// FinishEnroll judges the answer that confirms an enrollment and adds the factor. The gate is checked again, on the
// store. The new factor is proved by it, unless it is a set of recovery codes.
func (e *Engine) FinishEnroll(
	ctx context.Context, v Visit, method, ticketText string, answer []byte, label string,
) (Done, error) {
	m, enroller, err := e.enroller(method)
	if err != nil {
		return Done{}, err
	}
	label, err = CleanLabel(label)
	if err != nil {
		return Done{}, err
	}
	t, err := e.openTicket(v, toEnroll, method, ticketText)
	if err != nil {
		return Done{}, err
	}
	if t.State, err = e.askToEnroll(ctx, v, m, t, answer); err != nil {
		return Done{}, err
	}
	var done Done
	err = e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		done = Done{Account: acct, First: !acct.Enrolled() || acct.awaitsEnrollment()}
		if err := e.mayEnroll(acct, v, m); err != nil {
			return ruling{}, err
		}
		if err := acct.refuseAnswered(t, now); err != nil {
			return ruling{}, err
		}
		a := answering{Visit: v, acct: acct, m: m, t: t, now: now, lane: v.lane(acct)}
		if wait := acct.crowded(a.lane, now); wait > 0 {
			return ruling{}, &Refusal{Why: WhyTooMany, RetryAfter: wait}
		}
		canonical, ok := canonical(m, Factor{}, answer)
		if !ok {
			return ruling{}, e.miswritten(ctx, a, enroller, ticketText)
		}
		attempt := e.attempt(a)
		attempt.Answer = canonical
		if _, ok := m.(Sender); ok {
			attempt.Live = acct.sentHash(v.login(), enrollPurpose(t.State), "", now)
		}
		out, err := enroller.FinishEnroll(ctx, attempt)
		switch {
		case err == nil:
			acct.answerLive(v.login(), enrollPurpose(t.State), true, now)
			return e.enroll(a, out, label, &done)
		case errors.Is(err, ErrWrongAnswer), errors.Is(err, ErrSpent):
			return e.unconfirmed(ctx, a, enroller, out), nil
		}
		return ruling{}, fmt.Errorf("confirming %s: %w", method, err)
	})
	if err != nil {
		return Done{}, err
	}
	e.countProved(ctx, v.User, m, done)
	return done, nil
}

// attempt is what the method of an enrollment may know, without the answer.
func (e *Engine) attempt(a answering) Attempt {
	return Attempt{
		User: a.User, Own: e.own(a.acct, a.m.Name(), false), State: a.t.State, Now: a.now, NeedVerified: a.NeedVerified,
	}
}

// miswritten is misread at enrollment.
func (e *Engine) miswritten(ctx context.Context, a answering, m Enroller, ticketText string) error {
	b, err := e.reprompt(ctx, a, m)
	if err != nil {
		return err
	}
	if _, same := m.(Reprompter); same {
		b.Ticket = ticketText
	}
	return notACode(b)
}

// enroll adds the factor that out describes.
func (e *Engine) enroll(a answering, out Outcome, label string, done *Done) (ruling, error) {
	acct, f := a.acct, out.Factor
	id, err := randomID(9)
	if err != nil {
		return ruling{}, err
	}
	f.ID, f.Method, f.Created, f.Off, f.Wrong, f.Managed = id, a.t.Method, a.now, 0, 0, false
	f.Label = cmp.Or(label, f.Label)
	acct.answer(a.t, a.lane, a.now)
	if f.Key != "" && slices.ContainsFunc(acct.Factors, func(old Factor) bool { return old.Key == f.Key }) {
		return ruling{}, refuse(WhyTaken, "")
	}
	replaced := slices.IndexFunc(acct.Factors, func(old Factor) bool {
		return f.Method == MethodRecovery && old.Method == MethodRecovery
	})
	if replaced >= 0 {
		a.Assurance = a.Assurance.moved(acct.Factors[replaced].ID, f.ID)
	}
	acct.Factors = slices.DeleteFunc(acct.Factors, func(old Factor) bool { return old.yields(f.Method) })
	if done.Proof, err = e.prove(f.ID, out.Verified, a.now); err != nil {
		return ruling{}, err
	}
	if f.Method == MethodRecovery {
		done.Proof = Proof{}
	} else {
		f.LastUsed = a.now
	}
	acct.Factors = append(acct.Factors, f)
	before := acct.Epoch
	e.changed(acct)
	done.Factor, done.Assurance = f.bare(), a.carried(before, acct.Epoch)
	if done.Proof.FactorID != "" {
		done.Assurance = done.Assurance.with(done.Proof)
	}
	events := []Event{a.event(FactorAdded, f, acct)}
	if out.Note != "" {
		events = append(events, a.note(f, acct, out.Note))
	}
	return ruling{events: events}, nil
}

// changed ends other sessions, unless the site keeps them, and remembered browsers.
func (e *Engine) changed(acct *Account) {
	acct.Browsers = nil
	if !e.keep {
		acct.Epoch++
	}
}

// unconfirmed remembers a wrong confirmation. It is not charged, since the secret is on the page; the last try ends it.
func (e *Engine) unconfirmed(ctx context.Context, a answering, m Enroller, out Outcome) ruling {
	a.acct.answer(a.t, a.lane, a.now)
	a.acct.answerLive(a.login(), enrollPurpose(a.t.State), false, a.now)
	ev := a.event(WrongAnswer, Factor{Method: a.t.Method}, a.acct)
	ev.Reason = "enrollment"
	if out.Note != "" {
		ev.Reason = cut("enrollment: " + out.Note)
	}
	r := &Refusal{Why: WhyWrongAnswer, Detail: out.Note}
	if a.t.Wrong++; a.t.Wrong < enrollTries {
		if b, err := e.reprompt(ctx, a, m); err == nil {
			r.Retry = &b
		} else {
			e.log.Error("mfa: no ticket could follow a wrong confirmation", "method", a.t.Method, "error", err)
		}
	}
	return ruling{events: []Event{ev}, told: r}
}

// reprompt makes the next ticket of an enrollment, with the first expiry.
func (e *Engine) reprompt(ctx context.Context, a answering, m Enroller) (b Begun, err error) {
	t, attempt := a.t, e.attempt(a)
	b = Begun{Method: t.Method, Expires: t.Expires}
	if again, ok := m.(Reprompter); ok {
		b.Prompt, err = again.Reprompt(attempt)
	} else {
		attempt.State = nil
		b.Prompt, t.State, err = m.BeginEnroll(ctx, attempt)
	}
	if s, ok := a.m.(Sender); ok {
		b.Prompt = e.sentPrompt(a.Visit, a.acct, s, Factor{State: t.State}, a.now)
	}
	if err != nil {
		return b, fmt.Errorf("prompting for %s again: %w", t.Method, err)
	}
	b.Ticket, err = e.newTicket(a.Visit, toEnroll, t)
	return b, err
}

// CleanLabel returns a name for a factor without control characters and outer spaces, or the Refusal Invalid if it is
// no UTF-8 or longer than MaxLabel characters.
func CleanLabel(label string) (string, error) {
	if !utf8.ValidString(label) {
		return "", refuse(WhyInvalid, "the name is not valid UTF-8")
	}
	label = strings.TrimSpace(strings.Map(printable, label))
	if utf8.RuneCountInString(label) > MaxLabel {
		return "", refuse(WhyInvalid, fmt.Sprintf("the name is longer than %d characters", MaxLabel))
	}
	return label, nil
}
