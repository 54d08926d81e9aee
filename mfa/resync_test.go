package mfa_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// errNoCode stands for what Canonical does not take: it is refused without being judged.
var errNoCode = errors.New("this cannot be a code")

// typeTOTP types into a factor, as the Engine does, and returns the factor that comes of it.
func typeTOTP(f mfa.Factor, typed string, now time.Time) (mfa.Factor, error) {
	code, ok := mfa.TOTP{}.Canonical(f, []byte(typed))
	if !ok {
		return f, errNoCode
	}
	out, err := mfa.TOTP{}.Finish(context.Background(), mfa.Attempt{Factor: f, Answer: code, Now: now})
	if err != nil {
		return f, err
	}
	return out.Factor, nil
}

// row is n codes in a row, the first of them d steps from now.
func (a app) row(now time.Time, d int64, n int) string {
	codes := ""
	for i := range n {
		codes += a.at(now, d+int64(i))
	}
	return codes
}

func TestTwoCodesInARowBringAClockBackIntoStep(t *testing.T) {
	for _, c := range []struct {
		name  string
		seed  mfa.TOTPSeed
		ahead int64 // of the first of the two
		right bool
	}{
		{"a clock that is right", mfa.TOTPSeed{}, 0, true},
		{"a clock an hour ahead", mfa.TOTPSeed{}, 120, true},
		{"a clock an hour behind", mfa.TOTPSeed{}, -120, true},
		{"a day ahead", mfa.TOTPSeed{}, 2880, true},
		{"a day behind", mfa.TOTPSeed{}, -2880, true},
		{"more than a day ahead", mfa.TOTPSeed{}, 2882, false},
		{"more than a day behind", mfa.TOTPSeed{}, -2882, false},
		{"an imported clock an hour ahead that was put right", mfa.TOTPSeed{Drift: 120}, 0, true},
		{"an imported clock weeks ahead that has moved on", mfa.TOTPSeed{Drift: 60_000}, 60_100, true},
		{"an imported clock weeks behind that has moved on", mfa.TOTPSeed{Drift: -60_000}, -62_000, true},
		{"an imported clock weeks ahead that was put right", mfa.TOTPSeed{Drift: 60_000}, -1, true},
		{"between what was imported and what is right", mfa.TOTPSeed{Drift: 60_000}, 30_000, false},
		{"as far as a drift may be", mfa.TOTPSeed{Drift: 100_000}, 99_998, false},
		{"eight digits", mfa.TOTPSeed{Digits: 8}, 700, true},
		{"steps of a minute", mfa.TOTPSeed{Period: time.Minute, Algorithm: mfa.SHA256}, -700, true},
	} {
		a := app{c.seed}
		a.Key = newApp(3).Key
		f := a.factor(t)
		next, err := typeTOTP(f, a.row(midday, c.ahead, 2), midday)
		if (err == nil) != c.right || err != nil && err != mfa.ErrWrongAnswer {
			t.Errorf("%s = %v, want right: %v", c.name, err, c.right)
		}
		if err != nil {
			continue
		}
		if s := seed(t, next); int64(s.Drift) != c.ahead+1 || s.MaxDrift < max(s.Drift, -s.Drift) {
			t.Errorf("%s leaves a drift of %d of at most %d, want %d", c.name, s.Drift, s.MaxDrift, c.ahead+1)
		}
		for _, d := range []int64{c.ahead, c.ahead + 1} {
			if _, err := typeTOTP(next, a.at(midday, d), midday); err == nil {
				t.Errorf("%s: the code of step %d is good once more", c.name, d)
			}
		}
		later := midday.Add(2 * cmpPeriod(a))
		if _, err := typeTOTP(next, a.at(later, c.ahead+1), later); err != nil {
			t.Errorf("%s: the code that the app shows two steps later = %v, want no error", c.name, err)
		}
	}
}

func cmpPeriod(a app) time.Duration { return max(a.Period, 30*time.Second) }

func TestTwoCodesThatAreNotInARowAreWrong(t *testing.T) {
	a := apart(mfa.TOTPSeed{}, midday, 20)
	f := a.factor(t)
	for name, typed := range map[string]string{
		"the same one twice":     a.at(midday, 0) + a.at(midday, 0),
		"the wrong way round":    a.at(midday, 1) + a.at(midday, 0),
		"with one between them":  a.at(midday, 0) + a.at(midday, 2),
		"a right and a wrong":    a.at(midday, 0) + a.at(midday, 9),
		"a wrong and a right":    a.at(midday, 9) + a.at(midday, 0),
		"of an app of another's": newApp(200).row(midday, 0, 2),
	} {
		if _, err := typeTOTP(f, typed, midday); err != mfa.ErrWrongAnswer {
			t.Errorf("two codes %s = %v, want ErrWrongAnswer", name, err)
		}
	}
	for _, n := range []int{3, 4} {
		if _, err := typeTOTP(f, a.row(midday, 0, n), midday); err != errNoCode {
			t.Errorf("%d codes for a factor in use = %v, want no answer at all", n, err)
		}
	}
}

