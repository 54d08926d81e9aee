package courier

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// ownClient returns a client that follows no redirect: what couriers post is for nobody else.
func ownClient(given *http.Client) *http.Client {
	own := http.Client{Timeout: tryTime}
	if given != nil {
		own = *given
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// harmless returns what may be said of an error: nothing that was sent, nothing that a server said, no URL. Each of
// them may hold a secret.
func harmless(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var untrusted *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &untrusted):
		return untrusted
	case errors.As(err, &network):
		return network
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return errors.New("its answer makes no sense")
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// told is what gateways say of a message, or of an error.
type told struct {
	Code      int    `json:"code"`       // of an error
	Status    string `json:"status"`     // of a message; a number in an error
	ErrorCode int    `json:"error_code"` // of a message that was taken and failed
}

// judgeAnswer says whether an HTTP answer means that the message was taken, and what the gateway told of it. Of what
// is told only numbers reach an error.
func judgeAnswer(who string, answer *http.Response) (told, error) {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	var t told
	_ = json.Unmarshal(text, &t) // what is read until a mistake is good enough
	if answer.StatusCode/100 == 2 {
		return t, nil
	}
	err := fmt.Errorf("%s answers %d%s", who, answer.StatusCode, numbered(t.Code))
	switch {
	case answer.StatusCode == http.StatusRequestTimeout, answer.StatusCode == http.StatusTooManyRequests,
		answer.StatusCode >= 500:
		return t, passing{err}
	}
	return t, err
}

// numbered writes the number of an error. A code has more digits.
func numbered(code int) string {
	if code <= 0 || code > 99999 {
		return ""
	}
	return fmt.Sprintf(": error %d", code)
}
