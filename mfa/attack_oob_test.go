package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// bySent is a policy for which a sent code is enough.
var bySent = mfa.Policy{Factors: 1, Min: mfa.Sent}

// opens demands that a code proves its factor: the positive control.
func (p post) opens(what string, v mfa.Visit, b mfa.Begun, code string) mfa.Visit {
	p.Helper()
	done, err := p.answer(v, b, code)
	if err != nil {
		p.Fatalf("%s: the code = %v, want no error", what, err)
	}
	v.Assurance = done.Assurance
	if got := p.Action(bySent, v); got != mfa.Allow {
		p.Fatalf("%s: Decide = %v, want %v", what, got, mfa.Allow)
	}
	return v
}

// dead demands that a code is refused, as wrong or for its ticket.
func (p post) dead(what string, v mfa.Visit, b mfa.Begun, code string) {
	p.Helper()
	p.rested(v.User.ID)
	done, err := p.answer(v, b, code)
	if why := enginetest.Why(err); why != mfa.WhyWrongAnswer && why != mfa.WhyNoTicket {
		p.Errorf("%s: the code = %+v, %v; want it to be refused", what, done.Proof, err)
	}
}

func TestOOB1_AThousandWrongCodesThenTheRightOne(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	b, code := p.sent(v)
	p.opens("the control", v, b, code)
	p.again()
	v = p.signIn("alice")
	b, code = p.sent(v)
	judged := 0
	for range 1000 {
		_, err := p.answer(v, b, otherThan(code))
		if enginetest.Why(err) == mfa.WhyWrongAnswer {
			judged++
			b = *enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer).Retry
		}
	}
	if judged != mfa.FreeTries {
		t.Errorf("%d of 1,000 codes were judged, want %d", judged, mfa.FreeTries)
	}
	p.dead("after a thousand wrong ones", v, b, code)
}

func TestOOB1_ACodeIsDeadAfterFiveWrongOnesHoweverTheyAreSpread(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong int
		dead  bool
	}{{"four", 4, false}, {"five", 5, true}} {
		p := newPost(t, mfa.NewMemory())
		v := p.signIn("alice")
		b, code := p.sent(v)
		for range c.wrong {
			p.wrongly(v, p.Began(v, mfa.MethodSent), code, 1) // another ticket for each
			p.rested("alice")
		}
		if c.dead {
			p.dead(c.name+" wrong ones", v, b, code)
			continue
		}
		p.opens(c.name+" wrong ones", v, b, code)
	}
}

func TestOOB2_ACodeIsDeadAfterItsSuccess(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	late := p.Began(v, mfa.MethodSent) // sends
	code := late.Sending.Code
	b := p.Began(v, mfa.MethodSent)
	p.opens("the control", v, b, code)
	p.dead("the other ticket after its success", v, late, code)
	p.dead("the same ticket after its success", v, b, code)
}

func TestOOB2_ACodeIsDeadAfterAResend(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	old, first := p.sent(v)
	p.again()
	b, second := p.sent(v)
	if first != second {
		p.dead("an old ticket", v, old, first)
		p.dead("a new ticket", v, b, first)
		b = p.Began(v, mfa.MethodSent)
	}
	p.opens("the new code", v, b, second)
}

func TestOOB2_ACodeIsDeadAfterTenMinutes(t *testing.T) {
	for _, c := range []struct {
		name string
		wait time.Duration
		dead bool
	}{{"a second before", 10*time.Minute - time.Second, false}, {"after ten minutes", 10 * time.Minute, true}} {
		p := newPost(t, mfa.NewMemory())
		v := p.signIn("alice")
		_, code := p.sent(v)
		p.Clock.Move(c.wait)
		turn(p.Desk, "alice", func(acct *mfa.Account) { // so that a new ticket comes without a new code
			acct.Lanes[mfa.UnknownLane].Sends = []time.Time{p.Clock.Now()}
		})
		b := p.Began(v, mfa.MethodSent)
		if c.dead {
			p.dead(c.name, v, b, code)
			continue
		}
		p.opens(c.name, v, b, code)
	}
}

