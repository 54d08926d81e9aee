package passkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
)

// mdsHost is the name in the certificate that signs the FIDO Alliance's metadata. Its root signs other sites as well.
const mdsHost = "mds.fidoalliance.org"

// verifyJWS returns the payload of a JWS in compact form (RFC 7515) that is signed by a certificate in its header which
// leads to one of roots (nil: the FIDO Alliance's). Algorithms: RS256, PS256, ES256.
func verifyJWS(text []byte, roots []*x509.Certificate, now time.Time) ([]byte, error) {
	parts := bytes.Split(bytes.TrimSpace(text), []byte("."))
	if len(parts) != 3 {
		return nil, errors.New("it is not a signed document")
	}
	decoded := make([][]byte, len(parts))
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.AppendDecode(nil, part); err != nil {
			return nil, fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	var header struct {
		Algorithm string          `json:"alg"`
		Chain     []string        `json:"x5c"`
		Critical  json.RawMessage `json:"crit"`
		Elsewhere json.RawMessage `json:"x5u"`
	}
	if err := json.Unmarshal(decoded[0], &header); err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	if header.Critical != nil || header.Elsewhere != nil {
		return nil, errors.New("the header asks for what is not understood here")
	}
	signer, err := verifyChain(header.Chain, roots, now)
	if err != nil {
		return nil, err
	}
	signed := text[:0:0]
	signed = append(append(append(signed, parts[0]...), '.'), parts[1]...)
	return decoded[1], checkJWS(signer, header.Algorithm, signed, decoded[2])
}

func verifyChain(chain []string, roots []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	if len(roots) == 0 {
		root, err := parseCertificate(metadata.ProductionMDSRoot)
		if err != nil {
			return nil, err
		}
		roots, opts.DNSName = []*x509.Certificate{root}, mdsHost
	}
	for _, root := range roots {
		opts.Roots.AddCert(root)
	}
	var list []*x509.Certificate
	for _, text := range chain {
		c, err := parseCertificate(text)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		opts.Intermediates.AddCert(c)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no certificate in its header")
	}
	if _, err := list[0].Verify(opts); err != nil {
		return nil, fmt.Errorf("its signer: %w", err)
	}
	return list[0], nil
}

func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// checkJWS checks a signature by the one algorithm that a header names and the key is for.
func checkJWS(signer *x509.Certificate, algorithm string, signed, signature []byte) error {
	var err error
	switch algorithm {
	case "RS256":
		err = signer.CheckSignature(x509.SHA256WithRSA, signed, signature)
	case "PS256":
		err = signer.CheckSignature(x509.SHA256WithRSAPSS, signed, signature)
	case "ES256":
		key, ok := signer.PublicKey.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() || len(signature) != 64 {
			return errors.New("the signature does not fit the key")
		}
		sum := sha256.Sum256(signed)
		if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			err = errors.New("it does not match")
		}
	default:
		return fmt.Errorf("the signature algorithm %q is not one of RS256, PS256, ES256", algorithm)
	}
	if err != nil {
		return fmt.Errorf("the signature: %w", err)
	}
	return nil
}
