package sallyport_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

const (
	assuranceCookie = "__Host-sallyport"
	knownCookie     = "__Host-sallyport-known"
)

func TestFIX1_CookiesFromBeforeAProofOpenNothing(t *testing.T) {
	onStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 1, open)
		owner := s.enrolled("alice")
		b := s.browser()
		b.get("/")
		s0 := b.cookies()
		b.login("alice")
		b.secret = owner.secret
		s1 := b.cookies()
		b.prove()
		s2 := b.cookies()
		s.advance(6 * time.Minute)
		b.mustBeOut("step-up")
		b.prove()
		s3 := b.cookies()
		b.mustBeIn("step-up")
		if all := []string{s0, s1, s2, s3}; s0 == s1 || s1 == s2 || s2 == s3 {
			t.Errorf("the cookies at each level = %q, want all different", all)
		}
		if s.sees(s0, "vault") || s.sees(s1, "vault") {
			t.Error("cookies from before the proof are in after it")
		}
		if !s.sees(s3, "step-up") || s.sees(s2, "step-up") {
			t.Error("cookies from before the fresh proof pass the step-up after it, or those of the proof do not")
		}
		if got := b.post("/mfa/sessions/end", nil); got.status != http.StatusSeeOther {
			t.Fatalf("ending other sessions = %d", got.status)
		}
		b.mustBeIn("account")
		for i, old := range []string{s1, s2, s3} {
			if s.sees(old, "account") {
				t.Errorf("cookies %d are in after other sessions were ended", i+1)
			}
		}
	})
}

// sees reports whether a request with exactly these cookies gets a page.
func (s *site) sees(cookies, page string) bool {
	s.t.Helper()
	b := s.browser()
	b.client.Jar = nil
	a := b.get("/"+page, header{"Cookie", cookies})
	return a.status == http.StatusOK && strings.Contains(a.body, "canary:"+page+":")
}

// serverSide keeps what a login has proved in the site's own sessions, which get a new token at each change of level.
type serverSide struct {
	s     *site
	mu    sync.Mutex
	texts map[string]string // by the value of the cookie "session"
}

func (k *serverSide) Load(r *http.Request) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := r.Cookie("session")
	if err != nil {
		return "", nil
	}
	return k.texts[c.Value], nil
}

func (k *serverSide) Save(_ http.ResponseWriter, r *http.Request, text string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, err := r.Cookie("session")
	if err == nil {
		k.texts[c.Value] = text
	}
	return err
}

func (k *serverSide) Renew(w http.ResponseWriter, r *http.Request) error {
	c, err := r.Cookie("session")
	if err != nil {
		return err
	}
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	token := fmt.Sprintf("%s-%d", c.Value, len(k.s.sessions))
	k.s.sessions[token] = k.s.sessions[c.Value]
	delete(k.s.sessions, c.Value)
	http.SetCookie(w, &http.Cookie{Name: "session", Value: token, Path: "/", HttpOnly: true, Secure: true})
	r.Header.Set("Cookie", "session="+token)
	return nil
}

func TestFIX1_ATokenOfTheSiteFromBeforeAProofOpensNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		c.Sessions = &serverSide{s: s, texts: map[string]string{}}
	})
	owner := s.enrolled("alice")
	b := owner.again("alice")
	s1 := b.cookies()
	b.prove()
	s2 := b.cookies()
	b.mustBeIn("account")
	s.advance(6 * time.Minute)
	b.prove()
	b.mustBeIn("step-up")
	if b.cookie(assuranceCookie) != "" {
		t.Error("an assurance cookie was set beside the site's own sessions")
	}
	if s.sees(s1, "vault") || s.sees(s2, "vault") {
		t.Error("a session token that an attacker has planted before the proof is in after it")
	}
}

