package mfa_test

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

func TestATokenIsGoodOnceAndEachTabOfAMomentGetsTheSameSuccessor(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	tab := d.device
	d.welcome("the first tab", &d.device)
	if d.token == tab.token {
		t.Fatal("the token has not changed")
	}
	for _, wait := range []time.Duration{0, time.Second, 29 * time.Second} {
		d.Clock.Move(wait)
		other := tab
		d.welcome("another tab", &other)
		if other.token != d.token {
			t.Errorf("%v later another tab gets another token", wait)
		}
	}
	if d.Count("alice", mfa.BrowserStolen) != 0 {
		t.Error("tabs of one moment look like a theft")
	}
	d.welcome("the successor", &d.device)
}

func TestATabOfTheSameMomentWritesNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := newTrusting(t, store)
	tab := d.device
	store.costs(t, "the first tab", 1, 1, func() { d.comes(&d.device) })
	store.costs(t, "another tab", 1, 0, func() { d.comes(&tab) })
}

func TestABrowserWhoseAnswerWasLostMayComeBackWithItsOldToken(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	lost := d.device
	d.welcome("an answer that is lost", &lost)
	d.Clock.Move(time.Hour)
	d.welcome("the old token an hour later", &d.device)
	if d.token == lost.token {
		t.Error("the lost token is given out again, also to who has caught it")
	}
	d.Clock.Move(time.Hour)
	d.welcome("the token that came instead", &d.device)
}

// thieves are orders in which an owner and a thief, who has copied the token, come: o and t, and - for a while between
// them. The last one to come must find the series ended.
func TestACopiedTokenEndsItsSeriesWhoeverComesFirst(t *testing.T) {
	for _, order := range []string{
		"t-o-t",     // the thief is first: the owner's old token kills the thief's
		"o-t-o",     // the owner is first
		"t-t-o",     // the thief goes on before the owner comes
		"o-o-t",     // the owner goes on before the thief comes
		"to-o-t-o",  // both in one moment: they share a token, and the second use of it tells
		"ot-t-o-t",  // the same, the other way round
		"o-o-o-o-t", // a copy of long ago
	} {
		d := newTrusting(t, mfa.NewMemory())
		held := map[rune]*device{'o': {d.series, d.token}, 't': {d.series, d.token}}
		var err error
		for i, who := range order {
			if who == '-' {
				d.Clock.Move(time.Hour)
				continue
			}
			if _, err = d.comes(held[who]); err != nil && i < len(order)-1 {
				break
			}
		}
		enginetest.Refused(t, order+": the last one", err, mfa.WhyNotFound)
		left := len(d.Kept("alice").Browsers)
		if n := d.Count("alice", mfa.BrowserStolen); n != 1 || left != 0 {
			t.Errorf("%s: the theft is told %d times and %d browsers are left, want 1 and none", order, n, left)
		}
		for who, h := range held {
			d.foreign(order+": "+string(who)+" afterwards", *h)
		}
	}
}

func TestATheftEndsWhatTheThiefHasOpened(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	stolen := d.device
	thief := d.welcome("the thief", &stolen)
	d.Clock.Move(time.Hour)
	d.welcome("the owner", &d.device)
	if got := d.Action(remembering, thief); got != mfa.Allow {
		t.Fatalf("the control: Decide = %v, want %v", got, mfa.Allow)
	}
	d.foreign("the thief again", stolen)
	if got := d.Action(remembering, thief); got != mfa.Verify {
		t.Errorf("after the theft was noticed the thief's Decide = %v, want %v", got, mfa.Verify)
	}
}

func TestATokenThatWasNeverGivenOutEndsTheSeries(t *testing.T) {
	for name, token := range map[string]func(d *trusting, second device) string{
		"an empty one":           func(*trusting, device) string { return "" },
		"one of another series":  func(_ *trusting, second device) string { return second.token },
		"one with more behind":   func(d *trusting, _ device) string { return d.token + "A" },
		"one that is cut in two": func(d *trusting, _ device) string { return d.token[:len(d.token)/2] },
	} {
		d := newTrusting(t, mfa.NewMemory())
		second := d.trust(time.Hour)
		d.foreign(name, device{d.series, token(d, second)})
		d.foreign(name+", and then the right one", d.device)
		d.welcome(name+": the other series", &second)
	}
}

func TestASeriesThatIsNotThereChangesNothing(t *testing.T) {
	store := &counting{Memory: mfa.NewMemory()}
	d := newTrusting(t, store)
	for _, series := range []string{"", "x", d.series + "A", d.series[1:]} {
		store.costs(t, "an unknown series", 1, 0, func() {
			_, err := d.Present(t.Context(), d.SignIn("alice"), series, d.token)
			enginetest.Refused(t, "an unknown series", err, mfa.WhyNotFound)
		})
	}
	d.welcome("the right series after that", &d.device)
}

func TestTheAccountHoldsNoToken(t *testing.T) {
	d := newTrusting(t, mfa.NewMemory())
	d.welcome("the control", &d.device)
	kept := string(mfa.EncodeAccount(d.Kept("alice")))
	for _, b := range d.Kept("alice").Browsers {
		if len(b.Present) != 32 || len(b.Secret) != 32 {
			t.Errorf("a browser is kept by %d and %d bytes, want two of 32", len(b.Present), len(b.Secret))
		}
	}
	if len(d.token) < 43 || strings.Contains(kept, d.token) {
		t.Errorf("the token %q is short, or the account holds it", d.token)
	}
}

func TestRACE1_TabsAtOnceRotateOnce(t *testing.T) {
	store := mfa.NewMemory()
	d := newTrusting(t, store)
	node := d.Beside(store)
	tokens := make([]string, 16)
	won := race(len(tokens), func(i int) bool {
		done, err := []*enginetest.Desk{d.Desk, node}[i%2].Present(t.Context(), d.SignIn("alice"), d.series, d.token)
		tokens[i] = done.Token
		return err == nil
	})
	for _, token := range tokens {
		if won != len(tokens) || token != tokens[0] {
			t.Fatalf("%d of %d tabs are welcome, with the tokens %q; want all with one", won, len(tokens), tokens)
		}
	}
}

func TestAStoreThatFailsGivesNoTokenAway(t *testing.T) {
	for _, how := range []mode{before, after, timeout} {
		store := &failing{Memory: mfa.NewMemory()}
		d := newTrusting(t, store)
		store.failAt(2, 1, how)
		done, err := d.Present(t.Context(), d.SignIn("alice"), d.series, d.token)
		if err == nil || done.Token != "" || len(done.Assurance.Proofs) != 0 {
			t.Errorf("%v: Present = %+v, %v; want an error and nothing else", how, done, err)
		}
		d.Clock.Move(time.Minute)
		d.welcome(how.String()+": the same token once the store is back", &d.device)
	}
}
