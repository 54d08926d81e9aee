package sallyport

import (
	"crypto/rand"
	"encoding/binary"
	"net/http"
	"time"
)

// The pending cookie names a sign-in that has no session yet, so that what one browser has begun no other can finish.
// Nothing is kept about it here.

const (
	pendingLife    = 10 * time.Minute
	pendingPurpose = "pending"
	pendingTime    = 8 // bytes, before the name
)

// pendingIn returns the name of the sign-in that a browser has begun; "": none, or it was too long ago.
func (g *Guard) pendingIn(r *http.Request) string {
	if ch, ok := g.challengeIn(r); ok {
		return ch.ID // what has begun with a password goes on: see pend
	}
	plain, err := g.ring.OpenText(pendingPurpose, cookieValue(r, g.cookies.pending), g.c.Origin)
	if err != nil || len(plain) <= pendingTime {
		return ""
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(plain)))
	if now := g.c.Now(); !now.Before(at.Add(pendingLife)) || at.After(now.Add(pendingLife)) {
		return ""
	}
	return string(plain[pendingTime:])
}

// pend gives a caller's sign-in a name, if it has none, and the browser its cookie. A name is kept for as long as it is
// used, so that a second tab does not end what the first has begun.
func (g *Guard) pend(w http.ResponseWriter, c *caller) error {
	if c.held {
		return nil
	}
	if c.Pending == "" {
		c.Pending = rand.Text()
	}
	now := g.c.Now()
	plain := append(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro())), c.Pending...)
	text, err := g.ring.SealText(now, pendingPurpose, plain, g.c.Origin)
	if err != nil {
		return err
	}
	g.cookies.set(w, g.cookies.pending, text, pendingLife)
	return nil
}