func TestFIX4_AChangeOfFactorsEndsOtherSessions(t *testing.T) {
	changes := map[string]func(b *browser){
		"adding an app": func(b *browser) {
			page := b.follow(b.get("/mfa/enroll/totp"))
			b.secret = secretOf(page)
			b.fill(page, b.code(0))
		},
		"new recovery codes": func(b *browser) { b.saveCodes(b.get("/mfa/enroll/recovery")) },
		"removing the recovery codes": func(b *browser) {
			b.post("/mfa/factors/"+b.factor("recovery")+"/remove", nil)
		},
		"pausing the recovery codes": func(b *browser) {
			b.post("/mfa/factors/"+b.factor("recovery")+"/pause", nil)
		},
	}
	for name, change := range changes {
		for _, keep := range []bool{false, true} {
			s := newNodes(t, 2, memoryStore(), func(_ *site, c *sallyport.Config) { c.KeepSessions = keep })
			a := s.enrolled("alice")
			b := a.again("alice").at(1)
			b.prove()
			a.prove()
			b.mustBeIn("account")
			change(a)
			a.mustBeIn("account")
			s.advance(time.Second)
			if in := b.isIn("account"); in != keep {
				t.Errorf("%s, KeepSessions %v: another session is in = %v, want %v", name, keep, in, keep)
			}
		}
	}
}

func TestFIX4_ARemovedFactorProvesNothingAnywhere(t *testing.T) {
	s := newNodes(t, 2, memoryStore(), func(_ *site, c *sallyport.Config) { c.KeepSessions = true })
	a := s.enrolled("alice")
	b := a.again("alice").at(1)
	b.prove()
	old := a.factor("totp")
	a.prove()
	page := a.follow(a.get("/mfa/enroll/totp"))
	a.secret = secretOf(page)
	a.fill(page, a.code(0))
	b.mustBeIn("account")
	if got := a.post("/mfa/factors/"+old+"/remove", nil); got.status != http.StatusSeeOther {
		t.Fatalf("removing the old app = %d", got.status)
	}
	a.mustBeIn("account")
	s.advance(time.Second)
	b.mustBeOut("account")
}

// What another node has in memory may allow for one second, and no longer.
func TestFIX4_ARevocationHoldsOnAllNodesWithinASecond(t *testing.T) {
	onAllStores(t, func(t *testing.T, open func() attackedStore) {
		s := newNodes(t, 2, open)
		a := s.enrolled("alice")
		b := a.again("alice").at(1)
		b.prove()
		a.prove()
		b.mustBeIn("account") // node 1 knows the account now
		a.post("/mfa/sessions/end", nil)
		s.advance(time.Second)
		b.mustBeOut("account")
		a.mustBeIn("account")
		a.at(1).mustBeIn("account")
	})
}

func TestFIX5_CookiesAfterLogOut(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	cookies, session, proved := owner.cookies(), owner.cookie("session"), owner.cookie(assuranceCookie)
	if !s.sees(cookies, "vault") {
		t.Fatal("the cookies of a proved session are not in")
	}
	owner.post("/logout", nil)
	if s.sees(cookies, "vault") {
		t.Error("the cookies of a session are in after its log-out")
	}
	b := owner.again("alice") // a new login of the same user
	b.setCookie(assuranceCookie, proved)
	b.mustBeOut("account")
	if b.cookie("session") == session {
		t.Error("the site has given the same session twice")
	}
}

// The life of a cookie is up to the browser, so the server's own clock must end a proof.
func TestFIX5_AProofEndsByTheServersClock(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	cookies := owner.cookies()
	s.advance(3*time.Hour - time.Second)
	if !s.sees(cookies, "account") {
		t.Error("a proof is at its end within 3 hours")
	}
	s.advance(3*time.Hour + time.Second)
	if s.sees(cookies, "account") {
		t.Error("a proof still counts after 6 hours")
	}
	owner.mustBeOut("account")
	owner.prove()
	owner.mustBeIn("account")
}

