package sallyport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
	"sallyport/mfatest"
)

// directory is how the site knows its users: all names but those that it is told to forget, disable or fail at.
type directory struct {
	mu     sync.Mutex
	absent map[string]bool
	wrong  map[string]mfa.User
	broken error
	panics bool
	asked  []string
}

func (d *directory) Lookup(_ context.Context, id string) (mfa.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, id)
	switch u, other := d.wrong[id]; {
	case d.panics:
		panic("the directory has a bug")
	case d.broken != nil:
		return mfa.User{}, d.broken
	case other:
		return u, nil
	case d.absent[id]:
		return mfa.User{}, nil
	}
	return mfa.User{ID: id, Name: id, Email: id + "@example.com"}, nil
}

func (d *directory) set(change func(d *directory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// savings counts what is written.
type savings struct {
	mfa.Store
	saves atomic.Int64
}

func (s *savings) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	s.saves.Add(1)
	return s.Store.Save(ctx, r, events)
}

// door is a site that lets users in by a passkey alone.
type door struct {
	*site
	directory *directory
	store     *savings
	signIn    func(w http.ResponseWriter, r *http.Request, l sallyport.Login) (string, error) // nil: as a site should
	logins    []sallyport.Login
}

func newDoor(t testing.TB, changes ...func(*site, *sallyport.Config)) *door {
	t.Helper()
	d := &door{directory: &directory{absent: map[string]bool{}, wrong: map[string]mfa.User{}}}
	let := func(s *site, c *sallyport.Config) {
		d.store = &savings{Store: c.Store}
		c.Store, c.Directory = d.store, d.directory
		c.SignIn = func(w http.ResponseWriter, r *http.Request, l sallyport.Login) (string, error) {
			s.mu.Lock()
			d.logins = append(d.logins, l)
			s.mu.Unlock()
			if d.signIn != nil {
				return d.signIn(w, r, l)
			}
			return s.signIn(w, l.User), nil
		}
	}
	d.site = newPasskeySite(t, append([]func(*site, *sallyport.Config){let}, changes...)...)
	return d
}

// owner returns a passkey of a user, and a new browser that has never been here.
func (d *door) owner(user string) *holder {
	d.t.Helper()
	h := d.holder(user)
	return d.browser().holding(h.device)
}

// enter signs in by the passkey alone.
func (h *holder) enter(more ...string) (answer, map[string]any) {
	h.t.Helper()
	b := h.begin("/mfa/signin/begin", map[string]string{})
	return h.finish("/mfa/signin", b.Ticket, h.sign(b), more...)
}

func (h *holder) mustEnter() {
	h.t.Helper()
	if a, _ := h.enter(); a.status != http.StatusOK {
		h.t.Fatalf("signing in = %d %s", a.status, a.body)
	}
}

func TestAPasskeySignsInWithoutAPassword(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	b := h.begin("/mfa/signin/begin", map[string]string{})
	var o struct {
		PublicKey struct {
			AllowCredentials []any
			UserVerification string
			RPID             string `json:"rpId"`
		}
	}
	if err := json.Unmarshal(b.Prompt, &o); err != nil || len(o.PublicKey.AllowCredentials) != 0 || o.PublicKey.UserVerification != "required" || o.PublicKey.RPID != "example.com" {
		t.Errorf("the prompt is %s, want any verified passkey of the site", b.Prompt)
	}
	a, doc := h.finish("/mfa/signin", b.Ticket, h.sign(b), "back", "/vault?a=b&c=d")
	if a.status != http.StatusOK || doc["next"] != "/vault?a=b&c=d" {
		t.Fatalf("signing in = %d %s, want 200 and the way back", a.status, a.body)
	}
	h.mustBeIn("payout") // proved, fresh and phishing-resistant
	h.mustBeIn("account")
	if len(d.logins) != 1 || d.logins[0].User.ID != "alice" || d.logins[0].Back != "/vault?a=b&c=d" || d.logins[0].User.Session != "" {
		t.Errorf("Config.SignIn was called with %+v", d.logins)
	}
	if h.cookie("__Host-sallyport-pending") != "" {
		t.Error("the browser still has the cookie of the sign-in")
	}
}

func TestAPageSignsInWithoutAFormOfTheSite(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	page := h.get("/mfa/signin?next=" + url.QueryEscape("/vault?a=b"))
	if page.status != http.StatusOK || !strings.Contains(page.body, `href="/login"`) || !strings.Contains(page.body, "Passkeys need JavaScript") {
		t.Errorf("the page = %d, want one with another way:\n%s", page.status, text(page.body))
	}
	a := h.press(page, h.sign)
	if a.status != http.StatusSeeOther || a.next != "/vault?a=b" {
		t.Fatalf("signing in = %d to %q, want a redirect to /vault?a=b\n%s", a.status, a.next, text(a.body))
	}
	h.mustBeIn("vault")
}

func TestTheWayBackOfASignInStaysOnTheSite(t *testing.T) {
	for _, back := range []string{
		"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)", "/ evil", "/a\nb", "",
		"/" + strings.Repeat("a", 2<<10),
	} {
		t.Run(fmt.Sprintf("%.30q", back), func(t *testing.T) {
			d := newDoor(t)
			h := d.owner("alice")
			if a, doc := h.enter("back", back); a.status != http.StatusOK || doc["next"] != "/" {
				t.Errorf("signing in = %d %s, want next /", a.status, a.body)
			}
			other := d.browser().holding(h.device)
			a := other.press(other.get("/mfa/signin?next="+url.QueryEscape(back)), other.sign)
			if a.status != http.StatusSeeOther || a.next != "/" {
				t.Errorf("signing in by the page = %d to %q, want /", a.status, a.next)
			}
		})
	}
}

func TestWhoIsSignedInIsLedOn(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	b := h.begin("/mfa/signin/begin", nil)
	reply := h.sign(b)
	h.login("bob")
	if a, doc := h.call("POST", "/mfa/signin/begin", map[string]string{}); a.status != http.StatusConflict || doc["ticket"] != nil {
		t.Errorf("beginning = %d %s, want 409 and no ticket", a.status, a.body)
	}
	if a := h.get("/mfa/signin?next=/vault"); a.status != http.StatusSeeOther || a.next != "/vault" {
		t.Errorf("the page = %d to %q, want a redirect to /vault", a.status, a.next)
	}
	if a, doc := h.finish("/mfa/signin", b.Ticket, reply); a.status != http.StatusOK || doc["next"] != "/" || doc["proved"] != nil {
		t.Errorf("finishing = %d %s, want to be led on as who is signed in", a.status, a.body)
	}
	if len(d.logins) != 0 {
		t.Errorf("a session was made: %+v", d.logins)
	}
	if a := h.get("/account"); !strings.Contains(a.body, "canary:account:bob") {
		t.Errorf("the account page = %d %s, want bob's", a.status, text(a.body))
	}
}

func TestWithoutSignInThereIsNoSuchPage(t *testing.T) {
	s := newPasskeySite(t)
	b := s.browser()
	if a, doc := b.call("POST", "/mfa/signin/begin", map[string]string{}); a.status != http.StatusNotFound || doc["title"] == "" {
		t.Errorf("beginning = %d %s, want 404", a.status, a.body)
	}
	if a := b.get("/mfa/signin"); a.status != http.StatusNotFound {
		t.Errorf("the page = %d, want 404", a.status)
	}
}

// Beginning keeps nothing, however often, and neither does a wrong answer.
func TestWA8_TenThousandBeginsKeepNothing(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	before := d.store.saves.Load()
	challenges, n := map[string]bool{}, sized(300, 10_000)
	for range n {
		b := h.begin("/mfa/signin/begin", nil)
		var o struct{ PublicKey struct{ Challenge string } }
		if err := json.Unmarshal(b.Prompt, &o); err != nil || len(o.PublicKey.Challenge) != 43 {
			t.Fatalf("the challenge is %q, %v, want 32 bytes", o.PublicKey.Challenge, err)
		}
		challenges[o.PublicKey.Challenge] = true
	}
	if len(challenges) != n {
		t.Errorf("%d of %d challenges are different", len(challenges), n)
	}
	h.device.Edit.Signature = spoil
	if a, _ := h.enter(); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong signature = %d %s, want 422", a.status, a.body)
	}
	if got := d.store.saves.Load(); got != before {
		t.Errorf("%d records were written, want none", got-before)
	}
	h.device.Edit.Signature = nil
	h.mustEnter()
	if got := d.store.saves.Load(); got != before+1 {
		t.Errorf("a sign-in wrote %d times, want once", got-before)
	}
}

