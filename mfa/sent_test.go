package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestACodeHasEightDigitsAndIsKeptOnlyAsAHash(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	eight, seen := regexp.MustCompile(`^[0-9]{8}$`), map[string]bool{}
	zero := false
	for i := range 100 { // one in ten begins with a zero
		v := p.signIn(fmt.Sprint("user", i))
		_, code := p.sent(v)
		if !eight.MatchString(code) {
			t.Fatalf("a code is %q, want eight digits", code)
		}
		seen[code], zero = true, zero || code[0] == '0'
		if kept := string(mfa.EncodeAccount(p.Kept(v.User.ID))); strings.Contains(kept, code) {
			t.Fatalf("the account holds the code %s in the clear", code)
		}
	}
	if len(seen) < 99 || !zero {
		t.Errorf("of 100 codes %d are different, one with a zero first: %v", len(seen), zero)
	}
}

func TestACodeMayBeTypedWithSpaces(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	b, code := p.sent(v)
	_, err := p.answer(v, b, code[:7])
	if r := enginetest.Refused(t, "seven digits", err, mfa.WhyWrongAnswer); r.Retry.Ticket != b.Ticket {
		t.Error("seven digits were judged")
	}
	p.opens("with spaces", v, b, " "+code[:4]+" "+code[4:]+"\n")
}

func TestTheOwnAddressCountsOnlyWhereAPolicySaysSo(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	strict := mfa.Policy{Factors: 1}
	if got := p.Action(bySent, v); got != mfa.Verify {
		t.Errorf("before any proof Decide = %v, want %v", got, mfa.Verify)
	}
	b, code := p.sent(v)
	v = p.opens("the own address", v, b, code)
	for name, c := range map[string]struct {
		policy mfa.Policy
		want   mfa.Action
	}{
		"the zero policy":     {mfa.Policy{}, mfa.Allow}, // nothing is enrolled
		"one factor":          {strict, mfa.Enroll},
		"typed":               {mfa.Policy{Min: mfa.Typed}, mfa.Enroll},
		"two factors, sent":   {mfa.Policy{Factors: 2, Min: mfa.Sent}, mfa.Enroll},
		"one factor, if sent": {bySent, mfa.Allow},
	} {
		if got := p.Action(c.policy, v); got != c.want {
			t.Errorf("%s: Decide = %v, want %v", name, got, c.want)
		}
	}
	if acct := p.Kept("alice"); acct.Enrolled() || len(acct.Factors) != 0 {
		t.Errorf("the own address is kept as a factor: %+v", acct.Factors)
	}
	app := p.Enroll(&v)
	p.again()
	v = other(v)
	b, code = p.sent(v)
	v = p.opens("beside an app", v, b, code)
	if got := p.Action(mfa.Policy{}, v); got != mfa.Verify {
		t.Errorf("the zero policy beside an app: Decide = %v, want %v", got, mfa.Verify)
	}
	p.ProveApp(&v, app)
	if got := p.Action(mfa.Policy{}, v); got != mfa.Allow {
		t.Errorf("the control: Decide = %v, want %v", got, mfa.Allow)
	}
}

// Whoever holds the mailbox and the password must not change factors, also when wrong guesses have stopped the others.
func TestTheOwnAddressNeverManages(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	p.Enroll(&v)
	for name, off := range map[string]mfa.Off{"in use": 0, "stopped": mfa.StoppedByGuesses, "paused": mfa.Paused} {
		p.again()
		turn(p.Desk, "alice", func(acct *mfa.Account) {
			acct.Factors[0].Off = off
			acct.Lanes[mfa.UnknownLane].Sends = nil
		})
		thief := p.signIn("alice")
		b, code := p.sent(thief)
		thief = p.opens(name, thief, b, code)
		if _, err := p.BeginEnroll(t.Context(), thief, mfa.MethodTOTP); enginetest.Why(err) != mfa.WhyMustVerify {
			t.Errorf("with the app %s BeginEnroll = %v, want the refusal %s", name, err, mfa.WhyMustVerify)
		}
		if _, err := p.Remove(t.Context(), thief, p.Kept("alice").Factors[0].ID); enginetest.Why(err) != mfa.WhyMustVerify {
			t.Errorf("with the app %s Remove = %v, want the refusal %s", name, err, mfa.WhyMustVerify)
		}
		if _, err := p.Mute(t.Context(), thief, "email"); enginetest.Why(err) != mfa.WhyMustVerify {
			t.Errorf("with the app %s Mute = %v, want the refusal %s", name, err, mfa.WhyMustVerify)
		}
	}
}

