package sallyport_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const formType = "application/x-www-form-urlencoded"

// begun returns the ticket of a new ceremony.
func (b *browser) begun(path string) string {
	b.t.Helper()
	a, doc := b.call("POST", path+"/begin", nil)
	ticket, _ := doc["ticket"].(string)
	if a.status != http.StatusOK || ticket == "" {
		b.t.Fatalf("POST %s/begin = %d %s", path, a.status, a.body)
	}
	return ticket
}

// Whatever is wrong with a body, the answer is a plain no, and the right answer still works afterwards: nothing was
// spent or charged.
func TestABodyThatIsNotWhatWasAskedFor(t *testing.T) {
	s := newSite(t)
	owner := s.enrolled("alice")
	b := owner.again("alice")
	ticket := b.begun("/mfa/verify/totp")
	s.advance(minute)
	code := b.code(0)
	zipped := &bytes.Buffer{}
	z := gzip.NewWriter(zipped)
	fmt.Fprintf(z, "ticket=%s&answer=%s", ticket, code)
	z.Close()
	right := `{"ticket":"` + ticket + `","answer":"` + code + `"`
	form := "ticket=" + ticket + "&answer=" + code
	for _, c := range []struct {
		name, contentType, body string
		want                    string
		headers                 []header
	}{
		{"no body", "", "", "400 invalid-request", nil},
		{"no type", "", form, "415 invalid-request", nil},
		{"plain text", "text/plain", right + "}", "415 invalid-request", nil},
		{"a file", "multipart/form-data; boundary=x", "--x--", "415 invalid-request", nil},
		{"XML", "application/xml", "<ticket/>", "415 invalid-request", nil},
		{"a type that cannot be read", "application", form, "415 invalid-request", nil},
		{"an empty type", ";", form, "415 invalid-request", nil},
		{"two types", formType, form, "415 invalid-request", []header{{"Content-Type", "application/json"}}},
		{"a compressed form", formType, zipped.String(), "415 invalid-request", []header{{"Content-Encoding", "gzip"}}},
		{"a form that says it is compressed", formType, form, "415 invalid-request", []header{{"Content-Encoding", "br"}}},

		{"an empty form", formType, "", "400 invalid-request", nil},
		{"a form without an answer", formType, "ticket=" + ticket, "400 invalid-request", nil},
		{"a form without a ticket", formType, "answer=" + code, "400 invalid-request", nil},
		{"a form with an empty ticket", formType, "ticket=&answer=" + code, "400 invalid-request", nil},
		{"a form with a blank ticket", formType, "ticket=+%09&answer=" + code, "400 invalid-request", nil},
		{"a form with two answers", formType, form + "&answer=000000", "400 invalid-request", nil},
		{"a form with the same answer twice", formType, form + "&answer=" + code, "400 invalid-request", nil},
		{"a form with two tickets", formType, form + "&ticket=" + ticket, "400 invalid-request", nil},
		{"a form with an unknown field", formType, form + "&user=bob", "400 invalid-request", nil},
		{"a form with a field for an array", formType, "ticket=" + ticket + "&answer[]=" + code, "400 invalid-request", nil},
		{"a form with a field of another form", formType, form + "&label=x", "400 invalid-request", nil},
		{"a form in another case", formType, "Ticket=" + ticket + "&answer=" + code, "400 invalid-request", nil},
		{"a form that is not UTF-8", formType, form + "&back=%ff", "400 invalid-request", nil},
		{"a form whose name is not UTF-8", formType, form + "&%ff=1", "400 invalid-request", nil},
		{"a form with a broken escape", formType, form + "&back=%zz", "400 invalid-request", nil},
		{"a form with semicolons", formType, "ticket=" + ticket + ";answer=" + code, "400 invalid-request", nil},
		{"a form of 65 kB", formType, form + "&back=" + strings.Repeat("x", 65<<10), "413 too-large", nil},
		{"a form of many fields", formType, form + strings.Repeat("&a=", 12_000), "400 invalid-request", nil},

		{"not JSON", "application/json", "ticket", "400 invalid-request", nil},
		{"half a document", "application/json", right, "400 invalid-request", nil},
		{"two documents", "application/json", right + "}{}", "400 invalid-request", nil},
		{"a document and more", "application/json", right + "} x", "400 invalid-request", nil},
		{"an array", "application/json", "[" + right + "}]", "400 invalid-request", nil},
		{"a string", "application/json", `"ticket"`, "400 invalid-request", nil},
		{"null", "application/json", "null", "400 invalid-request", nil},
		{"an empty document", "application/json", "{}", "400 invalid-request", nil},
		{"an answer that is a number", "application/json", `{"ticket":"` + ticket + `","answer":` + code + `}`,
			"400 invalid-request", nil},
		{"an answer that is an array", "application/json", `{"ticket":"` + ticket + `","answer":["` + code + `"]}`,
			"400 invalid-request", nil},
		{"an answer that is an object", "application/json", `{"ticket":"` + ticket + `","answer":{"code":"` + code + `"}}`,
			"400 invalid-request", nil},
		{"an answer that is null", "application/json", `{"ticket":"` + ticket + `","answer":null}`, "400 invalid-request",
			nil},
		{"an answer that is true", "application/json", `{"ticket":"` + ticket + `","answer":true}`, "400 invalid-request",
			nil},
		{"a ticket that is an array", "application/json", `{"ticket":["` + ticket + `"],"answer":"` + code + `"}`,
			"400 invalid-request", nil},
		{"a ticket that is an object", "application/json", `{"ticket":{},"answer":"` + code + `"}`, "400 invalid-request",
			nil},
		{"a document with two answers", "application/json", right + `,"answer":"000000"}`, "400 invalid-request", nil},
		{"a document with two answers, one spelt in escapes", "application/json", right + `,"\u0061nswer":"000000"}`,
			"400 invalid-request", nil},
		{"a document in another case", "application/json", right + `,"ANSWER":"000000"}`, "400 invalid-request", nil},
		{"a document with an unknown field", "application/json", right + `,"user":"bob"}`, "400 invalid-request", nil},
		{"a document that is not UTF-8", "application/json", right + ",\"back\":\"\xff\"}", "400 invalid-request", nil},
		{"a document with a byte order mark", "application/json", "\ufeff" + right + "}", "400 invalid-request", nil},
		{"a document in depth", "application/json", right + `,"answer":` + strings.Repeat("[", 30_000), "400 invalid-request",
			nil},
		{"an object in depth", "application/json", `{"answer":` + strings.Repeat(`{"a":`, 12_000), "400 invalid-request",
			nil},
		{"NaN", "application/json", `{"ticket":NaN}`, "400 invalid-request", nil},
		{"a document of 65 kB", "application/json", right + `,"back":"` + strings.Repeat("x", 65<<10) + `"}`, "413 too-large",
			nil},
		{"spaces of 1 MB", "application/json", strings.Repeat(" ", 1<<20), "413 too-large", nil},
	} {
		a := b.do("POST", "/mfa/verify/totp", c.contentType, c.body, append([]header{acceptJSON}, c.headers...)...)
		if got := docWord(t, a); got != c.want {
			t.Errorf("%s = %q, want %q", c.name, got, c.want)
		}
		if strings.Contains(a.body, code) || strings.Contains(a.body, ticket) {
			t.Errorf("%s: the problem repeats what was sent: %s", c.name, a.body)
		}
		page := b.do("POST", "/mfa/verify/totp", c.contentType, c.body, append(append([]header{}, c.headers...), navigate)...)
		wantJSON := c.contentType == "application/json"
		if isPage := strings.HasPrefix(page.header.Get("Content-Type"), "text/html"); page.status != a.status ||
			isPage == wantJSON {
			t.Errorf("%s without Accept = %d %s, want %d, a page: %v", c.name, page.status, page.header.Get("Content-Type"),
				a.status, !wantJSON)
		}
	}
	a, doc := b.call("POST", "/mfa/verify/totp", map[string]string{"ticket": ticket, "answer": code})
	if a.status != http.StatusOK || doc["proved"] == nil {
		t.Errorf("after all of these the right answer = %d %s", a.status, a.body)
	}
}

