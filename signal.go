package sallyport

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"sallyport/mfa"
	"sallyport/passkey"
)

// signal is what the browser is told about the passkeys that it keeps (WebAuthn Level 3 §5.1.10), in documents and on
// pages: Sallyport.Signal of sallyport.d.ts.
type signal struct {
	Accepted []passkey.AcceptedCredentials `json:"allAcceptedCredentials,omitempty"`
	Details  []passkey.CurrentUserDetails  `json:"currentUserDetails,omitempty"`
	Unknown  []passkey.UnknownCredential   `json:"unknownCredential,omitempty"`
}

// passkeysOf returns the passkeys of an account, in use or not.
func passkeysOf(acct *mfa.Account) []mfa.Factor {
	return slices.DeleteFunc(slices.Clone(acct.Factors), func(f mfa.Factor) bool { return f.Method != mfa.MethodPasskey })
}

// signal says which passkeys an account has, and what its user is called now; nil: there is nothing to say. A list that
// is not complete would make browsers forget passkeys that work, so it is left out.
func (g *Guard) signal(u mfa.User, acct *mfa.Account, removed ...mfa.Factor) *signal {
	if g.keys == nil {
		return nil
	}
	own := passkeysOf(acct)
	accepted, err := g.keys.Accepted(own, removed...)
	if err != nil {
		g.c.Log.Warn("sallyport: a passkey cannot be read, so browsers are not told which are in use", "error", err)
		return nil
	}
	s := &signal{Accepted: accepted, Details: g.keys.Details(u, own)}
	if len(s.Accepted) == 0 && len(s.Details) == 0 {
		return nil
	}
	return s
}

// removedPasskey is what is carried of a passkey that was taken out.
type removedPasskey struct {
	Key   string
	State []byte
}

const removedPurpose = "removed"

// refusedPasskey tells the browser that a passkey was made in vain, since we did not take it and nobody else has it. What
// could not be decided may have been taken.
func (g *Guard) refusedPasskey(r *http.Request, method string, answer []byte, err error) *signal {
	var refusal *mfa.Refusal
	if g.keys == nil || method != mfa.MethodPasskey || !errors.As(err, &refusal) {
		return nil
	}
	return g.claim(r, answer).unknown
}

// removed returns the passkey that a change is about to take out, if it is one.
func (g *Guard) removed(r *http.Request, c *caller, change string) ([]mfa.Factor, error) {
	if change != toRemove || g.keys == nil {
		return nil, nil
	}
	acct, err := g.engine.Account(r.Context(), c.User.ID)
	if err != nil {
		return nil, err
	}
	f, ok := acct.Factor(r.PathValue("id"))
	if !ok || f.Method != mfa.MethodPasskey {
		return nil, nil
	}
	return []mfa.Factor{f}, nil
}

// sealRemoved carries a removed passkey to the page that follows, since its user handle is in no account any more; "":
// there is none.
func (g *Guard) sealRemoved(u mfa.User, removed []mfa.Factor) (string, error) {
	if len(removed) == 0 {
		return "", nil
	}
	plain, err := json.Marshal(removedPasskey{removed[0].Key, removed[0].State})
	if err != nil {
		return "", err
	}
	return g.ring.SealText(g.c.Now(), removedPurpose, plain, u.ID, u.Session, g.c.Origin)
}

// openRemoved returns what sealRemoved sealed for this login, unless the account has it again.
func (g *Guard) openRemoved(r *http.Request, u mfa.User, acct *mfa.Account) []mfa.Factor {
	text := r.URL.Query().Get(removedPurpose)
	if text == "" {
		return nil
	}
	plain, err := g.ring.OpenText(removedPurpose, text, u.ID, u.Session, g.c.Origin)
	if err != nil {
		return nil
	}
	var gone removedPasskey
	has := func(f mfa.Factor) bool { return f.Key == gone.Key }
	if json.Unmarshal(plain, &gone) != nil || slices.ContainsFunc(acct.Factors, has) {
		return nil
	}
	return []mfa.Factor{{Method: mfa.MethodPasskey, Key: gone.Key, State: gone.State}}
}
