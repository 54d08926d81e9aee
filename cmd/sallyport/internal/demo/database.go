package demo

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"sallyport/sqlstore"
)

// database is the site's own database. The accounts of the second factors live in it too, in tables of their own.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
	turn    sync.Mutex // SQLite has one writer: ours wait here, not for the file
}

// openTime is how long a database may take to answer at the start.
const openTime = 10 * time.Second

// openDatabase opens what --store names and brings all tables up to date.
func openDatabase(ctx context.Context, store string) (*database, error) {
	src, err := parseStore(store)
	if err != nil {
		return nil, err
	}
	pool, err := sql.Open(src.driver, src.dsn)
	if err != nil {
		return nil, fmt.Errorf("--store: %w", err)
	}
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(2)
	db := &database{DB: pool, dialect: src.dialect}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if err := db.prepare(ctx); err != nil {
		err = fmt.Errorf("--store: cannot use %s: %w: check the address, that it runs, and that you may write to it",
			src.name, err)
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

func (db *database) prepare(ctx context.Context) error {
	if err := sqlstore.Migrate(ctx, db.DB, db.dialect); err != nil {
		return err
	}
	return db.write(ctx, func(tx *sql.Tx) error {
		for _, text := range db.schema() {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
}

// schema makes the site's own tables if they are not there. Times are microseconds since 1970.
func (db *database) schema() []string {
	bytes, id, alone := "BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT", "SELECT 1"
	if db.dialect == sqlstore.PostgreSQL {
		bytes, id = "bytea", "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
		alone = "SELECT pg_advisory_xact_lock(7234313735231406447)" // nodes may start together
	}
	return []string{
		alone,
		`CREATE TABLE IF NOT EXISTS demo_sessions (
			token_hash ` + bytes + ` NOT NULL PRIMARY KEY,
			username   text   NOT NULL,
			login      text   NOT NULL,
			login_at   bigint NOT NULL,
			expires    bigint NOT NULL
		)`,
		`CREATE INDEX IF NOT EXISTS demo_sessions_expires ON demo_sessions (expires)`,
		`CREATE TABLE IF NOT EXISTS demo_outbox (
			id        ` + id + `,
			at        bigint NOT NULL,
			username  text   NOT NULL,
			recipient text   NOT NULL,
			courier   text   NOT NULL,
			subject   text   NOT NULL,
			body      text   NOT NULL
		)`,
	}
}

// write runs one transaction.
func (db *database) write(ctx context.Context, do func(tx *sql.Tx) error) error {
	if db.dialect == sqlstore.SQLite {
		db.turn.Lock()
		defer db.turn.Unlock()
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// text returns a statement, written with ?, in the words of the dialect.
func (db *database) text(statement string) string {
	if db.dialect != sqlstore.PostgreSQL {
		return statement
	}
	parts := strings.Split(statement, "?")
	for i := range parts[:len(parts)-1] {
		parts[i] += "$" + strconv.Itoa(i+1)
	}
	return strings.Join(parts, "")
}
