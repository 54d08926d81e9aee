package sallyport_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"sallyport"
	"sallyport/mfa"
	"sallyport/sqlstore"
)

// sized returns how large an attack is: small by default, large when SALLYPORT_TEST_FULL is set.
func sized(small, large int) int {
	if os.Getenv("SALLYPORT_TEST_FULL") != "" {
		return large
	}
	return small
}

// attackedStore is what an attack needs of a store. Its Check is hidden, since the clock of these tests is not that of
// the database.
type attackedStore interface {
	mfa.Store
	mfa.EventReader
	mfa.Lister
}

type attackStore struct{ attackedStore }

// onStores runs an attack on each kind of store. open makes one more handle on the same data, as another process has.
func onStores(t *testing.T, attack func(t *testing.T, open func() attackedStore)) {
	t.Run("Memory", func(t *testing.T) { attack(t, memoryStore()) })
	t.Run("SQLite", func(t *testing.T) { attack(t, sqliteStore(t)) })
}

// onAllStores is onStores with PostgreSQL, for races and for several nodes.
func onAllStores(t *testing.T, attack func(t *testing.T, open func() attackedStore)) {
	onStores(t, attack)
	t.Run("PostgreSQL", func(t *testing.T) { attack(t, postgresStore(t)) })
}

func memoryStore() func() attackedStore {
	m := mfa.NewMemory()
	return func() attackedStore { return attackStore{m} }
}

func sqliteStore(t *testing.T) func() attackedStore {
	path := filepath.Join(t.TempDir(), "accounts.db")
	return sqlStore(t, sqlstore.SQLite, func() *sql.DB { return openDB(t, "sqlite", sqlstore.SQLiteDSN(path)) })
}

