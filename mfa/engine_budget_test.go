package mfa_test

import (
	"fmt"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// guess answers wrongly, and returns the refusal: wrong or too many.
func guess(d *enginetest.Desk, v mfa.Visit, app enginetest.App) *mfa.Refusal {
	d.Helper()
	_, err := d.Try(v, mfa.MethodTOTP, app.Wrong(1)[0])
	want := mfa.WhyWrongAnswer
	if enginetest.Why(err) == mfa.WhyTooMany {
		want = mfa.WhyTooMany
	}
	return enginetest.Refused(d, "a guess", err, want)
}

func TestAfterFiveWrongAnswersEachFurtherOneWaitsTwiceAsLong(t *testing.T) {
	for _, c := range []struct {
		name   string
		known  bool
		judged int // before the window is full
	}{{"a known browser", true, mfa.KnownADay}, {"an unknown browser", false, mfa.UnknownAMonth}} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			if c.known {
				v = d.SignInKnown("alice")
			}
			want := 30 * time.Second
			for i := 1; i < c.judged; i++ {
				r := guess(d, v, app)
				if i < mfa.FreeTries {
					if r.Why != mfa.WhyWrongAnswer || r.RetryAfter != 0 {
						t.Fatalf("wrong answer %d = %v after %v, want no wait", i, r, r.RetryAfter)
					}
					continue
				}
				if r.Why != mfa.WhyWrongAnswer || r.RetryAfter != want {
					t.Fatalf("wrong answer %d = %v and a wait of %v, want %v", i, r, r.RetryAfter, want)
				}
				d.Clock.Move(want - time.Second)
				if r = guess(d, v, app); r.Why != mfa.WhyTooMany || r.RetryAfter != time.Second {
					t.Fatalf("a second too early = %v after %v, want %s after 1s", r, r.RetryAfter, mfa.WhyTooMany)
				}
				d.Clock.Move(time.Second)
				want = min(2*want, time.Hour)
			}
			r := guess(d, v, app)
			if r.Why != mfa.WhyWrongAnswer || r.RetryAfter < 6*time.Hour {
				t.Errorf("wrong answer %d = %v and a wait of %v, want the window to be full", c.judged, r, r.RetryAfter)
			}
		})
	}
}

func TestARefusedTryReadsOnceAndWritesNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	v = d.SignIn("alice")
	late := d.Began(v, mfa.MethodTOTP)
	for range mfa.FreeTries {
		guess(d, v, app)
	}
	events := len(d.Events("alice"))
	if n := d.Count("alice", mfa.WaitBegan); n != 1 {
		t.Errorf("the start of the wait is told %d times, want once", n)
	}
	for range 3 {
		store.costs(t, "a refused beginning", 1, 0, func() {
			_, err := d.BeginVerify(t.Context(), v, mfa.MethodTOTP, "")
			enginetest.Refused(t, "BeginVerify", err, mfa.WhyTooMany)
		})
		store.costs(t, "a refused answer", 1, 0, func() {
			_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, late.Ticket, []byte(app.Code()))
			enginetest.Refused(t, "the right answer in a wait", err, mfa.WhyTooMany)
		})
		store.costs(t, "a refused misread answer", 1, 0, func() {
			_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, late.Ticket, []byte("no code"))
			enginetest.Refused(t, "what cannot be a code, in a wait", err, mfa.WhyTooMany)
		})
	}
	if n := len(d.Events("alice")); n != events {
		t.Errorf("refused tries left %d events, want none", n-events)
	}
	d.Clock.Move(mfa.FirstWait)
	if _, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, late.Ticket, []byte(app.Code())); err != nil {
		t.Errorf("after the wait the ticket = %v, want no error: a refused try does not spend it", err)
	}
}

// A browser is known from the time of its proof on, if the account has not forgotten what was known then.
func TestTheLaneIsThatOfTheBrowser(t *testing.T) {
	for _, c := range []struct {
		name  string
		known func(since, now time.Time) time.Time
		want  mfa.LaneID
	}{
		{"a browser that has never proved a factor", func(_, _ time.Time) time.Time { return time.Time{} }, mfa.UnknownLane},
		{"one that has just proved one", func(_, now time.Time) time.Time { return now }, mfa.KnownLane},
		{"one that proved one when the account began", func(since, _ time.Time) time.Time { return since }, mfa.KnownLane},
		{"one that proved one before", func(since, _ time.Time) time.Time {
			return since.Add(-time.Microsecond)
		}, mfa.UnknownLane},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			app := d.Enroll(&v)
			v.KnownAt = c.known(d.Kept("alice").KnownSince, d.Clock.Now())
			guess(d, v, app)
			for id, lane := range d.Kept("alice").Lanes {
				want := map[bool]int{true: 1, false: 0}[mfa.LaneID(id) == c.want]
				if lane.Row != want {
					t.Errorf("lane %d counts %d wrong answers, want %d", id, lane.Row, want)
				}
			}
			events := d.Events("alice")
			if last := events[len(events)-1]; last.Known != (c.want == mfa.KnownLane) {
				t.Errorf("the event says Known = %v", last.Known)
			}
		})
	}
}

