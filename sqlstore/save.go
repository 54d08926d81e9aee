package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/mfa"
)

// Save implements mfa.Store. An error that is none of the sentinels leaves open whether the save was kept if it came
// while the database committed; the next Load tells.
func (s *Store) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	if err := mfa.CheckSave(r, events); err != nil {
		return err
	}
	q, err := s.statements(ctx)
	if err != nil {
		return err
	}
	if r.UserID == "" && len(events) == 0 {
		return ctx.Err()
	}
	return s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return saving{q, tx, r, events}.run(ctx)
	})
}

// tries is how often a transaction is run that the server ended for the sake of another one.
const tries = 4

// write runs do in a transaction and returns when it is durable. It is the only place that knows how writers wait for
// each other.
func (s *Store) write(ctx context.Context, do work) error {
	if s.group != nil {
		return s.join(ctx, do)
	}
	for try := 1; ; try++ {
		err := s.transact(ctx, do)
		if try == tries || !endedForAnother(err) {
			return err
		}
	}
}

func (s *Store) transact(ctx context.Context, do work) error {
	tx, err := s.db.BeginTx(ctx, s.traits.options)
	if err != nil {
		return fmt.Errorf("beginning to save: %w", err)
	}
	if err := do(ctx, tx); err != nil {
		return errors.Join(err, rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// rollback returns an error only if there is something to know: a transaction whose context is over has ended already.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("rolling back: %w", err)
	}
	return nil
}

// endedForAnother reports a deadlock or a serialization failure by its SQLSTATE (ISO 9075, class 40), which the
// drivers of PostgreSQL tell through this method.
func endedForAnother(err error) bool {
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && (coded.SQLState() == "40001" || coded.SQLState() == "40P01")
}

// saving is one save inside its transaction.
type saving struct {
	q      *statements
	tx     *sql.Tx
	r      mfa.Record
	events []mfa.Event
}

// run writes first, so that the account's row is locked before anything is looked at.
func (w saving) run(ctx context.Context) error {
	if w.r.UserID != "" {
		if err := w.swap(ctx); err != nil {
			return err
		}
		if err := w.keys(ctx); err != nil {
			return err
		}
	}
	return w.append(ctx)
}

// swap stores the record if its version is the stored one.
func (w saving) swap(ctx context.Context) error {
	stmt := w.q.update
	if w.r.Version == 0 {
		stmt = w.q.create
	}
	s := w.r.Summary
	n, err := w.exec(ctx, stmt,
		bytes(w.r.Data), w.r.KeyID, strings.Join(s.Methods, ","), toMicros(s.LastUsed), number(s.Stopped),
		time.Now().UnixMicro(), []byte(w.r.UserID), w.r.Version)
	switch {
	case err != nil:
		return fmt.Errorf("saving a record: %w", err)
	case n == 0:
		return mfa.ErrConflict
	}
	return nil
}

// keys makes the user's keys those of the record. All saves walk keys in the same order, so that none waits for one
// that waits for it.
func (w saving) keys(ctx context.Context) error {
	if w.r.Keys == nil {
		return nil
	}
	want := slices.Sorted(slices.Values(w.r.Keys))
	have, err := w.owned(ctx)
	if err != nil {
		return err
	}
	all := slices.Concat(want, have)
	slices.Sort(all)
	for _, key := range slices.Compact(all) {
		_, wanted := slices.BinarySearch(want, key)
		_, owned := slices.BinarySearch(have, key)
		if wanted == owned {
			continue
		}
		if err := w.setKey(ctx, key, wanted); err != nil {
			return err
		}
	}
	return nil
}

// owned returns the user's keys, sorted. Only a holder of the lock on the account's row changes them.
func (w saving) owned(ctx context.Context) ([]string, error) {
	if w.r.Version == 0 {
		return nil, nil
	}
	rows, err := w.tx.StmtContext(ctx, w.q.owned).QueryContext(ctx, []byte(w.r.UserID))
	if err != nil {
		return nil, fmt.Errorf("reading the keys of a user: %w", err)
	}
	keys, err := collect(rows, func(key *string) error { return rows.Scan(key) })
	slices.Sort(keys)
	return keys, err
}

// setKey claims a key for the user, or gives it up.
func (w saving) setKey(ctx context.Context, key string, claim bool) error {
	stmt := w.q.giveUp
	if claim {
		stmt = w.q.claim
	}
	n, err := w.exec(ctx, stmt, []byte(w.r.UserID), []byte(key))
	switch {
	case err != nil:
		return fmt.Errorf("saving a key: %w", err)
	case claim && n == 0:
		return mfa.ErrTaken
	}
	return nil
}

// append adds the events, in the order of their ids, for the reason that keys gives.
func (w saving) append(ctx context.Context) error {
	events := slices.SortedStableFunc(slices.Values(w.events), func(a, b mfa.Event) int {
		return strings.Compare(a.ID, b.ID)
	})
	for _, ev := range events {
		_, err := w.exec(ctx, w.q.appendEvent,
			[]byte(ev.ID), []byte(ev.UserID), int64(ev.Number), toMicros(ev.At), string(ev.Kind), ev.Method,
			[]byte(ev.FactorID), []byte(ev.Actor), []byte(ev.Address), []byte(ev.Browser), []byte(ev.Reason),
			number(ev.Known), int64(ev.Epoch), bytes(ev.MAC))
		if err != nil {
			return fmt.Errorf("saving event %q: %w", ev.ID, err)
		}
	}
	return nil
}

func (w saving) exec(ctx context.Context, stmt *sql.Stmt, args ...any) (int64, error) {
	result, err := w.tx.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// bytes keeps nil from becoming NULL.
func bytes(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
