package sallyport_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// switchable is a function of the site that can be made to fail.
type switchable struct {
	mu    sync.Mutex
	mode  string // "", "error" or "panic"
	calls int
}

func (s *switchable) set(mode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode, s.calls = mode, 0
}

// fail returns an error or panics, as it was set.
func (s *switchable) fail() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	switch s.mode {
	case "error":
		return errors.New("out of order: hunter2")
	case "panic":
		panic("hunter2")
	}
	return nil
}

func TestAFunctionOfTheSiteThatFailsProvesNobody(t *testing.T) {
	for name, wire := range map[string]func(*switchable, *sallyport.Config){
		"User": func(f *switchable, c *sallyport.Config) {
			site := c.User
			c.User = func(r *http.Request) (mfa.User, error) {
				if err := f.fail(); err != nil {
					u, _ := site(r)
					return u, err // a user beside an error is nobody
				}
				return site(r)
			}
		},
		"Policy": func(f *switchable, c *sallyport.Config) {
			c.Policy = func(*http.Request) (mfa.Policy, error) { return mfa.Policy{}, f.fail() }
		},
		"Sessions": func(f *switchable, c *sallyport.Config) { c.Sessions = &keptTexts{load: f} },
	} {
		t.Run(name, func(t *testing.T) {
			f := &switchable{}
			s := newSite(t, func(_ *site, c *sallyport.Config) { wire(f, c) })
			b := s.enrolled("alice")
			b.mustBeIn("account")
			for mode, status := range map[string]int{"error": 503, "panic": 500} {
				f.set(mode)
				for _, path := range []string{"/account", "/vault", "/check"} {
					if name == "Policy" && path != "/account" {
						continue // Protect asks first, and is answered below
					}
					for _, kind := range []string{"GET", "POST", "call"} {
						a := b.asks(kind, path)
						if a.status != status || strings.Contains(a.body, "canary:") || strings.Contains(a.body, "hunter2") {
							t.Errorf("%s: %s %s = %d %.80q, want %d", mode, kind, path, a.status, a.body, status)
						}
					}
				}
				if a := b.get("/open/x"); a.status != http.StatusOK {
					t.Errorf("%s: what is open = %d, want 200", mode, a.status)
				}
				if a, _ := b.call("GET", "/mfa/status", nil); a.status != status {
					t.Errorf("%s: GET /mfa/status = %d, want %d", mode, a.status, status)
				}
			}
			f.set("")
			b.mustBeIn("account") // and recovers by itself
			if log := s.log.String(); strings.Count(log, "hunter2") == 0 || strings.Contains(log, `panicked: hunter2`) {
				t.Errorf("the log holds the error %d times, want the errors and not what panics held",
					strings.Count(log, "hunter2"))
			}
		})
	}
}

// keptTexts keeps what logins have proved in the site's own sessions, by the value of its cookie.
type keptTexts struct {
	load, save *switchable
	loses      bool // what was saved

	mu    sync.Mutex
	texts map[string]string
}

func (k *keptTexts) Load(r *http.Request) (string, error) {
	if k.load != nil {
		if err := k.load.fail(); err != nil {
			return "", err
		}
	}
	c, err := r.Cookie("session")
	if err != nil {
		return "", nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.texts[c.Value], nil
}

func (k *keptTexts) Save(_ http.ResponseWriter, r *http.Request, text string) error {
	if k.save != nil {
		if err := k.save.fail(); err != nil {
			return err
		}
	}
	c, err := r.Cookie("session")
	if err != nil || k.loses {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.texts == nil {
		k.texts = map[string]string{}
	}
	k.texts[c.Value] = text
	return nil
}

func TestSessionsOfTheSiteKeepWhatIsProved(t *testing.T) {
	kept := &keptTexts{}
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Sessions = kept })
	b := s.enrolled("alice")
	b.mustBeIn("account")
	if b.cookie("__Host-sallyport") != "" {
		t.Error("there is an assurance cookie beside the site's sessions")
	}
	if text := kept.texts[b.cookie("session")]; text == "" || strings.Contains(text, "alice") {
		t.Errorf("the session keeps %q, want it sealed", text)
	}
	other := b.again("alice")
	other.mustBeOut("account")
	kept.texts[other.cookie("session")] = kept.texts[b.cookie("session")] // of another login of hers
	other.mustBeOut("account")
	other.prove()
	other.mustBeIn("account")
	other.get("/logout")
	kept.texts[b.cookie("session")] = "no seal"
	b.mustBeOut("account")
}

