package courier_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/courier"
	"sallyport/mfa"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	alice   = "+447400123456"
)

// taken is what a gateway says of a message that it has taken.
const taken = `{"account_sid": "` + account + `", "sid": "SM1", "status": "queued", "to": "` + alice + `",
	"error_code": null, "error_message": null, "num_segments": "1", "price": null}`

// gateway is a fake of the API of 2010-04-01. It delivers what has one idempotency token once.
type gateway struct {
	pipes *pipes
	http  *http.Client

	// says returns the answer to the n-th request: 0 is that of a gateway that works.
	says func(n int, w http.ResponseWriter, r *http.Request) (status int, body string)

	mu        sync.Mutex
	requests  []*http.Request
	delivered map[string]url.Values
}

func newGateway(t *testing.T, network *pipes) *gateway {
	g := &gateway{pipes: network, delivered: map[string]url.Values{}}
	g.says = func(int, http.ResponseWriter, *http.Request) (int, string) { return 0, "" }
	transport := &http.Transport{DialContext: network.dial}
	g.http = &http.Client{Transport: transport}
	server := &http.Server{Handler: g}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = server.Serve(network) // it ends when the test does
	}()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-over
	})
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	g.requests = append(g.requests, r)
	n := len(g.requests)
	g.mu.Unlock()
	status, body := g.says(n, w, r)
	if status == 0 || status/100 == 2 {
		g.mu.Lock()
		g.delivered[r.Header.Get("I-Twilio-Idempotency-Token")] = r.PostForm
		g.mu.Unlock()
	}
	if status == 0 {
		status, body = http.StatusCreated, taken
	}
	if user, given, ok := r.BasicAuth(); !ok || user != account || given != token {
		status, body = http.StatusUnauthorized, `{"code": 20003, "message": "Authenticate", "status": 401}`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func (g *gateway) config() courier.GatewayConfig {
	return courier.GatewayConfig{
		BaseURL: "http://localhost", Account: account, Token: token, From: "+15005550006", Client: g.http, Region: "GB",
	}
}

func (g *gateway) sms(t *testing.T) *courier.SMS {
	t.Helper()
	s, err := courier.NewSMS(g.config())
	if err != nil {
		t.Fatalf("NewSMS = %v, want no error", err)
	}
	return s
}

// inBubble runs a test with a gateway in time that is not real.
func inBubble(t *testing.T, story func(t *testing.T, g *gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { story(t, newGateway(t, newPipes())) })
}

func TestAnSMSIsAskedForAsTheGatewayWantsIt(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		m := message(alice)
		if err := g.sms(t).Carry(t.Context(), m); err != nil {
			t.Fatalf("Carry = %v, want no error", err)
		}
		r := g.requests[0]
		if r.Method != "POST" || r.URL.Path != "/2010-04-01/Accounts/"+account+"/Messages.json" || r.URL.RawQuery != "" {
			t.Errorf("the request is %s %s, want POST …/Messages.json", r.Method, r.URL)
		}
		want := url.Values{"To": {alice}, "From": {"+15005550006"}, "Body": {m.Short}}
		if got := g.delivered[m.ID]; got.Encode() != want.Encode() {
			t.Errorf("the form is %v, want %v", got, want)
		}
		c := g.config()
		c.From = "MG0123456789"
		service, err := courier.NewSMS(c)
		if err != nil {
			t.Fatal(err)
		}
		m.ID, m.Short = "m-2", ""
		if err := service.Carry(t.Context(), m); err != nil {
			t.Fatalf("Carry = %v, want no error", err)
		}
		want = url.Values{"To": {alice}, "MessagingServiceSid": {"MG0123456789"}, "Body": {m.Text}}
		if got := g.delivered["m-2"]; got.Encode() != want.Encode() {
			t.Errorf("the form is %v, want %v", got, want)
		}
	})
}

func TestACallReadsTheCodeTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		v, err := courier.NewVoice(g.config())
		if err != nil {
			t.Fatal(err)
		}
		m := message(alice)
		m.Language = `en-GB"><Dial>+15005550006</Dial><Say`
		m.Spoken = "Tom & Jerry </Say><Hangup/> 4. 8."
		if err := v.Carry(t.Context(), m); err != nil {
			t.Fatalf("Carry = %v, want no error", err)
		}
		if path := g.requests[0].URL.Path; path != "/2010-04-01/Accounts/"+account+"/Calls.json" {
			t.Errorf("the path is %s, want …/Calls.json", path)
		}
		form := g.delivered[m.ID]
		if form.Get("To") != alice || form.Get("From") != "+15005550006" || len(form) != 3 {
			t.Errorf("the form is %v, want To, From and Twiml", form)
		}
		var script struct {
			XMLName xml.Name `xml:"Response"`
			Parts   []struct {
				XMLName  xml.Name
				Language string `xml:"language,attr"`
				Text     string `xml:",chardata"`
			} `xml:",any"`
		}
		if err := xml.Unmarshal([]byte(form.Get("Twiml")), &script); err != nil {
			t.Fatalf("the script is no XML: %v\n%s", err, form.Get("Twiml"))
		}
		var said []string
		for _, part := range script.Parts {
			said = append(said, part.XMLName.Local)
			if part.XMLName.Local == "Say" && (part.Text != m.Spoken || part.Language != m.Language) {
				t.Errorf("it says %q in %q, want %q in %q", part.Text, part.Language, m.Spoken, m.Language)
			}
		}
		if want := []string{"Pause", "Say", "Pause", "Say"}; !slices.Equal(said, want) {
			t.Errorf("the script is %v, want %v", said, want)
		}
	})
}

func TestAGatewayThatFailsForNowIsAskedAgainWithTheSameToken(t *testing.T) {
	for name, says := range map[string]func(w http.ResponseWriter, r *http.Request) (int, string){
		"too many requests": func(http.ResponseWriter, *http.Request) (int, string) {
			return 429, `{"code": 20429, "message": "Too Many Requests", "status": 429}`
		},
		"out of order":      func(http.ResponseWriter, *http.Request) (int, string) { return 503, "<html>down</html>" },
		"a time-out of its": func(http.ResponseWriter, *http.Request) (int, string) { return 408, "" },
		"a broken answer":   func(http.ResponseWriter, *http.Request) (int, string) { panic(http.ErrAbortHandler) },
		"silence for a time": func(_ http.ResponseWriter, r *http.Request) (int, string) {
			<-r.Context().Done()
			return 500, ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, g *gateway) {
				g.says = func(n int, w http.ResponseWriter, r *http.Request) (int, string) {
					if n == courier.Tries {
						return 0, ""
					}
					return says(w, r)
				}
				if err := g.sms(t).Carry(t.Context(), message(alice)); err != nil {
					t.Errorf("Carry = %v, want no error", err)
				}
				tokens := map[string]int{}
				for _, r := range g.requests {
					tokens[r.Header.Get("I-Twilio-Idempotency-Token")]++
				}
				if len(tokens) != 1 || tokens["m-7Qk_2.email"] != courier.Tries || len(g.delivered) != 1 {
					t.Errorf("the tokens are %v, want %d times the message's id", tokens, courier.Tries)
				}
			})
		})
	}
}

// It takes the message, and its answer is lost: the second request must be known as the first one.
func TestAnAnswerThatIsLostDeliversNothingTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		g.says = func(n int, w http.ResponseWriter, _ *http.Request) (int, string) {
			if n == 1 {
				g.mu.Lock()
				g.delivered["m-7Qk_2.email"] = nil
				g.mu.Unlock()
				panic(http.ErrAbortHandler)
			}
			return 0, ""
		}
		if err := g.sms(t).Carry(t.Context(), message(alice)); err != nil {
			t.Errorf("Carry = %v, want no error", err)
		}
		if len(g.requests) != 2 || len(g.delivered) != 1 {
			t.Errorf("%d requests and %d messages, want 2 and 1", len(g.requests), len(g.delivered))
		}
	})
}

