package passkey

import (
	"bytes"
	"fmt"
	"slices"

	"sallyport/mfa"
)

// AcceptedCredentials is what PublicKeyCredential.signalAllAcceptedCredentials takes: the credentials under one user
// handle. Authenticators may hide or delete all others under that handle.
type AcceptedCredentials struct {
	RPID                     string   `json:"rpId"`
	UserID                   Base64   `json:"userId"`
	AllAcceptedCredentialIDs []Base64 `json:"allAcceptedCredentialIds"`
}

// CurrentUserDetails is what PublicKeyCredential.signalCurrentUserDetails takes.
type CurrentUserDetails struct {
	RPID        string `json:"rpId"`
	UserID      Base64 `json:"userId"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

// UnknownCredential is what PublicKeyCredential.signalUnknownCredential takes.
type UnknownCredential struct {
	RPID         string `json:"rpId"`
	CredentialID Base64 `json:"credentialId"`
}

// Accepted returns one signal for each user handle of an account. Own must be all passkeys of the account, in use or
// not, and removed those that have just been taken out, whose handles would otherwise be gone. A factor that cannot be
// read is an error, since a list without it would make authenticators forget it. Credentials whose handle is not known
// are left out: no list can name them.
func (m *Method) Accepted(own []mfa.Factor, removed ...mfa.Factor) ([]AcceptedCredentials, error) {
	list := []AcceptedCredentials{}
	add := func(c Credential, accepted bool) {
		if len(c.UserHandle) == 0 || c.RPID != m.c.RPID {
			return
		}
		i := 0
		for i < len(list) && !bytes.Equal(list[i].UserID, c.UserHandle) {
			i++
		}
		if i == len(list) {
			list = append(list, AcceptedCredentials{m.c.RPID, c.UserHandle, []Base64{}})
		}
		if accepted {
			list[i].AllAcceptedCredentialIDs = append(list[i].AllAcceptedCredentialIDs, c.ID)
		}
	}
	for _, f := range own {
		c, err := Open(f)
		if err != nil {
			return nil, err
		}
		add(c, true)
	}
	for _, f := range removed {
		c, err := Open(f)
		if err != nil {
			return nil, err
		}
		add(c, false)
	}
	return list, nil
}

// Details returns one signal for each passkey of an account, to be sent after its user was renamed.
func (m *Method) Details(u mfa.User, own []mfa.Factor) []CurrentUserDetails {
	list := []CurrentUserDetails{}
	for _, c := range readable(own) {
		if len(c.UserHandle) > 0 && c.RPID == m.c.RPID {
			p := person(u, c.UserHandle)
			list = append(list, CurrentUserDetails{m.c.RPID, p.ID, p.Name, p.DisplayName})
		}
	}
	return list
}

// Unknown returns the signal that the credential of an answer is not known here. It must be sent only if no user has
// it: one that belongs to another user is known.
func (m *Method) Unknown(answer []byte) (UnknownCredential, error) {
	_, id, err := parseAnswer(answer)
	if err != nil {
		return UnknownCredential{}, fmt.Errorf("passkey: %w", err)
	}
	return UnknownCredential{m.c.RPID, id}, nil
}

// Endpoints is the document /.well-known/passkey-endpoints, from which password managers learn where to send users who
// want to add a passkey or look after them.
type Endpoints struct {
	Enroll string `json:"enroll"`
	Manage string `json:"manage"`
}

type wellKnown struct {
	Origins []string `json:"origins"`
}

// RelatedOrigins returns the document /.well-known/webauthn at the RP ID, and whether there is anything to say in it:
// which other sites may use these passkeys.
func (m *Method) RelatedOrigins() (document any, ok bool) {
	return m.documents, len(m.c.RelatedOrigins) > 0
}

// RPID returns the domain that new passkeys are scoped to.
func (m *Method) RPID() string { return m.c.RPID }

// Abandoned reports whether Config says that an RP ID was given up on.
func (m *Method) Abandoned(rpID string) bool { return slices.Contains(m.c.Abandoned, rpID) }

// Orphaned reports whether a stored passkey can no longer be used because it is scoped to another domain than now. The
// error says that f cannot be read. A site that has such passkeys has changed its RP ID, and must change it back.
func (m *Method) Orphaned(f mfa.Factor) (bool, error) {
	c, err := Open(f)
	if err != nil {
		return false, err
	}
	if c.U2F {
		return c.RPID != m.c.AppID, nil
	}
	return c.RPID != m.c.RPID, nil
}

// Orphans returns how many of an account's factors are Orphaned passkeys.
func (m *Method) Orphans(factors []mfa.Factor) (n int) {
	for _, f := range factors {
		if f.Method != mfa.MethodPasskey {
			continue
		}
		if lost, err := m.Orphaned(f); err == nil && lost {
			n++
		}
	}
	return n
}
