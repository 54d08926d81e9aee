package e2e_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The whole way of somebody who adds a second factor, keeps recovery codes, and comes back.
func TestSecondFactorFromFirstToLast(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "alice", h)
		v.scripts(scripts)
		v.signIn()
		v.isIn("account")
		v.use("Security")
		v.says("You have not added any yet.")
		v.use("Add: Authenticator app")
		v.addsWithAMistake("Work phone")
		v.savesCodesWithAMistake()
		v.says("Work phone")
		v.says("10 unused codes are left.")

		v.signOut()
		v.signIn()
		v.asks()
		v.enter("Code from Work phone", v.wrong())
		v.complains(v.use("Confirm"))
		v.enter("Code from Work phone", v.code("Work phone"))
		v.use("Confirm")
		v.isIn("account")

		v.signOut()
		v.signIn()
		v.asks()
		v.use("Try another way")
		v.use("Recovery codes")
		used := v.spend()
		v.enter("Recovery code", strings.ToLower(strings.ReplaceAll(used, "-", " ")))
		v.use("Confirm")
		v.says("9 unused codes are left.")
		v.use("Continue")
		v.isIn("account")

		v.signOut()
		v.signIn()
		v.use("I have lost my phone or key")
		v.use("Use a recovery code")
		v.enter("Recovery code", used)
		v.complains(v.use("Confirm"))
		v.enter("Recovery code", v.spend())
		v.use("Confirm")
		v.renewsCodes()
	})
}

// renewsCodes makes new recovery codes after one was used: they work, the old ones do not.
func (v *visitor) renewsCodes() {
	v.t.Helper()
	old := v.spend()
	v.use("Make new codes")
	v.says("these take the place of the codes you have")
	v.keepCodes()
	v.isIn("account")
	v.signOut()
	v.signIn()
	v.use("Try another way")
	v.use("Recovery codes")
	v.enter("Recovery code", old)
	v.complains(v.use("Confirm"))
	v.enter("Recovery code", v.spend())
	v.use("Confirm")
	v.says("9 unused codes are left.")
	v.use("Continue")
	v.isIn("account")
}

// Who has nothing left finds people.
func TestNoWayIsADeadEnd(t *testing.T) {
	v := startDemo(t).visitor(t, "alice", mouse{})
	v.enrolled()
	v.signOut()
	v.signIn()
	v.use("I have lost my phone or key")
	v.says("Somebody makes sure that it's you and lets you back in.")
	v.use("Ask for help")
	v.says("somebody has to make sure that it’s you")
}

// addsWithAMistake adds an app: the picture, the text and the link carry one secret, and a wrong code leaves it.
func (v *visitor) addsWithAMistake(label string) {
	v.t.Helper()
	scanned := v.scan()
	secret := scanned.Query().Get("secret")
	if scanned.Scheme != "otpauth" || scanned.Host != "totp" || len(secret) != 32 {
		v.t.Fatalf("the picture says %s", scanned)
	}
	shown := v.text(".secret code")
	if got := strings.ReplaceAll(shown, " ", ""); got != secret || shown[4] != ' ' {
		v.t.Errorf("the page shows %q, want the secret %q in groups", shown, secret)
	}
	link, err := url.Parse(get(v.tab, chromedp.AttributeValue(chromedp.CSS(`a[href^="otpauth:"]`), "href")).Value)
	if err != nil || link.Query().Get("secret") != secret {
		v.t.Errorf("the link leads to %s, %v", link, err)
	}
	v.apps[label] = secret
	v.enter("Name (optional)", label)
	v.enter("Code from the app", v.wrong())
	v.complains(v.use("Add the app"))
	if got := v.scan().Query().Get("secret"); got != secret {
		v.t.Errorf("after a wrong code the secret is %q, want %q", got, secret)
	}
	v.enter("Code from the app", v.code(label))
	v.use("Add the app")
}

// savesCodesWithAMistake keeps the recovery codes: none of them is lost by a wrong one.
func (v *visitor) savesCodesWithAMistake() {
	v.t.Helper()
	read := `[...document.querySelectorAll("#codes code")].map((e) => e.textContent)`
	v.codes = eval[[]string](v.tab, read)
	if len(v.codes) != 10 {
		v.t.Fatalf("%d codes, want 10: %s", len(v.codes), v.where())
	}
	v.enter("Type one of the codes", strings.Repeat("A", 25))
	v.complains(v.use("I have saved them"))
	if got, want := eval[[]string](v.tab, read), v.codes; strings.Join(got, " ") != strings.Join(want, " ") {
		v.t.Errorf("after a wrong one the codes are %v, want %v", got, want)
	}
	v.enter("Type one of the codes", v.codes[9])
	v.use("I have saved them")
}

