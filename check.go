package sallyport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/mfa"
	"sallyport/passkey"
)

// ConfigError is what New returns when the configuration cannot work: every mistake on a line of its own, each with the
// field, what was found and what would do.
type ConfigError struct{ mistakes error }

// Error lists the mistakes.
func (e *ConfigError) Error() string {
	return "sallyport: the configuration has mistakes:\n" + e.mistakes.Error()
}

// Unwrap returns the mistakes, joined.
func (e *ConfigError) Unwrap() error { return e.mistakes }

// storeTime is how long a store may take to say whether it is fit for use.
const storeTime = 10 * time.Second

func (c Config) withDefaults() Config {
	c.Path = cmp.Or(c.Path, "/mfa/")
	c.Login = cmp.Or(c.Login, "/login")
	if u, err := url.Parse(c.Origin); err == nil {
		c.Name = cmp.Or(c.Name, u.Host)
	}
	c.Log = orDefaultLog(c.Log)
	if c.Methods == nil {
		c.Methods = c.defaultMethods()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// defaultMethods are the methods of a site that names none. Passkeys belong to the host that is in Origin today: a site
// that may move to another one names its methods.
func (c Config) defaultMethods() []mfa.Method {
	light := []mfa.Method{mfa.TOTP{Issuer: c.Name}, mfa.Recovery{}}
	u, err := url.Parse(c.Origin)
	if err != nil || checkOrigin(c.Origin) != nil {
		return light // told by checkAddresses
	}
	keys, err := passkey.New(passkey.Config{RPID: u.Hostname(), RPName: c.Name, Origins: []string{c.Origin}})
	if err != nil {
		c.Log.Info("sallyport: passkeys are left out, since browsers have none for this origin", "origin", c.Origin, "reason", err)
		return light
	}
	return append([]mfa.Method{keys}, light...)
}

// checkAddresses checks what says where things are.
func (c Config) checkAddresses() []error {
	return []error{checkOrigin(c.Origin), checkPath(c.Path), c.checkLogin(), checkSupport(c.Support), checkName(c.Name)}
}

// checkParts checks what must be there.
func (c Config) checkParts() []error {
	var mistakes []error
	if c.Store == nil {
		mistakes = append(mistakes, errors.New("Store is nil: give one from package sqlstore, or mfa.NewMemory() for a test"))
	}
	if c.User == nil {
		mistakes = append(mistakes, errors.New("User is nil: give a function that returns who is signed in to the site"))
	}
	if c.Remember < 0 || c.Remember > mfa.MaxRemember {
		mistakes = append(mistakes, fmt.Errorf("Remember is %v: give at most %v, or zero for no remembered browsers", c.Remember, mfa.MaxRemember))
	}
	for i, m := range c.Methods {
		mistakes = append(mistakes, checkMethod(i+1, m))
	}
	return mistakes
}

// checkMethod checks what the engine takes for granted of one of Methods. Its name is a part of URLs.
func checkMethod(number int, m mfa.Method) error {
	if m == nil {
		return fmt.Errorf("Methods: number %d is nil: leave it out", number)
	}
	name, err := guarded("its Name", func() (string, error) { return m.Name(), nil })
	switch {
	case err != nil:
		return fmt.Errorf("Methods: number %d is a nil %T: leave it out, or make it", number, m)
	case !isMethodName(name):
		return fmt.Errorf(`Methods: number %d is called %q: give 1 to 32 lower-case letters, digits and "-"`, number, name)
	}
	return nil
}

func isMethodName(name string) bool {
	plain := func(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' }
	return name != "" && len(name) <= 32 && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) })
}

// soundMethods are those that have a name, for the checks of what else may be wrong.
func (c Config) soundMethods() []mfa.Method {
	var list []mfa.Method
	for i, m := range c.Methods {
		if checkMethod(i+1, m) == nil {
			list = append(list, m)
		}
	}
	return list
}

