package sallyport_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// faulty is a store between which and the guard one call goes wrong, or every one.
type faulty struct {
	attackedStore
	mu    sync.Mutex
	calls int
	at    int // which call, from 1; 0: none; negative: all
	kind  string
	stale map[string]mfa.Record // what a replica that lags behind still holds
}

// The ways in which a call goes wrong.
var faultKinds = []string{"error", "time-out", "error after success", "panic", "stale", "partial",
	"panic after success"}

func (f *faulty) arm(at int, kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.at, f.kind = 0, at, kind
}

// next returns how this call goes wrong; "": it does not.
func (f *faulty) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.at < 0 || f.calls == f.at {
		return f.kind
	}
	return ""
}

// made is how many calls there were since arm.
func (f *faulty) made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// lag makes the replica remember what a user's record is now.
func (f *faulty) lag(userID string, rec mfa.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stale = map[string]mfa.Record{userID: rec}
}

var errAway = errors.New("the database does not answer")

func (f *faulty) Load(ctx context.Context, userID string) (mfa.Record, error) {
	switch f.next() {
	case "error":
		return mfa.Record{}, errAway
	case "time-out":
		return mfa.Record{}, context.DeadlineExceeded
	case "panic":
		panic("a bug of the driver")
	case "stale":
		f.mu.Lock()
		defer f.mu.Unlock()
		if old, ok := f.stale[userID]; ok {
			return old, nil
		}
	case "partial":
		rec, err := f.attackedStore.Load(ctx, userID)
		rec.Data = rec.Data[:len(rec.Data)/2]
		return rec, err
	case "error after success", "panic after success":
		f.attackedStore.Load(ctx, userID)
		return mfa.Record{}, errAway
	}
	return f.attackedStore.Load(ctx, userID)
}

func (f *faulty) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	switch f.next() {
	case "error", "partial":
		return errAway
	case "time-out":
		return context.DeadlineExceeded
	case "panic":
		panic("a bug of the driver")
	case "error after success":
		if err := f.attackedStore.Save(ctx, r, events); err != nil {
			return err
		}
		return errAway
	case "panic after success":
		if err := f.attackedStore.Save(ctx, r, events); err != nil {
			return err
		}
		panic("a bug of the driver")
	}
	return f.attackedStore.Save(ctx, r, events)
}

// shaky starts a site on a store that can be made to fail.
func shaky(t *testing.T, changes ...func(*site, *sallyport.Config)) (*nodes, *faulty) {
	store := &faulty{attackedStore: attackStore{mfa.NewMemory()}}
	return newNodes(t, 1, func() attackedStore { return store }, changes...), store
}

// mustFailWell checks the answer to a request during which the store has failed.
func mustFailWell(t *testing.T, what string, a answer) {
	t.Helper()
	if strings.Contains(a.body, "canary:") {
		t.Errorf("%s: the page is shown", what)
	}
	if a.status >= 500 && a.status != http.StatusServiceUnavailable && a.status != http.StatusInternalServerError {
		t.Errorf("%s = %d, want 503", what, a.status)
	}
	if a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
		t.Errorf("%s = 503 without Retry-After", what)
	}
	if strings.Contains(a.body, errAway.Error()) || strings.Contains(a.body, "driver") {
		t.Errorf("%s tells the client about the database:\n%s", what, text(a.body))
	}
}

// eachCall runs a request once for each of the store's calls that it makes, with that call going wrong in each way.
func eachCall(t *testing.T, prepare func(s *nodes, store *faulty) (run func() answer,
	check func(what string, a answer))) {
	for _, kind := range faultKinds {
		for call := 1; ; call++ {
			s, store := shaky(t)
			run, check := prepare(s, store)
			store.arm(call, kind)
			a := run()
			reached := store.made() >= call
			store.arm(0, "")
			if !reached {
				break
			}
			check(fmt.Sprintf("call %d: %s", call, kind), a)
			if call > 20 {
				t.Fatalf("%s: a request makes more than 20 calls of the store", kind)
			}
		}
	}
}

