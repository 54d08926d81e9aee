package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

const codesPage = `<ol id="codes"><li><code>AAAAA-BBBBB</code></li><li><code>CCCCC-DDDDD</code></li></ol>
<button type="button" id="copy" data-sallyport-copy="#codes" data-done="Copied" hidden>Copy</button>
<button type="button" id="save" data-sallyport-download="#codes"
 data-filename="recovery-codes.txt" data-heading="Codes for Small" data-done="Saved" hidden>Download</button>
<button type="button" id="print" data-sallyport-print hidden>Print</button>
<p role="status" data-sallyport-said></p>`

func TestScriptCopiesCodes(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	s.page("/codes", codesPage)
	b.open(s.url + "/codes")
	b.grant("clipboard-write", s.url)
	b.grant("clipboard-read", s.url)
	b.click("#copy")
	b.until(`document.querySelector("[role=status]").textContent === "Copied"`)
	if got, want := eval[string](b, `navigator.clipboard.readText()`), "AAAAA-BBBBB\nCCCCC-DDDDD\n"; got != want {
		t.Errorf("copied %q, want %q", got, want)
	}
}

func TestScriptSaysNothingThatWasNotDone(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	b.before(`navigator.clipboard.writeText = async () => { throw new DOMException("", "NotAllowedError"); }`)
	s.page("/codes", codesPage)
	b.open(s.url + "/codes")
	b.click("#copy")
	b.click("#print") // comes after it
	if got := b.text("[role=status]"); got != "" {
		t.Errorf("the page says %q, though nothing was copied", got)
	}
}

// grant lets a page do what a browser would ask its user about.
func (b *tab) grant(permission, origin string) {
	b.t.Helper()
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
		Permission: &cdpbrowser.PermissionDescriptor{Name: permission}, Setting: cdpbrowser.PermissionSettingGranted,
		Origin: origin, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	b.must(err)
}

// downloads lets a tab save files in a folder, which it returns.
func (b *tab) downloads() string {
	b.t.Helper()
	dir := b.t.TempDir()
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, EventsEnabled: new(true),
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	b.must(err)
	return dir
}

// saved runs what saves a file, and returns its content and the address that it came from.
func (b *tab) saved(dir, name string, save func()) (content, address string) {
	b.t.Helper()
	begins := chromedp.BrowserEvents(b.ctx, cdpbrowser.DownloadWillBegin)
	progress := chromedp.BrowserEvents(b.ctx, cdpbrowser.DownloadProgress)
	save()
	for e, err := range begins {
		b.must(err)
		address = e.URL
		break
	}
	for e, err := range progress {
		b.must(err)
		if e.State == cdpbrowser.DownloadProgressStateCompleted {
			break
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	b.must(err)
	return string(text), address
}

func TestScriptSavesCodes(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	s.page("/codes", codesPage)
	b.open(s.url + "/codes")
	text, address := b.saved(b.downloads(), "recovery-codes.txt", func() { b.click("#save") })
	if want := "Codes for Small\n\nAAAAA-BBBBB\nCCCCC-DDDDD\n"; text != want {
		t.Errorf("the file holds %q, want %q", text, want)
	}
	if len(address) > 100 || address[:5] != "blob:" {
		t.Errorf("it came from %s: the codes are in the list of downloads", address)
	}
}

func TestScriptPrints(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	b.before(`window.print = () => { window.printed = true; }`)
	s.page("/codes", codesPage)
	b.open(s.url + "/codes")
	b.click("#print")
	b.until(`window.printed`)
}

func TestButtonsThatNeedTheScriptAreHiddenWithoutIt(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	s.page("/codes", codesPage)
	b.scripts(false)
	b.open(s.url + "/codes")
	if n := b.count("button:not([hidden])"); n != 0 {
		t.Errorf("%d buttons are shown that do nothing", n)
	}
}

func TestScriptCountsDown(t *testing.T) {
	s, b := newSmall(t), newTab(t)
	b.before(`{ const now = Date.now; let skipped = 0;
Date.now = () => now() + skipped;
const every = window.setInterval;
window.setInterval = (f) => { window.tick = f; return every(() => {}, 1e6); };
window.skip = (ms) => { skipped += ms; window.tick(); }; }`)
	s.page("/wait", `<p role="status">
<span id="wait" data-sallyport-seconds="30" data-done="You can try again now.">Try again in 30 seconds.</span></p>
<p role="status"><span id="long" data-sallyport-seconds="600" data-done="Now.">Try again in 10 minutes.</span></p>`)
	b.open(s.url + "/wait")
	said := func(want, live string) {
		t.Helper()
		if got := b.text("#wait"); got != want {
			t.Errorf("the page says %q, want %q", got, want)
		}
		if got := eval[string](b, `document.querySelector("#wait").getAttribute("aria-live")`); got != live {
			t.Errorf("aria-live is %q, want %q", got, live)
		}
	}
	eval[bool](b, `window.skip(10e3) ?? true`)
	said("Try again in 20 seconds.", "off")
	eval[bool](b, `window.skip(20e3) ?? true`)
	said("You can try again now.", "polite")
	if got, want := b.text("#long"), "Try again in 10 minutes."; got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
}

func TestScriptTellsTheBrowserItsPasskeys(t *testing.T) {
	const told = `window.told = [];
for (const m of ["signalAllAcceptedCredentials", "signalCurrentUserDetails", "signalUnknownCredential"]) {
  PublicKeyCredential[m] = async (v) => { told.push(m + JSON.stringify(v)); throw new Error("no"); };
}`
	const values = `<p data-sallyport-signal='{"currentUserDetails":{"rpId":"a"},
"allAcceptedCredentials":[{"rpId":"b"},{"rpId":"c"}],"other":{}}'></p>`
	t.Run("all of it, whatever the browser answers", func(t *testing.T) {
		s, b := newSmall(t), newTab(t)
		b.before(told)
		s.page("/home", values)
		b.open(s.url + "/home")
		b.until(`window.told.length === 3`)
		want := `signalCurrentUserDetails{"rpId":"a"} ` +
			`signalAllAcceptedCredentials{"rpId":"b"} signalAllAcceptedCredentials{"rpId":"c"}`
		if got := eval[string](b, `told.join(" ")`); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
	t.Run("nothing where the browser cannot be told", func(t *testing.T) {
		s, b := newSmall(t), newTab(t)
		b.before(`delete PublicKeyCredential.signalAllAcceptedCredentials;
delete PublicKeyCredential.signalCurrentUserDetails;`)
		s.page("/home", values)
		b.open(s.url + "/home")
		b.until(`document.readyState === "complete" && window.sallyport`)
	})
	t.Run("real values, in this browser", func(t *testing.T) {
		d := newDoor(t)
		b, a := d.enrolled()
		d.page("/home", `<p data-sallyport-signal='{"allAcceptedCredentials":{"rpId":"localhost","userId":"`+
			base64url([]byte("handle of alice"))+`","allAcceptedCredentialIds":[]}}'></p>`)
		b.open(d.url + "/home")
		b.until(`document.readyState === "complete"`)
		for len(a.credentials()) > 0 { // the passkey is gone, since the site accepts none; or the tab's time ends
			eval[bool](b, `true`)
		}
	})
}

func TestScriptIsSmallAndTyped(t *testing.T) {
	info, err := os.Stat(scriptFile)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 10_000 {
		t.Errorf("the script has %d bytes, want less than 10,000", info.Size())
	}
	setUp(t)
	if out, err := exec.Command("node_modules/.bin/tsc", "-p", ".").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
