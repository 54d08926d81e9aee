package sallyport_test

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"strings"
	"testing"

	"sallyport"
	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// signals is what documents and pages tell a browser about its passkeys.
type signals struct {
	Accepted []struct {
		RPID   string `json:"rpId"`
		UserID string
		IDs    []string `json:"allAcceptedCredentialIds"`
	} `json:"allAcceptedCredentials"`
	Details []struct{ RPID, UserID, Name, DisplayName string } `json:"currentUserDetails"`
	Unknown []struct {
		RPID         string `json:"rpId"`
		CredentialID string
	} `json:"unknownCredential"`
}

func signalsIn(t testing.TB, body string) (s signals) {
	t.Helper()
	var doc struct{ Signal signals }
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Signal
}

// accepted returns the ids that are accepted under a handle, and whether the handle is spoken of.
func (s signals) accepted(handle []byte) ([]string, bool) {
	for _, a := range s.Accepted {
		if a.UserID == encode(handle) {
			return a.IDs, true
		}
	}
	return nil, false
}

func signalsOn(t testing.TB, page answer) (s signals) {
	t.Helper()
	_, tail, ok := strings.Cut(page.body, `data-sallyport-signal="`)
	if !ok {
		return s
	}
	text, _, _ := strings.Cut(tail, `"`)
	if err := json.Unmarshal([]byte(html.UnescapeString(text)), &s); err != nil {
		t.Fatalf("the page signals %q: %v", text, err)
	}
	return s
}

func TestBrowsersAreToldWhichPasskeysAreLeft(t *testing.T) {
	s := newPasskeySite(t)
	h := s.holder("alice")
	first := h.device.Credentials[0]
	second := h.holding(s.phone())
	id := second.register("")["id"].(string)
	other := second.device.Credentials[0]

	home := signalsOn(t, h.get("/mfa/"))
	for _, c := range []*mfatest.Credential{first, other} {
		ids, ok := home.accepted(c.Handle)
		if !ok || len(ids) != 1 || ids[0] != encode(c.ID) {
			t.Errorf("accepted under the handle of a passkey = %v, %v, want that one", ids, ok)
		}
	}
	if len(home.Details) != 2 || home.Details[0].Name != "alice" || home.Accepted[0].RPID != "example.com" {
		t.Errorf("the home tells %+v, want both passkeys with the user's name", home)
	}

	// A paused one is still the user's.
	if a, _ := h.call("POST", "/mfa/factors/"+id+"/pause", nil); a.status != http.StatusOK {
		t.Fatalf("pausing = %d %s", a.status, a.body)
	} else if ids, _ := signalsIn(t, a.body).accepted(other.Handle); len(ids) != 1 {
		t.Errorf("a paused passkey is no longer accepted: %s", a.body)
	}

	// One that was removed goes, in a document as on the page that follows.
	a := h.post("/mfa/factors/"+id+"/remove", nil)
	page := signalsOn(t, h.get(a.next))
	if ids, ok := page.accepted(other.Handle); !ok || len(ids) != 0 {
		t.Errorf("under the handle of a removed passkey %v are accepted, spoken of %v, want none", ids, ok)
	}
	if ids, _ := page.accepted(first.Handle); len(ids) != 1 {
		t.Errorf("the passkey that is left is not accepted: %+v", page)
	}
	if ids, ok := signalsOn(t, s.holder("bob").get(a.next)).accepted(other.Handle); ok {
		t.Errorf("another user's page speaks of the removed passkey: %v", ids)
	}
	_, doc := h.call("GET", "/mfa/", nil)
	last := doc["factors"].([]any)[0].(map[string]any)["id"].(string)
	b, _ := h.call("POST", "/mfa/factors/"+last+"/remove", nil)
	if ids, ok := signalsIn(t, b.body).accepted(first.Handle); b.status != http.StatusOK || !ok || len(ids) != 0 {
		t.Errorf("removing the last = %d %s, want its handle with none", b.status, b.body)
	}
}

// unreadable is a method whose factors look like passkeys that cannot be read.
type unreadable struct{}

func (unreadable) Name() string           { return mfa.MethodPasskey }
func (unreadable) Strength() mfa.Strength { return mfa.PhishingResistant }

func (unreadable) Begin(context.Context, mfa.Attempt) (any, []byte, error) {
	return nil, nil, errors.New("not here")
}

func (unreadable) Finish(context.Context, mfa.Attempt) (mfa.Outcome, error) {
	return mfa.Outcome{}, mfa.ErrWrongAnswer
}

func (unreadable) BeginEnroll(context.Context, mfa.Attempt) (any, []byte, error) {
	return struct{}{}, nil, nil
}

func (unreadable) FinishEnroll(context.Context, mfa.Attempt) (mfa.Outcome, error) {
	return mfa.Outcome{Factor: mfa.Factor{State: []byte("noise"), Strength: mfa.PhishingResistant}}, nil
}

