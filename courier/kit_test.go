package courier_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
)

// What no error may show.
const (
	code     = "48152603"
	password = "canary-password-5f0c"
	token    = "canary-token-91be"
)

// message is a code on its way to alice.
func message(to string) mfa.Message {
	return mfa.Message{
		ID: "m-7Qk_2.email", To: to, Purpose: "verify", Code: code, Language: "en",
		User:    mfa.User{ID: "alice", Session: "s1", Name: "Alice", Email: to},
		Subject: "Your code for Exämple ☂", Text: "Your code is 4815 2603.\n.\nIf it was not you: ignore it.\n",
		HTML: "<p>Your code is <b>4815 2603</b>.</p>\n", Short: "Code " + code + "\n\n@example.com #" + code,
		Spoken: "Your code is 4. 8. 1. 5. 2. 6. 0. 3.",
	}
}

// demandSilence fails if an error tells what it must not, in one of the forms in which it travels.
func demandSilence(t *testing.T, err error, more ...string) {
	t.Helper()
	if err == nil {
		t.Error("there is no error, want one")
		return
	}
	for _, secret := range append([]string{code, "4815 2603", password, token, "alice@"}, more...) {
		plain := base64.StdEncoding.EncodeToString([]byte("\x00site\x00" + secret))
		forms := []string{
			secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), plain,
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
		}
		for _, form := range forms {
			if strings.Contains(err.Error(), form) {
				t.Errorf("the error is %q, want nothing of %q in it", err, secret)
			}
		}
	}
}

// pipes is a network in memory, for time that is not real.
type pipes struct {
	queue chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.queue:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.queue <- there:
		return here, nil
	case <-p.done:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// authority signs certificates of servers.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key := newECKey(t)
	cert := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, nil, key, key)
	return authority{cert, key}
}

// server returns what a server needs that is called name.
func (a authority) server(t *testing.T, name string) *tls.Config {
	t.Helper()
	key := newECKey(t)
	asked := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if ip := net.ParseIP(name); ip != nil {
		asked.IPAddresses = []net.IP{ip}
	}
	cert := sign(t, asked, a.cert, key, a.key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
}

// client returns what trusts the authority and nobody else.
func (a authority) client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool}
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, cert, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = cert
	}
	raw, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
