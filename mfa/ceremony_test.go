package mfa_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestAnAppIsEnrolledAndProved(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	b := d.BeganEnrollment(v, mfa.MethodTOTP)
	app := enginetest.NewApp(t, d.Clock, b.Prompt)
	done, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()), " my phone ")
	if err != nil {
		t.Fatalf("FinishEnroll = %v, want no error", err)
	}
	if f := done.Factor; f.Label != "my phone" || f.Method != mfa.MethodTOTP || f.Strength != mfa.Typed || f.State != nil {
		t.Errorf("the factor is %+v, want a typed totp called my phone, without its state", f)
	}
	if !done.First || done.Proof.FactorID != done.Factor.ID {
		t.Errorf("First = %v and the proof is of %q, want true and %q", done.First, done.Proof.FactorID, done.Factor.ID)
	}
	v.Assurance = done.Assurance
	if got := d.Action(mfa.Policy{Factors: 1}, v); got != mfa.Allow {
		t.Errorf("after enrollment Decide = %v, want %v", got, mfa.Allow)
	}

	other := d.SignIn("alice")
	if got := d.Action(mfa.Policy{}, other); got != mfa.Verify {
		t.Errorf("in a fresh login Decide = %v, want %v", got, mfa.Verify)
	}
	d.Clock.Move(enginetest.Step)
	proved := d.Prove(&other, mfa.MethodTOTP, app.Code())
	if got := d.Action(mfa.Policy{}, other); got != mfa.Allow {
		t.Errorf("after a proof Decide = %v, want %v", got, mfa.Allow)
	}
	if life := proved.Proof.Until.Sub(proved.Proof.At); life < 3*time.Hour || life > 6*time.Hour {
		t.Errorf("a proof lives for %v, want 3 to 6 hours", life)
	}
	if proved.First {
		t.Error("First = true after a proof, want false")
	}
}

func TestAWrongAnswerProvesNothing(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	other := d.SignIn("alice")
	done, err := d.Try(other, mfa.MethodTOTP, app.Wrong(1)[0])
	r := enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer)
	if done.Proof.FactorID != "" || len(done.Assurance.Proofs) > 0 || done.Account != nil {
		t.Errorf("a wrong code leaves %+v, want nothing", done)
	}
	if r.Retry == nil {
		t.Fatal("a wrong code leaves no ticket for the next try")
	}
	if done, err = d.FinishVerify(t.Context(), other, mfa.MethodTOTP, r.Retry.Ticket, []byte(app.Code())); err != nil {
		t.Fatalf("the right code for the next ticket = %v, want no error", err)
	}
	other.Assurance = done.Assurance
	if got := d.Action(mfa.Policy{}, other); got != mfa.Allow {
		t.Errorf("Decide = %v, want %v", got, mfa.Allow)
	}
}

func TestATicketIsGoodForOneAnswer(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	spent := app.Code()
	d.Prove(&v, mfa.MethodTOTP, spent)
	for _, c := range []struct {
		name, answer string
		want         mfa.Why
	}{
		{"right", "", ""},
		{"wrong", app.Wrong(1)[0], mfa.WhyWrongAnswer},
		{"spent", spent, mfa.WhyWrongAnswer},
	} {
		t.Run("a "+c.name+" one", func(t *testing.T) {
			d.Clock.Move(2 * enginetest.Step)
			if c.name == "spent" {
				d.Prove(&v, mfa.MethodTOTP, app.Code())
				c.answer = app.Code()
			}
			if c.name == "right" {
				c.answer = app.Code()
			}
			b := d.Began(v, mfa.MethodTOTP)
			_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(c.answer))
			if got := enginetest.Why(err); got != c.want {
				t.Fatalf("the first answer = %v, want %q", err, c.want)
			}
			d.Clock.Move(2 * enginetest.Step)
			_, err = d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
			enginetest.Refused(t, "a second answer", err, mfa.WhyNoTicket)
		})
	}
}

