package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"sallyport/mfa"
)

// Ids of records that belong to no account begin with "~"; the first id after them all is "\x7f".
const (
	firstOfNone = "~"
	afterNone   = "\x7f"
)

// List implements mfa.Lister.
func (s *Store) List(ctx context.Context, after string, limit int) ([]mfa.Record, error) {
	q, err := s.statements(ctx)
	if err != nil || limit <= 0 {
		return nil, err
	}
	var list []mfa.Record
	if after < firstOfNone {
		if list, err = records(ctx, q.listBelow, after, firstOfNone, limit); err != nil {
			return nil, err
		}
	}
	if len(list) < limit {
		more, err := records(ctx, q.listAbove, after, afterNone, limit-len(list))
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

func records(ctx context.Context, stmt *sql.Stmt, after, bound string, limit int) ([]mfa.Record, error) {
	rows, err := stmt.QueryContext(ctx, []byte(after), []byte(bound), limit)
	if err != nil {
		return nil, fmt.Errorf("listing records: %w", err)
	}
	return collect(rows, func(r *mfa.Record) error { return scanRecord(rows, r, &r.UserID) })
}

// Events implements mfa.EventReader.
func (s *Store) Events(ctx context.Context, userID string, after mfa.Event, limit int) ([]mfa.Event, error) {
	q, err := s.statements(ctx)
	if err != nil || limit <= 0 {
		return nil, err
	}
	rows, err := q.events.QueryContext(ctx, []byte(userID), int64(after.Number), []byte(after.ID), limit)
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	return collect(rows, func(ev *mfa.Event) error { return scanEvent(rows, ev) })
}

func scanEvent(rows *sql.Rows, ev *mfa.Event) error {
	var number, at, epoch int64
	err := rows.Scan(&ev.ID, &ev.UserID, &number, &at, &ev.Kind, &ev.Method, &ev.FactorID, &ev.Actor, &ev.Address,
		&ev.Browser, &ev.Reason, &ev.Known, &epoch, &ev.MAC)
	ev.Number, ev.At, ev.Epoch = uint64(number), fromMicros(at), uint64(epoch)
	return err
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(*T) error) ([]T, error) {
	var list []T
	var err error
	for err == nil && rows.Next() {
		var v T
		if err = scan(&v); err == nil {
			list = append(list, v)
		}
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("reading rows: %w", err)
	}
	return list, nil
}
