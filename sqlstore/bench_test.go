package sqlstore_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

// BenchmarkLoad reads one of a thousand accounts, by the store and by its bare statement.
func BenchmarkLoad(b *testing.B) {
	benchOnEach(b, func(b *testing.B, db *sql.DB, s *sqlstore.Store, mark func(int) string) {
		for i := range 1000 {
			r := mfa.Record{UserID: fmt.Sprint("user", i), Data: make([]byte, 600), KeyID: "k", Summary: mfa.Summary{Methods: []string{"totp"}}}
			if err := s.Save(b.Context(), r, nil); err != nil {
				b.Fatal(err)
			}
		}
		b.Run("store", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.Load(b.Context(), fmt.Sprint("user", i%1000)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("raw", func(b *testing.B) {
			stmt := prepare(b, db, "SELECT version, data, key_id, methods, last_used, stopped FROM sallyport_accounts WHERE user_id = "+mark(1))
			b.ReportAllocs()
			var version, lastUsed, stopped int64
			var data []byte
			var keyID, methods string
			for i := 0; b.Loop(); i++ {
				row := stmt.QueryRowContext(b.Context(), []byte(fmt.Sprint("user", i%1000)))
				if err := row.Scan(&version, &data, &keyID, &methods, &lastUsed, &stopped); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkSave makes durable commits: a save with an event and no change of keys, and the two bare statements of it.
func BenchmarkSave(b *testing.B) {
	benchOnEach(b, func(b *testing.B, db *sql.DB, s *sqlstore.Store, mark func(int) string) {
		n := 0
		first := func(b *testing.B, user string) {
			if err := s.Save(b.Context(), mfa.Record{UserID: user, Keys: []string{"key of " + user}}, nil); err != nil {
				b.Fatal(err)
			}
		}
		data := make([]byte, 600)
		b.Run("store", func(b *testing.B) {
			n++
			user := fmt.Sprint("user", n)
			first(b, user)
			b.ReportAllocs()
			for version := int64(1); b.Loop(); version++ {
				ev := mfa.Event{ID: fmt.Sprint(user, ".", version), UserID: user, Number: uint64(version), At: time.Now(), MAC: data[:32]}
				r := mfa.Record{UserID: user, Version: version, Data: data, Keys: []string{"key of " + user}}
				if err := s.Save(b.Context(), r, []mfa.Event{ev}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("raw", func(b *testing.B) {
			n++
			user := fmt.Sprint("user", n)
			first(b, user)
			update := prepare(b, db, "UPDATE sallyport_accounts SET data = "+mark(1)+", version = version + 1 WHERE user_id = "+mark(2)+" AND version = "+mark(3))
			add := prepare(b, db, "INSERT INTO sallyport_events VALUES ("+mark(1)+", "+mark(2)+", 1, 1, '', '', "+mark(3)+", "+mark(4)+", "+mark(5)+", "+mark(6)+", "+mark(7)+", 0, 0, "+mark(8)+")")
			b.ReportAllocs()
			empty := []byte{}
			for version := int64(1); b.Loop(); version++ {
				tx, err := db.BeginTx(b.Context(), nil)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := tx.StmtContext(b.Context(), update).ExecContext(b.Context(), data, []byte(user), version); err != nil {
					b.Fatal(err)
				}
				id := []byte(fmt.Sprint(user, ".", version))
				if _, err := tx.StmtContext(b.Context(), add).ExecContext(b.Context(), id, []byte(user), empty, empty, empty, empty, empty, data[:32]); err != nil {
					b.Fatal(err)
				}
				if err := tx.Commit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func benchOnEach(b *testing.B, bench func(b *testing.B, db *sql.DB, s *sqlstore.Store, mark func(int) string)) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			db := d.open(b)()
			migrate(b, db, d.dialect)
			mark := func(int) string { return "?" }
			if d.dialect == sqlstore.PostgreSQL {
				mark = func(i int) string { return fmt.Sprint("$", i) }
			}
			bench(b, db, newStore(b, db, d.dialect), mark)
		})
	}
}

func prepare(b *testing.B, db *sql.DB, text string) *sql.Stmt {
	b.Helper()
	stmt, err := db.PrepareContext(b.Context(), text)
	if err != nil {
		b.Fatalf("%s: %v", text, err)
	}
	b.Cleanup(func() { stmt.Close() })
	return stmt
}
