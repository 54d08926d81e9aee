package sallyport

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sallyport/mfa"
)

// cookieNames are the names of our cookies, and whether they are for an encrypted origin.
type cookieNames struct {
	assurance, known, pending, device string
	secure                            bool
}

func namesFor(origin string) cookieNames {
	if strings.HasPrefix(origin, "http://") {
		return cookieNames{"sallyport", "sallyport-known", "sallyport-pending", "sallyport-device", false}
	}
	return cookieNames{"__Host-sallyport", "__Host-sallyport-known", "__Host-sallyport-pending", "__Host-sallyport-device", true}
}

// set sends a cookie. A life of zero ends it with the browser, a negative one at once.
func (n cookieNames) set(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life / time.Second)
	if life < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		Secure: n.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// clear takes a cookie away.
func (n cookieNames) clear(w http.ResponseWriter, name string) { n.set(w, name, "", -1) }

// cookieValue returns the value of the first cookie of that name, "" if there is none. It allocates nothing, unlike
// http.Request.Cookie, which parses them all.
func cookieValue(r *http.Request, name string) string {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			key, value, found := strings.Cut(strings.TrimLeft(pair, " \t"), "=")
			if found && key == name {
				return strings.TrimRight(value, " \t")
			}
		}
	}
	return ""
}

// assurance returns what the login of u has proved. What does not open proves nothing.
func (g *Guard) assurance(r *http.Request, u mfa.User) (mfa.Assurance, error) {
	if g.c.Sessions == nil {
		return g.engine.OpenAssurance(u, cookieValue(r, g.cookies.assurance)), nil
	}
	text, err := guarded("Config.Sessions.Load", func() (string, error) { return g.c.Sessions.Load(r) })
	if err != nil {
		return mfa.Assurance{}, err
	}
	return g.engine.OpenAssurance(u, text), nil
}

// renewer is a Sessions that can give the session a new token.
type renewer interface {
	Renew(w http.ResponseWriter, r *http.Request) error
}

// keep gives the login what it has proved now.
func (g *Guard) keep(w http.ResponseWriter, r *http.Request, a mfa.Assurance) error {
	text, err := g.engine.SealAssurance(a)
	if err != nil {
		return fmt.Errorf("sealing an assurance: %w", err)
	}
	if g.c.Sessions == nil {
		g.cookies.set(w, g.cookies.assurance, text, 0)
		return nil
	}
	_, err = guarded("Config.Sessions", func() (struct{}, error) {
		if s, ok := g.c.Sessions.(renewer); ok {
			if err := s.Renew(w, r); err != nil {
				return struct{}{}, fmt.Errorf("renewing the session: %w", err)
			}
		}
		return struct{}{}, g.c.Sessions.Save(w, r, text)
	})
	return err
}
