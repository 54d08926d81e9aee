package passkey_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/mfatest"
)

// fido2Assert finds the verifier of libfido2, of the Debian package fido2-tools.
func fido2Assert(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("fido2-assert")
	if err == nil {
		return path
	}
	if os.Getenv("SALLYPORT_TEST_REQUIRE") != "" {
		t.Fatalf("%v: install fido2-tools", err)
	}
	t.Skipf("%v: install fido2-tools to run this", err)
	return ""
}

// signedParts are the parts of an answer that its authenticator has signed, and the signature.
func signedParts(t *testing.T, answer []byte) (clientData, authData, signature []byte) {
	t.Helper()
	var a struct {
		Response struct{ ClientDataJSON, AuthenticatorData, Signature string }
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	var parts [3][]byte
	for i, text := range []string{a.Response.ClientDataJSON, a.Response.AuthenticatorData, a.Response.Signature} {
		var err error
		if parts[i], err = base64.RawURLEncoding.DecodeString(text); err != nil {
			t.Fatal(err)
		}
	}
	return parts[0], parts[1], parts[2]
}

// verifies asks libfido2 about an assertion, in the form of fido2-assert(1).
func verifies(t *testing.T, key mfatest.Key, kind, clientData string, authData, signature []byte, flags ...string) error {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte(clientData))
	text := base64.StdEncoding.EncodeToString
	input := strings.Join([]string{text(hash[:]), domain, text(mfatest.EncodeCBOR(authData)), text(signature), ""}, "\n")
	cmd := exec.CommandContext(t.Context(), fido2Assert(t), append(append([]string{"-V"}, flags...), file, kind)...)
	cmd.Stdin = strings.NewReader(input)
	return cmd.Run()
}

// The software authenticator is judged by a verifier that is none of ours, and its mistakes are mistakes there too.
func TestLibfido2JudgesTheSoftwareAuthenticatorAlike(t *testing.T) {
	fido2Assert(t)
	for kind, algorithm := range map[string]int{
		"es256": mfatest.ES256, "eddsa": mfatest.EdDSA, "rs256": mfatest.RS256, "es384": mfatest.ES384,
	} {
		t.Run(kind, func(t *testing.T) {
			c := newCeremonies(t, newMethod(t, nil))
			a := mfatest.NewAuthenticator(site)
			a.Algorithms = []int{algorithm}
			c.enrolled(a)
			try := func(edit mfatest.Edits, flags ...string) (ours, theirs error) {
				prompt, state := c.begin()
				a.Edit = edit
				answer, err := a.Get(prompt)
				if err != nil {
					t.Fatal(err)
				}
				_, ours = c.finish(state, answer)
				clientData, authData, signature := signedParts(t, answer)
				return ours, verifies(t, a.Credentials[0].Key, kind, string(clientData), authData, signature, flags...)
			}
			if ours, theirs := try(mfatest.Edits{}, "-p", "-v"); ours != nil || theirs != nil {
				t.Fatalf("a right assertion: Finish = %v, libfido2 = %v, want no error", ours, theirs)
			}
			for name, edit := range map[string]mfatest.Edits{
				"another signature": {Signature: func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b }},
				"another RP ID":     {RPID: "example.net"},
				"nobody present":    {Clear: mfatest.UP},
				"data cut off":      {AuthData: func(b []byte) []byte { return b[:36] }},
			} {
				if ours, theirs := try(edit, "-p"); ours == nil || theirs == nil {
					t.Errorf("%s: Finish = %v, libfido2 = %v, want errors", name, ours, theirs)
				}
			}
		})
	}
}
