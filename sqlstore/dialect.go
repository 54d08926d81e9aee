package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Dialect is the kind of database behind a Store. The zero Dialect is none.
type Dialect int

// The dialects.
const (
	SQLite Dialect = iota + 1 // 3.37 or later
	PostgreSQL
)

// String returns the name of the database.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "SQLite"
	case PostgreSQL:
		return "PostgreSQL"
	}
	return "Dialect(" + strconv.Itoa(int(d)) + ")"
}

// traits is all in which the databases differ; statements are the same but for placeholders and the end of an INSERT.
type traits struct {
	schema string // folder of the schema files

	numbered   bool           // placeholders are $1, $2, ...
	skipExists string         // ends an INSERT that leaves an existing row as it is and then counts none
	options    *sql.TxOptions // of a save
	oneWriter  bool           // saves of one Store form groups

	begin, alone string // begin a transaction that changes the schema, and keep other processes from doing so

	// check returns what is wrong with the database behind conn.
	check func(ctx context.Context, conn *sql.Conn, now func() time.Time) []mistake
}

func (d Dialect) traits() (traits, error) {
	switch d {
	case SQLite:
		return traits{
			schema:     "schema/sqlite",
			skipExists: " ON CONFLICT DO NOTHING",
			oneWriter:  true,
			begin:      "BEGIN IMMEDIATE",
			check:      checkSQLite,
		}, nil
	case PostgreSQL:
		return traits{
			schema:     "schema/postgresql",
			numbered:   true,
			skipExists: " ON CONFLICT DO NOTHING",
			options:    &sql.TxOptions{Isolation: sql.LevelReadCommitted},
			begin:      "BEGIN ISOLATION LEVEL READ COMMITTED",
			alone:      "SELECT pg_advisory_xact_lock(8314045600252325746)", // "sallypor" in ASCII
			check:      checkPostgreSQL,
		}, nil
	}
	return traits{}, fmt.Errorf("sqlstore: %v is not a dialect: use SQLite or PostgreSQL", d)
}

// statement returns a statement, written with ?, in the words of the dialect. No statement holds a ? for anything else.
func (t traits) statement(text string) string {
	text = strings.Replace(text, "{skip}", t.skipExists, 1)
	if !t.numbered {
		return text
	}
	parts := strings.Split(text, "?")
	for i := range parts[:len(parts)-1] {
		parts[i] += "$" + strconv.Itoa(i+1)
	}
	return strings.Join(parts, "")
}

// SQLiteDSN returns the data source name for a database file with the driver of modernc.org/sqlite. Every commit is
// on the disk before it returns.
func SQLiteDSN(path string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		path = "/" + path
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "file:" + strings.Join(parts, "/") +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
}