func TestARightAnswerClearsTheRowOfItsOwnLaneAndNoWindow(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	known := d.SignInKnown("alice")
	for range 4 {
		guess(d, known, app)
		guess(d, v, app)
	}
	if wrong := d.Kept("alice").Factors[0].Wrong; wrong != 8 {
		t.Errorf("the factor counts %d wrong answers in a row, want 8 of both lanes", wrong)
	}
	d.Prove(&known, mfa.MethodTOTP, app.Code())
	acct := d.Kept("alice")
	if k, u := acct.Lanes[mfa.KnownLane].Row, acct.Lanes[mfa.UnknownLane].Row; k != 0 || u != 4 {
		t.Errorf("the rows are %d and %d, want 0 of the known lane and 4 of the other", k, u)
	}
	if acct.Factors[0].Wrong != 0 {
		t.Errorf("the factor still counts %d wrong answers in a row, want 0", acct.Factors[0].Wrong)
	}
	if days := acct.Lanes[mfa.KnownLane].Days; len(days) != 1 || days[0].Wrong != 4 {
		t.Errorf("the windows hold %v, want 4 wrong answers of one day", days)
	}
}

func TestASpentCodeIsRefusedLikeAWrongOneAndCostsNoGuess(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	used := app.Code()
	d.Prove(&v, mfa.MethodTOTP, used)
	for range 2 * mfa.FreeTries {
		_, err := d.Try(d.SignIn("alice"), mfa.MethodTOTP, used)
		r := enginetest.Refused(t, "a spent code", err, mfa.WhyWrongAnswer)
		if r.Retry == nil || r.RetryAfter != 0 {
			t.Fatalf("a spent code waits for %v, ticket %v; want no wait, and a ticket", r.RetryAfter, r.Retry)
		}
	}
	if n := d.Count("alice", mfa.AnswerSpent); n != 2*mfa.FreeTries {
		t.Errorf("%d spent answers are told, want %d", n, 2*mfa.FreeTries)
	}
	acct := d.Kept("alice")
	if lane := acct.Lanes[mfa.UnknownLane]; lane.Row != 0 || len(lane.Days) != 0 || acct.Factors[0].Wrong != 0 {
		t.Errorf("the lane is %+v, want nothing charged", lane)
	}
}

func TestAHundredWrongAnswersInARowStopAFactorAndTell(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	other := d.Enroll(&v)
	known := d.SignInKnown("alice")
	judged := 0
	for range 200 { // guess in both lanes whenever one is open
		for _, visit := range []mfa.Visit{known, v} {
			b, err := d.BeginVerify(t.Context(), visit, mfa.MethodTOTP, app.FactorID)
			if err != nil || b.Prompt.(mfa.OTPPrompt).Codes > 1 {
				continue // no guess is judged any more
			}
			_, err = d.FinishVerify(t.Context(), visit, mfa.MethodTOTP, b.Ticket, []byte(app.Wrong(1)[0]))
			r := enginetest.Refused(t, "a guess", err, mfa.WhyWrongAnswer)
			if judged++; judged == mfa.MaxWrong && r.Retry != nil {
				t.Error("the last wrong answer is followed by a ticket of a stopped factor")
			}
		}
		d.Clock.Move(12 * time.Hour)
	}
	f, _ := d.Kept("alice").Factor(app.FactorID)
	if judged != mfa.MaxWrong || f.Off != mfa.StoppedByGuesses || f.Wrong != mfa.MaxWrong {
		t.Errorf("%d were judged, and the factor is off by %v; want %d and %v",
			judged, f.Off, mfa.MaxWrong, mfa.StoppedByGuesses)
	}
	if n := d.Count("alice", mfa.FactorStopped); n != 1 {
		t.Errorf("it is told %d times, want once", n)
	}
	rec, err := d.Store.Load(t.Context(), "alice")
	if err != nil || !rec.Summary.Stopped {
		t.Errorf("the summary says stopped = %v, %v; want true", rec.Summary.Stopped, err)
	}
	d.ProveApp(&known, other)
}

