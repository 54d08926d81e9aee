package mfa_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sallyport/mfa"
)

// midday is 15 seconds into a step of 30 seconds, and not at the edge of one of any usual length.
var midday = time.Date(2026, 7, 1, 12, 0, 15, 0, time.UTC)

// rightSteps returns which of the steps from -span to span around t a factor takes, each tried on the factor as it is.
func rightSteps(a app, f mfa.Factor, t time.Time, span int64) []int64 {
	var right []int64
	for d := -span; d <= span; d++ {
		if _, err := answer(f, a.at(t, d), t); err == nil {
			right = append(right, d)
		}
	}
	return right
}

// apart returns an app whose codes around t, over span steps, are all different, so that each code tells its step.
func apart(s mfa.TOTPSeed, t time.Time, span int64) app {
	for n := byte(0); ; n++ {
		a := newApp(n)
		s.Key = a.Key
		a.TOTPSeed = s
		seen := map[string]bool{}
		for d := -span; d <= span; d++ {
			seen[a.at(t, d)] = true
		}
		if len(seen) == int(2*span+1) {
			return a
		}
	}
}

func TestSKEW1_NeverMoreThanThreeStepsAtOneMoment(t *testing.T) {
	for drift := -5; drift <= 5; drift++ {
		a := apart(mfa.TOTPSeed{Drift: drift, Digits: 8}, midday, 300)
		want := fmt.Sprint([]int64{int64(drift) - 1, int64(drift), int64(drift) + 1})
		for _, second := range []int{-15, 0, 14} { // the first, a middle and the last of a step
			now := midday.Add(time.Duration(second) * time.Second)
			if got := fmt.Sprint(rightSteps(a, a.factor(t), now, 300)); got != want {
				t.Errorf("with a drift of %d the steps %s are right at second %d, want %s", drift, got, second, want)
			}
		}
	}
}

// A moment has no more than three codes either when each of them is used, and so may move the window.
func TestSKEW1_NeverMoreThanThreeCodesAreUsedAtOneMoment(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		s := mfa.TOTPSeed{Digits: 8, Drift: r.IntN(5) - 2, MaxDrift: 2}
		a := apart(s, midday, 10)
		f := a.factor(t)
		for range r.IntN(3) { // some uses before the moment
			early := midday.Add(-time.Duration(r.IntN(4)) * 30 * time.Second)
			f, _ = answer(f, a.at(early, r.Int64N(5)-2), early)
		}
		used := 0
		for d := int64(-8); d <= 8; d++ {
			if r.IntN(5) == 0 {
				continue
			}
			next, err := answer(f, a.at(midday, d), midday)
			if f = next; err == nil {
				used++
			}
		}
		if used > 3 {
			t.Fatalf("%d codes were used at one moment from a drift of %d, want at most 3", used, s.Drift)
		}
	}
}

func TestREPLAY3_ACodeIsNotGoodAgainInTheNextStep(t *testing.T) {
	for name, gap := range map[string]time.Duration{
		"at the same moment":                       0,
		"from the last second of its step to next": 2 * time.Second,
		"a whole step later":                       30 * time.Second,
	} {
		a := apart(mfa.TOTPSeed{}, midday, 5)
		f := a.factor(t)
		now := midday.Add(14 * time.Second) // second 29
		code := a.at(now, 0)
		used, err := answer(f, code, now)
		if err != nil {
			t.Fatalf("%s: the right code = %v, want no error", name, err)
		}
		if _, err := answer(used, code, now.Add(gap)); err != mfa.ErrSpent {
			t.Errorf("%s: the code again = %v, want ErrSpent", name, err)
		}
		if _, err := answer(f, code, now.Add(gap)); err != nil {
			t.Errorf("%s: the code, had it not been used = %v, want no error", name, err)
		}
	}
}

func TestOnlyStepsLaterThanTheLastOneUsedAreRight(t *testing.T) {
	for used := int64(-1); used <= 1; used++ {
		a := apart(mfa.TOTPSeed{}, midday, 5)
		f, err := answer(a.factor(t), a.at(midday, used), midday)
		if err != nil {
			t.Fatalf("the code of step %d = %v, want no error", used, err)
		}
		for d := int64(-3); d <= 3; d++ {
			_, err := answer(f, a.at(midday, d), midday)
			if d <= used && err == nil {
				t.Errorf("after step %d step %d is right", used, d)
			}
			if d > used && d <= used+1 && err != nil {
				t.Errorf("after step %d step %d = %v, want no error", used, d, err)
			}
		}
	}
}

func TestSpentIsTheWordForStepsThatAreOverAndWrongForAllElse(t *testing.T) {
	a := apart(mfa.TOTPSeed{}, midday, 50)
	f, err := answer(a.factor(t), a.at(midday, 0), midday)
	if err != nil {
		t.Fatal(err)
	}
	for d := int64(-50); d <= 50; d++ {
		want := mfa.ErrWrongAnswer
		if d == 0 || d == -1 { // used, and passed over
			want = mfa.ErrSpent
		}
		if d == 1 {
			want = nil
		}
		if _, err := answer(f, a.at(midday, d), midday); err != want {
			t.Errorf("the code of step %d = %v, want %v", d, err, want)
		}
	}
	for _, code := range []string{"", "1", "12345", "1234567", "abcdef", "12345\n", "-12345", "１２３４５６", "      "} {
		if _, err := answer(f, code, midday); err != mfa.ErrWrongAnswer {
			t.Errorf("%q = %v, want ErrWrongAnswer", code, err)
		}
	}
}

