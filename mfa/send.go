package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sender is a Method whose answers are carried to the user. Its begin changes the account: the hash of the code is saved
// first, then the code is sent. Finish gets that hash as its State, FinishEnroll as Attempt.Live.
type Sender interface {
	Method

	// Implied returns the factors that the method sees in a user without any enrollment. They count for no more than
	// their strength, and never as enrolled.
	Implied(u User) []Factor

	// Destinations returns where a code for f goes, without the couriers that the user has switched off.
	Destinations(u User, f Factor, muted []string) []Destination
}

// Limits of sending, for each lane of an account and for each destination.
const (
	SendAgainIn = 60 * time.Second
	SendsAnHour = 5
	SendsADay   = 10
)

// CodeSent is the event of a code that was saved and given to the couriers.
const CodeSent Kind = "code-sent"

// sender returns the configured Sender; nil: there is none.
func (e *Engine) sender() Sender {
	for _, m := range e.methods {
		if s, ok := m.(Sender); ok {
			return s
		}
	}
	return nil
}

// imply puts the factors that need no enrollment beside those of an account, which is not shared yet.
func (e *Engine) imply(acct *Account, u User) {
	if s := e.sender(); s != nil && u.SignedIn() {
		acct.implied = s.Implied(u)
	}
}

// sendBlocked returns how long nothing may be sent after the given sends, oldest first: again is the countdown after
// the last one, exhausted the wait for the limits of an hour and a day.
func sendBlocked(sends []time.Time, now time.Time) (again, exhausted time.Duration) {
	for _, w := range [...]struct {
		length time.Duration
		limit  int
	}{{time.Hour, SendsAnHour}, {day, SendsADay}} {
		if n := len(sends); n >= w.limit {
			exhausted = max(exhausted, sends[n-w.limit].Add(w.length).Sub(now))
		}
	}
	if n := len(sends); n > 0 {
		again = max(0, sends[n-1].Add(SendAgainIn).Sub(now))
	}
	return again, exhausted
}

// withSend returns sends with one more, without those that no limit looks at any more.
func withSend(sends []time.Time, now time.Time) []time.Time {
	return append(slices.DeleteFunc(slices.Clone(sends), func(t time.Time) bool { return now.Sub(t) >= day }), now)
}

// sentPurpose tells the codes of one login apart: the one that lets somebody in is of no use for a step-up.
func (v Visit) sentPurpose(acct *Account) string {
	if v.Assurance.of(v.User, acct.Epoch) && len(v.Assurance.Proofs) > 0 {
		return "again"
	}
	return "verify"
}

// live returns the place of the newest code of a login and purpose; -1: there is none that can be answered.
func (acct *Account) live(login, purpose string, now time.Time) int {
	return slices.IndexFunc(acct.Live, func(l Live) bool {
		return l.Session == login && l.Purpose == purpose && now.Before(l.Until)
	})
}

// keepLive puts the code in the place of the one before it, whose wrong answers it keeps, and of the oldest others.
func (acct *Account) keepLive(l Live, now time.Time) {
	acct.Live = slices.DeleteFunc(acct.Live, func(old Live) bool {
		same := old.Session == l.Session && old.Purpose == l.Purpose
		if same && now.Before(old.Until) {
			l.Wrong = old.Wrong
		}
		return same || !now.Before(old.Until)
	})
	acct.Live = append(acct.Live, l)
	acct.Live = acct.Live[max(0, len(acct.Live)-maxLive):]
}

// beginSent sends a code for f, unless the last one was sent a moment ago.
func (e *Engine) beginSent(ctx context.Context, v Visit, m Sender, factorID string) (Begun, error) {
	var b Begun
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		f, err := e.pick(acct, m.Name(), factorID)
		if err != nil {
			return ruling{}, err
		}
		if err := e.mayJudge(acct, v, m, f, now); err != nil {
			return ruling{}, err
		}
		b, err = e.beginVerify(ctx, v, acct, m, f, ticket{Expires: now.Add(TicketLife)})
		if err != nil {
			return ruling{}, err
		}
		return e.send(v, acct, m, f, v.sentPurpose(acct), now, &b)
	})
	return e.sent(ctx, v, b, err)
}

// errUnchanged ends a change that leaves the account as it is.
var errUnchanged = errors.New("the account stays as it is")

