package demo_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/cmd/sallyport/internal/demo"
)

func privates() []string { return []string{"account", "notes", "vault", "payout"} }

func TestStrangersAreSentToSignIn(t *testing.T) {
	b := start(t, demo.Options{}).browser()
	for _, name := range privates() {
		want := "/login?next=%2F" + name + "%3Fa%3Db"
		if a := b.get("/" + name + "?a=b"); a.status != http.StatusSeeOther || a.next != want {
			t.Errorf("GET /%s = %d to %q, want 303 to %s", name, a.status, a.next, want)
		}
		a := b.do("GET", "/"+name, "", asJSON)
		if kind := a.header.Get("Content-Type"); a.status != http.StatusUnauthorized || kind != "application/problem+json" {
			t.Errorf("GET /%s as JSON = %d %s, want a problem of 401", name, a.status, kind)
		}
	}
}

// Each page in each state of a user.
func TestWhatEachPageAsks(t *testing.T) {
	n := start(t, demo.Options{TestClock: true})
	stranger, plain, proved := n.browser(), n.signedIn("bob"), n.signedIn("alice")
	proved.advance("0s")
	proved.enroll("phone")
	unproved := n.signedIn("alice")
	for _, c := range []struct {
		page                              string
		stranger, plain, unproved, proved bool
	}{
		{"account", false, true, false, true},
		{"notes", false, false, false, true},
		{"vault", false, false, false, true},
		{"payout", false, false, false, false},
	} {
		for _, who := range []struct {
			state string
			b     *browser
			want  bool
		}{
			{"a stranger", stranger, c.stranger},
			{"bob, who has no factor", plain, c.plain},
			{"alice, who has not proved hers", unproved, c.unproved},
			{"alice, who has", proved, c.proved},
		} {
			name := "alice"
			if who.b == plain {
				name = "bob"
			}
			if got := who.b.isIn(c.page, name); got != who.want {
				t.Errorf("/%s for %s: seen = %v, want %v", c.page, who.state, got, who.want)
			}
		}
	}
	for _, open := range []string{"/", "/login", "/help", "/outbox"} {
		for _, b := range []*browser{stranger, plain, unproved, proved} {
			if a := b.get(open); a.status != http.StatusOK {
				t.Errorf("GET %s = %d, want 200 for everybody", open, a.status)
			}
		}
	}
}

func TestAUserWithoutAFactorIsLedToOneWhereAPageAsksForIt(t *testing.T) {
	b := start(t, demo.Options{}).signedIn("carol")
	for name, door := range map[string]string{"notes": "/mfa/verify", "vault": "/mfa/enroll", "payout": "/mfa/enroll"} {
		if a := b.get("/" + name); a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, door) {
			t.Errorf("GET /%s = %d to %q, want 303 to %s", name, a.status, a.next, door)
		}
	}
}

func TestAPageIsForItsUserAlone(t *testing.T) {
	n := start(t, demo.Options{})
	for _, name := range []string{"alice", "bob", "carol", "sam"} {
		b := n.signedIn(name)
		if !b.isIn("account", name) {
			t.Errorf("%s does not see their own account", name)
		}
		a := b.do("GET", "/account", "", asJSON)
		var doc map[string]string
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc["text"] != "canary:account:"+name {
			t.Errorf("/account as JSON = %q, %v, want the canary of %s", a.body, err, name)
		}
		if cache := a.header.Get("Cache-Control"); cache != "no-store" {
			t.Errorf("/account: Cache-Control = %q, want no-store", cache)
		}
	}
}

func TestSigningOutIsOpenToThoseWhoHaveNotProved(t *testing.T) {
	n := start(t, demo.Options{})
	n.signedIn("alice").enroll("phone")
	b := n.signedIn("alice")
	token := b.session()
	if a := b.post("/logout", nil); a.status != http.StatusSeeOther || a.next != "/" {
		t.Fatalf("POST /logout = %d to %q, want 303 to /", a.status, a.next)
	}
	if b.session() != "" {
		t.Error("the browser keeps its session cookie")
	}
	a := n.browser().get("/account", with{"Cookie", "demo_session=" + token})
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.next, "/login") {
		t.Errorf("FIX-5: the cookie of before = %d to %q, want a stranger's answer", a.status, a.next)
	}
}

func TestThereIsNoOtherPageAndNoOtherMethod(t *testing.T) {
	n := start(t, demo.Options{})
	b := n.signedIn("alice")
	for _, c := range []struct{ method, path string }{
		{"GET", "/nowhere"}, {"GET", "/logout"}, {"POST", "/account"}, {"PUT", "/vault"}, {"DELETE", "/outbox"},
		{"GET", "/assets/nothing.css"}, {"GET", "/demo/clock"}, {"POST", "/demo/clock"},
	} {
		a := b.do(c.method, c.path, `{"advance":"1h"}`, page, isJSON)
		if a.status != http.StatusNotFound || strings.Contains(a.body, "canary:") {
			t.Errorf("%s %s = %d, want 404", c.method, c.path, a.status)
		}
	}
	if a := b.do("GET", "/nowhere", "", asJSON); a.status != 404 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("GET /nowhere as JSON = %d %s, want a document of 404", a.status, a.header.Get("Content-Type"))
	}
}

