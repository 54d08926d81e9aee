package sallyport_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// sources returns the text of the code and of the templates, without tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.go", "pages/*.html", "pages/main/*.html"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

var (
	saidKey   = regexp.MustCompile(`\bsay(?:Or)?[ (]"([a-z0-9.-]+)"[^+]`)
	detailKey = regexp.MustCompile(`(?:\bdetail(?: =|:) |\bdenied\()"([a-z-]+)"`)
	quoted    = regexp.MustCompile(`"([a-z0-9-]+(?:\.[a-z0-9-]+)+)"`)
)

// families are the keys of messages that are put together from words.
func families(t *testing.T) (must, may []string) {
	words := func(prefix string, names []string, suffixes ...string) (keys []string) {
		for _, name := range names {
			for _, suffix := range suffixes {
				keys = append(keys, prefix+name+suffix)
			}
		}
		return keys
	}
	methods := []string{
		mfa.MethodPasskey, mfa.MethodTOTP, mfa.MethodHOTP, mfa.MethodRecovery, mfa.MethodSent, mfa.MethodYubico,
		mfa.MethodPass,
	}
	kinds := []string{"noted"}
	for _, kind := range []mfa.Kind{
		mfa.FactorAdded, mfa.FactorRemoved, mfa.FactorPaused, mfa.FactorResumed, mfa.FactorStopped, mfa.RecoveryUsed,
		mfa.NewBrowser,
		mfa.WrongInARow, mfa.SessionsEnded, mfa.FactorFreed, mfa.BrowserAdded, mfa.BrowserStolen, mfa.CourierMuted,
		mfa.PasswordWasChanged, mfa.AddressWasChanged,
	} {
		kinds = append(kinds, string(kind))
	}
	must = slices.Concat(
		words("problem.", sallyport.ProblemNames(), ".title", ".text"),
		words("method.", methods, "", ".text"),
		words("choice.", methods, ""),
		words("notice.", kinds, ".subject", ".text"),
		words("enroll-", sallyport.PagesOfMethods(), ".title"),
		words("off.", []string{"paused", "stopped-by-support", "stopped-by-guesses"}, ""),
		words("", []string{"rename", "pause", "remove"}, ".title", ".text", ".button"),
		words("detail.", []string{string(mfa.WhyMustSignIn), string(mfa.WhyManaged), string(mfa.WhyTaken),
			string(mfa.WhyFull)}, ""),
		words("status.", []string{"verify", "enroll"}, ""),
		words("browser.", []string{"rename", "forget"}, ".title", ".text", ".button"),
		words("courier.", []string{"email", "sms", "voice"}, ""),
		words("wrong.hint-", []string{"clock"}, ""),
	)
	return must, words("wrong.", methods, "", ".text") // with a fallback
}

