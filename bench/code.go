package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"sallyport/mfa"
)

// codeRows compare the check of one TOTP code: six digits, the steps before, at and after now. The code is wrong, so
// that everybody has to look at all three.
func codeRows(ctx context.Context) ([]row, error) {
	now := time.Unix(1_800_000_000, 0)
	factor, secret, err := enrolled(ctx, now)
	if err != nil {
		return nil, err
	}
	key, err := base32Secret.DecodeString(secret)
	if err != nil {
		return nil, err
	}
	wrong := wrongCode(key, now)
	ours := side{"the check of a TOTP code", checkOurs(ctx, factor, wrong, now)}
	return []row{
		{ours: ours, theirs: side{"the same with pquerna/otp", checkTheirs(secret, wrong, now)}},
		{ours: ours, theirs: side{"three sums of hmac.New", threeSums(key, now)}},
	}, nil
}

// enrolled makes a factor as an account keeps it.
func enrolled(ctx context.Context, now time.Time) (mfa.Factor, string, error) {
	a := mfa.Attempt{User: mfa.User{ID: "alice", Name: "alice"}, Now: now}
	prompt, state, err := mfa.TOTP{}.BeginEnroll(ctx, a)
	if err != nil {
		return mfa.Factor{}, "", err
	}
	secret, err := secretOf(prompt)
	if err != nil {
		return mfa.Factor{}, "", err
	}
	code, err := codeOf(secret, now)
	if err != nil {
		return mfa.Factor{}, "", err
	}
	a.State, a.Answer = state, []byte(code)
	out, err := mfa.TOTP{}.FinishEnroll(ctx, a)
	out.Factor.ID, out.Factor.Method = "f1", mfa.MethodTOTP
	return out.Factor, secret, err
}

// wrongCode is a code of none of the steps around now.
func wrongCode(key []byte, now time.Time) string {
	for n := uint32(0); ; n++ {
		code := fmt.Sprintf("%06d", n)
		right := false
		for step := int64(-3); step <= 3; step++ {
			right = right || code == codeAt(key, uint64(now.Unix()/30+step))
		}
		if !right {
			return code
		}
	}
}

func checkOurs(ctx context.Context, f mfa.Factor, code string, now time.Time) func(*testing.B) {
	return func(b *testing.B) {
		a := mfa.Attempt{Factor: f, Answer: []byte(code), Now: now.Add(90 * time.Second)} // after the step of the enrollment
		for b.Loop() {
			if _, err := (mfa.TOTP{}).Finish(ctx, a); !errors.Is(err, mfa.ErrWrongAnswer) {
				b.Fatalf("Finish = %v, want a wrong answer", err)
			}
		}
	}
}

func checkTheirs(secret, code string, now time.Time) func(*testing.B) {
	return func(b *testing.B) {
		opts := totp.ValidateOpts{Period: 30, Skew: 1, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
		for b.Loop() {
			if ok, err := totp.ValidateCustom(code, secret, now, opts); ok || err != nil {
				b.Fatalf("ValidateCustom = %v, %v, want a wrong answer", ok, err)
			}
		}
	}
}

// threeSums is what a check costs at least that takes crypto/hmac as it is.
func threeSums(key []byte, now time.Time) func(*testing.B) {
	return func(b *testing.B) {
		step := uint64(now.Unix() / 30)
		var sum [sha1.Size]byte
		for b.Loop() {
			for i := range uint64(3) {
				var message [8]byte
				binary.BigEndian.PutUint64(message[:], step+i)
				h := hmac.New(sha1.New, key)
				h.Write(message[:])
				h.Sum(sum[:0])
			}
		}
	}
}

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// codeOf is RFC 6238 with its defaults, written down once more, so that what is measured does not check itself.
func codeOf(secret string, at time.Time) (string, error) {
	key, err := base32Secret.DecodeString(secret)
	if err != nil {
		return "", fmt.Errorf("the secret of the app: %w", err)
	}
	return codeAt(key, uint64(at.Unix()/30)), nil
}

// codeAt is RFC 4226 §5.3.
func codeAt(key []byte, counter uint64) string {
	h := hmac.New(sha1.New, key)
	h.Write(binary.BigEndian.AppendUint64(nil, counter))
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}
