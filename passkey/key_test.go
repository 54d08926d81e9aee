package passkey_test

import (
	"bytes"
	"math/big"
	"testing"

	"sallyport/mfatest"
)

// madeOf lets an authenticator register with a key that was changed.
func madeOf(algorithm int, change func(mfatest.Map) mfatest.Map) func(*mfatest.Authenticator) {
	return func(a *mfatest.Authenticator) {
		a.Algorithms = []int{algorithm}
		a.Edit.PublicKey = change
	}
}

// ALG1: keys that are not what they say, weak, or of another form.
func TestALG1_PublicKeys(t *testing.T) {
	with := func(pairs ...any) func(mfatest.Map) mfatest.Map {
		return func(m mfatest.Map) mfatest.Map {
			for i := 0; i < len(pairs); i += 2 {
				m = m.With(pairs[i], pairs[i+1])
			}
			return m
		}
	}
	p384, err := mfatest.NewKey(mfatest.ES384)
	if err != nil {
		t.Fatal(err)
	}
	coordinate := func(edit func([]byte) []byte) func(mfatest.Map) mfatest.Map {
		return func(m mfatest.Map) mfatest.Map { return m.With(-2, edit(bytes.Clone(m.Get(-2).([]byte)))) }
	}
	modulus := func(bits uint) func(mfatest.Map) mfatest.Map {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return with(-1, n.Add(n, big.NewInt(1)).Bytes())
	}
	for name, weak := range map[string]func(*mfatest.Authenticator){
		"ES256 on P-384":                   madeOf(mfatest.ES256, with(-1, 2)),
		"ES256 on P-521":                   madeOf(mfatest.ES256, with(-1, 3)),
		"ES256 on secp256k1":               madeOf(mfatest.ES256, with(-1, 8)),
		"ES256 with a point of P-384":      madeOf(mfatest.ES256, func(mfatest.Map) mfatest.Map { return p384.COSE().With(3, mfatest.ES256) }),
		"ES384 on P-256":                   madeOf(mfatest.ES384, with(-1, 1)),
		"ES512 on P-256":                   madeOf(mfatest.ES512, with(-1, 1)),
		"ES256 without a curve":            madeOf(mfatest.ES256, func(m mfatest.Map) mfatest.Map { return m.Without(-1) }),
		"ES256 without x":                  madeOf(mfatest.ES256, func(m mfatest.Map) mfatest.Map { return m.Without(-2) }),
		"ES256 without a key type":         madeOf(mfatest.ES256, func(m mfatest.Map) mfatest.Map { return m.Without(1) }),
		"ES256 without an algorithm":       madeOf(mfatest.ES256, func(m mfatest.Map) mfatest.Map { return m.Without(3) }),
		"ES256 as a text":                  madeOf(mfatest.ES256, with(3, "ES256")),
		"ES256 of key type OKP":            madeOf(mfatest.ES256, with(1, 1)),
		"ES256 of key type RSA":            madeOf(mfatest.RS256, with(3, mfatest.ES256)),
		"EdDSA of key type EC2":            madeOf(mfatest.ES256, with(3, mfatest.EdDSA)),
		"EdDSA on P-256":                   madeOf(mfatest.EdDSA, with(-1, 1)),
		"EdDSA on Ed448":                   madeOf(mfatest.EdDSA, with(-1, 7, -2, make([]byte, 57))),
		"EdDSA of 31 bytes":                madeOf(mfatest.EdDSA, coordinate(func(b []byte) []byte { return b[1:] })),
		"RS256 of key type EC2":            madeOf(mfatest.ES256, with(3, mfatest.RS256)),
		"x of 31 bytes":                    madeOf(mfatest.ES256, coordinate(func(b []byte) []byte { return b[1:] })),
		"x of 33 bytes":                    madeOf(mfatest.ES256, coordinate(func(b []byte) []byte { return append([]byte{0}, b...) })),
		"a point that is not on the curve": madeOf(mfatest.ES256, coordinate(func(b []byte) []byte { b[31] ^= 1; return b })),
		"the point at infinity":            madeOf(mfatest.ES256, with(-2, make([]byte, 32), -3, make([]byte, 32))),
		"a compressed point":               madeOf(mfatest.ES256, with(-3, true)),
		"a coordinate beyond the field":    madeOf(mfatest.ES256, with(-2, bytes.Repeat([]byte{0xff}, 32))),
		"an RSA exponent of 1":             madeOf(mfatest.RS256, with(-2, []byte{1})),
		"an RSA exponent of 0":             madeOf(mfatest.RS256, with(-2, []byte{0})),
		"an even RSA exponent":             madeOf(mfatest.RS256, with(-2, []byte{1, 0, 0})),
		"an RSA exponent of 9 bytes":       madeOf(mfatest.RS256, with(-2, bytes.Repeat([]byte{1}, 9))),
		"an RSA exponent of 5 bytes":       madeOf(mfatest.RS256, with(-2, bytes.Repeat([]byte{1}, 5))),
		"an RSA key of 1024 bits":          madeOf(mfatest.RS256, modulus(1024)),
		"an RSA key of 2047 bits":          madeOf(mfatest.RS256, modulus(2047)),
		"an RSA key of 4097 bits":          madeOf(mfatest.RS256, modulus(4097)),
		"an RSA key of 16384 bits":         madeOf(mfatest.RS256, modulus(16384)),
		"an even RSA modulus": madeOf(mfatest.RS256, func(m mfatest.Map) mfatest.Map {
			n := bytes.Clone(m.Get(-1).([]byte))
			n[len(n)-1] &^= 1
			return m.With(-1, n)
		}),
		"an RSA modulus behind zeros": madeOf(mfatest.RS256, func(m mfatest.Map) mfatest.Map { return m.With(-1, append([]byte{0}, m.Get(-1).([]byte)...)) }),
		"no RSA modulus":              madeOf(mfatest.RS256, with(-1, []byte{})),
		"the algorithm twice":         madeOf(mfatest.ES256, func(m mfatest.Map) mfatest.Map { return append(m, 3, mfatest.ES256) }),
		"x twice":                     madeOf(mfatest.ES256, func(m mfatest.Map) mfatest.Map { return append(m, -2, m.Get(-2)) }),
		"a list in place of the key":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewAuthenticator(site)
			if weak == nil {
				a.Edit.RawPublicKey = func([]byte) []byte { return mfatest.EncodeCBOR([]any{1, 2, 3}) }
			} else {
				weak(a)
			}
			_, err := c.enroll(a)
			refused(t, "FinishEnroll", err)
		})
	}
}