// After five wrong codes none is judged for a while, not even a right one; the page says how long, and what can be done
// meanwhile.
func TestWaitAfterWrongCodes(t *testing.T) {
	eachWay(t, func(t *testing.T, h hands, scripts bool) {
		v := startDemo(t).visitor(t, "alice", h)
		v.enrolled()
		v.signOut()
		v.scripts(scripts)
		v.signIn()
		for range 5 {
			v.enter("Code from Phone", v.wrong())
			v.complains(v.use("Confirm"))
		}
		v.says("Try again in")
		v.countsDown(scripts)
		v.enter("Code from Phone", v.codeNow("Phone"))
		if status := v.use("Confirm"); status != 429 {
			t.Errorf("a code during the wait is answered %d, want 429", status)
		}
		v.says("Too many wrong codes")
		v.asks()
		v.countsDown(scripts)
		v.use("Use a recovery code")
		v.enter("Recovery code", v.spend())
		v.use("Confirm")
		v.use("Continue")
		v.isIn("account")
		v.signOut()
		v.signIn()
		v.d.advance(time.Minute)
		v.open(v.d.url + "/account")
		v.proves("Phone")
		v.isIn("account")
	})
}

// countsDown waits until the page counts, where it can.
func (v *visitor) countsDown(scripts bool) {
	v.t.Helper()
	const left = `document.querySelector("[data-sallyport-seconds]").textContent`
	before := eval[string](v.tab, left)
	if !strings.HasPrefix(before, "Try again in ") {
		v.t.Errorf("the page says %q", before)
	}
	if scripts {
		quoted, _ := json.Marshal(before)
		v.until(left + ` !== ` + string(quoted) + ` && ` + left + `.startsWith("Try again in ")`)
	}
}

// enterIfAsked gives a code where the page still has a field for it.
func (v *visitor) enterIfAsked(field, code string) {
	v.t.Helper()
	if eval[bool](v.tab, `Boolean(`+named(field)+`)`) {
		v.enter(field, code)
		v.use("Confirm")
	}
}

// A second click sends nothing. Without scripts it does, and the browser forgets the answer to the first: then the page
// says what to do.
func TestDoubleClickIsOneClick(t *testing.T) {
	for _, scripts := range []bool{true, false} {
		t.Run(map[bool]string{true: "with scripts", false: "without scripts"}[scripts], func(t *testing.T) {
			v := startDemo(t).visitor(t, "alice", mouse{})
			v.enrolled()
			v.signOut()
			v.signIn()
			v.scripts(scripts)
			v.enter("Code from Phone", v.code("Phone"))
			v.hands.reach(v.tab, "Confirm")
			v.doubleClick("[data-test-here]")
			if scripts {
				v.until(`document.querySelector(".canary")`)
			} else {
				v.until(`document.querySelector(".canary") || ` + named("Start again"))
			}
			if v.count(".canary") == 0 {
				v.use("Start again")
				v.proves("Phone")
			}
			v.isIn("account")
		})
	}
}

// Codes that were shown can be taken away in three ways, or by pen.
func TestRecoveryCodesCanBeSaved(t *testing.T) {
	v := startDemo(t).visitor(t, "alice", mouse{})
	v.before(`window.print = () => { window.printed = true; }`)
	v.grant("clipboard-write", v.d.url)
	v.grant("clipboard-read", v.d.url)
	v.signIn()
	v.open(v.d.url + "/mfa/enroll/totp")
	v.addApp("Phone")
	list := eval[[]string](v.tab, `[...document.querySelectorAll("#codes code")].map((e) => e.textContent)`)
	codes := strings.Join(list, "\n") + "\n"

	v.hands.reach(v.tab, "Copy")
	v.click("[data-test-here]")
	v.until(`document.querySelector("[data-sallyport-said]").textContent.trim()`)
	if got := eval[string](v.tab, `navigator.clipboard.readText()`); got != codes {
		t.Errorf("copied %q, want %q", got, codes)
	}
	v.hands.reach(v.tab, "Download")
	text, address := v.saved(v.downloads(), "recovery-codes.txt", func() { v.click("[data-test-here]") })
	if !strings.HasSuffix(text, "\n\n"+codes) || !strings.Contains(text, v.d.url) {
		t.Errorf("the file holds %q, want the site and %q", text, codes)
	}
	if !strings.HasPrefix(address, "blob:") {
		t.Errorf("the file came from %s", address)
	}
	v.hands.reach(v.tab, "Print")
	v.click("[data-test-here]")
	v.until(`window.printed`)
}

func TestOnPaperAreTheCodesAlone(t *testing.T) {
	v := startDemo(t).visitor(t, "alice", mouse{})
	v.signIn()
	v.open(v.d.url + "/mfa/enroll/totp")
	v.addApp("Phone")
	v.media("print")
	for selector, want := range map[string]bool{"#codes": true, "form": false, "button": false, "[type=text]": false} {
		if got := eval[bool](v.tab, `document.querySelector("`+selector+`").checkVisibility()`); got != want {
			t.Errorf("%s on paper: %v, want %v", selector, got, want)
		}
	}
}