// postgresStore makes a schema that is dropped after the test.
func postgresStore(t *testing.T) func() attackedStore {
	base := os.Getenv("SALLYPORT_TEST_POSTGRES")
	if base == "" {
		base = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
	}
	admin := openDB(t, "pgx", base)
	if err := admin.PingContext(t.Context()); err != nil {
		why := fmt.Sprintf("no PostgreSQL answers (set SALLYPORT_TEST_POSTGRES): %v", err)
		if os.Getenv("SALLYPORT_TEST_REQUIRE") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	name := "sallyport_attack_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP SCHEMA " + name + " CASCADE"); err != nil {
			t.Errorf("dropping the schema: %v", err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return sqlStore(t, sqlstore.PostgreSQL, func() *sql.DB { return openDB(t, "pgx", u.String()) })
}

func openDB(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(8)
	t.Cleanup(func() { db.Close() })
	return db
}

func sqlStore(t *testing.T, d sqlstore.Dialect, open func() *sql.DB) func() attackedStore {
	t.Helper()
	if err := sqlstore.Migrate(t.Context(), open(), d); err != nil {
		t.Fatal(err)
	}
	return func() attackedStore { return attackStore{sqlstore.New(open(), d)} }
}

// nodes are several processes that serve one site at one address. A browser picks its node with at.
type nodes struct {
	*site
	configs []sallyport.Config
	wrap    func(http.Handler) http.Handler // what stands between the guard and the site's own routes; nil: nothing

	lock     sync.RWMutex
	handlers []http.Handler
}

const (
	toNode      = "Attack-Node"    // the node that answers a request
	fromAddress = "Attack-Address" // the connection's address, as the node sees it
)

// newNodes starts n nodes on one store.
func newNodes(t testing.TB, n int, open func() attackedStore, changes ...func(*site, *sallyport.Config)) *nodes {
	t.Helper()
	all := &nodes{}
	last := func(s *site, c *sallyport.Config) {
		c.Store = open()
		for range n {
			node := *c
			node.Store = open()
			all.configs = append(all.configs, node)
		}
	}
	all.site = newSite(t, append(changes, last)...)
	all.restart()
	all.server.Config.Handler = all
	return all
}

// restart ends every process and starts it again: nothing that was kept in memory is left.
func (n *nodes) restart() {
	n.t.Helper()
	n.lock.Lock()
	defer n.lock.Unlock()
	n.handlers = nil
	for _, c := range n.configs {
		guard, err := sallyport.New(c)
		if err != nil {
			n.t.Fatal(err)
		}
		n.guard = guard
		site := n.mux()
		if n.wrap != nil {
			site = n.wrap(site)
		}
		n.handlers = append(n.handlers, guard.Protect(site))
	}
}

func (n *nodes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.lock.RLock()
	i, _ := strconv.Atoi(r.Header.Get(toNode))
	h := n.handlers[i]
	n.lock.RUnlock()
	if a := r.Header.Get(fromAddress); a != "" {
		r.RemoteAddr = a
	}
	h.ServeHTTP(w, r)
}

// engine is what support uses beside the site: it works on the same store with the same keys.
func (n *nodes) engine() *mfa.Engine {
	n.t.Helper()
	c := n.configs[0]
	keys, err := c.Keys()
	if err != nil {
		n.t.Fatal(err)
	}
	ring, err := mfa.NewRing(keys...)
	if err != nil {
		n.t.Fatal(err)
	}
	e, err := mfa.NewEngine(mfa.EngineConfig{
		Store: n.store, Ring: ring, Methods: []mfa.Method{mfa.TOTP{}, mfa.Recovery{}}, Origin: c.Origin, Now: n.clock,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return e
}

// sending returns the same browser, whose requests all carry one more header.
func (b *browser) sending(name, value string) *browser {
	copied, client := *b, *b.client
	client.Transport = withHeader{client.Transport, header{name, value}}
	copied.client = &client
	return &copied
}

// at returns the same browser on one of the nodes.
func (b *browser) at(node int) *browser { return b.sending(toNode, strconv.Itoa(node)) }

type withHeader struct {
	next http.RoundTripper
	h    header
}

func (t withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get(t.h.name) == "" { // what was put on last counts
		r = r.Clone(r.Context())
		r.Header.Set(t.h.name, t.h.value)
	}
	return t.next.RoundTrip(r)
}

// guess opens the page of the app's code and sends one. Where no code is asked for it returns that page.
func (b *browser) guess(code string) answer {
	b.t.Helper()
	page := b.get("/mfa/verify/totp")
	if found(ticketField, page.body) == "" {
		return page
	}
	return b.fill(page, code)
}

// recover opens the page of recovery codes and sends one.
func (b *browser) recover(code string) answer {
	b.t.Helper()
	return b.fill(b.get("/mfa/verify/recovery"), code)
}

// loaded is a form that was filled in and only has to be sent.
type loaded struct {
	b      *browser
	action string
	form   url.Values
}

func (b *browser) load(page answer, reply string) loaded {
	b.t.Helper()
	action, ticket := found(formAction, page.body), found(ticketField, page.body)
	if action == "" || ticket == "" {
		b.t.Fatalf("status %d, no form on the page\n%s", page.status, text(page.body))
	}
	return loaded{b, action, url.Values{"answer": {reply}, "ticket": {ticket}}}
}

// send returns the status of the answer; 0: there was none. It may be called from any goroutine.
func (l loaded) send() int {
	r, err := http.NewRequest("POST", l.b.s.server.URL+l.action, strings.NewReader(l.form.Encode()))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	res, err := l.b.client.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// volley sends all forms at one moment and returns the status of each answer.
func volley(forms []loaded) []int {
	statuses := make([]int, len(forms))
	var barrier, done sync.WaitGroup
	barrier.Add(1)
	for i, f := range forms {
		done.Go(func() {
			barrier.Wait()
			statuses[i] = f.send()
		})
	}
	barrier.Done()
	done.Wait()
	return statuses
}

// count returns how many of the browsers see a page.
func count(browsers []*browser, page string) int {
	n := 0
	for _, b := range browsers {
		if b.isIn(page) {
			n++
		}
	}
	return n
}

// eventsOf returns the events of a user from the store.
func (s *site) eventsOf(user string) []mfa.Event {
	s.t.Helper()
	var all []mfa.Event
	var last mfa.Event
	for {
		list, err := s.store.(mfa.EventReader).Events(context.Background(), user, last, 500)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(list) == 0 {
			return all
		}
		all = append(all, list...)
		last = list[len(list)-1]
	}
}

// kinds counts the events of a user by kind.
func (s *site) kinds(user string) map[mfa.Kind]int {
	n := map[mfa.Kind]int{}
	for _, ev := range s.eventsOf(user) {
		n[ev.Kind]++
	}
	return n
}

// judged is how many guesses at a user's codes were compared with anything.
func (s *site) judged(user string) int { return s.kinds(user)[mfa.WrongAnswer] }

// noticesOf counts the notices of a kind to a user.
func (s *site) noticesOf(user string, kind mfa.Kind) int {
	n := 0
	for _, notice := range s.told() {
		if notice.User.ID == user && notice.Event.Kind == kind {
			n++
		}
	}
	return n
}

// record is what the store keeps about a user.
func (s *site) record(user string) mfa.Record {
	s.t.Helper()
	rec, err := s.store.Load(context.Background(), user)
	if err != nil {
		s.t.Fatal(err)
	}
	return rec
}

// mustBeUnchanged fails if the account of a user was saved since before.
func (s *site) mustBeUnchanged(user string, before mfa.Record, after string) {
	s.t.Helper()
	if now := s.record(user); !reflect.DeepEqual(now, before) {
		s.t.Fatalf("%s: the record of %s went from version %d to %d, want it unchanged", after, user, before.Version,
			now.Version)
	}
}

// factorOf is a factor of a user, as the JSON of the security home tells it.
type factorOf struct{ id, method, label string }

// factors lists the factors of a browser that has proved one.
func (b *browser) factors() []factorOf {
	b.t.Helper()
	a, doc := b.call("GET", "/mfa/", nil)
	list, ok := doc["factors"].([]any)
	if a.status != http.StatusOK || !ok {
		b.t.Fatalf("GET /mfa/ = %d %s", a.status, a.body)
	}
	var all []factorOf
	for _, f := range list {
		m := f.(map[string]any)
		all = append(all, factorOf{m["id"].(string), m["method"].(string), m["label"].(string)})
	}
	return all
}

// factor returns the id of the first factor of a method.
func (b *browser) factor(method string) string {
	b.t.Helper()
	for _, f := range b.factors() {
		if f.method == method {
			return f.id
		}
	}
	b.t.Fatalf("no factor of method %s in %v", method, b.factors())
	return ""
}

// codesLeft is how many recovery codes are unused.
func (b *browser) codesLeft() int {
	b.t.Helper()
	_, doc := b.call("GET", "/mfa/", nil)
	list, _ := doc["factors"].([]any)
	for _, f := range list {
		if m := f.(map[string]any); m["method"] == mfa.MethodRecovery {
			return int(m["left"].(float64))
		}
	}
	return 0
}

// raw sends bytes as they are over a connection of its own and returns the answer.
func (s *site) raw(request string) answer {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.server.Listener.Addr().String(),
		s.server.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.t.Fatalf("%.80q: %v", request, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.t.Fatalf("%.80q: %v", request, err)
	}
	return answer{res.StatusCode, res.Header, string(body), res.Header.Get("Location")}
}

// cookies is the Cookie header of a browser.
func (b *browser) cookies() string {
	u, _ := url.Parse(b.s.server.URL)
	var pairs []string
	for _, c := range b.jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// host is the address that the Host header of a browser names.
func (s *site) host() string { return s.server.Listener.Addr().String() }

// secretOf is the secret that the page of an enrollment shows.
func secretOf(page answer) string { return strings.ReplaceAll(found(secretText, page.body), " ", "") }
