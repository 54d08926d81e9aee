package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

func TestWhatWasSavedIsThereAfterReopening(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		open := d.open(t)
		db := open()
		migrate(t, db, d.dialect)
		r := mfa.Record{UserID: "alice", Data: []byte("kept"), Keys: []string{"k1"}, KeyID: "k"}
		if err := newStore(t, db, d.dialect).Save(t.Context(), r, []mfa.Event{{ID: "e1", UserID: "alice"}}); err != nil {
			t.Fatal(err)
		}
		db.Close()
		s := newStore(t, open(), d.dialect)
		if got, err := s.Load(t.Context(), "alice"); err != nil || got.Version != 1 || string(got.Data) != "kept" {
			t.Errorf("Load = %+v, %v; want what was saved", got, err)
		}
		if owner, err := s.Find(t.Context(), "k1"); err != nil || owner != "alice" {
			t.Errorf("Find = %q, %v; want alice", owner, err)
		}
		if events, err := s.Events(t.Context(), "alice", mfa.Event{}, 9); err != nil || len(events) != 1 {
			t.Errorf("Events = %v, %v; want one", events, err)
		}
	})
}

// TestAcknowledgedSavesOutliveTheProcess ends a process that saves for several users at once, without a warning, and
// reads what it has left.
func TestAcknowledgedSavesOutliveTheProcess(t *testing.T) {
	const variable = "SALLYPORT_TEST_SAVE_INTO"
	if path := os.Getenv(variable); path != "" {
		saveUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "a.db")
	migrate(t, open(t, "sqlite", sqlstore.SQLiteDSN(path)), sqlstore.SQLite)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]int64{}
	for len(acknowledged) < savers || acknowledged["user0"] < 20 {
		var user string
		var version int64
		if _, err := fmt.Fscanln(out, &user, &version); err != nil {
			t.Fatalf("reading what the process acknowledged: %v", err)
		}
		acknowledged[user] = version
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	s := newStore(t, open(t, "sqlite", sqlstore.SQLiteDSN(path)), sqlstore.SQLite)
	for user, version := range acknowledged {
		r, err := s.Load(t.Context(), user)
		if err != nil || r.Version < version {
			t.Fatalf("Load = version %d, %v; want at least %d, which was acknowledged", r.Version, err, version)
		}
		events, err := s.Events(t.Context(), user, mfa.Event{}, 1_000_000)
		if err != nil || int64(len(events)) != r.Version {
			t.Errorf("%d events, %v; want one for each of %d saves", len(events), err, r.Version)
		}
	}
}

// savers is for how many users the process saves at once.
const savers = 4

func saveUntilKilled(t *testing.T, path string) {
	s := newStore(t, open(t, "sqlite", sqlstore.SQLiteDSN(path)), sqlstore.SQLite)
	var group sync.WaitGroup
	for i := range savers {
		user := fmt.Sprint("user", i)
		group.Go(func() {
			for version := int64(0); ; version++ {
				ev := mfa.Event{ID: fmt.Sprint(user, ".", version), UserID: user, Number: uint64(version) + 1}
				if err := s.Save(t.Context(), mfa.Record{UserID: user, Version: version}, []mfa.Event{ev}); err != nil {
					t.Errorf("Save = %v, want no error", err)
					return
				}
				fmt.Println(user, version+1)
			}
		})
	}
	group.Wait()
}

// A server that begins transactions as SERIALIZABLE must not make conflicts into other errors.
func TestConflictsWhenSerializable(t *testing.T) {
	dsn := newSchema(t)("&default_transaction_isolation=serializable")
	db := open(t, "pgx", dsn)
	migrate(t, db, sqlstore.PostgreSQL)
	s := newStore(t, db, sqlstore.PostgreSQL)
	for round := range int64(8) {
		won, errs := 0, saveAtOnce(t, s, 16, mfa.Record{UserID: "alice", Version: round})
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, mfa.ErrConflict):
				t.Errorf("Save = %v, want nil or ErrConflict", err)
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d saves succeeded, want 1", round, won)
		}
	}
}

func saveAtOnce(t *testing.T, s mfa.Store, n int, r mfa.Record) []error {
	errs := make([]error, n)
	var group sync.WaitGroup
	barrier := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-barrier
			errs[i] = s.Save(t.Context(), r, nil)
		})
	}
	close(barrier)
	group.Wait()
	return errs
}

