package sallyport_test

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport"
	"sallyport/mfa"
)

// A form that is read is what net/url reads, with one valid text for each name.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"", "a=b", "ticket=x&answer=1+2", "a=b&a=c", "a[]=b", "a=%ff", "%ff=a", "a=%zz", "a;b=c",
		"=x", "&&", "a=%00", "é=é"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := sallyport.ParseForm(body)
		if err != nil {
			return
		}
		want, err := url.ParseQuery(string(body))
		if err != nil || len(want) != len(fields) {
			t.Fatalf("ParseForm(%q) = %q, but net/url says %v, %v", body, fields, want, err)
		}
		for name, values := range want {
			if got, ok := fields[name]; !ok || len(values) != 1 || got != values[0] || !utf8.ValidString(got) ||
				!utf8.ValidString(name) {
				t.Errorf("ParseForm(%q)[%q] = %q, want %q", body, name, got, values)
			}
		}
	})
}

// A document that is read is one valid flat object, with each name once, and what encoding/json reads.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":"b"}`, ` {"ticket" : "x","answer":"1"} `, `{"a":"b","a":"c"}`, `{"a":"b","\u0061":"c"}`, `{"a":["b"]}`,
		`{"a":1}`,
		`{"answer":{"id":"x","response":{"a":[1,2]}}}`, `{"answer":{}}{}`, `{"remember":true}`, `{"remember":false,"x":"y"}`,
		`{"remember":null}`,
		`null`, `[]`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a"}`, `{"a":}`, `{,}`, `{"a":"b",}`, `{"":""}`, `{"a":"b"}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := sallyport.ParseJSON(body)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil || want == nil || len(want) != len(fields) {
			t.Fatalf("ParseJSON(%q) = %q, but encoding/json says %q, %v", body, fields, want, err)
		}
		for name, got := range fields {
			value, ok := want[name]
			if !ok || !utf8.ValidString(got) {
				t.Fatalf("ParseJSON(%q) has the field %q", body, name)
			}
			var text string
			switch {
			case json.Unmarshal(value, &text) == nil && string(value) != "null":
				if got != text {
					t.Errorf("ParseJSON(%q)[%q] = %q, want %q", body, name, got, text)
				}
			case name == "answer" && value[0] == '{', name == "remember" &&
				(string(value) == "true" || string(value) == "false"):
				if got != string(value) {
					t.Errorf("ParseJSON(%q)[%q] = %q, want it as it came", body, name, got)
				}
			default:
				t.Errorf("ParseJSON(%q) takes %s for a text", body, value)
			}
		}
		// Written again by encoding/json, which has each name once, nothing is lost: no name was there twice.
		if n := topLevelNames(body); n != len(fields) {
			t.Errorf("ParseJSON(%q) has %d fields, the document %d", body, len(fields), n)
		}
	})
}

// topLevelNames counts the names in the outermost object of a valid document.
func topLevelNames(body []byte) int {
	d := json.NewDecoder(bytes.NewReader(body))
	depth, n, name := 0, 0, false
	for {
		token, err := d.Token()
		if err != nil {
			return n
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			name = depth == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if depth == 1 && name {
				n++
				name = false
				continue
			}
		}
		if depth == 1 {
			name = true
		}
	}
}