func TestTheOutboxTellsNewestFirst(t *testing.T) {
	n := start(t, demo.Options{})
	if a := n.browser().get("/outbox", asJSON); a.status != http.StatusOK || strings.TrimSpace(a.body) != "[]" {
		t.Errorf("a new outbox = %d %q, want []", a.status, a.body)
	}
	for _, name := range []string{"alice", "bob"} {
		n.signedIn(name).enroll(name + "'s phone")
	}
	type mail struct {
		ID                               int64
		At                               time.Time
		User, To, Courier, Subject, Text string
	}
	var mails []mail
	a := n.browser().get("/outbox", asJSON)
	if err := json.Unmarshal([]byte(a.body), &mails); err != nil || len(mails) != 2 {
		t.Fatalf("the outbox = %q, %v, want two mails", a.body, err)
	}
	for i, name := range []string{"bob", "alice"} {
		m := mails[i]
		if m.User != name || m.To != name+"@example.com" || m.Courier == "" || m.Subject == "" ||
			!strings.Contains(m.Text, name+"'s phone") || time.Since(m.At) > time.Minute {
			t.Errorf("mail %d = %+v, want the notice to %s", i, m, name)
		}
	}
	if mails[0].ID <= mails[1].ID {
		t.Errorf("ids = %d, %d, want the newest first", mails[0].ID, mails[1].ID)
	}
}

func TestXSS1_NamesAreTextOnEveryPage(t *testing.T) {
	const evil = `"><img src=x onerror=alert(1)>'</pre><script>alert(2)</script>`
	n := start(t, demo.Options{})
	b := n.signedIn("alice")
	b.enroll(evil)
	query := url.Values{"next": {"/" + evil}}.Encode()
	for _, c := range []struct{ path, shows string }{
		{"/outbox", "&lt;img src=x"},
		{"/mfa/", "&lt;img src=x"},
		{"/account?" + query, ""},
		{"/login?" + query, ""},
		{"/" + url.PathEscape(evil), ""},
	} {
		a := b.get(c.path, with{"User-Agent", evil})
		if strings.Contains(a.body, "<img src=x") || strings.Contains(a.body, "<script>") {
			t.Errorf("GET %s shows markup from outside", c.path)
		}
		if !strings.Contains(a.body, c.shows) {
			t.Errorf("GET %s = %d, does not show the name at all", c.path, a.status)
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("GET %s: Content-Security-Policy = %q", c.path, csp)
		}
	}
	a := b.post("/login", form(evil, evil, evil))
	if a.status != http.StatusUnauthorized || strings.Contains(a.body, "<img src=x") {
		t.Errorf("a sign-in as markup = %d, want 401 without the markup", a.status)
	}
}

func TestTheClockMoves(t *testing.T) {
	b := start(t, demo.Options{TestClock: true}).browser()
	b.advance("0s")
	began := b.now
	for _, c := range []struct {
		by   string
		want time.Duration
	}{{"31s", 31 * time.Second}, {"48h", 48*time.Hour + 31*time.Second}, {"-48h31s", 0}} {
		b.advance(c.by)
		if moved := b.now.Sub(began); moved < c.want || moved > c.want+time.Minute {
			t.Errorf("after %s the clock has moved by %v, want %v", c.by, moved, c.want)
		}
	}
}

func TestTheClockRefusesWhatIsNoTime(t *testing.T) {
	b := start(t, demo.Options{TestClock: true}).browser()
	b.advance("0s")
	began := b.now
	for name, body := range map[string]string{
		"nothing":                   ``,
		"no document":               `31s`,
		"a list":                    `["31s"]`,
		"a number":                  `{"advance":31}`,
		"no unit":                   `{"advance":"31"}`,
		"no time":                   `{"advance":"soon"}`,
		"an empty time":             `{"advance":""}`,
		"another field":             `{"advance":"31s","by":"31s"}`,
		"two documents":             `{"advance":"31s"}{"advance":"31s"}`,
		"two hundred years":         `{"advance":"1752000h"}`,
		"more than a span can hold": `{"advance":"9999999999h"}`,
		"far too much":              `{"advance":"31s","x":"` + strings.Repeat("x", 64<<10) + `"}`,
	} {
		if a := b.do("POST", "/demo/clock", body, isJSON, asJSON); a.status != http.StatusBadRequest {
			t.Errorf("%s = %d %s, want 400", name, a.status, a.body)
		}
	}
	if b.advance("0s"); b.now.Sub(began) > time.Minute {
		t.Errorf("the clock has moved by %v", b.now.Sub(began))
	}
}

func TestASessionEndsAfterTwoWeeks(t *testing.T) {
	b := start(t, demo.Options{TestClock: true}).signedIn("bob")
	b.advance("335h")
	if !b.isIn("account", "bob") {
		t.Error("after 335 hours bob is signed out")
	}
	b.advance("2h")
	if b.isIn("account", "bob") {
		t.Error("FIX-5: after 337 hours bob is still signed in")
	}
}
