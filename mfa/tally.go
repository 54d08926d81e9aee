package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// Whoever earns by messages has a site send codes to numbers of a range that pays them, which nobody proves. So the
// codes of a day are counted for each Grouper.Group and for all groups.

// SendsStopped is the event of a group of destinations to which no more codes are sent today, once a day and group. It
// is nobody's; its Reason names the group.
const SendsStopped Kind = "sends-stopped"

const (
	codesPerGroup = 200
	codesInAll    = 10_000
	provedFrom    = 20 // codes of a day are needed to judge a group
	provedPercent = 5
)

// tally counts the codes of one day, UTC.
type tally struct {
	Day          int64
	Sent, Proved int
	Told         bool // that no more are sent
}

// on returns the tally of the day of now.
func (t tally) on(now time.Time) tally {
	if today := dayNumber(now); t.Day != today {
		return tally{Day: today}
	}
	return t
}

// pumped reports that so few codes were proved that they are not for whom they were sent to. Since each code asks anew,
// right answers to those on their way let a group go on: many people of one range who sign in at once are no fraud.
func (t tally) pumped() bool { return t.Sent >= provedFrom && t.Proved*100 < t.Sent*provedPercent }

// proved returns t with one more proof. A code of yesterday is none of today's.
func (t tally) proved() tally {
	t.Proved = min(t.Proved+1, t.Sent)
	return t
}

// quota is how many codes may be sent a day.
type quota struct {
	id, name string
	limit    int
	stops    func(tally) bool // other reasons to send no more
}

func (e *Engine) quotas(group string) [2]quota {
	perGroup, inAll := codesPerGroup, codesInAll
	if m, ok := e.sender().(SentCodes); ok {
		perGroup, inAll = orDefault(m.PerGroup, perGroup), orDefault(m.InAll, inAll)
	}
	return [...]quota{
		{apart("group", group), group, perGroup, tally.pumped},
		{apart("group", ""), "all groups", inAll, func(tally) bool { return false }},
	}
}

func (q quota) exhausted(t tally) bool { return t.Sent >= q.limit || q.stops(t) }

// permitted returns where a code may be sent now, and counts it: once for each address, each group and all groups.
func (e *Engine) permitted(ctx context.Context, to []Destination) ([]Destination, error) {
	kept := to[:0:0]
	answers := map[string]bool{}
	once := func(id string, count func() (bool, error)) (may bool, err error) {
		may, known := answers[id]
		if !known {
			may, err = count()
			answers[id] = may
		}
		return may, err
	}
	for _, d := range to {
		may, err := once("to "+d.Address, func() (bool, error) { return e.countDestination(ctx, d.Address) })
		if err != nil {
			return nil, err
		}
		group := groupOf(d)
		for _, q := range e.quotas(group) {
			if !may || group == "" {
				break
			}
			if may, err = once(q.id, func() (bool, error) { return e.countSent(ctx, q) }); err != nil {
				return nil, err
			}
		}
		if may {
			kept = append(kept, d)
		}
	}
	return kept, nil
}

func groupOf(d Destination) string {
	if g, ok := d.Courier.(Grouper); ok {
		return g.Group(d.Address)
	}
	return ""
}

// countSent counts a code, and reports whether it may be sent. The first of a day that may not is told to operators.
func (e *Engine) countSent(ctx context.Context, q quota) (may bool, err error) {
	var t tally
	var events []Event
	err = e.changeApart(ctx, q.id, "tally", func(plain []byte) ([]byte, []Event, error) {
		may, events = false, nil
		if t, err = decodeTally(plain); err != nil {
			return nil, nil, err
		}
		now := e.now()
		t = t.on(now)
		switch {
		case !q.exhausted(t):
			may = true
			t.Sent++
		case t.Told:
			return nil, nil, nil
		default:
			t.Told = true
			ev, err := e.stoppedEvent(q, t, now)
			if err != nil {
				return nil, nil, err
			}
			events = []Event{ev}
		}
		return t.encode(), events, nil
	})
	if err != nil {
		return false, err
	}
	if len(events) > 0 {
		e.log.Error("mfa: no more codes are sent there today", "group", q.name, "sent", t.Sent, "proved", t.Proved)
		if err := e.callHook(ctx, User{}, events); err != nil {
			e.log.Error("mfa: an event was not taken", "event", events[0].ID, "kind", string(SendsStopped), "error", err)
		}
	}
	return may, nil
}

func (e *Engine) stoppedEvent(q quota, t tally, now time.Time) (Event, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", t.Day, q.id))
	ev := Event{
		ID: "stopped." + base64.RawURLEncoding.EncodeToString(sum[:18]), At: now, Kind: SendsStopped, Method: MethodSent,
		Reason: cut(fmt.Sprintf("%s: %d sent today, %d proved", q.name, t.Sent, t.Proved)),
	}
	err := e.sign(&ev)
	return ev, err
}

// countProved counts the proof of a code for the groups that it went to. That it cannot be counted keeps nobody out.
func (e *Engine) countProved(ctx context.Context, u User, m Method, done Done) {
	s, ok := m.(Sender)
	if !ok {
		return
	}
	f, _ := done.Account.Factor(done.Factor.ID)
	counted := map[string]bool{"": true}
	for _, d := range s.Destinations(u, f, done.Account.Preferences.Muted) {
		group := groupOf(d)
		if counted[group] {
			continue
		}
		counted[group] = true
		err := e.changeApart(ctx, apart("group", group), "tally", func(plain []byte) ([]byte, []Event, error) {
			t, err := decodeTally(plain)
			if err != nil {
				return nil, nil, err
			}
			return t.on(e.now()).proved().encode(), nil, nil
		})
		if err != nil {
			e.log.Error("mfa: the proof of a code was not counted", "group", group, "error", err)
		}
	}
}

const tallyVersion = 1

func (t tally) encode() []byte {
	w := &writer{b: []byte{tallyVersion}}
	w.int(t.Day)
	w.length(t.Sent)
	w.length(t.Proved)
	w.bool(t.Told)
	return w.b
}

func decodeTally(b []byte) (tally, error) {
	if b == nil {
		return tally{}, nil
	}
	r := &reader{b: b}
	if r.byte() != tallyVersion {
		return tally{}, errWire
	}
	t := tally{Day: r.int(), Sent: r.count(), Proved: r.count(), Told: r.bool()}
	return t, r.end()
}