// From a list that is not complete browsers would forget passkeys that work.
func TestAnIncompleteListIsNotTold(t *testing.T) {
	store, keys := mfa.NewMemory(), someKeys(t)
	same := func(_ *site, c *sallyport.Config) { c.Store, c.Keys = store, keys }
	before := newPasskeySite(t, same, func(_ *site, c *sallyport.Config) {
		c.Methods = []mfa.Method{unreadable{}, mfa.TOTP{}, mfa.Recovery{}}
	})
	old := before.enrolled("alice")
	begin := old.begin("/mfa/enroll/passkey/begin", nil)
	if a, _ := old.holding(nil).finish("/mfa/enroll/passkey", begin.Ticket, json.RawMessage(`{}`)); a.status != http.StatusCreated {
		t.Fatalf("enrolling one that cannot be read = %d %s", a.status, a.body)
	}

	s := newPasskeySite(t, same)
	h := s.login("alice").holding(s.phone())
	if a := h.fill(h.get("/mfa/verify/recovery"), old.codes[1]); a.status != http.StatusSeeOther {
		t.Fatalf("a recovery code = %d\n%s", a.status, text(a.body))
	}
	h.register("")
	page := h.get("/mfa/")
	if got := signalsOn(t, page); page.status != http.StatusOK || len(got.Accepted)+len(got.Details) != 0 {
		t.Errorf("the home = %d and tells %+v, want nothing", page.status, got)
	}
	_, doc := h.call("GET", "/mfa/", nil)
	if doc["signal"] != nil || len(doc["factors"].([]any)) != 4 {
		t.Errorf("the document tells %v of %v", doc["signal"], doc["factors"])
	}
}

func TestAPasskeyThatNobodyHasIsForgottenByTheBrowser(t *testing.T) {
	d := newDoor(t)
	h := d.owner("alice")
	lost := h.device.Credentials[0]
	in := d.login("alice").holding(h.device)
	in.prove()
	_, doc := in.call("GET", "/mfa/", nil)
	id := doc["factors"].([]any)[0].(map[string]any)["id"].(string)
	if a, _ := in.call("POST", "/mfa/factors/"+id+"/remove", nil); a.status != http.StatusOK {
		t.Fatalf("removing = %d %s", a.status, a.body)
	}
	a, _ := h.enter()
	got := signalsIn(t, a.body).Unknown
	if a.status != http.StatusUnprocessableEntity || len(got) != 1 || got[0].CredentialID != encode(lost.ID) || got[0].RPID != "example.com" {
		t.Errorf("signing in = %d %s, want 422 that names the passkey", a.status, a.body)
	}
	page := h.press(h.get("/mfa/signin"), h.sign)
	if got := signalsOn(t, page).Unknown; page.status != http.StatusUnprocessableEntity || len(got) != 1 {
		t.Errorf("the page = %d and signals %+v, want 422 and the passkey", page.status, got)
	}
}

// An authenticator keeps what a site has refused, and offers it for ever, unless it is told.
func TestAPasskeyThatWasRefusedIsForgottenByTheBrowser(t *testing.T) {
	s := newPasskeySite(t)
	h := s.login("alice").holding(s.phone())
	h.device.Edit.Clear = mfatest.UP
	b := h.begin("/mfa/enroll/passkey/begin", nil)
	a, _ := h.finish("/mfa/enroll/passkey", b.Ticket, h.create(b))
	got := signalsIn(t, a.body).Unknown
	if a.status != http.StatusUnprocessableEntity || len(got) != 1 || got[0].CredentialID != encode(h.device.Credentials[0].ID) {
		t.Errorf("registering = %d %s, want 422 that names the passkey", a.status, a.body)
	}
	page := h.press(h.get("/mfa/enroll/passkey"), h.create)
	if got := signalsOn(t, page).Unknown; page.status != http.StatusUnprocessableEntity || len(got) != 1 {
		t.Errorf("the page = %d and signals %+v, want 422 and the passkey", page.status, got)
	}

	// One that somebody has is not forgotten: another user's, or what the first of two clicks has added.
	owner := s.holder("bob")
	h.device.Edit = mfatest.Edits{CredentialID: owner.device.Credentials[0].ID}
	b = h.begin("/mfa/enroll/passkey/begin", nil)
	a, doc := h.finish("/mfa/enroll/passkey", b.Ticket, h.create(b))
	if a.status != http.StatusConflict || doc["signal"] != nil {
		t.Errorf("registering another user's = %d %s, want 409 and no signal", a.status, a.body)
	}
	second := owner.holding(s.phone())
	b = second.begin("/mfa/enroll/passkey/begin", nil)
	reply := second.create(b)
	second.finish("/mfa/enroll/passkey", b.Ticket, reply)
	if _, doc := second.finish("/mfa/enroll/passkey", b.Ticket, reply); doc["signal"] != nil {
		t.Errorf("a second click signals %v", doc["signal"])
	}
}

