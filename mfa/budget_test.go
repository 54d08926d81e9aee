package mfa_test

import (
	"testing"
	"time"

	"sallyport/mfa"
)

const aDay = 24 * time.Hour

// wrongs charges n wrong answers in a row at one time.
func wrongs(l mfa.Lane, n int, now time.Time) mfa.Lane {
	for range n {
		l = l.Charged(now)
	}
	return l
}

func TestTheWaitDoublesToAnHour(t *testing.T) {
	for id := mfa.KnownLane; id <= mfa.UnknownLane; id++ {
		var l mfa.Lane
		now := midday
		for i, want := range []time.Duration{
			0, 0, 0, 0, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
		} {
			if l = l.Charged(now); l.Blocked(id, now) != want {
				t.Errorf("lane %d: after %d wrong answers the wait is %v, want %v", id, i+1, l.Blocked(id, now), want)
			}
			if want > 0 && (l.Blocked(id, now.Add(want-1)) != 1 || l.Blocked(id, now.Add(want)) != 0) {
				t.Errorf("lane %d: the wait after %d wrong answers does not end after %v", id, i+1, want)
			}
			now = now.Add(want)
		}
	}
	l := wrongs(mfa.Lane{}, 11, midday)
	for n := 12; n <= 100; n++ {
		l = l.Charged(midday)
		if want := time.Hour; l.Wait.Sub(midday) != want {
			t.Fatalf("after %d wrong answers the row's wait is %v, want %v", n, l.Wait.Sub(midday), want)
		}
	}
}

func TestARightAnswerClearsTheRowAlone(t *testing.T) {
	l := wrongs(mfa.Lane{}, 9, midday).Cleared()
	if l.Row != 0 || !l.Wait.IsZero() || l.Blocked(mfa.KnownLane, midday) != 0 {
		t.Errorf("Cleared left a row of %d and a wait until %v, want none", l.Row, l.Wait)
	}
	if l = l.Charged(midday); l.Blocked(mfa.KnownLane, midday) == 0 {
		t.Error("the tenth wrong answer of a day is not the last, though a right one came before it")
	}
}

func TestWindowsFillUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		id     mfa.LaneID
		limit  int
		length time.Duration
		every  time.Duration // between two wrong answers, each followed by a right one
	}{
		{"a known browser's day", mfa.KnownLane, 10, aDay, time.Minute},
		{"a known browser's year", mfa.KnownLane, 200, 365 * aDay, 8 * time.Hour},
		{"unknown browsers' month", mfa.UnknownLane, 20, 30 * aDay, time.Minute},
		{"unknown browsers' year", mfa.UnknownLane, 100, 365 * aDay, 3 * aDay},
	} {
		var l mfa.Lane
		now, first := midday, midday
		for n := range c.limit {
			if wait := l.Blocked(c.id, now); wait != 0 {
				t.Fatalf("%s: blocked for %v after %d wrong answers, want %d", c.name, wait, n, c.limit)
			}
			l = l.Charged(now).Cleared()
			now = now.Add(c.every)
		}
		wait := l.Blocked(c.id, now)
		// The first day counts until the whole of it lies outside.
		if got := now.Add(wait).Sub(first); got < c.length || got > c.length+aDay {
			t.Errorf("%s: after %d wrong answers the next one is judged %v after the first, want %v and at most a day more",
				c.name, c.limit, got, c.length)
		}
		if l.Blocked(c.id, now.Add(wait-1)) == 0 || l.Blocked(c.id, now.Add(wait)) != 0 {
			t.Errorf("%s: the wait of %v is not when it is over", c.name, wait)
		}
	}
}

func TestAnotherLaneIsNotTouched(t *testing.T) {
	acct := mfa.Account{}
	acct.Lanes[mfa.UnknownLane] = wrongs(mfa.Lane{}, 20, midday)
	if wait := acct.Lanes[mfa.UnknownLane].Blocked(mfa.UnknownLane, midday); wait < 29*aDay {
		t.Fatalf("the lane of unknown browsers is blocked for %v, want a month", wait)
	}
	if wait := acct.Lanes[mfa.KnownLane].Blocked(mfa.KnownLane, midday); wait != 0 {
		t.Errorf("the lane of known browsers is blocked for %v, want 0", wait)
	}
}

