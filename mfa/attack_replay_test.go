package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestREPLAY1_TheSameCodeInAnotherBrowser(t *testing.T) {
	store := mfa.NewMemory()
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	code := app.Code()
	a := d.SignIn("alice")
	d.Prove(&a, mfa.MethodTOTP, code)
	if got := d.Action(mfa.Policy{}, a); got != mfa.Allow {
		t.Fatalf("in browser A Decide = %v, want %v", got, mfa.Allow)
	}
	for name, node := range map[string]*enginetest.Desk{
		"the same node": d, "another node": d.Beside(store), "a node after a restart": d.Beside(store),
	} {
		b := node.SignIn("alice")
		_, err := node.Try(b, mfa.MethodTOTP, code)
		enginetest.Refused(t, "the code again on "+name, err, mfa.WhyWrongAnswer)
		if got := node.Action(mfa.Policy{}, b); got != mfa.Verify {
			t.Errorf("in browser B on %s Decide = %v, want %v", name, got, mfa.Verify)
		}
	}
}

func TestREPLAY3_ACodeOfTheStepBeforeIsSpentAsWell(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	into := d.Clock.Now().Unix() % 30
	d.Clock.Move(time.Duration(29-into) * time.Second)
	code := app.Code()
	d.Prove(&v, mfa.MethodTOTP, code)
	d.Clock.Move(2 * time.Second)
	if app.Code() == code {
		t.Fatal("the app still shows the same code: the test is wrong")
	}
	_, err := d.Try(d.SignIn("alice"), mfa.MethodTOTP, code)
	enginetest.Refused(t, "at second 1 of the next step", err, mfa.WhyWrongAnswer)
}

// One code is one proof, wherever it is typed.
func TestREPLAY4_ACodeUsedAtSignInOpensNothingElse(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	d.Clock.Move(time.Hour)
	code := app.Code()
	v = d.SignIn("alice")
	d.Prove(&v, mfa.MethodTOTP, code)
	d.Clock.Move(10 * time.Second)
	for name, visit := range map[string]mfa.Visit{
		"a step-up in the same login": v, "a sign-in that has no session yet": {User: v.User, Pending: "attempt"},
	} {
		_, err := d.Try(visit, mfa.MethodTOTP, code)
		enginetest.Refused(t, name, err, mfa.WhyWrongAnswer)
	}
}

func TestREPLAY5_TheCodeThatConfirmedAnEnrollment(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	b := d.BeganEnrollment(v, mfa.MethodTOTP)
	code := enginetest.NewApp(t, d.Clock, b.Prompt).Code()
	if _, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(code), ""); err != nil {
		t.Fatal(err)
	}
	_, err := d.Try(d.SignIn("alice"), mfa.MethodTOTP, code)
	enginetest.Refused(t, "the same code at sign-in", err, mfa.WhyWrongAnswer)
}

func TestWA1_OneRegistrationIsStoredOnce(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")
	b := d.BeganEnrollment(v, mfa.MethodPasskey)
	done, err := d.FinishEnroll(t.Context(), v, mfa.MethodPasskey, b.Ticket, tokenAnswer("key", b), "")
	if err != nil {
		t.Fatal(err)
	}
	proved := v
	proved.Assurance = done.Assurance
	for name, visit := range map[string]mfa.Visit{"as before": v, "with the new proof": proved} {
		for _, device := range []string{"key", "other"} {
			answer := tokenAnswer(device, b)
			if _, err := d.FinishEnroll(t.Context(), visit, mfa.MethodPasskey, b.Ticket, answer, ""); err == nil {
				t.Errorf("the registration was completed again %s by %s", name, device)
			}
		}
	}
	if n := len(d.Kept("alice").Factors); n != 1 {
		t.Errorf("%d factors are stored, want 1", n)
	}
}

func TestWA2_AChallengeDiesWithItsFirstAnswer(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")
	enrollToken(d, &v, mfa.MethodPasskey, "key")
	for name, answer := range map[string]string{"right": "key", "wrong": "forged"} {
		b := d.Began(v, mfa.MethodPasskey)
		_, err := d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, tokenAnswer(answer, b))
		if (err == nil) != (name == "right") {
			t.Fatalf("a %s answer = %v", name, err)
		}
		_, err = d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, tokenAnswer("key", b))
		enginetest.Refused(t, "the right answer after a "+name+" one", err, mfa.WhyNoTicket)
	}
}

