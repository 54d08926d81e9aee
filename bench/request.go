package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"sallyport"
	"sallyport/mfa"
)

// requestRows compare one request of somebody who has proved a factor with the same request to the bare handler, and
// with what a session library adds to it. The site's own User costs nothing here, so that only the guard is measured.
func requestRows() ([]row, error) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write(canary)
	})
	guarded, proved, err := guardedSite(page)
	if err != nil {
		return nil, err
	}
	sessions, signedIn, err := sessionSite(page)
	if err != nil {
		return nil, err
	}
	bare := side{"the bare handler", serve(page, request(nil))}
	guard := side{"a protected request, account cached, proved", serve(guarded, proved)}
	above := side{"the same, above the bare handler", guard.run}
	library := side{"a session library (scs, in memory), above the bare handler", serve(sessions, signedIn)}
	return []row{
		{ours: guard, theirs: bare},
		{ours: above, theirs: library, floor: &bare},
	}, nil
}

var canary = []byte("canary")

// serve measures a handler without a network. Every answer must be the page.
func serve(h http.Handler, r *http.Request) func(*testing.B) {
	return func(b *testing.B) {
		w := &response{header: http.Header{}}
		for b.Loop() {
			clear(w.header)
			w.wrote = nil
			h.ServeHTTP(w, r)
			if !bytes.Equal(w.wrote, canary) {
				b.Fatalf("the answer is %q, want the page", w.wrote)
			}
		}
	}
}

// response is a http.ResponseWriter that costs nothing.
type response struct {
	header http.Header
	wrote  []byte
}

func (w *response) Header() http.Header         { return w.header }
func (w *response) WriteHeader(int)             {}
func (w *response) Write(p []byte) (int, error) { w.wrote = p; return len(p), nil }

// request is what a browser sends to open a page.
func request(cookies []*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://localhost:8080/account", nil)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// guardedSite wraps a page and returns the request of alice, who has enrolled an authenticator app by that.
func guardedSite(page http.Handler) (http.Handler, *http.Request, error) {
	alice := mfa.User{ID: "alice", Name: "alice", Session: "login-1", LoginAt: time.Now()}
	key, err := mfa.NewKey(time.Now())
	if err != nil {
		return nil, nil, err
	}
	guard, err := sallyport.New(sallyport.Config{
		Origin: "http://localhost:8080",
		Store:  mfa.NewMemory(),
		Keys:   func() ([]mfa.Key, error) { return []mfa.Key{key}, nil },
		User:   func(*http.Request) (mfa.User, error) { return alice, nil },
		Notify: func(context.Context, sallyport.Notice) error { return nil },
	})
	if err != nil {
		return nil, nil, err
	}
	site := guard.Protect(page)
	cookies, err := enroll(site)
	return site, request(cookies), err
}

// enroll adds an authenticator app over the JSON API and returns the cookies that prove it.
func enroll(site http.Handler) ([]*http.Cookie, error) {
	var begun struct {
		Ticket string
		Prompt struct{ Secret string }
	}
	if _, err := post(site, "/mfa/enroll/totp/begin", map[string]string{}, &begun); err != nil {
		return nil, err
	}
	code, err := codeOf(begun.Prompt.Secret, time.Now())
	if err != nil {
		return nil, err
	}
	var done struct{ Next string }
	return post(site, "/mfa/enroll/totp", map[string]string{"ticket": begun.Ticket, "answer": code}, &done)
}

func post(site http.Handler, path string, body, into any) ([]*http.Cookie, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, bytes.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	if w.Code/100 != 2 {
		return nil, fmt.Errorf("POST %s: %d %s", path, w.Code, w.Body)
	}
	return w.Result().Cookies(), json.Unmarshal(w.Body.Bytes(), into)
}

// sessionSite wraps a page with a session library and returns the request of somebody with a session.
func sessionSite(page http.Handler) (http.Handler, *http.Request, error) {
	sessions := scs.New()
	site := sessions.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			sessions.Put(r.Context(), "user", "alice")
			return
		}
		if sessions.GetString(r.Context(), "user") == "alice" {
			page.ServeHTTP(w, r)
		}
	}))
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://localhost:8080/login", nil))
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		return nil, nil, errors.New("the session library has set no cookie")
	}
	return site, request(cookies), nil
}
