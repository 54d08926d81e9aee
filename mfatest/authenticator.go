package mfatest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Flags of authenticator data (WebAuthn Level 3 §6.1).
const (
	UP byte = 1 << 0 // user present
	UV byte = 1 << 2 // user verified
	BE byte = 1 << 3 // backup-eligible
	BS byte = 1 << 4 // backed up
	AT byte = 1 << 6 // attested credential data follows
	ED byte = 1 << 7 // extension data follows
)

// What a browser's promises are rejected with.
var (
	ErrSecurity     = errors.New("SecurityError: the RP ID is not that of the page")
	ErrInvalidState = errors.New("InvalidStateError: a credential of the exclude list is there")
	ErrNotAllowed   = errors.New("NotAllowedError: there is no credential, or the user cannot be verified")
	ErrNotSupported = errors.New("NotSupportedError: no algorithm that is offered is known")
)

// Authenticator is an authenticator and the browser before it, in software: it takes the prompts of method passkey and
// gives the answers that toJSON() would. It keeps its private keys in memory and is for tests only. It is not safe for
// use by several goroutines.
//
// What it does is right; Edit makes it do one thing wrong at a time, and sign it.
type Authenticator struct {
	Origin     string // of the page
	AAGUID     [16]byte
	Transports []string
	Attachment string
	Algorithms []int // of COSE, that it knows, best first

	Unverified               bool   // it cannot verify its user
	BackupEligible, BackedUp bool   // what it says of its credentials
	Step                     uint32 // by which the sign count grows; 0: it keeps none

	Attester *Attester // who vouches for it when a site asks; nil: nobody
	Use      []byte    // the id of the credential that answers; nil: the first that is allowed

	Edit Edits

	Credentials []*Credential
}

// Credential is a key pair that an Authenticator holds.
type Credential struct {
	ID, Handle []byte
	RPID       string // of a U2F key the AppID
	U2F        bool   // registered through the U2F API
	Count      uint32
	Key        Key
}

// NewAuthenticator returns an authenticator such as phones have, before a page of an origin: it verifies its user, knows
// all five algorithms, and keeps no sign count.
func NewAuthenticator(origin string) *Authenticator {
	return &Authenticator{
		Origin: origin, Transports: []string{"hybrid", "internal"}, Attachment: "platform",
		Algorithms: []int{ES256, EdDSA, ES384, ES512, RS256}, BackupEligible: true, BackedUp: true,
	}
}

// NewSecurityKey returns an authenticator such as people carry on a key ring: it verifies its user by PIN, counts its
// signatures, and cannot be backed up.
func NewSecurityKey(origin string) *Authenticator {
	return &Authenticator{
		Origin: origin, Transports: []string{"nfc", "usb"}, Attachment: "cross-platform",
		Algorithms: []int{ES256, EdDSA}, Step: 1,
	}
}

// AddU2F makes a key as the U2F API would have under an AppID, long ago.
func (a *Authenticator) AddU2F(appID string) *Credential {
	c := &Credential{ID: mustRandom(64), RPID: appID, U2F: true, Key: mustKey(ES256)}
	a.Credentials = append(a.Credentials, c)
	return c
}

// descriptor and the options below are what an authenticator reads of a prompt.
type descriptor struct {
	ID string `json:"id"`
}

type creationOptions struct {
	RP struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Challenge  string `json:"challenge"`
	Parameters []struct {
		Algorithm int `json:"alg"`
	} `json:"pubKeyCredParams"`
	Exclude   []descriptor `json:"excludeCredentials"`
	Selection struct {
		UserVerification string `json:"userVerification"`
	} `json:"authenticatorSelection"`
	Attestation string `json:"attestation"`
	Extensions  struct {
		CredProps    bool   `json:"credProps"`
		AppIDExclude string `json:"appidExclude"`
	} `json:"extensions"`
}

