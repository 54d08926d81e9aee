package e2e_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// answered is what a form of a ceremony has sent.
type answered struct {
	ID, RawID, Type         string
	AuthenticatorAttachment string
	ClientExtensionResults  map[string]any
	Response                struct {
		ClientDataJSON, AttestationObject, AuthenticatorData, Signature, UserHandle, PublicKey string
		Transports                                                                             []string
	}
}

func (s *small) takesAnswers() {
	s.takes("/done", func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, `<!doctype html><title>Done</title><link rel="icon" href="/icon.svg"><p id="thanks">Thanks`)
	})
}

// answer returns the one answer that was sent.
func (s *small) answer() answered {
	s.t.Helper()
	posts := s.posted("/done")
	if len(posts) != 1 {
		s.t.Fatalf("%d answers were sent, want 1", len(posts))
	}
	form, err := url.ParseQuery(posts[0])
	if err != nil || form.Get("ticket") != "a ticket" {
		s.t.Fatalf("the form was %q, %v", posts[0], err)
	}
	var a answered
	if err := json.Unmarshal([]byte(form.Get("answer")), &a); err != nil {
		s.t.Fatalf("the answer %q: %v", form.Get("answer"), err)
	}
	s.mu.Lock()
	s.posts = nil
	s.mu.Unlock()
	return a
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatalf("%q is not base64url: %v", text, err)
	}
	return b
}

// checkClientData checks what an answer is an answer to.
func checkClientData(t testing.TB, a answered, kind, challenge, origin string) {
	t.Helper()
	var data struct{ Type, Challenge, Origin string }
	if err := json.Unmarshal(decode(t, a.Response.ClientDataJSON), &data); err != nil {
		t.Fatal(err)
	}
	if data.Type != kind || data.Challenge != challenge || data.Origin != origin {
		t.Errorf("client data %+v, want %s, %s, %s", data, kind, challenge, origin)
	}
	if a.Type != "public-key" || a.ID != a.RawID || len(decode(t, a.RawID)) < 16 || a.ClientExtensionResults == nil {
		t.Errorf("the credential is %+v", a)
	}
}

// older takes away what not every browser has.
const older = `delete PublicKeyCredential.parseCreationOptionsFromJSON;
delete PublicKeyCredential.parseRequestOptionsFromJSON;
delete PublicKeyCredential.prototype.toJSON;`

func TestScriptAnswersACeremony(t *testing.T) {
	for name, before := range map[string]string{"in this browser": "", "in a browser without the JSON methods": older} {
		t.Run(name, func(t *testing.T) {
			s, b := newSmall(t), newTab(t)
			b.before(before)
			authenticator := b.add(passkeys())
			s.takesAnswers()
			made, asked := creation(), request()
			s.page("/enroll", ceremony("enroll", made))
			s.page("/verify", ceremony("verify", asked))

			b.open(s.url + "/enroll")
			b.follow("#go")
			a := s.answer()
			checkClientData(t, a, "webauthn.create", made["publicKey"].(object)["challenge"].(string), s.url)
			if len(decode(t, a.Response.AttestationObject)) < 100 || len(a.Response.Transports) == 0 {
				t.Errorf("the response is %+v", a.Response)
			}
			kept := authenticator.credentials()
			if len(kept) != 1 || base64url(kept[0].CredentialID) != a.ID || string(kept[0].UserHandle) != "handle of alice" {
				t.Fatalf("the authenticator keeps %v, want one of id %s", kept, a.ID)
			}

			b.leads(chromedp.Navigate(s.url + "/verify"))
			b.until(`document.querySelector("#thanks")`) // it asked by itself
			a = s.answer()
			checkClientData(t, a, "webauthn.get", asked["publicKey"].(object)["challenge"].(string), s.url)
			checkSignature(t, a, kept[0])
			if string(decode(t, a.Response.UserHandle)) != "handle of alice" {
				t.Errorf("the handle is %q", a.Response.UserHandle)
			}
		})
	}
}

func checkSignature(t testing.TB, a answered, c *webauthn.Credential) {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	client := sha256.Sum256(decode(t, a.Response.ClientDataJSON))
	signed := sha256.Sum256(append(decode(t, a.Response.AuthenticatorData), client[:]...))
	if !ecdsa.VerifyASN1(&key.(*ecdsa.PrivateKey).PublicKey, signed[:], decode(t, a.Response.Signature)) {
		t.Error("the signature is not of this credential")
	}
}

// failing makes the browser's calls fail as named, after a time.
func failing(name string, after string) string {
	return `for (const f of ["get", "create"]) navigator.credentials[f] = async () => {
  const now = Date.now;
  Date.now = () => now() + ` + after + `;
  throw new DOMException("a text of the browser's own", "` + name + `");
};`
}

