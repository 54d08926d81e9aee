// Package mfa is the domain of Sallyport: who has proved what, and whether that is enough. It has no I/O of its own: no
// HTTP, no SQL, no templates. The Guard of package sallyport is its HTTP side.
//
// # Words
//
// One word per idea, one idea per word:
//
//   - user: the application's account, as far as we need to know it. We own no user table.
//   - login: one act of giving the first factor. User.Session names it.
//   - account: all that is kept about one user, in one sealed record.
//   - factor: one enrolled way for one user to prove who they are.
//   - method: what understands a kind of factor: passkey, totp, hotp, recovery, sent, yubico, pass.
//   - strength: what a factor is worth: sent < recovered < typed < phishing-resistant.
//   - ceremony: proving or enrolling a factor, in two halves: begin and finish.
//   - ticket: what a client holds between the halves: sealed, bound to purpose, user, login, epoch and one factor,
//     short-lived, good for one answer.
//   - proof: that one factor was proved at one time in one login.
//   - assurance: all proofs of one login.
//   - policy: what a request must have proved.
//   - decision: allow, verify, enroll or deny, with the reason.
//   - budget: how many codes may still be judged for an account.
//   - event: something an auditor would want to know.
//
// # How it hangs together
//
// Everything about one user is one record with one version. "Used once", "no more than the budget", "the first factor
// wins" are then all the same compare-and-swap, whichever method is at work, and an answer is told only after the
// account that remembers it was saved. Policy.Decide is pure: from account and assurance it says what a request must do.
// The Engine runs the ceremonies. Methods judge answers and know nothing else.
//
// # Epoch
//
// An account carries a number, the epoch, that is bound into assurances, tickets and remembered browsers. It rises when
// other sessions are ended and when factors change, and with that everything that was proved before stops counting.
//
// # Denying
//
// The zero Action denies. Unknown methods, unreadable records and cookies, errors and panics of hooks: not proved.
package mfa
