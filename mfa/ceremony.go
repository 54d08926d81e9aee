package mfa

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
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
func (e *Engine) beginVerify(ctx context.Context, v Visit, acct *Account, m Method, f Factor, next ticket) (Begun, error) {
	if _, ok := m.(Identifier); ok {
		f = Factor{}
	}
	prompt, state, err := m.Begin(ctx, Attempt{
		User: v.User, Factor: f, Own: e.own(acct, m.Name(), true), Now: e.now(), NeedVerified: v.NeedVerified,
	})
	if err != nil {
		return Begun{}, fmt.Errorf("beginning %s: %w", m.Name(), err)
	}
	next.Epoch, next.Method, next.FactorID, next.State = acct.Epoch, m.Name(), f.ID, state
	text, err := e.newTicket(v, toVerify, next)
	return Begun{Ticket: text, Method: m.Name(), Factor: f.bare(), Prompt: prompt, Expires: next.Expires}, err
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
		if err := e.mayJudge(acct, v, m, f, now); err != nil {
			return ruling{}, err
		}
		canonical, ok := canonical(m, f, answer)
		if !ok {
			return ruling{}, e.misread(ctx, v, acct, m, f, t, ticketText)
		}
		a := Attempt{
			User: v.User, Factor: f, Own: e.own(acct, method, true), State: t.State, Answer: canonical, Now: now,
		}
		if _, ok := m.(Sender); ok {
			a.State = acct.sentHash(v.login(), v.sentPurpose(acct), f.ID, now)
		}
		out, err := finish(ctx, m, a)
		switch {
		case err == nil:
			return e.right(v, acct, t, f, out, now, &done)
		case errors.Is(err, ErrSpent):
			return e.spent(ctx, v, acct, m, t, a, out)
		case errors.Is(err, ErrWrongAnswer):
			return e.wrong(ctx, v, acct, m, t, a, out)
		}
		return ruling{}, fmt.Errorf("judging %s: %w", method, err)
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// finish lets m judge. An answer that names no factor of the account is wrong, whatever its method.
func finish(ctx context.Context, m Method, a Attempt) (Outcome, error) {
	if a.Factor.ID == "" {
		return Outcome{}, ErrWrongAnswer
	}
	return m.Finish(ctx, a)
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

// canonical brings an answer to its one form; a method that has none takes what came.
func canonical(m Method, f Factor, answer []byte) ([]byte, bool) {
	if c, ok := m.(Canonicalizer); ok {
		return c.Canonical(f, answer)
	}
	return answer, len(answer) > 0
}

// misread refuses what cannot be an answer. The same ticket may be tried again; where a prompt belongs to its ticket, as
// a challenge does, the new prompt comes with its own.
func (e *Engine) misread(ctx context.Context, v Visit, acct *Account, m Method, f Factor, t ticket, text string) error {
	b, err := e.beginVerify(ctx, v, acct, m, f, t)
	if err != nil {
		return err
	}
	if t.State == nil {
		b.Ticket = text
	}
	return &Refusal{Why: WhyWrongAnswer, Detail: "it cannot be a code of this kind", Retry: &b}
}

// right puts a proof into the account.
func (e *Engine) right(v Visit, acct *Account, t ticket, f Factor, out Outcome, now time.Time, done *Done) (ruling, error) {
	if _, ok := acct.Factor(f.ID); !ok || out.Factor.ID != f.ID {
		return ruling{}, errors.New("the method proved a factor that was not asked for")
	}
	proof, err := e.prove(f.ID, out.Verified, now)
	if err != nil {
		return ruling{}, err
	}
	lane := v.lane(acct)
	acct.answer(t, lane, now)
	if f.Method == MethodSent {
		acct.answerLive(v.login(), v.sentPurpose(acct), true, now)
	}
	kept := &f // of a factor without enrollment nothing is kept
	if i := acct.index(f.ID); i >= 0 {
		kept = &acct.Factors[i]
	}
	var events []Event
	if kept.Off&StoppedByGuesses != 0 {
		kept.Off &^= StoppedByGuesses
		events = append(events, v.event(FactorFreed, *kept, acct))
	} else {
		acct.Lanes[lane] = acct.Lanes[lane].Cleared()
	}
	kept.keep(out.Factor)
	kept.Wrong, kept.LastUsed = 0, now
	events = append(events, v.event(Proved, *kept, acct))
	if out.Note != "" {
		events = append(events, v.note(*kept, acct, out.Note))
	}
	if kept.Method == MethodRecovery {
		acct.Browsers = nil
		events = append(events, v.event(RecoveryUsed, *kept, acct))
	}
	if lane == UnknownLane && now.Sub(acct.NoticedAt) >= noticeAgain {
		acct.NoticedAt = now
		events = append(events, v.event(NewBrowser, *kept, acct))
	}
	done.Factor, done.Proof = kept.bare(), proof
	done.Assurance = v.carried(acct.Epoch, acct.Epoch).with(proof)
	if v.Remember > 0 && !kept.backup() {
		ev, err := v.rememberBrowser(acct, proof, now, done)
		if err != nil {
			return ruling{}, err
		}
		events = append(events, ev)
	}
	return ruling{events: events}, nil
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

// spent refuses a right answer that was used before, as a wrong one, but charges no guess.
func (e *Engine) spent(ctx context.Context, v Visit, acct *Account, m Method, t ticket, a Attempt, out Outcome) (ruling, error) {
	lane, f, now := v.lane(acct), a.Factor, a.Now
	if !guessable(m, f) {
		if err := acct.swift(lane, now); err != nil {
			return ruling{}, err
		}
	}
	acct.answer(t, lane, now)
	acct.update(f.ID, out)
	t.hint(m, a) // so that its ticket is as long as that of a wrong answer
	return ruling{events: []Event{v.event(AnswerSpent, f, acct)}, told: e.again(ctx, v, acct, m, f, t, now)}, nil
}

// swift counts a refused answer that was no guess, or refuses to: too many would fill the account.
func (acct *Account) swift(lane LaneID, now time.Time) error {
	if wait := acct.Lanes[lane].SwiftBlocked(now); wait > 0 {
		return &Refusal{Why: WhyTooMany, RetryAfter: wait}
	}
	acct.Lanes[lane] = acct.Lanes[lane].SwiftCharged(now)
	return nil
}

// wrong charges a wrong answer.
func (e *Engine) wrong(ctx context.Context, v Visit, acct *Account, m Method, t ticket, a Attempt, out Outcome) (ruling, error) {
	lane, f, now := v.lane(acct), a.Factor, a.Now
	events := []Event{v.event(WrongAnswer, f, acct)}
	if out.Note != "" {
		events = append(events, v.note(f, acct, out.Note))
	}
	switch {
	case e.freeable(f, now):
		acct.Frees = acct.Frees.counted(now)
	case guessable(m, f):
		events = append(events, acct.charge(v, lane, f, now)...)
	default:
		if err := acct.swift(lane, now); err != nil {
			return ruling{}, err
		}
	}
	acct.answer(t, lane, now)
	acct.update(f.ID, out)
	if f.Method == MethodSent {
		acct.answerLive(v.login(), v.sentPurpose(acct), false, now)
	}
	hint := t.hint(m, a)
	told := e.again(ctx, v, acct, m, f, t, now)
	told.Hint = hint
	return ruling{events: events, told: told}, nil
}

// hint returns what a Hinter makes of this answer and the one before it, and hands this one on.
func (t *ticket) hint(m Method, a Attempt) (hint string) {
	h, ok := m.(Hinter)
	if !ok || a.Factor.Off != 0 {
		return ""
	}
	if t.Before != nil {
		hint = h.Hint(a, t.Before, t.BeforeAt)
	}
	t.Before, t.BeforeAt = a.Answer, a.Now
	return hint
}

// charge counts a guess in the lane and on the factor.
func (acct *Account) charge(v Visit, lane LaneID, f Factor, now time.Time) []Event {
	var events []Event
	l := acct.Lanes[lane].Charged(now)
	acct.Lanes[lane] = l
	if l.Row == FreeTries {
		events = append(events, v.event(WrongInARow, f, acct))
	}
	if l.Blocked(lane, now) > 0 {
		events = append(events, v.event(WaitBegan, f, acct))
	}
	if i := acct.index(f.ID); i >= 0 {
		kept := &acct.Factors[i]
		if kept.Wrong++; kept.Wrong >= MaxWrong && kept.Off&StoppedByGuesses == 0 {
			kept.Off |= StoppedByGuesses
			events = append(events, v.event(FactorStopped, *kept, acct))
		}
	}
	return events
}

// update keeps the state that came with a refused answer.
func (acct *Account) update(factorID string, out Outcome) {
	if i := acct.index(factorID); i >= 0 {
		acct.Factors[i].keep(out.Factor)
	}
}

// again makes the refusal of a wrong answer: the next ticket, and how long to wait before it is judged. If no ticket can
// be made the user begins anew, but the answer is remembered all the same: an error here would be a guess for nothing.
func (e *Engine) again(ctx context.Context, v Visit, acct *Account, m Method, f Factor, t ticket, now time.Time) *Refusal {
	r := &Refusal{Why: WhyWrongAnswer}
	if err := e.mayJudge(acct, v, m, f, now); err != nil {
		r.RetryAfter = err.(*Refusal).RetryAfter
	}
	if kept, ok := acct.Factor(f.ID); ok && !e.provable(kept, now) && !e.freeable(f, now) {
		return r // this answer has stopped it: to free it is another ceremony
	}
	b, err := e.beginVerify(ctx, v, acct, m, f, t)
	if err != nil {
		e.log.Error("mfa: no ticket could follow a wrong answer", "method", m.Name(), "error", err)
		return r
	}
	r.Retry = &b
	return r
}

// Gate returns nil if v may change the factors of acct, else the Refusal that says what is needed first: with nothing
// enrolled a login at most FreshLogin old; else a proof at most FreshProof old, of the highest strength among the
// usable factors, or of a recovery code or a temporary pass.
func (e *Engine) Gate(acct *Account, v Visit) error {
	now := e.now()
	switch {
	case !v.User.SignedIn() || v.User.Session == "" && v.Pending == "":
		return refuse(WhyMustSignIn, "nobody is signed in")
	case !acct.Enrolled() && !fresh(v.User.LoginAt, now, FreshLogin):
		return refuse(WhyMustSignIn, "the sign-in is too long ago for a first enrollment")
	case !acct.Enrolled():
		return nil
	case !v.Assurance.of(v.User, acct.Epoch):
		return refuse(WhyMustVerify, "a fresh proof is needed to change factors")
	}
	highest := Sent
	for _, f := range acct.Factors {
		if !f.backup() && e.provable(f, now) {
			highest = max(highest, f.Strength)
		}
	}
	for _, p := range v.Assurance.Proofs {
		f, ok := acct.Factor(p.FactorID)
		over := !p.Until.IsZero() && !now.Before(p.Until)
		if !ok || over || p.Device != "" || !fresh(p.At, now, FreshProof) || !f.Usable(now, e.names) {
			continue
		}
		if f.backup() || f.Strength >= highest {
			return nil
		}
	}
	return refuse(WhyMustVerify, "a fresh proof is needed to change factors")
}

func fresh(at, now time.Time, within time.Duration) bool {
	return !at.IsZero() && now.Sub(at) <= within && at.Sub(now) <= skew
}

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

// mayEnroll checks the gate, and that there is room for a factor of m.
func (e *Engine) mayEnroll(acct *Account, v Visit, m Method) error {
	if err := e.Gate(acct, v); err != nil {
		return err
	}
	others := func(f Factor) bool { return !f.backup() }
	if m.Name() == MethodRecovery && !slices.ContainsFunc(acct.Factors, others) {
		return refuse(WhyMustEnroll, "recovery codes need another factor that they can stand in for")
	}
	all, typed := 0, 0
	for _, f := range acct.Factors {
		if f.yields(m.Name()) {
			continue
		}
		all++
		if other, err := e.Method(f.Method); err == nil && guessable(other, f) {
			typed++
		}
	}
	if all >= MaxFactors || typed >= MaxTyped && guessable(m, Factor{Method: m.Name()}) {
		return refuse(WhyFull, "remove a factor first")
	}
	return nil
}

// yields reports whether f goes when a factor of a method comes: a temporary pass has done its work, and a new set of
// recovery codes takes the place of the old one.
func (f Factor) yields(method string) bool {
	return f.Method == MethodPass || f.Method == MethodRecovery && method == MethodRecovery
}

// FinishEnroll judges the answer that confirms an enrollment and adds the factor. The gate is checked again, on the
// store. The new factor is proved by it, unless it is a set of recovery codes.
func (e *Engine) FinishEnroll(ctx context.Context, v Visit, method, ticketText string, answer []byte, label string) (Done, error) {
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
		if wait := acct.crowded(v.lane(acct), now); wait > 0 {
			return ruling{}, &Refusal{Why: WhyTooMany, RetryAfter: wait}
		}
		a := Attempt{
			User: v.User, Own: e.own(acct, method, false), State: t.State, Now: now, NeedVerified: v.NeedVerified,
		}
		if _, ok := m.(Sender); ok {
			a.Live = acct.sentHash(v.login(), enrollPurpose(t.State), "", now)
		}
		canonical, ok := canonical(m, Factor{}, answer)
		if !ok {
			return ruling{}, e.miswritten(ctx, v, enroller, a, t, ticketText)
		}
		a.Answer = canonical
		out, err := enroller.FinishEnroll(ctx, a)
		switch {
		case err == nil:
			acct.answerLive(v.login(), enrollPurpose(t.State), true, now)
			return e.enroll(v, acct, t, out, label, now, &done)
		case errors.Is(err, ErrWrongAnswer), errors.Is(err, ErrSpent):
			return e.unconfirmed(ctx, v, acct, enroller, a, t, out, now)
		}
		return ruling{}, fmt.Errorf("confirming %s: %w", method, err)
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// miswritten is misread at enrollment.
func (e *Engine) miswritten(ctx context.Context, v Visit, m Enroller, a Attempt, t ticket, text string) error {
	b, err := e.reprompt(ctx, v, m, a, t)
	if err != nil {
		return err
	}
	if _, same := m.(Reprompter); same {
		b.Ticket = text
	}
	return &Refusal{Why: WhyWrongAnswer, Detail: "it cannot be a code of this kind", Retry: &b}
}

// enroll adds the factor that out describes.
func (e *Engine) enroll(v Visit, acct *Account, t ticket, out Outcome, label string, now time.Time, done *Done) (ruling, error) {
	f := out.Factor
	id, err := randomID(9)
	if err != nil {
		return ruling{}, err
	}
	f.ID, f.Method, f.Created, f.Off, f.Wrong, f.Managed = id, t.Method, now, 0, 0, false
	f.Label = cmp.Or(label, f.Label)
	acct.answer(t, v.lane(acct), now)
	if f.Key != "" && slices.ContainsFunc(acct.Factors, func(old Factor) bool { return old.Key == f.Key }) {
		return ruling{}, refuse(WhyTaken, "")
	}
	replaced := slices.IndexFunc(acct.Factors, func(old Factor) bool {
		return f.Method == MethodRecovery && old.Method == MethodRecovery
	})
	if replaced >= 0 {
		v.Assurance = v.Assurance.moved(acct.Factors[replaced].ID, f.ID)
	}
	acct.Factors = slices.DeleteFunc(acct.Factors, func(old Factor) bool { return old.yields(f.Method) })
	if done.Proof, err = e.prove(f.ID, out.Verified, now); err != nil {
		return ruling{}, err
	}
	if f.Method == MethodRecovery {
		done.Proof = Proof{}
	} else {
		f.LastUsed = now
	}
	acct.Factors = append(acct.Factors, f)
	before := acct.Epoch
	e.changed(acct)
	done.Factor, done.Assurance = f.bare(), v.carried(before, acct.Epoch)
	if done.Proof.FactorID != "" {
		done.Assurance = done.Assurance.with(done.Proof)
	}
	events := []Event{v.event(FactorAdded, f, acct)}
	if out.Note != "" {
		events = append(events, v.note(f, acct, out.Note))
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
func (e *Engine) unconfirmed(ctx context.Context, v Visit, acct *Account, m Enroller, a Attempt, t ticket, out Outcome, now time.Time) (ruling, error) {
	acct.answer(t, v.lane(acct), now)
	acct.answerLive(v.login(), enrollPurpose(t.State), false, now)
	ev := v.event(WrongAnswer, Factor{Method: t.Method}, acct)
	ev.Reason = "enrollment"
	if out.Note != "" {
		ev.Reason = cut("enrollment: " + out.Note)
	}
	r := &Refusal{Why: WhyWrongAnswer, Detail: out.Note}
	if t.Wrong+1 < enrollTries {
		t.Wrong++
		if b, err := e.reprompt(ctx, v, m, a, t); err == nil {
			r.Retry = &b
		} else {
			e.log.Error("mfa: no ticket could follow a wrong confirmation", "method", t.Method, "error", err)
		}
	}
	return ruling{events: []Event{ev}, told: r}, nil
}

// reprompt makes the next ticket of an enrollment, with the first expiry.
func (e *Engine) reprompt(ctx context.Context, v Visit, m Enroller, a Attempt, t ticket) (b Begun, err error) {
	b = Begun{Method: t.Method, Expires: t.Expires}
	if again, ok := m.(Reprompter); ok {
		b.Prompt, err = again.Reprompt(a)
	} else {
		a.State, a.Answer = nil, nil
		b.Prompt, t.State, err = m.BeginEnroll(ctx, a)
	}
	if err != nil {
		return b, fmt.Errorf("prompting for %s again: %w", t.Method, err)
	}
	b.Ticket, err = e.newTicket(v, toEnroll, t)
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
