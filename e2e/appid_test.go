package e2e_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
)

// U2F keys that were registered before there was WebAuthn, under an AppID: the page asks for them by that, and the
// answer says so. Browsers have it over https only.
func TestScriptAsksForKeysOfAnAppID(t *testing.T) {
	for name, before := range map[string]string{"in this browser": "", "in a browser without the JSON methods": older} {
		t.Run(name, func(t *testing.T) {
			s, listener := newSmallSite(t, withTLS(t))
			s.url = fmt.Sprintf("https://old.mfa.test:%d", port(listener))
			s.takesAnswers()
			appID := s.url + "/app-id.json"
			b := newTab(t)
			b.before(before)
			key := b.add(oldKey())
			id, private := key.imports(appID)
			asked := request().with("rpId", "old.mfa.test").with("userVerification", "discouraged").
				with("allowCredentials", []object{{"type": "public-key", "id": base64url(id)}}).
				with("extensions", object{"appid": appID})
			s.page("/verify", `<p role="alert">Nothing comes by itself.</p>`+ceremony("verify", asked))

			b.open(s.url + "/verify")
			b.follow("#go")
			a := s.answer()
			checkClientData(t, a, "webauthn.get", asked["publicKey"].(object)["challenge"].(string), s.url)
			if a.ID != base64url(id) || a.ClientExtensionResults["appid"] != true {
				t.Errorf("the answer is of %s with %v, want %s with appid", a.ID, a.ClientExtensionResults, base64url(id))
			}
			scope, data := sha256.Sum256([]byte(appID)), decode(t, a.Response.AuthenticatorData)
			if !bytes.HasPrefix(data, scope[:]) {
				t.Error("the answer is not scoped to the AppID")
			}
			client := sha256.Sum256(decode(t, a.Response.ClientDataJSON))
			signed := sha256.Sum256(append(data, client[:]...))
			if !ecdsa.VerifyASN1(&private.PublicKey, signed[:], decode(t, a.Response.Signature)) {
				t.Error("the signature is not of the key")
			}
		})
	}
}

// imported is a credential as Chromium takes it. The generated type has a field that it refuses.
type imported struct {
	AuthenticatorID webauthn.AuthenticatorID `json:"authenticatorId"`
	Credential      importedCredential       `json:"credential"`
}

type importedCredential struct {
	CredentialID         []byte `json:"credentialId"`
	IsResidentCredential bool   `json:"isResidentCredential"`
	RPID                 string `json:"rpId"`
	PrivateKey           []byte `json:"privateKey"`
	SignCount            int    `json:"signCount"`
}

// imports gives an authenticator a key that is scoped to rpID.
func (a authenticator) imports(rpID string) (id []byte, private *ecdsa.PrivateKey) {
	a.b.t.Helper()
	private = newKey(a.b.t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	a.b.must(err)
	id = make([]byte, 32)
	rand.Read(id)
	call(a.b, cdp.Command[imported, cdp.Empty]{Method: "WebAuthn.addCredential"}, imported{
		a.id, importedCredential{CredentialID: id, RPID: rpID, PrivateKey: pkcs8, SignCount: 1},
	})
	return id, private
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withTLS makes a listener speak https, with a certificate of its own making.
func withTLS(t testing.TB) func(net.Listener) net.Listener {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"*.mfa.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
}