// ATT2: an algorithm that was not offered is refused by the server.
func TestATT2_AlgorithmsThatWereNotOffered(t *testing.T) {
	for name, algorithm := range map[string]int{
		"ES256K": -47, "RS1": -65535, "RS384": -258, "RS512": -259, "PS256": -37, "ESP256": -9, "Ed25519": -19, "none": 0,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewAuthenticator(site)
			switch {
			case algorithm <= -258 || algorithm == -37 || algorithm == -65535:
				a.Algorithms = []int{mfatest.RS256}
			case algorithm == -19:
				a.Algorithms = []int{mfatest.EdDSA}
			}
			a.Edit.PublicKey = func(m mfatest.Map) mfatest.Map { return m.With(3, algorithm) }
			_, err := c.enroll(a)
			refused(t, "FinishEnroll", err)
		})
	}
}

func TestSizesOfRSAKeys(t *testing.T) {
	for _, bits := range []uint{2048, 3072, 4096} {
		c := newCeremonies(t, newMethod(t, nil))
		a := mfatest.NewAuthenticator(site)
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		madeOf(mfatest.RS256, func(m mfatest.Map) mfatest.Map { return m.With(-1, n.Add(n, big.NewInt(1)).Bytes()) })(a)
		if _, err := c.enroll(a); err != nil {
			t.Errorf("an RSA key of %d bits: FinishEnroll = %v, want no error", bits, err)
		}
	}
}
