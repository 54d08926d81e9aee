package passkey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"sallyport/mfa"
)

// Name returns "passkey".
func (m *Method) Name() string { return mfa.MethodPasskey }

// Strength returns mfa.PhishingResistant.
func (m *Method) Strength() mfa.Strength { return mfa.PhishingResistant }

// Unguessable reports that a wrong answer is nobody's guess: it would have to be a signature.
func (m *Method) Unguessable(mfa.Factor) bool { return true }

// Identify returns the key of the factor whose credential an answer names.
func (m *Method) Identify(text []byte) (string, error) {
	if len(text) > maxAnswer {
		return "", errors.New("passkey: the answer is too large")
	}
	named, err := namedID(text)
	if err != nil {
		return "", fmt.Errorf("passkey: the answer: %w", err)
	}
	id, err := parseID(named)
	if err != nil {
		return "", fmt.Errorf("passkey: %w", err)
	}
	return keyOf(id), nil
}

// Begin makes a Request that any of a.Own may answer. Without a user any passkey of the site may, if it verifies its
// user and can be found without being named.
func (m *Method) Begin(_ context.Context, a mfa.Attempt) (prompt any, state []byte, err error) {
	own := readable(a.Own)
	s := session{needVerified: m.c.RequireVerified || a.NeedVerified}
	switch {
	case !a.User.SignedIn() && len(a.Own) == 0:
		s.anyone, s.needVerified = true, true
	case len(own) == 0:
		return nil, nil, errors.New("passkey: the account has none that can be read")
	}
	for _, c := range own {
		s.offered = append(s.offered, hashID(c.ID))
		s.appID = s.appID || c.U2F && m.c.AppID != ""
	}
	if s.challenge, err = newChallenge(); err != nil {
		return nil, nil, err
	}
	return m.request(s, own), s.encode(), nil
}

func (m *Method) request(s session, own []Credential) Request {
	r := Request{PublicKey: RequestOptions{
		Challenge: s.challenge, Timeout: timeout, RPID: m.c.RPID, AllowCredentials: descriptors(own),
		UserVerification: verification(s.needVerified), Hints: m.c.Hints,
	}}
	if s.appID {
		r.PublicKey.Extensions.AppID = m.c.AppID
	}
	return r
}

// readable returns the credentials of factors. One that cannot be read cannot be named either; it does not keep the
// others from being used.
func readable(factors []mfa.Factor) []Credential {
	list := make([]Credential, 0, len(factors))
	for _, f := range factors {
		if c, err := decodeCredential(f.State); err == nil {
			list = append(list, c)
		}
	}
	return list
}

// wrong makes an error of an answer that does not hold.
func wrong(err error) error { return fmt.Errorf("%w: %w", mfa.ErrWrongAnswer, err) }

// Finish judges an assertion by WebAuthn Level 3 §7.2. It is Verified if this response says so.
func (m *Method) Finish(_ context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	s, err := decodeSession(a.State)
	if err != nil || s.create {
		return mfa.Outcome{}, fmt.Errorf("passkey: this is not the state of a proof: %w", errMalformed)
	}
	if a.Factor.ID == "" {
		return mfa.Outcome{}, wrong(errors.New("the credential is not one of the account's"))
	}
	c, err := Open(a.Factor)
	if err != nil {
		return mfa.Outcome{}, err
	}
	p, err := parseAssertion(a.Answer)
	if err != nil {
		return mfa.Outcome{}, wrong(err)
	}
	s.needVerified = s.needVerified || a.NeedVerified || m.c.RequireVerified
	if err := m.judge(s, c, p); err != nil {
		return mfa.Outcome{}, wrong(err)
	}
	return c.proved(a.Factor, p)
}

// assertion is a parsed answer to a Request.
type assertion struct {
	id, handle []byte
	appID      bool // the browser used the AppID in place of the RP ID
	data       protocol.AuthenticatorData
	signed     protocol.ParsedCredentialAssertionData
}

