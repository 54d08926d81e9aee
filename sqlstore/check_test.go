package sqlstore_test

import (
	"crypto/rand"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

func now() time.Time { return time.Now() }

// refuses runs Check and wants an error with all of the words.
func refuses(t *testing.T, s *sqlstore.Store, words ...string) {
	t.Helper()
	err := s.Check(t.Context(), nil, now())
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Check = %v, want an error with %q", err, word)
		}
	}
}

func accepts(t *testing.T, s *sqlstore.Store) {
	t.Helper()
	if err := s.Check(t.Context(), nil, now()); err != nil {
		t.Errorf("Check = %v, want nil", err)
	}
}

func TestCheckAcceptsOurDSN(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		migrate(t, db, d.dialect)
		accepts(t, newStore(t, db, d.dialect))
	})
}

func TestCheckRefusesSQLiteThatLosesWrites(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		words          []string
		lost           bool // can be accepted as LostWrites
	}{
		{"synchronous OFF", "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)", []string{"synchronous is 0"}, true},
		{"synchronous NORMAL", "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)", []string{"synchronous is 1"}, true},
		{"rollback journal", "_pragma=busy_timeout(5000)&_pragma=journal_mode(DELETE)&_pragma=synchronous(FULL)", []string{"journal_mode is delete"}, true},
		{"journal in memory", "_pragma=busy_timeout(5000)&_pragma=journal_mode(MEMORY)&_pragma=synchronous(FULL)", []string{"journal_mode is memory"}, true},
		{"both", "_pragma=busy_timeout(5000)&_pragma=synchronous(OFF)", []string{"journal_mode", "synchronous", "SQLiteDSN", "InsecureAccept(sqlstore.LostWrites)"}, true},
		{"no busy timeout", "_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", []string{"busy_timeout is 0"}, false},
		{"query only", "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=query_only(1)", []string{"cannot be written"}, false},
		{"read-only", "_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&mode=ro", []string{"cannot be written"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			first := open(t, "sqlite", "file:"+path)
			migrate(t, first, sqlstore.SQLite)
			if strings.HasSuffix(c.name, "read-only") {
				must(t, first, "PRAGMA journal_mode=WAL")
			}
			first.Close()
			s := newStore(t, open(t, "sqlite", "file:"+path+"?"+c.settings), sqlstore.SQLite)
			refuses(t, s, c.words...)
			if s.InsecureAccept(sqlstore.LostWrites, sqlstore.ClockDiffers); c.lost {
				accepts(t, s)
			} else {
				refuses(t, s, c.words...)
			}
		})
	}
}

// What Check has looked at must be as before, or the first save fails.
func TestStoreWorksAfterCheck(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		db.SetMaxOpenConns(1)
		migrate(t, db, d.dialect)
		s := newStore(t, db, d.dialect)
		for version := range int64(3) {
			accepts(t, s)
			if err := s.Save(t.Context(), mfa.Record{UserID: "alice", Version: version}, nil); err != nil {
				t.Fatalf("Save after Check = %v, want nil", err)
			}
		}
	})
}

func TestCheckRefusesPostgreSQLThatLosesWrites(t *testing.T) {
	dsn := newSchema(t)
	migrate(t, open(t, "pgx", dsn("")), sqlstore.PostgreSQL)
	s := newStore(t, open(t, "pgx", dsn("&synchronous_commit=off")), sqlstore.PostgreSQL)
	refuses(t, s, "synchronous_commit is off", "InsecureAccept(sqlstore.LostWrites)")
	accepts(t, s.InsecureAccept(sqlstore.LostWrites))
	for _, level := range []string{"local", "remote_write", "remote_apply"} {
		accepts(t, newStore(t, open(t, "pgx", dsn("&synchronous_commit="+level)), sqlstore.PostgreSQL))
	}
}

