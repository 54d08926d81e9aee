package sallyport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

const freeTries = 5 // in a row, SECURITY 2

func TestTHROTTLE1_ManyGuessesInOneBrowser(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice")
		control := owner.again("alice")
		control.prove()
		s.advance(30 * time.Second)
		b := owner.again("alice")
		for range sized(30, 1000) {
			b.guess(b.wrong())
		}
		got := b.guess(b.code(0))
		if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
			t.Errorf("the right code after too many wrong ones = %d, Retry-After %q, want 429", got.status,
				got.header.Get("Retry-After"))
		}
		b.mustBeOut("account")
		if n := s.judged("alice"); n != freeTries {
			t.Errorf("%d guesses were judged, want %d", n, freeTries)
		}
	})
}

func TestTHROTTLE1_ATicketFromBeforeTheWait(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	s.advance(30 * time.Second)
	b := owner.again("alice")
	kept := b.load(b.get("/mfa/verify/totp"), b.code(0))
	for range freeTries {
		b.guess(b.wrong())
	}
	if got := kept.send(); got != http.StatusTooManyRequests {
		t.Errorf("the right code with a ticket from before the wait = %d, want 429", got)
	}
	b.mustBeOut("account")
	s.advance(31 * time.Second)
	if got := b.guess(b.code(0)); got.status != http.StatusSeeOther {
		t.Errorf("the right code after the wait = %d, want 303", got.status)
	}
}

func TestTHROTTLE2_ANewSessionForEachGuess(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 2, open)
		owner := s.enrolled("alice")
		for i := range sized(20, 200) {
			b := owner.again("alice").at(i % 2)
			b.guess(b.wrong())
		}
		if n := s.judged("alice"); n != freeTries {
			t.Errorf("%d guesses were judged over many sessions, want %d", n, freeTries)
		}
		s.advance(20 * time.Second)
		b := owner.again("alice")
		if got := b.guess(b.code(0)); got.status != http.StatusTooManyRequests {
			t.Errorf("the right code in a new session = %d, want 429", got.status)
		}
	})
}

func TestTHROTTLE4_ThePasswordStepResetsNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	b := owner.again("alice")
	for range freeTries - 1 {
		b.guess(b.wrong())
	}
	for range sized(10, 50) {
		b.post("/logout", nil)
		b.login("alice")
	}
	b.guess(b.wrong())
	if got := b.guess(b.wrong()); got.status != http.StatusTooManyRequests {
		t.Errorf("the guess after the last free one = %d, want 429 whatever the password step did", got.status)
	}
}

func TestTHROTTLE4_AnotherUsersSuccessResetsNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner, bob := s.enrolled("alice"), s.enrolled("bob")
	b := owner.again("alice")
	for range freeTries - 1 {
		b.guess(b.wrong())
	}
	b.login("bob")
	b.secret = bob.secret
	b.prove()
	b.mustBeIn("account")
	b.login("alice")
	b.secret = owner.secret
	b.guess(b.wrong())
	if got := b.guess(b.wrong()); got.status != http.StatusTooManyRequests {
		t.Errorf("the guess after the last free one = %d, want 429 whatever another account did", got.status)
	}
	if n := s.judged("alice"); n != freeTries {
		t.Errorf("%d guesses were judged, want %d", n, freeTries)
	}
}

func spoofed(i int) []header {
	a := fmt.Sprintf("203.0.113.%d", i)
	return []header{
		{"X-Forwarded-For", a}, {"X-Real-IP", a}, {"Forwarded", "for=" + a}, {"True-Client-IP", a}, {"CF-Connecting-IP", a},
		{"X-Client-IP", a}, {"X-Forwarded-Host", a}, {"Client-IP", a},
	}
}

func TestTHROTTLE7_AddressesInHeadersChangeNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	for i := range 20 {
		b := owner.again("alice").sending(fromAddress, fmt.Sprintf("[2001:db8::%x]:4711", i+1))
		for _, h := range spoofed(i) {
			b = b.sending(h.name, h.value)
		}
		b.guess(b.wrong())
	}
	if n := s.judged("alice"); n != freeTries {
		t.Errorf("%d guesses were judged over many addresses, want %d", n, freeTries)
	}
	for _, ev := range s.eventsOf("alice") {
		if strings.HasPrefix(ev.Address, "203.0.113.") {
			t.Errorf("an event names the address %s, which only a header said", ev.Address)
		}
	}
}

// wrongFrom makes n wrong answers, each on an account of its own so that no budget ends first, from the addresses.
func (n *nodes) wrongFrom(user string, count int, address func(i int) string) {
	n.t.Helper()
	owner := n.enrolledAppOnly(user)
	for i := range count {
		if i%freeTries == freeTries-1 {
			owner = n.enrolledAppOnly(fmt.Sprintf("%s%d", user, i))
		}
		b := owner.again(owner.user()).sending(fromAddress, address(i))
		if got := b.guess(b.wrong()); got.status != http.StatusUnprocessableEntity {
			n.t.Fatalf("wrong answer %d from %s = %d, want 422", i, address(i), got.status)
		}
	}
}