// The status has come: whatever keeps the rest, the message was taken.
func TestAnAnswerThatDripsIsGoodFromItsStatusOn(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		g.says = func(_ int, w http.ResponseWriter, r *http.Request) (int, string) {
			w.WriteHeader(http.StatusCreated)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return 0, ""
		}
		if err := g.sms(t).Carry(t.Context(), message(alice)); err != nil {
			t.Errorf("Carry = %v, want no error", err)
		}
		if len(g.requests) != 1 {
			t.Errorf("%d requests, want one", len(g.requests))
		}
	})
}

func TestWhatAGatewayRefusesIsNotTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"an impossible number", 400, `{"code": 21211, "message": "The number is not valid"}`, "400: error 21211"},
		{"a page that is not there", 404, "not found", "404"},
		{"a redirect", 307, "", "307"},
		{"a message that failed at once", 201, `{"sid": "SM1", "status": "failed", "error_code": 30006}`, "error 30006"},
		{"an error without a number", 400, `{"message": "` + code + `"}`, "400"},
		{"an error whose number is the code", 400, `{"code": ` + code + `, "message": "` + code + `"}`, "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, g *gateway) {
				g.says = func(_ int, w http.ResponseWriter, _ *http.Request) (int, string) {
					w.Header().Set("Location", "/elsewhere?"+token)
					return c.status, c.body
				}
				err := g.sms(t).Carry(t.Context(), message(alice))
				demandSilence(t, err, alice, account)
				if err != nil && !strings.HasSuffix(err.Error(), c.want) {
					t.Errorf("the error is %q, want %s at its end", err, c.want)
				}
				if len(g.requests) != 1 {
					t.Errorf("%d requests, want one", len(g.requests))
				}
			})
		})
	}
}

func TestWrongCredentialsAreTriedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		c := g.config()
		c.Token = "wrong-" + token
		s, err := courier.NewSMS(c)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Carry(t.Context(), message(alice))
		demandSilence(t, err)
		if err != nil && !strings.Contains(err.Error(), "401: error 20003") {
			t.Errorf("the error is %q, want 401: error 20003 in it", err)
		}
		if len(g.requests) != 1 {
			t.Errorf("%d requests, want one", len(g.requests))
		}
	})
}

func TestAGatewayThatIsSilentOrDownIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, g *gateway) {
		g.says = func(_ int, _ http.ResponseWriter, r *http.Request) (int, string) {
			<-r.Context().Done()
			return 500, ""
		}
		var err error
		took := waited(func() { err = g.sms(t).Carry(t.Context(), message(alice)) })
		demandSilence(t, err, alice, account)
		if took == 0 || took > courier.AllTime {
			t.Errorf("it took %v, want at most %v", took, courier.AllTime)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		took = waited(func() { err = g.sms(t).Carry(ctx, message(alice)) })
		if took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Carry = %v after %v, want the end of its context after 1 s", err, took)
		}
		g.pipes.Close()
		g.http.CloseIdleConnections()
		took = waited(func() { err = g.sms(t).Carry(t.Context(), message(alice)) })
		demandSilence(t, err, alice, account)
		if took > 3*time.Second {
			t.Errorf("it took %v to give up a gateway that is down, want less than 3 s", took)
		}
	})
}

// Something answers that is no gateway and repeats what it got.
func TestErrorsRepeatNothingOfWhatAGatewaySays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newPipes()
		defer network.Close()
		go func() {
			for {
				c, err := network.Accept()
				if err != nil {
					return
				}
				go echo(c)
			}
		}()
		transport := &http.Transport{DialContext: network.dial}
		defer transport.CloseIdleConnections()
		g := &gateway{http: &http.Client{Transport: transport}}
		demandSilence(t, g.sms(t).Carry(t.Context(), message(alice)), alice, account)
	})
}

func echo(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		return
	}
	fmt.Fprintf(c, "%s %s\r\n%s", code, token, b[:n])
}

