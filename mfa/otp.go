package mfa

import (
	"cmp"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Algorithm is the hash of a one-time password. The zero value is SHA-1, which every authenticator app understands: what
// HMAC asks of its hash, SHA-1 still gives (RFC 6238 §1.2, RFC 6194 §3.3).
type Algorithm uint8

// The algorithms.
const (
	SHA1 Algorithm = iota
	SHA256
	SHA512
)

// String returns the name in an otpauth URI: SHA1, SHA256 or SHA512.
func (a Algorithm) String() string {
	if a > SHA512 {
		return fmt.Sprintf("algorithm(%d)", uint8(a))
	}
	return [...]string{"SHA1", "SHA256", "SHA512"}[a]
}

// keySize is the length of a new key: that of the hash (RFC 6238 §5.1, RFC 2104 §3).
func (a Algorithm) keySize() int { return [...]int{sha1.Size, sha256.Size, sha512.Size}[a] }

// OTPEnrollPrompt is what a user puts into an authenticator app.
type OTPEnrollPrompt struct {
	Secret string `json:"secret"` // base32 without padding
	URI    string `json:"uri"`    // otpauth
	QR     string `json:"qr"`     // an SVG of URI, drawn by the Guard
}

// OTPPrompt asks for a code.
type OTPPrompt struct {
	Factor string `json:"factor"`
	Digits int    `json:"digits"`
	Codes  int    `json:"codes,omitempty"` // more than one: so many in a row, to free a factor that was stopped
}

// Lengths that are judged. Keys longer than a block of SHA-1 would have to be hashed first; no app makes any.
const (
	minOTPKey, maxOTPKey       = 5, 64
	minOTPDigits, maxOTPDigits = 6, 8
	defaultDigits              = 6
)

func checkAlgorithm(method string, a Algorithm) error {
	if a > SHA512 {
		return fmt.Errorf("%s.Algorithm is %d: give SHA1, SHA256 or SHA512", method, a)
	}
	return nil
}

func checkDigits(method string, digits int) error {
	if digits != 0 && (digits < minOTPDigits || digits > maxOTPDigits) {
		return fmt.Errorf("%s.Digits is %d: give 6, 7 or 8", method, digits)
	}
	return nil
}

// checkOTP checks what a factor shares with its app or token.
func checkOTP(key []byte, a Algorithm, digits int) error {
	switch {
	case len(key) < minOTPKey || len(key) > maxOTPKey:
		return fmt.Errorf("a key of %d bytes: it must have %d to %d", len(key), minOTPKey, maxOTPKey)
	case a > SHA512:
		return fmt.Errorf("algorithm %d is not known", a)
	case digits < minOTPDigits || digits > maxOTPDigits:
		return fmt.Errorf("%d digits: there must be %d to %d", digits, minOTPDigits, maxOTPDigits)
	}
	return nil
}

func newOTPKey(a Algorithm) ([]byte, error) {
	key := make([]byte, a.keySize())
	if _, err := io.ReadFull(rand.Reader, key); err != nil {
		return nil, fmt.Errorf("making a secret: %w", err)
	}
	return key, nil
}

// otpPrompt makes what apps read from a QR code, and people from the page. A colon parts issuer and account, so neither
// may hold one.
func otpPrompt(kind, issuer string, u User, key []byte, a Algorithm, digits int, more string) OTPEnrollPrompt {
	plain := func(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, ":", " ")) }
	issuer, label := plain(issuer), plain(cmp.Or(u.Name, u.Email, u.DisplayName))
	if issuer != "" && label != "" {
		label = escape(issuer) + ":" + escape(label)
	} else {
		label = escape(cmp.Or(label, issuer))
	}
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
	q := "secret=" + secret
	if issuer != "" {
		q += "&issuer=" + escape(issuer)
	}
	q += "&algorithm=" + a.String() + "&digits=" + strconv.Itoa(digits) + more
	return OTPEnrollPrompt{Secret: secret, URI: "otpauth://" + kind + "/" + label + "?" + q}
}

// escape escapes all but letters, digits and "-_.~". Apps that do not decode "+" want spaces as %20.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// Codes in a row: two bring a factor back into step, three free one that was stopped by wrong guesses.
const (
	resyncCodes = 2
	freeCodes   = 3
)

// codesAsked is how many codes in a row must be typed; 1: one, or resyncCodes.
func codesAsked(f Factor) int {
	if f.Off&StoppedByGuesses != 0 {
		return freeCodes
	}
	return 1
}

// askFor is the prompt of a proof.
func askFor(f Factor, digits int) OTPPrompt {
	p := OTPPrompt{Factor: f.ID, Digits: digits}
	if n := codesAsked(f); n > 1 {
		p.Codes = n
	}
	return p
}

// countCodes returns how many codes an answer holds, if it is as many as may be judged.
func countCodes(codes []byte, digits, asked int) (int, error) {
	n := len(codes) / digits
	if len(codes)%digits != 0 || !isDigits(codes) || n != asked && (asked != 1 || n != resyncCodes) {
		return 0, ErrWrongAnswer
	}
	return n, nil
}

