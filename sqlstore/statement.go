package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// The statements, in the subset that SQLite, PostgreSQL and MySQL share. {skip} is traits.skipExists.
const (
	recordColumns = `version, data, key_id, methods, last_used, stopped`

	loadText = `SELECT ` + recordColumns + ` FROM sallyport_accounts WHERE user_id = ?`

	createText = `INSERT INTO sallyport_accounts
		(data, key_id, methods, last_used, stopped, changed, user_id, version) VALUES (?, ?, ?, ?, ?, ?, ?, ? + 1){skip}`

	updateText = `UPDATE sallyport_accounts
		SET data = ?, key_id = ?, methods = ?, last_used = ?, stopped = ?, changed = ?, version = version + 1
		WHERE user_id = ? AND version = ?`

	findText   = `SELECT user_id FROM sallyport_keys WHERE factor_key = ?`
	ownedText  = `SELECT factor_key FROM sallyport_keys WHERE user_id = ?`
	claimText  = `INSERT INTO sallyport_keys (user_id, factor_key) VALUES (?, ?){skip}`
	giveUpText = `DELETE FROM sallyport_keys WHERE user_id = ? AND factor_key = ?`

	eventColumns = `event_id, user_id, number, at, kind, method, factor_id, actor, address, browser, reason, known, epoch, mac`

	appendText = `INSERT INTO sallyport_events (` + eventColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?){skip}`

	eventsText = `SELECT ` + eventColumns + ` FROM sallyport_events
		WHERE user_id = ? AND (number, event_id) > (?, ?) ORDER BY number, event_id LIMIT ?`

	// Two statements leave out what begins with "~" without reading it.
	listBelowText = `SELECT user_id, ` + recordColumns + ` FROM sallyport_accounts
		WHERE user_id > ? AND user_id < ? ORDER BY user_id LIMIT ?`
	listAboveText = `SELECT user_id, ` + recordColumns + ` FROM sallyport_accounts
		WHERE user_id > ? AND user_id >= ? ORDER BY user_id LIMIT ?`

	nextKeyIDText = `SELECT key_id FROM sallyport_accounts WHERE key_id > ? ORDER BY key_id LIMIT 1`

	schemaVersionText = `SELECT COALESCE(MAX(version), 0) FROM sallyport_schema`
	migratedText      = `INSERT INTO sallyport_schema (version, applied) VALUES (?, ?)`
)

// statements are prepared once and then kept for each connection by database/sql.
type statements struct {
	load, create, update, find, owned, claim, giveUp, appendEvent, events, listBelow, listAbove *sql.Stmt
}

// each calls f with the place and the text of every statement, until one fails.
func (q *statements) each(f func(place **sql.Stmt, text string) error) error {
	for _, p := range []struct {
		place **sql.Stmt
		text  string
	}{
		{&q.load, loadText}, {&q.create, createText}, {&q.update, updateText},
		{&q.find, findText}, {&q.owned, ownedText}, {&q.claim, claimText}, {&q.giveUp, giveUpText},
		{&q.appendEvent, appendText}, {&q.events, eventsText},
		{&q.listBelow, listBelowText}, {&q.listAbove, listAboveText},
	} {
		if err := f(p.place, p.text); err != nil {
			return err
		}
	}
	return nil
}

func (q *statements) close() error {
	var mistakes []error
	_ = q.each(func(place **sql.Stmt, _ string) error {
		if *place != nil {
			mistakes = append(mistakes, (*place).Close())
		}
		return nil
	})
	return errors.Join(mistakes...)
}

// statements returns the prepared statements, and prepares them if nobody has. What failed is tried again at the next call.
func (s *Store) statements(ctx context.Context) (*statements, error) {
	if q := s.prepared.Load(); q != nil {
		return q, nil
	}
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.closed.Load() {
		return nil, errClosed
	}
	if q := s.prepared.Load(); q != nil {
		return q, nil
	}
	q := &statements{}
	err := q.each(func(place **sql.Stmt, text string) (err error) {
		*place, err = s.db.PrepareContext(ctx, s.traits.statement(text))
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing statements (is the schema there? Migrate makes it): %w", err), q.close())
	}
	s.prepared.Store(q)
	return q, nil
}