func spoil(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// Whatever the reason: the same words, no session, and nothing that tells accounts apart.
func TestPasskeysThatSignNobodyIn(t *testing.T) {
	unknown := func(d *door, h *holder) { // of this site, once
		h.device.Credentials[0].ID = bytes.Repeat([]byte{7}, 32)
	}
	said := map[string]string{}
	for name, c := range map[string]struct {
		spoil   func(d *door, h *holder)
		unknown bool // the browser is told to forget it
	}{
		"one that nobody has":                 {unknown, true},
		"of a user who is not there any more": {func(d *door, h *holder) { d.directory.set(func(d *directory) { d.absent["alice"] = true }) }, false},
		"of a user whom the directory takes for another": {func(d *door, h *holder) {
			d.directory.set(func(d *directory) { d.wrong["alice"] = mfa.User{ID: "bob"} })
		}, false},
		"with a wrong signature":      {func(d *door, h *holder) { h.device.Edit.Signature = spoil }, false},
		"without user verification":   {func(d *door, h *holder) { h.device.Edit.Clear = mfatest.UV }, false},
		"without user presence":       {func(d *door, h *holder) { h.device.Edit.Clear = mfatest.UP }, false},
		"of another origin":           {func(d *door, h *holder) { h.device.Origin = "https://sub.example.com" }, false},
		"of another RP ID":            {func(d *door, h *holder) { h.device.Edit.RPID = "example.org" }, false},
		"without the user handle":     {func(d *door, h *holder) { h.device.Credentials[0].Handle = nil }, false},
		"with another user's handle":  {func(d *door, h *holder) { h.device.Credentials[0].Handle = d.owner("bob").device.Credentials[0].Handle }, false},
		"with a handle that is noise": {func(d *door, h *holder) { h.device.Credentials[0].Handle = []byte("alice") }, false},
		"signed by another passkey":   {func(d *door, h *holder) { h.device.Credentials[0].Key = d.owner("bob").device.Credentials[0].Key }, false},
		"with another id beside": {func(d *door, h *holder) {
			id := encode(d.owner("bob").device.Credentials[0].ID)
			h.device.Edit.Answer = func(a map[string]any) { a["rawId"] = id }
		}, false},
		"with another challenge": {func(d *door, h *holder) {
			h.device.Edit.ClientData = func(m map[string]any) { m["challenge"] = encode(bytes.Repeat([]byte{1}, 32)) }
		}, false},
		"of a registration": {func(d *door, h *holder) {
			h.device.Edit.ClientData = func(m map[string]any) { m["type"] = "webauthn.create" }
		}, false},
		"of a frame": {func(d *door, h *holder) {
			h.device.Edit.ClientData = func(m map[string]any) { m["crossOrigin"] = true }
		}, false},
		"whose answer is no one": {func(d *door, h *holder) { h.device.Edit.AnswerJSON = func([]byte) []byte { return []byte(`{"id":5}`) } }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			h := d.owner("alice")
			d.browser().holding(h.device).mustEnter()
			d.logins = nil
			c.spoil(d, h)
			a, doc := h.enter()
			if a.status != http.StatusUnprocessableEntity || doc["ticket"] == nil {
				t.Fatalf("signing in = %d %s, want 422 with a new ticket", a.status, a.body)
			}
			said[fmt.Sprint(doc["type"], doc["title"], doc["detail"])] = name
			if signal, ok := doc["signal"]; ok != c.unknown {
				t.Errorf("signal = %v, want one: %v", signal, c.unknown)
			}
			if len(d.logins) != 0 || h.cookie("session") != "" || h.cookie("__Host-sallyport") != "" || h.cookie("__Host-sallyport-known") != "" {
				t.Errorf("somebody was let in: %+v, %q", d.logins, h.cookie("__Host-sallyport"))
			}
			h.mustBeOut("vault")
		})
	}
	if len(said) != 1 {
		t.Errorf("the answers differ: %v", said)
	}
}

