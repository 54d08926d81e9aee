package sallyport_test

import (
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sallyport"
	"sallyport/mfa"
)

// payloads run in a browser that reads them as markup, in one place or another.
var payloads = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`,
	`</title><script>alert(1)</script>`,
	`</textarea></form><form action=//evil.example>`, `" autofocus onfocus=alert(1) x="`, `javascript:alert(1)`,
	`{{.Main}}{{print 1}}`, `<!--`, `]]><x>`,
	`&lt;script&gt;`, `<a href="javascript:alert(1)">x</a>`, `\u003cscript\u003e`, `=cmd|' /C calc'!A0`,
	`{name}{site}{url}`, "`${alert(1)}`", `--><x y=`,
}

// markup returns the tags of a page with the names of their attributes, as a browser's tokenizer splits them (HTML
// Living Standard, section 13.2.5): what a text must not be able to add to.
func markup(page string) []string {
	var all []string
	for {
		i := strings.IndexByte(page, '<')
		if i < 0 {
			return all
		}
		page = page[i+1:]
		tag, rest := tagOf(page)
		all, page = append(all, tag), rest
	}
}

// tagOf reads one tag up to the ">" that ends it, which is none within quotes.
func tagOf(page string) (tag, rest string) {
	var b strings.Builder
	var quote rune
	for i, r := range page {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '>':
			return b.String(), page[i+1:]
		case r == '"' || r == '\'':
			quote = r
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), ""
}

// named returns every page on which the names of a user, a factor and a browser stand.
func named(t *testing.T, name string) (pages map[string]answer, notices []sallyport.Notice) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		site := c.User
		c.User = func(r *http.Request) (mfa.User, error) {
			u, err := site(r)
			u.DisplayName = u.Name
			return u, err
		}
	})
	pages = map[string]answer{}
	b := s.login(name).sending("User-Agent", name).sending("Accept-Language", name)
	first := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(first)
	pages["enroll"] = first
	pages["a wrong confirmation"] = b.fill(first, b.wrong(), "label", name)
	b.fill(pages["a wrong confirmation"], b.code(0), "label", name)
	b.saveCodes(b.get("/mfa/enroll/recovery"))
	id := b.factor("totp")
	for _, view := range mfaViews(id)["GET"] {
		pages[strings.ReplaceAll(view, id, "ID")] = b.get(view)
		pages[strings.ReplaceAll(view, id, "ID")+" as JSON"] = b.do("GET", view, "", "", acceptJSON)
	}
	q := url.QueryEscape(name)
	for what, a := range map[string]answer{
		"a method": b.get("/mfa/verify/" + url.PathEscape(name)), "a problem": b.get("/mfa/problems/" + url.PathEscape(name)),
		"a factor": b.get("/mfa/verify/totp?factor=" + q), "a way back": b.get("/mfa/verify/totp?back=" + q + "&next=" + q +
			"&error=" + q),
		"a field": b.do("POST", "/mfa/sessions/end", "application/x-www-form-urlencoded", q+"=1", navigate,
			sameOrigin, header{"Accept", "text/html"}),
		"a field of JSON": b.do("POST", "/mfa/sessions/end", "application/json", asJSON(url.Values{name: {name}}),
			acceptJSON),
		"a wrong answer": b.fill(b.get("/mfa/verify/totp"), name, "back", name),
	} {
		pages[what] = a
	}
	b.post("/mfa/factors/"+b.factor("totp")+"/pause", nil)
	b.post("/mfa/sessions/end", nil)
	return pages, s.told()
}

