package mfatest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"
)

// Attester vouches for authenticators of a model by certificates that lead to Root.
type Attester struct {
	Format string // packed, fido-u2f, or packed-self: the credential vouches for itself
	Root   *x509.Certificate
	Chain  []*x509.Certificate // its own first
	Key    Key                 // of the first in Chain
}

// NewAttester makes an Attester with a root and a certificate of its own. Change, if not nil, changes what is put into
// that certificate.
func NewAttester(format string, aaguid [16]byte, change func(*x509.Certificate)) (*Attester, error) {
	rootKey, key := mustKey(ES256), mustKey(ES256)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Attestation Root"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := issue(root, root, rootKey, rootKey)
	if err != nil {
		return nil, err
	}
	id, err := asn1.Marshal(aaguid[:])
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), BasicConstraintsValid: true,
		Subject: pkix.Name{
			Country: []string{"US"}, Organization: []string{"Example"},
			OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Example Authenticator",
		},
		// id-fido-gen-ce-aaguid, WebAuthn Level 3 §8.2.1
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: id}},
	}
	if format == "fido-u2f" {
		leaf.ExtraExtensions = nil
	}
	if change != nil {
		change(leaf)
	}
	if leaf, err = issue(leaf, root, key, rootKey); err != nil {
		return nil, err
	}
	return &Attester{Format: format, Root: root, Chain: []*x509.Certificate{leaf}, Key: key}, nil
}

func issue(c, by *x509.Certificate, key, byKey Key) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Private.Public(), byKey.Private)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// attest makes the attestation statement of a new credential, if a site asks for one and somebody vouches.
func (a *Attester) attest(conveyance string, c *Credential, authData, clientData []byte) (format string, statement Map) {
	if a == nil || conveyance != "direct" {
		return "none", Map{}
	}
	hash := sha256.Sum256(clientData)
	signed := slices.Concat(authData, hash[:])
	switch a.Format {
	case "packed-self":
		return "packed", Map{"alg", c.Key.Algorithm, "sig", c.Key.Sign(signed)}
	case "fido-u2f":
		signed = slices.Concat([]byte{0}, authData[:32], hash[:], c.ID, c.Key.Point())
		return a.Format, Map{"x5c", a.chain(), "sig", a.Key.Sign(signed)}
	}
	return a.Format, Map{"alg", a.Key.Algorithm, "sig", a.Key.Sign(signed), "x5c", a.chain()}
}

func (a *Attester) chain() []any {
	list := make([]any, len(a.Chain))
	for i, c := range a.Chain {
		list[i] = c.Raw
	}
	return list
}
