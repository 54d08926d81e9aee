package demo

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"sallyport"
	"sallyport/mfa"
)

//go:embed templates assets
var files embed.FS

// pages are the templates and what they refer to.
type pages struct {
	templates *template.Template
	assets    map[string]asset // by hashed name
	names     map[string]string
}

type asset struct {
	mediaType string
	body      []byte
}

func newPages() (*pages, error) {
	p := &pages{assets: map[string]asset{}, names: map[string]string{}}
	for name, mediaType := range map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		body, err := files.ReadFile("assets/" + name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		ext := path.Ext(name)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		p.assets[hashed], p.names[name] = asset{mediaType, body}, "/assets/"+hashed
	}
	var err error
	p.templates, err = template.New("").Funcs(template.FuncMap{
		"asset": func(name string) string { return p.names[name] },
		"time":  func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") },
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(files, "templates/*.html")
	return p, err
}

// asset serves a file whose name changes when it does, so browsers may keep it.
func (s *site) asset(w http.ResponseWriter, r *http.Request) error {
	a, ok := s.pages.assets[r.PathValue("name")]
	if !ok {
		return refuse(http.StatusNotFound, "there is no such file")
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", a.mediaType)
	w.Write(a.body)
	return nil
}

// frame is what every template gets.
type frame struct {
	Title  string
	Path   string
	Person *person // nil: a stranger
	Pages  []private
	Body   any
}

// render writes a page.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) error {
	f := frame{Title: title, Path: r.URL.Path, Pages: privates(), Body: body}
	in, err := s.session(r)
	if err == nil { // a page that says that the database is away can do without a name
		if p, ok := find(in.Username); ok {
			f.Person = &p
		}
	}
	var b bytes.Buffer
	if err := s.pages.templates.ExecuteTemplate(&b, name, f); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
	return nil
}

func (s *site) home(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, "home", "Sallyport demo", people())
}

// help is where pages of the guard lead who has no way in left.
func (s *site) help(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, "help", "Help", nil)
}

// privatePage is what the template "private" shows.
type privatePage struct {
	private
	User     mfa.User
	Canary   string
	Decision mfa.Decision
}

// showPrivate is a page that the guard has let somebody through to.
func (s *site) showPrivate(p private) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		u, err := s.user(r)
		if err != nil {
			return err
		}
		decision, ok := sallyport.DecisionFrom(r.Context())
		if !ok || decision.Action != mfa.Allow || !u.SignedIn() {
			return refuse(http.StatusForbidden, "nobody was let through to this page")
		}
		canary := "canary:" + p.Path[1:] + ":" + u.Name
		if wantsJSON(r) {
			return writeJSON(w, http.StatusOK, map[string]string{"page": p.Path[1:], "user": u.Name, "text": canary})
		}
		return s.render(w, r, http.StatusOK, "private", p.Title, privatePage{p, u, canary, decision})
	}
}

// headers are those of every answer.
func headers(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "+
		"img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept, Cookie")
}

// wantsJSON reports whether a client asks for a document, not a page.
func wantsJSON(r *http.Request) bool {
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), "application/json") {
				return true
			}
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
	return nil
}