func TestScriptSaysWhatWentWrong(t *testing.T) {
	registered := func(b *tab, s *small) string {
		a := b.add(passkeys())
		s.page("/first", ceremony("enroll", creation()))
		b.open(s.url + "/first")
		b.follow("#go")
		s.answer()
		id := base64url(a.credentials()[0].CredentialID)
		return ceremony("enroll", creation().with("excludeCredentials", []object{{"type": "public-key", "id": id}}))
	}
	foreign := func(b *tab, s *small) string {
		b.add(passkeys())
		return ceremony("enroll", creation().with("rp", object{"id": "example.org", "name": "Other"}))
	}
	stub := func(script string) func(*tab, *small) string {
		return func(b *tab, s *small) string {
			b.before(script)
			return ceremony("enroll", creation())
		}
	}
	for name, c := range map[string]struct {
		set  func(*tab, *small) string
		want string
	}{
		"the authenticator has a passkey already": {registered, "registered"},
		"the page is not on the passkeys' site":   {foreign, "site"},
		"the authenticator has no passkey": {func(b *tab, s *small) string {
			b.add(passkeys())
			return ceremony("verify", request())
		}, "none"},
		"there is no authenticator": {func(b *tab, s *small) string {
			b.webauthn()
			return ceremony("enroll", creation().with("timeout", 1000))
		}, "timeout"},
		"no authenticator can do what is asked":     {stub(failing("ConstraintError", "3000")), "none"},
		"no authenticator knows an algorithm":       {stub(failing("NotSupportedError", "3000")), "none"},
		"the user cancels":                          {stub(failing("NotAllowedError", "3000")), "cancelled"},
		"nothing happens until the time is over":    {stub(failing("NotAllowedError", "60000")), "timeout"},
		"the browser says that the time is over":    {stub(failing("TimeoutError", "60000")), "timeout"},
		"something happens that nobody has thought": {stub(failing("UnknownError", "3000")), "failed"},
		"the browser has no passkeys":               {stub("delete window.PublicKeyCredential"), "unsupported"},
	} {
		t.Run(name, func(t *testing.T) {
			s, b := newSmall(t), newTab(t)
			s.takesAnswers()
			body := c.set(b, s)
			s.page("/wrong", body)
			b.open(s.url + "/wrong")
			b.click("#go")
			b.until(`document.querySelector("[role=alert]")?.textContent`)
			if got, want := b.text("[role=alert]"), "said: "+c.want; got != want {
				t.Errorf("the page says %q, want %q", got, want)
			}
			if n := len(s.posted("/done")); n != 0 {
				t.Errorf("%d forms were sent, want none", n)
			}
			if n := b.count("[role=alert]"); n != 1 {
				t.Errorf("%d alerts, want 1", n)
			}
		})
	}
}

func TestScriptAsksAgainAfterAnError(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	s.takesAnswers()
	a := b.add(passkeys())
	a.verified(false)
	verified := object{"userVerification": "required"}
	s.page("/enroll", ceremony("enroll", creation().with("authenticatorSelection", verified)))
	b.open(s.url + "/enroll")
	b.click("#go")
	b.until(`document.querySelector("[role=alert]")?.textContent`)
	a.verified(true)
	b.follow("#go")
	s.answer()
}

func TestScriptOffersAPasskeyOnce(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	b.before(`navigator.credentials.get = async () => {
  sessionStorage.calls = Number(sessionStorage.calls ?? 0) + 1;
  throw new DOMException("", "NotAllowedError");
};`)
	s.page("/verify", ceremony("verify", request()))
	s.page("/wrong", `<p role="alert">That did not work.</p>`+ceremony("verify", request()))
	s.page("/enroll", ceremony("enroll", creation()))
	s.page("/else", "<p>Another page</p>")
	calls := func(want string) {
		t.Helper()
		b.until(`document.readyState === "complete"`)
		if got := eval[string](b, `sessionStorage.calls ?? "0"`); got != want {
			t.Errorf("%s calls after %s, want %s", got, b.path(), want)
		}
	}
	b.open(s.url + "/enroll")
	calls("0")
	b.open(s.url + "/verify")
	calls("1")
	if n := b.count("[data-sallyport-error]"); n != 0 {
		t.Error("an offer that was not taken is told as an error")
	}
	b.leads(chromedp.Reload())
	calls("1")
	b.open(s.url + "/else")
	b.do(chromedp.NavigateBack())
	calls("1")
	b.open(s.url + "/wrong")
	calls("1")
	b.click("#go")
	b.until(`document.querySelector("[data-sallyport-error]")?.textContent`)
	calls("2")
}

// One call may be open at a time, or browsers refuse the second.
func TestScriptEndsAnOpenCallBeforeTheNext(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	s.takesAnswers()
	a := b.add(passkeys())
	s.page("/enroll", ceremony("enroll", creation()))
	s.page("/verify", ceremony("verify", request()))
	b.open(s.url + "/enroll")
	b.follow("#go")
	s.answer()
	a.present(false)
	b.before(`{ const get = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = (o) => { window.calls = (window.calls ?? 0) + 1; return get(o); }; }`)
	b.open(s.url + "/verify")
	b.until(`window.calls === 1`) // asked by itself, and nobody touches it
	b.click("#go")
	b.until(`window.calls === 2`)
	a.present(true)
	b.tryClick("#go")
	b.until(`document.querySelector("#thanks")`)
	s.answer()
}

// The page clicks by itself, since a browser that waits for an answer may take no commands of a test.
func TestScriptSendsAFormOnce(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	more := make(chan struct{})
	answer := sync.OnceFunc(func() { close(more) })
	s.takes("/clicked", func(w http.ResponseWriter, body string) { answer() })
	s.takes("/slow", func(w http.ResponseWriter, body string) {
		<-more
		writePage(w, http.StatusOK, `<p id="thanks">Thanks</p>`)
	})
	t.Cleanup(answer)
	s.page("/form", `<form method="post" action="/slow" data-sallyport-once><button id="go">Go</button></form>`)
	b.open(s.url + "/form")
	eval[bool](b, `{ const go = document.querySelector("#go");
setTimeout(() => go.click(), 100);
setTimeout(() => go.click(), 300);
setTimeout(() => { go.click(); fetch("/clicked", { method: "POST" }).catch(() => {}); }, 500);
true; }`)
	b.until(`document.querySelector("#thanks")`)
	if n := len(s.posted("/slow")); n != 1 {
		t.Errorf("the form was sent %d times, want 1", n)
	}
	b.do(chromedp.NavigateBack())
	b.until(`document.querySelector("#go")`)
	b.follow("#go")
	if n := len(s.posted("/slow")); n != 2 {
		t.Errorf("after stepping back the form was sent %d times, want 2", n)
	}
}