func TestXSS1_NamesAreText(t *testing.T) {
	var innocent []map[string]answer
	for _, name := range []string{"Innocent name", "Innocent/name", "{Innocent} name"} {
		pages, _ := named(t, name)
		innocent = append(innocent, pages)
	}
	for _, payload := range payloads {
		pages, notices := named(t, payload)
		shown := 0
		for name, a := range pages {
			if kind := a.header.Get("Content-Type"); kind != "text/html; charset=utf-8" {
				if a.status != http.StatusSeeOther && !strings.HasPrefix(kind, "application/") ||
					strings.ContainsAny(a.body, "<>") {
					t.Errorf("%s with %q: %s %q, want a document without markup", name, payload, kind, a.body)
				}
				continue
			}
			got := withoutNonces(markup(a.body))
			if !slices.ContainsFunc(innocent, func(plain map[string]answer) bool {
				return slices.Equal(got, withoutNonces(markup(plain[name].body)))
			}) {
				t.Errorf("%s with %q has other markup than with an innocent name:\n%q", name, payload, got)
			}
			if strings.Contains(html.UnescapeString(a.body), payload) {
				shown++
			}
		}
		if shown < 8 {
			t.Errorf("%q stands on %d pages, want at least 8", payload, shown)
		}
		for _, n := range notices {
			if strings.ContainsAny(n.Subject, "\r\n<") {
				t.Errorf("the subject %q of a notice has a line break or markup", n.Subject)
			}
		}
	}
}

func withoutNonces(tags []string) []string {
	clean := make([]string, len(tags))
	for i, tag := range tags {
		clean[i] = nonce.ReplaceAllString(tag, "")
	}
	return clean
}

func TestLOGINJ1_NoFieldAddsALine(t *testing.T) {
	s := newNodes(t, 1, memoryStore(), func(s *site, c *sallyport.Config) {
		c.OnEvent = nil
	})
	// What no header may carry (CR, LF, ESC) the server refuses by itself; what is left are the line breaks and the
	// controls of Unicode.
	const forged = "x\u0085level=ERROR msg=forged\u2028time=now\u009b31mred\u202egnp"
	b := s.login("alice").sending("User-Agent", forged).sending("X-Request-Id", forged)
	page := b.follow(b.get("/mfa/enroll/totp"))
	b.secret = secretOf(page)
	b.fill(page, b.code(0), "label", "my\r\nphone\x1b[31m\u0085\u009b")
	owner := *b
	for range freeTries {
		other := b.s.login("alice").sending("User-Agent", forged)
		other.secret = owner.secret
		other.guess(other.wrong())
	}
	b.get("/mfa/verify/%0d%0aforged?back=%0d%0aforged&factor=%1b[31m")
	b.do("POST", "/mfa/sessions/end", "application/json", `{"a\r\nlevel=ERROR msg=forged":"b"}`, acceptJSON)
	for _, line := range strings.Split(strings.TrimSpace(s.log.String()), "\n") {
		if line != "" && !strings.HasPrefix(line, "time=") {
			t.Errorf("a line of the log that is none of ours: %q", line)
		}
		if i := strings.IndexFunc(line, unicode.IsControl); i >= 0 {
			t.Errorf("a control character in the log: %q", line[i:])
		}
	}
	label := b.factors()[0].label
	if strings.ContainsFunc(label, unicode.IsControl) || !strings.HasPrefix(label, "myphone") {
		t.Errorf("the label = %q, want it without control characters", label)
	}
	for _, n := range s.told() {
		lines := strings.ReplaceAll(n.Text, "\n", "")
		if i := strings.IndexFunc(lines, breaksLine); i >= 0 {
			t.Errorf("a notice with %q, which breaks its line:\n%q", lines[i:i+3], n.Text)
		}
		if strings.ContainsFunc(n.Subject, breaksLine) {
			t.Errorf("the subject %q breaks its line", n.Subject)
		}
	}
	for _, ev := range s.eventsOf("alice") {
		if strings.ContainsFunc(ev.Browser+ev.Address+ev.Reason, breaksLine) {
			t.Errorf("event %s holds %q, which breaks its line", ev.Kind, ev.Browser)
		}
	}
}

// breaksLine reports a character that some viewer reads as the end of a line, or that turns text around it.
func breaksLine(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}