func TestFAIL1_NoFailureOfTheStoreLetsAnybodyIn(t *testing.T) {
	s, store := shaky(t)
	owner := s.enrolled("alice")
	store.lag("alice", s.record("alice"))
	owner.prove()
	owner.mustBeIn("account")
	pending := owner.again("alice")
	pages := append([]string{"/mfa/", "/mfa/enroll/totp", "/mfa/enroll/recovery", "/mfa/recovered"}, protectedPages...)
	for _, kind := range faultKinds {
		for _, page := range pages {
			for call := 1; ; call++ {
				store.arm(call, kind)
				a := pending.get(page)
				reached := store.made() >= call
				store.arm(0, "")
				if !reached {
					break
				}
				what := fmt.Sprintf("GET %s unproved, call %d: %s", page, call, kind)
				mustFailWell(t, what, a)
				if found(codeText, a.body) != "" || secretOf(a) != "" {
					t.Errorf("%s: an enrollment is shown", what)
				}
				pending.mustBeOut("account")
			}
		}
	}
	owner.mustBeIn("account")
}

func TestFAIL1_NoFailureOfTheStoreMakesAWrongCodeRight(t *testing.T) {
	eachCall(t, func(s *nodes, store *faulty) (func() answer, func(string, answer)) {
		owner := s.enrolled("alice")
		store.lag("alice", s.record("alice"))
		s.advance(30 * time.Second)
		b := owner.again("alice")
		page := b.get("/mfa/verify/totp")
		return func() answer { return b.fill(page, b.wrong()) }, func(what string, a answer) {
			mustFailWell(t, "a wrong code, "+what, a)
			if a.status == http.StatusSeeOther {
				t.Errorf("a wrong code, %s = 303 to %q", what, a.next)
			}
			b.mustBeOut("account")
			if got := b.guess(b.code(0)); got.status != http.StatusSeeOther { // it recovers by itself
				t.Errorf("the right code after it, %s = %d, want 303", what, got.status)
			}
			b.mustBeIn("account")
		}
	})
}

func TestFAIL1_ARightCodeIsNeverGoodTwice(t *testing.T) {
	eachCall(t, func(s *nodes, store *faulty) (func() answer, func(string, answer)) {
		owner := s.enrolled("alice")
		store.lag("alice", s.record("alice"))
		s.advance(30 * time.Second)
		b, other := owner.again("alice"), owner.again("alice")
		page := b.get("/mfa/verify/totp")
		return func() answer { return b.fill(page, b.code(0)) }, func(what string, a answer) {
			mustFailWell(t, "the right code, "+what, a)
			in := b.isIn("account")
			if in != (a.status == http.StatusSeeOther) {
				t.Errorf("the right code, %s = %d, and the browser is in = %v", what, a.status, in)
			}
			other.guess(b.code(0))
			if in && other.isIn("account") {
				t.Errorf("the right code, %s: it opened two browsers", what)
			}
			if got := b.guess(b.code(1)); got.status != http.StatusSeeOther {
				t.Errorf("the next code, %s = %d, want 303", what, got.status)
			}
		}
	})
}

func TestFAIL1_NoFailureOfTheStoreEnrollsAnAttacker(t *testing.T) {
	eachCall(t, func(s *nodes, store *faulty) (func() answer, func(string, answer)) {
		attacker := s.login("alice")
		store.lag("alice", s.record("alice"))
		page := attacker.follow(attacker.get("/mfa/enroll/totp")) // while nothing was enrolled
		attacker.secret = secretOf(page)
		owner := s.enrolled("alice")
		return func() answer { return attacker.fill(page, attacker.code(0)) }, func(what string, a answer) {
			mustFailWell(t, "an enrollment by an attacker, "+what, a)
			if n := len(owner.factors()); n != 2 {
				t.Errorf("an enrollment by an attacker, %s: %d factors, want the owner's app and codes", what, n)
			}
			attacker.mustBeOut("vault")
			owner.mustBeIn("vault")
		}
	})
}

// While nothing can be saved, nothing is told: a right and a wrong code get the same answer, or the store's failure
// would be an oracle without a budget.
func TestFAIL1_WhatWasNotSavedIsNotTold(t *testing.T) {
	for _, kind := range []string{"error", "time-out", "panic"} {
		s, store := shaky(t)
		owner := s.enrolled("alice")
		s.advance(30 * time.Second)
		answers := map[string]string{}
		for name, code := range map[string]string{"the right code": owner.code(0), "a wrong code": owner.wrong(),
			"a used code": owner.code(-1)} {
			b := owner.again("alice")
			form := b.load(b.get("/mfa/verify/totp"), code)
			store.arm(2, kind) // the save
			a := b.post(form.action, form.form)
			store.arm(0, "")
			answers[name] = shape(a)
			mustFailWell(t, name+", "+kind, a)
			if a.status == http.StatusSeeOther {
				t.Errorf("%s, %s of the save = 303", name, kind)
			}
			b.mustBeOut("account")
		}
		if answers["the right code"] != answers["a wrong code"] || answers["a used code"] != answers["a wrong code"] {
			t.Errorf("%s of the save: the answers tell codes apart:\n%q", kind, answers)
		}
	}
}

