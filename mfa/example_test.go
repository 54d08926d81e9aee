package mfa_test

import (
	"fmt"
	"time"

	"sallyport/mfa"
)

// A decision is pure: from what is enrolled and what was proved it says what a request must do.
func ExamplePolicy_Decide() {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	alice := mfa.User{ID: "17", Session: "her login of this morning"}
	account := mfa.Account{Factors: []mfa.Factor{{ID: "1", Method: "totp", Strength: mfa.Typed}}}
	proved := mfa.Assurance{UserID: alice.ID, Session: alice.Session, Proofs: []mfa.Proof{
		{FactorID: "1", At: now.Add(-10 * time.Minute), Until: now.Add(3 * time.Hour)},
	}}
	methods := []string{"totp"}

	show := func(d mfa.Decision) { fmt.Println(d.Action, d.Reason) }
	show(mfa.Policy{}.Decide(now, alice, mfa.Account{}, methods, mfa.Assurance{}))
	show(mfa.Policy{}.Decide(now, alice, account, methods, mfa.Assurance{}))
	show(mfa.Policy{}.Decide(now, alice, account, methods, proved))
	show(mfa.Policy{MaxAge: 5 * time.Minute}.Decide(now, alice, account, methods, proved))
	show(mfa.Policy{Min: mfa.PhishingResistant}.Decide(now, alice, account, methods, proved))
	// Output:
	// allow not-enrolled
	// verify unproved
	// allow proved
	// verify stale
	// enroll too-weak
}
