package sqlstore_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"sallyport/mfa"
	"sallyport/mfatest"
	"sallyport/sqlstore"
)

// database is one kind of database that the tests run on. open returns an empty one without tables; all that is opened
// under one name within a test is the same.
type database struct {
	name    string
	dialect sqlstore.Dialect
	open    func(t testing.TB) func() *sql.DB
}

var databases = []database{
	{"SQLite", sqlstore.SQLite, func(t testing.TB) func() *sql.DB {
		path := filepath.Join(t.TempDir(), "a b?c%20#é.db")
		return func() *sql.DB { return open(t, "sqlite", sqlstore.SQLiteDSN(path)) }
	}},
	{"PostgreSQL", sqlstore.PostgreSQL, func(t testing.TB) func() *sql.DB {
		dsn := newSchema(t)
		return func() *sql.DB { return open(t, "pgx", dsn("")) }
	}},
}

func open(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(12)
	db.SetMaxIdleConns(12)
	t.Cleanup(func() { db.Close() })
	return db
}

// newSchema makes a schema that is dropped after the test and returns the DSN for it, with more settings.
func newSchema(t testing.TB) func(settings string) string {
	t.Helper()
	base := os.Getenv("SALLYPORT_TEST_POSTGRES")
	if base == "" {
		base = "postgres://postgres@127.0.0.1:5432/test"
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	if err := admin.PingContext(t.Context()); err != nil {
		missing(t, fmt.Sprintf("no PostgreSQL at %s (set SALLYPORT_TEST_POSTGRES): %v", u.Redacted(), err))
	}
	name := "sallyport_test_" + rand.Text()
	must(t, admin, `CREATE SCHEMA "`+name+`"`)
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP SCHEMA "` + name + `" CASCADE`); err != nil {
			t.Errorf("dropping the schema: %v", err)
		}
	})
	return func(settings string) string {
		v := u.Query()
		v.Set("search_path", `"`+name+`"`)
		dsn := *u
		dsn.RawQuery = v.Encode() + settings
		return dsn.String()
	}
}

// missing fails where everything must be tested, and skips on a laptop.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("SALLYPORT_TEST_REQUIRE") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func must(t testing.TB, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func migrate(t testing.TB, db *sql.DB, d sqlstore.Dialect) {
	t.Helper()
	if err := sqlstore.Migrate(t.Context(), db, d); err != nil {
		t.Fatalf("Migrate = %v, want nil", err)
	}
}

func newStore(t testing.TB, db *sql.DB, d sqlstore.Dialect) *sqlstore.Store {
	t.Helper()
	s := sqlstore.New(db, d)
	t.Cleanup(func() { s.Close() })
	return s
}

// onEach runs a test on each database.
func onEach(t *testing.T, test func(t *testing.T, d database)) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) { test(t, d) })
	}
}

// runKit runs the kit on each database. It makes the tables once and empties them before each test, and closes what the
// test has opened. Most of the time it waits for disks, so its runs go on side by side.
func runKit(t *testing.T, store func(t *testing.T, d database, open func() *sql.DB) mfa.Store) {
	t.Parallel()
	onEach(t, func(t *testing.T, d database) {
		t.Parallel()
		open := d.open(t)
		keeper := open()
		migrate(t, keeper, d.dialect)
		mfatest.TestStore(t, func(t *testing.T) mfa.Store {
			for _, table := range []string{"sallyport_events", "sallyport_keys", "sallyport_accounts"} {
				must(t, keeper, "DELETE FROM "+table)
			}
			return store(t, d, func() *sql.DB {
				db := open()
				t.Cleanup(func() { db.Close() })
				return db
			})
		})
	})
}

func TestStore(t *testing.T) {
	runKit(t, func(t *testing.T, d database, open func() *sql.DB) mfa.Store { return newStore(t, open(), d.dialect) })
}

// An application may give SQLite a single connection, and PostgreSQL as well.
func TestStoreOnOneConnection(t *testing.T) {
	runKit(t, func(t *testing.T, d database, open func() *sql.DB) mfa.Store {
		db := open()
		db.SetMaxOpenConns(1)
		return newStore(t, db, d.dialect)
	})
}

// nodes spreads calls over several stores, as several processes do. In SQLite nothing but the file keeps them apart.
type nodes struct {
	*sqlstore.Store
	other *sqlstore.Store
	saves *atomic.Int64
}

func (n nodes) Save(ctx context.Context, r mfa.Record, events []mfa.Event) error {
	if n.saves.Add(1)%2 == 0 {
		return n.other.Save(ctx, r, events)
	}
	return n.Store.Save(ctx, r, events)
}

func (n nodes) Close() error {
	if err := n.other.Close(); err != nil {
		return err
	}
	return n.Store.Close()
}

func TestStoreOnTwoNodes(t *testing.T) {
	runKit(t, func(t *testing.T, d database, open func() *sql.DB) mfa.Store {
		return nodes{newStore(t, open(), d.dialect), newStore(t, open(), d.dialect), new(atomic.Int64)}
	})
}