func parseAssertion(text []byte) (*assertion, error) {
	a, id, err := parseAnswer(text)
	if err != nil {
		return nil, err
	}
	p := &assertion{id: id, appID: a.Extensions.AppID}
	var clientData, authData, signature []byte
	if err := decodeAll(a.Response.ClientData, &clientData, a.Response.AuthenticatorData, &authData,
		a.Response.Signature, &signature, a.Response.UserHandle, &p.handle); err != nil {
		return nil, err
	}
	collected, err := parseClientData(clientData)
	if err != nil {
		return nil, err
	}
	if err := p.data.Unmarshal(authData); err != nil {
		return nil, fmt.Errorf("the authenticator data: %w", err)
	}
	p.signed.Response = protocol.ParsedAssertionResponse{
		CollectedClientData: collected, AuthenticatorData: p.data, Signature: signature,
	}
	p.signed.Raw.AssertionResponse.ClientDataJSON = clientData
	p.signed.Raw.AssertionResponse.AuthenticatorData = authData
	return p, nil
}

// judge checks that p is what s asked for, made by c.
func (m *Method) judge(s session, c Credential, p *assertion) error {
	if err := s.expects(c, p); err != nil {
		return err
	}
	rpID := m.c.RPID
	if p.appID {
		if !s.appID || !c.U2F {
			return errors.New("the AppID was used without need")
		}
		rpID = m.c.AppID
	}
	if err := m.checkPlace(p.signed.Response.CollectedClientData); err != nil {
		return err
	}
	switch flags := p.data.Flags; {
	case flags.HasAttestedCredentialData():
		return errors.New("the authenticator data is that of a registration")
	case s.needVerified && c.U2F:
		return errors.New("a U2F key cannot verify its user")
	case flags.HasBackupState() && !flags.HasBackupEligible():
		return errors.New("it is said to be backed up and not to be backup-eligible")
	case !c.LearnBackup && flags.HasBackupEligible() != c.BackupEligible:
		return errors.New("whether it is backup-eligible has changed")
	}
	return p.signed.Verify(base64.RawURLEncoding.EncodeToString(s.challenge), rpID, "", m.origins, m.c.AppOrigins,
		m.c.EmbeddedIn, protocol.TopOriginExplicitVerificationMode, len(m.c.EmbeddedIn) > 0, s.needVerified, true,
		c.PublicKey, protocol.SignaturePolicy{})
}

// expects checks that the credential is one that was asked for, and its user the one it was made for. A handle that
// another system made says nothing that we know.
func (s session) expects(c Credential, p *assertion) error {
	switch {
	case !bytes.Equal(p.id, c.ID):
		return errors.New("the credential is another one")
	case !s.anyone && !slices.Contains(s.offered, hashID(c.ID)):
		return errors.New("the credential was not asked for")
	case c.Ours && (s.anyone || len(p.handle) > 0) && !bytes.Equal(p.handle, c.UserHandle):
		return errors.New("the user handle is not that of the credential")
	}
	return nil
}

// checkPlace checks where an answer was made, byte for byte.
func (m *Method) checkPlace(c protocol.CollectedClientData) error {
	if !slices.Contains(m.origins, c.Origin) && !slices.Contains(m.c.AppOrigins, c.Origin) {
		return errors.New("the origin is not one of the site's")
	}
	if c.TopOrigin != "" && !slices.Contains(m.c.EmbeddedIn, c.TopOrigin) {
		return errors.New("the page was shown in a frame of another site")
	}
	return nil
}

// proved returns the outcome of a good assertion, unless the sign count gives a copy away (§7.2 step 22).
func (c Credential) proved(f mfa.Factor, p *assertion) (mfa.Outcome, error) {
	flags, count := p.data.Flags, p.data.Counter
	if (count != 0 || c.SignCount != 0) && count <= c.SignCount {
		note := fmt.Sprintf("the sign count went back from %d to %d: there may be a copy of this authenticator", c.SignCount, count)
		return mfa.Outcome{Note: note}, wrong(errors.New(note))
	}
	verified := flags.HasUserVerified() && !c.U2F
	c.SignCount, c.BackedUp = count, flags.HasBackupState()
	c.BackupEligible, c.LearnBackup = flags.HasBackupEligible(), false
	c.Verified = c.Verified || verified
	f.State = c.encode()
	return mfa.Outcome{Factor: f, Verified: verified}, nil
}

// rpHash is what authenticators sign in place of an RP ID.
func rpHash(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:]
}