// enrolledAppOnly returns a proved browser of a new user without recovery codes.
func (n *nodes) enrolledAppOnly(user string) *browser {
	n.t.Helper()
	b := n.login(user)
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	if a := b.fill(page, b.code(0)); a.status != http.StatusSeeOther {
		n.t.Fatalf("enrolling an app = %d", a.status)
	}
	return b
}

// user is who is signed in to a browser.
func (b *browser) user() string {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return b.s.sessions[b.cookie("session")].ID
}

func TestTHROTTLE7_OneNetworkOfIPv6IsOneAddress(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	at := func(i int) string { return fmt.Sprintf("[2001:db8:1:2:%x:%x::1]:4711", i, i*7) }
	s.wrongFrom("user", 60, at)
	victim := s.enrolledAppOnly("victim")
	s.advance(30 * time.Second)
	from := func(address string) answer {
		b := victim.again("victim").sending(fromAddress, address)
		return b.guess(b.code(0))
	}
	got := from(at(200))
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("a 61st answer from one /64 = %d, Retry-After %q, want 503", got.status, got.header.Get("Retry-After"))
	}
	if got := from("[2001:db8:1:3::1]:4711"); got.status != http.StatusSeeOther {
		t.Errorf("an answer from the /64 beside it = %d, want 303", got.status)
	}
	s.advance(time.Minute)
	if got := from(at(200)); got.status != http.StatusSeeOther {
		t.Errorf("an answer a minute later = %d, want 303", got.status)
	}
}

func TestTHROTTLE7_OneAddressOfIPv4HasOneLimit(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	s.wrongFrom("user", 60, func(i int) string {
		return []string{"198.51.100.7:1", "[::ffff:198.51.100.7]:2"}[i%2]
	})
	victim := s.enrolledAppOnly("victim")
	s.advance(30 * time.Second)
	b := victim.again("victim").sending(fromAddress, "198.51.100.7:3")
	for _, h := range spoofed(9) {
		b = b.sending(h.name, h.value)
	}
	if got := b.guess(b.code(0)); got.status != http.StatusServiceUnavailable {
		t.Errorf("a 61st answer from one address, whatever its headers say = %d, want 503", got.status)
	}
	other := victim.again("victim").sending(fromAddress, "198.51.100.8:3")
	if got := other.guess(other.code(0)); got.status != http.StatusSeeOther {
		t.Errorf("an answer from another address = %d, want 303", got.status)
	}
}

func TestTHROTTLE7_AProxyInFrontIsNotOneClient(t *testing.T) {
	for _, address := range []string{"127.0.0.1:1", "[::1]:1", "10.1.2.3:1", "192.168.1.1:1", "[fd00::1]:1",
		"[fe80::1%eth0]:1", "pipe"} {
		s := newNodes(t, 1, memoryStore())
		s.wrongFrom("user", 61, func(int) string { return address })
		victim := s.enrolledAppOnly("victim")
		s.advance(30 * time.Second)
		b := victim.again("victim").sending(fromAddress, address)
		if got := b.guess(b.code(0)); got.status != http.StatusSeeOther {
			t.Errorf("an answer from %s after 61 wrong ones = %d, want 303", address, got.status)
		}
	}
}

func TestTHROTTLE7_ATrustedHopIsCountedEvenIfPrivate(t *testing.T) {
	s := newNodes(t, 1, memoryStore(), func(_ *site, c *sallyport.Config) {
		c.ClientIP = func(r *http.Request) netip.Addr {
			a, _ := netip.ParseAddr(r.Header.Get("X-Trusted-Hop"))
			return a
		}
	})
	owner := s.enrolledAppOnly("user")
	for i := range 60 {
		if i%freeTries == freeTries-1 {
			owner = s.enrolledAppOnly(fmt.Sprintf("user%d", i))
		}
		b := owner.again(owner.user()).sending("X-Trusted-Hop", "10.0.0.9")
		b.guess(b.wrong())
	}
	victim := s.enrolledAppOnly("victim")
	s.advance(30 * time.Second)
	b := victim.again("victim").sending("X-Trusted-Hop", "10.0.0.9")
	if got := b.guess(b.code(0)); got.status != http.StatusServiceUnavailable {
		t.Errorf("a 61st answer behind the trusted hop = %d, want 503", got.status)
	}
}

func TestTHROTTLE9_TheBudgetHoldsOverNodesAndRestarts(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 3, open)
		owner := s.enrolled("alice")
		for i := range 12 {
			if i == 3 || i == 7 {
				s.restart()
			}
			b := owner.again("alice").at(i % 3)
			b.guess(b.wrong())
		}
		if n := s.judged("alice"); n != freeTries {
			t.Errorf("%d guesses were judged over three nodes and two restarts, want %d", n, freeTries)
		}
		s.advance(20 * time.Second)
		b := owner.again("alice").at(2)
		if got := b.guess(b.code(0)); got.status != http.StatusTooManyRequests {
			t.Errorf("the right code during the wait = %d, want 429", got.status)
		}
		s.advance(time.Minute)
		if got := b.guess(b.code(0)); got.status != http.StatusSeeOther {
			t.Errorf("the right code after the wait = %d, want 303", got.status)
		}
	})
}