func TestOOB2_ACodeForOneJarIsRefusedInAnother(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	alice := p.signIn("alice")
	_, code := p.sent(alice)
	thief := p.signIn("alice") // knows the password, and saw the code over her shoulder
	b := p.Began(thief, mfa.MethodSent)
	if b.Sending != nil || b.Prompt.(mfa.SentPrompt).Sent {
		t.Fatal("the thief gets a code of their own: the test shows nothing")
	}
	p.dead("in another jar", thief, b, code)
	pending := thief
	pending.Pending, pending.User.Session = alice.User.Session, ""
	p.dead("before a session of that name", pending, p.Began(pending, mfa.MethodSent), code)
	p.opens("in its own jar", alice, p.Began(alice, mfa.MethodSent), code)
}

func TestOOB2_ACodeForOnePurposeIsRefusedForAnother(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	app := p.Enroll(&v)
	v = other(v)
	_, login := p.sent(v)
	before := v
	p.Prove(&v, mfa.MethodTOTP, app.Code())
	p.dead("the code of the sign-in at a step-up", v, p.Began(v, mfa.MethodSent), login)
	b, err := p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, "alice@example.org")
	if err != nil || b.Sending != nil {
		t.Fatalf("BeginEnrollAt = %+v, %v; want no other code yet", b, err)
	}
	if _, err := p.FinishEnroll(t.Context(), v, mfa.MethodSent, b.Ticket, []byte(login), ""); err == nil {
		t.Error("the code of the sign-in enrolls its address")
	}
	p.opens("the control", before, p.Began(before, mfa.MethodSent), login)

	p.again()
	b, err = p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, "second@example.org")
	if err != nil {
		t.Fatal(err)
	}
	code := b.Sending.Code
	p.dead("the code of an enrollment at a step-up", v, p.Began(v, mfa.MethodSent), code)
	elsewhere, err := p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, "third@example.org")
	if err != nil || elsewhere.Sending != nil {
		t.Fatalf("BeginEnrollAt = %+v, %v; want no other code yet", elsewhere, err)
	}
	if _, err := p.FinishEnroll(t.Context(), v, mfa.MethodSent, elsewhere.Ticket, []byte(code), ""); err == nil {
		t.Error("a code that was sent to one address enrolls another")
	}
	if _, err := p.FinishEnroll(t.Context(), v, mfa.MethodSent, b.Ticket, []byte(code), ""); err != nil {
		t.Errorf("the control: its own enrollment = %v, want no error", err)
	}
}

func TestOOB2_ACodeIsOfTheFactorItWasSentFor(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	second := p.enrollAddress(&v, "second@example.org")
	p.again()
	v = p.signIn("alice")
	own := p.implied(v)
	b, err := p.BeginVerify(t.Context(), v, mfa.MethodSent, own)
	if err != nil {
		t.Fatal(err)
	}
	code := b.Sending.Code
	wrong, err := p.BeginVerify(t.Context(), v, mfa.MethodSent, second.ID)
	if err != nil || wrong.Sending != nil {
		t.Fatalf("BeginVerify of the second address = %+v, %v; want no other code yet", wrong, err)
	}
	p.dead("as that of another address", v, wrong, code)
	p.opens("as that of its own", v, b, code)
}

// implied returns the id of the factor that needs no enrollment.
func (p post) implied(v mfa.Visit) string {
	p.Helper()
	acct, err := p.AccountOf(p.Context(), v.User)
	if err != nil {
		p.Fatal(err)
	}
	i := slices.IndexFunc(p.Choices(acct), func(f mfa.Factor) bool {
		_, kept := p.Kept(v.User.ID).Factor(f.ID)
		return !kept
	})
	if i < 0 {
		p.Fatalf("%s has no factor without enrollment", v.User.ID)
	}
	return p.Choices(acct)[i].ID
}

func TestTHROTTLE5_TheCountOfWrongAnswersSurvivesAResend(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	b, code := p.sent(v)
	b = p.wrongly(v, b, code, 4)
	p.opens("the control: after four wrong ones", v, b, code)

	v = p.signIn("alice")
	sends := 1
	for range 20 {
		p.again()
		b, err := p.BeginVerify(t.Context(), v, mfa.MethodSent, "")
		if enginetest.Why(err) == mfa.WhyTooMany {
			break
		}
		old := b.Sending.Code
		p.wrongly(v, b, old, 4)
		p.rested("alice")
		p.again()
		b, fresh := p.sent(v)
		sends += 2
		p.dead("the old code after a resend", v, b, old) // the fifth wrong answer
		p.dead("the new code, which had four wrong answers before it was sent", v, p.Began(v, mfa.MethodSent), fresh)
	}
	if sends != mfa.SendsAnHour {
		t.Errorf("%d codes were sent, want %d", sends, mfa.SendsAnHour)
	}
}