func TestATicketOpensNowhereElse(t *testing.T) {
	memory := mfa.NewMemory()
	d := enginetest.New(t, memory, with(token{name: "pin", strength: mfa.Typed}))
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	bob.User.Session = alice.User.Session // a site whose names of logins are not its own for each user
	app := d.Enroll(&alice)
	d.Enroll(&bob)
	d.EnrollRecovery(&alice)
	enrolling := d.BeganEnrollment(alice, mfa.MethodTOTP).Ticket
	ofBob := d.Began(bob, mfa.MethodTOTP).Ticket
	ofPending := func() string {
		v := d.SignIn("alice")
		v.Pending = "attempt"
		return d.Began(v, mfa.MethodTOTP).Ticket
	}()
	foreign := enginetest.New(t, memory, func(c *mfa.EngineConfig) { c.Ring = d.Ring; c.Origin = "https://example.net" })
	elsewhere := foreign.Began(alice, mfa.MethodTOTP).Ticket
	own := d.Began(alice, mfa.MethodTOTP).Ticket
	for _, c := range []struct {
		name, ticket, method string
		visit                mfa.Visit
	}{
		{"of another user", ofBob, mfa.MethodTOTP, alice},
		{"in another login of the user", own, mfa.MethodTOTP, d.SignIn("alice")},
		{"of a sign-in that has no session yet", ofPending, mfa.MethodTOTP, alice},
		{"of an enrollment", enrolling, mfa.MethodTOTP, alice},
		{"of another origin", elsewhere, mfa.MethodTOTP, alice},
		{"for another method", own, mfa.MethodRecovery, alice},
		{"of nothing", "", mfa.MethodTOTP, alice},
		{"that is garbage", "garbage!", mfa.MethodTOTP, alice},
		{"with a changed end", own[:len(own)-2] + "AA", mfa.MethodTOTP, alice},
		{"with a changed start", "B" + own[1:], mfa.MethodTOTP, alice},
		{"of 8 kB", strings.Repeat("A", 8<<10), mfa.MethodTOTP, alice},
		{"of 1 MB", strings.Repeat("A", 1<<20), mfa.MethodTOTP, alice},
	} {
		t.Run("a ticket "+c.name, func(t *testing.T) {
			_, err := d.FinishVerify(t.Context(), c.visit, c.method, c.ticket, []byte(app.Code()))
			enginetest.Refused(t, "FinishVerify", err, mfa.WhyNoTicket)
		})
	}
	t.Run("a ticket of a proof confirms no enrollment", func(t *testing.T) {
		_, err := d.FinishEnroll(t.Context(), alice, mfa.MethodTOTP, own, []byte(app.Code()), "")
		enginetest.Refused(t, "FinishEnroll", err, mfa.WhyNoTicket)
	})
	if _, err := d.FinishVerify(t.Context(), alice, mfa.MethodTOTP, own, []byte(app.Code())); err != nil {
		t.Errorf("the ticket where it belongs = %v, want no error", err)
	}
}

// Else a name of a login that two users share would put the app of one into the account of the other.
func TestAnEnrollmentThatAnotherUserHasBegunIsNotFinished(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	bob.User.Session = alice.User.Session
	b := d.BeganEnrollment(bob, mfa.MethodTOTP)
	code := []byte(enginetest.NewApp(t, d.Clock, b.Prompt).Code())
	_, err := d.FinishEnroll(t.Context(), alice, mfa.MethodTOTP, b.Ticket, code, "")
	enginetest.Refused(t, "by alice", err, mfa.WhyNoTicket)
	if _, err := d.FinishEnroll(t.Context(), bob, mfa.MethodTOTP, b.Ticket, code, ""); err != nil {
		t.Errorf("by bob, who has begun it = %v, want no error", err)
	}
}

