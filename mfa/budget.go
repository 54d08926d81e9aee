package mfa

import "time"

// LaneID tells the two lanes of an account's budget apart.
type LaneID uint8

// The lanes: browsers that have proved a factor of this account before, and all others. An attacker who holds only the
// password is in the unknown lane and cannot use up the owner's.
const (
	KnownLane LaneID = iota
	UnknownLane
)

// The numbers of the budget. docs/security.md works out the odds that follow from them.
const (
	FreeTries = 5                // wrong in a row before there is a wait
	FirstWait = 30 * time.Second // doubled at each further wrong answer
	LongWait  = time.Hour        // and no longer than this
	MaxWrong  = 100              // wrong in a row on one factor, both lanes: it is stopped

	KnownADay      = 10 // wrong answers judged in 24 hours
	KnownAYear     = 200
	UnknownAMonth  = 20 // in 30 days
	UnknownAYear   = 100
	SwiftAMinute   = 10  // wrong answers that cannot be guesses
	MaxAnswered    = 128 // tickets remembered for a lane
	ForgiveAgainIn = 30 * 24 * time.Hour
)

const day = 24 * time.Hour

// window is one rule: so many wrong answers in so much time.
type window struct {
	length     time.Duration
	limit      int
	forgivable bool // a changed password empties it
}

var windows = [2][2]window{
	KnownLane:   {{day, KnownADay, false}, {365 * day, KnownAYear, false}},
	UnknownLane: {{30 * day, UnknownAMonth, true}, {365 * day, UnknownAYear, false}},
}

// Lane is one lane's share of the budget. Its methods are pure: they return the new lane. The zero Lane is unused.
type Lane struct {
	Row      int       // wrong answers in a row
	Wait     time.Time // nothing is judged before
	Days     []Day     // wrong answers judged, by day, oldest first
	Swift    Rate      // wrong answers that cannot be guesses
	Sends    []time.Time
	Forgiven time.Time // last Forgive
}

// Day counts the wrong answers of one day, UTC. A window counts a day until the whole of it lies outside, so in no
// span of that length is more judged than its limit.
type Day struct {
	Number   int64 // days since 1970-01-01
	Wrong    int
	Forgiven int // of these, no longer counted where a changed password forgives
}

// Rate counts within one minute.
type Rate struct {
	Since time.Time
	Count int
}

// Blocked returns how long nothing may be judged in lane id; zero: go ahead.
func (l Lane) Blocked(id LaneID, now time.Time) time.Duration {
	wait := max(0, l.Wait.Sub(now))
	for _, w := range windows[id] {
		wait = max(wait, l.full(w, now))
	}
	return wait
}

// full returns when w will have room again, from now.
func (l Lane) full(w window, now time.Time) time.Duration {
	sum := 0
	for i := len(l.Days) - 1; i >= 0; i-- {
		d := l.Days[i]
		leaves := time.Unix(0, 0).Add(time.Duration(d.Number+1) * day).Add(w.length)
		if !leaves.After(now) {
			break
		}
		sum += d.Wrong
		if w.forgivable {
			sum -= d.Forgiven
		}
		if sum >= w.limit {
			return leaves.Sub(now)
		}
	}
	return 0
}

// Charged returns l after one more wrong answer.
func (l Lane) Charged(now time.Time) Lane {
	today := dayNumber(now)
	days := make([]Day, 0, len(l.Days)+1)
	for _, d := range l.Days {
		if today-d.Number <= 366 {
			days = append(days, d)
		}
	}
	if n := len(days); n == 0 || days[n-1].Number < today {
		days = append(days, Day{Number: today})
	}
	days[len(days)-1].Wrong++
	l.Days = days
	l.Row++
	if l.Row >= FreeTries {
		l.Wait = now.Add(min(LongWait, FirstWait<<min(l.Row-FreeTries, 10)))
	}
	return l
}

// Cleared returns l after a right answer: the row and its wait are over, the windows stay as they are.
func (l Lane) Cleared() Lane {
	l.Row, l.Wait = 0, time.Time{}
	return l
}

// Forgive returns l after the user's password was changed: the row and the 30-day window are emptied, at most once in
// ForgiveAgainIn and never the 365-day window, since whoever holds the mailbox can change the password again and again.
func (l Lane) Forgive(now time.Time) Lane {
	if !l.Forgiven.IsZero() && now.Sub(l.Forgiven) < ForgiveAgainIn {
		return l
	}
	days := make([]Day, len(l.Days))
	for i, d := range l.Days {
		d.Forgiven = d.Wrong
		days[i] = d
	}
	l.Days, l.Forgiven = days, now
	return l.Cleared()
}

// Unlocked returns l after support has emptied it.
func (l Lane) Unlocked() Lane { return Lane{Sends: l.Sends, Forgiven: l.Forgiven} }

// SwiftBlocked returns how long a wrong answer that is no guess is refused without being remembered; zero: go ahead.
func (l Lane) SwiftBlocked(now time.Time) time.Duration {
	end := l.Swift.Since.Add(time.Minute)
	if l.Swift.Count < SwiftAMinute || !now.Before(end) || now.Before(l.Swift.Since) {
		return 0 // also after the clock was set back
	}
	return end.Sub(now)
}

// SwiftCharged returns l after one more wrong answer that is no guess.
func (l Lane) SwiftCharged(now time.Time) Lane {
	if !now.Before(l.Swift.Since.Add(time.Minute)) || now.Before(l.Swift.Since) {
		l.Swift = Rate{Since: now}
	}
	l.Swift.Count++
	return l
}

func dayNumber(t time.Time) int64 {
	n := t.Unix() / 86400
	if t.Unix()%86400 < 0 {
		n--
	}
	return n
}
