package mfa

import (
	"context"
	"time"
)

// The kinds of events that the site or its support causes.
const (
	PasswordWasChanged Kind = "password-changed"
	AddressWasChanged  Kind = "address-changed"
	Erased             Kind = "erased"
	Unlocked           Kind = "unlocked" // support has emptied the lane of unknown browsers
)

// PasswordChanged ends every proved session and remembered browser of v.User, and empties what Lane.Forgive may empty
// for unknown browsers. The Done carries the assurance of v under the new epoch, if it had one.
func (e *Engine) PasswordChanged(ctx context.Context, v Visit) (Done, error) {
	return e.act(ctx, v, PasswordWasChanged, "", "", func(acct *Account, now time.Time) {
		acct.renew()
		acct.Lanes[UnknownLane] = acct.Lanes[UnknownLane].Forgive(now)
	})
}

// AddressChanged ends every proved session and remembered browser of v.User, and kills the codes that were sent.
func (e *Engine) AddressChanged(ctx context.Context, v Visit) (Done, error) {
	return e.act(ctx, v, AddressWasChanged, "", "", func(acct *Account, now time.Time) { acct.renew() })
}

// EndAllSessions makes every login of v.User prove a factor again, whoever asks for it. Unlike EndSessions it needs no
// proof: it is for the site and for support.
func (e *Engine) EndAllSessions(ctx context.Context, v Visit, actor, reason string) error {
	_, err := e.act(ctx, Visit{User: v.User, Address: v.Address, Browser: v.Browser}, SessionsEnded, reason, actor,
		func(acct *Account, now time.Time) { acct.renew() })
	return err
}

// Unlock empties the lane of unknown browsers: its row, wait and windows.
func (e *Engine) Unlock(ctx context.Context, userID, actor, reason string) error {
	_, err := e.act(ctx, Visit{User: User{ID: userID}}, Unlocked, reason, actor, func(acct *Account, now time.Time) {
		acct.Lanes[UnknownLane] = acct.Lanes[UnknownLane].Unlocked()
	})
	return err
}

// Erase forgets all that is kept about a user: for the deletion of a user, and before an id is used again. Its events
// stay. The record stays too, empty and in a new epoch, so that nothing proved for the old user counts for a new one.
func (e *Engine) Erase(ctx context.Context, userID, actor, reason string) error {
	_, err := e.act(ctx, Visit{User: User{ID: userID}}, Erased, reason, actor, func(acct *Account, now time.Time) {
		*acct = Account{Epoch: acct.Epoch + 1, KnownSince: now, Events: acct.Events}
	})
	return err
}

// renew begins a new epoch, in which nothing that was proved, remembered or sent before counts.
func (acct *Account) renew() {
	acct.Epoch++
	acct.Browsers, acct.Live = nil, nil
}

// act applies a change that needs no proof of the user and leaves one event. An empty actor is the user.
func (e *Engine) act(
	ctx context.Context, v Visit, kind Kind, reason, actor string, apply func(*Account, time.Time),
) (Done, error) {
	var done Done
	err := e.change(ctx, v, func(acct *Account, now time.Time) (ruling, error) {
		before := acct.Epoch
		apply(acct, now)
		done = Done{Account: acct, Assurance: v.carried(before, acct.Epoch)}
		ev := v.event(kind, Factor{}, acct)
		ev.Reason, ev.Actor = cut(reason), actor
		return ruling{events: []Event{ev}}, nil
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}
