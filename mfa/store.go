package mfa

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Store keeps one opaque, versioned record for each account. It knows nothing of what a record means. All its methods
// are safe for use by many goroutines, honor the context, and return an error that is none of the sentinels when the
// database cannot be reached or the store was closed. User ids, keys and event ids of up to MaxStoreID bytes may hold
// any bytes and are compared byte by byte; longer ones, and an event without an ID, are errors. Times are kept to the
// microsecond. Test one with mfatest.TestStore.
type Store interface {
	// Load returns the record of a user. One that does not exist has version 0, the user id and no data. Only
	// UserID, Version, Data, KeyID and Summary are filled in; Keys is nil.
	Load(ctx context.Context, userID string) (Record, error)

	// Save writes r if the stored version is r.Version (0: no record), replaces the user's keys (nil: unchanged;
	// empty: none) and summary, and appends the events (one whose ID exists is skipped): all or nothing, durable on
	// return. It returns ErrConflict if the version has moved on, and ErrTaken, which is never tried again, if a key
	// belongs to another user. Rows are never removed, so no version comes back. A record without UserID only
	// appends the events.
	Save(ctx context.Context, r Record, events []Event) error

	// Find returns the user who owns a key, or ErrNotFound. It is a hint: the opened account must hold the factor.
	Find(ctx context.Context, key string) (userID string, err error)
}

// Errors that a Store or a Method returns and the Engine acts on. A method may wrap them; anything else denies.
var (
	ErrConflict    = errors.New("mfa: the record has been changed since it was loaded")
	ErrTaken       = errors.New("mfa: a key belongs to another user")
	ErrNotFound    = errors.New("mfa: no user owns this key")
	ErrWrongAnswer = errors.New("mfa: wrong answer")
	ErrSpent       = errors.New("mfa: right answer, used before")
)

// Record is what a Store keeps for one user.
type Record struct {
	UserID  string
	Version int64    // of what was loaded; Save stores Version+1
	Data    []byte   // the sealed account
	Keys    []string // every Factor.Key
	KeyID   string   // the key that sealed Data: for the start-up check, rotation and retirement
	Summary Summary  // in the clear, for lists only; no decision reads it
}

// Summary is what lists for support staff may show without opening an account.
type Summary struct {
	Methods  []string  // of the factors, each once, sorted; none holds a comma
	LastUsed time.Time // zero: never
	Stopped  bool      // a factor was stopped, by support or by guesses
}

// MaxStoreID is the length in bytes of the longest user id, key or event id that every Store keeps.
const MaxStoreID = 512

// CheckSave returns an error for arguments of Save that not every Store can keep. Each Store calls it first, so that
// they all refuse the same.
func CheckSave(r Record, events []Event) error {
	ids := append([]string{r.UserID}, r.Keys...)
	for _, ev := range events {
		if ev.ID == "" {
			return errors.New("saving an event: it has no ID")
		}
		ids = append(ids, ev.ID, ev.UserID)
	}
	for _, id := range ids {
		if len(id) > MaxStoreID {
			return fmt.Errorf("saving: an id or key has %d bytes, and at most %d are kept", len(id), MaxStoreID)
		}
	}
	for _, name := range r.Summary.Methods {
		if strings.Contains(name, ",") {
			return fmt.Errorf("saving: the method name %q holds a comma", name)
		}
	}
	return nil
}

// The following small interfaces are optional abilities of a Store.

// EventReader is a Store that gives its events back.
type EventReader interface {
	// Events returns at most limit events of one user, those that come after a given one: by Number, then by ID. Only
	// these two fields of after are read; the zero Event asks for the first ones. Events outside an account have
	// Number 0 and so come first. The empty user id asks for events that are nobody's.
	Events(ctx context.Context, userID string, after Event, limit int) ([]Event, error)
}

// Lister is a Store that lists its records.
type Lister interface {
	// List returns at most limit records as Load does, in the byte order of their user ids, those after the given id.
	// The empty id asks for the first ones. Records that belong to no account, whose ids begin with "~", are left out.
	List(ctx context.Context, after string, limit int) ([]Record, error)
}

// Checker is a Store that can tell at start whether it is safe to use.
type Checker interface {
	// Check returns all that is wrong, joined, with the words that mend it: a database that would lose what Save
	// acknowledged, that cannot be written, whose schema is not known, whose clock is more than a second away from
	// now, or that holds a record sealed under a key that is not in keyIDs.
	Check(ctx context.Context, keyIDs []string, now time.Time) error
}
