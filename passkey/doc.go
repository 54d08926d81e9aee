// Package passkey is WebAuthn as an mfa.Method: passkeys and security keys, the factors that cannot be phished.
//
//	keys, err := passkey.New(passkey.Config{
//		RPID:    "example.org",
//		RPName:  "Example",
//		Origins: []string{"https://example.org"},
//	})
//
// The Method keeps nothing. What a ceremony must remember travels in its ticket (a challenge, which credentials were
// offered, whether the user must be verified), what a credential needs is in Factor.State, and both are decoded by
// nobody but this package.
//
// # What is asked and what is checked
//
// Registration asks for a discoverable credential and for user verification, and takes what it gets: a security key
// without a PIN is a factor too, but its proofs are not Verified. A proof is Verified only if this response says so.
// Origin and RP ID come from Config and are compared byte for byte; an algorithm that was not offered is refused; the
// sign count must grow where there is one; a credential that was not backup-eligible never becomes so.
//
// Begin without a user makes a request that any passkey of the site may answer. It needs user verification, and the
// answer names its own factor: see Identify.
//
// # Attestation
//
// By default nobody is asked what they bought. With Config.Attestation Direct, statements of the formats packed,
// fido-u2f, tpm, android-key and apple are verified, and Config.Models says which models may be enrolled; what such a
// policy needs is in the metadata of the FIDO Alliance, from LoadMetadata. A policy that cannot be judged refuses.
//
// # Keys from before WebAuthn
//
// U2F keys that another system enrolled under an AppID are taken over with Credential.Factor and Config.AppID. Their
// proofs are never Verified.
package passkey
