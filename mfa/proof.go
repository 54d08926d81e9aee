package mfa

import (
	"slices"
	"time"
)

// Proof says that one factor was proved at one time in one login. What it is worth is read from the factor at every
// decision, so taking a factor away ends its effect everywhere.
type Proof struct {
	FactorID string
	At       time.Time
	Until    time.Time // when it must be proved again; zero: it lasts as long as the login
	Verified bool      // the authenticator checked a PIN or a biometric
	Device   string    // not empty: proved earlier, on this remembered browser
}

// Assurance is all proofs of one login. The zero Assurance proves nothing.
type Assurance struct {
	UserID  string
	Session string
	Epoch   uint64
	Proofs  []Proof // for each factor at most one, and one that a remembered browser stands for; newest last
}

// maxProofs keeps a sealed assurance far below the 4,096 bytes of a cookie.
const maxProofs = 16

// of reports whether a was given to the login of u in the present epoch of its account.
func (a Assurance) of(u User, epoch uint64) bool {
	return a.UserID == u.ID && a.Session == u.Session && a.Epoch == epoch && u.SignedIn() && u.Session != ""
}

// moved returns a with the proof of one factor as that of the one that took its place, from the same time.
func (a Assurance) moved(from, to string) Assurance {
	a.Proofs = slices.Clone(a.Proofs)
	for i := range a.Proofs {
		if a.Proofs[i].FactorID == from {
			a.Proofs[i].FactorID = to
		}
	}
	return a
}

// with returns a with p added, in the place of an older proof of the same factor. What a remembered browser stands for
// takes the place of none that was made in this login, which counts for more.
func (a Assurance) with(p Proof) Assurance {
	proofs := make([]Proof, 0, len(a.Proofs)+1)
	for _, old := range a.Proofs {
		if old.FactorID != p.FactorID || (old.Device == "") != (p.Device == "") {
			proofs = append(proofs, old)
		}
	}
	proofs = append(proofs, p)
	if len(proofs) > maxProofs {
		proofs = proofs[len(proofs)-maxProofs:]
	}
	a.Proofs = proofs
	return a
}
