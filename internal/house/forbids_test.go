package house

import "testing"

// The checks above are worth something only if the table says no.
func TestForbids(t *testing.T) {
	for _, c := range []struct {
		room, imported string
		allowed        bool
	}{
		{"mfa", "crypto/hmac", true},
		{"mfa", module + "/passkey", false},
		{"mfa", module + "/internal/clock", false},
		{"mfa", "rsc.io/qr", false},
		{"passkey", "github.com/go-webauthn/webauthn/webauthn", true},
		{"passkey", "net/http", false},
		{"sqlstore", module + "/mfa", true},
		{"sqlstore", module, false},
		{"sqlstore", module + "/redisstore", false},
		{"sqlstore", "modernc.org/sqlite", false},
		{"courier", module + "/sqlstore", false},
		{"importer", "database/sql", false},
		{".", "rsc.io/qr", true},
		{".", "rsc.io/qrcode", false},
		{".", module + "/sqlstore", false},
		{".", module + "/courier", false},
		{".", "github.com/go-webauthn/webauthn/webauthn", false},
		{".", module + "/internal/pages", true},
		{"audit", module + "/sqlstore", false},
		{"admin", module, true},
		{"admin", module + "/sqlstore", false},
		{"cmd/sallyport", module + "/sqlstore", true},
		{"cmd/sallyport", "github.com/jackc/pgx/v5", true},
		{"internal/faults", module + "/sqlstore", false},
	} {
		r, ok := ruleOf(c.room)
		if !ok {
			t.Errorf("%s has no rule", c.room)
		}
		if why := r.forbids(c.room, c.imported); (why == "") != c.allowed {
			t.Errorf("%s imports %s: forbids = %q, want allowed %v", c.room, c.imported, why, c.allowed)
		}
	}
	if _, ok := ruleOf("util"); ok {
		t.Error("a package that nobody decided on has a rule")
	}
	for _, dep := range []string{"github.com/jackc/pgx/v5/stdlib", "modernc.org/sqlite", "github.com/spf13/cobra"} {
		if !under(dep, noDriver) {
			t.Errorf("%s does not count as a driver or a command-line library", dep)
		}
	}
}