func TestEachMessageThatIsSaidIsThereAndNoneIsIdle(t *testing.T) {
	g, err := sallyport.New(soundConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	messages, code := g.Messages(), sources(t)
	must, may := families(t)
	used := map[string]bool{}
	for _, m := range saidKey.FindAllStringSubmatch(code, -1) {
		if !strings.HasSuffix(m[1], ".") && !strings.HasSuffix(m[1], "-") {
			must = append(must, m[1])
		}
	}
	for _, m := range detailKey.FindAllStringSubmatch(code, -1) {
		must = append(must, "detail."+m[1])
	}
	for _, key := range must {
		used[key] = true
		if messages[key] == "" {
			t.Errorf("%q is said, but not among the messages", key)
		}
	}
	for _, key := range may {
		used[key] = true
	}
	for _, method := range slices.Concat([]string{"other"}, sallyport.PagesOfMethods()) {
		used["wrong.enroll-"+method] = true
	}
	for _, m := range quoted.FindAllStringSubmatch(code, -1) {
		used[m[1]] = true
	}
	for _, key := range slices.Sorted(maps.Keys(messages)) {
		if !used[strings.TrimSuffix(key, ".one")] {
			t.Errorf("the message %q is never said", key)
		}
	}
	if len(must) < 100 || len(messages) < 100 {
		t.Errorf("found %d keys in the code and %d messages: the test no longer reads them", len(must), len(messages))
	}
}

func TestASingularSaysTheSameInOtherWords(t *testing.T) {
	g, err := sallyport.New(soundConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	for key, text := range g.Messages() {
		if plural, ok := strings.CutSuffix(key, ".one"); ok {
			if many := g.Messages()[plural]; !strings.Contains(many, "{count}") || strings.Contains(text, "{count}") ||
				!strings.Contains(text, "1 ") {
				t.Errorf("%q is %q, and the plural %q", key, text, many)
			}
		} else if strings.Contains(text, "{count}") && g.Messages()[key+".one"] == "" {
			t.Errorf("%q counts, but has no singular", key)
		}
		if strings.TrimSpace(text) != text || text == "" || strings.ContainsAny(text, "<>\n") {
			t.Errorf("%q is %q", key, text)
		}
	}
}

// walk loads every kind of page once, with names that would be markup, and hands each to visit under the name of its
// template.
func walk(t *testing.T, visit func(template string, page answer)) {
	const name = `<i onmouseover=alert(1)>"'&`
	s := newSite(t, func(_ *site, c *sallyport.Config) {
		c.Name, c.Support, c.Methods = name, "mailto:help@example.com", []mfa.Method{password2{}, mfa.TOTP{}, mfa.Recovery{}}
	})
	b := s.login(name)
	visit("enroll", b.get("/mfa/enroll"))
	visit("enroll-other", b.get("/mfa/enroll/second-password"))
	page := b.get(b.get("/vault").next)
	page = b.get(found(addLink, page.body))
	visit("enroll-totp", page)
	b.secret = secretOf(page)
	visit("enroll-totp", b.fill(page, b.wrong(), "label", name))
	page = b.get("/mfa/enroll/totp")
	b.secret = secretOf(page)
	page = b.get(b.fill(page, b.code(0), "label", name).next)
	visit("enroll-recovery", page)
	visit("enroll-recovery", b.fill(page, strings.Repeat("0", 24)))
	page = b.get("/mfa/enroll/recovery")
	b.saveCodes(page)
	visit("enroll-recovery", b.get("/mfa/enroll/recovery"))
	visit("home", b.get("/mfa/"))
	id := b.factor("totp")
	for _, change := range []string{"rename", "pause", "remove"} {
		visit("change", b.get("/mfa/factors/"+id+"/"+change))
	}
	visit("change", b.get("/mfa/sessions/end"))
	visit("problem", b.get("/mfa/status"))
	visit("problem", b.get("/mfa/confirmed"))
	visit("problem", b.get("/mfa/nowhere"))
	for _, problem := range sallyport.ProblemNames() {
		visit("problem", b.get("/mfa/problems/"+problem))
	}
	other := b.again(name)
	visit("again", other.post("/form", url.Values{"a": {"b"}}))
	visit("verify-totp", other.get("/mfa/verify/totp"))
	visit("verify-recovery", other.get("/mfa/verify/recovery"))
	visit("choose", other.get("/mfa/verify?choose=1"))
	visit("verify-totp", other.guess(other.wrong()))
	for range mfa.FreeTries - 1 {
		other.guess(other.wrong())
	}
	visit("choose", other.get("/mfa/verify"))
	page = other.get("/mfa/verify/recovery")
	visit("recovered", other.get(other.fill(page, other.codes[0]).next))
	page = b.get("/mfa/enroll/second-password")
	b.fill(page, "open sesame", "label", name)
	s.advance(time.Minute)
	other = b.again(name)
	page = other.get("/mfa/verify/second-password")
	visit("verify-other", page)
	visit("verify-other", other.fill(page, "wrong"))
	visit("home", b.get("/mfa/"))
	walkSent(t, name, visit)
}

// walkSent is walk for codes that are sent, for remembered browsers and for a login that is pending.
func walkSent(t *testing.T, name string, visit func(template string, page answer)) {
	d := newSending(t, challenging, func(_ *site, c *sallyport.Config) { c.Name, c.Remember = name, 2*24*time.Hour })
	d.sms.address = func(mfa.User) string { return alicesPhone }
	b := d.browser()
	page := b.get(b.password(name).next)
	visit("verify-sent", page)
	d.sms.fail(errors.New("gone"))
	page = b.post(found(formAction, page.body), url.Values{"back": {found(backField, page.body)}})
	visit("verify-sent", page)
	page = b.fill(page, "00000000")
	visit("verify-sent", page)
	visit("choose", b.get("/mfa/verify?choose=1"))
	visit("mail", answer{status: http.StatusOK, body: strings.Replace(d.mail.last(t).HTML, "<title>", "<h1>A mail</h1><title>", 1)})
	b.fill(page, d.mail.last(t).Code, "remember", "true")
	page = b.get("/mfa/enroll/sent")
	visit("enroll-sent", page)
	page = b.post(found(formAction, page.body), url.Values{"address": {name}})
	visit("enroll-sent", page)
	page = b.post(found(formAction, page.body), url.Values{"address": {"other@example.com"}})
	visit("enroll-sent", page)
	visit("home", b.get("/mfa/"))
	for _, change := range []string{"rename", "forget"} {
		visit("change", b.get(found(browserLink, b.get("/mfa/").body)+change))
	}
}

var browserLink = regexp.MustCompile(`href="(/mfa/browsers/[^/]*/)rename"`)

func TestEveryPageIsWholeAndHoldsNoMarkupFromOutside(t *testing.T) {
	seen := map[string]bool{}
	walk(t, func(template string, page answer) {
		seen[template] = true
		body := page.body
		if page.status == http.StatusSeeOther || !strings.HasPrefix(body, "<!doctype html>") ||
			!strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s = %d to %q, no whole page:\n%s", template, page.status, page.next, body)
			return
		}
		for _, bad := range []string{"<i onmouseover", "<no value>", "%!", "ZgotmplZ", "style=", " onclick=", "javascript:",
			"<nil>", "0001"} {
			if strings.Contains(body, bad) && (template != "mail" || bad != "style=") { // mail programs read no style sheets
				t.Errorf("%s holds %q:\n%s", template, bad, body)
			}
		}
		if left := unfilled.FindString(text(body)); left != "" {
			t.Errorf("%s holds %s", template, left)
		}
		if key := bareKey.FindString(text(body)); key != "" {
			t.Errorf("%s shows the key %s:\n%s", template, key, text(body))
		}
		if heading(page) == "" || strings.Contains(heading(page), "headings") {
			t.Errorf("%s has %s", template, heading(page))
		}
		checkForms(t, template, body)
	})
	g, err := sallyport.New(soundConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, template := range g.Templates() {
		if elsewhere := template == "signin" || strings.HasSuffix(template, "-passkey"); !seen[template] && !elsewhere {
			t.Errorf("no page of this walk shows %s", template)
		}
	}
}

var (
	bareKey = regexp.MustCompile(
		`\b(?:problem|detail|notice|method|choice|enroll|verify|home|action|wrong|off|wait)(?:-[a-z]+)?\.[a-z]+\b`)
	inputTag  = regexp.MustCompile(`<input [^>]*>`)
	idOf      = regexp.MustCompile(` id="([^"]*)"`)
	formTag   = regexp.MustCompile(`(?s)<form [^>]*>.*?</form>`)
	refersTo  = regexp.MustCompile(` (?:for|aria-describedby|aria-labelledby)="([^"]*)"`)
	buttonTag = regexp.MustCompile(`<button [^>]*type="submit"`)
)

// checkForms checks that forms need no script, and that each field has a label.
func checkForms(t *testing.T, template, body string) {
	t.Helper()
	ids := map[string]int{}
	for _, m := range idOf.FindAllStringSubmatch(body, -1) {
		ids[m[1]]++
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s has the id %q %d times", template, id, n)
		}
	}
	for _, m := range refersTo.FindAllStringSubmatch(body, -1) {
		for _, id := range strings.Fields(m[1]) {
			if ids[id] == 0 {
				t.Errorf("%s refers to %q, which is not there", template, id)
			}
		}
	}
	for _, form := range formTag.FindAllString(body, -1) {
		if !strings.Contains(form, `method="post"`) || !strings.Contains(form, ` action="/mfa/`) ||
			!buttonTag.MatchString(form) {
			t.Errorf("%s has a form that cannot be sent without a script:\n%s", template, form)
		}
	}
	for _, input := range inputTag.FindAllString(body, -1) {
		id := idOf.FindStringSubmatch(input)
		if !strings.Contains(input, `type="hidden"`) && (id == nil || !strings.Contains(body, `<label for="`+id[1]+`"`)) {
			t.Errorf("%s has a field without a label: %s", template, input)
		}
	}
}

func TestAPageOfAnEmptyAccount(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	page := b.get("/mfa/")
	if page.status != http.StatusOK || !strings.Contains(text(page.body), "You have not added any yet") ||
		found(addLink, page.body) == "" {
		t.Errorf("GET /mfa/ = %d\n%s", page.status, text(page.body))
	}
	if strings.Contains(page.body, "sessions/end") {
		t.Error("sessions can be ended that nobody has proved")
	}
}
