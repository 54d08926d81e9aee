package mfa

import (
	"context"
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Yubico is the method of Yubico OTPs: tokens that type a public id and a block of AES-128 at a touch. The site gives
// the tokens' secrets, or a function that asks validation servers, or both.
type Yubico struct {
	// Secret returns what the token of a public id (in modhex, as it types it) shares with its owner's organization,
	// and whether it is known. It is asked at enrollment. Nil: no token is known.
	Secret func(publicID string) (YubicoSecret, bool)

	// Validate asks whether an OTP is valid now, of a token whose secret is not known. It returns the token's counter:
	// of uses times 256, plus of touches. ErrWrongAnswer and ErrSpent are verdicts; any other error means that nobody
	// could be asked. Nil: such tokens are refused. See sallyport.YubicoServers.
	Validate func(ctx context.Context, otp string) (counter uint32, err error)
}

// YubicoSecret is what a token and its organization share.
type YubicoSecret struct {
	Private [6]byte
	Key     [16]byte
}

// Name returns yubico.
func (Yubico) Name() string { return MethodYubico }

// Strength returns Typed: what a token types can be typed into the wrong site.
func (Yubico) Strength() Strength { return Typed }

// Check returns what is missing.
func (m Yubico) Check() error {
	if m.Secret == nil && m.Validate == nil {
		return errors.New("Yubico: both Secret and Validate are nil: give one, or no token can be judged")
	}
	return nil
}

// Begin asks for a touch.
func (Yubico) Begin(context.Context, Attempt) (prompt any, state []byte, err error) {
	return nil, nil, nil
}

// BeginEnroll asks for the first touch.
func (Yubico) BeginEnroll(context.Context, Attempt) (prompt any, state []byte, err error) {
	return nil, nil, nil
}

// Modhex writes half bytes as letters that lie in the same place on most keyboards.
const modhex = "cbdefghijklnrtuv"

const (
	yubicoBlock  = 32 // characters of the block that is encrypted
	maxYubicoOTP = 48
)

// Canonical implements Canonicalizer: 34 to 48 characters of modhex, in small letters.
func (Yubico) Canonical(_ Factor, answer []byte) ([]byte, bool) {
	if len(answer) > maxTypedAnswer || !utf8.Valid(answer) {
		return nil, false
	}
	otp := strings.ToLower(strings.TrimSpace(string(answer)))
	if len(otp) <= yubicoBlock || len(otp) > maxYubicoOTP || len(otp)%2 != 0 {
		return nil, false
	}
	return []byte(otp), strings.Trim(otp, modhex) == ""
}

// publicID is the part of an OTP that names its token.
func publicID(otp []byte) string { return string(otp[:max(0, len(otp)-yubicoBlock)]) }

// Ask implements Asker: a token whose secret is not known is asked about at the validation servers.
func (m Yubico) Ask(ctx context.Context, a Attempt) (state []byte, err error) {
	if a.Factor.ID != "" {
		t, err := decodeToken(a.Factor.State)
		if err != nil || t.local || t.publicID != publicID(a.Answer) {
			return nil, nil // Finish judges it alone
		}
	} else if _, known := m.secret(publicID(a.Answer)); known {
		return nil, nil
	}
	if m.Validate == nil {
		return nil, nil
	}
	v := verdict{otp: sha256.Sum256(a.Answer), right: true}
	v.counter, err = m.Validate(ctx, string(a.Answer))
	switch {
	case errors.Is(err, ErrSpent):
		v.right, v.spent = false, true
	case errors.Is(err, ErrWrongAnswer):
		v.right = false
	case err != nil:
		return nil, fmt.Errorf("asking about a yubico otp: %w", err)
	}
	return v.encode(), nil
}

func (m Yubico) secret(id string) (YubicoSecret, bool) {
	if m.Secret == nil {
		return YubicoSecret{}, false
	}
	return m.Secret(id)
}

// Finish judges an OTP of the factor's token. Its counter must be higher than any before.
func (Yubico) Finish(_ context.Context, a Attempt) (Outcome, error) {
	t, err := decodeToken(a.Factor.State)
	if err != nil {
		return Outcome{}, fmt.Errorf("yubico factor %s: %w", a.Factor.ID, err)
	}
	if err := t.judge(a); err != nil {
		return Outcome{}, err
	}
	f := a.Factor
	f.State = t.encode()
	return Outcome{Factor: f}, nil
}

// FinishEnroll judges the first OTP of a token.
func (m Yubico) FinishEnroll(_ context.Context, a Attempt) (Outcome, error) {
	id := publicID(a.Answer)
	if id == "" {
		return Outcome{}, ErrWrongAnswer
	}
	t := token{publicID: id}
	t.secret, t.local = m.secret(id)
	if err := t.judge(a); err != nil {
		return Outcome{}, err
	}
	return Outcome{Factor: Factor{Strength: Typed, State: t.encode(), Key: KeyOf("yubico", []byte(id))}}, nil
}

// token is the state of a factor.
type token struct {
	publicID string
	local    bool
	secret   YubicoSecret // if local
	counter  uint32       // of the last OTP; 0: none
}

// judge brings the token's counter up to date if the answer of a is right.
func (t *token) judge(a Attempt) error {
	if subtle.ConstantTimeCompare([]byte(publicID(a.Answer)), []byte(t.publicID)) != 1 {
		return ErrWrongAnswer
	}
	counter, err := t.counterOf(a)
	switch {
	case err != nil:
		return err
	case counter <= t.counter:
		return ErrSpent
	}
	t.counter = counter
	return nil
}

func (t *token) counterOf(a Attempt) (uint32, error) {
	if t.local {
		return t.secret.counter(a.Answer[len(t.publicID):])
	}
	v, err := decodeVerdict(a.State)
	switch {
	case err != nil || v.otp != sha256.Sum256(a.Answer):
		return 0, ErrWrongAnswer
	case v.spent:
		return 0, ErrSpent
	case !v.right:
		return 0, ErrWrongAnswer
	}
	return v.counter, nil
}

// counter decrypts the block of an OTP and returns its counter: the block holds the private id, the counter of uses, a
// time, the counter of touches, random bits and a CRC-16 (Yubico, The YubiKey Manual §6).
func (s YubicoSecret) counter(block []byte) (uint32, error) {
	plain, ok := fromModhex(block)
	if !ok || len(plain) != aes.BlockSize {
		return 0, ErrWrongAnswer
	}
	c, err := aes.NewCipher(s.Key[:])
	if err != nil {
		return 0, err
	}
	c.Decrypt(plain, plain)
	right := subtle.ConstantTimeCompare(plain[:6], s.Private[:]) & subtle.ConstantTimeEq(int32(crc16(plain)), yubicoResidue)
	if right != 1 {
		return 0, ErrWrongAnswer
	}
	uses := binary.LittleEndian.Uint16(plain[6:]) & yubicoUses
	return uint32(uses)<<8 | uint32(plain[11]), nil
}

func fromModhex(text []byte) ([]byte, bool) {
	digits := make([]byte, len(text))
	for i, c := range text {
		n := strings.IndexByte(modhex, c)
		if n < 0 {
			return nil, false
		}
		digits[i] = "0123456789abcdef"[n]
	}
	plain := make([]byte, len(digits)/2)
	_, err := hex.Decode(plain, digits)
	return plain, err == nil
}

// yubicoUses is the counter of uses without its highest bit, in which old tokens tell that Caps Lock was the trigger.
const yubicoUses = 0x7fff

// yubicoResidue is the CRC-16 of a block with its own CRC in it.
const yubicoResidue = 0xf0b8

// crc16 is that of ISO 13239.
func crc16(b []byte) uint16 {
	crc := uint16(0xffff)
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low == 1 {
				crc ^= 0x8408
			}
		}
	}
	return crc
}