func TestATicketEndsAfterTenMinutesAlsoThroughWrongAnswers(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	first := d.Began(v, mfa.MethodTOTP)
	d.Clock.Move(9 * time.Minute)
	_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, first.Ticket, []byte(app.Wrong(1)[0]))
	retry := enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer).Retry
	if !retry.Expires.Equal(first.Expires) {
		t.Errorf("the next ticket ends at %v, want %v as the first", retry.Expires, first.Expires)
	}
	d.Clock.Move(time.Minute - time.Microsecond)
	_, err = d.FinishVerify(t.Context(), v, mfa.MethodTOTP, retry.Ticket, []byte(app.Wrong(1)[0]))
	last := enginetest.Refused(t, "a wrong code at the last moment", err, mfa.WhyWrongAnswer).Retry
	d.Clock.Move(time.Microsecond)
	_, err = d.FinishVerify(t.Context(), v, mfa.MethodTOTP, last.Ticket, []byte(app.Code()))
	enginetest.Refused(t, "the right code a moment later", err, mfa.WhyNoTicket)
}

func TestATicketOfAnEarlierEpochIsNone(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	verifying, enrolling := d.Began(v, mfa.MethodTOTP), d.BeganEnrollment(v, mfa.MethodTOTP)
	ended, err := d.EndSessions(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	v.Assurance = ended.Assurance
	_, err = d.FinishVerify(t.Context(), v, mfa.MethodTOTP, verifying.Ticket, []byte(app.Code()))
	enginetest.Refused(t, "FinishVerify", err, mfa.WhyNoTicket)
	code := enginetest.NewApp(t, d.Clock, enrolling.Prompt).Code()
	_, err = d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, enrolling.Ticket, []byte(code), "")
	enginetest.Refused(t, "FinishEnroll", err, mfa.WhyNoTicket)
	d.Prove(&v, mfa.MethodTOTP, app.Code())
}

func TestWhatCannotBeACodeCostsNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := enginetest.New(t, store)
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	codes, _ := d.EnrollRecovery(&v)
	typo := []byte(codes[1])
	typo[0] = map[bool]byte{true: 'B', false: 'A'}[typo[0] == 'A']
	for _, c := range []struct{ name, method, misread string }{
		{"too short", mfa.MethodTOTP, "12345"},
		{"too long", mfa.MethodTOTP, "1234567"},
		{"letters", mfa.MethodTOTP, "12345a"},
		{"nothing", mfa.MethodTOTP, ""},
		{"a recovery code with a typo", mfa.MethodRecovery, string(typo)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := d.Began(v, c.method)
			var r *mfa.Refusal
			store.costs(t, "a misread answer", 1, 0, func() {
				_, err := d.FinishVerify(t.Context(), v, c.method, b.Ticket, []byte(c.misread))
				r = enginetest.Refused(t, "a misread answer", err, mfa.WhyWrongAnswer)
			})
			if r.Retry == nil || r.Retry.Ticket != b.Ticket {
				t.Fatal("the ticket did not stay alive")
			}
			right := map[string]string{mfa.MethodTOTP: app.Code(), mfa.MethodRecovery: codes[1]}[c.method]
			if _, err := d.FinishVerify(t.Context(), v, c.method, b.Ticket, []byte(right)); err != nil {
				t.Errorf("the right answer afterwards = %v, want no error", err)
			}
			d.Clock.Move(enginetest.Step)
		})
	}
}