func TestFAIL1_AStoreThatReportsErrorsAfterSuccessGivesNoMoreGuesses(t *testing.T) {
	s, store := shaky(t)
	owner := s.enrolled("alice")
	s.advance(30 * time.Second)
	for range 20 {
		b := owner.again("alice")
		page := b.get("/mfa/verify/totp")
		if found(ticketField, page.body) == "" {
			continue
		}
		store.arm(2, "error after success")
		b.fill(page, b.wrong())
		store.arm(0, "")
		b.mustBeOut("account")
	}
	if n := s.judged("alice"); n != freeTries {
		t.Errorf("%d guesses were judged, want %d", n, freeTries)
	}
	s.advance(time.Minute)
	b := owner.again("alice")
	if a := b.guess(b.code(0)); a.status != http.StatusSeeOther {
		t.Errorf("the right code when the store is well again = %d, want 303", a.status)
	}
}

// A replica that never catches up is met by the compare-and-swap of the save: the code stays good for nobody.
func TestFAIL1_AReplicaThatStandsStillProvesNothing(t *testing.T) {
	s, store := shaky(t)
	owner := s.enrolled("alice")
	store.lag("alice", s.record("alice"))
	s.advance(30 * time.Second)
	first, second := owner.again("alice"), owner.again("alice")
	page := second.get("/mfa/verify/totp")
	if a := first.guess(owner.code(0)); a.status != http.StatusSeeOther {
		t.Fatalf("the code = %d, want 303", a.status)
	}
	store.arm(-1, "stale")
	a := second.fill(page, owner.code(0))
	store.arm(0, "")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a used code on a replica that does not know of its use = %d, want 503", a.status)
	}
	second.mustBeOut("account")
}

func TestFAIL1_AStoreThatIsAwayAnswers503EverywhereAndComesBack(t *testing.T) {
	for _, kind := range []string{"error", "time-out", "panic"} {
		s, store := shaky(t)
		owner := s.enrolled("alice")
		owner.mustBeIn("account")
		pending := owner.again("alice")
		store.arm(-1, kind)
		s.advance(2 * time.Second) // nothing in memory is good any more
		for _, b := range []*browser{owner, pending} {
			for _, p := range protectedPages {
				a := b.get(p)
				mustFailWell(t, "GET "+p+", "+kind, a)
				if want := http.StatusServiceUnavailable; a.status != want && kind != "panic" {
					t.Errorf("GET %s, %s = %d, want %d", p, kind, a.status, want)
				}
			}
		}
		store.arm(0, "")
		owner.mustBeIn("account")
		pending.mustBeOut("account")
	}
}

func TestFAIL3_AHookThatFailsLetsNobodyIn(t *testing.T) {
	fails := map[string]func() error{
		"returns an error": func() error { return errAway },
		"panics":           func() error { panic("a bug of the site") },
	}
	for how, fail := range fails {
		broken := ""
		at := func(hook string) error {
			if broken == hook {
				return fail()
			}
			return nil
		}
		s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
			user := c.User
			c.User = func(r *http.Request) (mfa.User, error) {
				if err := at("User"); err != nil {
					return mfa.User{ID: "alice", Session: "x"}, err
				}
				return user(r)
			}
			c.Policy = func(*http.Request) (mfa.Policy, error) {
				if err := at("Policy"); err != nil {
					return mfa.Policy{Waived: "beside an error"}, err
				}
				return mfa.Policy{}, nil
			}
			c.OtherAuth = func(*http.Request) bool { return at("OtherAuth") == nil && broken != "" }
			c.OnEvent = func(context.Context, mfa.Event) error { return at("OnEvent") }
		})
		owner := s.enrolled("alice")
		pending := owner.again("alice")
		owner.mustBeIn("account")
		for _, hook := range []string{"User", "Policy"} {
			broken = hook
			for _, b := range []*browser{owner, pending} {
				a := b.get("/account")
				if a.status < 500 || strings.Contains(a.body, "canary:") {
					t.Errorf("%s %s: GET /account = %d, want 5xx", hook, how, a.status)
				}
			}
		}
		broken = "OtherAuth"
		if a := s.browser().get("/account", header{"Authorization", "Bearer x"}); a.status < 400 ||
			strings.Contains(a.body, "canary:") {
			t.Errorf("OtherAuth %s: GET /account = %d, want a refusal", how, a.status)
		}
		broken = ""
		s.advance(30 * time.Second)
		page := pending.get("/mfa/verify/totp")
		broken = "OnEvent"
		if a := pending.fill(page, pending.code(0)); a.status < 500 || a.header.Get("Set-Cookie") != "" {
			t.Errorf("OnEvent %s: the right code = %d with cookies %q, want 5xx and none", how, a.status,
				a.header.Get("Set-Cookie"))
		}
		broken = ""
		pending.mustBeOut("account")
		pending.prove()
		pending.mustBeIn("account")
	}
}