func TestTheOwnFactorChangesWithTheAddress(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	b, code := p.sent(v)
	late := p.Began(v, mfa.MethodSent)
	v = p.opens("the control", v, b, code)
	v.User.Email = "thief@example.org"
	if got := p.Action(bySent, v); got != mfa.Verify {
		t.Errorf("after the address has changed Decide = %v, want %v", got, mfa.Verify)
	}
	_, err := p.answer(v, late, code)
	enginetest.Refused(t, "a ticket for the old address", err, mfa.WhyNoTicket)
	v.User.Email, v.User.Phone = "alice@example.org", "123#"
	if got := p.Action(bySent, v); got != mfa.Verify {
		t.Errorf("after a telephone has come Decide = %v, want %v", got, mfa.Verify)
	}
	v.User.Phone = ""
	if got := p.Action(bySent, v); got != mfa.Allow {
		t.Errorf("with the address as it was Decide = %v, want %v", got, mfa.Allow)
	}
}

func TestACodeDiesWhenTheSiteTellsOfANewAddressOrPassword(t *testing.T) {
	for name, tell := range map[string]func(p post, v mfa.Visit) error{
		"address":  func(p post, v mfa.Visit) error { _, err := p.AddressChanged(t.Context(), v); return err },
		"password": func(p post, v mfa.Visit) error { _, err := p.PasswordChanged(t.Context(), v); return err },
		"end":      func(p post, v mfa.Visit) error { _, err := p.EndSessions(t.Context(), v); return err },
	} {
		p := newPost(t, mfa.NewMemory())
		v := p.signIn("alice")
		b, code := p.sent(v)
		if err := tell(p, v); err != nil {
			t.Fatal(err)
		}
		p.dead(name+": an old ticket", v, b, code)
		p.dead(name+": a new ticket", v, p.Began(v, mfa.MethodSent), code)
	}
}

func TestAFurtherAddressIsEnrolledWithTheCodeThatIsSentToIt(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	b, err := p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, " Second@Example.Org ")
	if err != nil {
		t.Fatal(err)
	}
	if to := b.Sending.To; len(to) != 1 || to[0].Address != "second@example.org" || to[0].Courier.Name() != "email" {
		t.Errorf("the code goes to %+v, want the canonical address by mail", to)
	}
	if prompt := b.Prompt.(mfa.SentPrompt); !slices.Equal(prompt.To, []string{"s…@example.org"}) {
		t.Errorf("the prompt names %q, want the masked address", prompt.To)
	}
	_, err = p.FinishEnroll(t.Context(), v, mfa.MethodSent, b.Ticket, []byte(otherThan(b.Sending.Code)), "")
	r := enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer)
	done, err := p.FinishEnroll(t.Context(), v, mfa.MethodSent, r.Retry.Ticket, []byte(b.Sending.Code), "")
	if err != nil {
		t.Fatal(err)
	}
	if f := done.Factor; f.Strength != mfa.Sent || f.Label != "s…@example.org" || f.Method != mfa.MethodSent {
		t.Errorf("the factor is %+v, want a sent one with the masked address for a name", f)
	}
	p.again()
	v = other(v)
	b, err = p.BeginVerify(t.Context(), v, mfa.MethodSent, done.Factor.ID)
	if err != nil || len(b.Sending.To) != 1 || b.Sending.To[0].Address != "second@example.org" {
		t.Fatalf("BeginVerify = %+v, %v; want a code to the second address", b.Sending, err)
	}
	p.opens("the second address", v, b, b.Sending.Code)
}

