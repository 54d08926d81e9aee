package courier_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/courier"
)

func TestAPassingRefusalIsTriedAgainWithTheSameMessageID(t *testing.T) {
	for _, step := range []string{"mail", "rcpt", "data"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPost(t, newPipes(), nil)
				p.says = func(at string, n int) error {
					if at == step && n < courier.Tries {
						return refusal(451)
					}
					return nil
				}
				took := waited(func() {
					if err := p.courier(t, nil).Carry(t.Context(), message("alice@example.net")); err != nil {
						t.Errorf("Carry = %v, want no error", err)
					}
				})
				if took == 0 || took > 3*time.Second {
					t.Errorf("it took %v, want waits of less than 3 s in all", took)
				}
				ids := map[string]int{}
				for _, l := range p.got() {
					ids[open(t, l.text).Header.Get("Message-Id")]++
				}
				want := 1
				if step == "data" {
					want = courier.Tries
				}
				if len(ids) != 1 || ids["<m-7Qk_2.email@example.com>"] != want || p.mails != courier.Tries {
					t.Errorf("%d tries with the ids %v, want %d with one id", p.mails, ids, courier.Tries)
				}
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, step  string
		code, tries int
	}{
		{"a sender for good", "mail", 550, 1},
		{"a recipient for good", "rcpt", 550, 1},
		{"a text for good", "data", 554, 1},
		{"a sender for now, again and again", "mail", 421, courier.Tries},
		{"a recipient for now, again and again", "rcpt", 450, courier.Tries},
		{"a text for now, again and again", "data", 452, courier.Tries},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPost(t, newPipes(), nil)
				p.says = func(at string, _ int) error {
					if at == c.step {
						return refusal(c.code)
					}
					return nil
				}
				err := p.courier(t, nil).Carry(t.Context(), message("alice@example.net"))
				demandSilence(t, err)
				if err != nil && !strings.Contains(err.Error(), fmt.Sprint(c.code, " ", c.code/100, ".7.1")) {
					t.Errorf("the error is %q, want %d %d.7.1 in it", err, c.code, c.code/100)
				}
				if p.mails != c.tries {
					t.Errorf("%d tries, want %d", p.mails, c.tries)
				}
			})
		})
	}
}

// script is a mail server of a few lines, for what no honest one does. Say gets the number of the connection and a
// line, "" for the greeting, and returns the answer; "" is silence, "bye" a hang-up.
type script struct {
	pipes *pipes
	say   func(conn int, line string) string

	mu    sync.Mutex
	lines []string
	conns []net.Conn
}

func newScript(t *testing.T, say func(conn int, line string) string) *script {
	s := &script{pipes: newPipes(), say: say}
	go func() {
		for {
			c, err := s.pipes.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			n := len(s.conns)
			s.mu.Unlock()
			go s.serve(c, n)
		}
	}()
	t.Cleanup(func() {
		s.pipes.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.conns {
			c.Close()
		}
	})
	return s
}

func (s *script) serve(c net.Conn, n int) {
	defer c.Close()
	r := textproto.NewReader(bufio.NewReader(c))
	for line := ""; ; {
		answer := s.say(n, line)
		if answer == "bye" {
			return
		}
		if answer != "" {
			if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
				return
			}
		}
		var err error
		if strings.HasPrefix(answer, "354") {
			if _, err = r.ReadDotBytes(); err == nil {
				line = "."
				continue
			}
		}
		if line, err = r.ReadLine(); err != nil {
			return
		}
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
	}
}

func (s *script) courier(t *testing.T, change func(*courier.SMTPConfig)) *courier.SMTP {
	return (&post{pipes: s.pipes, address: "127.0.0.1:25"}).courier(t, change)
}

// polite answers as a server does that takes everything.
func polite(line string) string {
	verb, _, _ := strings.Cut(line, " ")
	switch verb {
	case "":
		return "220 mail.example.com"
	case "EHLO":
		return "250-mail.example.com\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME"
	case "DATA":
		return "354 go ahead"
	case "QUIT":
		return "221 bye"
	}
	return "250 fine"
}

func TestAServerThatFallsSilentIsGivenUp(t *testing.T) {
	for _, at := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", ".", "RSET"} {
		t.Run("at "+at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, func(_ int, line string) string {
					if verb, _, _ := strings.Cut(line, " "); verb == at {
						return ""
					}
					return polite(line)
				})
				var err error
				took := waited(func() { err = s.courier(t, nil).Carry(t.Context(), message("alice@example.net")) })
				if took == 0 || took > courier.AllTime {
					t.Errorf("it took %v, want at most %v", took, courier.AllTime)
				}
				if at == "RSET" { // which comes after the server has taken the mail
					if err != nil || len(s.conns) != 1 {
						t.Errorf("Carry = %v on %d connections, want no error and no second mail", err, len(s.conns))
					}
					return
				}
				demandSilence(t, err)
			})
		})
	}
}

func TestWhoeverStopsWaitingWaitsNoLonger(t *testing.T) {
	for _, at := range []string{"", "EHLO", "MAIL", "DATA", "."} {
		t.Run("at "+at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, func(_ int, line string) string {
					if verb, _, _ := strings.Cut(line, " "); verb == at {
						return ""
					}
					return polite(line)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				var err error
				took := waited(func() { err = s.courier(t, nil).Carry(ctx, message("alice@example.net")) })
				if took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Carry = %v after %v, want the end of its context after 1 s", err, took)
				}
			})
		})
	}
}