func TestFAIL3_AFunctionOfRequireThatFailsLetsNobodyIn(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	reached := false
	pending := owner.again("alice")
	part := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
	var f func(*http.Request) (mfa.Policy, error)
	behind := s.guard.RequireFunc(func(r *http.Request) (mfa.Policy, error) { return f(r) })(part)
	s.server.Config.Handler = behind
	for name, fails := range map[string]func(*http.Request) (mfa.Policy, error){
		"an error": func(*http.Request) (mfa.Policy, error) { return mfa.Policy{}, errAway },
		"an error with a waiver": func(*http.Request) (mfa.Policy, error) {
			return mfa.Policy{Waived: "so it seems"},
				errAway
		},
		"a panic":                  func(*http.Request) (mfa.Policy, error) { panic("a bug of the site") },
		"a policy nobody can meet": func(*http.Request) (mfa.Policy, error) { return mfa.Policy{Factors: 1000}, nil },
	} {
		f = fails
		for _, b := range []*browser{owner, pending, s.browser()} {
			if a := b.get("/x"); a.status == http.StatusOK || reached {
				t.Errorf("%s: GET = %d, reached = %v, want a refusal", name, a.status, reached)
			}
		}
	}
	f = func(*http.Request) (mfa.Policy, error) { return mfa.Policy{}, nil }
	if a := owner.get("/x"); a.status != http.StatusOK || !reached {
		t.Errorf("a function that works: GET = %d, want 200", a.status)
	}
}

// Sessions of the site that cannot be read prove nothing.
func TestFAIL3_SessionsThatFailProveNothing(t *testing.T) {
	broken := ""
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		c.Sessions = brokenSessions{&serverSide{s: s, texts: map[string]string{}}, &broken}
	})
	owner := s.enrolled("alice")
	owner.mustBeIn("account")
	for _, how := range []string{"load", "load panics"} {
		broken = how
		if a := owner.get("/account"); a.status < 500 || strings.Contains(a.body, "canary:") {
			t.Errorf("%s: GET /account = %d, want 5xx", how, a.status)
		}
	}
	for _, how := range []string{"save", "renew"} {
		broken = ""
		s.advance(30 * time.Second)
		b := owner.again("alice")
		form := b.load(b.get("/mfa/verify/totp"), b.code(0))
		broken = how
		if status := form.send(); status < 500 {
			t.Errorf("%s fails: the right code = %d, want 5xx", how, status)
		}
		broken = ""
		b.mustBeOut("account")
	}
	owner.mustBeIn("account")
}

type brokenSessions struct {
	*serverSide
	how *string
}

func (b brokenSessions) Load(r *http.Request) (string, error) {
	text, err := b.serverSide.Load(r)
	switch *b.how {
	case "load":
		return text, errAway
	case "load panics":
		panic("a bug of the site")
	}
	return text, err
}

func (b brokenSessions) Save(w http.ResponseWriter, r *http.Request, text string) error {
	if *b.how == "save" {
		return errAway
	}
	return b.serverSide.Save(w, r, text)
}

func (b brokenSessions) Renew(w http.ResponseWriter, r *http.Request) error {
	if *b.how == "renew" {
		return errAway
	}
	return b.serverSide.Renew(w, r)
}
