package mfatest

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// AndroidKey is what the certificate of a key of Android says about it (WebAuthn Level 3 §8.4).
type AndroidKey struct {
	Challenge     []byte
	Software, TEE Authorizations // enforced by the system, enforced by hardware
	Missing       bool           // nothing is said at all
}

// Authorizations is what a key of Android may be used for.
type Authorizations struct {
	Purpose         []int // 2: to sign
	AllApplications bool
	Origin          *int // 0: made in there; nil: not said
}

// androidKey makes the certificate of a credential.
func (a *Attester) androidKey(c *Credential, clientHash []byte) *x509.Certificate {
	made := 0
	k := AndroidKey{Challenge: clientHash, TEE: Authorizations{Purpose: []int{2}, Origin: &made}}
	if a.Android != nil {
		a.Android(&k)
	}
	if k.Missing {
		return a.certify(c)
	}
	value := mustDER(struct {
		Version          int
		Level            asn1.Enumerated
		KeymasterVersion int
		KeymasterLevel   asn1.Enumerated
		Challenge        []byte
		UniqueID         []byte
		Software, TEE    []asn1.RawValue
	}{3, 1, 4, 1, k.Challenge, nil, k.Software.list(), k.TEE.list()})
	return a.certify(c, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}, Value: value})
}

func (l Authorizations) list() []asn1.RawValue {
	list := []asn1.RawValue{}
	add := func(tag int, der []byte) {
		list = append(list, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: der})
	}
	if l.Purpose != nil {
		der, err := asn1.MarshalWithParams(l.Purpose, "set")
		if err != nil {
			panic(err)
		}
		add(1, der)
	}
	if l.AllApplications {
		add(600, mustDER(asn1.NullRawValue))
	}
	if l.Origin != nil {
		add(702, mustDER(*l.Origin))
	}
	return list
}

// apple makes the certificate of a credential (WebAuthn Level 3 §8.8).
func (a *Attester) apple(c *Credential, attested []byte) *x509.Certificate {
	sum := sha256.Sum256(attested)
	nonce := sum[:]
	if a.Nonce != nil {
		nonce = a.Nonce(nonce)
	}
	if nonce == nil {
		return a.certify(c)
	}
	value := mustDER(struct {
		Nonce []byte `asn1:"tag:1,explicit"`
	}{nonce})
	return a.certify(c, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}, Value: value})
}

// certify issues the certificate of a credential.
func (a *Attester) certify(c *Credential, extensions ...pkix.Extension) *x509.Certificate {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Credential"}, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), ExtraExtensions: extensions,
	}
	if a.Certificate != nil {
		a.Certificate(leaf)
	}
	key := c.Key
	if a.KeyOfModel {
		key = a.Key
	}
	leaf, err := a.Issue(leaf, key)
	if err != nil {
		panic(err)
	}
	return leaf
}

func mustDER(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return der
}
