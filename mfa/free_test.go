package mfa_test

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// stopped is a desk at which wrong guesses have stopped alice's app, and a fresh login of hers.
func stopped(t *testing.T) (*enginetest.Desk, mfa.Visit, app) {
	t.Helper()
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	phone := d.Enroll(&v)
	turn(d, "alice", func(acct *mfa.Account) {
		acct.Factors[0].Off, acct.Factors[0].Wrong = mfa.StoppedByGuesses, mfa.MaxWrong
		acct.Lanes[mfa.UnknownLane].Row = 7
	})
	d.Clock.Move(time.Hour)
	return d, d.SignIn("alice"), app{mfa.TOTPSeed{Key: phone.Secret}}
}

// freeing begins to free alice's factor, which needs its id: it is not one of the choices.
func freeing(d *enginetest.Desk, v mfa.Visit) (mfa.Begun, error) {
	d.Helper()
	return d.BeginVerify(d.Context(), v, mfa.MethodTOTP, d.Kept("alice").Factors[0].ID)
}

// tryFreeing answers with what the phone shows, or not.
func tryFreeing(d *enginetest.Desk, v mfa.Visit, typed string) (mfa.Done, error) {
	d.Helper()
	b, err := freeing(d, v)
	if err != nil {
		return mfa.Done{}, err
	}
	return d.FinishVerify(d.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(typed))
}

func TestTheOwnerFreesAStoppedFactorWithThreeCodesInARow(t *testing.T) {
	d, v, phone := stopped(t)
	if list := d.Freeable(d.Kept("alice")); len(list) != 1 {
		t.Fatalf("%d factors can be freed, want 1", len(list))
	}
	if _, err := d.BeginVerify(t.Context(), v, mfa.MethodTOTP, ""); enginetest.Why(err) != mfa.WhyNotFound {
		t.Errorf("BeginVerify without naming it = %v, want the refusal %s", err, mfa.WhyNotFound)
	}
	b, err := freeing(d, v)
	if err != nil || b.Prompt.(mfa.OTPPrompt).Codes != 3 {
		t.Fatalf("BeginVerify = %+v, %v; want to be asked for three codes", b.Prompt, err)
	}
	before := d.Kept("alice").Lanes
	for i, few := range []int{1, 2, 4} {
		codes := phone.row(d.Clock.Now(), 0, few)
		_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(codes))
		r := enginetest.Refused(t, "not three codes", err, mfa.WhyWrongAnswer)
		if r.Detail == "" || r.Retry.Ticket != b.Ticket {
			t.Errorf("try %d of not three codes was judged: %v", i+1, r)
		}
	}
	done, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(phone.row(d.Clock.Now(), -1, 3)))
	if err != nil || done.Proof.FactorID != b.Factor.ID {
		t.Fatalf("three codes in a row = %+v, %v; want a proof of the factor", done.Proof, err)
	}
	kept := d.Kept("alice")
	if f := kept.Factors[0]; f.Off != 0 || f.Wrong != 0 {
		t.Errorf("the factor is off for %d with %d wrong answers, want it in use", f.Off, f.Wrong)
	}
	if kept.Lanes[mfa.KnownLane].Row != before[mfa.KnownLane].Row || kept.Lanes[mfa.UnknownLane].Row != 7 {
		t.Errorf("freeing changed the lanes to rows of %d and %d", kept.Lanes[0].Row, kept.Lanes[1].Row)
	}
	if n := d.Count("alice", mfa.FactorFreed); n != 1 {
		t.Errorf("freeing is told %d times, want once", n)
	}
	v.Assurance = done.Assurance
	if got := d.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Errorf("the proof of a freed factor: Decide = %v, want %v", got, mfa.Allow)
	}
	d.Clock.Move(2 * enginetest.Step)
	turn(d, "alice", func(acct *mfa.Account) { acct.Lanes[mfa.UnknownLane] = mfa.Lane{} })
	d.Prove(&v, mfa.MethodTOTP, phone.at(d.Clock.Now(), 0))
}

