package mfa

import "time"

// User is the site's account as far as Sallyport needs to know it. The site makes one for each request; we own no
// user table. The zero User means that nobody is signed in.
type User struct {
	// ID is stable and opaque; everything hangs off it. It may not begin with "~".
	ID string

	// Session names the login: one act of giving the first factor. It is random, put into the site's session at
	// sign-in, kept when the session token is renewed, and new at the next sign-in. It is required for whoever is
	// signed in: without it nobody is ever proved.
	Session string

	// LoginAt is when the first factor was given. Zero means too long ago for a first enrollment.
	LoginAt time.Time

	// Name is the sign-in name, DisplayName what the person likes to be called. Both are shown to the user only.
	Name, DisplayName string

	// Email and Phone are where the site reaches the user. Empty: not known.
	Email, Phone string
}

// SignedIn reports whether u is somebody.
func (u User) SignedIn() bool { return u.ID != "" }
