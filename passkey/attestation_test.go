package passkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"sallyport/mfatest"
	"sallyport/passkey"
)

var model = [16]byte{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

const modelName = "aa010203-0405-0607-0809-0a0b0c0d0e0f"

var allFormats = []string{"packed", "packed-self", "fido-u2f", "tpm", "android-key", "apple"}

// attested returns an authenticator that somebody vouches for in a format, and whose vendor is trusted.
func attested(t testing.TB, format string, change func(*x509.Certificate)) *mfatest.Authenticator {
	t.Helper()
	a := mfatest.NewSecurityKey(site)
	if a.AAGUID = model; format == "fido-u2f" {
		a.AAGUID = [16]byte{}
	}
	var err error
	if a.Attester, err = mfatest.NewAttester(format, a.AAGUID, change); err != nil {
		t.Fatal(err)
	}
	passkey.TrustVendor(a.Attester.Root)
	return a
}

func direct(c *passkey.Config) { c.Attestation = passkey.Direct }

func TestEveryFormatOfAttestation(t *testing.T) {
	m := newMethod(t, direct)
	for _, format := range allFormats {
		t.Run(format, func(t *testing.T) {
			c := newCeremonies(t, m)
			a := attested(t, format, nil)
			c.enrolled(a)
			if got, want := open(t, c.factors[0]).Format, strings.TrimSuffix(format, "-self"); got != want {
				t.Errorf("the format kept is %q, want %q", got, want)
			}
			c.proved(a)
		})
	}
}

func TestATPMMakesRSAKeysToo(t *testing.T) {
	c := newCeremonies(t, newMethod(t, direct))
	a := attested(t, "tpm", nil)
	a.Algorithms = []int{mfatest.RS256}
	c.enrolled(a)
	c.proved(a)
}

// corruption is one thing that is wrong with an attestation of some formats.
type corruption struct {
	name    string
	formats []string
	spoil   func(t testing.TB, a *mfatest.Authenticator)
}

func (c corruption) concerns(format string) bool { return slices.Contains(c.formats, format) }

// ATT1: each format and each single corruption that applies. Under Direct it is refused; under None nobody has asked,
// and what comes all the same is not looked at.
func TestATT1_AStatementThatIsWrongInOneThing(t *testing.T) {
	strict, lax := newMethod(t, direct), newMethod(t, nil)
	for _, format := range allFormats {
		for _, c := range slices.Concat(ofStatements(), ofCertificates(), ofTPMs(), ofPhones(), ofU2F()) {
			if !c.concerns(format) {
				continue
			}
			t.Run(format+", "+c.name, func(t *testing.T) {
				a := attested(t, format, nil)
				a.Attester.Unasked = true
				newCeremonies(t, strict).enrolled(a)
				a.Credentials = nil
				c.spoil(t, a)
				_, err := newCeremonies(t, strict).enroll(a)
				refused(t, "FinishEnroll under Direct", err)
				a.Credentials = nil
				newCeremonies(t, lax).enrolled(a)
			})
		}
	}
}

// in changes a member of the statement; nil takes it out.
func in(name string, change func(any) any) func(testing.TB, *mfatest.Authenticator) {
	return func(_ testing.TB, a *mfatest.Authenticator) {
		a.Edit.Statement = func(m mfatest.Map) mfatest.Map {
			if change == nil {
				return m.Without(name)
			}
			return m.With(name, change(m.Get(name)))
		}
	}
}

func to(value any) func(any) any { return func(any) any { return value } }

func ofStatements() []corruption {
	signed := []string{"packed", "packed-self", "fido-u2f", "tpm", "android-key"}
	named := []string{"packed", "packed-self", "tpm", "android-key"}
	certified := []string{"packed", "fido-u2f", "tpm", "android-key", "apple"}
	flipLast := func(v any) any {
		b := bytes.Clone(v.([]byte))
		b[len(b)-1] ^= 1
		return b
	}
	stranger, _ := mfatest.NewKey(mfatest.ES256)
	return []corruption{
		{"another signature", signed, in("sig", flipLast)},
		{"the signature of a stranger", signed, in("sig", to(stranger.Sign([]byte("x"))))},
		{"an empty signature", signed, in("sig", to([]byte{}))},
		{"no signature", signed, in("sig", nil)},
		{"a signature that is a text", signed, in("sig", to("sig"))},
		{"another algorithm", named, in("alg", to(mfatest.ES384))},
		{"an algorithm of another kind of key", named, in("alg", to(mfatest.RS256))},
		{"an algorithm that nobody knows", named, in("alg", to(-7777))},
		{"an algorithm that is a text", named, in("alg", to("ES256"))},
		{"no algorithm", named, in("alg", nil)},
		{"no certificates", []string{"fido-u2f", "tpm", "android-key", "apple"}, in("x5c", nil)},
		{"an empty list of certificates", append([]string{"packed-self"}, certified...), in("x5c", to([]any{}))},
		{"a certificate that is none", certified, in("x5c", to([]any{[]byte{1, 2, 3}}))},
		{"a certificate that is a text", certified, in("x5c", to([]any{"MIIB"}))},
		{"certificates that are no list", certified, in("x5c", to([]byte{1}))},
		{"bytes after a certificate", certified, in("x5c", func(v any) any {
			list := slices.Clone(v.([]any))
			list[0] = append(bytes.Clone(list[0].([]byte)), 0)
			return list
		})},
		{"the format in other letters", allFormats, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Edit.Format = strings.ToUpper(strings.TrimSuffix(a.Attester.Format, "-self"))
		}},
		{"a format that nobody knows", allFormats, as("example")},
		{"the format none with a statement", allFormats, as("none")},
	}
}

