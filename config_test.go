package sallyport_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// soundConfig is a configuration without mistakes.
func soundConfig(t testing.TB) sallyport.Config {
	return sallyport.Config{
		Origin: "https://example.com", Store: mfa.NewMemory(), Keys: someKeys(t),
		User: func(*http.Request) (mfa.User, error) { return mfa.User{}, nil },
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// mistakesOf returns the lines that New reports, without the headline.
func mistakesOf(t *testing.T, c sallyport.Config) []string {
	t.Helper()
	g, err := sallyport.New(c)
	if err == nil {
		return nil
	}
	var mistakes *sallyport.ConfigError
	if !errors.As(err, &mistakes) {
		t.Fatalf("New = %T, want a *ConfigError", err)
	}
	if g != nil {
		t.Error("New returned a Guard beside the mistakes")
	}
	lines := strings.Split(err.Error(), "\n")
	if lines[0] != "sallyport: the configuration has mistakes:" {
		t.Errorf("headline = %q", lines[0])
	}
	return lines[1:]
}

func TestNewNamesFieldFindingAndRemedy(t *testing.T) {
	withOrigin := func(origin string) func(*sallyport.Config) {
		return func(c *sallyport.Config) { c.Origin = origin }
	}
	withKeys := func(keys []mfa.Key, err error) func(*sallyport.Config) {
		return func(c *sallyport.Config) { c.Keys = func() ([]mfa.Key, error) { return keys, err } }
	}
	withOpen := func(pattern string) func(*sallyport.Config) {
		return func(c *sallyport.Config) { c.Open = []string{pattern} }
	}
	withMethods := func(methods ...mfa.Method) func(*sallyport.Config) {
		return func(c *sallyport.Config) { c.Methods = methods }
	}
	good := make([]byte, mfa.KeySize)
	good[0] = 1
	for _, c := range []struct {
		name   string
		breaks func(*sallyport.Config)
		want   []string // what the one line must hold
	}{
		{"no origin", withOrigin(""), []string{"Origin is empty", `"https://example.com"`}},
		{"an origin with a path", withOrigin("https://example.com/app"),
			[]string{`Origin is "https://example.com/app"`, `"https://example.com"`}},
		{"an origin with a slash at its end", withOrigin("https://example.com/"),
			[]string{"Origin", `: "https://example.com"`}},
		{"an origin with a query", withOrigin("https://example.com?x=1"), []string{"Origin", `: "https://example.com"`}},
		{"an origin with a fragment", withOrigin("https://example.com#x"), []string{"Origin", `: "https://example.com"`}},
		{"an origin with a user", withOrigin("https://me:secret@example.com"), []string{"Origin", `: "https://example.com"`}},
		{"an origin in upper case", withOrigin("https://Example.COM"), []string{"lower case", `: "https://example.com"`}},
		{"a scheme in upper case", withOrigin("HTTPS://example.com"), []string{"lower case", `: "https://example.com"`}},
		{"the default port of https", withOrigin("https://example.com:443"),
			[]string{"default port", `: "https://example.com"`}},
		{"the default port of http", withOrigin("http://localhost:80"), []string{"default port", `: "http://localhost"`}},
		{"a port with a zero before it", withOrigin("https://example.com:08443"), []string{"Origin", "1 to 65535"}},
		{"the default port with a zero before it", withOrigin("https://example.com:0443"), []string{"Origin", "1 to 65535"}},
		{"a port that is none", withOrigin("https://example.com:70000"), []string{"Origin", "1 to 65535"}},
		{"port zero", withOrigin("https://example.com:0"), []string{"Origin", "1 to 65535"}},
		{"a colon without a port", withOrigin("https://example.com:"), []string{"Origin", `: "https://example.com"`}},
		{"plain http elsewhere", withOrigin("http://example.com"), []string{"localhost only", `"https://example.com"`}},
		{"plain http on an address", withOrigin("http://127.0.0.1:8080"),
			[]string{"localhost only", `"https://127.0.0.1:8080"`}},
		{"plain http on what only looks local", withOrigin("http://localhost.example.com"), []string{"localhost only"}},
		{"localhost in upper case", withOrigin("http://LOCALHOST:8080"), []string{"lower case", `"http://localhost:8080"`}},
		{"a name in another script", withOrigin("https://bücher.example"), []string{"ASCII form", "xn--"}},
		{"a percent-encoded name", withOrigin("https://b%C3%BCcher.example"), []string{"Origin is"}},
		{"a pattern for a host", withOrigin("https://*.example.com"), []string{"ASCII form"}},
		{"a host without a scheme", withOrigin("example.com"), []string{`Origin is "example.com"`, "scheme and host"}},
		{"a scheme without a host", withOrigin("https://"), []string{"Origin", "scheme and host"}},
		{"another scheme", withOrigin("ftp://example.com"), []string{"Origin", "scheme and host"}},
		{"the origin null", withOrigin("null"), []string{`Origin is "null"`, "scheme and host"}},
		{"two origins", withOrigin("https://a.example https://b.example"), []string{"Origin is"}},

		{"no store", func(c *sallyport.Config) { c.Store = nil }, []string{"Store is nil", "sqlstore"}},
		{"no user function", func(c *sallyport.Config) { c.User = nil }, []string{"User is nil", "signed in"}},

		{"no keys", func(c *sallyport.Config) { c.Keys = nil }, []string{"Keys is nil", "KeyFile("}},
		{"keys that cannot be fetched", withKeys(nil, errors.New("the vault is sealed")),
			[]string{"Keys: the vault is sealed"}},
		{"a key function that panics", func(c *sallyport.Config) {
			c.Keys = func() ([]mfa.Key, error) { panic("hunter2") }
		}, []string{"Keys panicked"}},
		{"an empty ring", withKeys(nil, nil), []string{"Keys: ", "at least one key"}},
		{"a key of zeros", withKeys([]mfa.Key{{ID: "k", Secret: make([]byte, mfa.KeySize)}}, nil),
			[]string{"Keys: ", `"k"`, "not random"}},
		{"a key that is too short", withKeys([]mfa.Key{{ID: "k", Secret: good[:16]}}, nil),
			[]string{"Keys: ", "16 bytes, not 32"}},
		{"a key without an id", withKeys([]mfa.Key{{Secret: good}}, nil), []string{"Keys: ", "id"}},
		{"two keys of one id", withKeys([]mfa.Key{{ID: "k", Secret: good}, {ID: "k", Secret: good}}, nil),
			[]string{"Keys: ", `"k" is there twice`}},

		{"a path without slashes", func(c *sallyport.Config) { c.Path = "mfa" }, []string{`Path is "mfa"`, `"/mfa/"`}},
		{"a path without a slash at its end", func(c *sallyport.Config) { c.Path = "/mfa" },
			[]string{`Path is "/mfa"`, "both ends"}},
		{"the whole site as path", func(c *sallyport.Config) { c.Path = "/" }, []string{`Path is "/"`, "both ends"}},
		{"a path with dots", func(c *sallyport.Config) { c.Path = "/a/../mfa/" }, []string{"Path is", "single slashes"}},
		{"a path with two slashes", func(c *sallyport.Config) { c.Path = "/a//mfa/" }, []string{"Path is", "single slashes"}},
		{"a path with a wildcard", func(c *sallyport.Config) { c.Path = "/{tenant}/mfa/" },
			[]string{"Path is", "plain letters"}},
		{"a path with a percent sign", func(c *sallyport.Config) { c.Path = "/m%66a/" },
			[]string{"Path is", "plain letters"}},
		{"a path with a space", func(c *sallyport.Config) { c.Path = "/my mfa/" }, []string{"Path is", "plain letters"}},
		{"a path with a quote", func(c *sallyport.Config) { c.Path = `/m"fa/` }, []string{"Path is", "plain letters"}},

		{"a sign-in page elsewhere", func(c *sallyport.Config) { c.Login = "https://id.example/login" },
			[]string{"Login is", `"/login"`}},
		{"a sign-in page without a slash", func(c *sallyport.Config) { c.Login = "login" }, []string{"Login is", `"/login"`}},
		{"a sign-in page that names a host", func(c *sallyport.Config) { c.Login = "//id.example" },
			[]string{"Login is", `"/login"`}},
		{"a sign-in page with a query", func(c *sallyport.Config) { c.Login = "/login?a=b" },
			[]string{"Login is", `"/login"`}},
		{"a sign-in page under our path", func(c *sallyport.Config) { c.Login = "/mfa/login" },
			[]string{"Login is", "under Path"}},
		{"our path as the sign-in page", func(c *sallyport.Config) { c.Login = "/mfa" }, []string{"Login is", "under Path"}},

		{"support that is a script", func(c *sallyport.Config) { c.Support = "javascript:alert(1)" },
			[]string{"Support is", "mailto"}},
		{"support over plain http", func(c *sallyport.Config) { c.Support = "http://help.example" },
			[]string{"Support is", "https"}},
		{"support on another host without a scheme", func(c *sallyport.Config) { c.Support = "//help.example" },
			[]string{"Support is", "https"}},
		{"support that is a phone number", func(c *sallyport.Config) { c.Support = "0800 123" },
			[]string{"Support is", "mailto"}},

		{"a name of two lines", func(c *sallyport.Config) { c.Name = "Example\nBcc: all" },
			[]string{"Name is", "without line breaks"}},
		{"a name that is no text", func(c *sallyport.Config) { c.Name = "\xff" }, []string{"Name is"}},
		{"a name that is too long", func(c *sallyport.Config) { c.Name = strings.Repeat("é", 101) },
			[]string{"Name is", "at most 100"}},

		{"an open pattern for everything", withOpen("/"), []string{`Open: "/"`, "whole site"}},
		{"an open pattern for everything but a method", withOpen("GET /"), []string{"Open", "whole site"}},
		{"an open wildcard for everything", withOpen("/{rest...}"), []string{"Open", "whole site"}},
		{"an open host", withOpen("example.com/public/"), []string{"Open", "opens nothing"}},
		{"an empty open pattern", withOpen(""), []string{"Open", `""`}},
		{"an open pattern without a slash", withOpen("public"), []string{"Open", `"public"`}},
		{"an open pattern with a broken wildcard", withOpen("/public/{"), []string{"Open", `"/public/{"`}},
		{"an open pattern with a broken method", withOpen("GE T /public/"), []string{"Open", `"GE T /public/"`}},
		{"one open pattern twice", func(c *sallyport.Config) { c.Open = []string{"/a", "/a"} },
			[]string{`Open: "/a" is there twice`}},
		{"open patterns that overlap", func(c *sallyport.Config) {
			c.Open = []string{"/a/{x}/c", "/a/b/{y}"}
		}, []string{`Open: "/a/b/{y}"`, "conflicts"}},

		{"a method that is nil", withMethods(mfa.Recovery{}, nil), []string{"number 2 is nil", "leave it out"}},
		{"a method that is a nil pointer", withMethods(mfa.Recovery{}, (*nilMethod)(nil)),
			[]string{"number 2 is a nil *sallyport_test.nilMethod"}},
		{"a method twice", withMethods(mfa.Recovery{}, mfa.Recovery{}), []string{`"recovery" is there twice`}},
		{"no methods", withMethods([]mfa.Method{}...), []string{"Methods is empty"}},
		{"a method whose name is a path", withMethods(namedMethod("a/b")),
			[]string{"number 1", `"a/b"`, "lower-case letters"}},
		{"a method without a name", withMethods(namedMethod("")), []string{"number 1", `""`, "lower-case letters"}},
		{"an app with nine digits", withMethods(mfa.TOTP{Digits: 9}), []string{"Digits is 9", "6, 7 or 8"}},

		{"a recheck that ends before it begins", func(c *sallyport.Config) {
			c.Recheck = mfa.Recheck{Min: 2 * time.Hour, Max: time.Hour}
		}, []string{"Recheck", "Min <= Max"}},
		{"a recheck that is set and off", func(c *sallyport.Config) {
			c.Recheck = mfa.Recheck{Off: true, Max: time.Hour}
		}, []string{"Recheck", "one or the other"}},
		{"a recheck of a second", func(c *sallyport.Config) { c.Recheck = mfa.Recheck{Max: time.Second} },
			[]string{"Recheck", "a minute"}},

		{"a store that is not fit", func(c *sallyport.Config) {
			c.Store = checkedStore{c.Store, func(context.Context) error { return errors.New("synchronous_commit is off") }}
		}, []string{"Store.Check: synchronous_commit is off"}},
		{"a store whose check panics", func(c *sallyport.Config) {
			c.Store = checkedStore{c.Store, func(context.Context) error { panic("hunter2") }}
		}, []string{"Store.Check panicked"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := soundConfig(t)
			c.breaks(&config)
			lines := mistakesOf(t, config)
			if len(lines) != 1 {
				t.Fatalf("New reports %d mistakes, want 1:\n%s", len(lines), strings.Join(lines, "\n"))
			}
			for _, want := range c.want {
				if !strings.Contains(lines[0], want) {
					t.Errorf("New = %q, want %q in it", lines[0], want)
				}
			}
			if strings.Contains(lines[0], "hunter2") {
				t.Errorf("New = %q repeats what a function panicked with", lines[0])
			}
		})
	}
}

func TestNewAcceptsWhatIsSound(t *testing.T) {
	for name, change := range map[string]func(*sallyport.Config){
		"the least":                  func(*sallyport.Config) {},
		"http on localhost":          func(c *sallyport.Config) { c.Origin = "http://localhost:8080" },
		"http below localhost":       func(c *sallyport.Config) { c.Origin = "http://shop.localhost" },
		"a port":                     func(c *sallyport.Config) { c.Origin = "https://example.com:8443" },
		"an IPv6 address":            func(c *sallyport.Config) { c.Origin = "https://[2001:db8::1]:8443" },
		"a name in its ASCII form":   func(c *sallyport.Config) { c.Origin = "https://xn--bcher-kva.example" },
		"another path":               func(c *sallyport.Config) { c.Path = "/account/second-door.v2/" },
		"another sign-in page":       func(c *sallyport.Config) { c.Login = "/id/sign-in" },
		"a sign-in page beside ours": func(c *sallyport.Config) { c.Login = "/mfa-login" },
		"support by mail":            func(c *sallyport.Config) { c.Support = "mailto:help@example.com" },
		"support on a page":          func(c *sallyport.Config) { c.Support = "/help?topic=mfa" },
		"support elsewhere":          func(c *sallyport.Config) { c.Support = "https://help.example/mfa" },
		"the front page alone is open": func(c *sallyport.Config) {
			c.Open = []string{"/{$}", "GET /docs/{page}",
				"/s/{rest...}"}
		},
		"a long name":                func(c *sallyport.Config) { c.Name = strings.Repeat("é", 100) },
		"proofs that do not end":     func(c *sallyport.Config) { c.Recheck = mfa.Recheck{Off: true} },
		"a method of the site's own": func(c *sallyport.Config) { c.Methods = []mfa.Method{namedMethod("smart-card-2")} },
		"a store that is fit": func(c *sallyport.Config) {
			c.Store = checkedStore{c.Store, func(context.Context) error { return nil }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := soundConfig(t)
			change(&c)
			if lines := mistakesOf(t, c); lines != nil {
				t.Errorf("New = %q, want no mistake", lines)
			}
		})
	}
}

func TestNewReportsAllMistakesAtOnce(t *testing.T) {
	lines := mistakesOf(t, sallyport.Config{
		Origin: "http://example.com", Path: "mfa", Login: "login", Support: "ftp:x", Name: "a\nb",
		Open:    []string{"/", "public", "/fine"},
		Methods: []mfa.Method{nil, mfa.TOTP{Digits: 9}, mfa.Recovery{}, mfa.Recovery{}},
		Recheck: mfa.Recheck{Min: -1},
	})
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"Origin is", "Store is nil", "Keys is nil", "User is nil", "Path is", "Login is", "Support is", "Name is",
		`Open: "/"`, `Open: "public"`, "Methods: number 1", "Digits is 9", `"recovery" is there twice`, "Recheck:",
	} {
		if n := strings.Count(all, want); n != 1 {
			t.Errorf("New says %q %d times, want once:\n%s", want, n, all)
		}
	}
	if strings.Contains(all, "/fine") {
		t.Errorf("New complains of a pattern without a mistake:\n%s", all)
	}
}

// A check of the store is made although other fields are wrong, and the other way around.
func TestNewAsksTheStoreBesideOtherMistakes(t *testing.T) {
	c := soundConfig(t)
	c.Recheck = mfa.Recheck{Min: -1}
	c.Store = checkedStore{c.Store, func(context.Context) error { return errors.New("read-only") }}
	all := strings.Join(mistakesOf(t, c), "\n")
	if !strings.Contains(all, "Recheck") || !strings.Contains(all, "read-only") {
		t.Errorf("New = %q, want both mistakes", all)
	}
}

func TestNewTellsTheStoreKeysAndTime(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	older, err := mfa.NewKey(now)
	if err != nil {
		t.Fatal(err)
	}
	newer, err := mfa.NewKey(now)
	if err != nil {
		t.Fatal(err)
	}
	c := soundConfig(t)
	c.Keys = func() ([]mfa.Key, error) { return []mfa.Key{newer, older}, nil }
	c.Now = func() time.Time { return now }
	asked := &askedStore{Store: c.Store}
	c.Store = asked
	if lines := mistakesOf(t, c); lines != nil {
		t.Fatal(lines)
	}
	if want := newer.ID + " " + older.ID; strings.Join(asked.ids, " ") != want || !asked.now.Equal(now) {
		t.Errorf("Check(%v, %v), want (%s, %v)", asked.ids, asked.now, want, now)
	}
}

func TestAStoreThatHangsDoesNotHangTheStart(t *testing.T) {
	for _, c := range []struct {
		name  string
		heeds bool // its context
	}{{"one that heeds its context", true}, {"one that does not", false}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				config := soundConfig(t)
				config.Store = checkedStore{config.Store, func(ctx context.Context) error {
					if c.heeds {
						<-ctx.Done()
						return ctx.Err()
					}
					<-release
					return nil
				}}
				before := time.Now()
				lines := mistakesOf(t, config)
				if took := time.Since(before); took > 15*time.Second {
					t.Errorf("New took %v", took)
				}
				if len(lines) != 1 || !strings.Contains(lines[0], "Store.Check") {
					t.Errorf("New = %q, want the one mistake of the store", lines)
				}
			})
		})
	}
}

