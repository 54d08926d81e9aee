package passkey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"sallyport/mfa"
)

// Limits of what a credential may hold. WebAuthn Level 3 §4 allows ids of at most 1023 bytes, §5.4.3 handles of 64.
const (
	maxID     = 1023
	maxKey    = 1200 // an RSA key of 8192 bits is 1041 bytes
	maxHandle = 64
	maxName   = 253 // of an RP ID; and more than any attestation format
)

// Credential is a registered passkey or security key: what Factor.State of the method passkey holds.
type Credential struct {
	ID         []byte // at most 1023 bytes
	PublicKey  []byte // COSE_Key
	RPID       string // that it is scoped to; of a U2F key the AppID
	UserHandle []byte // user.id given at registration; nil: not known
	SignCount  uint32 // last seen
	Transports []string
	AAGUID     [16]byte
	Format     string // of its attestation statement, as sent; "": not known

	Verified       bool // the user was verified at least once
	BackupEligible bool // it may be copied to other devices; never changes
	BackedUp       bool // it has been, when last seen
	Discoverable   bool // it can sign in a user who has not said who they are, as far as the browser knew

	// Ours marks a credential whose user handle we made. Only then is the handle of an answer compared.
	Ours bool

	// U2F marks a key that was registered through the U2F API, before WebAuthn, under the AppID in RPID.
	U2F bool

	// LearnBackup takes BackupEligible from the first proof: an import from a system that did not keep it.
	LearnBackup bool
}

// The flags in an encoded credential.
const (
	flagVerified = 1 << iota
	flagBackupEligible
	flagBackedUp
	flagDiscoverable
	flagOurs
	flagU2F
	flagLearnBackup
	knownFlags = 1<<iota - 1
)

const credentialVersion = 1

// transports are the values of AuthenticatorTransport (WebAuthn Level 3 §5.8.4), by their bit. They are hints; one that
// is not listed is forgotten.
var transports = [...]string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}

// Factor returns c as a factor to be put into an account, with State, Key and Strength. It is how credentials of other
// systems are taken over; the error says what is wrong with one. A U2F key may give its public key as the 65 bytes of a
// point on P-256.
func (c Credential) Factor() (mfa.Factor, error) {
	if c.U2F && len(c.PublicKey) == 65 {
		c.PublicKey = coseOfPoint(c.PublicKey)
	}
	if err := c.check(); err != nil {
		return mfa.Factor{}, fmt.Errorf("passkey: %w", err)
	}
	return mfa.Factor{
		Method: mfa.MethodPasskey, Key: keyOf(c.ID), Strength: mfa.PhishingResistant, State: c.encode(),
	}, nil
}

// Open returns the credential that a factor of the method passkey holds.
func Open(f mfa.Factor) (Credential, error) {
	c, err := decodeCredential(f.State)
	if err != nil {
		return Credential{}, fmt.Errorf("passkey factor %s: %w", f.ID, err)
	}
	return c, nil
}

func keyOf(id []byte) string { return mfa.KeyOf(mfa.MethodPasskey, id) }

func (c Credential) check() error {
	switch {
	case len(c.ID) == 0 || len(c.ID) > maxID:
		return fmt.Errorf("the credential id has %d bytes, want 1 to %d", len(c.ID), maxID)
	case len(c.UserHandle) > maxHandle:
		return fmt.Errorf("the user handle has %d bytes, want at most %d", len(c.UserHandle), maxHandle)
	case c.Ours && len(c.UserHandle) == 0:
		return errors.New("there is no user handle, and it is said to be ours")
	case c.RPID == "" || len(c.RPID) > maxName:
		return errors.New("the RP ID is missing or too long")
	case len(c.Format) > maxName:
		return errors.New("the attestation format is too long")
	case c.BackedUp && !c.BackupEligible:
		return errors.New("it is backed up and not backup-eligible")
	}
	_, err := parseKey(c.PublicKey)
	return err
}

func (c Credential) flags() (flags byte) {
	for i, set := range [...]bool{
		c.Verified, c.BackupEligible, c.BackedUp, c.Discoverable, c.Ours, c.U2F, c.LearnBackup,
	} {
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

func (c *Credential) setFlags(flags byte) {
	for i, set := range [...]*bool{
		&c.Verified, &c.BackupEligible, &c.BackedUp, &c.Discoverable, &c.Ours, &c.U2F, &c.LearnBackup,
	} {
		*set = flags&(1<<i) != 0
	}
}

// encode writes a version, the flags, a bit for each transport, the AAGUID, the sign count, and the rest behind their
// lengths.
func (c Credential) encode() []byte {
	b := make([]byte, 0, 64+len(c.ID)+len(c.PublicKey)+len(c.RPID)+len(c.UserHandle))
	b = append(b, credentialVersion, c.flags(), transportBits(c.Transports))
	b = append(b, c.AAGUID[:]...)
	b = binary.BigEndian.AppendUint32(b, c.SignCount)
	for _, field := range [...][]byte{c.ID, c.PublicKey, c.UserHandle, []byte(c.RPID), []byte(c.Format)} {
		b = appendField(b, field)
	}
	return b
}

func decodeCredential(b []byte) (Credential, error) {
	const fixed = 3 + 16 + 4
	switch {
	case len(b) < fixed:
		return Credential{}, errMalformed
	case b[0] != credentialVersion:
		return Credential{}, fmt.Errorf("version %d is not known", b[0])
	case b[1]&^knownFlags != 0 || b[2]>>len(transports) != 0:
		return Credential{}, errMalformed
	}
	c := Credential{Transports: transportNames(b[2]), SignCount: binary.BigEndian.Uint32(b[19:])}
	c.setFlags(b[1])
	copy(c.AAGUID[:], b[3:])
	r := fields{rest: b[fixed:]}
	c.ID, c.PublicKey, c.UserHandle = r.next(maxID), r.next(maxKey), r.next(maxHandle)
	c.RPID, c.Format = string(r.next(maxName)), string(r.next(maxName))
	if r.failed || len(r.rest) > 0 || len(c.ID) == 0 || len(c.PublicKey) == 0 || c.RPID == "" {
		return Credential{}, errMalformed
	}
	return c, nil
}

var errMalformed = errors.New("malformed encoding")

func transportBits(names []string) (set byte) {
	for _, name := range names {
		for i, known := range transports {
			if name == known {
				set |= 1 << i
			}
		}
	}
	return set
}

func transportNames(set byte) []string {
	if set == 0 {
		return nil
	}
	names := make([]string, 0, bits.OnesCount8(set))
	for i, name := range transports {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func appendField(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

// fields takes fields off rest. After the first mistake it returns nothing.
type fields struct {
	rest   []byte
	failed bool
}

// next returns the next field, which shares its memory with what is decoded.
func (r *fields) next(most int) []byte {
	n, size := binary.Uvarint(r.rest)
	if r.failed || size <= 0 || size > 1 && r.rest[size-1] == 0 || n > uint64(most) || n > uint64(len(r.rest)-size) {
		r.failed = true
		return nil
	}
	field := r.rest[size : size+int(n) : size+int(n)]
	r.rest = r.rest[size+int(n):]
	if n == 0 {
		return nil
	}
	return field
}