func TestFiveWrongCodesEndAnEnrollmentAndItsCode(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	first, err := p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, "second@example.org")
	if err != nil {
		t.Fatal(err)
	}
	code := first.Sending.Code
	for i := range 5 {
		b, err := p.BeginEnrollAt(t.Context(), v, mfa.MethodSent, "second@example.org") // the same code
		if err != nil || b.Sending != nil {
			t.Fatalf("BeginEnrollAt %d = %+v, %v; want no other code", i, b.Sending, err)
		}
		_, err = p.FinishEnroll(t.Context(), v, mfa.MethodSent, b.Ticket, []byte(otherThan(code)), "")
		enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer)
	}
	_, err = p.FinishEnroll(t.Context(), v, mfa.MethodSent, first.Ticket, []byte(code), "")
	enginetest.Refused(t, "the right code after five wrong ones", err, mfa.WhyWrongAnswer)
}

func TestOneCodeGoesByEveryCourierButThoseSwitchedOff(t *testing.T) {
	p := newPost(t, mfa.NewMemory())
	v := p.signIn("alice")
	v.User.Phone = "123#"
	reached := func(want ...string) {
		t.Helper()
		p.again()
		b, code := p.sent(v)
		var got []string
		for _, d := range b.Sending.To {
			got = append(got, d.Address)
		}
		if prompt := b.Prompt.(mfa.SentPrompt); !slices.Equal(got, want) || len(prompt.To) != len(want) {
			t.Errorf("a code goes to %q and the prompt names %q, want %q", got, prompt.To, want)
		}
		_, err := p.answer(v, b, otherThan(code))
		again := enginetest.Refused(t, "a wrong code", err, mfa.WhyWrongAnswer).Retry
		if to := again.Prompt.(mfa.SentPrompt).To; len(to) != len(want) {
			t.Errorf("after a wrong code the prompt names %q, want as many as %q", to, want)
		}
		p.rested("alice")
	}
	reached("alice@example.org", "123#")
	if _, err := p.Mute(t.Context(), v, "sms"); err != nil {
		t.Fatal(err)
	}
	reached("alice@example.org")
	_, err := p.Mute(t.Context(), v, "email")
	enginetest.Refused(t, "the last one that reaches the user", err, mfa.WhyLastFactor)
	_, err = p.Mute(t.Context(), v, "pigeon")
	enginetest.Refused(t, "one that is not there", err, mfa.WhyNotFound)
	late := v
	late.User.LoginAt = v.User.LoginAt.Add(-time.Hour)
	_, err = p.Mute(t.Context(), late, "sms")
	enginetest.Refused(t, "a login that is too old", err, mfa.WhyMustSignIn)
	v.User.Email = "" // then what was switched off is better than nothing
	reached("123#")
	v.User.Email = "alice@example.org"
	if _, err := p.Unmute(t.Context(), v, "sms"); err != nil {
		t.Fatal(err)
	}
	p.Clock.Move(time.Hour)
	reached("alice@example.org", "123#")
	if n := p.Count("alice", mfa.CourierMuted, mfa.CourierUnmuted); n != 2 {
		t.Errorf("%d changes of couriers are told, want 2", n)
	}
}