func TestPasswordManagersFindWhereToManagePasskeys(t *testing.T) {
	related := func(_ *site, c *sallyport.Config) {
		keys, err := passkey.New(passkey.Config{
			RPID: "example.com", Origins: []string{c.Origin}, RelatedOrigins: []string{"https://example.org"},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Methods = []mfa.Method{keys, mfa.Recovery{}}
	}
	const endpoints = `{"enroll":"https://example.com/mfa/enroll/passkey","manage":"https://example.com/mfa/"}`
	for name, c := range map[string]struct {
		change func(*site, *sallyport.Config)
		want   map[string]string // "": not ours
	}{
		"a plain site": {func(*site, *sallyport.Config) {}, map[string]string{"passkey-endpoints": endpoints, "webauthn": ""}},
		"a site with a related origin": {related, map[string]string{
			"passkey-endpoints": endpoints, "webauthn": `{"origins":["https://example.com","https://example.org"]}`,
		}},
		"a site without passkeys": {func(_ *site, c *sallyport.Config) { c.Methods = []mfa.Method{mfa.TOTP{}} },
			map[string]string{"passkey-endpoints": "", "webauthn": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPasskeySite(t, c.change).browser()
			for document, want := range c.want {
				a := b.get("/.well-known/" + document)
				switch got := strings.TrimSpace(a.body); {
				case want == "" && a.status != http.StatusNotFound:
					t.Errorf("GET %s = %d, want the site's 404", document, a.status)
				case want != "" && (a.status != http.StatusOK || got != want || a.header.Get("Content-Type") != "application/json"):
					t.Errorf("GET %s = %d %s %s, want %s", document, a.status, a.header.Get("Content-Type"), got, want)
				}
			}
			if a := b.post("/.well-known/passkey-endpoints", nil); a.status != http.StatusNotFound {
				t.Errorf("POST = %d, want the site's 404", a.status)
			}
		})
	}
}

// atRPID is a site whose passkeys belong to a domain.
func atRPID(t testing.TB, store mfa.Store, rpID string, abandoned ...string) func(*site, *sallyport.Config) {
	return func(_ *site, c *sallyport.Config) {
		keys, err := passkey.New(passkey.Config{RPID: rpID, Origins: []string{"https://" + rpID}, Abandoned: abandoned})
		if err != nil {
			t.Fatal(err)
		}
		c.Origin, c.Store, c.Methods = "https://"+rpID, store, []mfa.Method{keys, mfa.TOTP{}, mfa.Recovery{}}
	}
}

func TestAnotherRPIDIsRefusedWhilePasskeysWouldBeLost(t *testing.T) {
	store := mfa.NewMemory()
	keys := someKeys(t)
	with := func(rpID string, abandoned ...string) error {
		c := sallyport.Config{Keys: keys, User: func(*http.Request) (mfa.User, error) { return mfa.User{}, nil }}
		atRPID(t, store, rpID, abandoned...)(nil, &c)
		_, err := sallyport.New(c)
		return err
	}
	if err := with("example.com"); err != nil {
		t.Fatalf("the first start: %v", err)
	}
	if err := with("example.org"); err != nil {
		t.Errorf("another RP ID while nobody has a passkey: %v", err)
	}
	if err := with("example.com"); err != nil {
		t.Errorf("and back: %v", err)
	}
	s := newPasskeySite(t, func(_ *site, c *sallyport.Config) { c.Store, c.Keys = store, keys })
	s.holder("alice")
	s.holder("bob")
	s.enrolled("carol")
	err := with("example.org")
	if err == nil || !strings.Contains(err.Error(), `"example.com"`) || !strings.Contains(err.Error(), "2 of 3 users") {
		t.Errorf("another RP ID with passkeys of two of three users = %v, want an error that says so", err)
	}
	if err := with("example.com"); err != nil {
		t.Errorf("the RP ID that they are made for: %v", err)
	}
	if err := with("example.org", "example.com"); err != nil {
		t.Errorf("giving them up: %v", err)
	}
	if err := with("example.org"); err != nil {
		t.Errorf("after they were given up: %v", err)
	}
}

// counter counts how often all accounts are listed.
type counter struct {
	*mfa.Memory
	lists int
}

func (c *counter) List(ctx context.Context, after string, limit int) ([]mfa.Record, error) {
	c.lists++
	return c.Memory.List(ctx, after, limit)
}

func TestAStartWithTheSameRPIDReadsNoAccounts(t *testing.T) {
	store, keys := &counter{Memory: mfa.NewMemory()}, someKeys(t)
	for _, user := range []string{"alice", "bob", "carol"} {
		newPasskeySite(t, func(_ *site, c *sallyport.Config) { c.Store, c.Keys = store, keys }).holder(user)
	}
	if store.lists != 0 {
		t.Errorf("the accounts were listed %d times, want never", store.lists)
	}
}
