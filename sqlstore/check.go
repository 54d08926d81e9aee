package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/mfa"
)

// Risk names one thing that Check refuses and that may be accepted.
type Risk string

// The risks.
const (
	// LostWrites: the database may lose what it has acknowledged. After a crash a used code may work again, and a
	// removed factor may be back.
	LostWrites Risk = "LostWrites"

	// ClockDiffers: the clock of the database is more than a second away from ours. Codes of an authenticator app
	// may then be judged at the wrong time by some node.
	ClockDiffers Risk = "ClockDiffers"
)

// InsecureAccept makes Check pass in spite of these risks, and returns s. Call it before s is used.
func (s *Store) InsecureAccept(risks ...Risk) *Store {
	for _, r := range risks {
		s.accepted[r] = true
	}
	return s
}

// mistake is one thing that Check has found. The zero Risk cannot be accepted.
type mistake struct {
	risk Risk
	err  error
}

// maxClock is how far the clock of the database may be away from ours.
const maxClock = time.Second

// Check implements mfa.Checker: it refuses a database that would lose writes, that cannot be written, whose schema is
// not the one that this package knows, that holds records under keys which are not in keyIDs, or whose clock is more
// than a second away from now. It looks at one connection of the pool; all of them are taken to be configured alike.
// SQLite has no clock of its own.
func (s *Store) Check(ctx context.Context, keyIDs []string, now time.Time) error {
	if s.closed.Load() {
		return errClosed
	}
	began := time.Now()
	clock := func() time.Time { return now.Add(time.Since(began)) }
	settings, schema := s.look(ctx, keyIDs, clock)
	var list []error
	writable := schema == nil
	for _, m := range settings {
		if m.risk == "" {
			list, writable = append(list, m.err), false
		} else if !s.accepted[m.risk] {
			list = append(list, fmt.Errorf("%w; or accept it: InsecureAccept(sqlstore.%s)", m.err, m.risk))
		}
	}
	list = append(list, schema)
	if writable {
		list = append(list, s.trySave(ctx))
	}
	return errors.Join(list...)
}

// look checks what one connection tells about settings and tables.
func (s *Store) look(ctx context.Context, keyIDs []string, clock func() time.Time) (settings []mistake, schema error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	defer conn.Close()
	return s.traits.check(ctx, conn, clock), s.checkSchema(ctx, conn, keyIDs)
}

var errTrial = errors.New("only a trial")

// trySave makes a whole save and takes it back, so that a missing right or a read-only file is found now.
func (s *Store) trySave(ctx context.Context) error {
	q, err := s.statements(ctx)
	if err != nil {
		return err
	}
	const id = "~check"
	err = s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		trial := saving{q, tx, mfa.Record{UserID: id, Keys: []string{id}}, []mfa.Event{{ID: id}}}
		if err := trial.run(ctx); err != nil {
			return err
		}
		trial.r = mfa.Record{UserID: id, Version: 1, Keys: []string{}}
		if err := trial.run(ctx); err != nil {
			return err
		}
		return errTrial
	})
	if errors.Is(err, errTrial) {
		return nil
	}
	return fmt.Errorf("the database cannot be written: %w", err)
}

// checkSchema looks at the tables, and into them only if they are the known ones.
func (s *Store) checkSchema(ctx context.Context, conn *sql.Conn, keyIDs []string) error {
	steps, err := s.traits.steps()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, conn)
	switch {
	case err != nil:
		return fmt.Errorf("reading the schema version: %w: if the tables are not there, run sqlstore.Migrate", err)
	case version > len(steps):
		return newerSchema(version, len(steps))
	case version < len(steps):
		return fmt.Errorf("the schema has version %d, and this program needs %d: run sqlstore.Migrate", version, len(steps))
	}
	return s.checkKeys(ctx, conn, keyIDs)
}

// checkKeys steps from one key id in use to the next through the index, so it costs a few look-ups, not a scan. A
// record without a key id was not sealed.
func (s *Store) checkKeys(ctx context.Context, conn *sql.Conn, keyIDs []string) error {
	var list []error
	for id := ""; ; {
		err := conn.QueryRowContext(ctx, s.traits.statement(nextKeyIDText), id).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errors.Join(list...)
		}
		if err != nil {
			return fmt.Errorf("reading the key ids in use: %w", err)
		}
		if !slices.Contains(keyIDs, id) {
			list = append(list, fmt.Errorf("records are sealed under key %q, which is not in the ring: put it back", id))
		}
	}
}

func checkSQLite(ctx context.Context, conn *sql.Conn, _ func() time.Time) []mistake {
	var journal string
	var synchronous, busy int
	for _, p := range []struct {
		text  string
		value any
	}{
		{"PRAGMA journal_mode", &journal}, {"PRAGMA synchronous", &synchronous},
		{"PRAGMA busy_timeout", &busy},
	} {
		if err := conn.QueryRowContext(ctx, p.text).Scan(p.value); err != nil {
			return []mistake{{err: fmt.Errorf("%s: %w", p.text, err)}}
		}
	}
	var list []mistake
	if journal != "wal" {
		list = append(list, mistake{LostWrites, fmt.Errorf("journal_mode is %s: open the database with SQLiteDSN, or set it to WAL", journal)})
	}
	if synchronous < 2 { // 0 OFF, 1 NORMAL, 2 FULL, 3 EXTRA
		list = append(list, mistake{LostWrites, fmt.Errorf("synchronous is %d: open the database with SQLiteDSN, or set it to FULL", synchronous)})
	}
	if busy <= 0 {
		list = append(list, mistake{err: errors.New("busy_timeout is 0: open the database with SQLiteDSN, or set it to 5000")})
	}
	return list
}

func checkPostgreSQL(ctx context.Context, conn *sql.Conn, now func() time.Time) []mistake {
	const text = `SELECT current_setting('synchronous_commit'), current_setting('fsync'),
		current_setting('transaction_read_only'), pg_is_in_recovery(),
		CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)`
	var commit, fsync, readOnly string
	var standby bool
	var clock int64
	earliest := now()
	err := conn.QueryRowContext(ctx, text).Scan(&commit, &fsync, &readOnly, &standby, &clock)
	latest := now()
	if err != nil {
		return []mistake{{err: fmt.Errorf("reading the settings of the server: %w", err)}}
	}
	var list []mistake
	if commit == "off" {
		list = append(list, mistake{LostWrites, errors.New("synchronous_commit is off: set it to on, for the database, the role or the connection")})
	}
	if fsync == "off" {
		list = append(list, mistake{LostWrites, errors.New("fsync is off: set it to on in postgresql.conf")})
	}
	if standby {
		list = append(list, mistake{err: errors.New("the server is a standby, which cannot be written: connect to the primary")})
	} else if readOnly == "on" {
		list = append(list, mistake{err: errors.New("transactions are read-only: set default_transaction_read_only to off")})
	}
	theirs := time.UnixMicro(clock)
	if ahead, behind := theirs.Sub(latest), earliest.Sub(theirs); max(ahead, behind) > maxClock {
		list = append(list, mistake{ClockDiffers, fmt.Errorf("the clock of the database shows %v, ours %v: keep both by NTP",
			theirs.UTC().Format(time.RFC3339Nano), latest.UTC().Format(time.RFC3339Nano))})
	}
	return list
}