func TestSTEP1_WhoHasProvedNothingEnrollsNothing(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")
	d.Enroll(&v)
	pending := d.SignIn("alice")
	pending.Pending = "attempt"
	for name, visit := range map[string]mfa.Visit{"signed in": d.SignIn("alice"), "before a session": pending} {
		for _, method := range []string{mfa.MethodTOTP, mfa.MethodPasskey, mfa.MethodRecovery} {
			_, err := d.BeginEnroll(t.Context(), visit, method)
			enginetest.Refused(t, name+" beginning "+method, err, mfa.WhyMustVerify)
			ticket := d.BeganEnrollment(v, method).Ticket
			_, err = d.FinishEnroll(t.Context(), visit, method, ticket, []byte("123456"), "")
			enginetest.Refused(t, name+" finishing "+method+" with the owner's ticket", err, mfa.WhyNoTicket)
		}
		if got := d.Action(mfa.Policy{}, visit); visit.Pending == "" && got != mfa.Verify {
			t.Errorf("%s Decide = %v, want %v", name, got, mfa.Verify)
		}
	}
	if n := len(d.Kept("alice").Factors); n != 1 {
		t.Errorf("%d factors are stored, want 1", n)
	}
}

func TestSTEP4_AnAbandonedEnrollmentLeavesNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	var b mfa.Begun
	store.costs(t, "beginning ten thousand enrollments", 10_000, 0, func() {
		for range 10_000 {
			b = d.BeganEnrollment(v, mfa.MethodTOTP)
		}
	})
	if got := d.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Errorf("Decide = %v, want %v as for anybody who has enrolled nothing", got, mfa.Allow)
	}
	d.Clock.Move(mfa.TicketLife)
	v.User.LoginAt = d.Clock.Now()
	code := enginetest.NewApp(t, d.Clock, b.Prompt).Code()
	_, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(code), "")
	enginetest.Refused(t, "ten minutes later", err, mfa.WhyNoTicket)
}

// The secret is the server's: nothing that a client sends becomes one.
func TestENROL3_TwoEnrollmentsNeverShareASecret(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	var seen []string
	for range 1000 {
		secret := d.BeganEnrollment(v, mfa.MethodTOTP).Prompt.(mfa.OTPEnrollPrompt).Secret
		if len(secret) < 32 || slices.Contains(seen, secret) {
			t.Fatalf("the secret %q is short or was there before", secret)
		}
		seen = append(seen, secret)
	}
}

func TestRC1_ARecoveryCodeOfSomebodyElse(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	d.Enroll(&alice)
	d.Enroll(&bob)
	d.EnrollRecovery(&alice)
	codes, _ := d.EnrollRecovery(&bob)
	_, err := d.Try(d.SignIn("alice"), mfa.MethodRecovery, codes[1])
	enginetest.Refused(t, "bob's code for alice", err, mfa.WhyWrongAnswer)
	d.Prove(&bob, mfa.MethodRecovery, codes[1])
}

func TestRC4_CodesOfAnOlderSetAreDead(t *testing.T) {
	store := mfa.NewMemory()
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	d.Enroll(&v)
	older, _ := d.EnrollRecovery(&v)
	d.Prove(&v, mfa.MethodRecovery, older[0])
	newer, _ := d.EnrollRecovery(&v)
	for _, code := range older[:5] {
		_, err := d.Try(d.SignIn("alice"), mfa.MethodRecovery, code)
		enginetest.Refused(t, "a code of the older set", err, mfa.WhyWrongAnswer)
	}
	d.Prove(&v, mfa.MethodRecovery, newer[0])
	restarted := d.Beside(store)
	_, err := restarted.Try(d.SignIn("alice"), mfa.MethodRecovery, newer[0])
	enginetest.Refused(t, "a used code after a restart", err, mfa.WhyWrongAnswer)
}

