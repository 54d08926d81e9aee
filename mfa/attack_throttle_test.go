package mfa_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// ours is alice's app after the positive control: her code opens, a wrong one does not.
func ours(d *enginetest.Desk) enginetest.App {
	d.Helper()
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	v = d.SignIn("alice")
	d.Prove(&v, mfa.MethodTOTP, app.Code())
	if got := d.Action(mfa.Policy{}, v); got != mfa.Allow {
		d.Fatalf("with the right code Decide = %v, want %v", got, mfa.Allow)
	}
	d.Clock.Move(enginetest.Step)
	return app
}

// judged returns how many wrong answers were judged, as the events say.
func judged(d *enginetest.Desk) int { return d.Count("alice", mfa.WrongAnswer) }

func TestTHROTTLE1_AThousandWrongCodesThenTheRightOne(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	app := ours(d)
	attacker := d.SignIn("alice")
	b := d.Began(attacker, mfa.MethodTOTP)
	for _, code := range append(app.Wrong(1000), app.Code()) {
		_, err := d.FinishVerify(t.Context(), attacker, mfa.MethodTOTP, b.Ticket, []byte(code))
		if err == nil {
			t.Fatal("the right code opened after a thousand wrong ones")
		}
		if enginetest.Why(err) == mfa.WhyWrongAnswer {
			b = *enginetest.Refused(t, "a code", err, mfa.WhyWrongAnswer).Retry
		}
	}
	if n := judged(d); n != mfa.FreeTries {
		t.Errorf("%d codes were judged, want %d", n, mfa.FreeTries)
	}
	if got := d.Action(mfa.Policy{}, attacker); got != mfa.Verify {
		t.Errorf("the attacker's Decide = %v, want %v", got, mfa.Verify)
	}
}

func TestTHROTTLE2_AFreshLoginForEachGuessHasTheSameBudget(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	app := ours(d)
	for i, code := range app.Wrong(200) {
		v := d.SignIn("alice")
		v.Address = fmt.Sprint("198.51.100.", i)
		if _, err := d.Try(v, mfa.MethodTOTP, code); err == nil {
			t.Fatal("a wrong code opened")
		}
	}
	if n := judged(d); n != mfa.FreeTries {
		t.Errorf("%d codes were judged, want %d", n, mfa.FreeTries)
	}
}

func TestTHROTTLE4_NoOtherSuccessResetsTheRow(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	app := ours(d)
	bob := d.SignIn("bob")
	bobs := d.Enroll(&bob)
	refused := 0
	for range 50 {
		attacker := d.SignIn("alice") // the password alone succeeds, each time
		for _, code := range app.Wrong(mfa.FreeTries - 1) {
			if _, err := d.Try(attacker, mfa.MethodTOTP, code); enginetest.Why(err) == mfa.WhyTooMany {
				refused++
			}
		}
		bob = d.SignIn("bob") // and so does a factor of the attacker's own, in the same browser
		d.Clock.Move(enginetest.Step)
		d.Prove(&bob, mfa.MethodTOTP, bobs.Code())
	}
	// 25 minutes of waits that double leave room for few more than the free tries.
	if n := judged(d); n > mfa.FreeTries+6 || refused < 150 {
		t.Errorf("%d codes were judged and %d refused, want at most %d judged", n, refused, mfa.FreeTries+6)
	}
}

func TestTHROTTLE9_TheBudgetHoldsOverNodesAndRestarts(t *testing.T) {
	store := mfa.NewMemory()
	d := enginetest.New(t, store)
	app := ours(d)
	nodes := []*enginetest.Desk{d, d.Beside(store), d.Beside(store)}
	codes := app.Wrong(60)
	try := func(i int) error {
		node := nodes[i%len(nodes)]
		_, err := node.Try(node.SignIn("alice"), mfa.MethodTOTP, codes[i])
		return err
	}
	for i := range 3 {
		enginetest.Refused(t, "a wrong code", try(i), mfa.WhyWrongAnswer)
	}
	for i := range nodes { // all nodes die, and come back with nothing but the store
		nodes[i] = d.Beside(store)
	}
	for i := 3; i < len(codes); i++ {
		if err := try(i); err == nil {
			t.Fatal("a wrong code opened")
		}
	}
	if n := judged(d); n != mfa.FreeTries {
		t.Errorf("%d codes were judged, want %d", n, mfa.FreeTries)
	}
}