// as names another format.
func as(format string) func(testing.TB, *mfatest.Authenticator) {
	return func(_ testing.TB, a *mfatest.Authenticator) { a.Edit.Format = format }
}

// ofModel lets the certificate of the model be another one.
func ofModel(change func(*x509.Certificate)) func(testing.TB, *mfatest.Authenticator) {
	return func(t testing.TB, a *mfatest.Authenticator) {
		a.Attester = attested(t, a.Attester.Format, change).Attester
		a.Attester.Unasked = true
	}
}

// ofAny does so also where each credential has a certificate of its own.
func ofAny(change func(*x509.Certificate)) func(testing.TB, *mfatest.Authenticator) {
	return func(t testing.TB, a *mfatest.Authenticator) {
		ofModel(change)(t, a)
		a.Attester.Certificate = change
	}
}

func ofCertificates() []corruption {
	models, certified := []string{"packed", "tpm"}, []string{"packed", "fido-u2f", "tpm", "android-key", "apple"}
	other := model
	other[15]++
	subject := func(change func(*pkix.Name)) func(testing.TB, *mfatest.Authenticator) {
		return ofModel(func(c *x509.Certificate) { change(&c.Subject) })
	}
	packed := []string{"packed"}
	return []corruption{
		{"the root before the certificate of the model", models, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Attester.Chain = []*x509.Certificate{a.Attester.Root, a.Attester.Chain[0]}
		}},
		{"a certificate before that of the credential", []string{"android-key", "apple"}, in("x5c", func(v any) any {
			return append([]any{mustRoot().Raw}, v.([]any)...)
		})},
		{"an expired certificate", certified, ofAny(func(c *x509.Certificate) { c.NotAfter = time.Unix(1<<30, 0) })},
		{"a certificate that expired a second ago", certified, ofAny(func(c *x509.Certificate) {
			c.NotAfter = noon.Add(-time.Second)
		})},
		{"a certificate that is not valid yet", certified, ofAny(func(c *x509.Certificate) {
			c.NotBefore = time.Unix(1<<32, 0)
		})},
		{"a certificate for another model", packed, ofModel(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{aaguidExtension(other, false)}
		})},
		{"a certificate for another model", []string{"tpm"}, ofModel(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, aaguidExtension(other, false))
		})},
		{"the AAGUID in a critical extension", packed, ofModel(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{aaguidExtension(model, true)}
		})},
		{"a certificate that may issue others", models, ofModel(func(c *x509.Certificate) { c.IsCA = true })},
		{"a certificate of version 1", models, versionOne},
		{"no country", packed, subject(func(n *pkix.Name) { n.Country = nil })},
		{"a country that is none", packed, subject(func(n *pkix.Name) { n.Country = []string{"USA"} })},
		{"no organization", packed, subject(func(n *pkix.Name) { n.Organization = nil })},
		{"another organizational unit", packed, subject(func(n *pkix.Name) {
			n.OrganizationalUnit = []string{"Authenticators"}
		})},
		{"no organizational unit", packed, subject(func(n *pkix.Name) { n.OrganizationalUnit = nil })},
		{"no common name", packed, subject(func(n *pkix.Name) { n.CommonName = "" })},
		{"a root that nobody knows", []string{"android-key", "apple"}, func(t testing.TB, a *mfatest.Authenticator) {
			stranger, err := mfatest.NewAttester(a.Attester.Format, model, nil)
			if err != nil {
				t.Fatal(err)
			}
			a.Attester.Root, a.Attester.RootKey = stranger.Root, stranger.RootKey
		}},
	}
}