// A site's session store that loses a proof makes its user prove again; it never lets anybody through.
func TestASessionThatLosesTheProofAsksAgain(t *testing.T) {
	kept := &keptTexts{}
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Sessions = kept })
	b := s.enrolled("alice").again("alice")
	kept.loses = true
	s.advance(minute)
	if a := b.fill(b.get(b.get("/account").next), b.code(0)); a.status != http.StatusSeeOther || a.next != "/account" {
		t.Fatalf("the proof = %d to %q", a.status, a.next)
	}
	b.mustBeOut("account")
}

func TestASessionThatCannotBeSavedProvesNobody(t *testing.T) {
	for mode, status := range map[string]int{"error": 503, "panic": 500} {
		f := &switchable{}
		kept := &keptTexts{save: f}
		s := newSite(t, func(_ *site, c *sallyport.Config) { c.Sessions = kept })
		b := s.enrolled("alice").again("alice")
		s.advance(minute)
		page := b.get("/mfa/verify")
		f.set(mode)
		a := b.fill(page, b.code(0))
		if a.status != status || a.next != "" || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: the right code = %d to %q, want %d", mode, a.status, a.next, status)
		}
		if cookies := a.header.Values("Set-Cookie"); len(cookies) != 0 {
			t.Errorf("%s: cookies were set beside the problem: %q", mode, cookies)
		}
		f.set("")
		b.mustBeOut("account")
		b.prove() // the code was spent, the next one works
		b.mustBeIn("account")
	}
}

// renewing also gives the session a new token at each change of level.
type renewing struct {
	*keptTexts
	s     *site
	renew switchable
}

func (k *renewing) Renew(w http.ResponseWriter, r *http.Request) error {
	if err := k.renew.fail(); err != nil {
		return err
	}
	old, err := r.Cookie("session")
	if err != nil {
		return err
	}
	k.s.mu.Lock()
	u := k.s.sessions[old.Value]
	delete(k.s.sessions, old.Value)
	fresh := old.Value + "+"
	k.s.sessions[fresh] = u
	k.s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: fresh, Path: "/", Secure: true})
	r.Header.Set("Cookie", "session="+fresh) // as a session store does that keeps its session in the request
	return nil
}

func TestSessionsAreRenewedAtEachChangeOfLevel(t *testing.T) {
	kept := &renewing{keptTexts: &keptTexts{}}
	s := newSite(t, func(s *site, c *sallyport.Config) { kept.s, c.Sessions = s, kept })
	owner := s.enrolled("alice")
	b := owner.again("alice")
	before := b.cookie("session")
	kept.renew.set("")
	b.prove()
	if b.cookie("session") == before || kept.renew.calls != 1 {
		t.Errorf("the token was renewed %d times, want once", kept.renew.calls)
	}
	b.mustBeIn("account")
	stale := s.browser()
	stale.setCookie("session", before)
	if a := stale.get("/vault"); withoutQuery(a.next) != "/login" {
		t.Errorf("the token from before = %d to %q, want a stranger's answer", a.status, a.next)
	}
	for mode, status := range map[string]int{"error": 503, "panic": 500} {
		b := owner.again("alice")
		s.advance(minute)
		page := b.get("/mfa/verify")
		kept.renew.set(mode)
		if a := b.fill(page, b.code(0)); a.status != status {
			t.Errorf("%s of Renew: the right code = %d, want %d", mode, a.status, status)
		}
		kept.renew.set("")
		b.mustBeOut("account")
	}
}