// What cannot be decided is not told as a wrong passkey, and signs nobody in.
func TestASignInThatFailsSignsNobodyIn(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(d *door)
		status int
	}{
		"the directory fails":  {func(d *door) { d.directory.set(func(d *directory) { d.broken = errors.New("away") }) }, http.StatusServiceUnavailable},
		"the directory panics": {func(d *door) { d.directory.set(func(d *directory) { d.panics = true }) }, http.StatusInternalServerError},
		"SignIn fails": {func(d *door) {
			d.signIn = func(w http.ResponseWriter, _ *http.Request, l sallyport.Login) (string, error) {
				return d.site.signIn(w, l.User), errors.New("away")
			}
		}, http.StatusServiceUnavailable},
		"SignIn panics": {func(d *door) {
			d.signIn = func(w http.ResponseWriter, _ *http.Request, l sallyport.Login) (string, error) {
				d.site.signIn(w, l.User)
				panic("a bug")
			}
		}, http.StatusInternalServerError},
		"SignIn names no session": {func(d *door) {
			d.signIn = func(w http.ResponseWriter, _ *http.Request, l sallyport.Login) (string, error) {
				d.site.signIn(w, l.User)
				return "", nil
			}
		}, http.StatusServiceUnavailable},
		"SignIn writes an answer": {func(d *door) {
			d.signIn = func(w http.ResponseWriter, r *http.Request, l sallyport.Login) (string, error) {
				session := d.site.signIn(w, l.User)
				http.Redirect(w, r, "https://evil.example/", http.StatusFound)
				return session, nil
			}
		}, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			h := d.owner("alice")
			c.break_(d)
			a, _ := h.enter()
			if a.status != c.status || a.next != "" {
				t.Errorf("signing in = %d to %q %s, want %d", a.status, a.next, a.body, c.status)
			}
			for _, cookie := range a.header["Set-Cookie"] {
				if !strings.HasPrefix(cookie, "__Host-sallyport-pending=") {
					t.Errorf("a cookie was set: %q", cookie)
				}
			}
			h.mustBeOut("vault")
			d.signIn = nil
			d.directory.set(func(d *directory) { d.broken, d.panics = nil, false })
			h.mustEnter()
			h.mustBeIn("vault")
		})
	}
}

