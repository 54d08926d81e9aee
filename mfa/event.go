package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Event is something that an auditor would want to know. It never holds a secret, a code or an address to send to.
type Event struct {
	ID     string // unique: of its account and Number, or of what happened
	UserID string // whose account; "" when it is nobody's
	Number uint64 // running number in the account, from 1; 0 for events outside an account
	At     time.Time
	Kind   Kind
	Actor  string // who did it: the user's id, or who acted for them

	FactorID, Method string
	Address, Browser string // where from: connection address and User-Agent, cut to 200 bytes
	Reason           string // why, or what a method noted
	Known            bool   // from a browser that has proved a factor before

	// Epoch is the account's epoch after the event.
	Epoch uint64

	// MAC is made over all of the above at the save, under a subkey of the ring.
	MAC []byte
}

// Kind says what happened. The words are stable.
type Kind string

// The kinds of events.
const (
	FactorAdded     Kind = "factor-added"
	FactorRemoved   Kind = "factor-removed"
	FactorRenamed   Kind = "factor-renamed"
	FactorPaused    Kind = "factor-paused"
	FactorResumed   Kind = "factor-resumed"
	FactorPreferred Kind = "factor-preferred"
	FactorStopped   Kind = "factor-stopped" // by wrong guesses
	FactorFreed     Kind = "factor-freed"   // by its owner, with several codes in a row
	Proved          Kind = "proved"
	WrongAnswer     Kind = "wrong-answer"
	AnswerSpent     Kind = "answer-spent"   // right, but used before
	WrongInARow     Kind = "wrong-in-a-row" // the last of FreeTries: the user is told
	WaitBegan       Kind = "wait-began"     // the budget is exhausted for a while
	RecoveryUsed    Kind = "recovery-used"
	NewBrowser      Kind = "new-browser"    // first proof from a browser that had none, at most one a day
	BrowserAdded    Kind = "browser-added"  // remembered from now on
	BrowserGone     Kind = "browser-gone"   // its owner has forgotten it
	BrowserStolen   Kind = "browser-stolen" // an old token came back: the series was ended
	BrowserRenamed  Kind = "browser-renamed"
	SessionsEnded   Kind = "sessions-ended"
	Waived          Kind = "waived" // a policy asked for nothing
	Noted           Kind = "noted"  // a method noted something
)

// event begins an event of a visit.
func (v Visit) event(kind Kind, f Factor, acct *Account) Event {
	return Event{
		Kind: kind, FactorID: f.ID, Method: f.Method,
		Address: cut(v.Address), Browser: cut(v.Browser), Known: v.lane(acct) == KnownLane,
	}
}

// cut keeps what a client says about itself short, valid UTF-8, and on one line.
func cut(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.Map(printable, strings.ToValidUTF8(s, "?"))
}

// number gives each event its place in the account, and its MAC.
func (e *Engine) number(acct *Account, v Visit, now time.Time, events []Event) error {
	for i := range events {
		acct.Events++
		ev := &events[i]
		ev.UserID, ev.Number, ev.At, ev.Epoch = v.User.ID, acct.Events, now, acct.Epoch
		if ev.Actor == "" {
			ev.Actor = v.User.ID
		}
		sum := sha256.Sum256([]byte(ev.UserID))
		ev.ID = base64.RawURLEncoding.EncodeToString(sum[:12]) + "." + strconv.FormatUint(ev.Number, 10)
		if err := e.sign(ev); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) sign(ev *Event) error {
	mac, err := e.ring.mac("event", ev.encode())
	ev.MAC = mac
	return err
}

// encode returns everything that the MAC protects.
func (ev Event) encode() []byte {
	w := &writer{b: make([]byte, 0, 256)}
	w.b = append(w.b, eventVersion)
	for _, s := range [...]string{
		ev.ID, ev.UserID, string(ev.Kind), ev.Actor, ev.FactorID, ev.Method, ev.Address, ev.Browser, ev.Reason,
	} {
		w.text(s)
	}
	w.uint(ev.Number)
	w.time(ev.At)
	w.bool(ev.Known)
	w.uint(ev.Epoch)
	return w.b
}

const eventVersion = 1

// Authentic reports whether ev is, in every field, what an Engine saved under a key of this ring.
func (r *Ring) Authentic(ev Event) bool {
	if len(ev.MAC) == 0 || len(ev.MAC) < 1+int(ev.MAC[0]) {
		return false
	}
	id := string(ev.MAC[1 : 1+int(ev.MAC[0])])
	i := slices.IndexFunc(r.keys, func(k Key) bool { return k.ID == id })
	if i < 0 {
		return false
	}
	made, err := (&Ring{keys: r.keys[i:]}).mac("event", ev.encode())
	return err == nil && hmac.Equal(made, ev.MAC)
}

// waivers remembers which waivers this process has told, so that a waived request costs no write but the first of an
// hour.
type waivers struct {
	mu   sync.Mutex
	hour int64
	told map[string]bool
}

// knows reports whether id was told in this hour.
func (w *waivers) knows(id string, hour int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hour == hour && w.told[id]
}

func (w *waivers) add(id string, hour int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hour != hour || len(w.told) >= 10_000 {
		w.hour, w.told = hour, map[string]bool{}
	}
	w.told[id] = true
}

// waive leaves one event for each user, reason and hour, whichever process comes first. Until it is saved and the hook
// has agreed, nobody passes: others wait for whoever is about it.
func (e *Engine) waive(ctx context.Context, p Policy, v Visit) error {
	now := e.now()
	hour := now.Unix() / 3600
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%q\x00%q", hour, v.User.ID, p.Waived))
	id := "waived." + base64.RawURLEncoding.EncodeToString(sum[:18])
	if e.said.knows(id, hour) {
		return nil
	}
	release, err := e.locks.acquire(ctx, "~"+id)
	if err != nil {
		return fmt.Errorf("waiting for the event of a waiver: %w", err)
	}
	defer release()
	if e.said.knows(id, hour) {
		return nil
	}
	ev := v.event(Waived, Factor{}, &Account{})
	ev.ID, ev.UserID, ev.Actor, ev.At, ev.Reason = id, v.User.ID, v.User.ID, now, p.Waived
	if err := e.sign(&ev); err != nil {
		return err
	}
	if err := e.store.Save(ctx, Record{}, []Event{ev}); err != nil {
		return fmt.Errorf("saving the event of a waiver: %w", err)
	}
	if err := e.callHook(ctx, v.User, []Event{ev}); err != nil {
		return err
	}
	e.said.add(id, hour)
	return nil
}
