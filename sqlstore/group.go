package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"sallyport/mfa"
)

// group is how saves of one Store meet where the database has one writer: those that wait while another commit is on
// its way to the disk share the next one. Each is told what became of it after that commit, so what was acknowledged is
// durable, and a save alone waits for nobody.
type group struct {
	mu      sync.Mutex
	waiting []*member
	running bool // somebody runs the groups
}

// most bounds a group, and with it how long one is on its way.
const most = 64

// member is one save of a group.
type member struct {
	ctx  context.Context // that does not end: a transaction is not one member's to end
	do   work
	err  error
	told chan error
}

// work is what is done in a transaction.
type work func(context.Context, *sql.Tx) error

// join runs do in a transaction with others. Its context ends the wait until its turn comes, not what comes then.
func (s *Store) join(ctx context.Context, do work) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m := &member{ctx: context.WithoutCancel(ctx), do: do, told: make(chan error, 1)}
	if s.group.enter(m) {
		go s.runGroups()
	}
	select {
	case err := <-m.told:
		return err
	case <-ctx.Done():
		if s.group.leave(m) {
			return fmt.Errorf("waiting to save: %w", ctx.Err())
		}
		return <-m.told
	}
}

// enter reports whether the caller must see to it that groups are run.
func (g *group) enter(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, m)
	first := !g.running
	g.running = true
	return first
}

// leave reports whether m was still waiting, and so has done nothing.
func (g *group) leave(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, m)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// present returns those who wait; if nobody does, groups are no longer run.
func (g *group) present() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = len(g.waiting) > 0
	return slices.Clone(g.waiting)
}

// take lets those at the front wait no longer.
func (g *group) take() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := slices.Clone(g.waiting[:min(most, len(g.waiting))])
	g.waiting = slices.Delete(g.waiting, 0, len(taken))
	return taken
}

// runGroups runs one group after the other until nobody waits. Who comes while a transaction waits to begin is taken
// along, and may leave until it has.
func (s *Store) runGroups() {
	for {
		early := s.group.present()
		if len(early) == 0 {
			return
		}
		tx, err := s.db.BeginTx(context.Background(), s.traits.options)
		if err != nil {
			s.refuse(early, fmt.Errorf("beginning to save: %w", err))
			continue
		}
		s.runGroup(tx, s.group.take())
	}
}

// refuse tells those who still wait that their transaction could not begin.
func (s *Store) refuse(list []*member, err error) {
	for _, m := range list {
		if s.group.leave(m) {
			m.told <- err
		}
	}
}

// runGroup runs all in one transaction. If one of them meets an error that may concern the transaction, it is taken
// back and each is run in one of its own.
func (s *Store) runGroup(tx *sql.Tx, list []*member) {
	if err := runAll(tx, list); err != nil {
		err = errors.Join(err, rollback(tx))
		for _, m := range list {
			if len(list) > 1 {
				err = s.transact(m.ctx, m.do)
			}
			m.told <- err
		}
		return
	}
	err := tx.Commit()
	for _, m := range list {
		if err != nil {
			m.err = fmt.Errorf("committing: %w", err)
		}
		m.told <- m.err
	}
}

// runAll runs each in a part of the transaction that can be taken back without the others.
func runAll(tx *sql.Tx, list []*member) error {
	if len(list) == 1 {
		return list[0].do(list[0].ctx, tx)
	}
	for _, m := range list {
		if err := part(tx, "SAVEPOINT part"); err != nil {
			return err
		}
		m.err = m.do(m.ctx, tx)
		if m.err != nil && !verdict(m.err) {
			return m.err
		}
		if m.err != nil {
			if err := part(tx, "ROLLBACK TO part"); err != nil {
				return err
			}
		}
		if err := part(tx, "RELEASE part"); err != nil {
			return err
		}
	}
	return nil
}

func part(tx *sql.Tx, text string) error {
	_, err := tx.ExecContext(context.Background(), text)
	return err
}

// verdict reports whether an error is what the database found, so that the transaction is as it should be.
func verdict(err error) bool {
	return errors.Is(err, mfa.ErrConflict) || errors.Is(err, mfa.ErrTaken) || errors.Is(err, errTrial)
}
