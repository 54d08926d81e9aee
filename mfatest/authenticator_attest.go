package mfatest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Attester vouches for authenticators of a model by certificates that lead to Root. What it does is right; the last
// fields make it do one thing wrong at a time, and sign it.
type Attester struct {
	// Format is packed, fido-u2f, tpm, android-key or apple; or packed-self: the credential vouches for itself.
	Format  string
	Root    *x509.Certificate
	RootKey Key

	// Chain is its own certificate first, whose key is Key. In the formats android-key and apple each credential has a
	// certificate of its own, which is put before Chain.
	Chain []*x509.Certificate
	Key   Key

	Unasked bool // it vouches also where nobody asks

	Certificate func(*x509.Certificate) // android-key, apple: changes the certificate of a credential
	KeyOfModel  bool                    // android-key, apple: that certificate is for Key, not for the credential
	Android     func(*AndroidKey)
	Nonce       func([]byte) []byte // apple
	TPM         func(*TPM)
}

// NewAttester makes an Attester with a root and a certificate of its own. Change, if not nil, changes what is put into
// that certificate.
func NewAttester(format string, aaguid [16]byte, change func(*x509.Certificate)) (*Attester, error) {
	a := &Attester{Format: format, RootKey: mustKey(ES256), Key: mustKey(ES256)}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Attestation Root"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.Root, err = issue(root, root, a.RootKey, a.RootKey); err != nil {
		return nil, err
	}
	var leaf *x509.Certificate
	switch format {
	case "packed", "fido-u2f":
		leaf, err = modelCertificate(format, aaguid)
	case "tpm":
		leaf, err = identityCertificate()
	case "packed-self", "android-key", "apple":
		return a, nil
	default:
		err = fmt.Errorf("attestation format %q is not known", format)
	}
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(leaf)
	}
	if leaf, err = a.Issue(leaf, a.Key); err != nil {
		return nil, err
	}
	a.Chain = []*x509.Certificate{leaf}
	return a, nil
}

// Issue makes a certificate for a key, signed by Root.
func (a *Attester) Issue(c *x509.Certificate, key Key) (*x509.Certificate, error) {
	return issue(c, a.Root, key, a.RootKey)
}

func issue(c, by *x509.Certificate, key, byKey Key) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Private.Public(), byKey.Private)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// modelCertificate is one of WebAuthn Level 3 §8.2.1.
func modelCertificate(format string, aaguid [16]byte) (*x509.Certificate, error) {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), BasicConstraintsValid: true,
		Subject: pkix.Name{
			Country: []string{"US"}, Organization: []string{"Example"},
			OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Example Authenticator",
		},
	}
	if format == "fido-u2f" {
		return leaf, nil
	}
	id, err := asn1.Marshal(aaguid[:])
	leaf.ExtraExtensions = []pkix.Extension{{Id: genCeAAGUID, Value: id}}
	return leaf, err
}

// genCeAAGUID is id-fido-gen-ce-aaguid, WebAuthn Level 3 §8.2.1.
var genCeAAGUID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}

// attest makes the attestation statement of a new credential, if a site asks for one and somebody vouches.
func (a *Attester) attest(
	conveyance string, c *Credential, authData, clientData []byte,
) (format string, statement Map) {
	if a == nil || conveyance != "direct" && !a.Unasked {
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
	case "tpm":
		return a.Format, a.tpm(c, signed)
	case "android-key":
		chain := a.chain(a.androidKey(c, hash[:]))
		return a.Format, Map{"alg", c.Key.Algorithm, "sig", c.Key.Sign(signed), "x5c", chain}
	case "apple":
		return a.Format, Map{"x5c", a.chain(a.apple(c, signed))}
	}
	return a.Format, Map{"alg", a.Key.Algorithm, "sig", a.Key.Sign(signed), "x5c", a.chain()}
}

// chain is the certificates as a statement has them: those given, then Chain.
func (a *Attester) chain(first ...*x509.Certificate) []any {
	var list []any
	for _, c := range slices.Concat(first, a.Chain) {
		list = append(list, c.Raw)
	}
	return list
}