func mustRoot() *x509.Certificate {
	a, err := mfatest.NewAttester("packed", model, nil)
	if err != nil {
		panic(err)
	}
	return a.Root
}

func aaguidExtension(aaguid [16]byte, critical bool) pkix.Extension {
	value, err := asn1.Marshal(aaguid[:])
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Critical: critical, Value: value}
}

// versionOne issues the certificate of the model once more as one of version 1, which has no extensions and which
// x509.CreateCertificate does not make.
func versionOne(t testing.TB, a *mfatest.Authenticator) {
	t.Helper()
	type algorithm struct{ ID asn1.ObjectIdentifier }
	type toSign struct {
		Serial    *big.Int
		Algorithm algorithm
		Issuer    asn1.RawValue
		Validity  struct{ NotBefore, NotAfter time.Time }
		Subject   asn1.RawValue
		Key       asn1.RawValue
	}
	old := a.Attester.Chain[0]
	sha256WithECDSA := algorithm{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	c := toSign{
		Serial: old.SerialNumber, Algorithm: sha256WithECDSA, Issuer: asn1.RawValue{FullBytes: old.RawIssuer},
		Subject: asn1.RawValue{FullBytes: old.RawSubject}, Key: asn1.RawValue{FullBytes: old.RawSubjectPublicKeyInfo},
	}
	c.Validity.NotBefore, c.Validity.NotAfter = noon.AddDate(-1, 0, 0), noon.AddDate(9, 0, 0)
	tbs, err := asn1.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, a.Attester.RootKey.Private.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		C         asn1.RawValue
		Algorithm algorithm
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, sha256WithECDSA, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil || made.Version != 1 || made.CheckSignatureFrom(a.Attester.Root) != nil {
		t.Fatalf("the certificate has version %d, %v, want a signed one of version 1", made.Version, err)
	}
	a.Attester.Chain[0] = made
}

func ofTPMs() []corruption {
	tpm := []string{"tpm"}
	says := func(change func(*mfatest.TPM)) func(testing.TB, *mfatest.Authenticator) {
		return func(_ testing.TB, a *mfatest.Authenticator) { a.Attester.TPM = change }
	}
	names := func(manufacturer, model, version string) func(testing.TB, *mfatest.Authenticator) {
		return ofModel(func(c *x509.Certificate) {
			extension, err := mfatest.TPMNames(manufacturer, model, version)
			if err != nil {
				panic(err)
			}
			c.ExtraExtensions = []pkix.Extension{extension}
		})
	}
	return []corruption{
		{"version 1.2", tpm, says(func(s *mfatest.TPM) { s.Version = "1.2" })},
		{"no version", tpm, in("ver", nil)},
		{"another magic number", tpm, says(func(s *mfatest.TPM) { s.Magic++ })},
		{"a type that is not certify", tpm, says(func(s *mfatest.TPM) { s.Type = 0x8018 })},
		{"extra data of something else", tpm, says(func(s *mfatest.TPM) { s.ExtraData[0] ^= 1 })},
		{"no extra data", tpm, says(func(s *mfatest.TPM) { s.ExtraData = nil })},
		{"the name of another key", tpm, says(func(s *mfatest.TPM) { s.Name[10] ^= 1 })},
		{"no name", tpm, says(func(s *mfatest.TPM) { s.Name = nil })},
		{"another key", tpm, says(func(s *mfatest.TPM) { s.Public[len(s.Public)-1] ^= 1 })},
		{"half a key", tpm, says(func(s *mfatest.TPM) { s.Public = s.Public[:20] })},
		{"no key", tpm, in("pubArea", nil)},
		{"nothing certified", tpm, in("certInfo", nil)},
		{"the certified cut off", tpm, in("certInfo", func(v any) any { return v.([]byte)[:12] })},
		{"a certificate with a subject", tpm, ofModel(func(c *x509.Certificate) { c.Subject.CommonName = "TPM" })},
		{"a certificate for other uses", tpm, ofModel(func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 2}}
		})},
		{"a certificate for any use", tpm, ofModel(func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil })},
		{"a certificate that does not say whether it may issue", tpm, ofModel(func(c *x509.Certificate) {
			c.BasicConstraintsValid = false
		})},
		{"a certificate that does not name its TPM", tpm, ofModel(func(c *x509.Certificate) { c.ExtraExtensions = nil })},
		{"a manufacturer that nobody knows", tpm, names("id:58585858", "Example", "id:13")},
		{"no manufacturer", tpm, names("", "Example", "id:13")},
		{"no model", tpm, names("id:414D4400", "", "id:13")},
		{"no version of the TPM", tpm, names("id:414D4400", "Example", "")},
	}
}

