package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"image/png"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// visitor is somebody who uses the demo.
type visitor struct {
	*tab
	d     *demo
	hands hands
	name  string

	apps  map[string]string // secrets of authenticator apps, by label
	codes []string          // recovery codes that were not used
}

func (d *demo) visitor(t testing.TB, name string, h hands) *visitor {
	t.Helper()
	return &visitor{tab: newTab(t), d: d, hands: h, name: name, apps: map[string]string{}}
}

// elsewhere is the same person in another browser.
func (v *visitor) elsewhere() *visitor {
	v.t.Helper()
	other := *v
	other.tab = newTab(v.t)
	return &other
}

// inTab is the same person in another tab of the same browser.
func (v *visitor) inTab(b *tab) *visitor {
	other := *v
	other.tab = b
	return &other
}

func (v *visitor) use(name string) int {
	v.t.Helper()
	return v.hands.use(v.tab, name)
}

func (v *visitor) enter(field, text string) {
	v.t.Helper()
	v.hands.enter(v.tab, field, text)
}

// signIn gives the password. It ends where the site leads.
func (v *visitor) signIn() {
	v.t.Helper()
	v.open(v.d.url + "/login")
	v.givesPassword()
}

// givesPassword answers the site's sign-in page.
func (v *visitor) givesPassword() {
	v.t.Helper()
	v.enter("Name", v.name)
	v.enter("Password", "demo")
	v.use("Sign in")
}

// signOut ends the login, from a page of the site.
func (v *visitor) signOut() {
	v.t.Helper()
	v.open(v.d.url + "/")
	v.use("Sign out")
}

// isIn fails the test unless the tab shows a page for the user's own eyes.
func (v *visitor) isIn(page string) {
	v.t.Helper()
	if got, want := v.path(), "/"+page; got != want {
		v.t.Fatalf("at %s, want %s: %s", got, want, v.where())
	}
	if got, want := v.text(".canary"), "canary:"+page+":"+v.name; got != want {
		v.t.Fatalf("the page shows %q, want %q", got, want)
	}
}

// asks fails the test unless the tab asks for a factor.
func (v *visitor) asks() {
	v.t.Helper()
	if got := v.path(); !strings.HasPrefix(got, "/mfa/verify") {
		v.t.Fatalf("at %s, which does not ask: %s", got, v.where())
	}
	if v.count(".canary") != 0 {
		v.t.Fatalf("a page that asks shows a canary: %s", v.where())
	}
}

// says fails the test unless the page has this text somewhere.
func (v *visitor) says(text string) {
	v.t.Helper()
	body := strings.Join(strings.Fields(eval[string](v.tab, `document.body.innerText`)), " ")
	if !strings.Contains(body, text) {
		v.t.Errorf("the page does not say %q: %s", text, body)
	}
}

// complains fails the test unless the page says what was wrong, in an alert that belongs to the field, which has the
// focus, so that screen readers say both.
func (v *visitor) complains(status int) {
	v.t.Helper()
	if status != 422 {
		v.t.Errorf("the status is %d, want 422", status)
	}
	for what, expression := range map[string]string{
		"an alert":               `document.querySelector("[role=alert]")?.textContent.trim()`,
		"a field that is marked": `document.querySelector("[aria-invalid=true]")`,
		"a field that names the alert": `document.querySelector("[aria-invalid=true]")?.getAttribute("aria-describedby")
.split(" ").includes(document.querySelector("[role=alert]").id)`,
		"a title that says it first": `document.title.startsWith("Error: ")`,
		"a language":                 `document.documentElement.lang === "en"`,
	} {
		if !eval[bool](v.tab, "Boolean("+expression+")") {
			v.t.Errorf("the page lacks %s: %s", what, v.where())
		}
	}
	v.until(`document.activeElement === document.querySelector("[aria-invalid=true]")`) // once the page is drawn
}

// proves answers a page that asks for an app by its name.
func (v *visitor) proves(name string) {
	v.t.Helper()
	v.asks()
	v.enter("Code from "+name, v.code(name))
	v.use("Confirm")
}

// scan reads the QR code on the page as a phone does: from nearer or farther until it is found.
func (v *visitor) scan() *url.URL {
	v.t.Helper()
	var text string
	var err error
	for _, scale := range []float64{2, 3, 1, 4} {
		if text, err = decodeQR(get(v.tab, chromedp.ScreenshotScale(chromedp.CSS(".qr"), scale))); err == nil {
			break
		}
	}
	v.must(err)
	u, err := url.Parse(text)
	v.must(err)
	return u
}

func decodeQR(picture []byte) (string, error) {
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return "", err
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(decoded)
	if err != nil {
		return "", err
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

// addApp enrolls an authenticator app, from a page that offers it.
func (v *visitor) addApp(label string) {
	v.t.Helper()
	u := v.scan()
	v.apps[label] = u.Query().Get("secret")
	v.enter("Code from the app", v.code(label))
	v.enter("Name (optional)", label)
	v.use("Add the app")
}

// keepCodes saves the recovery codes on the page.
func (v *visitor) keepCodes() {
	v.t.Helper()
	v.codes = eval[[]string](v.tab, `[...document.querySelectorAll("#codes code")].map((e) => e.textContent)`)
	if len(v.codes) != 10 {
		v.t.Fatalf("%d codes, want 10", len(v.codes))
	}
	v.enter("Type one of the codes", v.codes[3])
	v.use("I have saved them")
}

// enrolled signs in, adds an app and keeps recovery codes.
func (v *visitor) enrolled() {
	v.t.Helper()
	v.signIn()
	v.open(v.d.url + "/mfa/enroll/totp")
	v.addApp("Phone")
	v.keepCodes()
}

// code is what an app shows now. The clock is moved first, so that no two codes are the same.
func (v *visitor) code(label string) string {
	v.t.Helper()
	return totp(v.t, v.apps[label], v.d.advance(31*time.Second))
}

// codeNow is the code at this moment, which may be one that was used.
func (v *visitor) codeNow(label string) string {
	v.t.Helper()
	return totp(v.t, v.apps[label], v.d.advance(0))
}

// wrong is a code that no app of the user shows for hours.
func (v *visitor) wrong() string {
	v.t.Helper()
	now := v.d.advance(0)
	var taken []string
	for _, secret := range v.apps {
		for i := -5; i < 600; i++ {
			taken = append(taken, totp(v.t, secret, now.Add(time.Duration(i)*30*time.Second)))
		}
	}
	for n := 123456; ; n++ {
		if code := fmt.Sprintf("%06d", n); !slices.Contains(taken, code) {
			return code
		}
	}
}

// spend takes a recovery code.
func (v *visitor) spend() string {
	code := v.codes[0]
	v.codes = v.codes[1:]
	return code
}

// totp is RFC 6238 with SHA-1, 30 seconds and 6 digits.
func totp(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	return hotp(t, secret, uint64(at.Unix()/30))
}

// hotp is RFC 4226 with 6 digits.
func hotp(t testing.TB, secret string, counter uint64) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		t.Fatalf("the secret %q: %v", secret, err)
	}
	h := hmac.New(sha1.New, key)
	binary.Write(h, binary.BigEndian, counter)
	sum := h.Sum(nil)
	offset := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%1_000_000)
}
