package sallyport

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"time"
)

// The known-browser cookie lists the last users who have proved a factor in this browser. It opens nothing: it only
// chooses the lane of the budget, so that a stranger's guesses do not shut the owner out.

const (
	knownUsers   = 4
	knownLife    = 30 * 24 * time.Hour
	knownVersion = 1
	knownPurpose = "known"
)

// knownUser is one entry: a hash, so that the cookie has one size whatever the ids look like.
type knownUser struct {
	user [sha256.Size]byte
	at   time.Time // of the last proof
}

// knownAt returns when this browser last proved a factor of the user; zero: it is not known.
func (g *Guard) knownAt(r *http.Request, userID string) time.Time {
	id := sha256.Sum256([]byte(userID))
	for _, k := range g.knownIn(r) {
		if k.user == id {
			return k.at
		}
	}
	return time.Time{}
}

// knownIn returns the entries of the request's cookie that still count. What does not open holds none.
func (g *Guard) knownIn(r *http.Request) []knownUser {
	plain, err := g.ring.OpenText(knownPurpose, cookieValue(r, g.cookies.known), g.c.Origin)
	if err != nil {
		return nil
	}
	list, err := decodeKnown(plain)
	if err != nil {
		return nil
	}
	now := g.c.Now()
	return slices.DeleteFunc(list, func(k knownUser) bool { return now.Sub(k.at) >= knownLife })
}

// remember marks this browser as known to the user, in the place of the one who was here longest ago.
func (g *Guard) remember(w http.ResponseWriter, r *http.Request, userID string, at time.Time) error {
	id := sha256.Sum256([]byte(userID))
	others := slices.DeleteFunc(g.knownIn(r), func(k knownUser) bool { return k.user == id })
	slices.SortFunc(others, func(a, b knownUser) int { return b.at.Compare(a.at) })
	list := append([]knownUser{{id, at}}, others[:min(len(others), knownUsers-1)]...)
	text, err := g.ring.SealText(g.c.Now(), knownPurpose, encodeKnown(list), g.c.Origin)
	if err != nil {
		return err
	}
	g.cookies.set(w, g.cookies.known, text, knownLife)
	return nil
}

func encodeKnown(list []knownUser) []byte {
	b := []byte{knownVersion}
	for _, k := range list {
		b = append(b, k.user[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(k.at.UnixMicro()))
	}
	return b
}

func decodeKnown(b []byte) ([]knownUser, error) {
	const size = sha256.Size + 8
	if len(b) == 0 || b[0] != knownVersion || (len(b)-1)%size != 0 || (len(b)-1)/size > knownUsers {
		return nil, errors.New("malformed list of known users")
	}
	var list []knownUser
	for entry := range slices.Chunk(b[1:], size) {
		k := knownUser{at: time.UnixMicro(int64(binary.BigEndian.Uint64(entry[sha256.Size:]))).UTC()}
		copy(k.user[:], entry)
		list = append(list, k)
	}
	return list, nil
}
