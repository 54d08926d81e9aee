package sallyport_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"sallyport"
	"sallyport/mfa"
)

// tell has the site call the guard within a request of a browser, as a handler would; nil: within a stranger's, as when
// a link in a mail sets a new password.
func (s *site) tell(b *browser, call func(w http.ResponseWriter, r *http.Request) error) *http.Response {
	s.t.Helper()
	r := httptest.NewRequest("POST", s.server.URL+"/password", nil)
	w := httptest.NewRecorder()
	at, err := url.Parse(s.server.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	if b != nil {
		for _, c := range b.jar.Cookies(at) {
			r.AddCookie(c)
		}
	}
	if err := call(w, r); err != nil {
		s.t.Fatalf("telling the guard = %v, want nil", err)
	}
	if b != nil {
		b.jar.SetCookies(at, w.Result().Cookies())
	}
	return w.Result()
}

// changes are what a site tells of, as a handler does.
func changes(g *sallyport.Guard) map[string]func(http.ResponseWriter, *http.Request) error {
	alice := mfa.User{ID: "alice", Email: "alice@example.com"}
	return map[string]func(http.ResponseWriter, *http.Request) error{
		"a new password": func(w http.ResponseWriter, r *http.Request) error { return g.PasswordChanged(w, r, alice) },
		"a new address":  func(w http.ResponseWriter, r *http.Request) error { return g.AddressChanged(w, r, alice, alice) },
	}
}

func TestFIX4_ANewPasswordOrAddressEndsWhatOtherLoginsHaveProved(t *testing.T) {
	for _, what := range []string{"a new password", "a new address"} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			b := s.enrolled("alice")
			other := b.again("alice")
			other.prove()
			bob := s.enrolled("bob")

			s.tell(b, changes(s.guard)[what])
			b.mustBeIn("vault")
			other.mustBeOut("account")
			bob.mustBeIn("vault")
			other.prove()
			other.mustBeIn("vault")
			if kind := s.events()[len(s.events())-1]; kind == mfa.SessionsEnded {
				t.Error("the user is told of ended sessions; the site tells of a change that it made itself")
			}
		})
	}
}

func TestAChangeByAStrangerOrByAnotherUserCarriesNothingOn(t *testing.T) {
	for what := range changes(nil) {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			b, bob := s.enrolled("alice"), s.enrolled("bob")
			if set := s.tell(nil, changes(s.guard)[what]).Cookies(); len(set) > 0 {
				t.Errorf("a stranger's browser gets %v", set)
			}
			b.mustBeOut("account")
			b.prove()
			if set := s.tell(bob, changes(s.guard)[what]).Cookies(); len(set) > 0 {
				t.Errorf("bob's browser gets %v", set)
			}
			b.mustBeOut("account")
			bob.mustBeIn("vault")
		})
	}
}

func TestALoginThatHasProvedNothingGetsNothingByAChange(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	other := b.again("alice")
	s.tell(other, changes(s.guard)["a new password"])
	other.mustBeOut("account")
	b.mustBeOut("account")
}

func TestTheOthersEndAlsoIfItCannotBeToldWhoAsks(t *testing.T) {
	broken := false
	s := newSite(t, func(s *site, c *sallyport.Config) {
		user := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			if broken {
				panic("the session store is away")
			}
			return user(r)
		}
	})
	b := s.enrolled("alice")
	broken = true
	s.tell(b, changes(s.guard)["a new password"])
	broken = false
	b.mustBeOut("account")
}

