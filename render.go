package sallyport

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
	"strconv"
	"strings"
	"time"

	"sallyport/mfa"
)

//go:embed pages
var files embed.FS

// pages are the templates, the messages and the static files, read once.
type pages struct {
	messages  map[string]string
	templates map[string]*template.Template
	static    map[string]staticFile // by hashed name
	names     map[string]string     // hashed name, by plain name
}

type staticFile struct {
	mediaType string
	content   []byte
}

// page is what every template gets.
type page struct {
	Title string // of the page, and its one heading
	Error string // what was wrong with the last answer
	Main  any    // the template's own

	Signal *signal // what the browser is told about its passkeys; nil: nothing

	Site, Path, Home string
	UserName         string
	Cancel           string // address where a pending login is given up; "": none is
	Support          string
}

func newPages(ownPath string) (*pages, error) {
	p := &pages{templates: map[string]*template.Template{}, static: map[string]staticFile{}, names: map[string]string{}}
	text, err := files.ReadFile("pages/messages.en.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &p.messages); err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	if err := p.readStatic(); err != nil {
		return nil, err
	}
	return p, p.readTemplates(ownPath)
}

func (p *pages) readStatic() error {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	list, err := files.ReadDir("pages/static")
	if err != nil {
		return err
	}
	for _, entry := range list {
		content, err := files.ReadFile("pages/static/" + entry.Name())
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(entry.Name())
		if types[ext] == "" {
			continue // not for browsers
		}
		hashed := strings.TrimSuffix(entry.Name(), ext) + "." + hex.EncodeToString(sum[:8]) + ext
		p.static[hashed] = staticFile{types[ext], content}
		p.names[entry.Name()] = hashed
	}
	return nil
}

