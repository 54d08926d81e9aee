package sallyport

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/mfa"
)

// YubicoServers asks validation servers about Yubico OTPs, by version 2.0 of their protocol. Its method Validate is for
// mfa.Yubico. ID and Key come from who runs the servers.
type YubicoServers struct {
	ID  string
	Key string // base64; requests and answers are signed with it

	// URLs are asked all at once; the first good answer counts. Nil: Yubico's own.
	URLs []string

	// Client makes the requests. Nil: one with time-outs.
	Client *http.Client
}

const (
	yubicoTime   = 5 * time.Second
	yubicoAnswer = 16 << 10
)

// Validate asks whether an OTP is valid now, and returns its token's counter.
func (s YubicoServers) Validate(ctx context.Context, otp string) (uint32, error) {
	key, err := base64.StdEncoding.DecodeString(s.Key)
	if err != nil || len(key) == 0 || s.ID == "" {
		return 0, errors.New("YubicoServers: ID is empty, or Key is not base64")
	}
	urls := s.URLs
	if urls == nil {
		urls = []string{"https://api.yubico.com/wsapi/2.0/verify"}
	}
	ctx, cancel := context.WithTimeout(ctx, yubicoTime)
	defer cancel()
	nonce := strings.ToLower(rand.Text()) // one for all: servers that know each other then tell a copy from a replay
	verdicts := make(chan yubicoVerdict, len(urls))
	for _, u := range urls {
		go func() { verdicts <- s.ask(ctx, u, key, otp, nonce) }()
	}
	var failed []error
	for range urls {
		v := <-verdicts
		if v.err == nil || errors.Is(v.err, mfa.ErrSpent) || errors.Is(v.err, mfa.ErrWrongAnswer) {
			return v.counter, v.err
		}
		failed = append(failed, v.err)
	}
	return 0, fmt.Errorf("no validation server has answered: %w", errors.Join(failed...))
}

type yubicoVerdict struct {
	counter uint32
	err     error
}

func (s YubicoServers) ask(ctx context.Context, server string, key []byte, otp, nonce string) yubicoVerdict {
	answer, err := s.get(ctx, server, url.Values{
		"id": {s.ID}, "otp": {otp}, "nonce": {nonce}, "timestamp": {"1"}, "timeout": {strconv.Itoa(int(yubicoTime.Seconds()))},
	}, key)
	if err != nil {
		return yubicoVerdict{err: err}
	}
	counter, err := judgeYubico(answer, key, otp, nonce)
	return yubicoVerdict{counter, err}
}

// get sends a signed request and reads the lines of its answer. Errors do not repeat the address, which holds the OTP.
func (s YubicoServers) get(ctx context.Context, server string, q url.Values, key []byte) (map[string]string, error) {
	plain := map[string]string{}
	for name := range q {
		plain[name] = q.Get(name)
	}
	q.Set("h", signYubico(plain, key))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"?"+q.Encode(), nil)
	if err != nil {
		return nil, errors.New("the address of a validation server cannot be used")
	}
	client := s.Client
	if client == nil {
		stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the address holds the OTP
		client = &http.Client{Timeout: yubicoTime, CheckRedirect: stay}
	}
	answer, err := client.Do(r)
	if err != nil {
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err
		}
		return nil, fmt.Errorf("asking %s: %w", r.URL.Host, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d", r.URL.Host, answer.StatusCode)
	}
	lines := map[string]string{}
	scan := bufio.NewScanner(io.LimitReader(answer.Body, yubicoAnswer))
	for scan.Scan() {
		if name, value, ok := strings.Cut(strings.TrimSpace(scan.Text()), "="); ok {
			lines[name] = value
		}
	}
	return lines, scan.Err()
}

// signYubico is HMAC-SHA-1 over the sorted parameters but h itself.
func signYubico(q map[string]string, key []byte) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if name != "h" {
			pairs = append(pairs, name+"="+q[name])
		}
	}
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(strings.Join(pairs, "&")))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// judgeYubico checks that an answer is signed and to this question, and reads its verdict.
func judgeYubico(answer map[string]string, key []byte, otp, nonce string) (uint32, error) {
	if subtle.ConstantTimeCompare([]byte(answer["h"]), []byte(signYubico(answer, key))) != 1 {
		return 0, errors.New("the signature of a validation server's answer is wrong")
	}
	switch answer["status"] {
	case "REPLAYED_OTP":
		return 0, mfa.ErrSpent
	case "BAD_OTP":
		return 0, mfa.ErrWrongAnswer
	case "OK":
	default:
		return 0, fmt.Errorf("a validation server says %.40q", answer["status"])
	}
	if answer["otp"] != otp || answer["nonce"] != nonce {
		return 0, errors.New("a validation server has answered another question")
	}
	uses, err := strconv.ParseUint(answer["sessioncounter"], 10, 16)
	if err != nil {
		return 0, errors.New("a validation server's answer has no counter")
	}
	touches, err := strconv.ParseUint(answer["sessionuse"], 10, 8)
	if err != nil {
		return 0, errors.New("a validation server's answer has no counter")
	}
	return uint32(uses)<<8 | uint32(touches), nil
}
