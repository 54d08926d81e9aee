package passkey

import (
	"encoding/base64"

	"sallyport/mfa"
)

// Creation is the prompt of a registration: what navigator.credentials.create takes, in the JSON form of WebAuthn
// Level 3 §5.1.9.
type Creation struct {
	PublicKey CreationOptions `json:"publicKey"`
}

// CreationOptions is PublicKeyCredentialCreationOptionsJSON.
type CreationOptions struct {
	RP                 RP           `json:"rp"`
	User               Person       `json:"user"`
	Challenge          Base64       `json:"challenge"`
	Parameters         []Parameter  `json:"pubKeyCredParams"`
	Timeout            int          `json:"timeout"` // milliseconds
	ExcludeCredentials []Descriptor `json:"excludeCredentials,omitempty"`
	Selection          Selection    `json:"authenticatorSelection"`
	Hints              []string     `json:"hints,omitempty"`
	Attestation        string       `json:"attestation"`
	Extensions         struct {
		CredProps    bool   `json:"credProps"`
		CredProtect  string `json:"credentialProtectionPolicy"`
		AppIDExclude string `json:"appidExclude,omitempty"`
	} `json:"extensions"`
}

// Request is the prompt of a proof: what navigator.credentials.get takes.
type Request struct {
	PublicKey RequestOptions `json:"publicKey"`
}

// RequestOptions is PublicKeyCredentialRequestOptionsJSON.
type RequestOptions struct {
	Challenge        Base64       `json:"challenge"`
	Timeout          int          `json:"timeout"` // milliseconds
	RPID             string       `json:"rpId"`
	AllowCredentials []Descriptor `json:"allowCredentials,omitempty"` // none: any passkey of the site
	UserVerification string       `json:"userVerification"`
	Hints            []string     `json:"hints,omitempty"`
	Extensions       struct {
		AppID string `json:"appid,omitempty"`
	} `json:"extensions"`
}

// RP is the site, as the authenticator knows it.
type RP struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Person is the user, as the authenticator shows them.
type Person struct {
	ID          Base64 `json:"id"` // random, of this credential only
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

// Parameter is a kind of key that may be made.
type Parameter struct {
	Type      string `json:"type"`
	Algorithm int    `json:"alg"` // of COSE
}

// Selection says what is asked of the authenticator.
type Selection struct {
	ResidentKey        string `json:"residentKey"`
	RequireResidentKey bool   `json:"requireResidentKey"`
	UserVerification   string `json:"userVerification"`
}

// Descriptor names a credential.
type Descriptor struct {
	Type       string   `json:"type"`
	ID         Base64   `json:"id"`
	Transports []string `json:"transports,omitempty"`
}

// Base64 is bytes that are base64url without padding in JSON.
type Base64 []byte

// MarshalText encodes b.
func (b Base64) MarshalText() ([]byte, error) { return base64.RawURLEncoding.AppendEncode(nil, b), nil }

// UnmarshalText decodes the one encoding that MarshalText gives some bytes, and nothing else.
func (b *Base64) UnmarshalText(text []byte) (err error) {
	*b, err = decodeBase64(string(text))
	return err
}

const (
	publicKey = "public-key"
	timeout   = 300_000 // 5 minutes, what WebAuthn Level 3 §15.1 recommends at least

	required  = "required"
	preferred = "preferred"

	// credProtect keeps a security key from naming its passkeys to whoever plugs it in, unless they know its PIN.
	credProtect = "userVerificationOptionalWithCredentialIDList"
)

func verification(need bool) string {
	if need {
		return required
	}
	return preferred
}

func parameters() []Parameter {
	list := make([]Parameter, len(algorithms))
	for i, alg := range algorithms {
		list[i] = Parameter{publicKey, int(alg)}
	}
	return list
}

func descriptors(list []Credential) []Descriptor {
	var named []Descriptor
	for _, c := range list {
		named = append(named, Descriptor{publicKey, c.ID, c.Transports})
	}
	return named
}

func person(u mfa.User, handle []byte) Person {
	p := Person{ID: handle, Name: u.Name, DisplayName: u.DisplayName}
	for _, name := range [...]string{u.Email, u.DisplayName, u.Phone, u.ID} {
		if p.Name == "" {
			p.Name = name
		}
	}
	if p.DisplayName == "" {
		p.DisplayName = p.Name
	}
	return p
}