// A challenge belongs to its ticket: a prompt with a new challenge beside the old ticket could never be answered.
func TestAMisreadAnswerToAChallengeComesWithATicketForTheNextOne(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")

	b := d.BeganEnrollment(v, mfa.MethodPasskey)
	_, err := d.FinishEnroll(t.Context(), v, mfa.MethodPasskey, b.Ticket, nil, "")
	retry := enginetest.Refused(t, "an empty confirmation", err, mfa.WhyWrongAnswer).Retry
	done, err := d.FinishEnroll(t.Context(), v, mfa.MethodPasskey, retry.Ticket, tokenAnswer("k", *retry), "")
	if err != nil {
		t.Fatalf("the confirmation of the next prompt = %v, want no error", err)
	}
	v.Assurance = done.Assurance

	b = d.Began(v, mfa.MethodPasskey)
	_, err = d.FinishVerify(t.Context(), v, mfa.MethodPasskey, b.Ticket, nil)
	retry = enginetest.Refused(t, "an empty answer", err, mfa.WhyWrongAnswer).Retry
	if !retry.Expires.Equal(b.Expires) {
		t.Errorf("the next ticket ends at %v, want %v as the first", retry.Expires, b.Expires)
	}
	if _, err = d.FinishVerify(t.Context(), v, mfa.MethodPasskey, retry.Ticket, tokenAnswer("k", *retry)); err != nil {
		t.Errorf("the answer to the next prompt = %v, want no error", err)
	}
}

// What was judged is remembered whatever happens then: an error in its place would be a guess for nothing.
func TestAWrongAnswerIsChargedWhenNoTicketCanFollow(t *testing.T) {
	fails := new(atomic.Bool)
	d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.Methods[0] = moody{fails: fails} })
	v := d.SignIn("alice")
	app := d.Enroll(&v)
	b := d.Began(v, mfa.MethodTOTP)
	fails.Store(true)
	_, err := d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Wrong(1)[0]))
	if r := enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer); r.Retry != nil {
		t.Error("a ticket followed all the same")
	}
	if row := d.Kept("alice").Lanes[mfa.UnknownLane].Row; row != 1 {
		t.Errorf("%d wrong answers are counted, want 1", row)
	}
	_, err = d.FinishVerify(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()))
	enginetest.Refused(t, "a second answer", err, mfa.WhyNoTicket)
}

func TestFiveWrongConfirmationsEndAnEnrollmentAndCostNoBudget(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	b := d.BeganEnrollment(v, mfa.MethodTOTP)
	secret := b.Prompt.(mfa.OTPEnrollPrompt).Secret
	app := enginetest.NewApp(t, d.Clock, b.Prompt)
	first := b.Expires
	for i, code := range app.Wrong(5) {
		_, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(code), "")
		r := enginetest.Refused(t, "a wrong confirmation", err, mfa.WhyWrongAnswer)
		if r.RetryAfter != 0 {
			t.Errorf("wrong confirmation %d waits for %v, want no wait", i+1, r.RetryAfter)
		}
		_, err = d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(app.Code()), "")
		enginetest.Refused(t, "a second answer for one ticket", err, mfa.WhyNoTicket)
		if i == 4 {
			if r.Retry != nil {
				t.Fatal("a fifth wrong confirmation is followed by a ticket")
			}
			break
		}
		if b = *r.Retry; b.Prompt.(mfa.OTPEnrollPrompt).Secret != secret || !b.Expires.Equal(first) {
			t.Fatal("the next ticket has another secret or another end")
		}
	}
	acct := d.Kept("alice")
	if acct.Enrolled() || acct.Lanes[mfa.UnknownLane].Row != 0 || len(acct.Lanes[mfa.UnknownLane].Days) != 0 {
		t.Errorf("the account holds %d factors and the lanes are %+v, want nothing", len(acct.Factors), acct.Lanes)
	}
	d.Enroll(&v)
}

func TestALabelIsCleanAndShort(t *testing.T) {
	for _, c := range []struct {
		name, label, want string
		refused           bool
	}{
		{"spaces around it", "  phone ", "phone", false},
		{"control characters", "ph\x00one\r\n\x1b[31m", "phone[31m", false},
		{"other scripts", "電話 ☎", "電話 ☎", false},
		{"a hundred characters of many bytes", strings.Repeat("é", 100), strings.Repeat("é", 100), false},
		{"a hundred and one", strings.Repeat("é", 101), "", true},
		{"no UTF-8", "phone\xff", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := enginetest.New(t, mfa.NewMemory())
			v := d.SignIn("alice")
			b := d.BeganEnrollment(v, mfa.MethodTOTP)
			code := enginetest.NewApp(t, d.Clock, b.Prompt).Code()
			done, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, b.Ticket, []byte(code), c.label)
			if c.refused {
				enginetest.Refused(t, "FinishEnroll", err, mfa.WhyInvalid)
				return
			}
			if err != nil || done.Factor.Label != c.want {
				t.Errorf("the label is %q, %v; want %q", done.Factor.Label, err, c.want)
			}
		})
	}
}

