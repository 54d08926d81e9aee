package sallyport

import (
	"context"
	"fmt"
	"net/http"

	"sallyport/mfa"
)

// bySite is who acts when the site tells us, and not a user by one of our pages.
const bySite = "site"

// PasswordChanged is called by the site after it has saved a new password of a user. Everything that the user has proved
// in other logins ends, remembered browsers too, and who has guessed codes so far may no longer hold the password: see
// the budget in docs/security.md. The user is told; u.ID says who it is, the rest of u is for Config.Notify. If r comes
// from a login of that user it stays proved, so call this before w is written.
func (g *Guard) PasswordChanged(w http.ResponseWriter, r *http.Request, u mfa.User) error {
	done, err := g.engine.PasswordChanged(r.Context(), g.visitOf(r, u))
	return g.told(w, r, done, "a new password", err)
}

// AddressChanged is PasswordChanged for a new e-mail address or phone number. What was sent to the old one dies. The
// user is told at both: give them as they were and as they are.
func (g *Guard) AddressChanged(w http.ResponseWriter, r *http.Request, was, is mfa.User) error {
	v := g.visitOf(r, is)
	done, err := g.engine.AddressChanged(r.Context(), v)
	if err == nil && (was.Email != is.Email || was.Phone != is.Phone) {
		was.ID = is.ID
		g.notify(context.WithoutCancel(r.Context()), was, mfa.Event{
			UserID: is.ID, Kind: mfa.AddressWasChanged, At: g.c.Now(), Actor: is.ID, Address: v.Address, Browser: v.Browser,
		})
	}
	return g.told(w, r, done, "a new address", err)
}

// EndSessions makes every login of a user prove a factor again, and tells the user: u.ID says whose, the rest of u is
// for Config.Notify. The reason is kept with the event.
func (g *Guard) EndSessions(ctx context.Context, u mfa.User, reason string) error {
	u.Session = "" // no login of theirs asked for it
	if err := g.engine.EndAllSessions(ctx, mfa.Visit{User: u}, bySite, reason); err != nil {
		return fmt.Errorf("ending the sessions of a user: %w", err)
	}
	return nil
}

// SignedOut takes back what this browser holds of a login, at the site's own log-out, before the answer is written. The
// session must end too: it is what names the login. Remembered and known browsers stay what they are.
func (g *Guard) SignedOut(w http.ResponseWriter) {
	if g.c.Sessions == nil {
		g.cookies.clear(w, g.cookies.assurance) // else it ends with the session that holds it
	}
	g.cookies.clear(w, g.cookies.pending)
}

// Erase forgets all that is kept about a user but the events: when the site deletes the user, and before it gives the
// same id to somebody else, who would meet the old factors.
func (g *Guard) Erase(ctx context.Context, userID, reason string) error {
	if err := g.engine.Erase(ctx, userID, bySite, reason); err != nil {
		return fmt.Errorf("erasing a user: %w", err)
	}
	return nil
}

// visitOf is a visit to the account of a user, with what r has proved if r is theirs. What cannot be found out is not
// carried on: the other logins are to end in any case.
func (g *Guard) visitOf(r *http.Request, whose mfa.User) mfa.Visit {
	whose.Session = ""
	v := mfa.Visit{User: whose, Address: g.addressText(r), Browser: r.UserAgent()}
	u, err := g.user(r)
	if err != nil || u.ID != whose.ID || u.Session == "" {
		return v
	}
	v.User.Session, v.KnownAt = u.Session, g.knownAt(r, u.ID)
	if a, err := g.assurance(r, u); err == nil {
		v.Assurance = a
	}
	return v
}

// told gives the login that told us of a change what it has proved, in the new epoch.
func (g *Guard) told(w http.ResponseWriter, r *http.Request, done mfa.Done, what string, err error) error {
	if err != nil {
		return fmt.Errorf("telling the guard of %s: %w", what, err)
	}
	if len(done.Assurance.Proofs) == 0 {
		return nil
	}
	return g.keep(w, r, done.Assurance)
}
