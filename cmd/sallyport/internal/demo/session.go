package demo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// session is what the site knows about a browser that has signed in. The zero session is a stranger's.
type session struct {
	Username string
	Login    string // names the act of signing in; random, and the same for as long as somebody stays signed in
	LoginAt  time.Time
}

// sessions keeps sessions in the database, so that every node knows them. A browser holds a random token, the database
// its hash: who reads the database cannot use a session.
type sessions struct {
	db  *database
	now func() time.Time
}

// sessionLife is how long somebody stays signed in.
const sessionLife = 14 * 24 * time.Hour

// start ends the session of the old token, if there is one, and starts another under a new token: what was known of a
// browser before it signed in is worth nothing afterwards. It returns the token and the name of the login.
func (s *sessions) start(ctx context.Context, oldToken, username string) (token, login string, err error) {
	token, login = rand.Text(), rand.Text()
	now := s.now()
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		// By the real clock: a node whose clock was moved may not end what others still accept.
		_, err := tx.ExecContext(ctx, s.db.text(`DELETE FROM demo_sessions WHERE token_hash = ? OR expires < ?`),
			hash(oldToken), time.Now().UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, s.db.text(`INSERT INTO demo_sessions (token_hash, username, login, login_at, expires)
			VALUES (?, ?, ?, ?, ?)`),
			hash(token), username, login, now.UnixMicro(), now.Add(sessionLife).UnixMicro())
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("starting a session: %w", err)
	}
	return token, login, nil
}

// find returns the session of a token, the zero session if there is none.
func (s *sessions) find(ctx context.Context, token string) (session, error) {
	if token == "" {
		return session{}, nil
	}
	var found session
	var loginAt, expires int64
	err := s.db.QueryRowContext(ctx,
		s.db.text(`SELECT username, login, login_at, expires FROM demo_sessions WHERE token_hash = ?`), hash(token)).
		Scan(&found.Username, &found.Login, &loginAt, &expires)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return session{}, nil
	case err != nil:
		return session{}, fmt.Errorf("finding a session: %w", err)
	case s.now().UnixMicro() >= expires:
		return session{}, nil
	}
	found.LoginAt = time.UnixMicro(loginAt)
	return found, nil
}

// end ends the session of a token.
func (s *sessions) end(ctx context.Context, token string) error {
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, s.db.text(`DELETE FROM demo_sessions WHERE token_hash = ?`), hash(token))
		return err
	})
	if err != nil {
		return fmt.Errorf("ending a session: %w", err)
	}
	return nil
}

func hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
