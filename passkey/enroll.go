package passkey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"sallyport/mfa"
)

// BeginEnroll makes a Creation. An authenticator that holds one of a.Own is asked not to make another.
func (m *Method) BeginEnroll(_ context.Context, a mfa.Attempt) (prompt any, state []byte, err error) {
	if err := m.c.Models.ready(m.c.Metadata, a.Now); err != nil {
		return nil, nil, err
	}
	s := session{create: true, needVerified: m.c.RequireVerified || a.NeedVerified}
	if s.challenge, err = newChallenge(); err != nil {
		return nil, nil, err
	}
	if s.handle, err = random(maxHandle); err != nil {
		return nil, nil, err
	}
	return m.creation(s, a.User, readable(a.Own)), s.encode(), nil
}

func (m *Method) creation(s session, u mfa.User, own []Credential) Creation {
	c := Creation{PublicKey: CreationOptions{
		RP: RP{m.c.RPID, m.c.RPName}, User: person(u, s.handle), Challenge: s.challenge, Parameters: parameters(),
		Timeout: timeout, ExcludeCredentials: descriptors(own), Hints: m.c.Hints, Attestation: m.c.Attestation.preference(),
		Selection: Selection{ResidentKey: preferred, UserVerification: verification(s.needVerified)},
	}}
	c.PublicKey.Extensions.CredProps = true
	c.PublicKey.Extensions.CredProtect = credProtect
	for _, o := range own {
		if o.U2F {
			c.PublicKey.Extensions.AppIDExclude = m.c.AppID
		}
	}
	return c
}

// FinishEnroll judges a new credential by WebAuthn Level 3 §7.1. One that the account holds already is the Refusal
// mfa.WhyTaken.
func (m *Method) FinishEnroll(ctx context.Context, a mfa.Attempt) (mfa.Outcome, error) {
	s, err := decodeSession(a.State)
	if err != nil || !s.create {
		return mfa.Outcome{}, fmt.Errorf("passkey: this is not the state of a registration: %w", errMalformed)
	}
	if err := m.c.Models.ready(m.c.Metadata, a.Now); err != nil {
		return mfa.Outcome{}, err
	}
	r, err := parseRegistration(a.Answer)
	if err != nil {
		return mfa.Outcome{}, wrong(err)
	}
	s.needVerified = s.needVerified || a.NeedVerified || m.c.RequireVerified
	if err := m.admit(s, r); err != nil {
		return mfa.Outcome{}, wrong(err)
	}
	if err := m.assess(ctx, r, a.Now); err != nil {
		return mfa.Outcome{Note: err.Error()}, wrong(err)
	}
	for _, own := range readable(a.Own) {
		if bytes.Equal(own.ID, r.id) {
			return mfa.Outcome{}, &mfa.Refusal{Why: mfa.WhyTaken}
		}
	}
	return m.registered(s, r)
}

// registration is a parsed answer to a Creation.
type registration struct {
	id         []byte
	attachment string
	transports []string
	resident   bool // as far as the browser says

	collected  protocol.CollectedClientData
	clientHash []byte
	object     []byte // the attestation object, and two parts of it
	format     string
	data       protocol.AuthenticatorData
}

func parseRegistration(text []byte) (*registration, error) {
	a, id, err := parseAnswer(text)
	if err != nil {
		return nil, err
	}
	r := &registration{
		id: id, attachment: a.Attachment, transports: a.Response.Transports, resident: a.Extensions.CredProps.RK,
	}
	var clientData []byte
	if err := decodeAll(a.Response.ClientData, &clientData, a.Response.AttestationObject, &r.object); err != nil {
		return nil, err
	}
	if r.collected, err = parseClientData(clientData); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(clientData)
	r.clientHash = sum[:]
	return r, r.open()
}

// open takes the attestation object apart, but for its statement, which most sites do not ask for.
func (r *registration) open() error {
	var parts struct {
		Format    string                  `json:"fmt"`
		AuthData  []byte                  `json:"authData"`
		Statement webauthncbor.RawMessage `json:"attStmt"`
	}
	if err := webauthncbor.Unmarshal(r.object, &parts); err != nil {
		return fmt.Errorf("the attestation object: %w", err)
	}
	if err := r.data.Unmarshal(parts.AuthData); err != nil {
		return fmt.Errorf("the authenticator data: %w", err)
	}
	r.format = parts.Format
	return nil
}

// admit checks everything but the attestation.
func (m *Method) admit(s session, r *registration) error {
	err := r.collected.Verify(base64.RawURLEncoding.EncodeToString(s.challenge), protocol.CreateCeremony, m.origins,
		m.c.AppOrigins, m.c.EmbeddedIn, protocol.TopOriginExplicitVerificationMode, len(m.c.EmbeddedIn) > 0)
	if err != nil {
		return err
	}
	if err := m.checkPlace(r.collected); err != nil {
		return err
	}
	if err := r.data.Verify(rpHash(m.c.RPID), nil, s.needVerified, true); err != nil {
		return errors.New("the RP ID is another one, or user presence or verification is missing")
	}
	switch flags := r.data.Flags; {
	case !flags.HasAttestedCredentialData():
		return errors.New("there is no credential in the authenticator data")
	case flags.HasBackupState() && !flags.HasBackupEligible():
		return errors.New("it is said to be backed up and not to be backup-eligible")
	case !bytes.Equal(r.id, r.data.AttData.CredentialID):
		return errors.New("the credential id is not the one in the authenticator data")
	case len(r.format) > maxName:
		return errors.New("the attestation format is too long")
	}
	_, err = parseKey(r.data.AttData.CredentialPublicKey)
	return err
}

// registered returns the new factor.
func (m *Method) registered(s session, r *registration) (mfa.Outcome, error) {
	flags := r.data.Flags
	c := Credential{
		ID: r.id, PublicKey: r.data.AttData.CredentialPublicKey, RPID: m.c.RPID, UserHandle: s.handle,
		SignCount: r.data.Counter, Transports: r.transports, AAGUID: [16]byte(r.data.AttData.AAGUID), Format: r.format,
		Verified: flags.HasUserVerified(), BackupEligible: flags.HasBackupEligible(), BackedUp: flags.HasBackupState(),
		Discoverable: r.resident, Ours: true,
	}
	f, err := c.Factor()
	if err != nil {
		return mfa.Outcome{}, wrong(err)
	}
	f.Label = m.label(c, r.attachment)
	return mfa.Outcome{Factor: f, Verified: c.Verified}, nil
}