// foreignCodes returns n recovery codes that are right, but somebody else's.
func foreignCodes(d *enginetest.Desk, n int) []string {
	d.Helper()
	var codes []string
	for i := 0; len(codes) < n; i++ {
		v := d.SignIn(fmt.Sprint("other ", i))
		d.Enroll(&v)
		set, _ := d.EnrollRecovery(&v)
		codes = append(codes, set...)
	}
	return codes[:n]
}

func TestOfWrongAnswersThatAreNoGuessesTenAMinuteAreRemembered(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	d.Enroll(&v)
	codes, _ := d.EnrollRecovery(&v)
	wrong := foreignCodes(d, mfa.SwiftAMinute+5)
	v = d.SignIn("alice")
	for i, code := range wrong {
		b := d.Began(v, mfa.MethodRecovery)
		want, saves := mfa.WhyWrongAnswer, int64(1)
		if i >= mfa.SwiftAMinute {
			want, saves = mfa.WhyTooMany, 0
		}
		store.costs(t, fmt.Sprint("wrong code ", i+1), 1, saves, func() {
			_, err := d.FinishVerify(t.Context(), v, mfa.MethodRecovery, b.Ticket, []byte(code))
			r := enginetest.Refused(t, fmt.Sprint("wrong code ", i+1), err, want)
			if want == mfa.WhyTooMany && (r.RetryAfter <= 0 || r.RetryAfter > time.Minute) {
				t.Errorf("wrong code %d waits for %v, want up to a minute", i+1, r.RetryAfter)
			}
		})
	}
	if lane := d.Kept("alice").Lanes[mfa.UnknownLane]; lane.Row != 0 || len(lane.Days) != 0 {
		t.Errorf("the lane is %+v, want no guess charged", lane)
	}
	owner := d.SignIn("alice")
	d.Prove(&owner, mfa.MethodRecovery, codes[0])
	d.Clock.Move(time.Minute)
	_, err := d.Try(v, mfa.MethodRecovery, wrong[0])
	enginetest.Refused(t, "a wrong code a minute later", err, mfa.WhyWrongAnswer)
}

// Whoever has found a used recovery code could otherwise fill the account with answered tickets.
func TestASpentRecoveryCodeIsCountedLikeAWrongOne(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	d.Enroll(&v)
	codes, _ := d.EnrollRecovery(&v)
	d.Prove(&v, mfa.MethodRecovery, codes[0])
	for range mfa.SwiftAMinute {
		_, err := d.Try(d.SignIn("alice"), mfa.MethodRecovery, codes[0])
		enginetest.Refused(t, "a spent code", err, mfa.WhyWrongAnswer)
	}
	store.costs(t, "one more", 2, 0, func() {
		_, err := d.Try(d.SignIn("alice"), mfa.MethodRecovery, codes[0])
		enginetest.Refused(t, "one more", err, mfa.WhyTooMany)
	})
	d.Prove(&v, mfa.MethodRecovery, codes[1])
}

func TestALaneRemembers128TicketsAndThenJudgesNoTypedAnswer(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	codes, _ := d.EnrollRecovery(&v)
	used := app.Code()
	d.Prove(&v, mfa.MethodTOTP, used)
	had := len(d.Kept("alice").Answered)
	for i := had; i < mfa.MaxAnswered; i++ {
		_, err := d.Try(v, mfa.MethodTOTP, used)
		enginetest.Refused(t, fmt.Sprint("answer ", i), err, mfa.WhyWrongAnswer)
	}
	_, err := d.Try(v, mfa.MethodTOTP, used)
	if r := enginetest.Refused(t, "one more", err, mfa.WhyTooMany); r.RetryAfter <= 0 || r.RetryAfter > mfa.TicketLife {
		t.Errorf("it waits for %v, want until a ticket expires", r.RetryAfter)
	}
	b := d.BeganEnrollment(v, mfa.MethodTOTP)
	_, err = d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket,
		[]byte(enginetest.NewApp(t, d.Clock, b.Prompt).Code()), "")
	enginetest.Refused(t, "a confirmation", err, mfa.WhyTooMany)
	if n := len(d.Kept("alice").Answered); n != mfa.MaxAnswered {
		t.Errorf("%d tickets are remembered, want %d", n, mfa.MaxAnswered)
	}
	known := d.SignInKnown("alice")
	_, err = d.Try(known, mfa.MethodTOTP, used)
	enginetest.Refused(t, "in the other lane", err, mfa.WhyWrongAnswer)
	d.Prove(&v, mfa.MethodRecovery, codes[0])
	d.Clock.Move(mfa.TicketLife + enginetest.Step)
	d.Prove(&v, mfa.MethodTOTP, app.Code())
}
