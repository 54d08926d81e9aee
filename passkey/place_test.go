package passkey_test

import (
	"bytes"
	"strings"
	"testing"

	"sallyport/mfatest"
	"sallyport/passkey"
)

const app = "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// refuse lets an authenticator that does one thing wrong register and prove. Both must be refused; without the edit the
// same authenticator is let in.
func refuse(t *testing.T, m *passkey.Method, name string, edit func(*mfatest.Edits)) {
	t.Helper()
	refuseCreate(t, m, name, edit)
	refuseGet(t, m, name, edit)
}

func refuseCreate(t *testing.T, m *passkey.Method, name string, edit func(*mfatest.Edits)) {
	t.Helper()
	t.Run(name+", registration", func(t *testing.T) {
		c := newCeremonies(t, m)
		a := mfatest.NewSecurityKey(site)
		edit(&a.Edit)
		_, err := c.enroll(a)
		refused(t, "FinishEnroll", err)
		a.Edit, a.Credentials = mfatest.Edits{}, nil
		c.enrolled(a)
	})
}

func refuseGet(t *testing.T, m *passkey.Method, name string, edit func(*mfatest.Edits)) {
	t.Helper()
	t.Run(name+", proof", func(t *testing.T) {
		c := newCeremonies(t, m)
		a := mfatest.NewSecurityKey(site)
		c.enrolled(a)
		edit(&a.Edit)
		_, err := c.prove(a)
		refused(t, "Finish", err)
		a.Edit = mfatest.Edits{}
		c.proved(a)
	})
}

// says sets a member of the client data; nil takes it out.
func says(name string, value any) func(*mfatest.Edits) {
	return func(e *mfatest.Edits) {
		e.ClientData = func(members map[string]any) {
			members[name] = value
			if value == nil {
				delete(members, name)
			}
		}
	}
}

func writes(edit func(string) string) func(*mfatest.Edits) {
	return func(e *mfatest.Edits) {
		e.ClientDataJSON = func(text []byte) []byte { return []byte(edit(string(text))) }
	}
}

// WA4: the origin is one of the list, byte for byte.
func TestWA4_OriginsOfAnswers(t *testing.T) {
	m := newMethod(t, nil)
	for _, origin := range []string{
		"http://example.org", "https://example.org:444", "https://example.org.evil", "https://evil.example",
		"https://sub.example.org", "https://example.org/", "https://EXAMPLE.org", "HTTPS://example.org", "null", "",
		"https://example.org:443", "https://еxample.org", "https://xn--xample-2of.org", app, "https://user@example.org",
		"https://example.org?", "https://example.org#", " https://example.org", "https://example.org\u0000",
	} {
		refuse(t, m, "origin "+origin, says("origin", origin))
	}
	refuse(t, m, "no origin", says("origin", nil))
	refuse(t, m, "a list of origins", says("origin", []string{site}))
	refuse(t, m, "an origin in an object", says("origin", map[string]any{"0": site}))
	refuse(t, m, "a null origin", writes(func(s string) string {
		return strings.Replace(s, `"origin":"`+site+`"`, `"origin":null`, 1)
	}))
}

func TestOriginsThatAreListed(t *testing.T) {
	m := newMethod(t, func(c *passkey.Config) {
		c.Origins = []string{site, "https://login.example.org:8443"}
		c.RelatedOrigins = []string{"https://example.net"}
		c.AppOrigins = []string{app}
	})
	for _, origin := range []string{site, "https://login.example.org:8443", "https://example.net", app} {
		c := newCeremonies(t, m)
		a := mfatest.NewAuthenticator(origin)
		a.Edit.AnyPage = true
		c.enrolled(a)
		c.proved(a)
	}
}

func TestWA4_FramesOfOtherSites(t *testing.T) {
	m := newMethod(t, nil)
	refuse(t, m, "in a frame of another site", says("crossOrigin", true))
	refuse(t, m, "in a frame of a site that is named", framed("https://partner.example"))
	refuse(t, m, "in a frame that does not know that it is one", says("topOrigin", "https://partner.example"))

	embedded := newMethod(t, func(c *passkey.Config) { c.EmbeddedIn = []string{"https://partner.example"} })
	refuse(t, embedded, "in a frame of a site that is not listed", framed("https://other.example"))
	refuse(t, embedded, "in a frame of a site that is listed in other letters", framed("https://PARTNER.example"))
	refuse(t, embedded, "in a frame of a listed site with a path", framed("https://partner.example/"))
	c := newCeremonies(t, embedded)
	a := mfatest.NewAuthenticator(site)
	framed("https://partner.example")(&a.Edit)
	c.enrolled(a)
	c.proved(a)
}

