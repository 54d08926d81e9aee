package courier_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/courier"
)

// The example of the Standard Webhooks specification.
const (
	specSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	specID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	specTimestamp = "1614265330"
	specBody      = `{"test": 2432232314}`
	specSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

// receive checks a request as the specification tells receivers to.
func receive(secret string, h http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	id, at := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return errors.New("the timestamp is too far away")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(bytes.Join([][]byte{[]byte(id), []byte(at), body}, []byte(".")))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(h.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return nil
		}
	}
	return errors.New("no signature fits")
}

// The receiver of these tests accepts the example of the specification and nothing near it.
func TestTheReceiverOfTheseTestsFollowsTheSpecification(t *testing.T) {
	h := http.Header{}
	h.Set("webhook-id", specID)
	h.Set("webhook-timestamp", specTimestamp)
	h.Set("webhook-signature", specSignature)
	now := time.Unix(1614265330, 0)
	if err := receive(specSecret, h, []byte(specBody), now); err != nil {
		t.Errorf("the example of the specification = %v, want no error", err)
	}
	if err := receive(specSecret, h, []byte(specBody+" "), now); err == nil {
		t.Error("another body = nil, want an error")
	}
	if err := receive(specSecret, h, []byte(specBody), now.Add(6*time.Minute)); err == nil {
		t.Error("a replay after 6 minutes = nil, want an error")
	}
}

// hook is a service that takes messages.
type hook struct {
	pipes *pipes
	http  *http.Client
	says  func(n int) int
	heads []http.Header
	texts [][]byte
}

func newHook(t *testing.T) *hook {
	h := &hook{pipes: newPipes(), says: func(int) int { return http.StatusOK }}
	server := &http.Server{Handler: h}
	transport := &http.Transport{DialContext: h.pipes.dial}
	h.http = &http.Client{Transport: transport}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = server.Serve(h.pipes) // it ends when the test does
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-over
	})
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.heads, h.texts = append(h.heads, r.Header), append(h.texts, body)
	w.WriteHeader(h.says(len(h.heads)))
	io.WriteString(w, `{"code": 12345, "status": "failed", "echo": `+strconv.Quote(string(body))+`}`)
}

func (h *hook) courier(t *testing.T) *courier.Webhook {
	t.Helper()
	w, err := courier.NewWebhook(courier.WebhookConfig{
		Name: "chat", URL: "http://localhost/in?key=" + token, Secret: specSecret, Client: h.http,
	})
	if err != nil {
		t.Fatalf("NewWebhook = %v, want no error", err)
	}
	return w
}

func TestAWebhookIsSignedAndTellsTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t)
		m := message("alice@example.net")
		m.Expires = time.Now().Add(10 * time.Minute)
		if err := h.courier(t).Carry(t.Context(), m); err != nil {
			t.Fatalf("Carry = %v, want no error", err)
		}
		if err := receive(specSecret, h.heads[0], h.texts[0], time.Now()); err != nil {
			t.Errorf("the receiver says %v, want no error", err)
		}
		if h.heads[0].Get("webhook-id") != m.ID || h.heads[0].Get("Content-Type") != "application/json" {
			t.Errorf("the headers are %v, want the id of the message and JSON", h.heads[0])
		}
		var got struct {
			Type      string
			Timestamp time.Time
			Data      map[string]string
		}
		if err := json.Unmarshal(h.texts[0], &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"to": m.To, "user": "alice", "purpose": "verify", "subject": m.Subject,
			"text": m.Text, "html": m.HTML, "short": m.Short,
			"spoken": m.Spoken, "language": "en", "code": code, "expires": m.Expires.UTC().Format(time.RFC3339Nano),
		}
		for name, value := range want {
			if got.Data[name] != value {
				t.Errorf("%s is %q, want %q", name, got.Data[name], value)
			}
		}
		if len(got.Data) != len(want) || got.Type != "sallyport.message" || !got.Timestamp.Equal(time.Now()) {
			t.Errorf("the message is %+v, want %d fields of a sallyport.message of now", got, len(want))
		}
	})
}

// A second try keeps the id, by which a receiver knows a replay, and has a time and a signature of its own.
func TestAWebhookIsTriedAgainWithTheSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t)
		h.says = func(n int) int {
			if n < courier.Tries {
				time.Sleep(6 * time.Second)
				return http.StatusBadGateway
			}
			return http.StatusAccepted
		}
		if err := h.courier(t).Carry(t.Context(), message("alice@example.net")); err != nil {
			t.Fatalf("Carry = %v, want no error", err)
		}
		var at []string
		for i, head := range h.heads {
			if err := receive(specSecret, head, h.texts[i], time.Now()); err != nil {
				t.Errorf("the receiver of try %d says %v, want no error", i+1, err)
			}
			if head.Get("webhook-id") != "m-7Qk_2.email" {
				t.Errorf("the id of try %d is %q, want that of the message", i+1, head.Get("webhook-id"))
			}
			at = append(at, head.Get("webhook-timestamp"))
		}
		if len(at) != courier.Tries || len(slices.Compact(at)) != courier.Tries {
			t.Errorf("the timestamps are %v, want %d different ones", at, courier.Tries)
		}
	})
}

func TestWhatAWebhookRefusesIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook(t)
		for i, status := range []int{http.StatusBadRequest, http.StatusGone, http.StatusFound} {
			h.says = func(int) int { return status }
			demandSilence(t, h.courier(t).Carry(t.Context(), message("alice@example.net")), specSecret, specSecret[6:])
			if len(h.heads) != i+1 {
				t.Errorf("%d requests after %d, want one more", len(h.heads), status)
			}
		}
		h.pipes.Close()
		h.http.CloseIdleConnections()
		demandSilence(t, h.courier(t).Carry(t.Context(), message("alice@example.net")), specSecret, specSecret[6:])
	})
}

func TestNewWebhookNamesAllMistakesAtOnce(t *testing.T) {
	_, err := courier.NewWebhook(courier.WebhookConfig{URL: "http://example.com/?" + token, Secret: password})
	if err == nil {
		t.Fatal("NewWebhook = nil, want an error")
	}
	for _, want := range []string{"Name", "URL", "Secret"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("NewWebhook = %v, want %s in it", err, want)
		}
	}
	demandSilence(t, err)
	for name, secret := range map[string]string{
		"a short secret":           "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)),
		"a long secret":            "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)),
		"a secret without its tag": specSecret[6:],
		"a secret of no base64":    "whsec_" + strings.Repeat("?", 32),
	} {
		c := courier.WebhookConfig{Name: "chat", URL: "https://example.com", Secret: secret}
		if _, err := courier.NewWebhook(c); err == nil {
			t.Errorf("NewWebhook with %s = nil, want an error", name)
		}
	}
}
