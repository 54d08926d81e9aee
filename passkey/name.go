package passkey

import (
	"encoding/hex"
	"slices"
)

// What a new credential is called when its model is not known.
const (
	labelPasskey     = "Passkey"
	labelSecurityKey = "Security key"
)

// label returns a first name for a credential: of its model as the metadata has it, else of its provider as the list of
// AAGUIDs has it, else of what it looks like. Its user may change it.
func (m *Method) label(c Credential, attachment string) string {
	if name := m.c.Metadata.name(c.AAGUID); name != "" {
		return name
	}
	if name := m.names[uuid(c.AAGUID)]; name != "" {
		return name
	}
	if c.BackupEligible || slices.Contains(c.Transports, "internal") || slices.Contains(c.Transports, "hybrid") {
		return labelPasskey
	}
	if len(c.Transports) > 0 || attachment == "cross-platform" {
		return labelSecurityKey
	}
	return labelPasskey
}

// uuid writes an AAGUID as usual: 8-4-4-4-12 hexadecimal digits.
func uuid(id [16]byte) string {
	text := hex.EncodeToString(id[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
