package passkey

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Attestation is whether new credentials must say where they come from.
type Attestation string

// The choices.
const (
	None   Attestation = ""       // not asked for; a statement that comes all the same is not looked at
	Direct Attestation = "direct" // asked for; one that comes must hold; see Models for those who must send one
)

func (a Attestation) preference() string {
	if a == None {
		return "none"
	}
	return string(a)
}

// Models is which models of authenticators may be enrolled. The zero value accepts all but those that the metadata says
// are broken.
//
// It is about enrollment only. A model that is found to be broken later is refused from the next blob on, but the
// factors that exist stay and prove as before, since to stop them would lock people out of their accounts on the word
// of a third party. Open tells the AAGUID of each; which of them to stop is for support to decide.
type Models struct {
	// Only accepts these models, by AAGUID ("ee882879-721c-4913-9775-3dfcce97072a"). Nil: all.
	Only []string

	// Not refuses these models. An authenticator without attestation may lie about what it is; Known keeps those out.
	Not []string

	// MinLevel accepts models that the FIDO Alliance has certified at this level or above.
	MinLevel Level

	// Known accepts only models that the metadata knows, by certificates that lead to the roots given there. Only and
	// MinLevel imply it. While the metadata is older than it says it may be, nobody can enroll.
	Known bool
}

// Level is a level of certification of authenticators by the FIDO Alliance.
type Level int

// The levels. The zero value asks for none.
const (
	Level1 Level = iota + 1
	Level1Plus
	Level2
	Level2Plus
	Level3
	Level3Plus
)

func (m Models) clone() Models {
	m.Only, m.Not = slices.Clone(m.Only), slices.Clone(m.Not)
	return m
}

// any reports whether every model is accepted.
func (m Models) any() bool { return !m.needsMetadata() && len(m.Not) == 0 }

func (m Models) needsMetadata() bool { return m.Known || m.MinLevel != 0 || m.Only != nil }

func (m Models) mistakes() (list []error) {
	if m.MinLevel < 0 || m.MinLevel > Level3Plus {
		list = append(list, fmt.Errorf("Models.MinLevel: %d is not a level", m.MinLevel))
	}
	if m.Only != nil && len(m.Only) == 0 {
		list = append(list, errors.New("Models.Only is empty: nobody could enroll"))
	}
	for _, id := range slices.Concat(m.Only, m.Not) {
		if !isUUID(id) {
			list = append(list, fmt.Errorf("Models: %q is not an AAGUID in lower case", id))
		}
	}
	return list
}

func isUUID(text string) bool {
	for i, c := range []byte(text) {
		switch dash := i == 8 || i == 13 || i == 18 || i == 23; {
		case dash != (c == '-'):
			return false
		case !dash && (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return len(text) == 36
}

// ready returns an error if the policy cannot be judged now.
func (m Models) ready(known *Metadata, now time.Time) error {
	if m.needsMetadata() && known.stale(now) {
		return errors.New("passkey: the metadata of authenticators has expired, so nobody can enroll: see Metadata.Refresh")
	}
	return nil
}

// formats are the attestation statement formats whose statements are verified.
var formats = [...]protocol.AttestationFormat{
	protocol.AttestationFormatPacked, protocol.AttestationFormatFIDOUniversalSecondFactor, protocol.AttestationFormatTPM,
	protocol.AttestationFormatAndroidKey, protocol.AttestationFormatApple,
}

// assess judges where a new credential comes from, if the site asks.
func (m *Method) assess(ctx context.Context, r *registration, now time.Time) error {
	if m.c.Attestation == None {
		return nil
	}
	object, err := r.statement()
	if err != nil {
		return err
	}
	id := [16]byte(r.data.AttData.AAGUID)
	if slices.Contains(m.c.Models.Not, uuid(id)) {
		return fmt.Errorf("the model %s is not accepted", uuid(id))
	}
	if m.c.Models.Only != nil && !slices.Contains(m.c.Models.Only, uuid(id)) {
		return fmt.Errorf("the model %s is not one of those accepted", uuid(id))
	}
	certificates, err := object.verify(ctx, r, m.c.Metadata.provider(m.c.Models.needsMetadata()), now)
	if err != nil {
		return err
	}
	if m.c.Models.needsMetadata() && len(certificates) == 0 {
		return errors.New("the authenticator does not prove its model by a certificate")
	}
	return m.c.Metadata.assess(id, certificates, m.c.Models.MinLevel, now)
}

// statement is an attestation object with all its parts.
type statement protocol.AttestationObject

func (r *registration) statement() (*statement, error) {
	var object protocol.AttestationObject
	format := protocol.AttestationFormat(r.format)
	if format != protocol.AttestationFormatNone && !slices.Contains(formats[:], format) {
		return nil, errors.New("the attestation is of a format that is not verified here")
	}
	if err := webauthncbor.Unmarshal(r.object, &object); err != nil {
		return nil, fmt.Errorf("the attestation object: %w", err)
	}
	object.AuthData = r.data
	return (*statement)(&object), nil
}

// verify returns the certificates by which the authenticator proves its model; none if it does not.
func (s *statement) verify(
	ctx context.Context, r *registration, known metadata.Provider, now time.Time,
) ([]*x509.Certificate, error) {
	object := (*protocol.AttestationObject)(s)
	if protocol.AttestationFormat(s.Format) == protocol.AttestationFormatFIDOUniversalSecondFactor &&
		[16]byte(s.AuthData.AttData.AAGUID) != [16]byte{} {
		return nil, errors.New("a U2F key has no AAGUID, and this one names one")
	}
	certificates, err := s.certificates(now)
	if err != nil {
		return nil, err
	}
	err = object.VerifyAttestation(r.clientHash, known, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
	if err != nil {
		return nil, fmt.Errorf("the attestation: %w", err)
	}
	return certificates, ctx.Err()
}

// certificates returns those of the statement. The first one, of the authenticator itself, must not have expired.
func (s *statement) certificates(now time.Time) ([]*x509.Certificate, error) {
	raw, ok := s.AttStatement["x5c"]
	if !ok {
		return nil, nil
	}
	chain, ok := raw.([]any)
	if !ok || len(chain) == 0 {
		return nil, errors.New("the attestation has an empty chain of certificates")
	}
	var list []*x509.Certificate
	for _, der := range chain {
		b, _ := der.([]byte)
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return nil, fmt.Errorf("a certificate of the attestation: %w", err)
		}
		list = append(list, c)
	}
	if now.After(list[0].NotAfter) {
		return nil, errors.New("the certificate of the attestation has expired")
	}
	return list, nil
}
