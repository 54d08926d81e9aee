package sallyport

import (
	"context"
	"net/http"

	"sallyport/mfa"
)

// PasswordChanged tells that the site has changed the password of u: every proved session and every remembered browser
// of u ends, and once in 30 days what a stranger's guesses have used up is given back. If r is u's own request, its
// login keeps what it has proved: call it before the answer is written. W and r may not be nil.
func (g *Guard) PasswordChanged(w http.ResponseWriter, r *http.Request, u mfa.User) error {
	return g.told(w, r, u, g.engine.PasswordChanged)
}

// AddressChanged tells that the site has changed an address or a phone number: what was sent to the old one dies, every
// proved session and remembered browser ends, and both addresses are told, so give u as it was and as it is now.
func (g *Guard) AddressChanged(w http.ResponseWriter, r *http.Request, was, is mfa.User) error {
	if err := g.told(w, r, is, g.engine.AddressChanged); err != nil {
		return err
	}
	g.notify(context.WithoutCancel(r.Context()), was, mfa.Event{
		UserID: is.ID, Kind: mfa.AddressWasChanged, At: g.c.Now(), Actor: is.ID, Address: g.addressText(r), Browser: r.UserAgent(),
	})
	return nil
}

// EndSessions makes every session of u prove a factor again, for the site's own "sign out everywhere". If r is u's own
// request, its login keeps what it has proved.
func (g *Guard) EndSessions(w http.ResponseWriter, r *http.Request, u mfa.User) error {
	return g.told(w, r, u, func(ctx context.Context, v mfa.Visit) (mfa.Done, error) {
		return g.engine.EndOtherSessions(ctx, v)
	})
}

// told applies a change of the site's to the account of u, and keeps what its own login has proved.
func (g *Guard) told(w http.ResponseWriter, r *http.Request, u mfa.User, change func(context.Context, mfa.Visit) (mfa.Done, error)) error {
	v := mfa.Visit{User: u, Address: g.addressText(r), Browser: r.UserAgent()}
	v.User.Session = ""
	asking, err := g.user(r)
	if err != nil {
		return err
	}
	own := asking.SignedIn() && asking.ID == u.ID && asking.Session != ""
	if own {
		v.User.Session = asking.Session
		if v.Assurance, err = g.assurance(r, asking); err != nil {
			return err
		}
	}
	done, err := change(r.Context(), v)
	if err != nil || !own || len(done.Assurance.Proofs) == 0 {
		return err
	}
	return g.keep(w, r, done.Assurance)
}

// SignedOut takes back what this browser holds of a login. Call it from the site's log-out, before the answer is
// written. The site's session must end too: it is what names the login.
func (g *Guard) SignedOut(w http.ResponseWriter, r *http.Request) error {
	if g.c.Sessions != nil {
		return nil // it ends with the session that holds it
	}
	g.cookies.clear(w, g.cookies.assurance)
	return nil
}

// Erase forgets all that is kept about a user, whom the site has deleted. Without it a later user with the same id would
// meet the old factors. The events stay.
func (g *Guard) Erase(ctx context.Context, userID, actor, reason string) error {
	return g.engine.Erase(ctx, userID, actor, reason)
}
