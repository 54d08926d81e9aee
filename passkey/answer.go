package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
)

// maxAnswer is what an answer may have, before anything of it is parsed.
const maxAnswer = 64 << 10

// answer is a credential as its toJSON() writes it (WebAuthn Level 3 §5.1): RegistrationResponseJSON or
// AuthenticationResponseJSON. What a browser adds besides is ignored.
type answer struct {
	ID         string `json:"id"`
	RawID      string `json:"rawId"`
	Type       string `json:"type"`
	Attachment string `json:"authenticatorAttachment"`
	Response   struct {
		ClientData        string   `json:"clientDataJSON"`
		AuthenticatorData string   `json:"authenticatorData"`
		Signature         string   `json:"signature"`
		UserHandle        string   `json:"userHandle"`
		AttestationObject string   `json:"attestationObject"`
		Transports        []string `json:"transports"`
	} `json:"response"`
	Extensions struct {
		AppID     bool `json:"appid"`
		CredProps struct {
			RK bool `json:"rk"`
		} `json:"credProps"`
	} `json:"clientExtensionResults"`
}

// parseAnswer returns the answer and the id of the credential that it names.
func parseAnswer(text []byte) (a answer, id []byte, err error) {
	if len(text) > maxAnswer {
		return a, nil, fmt.Errorf("the answer has %d bytes, want at most %d", len(text), maxAnswer)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, nil, fmt.Errorf("the answer: %w", err)
	}
	if a.Type != publicKey {
		return a, nil, errors.New("the credential is of another type")
	}
	if a.RawID != a.ID {
		return a, nil, errors.New("id and rawId differ")
	}
	id, err = parseID(a.ID)
	return a, id, err
}

func parseID(text string) ([]byte, error) {
	if base64.RawURLEncoding.DecodedLen(len(text)) > maxID {
		return nil, errors.New("the credential id is too long")
	}
	id, err := decodeBase64(text)
	if err == nil && len(id) == 0 {
		err = errors.New("there is no credential id")
	}
	return id, err
}

// decodeBase64 decodes base64url without padding. Line breaks and unused bits that are set are mistakes, so some bytes
// have one text only.
func decodeBase64(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodedLen(len(b)) != len(text) {
		return nil, errors.New("a value is not base64url without padding")
	}
	return b, nil
}

// decodeAll decodes texts into the places beside them.
func decodeAll(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		b, err := decodeBase64(pairs[i].(string))
		if err != nil {
			return err
		}
		*pairs[i+1].(*[]byte) = b
	}
	return nil
}

// parseClientData reads what the browser signed (WebAuthn Level 3 §5.8.1). JSON is read as §7.1 and §7.2 say: a byte
// order mark is not part of it, names are compared as they are, and the last of two members with one name counts.
func parseClientData(raw []byte) (protocol.CollectedClientData, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &members); err != nil {
		return protocol.CollectedClientData{}, fmt.Errorf("the client data: %w", err)
	}
	var c protocol.CollectedClientData
	for _, member := range [...]struct {
		name     string
		into     any
		optional bool
	}{
		{"type", (*string)(&c.Type), false}, {"challenge", &c.Challenge, false}, {"origin", &c.Origin, false},
		{"crossOrigin", &c.CrossOrigin, true}, {"topOrigin", &c.TopOrigin, true},
	} {
		value, ok := members[member.name]
		switch {
		case !ok && member.optional:
			continue
		case !ok || bytes.Equal(value, []byte("null")):
			return c, fmt.Errorf("the client data has no %s", member.name)
		}
		if err := json.Unmarshal(value, member.into); err != nil {
			return c, fmt.Errorf("the client data: %s: %w", member.name, err)
		}
	}
	return c, nil
}
