package mfa

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"
)

// Key is one secret of a Ring.
type Key struct {
	ID     string // 1 to 32 letters, digits, "-" or "_"; written in the clear beside what it sealed
	Secret []byte // 32 random bytes
}

// NewKey makes a key with a random secret and an id that sorts by its time.
func NewKey(now time.Time) (Key, error) {
	secret := make([]byte, KeySize)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return Key{}, fmt.Errorf("making a key: %w", err)
	}
	tail, err := randomID(4)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: now.UTC().Format("20060102-") + tail, Secret: secret}, nil
}

// KeySize is the length of a Key's secret in bytes.
const KeySize = 32

// Ring seals with its primary key and opens with all of its keys. Each purpose and day has a subkey of its own, by
// HKDF-SHA-256, so no AES-GCM key ever seals enough for its random nonces to meet. A Ring is safe for use by many
// goroutines; the zero Ring opens nothing and seals nothing.
type Ring struct {
	keys []Key

	mu      sync.RWMutex
	subkeys map[subkeyName]cipher.AEAD
	macKeys map[string][]byte // of the primary key, by purpose: those of our own code, so they are few
}

type subkeyName struct {
	key, purpose string
	day          int64
}

var keyIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// NewRing makes a ring of keys, the primary one first. All mistakes are reported at once.
func NewRing(keys ...Key) (*Ring, error) {
	var mistakes []error
	if len(keys) == 0 {
		mistakes = append(mistakes, errors.New("the key ring is empty: it needs at least one key"))
	}
	seen := map[string]bool{}
	for i, k := range keys {
		if !keyIDPattern.MatchString(k.ID) {
			mistakes = append(mistakes, fmt.Errorf("key %d: the id %q is not 1 to 32 letters, digits, - or _", i+1, k.ID))
		}
		if seen[k.ID] {
			mistakes = append(mistakes, fmt.Errorf("key %d: the id %q is there twice", i+1, k.ID))
		}
		seen[k.ID] = true
		if len(k.Secret) != KeySize {
			mistakes = append(mistakes, fmt.Errorf("key %q: the secret has %d bytes, not %d", k.ID, len(k.Secret), KeySize))
		} else if uniform(k.Secret) {
			mistakes = append(mistakes, fmt.Errorf("key %q: the secret is one byte repeated, not random", k.ID))
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	r := &Ring{subkeys: map[subkeyName]cipher.AEAD{}}
	for _, k := range keys {
		r.keys = append(r.keys, Key{k.ID, bytes.Clone(k.Secret)}) // the caller may wipe its own
	}
	return r, nil
}

// Primary returns the id of the key that seals.
func (r *Ring) Primary() string {
	if len(r.keys) == 0 {
		return ""
	}
	return r.keys[0].ID
}

// IDs returns the ids of all keys, the primary one first.
func (r *Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.ID
	}
	return ids
}

// Seal encrypts plain with AES-256-GCM for one purpose. What is bound (user, login, origin, ...) is authenticated and
// must be given again to Open; its order counts. The result holds the key's id and the day in the clear.
func (r *Ring) Seal(now time.Time, purpose string, plain []byte, bound ...string) ([]byte, error) {
	if len(r.keys) == 0 {
		return nil, errors.New("sealing: the key ring is empty")
	}
	day := dayNumber(now)
	aead, err := r.subkey(r.keys[0], purpose, day, true)
	if err != nil {
		return nil, err
	}
	out := sealedHeader(make([]byte, 0, 64+len(plain)), r.keys[0].ID, day)
	header := len(out)
	out = out[:header+nonceSize]
	if _, err := io.ReadFull(rand.Reader, out[header:]); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	var space [256]byte
	ad := associated(space[:0], out[:header], purpose, bound)
	return aead.Seal(out, out[header:], plain, ad), nil
}

// Open decrypts what Seal made for the same purpose with the same bound values by a key of the ring.
func (r *Ring) Open(purpose string, sealed []byte, bound ...string) ([]byte, error) {
	id, day, header, err := parseSealed(sealed)
	if err != nil {
		return nil, err
	}
	for i := range r.keys {
		if r.keys[i].ID != string(id) {
			continue
		}
		aead, err := r.subkey(r.keys[i], purpose, day, false)
		if err != nil {
			return nil, err
		}
		var space [256]byte
		ad := associated(space[:0], sealed[:header], purpose, bound)
		plain, err := aead.Open(nil, sealed[header:header+nonceSize], sealed[header+nonceSize:], ad)
		if err != nil {
			return nil, errNotSealed
		}
		r.remember(subkeyName{r.keys[i].ID, purpose, day}, aead)
		return plain, nil
	}
	return nil, fmt.Errorf("no key %q in the ring", id)
}

// SealText is Seal in base64url, for a cookie, a form or a URL.
func (r *Ring) SealText(now time.Time, purpose string, plain []byte, bound ...string) (string, error) {
	sealed, err := r.Seal(now, purpose, plain, bound...)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// OpenText opens what SealText made. Anything else, of at most 8 kB, is an error without a cost worth attacking.
func (r *Ring) OpenText(purpose, sealed string, bound ...string) ([]byte, error) {
	if len(sealed) > maxSealedText {
		return nil, errNotSealed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return nil, errNotSealed
	}
	return r.Open(purpose, raw, bound...)
}

const (
	sealedVersion = 1
	nonceSize     = 12
	tagSize       = 16
	maxSealedText = 8 << 10
)

var errNotSealed = errors.New("not sealed by this ring for this purpose")

// sealedHeader is: version, length of the key's id, id, day as varint.
func sealedHeader(b []byte, keyID string, day int64) []byte {
	b = append(b, sealedVersion, byte(len(keyID)))
	b = append(b, keyID...)
	return binary.AppendVarint(b, day)
}

func parseSealed(b []byte) (keyID []byte, day int64, header int, err error) {
	if len(b) < 2 || b[0] != sealedVersion || len(b) < 2+int(b[1]) {
		return nil, 0, 0, errNotSealed
	}
	header = 2 + int(b[1])
	keyID = b[2:header]
	day, n := binary.Varint(b[header:])
	if n <= 0 || len(b)-header-n < nonceSize+tagSize {
		return nil, 0, 0, errNotSealed
	}
	return keyID, day, header + n, nil
}

// associated is the header, then the purpose and each bound value behind its length, so that no two lists meet.
func associated(b, header []byte, purpose string, bound []string) []byte {
	b = append(b, header...)
	b = binary.AppendUvarint(b, uint64(len(purpose)))
	b = append(b, purpose...)
	for _, s := range bound {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// subkey returns the AEAD of one key, purpose and day. Only one that sealed, or has opened something, is remembered,
// so that made-up days fill no memory.
func (r *Ring) subkey(k Key, purpose string, day int64, seals bool) (cipher.AEAD, error) {
	name := subkeyName{k.ID, purpose, day}
	r.mu.RLock()
	aead := r.subkeys[name]
	r.mu.RUnlock()
	if aead != nil {
		return aead, nil
	}
	secret, err := r.derive(k, fmt.Sprintf("seal %s %d", purpose, day))
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("subkey: %w", err)
	}
	if aead, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("subkey: %w", err)
	}
	if seals {
		r.remember(name, aead)
	}
	return aead, nil
}

const maxSubkeys = 256

func (r *Ring) remember(name subkeyName, aead cipher.AEAD) {
	r.mu.RLock()
	known := r.subkeys[name] != nil
	r.mu.RUnlock()
	if known {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.subkeys) >= maxSubkeys {
		clear(r.subkeys)
	}
	r.subkeys[name] = aead
}

func (r *Ring) derive(k Key, info string) ([]byte, error) {
	secret, err := hkdf.Key(sha256.New, k.Secret, nil, "sallyport 1 "+info, KeySize)
	if err != nil {
		return nil, fmt.Errorf("subkey: %w", err)
	}
	return secret, nil
}

// mac authenticates what stands in the clear, such as an event, under the primary key. The result begins with a byte
// for the length of the key's id and the id.
func (r *Ring) mac(purpose string, message []byte) ([]byte, error) {
	if len(r.keys) == 0 {
		return nil, errors.New("authenticating: the key ring is empty")
	}
	secret, err := r.macKey(purpose)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	id := r.keys[0].ID
	return h.Sum(append([]byte{byte(len(id))}, id...)), nil
}

func (r *Ring) macKey(purpose string) ([]byte, error) {
	r.mu.RLock()
	secret := r.macKeys[purpose]
	r.mu.RUnlock()
	if secret != nil {
		return secret, nil
	}
	secret, err := r.derive(r.keys[0], "mac "+purpose)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.macKeys == nil {
		r.macKeys = map[string][]byte{}
	}
	r.macKeys[purpose] = secret
	return secret, nil
}

func uniform(b []byte) bool {
	for _, c := range b {
		if c != b[0] {
			return false
		}
	}
	return true
}

// randomID returns n random bytes in base64url.
func randomID(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand.Reader, b); err != nil {
		return "", fmt.Errorf("random id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