func TestAUserWithoutASessionIsNeverProvedAndToldOnce(t *testing.T) {
	named := true
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		site := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			u, err := site(r)
			if !named {
				u.Session = ""
			}
			return u, err
		}
	})
	b := s.enrolled("alice")
	named = false
	for range 3 {
		for _, path := range []string{"/account", "/vault", "/check", "/mfa/", "/mfa/verify", "/mfa/enroll/totp",
			"/mfa/status"} {
			for _, kind := range []string{"GET", "call"} {
				if a := b.asks(kind, path); a.status != 500 || strings.Contains(a.body, "canary:") {
					t.Fatalf("%s %s = %d %.80q, want 500", kind, path, a.status, a.body)
				}
			}
		}
	}
	if a := b.post("/mfa/verify/totp", url.Values{"ticket": {"x"}, "answer": {"123456"}}); a.status != 500 {
		t.Errorf("an answer = %d, want 500", a.status)
	}
	if n := strings.Count(s.log.String(), "empty Session"); n != 1 {
		t.Errorf("the log says it %d times, want once", n)
	}
}

func TestARefusingStoreProvesNobodyAndLosesNothing(t *testing.T) {
	for _, mode := range []string{"error", "panic", "hang"}[:sized(2, 3)] { // a hang lasts its 2 seconds
		t.Run(mode, func(t *testing.T) {
			f := &fragileStore{Store: onlyStore{mfa.NewMemory()}}
			s := newSite(t, func(_ *site, c *sallyport.Config) { c.Store = f })
			owner := s.enrolled("alice")
			for call := 1; call <= 8; call++ {
				b := owner.again("alice")
				s.advance(minute)
				page := b.get("/mfa/verify")
				f.breakAt(call, mode)
				a := b.fill(page, b.code(0))
				broken := f.mend()
				s.advance(2 * time.Second)
				switch in := b.isIn("account"); {
				case !broken && !in:
					t.Fatalf("call %d is never made, and the right code = %d", call, a.status)
				case !broken:
					return // every call of the ceremony has failed once
				case in, a.status != 503 && a.status != 500, mode == "error" && a.status != 503:
					t.Errorf("call %d: the right code = %d, in = %v, want 503 and out", call, a.status, in)
				case a.status == 503 && a.header.Get("Retry-After") == "":
					t.Errorf("call %d: 503 without Retry-After", call)
				case strings.Contains(a.body, "hunter2"):
					t.Errorf("call %d: the answer tells what the store said", call)
				}
				b.prove() // nothing was lost: the next code works
				b.mustBeIn("account")
			}
			t.Error("the ceremony makes more calls of the store than this test breaks")
		})
	}
}

// fragileStore fails at one call, counted from breakAt.
type fragileStore struct {
	mfa.Store
	mu    sync.Mutex
	left  int
	mode  string
	broke bool
}

func (f *fragileStore) breakAt(call int, mode string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.mode, f.broke = call, mode, false
}

// mend reports whether the call was made.
func (f *fragileStore) mend() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	return f.broke
}

func (f *fragileStore) fail(ctx context.Context) error {
	f.mu.Lock()
	f.left--
	now, mode := f.left == 0, f.mode
	f.broke = f.broke || now
	f.mu.Unlock()
	switch {
	case !now:
		return nil
	case mode == "panic":
		panic("hunter2")
	case mode == "hang":
		<-ctx.Done()
	}
	return errors.New("connection refused: hunter2")
}

func (f *fragileStore) Load(ctx context.Context, userID string) (mfa.Record, error) {
	if err := f.fail(ctx); err != nil {
		return mfa.Record{}, err
	}
	return f.Store.Load(ctx, userID)
}

func (f *fragileStore) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	if err := f.fail(ctx); err != nil {
		return err
	}
	return f.Store.Save(ctx, r, events)
}