// send puts a new code into the account and its sending into b.
func (e *Engine) send(v Visit, acct *Account, m Sender, f Factor, purpose string, now time.Time, b *Begun) (ruling, error) {
	to := m.Destinations(v.User, f, acct.Preferences.Muted)
	if len(to) == 0 {
		return ruling{}, refuse(WhyNotFound, "no courier reaches it")
	}
	lane := &acct.Lanes[v.lane(acct)]
	again, exhausted := sendBlocked(lane.Sends, now)
	switch {
	case again > 0:
		b.Prompt = e.sentPrompt(v, acct, m, f, now)
		return ruling{}, errUnchanged
	case exhausted > 0:
		return ruling{}, &Refusal{Why: WhyTooMany, RetryAfter: exhausted}
	}
	code, hash, err := newSentCode()
	if err != nil {
		return ruling{}, err
	}
	id, err := randomID(12)
	if err != nil {
		return ruling{}, err
	}
	until := now.Add(sentLife)
	lane.Sends = withSend(lane.Sends, now)
	acct.keepLive(Live{FactorID: f.ID, Session: v.login(), Purpose: purpose, Hash: hash, Until: until}, now)
	prompt := e.sentPrompt(v, acct, m, f, now)
	prompt.Sent = true
	b.Prompt = prompt
	b.Sending = &Sending{ID: id, Code: code, Purpose: purpose, To: to, Expires: until}
	return ruling{events: []Event{v.event(CodeSent, f, acct)}}, nil
}

// sentPrompt says where codes for f go, and from when on another one may be sent.
func (e *Engine) sentPrompt(v Visit, acct *Account, m Sender, f Factor, now time.Time) SentPrompt {
	p := SentPrompt{Factor: f.ID, Digits: sentDigits}
	for _, d := range m.Destinations(v.User, f, acct.Preferences.Muted) {
		p.To = append(p.To, d.Courier.Mask(d.Address))
	}
	again, exhausted := sendBlocked(acct.Lanes[v.lane(acct)].Sends, now)
	if wait := max(again, exhausted); wait > 0 {
		p.ResendAt = now.Add(wait + time.Second - 1).UTC().Truncate(time.Second) // never a moment too early
	}
	return p
}

// sent ends a begin that sends: what was saved is counted for its destinations too.
func (e *Engine) sent(ctx context.Context, v Visit, b Begun, err error) (Begun, error) {
	switch {
	case errors.Is(err, errUnchanged):
		return b, nil
	case err != nil:
		return Begun{}, err
	}
	if b.Sending.To, err = e.permitted(ctx, b.Sending.To); err != nil {
		return Begun{}, err
	}
	return b, nil // whoever asks is told the same as ever
}

// countDestination counts a code to an address over all accounts, and reports whether it may be sent.
func (e *Engine) countDestination(ctx context.Context, address string) (bool, error) {
	may := false
	err := e.changeApart(ctx, apart("to", strings.ToLower(address)), "sends", func(plain []byte) ([]byte, []Event, error) {
		sends, err := decodeSends(plain)
		if err != nil {
			return nil, nil, err
		}
		now := e.now()
		again, exhausted := sendBlocked(sends, now)
		if may = again == 0 && exhausted == 0; !may {
			return nil, nil, nil
		}
		return encodeSends(withSend(sends, now)), nil, nil
	})
	return may, err
}

// apart returns the id of a record that belongs to no account.
func apart(kind, what string) string {
	sum := sha256.Sum256([]byte(what))
	return "~" + kind + ":" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// changeApart changes a record that belongs to no account by compare-and-swap. Change gets what the record holds, nil if
// there is none, and returns what it is to hold, nil if it stays as it is, and the events to save with it.
func (e *Engine) changeApart(
	ctx context.Context, id, purpose string, change func(plain []byte) ([]byte, []Event, error),
) error {
	if !strings.HasPrefix(id, "~") {
		return fmt.Errorf("the record %q would be an account's", id)
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	release, err := e.locks.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	for {
		rec, err := e.store.Load(ctx, id)
		if err != nil {
			return fmt.Errorf("loading a record: %w", err)
		}
		var plain []byte
		if rec.Version > 0 {
			if plain, err = e.ring.Open(purpose, rec.Data, id, fmt.Sprint(rec.Version)); err != nil {
				return fmt.Errorf("opening a record: %w", err)
			}
		}
		next, events, err := change(plain)
		if err != nil || next == nil {
			return err
		}
		data, err := e.ring.Seal(e.now(), purpose, next, id, fmt.Sprint(rec.Version+1))
		if err != nil {
			return err
		}
		err = e.store.Save(ctx, Record{UserID: id, Version: rec.Version, Data: data, KeyID: e.ring.Primary()}, events)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("a record kept changing: %w", err)
		}
	}
}

func encodeSends(sends []time.Time) []byte {
	w := &writer{b: []byte{1}}
	writeList(w, sends, w.time)
	return w.b
}

func decodeSends(b []byte) ([]time.Time, error) {
	if b == nil {
		return nil, nil
	}
	r := &reader{b: b}
	if r.byte() != 1 {
		return nil, errWire
	}
	sends := readList(r, r.time)
	return sends, r.end()
}

// beginSentEnroll sends a code to the address that is to be enrolled.
func (e *Engine) beginSentEnroll(ctx context.Context, v Visit, m Sender, address string) (Begun, error) {
	enroller, ok := m.(Enroller)
	if !ok {
		return Begun{}, refuse(WhyUnknownMethod, "users cannot enroll it")
	}
	var b Begun
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		if err := e.mayEnroll(acct, v, m); err != nil {
			return ruling{}, err
		}
		a := Attempt{User: v.User, Own: e.own(acct, m.Name(), false), Now: now, Address: address}
		_, state, err := enroller.BeginEnroll(ctx, a)
		if err != nil {
			return ruling{}, err
		}
		b = Begun{Method: m.Name(), Expires: now.Add(TicketLife)}
		b.Ticket, err = e.newTicket(v, toEnroll, ticket{Epoch: acct.Epoch, Method: m.Name(), Expires: b.Expires, State: state})
		if err != nil {
			return ruling{}, err
		}
		return e.send(v, acct, m, Factor{Method: m.Name(), State: state}, enrollPurpose(state), now, &b)
	})
	return e.sent(ctx, v, b, err)
}

