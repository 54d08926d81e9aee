package demo_test

import (
	"crypto/rand"
	"database/sql"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"sallyport/cmd/sallyport/internal/demo"
)

func TestTwoDemosAreNodesOfOneSite(t *testing.T) {
	for _, c := range []struct {
		name  string
		store func(*testing.T) string
	}{
		{"SQLite", func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a demo.db") }},
		{"PostgreSQL", postgres},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := demo.Options{
				Store: c.store(t), Keys: filepath.Join(t.TempDir(), "keys"), Origin: "http://localhost:8080", TestClock: true,
			}
			share(t, start(t, o), start(t, o))
		})
	}
}

// share shows that what happens on one node is true on the other.
func share(t *testing.T, one, two *node) {
	b := one.signedIn("alice")
	b.advance("0s")
	b.enroll("phone")
	if !b.at(two).isIn("vault", "alice") {
		t.Error("what was proved on one node is asked for on the other")
	}
	other := two.signedIn("alice")
	other.secret = b.secret
	other.advance("0s")
	if other.isIn("account", "alice") || other.at(one).isIn("account", "alice") {
		t.Error("the factor is not asked for on both nodes")
	}
	code := other.code(1)
	if status := other.prove(code); status != http.StatusOK {
		t.Fatalf("a code = %d, want 200", status)
	}
	third := one.signedIn("alice")
	if status := third.prove(code); status != http.StatusUnprocessableEntity {
		t.Errorf("REPLAY-1: the code that was used on the other node = %d, want 422", status)
	}
	if first, second := b.get("/outbox", asJSON).body, b.at(two).get("/outbox", asJSON).body; first != second {
		t.Errorf("the outbox is %s on one node and %s on the other", first, second)
	}
	other.at(one).post("/logout", nil)
	if other.get("/account").status == http.StatusOK {
		t.Error("who signed out on one node is signed in on the other")
	}
}

// postgres returns the address of an empty schema that is dropped after the test.
func postgres(t *testing.T) string {
	base := os.Getenv("SALLYPORT_TEST_POSTGRES")
	if base == "" {
		base = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	if err := admin.PingContext(t.Context()); err != nil {
		without(t, "no PostgreSQL at "+u.Redacted()+" (set SALLYPORT_TEST_POSTGRES): "+err.Error())
	}
	schema := "sallyport_demo_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(t.Context(), `CREATE SCHEMA `+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP SCHEMA ` + schema + ` CASCADE`); err != nil {
			t.Errorf("dropping the schema: %v", err)
		}
	})
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// without ends a test that misses a server: as failed where everything must be there, else as skipped.
func without(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("SALLYPORT_TEST_REQUIRE") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}
