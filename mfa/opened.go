package mfa

import "sync"

// opened remembers assurances by the text that they were opened from, so that the requests of a login are not decrypted
// one by one. Only what has opened is remembered, in two generations as accounts are. What an assurance is worth is read
// from the account at every decision: to remember one keeps nothing alive.
type opened struct {
	mu         sync.RWMutex
	young, old map[string]Assurance
	limit      int // of one generation
}

func newOpened(size int) *opened {
	return &opened{young: map[string]Assurance{}, limit: max(1, size/2)}
}

// find returns the assurance of a text if it is that of this login. It is shared: its proofs must not be changed.
func (o *opened) find(u User, sealed string) (Assurance, bool) {
	o.mu.RLock()
	a, ok := o.young[sealed]
	if !ok {
		a, ok = o.old[sealed]
	}
	o.mu.RUnlock()
	return a, ok && a.UserID == u.ID && a.Session == u.Session
}

func (o *opened) put(sealed string, a Assurance) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.young[sealed]; !ok && len(o.young) >= o.limit {
		o.old, o.young = o.young, map[string]Assurance{}
	}
	o.young[sealed] = a
}