func TestCOOK1_EveryCookieHasItsFlags(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	b := s.login("alice")
	var lines []string
	collect := func(a answer) answer {
		lines = append(lines, slices.DeleteFunc(a.header.Values("Set-Cookie"), func(line string) bool {
			return strings.HasPrefix(line, "session=")
		})...)
		return a
	}
	for range 5 { // as many apps as an account may have
		page := b.follow(b.get("/mfa/enroll/totp"))
		b.secret = secretOf(page)
		if got := collect(b.fill(page, b.code(0))); got.status != http.StatusSeeOther {
			t.Fatalf("enrolling an app = %d", got.status)
		}
	}
	for i, f := range b.factors() {
		collect(b.post("/mfa/factors/"+f.id+"/rename", map[string][]string{"label": {fmt.Sprintf("app %d", i)}}))
	}
	collect(b.post("/mfa/sessions/end", nil))
	if len(lines) < 10 {
		t.Fatalf("%d cookies were set, want at least 10", len(lines))
	}
	for _, line := range lines {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case !strings.HasPrefix(c.Name, "__Host-"), !c.Secure, !c.HttpOnly, c.Path != "/", c.Domain != "":
			t.Errorf("Set-Cookie: %s, want __Host-, Secure, HttpOnly, Path=/ and no Domain", line)
		case c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode:
			t.Errorf("Set-Cookie: %s, want SameSite=Lax or Strict", line)
		case len(c.Name)+len(c.Value) > 4096:
			t.Errorf("cookie %s has %d bytes, want at most 4096", c.Name, len(c.Name)+len(c.Value))
		case c.Name == assuranceCookie && (c.MaxAge != 0 || !c.Expires.IsZero()):
			t.Errorf("Set-Cookie: %s, want one that ends with the browser", line)
		}
	}
}

// What is sealed carries the id of its key, like the kid of a token, and no choice of algorithm.
func TestCOOK3_ForgedCookiesProveNothing(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	good := owner.cookie(assuranceCookie)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	try := owner.again("alice")
	try.setCookie("session", owner.cookie("session"))
	with := func(value string) bool {
		return s.sees("session="+owner.cookie("session")+"; "+assuranceCookie+"="+value, "vault")
	}
	if !with(good) {
		t.Fatal("the cookie as it is does not open the vault")
	}
	for name, forged := range forgeries(good, raw) {
		if with(forged) {
			t.Errorf("%s: the cookie opens the vault", name)
		}
	}
}

func forgeries(good string, raw []byte) map[string]string {
	text := base64.RawURLEncoding.EncodeToString
	keyID := func(id string) string {
		return text(slices.Concat([]byte{raw[0], byte(len(id))}, []byte(id), raw[2+int(raw[1]):]))
	}
	forged := map[string]string{
		"nothing": "", "a word": "true", "JSON": base64.RawURLEncoding.EncodeToString([]byte(`{"user":"alice"}`)),
		"a token without an algorithm": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.",
		"a token with HS256":           "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln",
		"no key id":                    keyID(""), "another key id": keyID("20261124-0000"),
		"a path as key id": keyID("../../dev/null"),
		"another version":  text(append([]byte{9}, raw[1:]...)), "no tag": text(raw[:len(raw)-16]),
		"an empty tag": text(append(slices.Clone(raw[:len(raw)-16]), make([]byte, 16)...)), "doubled": good + good,
		"padded": good + "==", "with a space": good[:10] + " " +
			good[10:], "one byte more": text(append(slices.Clone(raw), 0)),
		"percent-encoded": "%" + fmt.Sprintf("%02X", good[0]) + good[1:], "quoted": `"` + good +
			`"`, "very long": strings.Repeat("A", 100_000),
	}
	for i := range raw {
		flipped := slices.Clone(raw)
		flipped[i] ^= 1
		forged[fmt.Sprintf("byte %d flipped", i)] = text(flipped)
		forged[fmt.Sprintf("cut after %d bytes", i)] = text(raw[:i])
	}
	return forged
}

func TestCOOK3_TheCookieOfAnotherUser(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	alice := s.enrolled("alice")
	bob := s.enrolled("bob")
	thief := bob.again("bob")
	thief.setCookie(assuranceCookie, alice.cookie(assuranceCookie))
	thief.mustBeOut("account")
	thief.prove()
	thief.mustBeIn("account")
}

