package demo_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/cmd/sallyport/internal/demo"
)

func TestOnlyNameAndPasswordTogetherSignIn(t *testing.T) {
	n := start(t, demo.Options{})
	for name, f := range map[string]url.Values{
		"wrong password":          form("alice", "Demo", ""),
		"no password":             form("alice", "", ""),
		"unknown name":            form("mallory", "demo", ""),
		"no name":                 form("", "demo", ""),
		"name in capitals":        form("ALICE", "demo", ""),
		"name with a space":       form("alice ", "demo", ""),
		"name with a zero byte":   form("alice\x00", "demo", ""),
		"nothing":                 {},
		"quotes of another world": form("alice' OR '1'='1", "demo", ""),
	} {
		b := n.browser()
		if a := b.post("/login", f); a.status != http.StatusUnauthorized || b.session() != "" {
			t.Errorf("%s = %d, session %q, want 401 and none", name, a.status, b.session())
		}
		if a := b.post("/login", f, asJSON); a.status != http.StatusUnauthorized {
			t.Errorf("%s as JSON = %d, want 401", name, a.status)
		}
	}
	b := n.browser()
	a := b.post("/login", form("alice", "demo", "/vault?x=1"))
	if a.status != http.StatusSeeOther || a.next != "/vault?x=1" {
		t.Errorf("the right ones = %d to %q, want 303 to /vault?x=1", a.status, a.next)
	}
}

func TestFormsThatCannotBeReadSignNobodyIn(t *testing.T) {
	n := start(t, demo.Options{})
	right := form("alice", "demo", "").Encode()
	for _, c := range []struct {
		name, kind, body string
		status           int
	}{
		{"JSON", "application/json", `{"username":"alice","password":"demo"}`, 415},
		{"no type", "", right, 415},
		{"text", "text/plain", right, 415},
		{"a name given twice", isForm.value, right + "&username=bob", 400},
		{"a password given twice", isForm.value, right + "&password=demo", 400},
		{"a broken escape", isForm.value, right + "&next=%zz", 400},
		{"bytes that are no text", isForm.value, "username=alice&password=demo&next=%ff", 400},
		{"a body of a megabyte", isForm.value, right + "&x=" + strings.Repeat("x", 1<<20), 413},
	} {
		b := n.browser()
		a := b.do("POST", "/login", c.body, page, with{"Content-Type", c.kind})
		if a.status != c.status || b.session() != "" {
			t.Errorf("%s = %d, session %q, want %d and none", c.name, a.status, b.session(), c.status)
		}
	}
	b := n.browser()
	if a := b.get("/login?" + right); a.status != http.StatusOK || b.session() != "" {
		t.Errorf("GET /login with name and password = %d, session %q, want the form", a.status, b.session())
	}
}

// The password step is the site's own: nothing of the second door counts there.
func TestWrongPasswordsAreNotCounted(t *testing.T) {
	n := start(t, demo.Options{})
	b := n.browser()
	for range 100 {
		if a := b.post("/login", form("alice", "wrong", "")); a.status != http.StatusUnauthorized {
			t.Fatalf("a wrong password = %d, want 401", a.status)
		}
	}
	b.signIn("alice")
	if !b.isIn("account", "alice") {
		t.Error("the right password does not open the account")
	}
}

