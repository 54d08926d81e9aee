package sallyport

import (
	"crypto/sha256"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Limits that shed load and raise an alarm. They bound no guesses: the budget of the account does.
const (
	wrongAMinute   = 60     // wrong answers from one address
	addressesKept  = 10_000 // in a minute, before the oldest minute is forgotten early
	alarmAccounts  = 100    // accounts with wrong answers in an hour
	alarmSpan      = time.Hour
	addressSpan    = time.Minute
	prefixIPv6Bits = 64
)

// addresses counts wrong answers by address and by account. The zero value is ready. Its memory is bounded, and only
// wrong answers of somebody signed in fill it.
type addresses struct {
	mu      sync.Mutex
	since   time.Time
	wrong   map[netip.Prefix]int
	hour    time.Time
	attacks map[[sha256.Size]byte]struct{}
	alarmed bool
}

// wait returns how long nothing more is judged from an address; zero: go ahead.
func (a *addresses) wait(from netip.Prefix, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	end := a.since.Add(addressSpan)
	if a.wrong[from] < wrongAMinute || !now.Before(end) || now.Before(a.since) {
		return 0
	}
	return end.Sub(now)
}

// count remembers a wrong answer from an address.
func (a *addresses) count(from netip.Prefix, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrong == nil || !now.Before(a.since.Add(addressSpan)) || now.Before(a.since) || len(a.wrong) >= addressesKept {
		a.since, a.wrong = now, map[netip.Prefix]int{}
	}
	a.wrong[from]++
}

// attacked remembers an account with a wrong answer, and reports whether this is the one that raises the alarm: once
// an hour.
func (a *addresses) attacked(userID string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.attacks == nil || !now.Before(a.hour.Add(alarmSpan)) || now.Before(a.hour) {
		a.hour, a.attacks, a.alarmed = now, map[[sha256.Size]byte]struct{}{}, false
	}
	if a.alarmed {
		return false
	}
	a.attacks[sha256.Sum256([]byte(userID))] = struct{}{}
	a.alarmed = len(a.attacks) > alarmAccounts
	return a.alarmed
}

// prefix returns what is counted for a request. Without Config.ClientIP a private address may be a proxy before
// everybody, so it is not counted.
func (g *Guard) prefix(r *http.Request) (netip.Prefix, bool) {
	a, err := g.address(r)
	if err != nil || !a.IsValid() {
		return netip.Prefix{}, false
	}
	if g.c.ClientIP == nil && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast()) {
		return netip.Prefix{}, false
	}
	bits := a.BitLen()
	if a.Is6() {
		bits = prefixIPv6Bits
	}
	p, err := a.WithZone("").Prefix(bits)
	return p, err == nil
}

// crowded returns how long a request has to wait, since too many wrong answers came from its address.
func (g *Guard) crowded(r *http.Request) time.Duration {
	from, counted := g.prefix(r)
	if !counted {
		return 0
	}
	return g.addresses.wait(from, g.c.Now())
}

// countWrong remembers a wrong answer, and raises the alarm when many accounts are being tried. The empty userID is
// nobody's: a passkey that signs nobody in.
func (g *Guard) countWrong(r *http.Request, userID string) {
	now := g.c.Now()
	if from, counted := g.prefix(r); counted {
		g.addresses.count(from, now)
	}
	if userID != "" && g.addresses.attacked(userID, now) {
		g.c.Log.Warn("sallyport: wrong answers on more than 100 accounts within an hour: passwords may be in the wrong hands",
			"accounts", alarmAccounts+1, "since", g.addresses.began())
	}
}

func (a *addresses) began() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hour
}
