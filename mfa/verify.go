package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// BeginVerify begins the proof of a factor. An empty factorID picks the first choice of the method.
func (e *Engine) BeginVerify(ctx context.Context, v Visit, method, factorID string) (Begun, error) {
	m, err := e.Method(method)
	if err != nil {
		return Begun{}, err
	}
	if s, ok := m.(Sender); ok {
		return e.beginSent(ctx, v, s, factorID)
	}
	acct, err := e.AccountOf(ctx, v.User)
	if err != nil {
		return Begun{}, err
	}
	if !acct.Enrolled() {
		return Begun{}, refuse(WhyMustEnroll, "nothing is enrolled")
	}
	f, err := e.pick(acct, method, factorID)
	if err != nil {
		return Begun{}, err
	}
	now := e.now()
	if err := e.mayJudge(acct, v, m, f, now); err != nil {
		return Begun{}, err
	}
	return e.beginVerify(ctx, v, acct, m, f, ticket{Expires: now.Add(TicketLife)})
}

// mayJudge returns TooMany if an answer for f would not be judged now.
func (e *Engine) mayJudge(acct *Account, v Visit, m Method, f Factor, now time.Time) error {
	switch {
	case e.freeable(f, now):
		return acct.refuseFreeing(now)
	case guessable(m, f):
		return acct.refuseGuess(v.lane(acct), now)
	}
	return nil
}

// pick returns the factor to prove.
func (e *Engine) pick(acct *Account, method, factorID string) (Factor, error) {
	for _, f := range e.Choices(acct) {
		if f.Method == method && (factorID == "" || f.ID == factorID) {
			return f, nil
		}
	}
	if f, ok := acct.Factor(factorID); ok && f.Method == method && e.freeable(f, e.now()) {
		return f, nil
	}
	return Factor{}, refuse(WhyNotFound, "the account has no such factor in use")
}

// refuseGuess returns TooMany if nothing that can be guessed may be judged now.
func (acct *Account) refuseGuess(lane LaneID, now time.Time) error {
	wait := max(acct.Lanes[lane].Blocked(lane, now), acct.crowded(lane, now))
	if wait > 0 {
		return &Refusal{Why: WhyTooMany, RetryAfter: wait}
	}
	return nil
}

// beginVerify makes the ticket of a proof. Of next it takes what a chain of tickets hands on.
func (e *Engine) beginVerify(
	ctx context.Context, v Visit, acct *Account, m Method, f Factor, next ticket,
) (Begun, error) {
	if _, ok := m.(Identifier); ok {
		f = Factor{}
	}
	prompt, state, err := m.Begin(ctx, Attempt{
		User: v.User, Factor: f, Own: e.own(acct, m.Name(), true), Now: e.now(), NeedVerified: v.NeedVerified,
	})
	if err != nil {
		return Begun{}, fmt.Errorf("beginning %s: %w", m.Name(), err)
	}
	if s, ok := m.(Sender); ok {
		prompt = e.sentPrompt(v, acct, s, f, e.now())
	}
	next.Epoch, next.Method, next.FactorID, next.State = acct.Epoch, m.Name(), f.ID, state
	text, err := e.newTicket(v, toVerify, next)
	return Begun{Ticket: text, Method: m.Name(), Factor: f.bare(), Prompt: prompt, Expires: next.Expires}, err
}

// FinishVerify judges an answer. A wrong one is the Refusal WrongAnswer with the next ticket.
func (e *Engine) FinishVerify(ctx context.Context, v Visit, method, ticketText string, answer []byte) (Done, error) {
	m, err := e.Method(method)
	if err != nil {
		return Done{}, err
	}
	t, err := e.openTicket(v, toVerify, method, ticketText)
	if err != nil {
		return Done{}, err
	}
	if t.State, err = e.askToVerify(ctx, v, m, t, answer); err != nil {
		return Done{}, err
	}
	var done Done
	err = e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		done = Done{Account: acct}
		if err := acct.refuseAnswered(t, now); err != nil {
			return ruling{}, err
		}
		f, err := e.asked(acct, m, t, answer, now)
		if err != nil {
			return ruling{}, err
		}
		a := answering{Visit: v, acct: acct, m: m, t: t, f: f, now: now, lane: v.lane(acct)}
		if err := e.mayJudge(acct, v, m, f, now); err != nil {
			return ruling{}, err
		}
		canonical, ok := canonical(m, f, answer)
		if !ok {
			return ruling{}, e.misread(ctx, a, ticketText)
		}
		return e.judge(ctx, a, canonical, &done)
	})
	if err != nil {
		return Done{}, err
	}
	e.countProved(ctx, v.User, m, done)
	return done, nil
}