func TestTHROTTLE10_APatientAttackerHasAHundredGuessesAYear(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	attacker := owner.again("alice")
	for range 365 {
		for range 4 {
			s.advance(5 * time.Hour)
			attacker.guess(attacker.wrong())
		}
		s.advance(4 * time.Hour)
		owner.login("alice")
		owner.prove()
	}
	judged := 0
	for _, ev := range s.eventsOf("alice") {
		if ev.Kind == mfa.WrongAnswer && !ev.Known {
			judged++
		}
	}
	if judged > 100 || judged < 80 {
		t.Errorf("%d guesses from unknown browsers were judged in a year, want at most 100", judged)
	}
	if s.noticesOf("alice", mfa.WrongInARow) == 0 {
		t.Error("the owner was not told of the fifth wrong answer")
	}
	attacker.mustBeOut("account")
}

func TestTHROTTLE11_ASprayOverManyAccountsRaisesTheAlarm(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	const alarm = "wrong answers on more than 100 accounts"
	accounts := sized(101, 2_000)
	for i := range accounts {
		b := s.enrolledAppOnly(fmt.Sprintf("user%d", i))
		attacker := b.again(b.user())
		if i == 100 && strings.Contains(s.log.String(), alarm) {
			t.Error("the alarm was raised by 100 accounts, want more than 100")
		}
		for range 3 {
			attacker.guess(attacker.wrong())
		}
		if n := s.judged(b.user()); n != 3 {
			t.Fatalf("%d guesses at %s were judged, want 3", n, b.user())
		}
	}
	if n := strings.Count(s.log.String(), alarm); n != 1 {
		t.Errorf("the alarm stands in the log %d times, want once an hour", n)
	}
}

func TestTHROTTLE12_ALockedOutAttackerDoesNotLockTheOwnerOut(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 2, open)
		owner := s.enrolled("alice")
		for range 8 {
			b := owner.again("alice")
			b.guess(b.wrong())
		}
		stranger := owner.again("alice")
		if got := stranger.guess(stranger.code(1)); got.status != http.StatusTooManyRequests ||
			got.header.Get("Retry-After") != "30" || !strings.Contains(text(got.body), "Try again in 30 seconds") {
			t.Errorf("an unknown browser = %d, Retry-After %q, want 429 and 30 seconds on the page\n%s",
				got.status, got.header.Get("Retry-After"), text(got.body))
		}
		if n := s.noticesOf("alice", mfa.WrongInARow); n != 1 {
			t.Errorf("the owner was told %d times, want once", n)
		}
		owner.login("alice") // the known cookie stays in the jar
		owner.mustBeOut("account")
		if got := owner.guess(owner.code(1)); got.status != http.StatusSeeOther {
			t.Errorf("the owner's known browser = %d, want 303", got.status)
		}
		owner.mustBeIn("account")
		if got := stranger.recover(owner.codes[5]); got.status != http.StatusSeeOther {
			t.Errorf("a recovery code in an unknown browser = %d, want 303: it cannot be guessed", got.status)
		}
	})
}

func TestTHROTTLE12_WrongRecoveryCodesShutNobodyOut(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner, bob := s.enrolled("alice"), s.enrolled("bob")
	b := owner.again("alice")
	refused := 0
	for i := range 15 {
		got := b.recover(bob.codes[i%10])
		if got.status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 5 || s.judged("alice") != 10 {
		t.Errorf("of 15 wrong recovery codes %d were refused unseen and %d remembered, want 5 and 10", refused,
			s.judged("alice"))
	}
	if got := b.recover(owner.codes[2]); got.status != http.StatusSeeOther {
		t.Errorf("a right one among them = %d, want 303", got.status)
	}
}

// A known browser of an account that was forgotten is a stranger to the account that has its id now.
func TestTHROTTLE12_AKnownBrowserOfAnErasedAccountIsUnknown(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	old := s.enrolled("alice")
	s.advance(time.Hour)
	if err := s.engine().Erase(context.Background(), "alice", "support", "asked for"); err != nil {
		t.Fatal(err)
	}
	s.advance(time.Minute)
	owner := s.enrolled("alice")
	old.login("alice")
	old.secret = owner.secret
	old.guess(old.wrong())
	i := slices.IndexFunc(s.eventsOf("alice"), func(ev mfa.Event) bool { return ev.Kind == mfa.WrongAnswer })
	if i < 0 || s.eventsOf("alice")[i].Known {
		t.Errorf("a guess from a browser of the erased account is charged to the known lane, want the unknown one")
	}
}