// A store that is away is 503 on every page, and the pages that need none go on.
func TestPagesWithoutAStore(t *testing.T) {
	f := &fragileStore{Store: onlyStore{mfa.NewMemory()}}
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Store = f })
	b := s.enrolled("alice")
	id := b.factor("totp")
	for path, want := range map[string]int{
		"/mfa/": 503, "/mfa/status": 503, "/mfa/verify": 503, "/mfa/verify/totp": 503, "/mfa/enroll": 503,
		"/mfa/enroll/totp":               503,
		"/mfa/factors/" + id + "/rename": 503, "/mfa/factors/" + id + "/remove": 503, "/mfa/sessions/end": 503,
		"/mfa/recovered": 503,
		"/account":       503, "/vault": 503, "/mfa/confirmed": 200, "/mfa/problems/denied": 200, "/open/x": 200,
	} {
		for _, kind := range []string{"GET", "call"} {
			s.advance(2 * time.Second) // a moment ago is no longer good enough
			f.breakAt(1, "error")
			if a := b.asks(kind, path); a.status != want {
				t.Errorf("%s %s = %d, want %d", kind, path, a.status, want)
			}
			f.mend()
		}
	}
	for _, path := range []string{"/mfa/sessions/end", "/mfa/factors/" + id + "/pause", "/mfa/enroll/totp/begin",
		"/mfa/verify/totp/begin"} {
		f.breakAt(1, "error")
		if a := b.post(path, nil); a.status != 503 {
			t.Errorf("POST %s = %d, want 503", path, a.status)
		}
		f.mend()
	}
	b.mustBeIn("account")
}

func TestOnEventComesBeforeTheProofAndMayKeepItBack(t *testing.T) {
	for mode, status := range map[string]int{"error": 503, "panic": 500} {
		f := &switchable{}
		var kinds []mfa.Kind
		s := newSite(t, func(_ *site, c *sallyport.Config) {
			c.OnEvent = func(_ context.Context, ev mfa.Event) error {
				kinds = append(kinds, ev.Kind)
				return f.fail()
			}
		})
		b := s.enrolled("alice").again("alice")
		s.advance(minute)
		page := b.get("/mfa/verify")
		kinds = nil
		f.set(mode)
		a := b.fill(page, b.code(0))
		if a.status != status || a.next != "" || len(a.header.Values("Set-Cookie")) != 0 ||
			strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: the right code = %d to %q with %q, want %d and no cookie", mode, a.status, a.next,
				a.header.Values("Set-Cookie"), status)
		}
		if len(kinds) == 0 || kinds[0] != mfa.Proved {
			t.Errorf("%s: OnEvent was called with %v", mode, kinds)
		}
		b.mustBeOut("account")
		f.set("")
		b.prove()
		b.mustBeIn("account")
	}
}

