package mfa

import (
	"bytes"
	"slices"
	"time"
)

// Account is all that Sallyport keeps about one user, in one sealed record. The zero Account is a user who has never
// enrolled anything.
type Account struct {
	Epoch       uint64    // see the package comment; bound into assurances, tickets and remembered browsers
	KnownSince  time.Time // known-browser entries count from here: creation, a reset, "forget all"
	NoticedAt   time.Time // last notice of a sign-in from a new browser
	Factors     []Factor
	Lanes       [2]Lane // by LaneID
	Answered    []Answered
	Live        []Live
	Browsers    []Browser
	Events      uint64 // running number of this account's events
	Preferences Preferences
	Frees       Day // tries to free a factor that wrong guesses have stopped

	implied []Factor // factors without enrollment, made from the User of this request; never stored
}

// Answered is a ticket that has had its one answer; it is remembered until it would have expired.
type Answered struct {
	Ticket TicketID
	Lane   LaneID
	Until  time.Time
}

// Live is a code that was sent and may still be typed.
type Live struct {
	FactorID, Session, Purpose string
	Hash                       []byte
	Wrong                      int
	Until                      time.Time
}

// Browser is a remembered browser: the SHA-256 of its present and its previous token, what makes one from the other, and
// the proof that it stands for.
type Browser struct {
	ID, Label                 string
	Present, Previous, Secret []byte
	Rotated                   time.Time // when the present token was made
	FactorID                  string
	At, Until                 time.Time
	Verified                  bool
}

// Preferences are the user's own choices.
type Preferences struct {
	FactorID string   // asked for first; "": the last used
	Language string   // BCP 47; "": the site decides
	Muted    []string // couriers switched off
}

// Factor returns the factor with the given id and whether there is one.
func (acct *Account) Factor(id string) (Factor, bool) {
	for _, list := range [...][]Factor{acct.Factors, acct.implied} {
		if i := slices.IndexFunc(list, func(f Factor) bool { return f.ID == id }); i >= 0 {
			return list[i], true
		}
	}
	return Factor{}, false
}

// all returns the factors, and those without enrollment.
func (acct *Account) all() []Factor {
	if len(acct.implied) == 0 {
		return acct.Factors
	}
	return slices.Concat(acct.Factors, acct.implied)
}

// Enrolled reports whether the account holds any factor at all. Paused, stopped, expired and unknown ones count, and
// so does a temporary pass: nothing but the owner or support can turn a protected account into an open one.
func (acct *Account) Enrolled() bool { return len(acct.Factors) > 0 }

// awaitsEnrollment reports whether a temporary pass, used or not, is all that the account holds.
func (acct *Account) awaitsEnrollment() bool {
	return acct.Enrolled() && !slices.ContainsFunc(acct.Factors, func(f Factor) bool { return f.Method != MethodPass })
}

func (acct *Account) index(id string) int {
	return slices.IndexFunc(acct.Factors, func(f Factor) bool { return f.ID == id })
}

func (acct *Account) browser(id string) (Browser, bool) {
	if i := slices.IndexFunc(acct.Browsers, func(b Browser) bool { return b.ID == id }); i >= 0 {
		return acct.Browsers[i], true
	}
	return Browser{}, false
}

// ends returns when a proof of f ends to count by itself; zero: it does not.
func (acct *Account) ends(proof *Proof, f Factor) time.Time {
	end := sooner(proof.Until, f.Expires)
	if b, ok := acct.browser(proof.Device); ok {
		end = sooner(end, b.Until)
	}
	return end
}

// clone returns a copy that shares nothing with acct that anybody could write into.
func (acct *Account) clone() *Account {
	c := *acct
	c.Factors = slices.Clone(acct.Factors)
	c.Answered = slices.Clone(acct.Answered)
	c.Live = slices.Clone(acct.Live)
	c.Browsers = slices.Clone(acct.Browsers)
	c.Preferences.Muted = slices.Clone(acct.Preferences.Muted)
	for i := range c.Lanes {
		c.Lanes[i].Days = slices.Clone(acct.Lanes[i].Days)
		c.Lanes[i].Sends = slices.Clone(acct.Lanes[i].Sends)
	}
	for i := range c.Factors {
		c.Factors[i].State = bytes.Clone(acct.Factors[i].State)
	}
	for i := range c.Live {
		c.Live[i].Hash = bytes.Clone(acct.Live[i].Hash)
	}
	for i := range c.Browsers {
		c.Browsers[i].Present = bytes.Clone(acct.Browsers[i].Present)
		c.Browsers[i].Previous = bytes.Clone(acct.Browsers[i].Previous)
	}
	return &c
}
