package mfa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// EngineConfig is what an Engine is made of.
type EngineConfig struct {
	Store   Store
	Ring    *Ring
	Methods []Method // in the order in which they are offered
	Origin  string   // bound into everything that a browser holds

	// Recheck is how long a proof lasts. The zero value draws from 3 to 6 hours.
	Recheck Recheck

	// KeepSessions leaves other sessions proved when a factor is added, removed or paused. By default they end.
	KeepSessions bool

	// CacheSize bounds the opened accounts kept in memory; zero: 10,000.
	CacheSize int

	// Hook is called with the events of each save, after it and before anything is told to the client. An error or a
	// panic keeps a proof from leaving. Nil: nothing is called.
	Hook func(context.Context, User, []Event) error

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: slog.Default
}

// Recheck is the span from which the life of each proof is drawn at random, so that users are not all asked at once and
// nobody learns to expect it.
type Recheck struct {
	Min, Max time.Duration // zero both: 3 and 6 hours
	Off      bool          // proofs last as long as the login
}

// Engine runs the ceremonies: it loads accounts, lets methods judge, and saves what must be remembered before anything
// is told. It is safe for use by many goroutines and by many processes on one Store.
type Engine struct {
	store   Store
	ring    *Ring
	methods []Method
	names   []string
	origin  string
	recheck Recheck
	keep    bool
	hook    func(context.Context, User, []Event) error
	clock   func() time.Time
	log     *slog.Logger

	cache  *cache
	opened *opened
	locks  locks
	said   *waivers
}

