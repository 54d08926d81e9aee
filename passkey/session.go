package passkey

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"sallyport/mfa"
)

// challengeSize is twice what WebAuthn Level 3 §13.4.3 asks for at least.
const (
	challengeSize = 32
	minChallenge  = 16
	maxChallenge  = 512
)

// session is what the halves of a ceremony share, sealed into its ticket.
type session struct {
	create       bool // a registration; else a proof
	needVerified bool // the user must be verified
	anyone       bool // no credential was named: any of the site's may answer
	appID        bool // the appid extension was asked for
	challenge    []byte
	handle       []byte   // registration: the user handle of the new credential
	offered      []idHash // proof: the credentials that may answer
}

// idHash stands for a credential id. It tells the credentials of one account apart, so a few bytes are enough.
type idHash [8]byte

func hashID(id []byte) (h idHash) {
	sum := sha256.Sum256(id)
	copy(h[:], sum[:])
	return h
}

const sessionVersion = 1

const (
	sessionCreate = 1 << iota
	sessionVerified
	sessionAnyone
	sessionAppID
	knownSession = 1<<iota - 1
)

// newChallenge is the only place where challenges come from.
func newChallenge() ([]byte, error) { return random(challengeSize) }

func random(size int) ([]byte, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(rand.Reader, b); err != nil {
		return nil, fmt.Errorf("drawing random bytes: %w", err)
	}
	return b, nil
}

func (s session) encode() []byte {
	flags := byte(0)
	for i, set := range [...]bool{s.create, s.needVerified, s.anyone, s.appID} {
		if set {
			flags |= 1 << i
		}
	}
	b := make([]byte, 0, 8+len(s.challenge)+len(s.handle)+len(s.offered)*len(idHash{}))
	b = append(b, sessionVersion, flags)
	b = appendField(b, s.challenge)
	b = appendField(b, s.handle)
	for _, h := range s.offered {
		b = append(b, h[:]...)
	}
	return b
}

func decodeSession(b []byte) (session, error) {
	if len(b) < 2 || b[0] != sessionVersion || b[1]&^knownSession != 0 {
		return session{}, errMalformed
	}
	s := session{
		create: b[1]&sessionCreate != 0, needVerified: b[1]&sessionVerified != 0,
		anyone: b[1]&sessionAnyone != 0, appID: b[1]&sessionAppID != 0,
	}
	r := fields{rest: b[2:]}
	s.challenge, s.handle = r.next(maxChallenge), r.next(maxHandle)
	if r.failed || len(s.challenge) < minChallenge || len(r.rest)%len(idHash{}) != 0 ||
		len(r.rest)/len(idHash{}) > mfa.MaxFactors {
		return session{}, errMalformed
	}
	for rest := r.rest; len(rest) > 0; rest = rest[len(idHash{}):] {
		s.offered = append(s.offered, idHash(rest))
	}
	return s, s.check()
}

// check refuses what no Begin makes.
func (s session) check() error {
	switch {
	case s.create && (len(s.handle) == 0 || s.anyone || s.appID || len(s.offered) > 0),
		!s.create && (len(s.handle) > 0 || s.anyone == (len(s.offered) > 0)),
		s.anyone && (!s.needVerified || s.appID):
		return errMalformed
	}
	return nil
}