func TestABodyThatIsFineInAnUnusualWay(t *testing.T) {
	for _, c := range []struct {
		name, contentType string
		body              func(ticket, code string) string
		headers           []header
	}{
		{"a charset", formType + "; charset=UTF-8", func(t, c string) string { return "ticket=" + t + "&answer=" + c }, nil},
		{"a type in capitals", "Application/X-WWW-Form-Urlencoded",
			func(t, c string) string { return "answer=" + c + "&ticket=" + t }, nil},
		{"an encoding that is none", formType, func(t, c string) string { return "ticket=" + t + "&answer=" + c },
			[]header{{"Content-Encoding", "identity"}}},
		{"an encoded name", formType, func(t, c string) string { return "%74icket=" + t + "&answer=" + c }, nil},
		{"a code with spaces", formType, func(t,
			c string) string {
			return "ticket=" + t + "&answer=+" + c[:3] + "+" + c[3:] + "+"
		}, nil},
		{"an empty way back", formType, func(t, c string) string { return "ticket=" + t + "&answer=" + c + "&back=" }, nil},
		{"a way back that does not open", formType, func(t,
			c string) string {
			return "ticket=" + t + "&answer=" + c + "&back=x"
		}, nil},
		{"a document with spaces", "application/json", func(t,
			c string) string {
			return " {\n\"answer\" : \"" + c + "\", \"ticket\":\"" + t + "\" }\n"
		}, nil},
		{"a document with escapes", "application/json; charset=utf-8", func(t, c string) string {
			return `{"\u0074icket":"` + t + `","answer":"\u00` + fmt.Sprintf("%x", c[0]) + c[1:] + `"}`
		}, nil},
	} {
		s := newSite(t)
		b := s.enrolled("alice").again("alice")
		ticket := b.begun("/mfa/verify/totp")
		s.advance(minute)
		a := b.do("POST", "/mfa/verify/totp", c.contentType, c.body(ticket, b.code(0)), c.headers...)
		if a.status != http.StatusOK && a.status != http.StatusSeeOther {
			t.Errorf("%s = %d %s, want it accepted", c.name, a.status, a.body)
		}
	}
}

