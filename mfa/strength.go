package mfa

import "fmt"

// Strength is what a factor is worth, ordered from weak to strong. The zero value is a recovery code, so that what
// is sent to a mailbox or a phone must be asked for by name.
type Strength int

// The strengths, weakest first.
const (
	Sent              Strength = iota - 1 // a code sent to an address or a phone
	Recovered                             // a recovery code
	Typed                                 // a code from an authenticator app or a token
	PhishingResistant                     // a passkey or a security key
)

var strengthNames = [...]string{"sent", "recovered", "typed", "phishing-resistant"}

// String returns the name used in JSON: sent, recovered, typed or phishing-resistant.
func (s Strength) String() string {
	if s < Sent || s > PhishingResistant {
		return fmt.Sprintf("strength(%d)", int(s))
	}
	return strengthNames[s-Sent]
}

// MarshalText encodes s as its name.
func (s Strength) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