func TestNextLeadsToPagesOfThisSiteOnly(t *testing.T) {
	n := start(t, demo.Options{})
	for _, next := range []string{"/", "/vault", "/notes?a=b&c=%2F%2Fd", "/mfa/enroll/totp?back=x", "/%2F/evil.example"} {
		if a := n.browser().post("/login", form("alice", "demo", next)); a.status != 303 || a.next != next {
			t.Errorf("next %q = %d to %q", next, a.status, a.next)
		}
	}
	for _, next := range []string{
		"", "vault", "https://evil.example", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`,
		"/\t/evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", " //evil.example", "\t//evil.example",
		"javascript:alert(1)", "http:evil.example", "//evil.example/%2e%2e", "/caf\u00e9", "/\u2028/evil", "/%zz",
		"/" + strings.Repeat("x", 4<<10),
	} {
		a := n.browser().post("/login", form("alice", "demo", next))
		if a.status != http.StatusSeeOther || a.next != "/account" {
			t.Errorf("next %q = %d to %q, want 303 to /account", next, a.status, a.next)
		}
		shown := n.browser().get("/login?next=" + url.QueryEscape(next))
		if !strings.Contains(shown.body, `name="next" value="/account"`) {
			t.Errorf("next %q is carried on by the form", next)
		}
	}
}

func TestFIX1_EverySignInMakesANewSession(t *testing.T) {
	n := start(t, demo.Options{})
	b := n.browser()
	planted := with{"Cookie", "demo_session=PLANTEDPLANTEDPLANTEDPLANT"}
	b.post("/login", form("alice", "demo", ""), planted)
	first := b.session()
	if first == "" || strings.Contains(planted.value, first) {
		t.Fatalf("the session after a planted one is %q", first)
	}
	b.signIn("alice")
	second := b.session()
	if second == first {
		t.Error("the second sign-in keeps the token of the first")
	}
	for name, token := range map[string]string{"planted": "PLANTEDPLANTEDPLANTEDPLANT", "first": first} {
		if n.browser().get("/account", with{"Cookie", "demo_session=" + token}).status == http.StatusOK {
			t.Errorf("the %s token opens the account", name)
		}
	}
	if n.browser().get("/account", with{"Cookie", "demo_session=" + second}).status != http.StatusOK {
		t.Error("the second token does not open the account")
	}
}

func TestAnotherUserInTheSameBrowserInheritsNothing(t *testing.T) {
	n := start(t, demo.Options{})
	b := n.signedIn("alice")
	b.enroll("phone")
	n.signedIn("bob").enroll("phone")
	b.signIn("bob")
	for _, name := range privates() {
		if b.isIn(name, "bob") || b.isIn(name, "alice") {
			t.Errorf("/%s is seen by bob, who has proved nothing", name)
		}
	}
}

func TestTheSessionCookieStaysInTheBrowserAndOutOfTheDatabase(t *testing.T) {
	data := t.TempDir()
	n := start(t, demo.Options{Data: data})
	b := n.browser()
	cookie := b.post("/login", form("alice", "demo", "")).header.Get("Set-Cookie")
	for _, want := range []string{"; HttpOnly", "; SameSite=Lax", "; Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie is %q, want %q", cookie, want)
		}
	}
	for _, not := range []string{"Domain", "Expires", "Max-Age", "alice"} {
		if strings.Contains(cookie, not) {
			t.Errorf("the cookie is %q, want no %s", cookie, not)
		}
	}
	n.stop()
	files, err := filepath.Glob(filepath.Join(data, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files = %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), b.session()) {
			t.Errorf("%s holds the token of a session", filepath.Base(file))
		}
	}
}

func TestPagesOfOtherSitesSignNobodyInOrOut(t *testing.T) {
	n := start(t, demo.Options{TestClock: true})
	for _, header := range []with{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "http://evil.example"}, {"Origin", "null"},
	} {
		b := n.browser()
		if a := b.post("/login", form("bob", "demo", ""), header); a.status != http.StatusForbidden || b.session() != "" {
			t.Errorf("POST /login with %v = %d, session %q, want 403 and none", header, a.status, b.session())
		}
		b.signIn("alice")
		before := b.session()
		if a := b.post("/logout", nil, header); a.status != http.StatusForbidden || b.session() != before {
			t.Errorf("POST /logout with %v = %d, want 403", header, a.status)
		}
		if !b.isIn("account", "alice") {
			t.Errorf("POST /logout with %v has signed alice out", header)
		}
		if a := b.do("POST", "/demo/clock", `{"advance":"1h"}`, isJSON, header); a.status != http.StatusForbidden {
			t.Errorf("POST /demo/clock with %v = %d, want 403", header, a.status)
		}
	}
	own := []with{{"Sec-Fetch-Site", "same-origin"}, {"Origin", n.url}}
	if a := n.browser().post("/login", form("bob", "demo", ""), own...); a.status != http.StatusSeeOther {
		t.Errorf("the site's own form = %d, want 303", a.status)
	}
}