// The session that SignIn names is the one that is proved: one that User knows under another name is not.
func TestTheProofBelongsToTheSessionThatSignInNamed(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	d.signIn = func(w http.ResponseWriter, _ *http.Request, l sallyport.Login) (string, error) {
		d.site.signIn(w, l.User)
		return "another session", nil
	}
	if a, _ := h.enter(); a.status != http.StatusOK {
		t.Fatalf("signing in = %d %s", a.status, a.body)
	}
	h.mustBeOut("vault")
	h.mustBeOut("account")
}

func TestWhatOneBrowserHasBegunNoOtherFinishes(t *testing.T) {
	d := newDoor(t)
	a, b := d.owner("alice"), d.browser()
	begin := a.begin("/mfa/signin/begin", nil)
	reply := a.sign(begin)
	for name, other := range map[string]*browser{"without a cookie": b, "with its own": d.browser()} {
		if name == "with its own" {
			other.begin("/mfa/signin/begin", nil)
		}
		if got, doc := other.holding(a.device).finish("/mfa/signin", begin.Ticket, reply); got.status != http.StatusConflict || !strings.HasSuffix(fmt.Sprint(doc["type"]), "/no-ticket") {
			t.Errorf("a browser %s = %d %s, want no-ticket", name, got.status, got.body)
		}
	}
	if got, _ := a.finish("/mfa/signin", begin.Ticket, reply); got.status != http.StatusOK {
		t.Errorf("its own browser = %d %s", got.status, got.body)
	}
}

// A ticket is good for one right answer, also for who has kept the cookie that named the sign-in.
func TestWA2_ASignInIsFinishedOnce(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	begin := h.begin("/mfa/signin/begin", nil)
	cookie, reply := h.cookie("__Host-sallyport-pending"), h.sign(begin)
	if a, _ := h.finish("/mfa/signin", begin.Ticket, reply); a.status != http.StatusOK {
		t.Fatalf("signing in = %d %s", a.status, a.body)
	}
	thief := d.browser().holding(h.device)
	thief.setCookie("__Host-sallyport-pending", cookie)
	for name, answer := range map[string]json.RawMessage{"the same answer": reply, "a new one": h.sign(begin)} {
		if a, _ := thief.finish("/mfa/signin", begin.Ticket, answer); a.status != http.StatusConflict {
			t.Errorf("%s again = %d %s, want 409", name, a.status, a.body)
		}
	}
	thief.mustBeOut("vault")
}