func TestACourierPostsToNobodyElse(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	c := (&gateway{}).config()
	c.BaseURL, c.Client = first.URL, nil
	s, err := courier.NewSMS(c)
	if err != nil {
		t.Fatal(err)
	}
	h, err := courier.NewWebhook(courier.WebhookConfig{Name: "chat", URL: first.URL, Secret: specSecret})
	if err != nil {
		t.Fatal(err)
	}
	demandSilence(t, s.Carry(t.Context(), message(alice)))
	demandSilence(t, h.Carry(t.Context(), message("alice@example.net")))
	if elsewhere != 0 {
		t.Errorf("another server got %d requests, want none", elsewhere)
	}
}

func TestNewSMSNamesAllMistakesAtOnce(t *testing.T) {
	_, err := courier.NewSMS(courier.GatewayConfig{
		BaseURL: "http://u:" + password + "@gateway.example.com", Account: "../evil",
		Region: "ZZ", Countries: []string{"GB", "England"},
	})
	if err == nil {
		t.Fatal("NewSMS = nil, want an error")
	}
	for _, want := range []string{"BaseURL", "Account", "Token", "From", `"ZZ"`, `"England"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("NewSMS = %v, want %s in it", err, want)
		}
	}
	demandSilence(t, err)
	if _, err := courier.NewVoice(courier.GatewayConfig{
		Account: account, Token: token, From: "+15005550006", Countries: []string{},
	}); err == nil {
		t.Error("NewVoice with a list of no countries = nil, want an error")
	}
}

func TestFunctionsAndTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := errors.New("the function does not work")
		var got mfa.Message
		carry := func(ctx context.Context, m mfa.Message) error {
			got = m
			<-ctx.Done()
			return fails
		}
		f, p := courier.NewFunc("pigeon", carry), courier.NewPhoneFunc("fax", "gb", []string{"gb"}, carry)
		for _, c := range []mfa.Courier{f, p} {
			got = mfa.Message{}
			took := waited(func() {
				if err := c.Carry(t.Context(), message("x")); !errors.Is(err, fails) {
					t.Errorf("Carry by %s = %v, want the error of the function", c.Name(), err)
				}
			})
			if got.ID != "m-7Qk_2.email" || took != courier.AllTime {
				t.Errorf("the function got %q and %v, want the message and %v", got.ID, took, courier.AllTime)
			}
		}
		if f.Name() != "pigeon" || p.Name() != "fax" {
			t.Errorf("the names are %s and %s, want pigeon and fax", f.Name(), p.Name())
		}
		if address, ok := p.Canonical("07400 123456"); !ok || address != alice {
			t.Errorf("Canonical = %q, %v, want %s", address, ok, alice)
		}
	})
	for name, construct := range map[string]func(){
		"a function without a name": func() { courier.NewFunc("", func(context.Context, mfa.Message) error { return nil }) },
		"no function":               func() { courier.NewFunc("pigeon", nil) },
		"no function for phones":    func() { courier.NewPhoneFunc("fax", "", nil, nil) },
		"a country that there isn't": func() {
			courier.NewPhoneFunc("fax", "Utopia", nil, func(context.Context, mfa.Message) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it does not panic, want a panic")
				}
			}()
			construct()
		})
	}
}

func TestTheTerminalShowsWhatItGetsAndNothingElse(t *testing.T) {
	var out strings.Builder
	term := courier.NewTerminal(&out)
	m := message("alice@example.net")
	m.Subject, m.Text = "Hi\n--- to bob@example.org: \x1b[2J", "\x1b]0;title\x07Code\u202e 4815 2603"
	if err := term.Carry(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	want := "--- to alice@example.net: Hi --- to bob@example.org: [2J\n]0;titleCode 4815 2603\n---\n"
	if out.String() != want || term.Name() != "terminal" {
		t.Errorf("the %s shows %q, want %q", term.Name(), out.String(), want)
	}
	err := courier.NewTerminal(deaf{}).Carry(t.Context(), m)
	demandSilence(t, err)
}

// deaf is a screen that is off.
type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