// TestDeadlockWithAnotherProgramIsRunAgain makes a save and a transaction of somebody else wait for each other: that one
// holds an event that the save wants, and then wants the account's row that the save holds. PostgreSQL ends the one
// that finds the deadlock, which is made to be the save.
func TestDeadlockWithAnotherProgramIsRunAgain(t *testing.T) {
	dsn := newSchema(t)
	db := open(t, "pgx", dsn(""))
	migrate(t, db, sqlstore.PostgreSQL)
	s := newStore(t, open(t, "pgx", dsn("&deadlock_timeout=10ms&application_name=saver")), sqlstore.PostgreSQL)
	if err := s.Save(t.Context(), mfa.Record{UserID: "alice", Data: []byte("a")}, []mfa.Event{{ID: "e", UserID: "alice"}}); err != nil {
		t.Fatal(err)
	}
	other, err := open(t, "pgx", dsn("&deadlock_timeout=60s")).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(text string) error {
		_, err := other.ExecContext(t.Context(), text)
		return err
	}
	if err := exec("DELETE FROM sallyport_events"); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	go func() {
		saved <- s.Save(t.Context(), mfa.Record{UserID: "alice", Version: 1, Data: []byte("b")}, []mfa.Event{{ID: "e", UserID: "alice"}})
	}()
	untilWaiting(t, db)
	if err := exec("UPDATE sallyport_accounts SET changed = 0"); err != nil {
		t.Fatalf("the other program = %v, want it to get the row when the save was ended", err)
	}
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-saved; err != nil {
		t.Errorf("Save = %v, want it to be run again and succeed", err)
	}
	if r, err := s.Load(t.Context(), "alice"); err != nil || r.Version != 2 || string(r.Data) != "b" {
		t.Errorf("Load = %+v, %v; want version 2", r, err)
	}
}

// untilWaiting returns when the saver waits for a lock. It asks the server, again and again.
func untilWaiting(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := 0; n == 0; {
		const text = `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'saver' AND wait_event_type = 'Lock'`
		if err := db.QueryRowContext(ctx, text).Scan(&n); err != nil {
			t.Fatalf("waiting for the save to wait: %v", err)
		}
	}
}

// While another process writes, a save waits, and its context still ends a save that waits behind it in this process.
func TestSaveBehindAnotherWriterHonorsItsContext(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		openAgain := d.open(t)
		db := openAgain()
		migrate(t, db, d.dialect)
		s := newStore(t, db, d.dialect)
		if err := s.Save(t.Context(), mfa.Record{UserID: "alice"}, nil); err != nil {
			t.Fatal(err)
		}
		tx, err := openAgain().BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "UPDATE sallyport_accounts SET changed = 0"); err != nil {
			t.Fatal(err)
		}
		first := make(chan error, 1)
		go func() { first <- s.Save(t.Context(), mfa.Record{UserID: "alice", Version: 1}, nil) }()

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := s.Save(ctx, mfa.Record{UserID: "alice", Version: 1}, nil); err == nil || errors.Is(err, mfa.ErrConflict) {
			t.Errorf("Save while another one writes = %v, want an error of its context", err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := <-first; err != nil {
			t.Errorf("Save that waited = %v, want nil", err)
		}
		if r, err := s.Load(t.Context(), "alice"); err != nil || r.Version != 2 {
			t.Errorf("Load = version %d, %v; want 2", r.Version, err)
		}
	})
}

func TestClosingTheStoreLeavesTheDatabaseOpen(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		db := d.open(t)()
		migrate(t, db, d.dialect)
		if err := newStore(t, db, d.dialect).Close(); err != nil {
			t.Errorf("Close = %v, want nil", err)
		}
		s := newStore(t, db, d.dialect)
		if err := s.Save(t.Context(), mfa.Record{UserID: "alice"}, nil); err != nil {
			t.Errorf("Save of another store on the same database = %v, want nil", err)
		}
	})
}

func TestNewPanicsOnWhatAProgrammerDoesWrong(t *testing.T) {
	db := open(t, "sqlite", ":memory:")
	for name, make := range map[string]func(){
		"no database":     func() { sqlstore.New(nil, sqlstore.SQLite) },
		"dialect 0":       func() { sqlstore.New(db, 0) },
		"unknown dialect": func() { sqlstore.New(db, 77) },
	} {
		func() {
			defer func() {
				if p := recover(); !strings.Contains(fmt.Sprint(p), "sqlstore") {
					t.Errorf("%s: New panicked with %v, want a word of sqlstore", name, p)
				}
			}()
			make()
		}()
	}
}

func TestSQLiteDSN(t *testing.T) {
	const settings = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	for path, want := range map[string]string{
		"/var/lib/site/a.db": "file:/var/lib/site/a.db",
		"a.db":               "file:a.db",
		"a b?c#d%41.db":      "file:a%20b%3Fc%23d%2541.db",
	} {
		if got := sqlstore.SQLiteDSN(path); got != want+settings {
			t.Errorf("SQLiteDSN(%q) = %q, want %q", path, got, want+settings)
		}
	}
}
