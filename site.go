package sallyport

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"

	"sallyport/mfa"
)

// panicked is the error of one of the site's functions that panicked.
type panicked struct {
	what  string
	value any
	stack []byte
}

// Error names the function. It leaves out the value, which may hold anything.
func (p *panicked) Error() string { return p.what + " panicked" }

// guarded calls f and turns a panic into an error: nobody is proved by it, and the server goes on.
func guarded[T any](what string, f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			var zero T
			v, err = zero, &panicked{what, p, debug.Stack()}
		}
	}()
	v, err = f()
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return v, err
}

// user returns who is signed in.
func (g *Guard) user(r *http.Request) (mfa.User, error) {
	return guarded("Config.User", func() (mfa.User, error) { return g.c.User(r) })
}

// policy returns what Protect asks of a request.
func (g *Guard) policy(r *http.Request) (mfa.Policy, error) {
	if g.c.Policy == nil {
		return mfa.Policy{}, nil
	}
	return guarded("Config.Policy", func() (mfa.Policy, error) { return g.c.Policy(r) })
}

func (g *Guard) otherAuth(r *http.Request) (bool, error) {
	if g.c.OtherAuth == nil {
		return false, nil
	}
	return guarded("Config.OtherAuth", func() (bool, error) { return g.c.OtherAuth(r), nil })
}

// address returns where a request comes from; the zero Addr: it cannot be told.
func (g *Guard) address(r *http.Request) (netip.Addr, error) {
	if g.c.ClientIP != nil {
		return guarded("Config.ClientIP", func() (netip.Addr, error) { return g.c.ClientIP(r).Unmap(), nil })
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, nil
	}
	return peer.Addr().Unmap(), nil
}

// addressText is the address for an event, which does without rather than fail.
func (g *Guard) addressText(r *http.Request) string {
	a, err := g.address(r)
	if err != nil || !a.IsValid() {
		return ""
	}
	return a.String()
}