func TestOOB5_AtMostFiveSendsAnHourAndTenADayAMinuteApart(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	var sends []time.Time
	start := p.Clock.Now()
	for p.Clock.Now().Before(start.Add(50 * time.Hour)) {
		b, err := p.BeginVerify(t.Context(), v, mfa.MethodSent, "")
		switch {
		case err == nil && b.Sending != nil:
			sends = append(sends, p.Clock.Now())
		case err != nil:
			r := enginetest.Refused(t, "BeginVerify", err, mfa.WhyTooMany)
			p.Clock.Move(r.RetryAfter - 30*time.Second) // and once more a moment too early
		}
		p.Clock.Move(30 * time.Second)
	}
	for i := range sends {
		for _, limit := range []struct {
			n    int
			span time.Duration
		}{{1, time.Minute}, {mfa.SendsAnHour, time.Hour}, {mfa.SendsADay, 24 * time.Hour}} {
			if j := i + limit.n; j < len(sends) && sends[j].Sub(sends[i]) < limit.span {
				t.Errorf("%d codes were sent within %v, want at most %d", limit.n+1, sends[j].Sub(sends[i]), limit.n)
			}
		}
	}
	if want := 3 * mfa.SendsADay; len(sends) != want {
		t.Errorf("%d codes were sent in fifty hours, want %d: as many as the limits leave", len(sends), want)
	}
}

func TestOOB5_ABeginWithinAMinuteAnswersTheCountdownAndWritesNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	p := newPost(t, store)
	v := p.signIn("alice")
	first, code := p.sent(v)
	at := first.Prompt.(mfa.SentPrompt).ResendAt
	if wait := at.Sub(p.Clock.Now()); wait < mfa.SendAgainIn || wait >= mfa.SendAgainIn+time.Second {
		t.Errorf("another code may be sent in %v, want within the second after a minute", wait)
	}
	var b mfa.Begun
	store.costs(t, "a begin within the minute", 1, 0, func() { b = p.Began(v, mfa.MethodSent) })
	prompt := b.Prompt.(mfa.SentPrompt)
	if b.Sending != nil || prompt.Sent || !prompt.ResendAt.Equal(at) {
		t.Errorf("a begin within the minute = %+v, want nothing sent and %v", prompt, at)
	}
	_, err := p.answer(v, b, otherThan(code))
	again := enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer).Retry.Prompt.(mfa.SentPrompt)
	if again.Sent || !again.ResendAt.Equal(at) || !slices.Equal(again.To, prompt.To) {
		t.Errorf("after a wrong code the prompt is %+v, want as before %+v", again, prompt)
	}
	p.Clock.Move(at.Sub(p.Clock.Now()))
	if b = p.Began(v, mfa.MethodSent); b.Sending == nil {
		t.Error("at the time that was told nothing is sent")
	}
}

func TestOOB5_TheCountdownSaysWhenTheLimitOfAnHourLeavesRoom(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	var last mfa.Begun
	for range mfa.SendsAnHour {
		last, _ = p.sent(v)
		p.again()
	}
	at := last.Prompt.(mfa.SentPrompt).ResendAt
	p.Clock.Move(at.Sub(p.Clock.Now()) - time.Second)
	_, err := p.BeginVerify(t.Context(), v, mfa.MethodSent, "")
	enginetest.Refused(t, "a second before the time that was told", err, mfa.WhyTooMany)
	p.Clock.Move(time.Second)
	if b := p.Began(v, mfa.MethodSent); b.Sending == nil {
		t.Error("at the time that was told nothing is sent")
	}
}

