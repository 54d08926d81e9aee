package sallyport

import (
	"context"
	"fmt"
	"net/http"

	"sallyport/mfa"
)

// bySite is who acts when the site tells us, and not a user by one of our pages.
const bySite = "site"

// PasswordChanged is called by the site after it has saved a new password of a user. Everything that the user has
// proved in other logins ends, and since who has guessed codes so far may no longer hold the password, guesses from
// unknown browsers are forgiven as docs/security.md says. If r comes from a login of that user it stays proved, so call
// this before w is written.
func (g *Guard) PasswordChanged(w http.ResponseWriter, r *http.Request, userID string) error {
	done, err := g.engine.PasswordChanged(r.Context(), g.visitOf(r, userID))
	return g.told(w, r, done, "a new password", err)
}

// AddressChanged is PasswordChanged for a new e-mail address or phone number.
func (g *Guard) AddressChanged(w http.ResponseWriter, r *http.Request, userID string) error {
	done, err := g.engine.AddressChanged(r.Context(), g.visitOf(r, userID))
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
func (g *Guard) visitOf(r *http.Request, userID string) mfa.Visit {
	v := mfa.Visit{User: mfa.User{ID: userID}, Address: g.addressText(r), Browser: r.UserAgent()}
	u, err := g.user(r)
	if err != nil || u.ID != userID || u.Session == "" {
		return v
	}
	v.User, v.KnownAt = u, g.knownAt(r, u.ID)
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