type requestOptions struct {
	Challenge        string       `json:"challenge"`
	RPID             string       `json:"rpId"`
	Allow            []descriptor `json:"allowCredentials"`
	UserVerification string       `json:"userVerification"`
	Extensions       struct {
		AppID string `json:"appid"`
	} `json:"extensions"`
}

// Create makes a credential and answers a prompt of enrollment, which is given as the method made it or as JSON.
func (a *Authenticator) Create(prompt any) ([]byte, error) {
	var p struct {
		PublicKey creationOptions `json:"publicKey"`
	}
	if err := readPrompt(prompt, &p); err != nil {
		return nil, err
	}
	o := p.PublicKey
	if err := a.mayCreate(o); err != nil {
		return nil, err
	}
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		return nil, fmt.Errorf("user.id: %w", err)
	}
	algorithm, err := a.algorithm(o)
	if err != nil {
		return nil, err
	}
	c := &Credential{ID: mustRandom(32), Handle: handle, RPID: o.RP.ID, Key: mustKey(algorithm)}
	if a.Edit.CredentialID != nil {
		c.ID = a.Edit.CredentialID
	}
	a.Credentials = append(a.Credentials, c)
	return a.register(c, o), nil
}

func (a *Authenticator) mayCreate(o creationOptions) error {
	if !a.onPage(o.RP.ID) {
		return ErrSecurity
	}
	for _, excluded := range o.Exclude {
		if c := a.holds(excluded.ID); c != nil && (!c.U2F || c.RPID == o.Extensions.AppIDExclude) {
			return ErrInvalidState
		}
	}
	if o.Selection.UserVerification == "required" && a.Unverified {
		return ErrNotAllowed
	}
	return nil
}

func (a *Authenticator) algorithm(o creationOptions) (int, error) {
	for _, offered := range o.Parameters {
		if slices.Contains(a.Algorithms, offered.Algorithm) {
			return offered.Algorithm, nil
		}
	}
	if a.Edit.Unoffered != 0 {
		return a.Edit.Unoffered, nil
	}
	return 0, ErrNotSupported
}

// register makes the answer for a new credential.
func (a *Authenticator) register(c *Credential, o creationOptions) []byte {
	clientData := a.clientData("webauthn.create", o.Challenge)
	public := a.Edit.publicKey(c.Key.COSE())
	attested := slices.Concat(a.AAGUID[:], binary.BigEndian.AppendUint16(nil, uint16(len(c.ID))), c.ID, public)
	authData := a.authData(c, o.RP.ID, AT|a.flags(o.Selection.UserVerification), attested)
	format, statement := a.Attester.attest(o.Attestation, c, authData, clientData)
	object := a.Edit.object(format, statement, authData)
	answer := a.answer(c, map[string]any{
		"clientDataJSON": encode(clientData), "attestationObject": encode(object), "transports": a.Transports,
	})
	if o.Extensions.CredProps {
		answer["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}}
	}
	return a.Edit.finish(answer)
}

// Get answers a prompt of a proof, which is given as the method made it or as JSON.
func (a *Authenticator) Get(prompt any) ([]byte, error) {
	var p struct {
		PublicKey requestOptions `json:"publicKey"`
	}
	if err := readPrompt(prompt, &p); err != nil {
		return nil, err
	}
	o := p.PublicKey
	if !a.onPage(o.RPID) {
		return nil, ErrSecurity
	}
	c := a.choose(o)
	if c == nil || o.UserVerification == "required" && a.Unverified {
		return nil, ErrNotAllowed
	}
	return a.assert(c, o), nil
}

// choose returns the credential that answers.
func (a *Authenticator) choose(o requestOptions) *Credential {
	if a.Use != nil {
		return a.holds(encode(a.Use))
	}
	if len(o.Allow) == 0 {
		for _, c := range slices.Backward(a.Credentials) {
			if c.RPID == o.RPID && !c.U2F {
				return c
			}
		}
	}
	for _, allowed := range o.Allow {
		if c := a.holds(allowed.ID); c != nil && c.RPID == o.scope(c) {
			return c
		}
	}
	return nil
}

// scope is under which RP ID a credential would answer: U2F keys do under the AppID, if a site gives one.
func (o requestOptions) scope(c *Credential) string {
	if c.U2F && o.Extensions.AppID != "" {
		return o.Extensions.AppID
	}
	return o.RPID
}

// assert makes the answer by a credential.
func (a *Authenticator) assert(c *Credential, o requestOptions) []byte {
	clientData := a.clientData("webauthn.get", o.Challenge)
	c.Count += a.Step
	flags := a.flags(o.UserVerification)
	if c.U2F {
		flags = UP
	}
	authData := a.authData(c, o.scope(c), flags, nil)
	hash := sha256.Sum256(clientData)
	signature := c.Key.Sign(slices.Concat(authData, hash[:]))
	if a.Edit.Signature != nil {
		signature = a.Edit.Signature(signature)
	}
	response := map[string]any{
		"clientDataJSON": encode(clientData), "authenticatorData": encode(authData), "signature": encode(signature),
	}
	if len(c.Handle) > 0 {
		response["userHandle"] = encode(c.Handle)
	}
	answer := a.answer(c, response)
	if o.Extensions.AppID != "" {
		answer["clientExtensionResults"] = map[string]any{"appid": c.U2F}
	}
	return a.Edit.finish(answer)
}

func (a *Authenticator) answer(c *Credential, response map[string]any) map[string]any {
	return map[string]any{
		"id": encode(c.ID), "rawId": encode(c.ID), "type": "public-key", "authenticatorAttachment": a.Attachment,
		"response": response, "clientExtensionResults": map[string]any{},
	}
}

// clientData makes what the browser signs.
func (a *Authenticator) clientData(kind, challenge string) []byte {
	members := map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false}
	if a.Edit.ClientData != nil {
		a.Edit.ClientData(members)
	}
	text := mustJSON(members)
	if a.Edit.ClientDataJSON != nil {
		text = a.Edit.ClientDataJSON(text)
	}
	return text
}

