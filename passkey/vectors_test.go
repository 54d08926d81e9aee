package passkey_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

// hexBytes is bytes in hex, as the test vectors have them.
type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vector is a registration and an authentication of WebAuthn Level 3 §16.
type vector struct {
	Name         string
	Registration struct {
		Challenge         hexBytes
		Key               hexBytes `json:"credential_private_key"`
		EdKey             hexBytes `json:"private_key"`
		AttestationKey    hexBytes `json:"attestation_private_key"`
		CredentialID      hexBytes `json:"credential_id"`
		AAGUID            hexBytes
		ClientDataJSON    hexBytes
		AttestationObject hexBytes
	}
	Authentication struct {
		Challenge         hexBytes
		ClientDataJSON    hexBytes
		AuthenticatorData hexBytes
		Signature         hexBytes
	}
}

// vectors are those of testdata/webauthn-l3.json, which names their source.
func vectors(t testing.TB) (list []vector, root []byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/webauthn-l3.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []vector
		Root    struct {
			Cert hexBytes `json:"attestation_ca_cert"`
		} `json:"attestation_root"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 15 {
		t.Fatalf("there are %d vectors, want 15", len(file.Vectors))
	}
	return file.Vectors, file.Root.Cert
}

var vectorHandle = bytes.Repeat([]byte{9}, 64)

// register gives the registration of v, with other client data and another attestation object, to m.
func (v vector) register(t testing.TB, m *passkey.Method, clientData, object []byte) (mfa.Outcome, error) {
	t.Helper()
	return m.FinishEnroll(t.Context(), mfa.Attempt{
		User: alice, Now: noon, State: passkey.CreateState(v.Registration.Challenge, vectorHandle),
		Answer: answerOf(v.Registration.CredentialID, map[string][]byte{
			"clientDataJSON": clientData, "attestationObject": object,
		}),
	})
}

// authenticate gives the authentication of v, with other parts, to m.
func (v vector) authenticate(
	t testing.TB, m *passkey.Method, f mfa.Factor, clientData, data, signature []byte,
) (mfa.Outcome, error) {
	t.Helper()
	f.ID = "f1"
	return m.Finish(t.Context(), mfa.Attempt{
		User: alice, Factor: f, Own: []mfa.Factor{f}, Now: noon,
		State: passkey.RequestState(v.Authentication.Challenge, v.Registration.CredentialID),
		Answer: answerOf(v.Registration.CredentialID, map[string][]byte{
			"clientDataJSON": clientData, "authenticatorData": data, "signature": signature,
		}),
	})
}

// answerOf writes an answer as toJSON() does.
func answerOf(id []byte, parts map[string][]byte) []byte {
	response := map[string]string{}
	for name, part := range parts {
		response[name] = base64.RawURLEncoding.EncodeToString(part)
	}
	name := base64.RawURLEncoding.EncodeToString(id)
	text, err := json.Marshal(map[string]any{"id": name, "rawId": name, "type": "public-key", "response": response})
	if err != nil {
		panic(err)
	}
	return text
}

// embedded is the configuration under which all vectors hold: two of them were made in a frame of another site.
func embedded(c *passkey.Config) { c.EmbeddedIn = []string{"https://example.com"} }

// offered reports whether the algorithm of v is one that is offered: all but that of Ed448.
func (v vector) offered() bool { return v.Name != "packed-ed448" }

// What the specification says is right is taken, but for an algorithm that is not offered.
func TestVectorsOfTheSpecification(t *testing.T) {
	m := newMethod(t, embedded)
	list, _ := vectors(t)
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			out, err := v.register(t, m, v.Registration.ClientDataJSON, v.Registration.AttestationObject)
			if !v.offered() {
				refused(t, "FinishEnroll with an algorithm that was not offered", err)
				return
			}
			if err != nil {
				t.Fatalf("FinishEnroll = %v, want no error", err)
			}
			c := open(t, out.Factor)
			if !bytes.Equal(c.ID, v.Registration.CredentialID) || !bytes.Equal(c.AAGUID[:], v.Registration.AAGUID) {
				t.Errorf("FinishEnroll = credential %x, AAGUID %x, want those of the vector", c.ID, c.AAGUID)
			}
			if out, err := v.prove(t, m, out.Factor); err != nil || out.Verified != v.verified() {
				t.Errorf("Finish = verified %v, %v, want %v, no error", out.Verified, err, v.verified())
			}
		})
	}
}

func (v vector) prove(t testing.TB, m *passkey.Method, f mfa.Factor) (mfa.Outcome, error) {
	a := v.Authentication
	return v.authenticate(t, m, f, a.ClientDataJSON, a.AuthenticatorData, a.Signature)
}

// verified reads the flag UV of the authentication.
func (v vector) verified() bool { return v.Authentication.AuthenticatorData[32]&mfatest.UV != 0 }

// Two of the vectors were made in a frame of another site, which a site does not allow unless it says so.
func TestVectorsOfFrames(t *testing.T) {
	strict, open := newMethod(t, nil), newMethod(t, embedded)
	framed := map[string]bool{"none-es256-crossOrigin": true, "none-es256-topOrigin": true}
	list, _ := vectors(t)
	for _, v := range list {
		if !v.offered() {
			continue
		}
		_, err := v.register(t, strict, v.Registration.ClientDataJSON, v.Registration.AttestationObject)
		if (err != nil) != framed[v.Name] {
			t.Errorf("%s: FinishEnroll = %v, want it refused: %v", v.Name, err, framed[v.Name])
		}
		out, err := v.register(t, open, v.Registration.ClientDataJSON, v.Registration.AttestationObject)
		if err != nil {
			t.Fatalf("%s: FinishEnroll = %v, want no error", v.Name, err)
		}
		if _, err := v.prove(t, strict, out.Factor); (err != nil) != framed[v.Name] {
			t.Errorf("%s: Finish = %v, want it refused: %v", v.Name, err, framed[v.Name])
		}
	}
}

// signer returns the private key of the credential; false: the specification gives it as a formula only.
func (v vector) signer(t testing.TB) (mfatest.Key, bool) {
	t.Helper()
	r := v.Registration
	if len(r.Key) > 0 {
		algorithm, curve := mfatest.ES256, elliptic.P256()
		switch {
		case strings.HasSuffix(v.Name, "es384"):
			algorithm, curve = mfatest.ES384, elliptic.P384()
		case strings.HasSuffix(v.Name, "es512"):
			algorithm, curve = mfatest.ES512, elliptic.P521()
		}
		return mfatest.Key{Algorithm: algorithm, Private: scalar(t, curve, r.Key)}, true
	}
	if strings.HasSuffix(v.Name, "eddsa") {
		return mfatest.Key{Algorithm: mfatest.EdDSA, Private: ed25519.NewKeyFromSeed(r.EdKey)}, true
	}
	return mfatest.Key{}, false
}

func scalar(t testing.TB, curve elliptic.Curve, d []byte) crypto.Signer {
	t.Helper()
	padded := append(make([]byte, (curve.Params().BitSize+7)/8-len(d)), d...)
	key, err := ecdsa.ParseRawPrivateKey(curve, padded)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// change is one thing that is wrong with an answer: in its client data or in its authenticator data.
type change struct {
	name       string
	clientData func(string) string
	data       func([]byte) []byte
}

// changes are what may be wrong while the signature is right.
var changes = []change{
	{"the type is that of the other ceremony",
		replace("webauthn.create", "webauthn.get", "webauthn.get", "webauthn.create"), nil},
	{"the challenge is another one", replace(`"challenge":"`, `"challenge":"A`), nil},
	{"the origin is another one", replace("https://example.org", "https://example.net"), nil},
	{"the origin is plain http", replace("https://example.org", "http://example.org"), nil},
	{"the origin has a port", replace("https://example.org", "https://example.org:8443"), nil},
	{"it was made in a frame of a stranger", func(s string) string {
		return strings.TrimSuffix(s, "}") + `,"crossOrigin":true,"topOrigin":"https://evil.example"}`
	}, nil},
	{"the client data is cut off", func(s string) string { return s[:len(s)-1] }, nil},
	{"the RP ID is another one", nil, at(0, func(b byte) byte { return b ^ 1 })},
	{"the end of the RP ID's hash is another one", nil, at(31, func(b byte) byte { return b ^ 0x80 })},
	{"nobody was present", nil, at(32, func(b byte) byte { return b &^ mfatest.UP })},
	{"it is backed up and not backup-eligible", nil, at(32, func(b byte) byte { return b&^mfatest.BE | mfatest.BS })},
	{"extension data is announced and not there", nil, at(32, func(b byte) byte { return b | mfatest.ED })},
	{"attested data and its flag do not agree", nil, at(32, func(b byte) byte { return b ^ mfatest.AT })},
	{"bytes follow the authenticator data", nil, func(b []byte) []byte { return append(bytes.Clone(b), 0) }},
	{"the authenticator data is cut off", nil, func(b []byte) []byte { return b[:36] }},
}

// of returns client data and authenticator data, one of them changed.
func (c change) of(clientData, data []byte) ([]byte, []byte) {
	if c.clientData != nil {
		return []byte(c.clientData(string(clientData))), data
	}
	return clientData, c.data(data)
}

func replace(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

func at(i int, change func(byte) byte) func([]byte) []byte {
	return func(b []byte) []byte {
		b = bytes.Clone(b)
		b[i] = change(b[i])
		return b
	}
}

// One field at a time is changed and the whole signed again: what is refused is the field, not the signature.
func TestVectorsChangedAndSignedAgain(t *testing.T) {
	m := newMethod(t, embedded)
	list, _ := vectors(t)
	signed := 0
	for _, v := range list {
		key, ok := v.signer(t)
		if !ok || !v.offered() {
			continue
		}
		signed++
		t.Run(v.Name, func(t *testing.T) {
			out, err := v.register(t, m, v.Registration.ClientDataJSON, v.Registration.AttestationObject)
			if err != nil {
				t.Fatalf("FinishEnroll = %v, want no error", err)
			}
			again := func(clientData, data []byte) error {
				hash := sha256.Sum256(clientData)
				signature := key.Sign(append(bytes.Clone(data), hash[:]...))
				_, err := v.authenticate(t, m, out.Factor, clientData, data, signature)
				return err
			}
			a := v.Authentication
			if err := again(a.ClientDataJSON, a.AuthenticatorData); err != nil {
				t.Fatalf("Finish of what is only signed again = %v, want no error", err)
			}
			for _, change := range changes {
				refused(t, "Finish where "+change.name, again(change.of(a.ClientDataJSON, a.AuthenticatorData)))
			}
			eligible := at(32, func(b byte) byte { return b ^ mfatest.BE&^mfatest.BS })
			refused(t, "Finish where backup-eligibility has changed", again(a.ClientDataJSON, eligible(a.AuthenticatorData)))
		})
	}
	if signed != 13 {
		t.Errorf("%d vectors were signed again, want all but Ed448 and RSA", signed)
	}
}

// The same for registrations whose attestation can be signed again: by the credential, or by the key of a model.
func TestVectorsOfRegistrationsChangedAndSignedAgain(t *testing.T) {
	m := newMethod(t, func(c *passkey.Config) { embedded(c); c.Attestation = passkey.Direct })
	list, _ := vectors(t)
	signed := 0
	for _, v := range list {
		sign, ok := v.attester(t)
		if !ok || !v.offered() {
			continue
		}
		signed++
		t.Run(v.Name, func(t *testing.T) {
			again := func(clientData, data []byte) error {
				_, err := v.register(t, m, clientData, v.signedAgain(t, sign, clientData, data))
				return err
			}
			clientData, data := []byte(v.Registration.ClientDataJSON), v.object(t).RawAuthData
			if err := again(clientData, data); err != nil {
				t.Fatalf("FinishEnroll of what is only signed again = %v, want no error", err)
			}
			for _, change := range changes {
				refused(t, "FinishEnroll where "+change.name, again(change.of(clientData, data)))
			}
			refused(t, "FinishEnroll where the credential id is another one", again(clientData, at(55, flip)(data)))
			refused(t, "FinishEnroll where the length of the id is another one", again(clientData, at(54, flip)(data)))
		})
	}
	if signed != 6 {
		t.Errorf("%d vectors were signed again, want all packed ones but Ed448", signed)
	}
}

func flip(b byte) byte { return b ^ 1 }

// attester returns what signs the attestation of a vector of format packed.
func (v vector) attester(t testing.TB) (mfatest.Key, bool) {
	t.Helper()
	switch {
	case v.Name == "packed-self-es256":
		return v.signer(t)
	case strings.HasPrefix(v.Name, "packed"):
		return mfatest.Key{Algorithm: mfatest.ES256, Private: scalar(t, elliptic.P256(), v.Registration.AttestationKey)}, true
	}
	return mfatest.Key{}, false
}

func (v vector) object(t testing.TB) (object protocol.AttestationObject) {
	t.Helper()
	if err := webauthncbor.Unmarshal(v.Registration.AttestationObject, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// signedAgain returns the attestation object with other data under a new signature.
func (v vector) signedAgain(t testing.TB, key mfatest.Key, clientData, data []byte) []byte {
	t.Helper()
	hash := sha256.Sum256(clientData)
	statement := mfatest.Map{"alg", key.Algorithm, "sig", key.Sign(append(bytes.Clone(data), hash[:]...))}
	if chain, ok := v.object(t).AttStatement["x5c"].([]any); ok {
		statement = append(statement, "x5c", chain)
	}
	return mfatest.EncodeCBOR(mfatest.Map{"fmt", "packed", "attStmt", statement, "authData", data})
}