// A site that gives all its logins one name still has one cookie for each user.
func TestCOOK3_TheCookieOfAnotherUserWhereLoginsShareAName(t *testing.T) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		c.User = func(r *http.Request) (mfa.User, error) {
			u, err := s.user(r)
			if u.ID != "" {
				u.Session = "the same for all"
			}
			return u, err
		}
	})
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	alice.mustBeIn("vault")
	cookie := alice.cookie(assuranceCookie)
	thief := bob.again("bob")
	thief.setCookie(assuranceCookie, cookie)
	engine := s.engine()
	for user, want := range map[string]int{"alice": 1, "bob": 0} {
		a := engine.OpenAssurance(mfa.User{ID: user, Session: "the same for all"}, cookie)
		if len(a.Proofs) != want {
			t.Errorf("alice's cookie opens for %s with %d proofs, want %d", user, len(a.Proofs), want)
		}
	}
	thief.mustBeOut("account")
}

func TestCOOK3_TheCookieOfAnotherLogin(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	thief := owner.again("alice")
	thief.setCookie(assuranceCookie, owner.cookie(assuranceCookie))
	thief.mustBeOut("account")
	owner.mustBeIn("account")
}

// Two sites of one company may share store, keys and session names; what one gives a browser is nothing to the other.
func TestCOOK3_TheCookieOfAnotherOrigin(t *testing.T) {
	s := newNodes(t, 2, memoryStore())
	s.configs[1].Origin = "https://other.example"
	s.restart()
	owner := s.enrolled("alice")
	owner.mustBeIn("vault")
	owner.at(1).mustBeOut("vault")
	page := owner.again("alice").get("/mfa/verify/totp")
	there := owner.again("alice").at(1)
	there.setCookie("session", owner.cookie("session"))
	form := map[string][]string{"answer": {owner.code(1)}, "ticket": {found(ticketField, page.body)}}
	if got := there.post("/mfa/verify/totp", form); got.status != http.StatusConflict {
		t.Errorf("a ticket of another origin = %d, want 409", got.status)
	}
}

func TestCOOK3_CookiesThatAreCutOrDoubled(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	alice, bob := s.enrolled("alice"), s.enrolled("bob")
	session := "session=" + alice.cookie("session")
	good, foreign := alice.cookie(assuranceCookie), bob.cookie(assuranceCookie)
	c := assuranceCookie + "="
	for cookies, want := range map[string]bool{
		session + "; " + c + good:                                      true,
		session + "; " + c + good[:len(good)/2]:                        false,
		session + "; " + c + good[len(good)/2:]:                        false,
		session + "; " + c + foreign:                                   false,
		session + "; " + c + foreign + "; " + c + good:                 false, // the first one counts
		session + "; X" + c + good:                                     false,
		session + "; " + strings.ToUpper(assuranceCookie) + "=" + good: false,
		session + "; sallyport=" + good:                                false, // a sibling domain could set it
		session + "; " + knownCookie + "=" + good:                      false,
		session + "; " + c + alice.cookie(knownCookie):                 false,
		c + good: false,
	} {
		if in := s.sees(cookies, "vault"); in != want {
			t.Errorf("with %.200q: in = %v, want %v", cookies, in, want)
		}
	}
}

func TestCOOK5_AFullJarFailsClosed(t *testing.T) {
	s := newNodes(t, 1, memoryStore())
	owner := s.enrolled("alice")
	var crowd []string
	for i := range 60 {
		crowd = append(crowd, fmt.Sprintf("evil%d=%s", i, strings.Repeat("x", 40)))
	}
	filled := strings.Join(crowd, "; ")
	if !s.sees(filled+"; "+owner.cookies(), "vault") {
		t.Error("sixty foreign cookies before ours shut the owner out")
	}
	if s.sees(filled+"; session="+owner.cookie("session"), "vault") || s.sees(filled, "vault") {
		t.Error("a jar that has lost the assurance cookie is in")
	}
}
