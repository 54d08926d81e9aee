package e2e_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
)

// scriptFile is the one script of the product.
const scriptFile = "../pages/static/sallyport.js"

// csp is what the product's own pages are served with.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// small is a small site of static pages that use the script, with handlers that tests put in.
type small struct {
	t   testing.TB
	url string // http://localhost:PORT
	mux *http.ServeMux

	mu    sync.Mutex
	posts []post
}

// post is a request that a page has made.
type post struct{ path, body string }

func newSmall(t testing.TB) *small {
	t.Helper()
	s, listener := newSmallSite(t)
	s.url = fmt.Sprintf("http://localhost:%d", port(listener))
	return s
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// newSmallSite starts a small site. Without wrappers of its listener it speaks http.
func newSmallSite(t testing.TB, wrappers ...func(net.Listener) net.Listener) (*small, net.Listener) {
	t.Helper()
	script, err := os.ReadFile(scriptFile)
	if err != nil {
		t.Fatal(err)
	}
	s := &small{t: t, mux: http.NewServeMux()}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", csp)
		w.Header().Set("Cache-Control", "no-store")
		s.mux.ServeHTTP(w, r)
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrap := range wrappers {
		listener = wrap(listener)
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() }) // at once, whatever a browser or a handler is still waiting for
	s.mux.HandleFunc("GET /auth/mfa/static/sallyport.0a1b2c.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Write(script)
	})
	s.mux.HandleFunc("GET /icon.svg", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	})
	return s, listener
}

// page serves a page with this body.
func (s *small) page(path, body string) {
	s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { writePage(w, http.StatusOK, body) })
}

func writePage(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>Page</title><link rel="icon" href="/icon.svg">
<script src="/auth/mfa/static/sallyport.0a1b2c.js" defer></script></head><body>%s</body></html>`, body)
}

// takes answers POST requests with a function, and remembers them.
func (s *small) takes(path string, answer func(w http.ResponseWriter, body string)) {
	s.mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.posts = append(s.posts, post{path, string(body)})
		s.mu.Unlock()
		answer(w, string(body))
	})
}

// posted returns the bodies of the requests to a path.
func (s *small) posted(path string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, p := range s.posts {
		if p.path == path {
			list = append(list, p.body)
		}
	}
	return list
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func challenge() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64url(b)
}

// object is JSON to be changed by a test.
type object map[string]any

func creation() object {
	return object{"publicKey": object{
		"rp":        object{"id": "localhost", "name": "Small"},
		"user":      object{"id": base64url([]byte("handle of alice")), "name": "alice", "displayName": "Alice"},
		"challenge": challenge(), "timeout": 60000, "attestation": "none", "excludeCredentials": []object{},
		"pubKeyCredParams":       []object{{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}},
		"authenticatorSelection": object{"residentKey": "preferred", "userVerification": "preferred"},
	}}
}

func request() object {
	return object{"publicKey": object{
		"rpId": "localhost", "challenge": challenge(), "timeout": 60000, "userVerification": "preferred",
		"allowCredentials": []object{},
	}}
}

func (o object) with(name string, value any) object {
	o["publicKey"].(object)[name] = value
	return o
}

func (o object) text() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// ceremony is a form of a passkey ceremony.
func ceremony(kind string, prompt object) string {
	texts := ""
	for _, reason := range []string{"unsupported", "none", "cancelled", "timeout", "registered", "site", "failed"} {
		texts += fmt.Sprintf(` data-sallyport-text-%s="said: %s"`, reason, reason)
	}
	return fmt.Sprintf(`<form method="post" action="/done"
 data-sallyport="%s" data-sallyport-prompt="%s"%s data-sallyport-once>
<input type="hidden" name="ticket" value="a ticket"><input type="hidden" name="answer">
<button id="go">Go</button></form>`,
		kind, html.EscapeString(prompt.text()), texts)
}