func TestASignInEndsAfterTenMinutes(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	begin := h.begin("/mfa/signin/begin", nil)
	d.advance(10*time.Minute - time.Second)
	if a, _ := h.finish("/mfa/signin", begin.Ticket, h.sign(begin)); a.status != http.StatusOK {
		t.Errorf("within ten minutes = %d %s", a.status, a.body)
	}
	other := d.browser().holding(h.device)
	begin = other.begin("/mfa/signin/begin", nil)
	d.advance(10 * time.Minute)
	if a, _ := other.finish("/mfa/signin", begin.Ticket, other.sign(begin)); a.status != http.StatusConflict {
		t.Errorf("after ten minutes = %d %s, want 409", a.status, a.body)
	}
}

// A cookie that a browser keeps for longer than it was told to names nothing: the next sign-in has another name.
func TestAPendingCookieEndsByItself(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	h.begin("/mfa/signin/begin", nil)
	cookie := h.cookie("__Host-sallyport-pending")
	later := func(wait time.Duration) int {
		thief := d.browser().holding(h.device)
		thief.setCookie("__Host-sallyport-pending", cookie)
		d.advance(wait)
		b := thief.begin("/mfa/signin/begin", nil)
		owner := d.browser().holding(h.device)
		owner.setCookie("__Host-sallyport-pending", cookie)
		d.advance(-wait) // only the ticket is new
		a, _ := owner.finish("/mfa/signin", b.Ticket, owner.sign(b))
		return a.status
	}
	if got := later(9 * time.Minute); got != http.StatusOK {
		t.Errorf("a ticket taken with the cookie after 9 minutes = %d, want that of the same sign-in", got)
	}
	if got := later(10 * time.Minute); got != http.StatusConflict {
		t.Errorf("a ticket taken with the cookie after 10 minutes = %d, want that of another sign-in", got)
	}
}

// A ceremony that one user has begun is not one of signing in, and the other way round.
func TestWA8_TicketsOfOtherCeremonies(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	in := d.login("alice").holding(h.device)
	verify := in.begin("/mfa/verify/passkey/begin", nil)
	signIn := h.begin("/mfa/signin/begin", nil)
	in.setCookie("__Host-sallyport-pending", h.cookie("__Host-sallyport-pending"))
	if a, _ := h.finish("/mfa/signin", verify.Ticket, h.sign(verify)); a.status != http.StatusConflict {
		t.Errorf("a ticket of a proof = %d %s, want 409", a.status, a.body)
	}
	if a, _ := in.finish("/mfa/verify/passkey", signIn.Ticket, in.sign(signIn)); a.status != http.StatusConflict {
		t.Errorf("a ticket of a sign-in = %d %s, want 409", a.status, a.body)
	}
	in.mustBeOut("account")
	if a, _ := h.finish("/mfa/signin", signIn.Ticket, h.sign(verify)); a.status != http.StatusUnprocessableEntity {
		t.Errorf("the answer to another challenge = %d %s, want 422", a.status, a.body)
	}
}

// What was left open for too long says how to go on.
func TestASignInThatIsOutOfDateLeadsToAnother(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	page := h.get("/mfa/signin")
	d.advance(10 * time.Minute)
	a := h.press(page, h.sign)
	if a.status != http.StatusConflict || !strings.Contains(a.body, `href="/mfa/signin"`) {
		t.Errorf("a page that was open for ten minutes = %d, want 409 and a way on\n%s", a.status, text(a.body))
	}
}

func TestTwoTabsOfOneBrowserSignIn(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	first := h.begin("/mfa/signin/begin", nil)
	second := h.begin("/mfa/signin/begin", nil)
	if a, _ := h.finish("/mfa/signin", first.Ticket, h.sign(first)); a.status != http.StatusOK {
		t.Errorf("the first tab = %d %s", a.status, a.body)
	}
	if a, doc := h.finish("/mfa/signin", second.Ticket, h.sign(second), "back", "/vault"); a.status != http.StatusOK || doc["next"] != "/vault" {
		t.Errorf("the second tab = %d %s, want to be led on", a.status, a.body)
	}
	if len(d.logins) != 1 {
		t.Errorf("%d sessions were made, want 1", len(d.logins))
	}
}

