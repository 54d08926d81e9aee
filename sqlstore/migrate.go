package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

//go:embed schema
var schemas embed.FS

const makeVersions = `CREATE TABLE IF NOT EXISTS sallyport_schema (version integer PRIMARY KEY, applied bigint NOT NULL)`

// Migrate brings the tables of a database to the version that this package knows: all of it or nothing. It only goes
// forwards, refuses a schema that is newer, and may be run by many processes at once; those that come late find it
// done. It needs the right to create tables.
func Migrate(ctx context.Context, db *sql.DB, d Dialect) error {
	t, err := d.traits()
	if err != nil {
		return err
	}
	steps, err := t.steps()
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	defer conn.Close()
	if err := migrate(ctx, conn, t, steps); err != nil {
		return errors.Join(fmt.Errorf("migrating: %w", err), undo(ctx, conn))
	}
	return nil
}

// steps returns the schema files in their order; the first makes version 1.
func (t traits) steps() ([]string, error) {
	files, err := fs.Glob(schemas, t.schema+"/*.sql")
	if err != nil {
		return nil, err
	}
	steps := make([]string, len(files))
	for i, name := range files {
		if !strings.HasPrefix(name, fmt.Sprintf("%s/%04d_", t.schema, i+1)) {
			return nil, fmt.Errorf("the schema file %s is out of order", name)
		}
		text, err := schemas.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps[i] = string(text)
	}
	return steps, nil
}

// migrate holds the lock of its transaction from before it reads the version until the new one is there.
func migrate(ctx context.Context, conn *sql.Conn, t traits, steps []string) error {
	for _, text := range []string{t.begin, t.alone, makeVersions} {
		if text == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	version, err := schemaVersion(ctx, conn)
	if err != nil {
		return err
	}
	if version > len(steps) {
		return newerSchema(version, len(steps))
	}
	for i := version; i < len(steps); i++ {
		if err := apply(ctx, conn, t, i+1, steps[i]); err != nil {
			return fmt.Errorf("to version %d: %w", i+1, err)
		}
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

// apply runs one schema file, statement by statement, since not every driver takes several at once.
func apply(ctx context.Context, conn *sql.Conn, t traits, version int, file string) error {
	for text := range strings.SplitSeq(file, ";\n") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, t.statement(migratedText), version, time.Now().UnixMicro())
	return err
}

// undo ends the transaction. A connection that cannot do that is not given back to the pool.
func undo(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); err == nil {
		return nil
	}
	err := conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

func schemaVersion(ctx context.Context, conn *sql.Conn) (version int, err error) {
	err = conn.QueryRowContext(ctx, schemaVersionText).Scan(&version)
	return version, err
}

func newerSchema(found, known int) error {
	return fmt.Errorf("the schema has version %d, and this program knows only %d: run a newer program", found, known)
}