// flags returns what the authenticator says of its user and its credentials.
func (a *Authenticator) flags(verification string) byte {
	flags := UP
	for flag, set := range map[byte]bool{
		UV: !a.Unverified && verification != "discouraged", BE: a.BackupEligible, BS: a.BackedUp,
	} {
		if set {
			flags |= flag
		}
	}
	return flags
}

func (a *Authenticator) authData(c *Credential, rpID string, flags byte, attested []byte) []byte {
	e := a.Edit
	if e.RPID != "" {
		rpID = e.RPID
	}
	count := c.Count
	if e.Count != nil {
		count = *e.Count
	}
	if len(e.Extensions) > 0 {
		flags |= ED
	}
	hash := sha256.Sum256([]byte(rpID))
	b := append(hash[:], flags&^e.Clear|e.Set)
	b = binary.BigEndian.AppendUint32(b, count)
	b = slices.Concat(b, attested, e.Extensions)
	if e.AuthData != nil {
		b = e.AuthData(b)
	}
	return b
}

// onPage reports whether a page may use an RP ID.
func (a *Authenticator) onPage(rpID string) bool {
	u, err := url.Parse(a.Origin)
	return a.Edit.AnyPage || err == nil && (u.Hostname() == rpID || strings.HasSuffix(u.Hostname(), "."+rpID))
}

func (a *Authenticator) holds(id string) *Credential {
	for _, c := range a.Credentials {
		if encode(c.ID) == id {
			return c
		}
	}
	return nil
}

// readPrompt reads a prompt, as a method made it or as JSON.
func readPrompt(prompt, into any) error {
	text, ok := prompt.([]byte)
	if raw, isRaw := prompt.(json.RawMessage); isRaw {
		text, ok = raw, true
	}
	if !ok {
		var err error
		if text, err = json.Marshal(prompt); err != nil {
			return fmt.Errorf("the prompt: %w", err)
		}
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(into); err != nil {
		return fmt.Errorf("the prompt: %w", err)
	}
	return nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

func mustRandom(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}