// What a browser held before it signed in is worth nothing afterwards.
func TestFIX1_ASignInByPasskeyStartsAnew(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	h.setCookie("session", "planted by somebody else")
	h.setCookie("__Host-sallyport", "planted too")
	h.mustEnter()
	if h.cookie("session") == "planted by somebody else" {
		t.Error("the session has the token that it had before")
	}
	h.mustBeIn("vault")
	session, assurance := h.cookie("session"), h.cookie("__Host-sallyport")
	other := d.browser().holding(h.device)
	other.mustEnter()
	other.setCookie("__Host-sallyport", assurance)
	other.mustBeOut("vault") // the proof of another login
	thief := d.browser()
	thief.setCookie("__Host-sallyport", assurance)
	thief.mustBeOut("vault")
	if session == other.cookie("session") {
		t.Error("two logins share a session")
	}
}

// ownSessions keeps proofs in the site's sessions, which it finds by the request's cookie.
type ownSessions struct {
	mu    sync.Mutex
	texts map[string]string
	saved []string // sessions that were saved to, in their order
}

func (o *ownSessions) Load(r *http.Request) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, err := r.Cookie("session")
	if err != nil {
		return "", nil
	}
	return o.texts[c.Value], nil
}

func (o *ownSessions) Save(_ http.ResponseWriter, r *http.Request, text string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, err := r.Cookie("session")
	if err != nil {
		return err
	}
	o.texts[c.Value] = text
	o.saved = append(o.saved, c.Value)
	return nil
}

func TestTheProofIsKeptInTheSessionThatTheSiteHasMade(t *testing.T) {
	own := &ownSessions{texts: map[string]string{}}
	d := newDoor(t, func(_ *site, c *sallyport.Config) { c.Sessions = own })
	h := d.owner("alice")
	h.setCookie("session", "an old one")
	h.mustEnter()
	if last := own.saved[len(own.saved)-1]; last == "an old one" || last != h.cookie("session") {
		t.Errorf("the proof was kept in session %q, want the new one", last)
	}
	h.mustBeIn("payout")
}

func TestANewBrowserThatSignsInIsToldOf(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	known := d.login("alice").holding(h.device) // proves here before
	known.prove()
	d.advance(25 * time.Hour)
	d.set(func() { d.notices = nil })
	other := d.browser().holding(h.device)
	for _, name := range []string{"__Host-sallyport-known"} {
		other.setCookie(name, known.cookie(name))
	}
	other.mustEnter()
	if got := d.events(); slices.Contains(got, mfa.NewBrowser) {
		t.Errorf("a known browser was told of: %v", got)
	}
	h.mustEnter()
	got := d.told()
	if len(got) != 1 || got[0].Event.Kind != mfa.NewBrowser || got[0].User.Email != "alice@example.com" {
		t.Errorf("told: %v, want the new browser", got)
	}
}

func (s *site) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// A copy of an authenticator gives itself away by its count, also where nobody has typed a name.
func TestASignCountThatGoesBackIsRefusedAndTold(t *testing.T) {
	for name, use := range map[string]func(d *door, h *holder) answer{
		"at a proof":   func(d *door, h *holder) answer { return d.login("alice").holding(h.device).tap() },
		"at a sign-in": func(d *door, h *holder) answer { a, _ := d.browser().holding(h.device).enter(); return a },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			h := d.login("alice").holding(mfatest.NewSecurityKey(d.server.URL))
			h.register("My key")
			h.device.Credentials[0].Count = 100
			if a := use(d, h); a.status != http.StatusOK {
				t.Fatalf("a count that grows = %d %s", a.status, a.body)
			}
			d.set(func() { d.notices = nil })
			h.device.Credentials[0].Count = 50
			if a := use(d, h); a.status != http.StatusUnprocessableEntity {
				t.Errorf("a count that went back = %d %s, want 422", a.status, a.body)
			}
			told := d.told()
			if len(told) != 1 || told[0].Event.Kind != mfa.Noted || !strings.Contains(told[0].Text, "My key") || !strings.Contains(told[0].Subject, "copy") {
				t.Errorf("told: %+v, want that there may be a copy", told)
			}
		})
	}
}