// What cannot be a code at all is told to be wrong, but is not judged: it costs nothing, and the ticket lives on.
func TestWhatCannotBeACodeCostsNothing(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	ticket := b.begun("/mfa/verify/totp")
	s.advance(minute)
	for _, reply := range []string{
		"", " ", "12345", "1234567", "abcdef", "12345x", "123.456", "-12345", "+12345", "0x1234", "1e5", "１２３４５６７", "𝟏𝟐𝟑𝟒𝟓",
		"\x00", "<script>", "' OR 1=1", strings.Repeat("1", 10_000), "\u202e123456\u202d7", "12345 123456",
	} {
		a, doc := b.call("POST", "/mfa/verify/totp", map[string]string{"ticket": ticket, "answer": reply})
		if a.status != 422 || doc["type"] != "/mfa/problems/wrong-answer" || doc["ticket"] != ticket || doc["prompt"] == nil {
			t.Fatalf("the answer %.20q = %d %s, want 422 with the same ticket", reply, a.status, a.body)
		}
		if a.header.Get("Retry-After") != "" {
			t.Errorf("the answer %.20q makes its owner wait", reply)
		}
	}
	if a, doc := b.call("POST", "/mfa/verify/totp", map[string]string{"ticket": ticket,
		"answer": b.code(0)}); doc["proved"] == nil {
		t.Errorf("after all of these the right answer = %d %s", a.status, a.body)
	}
}

func TestAnAddressThatIsNotWhatWasAskedFor(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice").again("alice")
	for path, want := range map[string]string{
		"/mfa/verify?back=a&back=b":             "400 invalid-request",
		"/mfa/verify/totp?factor=a&factor=b":    "400 invalid-request",
		"/mfa/verify?back=%ff":                  "400 invalid-request",
		"/mfa/verify/totp?factor=%ff":           "400 invalid-request",
		"/mfa/verify?other=1":                   "200",
		"/mfa/verify?back=%zz":                  "200",
		"/mfa/verify?choose=1&choose=2":         "200",
		"/mfa/verify/" + strings.Repeat("x", 9): "404 unknown-method",
	} {
		if got := docWord(t, b.do("GET", path, "", "", acceptJSON)); got != want {
			t.Errorf("GET %s = %q, want %q", path, got, want)
		}
	}
	if a := b.get("/mfa/verify/totp?factor=none"); a.status != http.StatusNotFound {
		t.Errorf("a factor that is not there = %d, want 404", a.status)
	}
	if a, _ := b.call("POST", "/mfa/verify/totp/begin",
		map[string]string{"factor": "none"}); a.status != http.StatusNotFound {
		t.Errorf("a factor that is not there = %d, want 404", a.status)
	}
	if a, _ := b.call("POST", "/mfa/verify/totp/begin", map[string]string{"factor": strings.Repeat("x",
		60_000)}); a.status != http.StatusNotFound {
		t.Errorf("a factor of 60 kB = %d, want 404", a.status)
	}
}

func TestNamesOfFactors(t *testing.T) {
	s := newSite(t)
	b := s.enrolled("alice")
	id := b.factor("totp")
	for _, c := range []struct{ name, label, want string }{
		{"plain", "Work phone", "Work phone"},
		{"outer spaces", "  Work phone\t", "Work phone"},
		{"markup", `<b onclick="x">"&'`, `<b onclick="x">"&'`},
		{"line breaks", "a\r\nBcc: b", "aBcc: b"},
		{"a terminal's escapes", "a\x1b[31mb\x00", "a[31mb"},
		{"another script", "Téléphone 電話 📱", "Téléphone 電話 📱"},
		{"100 characters", strings.Repeat("é", 100), strings.Repeat("é", 100)},
		{"101 characters", strings.Repeat("é", 101), ""},
		{"nothing", "", ""},
		{"spaces", "  \t ", ""},
		{"control characters alone", "\x00\x1b", ""},
	} {
		a, doc := b.call("POST", "/mfa/factors/"+id+"/rename", map[string]string{"label": c.label})
		if c.want == "" {
			if docWord(t, a) != "400 invalid-request" {
				t.Errorf("%s = %d %s, want 400", c.name, a.status, a.body)
			}
			continue
		}
		if a.status != http.StatusOK || inner(doc, "factor")["label"] != c.want {
			t.Errorf("%s = %d %s, want %q", c.name, a.status, a.body, c.want)
		}
		if home := b.get("/mfa/"); strings.Contains(home.body, "<b onclick") || !strings.Contains(text(home.body), c.want) &&
			c.name != "markup" {
			t.Errorf("%s: the page shows %q", c.name, text(home.body))
		}
	}
}
