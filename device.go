package sallyport

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mileusna/useragent"

	"sallyport/mfa"
)

// The device cookie holds what remembered browsers have in hand: for each of the last users a series and its token. What
// it is worth is in the account, which the user can look at and end.

const (
	deviceUsers   = 4
	deviceVersion = 1
	devicePurpose = "device"
	maxDeviceText = 64 // of a series and of a token
)

// device is one user's entry.
type device struct {
	user          [sha256.Size]byte
	series, token string
}

// devicesIn returns the entries of the request's cookie. What does not open holds none.
func (g *Guard) devicesIn(r *http.Request) []device {
	text := cookieValue(r, g.cookies.device)
	if text == "" {
		return nil
	}
	plain, err := g.ring.OpenText(devicePurpose, text, g.c.Origin)
	if err != nil {
		return nil
	}
	list, err := decodeDevices(plain)
	if err != nil {
		return nil
	}
	return list
}

// deviceOf returns the entry of a user.
func (g *Guard) deviceOf(r *http.Request, userID string) (device, bool) {
	id := sha256.Sum256([]byte(userID))
	list := g.devicesIn(r)
	if i := slices.IndexFunc(list, func(d device) bool { return d.user == id }); i >= 0 {
		return list[i], true
	}
	return device{}, false
}

// keepDevice puts a user's entry first; without a token it takes it away.
func (g *Guard) keepDevice(w http.ResponseWriter, r *http.Request, userID, series, token string) error {
	id := sha256.Sum256([]byte(userID))
	list := slices.DeleteFunc(g.devicesIn(r), func(d device) bool { return d.user == id })
	if token != "" {
		list = slices.Insert(list, 0, device{id, series, token})
	}
	if len(list) == 0 {
		g.cookies.clear(w, g.cookies.device)
		return nil
	}
	text, err := g.ring.SealText(g.c.Now(), devicePurpose, encodeDevices(list[:min(len(list), deviceUsers)]), g.c.Origin)
	if err != nil {
		return err
	}
	g.cookies.set(w, g.cookies.device, text, g.c.Remember)
	return nil
}

func encodeDevices(list []device) []byte {
	b := []byte{deviceVersion}
	for _, d := range list {
		b = append(b, d.user[:]...)
		for _, text := range [...]string{d.series, d.token} {
			b = binary.AppendUvarint(b, uint64(len(text)))
			b = append(b, text...)
		}
	}
	return b
}

var errDevices = errors.New("malformed list of devices")

func decodeDevices(b []byte) ([]device, error) {
	if len(b) == 0 || b[0] != deviceVersion {
		return nil, errDevices
	}
	var list []device
	for b = b[1:]; len(b) > 0; {
		if len(list) == deviceUsers || len(b) < sha256.Size {
			return nil, errDevices
		}
		d := device{user: [sha256.Size]byte(b)}
		b = b[sha256.Size:]
		for _, text := range [...]*string{&d.series, &d.token} {
			n, size := binary.Uvarint(b)
			if size <= 0 || n > maxDeviceText || n > uint64(len(b)-size) {
				return nil, errDevices
			}
			*text, b = string(b[size:size+int(n)]), b[size+int(n):]
		}
		list = append(list, d)
	}
	return list, nil
}

// remembers reports whether a factor's proof may make this browser a remembered one.
func (g *Guard) remembers(method string) bool {
	return g.c.Remember > 0 && method != mfa.MethodRecovery && method != mfa.MethodPass
}

// present lets a remembered browser speak for a login, at a navigation that is about to meet a door. It reports whether
// the request has more to show than before.
func (g *Guard) present(w http.ResponseWriter, r *http.Request, v *mfa.Visit) (bool, error) {
	if g.c.Remember == 0 || !isSafe(r.Method) || !isNavigation(r) {
		return false, nil
	}
	d, ok := g.deviceOf(r, v.User.ID)
	if !ok || slices.ContainsFunc(v.Assurance.Proofs, func(p mfa.Proof) bool { return p.Device == d.series }) {
		return false, nil
	}
	v.Address, v.Browser = g.addressText(r), r.UserAgent()
	done, err := g.presentDevice(w, r, *v)
	if err != nil || done.Account == nil {
		return false, err
	}
	v.Assurance = done.Assurance
	return true, g.keep(w, r, done.Assurance)
}

// presentDevice presents what the browser holds for a user, and keeps what it gets in return. Done is zero if the
// account does not remember it.
func (g *Guard) presentDevice(w http.ResponseWriter, r *http.Request, v mfa.Visit) (mfa.Done, error) {
	d, ok := g.deviceOf(r, v.User.ID)
	if !ok {
		return mfa.Done{}, nil
	}
	done, err := g.engine.Present(r.Context(), v, d.series, d.token)
	if refusalOf(err, mfa.WhyNotFound) != nil {
		return mfa.Done{}, g.keepDevice(w, r, v.User.ID, "", "")
	}
	if err != nil {
		return mfa.Done{}, err
	}
	return done, g.keepDevice(w, r, v.User.ID, done.Series, done.Token)
}

// browserName is what people call the browser and system of a User-Agent.
func (g *Guard) browserName(userAgent string) string {
	ua := useragent.Parse(userAgent)
	name, system := ua.Name, cmp.Or(ua.OS, ua.Device)
	switch {
	case name == "" || !isPlainName(name) || !isPlainName(system):
		return g.pages.say("browser.unknown")
	case system == "":
		return name
	}
	return g.pages.say("browser.name", "browser", name, "system", system)
}

// isPlainName reports whether a name could be that of a browser or a system, and not what somebody put into a header.
func isPlainName(name string) bool {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" .+-_", r)
	}
	return len(name) <= 40 && !strings.ContainsFunc(name, func(r rune) bool { return !plain(r) })
}

// browserRow is a remembered browser of the list.
type browserRow struct {
	ID, Name     string
	Since, Until time.Time
	Here         bool
	Base         string
}

func (g *Guard) browserRows(r *http.Request, c *caller, acct *mfa.Account) []browserRow {
	here, _ := g.deviceOf(r, c.User.ID)
	var rows []browserRow
	for _, b := range acct.Browsers {
		if g.c.Now().Before(b.Until) {
			rows = append(rows, browserRow{
				ID: b.ID, Name: b.Label, Since: b.At, Until: b.Until, Here: b.ID == here.series, Base: g.c.Path + "browsers/" + b.ID + "/",
			})
		}
	}
	return rows
}