func TestNoticesSayWhatWhenWhereAndWhatToDo(t *testing.T) {
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		c.ClientIP = func(*http.Request) netip.Addr { return netip.MustParseAddr("2001:db8::7") }
	})
	agent := header{"User-Agent", "Browser/1.0 (Example)"}
	b := s.login("alice")
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	ticket := found(ticketField, page.body)
	b.post("/mfa/enroll/totp", url.Values{"ticket": {ticket}, "answer": {b.code(0)}, "label": {"Work phone"}}, agent)
	b.saveCodes(b.get("/mfa/enroll/recovery"))
	id, recovery := b.factor("totp"), b.factor("recovery")
	last := func(kind mfa.Kind) sallyport.Notice {
		t.Helper()
		for _, n := range s.told() {
			if n.Event.Kind == kind {
				return n
			}
		}
		t.Fatalf("nobody was told of %s", kind)
		return sallyport.Notice{}
	}
	b.post("/mfa/factors/"+recovery+"/pause", nil, agent)
	b.post("/mfa/factors/"+recovery+"/resume", nil, agent)
	b.post("/mfa/sessions/end", nil, agent)
	other := b.again("alice")
	for range mfa.FreeTries {
		page := other.get("/mfa/verify")
		other.post("/mfa/verify/totp", url.Values{"ticket": {found(ticketField, page.body)}, "answer": {other.wrong()}},
			agent)
	}
	page = other.get("/mfa/verify/recovery")
	other.post("/mfa/verify/recovery", url.Values{"ticket": {found(ticketField, page.body)}, "answer": {b.codes[0]}},
		agent)
	b.post("/mfa/factors/"+id+"/remove", nil, agent)
	for _, c := range []struct {
		kind          mfa.Kind
		subject, text string
	}{
		{mfa.FactorAdded, "Example: a way to sign in was added", `"Work phone" (Authenticator app) was added`},
		{mfa.FactorPaused, "Example: a way to sign in was paused", "Recovery codes was paused"},
		{mfa.FactorResumed, "Example: a way to sign in is in use again", "Recovery codes was paused"},
		{mfa.SessionsEnded, "Example: other sessions were ended", "have to confirm again"},
		{mfa.WrongInARow, "Example: several wrong codes", "they know your password"},
		{mfa.RecoveryUsed, "Example: a recovery code was used", "9 unused codes are left"},
		{mfa.FactorRemoved, "Example: a way to sign in was removed", `"Work phone" (Authenticator app) was removed`},
	} {
		n := last(c.kind)
		if n.Subject != c.subject || !strings.Contains(n.Text, c.text) {
			t.Errorf("%s: subject %q, text %q, want %q and %q", c.kind, n.Subject, n.Text, c.subject, c.text)
		}
		for _, want := range []string{
			"When: " + n.Event.At.UTC().Format("2 January 2006, 15:04 UTC"), "From: 2001:db8::7",
			"Browser: Browser/1.0 (Example)",
			"If this was not you", s.server.URL + "/mfa/",
		} {
			if !strings.Contains(n.Text, want) {
				t.Errorf("%s: the text does not say %q:\n%s", c.kind, want, n.Text)
			}
		}
		if n.User.ID != "alice" || n.User.Email != "alice@example.com" || n.Event.UserID != "alice" {
			t.Errorf("%s: it goes to %+v", c.kind, n.User)
		}
		for _, secret := range append(b.codes, b.secret, ticket) {
			if strings.Contains(n.Text, secret) {
				t.Errorf("%s: the text holds a secret:\n%s", c.kind, n.Text)
			}
		}
	}
	if placeholder := unfilled.FindString(allText(s.told())); placeholder != "" {
		t.Errorf("a notice holds %s", placeholder)
	}
}

func allText(notices []sallyport.Notice) string {
	var b strings.Builder
	for _, n := range notices {
		b.WriteString(n.Subject + "\n" + n.Text + "\n")
	}
	return b.String()
}

func TestANoticeThatCannotBeDeliveredChangesNothing(t *testing.T) {
	for _, mode := range []string{"error", "panic"} {
		f := &switchable{}
		s := newSite(t, func(_ *site, c *sallyport.Config) {
			c.Notify = func(context.Context, sallyport.Notice) error { return f.fail() }
		})
		f.set(mode)
		b := s.enrolled("alice")
		b.mustBeIn("vault")
		if log := s.log.String(); f.calls == 0 || !strings.Contains(log, "was not delivered") ||
			!strings.Contains(log, "factor-added") {
			t.Errorf("%s: Notify was called %d times, and the log says\n%s", mode, f.calls, log)
		}
	}
}

func TestClientIPTellsWhereARequestComesFrom(t *testing.T) {
	f := &switchable{}
	address := netip.Addr{}
	var seen []string
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		c.ClientIP = func(*http.Request) netip.Addr {
			if f.fail() != nil {
				return netip.Addr{}
			}
			return address
		}
		c.OnEvent = func(_ context.Context, ev mfa.Event) error { seen = append(seen, ev.Address); return nil }
	})
	owner := s.enrolled("alice")
	for _, c := range []struct{ given, want string }{
		{"192.0.2.7", "192.0.2.7"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"2001:db8::1", "2001:db8::1"}, {"", ""},
	} {
		address = netip.Addr{}
		if c.given != "" {
			address = netip.MustParseAddr(c.given)
		}
		seen = nil
		b := owner.again("alice")
		b.prove()
		if len(seen) == 0 || seen[0] != c.want {
			t.Errorf("the event of a client at %q says %q, want %q", c.given, seen, c.want)
		}
	}
	f.set("panic")
	b := owner.again("alice")
	if a := b.get("/mfa/verify"); a.status != 500 || strings.Contains(a.body, "hunter2") {
		t.Errorf("a ClientIP that panics: GET /mfa/verify = %d, want 500", a.status)
	}
	b.mustBeOut("account")
}