// whatwgHost returns the host to which a browser goes from https://site.example/dir/page for a Location, and whether it
// stays on https. It is the path of the URL Standard that matters here: trimming, removal of tab and newlines, schemes,
// and backslashes that count as slashes.
func whatwgHost(location string) (host string, same bool) {
	s := strings.TrimFunc(location, func(r rune) bool { return r <= ' ' })
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	s = strings.ReplaceAll(s, `\`, "/")
	if i := strings.IndexByte(s, ':'); i > 0 && !strings.ContainsAny(s[:i], "/?#") {
		return "another scheme", false
	}
	if !strings.HasPrefix(s, "//") {
		return "site.example", true
	}
	s = strings.TrimLeft(s, "/")
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s = s[:i]
	}
	return s[strings.LastIndexByte(s, '@')+1:], true
}

var awayPaths = []string{
	"//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/\t/evil.example", "/\n/evil.example",
	"\t//evil.example",
	"https://evil.example", "https:evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=y", "evil.example", "",
	"/\x00/evil.example",
	"//evil.example@site.example/", "/ /evil.example", " //evil.example", "/%09/evil.example", "/\u2028/x", "/\u00a0",
	"/\xff", "//", "/.//evil.example",
}

// Whatever text it is given, cleanSitePath returns a path that net/url and a browser read as one of this site.
func FuzzCleanSitePath(f *testing.F) {
	for _, seed := range append(awayPaths, "/", "/account?a=b&c=%2F#x", "/caf%C3%A9", "/a//b", "/..//x",
		"/"+strings.Repeat("x", 3000)) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		got := sallyport.CleanSitePath(p)
		if got != p && got != "/" {
			t.Fatalf("cleanSitePath(%q) = %q, want it unchanged or the front page", p, got)
		}
		checkSitePath(t, got)
	})
}

func checkSitePath(t *testing.T, p string) {
	t.Helper()
	if host, same := whatwgHost(p); host != "site.example" || !same {
		t.Fatalf("%q leads a browser to %q", p, host)
	}
	base, _ := url.Parse("https://site.example/dir/page")
	u, err := base.Parse(p)
	if err != nil || u.Host != "site.example" || u.Scheme != "https" || u.User != nil || u.Opaque != "" {
		t.Fatalf("%q leads net/url to %v, %v", p, u, err)
	}
	if len(p) > 2048 || strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		t.Fatalf("%q cannot stand in a header", p)
	}
	w := http.Header{}
	w.Set("Location", p)
	var b bytes.Buffer
	if err := w.Write(&b); err != nil || b.String() != "Location: "+p+"\r\n" {
		t.Fatalf("%q becomes the header %q", p, b.String())
	}
}

func TestPathsThatLeadAway(t *testing.T) {
	for _, p := range awayPaths {
		checkSitePath(t, sallyport.CleanSitePath(p))
	}
	for _, p := range []string{"//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "/a\r\nb"} {
		if got := sallyport.CleanSitePath(p); got != "/" {
			t.Errorf("cleanSitePath(%q) = %q, want the front page", p, got)
		}
		if host, same := whatwgHost(p); host == "site.example" && same && !strings.Contains(p, "\r") {
			t.Errorf("the second reading thinks that %q stays", p)
		}
	}
}

// A way that was sealed with any path leads to this site: it is judged where it is used. Nothing else opens.
func FuzzOpenWay(f *testing.F) {
	g, err := sallyport.New(soundConfig(f))
	if err != nil {
		f.Fatal(err)
	}
	u := mfa.User{ID: "alice", Session: "1"}
	for _, seed := range awayPaths {
		f.Add(seed, "enroll/totp", 2)
	}
	f.Fuzz(func(t *testing.T, path, step string, strength int) {
		sealed, err := g.SealWay(u, path, step, strength)
		if err != nil {
			t.Fatal(err)
		}
		place, ok := g.OpenWay(u, sealed)
		checkSitePath(t, place)
		if short := len(path) <= 1000 && len(step) <= 1000; short && !ok {
			t.Errorf("a way to %q does not open", path)
		}
		if _, ok := g.OpenWay(mfa.User{ID: "bob", Session: "1"}, sealed); ok {
			t.Error("a way opens for another user")
		}
		if _, ok := g.OpenWay(mfa.User{ID: "alice", Session: "2"}, sealed); ok {
			t.Error("a way opens for another login")
		}
		for _, text := range []string{path, step, sealed + "A", sealed[1:], strings.ToLower(sealed)} {
			if place, ok := g.OpenWay(u, text); ok && text != sealed {
				t.Errorf("%q opens as a way to %q", text, place)
			}
		}
	})
}

// What is decoded is encoded to the same bytes, so each list has one form.
func FuzzDecodeKnown(f *testing.F) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for n := range 6 {
		f.Add(sallyport.KnownBytes(n, at))
	}
	f.Add([]byte{2})
	f.Add(sallyport.KnownBytes(2, at)[:50])
	f.Fuzz(func(t *testing.T, b []byte) {
		again, users, err := sallyport.ReencodeKnown(b)
		if err == nil && (!bytes.Equal(again, b) || users > 4) {
			t.Errorf("decodeKnown(%x) has %d users and is encoded to %x", b, users, again)
		}
	})
}

// The value of a cookie is the one that net/http finds first, where that accepts it at all.
func FuzzCookieValue(f *testing.F) {
	for _, seed := range []string{
		"a=b", "a=b; c=d", "c=d; a=b", "a=1; a=2", "a", "a=", "=b", ";;a=b", " a=b ", "a =b", "aa=1;a=2", `a="b"`, "a=b=c",
		"A=b", "a=b;\ta=c", "a=\xff",
	} {
		f.Add(seed, "")
		f.Add("x=y", seed)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		lines := []string{one, two}
		if blankBeforeEquals.MatchString(one + ";" + two) {
			return // net/http takes the blank for no part of the name, and no browser sends it
		}
		got := sallyport.CookieIn("a", lines...)
		want := ""
		for _, c := range (&http.Request{Header: http.Header{"Cookie": lines}}).Cookies() {
			if c.Name == "a" {
				if want = c.Value; c.Quoted {
					want = `"` + c.Value + `"`
				}
				break
			}
		}
		if want != "" && got != want && sealedLetters(got) {
			t.Errorf("cookieValue(%q) = %q, net/http finds %q", lines, got, want)
		}
		if strings.ContainsAny(got, ";") {
			t.Errorf("cookieValue(%q) = %q", lines, got)
		}
	})
}

var blankBeforeEquals = regexp.MustCompile(`\s=`)

// sealedLetters reports whether s could be the value of a cookie of ours.
func sealedLetters(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// The media type of a body is one that the standard library reads, or it is none.
func FuzzMediaType(f *testing.F) {
	for _, seed := range []string{
		"", "application/json", "Application/JSON; charset=utf-8", "application/x-www-form-urlencoded", "text/plain", ";",
		"a/b;c", "application/json,text/html", "\xff/a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := sallyport.MediaTypeOf(line)
		want, _, err := mime.ParseMediaType(line)
		if err != nil {
			want = "?"
		}
		if got != want {
			t.Errorf("mediaType(%q) = %q, want %q", line, got, want)
		}
		if two := sallyport.MediaTypeOf(line, "application/json"); two != "?" {
			t.Errorf("mediaType of two lines = %q, want none", two)
		}
	})
}

// Accept names a type if one of its parts is that type, whatever parameters follow.
func FuzzAccepts(f *testing.F) {
	for _, seed := range []string{"", "application/json", "text/html, application/json;q=0.5", "*/*", " APPLICATION/JSON ",
		"application/jsonx", ",,", ";application/json"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := sallyport.AcceptsIn("application/json", "text/plain", line)
		want := false
		for _, part := range strings.Split(line, ",") {
			name := strings.TrimSpace(strings.SplitN(part, ";", 2)[0])
			want = want || strings.EqualFold(name, "application/json")
		}
		if got != want {
			t.Errorf("accepts(%q) = %v, want %v", line, got, want)
		}
	})
}

// Keys that are read make a ring, and an error never repeats a long word of the file.
func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{
		"", "# x", "k " + keyText(1), "k " + keyText(1) + "\nl " + keyText(2) + "\n", "k " + keyText(1) + "\nk " + keyText(2),
		keyText(1) + " k",
		"k " + strings.Repeat("A", 43), "k\t" + keyText(3) + "\r\n", "\ufeffk " + keyText(1), "k " + keyText(1)[:40], "k x y",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return // each line makes a ring of all before it
		}
		keys, err := sallyport.ParseKeys(text)
		if err != nil {
			for _, word := range strings.Fields(string(text)) {
				if len(word) > 32 && strings.Contains(err.Error(), word) {
					t.Errorf("parseKeys repeats %q: %v", word, err)
				}
			}
			return
		}
		if _, err := mfa.NewRing(keys...); err != nil {
			t.Errorf("parseKeys(%q) is no ring: %v", text, err)
		}
		var again strings.Builder
		for _, k := range keys {
			again.WriteString(strings.ReplaceAll(fingerprint([]mfa.Key{k}), "=", " ") + "\n")
		}
		if same, err := sallyport.ParseKeys([]byte(again.String())); err != nil || fingerprint(same) != fingerprint(keys) {
			t.Errorf("parseKeys of %q written again = %v", text, err)
		}
	})
}
