package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"sallyport/mfa"
	"sallyport/sqlstore"
)

// signInRows compare a finished sign-in on SQLite with one bare durable commit, through the same driver, with the same
// settings and on the same disk. The ticket is begun outside of the measured time: that is another request.
func signInRows(ctx context.Context, dir string) (rows []row, done func(), err error) {
	accounts, err := open(ctx, filepath.Join(dir, "accounts.db"))
	if err != nil {
		return nil, func() {}, err
	}
	plain, err := open(ctx, filepath.Join(dir, "plain.db"))
	if err != nil {
		return nil, func() { accounts.Close() }, err
	}
	done = func() { accounts.Close(); plain.Close() }
	if err := sqlstore.Migrate(ctx, accounts, sqlstore.SQLite); err != nil {
		return nil, done, err
	}
	if _, err := plain.ExecContext(ctx, "CREATE TABLE plain (id TEXT PRIMARY KEY, data BLOB NOT NULL)"); err != nil {
		return nil, done, err
	}
	p, err := newPerson(ctx, sqlstore.New(accounts, sqlstore.SQLite))
	if err != nil {
		return nil, done, err
	}
	return []row{{
		ours:   side{"a sign-in with an app on SQLite", p.signIn(ctx)},
		theirs: side{"one bare durable commit", commit(ctx, plain)},
	}}, done, nil
}

func open(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
	if err != nil {
		return nil, err
	}
	return db, db.PingContext(ctx)
}

// commit replaces 600 bytes, about what a sealed account with an app and recovery codes has.
func commit(ctx context.Context, db *sql.DB) func(*testing.B) {
	return func(b *testing.B) {
		data := make([]byte, 600)
		for b.Loop() {
			rand.Read(data)
			_, err := db.ExecContext(ctx, "INSERT INTO plain (id, data) VALUES ('alice', ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data", data)
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// person is somebody with an authenticator app, and a clock that both share with the engine.
type person struct {
	engine *mfa.Engine
	visit  mfa.Visit
	secret string
	now    time.Time
}

func newPerson(ctx context.Context, store mfa.Store) (*person, error) {
	p := &person{now: time.Now()}
	if err := p.open(store, mfa.TOTP{}); err != nil {
		return nil, err
	}
	return p, p.enroll(ctx)
}

// open makes the engine, and signs the person in.
func (p *person) open(store mfa.Store, m mfa.Method) error {
	key, err := mfa.NewKey(p.now)
	if err != nil {
		return err
	}
	ring, err := mfa.NewRing(key)
	if err != nil {
		return err
	}
	p.visit.User = mfa.User{ID: "alice", Name: "alice", Session: "login-1", LoginAt: p.now}
	p.engine, err = mfa.NewEngine(mfa.EngineConfig{
		Store: store, Ring: ring, Methods: []mfa.Method{m}, Origin: site, Now: func() time.Time { return p.now },
	})
	return err
}

func (p *person) enroll(ctx context.Context) error {
	begun, err := p.engine.BeginEnroll(ctx, p.visit, mfa.MethodTOTP)
	if err != nil {
		return err
	}
	if p.secret, err = secretOf(begun.Prompt); err != nil {
		return err
	}
	code, err := codeOf(p.secret, p.now)
	if err != nil {
		return err
	}
	done, err := p.engine.FinishEnroll(ctx, p.visit, mfa.MethodTOTP, begun.Ticket, []byte(code), "phone")
	p.visit.Assurance = done.Assurance
	return err
}

// secretOf reads a prompt as a client does, from its JSON.
func secretOf(prompt any) (string, error) {
	text, err := json.Marshal(prompt)
	if err != nil {
		return "", err
	}
	var shown struct{ Secret string }
	if err := json.Unmarshal(text, &shown); err != nil || shown.Secret == "" {
		return "", fmt.Errorf("the prompt of an enrollment shows no secret (%v)", err)
	}
	return shown.Secret, nil
}

// signIn proves the app again and again, one time step later each time, since a code is good once.
func (p *person) signIn(ctx context.Context) func(*testing.B) {
	return func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			ticket, code, err := p.begin(ctx)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if _, err := p.engine.FinishVerify(ctx, p.visit, mfa.MethodTOTP, ticket, []byte(code)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func (p *person) begin(ctx context.Context) (ticket, code string, err error) {
	p.now = p.now.Add(30 * time.Second)
	begun, err := p.engine.BeginVerify(ctx, p.visit, mfa.MethodTOTP, "")
	if err != nil {
		return "", "", err
	}
	code, err = codeOf(p.secret, p.now)
	return begun.Ticket, code, err
}