// checkOrigin accepts what a browser would write as the origin of a page, and nothing else.
func checkOrigin(origin string) error {
	if origin == "" {
		return errors.New(`Origin is empty: give where browsers reach the site, as in "https://example.com"`)
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf(`Origin is %q: give scheme and host, as in "https://example.com"`, origin)
	}
	if u.Scheme == "http" && !isLocalhost(u.Hostname()) {
		return fmt.Errorf("Origin is %q: plain http is for localhost only; give %q", origin, "https://"+strings.ToLower(u.Host))
	}
	want := u.Scheme + "://" + strings.ToLower(withoutDefaultPort(u))
	if origin != want {
		return fmt.Errorf("Origin is %q: give scheme and host only, in lower case and without a default port: %q", origin, want)
	}
	if strings.ContainsFunc(u.Hostname(), func(r rune) bool { return !isHostRune(r) }) {
		return fmt.Errorf(`Origin is %q: give the host in its ASCII form, as browsers send it ("xn--..." for another script)`,
			origin)
	}
	if !isPort(u.Port()) {
		return fmt.Errorf("Origin is %q: give a port from 1 to 65535, without leading zeros", origin)
	}
	return nil
}

// isPort reports whether a browser would write port as it is, if it writes one.
func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// isHostRune reports what a name, an IPv4 or an IPv6 address is made of.
func isHostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_' || r == ':'
}

func withoutDefaultPort(u *url.URL) string {
	if u.Port() == "" || u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		host := u.Hostname()
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return u.Host
}

func isLocalhost(host string) bool {
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func checkPath(p string) error {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/-_.", r))
	}
	switch {
	case !strings.HasPrefix(p, "/"), !strings.HasSuffix(p, "/"), p == "/":
		return fmt.Errorf(`Path is %q: give a folder with a slash at both ends, as in "/mfa/"`, p)
	case path.Clean(p)+"/" != p, strings.ContainsFunc(p, func(r rune) bool { return !plain(r) }):
		return fmt.Errorf(`Path is %q: give plain letters, digits, "-", "_" and "." between single slashes, as in "/mfa/"`, p)
	}
	return nil
}

func (c Config) checkLogin() error {
	login, ownPath := c.Login, c.Path
	switch {
	case login == ownPath+signInPlace && c.SignIn != nil && c.Directory != nil && passkeyMethod(c.Methods) != nil:
		return nil // our own page
	case cleanSitePath(login) != login, strings.ContainsAny(login, "?#"):
		return fmt.Errorf(`Login is %q: give the path of the site's sign-in page, as in "/login"`, login)
	case checkPath(ownPath) == nil && strings.HasPrefix(login+"/", ownPath):
		return fmt.Errorf("Login is %q, under Path, where the site's own pages cannot be: give another", login)
	}
	return nil
}

func checkSupport(support string) error {
	if support == "" || cleanSitePath(support) == support {
		return nil
	}
	u, err := url.Parse(support)
	if err == nil && (u.Scheme == "https" && u.Host != "" || u.Scheme == "mailto" && u.Opaque != "") {
		return nil
	}
	return fmt.Errorf(`Support is %q: give a path of the site, an https URL or a mailto URL`, support)
}

func checkName(name string) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > mfa.MaxLabel || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("Name is %q: give at most %d characters without line breaks", name, mfa.MaxLabel)
	}
	return nil
}

// readKeys makes the ring.
func (g *Guard) readKeys() error {
	if g.c.Keys == nil {
		return errors.New(`Keys is nil: give KeyFile("sallyport.keys"), or a function that fetches the keys from where you keep them`)
	}
	keys, err := guarded("Keys", g.c.Keys)
	if err != nil {
		return err
	}
	g.ring, err = mfa.NewRing(keys...)
	if err != nil {
		return fmt.Errorf("Keys: %w", err)
	}
	return nil
}

// makeEngine reports what the engine finds wrong with the rest, also when store or keys are missing, and asks the
// store whether it is fit for use.
func (g *Guard) makeEngine() error {
	if g.c.Store == nil || g.ring == nil || len(g.c.soundMethods()) < len(g.c.Methods) {
		return errors.Join(g.checkWithout(), g.checkStore())
	}
	var err error
	g.engine, err = mfa.NewEngine(g.engineConfig(g.c.Store, g.ring))
	return errors.Join(err, g.checkStore())
}

// checkWithout checks what of the engine's configuration does not depend on what is missing.
func (g *Guard) checkWithout() error {
	key, err := mfa.NewKey(time.Unix(0, 0))
	if err != nil {
		return err
	}
	ring, err := mfa.NewRing(key)
	if err != nil {
		return err
	}
	c := g.engineConfig(mfa.NewMemory(), ring)
	if sound := g.c.soundMethods(); len(sound) > 0 {
		c.Methods = sound
	} else if len(g.c.Methods) > 0 { // told by checkParts
		c.Methods = []mfa.Method{mfa.Recovery{}}
	}
	_, err = mfa.NewEngine(c)
	return err
}

