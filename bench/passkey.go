package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/passkey"
)

const site, domain = "https://bench.example", "bench.example"

// passkeyRows compare a finished proof by a passkey, with all that the engine does around it, on a store in memory, with
// go-webauthn used directly, and with the bare check of the signature. The request, and the answer of the
// authenticator, are made outside of the measured time.
func passkeyRows(ctx context.Context) ([]row, error) {
	h, err := newHolder(ctx)
	if err != nil {
		return nil, err
	}
	library, err := h.library()
	if err != nil {
		return nil, err
	}
	ours := side{"a proof by a passkey, in memory", h.prove(ctx)}
	return []row{
		{ours: ours, theirs: side{"go-webauthn used directly", library}},
		{ours: ours, theirs: side{"the check of an ES256 signature", h.check()}},
	}, nil
}

// holder is somebody with a passkey.
type holder struct {
	*person
	phone *mfatest.Authenticator
}

func newHolder(ctx context.Context) (*holder, error) {
	keys, err := passkey.New(passkey.Config{RPID: domain, Origins: []string{site}})
	if err != nil {
		return nil, err
	}
	p := &person{now: time.Now()}
	if err := p.open(mfa.NewMemory(), keys); err != nil {
		return nil, err
	}
	h := &holder{p, mfatest.NewAuthenticator(site)}
	begun, err := p.engine.BeginEnroll(ctx, p.visit, mfa.MethodPasskey)
	if err != nil {
		return nil, err
	}
	answer, err := h.phone.Create(begun.Prompt)
	if err != nil {
		return nil, err
	}
	done, err := p.engine.FinishEnroll(ctx, p.visit, mfa.MethodPasskey, begun.Ticket, answer, "phone")
	p.visit.Assurance = done.Assurance
	return h, err
}

func (h *holder) prove(ctx context.Context) func(*testing.B) {
	return func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			h.now = h.now.Add(30 * time.Second)
			begun, err := h.engine.BeginVerify(ctx, h.visit, mfa.MethodPasskey, "")
			if err != nil {
				b.Fatal(err)
			}
			answer, err := h.phone.Get(begun.Prompt)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := h.engine.FinishVerify(ctx, h.visit, mfa.MethodPasskey, begun.Ticket, answer); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// keeper is the user of a site that uses go-webauthn.
type keeper struct {
	handle      []byte
	credentials []webauthn.Credential
}

func (k keeper) WebAuthnID() []byte                         { return k.handle }
func (k keeper) WebAuthnName() string                       { return "alice" }
func (k keeper) WebAuthnDisplayName() string                { return "alice" }
func (k keeper) WebAuthnCredentials() []webauthn.Credential { return k.credentials }

// library judges answers as a site does that keeps the session of a request itself.
func (h *holder) library() (func(*testing.B), error) {
	direct, err := webauthn.New(&webauthn.Config{RPID: domain, RPDisplayName: domain, RPOrigins: []string{site}})
	if err != nil {
		return nil, err
	}
	held := h.phone.Credentials[0]
	user := keeper{held.Handle, []webauthn.Credential{{
		ID: held.ID, PublicKey: mfatest.EncodeCBOR(held.Key.COSE()),
		Flags: webauthn.CredentialFlags{UserPresent: true, UserVerified: true, BackupEligible: true, BackupState: true},
	}}}
	return func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			request, session, err := direct.BeginLogin(user)
			if err != nil {
				b.Fatal(err)
			}
			answer, err := h.phone.Get(struct {
				PublicKey protocol.PublicKeyCredentialRequestOptions `json:"publicKey"`
			}{request.Response})
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := direct.ValidateLogin(user, *session, parsed); err != nil {
				b.Fatal(err)
			}
		}
	}, nil
}

// check verifies one signature, and nothing else.
func (h *holder) check() func(*testing.B) {
	key := h.phone.Credentials[0].Key
	message := make([]byte, 37+sha256.Size)
	signature := key.Sign(message)
	public, ok := key.Private.Public().(*ecdsa.PublicKey)
	return func(b *testing.B) {
		for b.Loop() {
			sum := sha256.Sum256(message)
			if !ok || !ecdsa.VerifyASN1(public, sum[:], signature) {
				b.Fatal(errors.New("the signature does not hold"))
			}
		}
	}
}
