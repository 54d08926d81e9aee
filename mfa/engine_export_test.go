package mfa

import (
	"context"
	"time"
)

// Turn changes an account in ways for which the engine has no words of its own, as support and imports do.
func (e *Engine) Turn(ctx context.Context, userID string, change func(*Account)) error {
	v := Visit{User: User{ID: userID}}
	_, err := e.act(ctx, v, "turned", "", "test", func(acct *Account, _ time.Time) { change(acct) })
	return err
}

// CacheEntries is how many accounts an engine holds in memory.
func (e *Engine) CacheEntries() int { return len(e.cache.young) + len(e.cache.old) }

// Opened counts the assurances that are remembered as opened.
func (e *Engine) Opened() int { return len(e.opened.young) + len(e.opened.old) }
