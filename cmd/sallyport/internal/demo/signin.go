package demo

import (
	"context"
	"net/http"

	"sallyport"
	"sallyport/mfa"
)

// Lookup is Config.Directory of the guard: the site's users by their ids.
func (s *site) Lookup(_ context.Context, userID string) (mfa.User, error) {
	p, ok := find(userID)
	if !ok {
		return mfa.User{}, nil
	}
	return p.user(), nil
}

// signIn is Config.SignIn of the guard: it starts a session for somebody who came with a passkey and no password.
func (s *site) signIn(w http.ResponseWriter, r *http.Request, l sallyport.Login) (string, error) {
	token, login, err := s.sessions.start(r.Context(), tokenOf(r), l.User.ID)
	if err != nil {
		return "", err
	}
	s.setToken(w, token, 0)
	return login, nil
}