// asked returns the factor that a ticket or its answer names. An answer that names none of the account's is the zero
// Factor of the method, which no answer proves.
func (e *Engine) asked(acct *Account, m Method, t ticket, answer []byte, now time.Time) (Factor, error) {
	id, ok := m.(Identifier)
	if !ok {
		f, found := acct.Factor(t.FactorID)
		if !found || !e.provable(f, now) && !e.freeable(f, now) {
			return Factor{}, refuse(WhyNoTicket, "its factor is no longer in use")
		}
		return f, nil
	}
	key, err := id.Identify(answer)
	if err != nil || key == "" {
		return Factor{Method: m.Name()}, nil
	}
	for _, f := range acct.Factors {
		if f.Key == key && f.Method == m.Name() && e.provable(f, now) {
			return f, nil
		}
	}
	return Factor{Method: m.Name()}, nil
}

// misread refuses what cannot be an answer. The same ticket may be tried again; where a prompt belongs to its ticket,
// as a challenge does, the new prompt comes with its own.
func (e *Engine) misread(ctx context.Context, a answering, ticketText string) error {
	b, err := e.beginVerify(ctx, a.Visit, a.acct, a.m, a.f, a.t)
	if err != nil {
		return err
	}
	if a.t.State == nil {
		b.Ticket = ticketText
	}
	return notACode(b)
}

func notACode(retry Begun) error {
	return &Refusal{Why: WhyWrongAnswer, Detail: "it cannot be a code of this kind", Retry: &retry}
}

// judge asks the method and puts what it says into the account.
func (e *Engine) judge(ctx context.Context, a answering, canonical []byte, done *Done) (ruling, error) {
	attempt := Attempt{
		User: a.User, Factor: a.f, Own: e.own(a.acct, a.m.Name(), true), State: a.t.State, Answer: canonical, Now: a.now,
	}
	if _, ok := a.m.(Sender); ok {
		attempt.State = a.acct.sentHash(a.login(), a.sentPurpose(a.acct), a.f.ID, a.now)
	}
	a.answer = canonical
	out, err := finish(ctx, a.m, attempt)
	switch {
	case err == nil:
		return e.right(a, out, done)
	case errors.Is(err, ErrSpent):
		return e.spent(ctx, a, out)
	case errors.Is(err, ErrWrongAnswer):
		return e.wrong(ctx, a, out)
	}
	return ruling{}, fmt.Errorf("judging %s: %w", a.m.Name(), err)
}

// finish lets m judge. An answer that names no factor of the account is wrong, whatever its method.
func finish(ctx context.Context, m Method, a Attempt) (Outcome, error) {
	if a.Factor.ID == "" {
		return Outcome{}, ErrWrongAnswer
	}
	return m.Finish(ctx, a)
}

// right puts a proof into the account.
func (e *Engine) right(a answering, out Outcome, done *Done) (ruling, error) {
	acct, now := a.acct, a.now
	if _, ok := acct.Factor(a.f.ID); !ok || out.Factor.ID != a.f.ID {
		return ruling{}, errors.New("the method proved a factor that was not asked for")
	}
	proof, err := e.prove(a.f.ID, out.Verified, now)
	if err != nil {
		return ruling{}, err
	}
	acct.answer(a.t, a.lane, now)
	kept := &a.f // of a factor without enrollment nothing is kept
	if i := acct.index(a.f.ID); i >= 0 {
		kept = &acct.Factors[i]
	}
	events := a.cleared(kept)
	kept.keep(out.Factor)
	kept.Wrong, kept.LastUsed = 0, now
	events = append(events, a.event(Proved, *kept, acct))
	if out.Note != "" {
		events = append(events, a.note(*kept, acct, out.Note))
	}
	if kept.Method == MethodRecovery {
		acct.Browsers = nil
		events = append(events, a.event(RecoveryUsed, *kept, acct))
	}
	if a.lane == UnknownLane && now.Sub(acct.NoticedAt) >= noticeAgain {
		acct.NoticedAt = now
		events = append(events, a.event(NewBrowser, *kept, acct))
	}
	done.Factor, done.Proof = kept.bare(), proof
	done.Assurance = a.carried(acct.Epoch, acct.Epoch).with(proof)
	if a.Remember > 0 && !kept.backup() {
		ev, err := a.rememberBrowser(acct, proof, now, done)
		if err != nil {
			return ruling{}, err
		}
		events = append(events, ev)
	}
	return ruling{events: events}, nil
}

// cleared ends what a right answer ends: the row of its lane, or the stop of the factor that it frees, and the code that
// was sent.
func (a answering) cleared(f *Factor) []Event {
	if f.Method == MethodSent {
		a.acct.answerLive(a.login(), a.sentPurpose(a.acct), true, a.now)
	}
	if f.Off&StoppedByGuesses != 0 {
		f.Off &^= StoppedByGuesses
		return []Event{a.event(FactorFreed, *f, a.acct)}
	}
	a.acct.Lanes[a.lane] = a.acct.Lanes[a.lane].Cleared()
	return nil
}

