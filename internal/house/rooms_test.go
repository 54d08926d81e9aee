package house

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// rule says what the code of a room, without its tests, may import.
type rule struct {
	ours    []string // rooms that it may import itself
	theirs  []string // third-party paths that it may import itself, with all below
	not     []string // packages of the standard library that it may not import itself
	never   []string // what may not be reached over any number of steps, third-party or standard
	theirsX bool     // any third-party package
}

var (
	drivers = []string{
		"modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx", "github.com/lib/pq",
		"github.com/go-sql-driver/mysql", "github.com/redis/go-redis", "github.com/gomodule/redigo",
	}
	commands = []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}
	noDriver = slices.Concat(drivers, commands)
)

// rooms is the table of DESIGN: each package of the root module has a row, so a new one is a decision.
var rooms = map[string]rule{
	"mfa": {never: []string{"net/http", "database/sql", "html/template", "os/exec"}},
	"passkey": {
		ours: []string{"mfa"}, theirs: []string{"github.com/go-webauthn"},
		not: []string{"net/http", "database/sql"}, never: noDriver,
	},
	"sqlstore":   {ours: []string{"mfa"}, not: []string{"net/http"}, never: noDriver},
	"redisstore": {ours: []string{"mfa"}, not: []string{"net/http", "database/sql"}, never: noDriver},
	"courier": {
		ours: []string{"mfa"}, theirs: []string{"github.com/wneessen/go-mail", "github.com/nyaruka/phonenumbers"},
		not: []string{"database/sql"}, never: noDriver,
	},
	"importer": {ours: []string{"mfa", "passkey"}, not: []string{"net/http", "database/sql"}, never: noDriver},
	".": {
		ours: []string{"mfa", "passkey"}, theirs: []string{"rsc.io/qr", "github.com/mileusna/useragent", "golang.org/x/text", "github.com/nicksnyder/go-i18n"},
		not: []string{"database/sql", "os/exec"}, never: noDriver,
	},
	"audit":         {ours: []string{"mfa"}, not: []string{"database/sql", "net/http"}, never: noDriver},
	"admin":         {ours: []string{".", "mfa", "audit"}, not: []string{"database/sql", "os/exec"}, never: noDriver},
	"mfatest":       {ours: []string{".", "mfa", "passkey"}, theirs: []string{"pgregory.net/rapid"}, never: noDriver},
	"cmd/sallyport": {ours: []string{"*"}, theirsX: true},
}

// internal is the rule of everything under internal/ and of packages main beside the command.
var internal = rule{ours: []string{"mfa"}, never: noDriver}

func ruleOf(name string) (rule, bool) {
	if strings.HasPrefix(name, "internal/") || strings.Contains(name, "/internal/") {
		owner, _, _ := strings.Cut(name, "/internal/")
		if r, ok := rooms[owner]; ok {
			return r, true // a room's own cellar
		}
		return internal, true
	}
	r, ok := rooms[name]
	return r, ok
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, p := range goList(t, ".", "./...") {
		name, _ := room(p.ImportPath)
		r, ok := ruleOf(name)
		if !ok {
			t.Errorf("%s has no row in the table of rooms: which package does it replace?", name)
			continue
		}
		for _, imported := range p.Imports {
			if why := r.forbids(name, imported); why != "" {
				t.Errorf("%s imports %s: %s", name, imported, why)
			}
		}
	}
}

// forbids says why room name may not import a package itself; "": it may.
func (r rule) forbids(name, imported string) string {
	other, ours := room(imported)
	switch {
	case standard(imported):
		if slices.Contains(r.not, imported) {
			return "it stays out of this room"
		}
	case ours:
		cellar := strings.HasPrefix(other, name+"/internal/") || strings.HasPrefix(other, "internal/") && name != "mfa"
		if !cellar && !slices.Contains(r.ours, other) && !slices.Contains(r.ours, "*") {
			return "rooms are left in one direction only"
		}
	case !r.theirsX && !under(imported, r.theirs):
		return "no such library belongs here"
	}
	return ""
}

func TestRoomsReachNothingForbidden(t *testing.T) {
	for _, p := range goList(t, ".", "./...") {
		name, _ := room(p.ImportPath)
		r, ok := ruleOf(name)
		if !ok || len(r.never) == 0 {
			continue
		}
		if name == "mfa" && len(p.Deps) == 0 {
			t.Errorf("go list says that mfa depends on nothing")
		}
		for _, dep := range p.Deps {
			if under(dep, r.never) {
				t.Errorf("%s reaches %s", name, dep)
			}
			if name == "mfa" && !standard(dep) {
				t.Errorf("mfa reaches %s: it stands on the standard library alone", dep)
			}
		}
	}
}

// An example that a reader copies brings one driver, the one that it chose, and no command-line library.
func TestExamplesBringOneDriver(t *testing.T) {
	for _, p := range goList(t, "examples", "./...") {
		if p.Name != "main" {
			continue
		}
		t.Run(path.Base(p.ImportPath), func(t *testing.T) {
			found := map[string]bool{}
			for _, dep := range p.Deps {
				if under(dep, commands) {
					t.Errorf("it reaches %s", dep)
				}
				for _, d := range drivers {
					if under(dep, []string{d}) {
						found[d] = true
					}
				}
			}
			if len(found) > 1 {
				t.Errorf("it brings %d drivers, want one: %v", len(found), found)
			}
		})
	}
}
