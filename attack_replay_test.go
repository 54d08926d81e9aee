package sallyport_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"sallyport/mfa"
)

func TestREPLAY1_TheSameCodeInAnotherBrowser(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 2, open)
		owner := s.enrolled("alice")
		a, b := owner.again("alice"), owner.again("alice")
		otherNode, afterRestart := owner.again("alice").at(1), owner.again("alice")
		s.advance(30 * time.Second)
		code := owner.code(0)
		if got := a.guess(code); got.status != http.StatusSeeOther {
			t.Fatalf("the first use of a code = %d, want 303", got.status)
		}
		a.mustBeIn("account")
		refuse := func(where string, b *browser) {
			t.Helper()
			if got := b.guess(code); got.status != http.StatusUnprocessableEntity {
				t.Errorf("the same code %s = %d, want 422", where, got.status)
			}
			b.mustBeOut("account")
		}
		refuse("in another browser", b)
		refuse("on another node", otherNode)
		s.restart()
		refuse("after every node was restarted", afterRestart)
		b.prove()
		b.mustBeIn("account")
	})
}

func TestREPLAY3_TheSameCodeAtTheEndOfItsWindow(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice") // at second 0 of a step
		a, b, control := owner.again("alice"), owner.again("alice"), owner.again("alice")
		s.advance(59 * time.Second)
		code := owner.code(0)
		if got := a.guess(code); got.status != http.StatusSeeOther {
			t.Fatalf("a code at second 29 of its step = %d, want 303", got.status)
		}
		s.advance(2 * time.Second)
		if got := b.guess(code); got.status != http.StatusUnprocessableEntity {
			t.Errorf("the same code at second 1 of the next step = %d, want 422", got.status)
		}
		b.mustBeOut("account")
		if got := control.guess(owner.code(0)); got.status != http.StatusSeeOther {
			t.Errorf("the code of that step = %d, want 303", got.status)
		}
	})
}

func TestREPLAY4_TheSameCodeOnAnotherSurface(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	s.advance(30 * time.Second)
	a := owner.again("alice")
	code := owner.code(0)
	if got := a.guess(code); got.status != http.StatusSeeOther {
		t.Fatalf("the code at sign-in = %d, want 303", got.status)
	}
	s.advance(20 * time.Second) // within the window of the code
	pending := owner.again("alice")
	surfaces := map[string]func(b *browser) int{
		"the step-up of a page": func(b *browser) int { return b.fill(b.follow(b.get("/two")), code).status },
		"the gate of enrollment": func(b *browser) int {
			return b.fill(b.follow(b.get("/mfa/verify/totp?factor="+a.factor("totp"))), code).status
		},
		"the recheck": func(b *browser) int { return b.guess(code).status },
		"the JSON API": func(b *browser) int {
			_, begun := b.call("POST", "/mfa/verify/totp/begin", nil)
			got, _ := b.call("POST", "/mfa/verify/totp", map[string]any{"ticket": begun["ticket"], "answer": code})
			return got.status
		},
		"the recovery page": func(b *browser) int { return b.recover(code).status },
	}
	for name, try := range surfaces {
		for who, b := range map[string]*browser{"proved": a, "pending": pending} {
			if name == "the step-up of a page" && who == "proved" {
				continue // it is asked for its recovery code there, since the app is proved
			}
			if got := try(b); got != http.StatusUnprocessableEntity {
				t.Errorf("a used code at %s, browser %s = %d, want 422", name, who, got)
			}
		}
	}
	basic := header{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+code))}
	if got := pending.get("/account", basic); got.status == http.StatusOK {
		t.Errorf("a used code in an Authorization header = %d, want no page", got.status)
	}
	pending.mustBeOut("account")
	pending.prove()
	pending.mustBeIn("account")
}

func TestREPLAY5_TheCodeThatConfirmedTheEnrollment(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice")
		b := owner.again("alice")
		if got := b.guess(owner.code(0)); got.status != http.StatusUnprocessableEntity {
			t.Errorf("the code of the enrollment at sign-in = %d, want 422", got.status)
		}
		b.mustBeOut("account")
		b.prove()
		b.mustBeIn("account")
	})
}

// pendings returns browsers of a user that have given the password alone, spread over the nodes.
func (n *nodes) pendings(owner *browser, user string, count int) []*browser {
	var all []*browser
	for i := range count {
		all = append(all, owner.again(user).at(i%len(n.configs)))
	}
	return all
}

// atOnce is how many browsers race in a round: many of them in some rounds of the large size only.
func atOnce(round int) int {
	if round%100 == 99 {
		return 256
	}
	return sized(8, 2<<(round%3))
}

