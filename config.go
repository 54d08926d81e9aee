package sallyport

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"sallyport/mfa"
)

// Config tells a Guard about the site. Origin, Store, Keys and User are required; everything else has a default.
type Config struct {
	// Origin is where browsers reach the site: scheme, host and port if it is not the default one, as in
	// "https://example.com". Links, cookies and passkeys are built from it, never from what a request says. Plain
	// http is accepted for localhost only.
	Origin string

	// Store keeps the accounts: one of package sqlstore, or mfa.NewMemory for a test.
	Store mfa.Store

	// Keys returns the keys that seal what is stored and what browsers hold, the primary one first. See KeyFile.
	Keys func() ([]mfa.Key, error)

	// User returns who is signed in with the first factor, from the site's own session. The zero User is a stranger.
	// An error denies the request. User.Session must name the login; see mfa.User.
	User func(*http.Request) (mfa.User, error)

	// Name is what the site is called, on pages and in authenticator apps. Default: the host of Origin.
	Name string

	// Policy says what Protect asks of a request. Nil: the zero mfa.Policy, which asks users who have a factor for
	// one. An error or a panic denies the request.
	Policy func(*http.Request) (mfa.Policy, error)

	// Methods are the ways to prove, in the order in which they are offered. Nil: passkeys for the host of Origin,
	// authenticator apps and recovery codes; where browsers have no passkeys, since the host is an IP address or a
	// local name, the latter two. A factor of a method that is left out stays enrolled, but proves nothing.
	Methods []mfa.Method

	// Path is where the pages are served, with a slash at both ends. Default: "/mfa/".
	Path string

	// Login is the path of the site's sign-in page, for strangers who meet Require; with SignIn it may be the page
	// "signin" under Path. Default: "/login".
	Login string

	// SignIn makes the site's own session for a login that was proved before any session existed, by a passkey alone or
	// after Guard.Challenge, and returns what User will return as User.Session. It starts a new session under a new
	// token, whatever the browser held before, sets its cookie on w and writes no body. A challenge may be ten minutes
	// old: who may no longer sign in is refused here. An error or a panic signs nobody in. Nil: there are neither.
	SignIn func(w http.ResponseWriter, r *http.Request, login Login) (session string, err error)

	// Directory looks up the site's users. Nil: nobody signs in by a passkey alone.
	Directory Directory

	// Open lists http.ServeMux patterns that Protect lets through unproved: log-out, assets, public pages.
	Open []string

	// OtherAuth reports whether a request that carries Authorization, and for which User returns nobody, is proved in
	// a way of the site's own, such as a token made after a second factor. Nil: it never is, and such requests are
	// refused.
	OtherAuth func(*http.Request) bool

	// Sessions keeps what a login has proved in the site's own sessions. Nil: in a sealed cookie.
	Sessions Sessions

	// Recheck is how long a proof lasts. The zero value draws from 3 to 6 hours.
	Recheck mfa.Recheck

	// Remember lets users tick a box that makes their browser a remembered one for as long, 30 days at most: where a
	// Policy has Remembered set, it stands for the proof that was given then. Zero: nobody is offered the box.
	Remember time.Duration

	// KeepSessions leaves other sessions proved when factors change. By default they must prove again.
	KeepSessions bool

	// Notify tells the user what happened to their account. It is called after the change was saved; an error is
	// logged and changes nothing. Nil: nobody is told, which is a risk.
	Notify func(context.Context, Notice) error

	// OnEvent is called with each event after it was saved and before a proof leaves. An error keeps the proof back.
	OnEvent func(context.Context, mfa.Event) error

	// ClientIP returns the address of the client where a proxy stands before the site. Nil: the connection's address.
	// It is used for shedding load and in events, never as a bound on guesses.
	ClientIP func(*http.Request) netip.Addr

	// Support is where a person without any way in finds help: a path of the site or a https or mailto URL.
	Support string

	// Log receives what operators should know. Nil: slog.Default.
	Log *slog.Logger

	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Login is an act of signing in whose factor was proved before there was a session.
type Login struct {
	User mfa.User // as Directory knows them
	Back string   // path of the site where the user is led afterwards
	Data string   // the site's own, as it was given when the login began; "" at a sign-in by a passkey alone
}

// Directory knows the site's users.
type Directory interface {
	// Lookup returns the user of an id as Config.User would, without Session and LoginAt. The zero User: nobody has it,
	// or who has it may not sign in now. An error means that it could not be found out, and signs nobody in.
	Lookup(ctx context.Context, userID string) (mfa.User, error)
}

// Sessions keeps one text for the session of a request, in the site's own session store. If it also has
//
//	Renew(w http.ResponseWriter, r *http.Request) error
//
// that is called at each change of level, to give the session a new token and keep its values.
type Sessions interface {
	// Load returns what Save kept for the session of r; "" if there is nothing.
	Load(r *http.Request) (string, error)

	// Save keeps text for that session. At a sign-in r carries the cookies that Config.SignIn has set.
	Save(w http.ResponseWriter, r *http.Request, text string) error
}

// Notice is a message to a user about their account, in plain words.
type Notice struct {
	User  mfa.User
	Event mfa.Event

	Subject, Text string
}