func TestOOB5_ADestinationHasItsLimitsOverAllAccountsAndNobodyIsTold(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	carried := 0
	for i := range 30 {
		v := p.SignIn(string(rune('A' + i)))
		v.User.Email = "victim@example.org"
		b, _ := p.sent(v)
		if prompt := b.Prompt.(mfa.SentPrompt); !prompt.Sent || len(prompt.To) != 1 {
			t.Errorf("account %d is told %+v, want the same as ever", i, prompt)
		}
		carried += len(b.Sending.To)
		p.Clock.Move(30 * time.Second)
	}
	if carried != mfa.SendsAnHour {
		t.Errorf("%d codes went to one address in a quarter of an hour, want %d", carried, mfa.SendsAnHour)
	}
	p.Clock.Move(time.Hour)
	known, unknown := p.SignInKnown("alice"), p.SignIn("alice")
	known.User.Email, unknown.User.Email = "alice@example.org", "alice@example.org"
	if b, _ := p.sent(unknown); len(b.Sending.To) != 1 {
		t.Error("the first code of alice is not carried")
	}
	if b, _ := p.sent(known); len(b.Sending.To) != 0 {
		t.Error("a second code goes to one address within a minute, from the other lane")
	}
}

func TestOOB5_TheTwoLanesOfAnAccountHaveTheirOwnLimits(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	attacker := p.signIn("alice")
	for range mfa.SendsAnHour {
		p.sent(attacker)
		p.again()
	}
	_, err := p.BeginVerify(t.Context(), attacker, mfa.MethodSent, "")
	enginetest.Refused(t, "an unknown browser", err, mfa.WhyTooMany)
	owner := p.SignInKnown("alice")
	owner.User.Email = "alice@elsewhere.example.org" // its own limit is another
	b, code := p.sent(owner)
	p.opens("a known browser", owner, b, code)
}

func TestOOB5_NoMoreThanThreeCodesAreLive(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	var visits []mfa.Visit
	var codes []string
	for range 4 {
		v := p.signIn("alice")
		_, code := p.sent(v)
		visits, codes = append(visits, v), append(codes, code)
		p.again()
	}
	if n := len(p.Kept("alice").Live); n != 3 {
		t.Errorf("%d codes are live, want 3", n)
	}
	turn(p.Desk, "alice", func(acct *mfa.Account) { acct.Lanes[mfa.UnknownLane].Sends = []time.Time{p.Clock.Now()} })
	p.dead("the oldest of four", visits[0], p.Began(visits[0], mfa.MethodSent), codes[0])
	for i := 1; i < 4; i++ {
		p.opens("one of the last three", visits[i], p.Began(visits[i], mfa.MethodSent), codes[i])
	}
}

func TestOOB5_WhatIsRefusedSendsAndWritesNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	p := newPost(t, store)
	v := p.signIn("alice")
	p.Enroll(&v)
	nobody, stranger := p.SignIn("alice"), p.signIn("alice")
	exhausted := p.signIn("bob")
	turn(p.Desk, "bob", func(acct *mfa.Account) { acct.Lanes[mfa.UnknownLane].Wait = p.Clock.Now().Add(time.Minute) })
	for _, c := range []struct {
		name  string
		begin func() (mfa.Begun, error)
		why   mfa.Why
	}{
		{"a user whom no courier reaches",
			func() (mfa.Begun, error) { return p.BeginVerify(t.Context(), nobody, mfa.MethodSent, "") },
			mfa.WhyNotFound},
		{"a factor that is not there",
			func() (mfa.Begun, error) { return p.BeginVerify(t.Context(), v, mfa.MethodSent, "own-x") },
			mfa.WhyNotFound},
		{"an exhausted budget",
			func() (mfa.Begun, error) { return p.BeginVerify(t.Context(), exhausted, mfa.MethodSent, "") },
			mfa.WhyTooMany},
		{"an enrollment by who has proved nothing",
			func() (mfa.Begun, error) {
				return p.BeginEnrollAt(t.Context(), stranger, mfa.MethodSent, "x@example.org")
			},
			mfa.WhyMustVerify},
		{"an address that is none",
			func() (mfa.Begun, error) { return p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, "nowhere") }, mfa.WhyInvalid},
	} {
		store.costs(t, c.name, 1, 0, func() {
			b, err := c.begin()
			if r := (*mfa.Refusal)(nil); !errors.As(err, &r) || r.Why != c.why || b.Sending != nil || b.Ticket != "" {
				t.Errorf("%s: begin = %+v, %v; want the refusal %s", c.name, b, err, c.why)
			}
		})
	}
}