func (g *Guard) engineConfig(s mfa.Store, ring *mfa.Ring) mfa.EngineConfig {
	return mfa.EngineConfig{
		Store: guardedStore{s}, Ring: ring, Methods: g.c.Methods, Origin: g.c.Origin, Recheck: g.c.Recheck,
		KeepSessions: g.c.KeepSessions, Hook: g.tell, Now: g.c.Now, Log: g.c.Log,
	}
}

func (g *Guard) checkStore() error {
	s, ok := g.c.Store.(storeChecker)
	if !ok || g.ring == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	answer := make(chan error, 1)
	go func() { // a store that does not look at its context would keep the site from starting, and from saying why
		_, err := guarded("Store.Check", func() (struct{}, error) {
			return struct{}{}, s.Check(ctx, g.ring.IDs(), g.c.Now())
		})
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("Store.Check has not answered within %v: is the database there?", storeTime)
	}
}

// registerOpen makes the mux that knows what is open.
func (g *Guard) registerOpen() error {
	var mistakes []error
	for i, pattern := range g.c.Open {
		if slices.Contains(g.c.Open[:i], pattern) {
			mistakes = append(mistakes, fmt.Errorf("Open: %q is there twice: leave one out", pattern))
			continue
		}
		mistakes = append(mistakes, g.openPattern(pattern))
	}
	return errors.Join(mistakes...)
}

func (g *Guard) openPattern(pattern string) (err error) {
	_, place, found := strings.Cut(pattern, " ")
	if place = strings.TrimLeft(place, " \t"); !found {
		place = pattern
	}
	switch {
	case !strings.HasPrefix(place, "/"):
		return fmt.Errorf(`Open: %q: give a path, perhaps behind a method, as in "POST /logout"; a host is what a request says, and opens nothing`, pattern)
	case place == "/", strings.HasPrefix(place, "/{") && strings.HasSuffix(place, "...}") && strings.Count(place, "/") == 1:
		return fmt.Errorf(`Open: %q opens the whole site: give "/{$}" for the home page alone`, pattern)
	}
	defer func() {
		if p := recover(); p != nil {
			why := strings.ReplaceAll(fmt.Sprint(p), "\n", " ")
			err = fmt.Errorf("Open: %q is no pattern that http.ServeMux takes beside the others: %s", pattern, why)
		}
	}()
	if g.open == nil {
		g.open = http.NewServeMux()
	}
	g.open.Handle(pattern, opened{})
	g.openHints = append(g.openHints, hintOf(place))
	return nil
}

// openHint is what every path that an open pattern matches begins with, or is: most requests are told apart by it
// without asking the mux.
type openHint struct {
	begins string
	whole  bool
}

func hintOf(place string) openHint {
	if strings.Contains(place, "%") {
		return openHint{}
	}
	begins, wild, found := strings.Cut(place, "{")
	return openHint{begins, !found && !strings.HasSuffix(place, "/") || wild == "$}"}
}

func (h openHint) fits(p string) bool {
	return p == h.begins || !h.whole && strings.HasPrefix(p, h.begins)
}

// opened marks what Config.Open matches.
type opened struct{}

func (opened) ServeHTTP(http.ResponseWriter, *http.Request) {}

// isOpen reports whether Config.Open matches r directly. Spellings that a router behind might read as another path
// (dots, double slashes, anything encoded that need not be) are never open.
func (g *Guard) isOpen(r *http.Request) bool {
	mayBe := func(h openHint) bool { return h.fits(r.URL.Path) }
	if !slices.ContainsFunc(g.openHints, mayBe) || r.Method == http.MethodConnect || !isPlain(r.URL) {
		return false
	}
	h, _ := g.open.Handler(r)
	_, ok := h.(opened)
	return ok
}

// isPlain reports whether every router reads the same path in u.
func isPlain(u *url.URL) bool {
	p := u.Path
	if !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\\%;\x00") || strings.Contains(p, "//") {
		return false
	}
	if u.RawPath != "" { // something is encoded that need not be, and that a router may compare as it came
		return false
	}
	clean := path.Clean(p)
	return clean == p || clean+"/" == p
}

// isOurs reports whether a path is under Config.Path.
func (g *Guard) isOurs(p string) bool {
	return strings.HasPrefix(p, g.c.Path) || len(p)+1 == len(g.c.Path) && strings.HasPrefix(g.c.Path, p)
}