// parseCodes returns the numbers of an answer of at most freeCodes codes.
func parseCodes(codes []byte, digits int) (list [freeCodes]uint32) {
	for i := range len(codes) / digits {
		list[i] = parseCode(codes[i*digits:][:digits])
	}
	return list
}

// canonicalCodes returns the digits of as many codes as may be judged.
func canonicalCodes(answer []byte, digits, asked int) ([]byte, bool) {
	if code, ok := canonicalDigits(answer, asked*digits); ok || asked != 1 {
		return code, ok
	}
	return canonicalDigits(answer, resyncCodes*digits)
}

// otpCode returns the one-time password of a counter as a number below 10^digits (RFC 4226 §5.3). It allocates nothing:
// the two passes of HMAC (RFC 2104 §2) are two sums over blocks on the stack.
func otpCode(a Algorithm, key []byte, counter uint64, digits int) uint32 {
	var sum [sha512.Size]byte
	size := 0
	switch a {
	case SHA1:
		var in [sha1.BlockSize + 8]byte
		var out [sha1.BlockSize + sha1.Size]byte
		pad(in[:sha1.BlockSize], out[:sha1.BlockSize], key)
		binary.BigEndian.PutUint64(in[sha1.BlockSize:], counter)
		inner := sha1.Sum(in[:])
		copy(out[sha1.BlockSize:], inner[:])
		outer := sha1.Sum(out[:])
		size = copy(sum[:], outer[:])
	case SHA256:
		var in [sha256.BlockSize + 8]byte
		var out [sha256.BlockSize + sha256.Size]byte
		pad(in[:sha256.BlockSize], out[:sha256.BlockSize], key)
		binary.BigEndian.PutUint64(in[sha256.BlockSize:], counter)
		inner := sha256.Sum256(in[:])
		copy(out[sha256.BlockSize:], inner[:])
		outer := sha256.Sum256(out[:])
		size = copy(sum[:], outer[:])
	case SHA512:
		var in [sha512.BlockSize + 8]byte
		var out [sha512.BlockSize + sha512.Size]byte
		pad(in[:sha512.BlockSize], out[:sha512.BlockSize], key)
		binary.BigEndian.PutUint64(in[sha512.BlockSize:], counter)
		inner := sha512.Sum512(in[:])
		copy(out[sha512.BlockSize:], inner[:])
		outer := sha512.Sum512(out[:])
		size = copy(sum[:], outer[:])
	}
	at := sum[size-1] & 15
	return (binary.BigEndian.Uint32(sum[at:]) & 0x7fff_ffff) % powerOfTen(digits)
}

// pad fills the inner and the outer block of HMAC.
func pad(in, out, key []byte) {
	copy(in, key)
	copy(out, key)
	for i := range in {
		in[i] ^= 0x36
		out[i] ^= 0x5c
	}
}

func powerOfTen(n int) uint32 {
	p := uint32(1)
	for range n {
		p *= 10
	}
	return p
}

func isDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// parseCode returns the number that ASCII digits write.
func parseCode(digits []byte) uint32 {
	n := uint32(0)
	for _, c := range digits {
		n = n*10 + uint32(c-'0')
	}
	return n
}

// maxTypedAnswer is longer than any code with whatever is pasted around it.
const maxTypedAnswer = 200

// canonicalDigits returns the ASCII digits of a code that was typed or pasted: spaces, hyphens and what has no width are
// left out, digits of other scripts are read as what they are. It is not ok unless there are exactly n.
func canonicalDigits(answer []byte, n int) ([]byte, bool) {
	if len(answer) > maxTypedAnswer || !utf8.Valid(answer) {
		return nil, false
	}
	digits := make([]byte, 0, n)
	for _, r := range string(answer) {
		if isFiller(r) {
			continue
		}
		d, ok := digitOf(r)
		if !ok || len(digits) == n {
			return nil, false
		}
		digits = append(digits, d)
	}
	return digits, len(digits) == n
}

// isFiller reports what people and programs put between the characters of a code.
func isFiller(r rune) bool {
	return r == '-' || r == '\u00ad' || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || unicode.Is(unicode.Cf, r)
}

// digitOf returns the ASCII digit for a decimal digit of any script. Each script has its ten in a row (Unicode §4.6).
func digitOf(r rune) (byte, bool) {
	if r <= unicode.MaxASCII {
		return byte(r), '0' <= r && r <= '9'
	}
	for _, span := range unicode.Nd.R16 {
		if rune(span.Lo) <= r && r <= rune(span.Hi) {
			return '0' + byte((r-rune(span.Lo))%10), true
		}
	}
	for _, span := range unicode.Nd.R32 {
		if rune(span.Lo) <= r && r <= rune(span.Hi) {
			return '0' + byte((r-rune(span.Lo))%10), true
		}
	}
	return 0, false
}
