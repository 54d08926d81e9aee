package passkey

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Sizes of RSA keys that are accepted, in bits.
const minRSA, maxRSA = 2048, 4096

// algorithms are offered at registration in this order, and nothing else is accepted: ES256, EdDSA (Ed25519), ES384,
// ES512, RS256.
var algorithms = [...]webauthncose.COSEAlgorithmIdentifier{
	webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgES384, webauthncose.AlgES512, webauthncose.AlgRS256,
}

// parseKey returns the algorithm of a COSE_Key that may be registered: of an algorithm that is offered, on its own
// curve, in uncompressed form, of a size that is neither weak nor a burden to verify.
func parseKey(cose []byte) (webauthncose.COSEAlgorithmIdentifier, error) {
	if len(cose) > maxKey {
		return 0, fmt.Errorf("the public key has %d bytes, want at most %d", len(cose), maxKey)
	}
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return 0, fmt.Errorf("the public key: %w", err)
	}
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		alg := webauthncose.COSEAlgorithmIdentifier(k.Algorithm)
		if alg == webauthncose.AlgES256 || alg == webauthncose.AlgES384 || alg == webauthncose.AlgES512 {
			return alg, nil
		}
	case webauthncose.OKPPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgEdDSA) {
			return webauthncose.AlgEdDSA, nil
		}
	case webauthncose.RSAPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgRS256) {
			return webauthncose.AlgRS256, checkRSA(k)
		}
	}
	return 0, errors.New("the public key is of an algorithm that was not offered")
}

func checkRSA(k webauthncose.RSAPublicKeyData) error {
	e, err := webauthncose.ParseRSAPublicKeyDataExponent(&k)
	switch size := bitLen(k.Modulus); {
	case err != nil:
		return fmt.Errorf("the exponent of the RSA key: %w", err)
	case e < 3 || e%2 == 0 || e > 1<<31-1:
		return fmt.Errorf("the exponent of the RSA key is %d", e)
	case size < minRSA || size > maxRSA || k.Modulus[len(k.Modulus)-1]%2 == 0:
		return fmt.Errorf("the RSA key has %d bits or an even modulus, want %d to %d bits", size, minRSA, maxRSA)
	}
	return nil
}

// bitLen is the size of a number without leading zero bytes; a number with them is 0, since it is not encoded right.
func bitLen(number []byte) int {
	if len(number) == 0 || number[0] == 0 {
		return 0
	}
	return 8*len(number) - bits.LeadingZeros8(number[0])
}

// coseOfPoint returns the COSE_Key of an uncompressed point on P-256, the form in which U2F keeps public keys. What is
// no such point makes a key that parseKey refuses.
func coseOfPoint(point []byte) []byte {
	if len(point) != 65 || point[0] != 4 {
		return nil
	}
	cose, err := webauthncbor.Marshal(map[int]any{
		1: int(webauthncose.EllipticKey), 3: int(webauthncose.AlgES256),
		-1: int(webauthncose.P256), -2: point[1:33], -3: point[33:],
	})
	if err != nil {
		return nil
	}
	return cose
}