func TestAnAccountHoldsFiveTypedAndTwentyFactors(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")
	for range mfa.MaxTyped {
		d.Enroll(&v)
	}
	_, err := d.BeginEnroll(t.Context(), v, mfa.MethodTOTP)
	enginetest.Refused(t, "a sixth app", err, mfa.WhyFull)

	for i := range mfa.MaxFactors - mfa.MaxTyped - 1 {
		enrollToken(d, &v, mfa.MethodPasskey, fmt.Sprint("key-", i))
	}
	d.EnrollRecovery(&v)
	if n := len(d.Kept("alice").Factors); n != mfa.MaxFactors {
		t.Fatalf("the account holds %d factors, want %d", n, mfa.MaxFactors)
	}
	_, err = d.BeginEnroll(t.Context(), v, mfa.MethodPasskey)
	enginetest.Refused(t, "factor 21", err, mfa.WhyFull)
	d.EnrollRecovery(&v) // takes the place of the old set
	if n := len(d.Kept("alice").Factors); n != mfa.MaxFactors {
		t.Errorf("after new recovery codes the account holds %d factors, want %d", n, mfa.MaxFactors)
	}
}

// What was begun while there was room is looked at again when it is finished.
func TestRoomIsLookedForAgainAtTheEnd(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), func(c *mfa.EngineConfig) { c.KeepSessions = true }, withKeys)
	v := d.SignIn("alice")
	d.Enroll(&v)
	late := d.BeganEnrollment(v, mfa.MethodTOTP)
	for range mfa.MaxTyped - 1 {
		d.Enroll(&v)
	}
	code := enginetest.NewApp(t, d.Clock, late.Prompt).Code()
	_, err := d.FinishEnroll(t.Context(), v, mfa.MethodTOTP, late.Ticket, []byte(code), "")
	enginetest.Refused(t, "a sixth app that was begun as the second", err, mfa.WhyFull)

	for i := range mfa.MaxFactors - mfa.MaxTyped {
		enrollToken(d, &v, mfa.MethodPasskey, fmt.Sprint("key-", i))
	}
	_, err = d.BeginEnroll(t.Context(), v, mfa.MethodRecovery)
	enginetest.Refused(t, "recovery codes as factor 21", err, mfa.WhyFull)
}

func TestOneAuthenticatorIsOneFactorOfOneUser(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	alice, bob := d.SignIn("alice"), d.SignIn("bob")
	enrollToken(d, &alice, mfa.MethodPasskey, "the-key")
	for name, v := range map[string]mfa.Visit{"another user": bob, "the same user again": alice} {
		b := d.BeganEnrollment(v, mfa.MethodPasskey)
		_, err := d.FinishEnroll(t.Context(), v, mfa.MethodPasskey, b.Ticket, tokenAnswer("the-key", b), "")
		enginetest.Refused(t, name, err, mfa.WhyTaken)
	}
	if d.Kept("bob").Enrolled() || len(d.Kept("alice").Factors) != 1 {
		t.Error("a second factor was made")
	}
}