// spent refuses a right answer that was used before, as a wrong one, but charges no guess.
func (e *Engine) spent(ctx context.Context, a answering, out Outcome) (ruling, error) {
	if !guessable(a.m, a.f) {
		if err := a.swift(); err != nil {
			return ruling{}, err
		}
	}
	return e.refused(ctx, a, out, []Event{a.event(AnswerSpent, a.f, a.acct)}), nil
}

// wrong charges a wrong answer.
func (e *Engine) wrong(ctx context.Context, a answering, out Outcome) (ruling, error) {
	events := []Event{a.event(WrongAnswer, a.f, a.acct)}
	if out.Note != "" {
		events = append(events, a.note(a.f, a.acct, out.Note))
	}
	if a.f.Method == MethodSent {
		a.acct.answerLive(a.login(), a.sentPurpose(a.acct), false, a.now)
	}
	switch {
	case e.freeable(a.f, a.now):
		a.acct.Frees = a.acct.Frees.counted(a.now)
	case guessable(a.m, a.f):
		events = append(events, a.charge()...)
	default:
		if err := a.swift(); err != nil {
			return ruling{}, err
		}
	}
	return e.refused(ctx, a, out, events), nil
}

// swift counts a refused answer that was no guess, or refuses to: too many would fill the account.
func (a answering) swift() error {
	if wait := a.acct.Lanes[a.lane].SwiftBlocked(a.now); wait > 0 {
		return &Refusal{Why: WhyTooMany, RetryAfter: wait}
	}
	a.acct.Lanes[a.lane] = a.acct.Lanes[a.lane].SwiftCharged(a.now)
	return nil
}

// charge counts a guess in the lane and on the factor.
func (a answering) charge() []Event {
	var events []Event
	l := a.acct.Lanes[a.lane].Charged(a.now)
	a.acct.Lanes[a.lane] = l
	if l.Row == FreeTries {
		events = append(events, a.event(WrongInARow, a.f, a.acct))
	}
	if l.Blocked(a.lane, a.now) > 0 {
		events = append(events, a.event(WaitBegan, a.f, a.acct))
	}
	if i := a.acct.index(a.f.ID); i >= 0 {
		kept := &a.acct.Factors[i]
		if kept.Wrong++; kept.Wrong >= MaxWrong && kept.Off&StoppedByGuesses == 0 {
			kept.Off |= StoppedByGuesses
			events = append(events, a.event(FactorStopped, *kept, a.acct))
		}
	}
	return events
}

// refused remembers an answer that was not right, and the state that came with it.
func (e *Engine) refused(ctx context.Context, a answering, out Outcome, events []Event) ruling {
	a.acct.answer(a.t, a.lane, a.now)
	if i := a.acct.index(a.f.ID); i >= 0 {
		a.acct.Factors[i].keep(out.Factor)
	}
	hint := a.t.hint(a.m, a)
	told := e.again(ctx, a)
	told.Hint = hint
	return ruling{events: events, told: told}
}

// hint returns what a Hinter makes of this answer and the one before it, and hands this one on.
func (t *ticket) hint(m Method, a answering) (hint string) {
	h, ok := m.(Hinter)
	if !ok || a.f.Off != 0 {
		return ""
	}
	if t.Before != nil {
		hint = h.Hint(Attempt{User: a.User, Factor: a.f, Answer: a.answer, Now: a.now}, t.Before, t.BeforeAt)
	}
	t.Before, t.BeforeAt = a.answer, a.now
	return hint
}

// again makes the refusal of a wrong answer: the next ticket, and how long to wait before it is judged. If no ticket
// can be made the user begins anew, but the answer is remembered all the same: an error would be a guess for nothing.
func (e *Engine) again(ctx context.Context, a answering) *Refusal {
	r := &Refusal{Why: WhyWrongAnswer}
	if err := e.mayJudge(a.acct, a.Visit, a.m, a.f, a.now); err != nil {
		r.RetryAfter = err.(*Refusal).RetryAfter
	}
	if kept, ok := a.acct.Factor(a.f.ID); ok && !e.provable(kept, a.now) && !e.freeable(a.f, a.now) {
		return r // this answer has stopped it: to free it is another ceremony
	}
	b, err := e.beginVerify(ctx, a.Visit, a.acct, a.m, a.f, a.t)
	if err != nil {
		e.log.Error("mfa: no ticket could follow a wrong answer", "method", a.m.Name(), "error", err)
		return r
	}
	r.Retry = &b
	return r
}
