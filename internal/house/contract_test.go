package house

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport"
	"sallyport/mfa"
)

var (
	contractRoute   = regexp.MustCompile("`(GET|POST) (/mfa/[^`?]*)")
	contractProblem = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| [0-9]{3} \\|")
)

// What docs/http.md promises is there: each route, and a page for each problem.
func TestTheContractNamesWhatIsServed(t *testing.T) {
	site := guarded(t)
	text := read(t, "docs/http.md")
	routes := contractRoute.FindAllStringSubmatch(text, -1)
	problems := contractProblem.FindAllStringSubmatch(text, -1)
	if len(routes) < 15 || len(problems) < 10 {
		t.Fatalf("docs/http.md names %d routes and %d problems, want all of them", len(routes), len(problems))
	}
	fill := strings.NewReplacer("{method}", "totp", "{id}", "1", "{name}", "no-ticket")
	for _, m := range routes {
		method, path := m[1], fill.Replace(m[2])
		a := ask(site, "PROPFIND", path) // what nothing serves is 405 where something else would be served
		if allow := strings.Split(a.Header().Get("Allow"), ", "); !slices.Contains(allow, method) {
			t.Errorf("docs/http.md names %s %s; PROPFIND there = %d, Allow %q", method, path, a.Code, allow)
		}
	}
	for _, m := range problems {
		if a := ask(site, "GET", "/mfa/problems/"+m[1]); a.Code != http.StatusOK {
			t.Errorf("docs/http.md names the problem %s; its page = %d, want 200", m[1], a.Code)
		}
	}
}

// guarded is an empty site behind a guard.
func guarded(t *testing.T) http.Handler {
	t.Helper()
	key, err := mfa.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	guard, err := sallyport.New(sallyport.Config{
		Origin: "https://example.com",
		Store:  mfa.NewMemory(),
		Keys:   func() ([]mfa.Key, error) { return []mfa.Key{key}, nil },
		User:   func(*http.Request) (mfa.User, error) { return mfa.User{}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return guard.Protect(http.NotFoundHandler())
}

func ask(site http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest(method, "https://example.com"+path, nil))
	return w
}