// readTemplates reads each page beside the layout and the parts that all may use.
func (p *pages) readTemplates(ownPath string) error {
	shared, err := template.New("layout.html").Funcs(template.FuncMap{
		"say":     p.say,
		"static":  func(name string) string { return ownPath + "static/" + p.names[name] },
		"groups":  groups,
		"picture": picture,
		"otpauth": otpauth,
		"json":    jsonOf,
		"day":     func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(files, "pages/layout.html", "pages/parts.html")
	if err != nil {
		return err
	}
	list, err := files.ReadDir("pages/main")
	if err != nil {
		return err
	}
	for _, entry := range list {
		set, err := shared.Clone()
		if err != nil {
			return err
		}
		if _, err := set.ParseFS(files, "pages/main/"+entry.Name()); err != nil {
			return err
		}
		p.templates[strings.TrimSuffix(entry.Name(), ".html")] = set
	}
	return nil
}

// jsonOf is a value as attributes carry it to the script.
func jsonOf(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

// say returns a message, with the pairs of names and values put in. A count of one picks the message's singular.
func (p *pages) say(key string, pairs ...any) string {
	text, ok := p.messages[key]
	for i := 0; i+1 < len(pairs); i += 2 {
		if n, counts := pairs[i+1].(int); counts && n == 1 && pairs[i] == "count" {
			if singular, has := p.messages[key+".one"]; has {
				text, ok = singular, true
			}
		}
	}
	if !ok {
		return key
	}
	if len(pairs) == 0 {
		return text
	}
	replacements := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		replacements = append(replacements, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return strings.NewReplacer(replacements...).Replace(text)
}

// sayOr returns the first message if there is one, else the second.
func (p *pages) sayOr(key, fallback string) string {
	if _, ok := p.messages[key]; ok {
		return p.say(key)
	}
	return p.say(fallback)
}

// render writes a page. Nothing is sent before the whole of it could be made.
func (g *Guard) render(w http.ResponseWriter, r *http.Request, status int, name string, p *page) {
	p.Site, p.Path, p.Home, p.Support = g.c.Name, g.c.Path, "/", g.c.Support
	if _, pending := g.challengeIn(r); pending && g.isDoor(r.URL.Path) {
		p.Cancel = g.c.Path + "cancel"
	}
	var body bytes.Buffer
	if err := g.pages.templates[name].ExecuteTemplate(&body, "layout.html", p); err != nil {
		g.c.Log.Error("sallyport: making a page", "page", name, "error", err)
		http.Error(w, g.pages.say("problem.misconfigured.title"), http.StatusInternalServerError)
		return
	}
	ourHeaders(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

// action is a link that leads on.
type action struct{ Text, URL string }

// problemMain is a page that says what was wrong and what to do next.
type problemMain struct {
	Text    string
	Seconds int // until it is worth trying again
	Wait    string
	Actions []action
}

// problemPage writes a problem as a page; c is nil where nobody is known.
func (g *Guard) problemPage(w http.ResponseWriter, r *http.Request, p *problem, c *caller) {
	main := problemMain{Text: g.pages.say(p.textKey(), p.args...), Actions: g.wayOut(p, c)}
	if p.retryAfter > 0 && p.status == http.StatusTooManyRequests {
		main.Seconds, main.Wait = seconds(p.retryAfter), g.wait(p.retryAfter)
	}
	g.problemHeaders(w, p)
	title := g.pages.say("problem." + p.name + ".title")
	g.render(w, r, p.status, "problem", &page{Title: title, Main: main, Signal: p.signal})
}

// wayOut are the links of a problem's page, so that it is no dead end.
func (g *Guard) wayOut(p *problem, c *caller) []action {
	say := func(key, url string) action { return action{g.pages.say(key), url} }
	var list []action
	if c != nil && c.User.SignedIn() {
		switch p.name {
		case nameNoTicket, nameWrongAnswer:
			list = append(list, say("action.start-again", g.link("verify", "back", c.back)))
			if c.back != "" && c.way.Step == "" {
				list = append(list, say("action.continue", c.way.place()))
			}
		case nameTooMany:
			list = append(list, say("action.another-way", g.link("verify", "choose", "1", "back", c.back)))
		}
		if c.challenge == nil {
			list = append(list, say("action.home", g.c.Path))
		}
	}
	if c != nil && c.signsIn && p.name == nameNoTicket {
		list = append(list, say("action.start-again", g.c.Path+signInPlace))
	}
	if p.name == nameMustSignIn {
		list = append(list, say("action.sign-in", g.c.Login))
	}
	list = append(list, say("action.site", "/"))
	if g.c.Support != "" {
		list = append(list, say("action.support", g.c.Support))
	}
	return list
}

// wait says how long, in the largest units that matter.
func (g *Guard) wait(d time.Duration) string {
	n := seconds(d)
	switch {
	case n < 120:
		return g.pages.say("wait.seconds", "count", n)
	case n < 2*3600:
		return g.pages.say("wait.minutes", "count", (n+59)/60)
	case n < 2*86400:
		return g.pages.say("wait.hours", "count", (n+3599)/3600)
	}
	return g.pages.say("wait.days", "count", (n+86399)/86400)
}

// methodName is what people call a method.
func (g *Guard) methodName(method string) string {
	if _, ok := g.pages.messages["method."+method]; !ok {
		return method
	}
	return g.pages.say("method." + method)
}

// factorName is what people call a factor.
func (g *Guard) factorName(f mfa.Factor) string {
	if f.Label != "" {
		return f.Label
	}
	return g.methodName(f.Method)
}

// explain is the page of a problem's type.
func (g *Guard) explain(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	for _, known := range problemNames() {
		if known == name {
			p := &problem{name: name}
			if wantsJSON(r) {
				g.writeJSON(w, r, http.StatusOK, "application/json", map[string]any{
					"type": g.c.Path + "problems/" + name, "title": g.pages.say("problem." + name + ".title"),
					"detail": g.pages.say(p.textKey()),
				})
				return
			}
			main := problemMain{Text: g.pages.say(p.textKey()), Actions: g.wayOut(p, nil)}
			g.render(w, r, http.StatusOK, "problem", &page{Title: g.pages.say("problem." + name + ".title"), Main: main})
			return
		}
	}
	g.refuse(w, r, notFound())
}

func itoa(n int) string { return strconv.Itoa(n) }
