package sallyport_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// A site as it was before: somebody is signed in whose cookie says so.
func user(r *http.Request) (mfa.User, error) {
	c, err := r.Cookie("session")
	if err != nil || c.Value != "of alice" {
		return mfa.User{}, nil // a stranger
	}
	return mfa.User{ID: "17", Session: "her login of this morning", LoginAt: time.Now(), Name: "alice"}, nil
}

// oneKey stands for KeyFile, which keeps its key.
func oneKey() ([]mfa.Key, error) {
	key, err := mfa.NewKey(time.Now())
	return []mfa.Key{key}, err
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// load loads a page as alice's browser would.
func load(site http.Handler, path string) {
	r := httptest.NewRequest("GET", "http://localhost:8080"+path, nil)
	r.Header.Set("Accept", "text/html")
	r.AddCookie(&http.Cookie{Name: "session", Value: "of alice"})
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	place, _, _ := strings.Cut(w.Header().Get("Location"), "?")
	fmt.Println(strings.TrimSpace(fmt.Sprint(path, " ", w.Code, " ", place)))
}

// The whole site is behind the second door. Alice has no factor, so the zero policy lets her pass; the vault asks
// everybody for one, so there she is led to the page on which she adds hers.
func Example() {
	guard, err := sallyport.New(sallyport.Config{
		Origin: "http://localhost:8080",
		Store:  mfa.NewMemory(), // a real site has one of package sqlstore
		Keys:   oneKey,          // a real site has KeyFile
		User:   user,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/account", says("Hello, alice."))
	mux.Handle("/vault", guard.Require(mfa.Policy{Factors: 1})(says("Three gold rings.")))
	site := guard.Protect(mux)

	load(site, "/account")
	load(site, "/vault")
	// Output:
	// /account 200
	// /vault 303 /mfa/enroll
}

// Inside a handler a policy may depend on what is asked for.
func ExampleGuard_Check() {
	guard, err := sallyport.New(sallyport.Config{
		Origin: "http://localhost:8080", Store: mfa.NewMemory(), Keys: oneKey, User: user,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		policy := mfa.Policy{Factors: 1}
		if r.FormValue("amount") == "" {
			policy = mfa.Policy{}
		}
		if _, ok := guard.Check(w, r, policy); !ok {
			return // the response has been written
		}
		io.WriteString(w, "How much?")
	})
	site := guard.Protect(transfer)

	load(site, "/transfer")
	load(site, "/transfer?amount=100")
	// Output:
	// /transfer 200
	// /transfer?amount=100 303 /mfa/enroll
}

// A configuration that cannot work is refused, with every mistake on a line of its own.
func ExampleNew_mistakes() {
	_, err := sallyport.New(sallyport.Config{Origin: "http://example.com/", Store: mfa.NewMemory(), Keys: oneKey})
	fmt.Println(err)
	// Output:
	// sallyport: the configuration has mistakes:
	// Origin is "http://example.com/": plain http is for localhost only; give "https://example.com"
	// User is nil: give a function that returns who is signed in to the site
}