// Wrong answers never shut the owner out.
func TestTHROTTLE12_APasskeyAlwaysWorks(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	attacker := d.login("alice").holding(d.phone())
	attacker.device.Credentials = []*mfatest.Credential{{
		ID: h.device.Credentials[0].ID, RPID: "example.com", Key: d.owner("mallory").device.Credentials[0].Key,
	}}
	statuses := map[int]int{}
	for range 30 {
		statuses[attacker.tap().status]++
	}
	if statuses[http.StatusUnprocessableEntity] != 10 || statuses[http.StatusTooManyRequests] != 20 {
		t.Errorf("30 wrong answers in a minute = %v, want ten judged", statuses)
	}
	owner := d.login("alice").holding(h.device)
	owner.prove()
	owner.mustBeIn("payout")
	h.mustEnter()
}

// A page of another site signs nobody in, neither as themselves nor as somebody else.
func TestCSRF1_ASignInComesFromAPageOfTheSite(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	for name, foreign := range map[string][]header{
		"cross-site":            {{"Sec-Fetch-Site", "cross-site"}},
		"same-site":             {{"Sec-Fetch-Site", "same-site"}},
		"another origin":        {{"Origin", "https://evil.example"}},
		"no origin to speak of": {{"Origin", "null"}},
	} {
		b := h.begin("/mfa/signin/begin", nil)
		body := mustJSON(t, map[string]any{"ticket": b.Ticket, "answer": h.sign(b)})
		for _, path := range []string{"/mfa/signin/begin", "/mfa/signin"} {
			a := h.do("POST", path, "application/json", body, append(foreign, acceptJSON)...)
			if a.status != http.StatusForbidden || len(a.header["Set-Cookie"]) > 0 {
				t.Errorf("POST %s, %s = %d %q, want 403 and no cookie", path, name, a.status, a.header["Set-Cookie"])
			}
		}
	}
	if len(d.logins) != 0 {
		t.Errorf("sessions were made: %+v", d.logins)
	}
	h.mustEnter()
}

func TestWhatSignInNeeds(t *testing.T) {
	signIn := func(http.ResponseWriter, *http.Request, sallyport.Login) (string, error) { return "", nil }
	base := sallyport.Config{
		Origin: "https://example.com", Store: mfa.NewMemory(), Keys: someKeys(t),
		User: func(*http.Request) (mfa.User, error) { return mfa.User{}, nil },
	}
	for name, c := range map[string]struct {
		change func(*sallyport.Config)
		want   string // "": it will do
	}{
		"neither":                      {func(*sallyport.Config) {}, ""},
		"both":                         {func(c *sallyport.Config) { c.SignIn, c.Directory = signIn, &directory{} }, ""},
		"a directory alone":            {func(c *sallyport.Config) { c.Directory = &directory{} }, ""},
		"SignIn alone":                 {func(c *sallyport.Config) { c.SignIn = signIn }, ""}, // for Guard.Challenge
		"our page as the site's":       {func(c *sallyport.Config) { c.SignIn, c.Directory, c.Login = signIn, &directory{}, "/mfa/signin" }, ""},
		"our page without a directory": {func(c *sallyport.Config) { c.SignIn, c.Login = signIn, "/mfa/signin" }, "under Path"},
		"our page without SignIn":      {func(c *sallyport.Config) { c.Login = "/mfa/signin" }, "under Path"},
		"our page without passkeys": {func(c *sallyport.Config) {
			c.SignIn, c.Directory, c.Login, c.Methods = signIn, &directory{}, "/mfa/signin", []mfa.Method{mfa.TOTP{}}
		}, "under Path"},
	} {
		config := base
		c.change(&config)
		_, err := sallyport.New(config)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("New with %s = %v, want %q", name, err, c.want)
		}
	}
}

// A site without passwords has our page as its own, and strangers come back to where they were going.
func TestOurPageCanBeTheSitesOwn(t *testing.T) {
	d := newDoor(t, func(_ *site, c *sallyport.Config) { c.Login = "/mfa/signin" })
	h := d.owner("alice")
	page := h.follow(h.get("/vault?a=b"))
	if strings.Contains(page.body, "Sign in another way") {
		t.Errorf("the page offers another way, and there is none:\n%s", text(page.body))
	}
	if a := h.press(page, h.sign); a.status != http.StatusSeeOther || a.next != "/vault?a=b" {
		t.Fatalf("signing in = %d to %q\n%s", a.status, a.next, text(a.body))
	}
	h.mustBeIn("vault")
}