func TestAChangedPasswordForgivesAMonthOnceInAMonth(t *testing.T) {
	l := wrongs(mfa.Lane{}, 20, midday)
	l = l.Forgive(midday)
	if wait := l.Blocked(mfa.UnknownLane, midday); wait != 0 || l.Row != 0 {
		t.Fatalf("after Forgive: blocked for %v with a row of %d, want neither", wait, l.Row)
	}
	full := wrongs(l, 20, midday.Add(time.Hour))
	for _, later := range []time.Duration{time.Hour, aDay, 30*aDay - 1, -time.Hour, -100 * aDay} {
		again := full.Forgive(midday.Add(later))
		if wait := again.Blocked(mfa.UnknownLane, midday.Add(2*time.Hour)); wait < 28*aDay {
			t.Errorf("Forgive again after %v: blocked for %v, want a month still", later, wait)
		}
	}
	if l := full.Forgive(midday.Add(30 * aDay)); l.Blocked(mfa.UnknownLane, midday.Add(30*aDay)) != 0 {
		t.Error("Forgive again after 30 days leaves the lane blocked")
	}
}

func TestAChangedPasswordNeverForgivesAYear(t *testing.T) {
	var l mfa.Lane
	now := midday
	for range 5 {
		l = wrongs(l, 20, now).Forgive(now)
		now = now.Add(31 * aDay)
	}
	if wait := l.Blocked(mfa.UnknownLane, now); wait < 200*aDay {
		t.Errorf("after 100 wrong answers and five changes of password: blocked for %v, want until the year is over", wait)
	}
	known := wrongs(mfa.Lane{}, 10, midday)
	if wait := known.Forgive(midday).Blocked(mfa.KnownLane, midday); wait < 12*time.Hour {
		t.Errorf("Forgive let a known browser go on in %v, want its day to stay full", wait)
	}
}

func TestSupportEmptiesALane(t *testing.T) {
	l := wrongs(mfa.Lane{}, 100, midday).Forgive(midday)
	for range 20 {
		l = l.SwiftCharged(midday)
	}
	l.Sends = []time.Time{midday}
	l = l.Unlocked()
	if l.Blocked(mfa.UnknownLane, midday) != 0 || l.SwiftBlocked(midday) != 0 || l.Row != 0 {
		t.Errorf("Unlocked left %+v, want an empty lane", l)
	}
	if len(l.Sends) != 1 || !l.Forgiven.Equal(midday) {
		t.Errorf("Unlocked left the sends %v and the forgiving at %v, want those that were there", l.Sends, l.Forgiven)
	}
}

func TestSwiftAnswersAreTenAMinute(t *testing.T) {
	var l mfa.Lane
	for n := range 10 {
		if wait := l.SwiftBlocked(midday); wait != 0 {
			t.Fatalf("blocked for %v after %d, want 10", wait, n)
		}
		l = l.SwiftCharged(midday)
	}
	for _, c := range []struct {
		name        string
		after, want time.Duration
	}{
		{"at once", 0, time.Minute}, {"half a minute later", 30 * time.Second, 30 * time.Second},
		{"at the last moment", time.Minute - 1, 1}, {"after a minute", time.Minute, 0},
		{"after the clock was set back", -time.Hour, 0},
	} {
		if wait := l.SwiftBlocked(midday.Add(c.after)); wait != c.want {
			t.Errorf("%s: blocked for %v, want %v", c.name, wait, c.want)
		}
	}
	if l = l.SwiftCharged(midday.Add(time.Minute)); l.Swift.Count != 1 {
		t.Errorf("the first of the next minute counts %d, want 1", l.Swift.Count)
	}
	if l.Blocked(mfa.UnknownLane, midday) != 0 || l.Row != 0 {
		t.Error("answers that are no guesses were charged as guesses")
	}
}

func TestALaneIsNotChangedByItsMethods(t *testing.T) {
	l := wrongs(mfa.Lane{}, 3, midday)
	days := append([]mfa.Day(nil), l.Days...)
	l.Charged(midday)
	l.Charged(midday.Add(aDay))
	l.Forgive(midday)
	l.Cleared()
	l.Unlocked()
	l.SwiftCharged(midday)
	if len(l.Days) != len(days) || l.Days[0] != days[0] || l.Row != 3 || l.Swift.Count != 0 {
		t.Errorf("the lane is %+v, want it as it was", l)
	}
}

func TestOldDaysAreForgotten(t *testing.T) {
	var l mfa.Lane
	for day := range 1000 {
		l = l.Charged(midday.AddDate(0, 0, day))
	}
	if n := len(l.Days); n > 368 {
		t.Errorf("a lane remembers %d days, want about a year", n)
	}
}

func TestASetBackClockFreesNothing(t *testing.T) {
	l := wrongs(mfa.Lane{}, 20, midday)
	for _, back := range []time.Duration{time.Hour, aDay, 40 * aDay} {
		if l.Blocked(mfa.UnknownLane, midday.Add(-back)) == 0 {
			t.Errorf("with the clock set back by %v nothing is blocked", back)
		}
		more := l.Charged(midday.Add(-back))
		if n := len(more.Days); n != 1 || more.Days[0].Wrong != 21 {
			t.Errorf("with the clock set back by %v the days are %+v, want the one with 21", back, more.Days)
		}
	}
}