// Nothing but the keys that were given opens what the guard has sealed: there is no default key.
func TestOnlyTheGivenKeysOpenAnything(t *testing.T) {
	keys := someKeys(t)
	one := newSite(t, func(s *site, c *sallyport.Config) { c.Keys = keys })
	b := one.enrolled("alice")
	b.mustBeIn("account")
	for _, c := range []struct {
		name string
		keys func() ([]mfa.Key, error)
		in   bool
	}{{"the same keys", keys, true}, {"other keys", someKeys(t), false}} {
		t.Run(c.name, func(t *testing.T) {
			two := newSite(t, func(s *site, config *sallyport.Config) { // another process of the same site
				config.Store, config.Origin, config.Keys, config.User = onlyStore{one.store}, one.server.URL, c.keys, one.user
			})
			other := two.browser()
			other.setCookie("session", b.cookie("session"))
			other.setCookie("__Host-sallyport", b.cookie("__Host-sallyport"))
			if in := other.isIn("account"); in != c.in {
				t.Errorf("GET /account is answered = %v, want %v", in, c.in)
			}
		})
	}
}

// onlyStore has none of a store's optional abilities.
type onlyStore struct{ mfa.Store }

func TestTheZeroConfigDoesNotStart(t *testing.T) {
	if lines := mistakesOf(t, sallyport.Config{}); len(lines) != 4 {
		t.Errorf("New = %q, want the four fields that are required", lines)
	}
}

type nilMethod struct{ mfa.TOTP }

type namedMethod string

func (m namedMethod) Name() string         { return string(m) }
func (namedMethod) Strength() mfa.Strength { return mfa.Typed }

func (namedMethod) Begin(context.Context, mfa.Attempt) (any, []byte, error) { return nil, nil, nil }

func (namedMethod) Finish(context.Context, mfa.Attempt) (mfa.Outcome, error) {
	return mfa.Outcome{}, mfa.ErrWrongAnswer
}

// checkedStore is a store that says what check says.
type checkedStore struct {
	mfa.Store
	check func(context.Context) error
}

func (s checkedStore) Check(ctx context.Context, _ []string, _ time.Time) error { return s.check(ctx) }

// askedStore remembers what it was asked with.
type askedStore struct {
	mfa.Store
	ids []string
	now time.Time
}

func (s *askedStore) Check(_ context.Context, ids []string, now time.Time) error {
	s.ids, s.now = ids, now
	return nil
}
