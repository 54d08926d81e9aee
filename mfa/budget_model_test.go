package mfa_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/mfa"
)

// rule is a window of SECURITY.md, section 2.
type rule struct {
	limit      int
	length     time.Duration
	forgivable bool
}

var rules = map[mfa.LaneID][]rule{
	mfa.KnownLane:   {{10, aDay, false}, {200, 365 * aDay, false}},
	mfa.UnknownLane: {{20, 30 * aDay, true}, {100, 365 * aDay, false}},
}

// modelLane is a lane that keeps everything: each wrong answer ever judged.
type modelLane struct {
	id       mfa.LaneID
	wrong    []modelWrong
	row      int
	forgiven time.Time
}

type modelWrong struct {
	at       time.Time
	forgiven bool
}

func (m *modelLane) charge(now time.Time) {
	m.wrong = append(m.wrong, modelWrong{at: now})
	m.row++
}

func (m *modelLane) forgive(now time.Time) {
	if !m.forgiven.IsZero() && now.Before(m.forgiven.Add(30*aDay)) {
		return
	}
	for i := range m.wrong {
		m.wrong[i].forgiven = true
	}
	m.row, m.forgiven = 0, now
}

// blocked says whether nothing may be judged: by the row, or because a window is full, which counts whole days, UTC.
func (m *modelLane) blocked(now time.Time) bool {
	if m.row >= 5 {
		wait := 30 * time.Second
		for range m.row - 5 {
			wait = min(2*wait, time.Hour)
		}
		if now.Before(m.wrong[len(m.wrong)-1].at.Add(wait)) {
			return true
		}
	}
	for _, r := range rules[m.id] {
		n := 0
		for _, w := range m.wrong {
			midnight := time.Date(w.at.Year(), w.at.Month(), w.at.Day()+1, 0, 0, 0, 0, time.UTC)
			if midnight.Add(r.length).After(now) && !(r.forgivable && w.forgiven) {
				n++
			}
		}
		if n >= r.limit {
			return true
		}
	}
	return false
}

// within counts the wrong answers in the last span, whatever day they were on.
func (m *modelLane) within(r rule, now time.Time) int {
	n := 0
	for _, w := range m.wrong {
		if w.at.After(now.Add(-r.length)) && !(r.forgivable && w.forgiven) {
			n++
		}
	}
	return n
}

// spans are between two things that happen: moments, waits, days, months.
var spans = []time.Duration{
	0, time.Second, 29 * time.Second, 30 * time.Second, time.Minute, time.Hour - 1, time.Hour, 7 * time.Hour,
	12 * time.Hour, aDay - 1, aDay, 29 * aDay, 30 * aDay, 31 * aDay, 100 * aDay,
}

// deeds are what happens to a lane, some of it more often.
var deeds = []string{"wrong", "wrong", "wrong", "wrong", "wrong", "later", "later", "right", "new password"}

// drawWalk lets a lane live: wrong answers, as soon as one is judged or later, right ones, changes of the password.
func drawWalk(t *rapid.T, id mfa.LaneID, step func(l mfa.Lane, m *modelLane, now time.Time)) {
	var l mfa.Lane
	m := &modelLane{id: id}
	now := midday.Add(time.Duration(rapid.IntRange(0, 86399).Draw(t, "start")) * time.Second)
	for range rapid.IntRange(20, 400).Draw(t, "steps") {
		switch rapid.SampledFrom(deeds).Draw(t, "what") {
		case "wrong":
			now = now.Add(l.Blocked(id, now)) // no longer than one must
			l = l.Charged(now)
			m.charge(now)
		case "later":
			now = now.Add(rapid.SampledFrom(spans).Draw(t, "span"))
		case "right":
			l = l.Cleared()
			m.row = 0
		case "new password":
			l = l.Forgive(now)
			m.forgive(now)
		}
		step(l, m, now)
	}
}

func TestNoSpanOfAWindowSeesMoreThanItsLimit(t *testing.T) {
	for id := mfa.KnownLane; id <= mfa.UnknownLane; id++ {
		most := map[rule]int{}
		check(t, 150, func(t *rapid.T) {
			drawWalk(t, id, func(_ mfa.Lane, m *modelLane, now time.Time) {
				for _, r := range rules[id] {
					n := m.within(r, now)
					if most[r] = max(most[r], n); n > r.limit {
						t.Fatalf("lane %d: %d wrong answers were judged in %v, want at most %d", id, n, r.length, r.limit)
					}
				}
			})
		})
		for _, r := range rules[id] {
			if most[r] < r.limit {
				t.Errorf("lane %d: at most %d were judged in %v: the limit of %d was never met", id, most[r], r.length, r.limit)
			}
		}
	}
}

func TestALaneAgreesWithOneThatKeepsEverything(t *testing.T) {
	for id := mfa.KnownLane; id <= mfa.UnknownLane; id++ {
		check(t, 150, func(t *rapid.T) {
			drawWalk(t, id, func(l mfa.Lane, m *modelLane, now time.Time) {
				wait := l.Blocked(id, now)
				if (wait > 0) != m.blocked(now) {
					t.Fatalf("lane %d after %d wrong answers: Blocked = %v, the model says %v",
						id, len(m.wrong), wait, m.blocked(now))
				}
				if wait > 0 && (!m.blocked(now.Add(wait-1)) || m.blocked(now.Add(wait))) {
					t.Fatalf("lane %d after %d wrong answers: Blocked = %v, and the model frees it at another time",
						id, len(m.wrong), wait)
				}
				if l.Row != m.row {
					t.Fatalf("lane %d: a row of %d, the model has %d", id, l.Row, m.row)
				}
			})
		})
	}
}