func ofPhones() []corruption {
	android, apple := []string{"android-key"}, []string{"apple"}
	says := func(change func(*mfatest.AndroidKey)) func(testing.TB, *mfatest.Authenticator) {
		return func(_ testing.TB, a *mfatest.Authenticator) { a.Attester.Android = change }
	}
	imported := 2
	return []corruption{
		{"another challenge", android, says(func(k *mfatest.AndroidKey) { k.Challenge = bytes.Repeat([]byte{1}, 32) })},
		{"no challenge", android, says(func(k *mfatest.AndroidKey) { k.Challenge = nil })},
		{"for all applications, by hardware", android, says(func(k *mfatest.AndroidKey) { k.TEE.AllApplications = true })},
		{"for all applications, by software", android, says(func(k *mfatest.AndroidKey) {
			k.Software.AllApplications = true
		})},
		{"a key that was imported", android, says(func(k *mfatest.AndroidKey) { k.TEE.Origin = &imported })},
		{"a key of no origin", android, says(func(k *mfatest.AndroidKey) { k.TEE.Origin = nil })},
		{"a key that encrypts", android, says(func(k *mfatest.AndroidKey) { k.TEE.Purpose = []int{0, 1} })},
		{"a key for nothing", android, says(func(k *mfatest.AndroidKey) { k.TEE.Purpose = nil })},
		{"what software says in place of hardware", android, says(func(k *mfatest.AndroidKey) {
			k.Software, k.TEE = k.TEE, mfatest.Authorizations{}
		})},
		{"nothing said about the key", android, says(func(k *mfatest.AndroidKey) { k.Missing = true })},
		{"a certificate for another key", []string{"android-key", "apple"}, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Attester.KeyOfModel = true
		}},
		{"another nonce", apple, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Attester.Nonce = func(b []byte) []byte { b[0] ^= 1; return b }
		}},
		{"half a nonce", apple, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Attester.Nonce = func(b []byte) []byte { return b[:16] }
		}},
		{"no nonce", apple, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Attester.Nonce = func([]byte) []byte { return nil }
		}},
	}
}

func ofU2F() []corruption {
	u2f := []string{"fido-u2f"}
	return []corruption{
		{"two certificates", u2f, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Attester.Chain = append(a.Attester.Chain, a.Attester.Root)
		}},
		{"an AAGUID", u2f, func(_ testing.TB, a *mfatest.Authenticator) { a.AAGUID = model }},
		{"a certificate for a key on P-384", u2f, func(t testing.TB, a *mfatest.Authenticator) {
			key, err := mfatest.NewKey(mfatest.ES384)
			if err != nil {
				t.Fatal(err)
			}
			c, err := a.Attester.Issue(a.Attester.Chain[0], key)
			if err != nil {
				t.Fatal(err)
			}
			// U2F signs by SHA-256 whatever the key is.
			key.Algorithm = mfatest.ES256
			a.Attester.Key, a.Attester.Chain = key, []*x509.Certificate{c}
		}},
		{"a credential on P-384", u2f, func(_ testing.TB, a *mfatest.Authenticator) {
			a.Algorithms = []int{mfatest.ES384}
		}},
	}
}

