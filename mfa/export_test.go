package mfa

import "time"

// What tests reach of the inside: the arithmetic of codes and the encodings, which have no door of their own.

// OTPCode is the one-time password of a counter as a number.
func OTPCode(a Algorithm, key []byte, counter uint64, digits int) uint32 {
	return otpCode(a, key, counter, digits)
}

// DecodeSeed opens the State of a TOTP factor.
func DecodeSeed(state []byte) (TOTPSeed, error) { return decodeSeed(state) }

// EncodeSeed makes the State of a TOTP factor without checking it.
func EncodeSeed(s TOTPSeed) []byte { return s.encode() }

// RecodeRecoverySet decodes the State of a set of recovery codes and encodes it again.
func RecodeRecoverySet(state []byte) ([]byte, error) {
	set, err := decodeRecoverySet(state)
	return set.encode(), err
}

// SpellRecoveryCode writes random bytes as a recovery code in its canonical form.
func SpellRecoveryCode(random []byte) string { return string(spell(random)) }

// Ticket is what a sealed ticket holds.
type Ticket = ticket

func EncodeAccount(acct *Account) []byte                     { return acct.encode() }
func DecodeAccount(b []byte) (*Account, error)               { return decodeAccount(b) }
func EncodeAssurance(a Assurance) []byte                     { return a.encode() }
func DecodeAssurance(b []byte) (Assurance, error)            { return decodeAssurance(b, "alice", "s1") }
func EncodeTicket(t Ticket) []byte                           { return t.encode() }
func DecodeTicket(b []byte) (Ticket, error)                  { return decodeTicket(b) }
func EncodeEvent(ev Event) []byte                            { return ev.encode() }
func (a Assurance) With(p Proof) Assurance                   { return a.with(p) }
func (r *Ring) Subkeys() int                                 { return len(r.subkeys) }
func (r *Ring) MAC(purpose string, m []byte) ([]byte, error) { return r.mac(purpose, m) }

// DecodeHOTP opens the State of a HOTP factor, EncodeHOTP makes one without checking it.
func DecodeHOTP(state []byte) (HOTPSeed, error) { return decodeHOTP(state) }
func EncodeHOTP(s HOTPSeed) []byte              { return s.encode() }

// RecodeToken, RecodeVerdict and RecodeSends decode the State of a Yubico factor, what validation servers have said,
// and the sends to a destination, and encode them again.
func RecodeToken(state []byte) ([]byte, error) {
	t, err := decodeToken(state)
	return t.encode(), err
}

func RecodeVerdict(state []byte) ([]byte, error) {
	v, err := decodeVerdict(state)
	return v.encode(), err
}

func RecodeSends(b []byte) ([]byte, error) {
	sends, err := decodeSends(b)
	return encodeSends(sends), err
}

// DecodeSent opens the State of an address that was enrolled, EncodeSent makes one, EncodeSends a list of sends, and
// EncodeVerdict what validation servers say.
func DecodeSent(state []byte) (address string, err error) { return decodeSent(state) }
func EncodeSent(address string) []byte                    { return encodeSent(address) }
func EncodeSends(sends []time.Time) []byte                { return encodeSends(sends) }
func EncodeVerdict(otp [32]byte, right, spent bool, counter uint32) []byte {
	return verdict{otp, right, spent, counter}.encode()
}