// A step that may have been used is never right again, so a clock that was ahead and was put right waits until time has
// passed the last step that it has used.
func TestResyncNeverTakesAStepThatMayHaveBeenUsed(t *testing.T) {
	a := apart(mfa.TOTPSeed{}, midday, 60)
	f, err := typeTOTP(a.factor(t), a.row(midday, 40, 2), midday)
	if err != nil {
		t.Fatal(err)
	}
	for d := int64(-60); d <= 41; d++ {
		if _, err := typeTOTP(f, a.row(midday, d, 2), midday); err == nil {
			t.Errorf("after step 41 the two codes from step %d on are right", d)
		}
	}
	passed := midday.Add(42 * 30 * time.Second)
	if _, err := typeTOTP(f, a.row(passed, 0, 2), passed); err != nil {
		t.Errorf("once time has passed step 41 = %v, want no error", err)
	}
	if _, err := typeTOTP(f, a.row(passed, -1, 2), passed); err == nil {
		t.Error("two codes of which the first is of step 41 are right")
	}
}

// astray is a user whose phone is some steps ahead, and a fresh login of theirs.
func astray(t *testing.T, ahead int64) (*enginetest.Desk, mfa.Visit, app) {
	t.Helper()
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	phone := d.Enroll(&v)
	d.Clock.Move(time.Hour)
	return d, d.SignIn("alice"), app{mfa.TOTPSeed{Key: phone.Secret, Drift: int(ahead)}}
}

// wrongly answers a ticket with what is refused, and returns the refusal.
func wrongly(d *enginetest.Desk, v mfa.Visit, ticket, typed string) *mfa.Refusal {
	d.Helper()
	_, err := d.FinishVerify(d.Context(), v, mfa.MethodTOTP, ticket, []byte(typed))
	return enginetest.Refused(d, "an answer", err, mfa.WhyWrongAnswer)
}

func TestTheClockIsSpokenOfOnlyAfterTwoAnswersThatAgree(t *testing.T) {
	for _, c := range []struct {
		name          string
		first, second int64 // how far the codes are ahead of the time at which they are typed
		gap           time.Duration
		want          string
	}{
		{"two codes of one clock", 25, 25, 30 * time.Second, mfa.HintClock},
		{"two codes of a clock that is behind, some time apart", -25, -25, 3 * time.Minute, mfa.HintClock},
		{"the same code twice", 25, 24, 30 * time.Second, ""},
		{"the same code twice within its step", 25, 25, 0, ""},
		{"two codes of different clocks", 25, 30, 30 * time.Second, ""},
		{"a clock farther away than is looked for", 5000, 5000, 30 * time.Second, ""},
	} {
		d, v, phone := astray(t, c.first)
		b := d.Began(v, mfa.MethodTOTP)
		r := wrongly(d, v, b.Ticket, phone.at(d.Clock.Now(), c.first))
		if r.Hint != "" {
			t.Errorf("%s: the first answer gets the hint %q, want none", c.name, r.Hint)
		}
		d.Clock.Move(c.gap)
		if r = wrongly(d, v, r.Retry.Ticket, phone.at(d.Clock.Now(), c.second)); r.Hint != c.want {
			t.Errorf("%s: the second answer gets the hint %q, want %q", c.name, r.Hint, c.want)
		}
	}
}

func TestAHintNeedsTwoAnswersInARowInOneChain(t *testing.T) {
	const ahead = 25
	d, v, phone := astray(t, ahead)
	b, other := d.Began(v, mfa.MethodTOTP), d.Began(v, mfa.MethodTOTP)
	r := wrongly(d, v, b.Ticket, phone.at(d.Clock.Now(), ahead))
	d.Clock.Move(enginetest.Step)
	if r := wrongly(d, v, other.Ticket, phone.at(d.Clock.Now(), ahead)); r.Hint != "" {
		t.Errorf("the answer to another ticket gets the hint %q, want none", r.Hint)
	}
	r = wrongly(d, v, r.Retry.Ticket, "000000")
	d.Clock.Move(enginetest.Step)
	if r = wrongly(d, v, r.Retry.Ticket, phone.at(d.Clock.Now(), ahead)); r.Hint != "" {
		t.Errorf("an answer after one that does not agree gets the hint %q, want none", r.Hint)
	}
	d.Clock.Move(time.Hour) // the row of wrong answers has a wait by now
	now := d.Clock.Now()
	done, err := d.Try(v, mfa.MethodTOTP, phone.row(now, ahead-1, 2))
	if err != nil {
		t.Fatalf("two codes in a row = %v, want no error", err)
	}
	d.Clock.Move(2 * enginetest.Step)
	v.Assurance = done.Assurance
	d.Prove(&v, mfa.MethodTOTP, phone.at(d.Clock.Now(), ahead))
}

// Who looks at a ticket, which is sealed, must not see whether its answer was right and used before.
func TestTheTicketAfterASpentAnswerIsAsLongAsAfterAWrongOne(t *testing.T) {
	d, v, phone := astray(t, 0)
	d.Prove(&v, mfa.MethodTOTP, phone.at(d.Clock.Now(), 0))
	spent := wrongly(d, v, d.Began(v, mfa.MethodTOTP).Ticket, phone.at(d.Clock.Now(), 0))
	wrong := wrongly(d, v, d.Began(v, mfa.MethodTOTP).Ticket, phone.at(d.Clock.Now(), 70))
	if n := d.Count("alice", mfa.AnswerSpent); n != 1 {
		t.Fatalf("%d answers were spent, want 1", n)
	}
	if a, b := len(spent.Retry.Ticket), len(wrong.Retry.Ticket); a != b {
		t.Errorf("the ticket after a spent answer has %d bytes, and %d after a wrong one", a, b)
	}
	if spent.Error() != wrong.Error() || spent.Hint != wrong.Hint {
		t.Errorf("a spent answer is told as %v, and a wrong one as %v", spent, wrong)
	}
}
