package mfatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math/big"
)

// COSE algorithms (RFC 9053, RFC 8812).
const (
	ES256 = -7
	EdDSA = -8
	ES384 = -35
	ES512 = -36
	RS256 = -257
)

// Key is a private key of one COSE algorithm: *ecdsa.PrivateKey, ed25519.PrivateKey or *rsa.PrivateKey.
type Key struct {
	Algorithm int
	Private   crypto.Signer
}

// NewKey makes a key.
func NewKey(algorithm int) (Key, error) {
	var private crypto.Signer
	var err error
	switch algorithm {
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ES384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ES512:
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		err = fmt.Errorf("COSE algorithm %d is not known", algorithm)
	}
	return Key{algorithm, private}, err
}

func mustKey(algorithm int) Key {
	k, err := NewKey(algorithm)
	if err != nil {
		panic(err)
	}
	return k
}

// Sign signs a message by the algorithm of the key.
func (k Key) Sign(message []byte) []byte {
	digest, hash := message, crypto.Hash(0)
	switch k.Algorithm {
	case ES256, RS256:
		sum := sha256.Sum256(message)
		digest, hash = sum[:], crypto.SHA256
	case ES384:
		sum := sha512.Sum384(message)
		digest, hash = sum[:], crypto.SHA384
	case ES512:
		sum := sha512.Sum512(message)
		digest, hash = sum[:], crypto.SHA512
	}
	signature, err := k.Private.Sign(rand.Reader, digest, hash)
	if err != nil {
		panic(err)
	}
	return signature
}

// COSE returns the public key as a COSE_Key.
func (k Key) COSE() Map {
	switch public := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		point := k.Point()[1:]
		curve := map[int]int{ES256: 1, ES384: 2, ES512: 3}[k.Algorithm]
		return Map{1, 2, 3, k.Algorithm, -1, curve, -2, point[:len(point)/2], -3, point[len(point)/2:]}
	case ed25519.PublicKey:
		return Map{1, 1, 3, k.Algorithm, -1, 6, -2, []byte(public)}
	case *rsa.PublicKey:
		return Map{1, 3, 3, k.Algorithm, -1, public.N.Bytes(), -2, big.NewInt(int64(public.E)).Bytes()}
	}
	panic("an unknown kind of key")
}

// Point returns the public key of an elliptic curve as U2F keeps it: 4, x and y.
func (k Key) Point() []byte {
	point, err := k.Private.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		panic(err)
	}
	return point
}