// A year of four guesses a day while the owner signs in every day, from a browser that is known and from one that never
// is: then her own success ends the row each day, and only the windows are left.
func TestTHROTTLE10_APatientAttackerGetsAHundredGuessesAYear(t *testing.T) {
	for _, c := range []struct {
		name  string
		known bool
	}{{"the owner's browser is known", true}, {"the owner's browser is never known", false}} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			app := ours(d)
			for range 365 {
				for range 4 {
					_, _ = d.Try(d.SignIn("alice"), mfa.MethodTOTP, app.Wrong(1)[0])
				}
				d.Clock.Move(12 * time.Hour)
				owner := d.SignIn("alice")
				if c.known {
					owner = d.SignInKnown("alice")
				}
				if _, err := d.Try(owner, mfa.MethodTOTP, app.Code()); c.known && err != nil {
					t.Fatalf("the owner in her known browser = %v, want no error", err)
				}
				d.Clock.Move(12 * time.Hour)
			}
			if n := judged(d); n > mfa.UnknownAYear || n < mfa.UnknownAMonth {
				t.Errorf("%d guesses were judged in a year, want at most %d", n, mfa.UnknownAYear)
			}
			if c.known && d.Count("alice", mfa.WrongInARow) == 0 {
				t.Error("nobody was told after the fifth wrong answer")
			}
		})
	}
}

// An attacker who asks every six hours for two years: no span of 30 or of 365 days holds more than its window.
func TestTHROTTLE10_NoSpanOfAYearHoldsMoreThanItsWindow(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	app := ours(d)
	var at []time.Time
	for range 2 * 365 * 4 {
		if r := guess(d, d.SignIn("alice"), app); r.Why == mfa.WhyWrongAnswer {
			at = append(at, d.Clock.Now())
			// Without this the factor is stopped after a hundred, which ends it even sooner.
			turn(d, "alice", func(acct *mfa.Account) { acct.Factors[0].Wrong = 0 })
		}
		d.Clock.Move(6 * time.Hour)
	}
	for _, w := range []struct {
		span  time.Duration
		limit int
	}{{30 * 24 * time.Hour, mfa.UnknownAMonth}, {365 * 24 * time.Hour, mfa.UnknownAYear}} {
		for i := w.limit; i < len(at); i++ {
			if span := at[i].Sub(at[i-w.limit]); span < w.span {
				t.Fatalf("%d guesses were judged within %v, want at most %d in %v", w.limit+1, span, w.limit, w.span)
			}
		}
	}
	if len(at) < mfa.UnknownAYear {
		t.Errorf("%d guesses were judged in two years: too few to tell", len(at))
	}
}

func TestTHROTTLE12_WhoKnowsThePasswordCannotShutTheOwnerOut(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	enrollToken(d, &v, mfa.MethodPasskey, "key")
	var wait time.Duration
	for range 20 {
		wait = guess(d, d.SignIn("alice"), app).RetryAfter
	}
	if wait <= 0 {
		t.Fatal("the attacker need not wait")
	}
	stranger := d.SignIn("alice")
	proveToken(d, &stranger, mfa.MethodPasskey, "key")
	if n := d.Count("alice", mfa.WrongInARow); n != 1 {
		t.Errorf("the owner is told %d times, want once", n)
	}
	known := d.SignInKnown("alice")
	for range mfa.FreeTries - 1 {
		guess(d, known, app)
	}
	d.ProveApp(&known, app)
	if got := d.Action(mfa.Policy{}, known); got != mfa.Allow {
		t.Errorf("in her known browser Decide = %v, want %v", got, mfa.Allow)
	}
}