// The code is saved before it is sent: if anything fails in between nothing leaves, and nobody is locked out.
func TestNothingIsSentUnlessAllIsSaved(t *testing.T) {
	for call, saved := range map[int]int{1: 0, 2: 0, 3: 1, 4: 1} { // account and destination: load, save, load, save
		for _, how := range []mode{before, timeout} {
			store := &failing{Memory: mfa.NewMemory()}
			p := newPost(t, store)
			v := p.signIn("alice")
			store.failAt(call, 1, how)
			b, err := p.BeginVerify(t.Context(), v, mfa.MethodSent, "")
			if err == nil || b.Sending != nil || b.Ticket != "" || b.Prompt != nil {
				t.Errorf("%v at call %d: begin = %+v, %v; want an error and nothing else", how, call, b, err)
			}
			if n := p.Count("alice", mfa.CodeSent); n != saved {
				t.Errorf("%v at call %d: %d codes are saved, want %d", how, call, n, saved)
			}
			p.again()
			b, code := p.sent(v)
			p.opens("a minute later", v, b, code)
		}
	}
}

func TestAHookThatSaysNoKeepsACodeFromLeaving(t *testing.T) {
	byMail, refuses := with(mfa.SentCodes{Couriers: []mfa.Courier{mail}}), func(c *mfa.EngineConfig) { c.Hook = refusing }
	p := post{enginetest.New(t, mfa.NewMemory(), byMail, refuses)}
	b, err := p.BeginVerify(t.Context(), p.signIn("alice"), mfa.MethodSent, "")
	if !errors.Is(err, errAway) || b.Sending != nil {
		t.Errorf("BeginVerify = %+v, %v; want the hook's error and nothing to send", b, err)
	}
}

func TestRACE1_OneSentCodeInManyTicketsOpensOnce(t *testing.T) {
	store := mfa.NewMemory()
	p := newPost(t, store)
	node := post{p.Beside(store, with(mfa.SentCodes{Couriers: []mfa.Courier{mail, text}}))}
	v := p.signIn("alice")
	_, code := p.sent(v)
	const racers = 16
	var tickets [racers]mfa.Begun
	for i := range tickets {
		tickets[i] = p.Began(v, mfa.MethodSent)
	}
	won := race(racers, func(i int) bool {
		_, err := []post{p, node}[i%2].answer(v, tickets[i], code)
		return err == nil
	})
	if proved := p.Count("alice", mfa.Proved); won != 1 || proved != 1 {
		t.Errorf("one code in %d tickets opened %d times and left %d proofs, want 1 and 1", racers, won, proved)
	}
}

func TestRACE1_ManyBeginsAtOnceSendOneCode(t *testing.T) {
	store := mfa.NewMemory()
	p := newPost(t, store)
	node := post{p.Beside(store, with(mfa.SentCodes{Couriers: []mfa.Courier{mail, text}}))}
	v := p.signIn("alice")
	sent := race(16, func(i int) bool {
		b, err := []post{p, node}[i%2].BeginVerify(t.Context(), v, mfa.MethodSent, "")
		return err == nil && b.Sending != nil
	})
	if n := p.Count("alice", mfa.CodeSent); sent != 1 || n != 1 {
		t.Errorf("16 begins at once sent %d codes and saved %d, want 1 and 1", sent, n)
	}
}

func refusing(context.Context, mfa.User, []mfa.Event) error { return errAway }

// race runs functions at once and counts those that win.
func race(n int, each func(i int) bool) int {
	var over sync.WaitGroup
	start, won := make(chan struct{}), make([]bool, n)
	for i := range n {
		over.Go(func() {
			<-start
			won[i] = each(i)
		})
	}
	close(start)
	over.Wait()
	count := 0
	for _, w := range won {
		if w {
			count++
		}
	}
	return count
}

func TestCouriersThatCannotBeAreMistakes(t *testing.T) {
	for name, m := range map[string]mfa.SentCodes{
		"none":           {},
		"a nil one":      {Couriers: []mfa.Courier{nil}},
		"one twice":      {Couriers: []mfa.Courier{mail, mail}},
		"one of no name": {Couriers: []mfa.Courier{pigeon{}}},
	} {
		if m.Check() == nil {
			t.Errorf("Check of %s = nil, want an error", name)
		}
	}
	if err := (mfa.SentCodes{Couriers: []mfa.Courier{mail, text}}).Check(); err != nil {
		t.Errorf("Check of two = %v, want no error", err)
	}
}
