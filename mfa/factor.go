package mfa

import (
	"slices"
	"time"
)

// Factor is one enrolled way for one user to prove who they are. The zero Factor is nobody's.
type Factor struct {
	ID       string // random, unique in its account
	Method   string // the Method that understands State
	Label    string // what its owner calls it
	Key      string // "" or what no two users may share: see KeyOf
	Strength Strength
	State    []byte // the method's own
	Off      Off    // why it is not in use; zero: in use
	Wrong    int    // wrong answers in a row, both lanes
	Managed  bool   // owned by the organization: its user may not remove it

	Created  time.Time
	LastUsed time.Time // zero: never
	Expires  time.Time // zero: never
}

// Off is the set of reasons for which a factor is not in use. The zero value is a factor in use.
type Off uint8

// The reasons, which may hold together.
const (
	Paused           Off = 1 << iota // by its owner
	StoppedBySupport                 // by support
	StoppedByGuesses                 // by MaxWrong wrong answers in a row
	knownReasons     = Paused | StoppedBySupport | StoppedByGuesses
)

// Usable reports whether f may be proved now: in use, not expired, and of a configured method.
func (f Factor) Usable(now time.Time, methods []string) bool {
	return f.Off == 0 && (f.Expires.IsZero() || now.Before(f.Expires)) && slices.Contains(methods, f.Method)
}

// backup reports whether f only helps out when another factor is lost: recovery codes and the temporary pass.
func (f Factor) backup() bool { return f.Method == MethodRecovery || f.Method == MethodPass }