// enrollPurpose binds a code to the address that it was sent to.
func enrollPurpose(state []byte) string {
	sum := sha256.Sum256(state)
	return "enroll " + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// sentHash returns the hash of the code that is live for a login and purpose; nil: none is.
func (acct *Account) sentHash(login, purpose, factorID string, now time.Time) []byte {
	if i := acct.live(login, purpose, now); i >= 0 && acct.Live[i].FactorID == factorID {
		return acct.Live[i].Hash
	}
	return nil
}

// answerLive ends the live code of a login and purpose after a right answer, or after too many wrong ones.
func (acct *Account) answerLive(login, purpose string, right bool, now time.Time) {
	i := acct.live(login, purpose, now)
	if i < 0 {
		return
	}
	if acct.Live[i].Wrong++; right || acct.Live[i].Wrong >= sentWrong {
		acct.Live = slices.Delete(acct.Live, i, i+1)
	}
}

// Reach is a courier that reaches a user where the site knows them, as the user may see it.
type Reach struct {
	Courier string
	To      string // masked
	Muted   bool   // switched off by the user
}

// Reaches returns where codes for a factor go, those that are switched off too; of the zero Factor, where the site
// knows the user.
func (e *Engine) Reaches(u User, f Factor, acct *Account) []Reach {
	s := e.sender()
	if s == nil {
		return nil
	}
	var list []Reach
	for _, d := range s.Destinations(u, f, nil) {
		name := d.Courier.Name()
		list = append(list, Reach{name, d.Courier.Mask(d.Address), slices.Contains(acct.Preferences.Muted, name)})
	}
	return list
}

// The kinds of events of couriers.
const (
	CourierMuted   Kind = "courier-muted"
	CourierUnmuted Kind = "courier-unmuted"
)

// Mute switches a courier off for the user. It needs what Gate asks for, and is refused for the last one that reaches
// them.
func (e *Engine) Mute(ctx context.Context, v Visit, courier string) (Done, error) {
	return e.muting(ctx, v, courier, CourierMuted, func(acct *Account) error {
		left := 0
		for _, r := range e.Reaches(v.User, Factor{}, acct) {
			if !r.Muted && r.Courier != courier {
				left++
			}
		}
		if left == 0 {
			return refuse(WhyLastFactor, "it is the last one that reaches the user")
		}
		if !slices.Contains(acct.Preferences.Muted, courier) {
			acct.Preferences.Muted = append(acct.Preferences.Muted, courier)
		}
		return nil
	})
}

// Unmute switches a courier on again. It needs what Gate asks for.
func (e *Engine) Unmute(ctx context.Context, v Visit, courier string) (Done, error) {
	return e.muting(ctx, v, courier, CourierUnmuted, func(acct *Account) error {
		acct.Preferences.Muted = slices.DeleteFunc(acct.Preferences.Muted, func(name string) bool { return name == courier })
		return nil
	})
}

func (e *Engine) muting(ctx context.Context, v Visit, courier string, kind Kind, apply func(*Account) error) (Done, error) {
	var done Done
	err := e.change(ctx, v, func(acct *Account, _ time.Time) (ruling, error) {
		if err := e.Gate(acct, v); err != nil {
			return ruling{}, err
		}
		known := slices.ContainsFunc(e.Reaches(v.User, Factor{}, acct), func(r Reach) bool { return r.Courier == courier })
		if !known {
			return ruling{}, refuse(WhyNotFound, "no such courier reaches the user")
		}
		if err := apply(acct); err != nil {
			return ruling{}, err
		}
		done = Done{Account: acct.clone(), Assurance: v.carried(acct.Epoch, acct.Epoch)}
		ev := v.event(kind, Factor{Method: MethodSent}, acct)
		ev.Reason = courier
		return ruling{events: []Event{ev}}, nil
	})
	return done, err
}