// The number that a code writes is not the code: 5 is not 000005.
func TestACodeIsAllItsDigits(t *testing.T) {
	a, now := newApp(1), midday
	for a.at(now, 0)[0] != '0' {
		now = now.Add(30 * time.Second)
	}
	f, code := a.factor(t), a.at(now, 0)
	for _, other := range []string{code[1:], "0" + code, " " + code[1:], code[1:] + " ", "+" + code[1:], "\x00" + code[1:]} {
		if _, err := answer(f, other, now); err != mfa.ErrWrongAnswer {
			t.Errorf("%q for %q = %v, want ErrWrongAnswer", other, code, err)
		}
	}
	if _, err := answer(f, code, now); err != nil {
		t.Errorf("%q = %v, want no error", code, err)
	}
}

func TestSKEW3_OldCodesAreRefusedAfterTheClockWasSetBack(t *testing.T) {
	a := apart(mfa.TOTPSeed{}, midday, 20)
	f, err := answer(a.factor(t), a.at(midday, 0), midday)
	if err != nil {
		t.Fatal(err)
	}
	back := midday.Add(-5 * time.Minute)
	if got := rightSteps(a, f, back, 8); got != nil {
		t.Errorf("five minutes back the steps %v are right, want none", got)
	}
	if got := rightSteps(a, a.factor(t), back, 8); len(got) != 3 {
		t.Errorf("had none been used, the steps %v would be right, want three", got)
	}
	if got := rightSteps(a, f, midday.Add(time.Minute), 1); len(got) != 3 {
		t.Errorf("a minute on the steps %v are right, want three", got)
	}
}

func TestSKEW5_CodesAreRightAroundTheEndsOfTimeCounters(t *testing.T) {
	for _, at := range []time.Time{
		time.Unix(1<<31-1, 0), time.Unix(1<<31, 0), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
		time.Unix(1<<32-1, 0), time.Unix(1<<32, 0), time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC),
		time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Unix(1<<31*30-1, 0), time.Unix(1<<31*30, 0), // where the number of the step leaves 31 bits
		time.Unix(60, 0),
	} {
		a := apart(mfa.TOTPSeed{Digits: 8}, at, 20)
		if got := fmt.Sprint(rightSteps(a, a.factor(t), at, 20)); got != "[-1 0 1]" {
			t.Errorf("at %v the steps %s are right, want [-1 0 1]", at, got)
		}
		used, err := answer(a.factor(t), a.at(at, 0), at)
		if err != nil {
			t.Fatalf("the code at %v = %v, want no error", at, err)
		}
		if _, err := answer(used, a.at(at, 0), at.Add(30*time.Second)); err != mfa.ErrSpent {
			t.Errorf("the code at %v again = %v, want ErrSpent", at, err)
		}
	}
}

func TestNoCodeIsRightBeforeT0(t *testing.T) {
	a := apart(mfa.TOTPSeed{Digits: 8, T0: midday.Unix()}, midday, 20)
	f := a.factor(t)
	if got := fmt.Sprint(rightSteps(a, f, midday, 20)); got != "[0 1]" {
		t.Errorf("at T0 the steps %s are right, want [0 1]", got)
	}
	for _, before := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
		now := midday.Add(-before)
		for d := int64(-2); d <= 2; d++ {
			_, err := answer(f, a.at(now, d), now)
			if first := before == time.Second && d == 1; first != (err == nil) || !first && err != mfa.ErrWrongAnswer {
				t.Errorf("%v before T0 the code of step %d = %v", before, d, err)
			}
		}
	}
}

// Two steps may have the same code: one in a million does. It is good for each of them once.
func TestACodeThatTwoStepsShareSpendsTheEarlierOne(t *testing.T) {
	a, now := shared(t)
	code := a.at(now, -1)
	f, err := answer(a.factor(t), code, now)
	if err != nil {
		t.Fatalf("the code = %v, want no error", err)
	}
	if s := seed(t, f); s.Last != now.Unix()/30-1 {
		t.Errorf("it spent step %d, want the earlier one, %d", s.Last, now.Unix()/30-1)
	}
	if f, err = answer(f, code, now); err != nil {
		t.Fatalf("the code as that of the later step = %v, want no error", err)
	}
	if _, err := answer(f, code, now); err != mfa.ErrSpent {
		t.Errorf("the code for a third time = %v, want ErrSpent", err)
	}
}

// shared returns an app, and a time at which it has the same code a step before and now.
func shared(t *testing.T) (app, time.Time) {
	t.Helper()
	for n := range byte(255) {
		a, last := newApp(n), ""
		for step := int64(1); step < 40_000; step++ {
			code := hotp(mfa.SHA1, a.Key, uint64(step), 6)
			if code == last {
				return a, time.Unix(step*30, 0)
			}
			last = code
		}
	}
	t.Fatal("no two steps share a code")
	return app{}, time.Time{}
}

func seed(t *testing.T, f mfa.Factor) mfa.TOTPSeed {
	t.Helper()
	s, err := mfa.DecodeSeed(f.State)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