// NewEngine checks the configuration, all mistakes at once, and starts nothing.
func NewEngine(c EngineConfig) (*Engine, error) {
	var mistakes []error
	if c.Store == nil {
		mistakes = append(mistakes, errors.New("Store is nil: give one from sqlstore, or mfa.NewMemory for a test"))
	}
	if c.Ring == nil {
		mistakes = append(mistakes, errors.New("Ring is nil: make one with mfa.NewRing"))
	}
	names, err := checkMethods(c.Methods)
	if err != nil {
		mistakes = append(mistakes, err)
	}
	if err := c.Recheck.check(); err != nil {
		mistakes = append(mistakes, err)
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	e := &Engine{
		store: c.Store, ring: c.Ring, methods: slices.Clone(c.Methods), names: names, origin: c.Origin,
		recheck: c.Recheck.orDefault(), keep: c.KeepSessions, hook: c.Hook, clock: c.Now, log: c.Log,
		cache: newCache(orDefault(c.CacheSize, 10_000)), opened: newOpened(orDefault(c.CacheSize, 10_000)),
		said: &waivers{},
	}
	if e.clock == nil {
		e.clock = time.Now
	}
	if e.log == nil {
		e.log = slog.Default()
	}
	return e, nil
}

// checkMethods returns the names of the methods and all that is wrong with them.
func checkMethods(methods []Method) (names []string, err error) {
	var mistakes []error
	if len(methods) == 0 {
		mistakes = append(mistakes, errors.New("Methods is empty: nobody could prove anything"))
	}
	for i, m := range methods {
		if m == nil {
			mistakes = append(mistakes, fmt.Errorf("Methods: number %d is nil", i+1))
			continue
		}
		if slices.Contains(names, m.Name()) {
			mistakes = append(mistakes, fmt.Errorf("Methods: %q is there twice", m.Name()))
		}
		names = append(names, m.Name())
		if c, ok := m.(Configured); ok {
			if err := c.Check(); err != nil {
				mistakes = append(mistakes, fmt.Errorf("Methods: %w", err))
			}
		}
	}
	return names, errors.Join(mistakes...)
}

func (r Recheck) check() error {
	switch {
	case r.Off && (r.Min != 0 || r.Max != 0):
		return errors.New("Recheck: Off is set, and so is Min or Max: give one or the other")
	case r.Min < 0 || r.Max < r.Min:
		return fmt.Errorf("Recheck: Min is %v and Max %v: give 0 <= Min <= Max", r.Min, r.Max)
	case r.Max > 0 && r.Max < time.Minute:
		return fmt.Errorf("Recheck: Max is %v: a proof that lasts less than a minute ends before it is used", r.Max)
	}
	return nil
}

func (r Recheck) orDefault() Recheck {
	if !r.Off && r.Max == 0 {
		r.Min, r.Max = 3*time.Hour, 6*time.Hour
	}
	return r
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Visit is who asks, in which login, from where.
type Visit struct {
	User      User
	Pending   string    // names a sign-in that has no session yet; "": User.Session names the login
	Assurance Assurance // what the login has proved, opened
	KnownAt   time.Time // when this browser last proved a factor of this account; zero: it is not known

	NeedVerified bool // what is begun asks for user verification (PIN or biometric) instead of preferring it

	Address, Browser string // connection address and User-Agent, for events

	// Remember asks that a right answer makes this browser a remembered one for as long; zero: not asked. Label is
	// what the user will know it by.
	Remember time.Duration
	Label    string
}

func (v Visit) login() string {
	if v.Pending != "" {
		return "pending:" + v.Pending
	}
	return "session:" + v.User.Session
}

// lane returns which lane of the budget the visit is charged to.
func (v Visit) lane(acct *Account) LaneID {
	if v.KnownAt.IsZero() || v.KnownAt.Before(acct.KnownSince) {
		return UnknownLane
	}
	return KnownLane
}

func (e *Engine) now() time.Time { return e.clock().UTC() }

// Methods returns the names of the configured methods, in the order in which they are offered.
func (e *Engine) Methods() []string { return slices.Clone(e.names) }

// Method returns the configured method of that name, or the Refusal UnknownMethod.
func (e *Engine) Method(name string) (Method, error) {
	if i := slices.Index(e.names, name); i >= 0 {
		return e.methods[i], nil
	}
	return nil, refuse(WhyUnknownMethod, "it is not one of "+strings.Join(e.names, ", "))
}

// CanSatisfy reports whether some method that users can enroll is strong enough for p.
func (e *Engine) CanSatisfy(p Policy) bool {
	return slices.ContainsFunc(e.methods, func(m Method) bool {
		_, enrolls := m.(Enroller)
		return enrolls && m.Name() != MethodRecovery && p.mayCount(Factor{Strength: m.Strength()})
	})
}

// SealAssurance returns a as text for a cookie or a session: bound to user, login and origin.
func (e *Engine) SealAssurance(a Assurance) (string, error) {
	return e.ring.SealText(e.now(), "assurance", a.encode(), a.UserID, a.Session, e.origin)
}

// OpenAssurance returns what SealAssurance sealed for this login of u. Anything else is the zero Assurance.
func (e *Engine) OpenAssurance(u User, sealed string) Assurance {
	if sealed == "" || !u.SignedIn() || u.Session == "" {
		return Assurance{}
	}
	if a, ok := e.opened.find(u, sealed); ok {
		return a
	}
	plain, err := e.ring.OpenText("assurance", sealed, u.ID, u.Session, e.origin)
	if err != nil {
		return Assurance{}
	}
	a, err := decodeAssurance(plain, u.ID, u.Session)
	if err != nil {
		return Assurance{}
	}
	e.opened.put(strings.Clone(sealed), a)
	return a
}

// Decide applies p to a request of v. A cached account may only allow: for anything else the store is read. An error
// means that nothing could be decided, and denies.
func (e *Engine) Decide(ctx context.Context, p Policy, v Visit) (Decision, error) {
	if !v.User.SignedIn() || v.User.Session == "" {
		return p.Decide(e.now(), v.User, Account{}, e.names, v.Assurance), nil
	}
	if p.Waived != "" {
		if err := e.waive(ctx, p, v); err != nil {
			return Decision{Policy: p}, err
		}
		return p.Decide(e.now(), v.User, Account{}, e.names, v.Assurance), nil
	}
	now := e.now()
	if acct, ok := e.cache.fresh(v.User.ID, now); ok {
		if d := e.decide(p, now, v, acct); d.Action == Allow {
			return d, nil
		}
	}
	acct, _, err := e.load(ctx, v.User.ID)
	if err != nil {
		return Decision{Policy: p}, err
	}
	return e.decide(p, e.now(), v, acct), nil
}

// decide lets p decide about a shared account. What is only sent is looked at only where it may count.
func (e *Engine) decide(p Policy, now time.Time, v Visit, shared *Account) Decision {
	acct := *shared
	if p.Min <= Sent {
		e.imply(&acct, v.User)
	}
	return p.Decide(now, v.User, acct, e.names, v.Assurance)
}

// Account returns the account of a user as the store has it now, without the factors that need no enrollment. It is the
// caller's own copy: to change it changes nothing that is kept.
func (e *Engine) Account(ctx context.Context, userID string) (*Account, error) {
	acct, _, err := e.load(ctx, userID)
	if err != nil {
		return nil, err
	}
	return acct.clone(), nil
}

// AccountOf is Account with the factors that need no enrollment.
func (e *Engine) AccountOf(ctx context.Context, u User) (*Account, error) {
	acct, err := e.Account(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	e.imply(acct, u)
	return acct, nil
}

// load reads and opens an account, which the cache then shares: it must not be changed. One that does not exist is
// empty and has version 0.
func (e *Engine) load(ctx context.Context, userID string) (*Account, int64, error) {
	if strings.HasPrefix(userID, "~") {
		return nil, 0, errors.New(`a User.ID may not begin with "~"`)
	}
	sent := e.now()
	rec, err := e.store.Load(ctx, userID)
	if err != nil {
		return nil, 0, fmt.Errorf("loading an account: %w", err)
	}
	acct, err := e.open(userID, rec)
	if err != nil {
		return nil, 0, err
	}
	e.cache.put(userID, cached{acct, rec.Version, sent})
	return acct, rec.Version, nil
}

func (e *Engine) open(userID string, rec Record) (*Account, error) {
	if rec.Version == 0 {
		return &Account{}, nil
	}
	plain, err := e.ring.Open("account", rec.Data, userID, fmt.Sprint(rec.Version))
	if err != nil {
		return nil, fmt.Errorf("opening an account of version %d: %w", rec.Version, err)
	}
	return decodeAccount(plain)
}

// changeTime is how long a change waits for others and for the store.
const changeTime = 2 * time.Second

// ruling is what judging found: events to save with the account, and what to tell once it is saved.
type ruling struct {
	events []Event
	told   error
}

// judge looks at an account, changes it, and rules. It may be asked again if somebody else was faster.
type judge func(acct *Account, now time.Time) (ruling, error)

// change is how everything is written: it settles what judge rules, calls the hook, and tells what judge wants told.
func (e *Engine) change(ctx context.Context, v Visit, judge judge) error {
	r, err := e.settle(ctx, v, judge)
	if err != nil {
		return err
	}
	if err := e.callHook(ctx, v.User, r.events); err != nil {
		return err
	}
	return r.told
}

// settle loads, lets judge work on a copy, and saves if nobody else did, else begins again. An error of judge writes
// nothing.
func (e *Engine) settle(ctx context.Context, v Visit, judge judge) (ruling, error) {
	if v.User.ID == "" {
		return ruling{}, errors.New("a change needs a user")
	}
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	release, err := e.locks.acquire(ctx, v.User.ID)
	if err != nil {
		return ruling{}, fmt.Errorf("waiting for other changes of the account: %w", err)
	}
	defer release()
	for {
		old, version, err := e.load(ctx, v.User.ID)
		if err != nil {
			return ruling{}, err
		}
		now := e.now()
		acct := old.clone()
		e.imply(acct, v.User)
		r, err := judge(acct, now)
		if err != nil {
			return ruling{}, err
		}
		err = e.save(ctx, v, acct, version, now, r.events)
		if !errors.Is(err, ErrConflict) {
			return r, err
		}
		if err := pause(ctx); err != nil {
			return ruling{}, fmt.Errorf("the account kept changing: %w", err)
		}
	}
}

// save seals and stores acct, and replaces what the cache holds.
func (e *Engine) save(ctx context.Context, v Visit, acct *Account, version int64, now time.Time, events []Event) error {
	if acct.KnownSince.IsZero() {
		acct.KnownSince = now
	}
	if err := e.number(acct, v, now, events); err != nil {
		return err
	}
	data, err := e.ring.Seal(now, "account", acct.encode(), v.User.ID, fmt.Sprint(version+1))
	if err != nil {
		return err
	}
	rec := Record{
		UserID: v.User.ID, Version: version, Data: data, Keys: acct.keys(), KeyID: e.ring.Primary(), Summary: acct.summary(),
	}
	err = e.store.Save(ctx, rec, events)
	switch {
	case errors.Is(err, ErrTaken):
		return refuse(WhyTaken, "")
	case err != nil:
		return fmt.Errorf("saving an account: %w", err)
	}
	e.cache.put(v.User.ID, cached{acct.clone(), version + 1, now}) // acct itself goes to whoever asked for the change
	return nil
}

func (acct *Account) keys() []string {
	keys := []string{}
	for _, f := range acct.Factors {
		if f.Key != "" {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

func (acct *Account) summary() Summary {
	var s Summary
	for _, f := range acct.Factors {
		if !slices.Contains(s.Methods, f.Method) {
			s.Methods = append(s.Methods, f.Method)
		}
		if f.LastUsed.After(s.LastUsed) {
			s.LastUsed = f.LastUsed
		}
		s.Stopped = s.Stopped || f.Off&(StoppedByGuesses|StoppedBySupport) != 0
	}
	slices.Sort(s.Methods)
	return s
}

// callHook turns a panic of the hook into an error.
func (e *Engine) callHook(ctx context.Context, u User, events []Event) (err error) {
	if e.hook == nil || len(events) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the event hook panicked: %v", p)
		}
	}()
	if err := e.hook(ctx, u, events); err != nil {
		return fmt.Errorf("the event hook: %w", err)
	}
	return nil
}

// pause waits from 1 to 10 ms, so that writers of one account do not meet again at once.
func pause(ctx context.Context) error {
	t := time.NewTimer(time.Millisecond + rand.N(9*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