func TestKeepSessionsLeavesOthersProved(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := newSite(t, func(_ *site, c *sallyport.Config) { c.KeepSessions = keep })
		b := s.enrolled("alice")
		other := b.again("alice")
		other.prove()
		other.mustBeIn("account")
		page := b.get("/mfa/enroll/totp")
		second := *b
		second.secret = secretOf(page)
		if a := b.fill(page, second.code(0)); a.status != http.StatusSeeOther {
			t.Fatalf("adding a second app = %d", a.status)
		}
		b.mustBeIn("account")
		if in := other.isIn("account"); in != keep {
			t.Errorf("KeepSessions %v: another session is in = %v", keep, in)
		}
		b.post("/mfa/sessions/end", nil)
		b.mustBeIn("account")
		other.mustBeOut("account") // asked for, it ends them all the same
	}
}

func TestRecheckEndsProofs(t *testing.T) {
	for _, c := range []struct {
		name    string
		recheck mfa.Recheck
		in, out time.Duration // 0: never out
	}{
		{"the default", mfa.Recheck{}, 3*time.Hour - time.Second, 6 * time.Hour},
		{"an hour or two", mfa.Recheck{Min: time.Hour, Max: 2 * time.Hour}, time.Hour - time.Second, 2 * time.Hour},
		{"exactly ten minutes", mfa.Recheck{Min: 10 * time.Minute, Max: 10 * time.Minute}, 10*time.Minute - time.Second,
			10 * time.Minute},
		{"off", mfa.Recheck{Off: true}, 1000 * time.Hour, 0},
	} {
		s := newSite(t, func(_ *site, config *sallyport.Config) { config.Recheck = c.recheck })
		b := s.enrolled("alice").again("alice")
		b.prove()
		s.advance(c.in)
		if !b.isIn("account") {
			t.Errorf("%s: out after %v", c.name, c.in)
		}
		if c.out == 0 {
			continue
		}
		s.advance(c.out - c.in + time.Second)
		if b.isIn("account") {
			t.Errorf("%s: still in after %v", c.name, c.out)
		}
	}
}

// At most four users are known to one browser, whose cookie tells nothing about them and opens nothing.
func TestTheKnownBrowserCookieOpensNothing(t *testing.T) {
	var known []bool
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		c.OnEvent = func(_ context.Context, ev mfa.Event) error { known = append(known, ev.Known); return nil }
	})
	b := s.browser()
	sizes, secrets := map[int]bool{}, map[string]string{}
	for _, u := range []string{"alice", "bob", "carol", "dave", "erin"} {
		b.login(u)
		b.enroll()
		secrets[u] = b.secret
		cookie := b.cookie("__Host-sallyport-known")
		if strings.Contains(cookie, u) {
			t.Errorf("the cookie tells %q", cookie)
		}
		sizes[len(cookie)] = true
	}
	if len(sizes) != 4 {
		t.Errorf("the cookie had %d sizes for one to five users, want 4", len(sizes))
	}
	fresh := s.login("erin")
	fresh.setCookie("__Host-sallyport-known", b.cookie("__Host-sallyport-known"))
	fresh.mustBeOut("account")
	fresh.mustBeOut("vault")
	if a := fresh.get("/mfa/"); withoutQuery(a.next) != "/mfa/verify" {
		t.Errorf("GET /mfa/ with the cookie alone = %d to %q", a.status, a.next)
	}
	for user, want := range map[string]bool{"alice": false, "bob": true, "carol": true, "dave": true, "erin": true} {
		other := s.login(user)
		other.secret = secrets[user]
		other.setCookie("__Host-sallyport-known", b.cookie("__Host-sallyport-known"))
		known = nil
		other.prove()
		if len(known) == 0 || known[0] != want {
			t.Errorf("the browser is known to %s: %v, want %v", user, known, want)
		}
	}
}
