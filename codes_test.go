package sallyport_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// press is what a token of RFC 4226 with the browser's secret shows at a count, with SHA-1 and 6 digits.
func (b *browser) press(count uint64) string {
	b.t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(b.secret)
	if err != nil || len(key) == 0 {
		b.t.Fatalf("the secret %q is no base32", b.secret)
	}
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, count))
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

func TestACodeTokenIsAddedProvedAndBroughtBackIntoStep(t *testing.T) {
	s := newSite(t, func(_ *site, c *sallyport.Config) { c.Methods = []mfa.Method{mfa.HOTP{}} })
	b := s.login("alice")
	page := b.get("/mfa/enroll/hotp")
	b.secret = secretOf(page)
	if !strings.Contains(page.body, "otpauth://hotp/") || !strings.Contains(page.body, "<svg") {
		t.Fatalf("the page shows no code to scan:\n%s", text(page.body))
	}
	if a := b.fill(page, b.press(0)); a.status != http.StatusSeeOther {
		t.Fatalf("the first code = %d\n%s", a.status, text(a.body))
	}
	other := b.again("alice")
	page = other.get("/mfa/verify/hotp")
	if !strings.Contains(page.body, "Have your token or app show the next code") {
		t.Errorf("the page does not say what to do:\n%s", text(page.body))
	}
	if page = other.fill(page, b.press(0)); page.status != http.StatusUnprocessableEntity {
		t.Fatalf("the code that added it = %d, want 422", page.status)
	}
	if a := other.fill(page, b.press(1)); a.status != http.StatusSeeOther {
		t.Fatalf("the next code = %d\n%s", a.status, text(a.body))
	}
	other = b.again("alice")
	page = other.fill(other.get("/mfa/verify/hotp"), b.press(30)) // a child has played with it
	link := found(resyncLink, page.body)
	if link == "" {
		t.Fatalf("a wrong code = %d, without the way to two in a row:\n%s", page.status, text(page.body))
	}
	page = other.get(link)
	if page = other.fill(page, b.press(31)+" "+b.press(33)); page.status != http.StatusUnprocessableEntity ||
		!strings.Contains(page.body, "Two codes in a row") {
		t.Fatalf("two codes that are not in a row = %d, want 422 and the same form\n%s", page.status, text(page.body))
	}
	if a := other.fill(page, b.press(34)+" "+b.press(35)); a.status != http.StatusSeeOther {
		t.Fatalf("two codes in a row = %d\n%s", a.status, text(a.body))
	}
	other.mustBeIn("vault")
}

var (
	resyncLink = regexp.MustCompile(`href="(/mfa/verify/[^"]*codes=2[^"]*)"`)
	appLink    = regexp.MustCompile(`href="(/mfa/verify/totp[^"]*)"`)
)

func TestAPhoneWhoseClockIsWrongIsTold(t *testing.T) {
	s := newSite(t)
	owner := s.enrolled("alice")
	s.advance(time.Hour)
	b := owner.again("alice")
	page := b.guess(b.code(-20)) // ten minutes slow
	if strings.Contains(page.body, "the clock of your phone") {
		t.Fatal("one wrong code is taken for a wrong clock")
	}
	s.advance(30 * time.Second)
	page = b.fill(page, b.code(-20))
	if page.status != http.StatusUnprocessableEntity || !strings.Contains(page.body,
		"the clock of your phone is probably wrong") {
		t.Fatalf("the second one = %d, want the hint\n%s", page.status, text(page.body))
	}
	b.mustBeOut("vault")

	app := owner.again("alice")
	_, begun := app.call("POST", "/mfa/verify/totp/begin", nil)
	var doc map[string]any
	for range 2 {
		s.advance(30 * time.Second)
		_, doc = app.call("POST", "/mfa/verify/totp", map[string]any{"ticket": begun["ticket"], "answer": app.code(-20)})
		begun = doc
	}
	if doc["hint"] != "clock" {
		t.Errorf("the document says %v, want the hint clock", doc)
	}
	page = b.get(found(resyncLink, page.body))
	if a := b.fill(page, b.code(-20)+b.code(-19)); a.status != http.StatusSeeOther {
		t.Fatalf("two codes in a row = %d\n%s", a.status, text(a.body))
	}
	b.mustBeIn("vault")
	s.advance(time.Minute)
	again := owner.again("alice")
	if a := again.guess(again.code(-20)); a.status != http.StatusSeeOther {
		t.Errorf("one code of the same phone afterwards = %d, want 303", a.status)
	}
}

// Who has shut an app by guessing has no part in opening it: three codes in a row are no guess.
func TestTheOwnerFreesAStoppedAppWithThreeCodes(t *testing.T) {
	s := newSite(t)
	owner := s.enrolled("alice")
	guessed := owner.again("alice")
	for range 500 {
		if slices.Contains(s.events(), mfa.FactorStopped) {
			break
		}
		s.advance(12 * time.Hour)
		guessed.guess(guessed.wrong())
	}
	if !slices.Contains(s.events(), mfa.FactorStopped) {
		t.Fatal("many wrong codes have not stopped the app")
	}
	s.advance(24 * time.Hour)
	b := owner.again("alice")
	choose := b.get("/mfa/verify?choose=1")
	page := b.get(found(appLink, choose.body))
	if !strings.Contains(page.body, "Three codes in a row") {
		t.Fatalf("the page does not ask for three codes:\n%s\n%s", text(choose.body), text(page.body))
	}
	if page = b.fill(page, b.code(0)); page.status == http.StatusSeeOther {
		t.Fatal("one code frees the app")
	}
	if a := b.fill(page, b.code(-1)+" "+b.code(0)+" "+b.code(1)); a.status != http.StatusSeeOther {
		t.Fatalf("three codes in a row = %d\n%s", a.status, text(a.body))
	}
	b.mustBeIn("vault")
	if !slices.Contains(s.events(), mfa.FactorFreed) {
		t.Errorf("the user is told of %v, want of the freeing", s.events())
	}
}
