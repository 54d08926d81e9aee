package demo_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/cmd/sallyport/internal/demo"
)

func TestTheFirstLineIsTheAddressAndThenWhatToTry(t *testing.T) {
	data := t.TempDir()
	n := start(t, demo.Options{Data: data})
	if !regexp.MustCompile(`^http://localhost:[1-9][0-9]*$`).MatchString(n.url) {
		t.Errorf("the first line names %q, want http://localhost:PORT", n.url)
	}
	for _, want := range []string{
		"the data is in " + data + "\n", "sign in as alice", n.url + "/vault", n.url + "/outbox",
	} {
		if !strings.Contains(n.welcome, want) {
			t.Errorf("the welcome does not say %q:\n%s", want, n.welcome)
		}
	}
	b := n.signedIn("alice")
	for _, at := range regexp.MustCompile(regexp.QuoteMeta(n.url)+`(/[^\s:]*)`).FindAllStringSubmatch(n.welcome, -1) {
		if a := b.get(at[1]); a.status != http.StatusOK && a.status != http.StatusSeeOther {
			t.Errorf("the welcome leads to %s, which is %d", at[1], a.status)
		}
	}
}

func TestWithoutAFolderTheDataIsInTheCacheDirectory(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopAtFirstWrite{stop: cancel}
	if err := demo.Run(ctx, demo.Options{Addr: "localhost:0"}, out); err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	data := filepath.Join(cache, "sallyport", "demo")
	if !strings.Contains(out.text, "the data is in "+data+"\n") {
		t.Errorf("the demo does not name %s:\n%s", data, out.text)
	}
	for _, name := range []string{"demo.db", "sallyport.keys"} {
		if _, err := os.Stat(filepath.Join(data, name)); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the new folder has mode %v, %v, want it closed to others", info.Mode(), err)
	}
}

// stopAtFirstWrite stops a demo as soon as it is ready.
type stopAtFirstWrite struct {
	stop context.CancelFunc
	text string
}

func (s *stopAtFirstWrite) Write(p []byte) (int, error) {
	s.text += string(p)
	s.stop()
	return len(p), nil
}

func TestTheOriginIsSaidWhereItIsAnother(t *testing.T) {
	n := start(t, demo.Options{Origin: "https://demo.example.com"})
	if !strings.Contains(n.welcome, "browsers reach it at https://demo.example.com\n") {
		t.Errorf("the welcome does not name the origin:\n%s", n.welcome)
	}
	a := n.browser().post("/login", form("alice", "demo", ""))
	if cookie := a.header.Get("Set-Cookie"); !strings.Contains(cookie, "; Secure") {
		t.Errorf("behind https the session cookie is %q, want it Secure", cookie)
	}
}

func TestADemoThatIsStoppedEndsWithoutAnError(t *testing.T) {
	t.Run("before it has started", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := demo.Run(ctx, demo.Options{Addr: "localhost:0", Data: t.TempDir()}, io.Discard); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	t.Run("while browsers keep connections open", func(t *testing.T) {
		n := start(t, demo.Options{})
		n.signedIn("alice").get("/account")
		n.stop()
		if _, err := net.DialTimeout("tcp", strings.TrimPrefix(n.url, "http://"), time.Second); err == nil {
			t.Error("something still listens there")
		}
	})
}

// The address of the site and all that is in the folder are the same after the restart, so a browser notices nothing.
func TestARestartKeepsEverything(t *testing.T) {
	o := demo.Options{Data: t.TempDir(), Origin: "http://localhost:8080"}
	n := start(t, o)
	b := n.signedIn("alice")
	b.enroll("old phone")
	other := n.signedIn("alice")
	other.secret = b.secret
	used := other.code(1)
	if status := other.prove(used); status != http.StatusOK {
		t.Fatalf("a code = %d, want 200", status)
	}
	mails := b.get("/outbox", asJSON).body
	n.stop()

	again := start(t, o)
	b, other = b.at(again), other.at(again)
	if !b.isIn("vault", "alice") || !other.isIn("vault", "alice") {
		t.Error("what was proved before the restart is asked for again")
	}
	if got := b.get("/outbox", asJSON).body; got != mails {
		t.Errorf("the outbox holds %s, want %s", got, mails)
	}
	third := again.signedIn("alice")
	third.secret = b.secret
	if third.isIn("account", "alice") {
		t.Error("the factor is forgotten")
	}
	if status := third.prove(used); status != http.StatusUnprocessableEntity {
		t.Errorf("REPLAY-1: the code that was used before the restart = %d, want 422", status)
	}
}

func TestLostKeysAreSaidAtTheStart(t *testing.T) {
	data := t.TempDir()
	n := start(t, demo.Options{Data: data})
	n.signedIn("alice").enroll("phone")
	n.stop()
	if err := os.Remove(filepath.Join(data, "sallyport.keys")); err != nil {
		t.Fatal(err)
	}
	err := demo.Run(t.Context(), demo.Options{Addr: "localhost:0", Data: data}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("Run without the keys of the database = %v, want an error that says so", err)
	}
}