func framed(top string) func(*mfatest.Edits) {
	return func(e *mfatest.Edits) {
		e.ClientData = func(members map[string]any) { members["crossOrigin"], members["topOrigin"] = true, top }
	}
}

// WA4: the RP ID is fixed.
func TestWA4_TheRPIDIsFixed(t *testing.T) {
	m := newMethod(t, nil)
	for _, id := range []string{"example.com", "sub.example.org", "org", "EXAMPLE.ORG", site} {
		refuse(t, m, "RP ID "+id, func(e *mfatest.Edits) { e.RPID = id })
	}
}

// WA7: the client data is read as the specification reads it.
func TestWA7_ClientDataThatIsRefused(t *testing.T) {
	m := newMethod(t, nil)
	swap := strings.NewReplacer("webauthn.create", "webauthn.get", "webauthn.get", "webauthn.create")
	for name, edit := range map[string]func(*mfatest.Edits){
		"the type of the other ceremony":    writes(swap.Replace),
		"a type in upper case":              writes(func(s string) string { return strings.Replace(s, "webauthn.", "WebAuthn.", 1) }),
		"no type":                           says("type", nil),
		"an empty type":                     says("type", ""),
		"a type that is a number":           says("type", 1),
		"no challenge":                      says("challenge", nil),
		"a challenge that is a list":        says("challenge", []string{"AAAA"}),
		"members in upper case":             writes(func(s string) string { return strings.Replace(s, `"origin"`, `"Origin"`, 1) }),
		"a challenge in upper case":         writes(func(s string) string { return strings.Replace(s, `"challenge"`, `"CHALLENGE"`, 1) }),
		"an origin that is overridden":      writes(func(s string) string { return strings.TrimSuffix(s, "}") + `,"origin":"https://evil.example"}` }),
		"an origin overridden in disguise":  writes(func(s string) string { return strings.TrimSuffix(s, "}") + `,"\u006frigin":"https://evil.example"}` }),
		"bytes after the end":               writes(func(s string) string { return s + "{}" }),
		"a byte after the end":              writes(func(s string) string { return s + "\x00" }),
		"a list":                            writes(func(s string) string { return "[" + s + "]" }),
		"nothing":                           writes(func(string) string { return "" }),
		"null":                              writes(func(string) string { return "null" }),
		"a text":                            writes(func(s string) string { return `"` + site + `"` }),
		"cut off":                           writes(func(s string) string { return s[:len(s)-1] }),
		"a byte order mark twice":           writes(func(s string) string { return "\ufeff\ufeff" + s }),
		"invalid UTF-8 in the origin":       writes(func(s string) string { return strings.Replace(s, "example.org", "example.org\xff", 1) }),
		"UTF-16":                            writes(func(s string) string { return "\xff\xfe" + strings.Join(strings.Split(s, ""), "\x00") }),
		"crossOrigin that is a text":        says("crossOrigin", "false"),
		"a lone surrogate after the origin": writes(func(s string) string { return strings.Replace(s, site, site+`\ud800`, 1) }),
	} {
		refuse(t, m, name, edit)
	}
}

// WA7: what may be unusual and still is what the specification accepts.
func TestWA7_UnusualClientDataThatHolds(t *testing.T) {
	for name, edit := range map[string]func(string) string{
		"a byte order mark": func(s string) string { return "\ufeff" + s },
		"an escaped name":   func(s string) string { return strings.Replace(s, `"challenge"`, `"\u0063hallenge"`, 1) },
		"an escaped origin": func(s string) string { return strings.Replace(s, site, `https:\/\/example.org`, 1) },
		"white space":       func(s string) string { return "\n\t " + strings.ReplaceAll(s, ",", " ,\r\n") + " " },
		"new members": func(s string) string {
			return strings.TrimSuffix(s, "}") + `,"new_keys_may_be_added_here":[{"a":null}]}`
		},
		"a member twice, last one": func(s string) string { return `{"origin":"https://evil.example",` + strings.TrimPrefix(s, "{") },
		"another case beside it":   func(s string) string { return strings.TrimSuffix(s, "}") + `,"Origin":"https://evil.example"}` },
		"invalid UTF-8 elsewhere":  func(s string) string { return strings.TrimSuffix(s, "}") + ",\"extra\":\"\xff\"}" },
		"no crossOrigin":           func(s string) string { return strings.Replace(s, `"crossOrigin":false,`, "", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewAuthenticator(site)
			writes(edit)(&a.Edit)
			c.enrolled(a)
			c.proved(a)
		})
	}
}