func TestThreeTriesADayToFreeAFactorOutsideBothLanes(t *testing.T) {
	d, v, phone := stopped(t)
	wrong := phone.at(d.Clock.Now(), 0) + phone.at(d.Clock.Now(), 1) + phone.at(d.Clock.Now(), 3)
	before := d.Kept("alice").Lanes
	for i := range mfa.FreesADay {
		_, err := tryFreeing(d, v, wrong)
		r := enginetest.Refused(t, "three wrong codes", err, mfa.WhyWrongAnswer)
		if last := i == mfa.FreesADay-1; (r.RetryAfter > 0) != last {
			t.Errorf("try %d is to wait for %v", i+1, r.RetryAfter)
		}
	}
	_, err := tryFreeing(d, v, phone.row(d.Clock.Now(), 0, 3))
	r := enginetest.Refused(t, "the fourth try", err, mfa.WhyTooMany)
	known := d.SignInKnown("alice")
	_, err = tryFreeing(d, known, phone.row(d.Clock.Now(), 0, 3))
	enginetest.Refused(t, "the fourth try, in a known browser", err, mfa.WhyTooMany)
	kept := d.Kept("alice")
	for id := range kept.Lanes {
		if len(kept.Lanes[id].Days) != len(before[id].Days) || kept.Lanes[id].Row != before[id].Row {
			t.Errorf("lane %d was charged: %+v", id, kept.Lanes[id])
		}
	}
	d.Clock.Move(r.RetryAfter - time.Second)
	_, err = tryFreeing(d, v, phone.row(d.Clock.Now(), 0, 3))
	enginetest.Refused(t, "a second before the next day", err, mfa.WhyTooMany)
	d.Clock.Move(time.Second)
	if _, err = tryFreeing(d, v, phone.row(d.Clock.Now(), 0, 3)); err != nil {
		t.Errorf("the next day = %v, want no error", err)
	}
}

// A lane that is exhausted, as it is after so many wrong guesses, does not keep the owner from it.
func TestAnExhaustedLaneDoesNotKeepTheOwnerFromFreeing(t *testing.T) {
	d, v, phone := stopped(t)
	turn(d, "alice", func(acct *mfa.Account) {
		acct.Lanes[mfa.UnknownLane].Days = []mfa.Day{{Number: d.Clock.Now().Unix() / 86400, Wrong: mfa.UnknownAYear}}
	})
	if _, err := tryFreeing(d, v, phone.row(d.Clock.Now(), 0, 3)); err != nil {
		t.Errorf("three codes in a row = %v, want no error", err)
	}
}

func TestOnlyWhatGuessesAloneHaveStoppedCanBeFreed(t *testing.T) {
	for name, off := range map[string]mfa.Off{
		"paused too":             mfa.StoppedByGuesses | mfa.Paused,
		"stopped by support too": mfa.StoppedByGuesses | mfa.StoppedBySupport,
		"paused":                 mfa.Paused, "stopped by support": mfa.StoppedBySupport,
	} {
		d, v, phone := stopped(t)
		late, err := freeing(d, v)
		if err != nil {
			t.Fatalf("%s: the control = %v", name, err)
		}
		turn(d, "alice", func(acct *mfa.Account) { acct.Factors[0].Off = off })
		_, err = freeing(d, v)
		enginetest.Refused(t, name+": BeginVerify", err, mfa.WhyNotFound)
		_, err = d.FinishVerify(t.Context(), v, mfa.MethodTOTP, late.Ticket, []byte(phone.row(d.Clock.Now(), 0, 3)))
		enginetest.Refused(t, name+": FinishVerify", err, mfa.WhyNoTicket)
	}
}

func TestHOTPIsFreedWithThreeCodesInARow(t *testing.T) {
	b := newButton(mfa.HOTPSeed{Counter: 20})
	f := b.factor(t)
	f.Off = mfa.StoppedByGuesses
	if !(mfa.HOTP{}).Frees(f) {
		t.Error("Frees = false, want true")
	}
	for _, few := range []string{b.row(20, 1), b.row(20, 2), b.row(20, 4)} {
		if _, err := typeHOTP(f, few); err != errNoCode {
			t.Errorf("%d digits = %v, want no answer at all", len(few), err)
		}
		out, err := mfa.HOTP{}.Finish(context.Background(), mfa.Attempt{Factor: f, Answer: []byte(few)})
		if err != mfa.ErrWrongAnswer || out.Factor.State != nil {
			t.Errorf("Finish of %d digits = %+v, %v; want ErrWrongAnswer", len(few), out, err)
		}
	}
	if _, err := typeHOTP(f, b.row(19, 3)); err != mfa.ErrWrongAnswer {
		t.Errorf("three of which one is used = %v, want ErrWrongAnswer", err)
	}
	next, err := typeHOTP(f, b.row(40, 3))
	if s, _ := mfa.DecodeHOTP(next.State); err != nil || s.Counter != 43 {
		t.Errorf("three in a row = %v and a counter of %d, want no error and 43", err, s.Counter)
	}
}