// The last code is used: the owner is not let in without a second factor, and not told that there is one more.
func TestRC7_WhenTheLastCodeIsGoneNoneIsOffered(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	d.Enroll(&v)
	codes, f := d.EnrollRecovery(&v)
	for i, code := range codes {
		done := d.Prove(&v, mfa.MethodRecovery, code)
		kept, _ := done.Account.Factor(f.ID)
		if left, counts := d.Left(kept); !counts || left != len(codes)-1-i {
			t.Fatalf("after %d codes %d are left, want %d", i+1, left, len(codes)-1-i)
		}
	}
	for _, choice := range d.Choices(d.Kept("alice")) {
		if choice.Method == mfa.MethodRecovery {
			t.Error("recovery codes are offered although none is left")
		}
	}
	_, err := d.BeginVerify(t.Context(), d.SignIn("alice"), mfa.MethodRecovery, "")
	enginetest.Refused(t, "BeginVerify", err, mfa.WhyNotFound)
	if got := d.Action(mfa.Policy{}, d.SignIn("alice")); got != mfa.Verify {
		t.Errorf("Decide = %v, want %v", got, mfa.Verify)
	}
}

// A node whose clock is ahead has spent the code for all of them.
func TestSKEW2_ACodeUsedOnANodeThatIsAheadIsSpentEverywhere(t *testing.T) {
	store := mfa.NewMemory()
	d := enginetest.New(t, store)
	ahead := d.Beside(store, func(c *mfa.EngineConfig) {
		c.Now = func() time.Time { return d.Clock.Now().Add(25 * time.Second) }
	})
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	d.Clock.Move(enginetest.Step)
	code := app.Code()
	a, b := d.SignIn("alice"), d.SignIn("alice")
	ahead.Prove(&a, mfa.MethodTOTP, code)
	_, err := d.Try(b, mfa.MethodTOTP, code)
	enginetest.Refused(t, "on the other node", err, mfa.WhyWrongAnswer)
}

func TestSKEW3_WhenTheClockGoesBackUsedCodesStayUsed(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	d.Clock.Move(10 * time.Minute)
	d.Prove(&v, mfa.MethodTOTP, app.Code())
	d.Clock.Move(-5 * time.Minute)
	for range 10 {
		_, err := d.Try(d.SignIn("alice"), mfa.MethodTOTP, app.Code())
		enginetest.Refused(t, "a code of the time before", err, mfa.WhyWrongAnswer)
		d.Clock.Move(enginetest.Step)
	}
	d.Clock.Move(enginetest.Step)
	d.Prove(&v, mfa.MethodTOTP, app.Code())
}

// A ticket that a fast clock has seen expire is not forgotten while a slow one would still take it.
func TestSKEW2_AnAnsweredTicketIsRememberedForSlowClocks(t *testing.T) {
	store := mfa.NewMemory()
	d := enginetest.New(t, store, withKeys)
	slow := d.Beside(store, withKeys, func(c *mfa.EngineConfig) {
		c.Now = func() time.Time { return d.Clock.Now().Add(-30 * time.Second) }
	})
	v := d.SignIn("alice")
	enrollToken(d, &v, mfa.MethodPasskey, "key")
	b := d.Began(v, mfa.MethodPasskey)
	answer := tokenAnswer("key", b)
	if _, err := d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, answer); err != nil {
		t.Fatal(err)
	}
	d.Clock.Move(mfa.TicketLife)
	proveToken(d, &v, mfa.MethodPasskey, "key") // forgets what has expired
	_, err := slow.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, answer)
	enginetest.Refused(t, "the old answer on a slow node", err, mfa.WhyNoTicket)
	d.Clock.Move(2 * mfa.TicketLife)
	proveToken(d, &v, mfa.MethodPasskey, "key")
	if n := len(d.Kept("alice").Answered); n != 1 {
		t.Errorf("%d tickets are remembered, want the last one only", n)
	}
}

// Memory says so when it is closed, and never answers with an empty account in place of an error.
func TestAClosedStoreDenies(t *testing.T) {
	store := mfa.NewMemory()
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	d.Enroll(&v)
	d.Clock.Move(time.Minute)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := d.Decide(t.Context(), mfa.Policy{}, v)
	if err == nil || errors.As(err, new(*mfa.Refusal)) || got.Action != mfa.Deny {
		t.Errorf("Decide = %v, %v; want %v and an error that is no refusal", got.Action, err, mfa.Deny)
	}
}