// WA8: the challenge is that of this ceremony.
func TestWA8_ChallengesOfAnswers(t *testing.T) {
	m := newMethod(t, nil)
	other, _ := newCeremonies(t, m).beginEnroll()
	challenge := other.(passkey.Creation).PublicKey.Challenge
	text, _ := challenge.MarshalText()
	for name, value := range map[string]string{
		"of another ceremony": string(text), "empty": "", "of 15 bytes": "AAAAAAAAAAAAAAAAAAAA", "of zeros": strings.Repeat("A", 43),
	} {
		refuse(t, m, "a challenge "+name, says("challenge", value))
	}
	refuse(t, m, "a challenge with padding", func(e *mfatest.Edits) {
		e.ClientData = func(members map[string]any) { members["challenge"] = members["challenge"].(string) + "=" }
	})
	refuse(t, m, "a challenge cut short", func(e *mfatest.Edits) {
		e.ClientData = func(members map[string]any) { members["challenge"] = members["challenge"].(string)[:42] }
	})
	refuse(t, m, "a challenge with unused bits", func(e *mfatest.Edits) {
		e.ClientData = func(members map[string]any) {
			c := members["challenge"].(string)
			members["challenge"] = c[:42] + string(c[42]+1)
		}
	})
}

// WA8: challenges have 32 bytes and do not repeat.
func TestWA8_ChallengesAreFresh(t *testing.T) {
	c := newCeremonies(t, newMethod(t, nil))
	c.enrolled(mfatest.NewAuthenticator(site))
	seen := map[string]bool{}
	for range 2000 {
		prompt, _ := c.begin()
		creation, _ := c.beginEnroll()
		for _, challenge := range [][]byte{prompt.(passkey.Request).PublicKey.Challenge, creation.(passkey.Creation).PublicKey.Challenge} {
			if len(challenge) != 32 || seen[string(challenge)] {
				t.Fatalf("challenge %x has %d bytes or came before, want 32 new ones", challenge, len(challenge))
			}
			seen[string(challenge)] = true
		}
	}
}

// WA8: a registration is no proof, a proof no registration, and another ceremony's state opens nothing.
func TestWA8_StatesOfOtherCeremonies(t *testing.T) {
	m := newMethod(t, nil)
	c := newCeremonies(t, m)
	a := mfatest.NewAuthenticator(site)
	creation, createState := c.beginEnroll()
	registration, err := a.Create(creation)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.finishEnroll(createState, registration); err != nil {
		t.Fatal(err)
	}
	prompt, state := c.begin()
	proof, err := a.Get(prompt)
	if err != nil {
		t.Fatal(err)
	}
	_, otherState := c.begin()
	for name, try := range map[string]func() error{
		"a proof for another challenge":       func() error { _, err := c.finish(otherState, proof); return err },
		"a proof for a registration's state":  func() error { _, err := c.finish(createState, proof); return err },
		"a registration for a proof's state":  func() error { _, err := c.finishEnroll(state, registration); return err },
		"a registration as a proof":           func() error { _, err := c.finish(state, registration); return err },
		"a proof as a registration":           func() error { _, err := c.finishEnroll(createState, proof); return err },
		"a proof without a state":             func() error { _, err := c.finish(nil, proof); return err },
		"a proof for a challenge of 15 bytes": func() error { _, err := c.finish(passkey.RequestState(bytes.Repeat([]byte{1}, 15)), proof); return err },
	} {
		if try() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := c.finish(state, proof); err != nil {
		t.Errorf("the right proof = %v, want no error", err)
	}
}
