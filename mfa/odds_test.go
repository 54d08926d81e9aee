package mfa_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"sallyport/mfa"
)

// year lets somebody guess for 365 days: try is asked at each moment at which they could, and says how long they wait
// before the next one. It returns the times of all guesses that were judged.
func year(
	l mfa.Lane, id mfa.LaneID, pause func(n int) time.Duration, eachDay func(mfa.Lane, time.Time) mfa.Lane,
) []time.Time {
	var judged []time.Time
	end, tomorrow := midday.Add(365*aDay), midday.Add(aDay)
	for now := midday; now.Before(end); {
		for ; !now.Before(tomorrow); tomorrow = tomorrow.Add(aDay) {
			l = eachDay(l, tomorrow)
		}
		wait := l.Blocked(id, now)
		if wait == 0 {
			l = l.Charged(now)
			judged = append(judged, now)
			wait = pause(len(judged))
		}
		now = now.Add(max(wait, time.Second))
	}
	return judged
}

func nothing(l mfa.Lane, _ time.Time) mfa.Lane { return l }
func cleared(l mfa.Lane, _ time.Time) mfa.Lane { return l.Cleared() }

func TestTHROTTLE10_APatientAttackerHasAHundredGuessesAYear(t *testing.T) {
	fourADay := func(n int) time.Duration {
		if n%4 == 0 {
			return aDay - 3*time.Hour
		}
		return time.Hour
	}
	atOnce := func(int) time.Duration { return 0 }
	for _, c := range []struct {
		name    string
		pause   func(int) time.Duration
		eachDay func(mfa.Lane, time.Time) mfa.Lane
	}{
		{"four a day", fourADay, nothing},
		{"as fast as it goes", atOnce, nothing},
		{"four a day, the owner signs in daily from new browsers", fourADay, cleared},
		{"as fast as it goes, and a new password a day", atOnce, mfa.Lane.Forgive},
	} {
		judged := year(mfa.Lane{}, mfa.UnknownLane, c.pause, c.eachDay)
		if n := len(judged); n > 100 || n < 80 {
			t.Errorf("%s: %d guesses were judged in a year, want at most 100, and nearly that", c.name, n)
		}
	}
	// The owner's own browser has a lane of its own, whatever the attacker does.
	if n := len(year(mfa.Lane{}, mfa.KnownLane, atOnce, nothing)); n > 200 || n < 180 {
		t.Errorf("a known browser has %d guesses a year, want at most 200, and nearly that", n)
	}
}

// W of docs/security.md: of all codes three are right at one moment.
func TestThreeOfAMillionCodesAreRight(t *testing.T) {
	stride := 100 // those that end as the right ones do
	if full() {
		stride = 1
	}
	a := apart(mfa.TOTPSeed{}, midday, 2)
	f, right := a.factor(t), map[string]bool{}
	tried := map[int]bool{}
	for d := int64(-1); d <= 1; d++ {
		var n int
		fmt.Sscan("1"+a.at(midday, d), &n)
		tried[n%stride] = true
	}
	for n := range 1_000_000 {
		if !tried[n%stride] {
			continue
		}
		code := fmt.Sprintf("%06d", n)
		if _, err := answer(f, code, midday); err == nil {
			right[code] = true
		}
	}
	if len(right) != 3 || !right[a.at(midday, -1)] || !right[a.at(midday, 0)] || !right[a.at(midday, 1)] {
		t.Errorf("%v are right, want the codes of three steps", right)
	}
}

// The table of docs/security.md, on codes short enough that a few thousand years of guessing tell: the same arithmetic
// with W of 1,000 in the place of W of 10^6, so that each year's odds are large.
func TestTheOddsOfAYearAreThoseOfTheTable(t *testing.T) {
	years, random := 2000, rand.New(rand.NewPCG(5, 5))
	if full() {
		years *= 20
	}
	for _, c := range []struct {
		name  string
		lanes []mfa.LaneID
		w, n  int // right codes of a thousand, and guesses a year by the table
	}{
		{"the password, and TOTP", []mfa.LaneID{mfa.UnknownLane}, 3, 100},
		{"the password, and HOTP", []mfa.LaneID{mfa.UnknownLane}, 6, 100},
		{"the password, and sent codes", []mfa.LaneID{mfa.UnknownLane}, 1, 100},
		{"a known browser besides, and TOTP", []mfa.LaneID{mfa.UnknownLane, mfa.KnownLane}, 3, 300},
	} {
		guesses := 0
		for _, id := range c.lanes {
			guesses += len(year(mfa.Lane{}, id, func(int) time.Duration { return 0 }, nothing))
		}
		in := 0
		for range years {
			for range guesses {
				if random.IntN(1000) < c.w {
					in++
					break
				}
			}
		}
		most := 1 - math.Pow(1-float64(c.w)/1000, float64(c.n))
		deviation := math.Sqrt(most * (1 - most) / float64(years))
		if got := float64(in) / float64(years); got > most+4*deviation || got < most*0.8-4*deviation {
			t.Errorf("%s: %d of %d attackers got in, %.3f; want about %.3f and not more", c.name, in, years, got, most)
		}
	}
}
