package mfatest

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"slices"
	"time"
)

// TPM is what a TPM says about a key that it has made (WebAuthn Level 3 §8.3), before it is signed.
type TPM struct {
	Version   string // "2.0"
	Public    []byte // the key: TPMT_PUBLIC
	Magic     uint32 // TPM_GENERATED_VALUE
	Type      uint16 // TPM_ST_ATTEST_CERTIFY
	ExtraData []byte // the hash of what is attested
	Name      []byte // the hash of Public behind its algorithm
}

// Numbers of the TPM Library Specification, part 2.
const (
	tpmRSA       = 0x0001
	tpmSHA256    = 0x000b
	tpmNull      = 0x0010
	tpmECC       = 0x0023
	tpmGenerated = 0xff544347
	tpmCertify   = 0x8017
	tpmP256      = 0x0003
)

// tpm makes the statement of a TPM. It signs by SHA-256.
func (a *Attester) tpm(c *Credential, attested []byte) Map {
	extra, public := sha256.Sum256(attested), tpmPublic(c.Key)
	name := sha256.Sum256(public)
	s := TPM{
		Version: "2.0", Public: public, Magic: tpmGenerated, Type: tpmCertify, ExtraData: extra[:],
		Name: slices.Concat(u16(tpmSHA256), name[:]),
	}
	if a.TPM != nil {
		a.TPM(&s)
	}
	info := s.certInfo()
	return Map{
		"ver", s.Version, "alg", a.Key.Algorithm, "x5c", a.chain(), "sig", a.Key.Sign(info), "certInfo", info,
		"pubArea", s.Public,
	}
}

// certInfo is TPMS_ATTEST.
func (s TPM) certInfo() []byte {
	const clockAndFirmware = 8 + 4 + 4 + 1 + 8
	return slices.Concat(
		binary.BigEndian.AppendUint32(nil, s.Magic), u16(s.Type), sized(nil), sized(s.ExtraData),
		make([]byte, clockAndFirmware), sized(s.Name), sized(nil))
}

// tpmPublic is TPMT_PUBLIC of a key on P-256 or an RSA key.
func tpmPublic(k Key) []byte {
	const attributes = 0x00060472 // of no consequence here
	head := func(kind uint16) []byte {
		return slices.Concat(u16(kind), u16(tpmSHA256), binary.BigEndian.AppendUint32(nil, attributes), sized(nil),
			u16(tpmNull), u16(tpmNull))
	}
	switch public := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		point := k.Point()[1:]
		half := len(point) / 2
		return slices.Concat(head(tpmECC), u16(tpmP256), u16(tpmNull), sized(point[:half]), sized(point[half:]))
	case *rsa.PublicKey:
		return slices.Concat(head(tpmRSA), u16(uint16(public.N.BitLen())),
			binary.BigEndian.AppendUint32(nil, uint32(public.E)), sized(public.N.Bytes()))
	}
	panic("a TPM makes keys on P-256 and RSA keys only")
}

func u16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// sized writes bytes behind their length, as TPM2B does.
func sized(b []byte) []byte { return append(u16(uint16(len(b))), b...) }

// identityCertificate is one of WebAuthn Level 3 §8.3.1, of a TPM by a manufacturer that is in the registry.
func identityCertificate() (*x509.Certificate, error) {
	names, err := TPMNames("id:414D4400", "Example", "id:13")
	return &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), BasicConstraintsValid: true,
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 23, 133, 8, 3}}, // tcg-kp-AIKCertificate
		ExtraExtensions:    []pkix.Extension{names},
	}, err
}

// TPMNames is the extension by which a certificate says which TPM it is of.
func TPMNames(manufacturer, model, version string) (pkix.Extension, error) {
	var name pkix.RDNSequence
	for i, value := range []string{manufacturer, model, version} {
		id := asn1.ObjectIdentifier{2, 23, 133, 2, i + 1}
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: id, Value: value}})
	}
	der, err := asn1.Marshal(name)
	if err != nil {
		return pkix.Extension{}, err
	}
	directory := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: der}
	value, err := asn1.Marshal([]asn1.RawValue{directory})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: value}, err
}