func TestRACE1_OneCodeInManyBrowsersAtOnce(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 3, open)
		owner := s.enrolled("alice")
		pending := s.pendings(owner, "alice", sized(8, 256))
		for round := range sized(2, 1000) {
			racing := pending[:atOnce(round)]
			s.advance(90 * time.Second)
			var forms []loaded
			for _, b := range racing {
				forms = append(forms, b.load(b.get("/mfa/verify/totp"), owner.code(0)))
			}
			volley(forms)
			in := 0
			for _, b := range racing {
				if b.isIn("account") {
					in++
					b.login("alice") // the next round finds it unproved
				}
			}
			if in != 1 {
				t.Fatalf("round %d: %d of %d browsers are in with one code, want 1", round, in, len(racing))
			}
			s.advance(10 * time.Minute) // the tickets are forgotten
		}
	})
}

func TestRACE2_OneRecoveryCodeInManyBrowsersAtOnce(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 3, open)
		owner := s.enrolled("alice")
		pending := s.pendings(owner, "alice", sized(8, 64))
		var forms []loaded
		for _, b := range pending {
			forms = append(forms, b.load(b.get("/mfa/verify/recovery"), owner.codes[3]))
		}
		volley(forms)
		if in := count(pending, "account"); in != 1 {
			t.Errorf("%d browsers are in with one recovery code, want 1", in)
		}
		if left := owner.codesLeft(); left != 9 {
			t.Errorf("%d codes are left, want 9", left)
		}
		late := owner.again("alice")
		late.recover(owner.codes[3])
		late.mustBeOut("account")
	})
}

func TestRACE2_OneEnrollmentConfirmedManyTimesAtOnce(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 3, open)
		b := s.login("alice")
		page := b.follow(b.get("/mfa/enroll/totp"))
		b.secret = secretOf(page)
		var forms []loaded
		for i := range sized(8, 64) {
			forms = append(forms, b.at(i%3).load(page, b.code(0)))
		}
		volley(forms)
		b.mustBeIn("vault")
		if n := len(b.factors()); n != 1 {
			t.Errorf("one enrollment confirmed many times leaves %d factors, want 1", n)
		}
	})
}

func TestRACE4_ManyGuessesAtOnceAreNoMoreThanTheBudget(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 3, open)
		owner := s.enrolled("alice")
		s.advance(30 * time.Second)
		right := owner.code(0)
		pending := s.pendings(owner, "alice", sized(24, 96))
		lucky := rand.N(len(pending))
		var forms []loaded
		for i, b := range pending {
			reply := owner.wrong()
			if i == lucky {
				reply = right
			}
			forms = append(forms, b.load(b.get("/mfa/verify/totp"), reply))
		}
		volley(forms)
		before, after, proved := 0, 0, 0
		for _, ev := range s.eventsOf("alice") {
			switch {
			case ev.Kind == mfa.Proved:
				proved++
			case ev.Kind == mfa.WrongAnswer && proved == 0:
				before++
			case ev.Kind == mfa.WrongAnswer:
				after++
			}
		}
		if before > 5 || after > 5 || proved == 1 && before > 4 {
			t.Errorf("%d wrong guesses were judged before the right one and %d after it, want no more than the free tries",
				before, after)
		}
		if in := count(pending, "account"); in != proved {
			t.Errorf("%d browsers are in, want %d: those whose right code was judged", in, proved)
		}
	})
}

func TestRACE6_TwoFirstEnrollmentsAtOnce(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		for round := range sized(3, 100) {
			s, user := newNodes(t, 2, open), fmt.Sprintf("alice%d", round)
			both := []*browser{s.login(user), s.login(user).at(1)}
			var forms []loaded
			for _, b := range both {
				page := b.follow(b.get("/mfa/enroll/totp"))
				b.secret = secretOf(page)
				forms = append(forms, b.load(page, b.code(0)))
			}
			volley(forms)
			winner, loser := both[0], both[1]
			if !winner.isIn("vault") {
				winner, loser = loser, winner
			}
			winner.mustBeIn("vault")
			loser.mustBeOut("account")
			if n := len(winner.factors()); n != 1 {
				t.Fatalf("two first enrollments at once leave %d factors, want 1", n)
			}
			if got := loser.guess(loser.code(1)); got.status == http.StatusSeeOther {
				t.Error("the app of the loser opens the account")
			}
			loser.secret = winner.secret
			loser.prove()
			loser.mustBeIn("vault")
		}
	})
}

func TestRACE6_TheLoserOfARaceIsNotEnrolledLater(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	first, second := s.login("alice"), s.login("alice")
	page := second.follow(second.get("/mfa/enroll/totp"))
	second.secret = secretOf(page)
	first.enroll()
	before := s.record("alice")
	form := url.Values{"answer": {second.code(0)}, "ticket": {found(ticketField, page.body)}}
	if got := second.post("/mfa/enroll/totp", form); got.status == http.StatusCreated || got.status == http.StatusOK {
		t.Errorf("a first enrollment begun before another was finished = %d, want a refusal", got.status)
	}
	s.mustBeUnchanged("alice", before, "an enrollment by a login that has proved nothing")
	second.mustBeOut("vault")
	first.mustBeIn("vault")
}