// ATT3: formats that are not verified here are refused, however they look.
func TestATT3_FormatsThatAreNotVerified(t *testing.T) {
	m := newMethod(t, direct)
	sub := mfatest.Map{"fmt", "none", "attStmt", mfatest.Map{}}
	for name, object := range map[string]struct {
		format    string
		statement any
	}{
		"safetynet":                     {"android-safetynet", mfatest.Map{"ver", "1", "response", []byte("a.b.c")}},
		"compound of one":               {"compound", []any{sub}},
		"compound of two":               {"compound", []any{sub, sub}},
		"compound in compound":          {"compound", []any{sub, mfatest.Map{"fmt", "compound", "attStmt", []any{sub, sub}}}},
		"compound that is a map":        {"compound", mfatest.Map{}},
		"packed with a list":            {"packed", []any{}},
		"a format without a name":       {"", mfatest.Map{}},
		"none that has a list":          {"none", []any{1}},
		"packed by an anonymous group":  {"packed", mfatest.Map{"alg", -7, "sig", []byte{1}, "ecdaaKeyId", []byte{1}}},
		"a format with a space after":   {"packed ", mfatest.Map{}},
		"a format in other letters":     {"NONE", mfatest.Map{}},
		"a format that nobody knows":    {"example", mfatest.Map{}},
		"a format of 254 bytes, by far": {strings.Repeat("x", 254), mfatest.Map{}},
	} {
		refuseCreate(t, m, name, func(e *mfatest.Edits) {
			e.Format, e.Object = object.format, func(b []byte) []byte {
				return bytes.Replace(withFormat(b, object.format), mfatest.EncodeCBOR(mfatest.Map{}),
					mfatest.EncodeCBOR(object.statement), 1)
			}
		})
	}
}

// ATT1: a list of statements each of which holds is a format that is not verified here.
func TestATT1_CompoundOfStatementsThatHold(t *testing.T) {
	a := attested(t, "packed-self", nil)
	m := newMethod(t, direct)
	newCeremonies(t, m).enrolled(a)
	a.Credentials = nil
	var sub mfatest.Map
	a.Edit.Statement = func(s mfatest.Map) mfatest.Map { sub = mfatest.Map{"fmt", "packed", "attStmt", s}; return s }
	a.Edit.Object = func(b []byte) []byte {
		var object protocol.AttestationObject
		if err := webauthncbor.Unmarshal(b, &object); err != nil {
			t.Fatal(err)
		}
		return mfatest.EncodeCBOR(mfatest.Map{
			"fmt", "compound", "attStmt", []any{sub, sub}, "authData", object.RawAuthData,
		})
	}
	_, err := newCeremonies(t, m).enroll(a)
	refused(t, "FinishEnroll", err)
}

// withFormat lets an attestation object of format none name another one, an empty one too.
func withFormat(object []byte, format string) []byte {
	return bytes.Replace(object, mfatest.EncodeCBOR("none"), mfatest.EncodeCBOR(format), 1)
}

// ATT1: under None a statement is not looked at, but what is too large is refused.
func TestATT1_StatementsThatNobodyAskedForAreBounded(t *testing.T) {
	m := newMethod(t, nil)
	for size, ok := range map[int]bool{1000: true, 40_000: true, 49_000: false, 200_000: false} {
		c := newCeremonies(t, m)
		a := mfatest.NewSecurityKey(site)
		a.Edit.Format = "example"
		a.Edit.Statement = func(mfatest.Map) mfatest.Map { return mfatest.Map{"sig", make([]byte, size)} }
		_, err := c.enroll(a)
		if (err == nil) != ok {
			t.Errorf("a statement of %d bytes: FinishEnroll = %v, want it accepted: %v", size, err, ok)
		}
	}
}

// A site that asks may get nothing: that is no mistake, unless it has said which models it wants.
func TestAnAuthenticatorThatSaysNothing(t *testing.T) {
	c := newCeremonies(t, newMethod(t, direct))
	a := mfatest.NewSecurityKey(site)
	if out := c.enrolled(a); out.Note != "" {
		t.Errorf("Note = %q, want none", out.Note)
	}
	if got := open(t, c.factors[0]).Format; got != "none" {
		t.Errorf("the format kept is %q, want none", got)
	}
}
