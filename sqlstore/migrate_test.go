package sqlstore_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

func TestMigrateTwiceKeepsWhatIsThere(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		migrate(t, db, d.dialect)
		s := newStore(t, db, d.dialect)
		if err := s.Save(t.Context(), mfa.Record{UserID: "alice", Data: []byte("kept")}, nil); err != nil {
			t.Fatal(err)
		}
		migrate(t, db, d.dialect)
		if r, err := s.Load(t.Context(), "alice"); err != nil || string(r.Data) != "kept" {
			t.Errorf("Load after a second Migrate = %q, %v; want what was saved", r.Data, err)
		}
		var versions int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM sallyport_schema").Scan(&versions); err != nil || versions != 1 {
			t.Errorf("%d rows of versions, %v; want 1", versions, err)
		}
	})
}

func TestMigrateByManyAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		open := d.open(t)
		const processes = 8
		errs := make([]error, processes)
		var group sync.WaitGroup
		barrier := make(chan struct{})
		for i := range processes {
			db := open()
			group.Go(func() {
				<-barrier
				errs[i] = sqlstore.Migrate(t.Context(), db, d.dialect)
			})
		}
		close(barrier)
		group.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("Migrate by process %d = %v, want nil", i, err)
			}
		}
		if err := newStore(t, open(), d.dialect).Check(t.Context(), nil, now()); err != nil {
			t.Errorf("Check after all of them = %v, want nil", err)
		}
	})
}

// A server may begin transactions as SERIALIZABLE, in which one that waits sees the past.
func TestMigrateByManyAtOnceWhenSerializable(t *testing.T) {
	dsn := newSchema(t)("&default_transaction_isolation=serializable")
	var group sync.WaitGroup
	barrier := make(chan struct{})
	for range 8 {
		db := open(t, "pgx", dsn)
		group.Go(func() {
			<-barrier
			if err := sqlstore.Migrate(t.Context(), db, sqlstore.PostgreSQL); err != nil {
				t.Errorf("Migrate = %v, want nil", err)
			}
		})
	}
	close(barrier)
	group.Wait()
}

func TestNewerSchemaIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		migrate(t, db, d.dialect)
		must(t, db, "INSERT INTO sallyport_schema (version, applied) VALUES (999, 0)")
		want := "version 999"
		if err := sqlstore.Migrate(t.Context(), db, d.dialect); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Migrate = %v, want an error with %q", err, want)
		}
		if err := newStore(t, db, d.dialect).Check(t.Context(), nil, now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want an error with %q", err, want)
		}
	})
}

func TestOlderOrMissingSchemaIsNamed(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		s := newStore(t, db, d.dialect)
		names := func(what string, err error) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), "Migrate") {
				t.Errorf("%s = %v, want an error that names Migrate", what, err)
			}
		}
		names("Check without tables", s.Check(t.Context(), nil, now()))
		_, err := s.Load(t.Context(), "alice")
		names("Load without tables", err)

		migrate(t, db, d.dialect)
		if _, err := s.Load(t.Context(), "alice"); err != nil {
			t.Errorf("Load after Migrate = %v, want nil", err)
		}
		must(t, db, "DELETE FROM sallyport_schema")
		names("Check of an older schema", s.Check(t.Context(), nil, now()))
	})
}

// The second table of the first version is in the way: the first must not stay either.
func TestFailedMigrationLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		must(t, db, "CREATE TABLE sallyport_keys (in_the_way integer)")
		if err := sqlstore.Migrate(t.Context(), db, d.dialect); err == nil || !strings.Contains(err.Error(), "version 1") {
			t.Errorf("Migrate = %v, want an error that names version 1", err)
		}
		must(t, db, "DROP TABLE sallyport_keys")
		for _, table := range []string{"sallyport_accounts", "sallyport_schema"} {
			if hasTable(t, db, table) {
				t.Errorf("%s is there after a migration that failed", table)
			}
		}
		migrate(t, db, d.dialect)
	})
}

func hasTable(t *testing.T, db *sql.DB, table string) bool {
	t.Helper()
	var n int
	return db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n) == nil
}

func TestMigrateWithACancelledContext(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		db.SetMaxOpenConns(1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := sqlstore.Migrate(ctx, db, d.dialect); err == nil {
			t.Error("Migrate with a cancelled context = nil, want an error")
		}
		migrate(t, db, d.dialect)
	})
}

func TestMigrateRefusesAnUnknownDialect(t *testing.T) {
	if err := sqlstore.Migrate(t.Context(), nil, 0); err == nil {
		t.Error("Migrate with dialect 0 = nil, want an error")
	}
}