func TestTheSiteEndsAllSessionsOfAUserAndTheUserIsTold(t *testing.T) {
	s := newSite(t)
	b, bob := s.enrolled("alice"), s.enrolled("bob")
	alice := mfa.User{ID: "alice", Name: "alice", Email: "alice@example.com"}
	if err := s.guard.EndSessions(t.Context(), alice, "lost laptop"); err != nil {
		t.Fatalf("EndSessions = %v, want nil", err)
	}
	b.mustBeOut("account")
	bob.mustBeIn("vault")
	told := s.told()
	last := told[len(told)-1]
	if last.Event.Kind != mfa.SessionsEnded || last.Event.Reason != "lost laptop" || last.User.Email != alice.Email {
		t.Errorf("the last notice is %v for %q to %q, want sessions-ended to alice", last.Event.Kind, last.Event.Reason,
			last.User.Email)
	}
}

func TestAnErasedUserLeavesNothingToWhoGetsTheID(t *testing.T) {
	s := newSite(t)
	old := s.enrolled("alice")
	if err := s.guard.Erase(t.Context(), "alice", "left"); err != nil {
		t.Fatalf("Erase = %v, want nil", err)
	}
	if a := old.get("/vault"); a.status != http.StatusSeeOther {
		t.Errorf("the vault for the old session = %d, want a detour", a.status)
	}
	heir := s.login("alice")
	heir.mustBeIn("account")
	if a := heir.get("/vault"); a.status != http.StatusSeeOther || a.next[:len("/mfa/enroll")] != "/mfa/enroll" {
		t.Errorf("the vault for the new user = %d to %q, want the enrollment of a first factor", a.status, a.next)
	}
}

func TestAChangeNeedsAUser(t *testing.T) {
	g := newSite(t).guard
	w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil)
	for name, err := range map[string]error{
		"PasswordChanged": g.PasswordChanged(w, r, mfa.User{}),
		"AddressChanged":  g.AddressChanged(w, r, mfa.User{}, mfa.User{}),
		"EndSessions":     g.EndSessions(t.Context(), mfa.User{}, ""),
		"Erase":           g.Erase(t.Context(), "", ""),
	} {
		if err == nil {
			t.Errorf("%s without an id = nil, want an error", name)
		}
	}
}

func TestSTEP7_BothAddressesAreToldOfTheChange(t *testing.T) {
	d := newSending(t)
	b := d.enrolledBySent("alice")
	was := mfa.User{ID: "alice", Name: "alice", Email: "alice@example.com"}
	is := was
	is.Email = "alice@new.example"
	other := d.login("alice")
	_, begun := other.call("POST", "/mfa/verify/sent/begin", nil)
	d.tell(b, func(w http.ResponseWriter, r *http.Request) error { return d.guard.AddressChanged(w, r, was, is) })
	var told []string
	for _, n := range d.told() {
		if n.Event.Kind == mfa.AddressWasChanged {
			told = append(told, n.User.Email)
		}
	}
	slices.Sort(told)
	if want := []string{was.Email, is.Email}; !slices.Equal(told, want) {
		t.Errorf("told of the new address were %v, want %v", told, want)
	}
	answer := map[string]any{"ticket": begun["ticket"], "answer": d.mail.last(t).Code}
	if a, _ := other.call("POST", "/mfa/verify/sent", answer); a.status != http.StatusConflict {
		t.Errorf("the code that went to the old address = %d, want 409", a.status)
	}
	other.mustBeOut("account")
}

func TestWhoSignsOutLeavesNothingOfTheLogin(t *testing.T) {
	s := newSite(t, challenging, remembering)
	b := s.trusted("alice")
	b.prove()
	b.password("bob", "data", "x")
	device, known := b.cookie(deviceCookie), b.cookie("__Host-sallyport-known")
	s.tell(b, func(w http.ResponseWriter, _ *http.Request) error {
		s.guard.SignedOut(w)
		return nil
	})
	if b.cookie("__Host-sallyport") != "" || b.cookie(pendingCookie) != "" {
		t.Error("the browser holds what the login has proved, or a pending one")
	}
	if b.cookie(deviceCookie) != device || b.cookie("__Host-sallyport-known") != known {
		t.Error("a remembered or known browser is forgotten by a log-out")
	}
}