// A trial save finds what the role of the connection may not do.
func TestCheckRefusesARoleThatMayNotWrite(t *testing.T) {
	dsn := newSchema(t)
	admin := open(t, "pgx", dsn(""))
	migrate(t, admin, sqlstore.PostgreSQL)
	role := strings.ToLower("sallyport_test_" + rand.Text())
	must(t, admin, "CREATE ROLE "+role)
	t.Cleanup(func() { must(t, admin, "DROP OWNED BY "+role); must(t, admin, "DROP ROLE "+role) })
	must(t, admin, "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO "+role+"', current_schema()); END $$")
	must(t, admin, "GRANT SELECT, INSERT, UPDATE ON sallyport_accounts TO "+role)
	must(t, admin, "GRANT SELECT, INSERT, DELETE ON sallyport_keys TO "+role)
	must(t, admin, "GRANT SELECT ON sallyport_events, sallyport_schema TO "+role)
	s := newStore(t, open(t, "pgx", dsn("&role="+role)), sqlstore.PostgreSQL)
	refuses(t, s, "cannot be written", "sallyport_events")
	must(t, admin, "GRANT INSERT ON sallyport_events TO "+role)
	accepts(t, s)
	must(t, admin, "REVOKE DELETE ON sallyport_keys FROM "+role)
	refuses(t, s, "cannot be written", "sallyport_keys")
}

func TestCheckLeavesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		migrate(t, db, d.dialect)
		s := newStore(t, db, d.dialect)
		accepts(t, s)
		for _, table := range []string{"sallyport_accounts", "sallyport_keys", "sallyport_events"} {
			var n int
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d rows in %s after Check, %v; want none", n, table, err)
			}
		}
	})
}

func TestCheckRefusesReadOnlyPostgreSQL(t *testing.T) {
	dsn := newSchema(t)
	migrate(t, open(t, "pgx", dsn("")), sqlstore.PostgreSQL)
	s := newStore(t, open(t, "pgx", dsn("&default_transaction_read_only=on")), sqlstore.PostgreSQL)
	refuses(t, s, "read-only")
	s.InsecureAccept(sqlstore.LostWrites, sqlstore.ClockDiffers)
	refuses(t, s, "read-only")
}

func TestCheckRefusesAClockThatIsOff(t *testing.T) {
	db := open(t, "pgx", newSchema(t)(""))
	migrate(t, db, sqlstore.PostgreSQL)
	s := newStore(t, db, sqlstore.PostgreSQL)
	for _, c := range []struct {
		off     time.Duration
		refused bool
	}{
		{0, false}, {500 * time.Millisecond, false}, {-500 * time.Millisecond, false},
		{1500 * time.Millisecond, true}, {-1500 * time.Millisecond, true}, {time.Hour, true}, {-time.Hour, true},
	} {
		err := s.Check(t.Context(), nil, time.Now().Add(c.off))
		if refused := err != nil && strings.Contains(err.Error(), "clock"); refused != c.refused {
			t.Errorf("Check with a clock that is %v off = %v, want refused: %v", c.off, err, c.refused)
		}
	}
	s.InsecureAccept(sqlstore.ClockDiffers)
	if err := s.Check(t.Context(), nil, time.Now().Add(time.Hour)); err != nil {
		t.Errorf("Check with the clock accepted = %v, want nil", err)
	}
}

func TestCheckTellsAllMistakesAtOnce(t *testing.T) {
	dsn := newSchema(t)
	good := open(t, "pgx", dsn(""))
	migrate(t, good, sqlstore.PostgreSQL)
	err := newStore(t, good, sqlstore.PostgreSQL).Save(t.Context(), mfa.Record{UserID: "alice", KeyID: "lost-key"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	bad := newStore(t, open(t, "pgx", dsn("&synchronous_commit=off&default_transaction_read_only=on")), sqlstore.PostgreSQL)
	err = bad.Check(t.Context(), []string{"other"}, time.Now().Add(-time.Minute))
	for _, word := range []string{"synchronous_commit", "read-only", "clock", `"lost-key"`} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("Check = %v, want an error with %q", err, word)
		}
	}
}

func TestCheckOfADatabaseThatIsAway(t *testing.T) {
	for name, db := range map[string]*sql.DB{
		"SQLite":     open(t, "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "no", "such", "folder", "a.db"))),
		"PostgreSQL": open(t, "pgx", "postgres://postgres@127.0.0.1:1/test?connect_timeout=5"),
	} {
		d := sqlstore.SQLite
		if name == "PostgreSQL" {
			d = sqlstore.PostgreSQL
		}
		s := newStore(t, db, d)
		if err := s.Check(t.Context(), nil, now()); err == nil {
			t.Errorf("%s: Check = nil, want an error", name)
		}
		if _, err := s.Load(t.Context(), "alice"); err == nil {
			t.Errorf("%s: Load = nil, want an error", name)
		}
		if err := s.Save(t.Context(), mfa.Record{UserID: "alice"}, nil); err == nil {
			t.Errorf("%s: Save = nil, want an error", name)
		}
	}
}
