package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"modernc.org/sqlite"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

// busy is a SQLite store beside another program that is writing to the file, so that all saves wait and meet.
type busy struct {
	*sqlstore.Store
	db      *sql.DB
	other   *sql.Tx
	commits *atomic.Int64 // of the store
}

func newBusy(t *testing.T) *busy {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.db")
	db := open(t, "sqlite", sqlstore.SQLiteDSN(path))
	migrate(t, db, sqlstore.SQLite)
	b := &busy{Store: newStore(t, db, sqlstore.SQLite), db: db, commits: countCommits(t, db)}
	var err error
	if b.other, err = open(t, "sqlite", sqlstore.SQLiteDSN(path)).BeginTx(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// countCommits counts what the one connection of db commits, as SQLite tells it.
func countCommits(t *testing.T, db *sql.DB) *atomic.Int64 {
	t.Helper()
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	commits := new(atomic.Int64)
	err = conn.Raw(func(c any) error {
		c.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 { commits.Add(1); return 0 })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return commits
}

// saveAll lets all saves wait, then lets them go, and returns their errors.
func (b *busy) saveAll(t *testing.T, saves ...func() error) []error {
	t.Helper()
	errs := make([]error, len(saves))
	var group sync.WaitGroup
	for i, save := range saves {
		group.Go(func() { errs[i] = save() })
		for b.Waiting() < i+1 { // in this order
			runtime.Gosched()
		}
	}
	if err := b.other.Rollback(); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	return errs
}

// save saves a user with a key and an event named after a word.
func (b *busy) save(ctx context.Context, user string, version int64, word string) func() error {
	return func() error {
		r := mfa.Record{UserID: user, Version: version, Data: []byte(word), Keys: []string{"key of " + word}}
		return b.Save(ctx, r, []mfa.Event{{ID: "event of " + word, UserID: user, Number: uint64(version) + 1}})
	}
}

// holds checks record, key and event together: all of a word, or nothing.
func (b *busy) holds(t *testing.T, user string, version int64, word string) {
	t.Helper()
	r, err := b.Load(t.Context(), user)
	if err != nil || r.Version != version || version > 0 && string(r.Data) != word {
		t.Errorf("Load(%s) = version %d, %q, %v; want %d, %q", user, r.Version, r.Data, err, version, word)
	}
	owner, err := b.Find(t.Context(), "key of "+word)
	if version > 0 && owner != user || version == 0 && !errors.Is(err, mfa.ErrNotFound) {
		t.Errorf("Find(key of %s) = %q, %v; want what belongs to version %d of %s", word, owner, err, version, user)
	}
	events, err := b.Events(t.Context(), user, mfa.Event{}, 10)
	if err != nil || int64(len(events)) != version {
		t.Errorf("Events(%s) = %v, %v; want %d", user, events, err, version)
	}
}

func TestSavesThatMeetShareACommit(t *testing.T) {
	b := newBusy(t)
	const users = 40
	var saves []func() error
	for i := range users {
		user := fmt.Sprint("user", i)
		saves = append(saves, b.save(t.Context(), user, 0, user))
	}
	if err := errors.Join(b.saveAll(t, saves...)...); err != nil {
		t.Fatalf("Save = %v, want no error", err)
	}
	if n := b.commits.Load(); n != 1 {
		t.Errorf("%d saves took %d commits, want 1", users, n)
	}
	for i := range users {
		b.holds(t, fmt.Sprint("user", i), 1, fmt.Sprint("user", i))
	}
}

// What the database says no to in one save does not concern the others.
func TestAConflictIsThatOfItsOwnSave(t *testing.T) {
	b := newBusy(t)
	ctx := t.Context()
	key := func() error {
		r := mfa.Record{UserID: "carol", Data: []byte("carol"), Keys: []string{"key of carol", "key of alice"}}
		return b.Save(ctx, r, []mfa.Event{{ID: "event of carol", UserID: "carol", Number: 1}})
	}
	errs := b.saveAll(t, b.save(ctx, "alice", 0, "alice"), b.save(ctx, "bob", 5, "bob"), key,
		b.save(ctx, "alice", 0, "second"), b.save(ctx, "alice", 1, "third"), b.save(ctx, "dave", 0, "dave"))
	for i, want := range []error{nil, mfa.ErrConflict, mfa.ErrTaken, mfa.ErrConflict, nil, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("save %d = %v, want %v", i, errs[i], want)
		}
	}
	b.holds(t, "alice", 2, "third")
	b.holds(t, "bob", 0, "bob")
	b.holds(t, "carol", 0, "carol")
	b.holds(t, "dave", 1, "dave")
	if owner, err := b.Find(ctx, "key of second"); !errors.Is(err, mfa.ErrNotFound) {
		t.Errorf("Find(key of second) = %q, %v; want nobody", owner, err)
	}
}

// An error that ends the transaction is that of its own save too: the others are run again.
func TestAnErrorThatEndsTheTransactionIsThatOfItsOwnSave(t *testing.T) {
	for _, how := range []string{"ROLLBACK", "ABORT", "FAIL"} {
		t.Run(how, func(t *testing.T) {
			b := newBusy(t)
			if err := b.other.Rollback(); err != nil {
				t.Fatal(err)
			}
			must(t, b.db, "CREATE TRIGGER spoil BEFORE INSERT ON sallyport_events WHEN NEW.user_id = CAST('bob' AS BLOB) "+
				"BEGIN SELECT RAISE("+how+", 'spoilt'); END")
			again(t, b)
			ctx := t.Context()
			errs := b.saveAll(t, b.save(ctx, "alice", 0, "alice"), b.save(ctx, "bob", 0, "bob"),
				b.save(ctx, "carol", 3, "carol"), b.save(ctx, "dave", 0, "dave"))
			if errs[0] != nil || errs[3] != nil {
				t.Errorf("saves of alice and dave = %v, %v; want no error", errs[0], errs[3])
			}
			if errs[1] == nil || errors.Is(errs[1], mfa.ErrConflict) || !errors.Is(errs[2], mfa.ErrConflict) {
				t.Errorf("saves of bob and carol = %v, %v; want what the trigger says, a conflict", errs[1], errs[2])
			}
			b.holds(t, "alice", 1, "alice")
			b.holds(t, "bob", 0, "bob")
			b.holds(t, "carol", 0, "carol")
			b.holds(t, "dave", 1, "dave")
		})
	}
}

// again lets the other program write again.
func again(t *testing.T, b *busy) {
	t.Helper()
	var path string
	if err := b.db.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list").Scan(&path); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.other, err = open(t, "sqlite", sqlstore.SQLiteDSN(path)).BeginTx(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}

// A save that is given up while it waits is not kept, and the others go on.
func TestASaveThatIsGivenUpWhileItWaits(t *testing.T) {
	b := newBusy(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- b.save(ctx, "alice", 0, "alice")() }()
	for b.Waiting() < 1 {
		runtime.Gosched()
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("Save that was given up = %v, want that its context was canceled", err)
	}
	if errs := b.saveAll(t, b.save(t.Context(), "bob", 0, "bob")); errs[0] != nil {
		t.Errorf("Save = %v, want no error", errs[0])
	}
	b.holds(t, "alice", 0, "alice")
	b.holds(t, "bob", 1, "bob")
}

// What is acknowledged has been committed.
func TestASaveReturnsAfterItsCommit(t *testing.T) {
	b := newBusy(t)
	if err := b.other.Rollback(); err != nil {
		t.Fatal(err)
	}
	for version := range int64(100) {
		if err := b.save(t.Context(), "alice", version, "alice")(); err != nil {
			t.Fatalf("Save = %v, want no error", err)
		}
		if n := b.commits.Load(); n != version+1 {
			t.Fatalf("after %d saves there were %d commits", version+1, n)
		}
	}
}

// A commit that does not come about is told as what it is, so no save is acknowledged before its commit.
func TestASaveWhoseCommitFailsIsAnError(t *testing.T) {
	b := newBusy(t)
	if err := b.other.Rollback(); err != nil {
		t.Fatal(err)
	}
	conn, err := b.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var fails atomic.Bool
	err = conn.Raw(func(c any) error {
		c.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
			if fails.Load() {
				return 1 // SQLite then takes the transaction back
			}
			return 0
		})
		return nil
	})
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
	if err := b.save(t.Context(), "alice", 0, "alice")(); err != nil {
		t.Fatalf("Save = %v, want no error", err)
	}
	fails.Store(true)
	if err := b.save(t.Context(), "alice", 1, "alice")(); err == nil {
		t.Error("Save whose commit failed = nil, want an error")
	}
	fails.Store(false)
	if err := b.save(t.Context(), "alice", 1, "alice")(); err != nil {
		t.Errorf("Save of the same version afterwards = %v, want no error", err)
	}
}

// SQLite has its settings for each connection: every one of the pool must have them.
func TestEveryConnectionHasTheSettings(t *testing.T) {
	db := open(t, "sqlite", sqlstore.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")))
	for i := range 12 {
		conn, err := db.Conn(t.Context()) // kept, so that the next one is another
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
			var got string
			if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s of connection %d is %s, %v; want %s", pragma, i+1, got, err, want)
			}
		}
	}
}
