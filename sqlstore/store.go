package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/mfa"
)

// Store is an mfa.Store, mfa.Lister, mfa.EventReader and mfa.Checker on a relational database. It is safe for use by
// many goroutines, and any number of processes may have one on the same database. Make it with New.
type Store struct {
	db       *sql.DB
	traits   traits
	accepted map[Risk]bool
	group    *group // nil: each save has a transaction of its own

	preparing sync.Mutex
	prepared  atomic.Pointer[statements]
	closed    atomic.Bool
}

var (
	_ mfa.Store       = (*Store)(nil)
	_ mfa.Lister      = (*Store)(nil)
	_ mfa.EventReader = (*Store)(nil)
	_ mfa.Checker     = (*Store)(nil)
)

// New makes a Store on a database whose schema Migrate has made. It does not touch the database; Store.Check does. It
// panics if db is nil or d is none of the dialects.
func New(db *sql.DB, d Dialect) *Store {
	traits, err := d.traits()
	if err != nil {
		panic(err)
	}
	if db == nil {
		panic("sqlstore: New without a database")
	}
	s := &Store{db: db, traits: traits, accepted: map[Risk]bool{}}
	if traits.oneWriter {
		s.group = &group{}
	}
	return s
}

var errClosed = errors.New("sqlstore: the store is closed")

// Close lets go of what the Store has prepared; calls that follow are errors. The database stays open: it is the caller's.
func (s *Store) Close() error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	s.closed.Store(true)
	if q := s.prepared.Swap(nil); q != nil {
		return q.close()
	}
	return nil
}

// Load implements mfa.Store.
func (s *Store) Load(ctx context.Context, userID string) (mfa.Record, error) {
	q, err := s.statements(ctx)
	if err != nil {
		return mfa.Record{}, err
	}
	r := mfa.Record{UserID: userID}
	switch err := scanRecord(q.load.QueryRowContext(ctx, []byte(userID)), &r); {
	case errors.Is(err, sql.ErrNoRows):
		return mfa.Record{UserID: userID}, nil
	case err != nil:
		return mfa.Record{}, fmt.Errorf("loading a record: %w", err)
	}
	return r, nil
}

// Find implements mfa.Store.
func (s *Store) Find(ctx context.Context, key string) (string, error) {
	q, err := s.statements(ctx)
	if err != nil {
		return "", err
	}
	var userID string
	switch err := q.find.QueryRowContext(ctx, []byte(key)).Scan(&userID); {
	case errors.Is(err, sql.ErrNoRows):
		return "", mfa.ErrNotFound
	case err != nil:
		return "", fmt.Errorf("finding the owner of a key: %w", err)
	}
	return userID, nil
}

// scanRecord reads the columns of recordColumns, and those before them into first.
func scanRecord(row interface{ Scan(...any) error }, r *mfa.Record, first ...any) error {
	var methods string
	var lastUsed int64
	err := row.Scan(append(first, &r.Version, &r.Data, &r.KeyID, &methods, &lastUsed, &r.Summary.Stopped)...)
	if err != nil {
		return err
	}
	if methods != "" {
		r.Summary.Methods = strings.Split(methods, ",")
	}
	r.Summary.LastUsed = fromMicros(lastUsed)
	return nil
}

func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
