package mfa

import (
	"sync"
	"time"
)

// cacheLife is how long an account read from the store may still allow a request, from when its query was sent.
const cacheLife = time.Second

// cache holds opened accounts. It has two generations: when the young one is full it becomes the old one, and the old
// one is dropped, so that memory is bounded and what is in use stays.
type cache struct {
	mu         sync.RWMutex
	young, old map[string]cached
	limit      int // of one generation
}

type cached struct {
	acct    *Account // shared: read only
	version int64
	sent    time.Time // when its query was sent
}

func newCache(size int) *cache {
	return &cache{young: map[string]cached{}, limit: max(1, size/2)}
}

// fresh returns the account of a user if it is good for a request at now.
func (c *cache) fresh(userID string, now time.Time) (*Account, bool) {
	c.mu.RLock()
	entry, ok := c.young[userID]
	if !ok {
		entry, ok = c.old[userID]
	}
	c.mu.RUnlock()
	age := now.Sub(entry.sent)
	if !ok || age >= cacheLife || age < 0 {
		return nil, false
	}
	return entry.acct, true
}

// put keeps an account, unless a later version is there. The same version takes the place of what is there even if it
// was asked for earlier: that shortens its life at most, and a clock that was put back makes nothing fresh again later.
func (c *cache) put(userID string, entry cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range [...]cached{c.young[userID], c.old[userID]} {
		if known.acct != nil && known.version > entry.version {
			return
		}
	}
	if _, ok := c.young[userID]; !ok && len(c.young) >= c.limit {
		c.old, c.young = c.young, map[string]cached{}
	}
	c.young[userID] = entry
}
