package mfa

import "time"

// FreesADay is how many tries an owner has in a day to free a factor that wrong guesses have stopped. They are outside
// both lanes: whoever has stopped the factor has used those up, and three codes in a row are no guess.
const FreesADay = 3

// freeable reports whether f was stopped by wrong guesses alone and its owner can free it.
func (e *Engine) freeable(f Factor, now time.Time) bool {
	if f.Off != StoppedByGuesses {
		return false
	}
	m, err := e.Method(f.Method)
	if err != nil {
		return false
	}
	freer, ok := m.(Freer)
	f.Off = 0
	return ok && freer.Frees(f) && f.Usable(now, e.names)
}

// Freeable returns the factors that wrong guesses have stopped and that their owner can free by a longer answer: see Freer.
func (e *Engine) Freeable(acct *Account) []Factor {
	now := e.now()
	var list []Factor
	for _, f := range acct.Factors {
		if e.freeable(f, now) {
			list = append(list, f)
		}
	}
	return list
}

// refuseFreeing returns TooMany if the tries of this day are used up.
func (acct *Account) refuseFreeing(now time.Time) error {
	if acct.Frees.Number != dayNumber(now) || acct.Frees.Wrong < FreesADay {
		return nil
	}
	tomorrow := time.Unix(0, 0).Add(time.Duration(acct.Frees.Number+1) * day)
	return &Refusal{Why: WhyTooMany, RetryAfter: tomorrow.Sub(now)}
}

// counted returns d with one more in the day of now.
func (d Day) counted(now time.Time) Day {
	if today := dayNumber(now); d.Number != today {
		d = Day{Number: today}
	}
	d.Wrong++
	return d
}
