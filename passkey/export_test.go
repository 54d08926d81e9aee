package passkey

import (
	"crypto/x509"
	_ "unsafe" // for go:linkname

	_ "github.com/go-webauthn/webauthn/protocol"
)

// CreateState and RequestState are what Begin would have returned had it drawn this challenge, and this handle.
func CreateState(challenge, handle []byte) []byte {
	return session{create: true, challenge: challenge, handle: handle}.encode()
}

func RequestState(challenge []byte, offered ...[]byte) []byte {
	s := session{challenge: challenge, anyone: len(offered) == 0, needVerified: len(offered) == 0}
	for _, id := range offered {
		s.offered = append(s.offered, hashID(id))
	}
	return s.encode()
}

// The roots of the two formats whose vendors are fixed. Nobody but those vendors could make an attestation that holds,
// so the tests add roots of their own.
//
//go:linkname androidRoots github.com/go-webauthn/webauthn/protocol.attAndroidKeyHardwareRootsCertPool
var androidRoots *x509.CertPool

//go:linkname appleRoots github.com/go-webauthn/webauthn/protocol.attAppleHardwareRootsCertPool
var appleRoots *x509.CertPool

// TrustVendor makes the formats android-key and apple trust a root.
func TrustVendor(root *x509.Certificate) {
	androidRoots.AddCert(root)
	appleRoots.AddCert(root)
}