// YubicoFactor returns a factor of a token. Without a secret it is judged by validation servers. The counter is that of
// the last OTP that was used: of uses times 256, plus of touches.
func YubicoFactor(publicID string, secret *YubicoSecret, counter uint32) (Factor, error) {
	if n := len(publicID); n == 0 || n > maxYubicoOTP-yubicoBlock || n%2 != 0 || strings.Trim(publicID, modhex) != "" {
		return Factor{}, fmt.Errorf("the public id %q is not 2 to 16 characters of modhex", publicID)
	}
	t := token{publicID: publicID, counter: counter}
	if secret != nil {
		t.local, t.secret = true, *secret
	}
	return Factor{Method: MethodYubico, Strength: Typed, State: t.encode(), Key: KeyOf("yubico", []byte(publicID))}, nil
}

const yubicoVersion = 1

func (t *token) encode() []byte {
	w := &writer{b: make([]byte, 0, 64)}
	w.b = append(w.b, yubicoVersion)
	w.text(t.publicID)
	w.uint(uint64(t.counter))
	w.bool(t.local)
	if t.local {
		w.b = append(w.b, t.secret.Private[:]...)
		w.b = append(w.b, t.secret.Key[:]...)
	}
	return w.b
}

func decodeToken(b []byte) (t token, err error) {
	r := &reader{b: b}
	if r.byte() != yubicoVersion {
		return t, errWire
	}
	t.publicID = r.text()
	t.counter = uint32(r.count())
	if t.local = r.bool(); t.local {
		r.fill(t.secret.Private[:])
		r.fill(t.secret.Key[:])
	}
	if t.publicID == "" {
		r.fail()
	}
	return t, r.end()
}

// verdict is what the validation servers said about one OTP.
type verdict struct {
	otp          [sha256.Size]byte
	right, spent bool
	counter      uint32
}

func (v verdict) encode() []byte {
	w := &writer{}
	w.b = append(w.b, yubicoVersion)
	w.b = append(w.b, v.otp[:]...)
	w.bool(v.right)
	w.bool(v.spent)
	w.uint(uint64(v.counter))
	return w.b
}

func decodeVerdict(b []byte) (v verdict, err error) {
	r := &reader{b: b}
	if r.byte() != yubicoVersion {
		return v, errWire
	}
	r.fill(v.otp[:])
	v.right, v.spent, v.counter = r.bool(), r.bool(), uint32(r.count())
	return v, r.end()
}