func TestAServerThatHangsUpInTheMiddleIsAskedAgain(t *testing.T) {
	for _, at := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		t.Run("at "+at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, func(conn int, line string) string {
					if verb, _, _ := strings.Cut(line, " "); verb == at && conn == 1 {
						return "bye"
					}
					return polite(line)
				})
				if err := s.courier(t, nil).Carry(t.Context(), message("alice@example.net")); err != nil {
					t.Errorf("Carry = %v, want no error", err)
				}
				if len(s.conns) != 2 {
					t.Errorf("%d connections, want 2", len(s.conns))
				}
			})
		})
	}
}

// The server has said that it has the mail: whatever comes after that, a second one would be one too many.
func TestAMailThatWasTakenIsNotSentAgain(t *testing.T) {
	for _, farewell := range []string{"bye", "421 4.3.2 going down", "500 5.5.1 what?"} {
		t.Run(farewell, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(t, func(_ int, line string) string {
					if line == "RSET" {
						return farewell
					}
					return polite(line)
				})
				if err := s.courier(t, nil).Carry(t.Context(), message("alice@example.net")); err != nil {
					t.Errorf("Carry = %v, want no error", err)
				}
				if n := len(slices.DeleteFunc(s.lines, func(l string) bool { return l != "DATA" })); n != 1 {
					t.Errorf("%d mails, want 1", n)
				}
			})
		})
	}
}

// Some servers repeat in an answer what they were sent.
func TestErrorsRepeatNothingOfWhatAServerSays(t *testing.T) {
	leak := fmt.Sprintf(" %s 4815 2603 %s AHNpdGUA%s alice@example.net", code, password, password)
	for _, at := range []string{"", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."} {
		for _, number := range []string{"421 4.7.0", "554 5.7.1", "599", "999", "250", "2", "junk"} {
			t.Run(at+" "+number, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newScript(t, func(_ int, line string) string {
						verb, _, _ := strings.Cut(line, " ")
						switch {
						case verb == at, verb == "HELO" && at == "EHLO":
							return number + leak
						case verb == "EHLO":
							return "250-mail.example.com\r\n250 AUTH SCRAM-SHA-256"
						case verb == "AUTH":
							return "235 2.7.0 fine"
						}
						return polite(line)
					})
					sender := s.courier(t, func(c *courier.SMTPConfig) {
						if at == "AUTH" {
							c.Username, c.Password = "site", password
						}
					})
					if err := sender.Carry(t.Context(), message("alice@example.net")); err != nil {
						demandSilence(t, err)
					} else if !strings.HasPrefix(number, "2") {
						t.Error("Carry = nil, want an error")
					}
				})
			})
		}
	}
}

func TestAConnectionIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t, newPipes(), nil)
		s := p.courier(t, nil)
		carry := func(what string, connections int) {
			t.Helper()
			if took := waited(func() {
				if err := s.Carry(t.Context(), message("alice@example.net")); err != nil {
					t.Errorf("Carry %s = %v, want no error", what, err)
				}
			}); took != 0 {
				t.Errorf("Carry %s took %v, want no wait", what, took)
			}
			if all, _ := p.connections(); all != connections {
				t.Errorf("%d connections %s, want %d", all, what, connections)
			}
		}
		carry("at first", 1)
		carry("at once", 1)
		time.Sleep(courier.IdleTime - time.Second)
		carry("after a while", 1)
		p.hangUp()
		carry("after the server has hung up", 2)
		time.Sleep(courier.IdleTime + time.Second)
		synctest.Wait()
		if p.open != 0 {
			t.Errorf("%d connections are open though nobody uses them, want none", p.open)
		}
		carry("after a long while", 3)
		s.Close()
		synctest.Wait()
		if p.open != 0 {
			t.Errorf("%d connections are open after Close, want none", p.open)
		}
		carry("after Close", 4)
		if n := len(p.got()); n != 6 {
			t.Errorf("%d mails, want 6", n)
		}
	})
}

func TestAKeptConnectionThatAnswersNoMoreIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, func(conn int, line string) string {
			if conn == 1 && line == "NOOP" {
				return ""
			}
			return polite(line)
		})
		sender := s.courier(t, nil)
		for range 2 {
			if err := sender.Carry(t.Context(), message("alice@example.net")); err != nil {
				t.Errorf("Carry = %v, want no error", err)
			}
		}
		if len(s.conns) != 2 {
			t.Errorf("%d connections, want 2", len(s.conns))
		}
	})
}

func TestOneMailThatWaitsHoldsNoOtherUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t, newPipes(), nil)
		p.says = func(at string, n int) error {
			if at == "data" && n == 1 {
				time.Sleep(5 * time.Second)
			}
			return nil
		}
		s := p.courier(t, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Carry(t.Context(), message("alice@example.net")); err != nil {
				t.Errorf("the slow Carry = %v, want no error", err)
			}
		})
		synctest.Wait()
		took := waited(func() {
			if err := s.Carry(t.Context(), message("bob@example.net")); err != nil {
				t.Errorf("Carry = %v, want no error", err)
			}
		})
		if took != 0 {
			t.Errorf("it took %v, want no wait for the slow one", took)
		}
		wg.Wait()
	})
}

func TestNoMoreConversationsThanALimitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t, newPipes(), nil)
		p.says = func(at string, _ int) error {
			if at == "data" {
				time.Sleep(time.Second)
			}
			return nil
		}
		s := p.courier(t, nil)
		var wg sync.WaitGroup
		for range 3 * courier.Conversations {
			wg.Go(func() {
				if err := s.Carry(t.Context(), message("alice@example.net")); err != nil {
					t.Errorf("Carry = %v, want no error", err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := s.Carry(ctx, message("bob@example.net")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Carry behind many others = %v, want the end of its context", err)
		}
		wg.Wait()
		if _, most := p.connections(); most != courier.Conversations || len(p.got()) != 3*courier.Conversations {
			t.Errorf("%d mails on at most %d connections, want %d on %d", len(p.got()), most,
				3*courier.Conversations, courier.Conversations)
		}
	})
}