func TestRecoveryCodesProveNothingWhenTheyAreEnrolled(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	_, err := d.BeginEnroll(t.Context(), v, mfa.MethodRecovery)
	enginetest.Refused(t, "recovery codes alone", err, mfa.WhyMustEnroll)
	d.Enroll(&v)
	before := v.Assurance.Proofs
	b := d.BeganEnrollment(v, mfa.MethodRecovery)
	codes := b.Prompt.(mfa.RecoveryPrompt).Codes
	done, err := d.FinishEnroll(t.Context(), v, mfa.MethodRecovery, b.Ticket, []byte(codes[0]), "")
	if err != nil {
		t.Fatal(err)
	}
	if done.Proof != (mfa.Proof{}) || !slices.Equal(done.Assurance.Proofs, before) {
		t.Errorf("it left the proof %+v and %d in all, want none and %d", done.Proof, len(done.Assurance.Proofs), len(before))
	}
	if n, _ := d.Left(factorOf(t, d.Kept("alice"), mfa.MethodRecovery)); n != 10 {
		t.Errorf("%d codes are left, want 10: the one that was typed is not spent", n)
	}
	d.Prove(&v, mfa.MethodRecovery, codes[0])
}

// factorOf returns the first factor of a method.
func factorOf(t testing.TB, acct *mfa.Account, method string) mfa.Factor {
	t.Helper()
	for _, f := range acct.Factors {
		if f.Method == method {
			return f
		}
	}
	t.Fatalf("the account has no %s", method)
	return mfa.Factor{}
}

func TestThePreferredFactorComesFirstAndRecoveryLast(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), withKeys)
	v := d.SignIn("alice")
	d.Enroll(&v)
	d.EnrollRecovery(&v)
	second := d.Enroll(&v)
	if _, err := d.Prefer(t.Context(), v, second.FactorID); err != nil {
		t.Fatal(err)
	}
	enrollToken(d, &v, mfa.MethodPasskey, "key")
	var got []string
	for _, f := range d.Choices(d.Kept("alice")) {
		got = append(got, f.Method)
	}
	if want := []string{"totp", "passkey", "totp", "recovery"}; !slices.Equal(got, want) {
		t.Errorf("Choices = %v, want %v: preferred, then last used, then recovery codes", got, want)
	}
	if b := d.Began(v, mfa.MethodTOTP); b.Factor.ID != second.FactorID {
		t.Errorf("totp asks for %q, want the preferred %q", b.Factor.ID, second.FactorID)
	}
}

func TestBeginVerifyRefuses(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory())
	v := d.SignIn("alice")
	_, err := d.BeginVerify(t.Context(), v, mfa.MethodTOTP, "")
	enginetest.Refused(t, "somebody who has enrolled nothing", err, mfa.WhyMustEnroll)
	d.Enroll(&v)
	_, err = d.BeginVerify(t.Context(), v, "carrier-pigeon", "")
	enginetest.Refused(t, "a method that is not configured", err, mfa.WhyUnknownMethod)
	_, err = d.BeginVerify(t.Context(), v, mfa.MethodTOTP, "nobody's")
	enginetest.Refused(t, "a factor that is not there", err, mfa.WhyNotFound)
	_, err = d.BeginVerify(t.Context(), v, mfa.MethodRecovery, "")
	enginetest.Refused(t, "a method of which there is no factor", err, mfa.WhyNotFound)
	reserved := d.SignIn("~destination")
	if _, err := d.BeginEnroll(t.Context(), reserved, mfa.MethodTOTP); err == nil || errors.As(err, new(*mfa.Refusal)) {
		t.Errorf("a user id that begins with ~ = %v, want an error that is no refusal", err)
	}
}

// A method of the site's own may offer proofs only.
func TestUsersEnrollOnlyWhatCanBeEnrolled(t *testing.T) {
	d := enginetest.New(t, mfa.NewMemory(), with(struct{ mfa.Method }{token{name: "pass", strength: mfa.Recovered}}))
	v := d.SignIn("alice")
	_, err := d.BeginEnroll(t.Context(), v, mfa.MethodPass)
	enginetest.Refused(t, "BeginEnroll", err, mfa.WhyUnknownMethod)
	_, err = d.FinishEnroll(t.Context(), v, mfa.MethodPass, "", nil, "")
	enginetest.Refused(t, "FinishEnroll", err, mfa.WhyUnknownMethod)
}
